"""A table of thousands of rows, without the time that rich takes for folding cells that need no folding."""

from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table

BETWEEN = "  "


def plain_table(headers: Sequence[str] = (), *, right: Sequence[str] = ()) -> Table:
    """An empty table of rich with a rule below its headers, those in `right` at their column's right edge."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for header in headers:
        table.add_column(header, justify="right" if header in right else "left", overflow="fold")
    return table


class LongTable:
    """Rows of single lines, each in a style: what `plain_table` prints, which stands in where the console is narrow.

    Only the first column is ever folded.
    """

    def __init__(self, headers: Sequence[str], justify: Sequence[bool], rows: Sequence[tuple[str, list[str]]]) -> None:
        self._headers, self._right, self._rows = headers, justify, rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = zip(self._headers, *(cells for _, cells in self._rows), strict=True)
        widths = [max(map(_width, column)) for column in columns]
        if sum(widths) + len(BETWEEN) * (len(widths) - 1) > options.max_width:
            table = self._table([0] * len(widths))
            for style, cells in self._rows:
                table.add_row(*cells, style=style)
            yield table
            return
        yield self._table(widths)
        for (
            style,
            cells,
        ) in self._rows:  # rich would take lines off a longer text one by one, copying the rest each time
            yield Segment(self._line(cells, widths), console.get_style(style))

    def _line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        sides = zip(cells, widths, self._right, strict=True)
        return BETWEEN.join([_padded(text, width, is_right) for text, width, is_right in sides]) + "\n"

    def _table(self, widths: Sequence[int]) -> Table:
        """The table without its rows, but as wide as with them."""
        table = plain_table(self._headers[:1])
        for header, is_right in zip(self._headers[1:], self._right[1:], strict=True):
            table.add_column(header, justify="right" if is_right else "left", no_wrap=True)
        for column, width in zip(table.columns, widths, strict=True):
            column.min_width = width or None
        return table


def _padded(text: str, width: int, is_right: bool) -> str:
    if not text.isascii():
        width += len(text) - cell_len(text)
    return text.rjust(width) if is_right else text.ljust(width)


def _width(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)
