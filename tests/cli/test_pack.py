"""`resnet-exp pack` and `unpack`, and packed results where other commands meet them."""

from pathlib import Path

import pytest

from resnet_cli.settings.request import load_config
from tests.cli.conftest import Command, Train

TINY = ("--task", "sine", "--seeds", 0, "--steps", 4, "--eval-every", 2, "--depths", "2,3", "--jobs", 1, "--quiet")


@pytest.fixture
def packed(command: Command, train: Train) -> Path:
    """A packed sweep in docs/sine, the sweep itself in results/sine."""
    train(*TINY, "--save-models", "--out", "results/sine")
    answer = command("pack", "results/sine", "--out", "docs/sine")
    assert (answer.code, answer.err) == (0, "")
    size = sum(path.stat().st_size for path in Path("docs/sine").iterdir())
    assert answer.out == (
        f"docs/sine: 4 runs in 3 files, {size / 1000:,.0f} kB\nWeights are not packed; they stay in results/sine.\n"
    )
    return Path("docs/sine")


@pytest.mark.slow
def test_every_reading_command_takes_packed_results(command: Command, packed: Path) -> None:
    assert command("show", packed, "--by-depth").out.replace("docs", "results") == (
        command("show", "results/sine", "--by-depth").out
    )
    assert command("plot", packed, "--kind", "depth", "--format", "png", "--out", "figs").code == 0
    plain = command("analyze", "convergence", "results/sine", "--format", "png", "--out", "a")
    answer = command("analyze", "convergence", packed, "--format", "png", "--out", "b")
    assert (answer.code, answer.err) == (plain.code, plain.err) == (0, "")
    assert Path("b/convergence.csv").read_bytes() == Path("a/convergence.csv").read_bytes()


@pytest.mark.slow
def test_nothing_is_written_into_packed_results_unasked(command: Command, packed: Path) -> None:
    before = {path: path.read_bytes() for path in packed.glob("**/*") if path.is_file()}
    assert (
        command("plot", "docs", "--kind", "depth", "--format", "png").out == "results/figures/sine/loss-by-depth.png\n"
    )
    answer = command("analyze", "convergence", packed, "--format", "png")
    assert answer.out.endswith("results/analysis/sine/convergence.csv\nresults/analysis/sine/convergence.png\n")
    assert {path: path.read_bytes() for path in packed.glob("**/*") if path.is_file()} == before
    assert not Path("results/sine/figures").exists()  # nor beside the runs of another folder of this name


def test_commands_that_need_weights_say_that_packed_results_have_none(command: Command, packed: Path) -> None:
    answer = command("analyze", "responses", packed)
    assert answer.code == 2
    assert answer.err.splitlines()[-1] == (
        "resnet-exp: docs/sine holds packed results, which have no weights; repeat the sweep with --save-models and "
        "analyze the folder that it writes."
    )


def test_unpack_restores_the_runs_and_names_what_is_damaged(command: Command, packed: Path) -> None:
    answer = command("unpack", packed, "--out", "results/again")
    assert (answer.code, answer.out, answer.err) == (0, "results/again: 4 runs\n", "")
    for path in Path("results/sine/runs").glob("*/*.[cj]s*"):
        assert (Path("results/again/runs") / path.parent.name / path.name).read_bytes() == path.read_bytes()
    table = packed / "runs.csv"
    table.write_text(table.read_text().replace(",done,", ",diverged,", 1))
    answer = command("unpack", packed, "--out", "results/three")
    assert (answer.code, answer.out) == (2, "results/three: 3 runs\n")
    assert "is left out: it is cut off or was changed" in answer.err
    assert len(list(Path("results/three/runs").iterdir())) == 3


def test_unpack_into_an_empty_folder_keeps_that_folder(
    command: Command, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, source = tmp_path / "here", packed.resolve()
    leftover = place / ".resnet-exp-here.tmp" / "runs"  # of a killed process
    leftover.mkdir(parents=True)
    before = place.stat().st_ino
    monkeypatch.chdir(place)
    assert command("unpack", source, "--out", ".").out == ".: 4 runs\n"
    assert place.stat().st_ino == before
    assert sorted(path.name for path in place.iterdir()) == ["runs", "summary.csv", "sweep.toml"]
    assert command("unpack", source, "--out", ".").err == (
        "resnet-exp: out (=.) is not empty; choose a new or an empty folder.\n"
    )


def test_pack_takes_filters(command: Command) -> None:
    assert command("sweep", *TINY, "--out", "results/sine").code == 0
    answer = command("pack", "results/sine", "--out", "few", "--models", "plain", "--depths", "3")
    assert answer.out.startswith("few: 1 run in 3 files")
    answer = command("pack", "results/sine", "--out", "none", "--where", "init=hee")
    assert answer.code == 2
    assert "where init (=hee)" in answer.err
    assert not Path("none").exists()


def test_no_sweep_writes_to_packed_results(command: Command, packed: Path) -> None:
    before = {path: path.read_bytes() for path in packed.iterdir()}
    assert load_config(packed / "sweep.toml")["out"] == "results/sine"
    assert load_config(Path("results/sine/sweep.toml"))["out"] == "results/sine"
    answer = command("sweep", *TINY, "--out", packed)
    assert answer.code == 2
    assert answer.err == (
        "resnet-exp: out (=docs/sine) holds packed results, which sweeps do not change; unpack them with "
        "`resnet-exp unpack`, or choose another folder with --out.\n"
    )
    assert {path: path.read_bytes() for path in packed.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("pack", "results", "--out", "x"), "results holds no finished run that could be packed."),
        (("pack", "missing", "--out", "x"), "missing is not a folder; give a results folder, such as results/sine."),
        (("unpack", "results/sine", "--out", "x"), "results/sine holds no packed results (runs.csv, metrics.csv.gz)."),
    ],
)
def test_a_folder_of_the_wrong_form_is_one_sentence(
    command: Command, packed: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    answer = command(*arguments)
    assert (answer.code, answer.err) == (2, f"resnet-exp: {sentence}\n")
    assert not Path("x").exists()
