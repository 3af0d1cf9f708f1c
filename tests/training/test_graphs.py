"""Steps that are replayed have the results of eager ones, to the bit; what cannot be replayed says why."""

import weakref
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from resnet_cli.models import all_models, build_net
from resnet_cli.models.base import Model
from resnet_cli.models.settings import DROPOUT
from resnet_cli.settings.run import Run
from resnet_cli.store.record import RunRecord
from resnet_cli.tasks import get_task
from resnet_cli.tasks.data import Data
from resnet_cli.training import loop
from resnet_cli.training.checkpoint import Checkpoint, State
from resnet_cli.training.graphs import EAGER_STEPS, GraphedStep, Recorder, Work
from resnet_cli.training.loop import DTYPES, train
from resnet_cli.training.optimizers import OPTIMIZERS, build_optimizer
from resnet_cli.training.settings import PRECISION
from tests.conftest import MakeRun
from tests.gpu import CPU, CUDA, NEEDS_GPU, on_gpu_and_cpu, recorder_for, without_waiting
from tests.training.software_graph import SoftwareRecorder

SINE: dict[str, object] = {"models": "residual", "depths": 4, "width": 6, "steps": 10, "eval_every": 4}
BY_DEPTH = [
    pytest.param(model, marks=pytest.mark.slow if model.depth_rule.first > 100 else ())
    for model in all_models().values()
]


def load(run: Run) -> Data:
    return get_task(run.task).load(run, None).to(torch.device("cpu"), DTYPES[run[PRECISION]])


def of_model(model: Model, make_run: MakeRun, **settings: object) -> Run:
    task = "sine" if model.family == "mlp" else "digits"
    small: dict[str, object] = {
        "width": 4,
        "steps": 7,
        "eval_every": 5,
        "batch_size": 8,
        "train_size": 40,
        "eval_size": 20,
    }
    if DROPOUT in model.settings:
        small["dropout"] = 0
    return make_run(task=task, models=model.name, depths=model.depth_rule.first, **small | settings)


def assert_same_bits(ours: RunRecord, theirs: RunRecord) -> None:
    assert ours.history == theirs.history
    assert list(ours.state) == list(theirs.state)
    for name, value in theirs.state.items():
        assert torch.equal(ours.state[name], value), name


@pytest.mark.parametrize("model", BY_DEPTH, ids=all_models())
def test_replayed_steps_of_every_model_equal_eager_ones(make_run: MakeRun, model: Model) -> None:
    run = of_model(model, make_run)
    recorder = SoftwareRecorder()
    replayed = train(run, load(run), recorder=recorder, tell=pytest.fail)
    assert_same_bits(replayed, train(run, load(run)))
    assert replayed.environment == {"cuda_graphs": True}
    assert recorder.replays[0] == 7 - EAGER_STEPS


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "schedule",
    [
        {},
        {"schedule": "cosine"},
        {"schedule": "steps", "milestones": "0.5/0.8"},
        {"warmup_steps": 5, "warmup_shape": "linear"},
    ],
    ids=["constant", "cosine", "steps", "warm-up"],
)
def test_the_learning_rate_of_replayed_steps_follows_the_schedule(
    make_run: MakeRun, optimizer: str, schedule: dict[str, object]
) -> None:
    run = make_run(**SINE, optimizer=optimizer, weight_decay=0.01, **schedule)
    replayed = train(run, load(run), recorder=SoftwareRecorder(), tell=pytest.fail)
    assert_same_bits(replayed, train(run, load(run)))


@pytest.mark.parametrize(
    ("settings", "replays"),
    [
        ({}, [7, 6]),  # the first replayed step updates eagerly, as its rate might have been new
        ({"schedule": "cosine"}, [7]),
        ({"schedule": "steps", "milestones": "0.5/0.8"}, [7, 1, 2, 1]),
        ({"optimizer": "rmsprop"}, [7]),
    ],
    ids=["constant", "cosine", "steps", "not-fused"],
)
def test_an_update_is_recorded_for_as_long_as_its_rate_holds(
    make_run: MakeRun, settings: dict[str, object], replays: list[int]
) -> None:
    run = make_run(**SINE | settings)
    recorder = SoftwareRecorder()
    train(run, load(run), recorder=recorder)
    assert recorder.replays == replays


def test_warm_up_that_the_training_error_ends_counts_replayed_steps(make_run: MakeRun) -> None:
    run = make_run(
        task="digits",
        models="residual-mlp",
        depths=2,
        width=8,
        batch_size=20,
        train_size=100,
        steps=160,
        eval_every=40,
        optimizer="momentum",
        learning_rate=0.02,
        warmup_steps=150,
        warmup_shape="constant",
        warmup_until_error=70,
    )
    assert_same_bits(train(run, load(run), recorder=SoftwareRecorder()), train(run, load(run)))


