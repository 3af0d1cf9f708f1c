"""Training steps that are recorded once as CUDA graphs, and then replayed with two calls instead of hundreds.

A graph holds kernels, addresses and every number that Python gave to a kernel. What changes from step to step must
therefore lie in memory that the graph reads:

- The numbers of a batch's examples, and how they are cropped, are copied there before each replay. The first graph
  gathers, augments and normalises the batch, and leaves the gradient in the parameters.
- The second graph is the update. It holds the learning rate, so it is recorded again when the rate has changed, and
  while the rate changes at every step, updates are eager. Torch's fused optimisers can read the rate from memory, but
  only as float32, and results would not be those of eager steps. Optimisers that are not fused are always eager.

The first steps are eager ones on the stream on which the graphs are recorded, as torch asks for: they choose
algorithms, and create handles and the optimiser's state. They are steps of the training, so nothing has to be undone.
The last of them is watched for anything that would wait for the device, which cannot be recorded.

Recording executes nothing. The gradient of the first replay is compared with an eager one for the same batch, and that
step continues with the eager one. If they differ by more than rounding, or anything else fails, steps stay eager, and a
sentence says why. Results are those of eager steps in every case.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Protocol

import torch
from torch import Tensor, nn

from resnet_cli.settings.errors import shorten
from resnet_cli.settings.run import Run
from resnet_cli.tasks.data import Data
from resnet_cli.training.settings import PRECISION
from resnet_cli.training.step import EagerStep

EAGER_STEPS = 3
"""Number of steps before the recording; torch asks for three."""

GRADIENT_TOLERANCE, MIXED_TOLERANCE = 0.01, 0.3
"""Most that the gradient of a replay may differ from an eager one, relative to its norm, and in bfloat16.

Some kernels add in an order that changes from call to call, so the two may be rounded differently. Rounding moves a
gradient by up to 4e-3 in float32 (against float64, all models, through ReLUs whose input is close to 0) and by up to
0.17 in bfloat16 (after three steps of the shallowest nets, width 4, on digits, without those for ImageNet, which leave
one pixel there); two results that are rounded independently are then 0.24 apart. The gradients of two batches of these
nets differ by 0.76 or more, which is what a graph that reads an earlier batch would show.
"""

Work = Callable[[], None]


class Recorder(Protocol):
    """Records work on a device, to be replayed."""

    def aside(self) -> contextlib.AbstractContextManager[object]:
        """What is done in this context is done where work is recorded, after all before it and before all after it."""

    def watch(self) -> contextlib.AbstractContextManager[list[str]]:
        """The list has, after this context, a message for each time that the host waited for the device."""

    def record(self, work: Work) -> Work:
        """Call `work` once, without effect on the device; returns a function that repeats its effect there.

        Raises:
            RuntimeError: the work cannot be recorded.
        """

    def release(self) -> None:
        """Give memory that is kept for later, and that nothing uses, back to the device."""


class CudaRecorder:
    """Records CUDA graphs on a stream of its own."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.stream = device, _stream_of(device)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """See `Recorder`."""
        current = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        try:
            with torch.cuda.stream(self.stream):
                yield
        finally:
            current.wait_stream(self.stream)

    @contextlib.contextmanager
    def watch(self) -> Iterator[list[str]]:
        """See `Recorder`."""
        found: list[str] = []
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                yield found
            finally:
                torch.cuda.set_sync_debug_mode(before)
        messages = [str(warning.message) for warning in caught]
        found += [message for message in messages if "called a synchronizing CUDA operation" in message]

    def record(self, work: Work) -> Work:
        """See `Recorder`."""
        graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self.device)
        try:
            with torch.cuda.graph(graph, stream=self.stream):
                work()
        except BaseException:
            torch.cuda.set_stream(current)  # torch leaves its own behind when a recording fails
            raise
        return graph.replay

    def release(self) -> None:
        """See `Recorder`."""
        torch.cuda.empty_cache()


def recorder_of(device: torch.device) -> Recorder | None:
    """What records steps on a device; None if it has no graphs."""
    return CudaRecorder(device) if device.type == "cuda" else None


def eager_sentence(obstacle: str) -> str:
    """Tells a person that steps are not replayed."""
    return f"Training steps are not replayed as CUDA graphs: {obstacle}."


def eager_environment(obstacle: str) -> dict[str, object]:
    """What a run's record says of steps that were not replayed."""
    return {"cuda_graphs": False, "why_no_cuda_graphs": obstacle}


def recording_failed(error: RuntimeError) -> str:
    """The obstacle that an error of a recording is."""
    return f"recording failed: {_in_a_line(error)}"


def _in_a_line(error: RuntimeError) -> str:
    return shorten(" ".join(str(error).split()), 200)


