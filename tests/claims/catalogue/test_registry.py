from typing import Any

import pandas as pd
import pytest

from resnet_cli.claims import DOCUMENTS, all_claims
from resnet_cli.claims.claim import Analysis, Comparison, Sweep
from resnet_cli.claims.statistics import FALSE_DISCOVERY_RATE, FEWEST_PAIRS
from resnet_cli.evidence.tables import plan_of
from resnet_cli.models import role_of
from resnet_cli.settings import registry
from resnet_cli.settings.configs import bundled_configs
from tests.claims.made_up import USUAL, MadeUp

TRIALS = {
    f"{claim.id}-{'-'.join(map(str, trial.needs))}": trial for claim in all_claims().values() for trial in claim.trials
}
BY_SWEEPS = [name for name, trial in TRIALS.items() if all(isinstance(need, Sweep) for need in trial.needs)]


def planned(config: str) -> pd.DataFrame:
    """The runs that a configuration plans and as many of other seeds, as if all of them had learned equally well."""
    runs = plan_of(config).runs
    names = registry.names_in_order(runs)
    nets: dict[str, dict[Any, int]] = {}  # of each model, in the order of the plan: the more parameters the later
    for run in runs:
        of_model = nets.setdefault(run.model, {})
        of_model.setdefault((run.depth, *map(run.get, names)), len(of_model))
    rows: list[dict[str, Any]] = [
        {
            **USUAL,
            **{name: run.get(name) for name in names},
            **{"run_id": run.run_id, "model": run.model, "depth": run.depth, "seed": run.seed},
            "role": role_of(run.model),
            "parameters": 100 + nets[run.model][run.depth, *map(run.get, names)],
        }
        for run in runs
    ]
    frame = pd.DataFrame(rows)
    return pd.concat([frame, frame.assign(seed=frame["seed"] + 100)], ignore_index=True)


@pytest.mark.parametrize("name", TRIALS)
def test_evidence_is_named_by_configurations_that_exist(name: str) -> None:
    sweeps = [need.sweep if isinstance(need, Analysis) else need for need in TRIALS[name].needs]
    assert {sweep.config for sweep in sweeps if sweep} <= set(bundled_configs())


@pytest.mark.parametrize("name", TRIALS)
def test_a_configuration_plans_enough_seeds_for_a_verdict(name: str) -> None:
    sweeps = {need.sweep if isinstance(need, Analysis) else need for need in TRIALS[name].needs} - {None}
    for sweep in sweeps:
        assert sweep is not None
        seeds = {run.seed for run in plan_of(sweep.config).runs}
        assert len(seeds) >= FEWEST_PAIRS
        assert 0.5 ** len(seeds) <= FALSE_DISCOVERY_RATE


@pytest.mark.parametrize("name", BY_SWEEPS)
def test_a_trial_finds_what_its_configuration_plans(name: str) -> None:
    sweeps = {need.config: planned(need.config) for need in TRIALS[name].needs if isinstance(need, Sweep)}
    seeds = min(frame["seed"].nunique() for frame in sweeps.values())
    found = TRIALS[name].compare(MadeUp(sweeps))
    assert found
    assert all(len(one.differences) == seeds for one in found if isinstance(one, Comparison))


def test_claims_are_in_the_order_of_the_documents_and_say_what_they_test() -> None:
    claims = all_claims()
    assert sorted(claims, key=lambda name: (list(DOCUMENTS).index(name[0]), int(name[1:]))) == list(claims)
    for claim in claims.values():
        assert len({trial.where for trial in claim.trials}) == len(claim.trials)
        assert claim.text.endswith(".")
        assert claim.source
        for trial in claim.trials:
            assert trial.effect[0].islower()
            assert not trial.effect.endswith(".")
