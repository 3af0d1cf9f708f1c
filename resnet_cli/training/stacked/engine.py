"""Training many MLPs at once: one batched matrix product per layer instead of a small product per net.

The loop (`loop.py`) is the reference; this module gets the same results for plain and residual MLPs in less time. Nets
are sorted by depth, deepest first, so that those with a hidden layer l are the first n_l: all tensors of a layer are
stacked along a leading net axis, and a layer is one `bmm` over a prefix of the stack.

**Shapes.** N nets, B examples, W units in P > W columns, F inputs in Q > F columns. Unit W of a layer, and input F,
is the constant 1, so that a bias is column W of the next weights and its gradient comes with theirs; the rest is
padding (`packing.py`).

**Forward**, with A_l the activations (n_l, B, P) of hidden layer l, f the activation function, k the block size, l from
0:

    Z_l = A_{l-1} W_lᵀ + [l > 0 and k divides l] A_{l-k}        A_l = f(Z_l)        Y = A_last Vᵀ

**Backward**, with D the gradient of the loss with respect to A_l, and Δ_l that with respect to Z_l:

    D = ∂L/∂Y V                                       for every net, at its own last layer
    D += Δ_{l+k}             where a skip leaves l    (its end, layer l + k, has been processed already)
    Δ_l = D ∘ f'(Z_l)                                 (f' is computed from A_l: `models/activations.py`)
    ∂L/∂W_l = Δ_lᵀ A_{l-1}
    D = Δ_l W_l                                       on to layer l - 1

Δ_l overwrites A_l in memory. D has a block for every net, and the last line writes only to the blocks of the n_l nets
that have layer l. The others still hold ∂L/∂Y V when the backward pass reaches their last layer.

**The constant unit** maintains itself: its only weight, from the constant unit of the previous layer, makes f exactly 1
(and exactly 0 for the padding), and rows W to P of all weights are excluded from updates. The gradient that flows into
it is meaningless, but it reaches only these rows and the constant unit of the previous layer.

**Update.** As soon as the gradient of a group of layers is complete, their parameters are updated
(`parameter_group.py`), while all of it is in the cache.

Each net has its own matrices in every product, so a net that diverges does not affect the others.
"""

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from resnet_cli.models.activations import ACTIVATIONS
from resnet_cli.models.settings import ACTIVATION, BLOCK_SIZE
from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from resnet_cli.store.record import RunRecord
from resnet_cli.store.tensors import same_form
from resnet_cli.tasks.data import Data
from resnet_cli.training.batches import Batches
from resnet_cli.training.checkpoint import Checkpoint, State, load_state, state_fits, state_of
from resnet_cli.training.evaluation import Evaluation, metrics_rows
from resnet_cli.training.graphs import Recorder, Work, eager_environment, eager_sentence, recording_failed
from resnet_cli.training.loop import is_finite
from resnet_cli.training.schedule import learning_rate, length
from resnet_cli.training.settings import BATCH_SIZE, EVAL_SIZE
from resnet_cli.training.stacked.packing import Packing, closes_skip
from resnet_cli.training.stacked.parameter_group import divide_parameters

EVALUATION_ROWS = 200
"""Number of examples in an evaluation batch: large enough for fast products, small enough for the cache."""


