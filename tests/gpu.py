"""What tests that need a GPU share. Their bodies run on the CPU too, so that a mistake in a test shows everywhere."""

import contextlib
import warnings
from collections.abc import Iterator

import pytest
import torch

from resnet_cli.training.graphs import Recorder, recorder_of
from tests.training.software_graph import SoftwareRecorder

NEEDS_GPU = (pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"))
"""Marks of a test that needs a CUDA device; it is skipped where there is none."""

CPU, CUDA = torch.device("cpu"), torch.device("cuda")

on_gpu_and_cpu = pytest.mark.parametrize(
    "device", [pytest.param(CUDA, marks=NEEDS_GPU), CPU], ids=lambda device: device.type
)


def recorder_for(device: torch.device) -> Recorder:
    """What records steps on a device, in software on the CPU."""
    return recorder_of(device) or SoftwareRecorder()


@contextlib.contextmanager
def without_waiting(device: torch.device) -> Iterator[None]:
    """In this context it is an error if the host waits for a device, or would if the CPU were one."""
    if device.type == "cpu":
        with SoftwareRecorder().watch() as waits:
            yield
        assert waits == []
        return
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
