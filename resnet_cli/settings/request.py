"""What the user asked for: raw values by key from a TOML file, flags and `--set`, merged and checked."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from resnet_cli.settings import registry
from resnet_cli.settings.configs import bundled_configs, find_config
from resnet_cli.settings.discovery import load_plugins
from resnet_cli.settings.errors import UserError, did_you_mean, shorten, unknown_name
from resnet_cli.settings.format import PACKED_RUNS_FILE, check_format
from resnet_cli.settings.ranges import is_range, numbers, parse_ranges, parse_reals
from resnet_cli.settings.setting import SWEEP_KEYS, Setting

T = TypeVar("T")

Request = Mapping[str, Any]
"""Raw values by key: text with commas, a number, a truth value, or a list; `override` holds a list of tables."""

DEFAULT_TASK = "sine"
ENGINES = ("auto", "loop", "stacked")
OVERRIDE_KEYS = ("models", "depths")
MAX_VALUES = 1000
MAX_WHOLE = 10**9
MAX_PATH = 4096


def load_config(path: Path) -> dict[str, Any]:
    """Read a sweep from a TOML file: flat keys, `SWEEP_KEYS` and settings, and `[[override]]` tables.

    A name such as `digits` that is not a file means the bundled configuration of that name. The sweep of a results
    folder continues in that folder unless another is named; packed results are never written to, so their sweep goes
    to the folder of the same name below results/.

    Raises:
        UserError: the file is missing, is not TOML (the line is named), or has an unknown key.
    """
    path = find_config(path)
    try:
        text = path.read_text("utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        bundled = bundled_configs()
        raise UserError(
            f"config (={path}) is not a file, nor a bundled configuration{did_you_mean(path.stem, bundled)}; "
            f"these are {', '.join(bundled)}."
        ) from None
    except OSError as error:
        raise UserError(f"config (={path}) cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UserError(f"config (={path}) is not text in UTF-8, as TOML must be.") from None
    try:
        content = tomllib.loads(text)
        repr(content)  # fails on what no message could show: numbers of thousands of digits, endlessly nested tables
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = str(error).replace("end of document", f"the end, line {len(text.splitlines())}")
        raise UserError(f"config (={path}) is not valid TOML: {reason}.") from None
    except ValueError:
        raise UserError(f"config (={path}) holds a number of thousands of digits; shorten it.") from None
    if "format" in content and "out" not in content:  # the file of a results folder: its sweep continues there
        packed = path.with_name(PACKED_RUNS_FILE).exists()  # or, if it is packed, in a folder of that name
        content["out"] = str(Path("results", path.resolve().parent.name) if packed else path.parent)
    check_format(path, content.pop("format", None))
    if "plugins" in content:
        content["plugins"] = load_plugins(content["plugins"], below=path.parent)
    return check_keys(content, f"key in {path}")


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Parse `--set key=value` assignments. Raises UserError if the equals sign is missing or the key is unknown."""
    values: dict[str, Any] = {}
    for text in assignments:
        key, sign, value = text.partition("=")
        if not sign:
            raise UserError(f"set (={shorten(text)}) must have the form key=value, such as --set epochs=5.")
        values[key.strip()] = value.strip()
    return check_keys(values, "key of --set")


