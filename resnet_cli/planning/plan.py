"""From a request to the list of runs: look up names, fill in defaults, multiply lists, reject invalid settings."""

import itertools
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from resnet_cli.models import all_models, get_model
from resnet_cli.models.base import Model
from resnet_cli.settings import registry
from resnet_cli.settings.discovery import OF_PLUGINS, load_plugins, plugins_with
from resnet_cli.settings.errors import UserError, shorten, unknown_name
from resnet_cli.settings.ranges import compact, format_ranges, numbers, parse_depths, parse_ranges, parse_seeds
from resnet_cli.settings.request import (
    DEFAULT_TASK,
    ENGINES,
    Request,
    check_keys,
    parse_values,
    replace_settings,
    single_value,
    split_list,
    with_alternatives,
)
from resnet_cli.settings.run import Run
from resnet_cli.settings.setting import Setting
from resnet_cli.tasks import all_tasks, get_task
from resnet_cli.tasks.base import Task
from resnet_cli.training.settings import work

ALL = "all"
"""Stands for every model that can learn the task, and that has one of the depths where they are common to all."""

MAX_RUNS = 100_000
MAX_THREADS = 1024

Lists = dict[str, tuple[Any, ...]]


class Shard(NamedTuple):
    """Which of how many shares of a plan, counted from 1; see `planning.shards`."""

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"


@dataclass(frozen=True)
class Plan:
    """A resolved sweep: all runs, the longest first, and notes for the user.

    `resolved` is the sweep as plain TOML values with every default spelled out; planning it again gives the same runs.
    In the share of a sweep for one of several machines, `runs` are its own, and `others` those of the other shares.
    """

    task: Task
    runs: list[Run]
    notes: list[str]
    device: str
    threads: int | None
    engine: str
    resolved: dict[str, Any]
    shard: Shard | None = None
    others: list[Run] = field(default_factory=list)


@dataclass(frozen=True)
class _Override:
    """Settings that replace others for some models and depths: as lists, and as they were written."""

    models: frozenset[str]
    depths: frozenset[int] | None
    lists: Lists
    table: dict[str, Any]

    def applies_to(self, model: str, depth: int) -> bool:
        return model in self.models and (self.depths is None or depth in self.depths)

    @property
    def text(self) -> str:
        """The table on one line."""
        return shorten(", ".join(f"{name} = {value}" for name, value in self.table.items()))

    def without(self, others: Lists) -> "_Override":
        """The same without what `others` would replace."""
        replaced = with_alternatives(others)
        lists = {name: values for name, values in self.lists.items() if name not in replaced}
        table = {name: value for name, value in self.table.items() if name not in replaced}
        return replace(self, lists=lists, table=table)


def requested_tasks(request: Request) -> list[str]:
    """The tasks that a request names; each makes a sweep of its own."""
    return [get_task(str(name)).name for name in split_list("task", request.get("task", DEFAULT_TASK))]


def plan_sweep(request: Request, *, smoke: bool = False) -> Plan:
    """Resolve a request for one task into its runs; what is missing gets the defaults of the task and the model.

    `smoke` shrinks it to seconds: settings to their `smoke` values, the first seed, and the two smallest depths that
    the models share.

    Raises:
        UserError: a name or key is unknown, a value is outside its limits, a depth does not exist, a setting has no
            effect on any run, or there are too many runs.
    """
    load_plugins(request.get("plugins", ()))
    request = check_keys(dict(request), "key")
    task = get_task(str(single_value("task", request, DEFAULT_TASK)))
    named = request.get("models", "plain,residual")
    models, too_deep = _within_depths(_find_models(task, named), named, request.get("depths"))
    seeds = parse_seeds(request.get("seeds", task.default_seeds))
    given = _parse_settings(request)
    _reject_foreign(request, task, models)
    names = {model.name: {setting.name for setting in settings_of(task, model)} for model in models}
    overrides = [_parse_override(table, task, models) for table in request.get("override", [])]

    lists = {model.name: _with_defaults(given, task, model) for model in models}
    chosen_seeds = numbers(seeds)
    if smoke:
        chosen_seeds = chosen_seeds[:1]
        small = {setting.name: (setting.smoke,) for setting in registry.known() if setting.smoke is not None}
        lists = {name: _only(names[name], replace_settings(of_model, small)) for name, of_model in lists.items()}
        overrides = [override.without(small) for override in overrides]
    runs: dict[Run, None] = {}
    notes = [f"{model.name} has no depth in {request['depths']}, so `{ALL}` leaves it out." for model in too_deep]
    idle = {override.text for override in overrides}
    selected = _select_depths(request.get("depths"), task, models)
    if isinstance(request.get("depths"), dict):
        notes += [
            f"The depths of {name} apply to no model of this sweep."
            for name in request["depths"]
            if lists.keys().isdisjoint(model.name for model in _find_models(task, name))
        ]
    if smoke:
        shared = sorted(set.intersection(*(set(kept) for kept, _ in selected.values())))
        selected = {name: ((shared or kept)[:2], left_out) for name, (kept, left_out) in selected.items()}
    for model in models:
        kept, left_out = selected[model.name]
        if left_out and not smoke:
            notes.append(
                f"{model.name} has depths {model.depth_rule.formula}: "
                f"kept {compact(kept)}; left out {compact(left_out)}."
            )
        for depth in kept:
            combination = lists[model.name]
            for override in overrides:
                if override.applies_to(model.name, depth):
                    idle.discard(override.text)
                    combination = replace_settings(combination, _only(names[model.name], override.lists))
            count = len(runs) + len(chosen_seeds) * math.prod(map(len, combination.values()))
            if count > MAX_RUNS:
                raise UserError(
                    f"the sweep has {count:,} runs or more; at most {MAX_RUNS:,} are allowed, so shorten a list."
                )
            for settings in _product(combination):
                for seed in chosen_seeds:
                    runs[_make_run(task=task.name, model=model.name, depth=depth, seed=seed, **settings)] = None
    _reject_unused(given, list(runs))
    notes += [f"The override {text} applies to no run of this sweep." for text in sorted(idle)]

    device = str(single_value("device", request, "auto"))
    threads = _parse_threads(single_value("threads", request, None))
    engine = str(single_value("engine", request, "auto"))
    if engine not in ENGINES:
        raise unknown_name("engine", shorten(engine), ENGINES)
    resolved = {
        "task": task.name,
        "models": [model.name for model in models],
        "depths": _resolved_depths(request.get("depths"), selected, smoke),
        "seeds": str(chosen_seeds[0]) if smoke else format_ranges(*seeds),
        "engine": engine,
        "device": device,
        **({"threads": threads} if threads else {}),
        **({"plugins": plugins} if (plugins := plugins_with([task, *models])) else {}),
        **_resolved_settings(lists, list(runs), overrides),
    }
    return Plan(task, sorted(runs, key=_cost, reverse=True), notes, device, threads, engine, resolved)


