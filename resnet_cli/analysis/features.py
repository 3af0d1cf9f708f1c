"""What the layers of a CNN see: feature maps of an image, their statistics, and the filters of the first convolution.

Zeiler & Fergus 2013, "Visualizing and Understanding Convolutional Networks" (arXiv 1311.2901): the first layers detect
edges and colours, later ones what these form. Lu et al. 2019, "Dying ReLU and Initialization" (arXiv 1903.06733): a
channel that is zero for every image is dead.

A layer here is a block, or what precedes the first block: the first convolution with its norm and activation.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from resnet_cli.analysis.trained_nets import StoredNet, blocks_of, hooked, table_of
from resnet_cli.models import get_model
from resnet_cli.settings import registry
from resnet_cli.settings.errors import UserError
from resnet_cli.store.record import RunRecord
from resnet_cli.training.loop import EVALUATION_BATCH
from resnet_cli.training.settings import EVAL_SIZE


def pick_cnns(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """The deepest residual CNN of the lowest seed, after its plain twin if there is one; or else the deepest CNN.

    A twin has the same depth and seed, and the same value of each setting that both have. UserError without any CNN.
    """
    cnns = [stored for stored in runs if get_model(stored.run.model).family == "cnn"]
    if not cnns:
        models = ", ".join(sorted({stored.run.model for stored in runs}))
        raise UserError(f"The nets selected ({models}) are MLPs, which have no feature maps; select a CNN.")

    def preference(stored: RunRecord) -> tuple[bool, int, int]:
        return get_model(stored.run.model).role == "residual", stored.run.depth, -stored.run.seed

    def is_plain_twin(stored: RunRecord) -> bool:
        names = ("depth", "seed", *registry.names_in_order([stored.run, chosen.run]))
        pairs = [(stored.run.get(name), chosen.run.get(name)) for name in names]
        return get_model(stored.run.model).role == "plain" and all(a == b for a, b in pairs if None not in (a, b))

    chosen = max(cnns, key=preference)
    twins = [stored for stored in cnns if get_model(chosen.run.model).role == "residual" and is_plain_twin(stored)]
    return [*twins[:1], chosen]


@torch.no_grad()
def feature_maps(stored: StoredNet, *, image: int, layers: int, maps: int) -> pd.DataFrame:
    """The feature maps of each layer of a CNN in evaluation mode: pictures for one image, statistics over many.

    Args:
        stored: the net.
        image: number of the test image for the pictures, from 0.
        layers: number of layers with pictures, spread evenly from the first to the last.
        maps: number of channels with pictures in each of these layers, and of filters in the first convolution.

    Returns one row for the image, one per filter of the first convolution, and one per channel of every layer:

        run_id, task, model, depth, seed
        image            number of the test image
        target, answer   its class, and the class that the net predicts
        examples         number of test images in the statistics: the first ones, at most 2000
        part             image, filter or map
        layer            0 for the image and the filters, 1 for the first convolution, 2 for the first block, and so on
        name             of the layer
        map              number of the filter or channel, from 1
        height, width    in pixels
        mean, deviation  mean and standard deviation of a filter's weights, or of a channel over pixels and examples
        zeros            the share of these values that are exactly zero; a channel where it is 1 is dead
        pixels           the picture as JSON: rows of numbers, or of [red, green, blue] for a colour image and its
                         filters; the image has values from 0 to 1; None where there is no picture

    Raises:
        UserError: there is no such image.
    """
    run, data = stored.run, stored.data
    last = len(data.test_inputs) - 1
    if not 0 <= image <= last:
        raise UserError(f"image (={image}) must be from 0 to {last}, the number of the last test image.")
    names = ["first convolution", *(f"block {block.index + 1}" for block in blocks_of(stored))]
    pictured = {round(place) for place in np.linspace(0, len(names) - 1, layers)}
    shown = data.test_inputs[image : image + 1]
    many = data.test_inputs[: min(run[EVAL_SIZE], EVALUATION_BATCH)]
    inputs = data.prepare(torch.cat([shown, many]))
    convolution = next(module for module in stored.net.modules() if isinstance(module, nn.Conv2d))
    filters = convolution.weight  # (F, C, h, w)
    rows = [
        *_rows("image", 0, "image", inputs[1:].flatten(0, 1)[:, None], [_picture(shown[0] / 255)]),
        *_rows("filter", 0, names[0], filters.transpose(0, 1), [_picture(one) for one in filters[:maps]]),
    ]

    def record(output: Tensor) -> None:
        """Describe the next layer's output for the image and all examples, (1 + N, channels, height, width)."""
        layer = int(rows[-1]["layer"])
        pictures = [_picture(one[None]) for one in output[0, :maps]] if layer in pictured else []
        rows.extend(_rows("map", layer + 1, names[layer], output[1:], pictures))

    blocks = list(stored.net.get_submodule("blocks").children())
    handles = [
        blocks[0].register_forward_pre_hook(lambda block, args: record(args[0])),
        *(block.register_forward_hook(lambda block, args, output: record(output)) for block in blocks),
    ]
    with hooked(handles):
        answer = stored.net(inputs)[0].argmax()

    told = {"image": image, "target": int(data.test_targets[image]), "answer": int(answer), "examples": len(many)}
    return table_of(run, [told | row for row in rows])


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """What the channels of each net do: how many `channels` are `dead`, and their mean share of `zeros` in percent.

    Of what `feature_maps` gives it makes a row for each net, with `model`, `depth`, `seed`, `target` and `answer`.
    """
    maps = frame[frame["part"] == "map"].assign(dead=lambda of: of["zeros"] == 1, zeros=lambda of: 100 * of["zeros"])
    of_net = maps.groupby(["run_id", "model", "depth", "seed", "target", "answer"], sort=False)
    return of_net.agg(channels=("map", "size"), dead=("dead", "sum"), zeros=("zeros", "mean")).reset_index().iloc[:, 1:]


def _rows(part: str, layer: int, name: str, values: Tensor, pictures: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each channel of `values`, (examples, channels, height, width), the first ones with `pictures`."""
    deviations, means = torch.std_mean(values, dim=(0, 2, 3), correction=0)
    zeros = (values == 0).to(values.dtype).mean(dim=(0, 2, 3))
    statistics = torch.stack([means, deviations, zeros], dim=1).tolist()  # (channels, 3)
    return [
        {
            "part": part,
            "layer": layer,
            "name": name,
            "map": number + 1,
            "height": values.shape[2],
            "width": values.shape[3],
            "mean": mean,
            "deviation": deviation,
            "zeros": share,
            "pixels": pictures[number] if number < len(pictures) else None,
        }
        for number, (mean, deviation, share) in enumerate(statistics)
    ]


def _picture(channels: Tensor) -> str:
    """(1, H, W) as JSON of H rows of W numbers, (3, H, W) of H × W × 3; five digits, since it is for the eye."""
    pixels = channels.movedim(0, -1).double().cpu().numpy()
    pixels = pixels.squeeze(2) if pixels.shape[2] == 1 else pixels
    return json.dumps(np.vectorize(lambda value: float(f"{value:.5g}"))(pixels).tolist(), separators=(",", ":"))
