"""The tensors of a task, and what is drawn from them: training subsets, statistics of channels, augmentation."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_cli.tasks.base import Loss
from resnet_cli.tasks.data import augment


@dataclass(frozen=True)
class Data:
    """A task's tensors, all on one device.

    Images are stored as uint8 (N, C, H, W) and standardised batch by batch; other inputs are floats (N, features).
    Targets are class numbers, int64 (N,), or floats (N, outputs).
    """

    train_inputs: Tensor
    train_targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    loss: Loss
    outputs: int
    mean: Tensor | None = None  # (C,), of the whole training set, on the scale 0 to 1; or of each pixel, (C, H, W)
    deviation: Tensor | None = None  # (C,), the standard deviation; 1 beside the mean of each pixel
    dtype: torch.dtype = torch.float32
    crop_padding: int = 0  # pixels of padding for random crops; 0: training images are not augmented

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input: (features,) or (C, H, W)."""
        return tuple(self.train_inputs.shape[1:])

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.train_inputs.device

    def to(self, device: torch.device, dtype: torch.dtype) -> "Data":
        """The same data on `device`, with floats as `dtype`; uint8 images stay uint8 until they are standardised."""
        tensors: dict[str, Any] = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        moved = {
            name: value.to(device, dtype if value.is_floating_point() else None) for name, value in tensors.items()
        }
        return replace(self, dtype=dtype, **moved)

    def prepare(self, inputs: Tensor) -> Tensor:
        """Turn stored inputs into inputs of a net: images are normalised with `mean` and `deviation`.

        (B, C, H, W) uint8 becomes (B, C, H, W) `dtype`, in the memory format of `adapt`; floats are returned unchanged.
        """
        if self.mean is None or self.deviation is None:
            return inputs
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        mean, deviation = self.mean if self.mean.ndim == 3 else self.mean[:, None, None], self.deviation[:, None, None]
        return inputs.to(self.dtype) * (255 * deviation).reciprocal() - mean / deviation

    def prepare_crops(self, images: Tensor, draws: Tensor) -> Tensor:
        """Turn stored training images into inputs of a net, cropped and flipped as `augment.draw` says, (B, 3).

        The padding of crops is black; or zero after normalisation, that is the mean, where each pixel has its own mean,
        which has to be subtracted before the pixels are moved (He et al. 2015, §4.2).
        """
        if self.mean is not None and self.mean.ndim == 3:
            return augment.apply(self.prepare(images), draws, self.crop_padding)
        return self.prepare(augment.apply(images, draws, self.crop_padding))

    def adapt(self, net: nn.Module) -> nn.Module:
        """The net, changed to the device and the precision of the data and, for images, to channels_last."""
        net = net.to(self.device, self.dtype)
        if len(self.input_shape) == 3:
            net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return net

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of each example, (B,): squared error averaged over outputs, or cross-entropy in nats.

        Raises:
            ValueError: there are more or fewer outputs than the task has.
        """
        if outputs.shape[1:] != (self.outputs,):
            raise ValueError(f"the net has outputs of shape {tuple(outputs.shape)}, the task {self.outputs}")
        if self.loss == "mse":
            return (outputs - targets).square().mean(dim=1)
        return F.cross_entropy(outputs, targets, reduction="none")

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor | None:
        """Whether each example is misclassified, (B,) bool; None on a regression task.

        A row of outputs that is not finite counts as an error.
        """
        if self.loss == "mse":
            return None
        return (outputs.argmax(dim=1) != targets) | ~outputs.isfinite().all(dim=1)
