"""Training one net: the reference implementation that defines every result.

A step takes its batch from the epoch's permutation. Permutation, augmentation and random layers have generators that
are seeded by the run's seed, a name and the position in the training, which is the pair (epoch, step) alone. A resumed
run therefore needs only parameters and optimiser state to continue with identical bits, and what a warm-up that the
training error ends has counted.

Within an epoch nothing waits for the device: batches are gathered, augmented and normalised there, and losses are
copied to the host only at evaluations; errors also every `WARMUP_WINDOW` steps of such a warm-up. On a CUDA device, the
hundreds of operations of a step can be recorded once and replayed with two calls (`graphs.py`).
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from resnet_cli.models import build_net, count_parameters
from resnet_cli.models.base import StochasticDepth, drawing_layers
from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from resnet_cli.store.record import RunRecord
from resnet_cli.store.tensors import same_form
from resnet_cli.tasks.data import Data
from resnet_cli.training.checkpoint import Checkpoint, State, load_state, state_fits, state_of
from resnet_cli.training.evaluation import Evaluation, metrics_rows
from resnet_cli.training.graphs import GraphedStep, Recorder
from resnet_cli.training.optimizers import build_optimizer
from resnet_cli.training.recompute import recompute_blocks
from resnet_cli.training.schedule import learning_rate, length
from resnet_cli.training.settings import EVAL_SIZE
from resnet_cli.training.step import EagerStep, precision
from resnet_cli.training.warmup import Warmup

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.float32}
EVALUATION_BATCH = 2000


def train(
    run: Run,
    data: Data,
    *,
    checkpoint: Checkpoint | None = None,
    recompute: bool = False,
    recorder: Recorder | None = None,
    start: Mapping[str, Tensor] | None = None,
    probe: Callable[[nn.Module, int], None] = lambda net, step: None,
    on_evaluation: Callable[[Metrics, int], None] = lambda metrics, total_steps: None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> RunRecord:
    """Train the net of `run` on `data`, on the device where the data are.

    The net is evaluated before the first step, at every `eval_every` and after the last step. Training stops with the
    status `diverged` at the first of these evaluations, other than the one before the first step, whose training or
    test loss is not finite.

    Args:
        run: the settings.
        data: loaded for them and moved to a device in the run's precision.
        checkpoint: where to save the state from time to time, and from which to resume if it holds a state.
        recompute: whether to recompute blocks in the backward pass, which saves memory and does not change results.
        recorder: records steps and replays them where that is possible (`graphs.py`); None takes each step eagerly.
            A `probe` must then leave the parameters' gradients as they are, too.
        start: a state dict to start from instead of the run's initial values.
        probe: called with the net and the step at each evaluation; must leave the net as it is.
        on_evaluation: called with each new evaluation and the total number of steps.
        tell: called with a sentence that says why steps are not replayed although there is a recorder.

    Raises:
        UserError: the batch is larger than the training set.
    """
    total_steps, interval, epoch_steps = length(run, len(data.train_inputs))

    net = data.adapt(build_net(run, data.input_shape, data.outputs))
    if start is not None:
        net.load_state_dict(start)
    if recompute:
        recompute_blocks(net)
    optimizer = build_optimizer(run, net.parameters())
    generators = _attach_generators(net, data.device)
    if recorder is None:
        steps = EagerStep(run, data, net, optimizer, generators)
    else:
        steps = GraphedStep(run, data, net, optimizer, generators, recorder=recorder, recompute=recompute, tell=tell)
    warmup = Warmup(run, data)

    def fits(state: State) -> bool:
        return (
            same_form(state.net, net.state_dict())
            and state_fits(state.optimizer, run, [*net.parameters()])
            and warmup.fits(state.warmup, state.step)
        )

    step, history = 0, list[Metrics]()
    if checkpoint is not None and (state := checkpoint.load([run.run_id], total_steps, fits)):
        net.load_state_dict(state.net)
        load_state(optimizer, state.optimizer)
        warmup.load(state.warmup)
        step, history = state.step, state.history

    def record(gradient_norm: Tensor | None) -> None:
        rate = learning_rate(run, max(step - 1, 0), total_steps, warmup.end)
        history.append(evaluate(net, run, data, step, step / epoch_steps, rate, gradient_norm))
        on_evaluation(history[-1], total_steps)
        probe(net, step)

    if not history:
        if start is None:
            _begin_statistics(net, steps.batches[0][0])
        record(gradient_norm=None)
    while step < total_steps and (history[-1].step == 0 or is_finite(history[-1])):
        outputs, targets = steps.take(step, learning_rate(run, step, total_steps, warmup.end))
        warmup.observe(step, outputs, targets)
        step += 1
        if step % interval == 0 or step == total_steps:
            record(gradient_norm(net))
        if checkpoint is not None and step < total_steps and checkpoint.is_due():
            checkpoint.save(State([run.run_id], net.state_dict(), state_of(optimizer), step, history, warmup.state()))

    return RunRecord(
        status="done" if is_finite(history[-1]) else "diverged",
        run=run,
        parameters=count_parameters(net),
        environment=steps.environment(),
        history=history,
        state=net.state_dict(),
    )


@torch.no_grad()
def evaluate(
    net: nn.Module, run: Run, data: Data, step: int, epoch: float, rate: float, gradient_norm: Tensor | None
) -> Metrics:
    """Loss and error of `net` in evaluation mode on the first `eval_size` training and test examples.

    All sums are computed on the device and copied to the host together.
    """
    net.eval()
    limit = run[EVAL_SIZE]
    train_sums = _sums(net, run, data, data.train_inputs[:limit], data.train_targets[:limit])
    test_sums = _sums(net, run, data, data.test_inputs[:limit], data.test_targets[:limit])
    found = Evaluation(
        train=train_sums[:, None],
        test=test_sums[:, None],
        gradient_norms=None if gradient_norm is None else gradient_norm[None],
        parameters=[parameter[None] for parameter in net.parameters()],
    )
    (metrics,) = metrics_rows(found, [run], data, step=step, epoch=epoch, rates=[rate])
    return metrics


def _sums(net: nn.Module, run: Run, data: Data, inputs: Tensor, targets: Tensor) -> Tensor:
    """Summed loss and number of errors over some examples, (2,)."""
    total = torch.zeros(2, dtype=data.dtype, device=data.device)
    for some_inputs, some_targets in zip(
        torch.split(inputs, EVALUATION_BATCH), torch.split(targets, EVALUATION_BATCH), strict=True
    ):
        with precision(run, data.device):
            outputs = net(data.prepare(some_inputs))
        outputs = outputs.to(data.dtype)
        total[0] += data.losses(outputs, some_targets).sum()
        errors = data.errors(outputs, some_targets)
        if errors is not None:
            total[1] += errors.sum()
    return total


@torch.no_grad()
def _begin_statistics(net: nn.Module, inputs: Tensor) -> None:
    """Initialise the running statistics of batch norm with those of some inputs, instead of mean 0 and variance 1.

    The evaluation before the first step uses running statistics. With 0 and 1 the variance in a residual net would
    double from block to block, and at a thousand layers its loss would overflow. Training itself does not use them.
    """
    norms = [layer for layer in net.modules() if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    net.train()
    for layer in net.modules():
        if isinstance(layer, StochasticDepth):
            layer.eval()  # no block is dropped
    net(inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def gradient_norm(net: nn.Module) -> Tensor:
    """The Euclidean norm of the gradient over all parameters, as a tensor on the device."""
    return nn.utils.get_total_norm([p.grad for p in net.parameters() if p.grad is not None])


def is_finite(metrics: Metrics) -> bool:
    """Whether both losses of an evaluation are finite."""
    return math.isfinite(metrics.train_loss) and math.isfinite(metrics.test_loss)


def _attach_generators(net: nn.Module, device: torch.device) -> dict[str, torch.Generator]:
    """Give random layers their generators, one for each stream; returns them by stream."""
    generators: dict[str, torch.Generator] = {}
    for layer in drawing_layers(net):
        place = torch.device("cpu") if layer.on_host else device
        layer.generator = generators.setdefault(layer.stream, torch.Generator(place))
    return generators
