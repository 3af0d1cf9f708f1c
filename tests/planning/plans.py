"""What the tests of plans share."""

import tomllib
from collections.abc import Mapping
from typing import Any

import pytest
import tomli_w

from resnet_cli.planning.plan import Plan, plan_sweep
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.run import Run


def refusal(request: Mapping[str, Any]) -> str:
    """The sentence with which a request is refused."""
    with pytest.raises(UserError) as caught:
        plan_sweep(request)
    message = str(caught.value)
    assert message.isprintable()
    assert message.endswith(".")
    return message


def planned_again(plan: Plan) -> Plan:
    """What the sweep's own file gives."""
    return plan_sweep(tomllib.loads(tomli_w.dumps(plan.resolved)))


def only_run(**request: Any) -> Run:
    """The run of a request for one model, depth and seed."""
    (run,) = plan_sweep({"seeds": 0, "models": "plain", "depths": 8, **request}).runs
    return run


def depths_by_model(plan: Plan) -> dict[str, list[int]]:
    found: dict[str, set[int]] = {}
    for run in plan.runs:
        found.setdefault(run.model, set()).add(run.depth)
    return {model: sorted(depths) for model, depths in found.items()}
