"""The commands that make evidence, and what is left of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from resnet_cli.claims.claim import Analysis, Need, Sweep
from resnet_cli.evidence.making import Options, Step, command_text, commands_of, make, remaining
from resnet_cli.evidence.tables import StoredTables

SMOKE = Sweep("smoke", save_models=True)
RESPONSES = Analysis("convergence", SMOKE, ("--format", "png"))


def test_a_sweep_comes_before_its_analyses_and_is_there_once() -> None:
    needs: list[Need] = [RESPONSES, SMOKE, Analysis("identity", None, ("--seeds", "0..9")), RESPONSES]
    assert [command_text(words) for words in commands_of(needs, Options(Path("results")))] == [
        "resnet-exp sweep --config smoke --save-models",
        "resnet-exp analyze convergence results/smoke --format png",
        "resnet-exp analyze identity --seeds 0..9",
    ]


def test_options_and_another_folder_are_passed_on() -> None:
    options = Options(Path("my results"), Path("data"), 2, "cpu")
    assert [command_text(words) for words in commands_of([RESPONSES, Analysis("identity")], options)] == [
        "resnet-exp sweep --config smoke --out 'my results/smoke' --save-models --data-dir data --device cpu --jobs 2",
        "resnet-exp analyze convergence 'my results/smoke' --format png",
        "resnet-exp analyze identity --out 'my results/identity'",
    ]


@pytest.mark.slow
def test_what_is_made_is_not_made_again() -> None:
    options = Options(Path("results"), jobs=1)
    (step,) = remaining([RESPONSES], options)
    assert step.seconds > 0
    assert [words[0] for words in step.commands] == ["sweep", "analyze"]
    assert make(step)
    assert remaining([RESPONSES], options) == []
    assert len(StoredTables(Path("results")).analysis("convergence", "smoke"))
    table = Path("results/smoke/analysis/convergence.csv")
    table.write_text("".join(line for line in table.read_text().splitlines(keepends=True) if "_s0_" not in line))
    table.with_suffix(".sha256").unlink()  # which would tell that the table was changed
    (step,) = remaining([RESPONSES], options)  # its seed is missing
    assert [words[0] for words in step.commands] == ["sweep", "analyze"]
    assert step.seconds == 0


def test_a_missing_data_set_is_an_obstacle_and_comes_last(tmp_path: Path) -> None:
    options = Options(tmp_path, data_dir=tmp_path)
    first, last = remaining([Sweep("cifar10-reduced"), SMOKE], options)
    assert first.commands == commands_of_step(SMOKE, options)
    assert last.obstacle.startswith("CIFAR-10 is not in ")
    assert last.seconds == 0


def commands_of_step(sweep: Sweep, options: Options) -> tuple[tuple[str, ...], ...]:
    return tuple(commands_of([sweep], options))


def test_a_command_that_fails_ends_its_step(capfd: pytest.CaptureFixture[str]) -> None:
    wrong = replace(SMOKE, config="no such one")
    step = Step((*commands_of([wrong], Options(Path("results"))), ("configs",)))
    assert not make(step)
    out, err = capfd.readouterr()
    assert "no such one" in err
    assert out == ""
