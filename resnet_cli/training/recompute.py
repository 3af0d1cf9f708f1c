"""Activation checkpointing: store the activations of few blocks, and recompute the rest in the backward pass.

Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost" (arXiv 1604.06174, §4): n blocks are divided into a
number of segments proportional to √n. The forward pass stores only the input of each segment; the backward pass
recomputes the activations of a segment when it needs them, and frees them afterwards. The memory for activations
therefore grows with √n instead of n, at the cost of about one more forward pass per step. Results are identical to the
bit on devices whose computations are reproducible, as they are on CPUs.
"""

import contextlib
import math
from collections import OrderedDict
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from resnet_cli.models.base import AuxiliaryHead, Drawing


def recompute_blocks(net: nn.Module) -> None:
    """Make `net` recompute its blocks in the backward pass, if it has them in a Sequential called `blocks`.

    Other nets are left unchanged. Parameters and buffers keep their names in every net.
    """
    if isinstance(blocks := getattr(net, "blocks", None), nn.Sequential):
        net.blocks = RecomputedBlocks(OrderedDict(blocks.named_children()))


class RecomputedBlocks(nn.Sequential):
    """Blocks that store only the inputs of segments for the backward pass; slices of them do the same."""

    def forward(self, x: Tensor) -> Tensor:
        """What a Sequential of the same blocks returns."""
        if not torch.is_grad_enabled():
            return super().forward(x)  # type: ignore[no-any-return, no-untyped-call]
        blocks = list(self)
        size = segment_size(len(blocks))
        for first in range(0, len(blocks), size):
            segment = nn.Sequential(*blocks[first : first + size])
            if first + size >= len(blocks):  # the backward pass starts here, so there is nothing to save
                x = segment(x)
            else:
                x = checkpoint(
                    segment,
                    x,
                    use_reentrant=False,
                    preserve_rng_state=False,  # layers that draw have generators of their own
                    context_fn=partial(passes, segment),
                )
        return x


def segment_size(blocks: int) -> int:
    """The number of blocks in a segment.

    With n blocks in segments of s, n/s segment inputs are stored, and recomputing a segment takes about 4s tensors of
    the same size: the outputs of the two convolutions and activations of each block. The sum is smallest at s = √n / 2.
    """
    return max(1, round(math.sqrt(blocks) / 2))


def passes(blocks: nn.Module) -> tuple[contextlib.AbstractContextManager[None], "SecondPass"]:
    """The contexts of the two passes through some blocks; torch asks for them before the first pass."""
    return contextlib.nullcontext(), SecondPass(blocks)


class SecondPass(contextlib.AbstractContextManager[None]):
    """Makes the second pass through some blocks repeat the first, without side effects; create it before the first.

    In the second pass, layers draw from generators in the state that they have at creation, running statistics are
    written to copies, and auxiliary heads keep the outputs of the first pass.
    """

    def __init__(self, blocks: nn.Module) -> None:
        layers = list(blocks.modules())
        self.heads = [layer for layer in layers if isinstance(layer, AuxiliaryHead)]
        self.buffers = [(layer, *named) for layer in layers for named in layer.named_buffers(recurse=False)]
        generators = {layer.generator for layer in layers if isinstance(layer, Drawing) and layer.generator is not None}
        self.states = [(generator, generator.get_state()) for generator in generators]

    def __enter__(self) -> None:
        self.outputs = [head.outputs for head in self.heads]
        self.later_states = [generator.get_state() for generator, _ in self.states]
        for generator, state in self.states:
            generator.set_state(state)
        for layer, name, buffer in self.buffers:
            setattr(layer, name, buffer.clone())

    def __exit__(self, *error: object) -> None:
        for head, outputs in zip(self.heads, self.outputs, strict=True):
            head.outputs = outputs
        for (generator, _), state in zip(self.states, self.later_states, strict=True):
            generator.set_state(state)
        for layer, name, buffer in self.buffers:
            setattr(layer, name, buffer)
