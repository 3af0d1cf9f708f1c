"""One sweep that asks for what several sweeps ask for: the sweep file of merged results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resnet_cli.planning.plan import Plan, plan_sweep
from resnet_cli.settings.errors import UserError, shorten
from resnet_cli.settings.ranges import compact
from resnet_cli.settings.run import Run

MACHINE = ("device", "threads", "engine")
"""How runs are trained, which does not make sweeps different; kept where all agree."""

NOT_REQUESTED = ("format", "out", "plugins")
"""What a sweep file holds beside a request. Plug-ins are code: they run only where a person names them, so the file of
merged results names none."""


@dataclass(frozen=True)
class Joined:
    """The content of a sweep file and the runs that it asks for; None where they are unknown. `note` says why."""

    content: dict[str, Any] | None
    runs: list[Run] | None
    note: str = ""


def join_sweeps(contents: Sequence[Mapping[str, Any]]) -> Joined:
    """The sweep that asks for the runs of all of these sweep files, and for as few others as lists can say."""
    first = contents[0]
    if all(what_is_asked(content) == what_is_asked(first) for content in contents):
        content = {name: value for name, value in first.items() if name not in ("format", "plugins")}
        try:
            return Joined(content, plan_sweep(_request(first)).runs, _note_on_plugins(first))
        except UserError:  # such as a model of somebody else's
            return Joined(content, None, _note_on_plugins(first))
    try:
        asked = list(dict.fromkeys(run for content in contents for run in plan_sweep(_request(content)).runs))
        plan = _plan_of(asked, contents)
    except UserError as error:
        reason = str(error).rstrip(".")
        return Joined(None, None, f"There is no sweep.toml, since one cannot ask for all of these runs: {reason}.")
    missing = {*asked} - {*plan.runs}
    if missing:
        return Joined(None, None, "There is no sweep.toml, since one cannot ask for all of these runs.")
    more = len(plan.runs) - len(asked)
    note = f"sweep.toml asks for {more:,} runs that none of the sweeps asked for: lists multiply." if more else ""
    return Joined(plan.resolved, plan.runs, note)


def what_is_asked(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a sweep file asks for, without how it is done on a machine."""
    return {name: value for name, value in content.items() if name not in (*MACHINE, "format")}


def _note_on_plugins(content: Mapping[str, Any]) -> str:
    named = content.get("plugins") or []
    names = ", ".join(shorten(name) for name in (named if isinstance(named, list) else [named]))
    return f"sweep.toml leaves out the plug-ins ({names}), which are code: name them with --plugin." if names else ""


def _request(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in NOT_REQUESTED}


def _plan_of(runs: Sequence[Run], contents: Sequence[Mapping[str, Any]]) -> Plan:
    """The plan of a request whose lists hold the values of these runs: for all models, or in overrides for some.

    Raises:
        UserError: the lists contradict each other.
    """
    models = sorted({run.model for run in runs}, key=_order("models", contents))
    of_model = {model: [run for run in runs if run.model == model] for model in models}
    lists = {model: _lists(members, contents) for model, members in of_model.items()}
    common = {
        name: values
        for of_one in lists.values()
        for name, values in of_one.items()
        if all(other.get(name, values) == values for other in lists.values())
    }
    tables = []
    for model, members in of_model.items():
        by_depth: dict[str, list[int]] = {}
        of_depth = {}
        for depth in sorted({run.depth for run in members}):
            found = _lists([run for run in members if run.depth == depth], contents)
            by_depth.setdefault(str(found), []).append(depth)
            of_depth[str(found)] = found
        for key, depths in by_depth.items():
            special = {name: values for name, values in of_depth[key].items() if common.get(name) != values}
            if special:
                where = {"depths": compact(depths)} if len(by_depth) > 1 else {}
                tables.append({"models": [model], **where, **special})
    alike = {
        name: contents[0][name]
        for name in MACHINE
        if name in contents[0] and all(content.get(name) == contents[0][name] for content in contents)
    }
    return plan_sweep(
        {
            "task": runs[0].task,
            "models": models,
            "depths": {model: compact({run.depth for run in members}) for model, members in of_model.items()},
            "seeds": compact({run.seed for run in runs}),
            **alike,
            **common,
            **({"override": tables} if tables else {}),
        }
    )


def _lists(runs: Sequence[Run], contents: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The values of every setting, in the order in which the sweeps give them."""
    names = dict.fromkeys(name for run in runs for name in run.settings)
    return {
        name: sorted({run.settings[name] for run in runs if name in run.settings}, key=_order(name, contents))
        for name in names
    }


def _order(name: str, contents: Sequence[Mapping[str, Any]]) -> Any:
    """A sort key: the place of a value among all that the sweeps give for a name, then its text."""
    given: list[Any] = []
    for content in contents:
        for table in (content, *content.get("override", ())):
            value = table.get(name, [])
            given += value if isinstance(value, list) else [value]
    return lambda value: (given.index(value) if value in given else len(given), str(value))
