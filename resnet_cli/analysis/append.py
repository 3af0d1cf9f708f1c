"""A deeper net by construction: a trained net with identity layers appended, and what further training does to it.

He et al. 2015 (arXiv 1512.03385, §1): "There exists a solution by construction to the deeper model: the added layers
are identity mapping, and the other layers are copied from the learned shallower model." So the deeper net can be as
good. Where training it from scratch ends at a higher loss, the optimiser has not found that solution. Goyal et al.
2017 (arXiv 1706.02677, §5.1) initialise the last batch norm of a residual block with zero, as appended blocks do here.

In an MLP the layers are appended after the last hidden one, in a CNN the same number in each of its three stages. They
return their input unchanged; it is not negative, because it comes from a ReLU:

    plain layers       unit matrices, or filters with 1 in the middle, without bias. A batch norm gets the mean and
                       variance of the activations there, and scales and shifts by the same values. So it is exactly
                       the identity with running statistics, and nearly so with batch statistics during training
    residual blocks    the last layer of the branch is zero, so only the shortcut contributes; the layers before it keep
                       random values, because otherwise no gradient would ever reach them
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from resnet_cli.analysis.trained_nets import StoredNet, addition_of, hooked, load_net
from resnet_cli.models import build_net, get_model, twins
from resnet_cli.models.base import Block
from resnet_cli.models.settings import ACTIVATION, BLOCK_SIZE, ORDERING, SHORTCUT, SURVIVAL
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import OUTCOMES, Metrics
from resnet_cli.settings.ranges import compact, parse_depths
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import Setting
from resnet_cli.store.record import RunRecord
from resnet_cli.store.weights import has_weights
from resnet_cli.training.loop import EVALUATION_BATCH, is_finite, train
from resnet_cli.training.settings import EVAL_SIZE, WARMUP_FACTOR, WARMUP_SHAPE, WARMUP_STEPS, WARMUP_UNTIL_ERROR

POSSIBLE: Mapping[Setting[Any], tuple[object, ...]] = {
    ACTIVATION: ("relu",),
    ORDERING: (None, "original", "relu-only-preactivation", "full-preactivation"),
    SHORTCUT: (None, "A", "B"),
    SURVIVAL: (None, 1.0),
}
"""Settings of nets to which the identity can be appended."""
WITHOUT_WARMUP: Mapping[Setting[Any], object] = {
    WARMUP_STEPS: 0,
    WARMUP_FACTOR: None,
    WARMUP_SHAPE: None,
    WARMUP_UNTIL_ERROR: None,
}


def appendable_models() -> list[str]:
    """Names of the plain models and of their residual twins."""
    return [name for pair in twins() for name in pair]


def check_appendable(run: Run, depth: int) -> None:
    """Raise UserError unless a net of `depth` can be made of the net of a run and the identity."""
    if run.model not in appendable_models():
        known = ", ".join(appendable_models())
        raise UserError(f"models (={run.model}) cannot be made deeper by construction here; {known} can.")
    get_model(run.model).depth_rule.select(parse_depths(depth), run.model)
    if depth <= run.depth:
        raise UserError(f"to (={depth}) must exceed the depth of the shallow net, which is {run.depth}.")
    for setting, possible in POSSIBLE.items():
        if run.get(setting) not in possible:
            known = ", ".join(str(value) for value in possible if value is not None)
            raise UserError(
                f"{setting.name} (={run.get(setting)}) of {run.run_id} does not allow identity layers; "
                f"use nets with {known}."
            )
    for number in (run.depth, depth):
        if not has_whole_blocks(run, number):
            raise UserError(
                f"depth (={number}) leaves the last block of {run.model} with fewer than {run[BLOCK_SIZE]} layers; "
                "use depths at which all blocks are complete."
            )


def has_whole_blocks(run: Run, depth: int) -> bool:
    """Whether the net of a run would consist of complete blocks at this depth."""
    layers = depth - 1 if get_model(run.model).family == "mlp" else (depth - 2) // 3
    return layers % (run.get(BLOCK_SIZE) or 1) == 0


@torch.no_grad()
def append_layers(stored: StoredNet, depth: int) -> StoredNet:
    """A net of `depth` layers that computes in evaluation mode what the stored one does; UserError if there is none."""
    check_appendable(stored.run, depth)
    run, data = stored.run.but(depth=depth), stored.data
    net = build_net(run, data.input_shape, data.outputs).to(data.device, data.dtype).eval()
    for name, part in stored.net.named_children():
        if name != "blocks":
            net.get_submodule(name).load_state_dict(part.state_dict())
    old, new = (list(one.get_submodule("blocks").children()) for one in (stored.net, net))
    stages = 1 if get_model(run.model).family == "mlp" else 3
    before, after = len(old) // stages, len(new) // stages  # blocks in a stage
    for stage in range(stages):
        kept = old[stage * before : (stage + 1) * before]
        for block, trained in zip(new[stage * after :], kept, strict=False):
            block.load_state_dict(trained.state_dict())
        last = kept[-1] if kept else stored.net.get_submodule("blocks")
        mean, variance = activation_statistics(stored, last)
        for block in new[stage * after + before : (stage + 1) * after]:
            if addition_of(block) is None:
                _make_identity(block, mean, variance)
            else:
                _silence_branch(block)
    return replace(stored, run=run, net=net)


@torch.no_grad()
def activation_statistics(stored: StoredNet, module: nn.Module) -> tuple[Tensor, Tensor]:
    """Mean and variance of each unit or channel of a module's output over the training examples, (C,) each."""
    seen: list[tuple[int, Tensor, Tensor]] = []

    def note(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        values = output.transpose(0, 1).flatten(1)  # (C, B × H × W)
        seen.append((values.shape[1], values.sum(1), values.square().sum(1)))

    data = stored.data
    with hooked([module.register_forward_hook(note)]):
        for inputs in torch.split(data.train_inputs[: stored.run[EVAL_SIZE]], EVALUATION_BATCH):
            stored.net(data.prepare(inputs))
    counts, totals, squares = zip(*seen, strict=True)
    mean = torch.stack(totals).sum(0) / sum(counts)
    return mean, (torch.stack(squares).sum(0) / sum(counts) - mean.square()).clamp(min=0)


def _make_identity(block: nn.Module, mean: Tensor, variance: Tensor) -> None:
    """Make each layer of a plain block the identity for non-negative inputs with this mean and variance."""
    for layer in block.modules():
        if isinstance(layer, nn.Linear):
            nn.init.eye_(layer.weight)
        elif isinstance(layer, nn.Conv2d):
            nn.init.dirac_(layer.weight)
        elif isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.copy_(mean)
            layer.running_var.copy_(variance)
            layer.weight.copy_((layer.running_var + layer.eps).sqrt())
            layer.bias.copy_(mean)
            continue
        else:
            continue
        if layer.bias is not None:
            layer.bias.zero_()


def _silence_branch(block: nn.Module) -> None:
    """Make the last layer of a residual block's branch return zero."""
    assert isinstance(block, Block)
    of_branch = [layer for step in block.branch if isinstance(step, nn.Module) for layer in step.modules()]
    *_, last = (layer for layer in of_branch if hasattr(layer, "weight"))
    for parameter in last.parameters():
        parameter.zero_()


def compare(
    folder: Path,
    shallow: RunRecord,
    depth: int,
    stored: Iterable[RunRecord],
    *,
    settings: Sequence[str],
    data_dir: Path | None,
    device: str,
) -> pd.DataFrame:
    """Continue training a stored net with and without appended layers, and train a deeper net from scratch as long.

    Each net is trained twice with the settings of its run, the second time with a new optimiser and with the schedule
    from the start. A first training that the folder already holds is not repeated.

    Args:
        folder: the results folder.
        shallow: the run of the net.
        depth: of the deeper nets.
        stored: runs of the folder, in which the deeper net from scratch is looked up.
        settings: names of the settings in which nets of the same depth and seed differ.
        data_dir, device: as for `load_net`.

    Returns:
        One row per evaluation: `task`, `model`, `depth` (the shallow net's), `deeper`, `seed`, the settings, `net`
        (shallow, appended or scratch), `step` (counted from the start of the first training; the appended net starts
        where that ends), losses and errors.

    Raises:
        UserError: layers cannot be appended, the net was not saved, or the data set is missing.
    """
    net = load_net(folder, shallow.run, data_dir=data_dir, device=device)
    appended = append_layers(net, depth)
    twin = find_twin(appended.run, stored)
    if twin is not None and has_weights(folder, twin.run):
        deeper, first = load_net(folder, twin.run, data_dir=data_dir, device=device), twin.history
    else:
        trained = train(appended.run, net.data)
        deeper, first = replace(appended, net=deepcopy(appended.net)), trained.history
        deeper.net.load_state_dict(trained.state)

    def train_further(one: StoredNet) -> list[Metrics]:
        return train(one.run, one.data, start=one.net.state_dict()).history

    end = shallow.history[-1].step
    histories: list[tuple[str, int, list[Metrics]]] = [
        ("shallow", 0, shallow.history),
        ("shallow", end, train_further(net)),
        ("appended", end, train_further(appended)),
        ("scratch", 0, first),
        ("scratch", end, train_further(deeper) if is_finite(first[-1]) else []),
    ]
    rows = [
        {"net": name, **metrics._asdict(), "step": begin + metrics.step}
        for name, begin, history in histories
        for metrics in history
    ]
    run = shallow.run
    who: dict[str, Any] = {"task": run.task, "model": run.model, "depth": run.depth, "deeper": depth, "seed": run.seed}
    who |= {name: run.get(name) for name in settings}
    frame = pd.DataFrame(rows).drop_duplicates(["net", "step"], keep="last")
    return frame.assign(**who)[[*who, "net", "step", *OUTCOMES]].astype(dict.fromkeys(OUTCOMES, float))


def find_twin(run: Run, stored: Iterable[RunRecord]) -> RunRecord | None:
    """The stored run with the same depth, seed and settings; only its warm-up may differ."""
    return next((one for one in stored if one.run.but(WITHOUT_WARMUP) == run.but(WITHOUT_WARMUP)), None)


def choose_depths(stored: Sequence[RunRecord], depth: int | None, deeper: int | None) -> tuple[int, int]:
    """The depths of the shallow and of the deeper nets: those given, or the smallest and the largest available.

    Available are the depths that the runs have for all their models and at which all blocks are complete. Without two
    of them, or without a run of the given depth, UserError is raised.
    """
    known: dict[str, set[int]] = {one.run.model: set() for one in stored}
    for one in stored:
        if has_whole_blocks(one.run, one.run.depth):
            known[one.run.model].add(one.run.depth)
    shared = sorted(set.intersection(*known.values()))
    found = compact(one.run.depth for one in stored)
    if depth is None or deeper is None:
        if len(shared) < (2 if depth is None and deeper is None else 1):
            raise UserError(
                f"{', '.join(known)} share too few depths at which all blocks are complete (their depths are {found}); "
                "give --depth and --to."
            )
        depth = shared[0] if depth is None else depth
        deeper = shared[-1] if deeper is None else deeper
    if all(one.run.depth != depth for one in stored):
        raise UserError(f"depth (={depth}): there is no stored net of this depth; the stored depths are {found}.")
    return depth, deeper


def summarise(frame: pd.DataFrame, settings: Sequence[str]) -> pd.DataFrame:
    """Training losses when layers are appended and at the end, as medians over seeds, infinite where diverged.

    Of what `compare` returns for some nets it makes a row for each `model`, combination of `settings` and `net`
    (shallow, appended, scratch): `seeds`, the loss `then` and at the `end`, and `changed`, the most by which appending
    changed a net's loss (nan for the other nets).
    """
    found = []
    for who, rows in frame.groupby(["model", *settings], sort=False, dropna=False):
        losses = rows.pivot_table("train_loss", "step", ["net", "seed"], dropna=False).fillna(math.inf)
        begin = rows.loc[rows["net"] == "appended", "step"].min()
        then, end = (losses.loc[step].groupby("net").median() for step in (begin, losses.index[-1]))
        changed = (losses.loc[begin, "appended"] - losses.loc[begin, "shallow"]).abs().max()
        identity = dict(zip(["model", *settings], who, strict=True)) | {"seeds": rows["seed"].nunique()}
        for net in ("shallow", "appended", "scratch"):
            measured = {"net": net, "then": then[net], "end": end[net]}
            found.append(identity | measured | {"changed": changed if net == "appended" else math.nan})
    return pd.DataFrame(found)