Selected = dict[str, tuple[list[int], list[int]]]
"""For every model, the depths at which it will be trained, and the requested ones that it does not have."""


def _select_depths(raw: object, task: Task, models: list[Model]) -> Selected:
    """The depths of each model: from common ranges, its entry in a table, or nearest to the task's defaults."""
    if raw is None:
        nearest = {
            model.name: {
                model.depth_rule.nearest(depth)[0] for depth in numbers(parse_depths(task.default_depths[model.family]))
            }
            for model in models
        }
        return {name: (sorted(depths), []) for name, depths in nearest.items()}
    if not isinstance(raw, dict):
        return {model.name: model.depth_rule.select(parse_depths(raw), model.name) for model in models}
    try:
        given = {model.name: value for names, value in raw.items() for model in _find_models(task, names)}
    except UserError as error:
        raise UserError(f"depths: {error}") from None
    for model in models:
        if model.name not in given:
            raise UserError(
                f"depths: the table has none for {model.name}; add them there, or give --depths for all models."
            )
    return {model.name: model.depth_rule.select(parse_depths(given[model.name]), model.name) for model in models}


def _resolved_depths(raw: object, selected: Selected, smoke: bool) -> object:
    """Depths as TOML: as they were given, or a table by model if the models' depths differ."""
    if raw is not None and not isinstance(raw, dict) and not smoke:
        return format_ranges(*parse_depths(raw))
    texts = {name: compact(kept) for name, (kept, _) in selected.items()}
    return texts if len(set(texts.values())) > 1 else next(iter(texts.values()))


def _make_run(**settings: Any) -> Run:
    try:
        return Run(**settings)
    except ValueError as error:
        raise UserError(f"{settings['model']} at depth {settings['depth']}: {error}.") from None


def _cost(run: Run) -> tuple[int, int]:
    """A sort key: the longest runs first, so that no worker is left with one at the end; then the lower seeds."""
    return work(run), -run.seed


def _find_models(task: Task, raw: object) -> list[Model]:
    aliases: dict[str, list[str]] = {ALL: []}
    for model in all_models().values():
        if model.family == task.families[0] and model.role != "other":
            aliases[model.role] = [model.name]
        if model.family in task.families:
            aliases[ALL].append(model.name)
    found: dict[str, Model] = {}
    for item in split_list("models", raw):
        for name in aliases.get(str(item), [str(item)]):
            if name not in all_models():
                raise unknown_name("model", shorten(name), [*all_models(), *aliases], OF_PLUGINS)
            found[name] = get_model(name)
    for model in found.values():
        if model.family not in task.families:
            fitting = ", ".join(aliases[ALL])
            raise UserError(f"models (={model.name}) cannot learn {task.name}; models that can are {fitting}.")
    return list(found.values())


def _within_depths(models: list[Model], named: object, depths: object) -> tuple[list[Model], list[Model]]:
    """The models of a sweep, and those that `all` stands for but that have none of the depths."""
    if depths is None or isinstance(depths, dict) or ALL not in (words := set(map(str, split_list("models", named)))):
        return models, []
    wanted = numbers(parse_depths(depths))
    absent = [one for one in models if one.name not in words and not any(map(one.depth_rule.exists, wanted))]
    return [model for model in models if model not in absent] or models, absent


