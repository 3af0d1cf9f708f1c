"""One training step of a net on one batch: forward pass, backward pass and update."""

import contextlib
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from resnet_cli.models.base import AuxiliaryHead
from resnet_cli.settings.run import Run
from resnet_cli.settings.seeding import derive_seed
from resnet_cli.tasks.data import Data
from resnet_cli.training.batches import Batches
from resnet_cli.training.settings import PRECISION


class EagerStep:
    """Takes the steps of a run, each of its operations launched one after another.

    Args:
        run: the settings.
        data: loaded for them, on the device of the net.
        net: in the precision of the data.
        optimizer: of the net's parameters.
        generators: of the net's random layers, by stream; they are seeded anew for every step.
    """

    def __init__(
        self,
        run: Run,
        data: Data,
        net: nn.Module,
        optimizer: torch.optim.Optimizer,
        generators: Mapping[str, torch.Generator],
    ) -> None:
        self.run, self.data, self.net, self.optimizer, self.generators = run, data, net, optimizer, generators
        self.batches, self.heads = Batches(run, data), auxiliary_heads(net)

    def take(self, step: int, rate: float) -> tuple[Tensor, Tensor]:
        """Take step number `step` at a learning rate, without waiting for the device.

        Returns:
            The net's outputs before the update, (B, outputs), and the batch's targets, (B,) or (B, outputs); they are
            valid until the next step.
        """
        for stream, generator in self.generators.items():
            generator.manual_seed(derive_seed(self.run.seed, stream, step))
        result = self.learn(*self.batches.choice(step))
        self.update(rate)
        return result

    def environment(self) -> dict[str, object]:
        """What a run's record says about how its steps were taken."""
        return {}

    def learn(self, chosen: Tensor, draws: Tensor | None) -> tuple[Tensor, Tensor]:
        """Leave the gradient for the batch of a choice in the parameters; returns what `take` does."""
        inputs, targets = self.batches.gather(chosen, draws)
        self.net.train()
        with precision(self.run, self.data.device):
            outputs = self.net(inputs)
        loss = training_loss(self.data, outputs, targets, self.heads)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        return outputs.detach(), targets

    def update(self, rate: float) -> None:
        """Take an optimiser step with the gradient in the parameters."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()


def auxiliary_heads(net: nn.Module) -> list[AuxiliaryHead]:
    """The auxiliary outputs of a net."""
    return [layer for layer in net.modules() if isinstance(layer, AuxiliaryHead)]


def training_loss(data: Data, outputs: Tensor, targets: Tensor, heads: Iterable[AuxiliaryHead]) -> Tensor:
    """The loss of a batch that training minimises: the net's own and, with their weights, those of its heads.

    The outputs, (B, outputs), have just been computed in training mode; targets are (B,) or (B, outputs).
    """
    loss = data.losses(outputs.to(data.dtype), targets).mean()
    for head in heads:
        assert head.outputs is not None
        loss = loss + head.weight * data.losses(head.outputs.to(data.dtype), targets).mean()
    return loss


def precision(run: Run, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """The context in which the net of a run is evaluated: automatic mixed precision, if the run says so."""
    if run[PRECISION] == "bfloat16":
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()
