"""How strongly the layers of trained nets respond: the standard deviation of each layer's outputs.

He et al. 2015 (arXiv 1512.03385, §4.2 "Analysis of Layer Responses", Fig. 7): responses are the outputs of layers after
batch norm and before the nonlinearity or the addition. The paper finds them smaller in residual nets than in plain
ones, and smaller still the deeper the net. The last layer of a residual block is the most informative: its response is
what the block adds to the output of the shortcut. Where norms come before their layers, responses are the outputs of
the layers themselves (`layers.py`).
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn

from resnet_cli.analysis.layers import weight_layers
from resnet_cli.analysis.trained_nets import StoredNet, hooked, table_of
from resnet_cli.models.base import Addition
from resnet_cli.training.loop import EVALUATION_BATCH
from resnet_cli.training.settings import EVAL_SIZE


def measure_responses(stored: StoredNet, settings: Sequence[str] = ()) -> pd.DataFrame:
    """The standard deviation of each layer's responses to the test inputs, in evaluation mode.

    It is computed over all examples (at most the run's `eval_size`), channels and pixels of a layer together.

    Returns:
        One row per weight layer except the output: `run_id`, `task`, `model`, `depth`, `seed`, `settings`, `layer`
        (from 1 at the input), `name` (of the module whose output is the response), `is_added` (whether it is added to a
        shortcut, as the last layer of a residual block), `deviation` (the standard deviation), and `rank` (of the
        standard deviation in its net, from 1 for the largest).
    """
    layers = weight_layers(stored)[:-1]
    parts: dict[str, list[Tensor]] = defaultdict(list)  # by layer, for each batch: (values, mean, variance)

    def note(name: str, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        variance, mean = torch.var_mean(output, correction=0)
        parts[name].append(torch.stack([torch.full_like(mean, output.numel()), mean, variance]))

    responses = {layer.name: stored.net.get_submodule(layer.response) for layer in layers}
    handles = (module.register_forward_hook(partial(note, name)) for name, module in responses.items())
    with hooked(handles), torch.no_grad():
        for inputs in torch.split(stored.data.test_inputs[: stored.run[EVAL_SIZE]], EVALUATION_BATCH):
            stored.net(stored.data.prepare(inputs))

    statistics = torch.stack([torch.stack(parts[layer.name]) for layer in layers]).cpu().double()  # (layer, batch, 3)
    added = _added_to_shortcuts(stored.net, [layer.name for layer in layers])
    measured = {
        "layer": range(1, len(layers) + 1),
        "name": [layer.response for layer in layers],
        "is_added": [layer.name in added for layer in layers],
        "deviation": _pooled_std(*statistics.unbind(dim=2)),
    }
    frame = table_of(stored.run, measured, settings)
    ranks = frame["deviation"].rank(ascending=False, method="first", na_option="bottom")
    return frame.assign(rank=ranks.astype(int))


def _added_to_shortcuts(net: nn.Module, layers: Sequence[str]) -> set[str]:
    """The `layers` that are the last of a residual block."""
    blocks = [name.rpartition(".")[0] for name, module in net.named_modules() if isinstance(module, Addition)]
    return {[layer for layer in layers if layer.startswith(f"{block}.")][-1] for block in blocks}


def _pooled_std(counts: Tensor, means: Tensor, variances: Tensor) -> Tensor:
    """The standard deviation of all values from the statistics of their parts, along dim 1."""
    weights = counts / counts.sum(dim=1, keepdim=True)
    mean = (weights * means).sum(dim=1, keepdim=True)
    return (weights * (variances + (means - mean).square())).sum(dim=1).sqrt()


def summarise(frame: pd.DataFrame, settings: Sequence[str] = ()) -> pd.DataFrame:
    """The size of responses in a row for each combination of `settings`, `depth` and `model`.

    It holds the number of `seeds`, and medians over seeds of the `mean` and the `largest` standard deviation of a net's
    layers, and of the mean standard deviation of the responses that are `added` to a shortcut.
    """
    group = [*settings, "depth", "model"]
    nets = frame.groupby([*group, "run_id"], dropna=False)["deviation"].agg(["mean", "max"])
    nets["added"] = frame[frame["is_added"]].groupby([*group, "run_id"], dropna=False)["deviation"].mean()
    of_group = nets.groupby(group, dropna=False)
    medians = of_group.median().rename(columns={"max": "largest"})
    return medians.assign(seeds=of_group.size())[["seeds", "mean", "largest", "added"]].reset_index()
