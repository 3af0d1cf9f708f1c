"""The ledger on a page."""

from resnet_cli.claims import all_claims
from resnet_cli.report.claims import ledger_of
from tests.page_numbers import REFERENCE
from tests.report.conftest import DEGRADING, MakeSweep


def test_every_claim_is_judged_or_named_as_not_tested() -> None:
    ledger = ledger_of([REFERENCE / "sine"])
    assert {row.id for row in ledger.rows} | set(ledger.untested) == set(all_claims())
    first = next(row for row in ledger.rows if row.id == "K2")
    assert (first.verdict, first.symbol, first.scale) == ("supported", "✓", "sine")
    assert first.evidence[0] == "Verdict: supported, every comparison holds."
    assert any("10 seeds, p" in sentence for sentence in first.evidence)
    assert first.commands == ["resnet-exp sweep --config sine"]
    supported = {row.id for row in ledger.rows if row.verdict == "supported"}
    assert supported >= {"K2", "G1", "B2"}
    assert f"{sum(row.verdict == 'supported' for row in ledger.rows)} supported" in ledger.summary


def test_nothing_is_judged_from_results_that_lie_elsewhere(make_sweep: MakeSweep) -> None:
    ledger = ledger_of([make_sweep("mine", DEGRADING, steps=7)])
    assert {row.verdict for row in ledger.rows} <= {"supported", "not supported"}
    assert all("computed" in row.scale for row in ledger.rows)
