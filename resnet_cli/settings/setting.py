"""What a setting is: declared once, by the part of the program that uses it; all else follows from the declaration."""

import math
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar, Union, get_args, get_origin

from pydantic import Field, TypeAdapter, ValidationError

from resnet_cli.settings.errors import UserError, shorten
from resnet_cli.settings.metrics import METRICS, OTHER_METRIC

if TYPE_CHECKING:
    from resnet_cli.settings.run import Run

T = TypeVar("T")

NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,59}$"
"""What tasks, models and words that are values of settings look like: safe in file names, figures and terminals."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10**9)]

IDENTITY = ("task", "model", "depth", "seed")
SWEEP_KEYS = ("task", "models", "depths", "seeds", "engine", "device", "threads", "out", "plugins")
"""The keys of a sweep beside settings."""
RUN_COLUMNS = ("run_id", *IDENTITY, "status", "parameters", *METRICS, OTHER_METRIC)
"""The columns of tables of runs beside their settings."""

_TAKEN = {
    *RUN_COLUMNS,
    *SWEEP_KEYS,
    "override",
    *("format", "message", "settings", "environment", "started", "finished", "seconds"),  # what run.json holds
    *("metrics_sha256", "content_sha256", "run_json", "folder"),  # and other columns of exported tables
    *("sweep", "split", "level", "layer", "name", "net"),  # and of tables of several sweeps or of analyses
}

_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}")

Effect = Literal["data", "shape", "update rule", "length", "cost"]
"""What the value of a setting changes.

data: the examples that a run sees. shape: what the net computes, and on how many examples at once. update rule: the
formula of an optimiser step. length: how long a run trains, and when and on how many examples it is evaluated. cost:
the time that a step takes, unless the shape says so already.
"""


@dataclass(frozen=True)
class Need:
    """A setting's dependence on another, its parent: it applies only with those values of the parent that are `met`."""

    parent: "Setting[Any]"
    met: Callable[[Any], bool]
    words: str  # for messages and help, such as `schedule steps`


def always(value: object) -> bool:
    """The stacked engine can train nets with every value of a setting."""
    return True


@dataclass(frozen=True, eq=False)
class Setting(Generic[T]):
    """A setting of a run. `run[WIDTH]` is its value, in a table it is the column `WIDTH.name`.

    Args:
        name: as in `--set name=value`; the flag has dashes instead of underscores.
        kind: the type of its values, as pydantic takes it: `Annotated[int, Field(ge=1)]`, a `Literal` and so on.
        description: one sentence for help pages and the documentation.
        default: its value where it applies unless one is given; None leaves it to the task or the model.
        affects: what its value changes; nothing if nets that differ in it can still be trained in one stack.
        stacks: whether the stacked engine can train nets with a value; unless it says so, with all if none affects the
            shape or the update rule, which the engine would have to know.
        need: on which other setting it depends.
        one_of: of the settings with the same word here, a run has exactly one. Single models cannot declare these.
        before: by model or task (`*` for all), the value that applies to runs from before it had this setting, if its
            `need` is met. It is left out of their ids, which therefore never change.
        came_later: whether it came after the first release, so that its column follows those of older settings.
        smoke: what `--smoke` replaces it by.
        complaint: what is wrong with the settings of a run as far as this one is concerned; nothing if all is well.

    Raises:
        ValueError: a table of runs could mix up the name with one of its other columns, or it is no word.
    """

    name: str
    kind: Any
    description: str
    default: T | None = None
    affects: tuple[Effect, ...] = ("shape",)
    stacks: Callable[[T], bool] | None = None
    need: Need | None = None
    one_of: str = ""
    before: Mapping[str, T] = field(default_factory=dict)
    came_later: bool = False
    smoke: T | None = None
    complaint: Callable[["Run"], str] = lambda run: ""

    def __post_init__(self) -> None:
        check_setting_name(self.name)

    @property
    def flag(self) -> str:
        """Its option on the command line."""
        return "--" + self.name.replace("_", "-")

    @cached_property
    def choices(self) -> tuple[str, ...]:
        """The words that it accepts; empty where it is a number or free text."""
        return words_of(self.kind)

    @cached_property
    def number(self) -> type | None:
        """`int` or `float` where its values are numbers; None where they are words, truth values or free text."""
        return number_of(self.kind)

    def can_stack(self, value: T) -> bool:
        """Whether the stacked engine can train nets with a value."""
        is_known = {"shape", "update rule"}.isdisjoint(self.affects)
        return is_known if self.stacks is None else self.stacks(value)

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self.kind)

    def parse(self, value: object) -> T:
        """`value`, perhaps text, in this setting's type. Raises UserError if it does not fit that or its limits."""
        if isinstance(value, str) and value.isdigit() and value in self.choices:
            value = int(value)  # pydantic converts text to numbers, but not for a Literal
        try:
            parsed = self._adapter.validate_python(value)
        except ValidationError as error:
            raise UserError(f"{self.name} (={shorten(value)}) {explain(error)}.") from None
        if isinstance(value, bool) and not isinstance(parsed, bool):
            raise UserError(f"{self.name} (={shorten(value)}) must be a number.")
        return parsed


def settings_in(module: types.ModuleType) -> list[Setting[Any]]:
    """The settings that a module declares, in their order there."""
    return [value for value in vars(module).values() if isinstance(value, Setting)]


def check_setting_name(name: str) -> None:
    """Raise ValueError if this cannot name a setting: it is no word, or names another column in tables of runs."""
    if not _WORD.fullmatch(name):
        raise ValueError(f"{shorten(name)} cannot name a setting; a name is a word of a-z, 0-9 and _")
    if name in _TAKEN:
        raise ValueError(f"{name} cannot name a setting; it names something else in every table of runs")


def check_unknown(name: str, value: object) -> None:
    """Raise ValueError if a stored setting that nobody here declares is not safe to show and to compare."""
    check_setting_name(name)
    if isinstance(value, str):
        is_sound = re.fullmatch(NAME, value) is not None
    else:
        is_sound = isinstance(value, (int, float)) and abs(value) < (2**63 if isinstance(value, int) else math.inf)
    if not is_sound:
        raise ValueError(f"{name} (={shorten(value)}) must be a word or a finite number")


def words_of(kind: object) -> tuple[str, ...]:
    """The words that a kind of value accepts; empty for numbers and free text."""
    if get_origin(kind) is Annotated:
        return words_of(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return tuple(map(str, get_args(kind)))
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(word for part in get_args(kind) for word in words_of(part))
    return ()


def number_of(kind: object) -> type | None:
    """The type of the numbers that a kind of value accepts; None if it is no kind of number."""
    if get_origin(kind) is Annotated:
        return number_of(get_args(kind)[0])
    return kind if kind in (int, float) and isinstance(kind, type) else None


def explain(error: ValidationError) -> str:
    """The first complaint of a pydantic error as the predicate of a sentence: `must be greater than 0`."""
    if error.errors()[0]["type"] == "string_pattern_mismatch":
        pattern = error.errors()[0]["ctx"]["pattern"]
        return "must be a word of letters, digits and ._+-" if pattern == NAME else f"must match {pattern}"
    message = error.errors()[0]["msg"]
    message = message.split(", unable to")[0].split(", got a number with")[0]
    for subject, verb in (("Input should be ", "must be "), ("String should ", "must "), ("Value error, ", "")):
        if message.startswith(subject):
            return verb + message.removeprefix(subject)
    return f"is not valid: {message}"
