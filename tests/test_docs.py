"""README.md and docs/ against the program and the committed results."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
import yaml
from matplotlib.figure import Figure

from tests import page_numbers, pages
from tests.cli.conftest import Command, command
from tests.page_numbers import REFERENCE, ROOT
from tests.pages import PAGES

__all__ = ["command"]

SMALL = ["--smoke", "--jobs", "1", "--threads", "1"]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
TEXTS = {name: page.read_text("utf-8") for name, page in zip(NAMES, PAGES, strict=True)}
LINK = re.compile(r"\]\(([^()\s]+)\)")
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.M | re.S)
PROGRESS = re.compile(r"\d+/\d+: ")
WITH_EXAMPLES = [name for name in NAMES if BLOCK.search(TEXTS[name]) and name != "CONTRIBUTING.md"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_shell_files_on_pages_can_be_parsed() -> None:
    for text in TEXTS.values():
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S):
            subprocess.run(["bash", "-n"], input=block, text=True, check=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_numbers_and_tables_are_those_of_the_committed_results(name: str) -> None:
    assert TEXTS[name] == pages.renewed(TEXTS[name]), "run `make docs`"


@pytest.mark.parametrize("name", NAMES)
def test_what_sentences_say_is_true_of_the_committed_results(name: str) -> None:
    wrong = [m["expression"] for m in pages.CONDITION.finditer(TEXTS[name]) if not pages.evaluate(m["expression"])]
    assert wrong == []


@pytest.mark.parametrize("name", NAMES)
def test_no_number_stands_where_markdown_would_not_show_it(name: str) -> None:
    """A line or list item that begins with a comment is HTML to its end; `--` ends a comment in some readers."""
    assert re.findall(r"^ *(?:[-*] +)?<!--[=?].*", TEXTS[name], re.M) == []
    assert [text for text in re.findall(r"<!--[=?](.*?)-->", TEXTS[name]) if "--" in text] == []


def test_a_stale_number_and_a_stale_table_are_found_and_renewed() -> None:
    page = "about <!--= 1 / 3 -->0.25 of it\n<!-- made: show(2.0) -->\n1\n<!-- end -->\n"
    assert pages.renewed(page) == "about <!--= 1 / 3 -->0.33 of it\n<!-- made: show(2.0) -->\n2.0\n<!-- end -->\n"


@pytest.mark.parametrize("old", ["?", "supported", "undecided"])
def test_a_stale_verdict_is_renewed(old: str) -> None:
    page = "The claim is <!--= str(Verdict.NOT_SUPPORTED) -->"
    assert pages.renewed(f"{page}{old} here.") == f"{page}not supported here."


def test_numbers_in_brackets_are_renewed() -> None:
    page = "<!--= spread(pd.Series([1.0, 2.0, 4.0])) -->"
    assert pages.renewed(f"{page}3.0 (0.5 to 7).") == f"{page}2.0 (1.0 to 4.0)."


def test_a_number_that_cannot_be_found_is_an_error() -> None:
    with pytest.raises(AssertionError, match=r"should stand 0\.33"):
        pages.renewed("about <!--= 1 / 3 -->a third")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.00016, "1.6e-4"), (0.00099999, "0.0010"), (0.05, "0.050"), (2.345, "2.3"), (96.2, "96"), (1792.1, "1,800")],
)
def test_numbers_have_two_significant_digits(value: float, text: str) -> None:
    assert page_numbers.show(value) == text


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_files_and_headings(name: str) -> None:
    broken = []
    for link in LINK.findall(re.sub(r"```.*?```|`[^`\n]*`", "", TEXTS[name], flags=re.S)):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        target = (ROOT / name).parent / path if path else ROOT / name
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_linked_from_another() -> None:
    linked = {
        ((ROOT / name).parent / link.partition("#")[0]).resolve()
        for name in NAMES
        for link in LINK.findall(TEXTS[name])
    }
    pages_and_notebook = [*PAGES, ROOT / "docs/example.ipynb"]
    assert [page for page in pages_and_notebook if page not in linked and page != ROOT / "README.md"] == []


def test_every_committed_sweep_has_a_finding() -> None:
    findings = "".join(text for name, text in TEXTS.items() if name.startswith("docs/findings"))
    sweeps = [path.name for path in REFERENCE.iterdir() if (path / "sweep.toml").exists()]
    assert [name for name in sweeps if f'"{name}"' not in findings] == []


def test_every_picture_has_words_for_those_who_do_not_see_it() -> None:
    empty = {name: found for name in NAMES if (found := re.findall(r"!\[.{0,9}\]\(\S+\)", TEXTS[name]))}
    assert empty == {}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_commands_and_examples_run_in_order(command: Command, name: str) -> None:
    """Sweeps are shrunk to seconds; what follows finds their results where the page says."""
    for language, text in BLOCK.findall(TEXTS[name]):
        if language == "python":
            exec(compile(shorter(text), name, "exec"), {})
        else:
            for line in text.splitlines():
                if "resnet-exp" in line and not line.startswith("#"):
                    run_line(command, line)
    plt.close("all")


def run_line(command: Command, line: str) -> None:
    """Run a line of a page, made small, and check that it succeeds, with nothing but progress on stderr."""
    name, *arguments = shlex.split(line, comments=True)[1:]
    if name == "plot" and "results/cifar10" in line:  # whose sweep was refused without the data
        return
    if name == "sweep":
        arguments += [] if "--dry-run" in arguments else SMALL
        arguments += ["--depths", "56"] if "--config deep-digits" in line else []
    elif name == "run":
        arguments += ["--set", "steps=4", "--set", "eval_every=2"]
    elif name == "analyze" and arguments[0] == "identity":
        arguments += ["--steps", "2", "--depths", "1,2,12", "--seeds", "0"]
    elif name == "analyze" and arguments[0] in ("remove", "paths"):
        arguments += ["--draws", "2"]
    elif name == "analyze" and arguments[0] == "forms":
        arguments += ["--depths", "11", "--cardinalities", "2", "--seeds", "0"]
    elif name == "analyze" and arguments[0] == "landscape":
        arguments += ["--draws", "1", "--cut", "2", "--surface", "1", "--examples", "20"]
    elif name == "analyze" and arguments[0] == "shattered":
        arguments += ["--depths", "1,4", "--seeds", "0"]
    elif name == "analyze" and arguments[0] == "transfer":
        arguments += ["--steps", "2"]
    if name in ("plot", "analyze") and "--format" not in arguments:
        arguments += ["--format", "svg"]
    if name == "data" and arguments[0] == "fetch":
        arguments += ["--help"]
    answer = command(name, *arguments)
    if (name == "sweep" and "cifar10" in line and "--dry-run" not in line) or (name, arguments) == ("data", ["check"]):
        assert answer.code == 2
        assert "CIFAR-10 is not in" in answer.err
    else:
        assert answer.code == 0, line + answer.err
        assert [text for text in answer.err.splitlines() if not PROGRESS.match(text)] == []
    for place in [] if "--smoke" in line else list(Path().glob("**/*-smoke")):
        whole = place.with_name(place.name.removesuffix("-smoke"))
        shutil.rmtree(whole, ignore_errors=True)
        place.rename(whole)


def shorter(code: str) -> str:
    """An example with fewer depths, seeds and steps."""
    code = re.sub(r'"steps": \d+', '"steps": 5, "eval_every": 5', code)
    return re.sub(r'"depths": "[\d.:]+"', '"depths": "2..4"', code).replace('"seeds": "0..4"', '"seeds": "0..1"')


def test_yaml_on_pages_is_yaml() -> None:
    files = [block for text in TEXTS.values() for block in re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)]
    assert len(files) == 3
    assert all(isinstance(yaml.safe_load(file), dict) for file in files)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize(("code", "answer", "requeued"), [(0, 0, False), (1, 1, False), (75, 0, True)])
def test_the_job_script_trains_its_shard_and_requeues_itself(code: int, answer: int, requeued: bool) -> None:
    """Under programs that write down how they were called."""
    (script,) = re.findall(r"^```sh\n(#!/bin/sh\n#SBATCH.*?)^```", TEXTS["docs/cluster.md"], re.M | re.S)
    for name, end in (("resnet-exp", code), ("scontrol", 0)):
        Path(name).write_text(f'#!/bin/sh\necho "{name} $*" >> calls\nexit {end}\n')
        Path(name).chmod(0o755)
    variables = {
        "SLURM_ARRAY_TASK_ID": "3",
        "SLURM_ARRAY_JOB_ID": "99",
        "HOME": "home",
        "PATH": f".:{os.environ['PATH']}",
    }
    assert subprocess.run(["sh", "-c", script], env=variables, check=False).returncode == answer
    sweep, *rest = Path("calls").read_text().splitlines()
    assert "--shard 3/16 --max-hours 3.8" in sweep
    assert rest == ["scontrol requeue 99_3"] * requeued


def notebook_cells(kind: str) -> list[dict[str, Any]]:
    """The cells of one kind, in order."""
    content = json.loads((ROOT / "docs/example.ipynb").read_text("utf-8"))
    assert content["nbformat"] == 4
    return [cell for cell in content["cells"] if cell["cell_type"] == kind]


def test_the_notebook_runs_from_top_to_bottom() -> None:
    namespace: dict[str, Any] = {}
    values = []
    for cell in notebook_cells("code"):
        *statements, last = shorter("".join(cell["source"])).rstrip().rsplit("\n", 1)
        exec("\n".join(statements), namespace)
        values.append(eval(last, namespace))
    summary, by_depth, table, curves, fit = values
    assert len(summary) == 5
    assert list(table["depth"]) == [2, 3, 4]
    assert list(table["pairs"]) == [2, 2, 2]
    assert all(isinstance(figure, Figure) for figure in (by_depth, curves, fit))
    assert len(fit.axes[0].lines) == 3
    plt.close("all")


def test_the_notebook_is_committed_without_outputs() -> None:
    assert {(cell["execution_count"], len(cell["outputs"])) for cell in notebook_cells("code")} == {(None, 0)}


def test_the_notebook_explains_itself() -> None:
    assert len(notebook_cells("markdown")) >= len(notebook_cells("code"))
