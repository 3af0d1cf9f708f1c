from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest

from resnet_cli.claims.catalogue.architectures import (
    DENSENET,
    FEW,
    HIGHWAY_CNN,
    HIGHWAY_MLP,
    NARROW,
    SHALLOW,
    TALL,
    WIDE,
    at_equal_parameters,
)
from resnet_cli.claims.claim import MissingEvidence, Scale, Verdict
from resnet_cli.evidence.tables import plan_of
from resnet_cli.models import all_models, describe_net
from resnet_cli.models.count import count_multiply_adds
from resnet_cli.models.resnext import CARDINALITY, GROUP_WIDTH
from tests.claims.made_up import CHANCE_LOSS, MadeUp, Row, Rule, diverged, runs
from tests.claims.made_up_analyses import judged


def test_the_models_exist() -> None:
    assert {HIGHWAY_MLP, HIGHWAY_CNN, DENSENET} <= set(all_models())


def models(names: dict[str, str], rule: Rule, **lists: Sequence[object]) -> pd.DataFrame:
    """Runs of some models, each with its role."""

    def of(name: str) -> Rule:
        return lambda row: rule(row | {"model": name})

    frames = [runs(of(name), role=[role], **lists).assign(model=name) for name, role in names.items()]
    return pd.concat(frames)


def highway(loss: float, depths: Sequence[int] = (4, 8, 16, 28, 40)) -> pd.DataFrame:
    """Highway MLPs that end at a loss from 16 layers on; residual ones end at half the loss of chance."""

    def rule(row: Row) -> Row:
        if row["model"] == HIGHWAY_MLP:
            return {"train_loss": loss * CHANCE_LOSS if row["depth"] >= 16 else 0.0}
        return {"train_loss": 0.5 * CHANCE_LOSS}

    return models({"mlp": "residual", HIGHWAY_MLP: "other", "flat": "plain"}, rule, depth=list(depths))


def on_sine(frame: pd.DataFrame) -> Verdict:
    return judged("Z1", Scale.SINE, MadeUp({"highway-sine": frame})).verdict


def test_z1_highway_nets_may_be_as_good_but_not_better() -> None:
    assert on_sine(highway(0.9)) == Verdict.SUPPORTED
    assert on_sine(highway(0.5)) == Verdict.SUPPORTED
    assert on_sine(highway(0.45)) == Verdict.SUPPORTED
    assert on_sine(highway(0.3)) == Verdict.NOT_SUPPORTED


def test_z1_a_highway_net_that_diverges_is_no_better() -> None:
    frame = highway(0.3)
    assert on_sine(diverged(frame, frame["model"] == HIGHWAY_MLP)) == Verdict.SUPPORTED
    assert on_sine(diverged(frame, frame["role"] == "residual")) == Verdict.NOT_SUPPORTED


def test_z1_takes_seeds_and_both_nets_at_the_same_depths() -> None:
    frame = highway(0.9)
    assert on_sine(frame[frame["seed"] < 4]) == Verdict.UNDECIDED
    assert on_sine(frame[frame["seed"] < 1]) == Verdict.UNDECIDED
    assert on_sine(frame[frame["role"] != "residual"]) == Verdict.NOT_TESTED
    assert on_sine(frame[frame["role"] != "other"]) == Verdict.NOT_TESTED
    assert on_sine(frame[(frame["role"] == "residual") == (frame["depth"] < 28)]) == Verdict.NOT_TESTED
    assert on_sine(frame[frame["depth"] < 16]) == Verdict.NOT_TESTED


def test_z1_on_images_compares_test_errors() -> None:
    def found(error: float) -> Verdict:
        def rule(row: Row) -> Row:
            return {"test_error": error if row["model"] == HIGHWAY_CNN else 5.0}

        frame = models({"net": "residual", HIGHWAY_CNN: "other", "vgg": "other"}, rule, depth=[8, 20])
        return judged("Z1", Scale.DIGITS, MadeUp({"highway-digits": frame})).verdict

    assert found(5.0) == Verdict.SUPPORTED
    assert found(3.0) == Verdict.NOT_SUPPORTED


def sized(errors: dict[int, float], seeds: Sequence[int] = range(8)) -> pd.DataFrame:
    """Runs of nets by their number of parameters."""
    frame = runs(lambda row: {"test_error": errors[row["parameters"]]}, parameters=list(errors), seed=seeds, depth=[8])
    return frame.assign(test_error=frame["test_error"] - 0.01 * frame["seed"])  # takes what `runs` added away


def test_errors_are_compared_at_equal_parameters() -> None:
    """Over the logarithm one line falls from 10 to 0 between 1 and 100, the other is 4 from 10 to 1000.

    Both are there from 10 to 100, where the first falls from 5 to 0: on average 2.5 against 4.
    """
    found = at_equal_parameters(sized({1: 10.0, 100: 0.0}), sized({10: 4.0, 1000: 4.0}, range(3)))
    assert found == pytest.approx(dict.fromkeys(range(3), -1.5))


def test_nets_without_a_common_size_or_seed_cannot_be_compared() -> None:
    with pytest.raises(MissingEvidence, match="no number of parameters"):
        at_equal_parameters(sized({1: 10.0, 100: 0.0}), sized({100: 4.0, 1000: 4.0}))
    with pytest.raises(MissingEvidence, match="no seed"):
        at_equal_parameters(sized({1: 10.0, 100: 0.0}, [0]), sized({1: 10.0, 100: 0.0}, [1]))


def test_a_seed_that_lacks_a_net_is_left_out() -> None:
    frame = sized({1: 10.0, 100: 0.0})
    assert list(at_equal_parameters(frame.iloc[1:], frame)) == list(range(1, 8))


