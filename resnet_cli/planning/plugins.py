"""Plug-ins: Python files outside the package that define models or tasks, and are run only when they are named."""

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from resnet_cli.models import all_models
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.registry import describe_error, plugins
from resnet_cli.tasks import all_tasks


def load_plugins(files: Iterable[str | Path]) -> None:
    """Run plug-in files and register what they define; a file that has been loaded before is not run again.

    Raises:
        UserError: a file cannot be read or run, defines nothing, or defines a name that exists already.
    """
    for file in files:
        path = Path(file).resolve()
        if path not in plugins:
            plugins[path] = _run(path)
            try:
                all_models(), all_tasks()
            except UserError:
                del plugins[path]
                raise


def _run(path: Path) -> ModuleType:
    if path.suffix != ".py" or not path.is_file():
        raise UserError(f"plugin (={path}) is not a Python file; give the path of one that ends in .py.")
    name = f"resnet_exp_plugin_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UserError(
            f"plugin (={path}){_line(error, path)} cannot be run: {describe_error(error)}; mend it."
        ) from error
    if not hasattr(module, "MODELS") and not hasattr(module, "TASK"):
        raise UserError(f"plugin (={path}) defines neither MODELS nor TASK; define one of them in it.")
    return module


def _line(error: BaseException, path: Path) -> str:
    """Where in the file an error arose, such as `, line 3,`."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines.append(error.lineno)
    return f", line {lines[-1]}," if lines and lines[-1] else ""
