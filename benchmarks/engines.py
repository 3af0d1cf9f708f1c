"""The stacked engine against the loop engine, measured in one run on this machine.

    python benchmarks/engines.py                    # five minutes on two cores; or make bench
    python benchmarks/engines.py --repeats 1        # half of that
    python benchmarks/engines.py --device cuda      # are its results those of the CPU, and how fast is it?

The workload is the sine sweep: depths 2..40, plain and residual, 1000 steps, 21 evaluations, for each seed. The slow
engines do one seed at every fourth depth; their time for all depths and seeds follows from a linear fit of time against
depth. See README.md.
"""

import argparse
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import torch
from torch import nn

from resnet_cli.models import build_net
from resnet_cli.models.settings import WIDTH
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.run import Run
from resnet_cli.tasks import get_task
from resnet_cli.tasks.data import Data
from resnet_cli.training.batches import Batches
from resnet_cli.training.device import available_cores, environment, resolve_device
from resnet_cli.training.graphs import recorder_of
from resnet_cli.training.loop import DTYPES, train
from resnet_cli.training.optimizers import LEARNING_RATE, OPTIMIZERS
from resnet_cli.training.settings import BATCH_SIZE, EVAL_EVERY, EVAL_SIZE, PRECISION, STEPS
from resnet_cli.training.stacked.engine import train_stack
from resnet_cli.training.stacked.grouping import group_runs

if sys.platform != "win32":
    import resource

CORES = available_cores()
SAMPLED_DEPTHS = "2..40:4"
TEXTBOOK_STEPS = 50
MATRIX = 1024


def compare_engines(seeds: int, repeats: int) -> None:
    """Print the table of engines for the whole sweep."""
    sweep = sine_runs(seeds=f"0..{seeds - 1}")
    sample = sine_runs(depths=SAMPLED_DEPTHS)
    flops = sum(map(useful_flops, sweep))
    seconds: dict[str, list[float]] = {}
    rates = []
    with workers(1) as one_core, workers(CORES) as all_cores:
        for _ in range(repeats):  # the engines take turns, so that a busy machine slows all of them
            rates.append(sum(all_cores.map(matrix_product_rate, range(CORES))))
            textbook = dict(zip(sample[::3], map(textbook_seconds, sample[::3]), strict=True))
            seconds.setdefault("textbook loop, torch's own threads", []).append(scaled(textbook, sweep))
            alone = dict(zip(sample, one_core.map(loop_seconds, sample), strict=True))
            seconds.setdefault("loop engine, one core", []).append(scaled(alone, sweep))
            began = time.perf_counter()
            list(all_cores.map(loop_seconds, sample[::-1]))
            share = (time.perf_counter() - began) / sum(alone.values())
            seconds.setdefault("loop engine, all cores", []).append(share * scaled(alone, sweep))
            began = time.perf_counter()
            with workers(CORES) as fresh:
                memory = list(fresh.map(stack_memory, make_groups(sweep)))
            seconds.setdefault("stacked engine, with start-up", []).append(time.perf_counter() - began)
            began = time.perf_counter()
            list(all_cores.map(stack_memory, make_groups(sweep)))
            seconds.setdefault("stacked engine", []).append(time.perf_counter() - began)
    rate = statistics.median(rates)
    print(f"\n{len(sweep)} runs, {flops / 1e9:,.0f} GFLOP of use; {MATRIX}×{MATRIX} products: {rate:.0f} GFLOP/s\n")
    print("| engine | seconds | times one core | times all cores | useful GFLOP/s | of large products |")
    print("|---|---|---|---|---|---|")
    one, every = (statistics.median(seconds[f"loop engine, {name}"]) for name in ("one core", "all cores"))
    for name, values in seconds.items():
        took = statistics.median(values)
        speed = flops / took / 1e9
        print(f"| {name} | {took:.1f} | {one / took:.1f} | {every / took:.1f} | {speed:.1f} | {speed / rate:.0%} |")
    print(f"\nLargest process: {max(memory):.0f} MiB. At the rate of large products: {flops / rate / 1e9:.0f} s.")


def show_growth() -> None:
    """Print how the stacked engine's time for a step of all runs grows."""
    print("\n| stack | ms a step on one core | useful GFLOP/s |\n|---|---|---|")
    varied: list[dict[str, Any]] = [
        *({"depths": f"2..{depth}"} for depth in (10, 20, 40, 80)),
        *({"seeds": f"0..{seeds - 1}"} for seeds in (2, 4, 8)),
        *({"width": width} for width in (15, 62, 126)),
    ]
    with workers(1) as one_core:
        for change in [{}, *varied]:
            times = []
            for steps in (20, 60):
                runs = sine_runs(steps=steps, eval_every=10**6, eval_size=1, **change)
                times.append(min(sum(one_core.map(stack_cpu_seconds, make_groups(runs))) for _ in range(2)))
            a_step = (times[1] - times[0]) / 40
            flops = sum(useful_flops(run) - useful_flops(run.but({STEPS: 20})) for run in runs) / 40
            name = ", ".join(f"{key} {value}" for key, value in change.items()) or "depths 2..40, 1 seed, width 30"
            print(f"| {name} | {1000 * a_step:.1f} | {flops / a_step / 1e9:.1f} |")