def dense(errors: Callable[[int], float], sizes: Sequence[int] = (10, 100, 1000)) -> pd.DataFrame:
    """ResNets with an error of 20 at 100 parameters that halves with ten times as many, and DenseNets."""
    residual = sized({size: 40.0 / 2 ** np.log10(size / 10) for size in (10, 100, 1000)})
    other = sized({size: errors(size) for size in sizes})
    return pd.concat([residual.assign(model="net"), other.assign(model=DENSENET, role="other")])


def test_k17_densenets_have_a_lower_error_with_as_many_parameters() -> None:
    def found(frame: pd.DataFrame) -> Verdict:
        return judged("K17", Scale.DIGITS, MadeUp({"efficiency-digits": frame})).verdict

    better, alike = (
        dense(lambda size: 20.0 / 2 ** np.log10(size / 10)),
        dense(lambda size: 40 / 2 ** np.log10(size / 10)),
    )
    assert found(better) == Verdict.SUPPORTED
    assert found(alike) == Verdict.NOT_SUPPORTED
    assert found(dense(lambda size: 60.0)) == Verdict.NOT_SUPPORTED
    assert found(dense(lambda size: 1.0, [2000, 4000])) == Verdict.NOT_TESTED
    assert found(better[better["seed"] < 4]) == Verdict.UNDECIDED
    assert found(better[better["seed"] < 1]) == Verdict.UNDECIDED
    assert found(better[better["role"] == "residual"]) == Verdict.NOT_TESTED
    assert found(diverged(better, better["role"] == "other")) == Verdict.NOT_SUPPORTED


def forms(double: float = 1e-15, *, column: str = "outputs", single: float = 1e-6) -> MadeUp:
    """Relative differences between forms; in one row of double precision it is `double`."""
    rows = [
        {"bits": bits, "seed": seed, "form_first": first, "form_second": second}
        | dict.fromkeys(("outputs", "gradients"), single if bits == 32 else 1e-15)
        for bits in (32, 64)
        for seed in (0, 1)
        for first, second in (("a", "b"), ("a", "c"), ("b", "c"))
    ]
    rows[-1][column] = double
    return MadeUp({}, {("forms", None): pd.DataFrame(rows)})


def test_z3_the_three_forms_agree_up_to_rounding_in_double_precision() -> None:
    assert judged("Z3", Scale.COMPUTED, forms()).verdict == Verdict.SUPPORTED
    assert judged("Z3", Scale.COMPUTED, forms(0.9e-10)).verdict == Verdict.SUPPORTED
    for column in ("outputs", "gradients"):
        line = judged("Z3", Scale.COMPUTED, forms(1e-10, column=column))
        assert line.verdict == Verdict.NOT_SUPPORTED
        assert line.reason == f"it does not hold that nets of all forms with the same weights have the same {column}"
    assert judged("Z3", Scale.COMPUTED, forms(np.nan)).verdict == Verdict.NOT_SUPPORTED


@pytest.mark.parametrize("cut", ["bits == 32", "form_first != 'a'", "form_second != 'c'"])
def test_z3_takes_double_precision_and_all_pairs(cut: str) -> None:
    table = forms().analysis("forms").query(cut)
    assert judged("Z3", Scale.COMPUTED, MadeUp({}, {("forms", None): table})).verdict == Verdict.NOT_TESTED
    assert judged("Z3", Scale.COMPUTED, MadeUp()).verdict == Verdict.NOT_TESTED


def raised(branches: float, width: float, depth: float) -> pd.DataFrame:
    """ResNeXts of which the cardinality, the width or the depth is raised, or several; the base is at chance."""

    def rule(row: Row) -> Row:
        errors = {(8, 3, 20): branches, (4, 5, 20): width, (4, 3, 38): depth, (4, 3, 20): 90.0}
        return {"test_error": errors.get((row["cardinality"], row["group_width"], row["depth"]), 0.0)}

    return runs(rule, role=["other"], depth=[20, 38], cardinality=[4, 8], group_width=[3, 5])


def test_z4_cardinality_must_beat_both_depth_and_width() -> None:
    def found(frame: pd.DataFrame) -> Verdict:
        return judged("Z4", Scale.DIGITS, MadeUp({"cardinality-digits": frame})).verdict

    better = raised(3.0, 5.0, 5.0)
    assert found(better) == Verdict.SUPPORTED
    assert found(raised(3.0, 3.5, 5.0)) == Verdict.NOT_SUPPORTED
    assert found(raised(3.0, 5.0, 3.5)) == Verdict.NOT_SUPPORTED
    assert found(raised(3.0, 3.0, 3.0)) == Verdict.NOT_SUPPORTED
    assert found(raised(5.0, 3.0, 3.0)) == Verdict.NOT_SUPPORTED
    assert found(better[better["seed"] < 4]) == Verdict.UNDECIDED
    assert found(better[better["seed"] < 1]) == Verdict.UNDECIDED
    assert found(better[better["depth"] == 20]) == Verdict.NOT_TESTED
    assert found(diverged(better, better["depth"] == 38)) == Verdict.SUPPORTED
    assert found(diverged(better, better["cardinality"] == 8)) == Verdict.NOT_SUPPORTED


def test_z4_the_nets_are_in_the_sweep_and_cost_the_same() -> None:
    wanted = [(SHALLOW, 2 * FEW, NARROW), (SHALLOW, FEW, WIDE), (TALL, FEW, NARROW)]
    nets = {(run.depth, run[CARDINALITY], run[GROUP_WIDTH]): run for run in plan_of("cardinality-digits").runs}
    shape = 1, 8, 8
    counts = [count_multiply_adds(describe_net(nets[key], shape, 10), shape) for key in wanted]
    assert max(counts) < 1.05 * min(counts)
