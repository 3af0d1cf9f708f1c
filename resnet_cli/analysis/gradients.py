"""The gradient of every weight layer, at initialisation and during training.

Hochreiter 1991 and Bengio et al. 1994, "Learning long-term dependencies with gradient descent is difficult"; Glorot &
Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks"; He et al. 2015 (arXiv
1512.03385, §4.1: with batch norm, gradients of plain nets neither vanish nor explode).

**Why gradients vanish.** With z_l the pre-activations of layer l, a_l = f(z_l), z_{l+1} = W_{l+1} a_l + b_{l+1} and
δ_l = ∂L/∂z_l, the error is propagated back from layer to layer, and it determines the gradient of a layer's weights:

    δ_l = (W_{l+1}ᵀ δ_{l+1}) ∘ f'(z_l)        ∂L/∂W_l = Σ over examples of δ_l a_{l-1}ᵀ

So δ_1 is a product of as many weight matrices and derivatives as there are layers above. The sigmoid's derivative is at
most 1/4; the ReLU's is 1 or 0. Where a skip leads from a_l to the pre-activation z_m at the end of its block, the error
reaches a_l by a second path as well, the identity:

    δ_l = (W_{l+1}ᵀ δ_{l+1} + δ_m) ∘ f'(z_l)

So the error bypasses the weights of the block, but not the derivative f'(z_l) between one block and the next. With
sigmoids, gradients of residual nets therefore vanish too, by a factor per block instead of per layer.

The settings of a run are all that this analysis needs: it repeats the training, step by step and to the bit.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from resnet_cli.analysis.layers import weight_layers
from resnet_cli.analysis.trained_nets import StoredNet, norm_of, table_of
from resnet_cli.models import build_net
from resnet_cli.models.base import Drawing
from resnet_cli.store.record import RunRecord
from resnet_cli.tasks.data import Data
from resnet_cli.training.batches import Batches
from resnet_cli.training.loop import train
from resnet_cli.training.step import auxiliary_heads, training_loss


def replay(stored: RunRecord, data: Data, settings: Sequence[str] = ()) -> pd.DataFrame:
    """Train the net of a stored run again and measure its gradients at each evaluation.

    The loss is always that of the first training batch, which is the same for all nets with one seed and data set.
    `data` is on the device on which to train.

    Returns:
        One row per evaluation and weight layer: `run_id`, `task`, `model`, `depth`, `seed`, `settings`, `status` (of
        this training), `step`, `train_loss`, `stored_loss` (the training loss that the stored run had at this step),
        `layer` (from 1 at the input), `name` (of the module) and `gradient_norm`.
    """
    run = stored.run
    twin = data.adapt(build_net(run, data.input_shape, data.outputs)).eval()
    names = [layer.name for layer in weight_layers(StoredNet(run, twin, data))]
    inputs, targets = Batches(run, data)[0]
    norms: list[list[float]] = []

    def measure(net: nn.Module, step: int) -> None:
        twin.load_state_dict(net.state_dict())
        norms.append(gradient_norms(twin, names, data, inputs, targets))

    again = train(run, data, probe=measure)
    before = {row.step: row.train_loss for row in stored.history}
    rows = [
        {
            "status": again.status,
            "step": row.step,
            "train_loss": row.train_loss,
            "stored_loss": before.get(row.step),
            "layer": layer,
            "name": name,
            "gradient_norm": norm,
        }
        for row, of_layers in zip(again.history, norms, strict=True)
        for layer, (name, norm) in enumerate(zip(names, of_layers, strict=True), 1)
    ]
    return table_of(run, rows, settings)


def gradient_norms(net: nn.Module, layers: Iterable[str], data: Data, inputs: Tensor, targets: Tensor) -> list[float]:
    """The Euclidean norm of the gradient of the weights in each of `layers`.

    The loss is the one that training minimises, including auxiliary losses. The net is in training mode (batch norm
    uses the statistics of the batch), but nothing is random: dropout drops nothing, and stochastic depth keeps all
    blocks and scales them as in evaluation mode. The net's mode and the running statistics of its batch norm change.
    `inputs` are a batch, (B, …), with `targets`, (B,) or (B, outputs).
    """
    net.train()
    for module in net.modules():
        if isinstance(module, Drawing):
            module.eval()
    loss = training_loss(data, net(inputs), targets, auxiliary_heads(net))
    weights = [net.get_submodule(name).weight for name in layers]
    gradients = torch.autograd.grad(loss, weights)  # type: ignore[arg-type]
    return [norm_of(gradient) for gradient in gradients]


def differences(frame: pd.DataFrame) -> "pd.Series[float]":
    """The largest relative difference between the training losses of a stored run and of its replay, by run.

    It is exactly 0 if all losses are equal to the last bit, and infinite if only one of two losses is a number.
    """
    steps = frame[frame["layer"] == 1]
    replayed, stored = steps["train_loss"], steps["stored_loss"]
    same = replayed.eq(stored) | (replayed.isna() & stored.isna())
    apart = ((replayed - stored).abs() / stored).fillna(np.inf).mask(same, 0.0)
    return apart.groupby(steps["run_id"]).max()


def replay_text(frame: pd.DataFrame) -> str:
    """Whether the trainings of `replay` reproduced the stored ones, in words."""
    apart = differences(frame)
    same = apart == 0
    text = f"{same.sum()} of {len(apart)} runs gave the stored losses again, to the last bit."
    if not same.all():
        text += (
            f" The training losses of the others differ by up to {100 * apart.max():.2g} % "
            f"(median {100 * apart[~same].median():.2g} %): another engine or machine rounds otherwise, which grows "
            "from step to step. Runs of --engine loop come out the same on the machine that trained them."
        )
    return text


def summarise(frame: pd.DataFrame, settings: Sequence[str] = ()) -> pd.DataFrame:
    """The gradient norms of the first and the last layer before and after training, and the final training loss.

    Of the results of `replay` it makes a row for each combination of `settings`, `depth` and `model`: the number of
    `seeds`, how many of them `diverged`, and medians over seeds of the values that are finite: `first_initial` and
    `last_initial` (gradient norms of layer 1 and of the output layer at initialisation), `first_trained` and
    `last_trained` (after training), and the final `train_loss`.
    """
    group = [*settings, "depth", "model"]
    by_run = frame.groupby("run_id")
    is_first = frame["layer"] == 1
    is_last = frame["layer"] == by_run["layer"].transform("max")
    is_initial = frame["step"] == 0
    is_trained = frame["step"] == by_run["step"].transform("max")
    finite = frame.replace([np.inf, -np.inf], np.nan)

    def medians(rows: "pd.Series[bool]", column: str) -> "pd.Series[float]":
        return finite[rows].groupby(group, dropna=False)[column].median()

    runs = frame[is_first & is_trained]
    return pd.DataFrame(
        {
            "seeds": runs.groupby(group, dropna=False).size(),
            "diverged": runs["status"].eq("diverged").groupby([runs[name] for name in group], dropna=False).sum(),
            "first_initial": medians(is_first & is_initial, "gradient_norm"),
            "last_initial": medians(is_last & is_initial, "gradient_norm"),
            "first_trained": medians(is_first & is_trained, "gradient_norm"),
            "last_trained": medians(is_last & is_trained, "gradient_norm"),
            "train_loss": medians(is_first & is_trained, "train_loss"),
        }
    ).reset_index()
