"""The models, one family per file; see `resnet_cli.settings.discovery` for how they are found."""

from typing import TYPE_CHECKING

from resnet_cli.models.activations import ACTIVATIONS
from resnet_cli.models.settings import ACTIVATION, INIT, INIT_BIAS_STD, INIT_STD
from resnet_cli.settings.discovery import Catalogue
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run

if TYPE_CHECKING:
    from torch import nn

    from resnet_cli.models.base import Model

CATALOGUE: Catalogue["Model"] = Catalogue("Model", __name__, "MODELS")
all_models, get_model = CATALOGUE.all, CATALOGUE.get


def role_of(name: str) -> str:
    """The role of a model; `other` of one that is not registered here, since results may come from elsewhere."""
    return all_models()[name].role if name in all_models() else "other"


def twins() -> list[tuple[str, str]]:
    """Each plain model with the residual one of its family."""
    models = list(all_models().values())
    return [
        (plain.name, residual.name)
        for plain in models
        for residual in models
        if (plain.role, residual.role) == ("plain", "residual") and plain.family == residual.family
    ]


def describe_net(run: Run, input_shape: tuple[int, ...], outputs: int) -> "nn.Module":
    """The net of a run on torch's meta device, for counting: it allocates no memory for parameters.

    Raises:
        UserError: the run lacks a setting of the model, or a tensor has a size in bytes that no 64-bit number can hold.
    """
    import torch

    model = get_model(run.model)
    try:
        with torch.device("meta"):
            return model.build(run, input_shape, outputs)
    except KeyError as error:
        (name,) = error.args
        if name not in [setting.name for setting in model.settings]:
            raise
        raise UserError(f"{run.run_id} has no {name}, which {run.model} needs here; train it again.") from None
    except RuntimeError as error:
        if "overflow" not in str(error):
            raise
        raise UserError(f"{run.model} at depth {run.depth} has a tensor of over 2⁶³ bytes; make it smaller.") from None


def build_net(run: Run, input_shape: tuple[int, ...], outputs: int) -> "nn.Module":
    """The net of a run for inputs (features,) or (C, H, W), with its initial values, on the CPU in float32."""
    from resnet_cli.models.initialisation import initialise

    net = describe_net(run, input_shape, outputs).to_empty(device="cpu")
    gain = ACTIVATIONS[run.get(ACTIVATION) or "relu"].gain
    bias_std = run.get(INIT_BIAS_STD) or 0.0
    initialise(net, run[INIT], run.seed, run.get(INIT_STD), bias_std=bias_std, gain=gain)
    return net


def count_parameters(net: "nn.Module") -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in net.parameters())
