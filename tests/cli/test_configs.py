import pytest

from resnet_cli.settings.configs import bundled_configs
from tests.cli.conftest import Command


def test_configs_are_listed_with_what_they_show_runs_and_time(command: Command) -> None:
    lines = [line.rstrip() for line in command("configs").out.splitlines()]
    for name, config in bundled_configs().items():
        (number,) = [i for i, line in enumerate(lines) if line.split()[:1] == [name]]
        assert lines[number].split(maxsplit=2) == [name, str(config.runs), config.shows]
        assert lines[number + 1].strip() == f"Time: {config.cost}"


def test_names_of_configs_do_not_break_at_80_columns(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    words = command("configs").out.split()
    assert [name for name in bundled_configs() if name not in words] == []


def test_a_bundled_configuration_is_found_by_its_name(command: Command) -> None:
    answer = command("sweep", "--config", "smoke", "--dry-run")
    assert answer.code == 0
    assert "= 4 runs, into results/smoke" in answer.out
