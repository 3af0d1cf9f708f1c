"""The committed report against the committed tables."""

import re

import matplotlib
import pytest
from PIL import Image

from tests import reference_report
from tests.page_numbers import ROOT

CONSTRAINTS = (ROOT / "constraints.txt").read_text("utf-8")


def without_pictures(html: str) -> list[str]:
    """The lines of a page without coordinates in its pictures, which may differ by a tenth from machine to machine."""
    return re.sub(r"(?<=<svg).*?(?=</svg>)", "", html, flags=re.S).splitlines()


@pytest.mark.slow
@pytest.mark.skipif(
    f"matplotlib=={matplotlib.__version__}\n" not in CONSTRAINTS, reason="matplotlib's versions draw texts differently"
)
def test_the_committed_report_is_that_of_the_committed_results() -> None:
    old, new = reference_report.REPORT.read_text("utf-8"), reference_report.made()
    assert without_pictures(old) == without_pictures(new), "run `make docs`"
    assert abs(len(old) - len(new)) < 0.01 * len(new)


def test_report_and_picture_fit_into_a_repository() -> None:
    assert reference_report.REPORT.stat().st_size < 1_000_000
    assert reference_report.SCREENSHOT.stat().st_size < 300_000
    with Image.open(reference_report.SCREENSHOT) as picture:
        assert picture.size == reference_report.SIZE
