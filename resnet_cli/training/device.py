"""Devices, and what the record of a run says about the machine."""

import contextlib
import os
import platform
from functools import cache
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Any

import torch

from resnet_cli.models import get_model
from resnet_cli.models.settings import WIDTH
from resnet_cli.settings.errors import UserError, shorten
from resnet_cli.settings.run import Run
from resnet_cli.tasks import get_task
from resnet_cli.training.settings import BATCH_SIZE

SMALL_LAYER = 25_000_000
"""Multiply-adds of a layer in one step below which sharing it among threads costs more time than it saves.

Forward, backward and update of residual nets of depth 8 to 20, the fastest of many steps on two cores, one thread
against two: 30 units in batches of 32 (0.03 M multiply-adds a layer) 0.8 and 1.0 ms; 256 units in batches of 128
(7.6 M) 13 and 17 ms; 8 filters on 16×16 pixels in batches of 128 (13 M) 13 and 17 ms. When other processes want the
cores, each layer waits for its slowest thread, and two threads are 10 to 600 times as slow at any size up to 200 M.
"""


def device_type(name: str) -> str:
    """The type (cpu, cuda, mps) of the device `name`, which this machine need not have; `auto` is the best one here.

    Raises:
        UserError: the name is unknown.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not (kind == "cuda" and index.isdecimal() and len(index) < 5)):
        raise UserError(f"device (={shorten(name)}) must be auto, cpu, cuda, cuda:N or mps.")
    return kind


def resolve_device(name: str) -> torch.device:
    """The torch device that `name` (auto, cpu, cuda, cuda:N, mps) means on this machine.

    Raises:
        UserError: the name is unknown, or the machine or this torch lacks the device.
    """
    kind, index = device_type(name), name.partition(":")[2]
    shown = f"device (={shorten(name)})"
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError(f"{shown}: this machine has no CUDA device that torch can use; use --device cpu.")
    if kind == "cuda" and index and int(index) >= torch.cuda.device_count():
        raise UserError(f"{shown}: the CUDA devices here are numbered 0 to {torch.cuda.device_count() - 1}.")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UserError(f"{shown}: this machine has no MPS device; use --device cpu.")
    return torch.device(kind if name == "auto" else name)


def available_cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_small_layers(run: Run) -> bool:
    """Whether a typical layer of a run's net, from `width` to `width` units, is too little work for several threads."""
    pixels = prod(get_task(run.task).input_shape(run)[1:])
    by_position = 9 * pixels if get_model(run.model).family == "cnn" else 1  # 3×3 filters
    return run[BATCH_SIZE] * by_position * run[WIDTH] ** 2 < SMALL_LAYER


def prepare_device(device: torch.device, threads: int) -> None:
    """Set this process up for training.

    Threads on the CPU; on CUDA, convolution algorithms chosen by timing them, and float32 that is float32 (no TF32, in
    convolutions and in products): speed at lower precision is what the precision bfloat16 is for.
    """
    torch.set_num_threads(threads)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False


def send(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor of the host on a device, without waiting for what the device is doing."""
    if device.type == "cuda":
        tensor = tensor.pin_memory()  # other memory is copied through a buffer, for which the host waits
    return tensor.to(device, non_blocking=True)


def environment(device: torch.device, threads: int) -> dict[str, Any]:
    """Versions, device and thread count, for a run's record."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "resnet_exp": version("resnet-exp"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.system(),
        "device": str(device),
        "device_name": name,
        "threads": threads,
    }


@cache
def _processor() -> str:
    """The processor's model if the system reveals it, otherwise its architecture."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
