"""What tests that need a GPU share."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch


def needs_gpu(test: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a test that needs a CUDA device; it is skipped where there is none."""
    for mark in (pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")):
        test = mark(test)
    return test


@contextlib.contextmanager
def without_waiting() -> Iterator[None]:
    """In this context it is an error if the host waits for the GPU."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