def check_device(device: torch.device, seeds: int) -> None:
    """Compare parameters on a device with the loop's on the CPU, then time the whole sweep there."""
    worst = 0.0
    for activation in ("relu", "tanh", "sigmoid"):
        for optimizer in (name for name, declared in OPTIMIZERS.items() if declared.linear_in_rate):
            settings = {"activation": activation, "optimizer": optimizer, "learning_rate": 1e-3, "weight_decay": 1e-3}
            for runs in make_groups(sine_runs(depths="1..7", steps=40, precision="float64", **settings)):
                data = load(runs[0])
                for record in train_stack(runs, data.to(device, torch.float64), recorder=recorder_of(device)):
                    for name, values in train(record.run, data).state.items():
                        worst = max(worst, float((record.state[name] - values).norm() / values.norm()))
    print(f"largest relative difference of parameters after 40 steps in float64: {worst:.1e}")
    if not worst < 1e-9:
        raise SystemExit(f"The results on {device} differ from those of the CPU by {worst:.1e}, more than 1e-9.")
    sweep = sine_runs(seeds=f"0..{seeds - 1}")
    flops = sum(map(useful_flops, sweep))
    data = load(sweep[0]).to(device, torch.float32)
    groups = group_runs(sweep, device.type)
    began = time.perf_counter()
    for runs in groups:
        train_stack(runs, data, recorder=recorder_of(device))
    took = time.perf_counter() - began
    print(f"{len(sweep)} runs in {len(groups)} stacks: {took:.1f} s, {flops / took / 1e9:.0f} useful GFLOP/s")


def sine_runs(**request: Any) -> list[Run]:
    """The runs of the sine sweep, or of one that differs from it as `request` says."""
    return plan_sweep({"task": "sine", "depths": "2..40", "seeds": "0"} | request).runs


def useful_flops(run: Run) -> float:
    """Multiplications and additions in the products of a run's training and evaluations, none of them padded."""
    first, others = run[WIDTH], (run.depth - 1) * run[WIDTH] ** 2 + run[WIDTH]
    steps, evaluations = run[STEPS], run[STEPS] // run[EVAL_EVERY] + 1
    shown = min(run[EVAL_SIZE], 1000) * 2
    return 2.0 * (steps * run[BATCH_SIZE] * (2 * first + 3 * others) + evaluations * shown * (first + others))


def scaled(seconds: dict[Run, float], sweep: Iterable[Run]) -> float:
    """Seconds for a whole sweep, from a line through the seconds of some of its runs against their depths."""
    line = statistics.linear_regression([run.depth for run in seconds], list(seconds.values()))
    return sum(line.intercept + line.slope * run.depth for run in sweep)


def workers(count: int) -> ProcessPoolExecutor:
    """Processes with one thread each, started and warm unless they are the first to be."""
    pool = ProcessPoolExecutor(count, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,))
    list(pool.map(matrix_product_rate, [0.0] * count))
    return pool


def load(run: Run) -> Data:
    """The data of a run on the CPU."""
    return get_task(run.task).load(run, None).to(torch.device("cpu"), DTYPES[run[PRECISION]])


def make_groups(runs: list[Run]) -> list[list[Run]]:
    """Runs as the stacks that a sweep on all cores would make of them."""
    return group_runs(runs, "cpu", CORES)


def matrix_product_rate(_: float) -> float:
    """GFLOP/s of large matrix products, for a second."""
    left, right, product = (torch.ones(MATRIX, MATRIX) for _ in range(3))
    torch.mm(left, right, out=product)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < 1:
        torch.mm(left, right, out=product)
        count += 1
    return 2 * MATRIX**3 * count / (time.perf_counter() - began) / 1e9


def loop_seconds(run: Run) -> float:
    """Seconds of a run in the loop."""
    return _timed(lambda: train(run, load(run)))


def stack_cpu_seconds(runs: list[Run]) -> float:
    """Processor time, which a busy machine disturbs less than the clock."""
    began = time.thread_time()
    train_stack(runs, load(runs[0]))
    return time.thread_time() - began


def stack_memory(runs: list[Run]) -> float:
    """Train a stack; the most memory in MiB that the process has had, nan on Windows, where Python cannot tell."""
    train_stack(runs, load(runs[0]))
    if sys.platform == "win32":
        return math.nan
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def textbook_seconds(run: Run) -> float:
    """What most people would write: autograd, torch.optim.Adam as it comes, all threads; some steps, scaled."""
    data = load(run)
    net = build_net(run, data.input_shape, data.outputs)
    optimizer = torch.optim.Adam(net.parameters(), run[LEARNING_RATE])
    batches = Batches(run, data)

    def steps() -> None:
        for step in range(TEXTBOOK_STEPS):
            inputs, targets = batches[step]
            optimizer.zero_grad()
            nn.functional.mse_loss(net(inputs), targets).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    steps()
    return _timed(steps) * run[STEPS] / TEXTBOOK_STEPS


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cuda: compare its results with the CPU's, and time it")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds in the sine sweep")
    parser.add_argument("--repeats", type=int, default=2, help="measurements of each engine; medians are printed")
    arguments = parser.parse_args()
    device = resolve_device(arguments.device)
    name = environment(device, 1)["device_name"]
    print(f"{name}, {CORES} cores; torch {torch.__version__}, Python {platform.python_version()}", flush=True)
    if device.type == "cpu":
        compare_engines(arguments.seeds, arguments.repeats)
        show_growth()
    else:
        check_device(device, arguments.seeds)


if __name__ == "__main__":
    main()
