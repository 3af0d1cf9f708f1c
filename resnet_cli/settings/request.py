"""What the user asked for: raw values by key from a TOML file, flags and `--set`, merged and checked."""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from resnet_cli.settings.configs import bundled_configs, find_config
from resnet_cli.settings.errors import UserError, did_you_mean, unknown_name
from resnet_cli.settings.format import PACKED_RUNS_FILE, check_format
from resnet_cli.settings.ranges import shorten
from resnet_cli.settings.run import DEPENDENT, NAME, SETTINGS, Run
from resnet_cli.settings.setting import words_of

Request = Mapping[str, Any]
"""Raw values by key: text with commas, a number, a truth value, or a list; `override` holds a list of tables."""

Options = Callable[[], Iterable[str]]
"""Returns the names of the settings that models declare themselves; called only for keys that are not in `KEYS`."""

SWEEP_KEYS = ("task", "models", "depths", "seeds", "engine", "device", "threads", "out")
ENGINES = ("auto", "loop", "stacked")
KEYS = (*SWEEP_KEYS, *SETTINGS)
OVERRIDE_KEYS = ("models", "depths", *SETTINGS)
LENGTHS = {"epochs", "steps"}
MAX_VALUES = 1000
MAX_PATH = 4096


def load_config(path: Path, options: Options = tuple) -> dict[str, Any]:
    """Read a sweep from a TOML file: flat keys as in `KEYS` and `options`, and `[[override]]` tables.

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
    return check_keys(content, f"key in {path}", options)


def parse_assignments(assignments: Iterable[str], options: Options = tuple) -> dict[str, Any]:
    """Parse `--set key=value` assignments. Raises UserError if the equals sign is missing or the key is unknown."""
    values: dict[str, Any] = {}
    for text in assignments:
        key, sign, value = text.partition("=")
        if not sign:
            raise UserError(f"set (={shorten(text)}) must have the form key=value, such as --set epochs=5.")
        values[key.strip()] = value.strip()
    return check_keys(values, "key of --set", options)


def check_keys(values: dict[str, Any], kind: str, options: Options = tuple) -> dict[str, Any]:
    """Return `values`; raises UserError if a key is unknown or a table gives the length of training twice."""
    overrides = values.get("override", [])
    if not isinstance(overrides, list) or not all(isinstance(table, dict) for table in overrides):
        raise UserError(f"{kind} (=override) must be tables, each under a heading [[override]].")
    for known, table in [((*KEYS, "override"), values), *((OVERRIDE_KEYS, table) for table in overrides)]:
        for key in table:
            if key not in known and key not in (more := tuple(options())):
                raise unknown_name(kind, shorten(key), (*known, *more))
        if "epochs" in table and "steps" in table:
            epochs, steps = shorten(table["epochs"]), shorten(table["steps"])
            raise UserError(f"epochs (={epochs}) and steps (={steps}) both give the length; choose one.")
    return values


def merge(*layers: Request) -> dict[str, Any]:
    """Merge requests; later ones win, also over earlier overrides. `epochs` and `steps` replace each other."""
    merged: dict[str, Any] = {}
    for layer in layers:
        replaced = layer.keys() - {*SWEEP_KEYS, "override"}
        if not replaced.isdisjoint(LENGTHS):
            replaced |= LENGTHS
        for name in _made_useless(layer) & merged.keys() - layer.keys():
            del merged[name]
        if "override" in merged:
            merged["override"] = [
                {name: value for name, value in table.items() if name not in replaced} for table in merged["override"]
            ]
        merged = replace_settings(merged, layer)
    return merged


def replace_settings(settings: Mapping[str, Any], by: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` updated with `by`; `epochs` and `steps` replace each other."""
    kept = settings.keys() - LENGTHS if LENGTHS & by.keys() else settings.keys()
    return {name: value for name, value in settings.items() if name in kept} | dict(by)


