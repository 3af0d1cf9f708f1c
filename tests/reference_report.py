"""The report on the reference results, and the picture of it that the README shows: `make docs` renews both."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from resnet_cli.report.page import make_report, render
from tests.pictures import COMMITTED, smaller

REPORT = COMMITTED / "report.html"
SCREENSHOT = COMMITTED.parent / "report.png"
SWEEPS = [COMMITTED / "sine", COMMITTED / "digits"]
TITLE = "Does depth hurt? The sine and the digits"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SIZE = (1280, 1500)


def made() -> str:
    """The page from the committed tables."""
    return render(make_report(SWEEPS, title=TITLE, kinds=["depth", "curves"]))


def screenshot(page: Path) -> bytes | None:
    """The upper part of a page as a PNG of few colours; None without Chromium."""
    if CHROMIUM is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder, "page.png")
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--screenshot={picture}"]
        size = ",".join(map(str, SIZE))
        command = [CHROMIUM, *options, f"--user-data-dir={folder}/profile", f"--window-size={size}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        return smaller(picture.read_bytes())


def renew() -> None:
    """Write both anew; the picture only where there is a browser that can take it."""
    REPORT.write_text(made(), "utf-8")
    picture = screenshot(REPORT)
    if picture is None:
        print(f"{SCREENSHOT.name} stays as it is: there is no Chromium.")
    else:
        SCREENSHOT.write_bytes(picture)


if __name__ == "__main__":
    renew()
