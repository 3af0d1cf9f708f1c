"""A setting that only some models have: declared in the model's own file, stored in a run like every other."""

import types
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin


@dataclass(frozen=True)
class Setting:
    """What a person may set, and what it is if they do not.

    Args:
        name: as in `--set name=value`; the flag has dashes for underscores.
        kind: the type of its values as pydantic reads it, such as `Annotated[int, Field(ge=1)]`, or a `Literal`.
        default: its value where nobody gives one; None leaves it to the model.
        description: one sentence for help pages and the README.
    """

    name: str
    kind: Any
    default: str | float | bool | None
    description: str


def words_of(kind: object) -> tuple[str, ...]:
    """The words that values of a kind may be, or nothing where they are numbers or free text."""
    if get_origin(kind) is Annotated:
        return words_of(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return tuple(map(str, get_args(kind)))
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(word for part in get_args(kind) for word in words_of(part))
    return ()
