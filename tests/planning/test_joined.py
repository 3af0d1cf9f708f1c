"""The sweep that asks for what several sweeps ask for, by planning it again."""

import tomllib
from typing import Any

import pytest
import tomli_w

from resnet_cli.planning.joined import Joined, join_sweeps
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.run import Run

SMALL: dict[str, Any] = {"task": "sine", "depths": "2..4", "seeds": "0,1", "steps": 6, "eval_every": 3}


def join(*requests: dict[str, Any]) -> tuple[Joined, set[Run]]:
    """The joined sweep of several, and all their runs."""
    filled = [SMALL | request for request in requests]
    plans = [plan_sweep({name: value for name, value in one.items() if value is not None}) for one in filled]
    return join_sweeps([{"format": 2, **plan.resolved} for plan in plans]), {run for plan in plans for run in plan.runs}


@pytest.mark.parametrize(
    "requests",
    [
        [{"seeds": 0}, {"seeds": "1,2"}],
        [{"depths": "2..3"}, {"depths": "4..9"}],
        [{"models": "plain"}, {"models": "residual"}],
        [{"init": "he"}, {"init": "default"}],
        [{"init": "he,normal", "init_std": 0.2}, {"init": "default"}],
        [{"models": "plain", "steps": 9}, {"models": "residual", "block_size": "1,2", "depths": "3..5"}],
        [{"steps": 9, "depths": "2..3"}, {"steps": 12, "depths": "4..5"}],
        [{"learning_rate": "0.1,0.01"}, {"learning_rate": "0.001"}],
        [{"models": "plain", "optimizer": "sgd"}, {"models": "plain", "optimizer": "momentum", "momentum": 0.5}],
    ],
    ids=str,
)
def test_the_joined_sweep_asks_for_exactly_the_runs_of_all(requests: list[dict[str, Any]]) -> None:
    joined, runs = join(*requests)
    assert joined.content is not None
    again = plan_sweep(tomllib.loads(tomli_w.dumps(joined.content)))
    assert {*again.runs} == runs
    assert joined.runs is not None
    assert {*joined.runs} == runs
    assert joined.note == ""


def test_equal_sweeps_are_kept_as_they_are() -> None:
    plan = plan_sweep(SMALL)
    contents = [{"format": 2, **plan.resolved, "device": device} for device in ("cuda:0", "cuda:1")]
    assert join_sweeps(contents).content == {**plan.resolved, "device": "cuda:0"}


def test_what_no_lists_can_say_exactly_is_more_and_says_so() -> None:
    joined, runs = join({"depths": "2..3", "seeds": 0}, {"depths": "4..5", "seeds": 1})
    assert joined.runs is not None
    assert {*joined.runs} > runs
    assert joined.note == "sweep.toml asks for 8 runs that none of the sweeps asked for: lists multiply."


def test_sweeps_that_one_file_cannot_ask_for_leave_none() -> None:
    joined, _ = join({"models": "plain"}, {"models": "plain", "steps": None, "epochs": 2, "eval_every": 1})
    assert (joined.content, joined.runs) == (None, None)
    assert joined.note.startswith("There is no sweep.toml, since one cannot ask for all of these runs: ")


def test_a_model_that_is_not_here_is_kept_and_never_run() -> None:
    content = {"format": 2, "task": "sine", "models": ["elsewhere"], "depths": "2", "plugins": ["evil.py"]}
    joined = join_sweeps([content, content])
    assert joined.runs is None
    assert joined.content == {name: content[name] for name in ("task", "models", "depths")}
    assert joined.note.startswith("sweep.toml leaves out the plug-ins (evil.py)")
    assert join_sweeps([content, content | {"depths": "3"}]).content is None


def test_plugins_are_left_out_of_equal_sweeps_too() -> None:
    content = {**plan_sweep(SMALL).resolved, "plugins": ["theirs.py"]}
    joined = join_sweeps([content, content])
    assert joined.content == plan_sweep(SMALL).resolved
    assert joined.note == "sweep.toml leaves out the plug-ins (theirs.py), which are code: name them with --plugin."


def test_values_keep_the_order_in_which_they_were_given() -> None:
    joined, _ = join({"init": "normal,he"}, {"init": "default"})
    assert joined.content is not None
    assert joined.content["init"] == ["normal", "he", "default"]