def test_a_run_resumed_with_replayed_steps_is_bit_identical(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(**SINE | {"steps": 14}, schedule="steps")

    class Killed(Exception):
        pass

    class DyingCheckpoint(Checkpoint):
        def save(self, state: State) -> None:
            super().save(state)
            if state.step == 7:
                raise Killed

    with pytest.raises(Killed):
        train(run, load(run), recorder=SoftwareRecorder(), checkpoint=DyingCheckpoint(tmp_path / "state", 0))
    recorder = SoftwareRecorder()
    resumed = train(run, load(run), recorder=recorder, checkpoint=Checkpoint(tmp_path / "state", 1000))
    assert recorder.replays[0] == 14 - 7 - EAGER_STEPS
    assert_same_bits(resumed, train(run, load(run)))


def why_eager(run: Run, recorder: Recorder, *, recompute: bool = False, device: torch.device = CPU) -> str:
    """Why the steps of a run stay eager, after comparing them with eager ones."""
    told: list[str] = []
    data = load(run).to(device, DTYPES[run[PRECISION]])
    outcome = train(run, data, recorder=recorder, recompute=recompute, tell=told.append)
    assert_same_bits(outcome, train(run, data))
    (sentence,) = told
    reason = sentence.removeprefix("Training steps are not replayed as CUDA graphs: ").removesuffix(".")
    assert outcome.environment == {"cuda_graphs": False, "why_no_cuda_graphs": reason}
    return reason


@pytest.mark.parametrize(
    ("settings", "stream"), [({"dropout": 0.2}, "dropout"), ({"survival": 0.5, "block_size": 2}, "stochastic depth")]
)
def test_random_layers_keep_steps_eager(make_run: MakeRun, settings: dict[str, object], stream: str) -> None:
    run = make_run(**SINE, **settings)
    assert why_eager(run, SoftwareRecorder()) == f"{stream} draws random numbers in every step"


def test_recomputed_blocks_keep_steps_eager(make_run: MakeRun) -> None:
    run = make_run(**SINE)
    reason = why_eager(run, SoftwareRecorder(), recompute=True)
    assert reason == "--recompute runs blocks a second time in the backward pass"


@on_gpu_and_cpu
def test_a_net_that_waits_for_the_device_is_not_recorded(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, device: torch.device
) -> None:
    class Waiting(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
            return y if y[0, 0].item() < 1e9 else -y

    monkeypatch.setattr(loop, "build_net", lambda *of: Waiting(build_net(*of)))
    recorder = recorder_for(device)
    reason = why_eager(make_run(**SINE), recorder, device=device)
    assert reason.startswith("the host waits for the device ")
    if isinstance(recorder, SoftwareRecorder):
        assert reason == "the host waits for the device 1 times in a step: called aten::_local_scalar_dense"
        assert recorder.recordings == 0


class FailingRecorder(SoftwareRecorder):
    """Cannot record the given number of works, counted from 0."""

    def __init__(self, failing: int) -> None:
        super().__init__()
        self.failing = failing

    def record(self, work: Work) -> Work:
        if self.recordings == self.failing:
            work = self._fail
        return super().record(work)

    def _fail(self) -> None:
        raise RuntimeError("operation not permitted\n when stream is capturing")


@pytest.mark.parametrize("failing", [0, 1], ids=["gradient", "update"])
def test_a_recording_that_fails_is_given_up(make_run: MakeRun, failing: int) -> None:
    reason = why_eager(make_run(**SINE), FailingRecorder(failing))
    assert reason == "recording failed: operation not permitted when stream is capturing"


class StaleRecorder(SoftwareRecorder):
    """Its replays leave what the recording computed."""

    def record(self, work: Work) -> Work:
        super().record(work)
        return lambda: None


def test_a_graph_with_a_wrong_gradient_is_given_up(make_run: MakeRun) -> None:
    reason = why_eager(make_run(**SINE), StaleRecorder())
    assert reason.startswith("the first gradient of the graph differs by ")


class TightRecorder(SoftwareRecorder):
    """Notes at each release whether its latest graph is alive."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: list[bool] = []

    def record(self, work: Work) -> Work:
        replay = super().record(work)
        self.graph = weakref.ref(replay)
        return replay

    def release(self) -> None:
        self.alive.append(self.graph() is not None)


def test_memory_that_ends_in_the_comparison_is_given_back_and_the_step_taken_eagerly(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, failures = TightRecorder(), list[int]()

    class Large(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
            if self.training and recorder.recordings == 1 and not failures:
                failures.append(recorder.replays[0])
                raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB")
            return y

    monkeypatch.setattr(loop, "build_net", lambda *of: Large(build_net(*of)))
    reason = why_eager(of_model(all_models()["resnet"], make_run), recorder)  # its buffers are batch norm's
    assert reason == "comparing the graph with an eager step failed: CUDA out of memory. Tried to allocate 2 GiB"
    assert failures == [1]
    assert recorder.alive == [False]


def test_what_the_eager_steps_kept_is_given_back_once(make_run: MakeRun) -> None:
    run, recorder = make_run(**SINE), TightRecorder()
    train(run, load(run), recorder=recorder)
    assert recorder.alive == [True]


@pytest.mark.parametrize(("precision", "holds"), [("float32", False), ("bfloat16", True)])
def test_rounding_to_bfloat16_is_not_taken_for_another_gradient(make_run: MakeRun, precision: str, holds: bool) -> None:
    class Rounding(SoftwareRecorder):
        def record(self, work: Work) -> Work:
            replay = super().record(work)

            def inexact() -> None:
                replay()
                for parameter in steps.net.parameters():
                    if parameter.grad is not None:
                        parameter.grad *= 1.1

            return inexact

    run = make_run(**SINE, precision=precision)
    data = load(run)
    net = data.adapt(build_net(run, data.input_shape, data.outputs))
    steps = GraphedStep(run, data, net, build_optimizer(run, net.parameters()), {}, recorder=Rounding())
    for step in range(EAGER_STEPS + 1):
        steps.take(step, 0.01)
    assert (steps.replay is not None) is holds


def test_too_few_steps_are_recorded_as_such(make_run: MakeRun) -> None:
    run = make_run(**SINE | {"steps": EAGER_STEPS})
    outcome = train(run, load(run), recorder=SoftwareRecorder(), tell=pytest.fail)
    assert outcome.environment == {"cuda_graphs": False, "why_no_cuda_graphs": "at most 3 steps were taken"}


def test_replayed_steps_read_the_current_batch_and_write_the_same_memory(make_run: MakeRun) -> None:
    run = make_run(task="cifar10", models="resnet", depths=8, width=2, batch_size=4, steps=9)
    images = torch.randint(256, (40, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(40) % 10
    statistics = torch.full((3,), 0.5)
    data = Data(images, labels, images, labels, "cross_entropy", 10, statistics, statistics, crop_padding=2)
    net = data.adapt(build_net(run, data.input_shape, data.outputs))
    steps = GraphedStep(run, data, net, build_optimizer(run, net.parameters()), {}, recorder=SoftwareRecorder())
    memory = []
    for step in range(9):
        _, targets = steps.take(step, 0.01)
        assert torch.equal(targets, steps.batches[step][1])
        memory.append([parameter.grad.data_ptr() for parameter in net.parameters() if parameter.grad is not None])
    assert memory[EAGER_STEPS:] == [memory[-1]] * (9 - EAGER_STEPS)


@pytest.fixture
def _deterministic(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"benchmark": False, "deterministic": True, "allow_tf32": False}.items():
        monkeypatch.setattr(torch.backends.cudnn, name, value)


ON_DEVICES = [
    *(pytest.param(model, CUDA, marks=NEEDS_GPU, id=f"{name}-cuda") for name, model in all_models().items()),
    *(pytest.param(all_models()[name], CPU, id=f"{name}-cpu") for name in ("residual-mlp", "resnet")),
]


@pytest.mark.usefixtures("_deterministic")
@pytest.mark.parametrize("precision", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize(("model", "device"), ON_DEVICES)
def test_graphs_on_a_device_equal_eager_steps(
    make_run: MakeRun, model: Model, device: torch.device, precision: str
) -> None:
    run = of_model(model, make_run, precision=precision, steps=20, schedule="steps")
    data = load(run).to(device, DTYPES[precision])
    replayed = train(run, data, recorder=recorder_for(device), tell=pytest.fail)
    eager = train(run, data)
    for ours, theirs in zip(replayed.history, eager.history, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-9 if precision == "float64" else 1e-3)
    assert replayed.environment == {"cuda_graphs": True}


@on_gpu_and_cpu
@pytest.mark.usefixtures("_deterministic")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("models", ["plain", "residual"])
def test_graphs_on_a_device_equal_eager_steps_to_the_bit(
    make_run: MakeRun, models: str, optimizer: str, device: torch.device
) -> None:
    run = make_run(**SINE | {"models": models, "steps": 40}, optimizer=optimizer, schedule="steps")
    data = load(run).to(device, torch.float32)
    replayed = train(run, data, recorder=recorder_for(device), tell=pytest.fail)
    assert_same_bits(replayed, train(run, data))


@on_gpu_and_cpu
@pytest.mark.parametrize("with_graphs", [False, True])
def test_no_step_waits_for_the_device(make_run: MakeRun, with_graphs: bool, device: torch.device) -> None:
    run = make_run(task="digits", models="resnet", depths=8, width=2, batch_size=8, steps=30)
    data = load(run).to(device, torch.float32)
    net = data.adapt(build_net(run, data.input_shape, data.outputs))
    recorder = recorder_for(device)
    steps = GraphedStep(run, data, net, build_optimizer(run, net.parameters()), {}, recorder=recorder)
    if not with_graphs:
        steps.obstacle = "the test wants eager steps"
    for step in range(6):  # graphs are recorded and compared
        steps.take(step, 0.01)
    with without_waiting(device):
        for step in range(6, 30):
            steps.take(step, 0.01)
    assert (steps.replay is not None) is with_graphs
