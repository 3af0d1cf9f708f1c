import pandas as pd
import pytest

from resnet_cli.analysis.counts import count_imagenet_nets
from resnet_cli.claims.claim import Scale, Verdict
from tests.claims.made_up import MadeUp
from tests.claims.made_up_analyses import judged

PARAMETERS = {"VGG-16": 138e6, "VGG-19": 144e6, "ResNet-34": 22e6, "ResNet-50": 25.5e6, "ResNet-152": 60e6}
MULTIPLY_ADDS = {"VGG-16": 15e9, "VGG-19": 20e9, "ResNet-34": 3.6e9, "ResNet-50": 4e9, "ResNet-152": 12e9}


def made_up(*without: str, parameters: dict[str, float], multiply_adds: dict[str, float]) -> MadeUp:
    """Counts that are made up, with some changed or left out."""
    rows = {"parameters": PARAMETERS | parameters, "multiply_adds": MULTIPLY_ADDS | multiply_adds}
    frame = pd.DataFrame(rows).rename_axis("net").reset_index()
    return MadeUp(analyses={("counts", None): frame[~frame["net"].isin(without)]})


def counted(claim: str, part: str = "", *, parameters: dict[str, float] | None = None, adds: float = 3.6e9) -> Verdict:
    tables = made_up(parameters=parameters or {}, multiply_adds={"ResNet-34": adds})
    return judged(claim, Scale.COMPUTED, tables, part).verdict


def test_k16_takes_fewer_parameters_than_both() -> None:
    assert counted("K16", "parameters") == Verdict.SUPPORTED
    assert counted("K16", "parameters", parameters={"ResNet-152": 140e6}) == Verdict.NOT_SUPPORTED
    assert counted("K16", "parameters", parameters={"ResNet-152": 138e6}) == Verdict.NOT_SUPPORTED
    assert counted("K16", "parameters", parameters={"VGG-19": 59e6}) == Verdict.NOT_SUPPORTED


@pytest.mark.parametrize(("share", "holds"), [(17.4, False), (17.51, True), (18.49, True), (18.6, False)])
def test_k16_the_share_rounds_to_18_percent(share: float, holds: bool) -> None:
    expected = Verdict.SUPPORTED if holds else Verdict.NOT_SUPPORTED
    assert counted("K16", "operations", adds=share / 100 * 20e9) == expected


def test_k16_wrong_numbers_stand_beside_the_right_ones() -> None:
    tables = made_up(parameters={}, multiply_adds={})
    wrong = judged("K16", Scale.COMPUTED, tables, "numbers")
    assert wrong.verdict == Verdict.NOT_SUPPORTED
    assert [(fact.what, fact.numbers) for fact in wrong.facts] == [
        ("ResNet-152 has 11.5 million parameters", {"ResNet-152, counted": 60e6}),
        ("VGG-16 has 143.6 million parameters", {"VGG-16, counted": 138e6}),
    ]
    right = made_up(parameters={"ResNet-152": 11.46e6, "VGG-16": 143.64e6}, multiply_adds={})
    assert judged("K16", Scale.COMPUTED, right, "numbers").verdict == Verdict.SUPPORTED
    (operations,) = judged("K16", Scale.COMPUTED, tables, "operations").facts
    assert operations.numbers["ResNet-34 as a share of VGG-19 (%)"] == pytest.approx(18)


def test_the_remarks_shares_are_those_of_the_nets() -> None:
    """18.7 % with projections and 18.6 % without."""
    nets = count_imagenet_nets().set_index("net")
    adds = nets["multiply_adds"]
    projections = 64 * 128 * 28**2 + 128 * 256 * 14**2 + 256 * 512 * 7**2
    assert 100 * adds["ResNet-34"] / adds["VGG-19"] == pytest.approx(18.7, abs=0.05)
    assert 100 * (adds["ResNet-34"] - projections) / adds["VGG-19"] == pytest.approx(18.6, abs=0.05)
    assert nets["parameters"]["VGG-19"] / 1e6 == pytest.approx(143.67, abs=0.01)
    assert adds["ResNet-152"] / 1e9 == pytest.approx(11.5, abs=0.05)


def test_g2_about_25_million_is_within_5_percent_and_138_million_is_rounded() -> None:
    assert counted("G2") == Verdict.SUPPORTED
    assert counted("G2", parameters={"ResNet-50": 26.5e6}) == Verdict.NOT_SUPPORTED
    assert counted("G2", parameters={"VGG-16": 138.6e6}) == Verdict.NOT_SUPPORTED


@pytest.mark.parametrize(
    ("claim", "part", "net"), [("K16", "parameters", "VGG-16"), ("K16", "operations", "ResNet-34")]
)
def test_a_net_that_is_not_counted_decides_nothing(claim: str, part: str, net: str) -> None:
    line = judged(claim, Scale.COMPUTED, made_up(net, parameters={}, multiply_adds={}), part)
    assert (line.verdict, line.reason) == (Verdict.NOT_TESTED, f"the counts lack {net}")