def _made_useless(layer: Request) -> set[str]:
    """Settings that apply with no value in `layer`, such as momentum if it asks for adam."""
    return {
        name
        for name, (parent, useful, _, _) in DEPENDENT.items()
        if parent in layer and not any(useful(item) for item in split_list(parent, layer[parent]))
    }


def parse_setting(name: str, raw: object) -> tuple[Any, ...]:
    """The values of a setting that is a field of `Run`.

    Raises:
        UserError: there is no value, or one has the wrong type or is outside its limits.
    """
    field = Run.model_fields[name]
    annotation: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return parse_values(name, annotation, raw)


def parse_values(name: str, kind: Any, raw: object) -> tuple[Any, ...]:
    """The values of a setting whose type is `kind`, each once.

    Raises:
        UserError: there is no value, or one has the wrong type or is outside its limits.
    """
    return tuple(dict.fromkeys(_validate(name, kind, item) for item in split_list(name, raw)))


def split_list(name: str, raw: object) -> list[object]:
    """A raw value as a list: text is split at commas, and a single value becomes a list of one.

    Raises:
        UserError: it is empty, has an empty part, is a table, or is unreasonably long.
    """
    if isinstance(raw, str):
        items: list[object] = [part.strip() for part in raw.split(",")]
    elif isinstance(raw, (list, tuple)):
        items = [part for item in raw for part in (item.split(",") if isinstance(item, str) else [item])]
        items = [item.strip() if isinstance(item, str) else item for item in items]
    else:
        items = [raw]
    if not items or "" in items:
        raise UserError(f"{name} (={shorten(raw)}) is empty or has an empty part; give a value or values with commas.")
    if any(isinstance(item, (dict, list, tuple)) for item in items):
        raise UserError(f"{name} (={shorten(raw)}) must be a value or a flat list of values.")
    if len(items) > MAX_VALUES:
        raise UserError(f"{name} has {len(items):,} values; at most {MAX_VALUES:,} are allowed.")
    return items


def single_value(name: str, request: Request, default: Any) -> Any:
    """The value of a key that takes no list. Raises UserError if there are several."""
    if name not in request:
        return default
    items = split_list(name, request[name])
    if len(items) > 1:
        raise UserError(f"{name} (={shorten(request[name])}) takes one value, not a list.")
    return items[0]


def parse_out(request: Request) -> Path | None:
    """The results folder that a request names, if it names one; `~` is the home folder.

    Raises:
        UserError: it is not a path, or there is no such home folder.
    """
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


_adapter = cache(TypeAdapter)


def _validate(name: str, kind: Any, item: object) -> Any:
    if isinstance(item, str) and item.isdigit() and item in words_of(kind):
        item = int(item)  # pydantic converts text to numbers, but not for a Literal
    try:
        value = _adapter(kind).validate_python(item)
    except ValidationError as error:
        raise UserError(f"{name} (={shorten(item)}) {explain(error)}.") from None
    if value is None or (isinstance(item, bool) and not isinstance(value, bool)):
        raise UserError(f"{name} (={shorten(item)}) must be {'a value' if value is None else 'a number'}.")
    return value


def explain(error: ValidationError) -> str:
    """The first complaint of a pydantic error as the predicate of a sentence: `must be greater than 0`."""
    if error.errors()[0]["type"] == "string_pattern_mismatch":
        if error.errors()[0]["ctx"]["pattern"] == NAME:
            return "must be a word of letters, digits and ._+-"
        return "must be fractions joined by /, such as 0.5/0.75"
    message = error.errors()[0]["msg"]
    message = message.split(", unable to")[0].split(", got a number with")[0]
    for subject in ("Input should be ", "String should ", "Value error, "):
        if message.startswith(subject):
            verb = "must be " if subject.startswith("Input") else "must " if subject.startswith("String") else ""
            return verb + message.removeprefix(subject)
    return f"is not valid: {message}"
