"""`resnet-exp plot`: a setting as lines, and figures that need no results."""

import csv
import os
import shutil
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from resnet_cli.cli.plot import _draw_all
from tests.cli.conftest import SMALL, Command, Train

pytestmark = pytest.mark.slow  # whole commands; what they call is tested in the other folders

TINY = ("--task", "sine", "--seeds", 0, "--steps", 4, "--eval-every", 2, "--depths", "2,3", "--jobs", 1, "--quiet")


@pytest.fixture
def sweep(train: Train) -> Path:
    """Results that differ in their initialisation."""
    train(*TINY, "--init", "default,he", "--out", "results/init")
    return Path("results/init")


def test_a_setting_can_be_compared_in_one_panel(command: Command, sweep: Path) -> None:
    answer = command("plot", sweep, "--by", "init", "--format", "png")
    names = ["loss-by-depth-and-init.png", "loss-curves-by-init.png"]
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [str(sweep / "figures" / name) for name in names]
    assert all((sweep / "figures" / name).read_bytes().startswith(b"\x89PNG") for name in names)


def test_a_setting_that_varies_in_one_sweep_alone_is_compared_there(
    command: Command, train: Train, sweep: Path
) -> None:
    train(*TINY, "--out", "results/other")
    answer = command("plot", "results", "--by", "init", "--kind", "depth", "--format", "png")
    assert answer.code == 2
    assert answer.out == f"{sweep}/figures/loss-by-depth-and-init.png\n"
    assert answer.err == (
        "resnet-exp: results/other: by (=init) is not a setting in which runs of one model and depth differ; "
        "they differ in no setting.\n"
    )


def test_a_learning_rate_is_compared_although_curves_have_one_for_each_step(command: Command) -> None:
    assert (
        command("sweep", *TINY, "--learning-rate", "0.1,0.01", "--schedule", "cosine", "--out", "results/r").code == 0
    )
    answer = command("plot", "results/r", "--by", "learning-rate", "--format", "png")
    assert (answer.code, answer.err) == (0, "")
    assert "results/r/figures/loss-curves-by-learning-rate.png" in answer.out
    shown = list(csv.DictReader(command("show", "results/r", "--csv").out.splitlines()))
    assert sorted({row["learning_rate"] for row in shown}) == ["0.01", "0.1"], "the setting, not the last step's rate"
    assert "scheduled_learning_rate" not in shown[0]


@pytest.mark.slow
def test_nine_combinations_are_drawn_and_briefly_listed(command: Command) -> None:
    settings = ("--optimizer", "sgd,momentum,adam", "--learning-rate", "0.001,0.01,0.1", "--out", "results/nine")
    assert command("sweep", *TINY, *settings).code == 0
    answer = command("plot", "results/nine", "--format", "png", "--dpi", 20)
    names = ["loss-by-depth", *(f"loss-curves-optimizer-{name}" for name in ("sgd", "momentum", "adam"))]
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [f"results/nine/figures/{name}.png" for name in names]
    assert {path.name for path in Path("results/nine/figures").iterdir()} == {f"{name}.png" for name in names}


def test_many_figures_are_counted_instead_of_listed(capsys: pytest.CaptureFixture[str]) -> None:
    drawings = {f"figure-{number}": lambda: Figure(figsize=(1, 1)) for number in range(8)}
    assert _draw_all(drawings, Path("figures"), ["png"], 20)
    *listed, rest = capsys.readouterr().out.splitlines()
    assert listed == [f"figures/figure-{number}.png" for number in range(6)]
    assert rest == "and 2 more figures in figures"
    assert len(list(Path("figures").iterdir())) == 8


@pytest.mark.slow
def test_several_sweeps_are_lines_of_one_figure(command: Command) -> None:
    for name, rate in (("slow", 0.001), ("fast", 0.01)):
        assert command("sweep", *TINY, "--learning-rate", rate, "--out", f"results/{name}").code == 0
    answer = command("plot", "results/slow", "results/fast", "--format", "svg")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        f"results/figures/loss-{kind}-of-slow-and-fast.svg" for kind in ("by-depth", "curves")
    ]
    words = Path("results/figures/loss-by-depth-of-slow-and-fast.svg").read_text().partition("</desc>")[0]
    assert "plain-mlp, slow, plain-mlp, fast, residual-mlp, slow, residual-mlp, fast" in words
    assert not Path("results/slow/figures").exists()


