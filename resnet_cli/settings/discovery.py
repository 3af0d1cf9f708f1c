"""Where models and tasks come from: the folders of this package, entry points of other packages, and plug-in files.

All of them hold what they define in an attribute, `MODELS` or `TASK`: a model or a task, or a tuple of them. An entry
point of the group `resnet_exp.models` or `resnet_exp.tasks` names a module with that attribute, or such a value itself.
A plug-in is a Python file that is run only when it is named. A name that exists already is refused.
"""

import hashlib
import importlib.util
import pkgutil
import re
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

from resnet_cli.settings import registry
from resnet_cli.settings.errors import UserError, shorten, unknown_name
from resnet_cli.settings.setting import NAME, Setting


class Part(Protocol):
    """A model or a task."""

    @property
    def name(self) -> str:
        """By which it is chosen."""

    @property
    def settings(self) -> tuple[Setting[Any], ...]:
        """That apply to it."""


T = TypeVar("T", bound=Part)

OF_PLUGINS = ", and what --plugin FILE.py adds"
"""Where else models and tasks come from than a list of them shows."""

_catalogues: list["Catalogue[Any]"] = []
_plugins: dict[Path, ModuleType] = {}


@dataclass(frozen=True)
class Catalogue(Generic[T]):
    """All models, or all tasks: what the modules of a package, entry points and plug-ins hold in an attribute."""

    kind: registry.Owner  # Model or Task, the class in the module `base` of the package
    package: str
    attribute: str

    def __post_init__(self) -> None:
        _catalogues.append(self)

    def all(self) -> dict[str, T]:
        """What there is, by name.

        Raises:
            UserError: another package or a plug-in defines something else than it should, or what exists already.
        """
        return _collect(self, tuple(_plugins.items()))

    def get(self, name: str) -> T:
        """What is called `name`. Raises UserError, listing the known names, if there is none."""
        if name not in self.all():
            raise unknown_name(self.kind.lower(), name, self.all(), OF_PLUGINS)
        return self.all()[name]

    def within(self, found: object) -> tuple[Any, ...]:
        """What a module, or the value of an entry point, defines."""
        value = getattr(found, self.attribute, ()) if isinstance(found, ModuleType) else found
        return tuple(value) if isinstance(value, (tuple, list)) else (value,)


@cache
def _collect(catalogue: Catalogue[T], plugins: Iterable[tuple[Path, ModuleType]]) -> dict[str, T]:
    package = import_module(catalogue.package)
    kind = getattr(import_module(f"{catalogue.package}.base"), catalogue.kind)
    names = [module.name for module in pkgutil.iter_modules(package.__path__) if not module.ispkg]
    sources: list[tuple[str, object]] = [(name, import_module(f"{catalogue.package}.{name}")) for name in names]
    for entry in entry_points(group=f"resnet_exp.{catalogue.kind.lower()}s"):
        source = f"entry point {entry.name} (={entry.value})"
        try:
            sources.append((source, entry.load()))
        except Exception as error:
            raise UserError(f"{source} cannot be loaded: {_describe(error)}; mend or remove its package.") from error
    sources += [(f"plugin (={path})", module) for path, module in plugins]
    found: dict[str, T] = {}
    for source, module in sources:
        for part in catalogue.within(module):
            if not isinstance(part, kind):
                raise UserError(f"{source}: {catalogue.attribute} holds {shorten(part)}, which is no {catalogue.kind}.")
            word = catalogue.kind.lower()
            if not isinstance(part.name, str) or not re.fullmatch(NAME, part.name):
                raise UserError(
                    f"{source}: name (={shorten(part.name)}) of a {word} must be a word of letters, digits and ._+-."
                )
            if not all(isinstance(setting, Setting) for setting in part.settings):
                raise UserError(
                    f"{source}: settings (={shorten(part.settings)}) of {part.name} must be a tuple of Setting."
                )
            if part.name in found:
                raise UserError(f"{source}: there is a {word} called {part.name} already; choose another name.")
            try:
                registry.declare(catalogue.kind, part.settings)
            except ValueError as error:
                raise UserError(f"{source}: {error}; choose another name.") from None
            found[part.name] = part
    return found


def load_plugins(files: object, below: Path = Path()) -> list[str]:
    """Run plug-in files, of which paths may be relative to `below`, once in a process; returns their full paths.

    Raises:
        UserError: a file cannot be read or run, or what it defines is not a new model or task.
    """
    paths = [files] if isinstance(files, (str, Path)) else files
    if not isinstance(paths, (list, tuple)) or not all(isinstance(path, (str, Path)) for path in paths):
        raise UserError(f"plugins (={shorten(files)}) must be the path of a Python file, or a list of paths.")
    resolved = [Path(below, path).resolve() for path in paths]
    for path in resolved:
        if path in _plugins:
            continue
        _plugins[path] = _run(path)
        try:
            for catalogue in _catalogues:
                catalogue.all()
        except UserError:
            del _plugins[path]
            raise
    return [str(path) for path in resolved]


def plugins_with(parts: Iterable[Part]) -> list[str]:
    """The full paths of the plug-in files that define some of these models and tasks."""
    wanted = list(parts)
    return [
        str(path)
        for path, module in _plugins.items()
        if any(part in wanted for catalogue in _catalogues for part in catalogue.within(module))
    ]


def _run(path: Path) -> ModuleType:
    name = f"resnet_exp_plugin_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UserError(f"plugin (={path}) is not a file that ends in .py; give the path of one.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        if isinstance(error, SystemExit) and error.code in (129, 130, 143):  # it was ended by a signal
            raise
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = lines[-1] if lines else None
        if isinstance(error, SyntaxError):
            line = error.lineno
        place = f", line {line}," if line else ""
        raise UserError(f"plugin (={path}){place} cannot be run: {_describe(error)}; mend it.") from error
    if not any(hasattr(module, attribute) for attribute in ("MODELS", "TASK")):
        raise UserError(f"plugin (={path}) defines neither MODELS nor TASK; let it define one of them.")
    return module


def _describe(error: BaseException) -> str:
    """An error on one line, such as `NameError: name 'x' is not defined`."""
    text = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {text}"
