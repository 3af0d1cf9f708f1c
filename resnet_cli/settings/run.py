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
        seed = _checked_identity("seed", values.pop("seed"))
        given = tuple(values.items()), tuple(map(type, values.values()))
        try:
            kind = _kind_of(registry.count(), *given)
        except TypeError:  # a list, say, which the error will name
            kind = _kind_of.__wrapped__(registry.count(), *given)
        vars(self).update(**kind.identity, seed=seed, settings=kind.settings, _kind=kind)
        if not kind.is_sound:
            _check_together(self)
            kind.is_sound = True

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

    def with_seed(self, seed: int) -> Self:
        """The same run with another seed, made much faster than by `but`."""
        run = object.__new__(type(self))
        own = {"seed": _checked_identity("seed", seed), "settings": self.settings, "_kind": self._kind}
        vars(run).update(self._kind.identity, **own)
        return run

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
        text = f"{self.seed}".join(self._kind.around_seed)
        return f"{self.model}_d{self.depth:03d}_s{self.seed}_{hashlib.sha256(text.encode()).hexdigest()[:10]}"

    @cached_property
    def _kind(self) -> "_Kind":
        """What it shares with runs that differ in their seeds alone; set from the start but in unchecked runs."""
        return _Kind({name: self[name] for name in IDENTITY if name != "seed"}, self.settings)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Run):
            return False
        return self.seed == other.seed and (self._kind is other._kind or self.as_dict() == other.as_dict())

    def __hash__(self) -> int:
        return hash((self.seed, self._kind.hash))

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


class _Kind:
    """What runs have in common that differ in their seeds alone; thousands share one.

    It is sound once the settings of one of its runs have been found not to contradict each other.
    """

    def __init__(self, identity: Mapping[str, Any], settings: Mapping[str, Value]) -> None:
        self.identity, self.settings = identity, settings
        self.is_sound = False

    @cached_property
    def hash(self) -> int:
        return hash((*self.identity.values(), frozenset(self.settings.items())))

    @cached_property
    def around_seed(self) -> tuple[str, str]:
        """The text that decides a run's id, as it stands before its seed and after it."""
        before = registry.before(self.identity["model"], self.identity["task"])
        own = {name: value for name, value in self.settings.items() if name not in before or value != before[name]}
        values = {**self.identity, **own}
        parts = [{name: value for name, value in values.items() if (name < "seed") is first} for first in (True, False)]
        start, end = (json.dumps(part, sort_keys=True)[1:-1] for part in parts)
        return f'{{{start}, "seed": ', f", {end}}}"


@lru_cache(maxsize=10_000)
def _kind_of(declared: int, values: tuple[tuple[str, Any], ...], types: tuple[type, ...]) -> _Kind:
    """What the values of a run without its seed say.

    The number of declared settings and the types of the values, of which 1 and True are equal, are there for the cache.
    """
    given = dict(values)
    identity = {name: _checked_identity(name, given.pop(name)) for name in IDENTITY if name != "seed"}
    before = registry.before(identity["model"], identity["task"])
    every = {**before, **given}
    applying = {name: value for name, value in every.items() if name in given or _applies(name, every)}
    checked = {name: _checked(name, value) for name, value in applying.items() if value is not None}
    return _Kind(identity, MappingProxyType({name: checked[name] for name in registry.in_order(checked)}))


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
