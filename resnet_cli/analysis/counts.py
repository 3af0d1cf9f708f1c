"""How large are the nets of the papers? Layers, parameters and multiply-adds, counted from the nets themselves."""

import pandas as pd
from torch import nn

from resnet_cli.models import count_parameters, describe_net, get_model
from resnet_cli.models.count import count_multiply_adds
from resnet_cli.models.imagenet import CLASSES, COMPARED, SIDE
from resnet_cli.planning.plan import plan_sweep

IMAGE = (3, SIDE, SIDE)


def imagenet_net(model: str, depth: int) -> nn.Module:
    """A net made for ImageNet as in its paper, for inputs of shape `IMAGE`, without memory for its parameters."""
    request = {**get_model(model).defaults, "task": "cifar10", "models": model, "depths": depth, "seeds": 0}
    (run,) = plan_sweep(request).runs
    return describe_net(run, IMAGE, CLASSES)


def count_imagenet_nets() -> pd.DataFrame:
    """The nets that papers compare by size, for one image of 224×224 pixels and 1000 classes.

    Returns:
        One row per net: `net` (such as `VGG-16`), `layers` (convolutions and linear layers without those in shortcuts),
        `parameters` and `multiply_adds`.
    """
    rows = []
    for family, (model, depths) in COMPARED.items():
        for depth in depths:
            net = imagenet_net(model, depth)
            layers = sum(
                isinstance(module, (nn.Conv2d, nn.Linear)) and ".shortcut" not in name
                for name, module in net.named_modules()
            )
            rows.append((f"{family}-{depth}", layers, count_parameters(net), count_multiply_adds(net, IMAGE)))
    return pd.DataFrame(rows, columns=["net", "layers", "parameters", "multiply_adds"])
