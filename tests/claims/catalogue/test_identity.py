from collections.abc import Iterable
from dataclasses import replace
from math import inf, nan

import numpy as np
import pandas as pd
import pytest

from resnet_cli.claims.claim import Scale, Verdict
from tests.claims.made_up import CHANCE_LOSS, MadeUp, Row
from tests.claims.made_up_analyses import Evidence, check, judged, nets

CONSTANT = 0.8
"""The relative error of the best constant output."""


def appending(scratch: float, moved: float = 0.0, steps: int = 100) -> Evidence:
    """The loss of a deeper net from scratch, and by how much appended layers change the shallow one's, of chance.

    Both move a lot when they train further.
    """

    def measure(run: Row) -> Iterable[Row]:
        own = 0.01 + 0.0001 * run["seed"]
        losses = {"shallow": own, "appended": own + moved, "scratch": own + scratch}
        for net, loss in losses.items():
            for step in (0, steps, 2 * steps):
                if not (net == "appended" and step < steps):
                    train_loss = CHANCE_LOSS * (loss if step == steps else 0.7)
                    yield {"net": net, "deeper": 25, "step": step, "train_loss": train_loss}

    return Evidence("append-sine", "append", nets(depth=[7]), measure)


def test_k5_the_copy_is_as_good_and_training_does_not_find_it() -> None:
    check("K5", Scale.SINE, appending(0.5), appending(0.05), appending(-0.005), appending(0.5, moved=0.001))


@pytest.mark.parametrize(("moved", "holds"), [(0.9e-5, True), (-0.9e-5, True), (1.2e-5, False), (-1.2e-5, False)])
def test_k5_the_same_loss_is_the_same_up_to_rounding(moved: float, holds: bool) -> None:
    line = judged("K5", Scale.SINE, appending(0.5, moved=moved).tables())
    assert line.verdict == (Verdict.SUPPORTED if holds else Verdict.NOT_SUPPORTED)
    assert line.facts[0].numbers == pytest.approx({"largest difference as a share of chance": abs(moved)})


def test_k5_compares_when_both_have_trained_as_long() -> None:
    (tested,) = judged("K5", Scale.SINE, appending(0.5).tables()).tested
    assert tested.mean == pytest.approx(0.5)
    assert tested.comparison.what.startswith("25 plain layers from scratch")


@pytest.mark.parametrize("loss", [nan, inf, None])
def test_k5_a_net_that_diverges_from_scratch_is_at_chance(loss: float | None) -> None:
    """Whether its last row holds no number, or it has none at this step."""
    evidence = appending(0.5)

    def measure(run: Row) -> Iterable[Row]:
        for row in evidence.measure(run):
            if row["net"] == "scratch" and row["step"]:
                if loss is not None:
                    yield row | {"train_loss": loss}
            else:
                yield row

    (tested,) = judged("K5", Scale.SINE, replace(evidence, measure=measure).tables()).tested
    assert tested.mean == pytest.approx(0.99, abs=0.001)


def test_k5_is_not_judged_by_other_depths() -> None:
    evidence = appending(0.5)
    line = judged("K5", Scale.SINE, replace(evidence, frame=evidence.frame.assign(depth=6)).tables())
    assert (line.verdict, line.reason) == (Verdict.NOT_TESTED, "no rows with role plain, depth 7, deeper 25")


def test_k5_is_about_plain_nets() -> None:
    evidence = appending(0.5)
    line = judged("K5", Scale.SINE, evidence.tables(lambda table: table["model"] == "residual-net"))
    assert line.verdict == Verdict.NOT_TESTED
    without = judged("K5", Scale.SINE, evidence.tables(lambda table: table["net"] != "scratch"))
    assert (without.verdict, without.reason) == (Verdict.NOT_TESTED, "there is no net called scratch")


def stacks(plain: float, residual: float, on_images: float | None = None, seeds: int = 10) -> pd.DataFrame:
    """Relative errors of the deepest stacks with the default initialisation; all others tell nothing."""
    rows = []
    for experiment in ("filter", "vectors", "images"):
        for kind in ("plain", "residual"):
            for init in ("default", "he"):
                for depth in (1,) if experiment == "filter" else (1, 12):
                    for seed in range(seeds):
                        for step in (0, 1000):
                            deep = init == "default" and depth == 12 and step == 1000
                            value = plain if kind == "plain" else residual
                            if experiment == "images" and kind == "plain" and on_images is not None:
                                value = on_images
                            rows.append((experiment, kind, init, depth, seed, step, value if deep else 0.5))
    frame = pd.DataFrame(rows, columns=["experiment", "kind", "init", "depth", "seed", "step", "relative_error"])
    frame["relative_error"] *= 1 + 0.001 * frame["seed"] * (frame["kind"] == "plain")
    return frame.assign(constant_error=CONSTANT)


def identity(frame: pd.DataFrame) -> MadeUp:
    return MadeUp({}, {("identity", None): frame})


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (stacks(0.5, 0.01), Verdict.SUPPORTED),
        (stacks(0.5, 0.08), Verdict.NOT_SUPPORTED),
        (stacks(0.01, 0.5), Verdict.NOT_SUPPORTED),
        (stacks(0.5, 0.5), Verdict.NOT_SUPPORTED),
        (stacks(0.5, 0.01, on_images=0.05), Verdict.NOT_SUPPORTED),
        (stacks(0.5, 0.01, seeds=4), Verdict.UNDECIDED),
        (stacks(0.5, 0.01, seeds=1), Verdict.UNDECIDED),
        (stacks(0.5, 0.01).query("kind == 'plain'"), Verdict.NOT_TESTED),
        (stacks(0.5, 0.01).query("experiment != 'images'"), Verdict.NOT_TESTED),
    ],
)
def test_k6_compares_the_deepest_stacks(table: pd.DataFrame, expected: Verdict) -> None:
    assert judged("K6", Scale.VECTORS, identity(table)).verdict == expected


def test_k6_errors_end_at_rounding_and_at_a_constant_answer() -> None:
    """A stack that returns its input exactly, and ones that explode or become no number."""
    lines = [judged("K6", Scale.VECTORS, identity(stacks(plain, 0.0))) for plain in (nan, inf, 5.0)]
    for line in lines:
        assert [one.mean for one in line.tested] == pytest.approx([np.log10(CONSTANT) + 7] * 2)


def test_k6_without_its_table_is_not_tested() -> None:
    assert judged("K6", Scale.VECTORS, MadeUp()).verdict == Verdict.NOT_TESTED