@torch.no_grad()
def train_stack(
    runs: Sequence[Run],
    data: Data,
    *,
    checkpoint: Checkpoint | None = None,
    recorder: Recorder | None = None,
    on_evaluation: Callable[[Run, Metrics, int], None] = lambda run, metrics, total_steps: None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> list[RunRecord]:
    """Train the nets of `runs` together, with the results that `loop.train` gets for each of them.

    A run whose loss is not finite at an evaluation after the first step ends there as `diverged`; the others continue.

    With a recorder, all steps but the first replay what it has recorded; if it cannot record, steps stay eager. The
    runs have the same `grouping.stack_key`, and no two are equal. Data, checkpoint, recorder, `on_evaluation` and
    `tell` are as in the loop. The records, in the order of `runs`, hold the state dict of an `MLP` on the CPU.

    Raises:
        UserError: the batch is larger than the training set.
    """
    total_steps, interval, epoch_steps = length(runs[0], len(data.train_inputs))
    stack = Stack(runs, data, recorder=recorder, tell=tell)
    members = [run.run_id for run in stack.runs]
    step, histories = 0, [list[Metrics]() for _ in members]
    ended: dict[int, dict[str, Tensor]] = {}  # diverged nets: place in the stack, state when they diverged

    if checkpoint is not None and (state := checkpoint.load(members, total_steps, stack.can_load)):
        stack.load(state)
        step, ended, rows = state.step, state.net["ended"], iter(state.history)
        histories = [[next(rows) for _ in range(count)] for count in state.net["rows"]]

    def record() -> None:
        rates = [learning_rate(run, max(step - 1, 0), total_steps) for run in stack.runs]
        rows = metrics_rows(
            stack.evaluate(with_norm=step > 0), stack.runs, data, step=step, epoch=step / epoch_steps, rates=rates
        )
        for place, (run, history, row) in enumerate(zip(stack.runs, histories, rows, strict=True)):
            if place in ended:
                continue
            history.append(row)
            if step > 0 and not is_finite(history[-1]):
                ended[place] = stack.state(place)
            on_evaluation(run, history[-1], total_steps)

    if step == 0:
        record()
    while step < total_steps and len(ended) < len(members):
        shown = (step + 1) % interval == 0 or step + 1 == total_steps
        stack.advance(step, [learning_rate(run, step, total_steps) for run in stack.runs], with_norm=shown)
        step += 1
        if shown:
            record()
        if checkpoint is not None and step < total_steps and checkpoint.is_due():
            net = {"parameters": stack.parameters, "ended": ended, "rows": list(map(len, histories))}
            optimizers = [state_of(group.optimizer) for group in stack.groups]
            rows_of_all = [row for history in histories for row in history]
            checkpoint.save(State(members, net, optimizers, step, rows_of_all))

    records = {}
    for place, run in enumerate(stack.runs):
        last = ended.get(place) or stack.state(place)
        records[run] = RunRecord(
            status="diverged" if place in ended else "done",
            run=run,
            environment=stack.environment(),
            parameters=sum(parameter.numel() for parameter in last.values()),
            history=histories[place],
            state=last,
        )
    return [records[run] for run in runs]


class Stack:
    """The nets of some runs, stacked layer by layer, with training steps and evaluations of all of them.

    Attributes:
        runs: deepest first; the order of all net axes.
        parameters: of all nets, in a flat buffer laid out by `packing`.
        groups: of parameters, in the order in which they are updated.
        recorder: of the device; None if steps are eager.
        obstacle: why they are although there was a recorder.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        data: Data,
        *,
        recorder: Recorder | None = None,
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.recorder, self.tell, self.obstacle = recorder, tell, ""
        self.replay: Work | None = None
        self.packing = packing = Packing(runs, data)
        self.data, self.runs, self.lead = data, packing.runs, packing.runs[0]
        self.function = ACTIVATIONS[self.lead[ACTIVATION]]
        self.skip = self.lead.get(BLOCK_SIZE) or 0
        self.parameters = self._zeros(packing.ends[-1])
        packing.initialise(self.parameters, self.skip)
        *self.weights, self.output_weights = packing.views(self.parameters)
        self.transposed = [weights.mT for weights in self.weights]

        nets, batch = len(self.runs), self.lead[BATCH_SIZE]
        self.groups = divide_parameters(packing, self.parameters)
        for group in self.groups:
            group.set_capturable(recorder is not None)
        self.group_from = {group.layers[0]: group for group in self.groups}
        # the gradient of each layer; the output layer is the last
        self.gradients = [gradient for group in self.groups[::-1] for gradient in group.gradients]
        self.rates, self.squared_norms = [0.0] * nets, self._zeros(nets)

        seeds = sorted({run.seed for run in self.runs})
        one_a_seed = [next(run for run in self.runs if run.seed == seed) for seed in seeds]
        self.batches = [Batches(run, data) for run in one_a_seed]
        self.batch_of_net = torch.tensor([seeds.index(run.seed) for run in self.runs], device=data.device)
        self.inputs = self._inputs(nets, batch)
        self.targets = data.train_targets.new_zeros(nets, batch, *data.train_targets.shape[1:])
        self.output_gradient = self._zeros(nets, batch, packing.shapes[-1][1])  # ∂L/∂Y
        self.minus_one = self._zeros(nets, batch, 1) - 1
        self.activation_gradient = self._zeros(nets, batch, packing.columns)  # D
        self.activation_gradients = [self.activation_gradient[:size] for size in packing.sizes]
        self.activations = _Activations(self.activation_gradient, packing.sizes, kept=self.lead.depth)
        self.evaluation_inputs = self._inputs(1, EVALUATION_ROWS)
        room = self._zeros(nets, EVALUATION_ROWS, packing.columns)
        self.evaluation_activations = _Activations(room, packing.sizes, kept=max(1, self.skip) + 1)

    def advance(self, step: int, rates: list[float], with_norm: bool) -> None:
        """Take optimiser step number `step` with a learning rate for each net, without waiting for the device.

        `with_norm` says whether the next evaluation needs the norm of this step's gradient.
        """
        batches = [batch[step] for batch in self.batches]
        inputs = torch.stack([some_inputs.flatten(1) for some_inputs, _ in batches])  # (seeds, B, F)
        self.inputs[:, :, : self.packing.features] = inputs[self.batch_of_net]
        self.targets.copy_(torch.stack([some_targets for _, some_targets in batches])[self.batch_of_net])
        if rates != self.rates:
            self.rates, column = rates, torch.tensor(rates, dtype=self.data.dtype)
            if self.data.device.type == "cuda":  # from pinned memory, copying does not block
                column = column.pin_memory().to(self.data.device, non_blocking=True)
            for group in self.groups:
                group.set_rates(column)
        if self.replay is not None:
            self.replay()
        elif self.recorder is not None:
            self._step_and_record(self.recorder)
        else:
            self._step(with_norm)

    def environment(self) -> dict[str, object]:
        """What the records of the runs say about how steps were taken."""
        if self.obstacle:
            return eager_environment(self.obstacle)
        return {"cuda_graphs": True} if self.replay is not None else {}

    def evaluate(self, with_norm: bool) -> Evaluation:
        """The first `eval_size` examples measured; gradients are those of the last step `with_norm`."""
        data, limit = self.data, self.lead[EVAL_SIZE]
        training = self._sums(data.train_inputs[:limit], data.train_targets[:limit])
        testing = self._sums(data.test_inputs[:limit], data.test_targets[:limit])
        norms = self.squared_norms.sqrt() if with_norm else None
        return Evaluation(training, testing, norms, self.packing.parameters(self.parameters))

    def state(self, place: int) -> dict[str, Tensor]:
        """The current parameters of the net at `place` as the state dict of an `MLP`, on the CPU."""
        return self.packing.state(self.parameters, place)

    def can_load(self, state: State) -> bool:
        """Whether a state has the form of this stack's: of its parameters, its groups and the nets that diverged."""
        nets = len(self.runs)
        if state.net.keys() != {"parameters", "ended", "rows"} or not isinstance(state.optimizer, list):
            return False
        if state.warmup is not None:
            return False
        ended, rows = state.net["ended"], state.net["rows"]
        return (
            same_form(state.net["parameters"], self.parameters)
            and len(state.optimizer) == len(self.groups)
            and all(
                state_fits(found, self.lead, [group.direction])
                for found, group in zip(state.optimizer, self.groups, strict=True)
            )
            and same_form(rows, [0] * nets)
            and min(rows) > 0
            and sum(rows) == len(state.history)
            and isinstance(ended, dict)
            and all(place in range(nets) and same_form(ended[place], self.state(place)) for place in ended)
        )

    def load(self, state: State) -> None:
        """Continue from a state that fits."""
        self.parameters.copy_(state.net["parameters"])
        for group, found in zip(self.groups, state.optimizer, strict=True):
            load_state(group.optimizer, found)

    def _step_and_record(self, recorder: Recorder) -> None:
        """Take the first step, a warm-up for the recording, and record what all others do."""
        with recorder.aside(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This instance was constructed with capturable=True")
            self._step(with_norm=True)
        try:
            self.replay = recorder.record(lambda: self._step(with_norm=True))
        except RuntimeError as error:
            self.recorder, self.obstacle = None, recording_failed(error)
            for group in self.groups:
                group.set_capturable(False)
            self.tell(eager_sentence(self.obstacle))

    def _step(self, with_norm: bool) -> None:
        outputs = self._forward(self.inputs, self.activations)  # (N, B, outputs)
        gradient = self.output_gradient[:, :, : self.data.outputs]
        if self.data.loss == "mse":
            torch.sub(outputs, self.targets, out=gradient).mul_(2 / outputs[0].numel())
        else:
            torch.softmax(outputs, dim=2, out=gradient)
            gradient.scatter_add_(2, self.targets[:, :, None], self.minus_one).div_(outputs.shape[1])
        if with_norm:
            self.squared_norms.zero_()
        self._backward(with_norm)

    def _forward(self, inputs: Tensor, activations: "_Activations") -> Tensor:
        """(N, rows, Q) to (N, rows, outputs); the activations of each layer are left in `activations`."""
        sizes = [*self.packing.sizes, 0]
        for layer, activation in enumerate(activations.layers):  # (n_l, rows, P)
            torch.bmm(activations.sources[layer] if layer else inputs, self.transposed[layer], out=activation)
            if closes_skip(layer, self.skip):
                activation.add_(activations.layers[layer - self.skip][: len(activation)])
            self.function.in_place(activation)
            deeper = sizes[layer + 1]
            if deeper < len(activation):
                activations.last[deeper : len(activation)] = activation[deeper:]
        return torch.bmm(activations.last, self.output_weights.mT)[:, :, : self.data.outputs]

    def _backward(self, with_norm: bool) -> None:
        """Compute the gradient from ∂L/∂Y and the activations, which are overwritten, and update the parameters."""
        layers, sources = self.activations.layers, self.activations.sources
        torch.bmm(self.output_gradient.mT, self.activations.last, out=self.gradients[-1])
        torch.bmm(self.output_gradient, self.output_weights, out=self.activation_gradient)
        self._update_from(len(layers), with_norm)
        for layer in reversed(range(len(layers))):
            end = layer + self.skip
            if end < len(layers) and closes_skip(end, self.skip):
                self.activation_gradients[end].add_(layers[end])
            self.function.differentiate(self.activation_gradients[layer], layers[layer])
            torch.bmm(layers[layer].mT, sources[layer] if layer else self.inputs, out=self.gradients[layer])
            if layer:
                torch.bmm(layers[layer], self.weights[layer], out=self.activation_gradients[layer])
            self._update_from(layer, with_norm)

    def _update_from(self, layer: int, with_norm: bool) -> None:
        """Update the group that starts with `layer`, if there is one: its gradient is complete."""
        if (group := self.group_from.get(layer)) is not None:
            if with_norm:
                group.add_squares(self.squared_norms)
            group.update()

    def _sums(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Each net's summed loss and number of errors over some examples, (2, N)."""
        nets = len(self.runs)
        total = self._zeros(2, nets)
        for some_inputs, some_targets in zip(
            torch.split(inputs, EVALUATION_ROWS), torch.split(targets, EVALUATION_ROWS), strict=True
        ):
            count = len(some_targets)
            self.evaluation_inputs[0, :count, : self.packing.features] = self.data.prepare(some_inputs).flatten(1)
            outputs = self._forward(self.evaluation_inputs.expand(nets, -1, -1), self.evaluation_activations)
            outputs = outputs[:, :count].flatten(0, 1)  # (N · count, outputs)
            repeated = torch.cat([some_targets] * nets)
            total[0] += self.data.losses(outputs, repeated).view(nets, count).sum(dim=1)
            errors = self.data.errors(outputs, repeated)
            if errors is not None:
                total[1] += errors.view(nets, count).sum(dim=1)
        return total

    def _inputs(self, nets: int, rows: int) -> Tensor:
        """A buffer for inputs, (nets, rows, Q), with their constant."""
        inputs = self._zeros(nets, rows, self.packing.inputs)
        inputs[:, :, self.packing.features] = 1
        return inputs

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=self.data.dtype, device=self.data.device)


class _Activations:
    """Buffers for the activations of a stack's nets on some examples.

    Attributes:
        layers: (n_l, rows, P) for each hidden layer; all layers share `kept` buffers in turn.
        sources: the input of each layer l: the activations of layer l - 1 in the nets that have a layer l.
        last: the activations of every net's last hidden layer, (N, rows, P).
    """

    def __init__(self, like: Tensor, sizes: list[int], kept: int) -> None:
        self.last = torch.zeros_like(like)
        memory = [torch.zeros_like(like[:size]) for size in sizes[:kept]]
        self.layers = [memory[layer % kept][:size] for layer, size in enumerate(sizes)]
        self.sources = [self.layers[max(0, layer - 1)][:size] for layer, size in enumerate(sizes)]
