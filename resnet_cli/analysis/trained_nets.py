"""Stored nets: loading them, listing their blocks, and running them with some blocks changed.

A block is a child of the net's `blocks`. All changes are made with hooks around the nets' own forward functions, and
undone when their `with` block ends.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_cli.models import build_net
from resnet_cli.models.base import Addition
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import IDENTITY
from resnet_cli.store.packed import is_packed
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


def identity_of(run: Run, settings: Sequence[str] = ()) -> dict[str, Any]:
    """The columns that say which run a row of an analysis is of: id, task, model, depth, seed and some settings."""
    return {"run_id": run.run_id} | {name: run.get(name) for name in (*IDENTITY, *settings)}


def load_net(folder: Path, run: Run, *, data_dir: Path | None = None, device: str = "auto") -> StoredNet:
    """The saved net of a run, ready to process the run's data.

    Raises:
        UserError: the net was not saved or its file is unusable, or the data set is missing.
    """
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
    """The saved net of a run on the CPU, in the precision that its parameters were trained in.

    Raises:
        UserError: the net was not saved, or its file is unusable.
    """
    state = read_weights(folder, run)
    net = build_net(run, input_shape, outputs).to(DTYPES[run[PRECISION]])
    try:
        net.load_state_dict(state)
    except RuntimeError:
        raise UserError(
            f"The saved net of {run.run_id} does not fit this version's {run.model}; "
            "repeat the sweep with --save-models --fresh."
        ) from None
    return net


@contextmanager
def hooked(hooks: Iterable[tuple[nn.Module, Callable[..., Any]]]) -> Iterator[None]:
    """Call a hook, as torch's `register_forward_hook` describes it, after each forward pass of its module."""
    with ExitStack() as handles:
        for module, hook in hooks:
            handles.callback(module.register_forward_hook(hook).remove)
        yield


def blocks_of(stored: StoredNet) -> list[BlockInfo]:
    """The blocks of a net, in order.

    Raises:
        UserError: it has none.
    """
    blocks = _blocks(stored)
    shapes: list[bool] = []

    def note(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        shapes.append(args[0].shape != output.shape)

    with hooked((block, note) for block in blocks), torch.no_grad():
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


@contextmanager
def without_blocks(stored: StoredNet, removed: Collection[int]) -> Iterator[None]:
    """Run the net as if some blocks were not there.

    The shortcut of a residual block remains. Any other block is replaced by the identity or, where it changes the
    shape, by a shortcut of option A: every second pixel, and zeros for new channels.
    """
    blocks = _blocks(stored)
    with ExitStack() as hooks:
        for index in removed:
            addition = addition_of(blocks[index])
            if addition is None:
                handle: Any = blocks[index].register_forward_hook(_pass_input_on)
            else:
                handle = addition.register_forward_pre_hook(_drop_response)
            hooks.callback(handle.remove)
        yield


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


@contextmanager
def gradient_through(stored: StoredNet, routes: Sequence[Route]) -> Iterator[None]:
    """Run the net unchanged, but let gradients flow only through each block's branch, its shortcut, or both.

    Raises:
        UserError: a block without a shortcut is given a route other than `both`.
    """
    with ExitStack() as hooks:
        for index, (block, route) in enumerate(zip(_blocks(stored), routes, strict=True)):
            if route == "both":
                continue
            addition = addition_of(block)
            if addition is None:
                raise UserError(
                    f"Block {index + 1} of {stored.label} has no shortcut, so it has no paths to choose from."
                )
            stop = _stop_at_shortcut if route == "branch" else _stop_at_branch
            hooks.callback(addition.register_forward_pre_hook(stop).remove)
        yield


def _blocks(stored: StoredNet) -> list[nn.Module]:
    blocks = list(getattr(stored.net, "blocks", ()))
    if not blocks:
        raise UserError(f"{stored.label} has no blocks; choose a deeper net, or a model that is made of blocks.")
    return blocks


def _drop_response(addition: nn.Module, args: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    response, skipped = args
    return torch.zeros_like(response), skipped


def _stop_at_shortcut(addition: nn.Module, args: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    response, skipped = args
    return response, skipped.detach()


def _stop_at_branch(addition: nn.Module, args: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    response, skipped = args
    return response.detach(), skipped


def _pass_input_on(block: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor:
    """The input of a block, in the shape of its output."""
    (inputs,) = args
    if inputs.dim() == 4 and inputs.shape[2:] != output.shape[2:]:
        rows, columns = (n_in // n_out for n_in, n_out in zip(inputs.shape[2:], output.shape[2:], strict=True))
        inputs = inputs[:, :, ::rows, ::columns]
    missing = output.shape[1] - inputs.shape[1]
    return F.pad(inputs, (0, 0) * (inputs.dim() - 2) + (0, missing)) if missing else inputs