def test_models_depths_seeds_and_settings_can_be_chosen(command: Command, sweep: Path) -> None:
    answer = command("plot", sweep, "--models", "plain", "--where", "init=he", "--format", "svg", "--kind", "depth")
    assert (answer.code, answer.err) == (0, "")
    words = (sweep / "figures/loss-by-depth.svg").read_text().partition("</desc>")[0]
    assert "Legend: plain-mlp, training, test." in words
    refused = command("plot", sweep, "--where", "init=glorot")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "it has default, he" in refused.err or "it has he, default" in refused.err


def test_a_sweep_without_finished_runs_keeps_no_other_from_being_drawn(command: Command, sweep: Path) -> None:
    Path("results/begun").mkdir()
    Path("results/begun/sweep.toml").write_text("format = 1\n")
    answer = command("plot", "results", "--by", "init", "--kind", "depth", "--format", "png")
    assert (answer.code, answer.out) == (0, f"{sweep}/figures/loss-by-depth-and-init.png\n")
    sentence = "resnet-exp: results/begun: no run has finished or diverged, so there is nothing to draw.\n"
    assert answer.err == sentence
    alone = command("plot", "results/begun")
    assert (alone.code, alone.out, alone.err) == (2, "", sentence)


def test_a_single_depth_has_learning_curves_only(command: Command, sweep: Path) -> None:
    answer = command("plot", sweep, "--depths", "2", "--format", "png")
    assert (answer.code, answer.out, answer.err) == (0, f"{sweep}/figures/loss-curves.png\n", "")
    refused = command("plot", sweep, "--depths", "2", "--kind", "depth")
    assert refused.code == 2
    assert f"kind (=depth): the runs below {sweep} are of one depth; use curves." in refused.err
    refused = command("plot", sweep, "--kind", "parameters")
    assert refused.code == 2
    assert f"kind (=parameters): the runs below {sweep} do not differ in size at any depth; use depth" in refused.err


def test_two_settings_make_rows_and_columns(command: Command) -> None:
    settings = ("--optimizer", "sgd,adam", "--learning-rate", "0.001,0.01,0.1", "--out", "results/grid")
    assert command("sweep", *TINY, *settings).code == 0
    answer = command("plot", "results/grid", "--by", "learning-rate,optimizer", "--kind", "depth", "--format", "svg")
    path = Path("results/grid/figures/loss-by-depth-and-learning-rate-and-optimizer.svg")
    assert (answer.code, answer.out) == (0, f"{path}\n")
    words = path.read_text().partition("</desc>")[0]
    assert "sgd, adam, learning rate 0.001, learning rate 0.01, learning rate 0.1" in words
    refused = command("plot", "results/grid", "--by", "learning-rate,optimizer,width")
    assert "must be one setting, or two for rows and columns" in refused.err


@pytest.mark.slow
def test_figures_without_results_are_drawn_in_an_empty_folder(command: Command) -> None:
    answer = command("plot", "--figure", "counts,winners", "--title", "Mine")
    assert answer.code == 0
    assert answer.out.splitlines() == [f"results/figures/{name}.png (and svg)" for name in ("counts", "winners")]
    names = {"winners.png", "winners.svg", "counts.png", "counts.svg"}
    assert {path.name for path in Path("results/figures").iterdir()} == names


def test_a_figure_without_results_takes_size_format_and_folder(command: Command) -> None:
    answer = command("plot", "--figure", "winners", "--format", "svg", "--size", "4x3", "--out", "drawn")
    assert answer.out == "drawn/winners.svg\n"
    assert 'width="288pt" height="216pt"' in Path("drawn/winners.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "--figure winner",
            "figure (=winner) must be winners, counts or networks, or several of them",
        ),
        ("results --figure winners", "figure (=winners) needs no results, so the folder results has no effect;"),
        ("--figure counts --depths 2", "figure (=counts) needs no results, so depths (=2) has no effect;"),
        ("--figure counts --by init", "figure (=counts) needs no results, so by (=init) has no effect;"),
        ("results/init --by inti", "by (=inti) is not a setting in which runs of one model and depth differ;"),
        ("results/init --by width", "those that do are init."),
    ],
)
def test_wrong_use(command: Command, sweep: Path, arguments: str, message: str) -> None:
    answer = command("plot", *arguments.split())
    assert answer.code == 2
    assert message in answer.err
    assert (answer.out, answer.err.count("\n")) == ("", 1)
    assert not (sweep / "figures").exists()