@cache
def _stream_of(device: torch.device) -> torch.cuda.Stream:
    """One stream for all recordings of a process: torch keeps memory for the products of each."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


class GraphedStep(EagerStep):
    """Takes the steps of a run eagerly at first, and from then on by replaying what was recorded.

    Args:
        run, data, net, optimizer, generators: see `EagerStep`.
        recorder: of the device of the net.
        recompute: whether blocks are recomputed in the backward pass.
        tell: called with a sentence if steps stay eager.

    Attributes:
        obstacle: why steps stay eager; empty as long as nothing is known to prevent a recording.
    """

    def __init__(
        self,
        run: Run,
        data: Data,
        net: nn.Module,
        optimizer: torch.optim.Optimizer,
        generators: Mapping[str, torch.Generator],
        *,
        recorder: Recorder,
        recompute: bool = False,
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        super().__init__(run, data, net, optimizer, generators)
        self.recorder, self.tell = recorder, tell
        self.obstacle, self.eager_steps, self.rate = "", 0, float("nan")
        self.replay: Work | None = None
        self.replay_update: Work | None = None
        self.can_record_update = bool(optimizer.defaults.get("fused"))
        if generators:
            self._stay_eager(f"{' and '.join(generators)} draws random numbers in every step")
        elif recompute:
            self._stay_eager("--recompute runs blocks a second time in the backward pass")

    def take(self, step: int, rate: float) -> tuple[Tensor, Tensor]:
        """See `EagerStep`."""
        if self.obstacle:
            return super().take(step, rate)
        if self.replay is not None:
            self._choose(step)
            self.replay()
        elif self.eager_steps < EAGER_STEPS:
            return self._take_aside(step, rate)
        elif not self._begin(step):
            return super().take(step, rate)
        self._update(rate)
        return self.outputs, self.targets

    def environment(self) -> dict[str, object]:
        """Whether steps were replayed, and why not."""
        if self.replay is not None:
            return {"cuda_graphs": True}
        return eager_environment(self.obstacle or f"at most {EAGER_STEPS} steps were taken")

    def _take_aside(self, step: int, rate: float) -> tuple[Tensor, Tensor]:
        self.eager_steps += 1
        is_last = self.eager_steps == EAGER_STEPS
        with self.recorder.aside(), self.recorder.watch() if is_last else contextlib.nullcontext([]) as waits:
            result = super().take(step, rate)
        if waits:
            self._stay_eager(f"the host waits for the device {len(waits)} times in a step: {shorten(waits[0], 100)}")
        return result

    def _choose(self, step: int) -> None:
        """Put the choice of a step's batch where the graph reads it."""
        chosen, draws = self.batches.choice(step)
        self.chosen.copy_(chosen)
        if self.draws is not None and draws is not None:
            self.draws.copy_(draws)

    def _learn_what_is_chosen(self) -> None:
        self.outputs, self.targets = self.learn(self.chosen, self.draws)

    def _recorded(self, work: Work, step: int | None = None) -> Work | None:
        """What repeats some work; None if it cannot be recorded, and steps stay eager.

        A `step` allocates the memory for choices in the form of its own. They are others, so that a graph that keeps
        them differs in the comparison.
        """
        if step is not None:
            chosen, draws = self.batches.choice(step)
            self.chosen, self.draws = torch.zeros_like(chosen), None if draws is None else torch.zeros_like(draws)
        try:
            return self.recorder.record(work)
        except RuntimeError as error:
            self._stay_eager(recording_failed(error))
            return None

    def _begin(self, step: int) -> bool:
        """Record a step and compare it with an eager one; False if that failed, and nothing of the step is done yet."""
        replay = self._recorded(self._learn_what_is_chosen, step)
        if replay is None:
            return False
        buffers: list[tuple[Tensor, Tensor]] = []
        problem = ""
        try:
            buffers += [(buffer, buffer.clone()) for buffer in self.net.buffers()]
            self._compare(step, replay, buffers)
        except RuntimeError as error:
            problem = _in_a_line(error)
        del replay  # with the error, the last that holds the memory of the graph, and of a second step beside it
        if problem:
            for buffer, before in buffers:
                buffer.copy_(before)
            self.optimizer.zero_grad()
            self.outputs = self.targets = torch.empty(0)
            self._stay_eager(f"comparing the graph with an eager step failed: {problem}")
        self.recorder.release()  # what the stream of the eager steps kept serves no other
        return not problem

    def _compare(self, step: int, replay: Work, buffers: list[tuple[Tensor, Tensor]]) -> None:
        """Leave the eager gradient of a step where the graph writes its own, and compare the two.

        Each of the net's `buffers` comes with its value before the step.
        """
        self._choose(step)
        replay()
        parameters = [parameter for parameter in self.net.parameters() if parameter.grad is not None]
        written = [parameter.grad for parameter in parameters]
        replayed = [gradient.clone() for gradient in written if gradient is not None]
        for buffer, before in buffers:
            buffer.copy_(before)
        with self.recorder.aside():
            outputs, targets = self.learn(*self.batches.choice(step))
        eager = [parameter.grad for parameter in parameters if parameter.grad is not None]
        size = nn.utils.get_total_norm(eager).item()
        apart = nn.utils.get_total_norm([one - other for one, other in zip(eager, replayed, strict=True)]).item()
        tolerance = MIXED_TOLERANCE if self.run[PRECISION] == "bfloat16" else GRADIENT_TOLERANCE
        if not apart <= tolerance * size:
            self.outputs, self.targets = outputs, targets
            self._stay_eager(
                f"the first gradient of the graph differs by {apart:.2g} from the eager one, of {size:.2g}"
            )
            return
        self.outputs.copy_(outputs)
        for parameter, gradient, own in zip(parameters, written, eager, strict=True):
            assert gradient is not None
            parameter.grad = gradient.copy_(own)
        self.replay = replay

    def _update(self, rate: float) -> None:
        """Update the parameters by a graph if the rate is that of the step before."""
        if self.obstacle or rate != self.rate or not self.can_record_update:
            self.rate, self.replay_update = rate, None
            self.update(rate)
            return
        if self.replay_update is None:
            self.replay_update = self._recorded(self._update_as_before)
        if self.replay_update is None:
            self.update(rate)
        else:
            self.replay_update()

    def _update_as_before(self) -> None:
        groups = [group for group in self.optimizer.param_groups if "capturable" in group]
        for group in groups:  # torch asks for it; it changes nothing about fused optimisers
            group["capturable"] = True
        try:
            self.optimizer.step()
        finally:
            for group in groups:
                group["capturable"] = False

    def _stay_eager(self, obstacle: str) -> None:
        self.obstacle, self.replay, self.replay_update = obstacle, None, None
        self.tell(eager_sentence(obstacle))
