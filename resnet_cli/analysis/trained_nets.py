"""Stored nets: loading them, listing their blocks, and running them with some blocks changed.

A block is a child of the net's `blocks`. All changes are made with hooks around the nets' own forward functions, and
undone when their `with` block ends.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

from resnet_cli.models import build_net
from resnet_cli.models.base import Addition
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import IDENTITY
from resnet_cli.store.packed import is_packed
from resnet_cli.store.tensors import same_form
from resnet_cli.store.weights import read_weights
from resnet_cli.tasks.data import Data
from resnet_cli.training.data import load_data
from resnet_cli.training.device import prepare_device
from resnet_cli.training.loop import DTYPES
from resnet_cli.training.settings import PRECISION


@dataclass(frozen=True)
class StoredNet:
    """A trained net in evaluation mode and the data of its run, on one device."""

    run: Run
    net: nn.Module
    data: Data

    @property
    def label(self) -> str:
        """A readable name, such as `resnet, depth 20, seed 0`."""
        return f"{self.run.model}, depth {self.run.depth}, seed {self.run.seed}"


@dataclass(frozen=True)
class BlockInfo:
    """A child of a net's `blocks`: its position, counted from 0, and its kind."""

    index: int
    is_residual: bool  # has a shortcut, which remains when the branch is removed
    changes_shape: bool  # its output differs from its input in number or size of channels (down-sampling)


Route = Literal["both", "branch", "skip"]
"""The parts of a residual block through which the gradient flows."""


def table_of(run: Run, content: Any, settings: Sequence[str] = ()) -> pd.DataFrame:
    """A table with the content of a DataFrame after the run's id, task, model, depth and seed, and some settings."""
    frame = pd.DataFrame(content)
    frame.insert(0, "run_id", run.run_id)
    for place, name in enumerate((*IDENTITY, *settings), 1):
        frame.insert(place, name, run.get(name))
    return frame


def norm_of(gradient: Tensor) -> float:
    """The Euclidean norm in double precision, because the square of one of 1e-25 would be zero in float32."""
    return float(gradient.cpu().double().norm())


def load_net(folder: Path, run: Run, *, data_dir: Path | None = None, device: str = "auto") -> StoredNet:
    """The saved net of a run, ready to process the run's data; UserError if net or data are missing or unusable."""
    if is_packed(folder):
        raise UserError(
            f"{folder} holds packed results, which have no weights; repeat the sweep with --save-models and analyze "
            "the folder that it writes."
        )
    data = load_data(run, data_dir, device)
    net = read_net(folder, run, data.input_shape, data.outputs)
    prepare_device(data.device, torch.get_num_threads())
    return StoredNet(run, data.adapt(net).eval(), data)


def read_net(folder: Path, run: Run, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """The saved net of a run on the CPU, in its precision; UserError if it was not saved or its file is unusable."""
    state = read_weights(folder, run)
    net = build_net(run, input_shape, outputs).to(DTYPES[run[PRECISION]])
    if not same_form(state, dict(net.state_dict())):
        raise UserError(
            f"The saved net of {run.run_id} does not fit this version's {run.model}; "
            "repeat the sweep with --save-models --fresh."
        )
    net.load_state_dict(state)
    return net


@contextmanager
def hooked(handles: Iterable[RemovableHandle]) -> Iterator[None]:
    """Remove hooks when the `with` block ends; torch's `register_forward_hook` and the like return their handles."""
    with ExitStack() as hooks:
        for handle in handles:
            hooks.callback(handle.remove)
        yield


def blocks_of(stored: StoredNet) -> list[BlockInfo]:
    """The blocks of a net, in order; UserError if it has none."""
    blocks = _blocks(stored)
    shapes: list[bool] = []

    def note(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        shapes.append(args[0].shape != output.shape)

    with hooked(block.register_forward_hook(note) for block in blocks), torch.no_grad():
        stored.net(example(stored))
    return [
        BlockInfo(index, addition_of(block) is not None, changes_shape)
        for index, (block, changes_shape) in enumerate(zip(blocks, shapes, strict=True))
    ]


def example(stored: StoredNet) -> Tensor:
    """The first test input, prepared for the net, (1, …)."""
    return stored.data.prepare(stored.data.test_inputs[:1])


def addition_of(block: nn.Module) -> Addition | None:
    """The addition at the end of a residual block, None for a block without a shortcut."""
    return next((module for module in block.modules() if isinstance(module, Addition)), None)


def without_blocks(stored: StoredNet, removed: Collection[int]) -> AbstractContextManager[None]:
    """Run the net as if some blocks were not there.

    The shortcut of a residual block remains. Any other block is replaced by the identity or, where it changes the
    shape, by a shortcut of option A: every second pixel, and zeros for new channels.
    """

    def removal(block: nn.Module) -> RemovableHandle:
        addition = addition_of(block)
        if addition is None:
            return block.register_forward_hook(_pass_input_on)
        return addition.register_forward_pre_hook(lambda _, args: (torch.zeros_like(args[0]), args[1]))

    blocks = _blocks(stored)
    return hooked(removal(blocks[index]) for index in removed)


@contextmanager
def in_order(stored: StoredNet, order: Sequence[int]) -> Iterator[None]:
    """Run the net with its blocks in another order: `order[i]` is the block at position i."""
    blocks = _blocks(stored)
    parent = stored.net.blocks
    assert isinstance(parent, nn.Sequential)
    assert sorted(order) == list(range(len(blocks)))
    try:
        for place, index in enumerate(order):
            parent[place] = blocks[index]
        yield
    finally:
        for place, block in enumerate(blocks):
            parent[place] = block


def gradient_through(stored: StoredNet, routes: Sequence[Route]) -> AbstractContextManager[None]:
    """Run the net unchanged, but let gradients flow only through each block's branch, its shortcut, or both.

    A block without a shortcut must have the route `both`, or UserError is raised.
    """

    def stops() -> Iterator[RemovableHandle]:
        for number, (block, route) in enumerate(zip(_blocks(stored), routes, strict=True), 1):
            if route == "both":
                continue
            addition = addition_of(block)
            if addition is None:
                raise UserError(f"Block {number} of {stored.label} has no shortcut, so it has no paths to choose from.")
            yield addition.register_forward_pre_hook(_STOP[route])

    return hooked(stops())


def _blocks(stored: StoredNet) -> list[nn.Module]:
    blocks = list(getattr(stored.net, "blocks", ()))
    if not blocks:
        raise UserError(f"{stored.label} has no blocks; choose a deeper net, or a model that is made of blocks.")
    return blocks


_STOP: dict[Route, Callable[..., tuple[Tensor, Tensor]]] = {
    "branch": lambda addition, args: (args[0], args[1].detach()),
    "skip": lambda addition, args: (args[0].detach(), args[1]),
}


def _pass_input_on(block: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor:
    """The input of a block, in the shape of its output."""
    (inputs,) = args
    if inputs.dim() == 4 and inputs.shape[2:] != output.shape[2:]:
        rows, columns = (n_in // n_out for n_in, n_out in zip(inputs.shape[2:], output.shape[2:], strict=True))
        inputs = inputs[:, :, ::rows, ::columns]
    missing = output.shape[1] - inputs.shape[1]
    return F.pad(inputs, (0, 0) * (inputs.dim() - 2) + (0, missing)) if missing else inputs
