import pytest
from rich.console import Console, RenderableType

from resnet_cli.cli.long_table import LongTable, plain_table

HEADERS = ["run_id", "status", "train", "steps"]
ROWS = [
    ("", ["plain-mlp_d002_s0_0123456789", "done", "0.5", "1,000"]),
    ("red", ["層-mlp_d002_s1", "diverged", "∞", "–"]),
    ("red", ["plain-mlp_d040_s10_0123456789", "failed", "", "999"]),
    ("", ["x", "done", "12345678", "1,000"]),
]


def printed(table: RenderableType, width: int, *, terminal: bool = False) -> str:
    console = Console(width=width, force_terminal=terminal, color_system="standard" if terminal else None)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def by_rich() -> RenderableType:
    table = plain_table(HEADERS[:1])
    table.add_column(HEADERS[1], no_wrap=True)
    for header in HEADERS[2:]:
        table.add_column(header, justify="right", no_wrap=True)
    for style, cells in ROWS:
        table.add_row(*cells, style=style)
    return table


@pytest.mark.parametrize("width", [200, 57, 56, 55, 40])
def test_a_long_table_is_what_rich_prints(width: int) -> None:
    assert printed(LongTable(HEADERS, [False, False, True, True], ROWS), width) == printed(by_rich(), width)


def test_rows_of_a_long_table_have_their_style() -> None:
    lines = printed(LongTable(HEADERS, [False, False, True, True], ROWS), 100, terminal=True).splitlines()
    assert ["\x1b[31m" in line for line in lines[2:]] == [False, True, True, False]
