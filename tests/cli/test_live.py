import io
import itertools
import math
import sys
import threading
from collections.abc import Callable

import pytest
from rich.console import Console

from resnet_cli.cli.live import SweepView, open_view
from resnet_cli.cli.tables import product_line
from resnet_cli.settings.events import Evaluated, Finished, Started, Status, Warned
from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from tests.conftest import MakeRun

SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"


@pytest.fixture
def runs(make_run: MakeRun) -> list[Run]:
    """Depths 2, 7 and 40 of both models, two seeds."""
    return [
        make_run(models=model, depths=depth, seeds=seed, steps=1000)
        for depth, model, seed in itertools.product((40, 7, 2), ("plain-mlp", "residual-mlp"), (0, 1))
    ]


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def terminal(width: int = 100, height: int = 40) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, color_system="256", width=width, height=height)


def pipe() -> Console:
    return Console(file=io.StringIO(), width=80)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def metrics(step: int = 1000, loss: float = 0.00021, error: float | None = None) -> Metrics:
    return Metrics(1.0, step, 1e-3, loss, 2 * loss, error, error, 1.0)


def finish(run: Run, status: Status = "done", loss: float = 0.00021, message: str = "") -> Finished:
    return Finished(run.run_id, status, metrics(loss=loss), 1.23, message)


def drawing(view: SweepView, width: int = 100, height: int = 40) -> str:
    """What the live view would show now, without colour."""
    console = Console(width=width, height=height, color_system=None)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def test_a_line_per_finished_run(runs: list[Run]) -> None:
    console = pipe()
    with open_view(runs, {runs[0].run_id: ("done", metrics())}, console, quiet=False) as view:
        view.handle(Started(runs[4].run_id, 0))
        view.handle(Evaluated(runs[4].run_id, metrics(500), 1000))
        view.handle(finish(runs[4]))
        view.handle(Finished(runs[5].run_id, "done", metrics(error=12.5), 61.0))
        view.handle(finish(runs[1], "diverged"))
        view.handle(Finished(runs[2].run_id, "failed", None, 0.5, "MemoryError: not\nenough [bold]memory " + 60 * "."))
    assert written(console).splitlines() == [
        "[ 2/12] plain-mlp depth 7 seed 0: train 0.000210, test 0.000420 (1000 steps, 1.2 s)",
        "[ 3/12] plain-mlp depth 7 seed 1: train 0.000210 (12.50 %), test 0.000420 (12.50 %) (1000 steps, 61.0 s)",
        "[ 4/12] plain-mlp depth 40 seed 1: diverged at step 1000 (1.2 s)",
        "[ 5/12] residual-mlp depth 40 seed 0: failed: MemoryError: not enough [bold]memory " + 60 * ".",
    ]


def test_runs_of_a_stack_say_that_their_time_is_that_of_all(runs: list[Run]) -> None:
    console = pipe()
    with open_view(runs, {}, console, quiet=False) as view:
        view.handle(Finished(runs[0].run_id, "done", metrics(), 21.3, together=78))
    assert written(console).rstrip().endswith("(1000 steps, in a stack of 78, 21.3 s together)")


def test_lines_name_the_settings_that_vary(make_run: MakeRun) -> None:
    runs = [make_run(models="plain-mlp")]
    runs += [make_run(models="residual-mlp", block_size=size) for size in (2, 3)]
    console = pipe()
    view = open_view(runs, {}, console, quiet=False)
    view.handle(finish(runs[0]))
    view.handle(finish(runs[1]))
    assert "plain-mlp depth 3 seed 0: " in written(console)
    assert "residual-mlp block_size 2 depth 3 seed 0: " in written(console)


@pytest.mark.parametrize("make_console", [pipe, terminal])
def test_quiet_prints_failures_only(runs: list[Run], make_console: Callable[[], Console]) -> None:
    console = make_console()
    with open_view(runs, {}, console, quiet=True) as view:
        view.handle(finish(runs[0]))
        view.handle(finish(runs[1], "diverged"))
        assert written(console) == ""
        view.handle(finish(runs[2], "failed", message="no memory"))
    assert written(console) == "[ 3/12] residual-mlp depth 40 seed 0: failed: no memory\n"


