"""What the user sees while a sweep runs: a live view on a terminal, elsewhere a line per finished run."""

import math
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle
from statistics import median
from typing import Self

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.control import Control
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import ControlType, Segment
from rich.table import Table
from rich.text import Text

from resnet_cli.cli.chart import LEAST_HEIGHT, Curve, draw_chart
from resnet_cli.cli.console import complain
from resnet_cli.cli.tables import cell_text, varying_settings
from resnet_cli.figures.panels import value_text
from resnet_cli.settings.errors import printable
from resnet_cli.settings.events import Evaluated, Event, Finished, Started, Status, Warned
from resnet_cli.settings.metrics import METRICS, OUTCOMES, Metrics, columns_of, describe
from resnet_cli.settings.run import Run
from resnet_cli.training.settings import work

REDRAWS_PER_SECOND = 8
DRAWING_SHARE = 0.05
"""Maximum share of the time to spend on drawing, since training may share this process."""

LEGEND = "        filled: finished · hollow: in training · ×: diverged"
LISTED_RUNS = 5
SHORTEST_BAR = 12
Ends = Mapping[str, tuple[Status, Metrics | None]]
SMALLEST_CHART, TALLEST_CHART = (40, LEAST_HEIGHT), 25
PLAIN_LOOKS = (("●", "○", "dark_orange"), ("▼", "▽", "gold3"), ("■", "□", "indian_red"))
OTHER_LOOKS = (("◆", "◇", "deep_sky_blue1"), ("▲", "△", "green3"), ("★", "☆", "orchid"), ("◼", "◻", "cyan3"))


