"""A setting that only some models have: declared in the model's own file, stored in a run like any other."""

import re
import types
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from resnet_cli.settings.metrics import METRICS, OTHER_METRIC
from resnet_cli.settings.ranges import shorten

IDENTITY = ("task", "model", "depth", "seed")
RUN_COLUMNS = ("run_id", *IDENTITY, "status", "parameters", *METRICS, OTHER_METRIC)
"""The columns of tables of runs beside their settings."""

_TAKEN = {
    *RUN_COLUMNS,
    *("format", "message", "settings", "environment", "started", "finished", "seconds"),  # what run.json holds
    *("metrics_sha256", "content_sha256", "run_json", "folder"),  # and other columns of exported tables
}

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def check_setting_name(name: str) -> None:
    """Refuse the name of a setting that a table of runs could mix up with a column, or a run with its own attributes.

    Raises:
        ValueError: it is the name of such a column or attribute, or is no word of a-z, 0-9 and _.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{shorten(name)} cannot name a setting; a name is a word of a-z, 0-9 and _")
    if name in _TAKEN or hasattr(BaseModel, name):
        raise ValueError(f"{name} cannot name a setting; it names something else in every table of runs")


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

    def __post_init__(self) -> None:
        check_setting_name(self.name)


def words_of(kind: object) -> tuple[str, ...]:
    """The words that a kind of value accepts; empty for numbers and free text."""
    if get_origin(kind) is Annotated:
        return words_of(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return tuple(map(str, get_args(kind)))
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(word for part in get_args(kind) for word in words_of(part))
    return ()