def test_the_next_plot_removes_what_a_killed_one_left(command: Command, sweep: Path) -> None:
    figures = sweep / "figures"
    figures.mkdir(exist_ok=True)
    for name in (".resnet-exp-abcdefgh.tmp", ".tmp-mine"):
        (figures / name).write_text("half")
        os.utime(figures / name, (0, 0))
    assert command("plot", sweep, "--format", "png").code == 0
    assert [path.name for path in figures.glob(".*")] == [".tmp-mine"]


@pytest.mark.slow
def test_a_sweep_over_survival_has_a_figure_of_stochastic_depth(command: Command) -> None:
    sweep = ("--models", "plain,residual", "--depths", "5,7", "--set", "survival=1,0.5", "--out", "results/s")
    small = ("--task", "sine", "--seeds", 0, "--steps", 4, "--eval-every", 2, "--jobs", 1, "--quiet")
    assert command("sweep", *small, *sweep).code == 0
    answer = command("plot", "results/s", "--format", "svg")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[-1] == "results/s/figures/survival.svg"


def test_figures_that_cannot_be_written_are_named_and_exit_with_one(
    command: Command, train: Train, sweep: Path
) -> None:
    (sweep / "figures").write_text("in the way")
    train(*TINY, "--out", "results/other")
    answer = command("plot", "results", "--kind", "depth", "--format", "png", "--dpi", 20)
    assert answer.code == 1
    assert f"resnet-exp: {sweep}: {sweep}/figures/loss-by-depth.png cannot be written: " in answer.err
    assert answer.out == "results/other/figures/loss-by-depth.png\n", "the other sweep is drawn"


def test_plot_draws_both_kinds_in_two_formats(command: Command, sine: Path) -> None:
    answer = command("plot", "results")
    names = {f"loss-{kind}.{extension}" for kind in ("by-depth", "curves") for extension in ("png", "svg")}
    assert answer.out.splitlines() == [f"{sine}/figures/loss-{kind}.png (and svg)" for kind in ("by-depth", "curves")]
    assert {path.name for path in (sine / "figures").iterdir()} == names


@pytest.mark.slow
def test_thirteen_values_of_a_setting_go_on_several_figures(command: Command) -> None:
    rates = ",".join(f"{0.001 * number:g}" for number in range(1, 14))
    assert command("sweep", *SMALL, "--learning-rate", rates, "--out", "results/many", "--quiet").code == 0
    answer = command("plot", "results", "--format", "png", "--kind", "depth")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        f"results/many/figures/loss-by-depth-learning-rate-{held}.png" for held in ("0.001-to-0.007", "0.008-to-0.013")
    ]


def test_sweeps_of_the_same_name_do_not_overwrite_each_others_figures(command: Command, sine: Path) -> None:
    shutil.copytree(sine, "results/other/sine")
    answer = command("plot", "results", "--kind", "depth", "--format", "png", "--out", "figs")
    assert answer.out.splitlines() == [f"figs/{name}/loss-by-depth.png" for name in ("other/sine", "sine")]


def test_plot_takes_kind_format_size_title_and_folder(command: Command, sine: Path) -> None:
    answer = command(
        "plot", sine, "--kind", "depth", "--format", "svg", "--size", "4x3", "--title", "My own title", "--out", "drawn"
    )
    assert answer.out == "drawn/loss-by-depth.svg\n"
    text = Path("drawn/loss-by-depth.svg").read_text()
    assert 'width="288pt" height="216pt"' in text


@pytest.mark.slow
def test_plot_draws_a_map_over_a_range_of_a_setting(command: Command) -> None:
    sweep = (
        "sweep",
        "--models",
        "plain",
        "--depths",
        "1..2",
        "--seeds",
        0,
        "--steps",
        2,
        "--eval-every",
        2,
        "--jobs",
        1,
    )
    assert command(*sweep, "--init", "normal", "--init-std", "0.1..0.4:3log", "--out", "results").code == 0
    assert len(list(Path("results/runs").iterdir())) == 6
    assert '"0.1..0.4' not in Path("results/sweep.toml").read_text()
    answer = command("plot", "results", "--kind", "map", "--x", "init-std", "--format", "png")
    assert (answer.code, answer.out) == (0, "results/figures/loss-map-by-init-std.png\n")
    refused = command("plot", "results", "--kind", "map")
    assert refused.code == 2
    assert "kind (=map): the runs below results do not differ in a setting with five numbers or more" in refused.err
    refused = command("plot", "results", "--kind", "curves", "--x", "init_std")
    assert refused.code == 2
    assert "x (=init_std) must be step or epoch; a setting needs maps, so add map to --kind." in refused.err