class SweepView(ABC):
    """Shows the events of a sweep; as a context, it leaves the terminal as it was."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = {run.run_id: run for run in runs}
        self._settings = varying_settings(runs)

    def _series(self, run: Run) -> str:
        """What runs that differ only in depth and seed have in common, in words."""
        named = [(name, run.get(name)) for name in self._settings if run.get(name) is not None]
        if len(self._settings) == 1 and all(isinstance(value, str) for _, value in named):
            return " ".join([run.model, *(value for _, value in named)])  # such as `plain-mlp relu`
        return " ".join([run.model, *(f"{name} {value_text(value)}" for name, value in named)])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return

    @abstractmethod
    def handle(self, event: Event) -> None:
        """Record an event. This is cheap: thousands per second do not slow down the training."""

    def _line(self, event: Finished) -> str:
        run = self._runs[event.run_id]
        return f"{self._series(run)} depth {run.depth} seed {run.seed}: {_outcome(event)}"


def open_view(runs: Sequence[Run], finished: Ends, console: Console, *, quiet: bool, metric: str = "loss") -> SweepView:
    """The view that suits the console: live on a terminal, otherwise a line per finished (or if `quiet`, failed) run.

    `finished` are the outcomes of runs that were finished earlier, by run id. The live view draws `metric`; of a pair,
    the values on training examples.
    """
    if console.is_terminal and not console.is_dumb_terminal and not quiet:
        return _LiveView(runs, finished, console, metric)
    return _LinesView(runs, len(finished), console, quiet)


def _outcome(event: Finished) -> str:
    message = printable(" ".join(event.message.split()))
    last = event.metrics
    if event.status == "failed" or last is None:
        return f"{event.status}: {message}"
    if event.status == "diverged":
        return f"diverged at step {last.step} ({_took(event)})" + (f": {message}" if message else "")
    told = []
    for split in ("train", "test"):
        found = {name: getattr(last, name) for name in OUTCOMES if name.startswith(split)}
        texts = [cell_text(name, value) + METRICS[name].sign for name, value in found.items() if value is not None]
        told.append(f"{split} {texts[0]}" + (f" ({', '.join(texts[1:])})" if texts[1:] else ""))
    return f"{', '.join(told)} ({last.step} steps, {_took(event)})"


def _took(event: Finished) -> str:
    """How long a run took; runs of a stack have no time of their own."""
    together = f"in a stack of {event.together}, " if event.together > 1 else ""
    return f"{together}{event.seconds:.1f} s" + (" together" if together else "")


class _LinesView(SweepView):
    def __init__(self, runs: Sequence[Run], already_done: int, console: Console, quiet: bool) -> None:
        super().__init__(runs)
        self._done = already_done
        self._console = console
        self._quiet = quiet

    def handle(self, event: Event) -> None:
        if isinstance(event, Warned):
            complain(event.message)
        if not isinstance(event, Finished):
            return
        self._done += 1
        if self._quiet and event.status != "failed":
            return
        total = str(len(self._runs))
        line = f"[{self._done:>{len(total)}}/{total}] {self._line(event)}"
        self._console.print(Text(line), soft_wrap=True)


@dataclass
class _Training:
    """A run that is being trained; `counted` is the part of its work that the remaining time already accounts for."""

    run: Run
    series: str
    step: int
    total: int | None = None
    value: float | None = None
    counted: float = 0.0


class _LiveView(SweepView):
    """Events change plain dictionaries; a separate thread draws them a few times a second.

    The two share no lock: the thread copies what it draws with calls that Python does not interrupt (`list`, `sorted`).
    """

    def __init__(self, runs: Sequence[Run], finished: Ends, console: Console, metric: str) -> None:
        super().__init__(runs)
        self._metric, self._column = metric, columns_of(metric)[0]
        plain, other = cycle(PLAIN_LOOKS), cycle(OTHER_LOOKS)
        ended = {(self._series(run), run.depth): list[float]() for run in runs}
        names = sorted({name for name, _ in ended}, key=lambda name: (not name.startswith("plain"), name))
        self._looks = {name: next(plain if name.startswith("plain") else other) for name in names}
        self._ended = ended
        self._depths = sorted({run.depth for run in runs})
        self._training: dict[str, _Training] = {}
        self._most_training = 0
        self._counts: Counter[Status] = Counter()
        self._work = self._work_left = float(sum(map(work, runs)))
        self._work_done_here = 0.0
        for run_id, (status, metrics) in finished.items():
            self._end(run_id, status, metrics)
        self._began = time.monotonic()
        self._messages: deque[Text] = deque()
        self._console = console
        self._drawn = (console.width, [0])
        self._live = Live(self, console=console, auto_refresh=False, vertical_overflow="crop")
        self._closing = threading.Event()
        self._painter = threading.Thread(target=self._keep_drawing, name="sweep-view", daemon=True)

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        self._painter.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.set()
        try:
            self._painter.join()
            self._print_messages()
        finally:
            self._live.stop()

    def handle(self, event: Event) -> None:
        if isinstance(event, Warned):
            self._messages.append(Text(printable(event.message), "yellow"))
            return
        run = self._runs[event.run_id]
        if isinstance(event, Started):
            self._training[event.run_id] = _Training(run, self._series(run), event.step)
            self._most_training = max(self._most_training, len(self._training))
        elif isinstance(event, Evaluated):
            training = self._training[event.run_id]
            done = work(run) * (event.metrics.step - training.step) / event.total_steps
            training.step, training.total = event.metrics.step, event.total_steps
            if event.metrics.step:  # what an untrained net has would only stretch the axis
                training.value = getattr(event.metrics, self._column)
            training.counted += done
            self._work_left -= done
            self._work_done_here += done
        else:
            self._end(event.run_id, event.status, event.metrics)
            if event.status != "done":
                self._messages.append(Text(self._line(event), "red"))

    def _end(self, run_id: str, status: Status, metrics: Metrics | None) -> None:
        run = self._runs[run_id]
        training = self._training.pop(run_id, None)
        self._work_left -= work(run) - (training.counted if training else 0.0)
        self._counts[status] += 1
        if status == "diverged":
            self._ended[self._series(run), run.depth].append(METRICS[self._column].worst)
        elif status == "done" and metrics and (value := getattr(metrics, self._column)) is not None:
            self._ended[self._series(run), run.depth].append(value)

    def _keep_drawing(self) -> None:
        pause = 1 / REDRAWS_PER_SECOND
        while not self._closing.wait(pause):
            before = time.thread_time()
            self._live.refresh()
            self._print_messages()
            pause = max(1 / REDRAWS_PER_SECOND, (time.thread_time() - before) / DRAWING_SHARE)

    def _print_messages(self) -> None:
        if messages := [self._messages.popleft() for _ in range(len(self._messages))]:
            self._console.print(Text("\n").join(messages))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = console.size
        lines = console.render_lines(Group(*self._parts(width, height - 1)), options, pad=False)
        # A terminal that became narrower has wrapped the lines of the last drawing: it has more rows than Live erases.
        old_width, old_lines = self._drawn
        if width < old_width:
            more = sum(max(0, math.ceil(line / width) - 1) for line in old_lines)
            yield Control(*[(ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)] * more)
        self._drawn = (width, [Segment.get_line_length(line) for line in lines])
        for line in lines:
            yield from line
            yield Segment.line()

    def _parts(self, width: int, height: int) -> Iterator[RenderableType]:
        """Downwards: the chart of several runs, those being trained, the progress; what does not fit is left out."""
        training = list(self._training.values())
        listed = 0 if self._closing.is_set() else min(self._most_training, LISTED_RUNS, height // 6)
        below = 1 + (listed + 1 if listed else 0)
        chart_height = min(height - below - 1, TALLEST_CHART)
        if len(self._runs) > 1 and width >= SMALLEST_CHART[0] and chart_height >= SMALLEST_CHART[1]:
            yield draw_chart(self._curves(training), self._depths, width, chart_height, METRICS[self._column].title)
            yield Text(LEGEND, "dim", no_wrap=True, overflow="ellipsis")
        if listed:
            yield self._list(training, listed)
            yield Text()
        yield self._progress(width)

    def _curves(self, training: Sequence[_Training]) -> list[Curve]:
        curves = {series: Curve(series, *looks) for series, looks in self._looks.items()}
        for (name, depth), losses in self._ended.items():
            if losses:
                curves[name].ended[depth] = median(losses)
        current: dict[tuple[str, int], list[float]] = defaultdict(list)
        for one in training:
            if one.value is not None and math.isfinite(one.value):
                current[one.series, one.run.depth].append(one.value)
        for (name, depth), losses in current.items():
            curves[name].current[depth] = median(losses)
        return list(curves.values())

    def _list(self, training: Sequence[_Training], lines: int) -> Text:
        shown = training if len(training) <= lines else training[: lines - 1]
        names = max(len(name) for name in self._looks)
        digits = len(str(self._depths[-1]))
        rows = []
        for one in shown:
            total = f"{one.total:,}" if one.total else "…"
            row = f"  depth {one.run.depth:<{digits}}  seed {one.run.seed}  {one.step:>{max(5, len(total))},}/{total}"
            if one.value is not None:
                row += (
                    f"  {describe(self._metric).title} {cell_text(self._column, one.value)}{METRICS[self._column].sign}"
                )
            rows.append(Text.assemble((f"{one.series:<{names}}", self._looks[one.series][2]), row))
        if len(training) > len(shown):
            more = f"and {len(training) - len(shown)} more" if shown else f"{len(training)} runs are being trained"
            rows.append(Text(more, "dim"))
        rows += [Text()] * (lines - len(rows))
        return Text("\n", no_wrap=True, overflow="ellipsis").join(rows)

    def _progress(self, width: int) -> RenderableType:
        elapsed = time.monotonic() - self._began
        told = [f"{self._counts.total()}/{len(self._runs)} runs"]
        told += [f"{self._counts[status]} {status}" for status in ("diverged", "failed") if self._counts[status]]
        told.append(str(timedelta(seconds=round(elapsed))))
        if self._work_done_here and self._training:
            told.append(f"{timedelta(seconds=round(elapsed * self._work_left / self._work_done_here))} left")
        text = Text(" · ".join(told), no_wrap=True, overflow="ellipsis")
        if width < len(text) + SHORTEST_BAR:
            return text
        line = Table.grid(expand=True, padding=(0, 2, 0, 0))
        line.add_column(ratio=1)
        line.add_column(no_wrap=True)
        line.add_row(ProgressBar(self._work, self._work - self._work_left), text)
        return line
