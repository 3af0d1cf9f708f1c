"""All settings that have been declared, by name. What declares them is named in `resnet_cli/__init__.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from resnet_cli.settings.run import Run
    from resnet_cli.settings.setting import Setting

Owner = Literal["Model", "Task", "Training"]

_owners: dict[str, Owner] = {}
_settings: dict[str, Setting[Any]] = {}
_quick: list[Setting[Any]] = []
_sources: list[Callable[[], object]] = []
_slow_sources: list[Callable[[], object]] = []


def add_sources(quick: Callable[[], object], slow: Callable[[], object]) -> None:
    """Register what declares the settings: called when one is first asked for, `slow`, which may import torch, last."""
    _sources.append(quick)
    _slow_sources.append(slow)


def declare(owner: Owner, settings: Iterable[Setting[Any]]) -> None:
    """Register settings that a part of the program declares. Raises ValueError if another one has the same name."""
    declared()  # what is known without torch comes first, whoever asks for a model before
    for setting in settings:
        if _settings.setdefault(setting.name, setting) is not setting:
            raise ValueError(f"there are two declarations of the setting {setting.name}")
        _owners.setdefault(setting.name, owner)
    before.cache_clear()


def declared() -> tuple[Setting[Any], ...]:
    """The settings that can be known without importing torch: of models, tasks and training; the latest ones last.

    Settings that single models declare themselves are not among them.
    """
    while _sources:
        _sources.pop()()
        _quick.extend(sorted(_settings.values(), key=lambda setting: setting.came_later))
    return tuple(_quick)


@cache
def alternatives() -> Mapping[str, list[str]]:
    """By `Setting.one_of`, the names of settings of which a run has exactly one, such as epochs and steps."""
    groups: dict[str, list[str]] = {}
    for setting in declared():
        if setting.one_of:
            groups.setdefault(setting.one_of, []).append(setting.name)
    return groups


@cache
def required() -> tuple[str, ...]:
    """The names of the settings of training that every run has."""
    free = {name for names in alternatives().values() for name in names}
    return tuple(
        one.name for one in declared() if owner(one) == "Training" and one.need is None and one.name not in free
    )


def known() -> tuple[Setting[Any], ...]:
    """The settings that have been declared so far: `declared()`, then those of single models and of plug-ins."""
    return tuple(dict.fromkeys([*declared(), *_settings.values()]))


def all_settings() -> tuple[Setting[Any], ...]:
    """All settings, also those that single models declare; this may import torch."""
    declared()
    for load in _slow_sources:
        load()
    return known()


def find(name: str) -> Setting[Any] | None:
    """The setting called `name` if it has been declared so far."""
    declared()
    return _settings.get(name)


def count() -> int:
    """How many settings have been declared so far."""
    declared()
    return len(_settings)


def owner(setting: Setting[Any]) -> Owner:
    """Which part of the program declares a setting."""
    return _owners[setting.name]


@cache
def before(model: str, task: str) -> Mapping[str, Any]:
    """By name, the settings that a model and a task got later, with the values that apply to runs without them."""
    declared()
    return {
        setting.name: setting.before[place]
        for setting in _settings.values()
        for place in (model, task, "*")
        if place in setting.before
    }


def in_order(names: Iterable[str]) -> list[str]:
    """Names of settings in the order of columns: as declared, then what came later or is a single model's, as given."""
    given = dict.fromkeys(names)
    old = [setting.name for setting in declared() if not setting.came_later]
    return list(dict.fromkeys([*(name for name in old if name in given), *given]))


def column_names(runs: Iterable[Run]) -> list[str]:
    """What could be a column of settings in a table of some runs: what is declared, and what they have besides."""
    return list(dict.fromkeys([*(setting.name for setting in declared()), *names_in_order(runs)]))


def names_in_order(runs: Iterable[Run]) -> list[str]:
    """The names of all settings of some runs, in the order of columns."""
    return in_order(name for run in runs for name in run.settings)
