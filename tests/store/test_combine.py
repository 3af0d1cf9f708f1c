"""Several sweeps as one table."""

from pathlib import Path

from resnet_cli.store.combine import combine, sweep_names
from resnet_cli.store.reader import load_results
from resnet_cli.training.optimizers import LEARNING_RATE
from tests.conftest import MakeRun
from tests.store.records import HISTORY, store


def test_runs_carry_the_name_of_their_sweep_even_if_both_have_the_same(make_run: MakeRun, tmp_path: Path) -> None:
    for name, rates in (("one", (0.1,)), ("two", (0.1, 0.2))):
        for rate in rates:
            store(tmp_path / name, make_run(depths=3, learning_rate=rate))
    folders = [load_results(tmp_path / name) for name in ("one", "two")]
    summary, curves = combine(folders)
    assert summary[["sweep", "learning_rate"]].to_numpy().tolist() == [
        [name, rate]
        for name, results in (("one", folders[0]), ("two", folders[1]))
        for rate in (stored.run[LEARNING_RATE] for stored in results.runs)
    ]
    assert summary["run_id"].is_unique
    assert curves.groupby("run_id", sort=False).size().tolist() == [len(HISTORY)] * 3
    assert curves["run_id"].str.partition("/")[0].tolist() == curves["sweep"].tolist()


def test_folders_of_the_same_name_are_told_apart_by_their_paths(make_run: MakeRun, tmp_path: Path) -> None:
    places = [tmp_path / parent / "sine" for parent in ("a", "b")]
    for place in places:
        store(place, make_run(depths=3))
    assert sweep_names([load_results(place) for place in places]) == [str(place) for place in places]
