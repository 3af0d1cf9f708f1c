"""The training loop against independent computations; paired twins, resumed runs and divergence."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from resnet_cli.models import build_net
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from resnet_cli.tasks import get_task
from resnet_cli.tasks.data import Data
from resnet_cli.training.batches import Batches, batch_order
from resnet_cli.training.checkpoint import Checkpoint, State
from resnet_cli.training.loop import DTYPES, evaluate, train
from resnet_cli.training.schedule import length
from resnet_cli.training.settings import PRECISION
from tests.conftest import MakeRun
from tests.gpu import on_gpu_and_cpu


def load(run: Run) -> Data:
    return get_task(run.task).load(run, None).to(torch.device("cpu"), DTYPES[run[PRECISION]])


def small_digits(make_run: MakeRun, **settings: object) -> Run:
    small = {"task": "digits", "depths": 8, "width": 2, "train_size": 60, "batch_size": 20, "epochs": 2}
    return make_run(**(small | settings))


@pytest.mark.parametrize(
    ("settings", "reference"),
    [
        ({"optimizer": "sgd"}, lambda p: torch.optim.SGD(p, 0.05)),
        ({"optimizer": "sgd", "weight_decay": 0.1}, lambda p: torch.optim.SGD(p, 0.05, weight_decay=0.1)),
        ({"optimizer": "momentum", "momentum": 0.8}, lambda p: torch.optim.SGD(p, 0.05, momentum=0.8)),
        ({"optimizer": "nesterov"}, lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True)),
        ({"optimizer": "adam"}, lambda p: torch.optim.Adam(p, 0.05)),
        ({"optimizer": "adamw", "weight_decay": 0.1}, lambda p: torch.optim.AdamW(p, 0.05, weight_decay=0.1)),
        ({"optimizer": "rmsprop"}, lambda p: torch.optim.RMSprop(p, 0.05)),
    ],
)
def test_training_matches_a_hand_written_loop(make_run: MakeRun, settings: dict[str, object], reference) -> None:  # type: ignore[no-untyped-def]
    run = make_run(
        models="residual", depths=5, steps=40, eval_every=40, learning_rate=0.05, precision="float64", **settings
    )
    data = load(run)
    trained = train(run, data).state

    net = build_net(run, (1,), 1).double()
    optimizer = reference(net.parameters())
    order = torch.cat([batch_order(run.seed, epoch, 1000)[: 31 * 32] for epoch in range(2)])
    for step in range(40):
        batch = order[32 * step : 32 * (step + 1)]
        optimizer.zero_grad()
        nn.functional.mse_loss(net(data.train_inputs[batch]), data.train_targets[batch]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    for name, values in net.state_dict().items():
        torch.testing.assert_close(trained[name], values, rtol=1e-9, atol=1e-12)


def test_evaluation_matches_a_computation_example_by_example(make_run: MakeRun) -> None:
    run = small_digits(make_run, models="residual", eval_size=50, precision="float64")
    data = load(run)
    net = build_net(run, data.input_shape, data.outputs).to(data.dtype).eval()
    net.load_state_dict(train(run, data).state)
    metrics = evaluate(net, run, data, step=6, epoch=2.0, rate=0.1, gradient_norm=None)
    losses, wrong = [], 0
    for image, label in zip(data.train_inputs[:50], data.train_targets[:50], strict=True):
        assert data.mean is not None
        assert data.deviation is not None
        logits = net(((image.double() / 255 - data.mean[:, None, None]) / data.deviation[:, None, None])[None])[0]
        losses.append(-logits.log_softmax(0)[label].item())
        wrong += logits.argmax().item() != label.item()
    assert metrics.train_loss == pytest.approx(sum(losses) / 50)
    assert metrics.train_error == pytest.approx(100 * wrong / 50)


def test_the_history_includes_start_intervals_and_end(make_run: MakeRun) -> None:
    run = make_run(steps=50, eval_every=20)
    history = train(run, load(run)).history
    assert [row.step for row in history] == [0, 20, 40, 50]
    assert [row.epoch for row in history] == [step / 31 for step in (0, 20, 40, 50)]
    assert history[0].gradient_norm is None
    assert all(row.train_error is None for row in history)


def test_epochs_are_counted_in_full_batches(make_run: MakeRun) -> None:
    run = small_digits(make_run, batch_size=25, epochs=4, eval_every=2)
    assert length(run, len(load(run).train_inputs)) == (8, 4, 2)


def test_gradient_norm_is_that_of_the_last_batch(make_run: MakeRun) -> None:
    run = make_run(steps=3, eval_every=3, optimizer="sgd", learning_rate=1e-9, precision="float64")
    data = load(run)
    net = build_net(run, (1,), 1).double()
    batch = batch_order(0, 0, 1000)[64:96]
    nn.functional.mse_loss(net(data.train_inputs[batch]), data.train_targets[batch]).backward()  # type: ignore[no-untyped-call]
    expected = math.sqrt(sum(p.grad.square().sum().item() for p in net.parameters() if p.grad is not None))
    assert train(run, data).history[-1].gradient_norm == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_residual_mlps_up_to_depth_k_are_exactly_plain_mlps(make_run: MakeRun, depth: int) -> None:
    plain, residual = (make_run(models=name, depths=depth, steps=30, eval_every=10) for name in ("plain", "residual"))
    assert train(plain, load(plain)).history == train(residual, load(residual)).history


def test_a_residual_mlp_deeper_than_k_differs(make_run: MakeRun) -> None:
    plain, residual = (make_run(models=name, depths=4, steps=10) for name in ("plain", "residual"))
    assert train(plain, load(plain)).history != train(residual, load(residual)).history


def test_plain_and_residual_twins_see_the_same_batches(make_run: MakeRun) -> None:
    plain, residual = (small_digits(make_run, models=name) for name in ("plain", "residual"))
    first, second = Batches(plain, load(plain)), Batches(residual, load(residual))
    for step in range(6):
        for ours, theirs in zip(first[step], second[step], strict=True):
            assert torch.equal(ours, theirs)


def test_epochs_differ_and_visit_examples_at_most_once() -> None:
    first, second = batch_order(0, 0, 100), batch_order(0, 1, 100)
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(100))
    assert not torch.equal(first, second)
    assert not torch.equal(first, batch_order(1, 0, 100))


def test_training_does_not_use_the_global_generator(make_run: MakeRun) -> None:
    run = make_run(steps=5, dropout=0.2)
    torch.manual_seed(1)
    first = train(run, load(run)).history
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert train(run, load(run)).history == first
    assert torch.equal(torch.get_rng_state(), state)


def test_a_non_finite_loss_stops_the_run_as_diverged(make_run: MakeRun) -> None:
    run = make_run(optimizer="sgd", learning_rate=1e6, steps=200, eval_every=10)
    outcome = train(run, load(run))
    assert outcome.status == "diverged"
    assert not math.isfinite(outcome.history[-1].train_loss)
    assert all(math.isfinite(row.train_loss) for row in outcome.history[:-1])
    assert outcome.history[-1].step < 200


@pytest.mark.slow
def test_a_net_of_1202_layers_starts_with_a_finite_loss(make_run: MakeRun) -> None:
    run = make_run(
        task="digits", models="resnet", depths=1202, width=1, train_size=20, batch_size=4, eval_size=4, steps=1
    )
    assert math.isfinite(train(run, load(run)).history[0].train_loss)


def test_batch_norm_starts_with_statistics_of_the_first_batch(make_run: MakeRun) -> None:
    run = small_digits(make_run, models="plain", batch_size=60, eval_size=60, learning_rate=1e-12, epochs=1)
    data = load(run)
    net = build_net(run, data.input_shape, data.outputs).train()
    loss = nn.functional.cross_entropy(net(data.prepare(data.train_inputs)), data.train_targets).item()
    assert train(run, data).history[0].train_loss == pytest.approx(loss, rel=0.02)


def test_a_batch_larger_than_the_training_set_is_rejected(make_run: MakeRun) -> None:
    run = make_run(train_size=20, batch_size=21)
    with pytest.raises(UserError, match=r"batch_size \(=21\) must not exceed the training set, which has 20 examples"):
        train(run, load(run))


class Killed(Exception):
    """Raised in place of the death of the process."""


SMALL_RESNET = {"task": "digits", "models": "residual", "depths": 8, "width": 2, "train_size": 100, "batch_size": 10}


@pytest.mark.parametrize(
    ("settings", "killed_after"),
    [
        ({"models": "residual", "depths": 5, "steps": 40, "eval_every": 15, "dropout": 0.1}, 17),
        ({"models": "plain", "depths": 4, "steps": 40, "optimizer": "rmsprop"}, 1),
        (SMALL_RESNET | {"epochs": 4}, 29),
        ({"task": "digits", "models": "plain-mlp", "depths": 3, "width": 8, "epochs": 3, "batch_norm": True}, 17),
        ({"models": "residual", "depths": 9, "block_size": 2, "steps": 40, "survival": 0.4, "dropout": 0.1}, 29),
    ],
    ids=["dropout", "rmsprop", "resnet", "batch-norm", "stochastic-depth"],
)
def test_a_resumed_run_is_bit_identical(
    make_run: MakeRun, tmp_path: Path, settings: dict[str, object], killed_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(**settings)
    whole = train(run, load(run))

    class DyingCheckpoint(Checkpoint):
        def save(self, state: State) -> None:
            super().save(state)
            if state.step == killed_after:
                raise Killed

    with pytest.raises(Killed):
        train(run, load(run), checkpoint=DyingCheckpoint(tmp_path / "checkpoint.pt", 0))
    seen: list[int] = []
    resumed = train(
        run,
        load(run),
        checkpoint=Checkpoint(tmp_path / "checkpoint.pt", 1000),
        on_evaluation=lambda metrics, total: seen.append(metrics.step),
    )
    assert resumed.history == whole.history
    assert all(step > killed_after for step in seen)
    for name, values in whole.state.items():
        assert torch.equal(resumed.state[name], values)


def test_on_evaluation_is_called_with_every_new_row(make_run: MakeRun) -> None:
    run = make_run(steps=20, eval_every=5)
    seen: list[tuple[Metrics, int]] = []
    history = train(run, load(run), on_evaluation=lambda *event: seen.append(event)).history
    assert [metrics for metrics, _ in seen] == history
    assert {total for _, total in seen} == {20}


def test_mixed_precision_trains_in_bfloat16_and_evaluates_losses_in_float32(make_run: MakeRun) -> None:
    exact = small_digits(make_run, models="residual")
    mixed = small_digits(make_run, models="residual", precision="bfloat16")
    ours, theirs = train(exact, load(exact)), train(mixed, load(mixed))
    assert ours.history != theirs.history
    assert theirs.history[0].train_loss == pytest.approx(ours.history[0].train_loss, rel=0.05)
    assert {v.dtype for v in theirs.state.values() if v.is_floating_point()} == {torch.float32}


@on_gpu_and_cpu
def test_a_device_starts_like_the_cpu_and_ends_close_to_it(make_run: MakeRun, device: torch.device) -> None:
    run = small_digits(make_run, models="residual", precision="float64")
    on_cpu = train(run, load(run)).history
    there = train(run, load(run).to(device, torch.float64)).history
    assert there[0].train_loss == pytest.approx(on_cpu[0].train_loss, rel=1e-9)
    assert there[-1].train_loss == pytest.approx(on_cpu[-1].train_loss, rel=1e-6)
