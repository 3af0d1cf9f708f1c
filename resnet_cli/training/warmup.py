"""Warm-up that ends with the training error instead of after a number of steps.

He et al., "Deep Residual Learning for Image Recognition" (2015, arXiv 1512.03385), section 4.2: a net of 110 layers
starts at a tenth of the learning rate, until its training error is below 80 %, which takes it about 400 steps.
"""

import torch
from torch import Tensor

from resnet_cli.settings.run import Run
from resnet_cli.store.tensors import same_form
from resnet_cli.tasks.data import Data
from resnet_cli.training.settings import BATCH_SIZE, WARMUP_STEPS, WARMUP_UNTIL_ERROR, WARMUP_WINDOW


class Warmup:
    """Decides when the warm-up of a run ends.

    Errors are those of the training batches: in training mode, augmented, before the step that learns from them. They
    are counted on the device. After every `WARMUP_WINDOW` steps of warm-up, and at no other step, their number is
    copied to the host; if the error of these steps is below `warmup_until_error`, the next step has the full learning
    rate.

    Attributes:
        end: the first step after the warm-up; None unless the training error has ended it.
    """

    def __init__(self, run: Run, data: Data) -> None:
        self.data, self.threshold = data, run.get(WARMUP_UNTIL_ERROR) or 0.0
        self.most_steps, self.examples = run[WARMUP_STEPS], WARMUP_WINDOW * run[BATCH_SIZE]
        self.end: int | None = None
        self.errors = torch.zeros((), dtype=torch.int64, device=data.device)  # of the current window

    @torch.no_grad()
    def observe(self, step: int, outputs: Tensor, targets: Tensor) -> None:
        """Count the errors of step number `step`, from outputs (B, classes) and classes (B,)."""
        if self.threshold == 0 or self.end is not None or step >= self.most_steps:
            return
        errors = self.data.errors(outputs, targets)
        assert errors is not None
        self.errors += errors.sum()
        if (step + 1) % WARMUP_WINDOW == 0:
            if 100 * self.errors.item() / self.examples < self.threshold:
                self.end = step + 1
            self.errors.zero_()

    def state(self) -> dict[str, int] | None:
        """What a checkpoint must hold; None for a run whose warm-up does not depend on errors."""
        if self.threshold == 0:
            return None
        return {"end": -1 if self.end is None else self.end, "errors": int(self.errors)}

    def fits(self, state: object, step: int) -> bool:
        """Whether `state` has the form of this run's after `step` steps."""
        if not isinstance(state, dict):
            return state is None and self.threshold == 0
        return same_form(state, self.state()) and -1 <= state["end"] <= step

    def load(self, state: dict[str, int] | None) -> None:
        """Continue from a state that fits."""
        if state is not None:
            self.end = state["end"] if state["end"] >= 0 else None
            self.errors.fill_(state["errors"])
