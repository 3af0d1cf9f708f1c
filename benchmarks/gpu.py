"""All that needs a GPU, in one command: tests, CPU and CUDA compared for every model, and speed.

    make gpu                                        # writes the results into docs/gpu.md, to be committed
    python -m benchmarks.gpu --device cuda:1
    python -m benchmarks.gpu --device cpu --quick   # the same program without a GPU, in a minute; prints the results

Exit codes: 0 all agree, 1 a test failed, a model differs or a part ended with an error (the results say which), 2 there
is no such GPU, and nothing is written.
"""

import argparse
import platform
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import torch

from benchmarks.agreement import agreement_table, compare_all, said
from benchmarks.gpu_speed import QUICK, Size, engine_table, sharing_table, step_table
from resnet_cli.settings.errors import UserError
from resnet_cli.store.files import write_text
from resnet_cli.training.device import available_cores, environment, prepare_device, resolve_device

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "gpu.md"
HEADING = "## Results"


@dataclass(frozen=True)
class Outcome:
    """What came of the tests that are marked `gpu`."""

    passed: int
    skipped: int
    failed: list[str]

    def __str__(self) -> str:
        told = f"{self.passed} passed, {len(self.failed)} failed, {self.skipped} skipped."
        return "\n".join([told, *(f"- failed: `{name}`" for name in self.failed)])


def run_tests(paths: Sequence[str], *, some_pass: bool) -> Outcome:
    """Run the tests that are marked `gpu` in a process of their own; on a GPU, `some_pass` or something is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "tests.xml")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu", f"--junitxml={report}"]
        code = subprocess.run([*command, *paths], cwd=ROOT, check=False).returncode
        found = read_report(report.read_text("utf-8")) if report.exists() else Outcome(0, 0, [])
    return judged(found, code, some_pass=some_pass)


def judged(found: Outcome, code: int, *, some_pass: bool) -> Outcome:
    """The outcome with what pytest's exit code adds: tests that did not run did not pass."""
    if code and not found.failed:
        return replace(found, failed=[f"pytest ended with exit code {code}"])
    if some_pass and not found.passed and not found.failed:
        return replace(found, failed=["no test ran on the GPU"])
    return found


def read_report(text: str) -> Outcome:
    """What a report of pytest in JUnit's form says."""
    failed, skipped, passed = [], 0, 0
    for case in ElementTree.fromstring(text).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(f"{case.get('classname')}::{case.get('name')}")
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return Outcome(passed, skipped, failed)


def surroundings(device: torch.device) -> str:
    """A Markdown list of the machine, versions, the commit and the date."""
    known, commit = environment(device, 1), _output("git", "describe", "--always", "--dirty")
    found = {
        "device": known["device_name"],
        "memory": _memory(device),
        "driver": _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader") or "none",
        "CUDA, cuDNN": f"{torch.version.cuda}, {torch.backends.cudnn.version()}",  # type: ignore[no-untyped-call]
        "torch, Python": f"{torch.__version__}, {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}, {available_cores()} cores",
        "resnet-exp": f"{known['resnet_exp']}, commit {commit or 'unknown'}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
    return "\n".join(f"- {name}: {value}" for name, value in found.items())


def _memory(device: torch.device) -> str:
    if device.type != "cuda":
        return "that of the machine"
    return f"{torch.cuda.get_device_properties(device).total_memory / 2**30:.0f} GiB"


def _output(*command: str) -> str:
    """The first line that a program prints; empty if it cannot be run."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip().partition("\n")[0]


def with_results(page: str, results: str) -> str:
    """The page with other results: everything from their heading on."""
    before, heading, _ = page.partition(f"\n{HEADING}\n")
    assert heading, f"the page has no heading {HEADING}"
    return f"{before}\n{HEADING}\n\n{results}"


Part = Callable[[], tuple[str, bool]]


def measure(device: torch.device, size: Size, *, quick: bool, tests: Sequence[str]) -> tuple[str, bool]:
    """The results as Markdown, and whether all tests passed, all models agree, and no part ended with an error."""
    prepare_device(device, threads=1 if quick else available_cores())

    def tested() -> tuple[str, bool]:
        found = run_tests(tests, some_pass=device.type == "cuda")
        return str(found), not found.failed

    def agreed() -> tuple[str, bool]:
        found = compare_all(device, quick=quick)
        differing = [each.run.run_id for each in found if not each.holds]
        verdict = f"Differ: {', '.join(differing)}." if differing else "All models agree."
        return f"{verdict}\n\n{agreement_table(found)}", not differing

    parts: dict[str, Part] = {
        "Tests": tested,
        "CPU and GPU": agreed,
        "A training step": lambda: (step_table(device, size), True),
        "Several runs at once": lambda: (sharing_table(device, size), True),
        "The two engines": lambda: (engine_table(device, size), True),
    }
    results, all_good = [surroundings(device)], True
    for title, part in parts.items():
        say(f"{title} …")
        text, good = whatever_happens(part)
        results += [f"### {title}", text]
        all_good = all_good and good
    return "\n\n".join(results) + "\n", all_good


def whatever_happens(part: Part) -> tuple[str, bool]:
    """A part of the results; what ends it stands in its place, and the others are not lost."""
    try:
        return part()
    except Exception as error:
        traceback.print_exc()
        return f"**Ended with {said(error)}**", False


def say(progress: str) -> None:
    """Print what is being done, apart from the results."""
    print(progress, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write or print the results; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to test this program")
    parser.add_argument("--tests", nargs="*", default=["tests"], help="files or folders of the tests to run")
    parser.add_argument("--out", type=Path, help="page to write into (default: docs/gpu.md on a GPU; none on a CPU)")
    options = parser.parse_args(arguments)
    try:
        device = resolve_device(options.device)
    except UserError as error:
        print(f"There is no GPU to measure: {error}", file=sys.stderr)
        return 2
    page = options.out or (PAGE if device.type == "cuda" and not options.quick else None)
    results, good = measure(device, QUICK if options.quick else Size(), quick=options.quick, tests=options.tests)
    if page is None:
        print(results, end="")
    else:
        write_text(page, with_results(PAGE.read_text("utf-8"), results))
        say(f"Results: {page}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
