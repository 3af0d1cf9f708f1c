import pytest

from resnet_cli.claims import DOCUMENTS, all_claims
from resnet_cli.claims.claim import Analysis, Scale, Sweep, find_claim
from resnet_cli.settings.configs import bundled_configs
from resnet_cli.settings.errors import UserError


def test_claims_are_found_by_id_in_either_case() -> None:
    claims = all_claims()
    assert find_claim("k1", claims) is find_claim("K1", claims) is claims["K1"]
    with pytest.raises(UserError, match=r"claim \(=K99\) is not known"):
        find_claim("K99", claims)


def test_claims_come_in_the_order_of_the_documents() -> None:
    ids = list(all_claims())
    order = list(DOCUMENTS)
    assert ids == sorted(ids, key=lambda name: (order.index(name[0]), int(name[1:])))
    assert all(claim.id == name for name, claim in all_claims().items())


def test_every_claim_says_what_would_count_where_and_by_which_evidence() -> None:
    for claim in all_claims().values():
        assert claim.text.endswith("."), claim.id
        assert claim.source, claim.id
        assert claim.trials, claim.id
        for trial in claim.trials:
            assert trial.effect, claim.id
            assert trial.needs or trial.scale is Scale.COMPUTED, claim.id
            sweeps = [need.sweep if isinstance(need, Analysis) else need for need in trial.needs]
            assert {sweep.config for sweep in sweeps if sweep} <= set(bundled_configs()), claim.id


def test_evidence_names_itself() -> None:
    assert str(Sweep("sine")) == "sine"
    assert str(Analysis("gradients", Sweep("sine"))) == "gradients of sine"
    assert str(Analysis("identity")) == "identity"
