from pathlib import Path

import pytest

from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings import configs
from resnet_cli.settings.configs import bundled_configs, describe, find_config
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.request import load_config

FOLDER = Path(__file__).parents[2] / "configs"


def test_the_folder_configs_is_bundled() -> None:
    assert [config.path for config in bundled_configs().values()] == sorted(FOLDER.iterdir())
    assert {"sine", "digits", "smoke"} <= bundled_configs().keys()


@pytest.mark.parametrize("name", bundled_configs())
def test_a_comment_counts_the_runs_that_are_planned(name: str) -> None:
    config = bundled_configs()[name]
    plan = plan_sweep(load_config(Path(name)))
    assert len(plan.runs) == config.runs
    assert plan.notes == []
    assert any(word in config.cost for word in ("second", "minute", "hour"))
    assert ("needs CIFAR-10" in config.cost) == (plan.task.name == "cifar10")


def test_a_comment_is_read_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        "# Nets. 3 runs; no.\n# Shows: that it\n# works.\n# Draw it with: x\n# 1200 runs; 2.5 minutes.\nseeds = 0\n"
    )
    assert describe(path) == configs.Config(path, "that it works", 1200, "2.5 minutes")


def test_a_comment_without_its_number_of_runs_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("# Shows: nothing.\nseeds = 0\n")
    with pytest.raises(ValueError, match=r"mine\.toml: its first lines must say"):
        describe(path)


def test_a_file_wins_over_a_bundled_configuration() -> None:
    assert find_config(Path("digits")) == FOLDER / "digits.toml"
    Path("digits").mkdir()
    assert find_config(Path("digits")) == FOLDER / "digits.toml"
    Path("digits").rmdir()
    Path("digits").write_text("seeds = 3")
    assert load_config(Path("digits")) == {"seeds": 3}


def test_an_unknown_configuration_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError) as caught:
        load_config(Path("digts"))
    assert str(caught.value).startswith(
        "config (=digts) is not a file, nor a bundled configuration (did you mean digits?); these are analysis-digits, "
    )
    with pytest.raises(UserError, match=r"configs.digits\.toml\) is not a file.*did you mean digits\?"):
        load_config(Path("configs/digits.toml"))
