"""Which training examples a step learns from, and how they are augmented."""

import torch
from torch import Tensor

from resnet_cli.settings.run import Run
from resnet_cli.settings.seeding import derive_seed
from resnet_cli.tasks.data import Data, augment
from resnet_cli.training.device import send
from resnet_cli.training.schedule import length
from resnet_cli.training.settings import BATCH_SIZE


class Batches:
    """The training batches by step: one permutation of the training set per epoch, without its remainder.

    What is drawn for an epoch is copied to the device when its first step asks for it; nothing else leaves the host.
    """

    def __init__(self, run: Run, data: Data) -> None:
        self.run, self.data, self.epoch_steps = run, data, length(run, len(data.train_inputs))[2]
        self.epoch = -1

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """The inputs and targets of a step."""
        return self.gather(*self.choice(step))

    def choice(self, step: int) -> tuple[Tensor, Tensor | None]:
        """The numbers of a step's examples, (B,), and how to crop them, (B, 3), if they are augmented."""
        epoch, position = divmod(step, self.epoch_steps)
        if epoch != self.epoch:
            self._begin(epoch)
        return self.order[position], None if self.draws is None else self.draws[position]

    def gather(self, chosen: Tensor, draws: Tensor | None) -> tuple[Tensor, Tensor]:
        """The inputs and targets that a `choice` stands for."""
        inputs = self.data.train_inputs[chosen]
        inputs = self.data.prepare(inputs) if draws is None else self.data.prepare_crops(inputs, draws)
        return inputs, self.data.train_targets[chosen]

    def _begin(self, epoch: int) -> None:
        examples, batch, device = len(self.data.train_inputs), self.run[BATCH_SIZE], self.data.device
        used = self.epoch_steps * batch
        order = batch_order(self.run.seed, epoch, examples)[:used]
        self.order = send(order.view(self.epoch_steps, batch), device)
        self.draws: Tensor | None = None
        if self.data.crop_padding:
            generator = torch.Generator().manual_seed(derive_seed(self.run.seed, "augmentation", epoch))
            draws = augment.draw(used, self.data.crop_padding, generator)
            self.draws = send(draws.view(self.epoch_steps, batch, -1), device)
        self.epoch = epoch


def batch_order(seed: int, epoch: int, examples: int) -> Tensor:
    """The order (examples,) of the training set in an epoch, by seed: drawn on the CPU, the same for all devices."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "data order", epoch))
    return torch.randperm(examples, generator=generator)
