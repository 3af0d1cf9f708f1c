"""A setting that only some models have: declared in the model's own file, stored in a run like any other."""

import types
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin


@dataclass(frozen=True)
class Setting:
    """A setting that a model declares, and its default.

    Args:
        name: as in `--set name=value`; the flag has dashes instead of underscores.
        kind: the type of its values, as pydantic takes it: `Annotated[int, Field(ge=1)]`, a `Literal` and so on.
        default: its value unless one is given; None leaves it to the model.
        description: one sentence for help pages and the documentation.
    """

    name: str
    kind: Any
    default: str | float | bool | None
    description: str


def words_of(kind: object) -> tuple[str, ...]:
    """The words that a kind of value accepts; empty for numbers and free text."""
    if get_origin(kind) is Annotated:
        return words_of(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return tuple(map(str, get_args(kind)))
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(word for part in get_args(kind) for word in words_of(part))
    return ()
