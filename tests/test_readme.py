"""The front page: short, in the order in which a newcomer needs it, and true."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS: list[str] = re.findall(r"^```bash\n(.*?)^```", README, re.M | re.S)


def test_it_is_at_most_8_kb() -> None:
    assert len(README.encode()) <= 8000


def test_its_parts_come_in_order() -> None:
    parts = [
        "y = x + F(x)",
        "docs/residual-block.svg",
        "figures/loss-by-depth.png",
        "## Two commands",
        "## Five commands worth knowing",
        "## What is found",
        "## Where to read on",
    ]
    assert sorted(parts, key=README.index) == parts
    assert re.findall(r"^## .+$", README, re.M) == parts[3:]


def test_two_commands_and_five_more_and_five_findings() -> None:
    assert BLOCKS[0].split("\n") == ["make demo", "make test", ""]
    assert len([line for line in BLOCKS[1].splitlines() if line.startswith("resnet-exp")]) == 5
    findings = README.split("## What is found")[1].split("##")[0]
    lines = re.findall(r"^- .+$", findings, re.M)
    assert len(lines) == 5
    assert all("](docs/findings/" in line for line in lines)


def test_make_has_both_commands_and_the_sweep_that_the_page_describes() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(r"^demo:.*\n\t.*sweep --task sine --depths 2\.\.40$", makefile, re.M)
    assert re.search(r"^test:.*\n\t.*pytest", makefile, re.M)
