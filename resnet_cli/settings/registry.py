"""Registries of models and of tasks: built in, from entry points of other packages, and from plug-in files.

A registry looks for one attribute, `MODELS` or `TASK`, which holds what is registered or a tuple of it:

- in every module of its own folder;
- in the entry points of the group `resnet_exp.models` or `resnet_exp.tasks` of installed packages, each of which names
  a module with that attribute, or such a value itself;
- in the plug-in files that this process has run.
"""

import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Generic, Protocol, TypeVar

from resnet_cli.settings.errors import UserError, unknown_name

plugins: dict[Path, ModuleType] = {}
"""The plug-in files that this process has run; `resnet_cli.planning.plugins` fills it."""


class Named(Protocol):
    """What can be registered."""

    @property
    def name(self) -> str:
        """By which it is chosen."""


T = TypeVar("T", bound=Named)


@dataclass(frozen=True)
class Registry(Generic[T]):
    """What there is of one kind, by name.

    Args:
        kind: what error messages call it, such as `model`.
        item_type: of what is registered, which has a `name`.
        package: whose modules are searched.
        attribute: to look for in modules.
        group: of entry points.
    """

    kind: str
    item_type: type[T]
    package: str
    attribute: str
    group: str

    def all(self) -> dict[str, T]:
        """Everything that is registered, by name.

        Raises:
            UserError: an entry point or a plug-in does not define what it should, or a name that exists already.
        """
        return collect(self, tuple(plugins.items()))

    def get(self, name: str) -> T:
        """What is called `name`. Raises UserError, listing the known names, if there is none."""
        if name not in self.all():
            raise unknown_name(self.kind, name, self.all())
        return self.all()[name]

    def read(self, source: str, found: object) -> Iterator[T]:
        """What a module, or the value of an entry point, holds. Raises UserError if it is of another type."""
        found = getattr(found, self.attribute, ()) if isinstance(found, ModuleType) else found
        for item in found if isinstance(found, (tuple, list)) else (found,):
            if not isinstance(item, self.item_type):
                raise UserError(
                    f"{source}: {self.attribute} holds a {type(item).__name__} where every part must be a "
                    f"{self.item_type.__name__}; mend it."
                )
            yield item


@cache
def collect(registry: Registry[T], loaded: tuple[tuple[Path, ModuleType], ...]) -> dict[str, T]:
    package = import_module(registry.package)
    sources: list[tuple[str, object]] = [
        (found.name, import_module(f"{registry.package}.{found.name}"))
        for found in pkgutil.iter_modules(package.__path__)
    ]
    for entry in entry_points(group=registry.group):
        source = f"entry point {entry.name} (={entry.value}) of {entry.dist.name if entry.dist else 'a package'}"
        try:
            sources.append((source, entry.load()))
        except Exception as error:
            raise UserError(
                f"{source} cannot be loaded: {describe_error(error)}; mend or remove that package."
            ) from error
    sources += [(f"plugin (={path})", module) for path, module in loaded]
    items: dict[str, T] = {}
    for source, found in sources:
        for item in registry.read(source, found):
            if item.name in items:
                raise UserError(f"{source}: {registry.kind} (={item.name}) exists already; give it another name.")
            items[item.name] = item
    return items


def describe_error(error: BaseException) -> str:
    """An error of somebody else's code on one line, such as `NameError: name 'x' is not defined`."""
    text = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
