"""What each command costs over results folders of 100 to 20,000 runs: time and memory a run must not grow.

    python benchmarks/scale.py                                  # made-up runs; a quarter of an hour and 300 MB
    python benchmarks/scale.py --sizes 100,1000 --keep scratch  # two minutes; the folders stay
    python benchmarks/scale.py --of results/mine                # the commands over a sweep that has been trained

Runs are made up but stored by the functions that store real ones: two models, five depths, two initialisations, ten
evaluations. Each command is a process of its own, so that its start counts, and is measured once. Times per run are
processor time; that of a further run, beyond those of the smallest folder, leaves out the start.
"""

import argparse
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SIZES = (100, 1000, 5000, 20_000)
RUNS_A_SEED = 20
"""Two models, five depths and two initialisations."""
REQUEST = {"task": "sine", "depths": "2..6", "init": "default,he", "steps": 450, "eval_every": 50}
COMPARED = 1000
"""The number of runs with which the largest number is compared."""
EVALUATIONS = 10
MIB = 2**20
INDEX_FILE = ".runs.index"
"""Here by name: what this process imports would count as memory of those that it starts."""


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds by the clock and of processor time, and the most memory it had, in bytes."""

    wall: float
    processor: float
    memory: int


def make_results(folder: Path, runs: int) -> None:
    """Store so many made-up runs, a multiple of 20, in a results folder, with their sweep file."""
    import tomli_w

    from resnet_cli.planning.plan import plan_sweep
    from resnet_cli.settings.format import FORMAT
    from resnet_cli.store.files import write_text
    from resnet_cli.store.layout import SWEEP_FILE
    from resnet_cli.store.record import RunRecord, write_run
    from resnet_cli.training.device import environment, resolve_device

    plan = plan_sweep({**REQUEST, "seeds": f"0..{runs // RUNS_A_SEED - 1}"})
    write_text(folder / SWEEP_FILE, tomli_w.dumps({"format": FORMAT, **plan.resolved}))
    surroundings: dict[str, Any] = {
        "environment": {**environment(resolve_device("cpu"), 1), "engine": "stacked", "recompute": False},
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:01:00+00:00",
        "seconds": 60.0,
    }
    for run in plan.runs:
        history = made_up(random.Random(run.run_id))
        write_run(
            folder, RunRecord(status="done", run=run, parameters=931 * run.depth, history=history, **surroundings)
        )


def made_up(random: random.Random) -> list[Any]:
    """Evaluations of a net whose loss falls."""
    from resnet_cli.settings.metrics import Metrics

    history, loss = [], 0.5
    for number in range(EVALUATIONS):
        step, test_loss = 50 * number, loss * random.uniform(1.0, 1.1)
        history.append(Metrics(step * 0.032, step, 1e-3, loss, test_loss, None, None, loss if number else None))
        loss *= random.uniform(0.5, 0.9)
    return history


def commands(folder: Path, place: Path, request: Sequence[str]) -> dict[str, list[str]]:
    """What is measured, in this order: by name, the arguments of Python; `place` is for what they write."""
    here = [sys.executable, "-m", "resnet_cli"]
    sweep = [*here, "sweep", *request, "--jobs", "1", "--threads", "1"]
    opening = "import sys, resnet_cli; resnet_cli.load_results(sys.argv[1])"
    packed = str(place / "packed")
    return {
        "plan": [*sweep, "--dry-run", "--out", str(place / "new")],
        "open, first time": [sys.executable, "-c", opening, str(folder)],
        "open again": [sys.executable, "-c", opening, str(folder)],
        "resume": [*sweep, "--out", str(folder)],
        "show": [*here, "show", str(folder)],
        "show --by-depth": [*here, "show", "--by-depth", str(folder)],
        "plot": [*here, "plot", str(folder), "--out", str(place / "figures")],
        "report": [*here, "report", str(folder), "-o", str(place / "report.html")],
        "pack": [*here, "pack", str(folder), "--out", packed],
        "show, packed": [*here, "show", packed],
        "plot, packed": [*here, "plot", packed, "--out", str(place / "figures")],
        "unpack": [*here, "unpack", packed, "--out", str(place / "unpacked")],
    }


def measure(command: Sequence[str], place: Path) -> Cost:
    """Run a command in a folder; SystemExit, with what it said, if it fails.

    This process must be small: what it has counts as memory of those that it starts.
    """
    with (place / "output.txt").open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=place, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{' '.join(command)} failed:\n{(place / 'output.txt').read_text()[-2000:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * unit)


def a_further_run(seconds: Mapping[int, float]) -> float:
    """From the seconds of folders by their number of runs: seconds per run beyond those of the smallest folder."""
    (fewest, least), *_, (most, longest) = sorted(seconds.items())
    return (longest - least) / (most - fewest)


def table(costs: Mapping[str, Mapping[int, Cost]]) -> str:
    """The costs of commands, by name and number of runs, in Markdown."""
    sizes = sorted({size for of_command in costs.values() for size in of_command})
    few, most = (COMPARED if COMPARED in sizes else sizes[0]), sizes[-1]
    headers = ["command", *(f"{size:,} runs, s" for size in sizes)]
    if few < most:
        headers += [f"ms a run of {few:,}", f"of {most:,}", "ratio", "ms a further run", f"MiB, {few:,} runs"]
    lines = [[*headers, f"MiB, {most:,} runs"]]
    lines.append(["---"] * len(lines[0]))
    for name, found in costs.items():
        row = [name, *(f"{found[size].wall:.1f} ({found[size].processor:.1f})" for size in sizes)]
        if few < most:
            first, last = (found[size].processor / size for size in (few, most))
            further = a_further_run({size: cost.processor for size, cost in found.items()})
            row += [*(f"{1000 * each:.2f}" for each in (first, last)), f"{last / first:.2f}", f"{1000 * further:.2f}"]
            row.append(f"{found[few].memory / MIB:.0f}")
        lines.append([*row, f"{found[most].memory / MIB:.0f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def costs_of(folder: Path, place: Path, request: Sequence[str]) -> dict[str, Cost]:
    """The costs of all commands over a results folder, by name."""
    place.mkdir(parents=True, exist_ok=True)
    (folder / INDEX_FILE).unlink(missing_ok=True)
    found = {}
    for name, command in commands(folder, place, request).items():
        found[name] = measure(command, place)
        cost = found[name]
        print(f"  {name}: {cost.wall:.1f} s, {cost.processor:.1f} s of processor time, {cost.memory / MIB:.0f} MiB")
    sizes = {path.name: path.stat().st_size for path in [*place.glob("figures/*"), *place.glob("report.html")]}
    print("  " + ", ".join(f"{name} {size / 1000:,.0f} kB" for name, size in sorted(sizes.items())), flush=True)
    return found


def made_up_costs(sizes: Iterable[int], place: Path) -> dict[str, dict[int, Cost]]:
    """The costs of all commands, by name and number of runs, over made-up results."""
    costs: dict[str, dict[int, Cost]] = {}
    for size in sizes:
        folder = place / f"{size}-runs"
        if not folder.exists():
            subprocess.run([sys.executable, __file__, "--make", str(size), str(folder)], check=True)
        print(f"{size:,} runs", flush=True)
        request = [f"--{name.replace('_', '-')}={value}" for name, value in REQUEST.items()]
        request.append(f"--seeds=0..{size // RUNS_A_SEED - 1}")
        for name, cost in costs_of(folder, place / f"{size}-work", request).items():
            costs.setdefault(name, {})[size] = cost
        shutil.rmtree(place / f"{size}-work")
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="numbers of runs, multiples of 20")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where the results are made and stay")
    parser.add_argument("--of", type=Path, metavar="FOLDER", help="measure a sweep that has been trained instead")
    parser.add_argument("--make", nargs=2, metavar=("RUNS", "FOLDER"), help="only make up so many runs")
    arguments = parser.parse_args()
    if arguments.make:
        make_results(Path(arguments.make[1]), int(arguments.make[0]))
        return
    print(f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        place = (arguments.keep or Path(temporary)).resolve()
        if arguments.of:
            folder = arguments.of.resolve()
            runs = sum(1 for _ in (folder / "runs").iterdir())
            found = costs_of(folder, place / "work", ["--config", str(folder / "sweep.toml")])
            costs = {name: {runs: cost} for name, cost in found.items()}
        else:
            costs = made_up_costs(map(int, arguments.sizes.split(",")), place)
        print(f"\nSeconds by the clock (of processor time):\n\n{table(costs)}")


if __name__ == "__main__":
    main()
