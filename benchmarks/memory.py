"""Peak memory and time of one training step of ResNet-1202, with and without `--recompute`.

    python benchmarks/memory.py                     # four minutes on one core; takes 13 GB
    python benchmarks/memory.py --depth 302         # a quarter of the time and memory
    python benchmarks/memory.py --device cuda

Each measurement runs in a process of its own. See README.md.
"""

import argparse
import os
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch

from resnet_cli.models.settings import WIDTH
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.run import Run
from resnet_cli.tasks.data import Data
from resnet_cli.training.device import environment, prepare_device, resolve_device
from resnet_cli.training.loop import train
from resnet_cli.training.settings import BATCH_SIZE

LARGE = {"MALLOC_MMAP_THRESHOLD_": "1000000"}
"""Makes glibc return freed blocks of over 1 MB to the system instead of keeping them."""


def measure(run: Run, recompute: bool, device_name: str) -> tuple[float, float]:
    """Take the run's only step on random images; returns the peak memory in GB and the step's seconds.

    On a CPU they are the peak memory of the whole process and its CPU time; on CUDA, the memory that tensors took on
    the device, and the elapsed time.
    """
    device = resolve_device(device_name)
    prepare_device(device, threads=1)
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (run[BATCH_SIZE], 3, 32, 32), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 10, (run[BATCH_SIZE],), generator=generator)
    middle = torch.full((3,), 0.5)
    data = Data(images, labels, images, labels, "cross_entropy", 10, mean=middle, deviation=middle / 2)
    times: list[float] = []  # of the evaluations before and after the step, each of one image
    train(
        run,
        data.to(device, torch.float32),
        recompute=recompute,
        on_evaluation=lambda metrics, steps: times.append(clock()),
    )
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9, times[1] - times[0]
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9, times[1] - times[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, default=1202)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    small = {"steps": 1, "eval_size": 1, "augment": False, "learning_rate": 1e-4}
    request = {"task": "cifar10", "models": "resnet", "depths": arguments.depth, "batch_size": arguments.batch_size}
    (run,) = plan_sweep(request | small | {"seeds": 0}).runs
    device = resolve_device(arguments.device)
    print(f"{environment(device, 1)['device_name']}, one thread; torch {torch.__version__}")
    print(f"ResNet-{run.depth}, {run[WIDTH]} filters, 32×32 images, batch {run[BATCH_SIZE]}\n")
    print("| | peak memory, GB | seconds |\n|---|---|---|")
    rows: list[tuple[str, bool, dict[str, str]]] = [("default", False, {}), ("`--recompute`", True, {})]
    if device.type == "cpu":
        rows.append(("`--recompute`, large blocks returned", True, LARGE))
    for name, recompute, variables in rows:
        os.environ.update(variables)  # the new process reads them when it starts
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh_process:
            memory, seconds = fresh_process.submit(measure, run, recompute, arguments.device).result()
        print(f"| {name} | {memory:.2f} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