def test_a_dumb_terminal_gets_lines(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    console = terminal()
    with open_view(runs, {}, console, quiet=False) as view:
        view.handle(finish(runs[0]))
    assert written(console).startswith("[ 1/12] plain-mlp depth 40 seed 0: train")
    assert "\x1b" not in written(console)


def test_live_view_shows_chart_runs_and_progress(runs: list[Run]) -> None:
    view = open_view(runs, {runs[0].run_id: ("done", metrics(loss=0.5))}, terminal(), quiet=False)
    view.handle(finish(runs[2], loss=0.001))
    view.handle(finish(runs[1], "diverged"))
    view.handle(Started(runs[4].run_id, 0))
    view.handle(Evaluated(runs[4].run_id, metrics(420, loss=0.0123), 1000))
    view.handle(Started(runs[6].run_id, 0))
    text = drawing(view)
    lines = text.splitlines()
    assert lines[0].startswith("training loss   ● plain-mlp   ◆ residual-mlp")
    assert any(line.strip().startswith("0.01┤") for line in lines)
    assert "∞┤" in lines[1]
    assert "×" in lines[1]
    assert [text.count(marker) for marker in "○◆◇"] == [1, 2, 0]
    assert next(line for line in lines if "depth  " in line).split() == ["depth", "2", "7", "40"]
    assert "plain-mlp     depth 7   seed 0    420/1,000  loss 0.0123" in text
    assert "residual-mlp  depth 7   seed 0      0/…" in text
    assert "3/12 runs · 1 diverged · 0:00:00 · 0:00:0" in text
    assert "filled: finished · hollow: in training · ×: diverged" in text


def test_the_live_view_takes_any_metric_by_name(runs: list[Run]) -> None:
    view = open_view(runs, {runs[0].run_id: ("done", metrics())}, terminal(), quiet=False, metric="gradient_norm")
    view.handle(Started(runs[4].run_id, 0))
    view.handle(Evaluated(runs[4].run_id, metrics(420), 1000))
    text = drawing(view)
    assert text.startswith("gradient norm   ● plain-mlp   ◆ residual-mlp")
    assert [text.count(marker) for marker in "●○"] == [2, 1]
    assert "420/1,000  gradient norm 1.00" in text


def test_an_error_in_the_live_view_is_in_percent(runs: list[Run]) -> None:
    view = open_view(runs, {}, terminal(), quiet=False, metric="error")
    view.handle(finish(runs[0]))  # of a regression: without an error
    view.handle(Started(runs[4].run_id, 0))
    view.handle(Evaluated(runs[4].run_id, metrics(420, error=12.5), 1000))
    text = drawing(view)
    assert [text.count(marker) for marker in "●○"] == [1, 1]
    assert "420/1,000  error 12.50 %" in text


@pytest.mark.parametrize(("size", "legend"), [((80, 24), 2), ((40, 12), 1), ((120, 40), 1)])
def test_the_legend_takes_lines_while_the_chart_keeps_room(
    make_run: MakeRun, size: tuple[int, int], legend: int
) -> None:
    models = ("plain-mlp", "residual-mlp")
    runs = [make_run(models=model, activation=word) for model in models for word in ("relu", "tanh")]
    lines = drawing(open_view(runs, {}, terminal(), quiet=False), *size).splitlines()
    first = next(index for index, line in enumerate(lines) if "│" in line or "┤" in line)
    shown = " ".join(lines[:first])
    assert first == legend
    assert ("★ residual-mlp tanh" in shown or "▲ residual-mlp tanh" in shown) is (size[0] > 40)
    assert shown.endswith(" …") is (size[0] == 40)
    assert len(lines) < size[1]


def test_settings_that_follow_from_another_are_not_named(make_run: MakeRun) -> None:
    runs = [make_run(models="plain-mlp", init="he"), make_run(models="plain-mlp", init="normal", init_std=0.1)]
    assert product_line(runs) == "1 depth × 1 model × 2 values of init × 1 seed = 2 runs"
    assert "● plain-mlp he   ▼ plain-mlp normal" in drawing(open_view(runs, {}, terminal(), quiet=False))


def test_time_left_follows_work_not_runs(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 4 × (40 + 7 + 2) units of work, 20 took 10 s: 176 are left."""
    now = 0.0
    monkeypatch.setattr("resnet_cli.cli.live.time.monotonic", lambda: now)
    view = open_view(runs, {}, terminal(), quiet=False)
    view.handle(Started(runs[0].run_id, 0))
    view.handle(Evaluated(runs[0].run_id, metrics(500), 1000))
    now = 10.0
    assert "0/12 runs · 0:00:10 · 0:01:28 left" in drawing(view)
    for run in runs[1:]:
        view.handle(finish(run, "diverged"))
    assert "11/12 runs · 11 diverged · 0:00:10 · 0:00:10 left" in drawing(view)
    view.handle(finish(runs[0]))
    assert "left" not in drawing(view)


@pytest.mark.parametrize(
    ("size", "chart", "listed"),
    [((120, 40), True, True), ((60, 15), True, True), ((60, 13), False, True), ((30, 5), False, False)],
)
def test_small_terminals_drop_the_chart_then_the_runs(
    runs: list[Run], size: tuple[int, int], chart: bool, listed: bool
) -> None:
    view = open_view(runs, {}, terminal(), quiet=False)
    for run in runs:
        view.handle(Started(run.run_id, 0))
        view.handle(Evaluated(run.run_id, metrics(10), 1000))
    lines = drawing(view, *size).splitlines()
    assert len(lines) < size[1]
    assert max(map(len, lines)) <= size[0]
    assert any(line.startswith("training loss") for line in lines) is chart
    assert any(line.endswith(" more") for line in lines) is listed
    assert "0/12 runs" in lines[-1]


@pytest.mark.parametrize(
    ("depths", "loss"),
    [
        *((depths, 1.5) for depths in [(3,), (2, 3), (2, 1000), (2, 3, 110), range(1, 120), (1, 10_000)]),
        *(((2, 3, 110), loss) for loss in (0.0, 1e-12, 1e9, math.nan)),
        ((3,), 0.0),
    ],
)
def test_any_depths_and_losses_can_be_drawn(make_run: MakeRun, depths: tuple[int, ...], loss: float) -> None:
    runs = [make_run(models="plain-mlp", depths=depth, seeds=seed) for depth in depths for seed in (0, 1)]
    view = open_view(runs, {}, terminal(), quiet=False)
    view.handle(finish(runs[0], loss=loss))
    view.handle(finish(runs[-1], loss=1.6))
    assert drawing(view, 60, 20).count("●") >= 1


def test_a_single_run_has_no_chart(make_run: MakeRun) -> None:
    view = open_view([make_run()], {}, terminal(), quiet=False)
    view.handle(Started(make_run().run_id, 0))
    assert "training loss" not in drawing(view)
    assert "0/1 runs" in drawing(view)


def test_a_narrower_terminal_is_cleared(runs: list[Run]) -> None:
    """A terminal that became narrower has wrapped what was drawn: these rows are erased as well."""
    console = terminal(120, 40)
    view = open_view(runs, {}, console, quiet=False)
    console.print(view)
    console.width = 60
    before = len(written(console))
    console.print(view)
    assert written(console)[before:].startswith("\x1b[1A\x1b[2K")


def test_no_color(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    def output() -> str:
        console = terminal()
        with open_view(runs, {}, console, quiet=False) as view:
            view.handle(finish(runs[0], "diverged"))
        return written(console)

    assert "\x1b[38;5;208m" in output()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in output()


def test_bad_runs_are_reported_above_the_view(runs: list[Run]) -> None:
    console = terminal()
    with open_view(runs, {}, console, quiet=False) as view:
        view.handle(finish(runs[0], "diverged"))
        view.handle(finish(runs[1], "failed", message="no\nmemory"))
        view.handle(finish(runs[2]))
    text = written(console)
    assert "plain-mlp depth 40 seed 0: diverged at step 1000 (1.2 s)" in text
    assert "plain-mlp depth 40 seed 1: failed: no memory" in text
    assert "residual-mlp depth 40 seed 0" not in text
    assert "3/12 runs · 1 diverged · 1 failed" in text


def test_control_codes_in_messages_are_not_obeyed(runs: list[Run], capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b[2J\x9b31m[red]\x07"
    for console in (terminal(), pipe()):
        with open_view(runs, {}, console, quiet=False) as view:
            view.handle(Warned(f"a {hostile}"))
            view.handle(finish(runs[0], "failed", message=f"b {hostile}"))
        told = written(console) + capsys.readouterr().err
        assert "b �[2J�31m[red]�" in told
        assert not any(code in told for code in ("\x1b[2J", "\x9b", "\x07"))


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_the_terminal_is_restored(runs: list[Run], error: type[BaseException] | None) -> None:
    console, stdout, stderr, threads = terminal(), sys.stdout, sys.stderr, threading.active_count()

    def watch() -> None:
        with open_view(runs, {}, console, quiet=False) as view:
            view.handle(Started(runs[0].run_id, 0))
            if error:
                raise error

    if error:
        with pytest.raises(error):
            watch()
    else:
        watch()
    text = written(console)
    assert text.count(HIDE_CURSOR) == text.count(SHOW_CURSOR) == 1
    assert text.rindex(SHOW_CURSOR) > text.rindex("\n")
    assert (sys.stdout, sys.stderr, threading.active_count()) == (stdout, stderr, threads)


def test_many_events_of_many_runs_take_no_more_memory(make_run: MakeRun) -> None:
    runs = [make_run(models="plain-mlp", depths=2 + seed % 39, seeds=seed) for seed in range(200)]
    view = open_view(runs, {}, terminal(), quiet=False)
    for run in runs:
        view.handle(Started(run.run_id, 0))

    def size() -> int:
        for run in runs:
            view.handle(Evaluated(run.run_id, metrics(next(step)), 100_000))
        return sum(sys.getsizeof(value) for value in vars(view).values())

    step = itertools.count(1)
    first = size()
    for _ in range(20):
        assert size() == first
    assert "and 196 more" in drawing(view)
    for run in runs:
        view.handle(finish(run))
    assert "200/200 runs" in drawing(view)