def check_keys(values: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return `values`; raises UserError if a key is unknown or a table gives the length of training twice."""
    overrides = values.get("override", [])
    if not isinstance(overrides, list) or not all(isinstance(table, dict) for table in overrides):
        raise UserError(f"{kind} (=override) must be tables, each under a heading [[override]].")
    for others, table in [((*SWEEP_KEYS, "override"), values), *((OVERRIDE_KEYS, table) for table in overrides)]:
        for key in table:
            if key not in others and registry.find(key) is None:
                known = {setting.name for setting in registry.all_settings()}
                if key not in known:
                    raise unknown_name(kind, shorten(key), (*others, *known))
        for what, names in registry.alternatives().items():
            given = [name for name in names if name in table]
            if len(given) > 1:
                texts = " and ".join(f"{name} (={shorten(table[name])})" for name in given)
                raise UserError(f"{texts} both give the {what}; choose one.")
    return values


def with_alternatives(names: Iterable[str]) -> set[str]:
    """Names of settings, and of those of which a run can have only one at a time with one of them."""
    given = {*names}
    return given.union(*(group for group in registry.alternatives().values() if not given.isdisjoint(group)))


def merge(*layers: Request) -> dict[str, Any]:
    """Merge requests; later ones win, also over earlier overrides. Alternatives replace each other."""
    merged: dict[str, Any] = {}
    for layer in layers:
        replaced = with_alternatives(layer.keys() - {*SWEEP_KEYS, "override"})
        for name in _made_useless(layer) & merged.keys() - layer.keys():
            del merged[name]
        if "override" in merged:
            merged["override"] = [
                {name: value for name, value in table.items() if name not in replaced} for table in merged["override"]
            ]
        merged = replace_settings(merged, layer)
    return merged


def replace_settings(settings: Mapping[str, Any], by: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` updated with `by`; alternatives, such as epochs and steps, replace each other."""
    replaced = with_alternatives(by)
    return {name: value for name, value in settings.items() if name in by or name not in replaced} | dict(by)


def _made_useless(layer: Request) -> set[str]:
    """Settings that apply with no value in `layer`, such as momentum if it asks for adam, and what needs those."""
    useless: set[str] = set()
    for setting in registry.known():  # a setting comes after the one that it needs
        if (need := setting.need) is None:
            continue
        parent = need.parent.name
        if parent in useless or (parent in layer and not any(map(need.met, split_list(parent, layer[parent])))):
            useless.add(setting.name)
    return useless


def parse_values(setting: Setting[T], raw: object) -> tuple[T, ...]:
    """The values of a setting, each once; ranges of numbers stand for their values.

    Raises:
        UserError: there is no value, a range is malformed, there are unreasonably many, or as `Setting.parse`.
    """
    items = [value for item in split_list(setting.name, raw) for value in _expanded(setting, item)]
    _check_number(setting.name, items)
    return tuple(dict.fromkeys(map(setting.parse, items)))


def _expanded(setting: Setting[Any], item: object) -> Iterable[object]:
    """The values of a range if the setting is a number and the item is one; whole numbers are written like depths."""
    if not setting.number or not isinstance(item, str) or not is_range(item):
        return [item]
    if setting.number is int:
        return numbers(parse_ranges(item, option=setting.name, minimum=0, maximum=MAX_WHOLE))
    return parse_reals(item, option=setting.name)


def split_list(name: str, raw: object) -> list[object]:
    """A raw value as a list: text is split at commas, and a single value becomes a list of one.

    Raises:
        UserError: it is empty, has an empty part, is a table, or is unreasonably long.
    """
    items: list[object] = []
    for item in raw if isinstance(raw, (list, tuple)) else [raw]:
        items += [part.strip() for part in item.split(",")] if isinstance(item, str) else [item]
    if not items or "" in items:
        raise UserError(f"{name} (={shorten(raw)}) is empty or has an empty part; give values separated by commas.")
    if any(isinstance(item, (dict, list, tuple)) for item in items):
        raise UserError(f"{name} (={shorten(raw)}) must be a value or a flat list of values.")
    _check_number(name, items)
    return items


def _check_number(name: str, items: Sequence[object]) -> None:
    if len(items) > MAX_VALUES:
        raise UserError(f"{name} has {len(items):,} values; at most {MAX_VALUES:,} are allowed.")


def single_value(name: str, request: Request, default: Any) -> Any:
    """The value of a key that takes no list. Raises UserError if there are several."""
    if name not in request:
        return default
    items = split_list(name, request[name])
    if len(items) > 1:
        raise UserError(f"{name} (={shorten(request[name])}) takes one value, not a list.")
    return items[0]


def parse_out(request: Request) -> Path | None:
    """The results folder that a request names, if it names one. Raises UserError if it is not a path."""
    out = request.get("out")
    if out is None:
        return None
    if not isinstance(out, str) or not out.strip() or not out.isprintable() or len(out) > MAX_PATH:
        raise UserError(f"out (={shorten(out)}) must be the path of a results folder.")
    return expand_home("out", Path(out.strip()))


def expand_home(name: str, path: Path) -> Path:
    """`path` with `~` replaced by the home folder. Raises UserError, which calls it `name`, if there is none."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise UserError(
            f"{name} (={shorten(str(path))}) names a home folder that does not exist; give its full path."
        ) from None
