"""Figures as files."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from resnet_cli.settings.errors import UserError
from resnet_cli.store.figures import write_figure


def test_a_figure_is_written_in_each_format(tmp_path: Path) -> None:
    paths = write_figure(Figure((1, 1)), tmp_path / "new", "drawn.1", ["png", "svg"], dpi=20)
    assert paths == [tmp_path / "new" / "drawn.1.png", tmp_path / "new" / "drawn.1.svg"]
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    assert paths[1].read_text().endswith("</svg>\n")


def test_an_unknown_format_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"suffix \(=\.gif\) must be "):
        write_figure(Figure((1, 1)), tmp_path, "drawn", ["gif"])
    assert not list(tmp_path.iterdir())
