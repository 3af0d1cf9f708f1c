"""Loss by depth as a chart of characters, for terminals."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count, groupby, pairwise

from rich.text import Text

LEAST_HEIGHT = 9
BRAILLE_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


@dataclass
class Curve:
    """Loss by depth: medians over the seeds that have finished, and over those that are being trained."""

    name: str
    filled: str
    hollow: str
    colour: str
    ended: dict[int, float] = field(default_factory=dict)
    current: dict[int, float] = field(default_factory=dict)


def draw_chart(curves: Sequence[Curve], depths: Sequence[int], width: int, height: int, title: str) -> Text:
    """A metric by depth on a logarithmic axis, in `height` lines with a `title`; infinite values stand in a row on top.

    Filled markers are finished runs, joined by lines; hollow ones are still being trained.
    """
    legend = _legend(title, curves, width, height - LEAST_HEIGHT + 1)
    rows, columns = height - 2 - len(legend), width - 9
    losses = [loss for curve in curves for loss in (*curve.ended.values(), *curve.current.values())]
    logs = [math.log10(loss) for loss in losses if 0 < loss < math.inf] or [-1.0, 0.0]
    margin = max(0.03 * (max(logs) - min(logs)), 0.02)
    low, high = min(logs) - margin, max(logs) + margin
    top = 1 if any(map(math.isinf, losses)) else 0

    def place(depth: int, loss: float) -> tuple[int, int]:
        """Column and row in braille dots, of which a character has two columns and four rows."""
        share = (depth - depths[0]) / (depths[-1] - depths[0]) if len(depths) > 1 else 0.5
        x = 2 * round(1 + share * (columns - 3))
        if math.isinf(loss):
            return x, 1
        fall = (high - max(low, math.log10(loss) if loss > 0 else low)) / (high - low)
        return x, 4 * top + round(fall * (4 * (rows - top) - 1))

    cells: dict[tuple[int, int], tuple[str, str]] = {}
    dots: dict[tuple[int, int], int] = defaultdict(int)
    for curve in curves:
        line = [place(*point) for point in sorted({**curve.current, **curve.ended}.items())]
        for (x0, y0), (x1, y1) in pairwise(line):
            length = max(abs(x1 - x0), abs(y1 - y0), 1)
            for i in range(length + 1):
                x, y = x0 + round((x1 - x0) * i / length), y0 + round((y1 - y0) * i / length)
                dots[y // 4, x // 2] |= BRAILLE_DOTS[y % 4][x % 2]
                cells[y // 4, x // 2] = chr(0x2800 + dots[y // 4, x // 2]), curve.colour
    for curve in curves:
        for marker, points in ((curve.hollow, curve.current), (curve.filled, curve.ended)):
            for depth, loss in points.items():
                x, y = place(depth, loss)
                cells[y // 4, x // 2] = ("×" if math.isinf(loss) else marker), curve.colour

    labels = {place(depths[0], tick)[1] // 4: f"{tick:g}" for tick in _loss_ticks(low, high)}
    if top:
        labels[0] = "∞" if math.inf in losses else "-∞"
    chart = Text("\n", no_wrap=True, overflow="ellipsis").join(legend)
    for row in range(rows):
        chart.append(f"\n{labels.get(row, ''):>7}{'┤' if row in labels else '│'}", "dim")
        used = max((column for y, column in cells if y == row), default=-1) + 1
        in_row = [cells.get((row, column), (" ", "")) for column in range(used)]
        for colour, part in groupby(in_row, key=lambda cell: cell[1]):
            chart.append("".join(character for character, _ in part), colour)
    axis, below = ["─"] * columns, [" "] * columns
    for depth in _depth_ticks(depths, columns):
        column = place(depth, 1.0)[0] // 2
        axis[column] = "┬"
        start = max(0, min(column - (len(str(depth)) - 1) // 2, columns - len(str(depth))))
        below[start : start + len(str(depth))] = str(depth)
    return chart.append(f"\n       └{''.join(axis)}\n  depth {''.join(below).rstrip()}", "dim")


def _legend(title: str, curves: Sequence[Curve], width: int, most_lines: int) -> list[Text]:
    """The names of the curves, in as many lines of at most `width` columns as they need and as there may be."""
    lines = [Text(title)]
    for curve in curves:
        entry = Text(f"   {curve.filled} {curve.name}", curve.colour)
        if lines[-1].cell_len + entry.cell_len > width:
            lines.append(Text())
        lines[-1].append_text(entry)
    if len(lines) > most_lines:
        del lines[most_lines:]
        lines[-1].truncate(width - 2)
        lines[-1].append(" …")
    return lines


def _loss_ticks(low: float, high: float) -> list[float]:
    """Round numbers between 10^low and 10^high: powers of ten, or finer steps where these are fewer than three."""
    ticks: list[float] = []
    for steps in ([1.0], [1.0, 2.0, 5.0], [float(i) for i in range(1, 10)], [i / 10 for i in range(10, 100)]):
        decades = range(math.floor(low), math.floor(high) + 1)
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        ticks = [tick for tick in ticks if low <= math.log10(tick) <= high]
        if len(ticks) >= 3:
            break
    return ticks


def _depth_ticks(depths: Sequence[int], columns: int) -> Sequence[int]:
    """All depths if their labels fit beside each other, otherwise every 5th, 10th, 20th, ..."""
    ticks = depths
    for i in count():
        room = min((b - a for a, b in pairwise(ticks)), default=math.inf) * columns / (depths[-1] - depths[0] or 1)
        if room >= len(str(depths[-1])) + 2:
            break
        step = (5, 10, 20)[i % 3] * 10 ** (i // 3)
        ticks = [depth for depth in range(step, depths[-1] + 1, step) if depth >= depths[0]]
    return ticks