def _parse_settings(request: Mapping[str, Any]) -> Lists:
    """The values of all settings in a request, in the order of columns."""
    names = registry.in_order(name for name in request if registry.find(name) is not None)
    return {name: parse_values(_setting(name), request[name]) for name in names}


def _setting(name: str) -> Setting[Any]:
    setting = registry.find(name)
    assert setting is not None
    return setting


def _reject_foreign(request: Request, task: Task, models: list[Model]) -> None:
    """Reject settings that the task or all of the models lack."""
    of_models = {setting.name for model in models for setting in model.settings}
    of_task = {setting.name for setting in task.settings}
    for name, values in request.items():
        setting = registry.find(name)
        owner = None if setting is None else registry.owner(setting)
        shown = f"{name} (={shorten(values)})"
        if owner == "Model" and name not in of_models:
            names = " and ".join(model.name for model in models)
            have = "have" if len(models) > 1 else "has"
            raise UserError(f"{shown} is not a setting of {names}; {names} {have} {', '.join(sorted(of_models))}.")
        if owner == "Task" and name not in of_task:
            having = ", ".join(other.name for other in all_tasks().values() if setting in other.settings)
            known = ", ".join(sorted(of_task)) or "none"
            raise UserError(f"{shown} is not a setting of {task.name} but of {having}; {task.name} has {known}.")


def _reject_unused(given: Lists, runs: list[Run]) -> None:
    """Reject settings that were given but have no effect."""
    for name, values in given.items():
        need = _setting(name).need
        if need is not None and all(run.get(name) is None for run in runs):
            raise UserError(f"{name} (={shorten(values)}) has no effect; it needs {need.words}.")


def _parse_override(table: dict[str, Any], task: Task, models: list[Model]) -> _Override:
    chosen = {model.name for model in _find_models(task, table["models"])} if "models" in table else None
    affected = [model for model in models if chosen is None or model.name in chosen]
    given = _parse_settings(table)
    if affected:
        _reject_foreign(table, task, affected)
    depths = frozenset(numbers(parse_depths(table["depths"]))) if "depths" in table else None
    return _Override(frozenset(model.name for model in affected), depths, given, table)


def settings_of(task: Task, model: Model) -> list[Setting[Any]]:
    """The settings that apply to the runs of a model on a task."""
    own = {*model.settings, *task.settings}
    return [setting for setting in registry.known() if setting in own or registry.owner(setting) == "Training"]


def _only(names: Collection[str], lists: Lists) -> Lists:
    return {name: values for name, values in lists.items() if name in names}


def _with_defaults(given: Lists, task: Task, model: Model) -> Lists:
    """The values of all settings that could apply to a model on a task."""
    settings = settings_of(task, model)
    lists: Lists = {one.name: (one.default,) for one in settings if one.default is not None and one.need is None}
    for layer in (model.defaults, task.defaults, task.family_defaults.get(model.family, {})):
        lists |= {name: (value,) for name, value in layer.items()}
    lists = replace_settings(lists, given)
    for setting in settings:
        if setting.need is not None:
            lists.setdefault(setting.name, (setting.default,))
    return _only([setting.name for setting in settings], lists)


def _product(lists: Lists) -> Iterator[dict[str, Any]]:
    """Every combination of some lists, each once, without settings that do not apply."""
    needs = {name: need for name in lists if (need := _setting(name).need) is not None}
    seen = set()
    for values in itertools.product(*lists.values()):
        settings = dict(zip(lists, values, strict=True))
        for name, need in needs.items():
            if not need.met(settings.get(need.parent.name)):
                del settings[name]
        if (key := tuple(sorted(settings.items(), key=str))) not in seen:
            seen.add(key)
            yield settings


def _resolved_settings(lists: dict[str, Lists], runs: list[Run], overrides: list[_Override]) -> dict[str, Any]:
    """Settings as TOML: at the top where all models agree, else in overrides by model; then the user's overrides."""
    used = {name for run in runs for name in run.settings}
    by_model = {model: _only(used, of_model) for model, of_model in lists.items()}
    common: dict[str, Any] = {}
    special: dict[str, dict[str, Any]] = {model: {} for model in lists}
    for name in registry.names_in_order(runs):
        having = {model: of_model[name] for model, of_model in by_model.items() if name in of_model}
        if len(set(having.values())) == 1:
            common[name] = _plain(next(iter(having.values())))
        else:
            for model, values in having.items():
                special[model][name] = _plain(values)
    tables = [{"models": [model], **settings} for model, settings in special.items() if settings]
    asked = [override.table for override in overrides]
    if asked[: len(tables)] != tables:  # otherwise the request had been resolved before
        asked = tables + asked
    return common | ({"override": asked} if asked else {})


def _plain(values: tuple[Any, ...]) -> Any:
    return values[0] if len(values) == 1 else list(values)


def _parse_threads(raw: object) -> int | None:
    if raw is None:
        return None
    number, *others = numbers(parse_ranges(raw, option="threads", minimum=1, maximum=MAX_THREADS))
    if others:
        raise UserError(f"threads (={raw}) takes one value, not a list.")
    return number
