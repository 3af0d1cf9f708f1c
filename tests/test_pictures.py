"""The committed pictures against the committed tables."""

import io
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from tests.page_numbers import ROOT
from tests.pages import PAGES
from tests.pictures import COMMITTED, PICTURES, drawn, small_png

NAMES = [str(picture.relative_to(COMMITTED).as_posix()) for picture in PICTURES]
CONSTRAINTS = (ROOT / "constraints.txt").read_text("utf-8")
MOST_CHANGED = 0.0005
"""Share of pixels that the smoothing of edges may change from one machine to another."""


def pixels(content: bytes) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """Height × width × channels, from 0 to 1."""
    return np.asarray(plt.imread(io.BytesIO(content)), np.float32)


@pytest.mark.slow
@pytest.mark.skipif(
    f"matplotlib=={matplotlib.__version__}\n" not in CONSTRAINTS, reason="matplotlib's versions draw texts differently"
)
@pytest.mark.parametrize("name", NAMES)
def test_committed_picture_shows_the_committed_tables(name: str) -> None:
    old, new = pixels((COMMITTED / name).read_bytes()), pixels(small_png(drawn(COMMITTED / name)))
    assert old.shape == new.shape, "run `make docs`"
    assert (abs(old - new).max(axis=-1) > 0.25).mean() < MOST_CHANGED, "run `make docs`"


def test_every_committed_picture_is_shown_on_a_page() -> None:
    texts = "".join(page.read_text("utf-8") for page in PAGES)
    assert [name for name in NAMES if f"results/{name})" not in texts] == []


def test_no_committed_file_is_over_a_megabyte() -> None:
    large = [path.name for path in Path(COMMITTED).glob("**/*") if path.is_file() and path.stat().st_size > 1_000_000]
    assert large == []
