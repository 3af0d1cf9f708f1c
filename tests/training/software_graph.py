"""A CUDA graph in software: what a device would do with recorded steps, on any machine.

Like a graph, a recording holds torch's operations, the memory that they read and write, and the numbers that Python
gave to them; Python itself is not run again. Recording leaves all memory as it was.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from resnet_cli.training.graphs import Work

WAITING = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::equal"}
"""Operations whose result the host needs, so that it waits for the device."""


class SoftwareRecorder:
    """Records on the CPU; `recordings` and `releases` are counted, `replays` is the number of replays of each."""

    def __init__(self) -> None:
        self.recordings, self.releases, self.replays = 0, 0, list[int]()

    def aside(self) -> contextlib.AbstractContextManager[None]:
        """See `Recorder`."""
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def watch(self) -> Iterator[list[str]]:
        """See `Recorder`."""
        found: list[str] = []
        with _Watching(found):
            yield found

    def record(self, work: Work) -> Work:
        """See `Recorder`."""
        recording = _Recording()
        try:
            with recording:
                work()
        finally:
            recording.undo()
        place = self.recordings
        self.recordings += 1
        self.replays.append(0)

        def replay() -> None:
            self.replays[place] += 1
            recording.replay()

        return replay

    def release(self) -> None:
        """See `Recorder`."""
        self.releases += 1


class _Watching(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, found: list[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found = found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name in WAITING:
            self.found.append(f"called {func._schema.name}")
        return func(*args, **(kwargs or {}))


class _Recording(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Any, Any, Any, list[Tensor]]] = []
        self.own: set[int] = set()  # storages that the recording allocated
        self.before: dict[int, tuple[Tensor, Tensor]] = {}  # other tensors and their values

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func._schema.name in WAITING:
            raise RuntimeError("operation not permitted when stream is capturing")
        given = _tensors((args, kwargs))
        for tensor in given:
            if _storage(tensor) not in self.own and id(tensor) not in self.before:
                self.before[id(tensor)] = tensor, tensor.detach().clone()
        results = func(*args, **kwargs)
        written = [] if _returns_what_it_was_given(func) else _tensors(results)
        known = {_storage(tensor) for tensor in given}
        self.own |= {_storage(tensor) for tensor in written} - known
        if written or any(argument.is_write for argument in _aliases(func)):
            self.calls.append((func, args, kwargs, written))
        return results

    @torch.no_grad()
    def undo(self) -> None:
        for tensor, before in self.before.values():
            if not torch.equal(tensor, before):
                tensor.detach().copy_(before)

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, written in self.calls:
            for place, value in zip(written, _tensors(func(*args, **kwargs)), strict=True) if written else ():
                place.detach().copy_(value)
            if not written:
                func(*args, **kwargs)


def _tensors(values: Any) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _aliases(func: Any) -> list[Any]:
    arguments = func._schema.arguments
    return [argument.alias_info for argument in arguments if argument.alias_info is not None]


def _returns_what_it_was_given(func: Any) -> bool:
    """Whether an operation is a view, or writes into its arguments; its results need not be kept."""
    return any(result.alias_info is not None for result in func._schema.returns) or not func._schema.returns
