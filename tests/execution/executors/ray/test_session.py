"""The connection to a cluster, and what is known of its nodes."""

import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from resnet_cli.execution.executors.ray import session
from resnet_cli.planning.conditions import Machine, this_machine
from resnet_cli.settings.errors import UserError


def node(key: str, host: str, *, name: str = "10.0.0.1", alive: bool = True, **resources: float) -> dict[str, Any]:
    return {
        "NodeID": key,
        "Alive": alive,
        "NodeName": name,
        "NodeManagerAddress": "10.0.0.1",
        "NodeManagerHostname": host,
        "Resources": resources,
    }


def test_without_ray_one_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "ENVIRONMENT", {})
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError) as caught:
        session.load_ray()
    assert str(caught.value) == (
        "executor (=ray) needs the package ray, which is not installed; "
        "install it with `pip install 'resnet-exp[ray]'`."
    )


def test_the_token_is_on_and_the_statistics_are_off_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in session.ENVIRONMENT:
        monkeypatch.setenv(name, "to be restored")
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError):
        session.load_ray()
    assert (os.environ["RAY_AUTH_MODE"], os.environ["RAY_USAGE_STATS_ENABLED"]) == ("token", "1")


def test_nodes_are_named_after_their_hosts_unless_named_or_alike() -> None:
    nodes = [
        node("aaaabb", "box"),
        node("ccccdd", "box"),
        node("eeeeff", "other"),
        node("gggghh", "third", name="big-one"),
        node("iiiijj", "fourth", alive=False),
    ]
    assert session.node_names(SimpleNamespace(nodes=lambda: nodes)) == {
        "aaaabb": "box-aaaa",
        "ccccdd": "box-cccc",
        "eeeeff": "other",
        "gggghh": "big-one",
    }


def test_machines_are_the_living_nodes_with_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [
        node("a", "head", memory=1.0),
        node("b", "one", CPU=8.0, GPU=2.0),
        node("c", "two", CPU=4.0),
        node("d", "gone", CPU=4.0, alive=False),
    ]
    monkeypatch.setattr(session, "connect", lambda address: SimpleNamespace(nodes=lambda: nodes))
    assert session.machines("auto") == [Machine(8, 2), Machine(4, 0)]
    assert session.machines(None) == [this_machine()]
