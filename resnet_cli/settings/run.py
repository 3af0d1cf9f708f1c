"""A run: one model at one depth with one seed on one task, with every setting spelled out."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property, lru_cache, partial
from types import MappingProxyType
from typing import Annotated, Any, Self, TypeVar, overload

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, core_schema

from resnet_cli.settings import registry
from resnet_cli.settings.errors import UserError, shorten
from resnet_cli.settings.ranges import MAX_DEPTH, MAX_SEED
from resnet_cli.settings.setting import IDENTITY, NAME, Effect, Setting, check_unknown, explain

T = TypeVar("T")
Value = str | int | float | bool

_IDENTITY: dict[str, TypeAdapter[Any]] = {
    "task": TypeAdapter(Annotated[str, Field(pattern=NAME)]),
    "model": TypeAdapter(Annotated[str, Field(pattern=NAME)]),
    "depth": TypeAdapter(Annotated[int, Field(ge=1, le=MAX_DEPTH)]),
    "seed": TypeAdapter(Annotated[int, Field(ge=0, le=MAX_SEED)]),
}


class Run:
    """Everything that decides the outcome of one training run: what it is of, and the settings that apply to it.

    Device and number of threads are not here: they change the speed of a run, and its last bits, but not what it is.

    Args:
        values: by name, task, model, depth, seed and the settings; None stands for a setting that does not apply.
            Settings that the model or the task got later may be missing. One that nobody here declares, such as that
            of somebody else's model, is kept.

    Raises:
        ValueError: something is missing, has the wrong type or is outside its limits, or settings contradict each
            other.
    """

    task: str
    model: str
    depth: int
    seed: int
    settings: Mapping[str, Value]

    def __init__(self, **values: Any) -> None:
        if missing := [name for name in IDENTITY if name not in values]:
            raise ValueError(f"{missing[0]} is missing")
        vars(self).update({name: _checked_identity(name, values[name]) for name in IDENTITY})
        given = {**registry.before(self.model, self.task), **values}
        given = {name: value for name, value in given.items() if name in values or _applies(name, given)}
        checked = {
            name: _checked(name, value) for name, value in given.items() if value is not None and name not in IDENTITY
        }
        vars(self)["settings"] = MappingProxyType({name: checked[name] for name in registry.in_order(checked)})
        _check_together(self)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a run cannot be changed, nor its {name}; see `but`")

    @overload
    def __getitem__(self, setting: Setting[T]) -> T: ...

    @overload
    def __getitem__(self, setting: str) -> Any: ...

    def __getitem__(self, setting: Setting[Any] | str) -> Any:
        """The value of a setting, or of task, model, depth or seed. Raises KeyError if it does not apply."""
        name = setting if isinstance(setting, str) else setting.name
        return getattr(self, name) if name in IDENTITY else self.settings[name]

    @overload
    def get(self, setting: Setting[T]) -> T | None: ...

    @overload
    def get(self, setting: str) -> Any: ...

    def get(self, setting: Setting[Any] | str) -> Any:
        """The same, but None if the setting does not apply."""
        name = setting if isinstance(setting, str) else setting.name
        return getattr(self, name) if name in IDENTITY else self.settings.get(name)

    def but(self, changes: Mapping[Any, Any] = MappingProxyType({}), /, **named: Any) -> Self:
        """The same run with some values changed, by setting or by name; None takes a setting away."""
        values = {setting.name: value for setting, value in changes.items()}
        return type(self)(**self.as_dict() | values | named)

    def as_dict(self) -> dict[str, Any]:
        """All values by name, as run.json holds them."""
        return {**{name: getattr(self, name) for name in IDENTITY}, **self.settings}

    def that_affect(self, *effects: Effect) -> tuple[tuple[str, Value], ...]:
        """The settings whose values have one of these effects, with these values; unknown ones may have any."""
        return tuple(
            (name, value)
            for name, value in self.settings.items()
            if (setting := registry.find(name)) is None or not {*effects}.isdisjoint(setting.affects)
        )

    @cached_property
    def run_id(self) -> str:
        """A readable name; two runs have the same one exactly if their settings are the same."""
        before = registry.before(self.model, self.task)
        values = {
            name: value
            for name, value in self.as_dict().items()
            if name in IDENTITY or name not in before or value != before[name]
        }
        text = json.dumps(values, sort_keys=True)
        return f"{self.model}_d{self.depth:03d}_s{self.seed}_{hashlib.sha256(text.encode()).hexdigest()[:10]}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.as_dict() == other.as_dict()

    @cached_property
    def _hash(self) -> int:
        return hash((self.task, self.model, self.depth, self.seed, frozenset(self.settings.items())))

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Run({', '.join(f'{name}={value!r}' for name, value in self.as_dict().items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Run, **self.as_dict()), ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        def parse(values: object) -> "Run":
            if isinstance(values, cls):
                return values
            if not isinstance(values, Mapping):
                raise ValueError("must be a table of settings")
            return cls(**values)

        to_dict = core_schema.plain_serializer_function_ser_schema(cls.as_dict)
        return core_schema.no_info_plain_validator_function(parse, serialization=to_dict)


def _applies(name: str, values: Mapping[str, Any]) -> bool:
    """Whether a setting applies beside other values."""
    setting = registry.find(name)
    return setting is None or setting.need is None or setting.need.met(values.get(setting.need.parent.name))


def _checked_identity(name: str, value: Any) -> Any:
    try:
        return _IDENTITY[name].validate_python(value)
    except ValidationError as error:
        raise ValueError(f"{name} (={shorten(value)}) {explain(error)}") from None


_parsed = lru_cache(maxsize=10_000, typed=True)(Setting.parse)


def _checked(name: str, value: Any) -> Any:
    """The value of a setting in its own type."""
    if not isinstance(value, Value):
        raise ValueError(f"{name} (={shorten(value)}) must be a word or a number")
    setting = registry.find(name)
    if setting is None:
        check_unknown(name, value)
        return value
    try:
        return _parsed(setting, value)
    except UserError as error:
        raise ValueError(str(error).removesuffix(".")) from None


def _check_together(run: Run) -> None:
    for name in run.settings:
        if (known := registry.find(name)) is not None and (complaint := known.complaint(run)):
            raise ValueError(complaint)
    if missing := [name for name in registry.required() if name not in run.settings]:
        raise ValueError(f"{missing[0]} is missing")
    for names in registry.alternatives().values():
        if sum(name in run.settings for name in names) != 1:
            raise ValueError(f"give exactly one of {' and '.join(names)}")
