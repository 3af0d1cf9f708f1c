"""Activation checkpointing: keep the signals of few blocks, and compute the rest again in the backward pass.

Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost" (arXiv 1604.06174, §4): n blocks are cut into
segments, in number proportional to √n. The forward pass keeps what enters each segment; the backward pass computes a
segment's signals again when it comes to it, and lets go of them after. So the memory for signals grows with √n instead
of n, for about one more forward pass a step. Results are the same to the bit where the device repeats itself, as CPUs
do.
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
    """Let the blocks of `net` be computed again in its backward pass, if it has them in a Sequential called `blocks`.

    Other nets stay as they are. Parameters and buffers keep their names in every net.
    """
    if isinstance(blocks := getattr(net, "blocks", None), nn.Sequential):
        net.blocks = RecomputedBlocks(OrderedDict(blocks.named_children()))


class RecomputedBlocks(nn.Sequential):
    """Blocks of which only what enters a segment is kept for the backward pass; a slice of them is of the same kind."""

    def forward(self, signal: Tensor) -> Tensor:
        """What a Sequential of the same blocks gives."""
        if not torch.is_grad_enabled():
            return super().forward(signal)  # type: ignore[no-any-return, no-untyped-call]
        blocks = list(self)
        size = segment_size(len(blocks))
        for first in range(0, len(blocks), size):
            segment = nn.Sequential(*blocks[first : first + size])
            if first + size >= len(blocks):  # the backward pass begins here: nothing to save
                signal = segment(signal)
            else:
                signal = checkpoint(
                    segment,
                    signal,
                    use_reentrant=False,
                    preserve_rng_state=False,  # layers that draw have generators of their own
                    context_fn=partial(passes, segment),
                )
        return signal


def segment_size(blocks: int) -> int:
    """Blocks in a segment.

    Of n blocks in segments of s, n/s signals are kept, and a segment that is computed again holds some 4s: what the two
    convolutions and activations of a block give. The sum is least where s = √n / 2.
    """
    return max(1, round(math.sqrt(blocks) / 2))


def passes(blocks: nn.Module) -> tuple[contextlib.AbstractContextManager[None], "SecondPass"]:
    """The contexts of the two passes through some blocks, asked for before the first."""
    return contextlib.nullcontext(), SecondPass(blocks)


class SecondPass(contextlib.AbstractContextManager[None]):
    """Lets the second pass through some blocks repeat the first, which is about to begin, and leave no trace.

    Layers draw from the generators as they are now, running statistics are written into copies, and heads keep the
    outputs of the first pass.
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
