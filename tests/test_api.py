"""The library: what `resnet_cli` hands out, and what a notebook does with results."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

import resnet_cli
from resnet_cli import Results, UserError, api
from resnet_cli.analysis import trained_nets
from resnet_cli.settings.events import Status
from resnet_cli.settings.metrics import METRICS, Metrics
from resnet_cli.settings.run import Run
from resnet_cli.store.record import RunRecord
from tests.conftest import MakeRun
from tests.page_numbers import REFERENCE


def stored(run: Run, loss: float, status: Status = "done") -> RunRecord:
    """A finished run that ends with `loss` in training and twice as much on the test set."""
    return RunRecord(run=run, status=status, history=[Metrics(1.0, 5, 0.1, loss, 2 * loss, None, None, None)])


@pytest.fixture
def sweep(make_run: MakeRun) -> Results:
    """Plain and residual MLPs of depth 4 and 5, seeds 0 to 2, those of depth 5 with seed 2 missing or diverged."""
    losses = {
        ("plain", 4): [0.5, 0.4, 0.9],
        ("residual", 4): [0.1, 0.6, 0.2],
        ("plain", 5): [0.7, float("nan")],
        ("residual", 5): [0.2, 0.3, 0.4],
    }
    runs = [
        stored(make_run(models=model, depths=depth, seeds=seed), loss, "done" if loss == loss else "diverged")
        for (model, depth), of_seeds in losses.items()
        for seed, loss in enumerate(of_seeds)
    ]
    return Results(Path("made-up"), runs, [])


def test_dir_lists_public_names_without_importing_torch() -> None:
    code = (
        "import sys, resnet_cli; names = dir(resnet_cli); print(*sorted(sys.modules));"
        "assert [name for name in names if not name.startswith('_')] == sorted(resnet_cli.__all__)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "pandas", "matplotlib"}.isdisjoint(loaded)


@pytest.mark.parametrize("name", resnet_cli.__all__)
def test_every_public_name_exists_and_has_a_docstring(name: str) -> None:
    assert getattr(resnet_cli, name).__doc__


def test_figures_keep_values_as_they_were_given(make_run: MakeRun, tmp_path: Path) -> None:
    given = ["he", "glorot", "default"]
    (tmp_path / "sweep.toml").write_text(f"init = {given}")
    runs = [stored(make_run(depths=depth, init=init), 0.5) for depth in (4, 5) for init in sorted(given)]
    results = Results(tmp_path, runs, [])
    for draw in (resnet_cli.plot_loss_by_depth, resnet_cli.plot_learning_curves):
        assert [axes.get_title() for axes in draw(results).axes] == [f"init {init}" for init in given]


def test_survival_needs_runs_that_differ_in_it(sweep: Results) -> None:
    with pytest.raises(UserError, match="made-up holds no runs that differ in survival"):
        resnet_cli.plot_survival(sweep)


def test_compare_pairs_runs_by_seed(sweep: Results) -> None:
    table = resnet_cli.compare(sweep, "plain-mlp", "residual-mlp").set_index("depth")
    differences = [0.1 - 0.5, 0.6 - 0.4, 0.2 - 0.9]
    assert list(table.loc[4, ["pairs", "lower"]]) == [3, 2]
    assert table.loc[4, "difference"] == pytest.approx(median(differences))
    assert list(table.loc[4, ["least", "greatest"]]) == pytest.approx([min(differences), max(differences)])
    assert list(table.loc[4, ["first", "second"]]) == pytest.approx([0.5, 0.2])


def test_compare_counts_a_diverged_run_as_infinitely_bad(sweep: Results) -> None:
    table = resnet_cli.compare(sweep, "plain-mlp", "residual-mlp", metric="test_loss").set_index("depth")
    assert list(table.loc[5, ["pairs", "lower", "least"]]) == [2, 2, -float("inf")]
    assert table.loc[5, "greatest"] == pytest.approx(-1.0)


def test_the_declared_direction_says_what_diverged_runs_count_as(
    sweep: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METRICS, "test_loss", replace(METRICS["test_loss"], better="higher"))
    table = resnet_cli.compare(sweep, "plain-mlp", "residual-mlp", metric="test_loss").set_index("depth")
    assert list(table.loc[5, ["pairs", "lower", "greatest"]]) == [2, 1, float("inf")]
    assert resnet_cli.plot_loss_by_depth(sweep, metric="test_loss").axes


def test_compare_takes_any_column_of_metrics(sweep: Results) -> None:
    table = resnet_cli.compare(sweep, "plain-mlp", "residual-mlp", metric="step").set_index("depth")
    assert list(table.loc[4, ["first", "second", "difference"]]) == [5, 5, 0]
    training, same = (resnet_cli.compare(sweep, "plain-mlp", "residual-mlp", metric=m) for m in ("train_loss", "loss"))
    pd.testing.assert_frame_equal(training, same)


def test_compare_keeps_values_of_a_setting_apart(make_run: MakeRun) -> None:
    runs = [
        stored(make_run(models=model, depths=4, seeds=0, init=init), loss)
        for model, init, loss in [
            ("plain", "he", 0.5),
            ("plain", "default", 0.3),
            ("residual", "he", 0.1),
            ("residual", "default", 0.4),
        ]
    ]
    table = resnet_cli.compare(Results(Path("made-up"), runs, []), "plain-mlp", "residual-mlp").set_index("init")
    assert table["difference"].to_dict() == pytest.approx({"he": -0.4, "default": 0.1})
    assert list(table["pairs"]) == [1, 1]


def test_compare_sets_one_plain_run_beside_each_block_size(make_run: MakeRun) -> None:
    runs = [stored(make_run(models="plain", depths=4, seeds=0), 0.5)]
    runs += [stored(make_run(models="residual", depths=4, seeds=0, block_size=k), k / 10) for k in (1, 2)]
    table = resnet_cli.compare(Results(Path("made-up"), runs, []), "plain-mlp", "residual-mlp").set_index("block_size")
    assert table["difference"].to_dict() == pytest.approx({1: -0.4, 2: -0.3})


@pytest.mark.parametrize(
    ("first", "second", "metric", "message"),
    [
        ("plain", "residual-mlp", "train_loss", "model (=plain) is not known (did you mean plain-mlp?)"),
        ("plain-mlp", "residual-mlp", "accuracy", "metric (=accuracy) is not known"),
        ("plain-mlp", "residual-mlp", "test_error", "metric (=test_error): these runs have none"),
    ],
)
def test_compare_refuses_what_is_not_there(sweep: Results, first: str, second: str, metric: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        resnet_cli.compare(sweep, first, second, metric=metric)
    assert message in str(error.value)


def test_compare_refuses_models_without_a_pair(make_run: MakeRun) -> None:
    runs = [stored(make_run(models="plain", depths=4), 0.5), stored(make_run(models="residual", depths=5), 0.5)]
    with pytest.raises(UserError, match="plain-mlp and residual-mlp have no depth and seed in common"):
        resnet_cli.compare(Results(Path("made-up"), runs, []), "plain-mlp", "residual-mlp")


def test_figures_of_a_sweep_are_matplotlib_figures(sweep: Results) -> None:
    done = Results(sweep.folder, [one for one in sweep.runs if one.status == "done"], [])
    for figure in (resnet_cli.plot_loss_by_depth(done), resnet_cli.plot_learning_curves(done, x="epoch")):
        assert isinstance(figure, Figure)
        assert figure.axes


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_saved_net_comes_back_from_folder_and_id(precision: str) -> None:
    plan = resnet_cli.plan_sweep(
        {"task": "sine", "models": "plain", "depths": 3, "seeds": 0, "steps": 4, "precision": precision}
    )
    with resnet_cli.open_sweep(plan, "results/small", jobs=1, save_models=True) as sweep:
        results = sweep.execute(lambda event: None)
    (run,) = plan.runs
    net = resnet_cli.load_net("results/small", run.run_id)
    (last,) = [one.last for one in results.runs]
    data = resnet_cli.get_task("sine").load(run, None).to(torch.device("cpu"), getattr(torch, precision))
    assert not net.training
    assert last is not None
    with torch.no_grad():
        loss = data.losses(net(data.train_inputs), data.train_targets).mean()
    assert float(loss) == pytest.approx(last.train_loss, rel=1e-5 if precision == "float32" else 1e-12)
    again = trained_nets.load_net(Path("results/small"), run, device="cpu").net
    assert all(torch.equal(one, other) for one, other in zip(net.parameters(), again.parameters(), strict=True))
    with pytest.raises(UserError, match=r"run \(=plain\) is not among the 1 runs of results.small"):
        resnet_cli.load_net("results/small", "plain")


@pytest.mark.slow
@pytest.mark.parametrize(
    "table",
    sorted(REFERENCE.glob("*/analysis/*.csv*")),
    ids=lambda path: f"{path.parents[1].name}-{path.name}",
)
def test_every_committed_analysis_can_be_drawn_from_its_table(table: Path) -> None:
    assert isinstance(resnet_cli.plot_analysis(table.name.partition(".")[0], str(table)), Figure)


def test_what_cannot_be_drawn_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"kind \(=removed\) is not known \(did you mean remove\?\)"):
        resnet_cli.plot_analysis("removed", tmp_path)
    with pytest.raises(UserError, match="it has no column 'task', so `resnet-exp analyze remove` did not write it"):
        resnet_cli.plot_analysis("remove", pd.DataFrame({"change": ["intact"]}))
    with pytest.raises(UserError, match=r"table \(=none.csv\) cannot be read"):
        resnet_cli.plot_analysis("remove", "none.csv")


def test_two_sweeps_are_compared_at_the_same_model_depth_and_seed(make_run: MakeRun) -> None:
    """What varies in either is held equal; what each holds fixed is compared."""
    sides = [
        [
            stored(make_run(models=model, depths=4, seeds=seed, init=init, learning_rate=rate), loss * (1 + seed))
            for model in ("plain", "residual")
            for seed in range(2)
            for init in inits
        ]
        for rate, inits, loss in ((0.1, ["he", "default"], 1.0), (0.2, ["he"], 2.0))
    ]
    first, second = (Results(Path(name), runs, []) for name, runs in zip("ab", sides, strict=True))
    table = resnet_cli.compare_sweeps(first, second).set_index("model")
    assert table["init"].tolist() == ["he", "he"]
    assert table["pairs"].tolist() == [2, 2]
    assert table.loc["plain-mlp", "mean"] == pytest.approx(1.5)
    assert api.differing_settings(first, second) == {"learning_rate": ("0.1", "0.2")}
    elsewhere = Results(Path("c"), [stored(make_run(models="plain", depths=5), 0.5)], [])
    with pytest.raises(UserError, match="a and c have no depth and seed in common"):
        resnet_cli.compare_sweeps(first, elsewhere)
