"""That the commands which make tables of analyses make what the claims need: all seeds, and depths that exist."""

import pytest

from resnet_cli.claims import all_claims
from resnet_cli.claims.claim import Analysis
from resnet_cli.cli.analyze import gradients, paths, remove
from resnet_cli.evidence.tables import plan_of
from resnet_cli.settings.ranges import numbers, parse_depths, parse_seeds

MOST_SEEDS = {"gradients": gradients.MOST_SEEDS, "remove": remove.MOST_SEEDS, "paths": paths.SEEDS}
"""Analyses that use only some seeds unless told otherwise."""

ANALYSES = list(
    dict.fromkeys(
        need
        for claim in all_claims().values()
        for trial in claim.trials
        for need in trial.needs
        if isinstance(need, Analysis) and need.sweep
    )
)


def option(analysis: Analysis, name: str) -> str | None:
    found = dict(zip(analysis.options[::2], analysis.options[1::2], strict=True))
    return found.get(name)


@pytest.mark.parametrize("analysis", ANALYSES, ids=str)
def test_the_table_has_all_seeds_of_the_sweep(analysis: Analysis) -> None:
    assert analysis.sweep is not None
    planned = {run.seed for run in plan_of(analysis.sweep.config).runs}
    seeds = option(analysis, "--seeds")
    if seeds is None:
        assert len(planned) <= MOST_SEEDS.get(analysis.kind, len(planned))
    else:
        assert set(numbers(parse_seeds(seeds))) == planned


@pytest.mark.parametrize("analysis", ANALYSES, ids=str)
def test_depths_that_are_asked_for_are_in_the_sweep(analysis: Analysis) -> None:
    assert analysis.sweep is not None
    planned = {run.depth for run in plan_of(analysis.sweep.config).runs}
    for name in ("--depths", "--depth", "--to"):
        asked = option(analysis, name)
        assert asked is None or set(numbers(parse_depths(asked))) <= planned


def test_claims_do_not_ask_for_different_tables_of_one_kind() -> None:
    """There is one table of each kind in a folder, so the later command would replace what the earlier one made."""
    places = [(one.kind, one.sweep.config) for one in ANALYSES if one.sweep]
    assert len(set(places)) == len(places)
