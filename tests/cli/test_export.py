"""`resnet-exp export`: the runs of sweeps as log directories of TensorBoard."""

from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from resnet_cli.settings.metrics import METRICS
from resnet_cli.store.event_files import EVENT_FILE, tag
from resnet_cli.store.reader import load_results
from tests.cli.conftest import Command
from tests.conftest import MakeRun
from tests.store.records import HISTORY, store

TO = ("--to", "tensorboard")


@pytest.fixture
def sweeps(make_run: MakeRun) -> list[str]:
    """Two sweeps below results/, of three runs each, one of which diverged; the paths of all below results/."""
    paths = []
    for folder, init in (("sine", "default"), ("more/he", "he")):
        for number, model in enumerate(("plain", "residual", "residual")):
            run = make_run(models=model, depths=3 + number, init=init)
            store(Path("results", folder), run, status="diverged" if number == 1 else "done")
            paths.append(f"{folder}/{run.run_id}")
    return sorted(paths)


def exported(folder: str) -> list[str]:
    """The log directories below a folder."""
    return sorted(str(path.parent.relative_to(folder)) for path in Path(folder).rglob(EVENT_FILE))


def test_each_run_gets_a_directory_below_its_sweeps(command: Command, sweeps: list[str]) -> None:
    answer = command("export", "results", *TO, "logs")
    assert answer == (0, "logs: 6 runs of 2 sweeps; to look at them: tensorboard --logdir logs\n", "")
    assert exported("logs") == sweeps
    single = command("export", "results/sine", *TO, "single")
    assert single.out.startswith("single: 3 runs of 1 sweep;")
    assert exported("single") == [path for path in sweeps if path.startswith("sine/")]


def test_exported_numbers_are_those_of_the_results(command: Command, sweeps: list[str]) -> None:
    assert command("export", "results", *TO, "logs").code == 0
    for folder in ("sine", "more/he"):
        curves = load_results(f"results/{folder}").curves()
        for run_id, rows in curves.groupby("run_id"):
            events = EventAccumulator(f"logs/{folder}/{run_id}").Reload()
            for name in [name for name in METRICS if name != "step"]:
                known = rows.dropna(subset=name)
                found = events.Scalars(tag(name)) if tag(name) in events.Tags()["scalars"] else []
                assert [event.step for event in found] == known["step"].tolist()
                np.testing.assert_array_equal([event.value for event in found], known[name].astype(np.float32))


def test_packed_results_give_the_same_files(command: Command, sweeps: list[str]) -> None:
    assert command("pack", "results/sine", "--out", "packed/sine").code == 0
    assert command("export", "results/sine", *TO, "a").code == 0
    assert command("export", "packed", *TO, "b").code == 0
    assert exported("a") == exported("b")
    assert [Path("a", path, EVENT_FILE).read_bytes() for path in exported("a")] == [
        Path("b", path, EVENT_FILE).read_bytes() for path in exported("b")
    ]


def test_options_choose_runs_and_another_export_adds_to_them(command: Command, sweeps: list[str]) -> None:
    assert command("export", "results", *TO, "logs", "--models", "residual", "--where", "init=he").code == 0
    assert exported("logs") == [path for path in sweeps if path.startswith("more/he/residual")]
    assert command("export", "results", *TO, "logs", "--depths", "3..9", "--seeds", 0).code == 0
    assert command("export", "results", *TO, "logs").code == 0
    assert exported("logs") == sweeps
    events = EventAccumulator(f"logs/{sweeps[0]}").Reload()
    assert len(events.Scalars("epoch")) == len(HISTORY)


def test_a_broken_run_is_named_and_the_others_exported(command: Command, sweeps: list[str]) -> None:
    folder, _, run_id = sweeps[0].rpartition("/")
    Path("results", folder, "runs", run_id, "metrics.csv").write_text("epoch\n")
    answer = command("export", "results", *TO, "logs")
    assert answer.code == 2
    assert run_id in answer.err
    assert exported("logs") == sweeps[1:]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("results logs --to csv", "to (=csv) is not known; known are tensorboard; for CSV and JSON see"),
        ("results logs", "Missing option '--to'"),
        ("nowhere logs --to tensorboard", "nowhere is not a folder"),
        ("results logs --to tensorboard --depths 99", "holds no run of this selection"),
    ],
)
def test_mistakes_are_one_sentence(command: Command, sweeps: list[str], arguments: str, message: str) -> None:
    answer = command("export", *arguments.split())
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert message in answer.err
    assert not Path("logs").exists()
