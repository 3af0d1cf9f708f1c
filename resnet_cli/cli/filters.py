"""The options that choose among stored runs, shared by the commands that read results."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resnet_cli.settings.errors import UserError, shorten
from resnet_cli.settings.ranges import numbers, parse_depths, parse_seeds
from resnet_cli.settings.request import split_list

if TYPE_CHECKING:
    from resnet_cli.store.reader import Results
    from resnet_cli.store.selection import Selection

_filter = partial(typer.Option, metavar="LIST", rich_help_panel="Which runs")

Models = Annotated[
    str | None,
    _filter(
        "--models",
        "--model",
        help="Models, separated by commas; plain and residual stand for all models of that kind. (default: all)",
    ),
]
Depths = Annotated[str | None, _filter("--depths", "--depth", help="Depths, such as 20 or 8..32. (default: all)")]
Seeds = Annotated[str | None, _filter("--seeds", "--seed", help="Seeds, written like depths. (default: all)")]
Where = Annotated[
    list[str] | None,
    _filter(
        "--where",
        metavar="KEY=VALUE",
        help="Runs with these values of a setting, such as init=he or learning_rate=0.1,0.01; may be repeated.",
    ),
]


def parse_selection(
    models: str | None, depths: str | None, seeds: str | None, where: Sequence[str] | None
) -> "Selection":
    """The selection that the options above specify. Raises UserError if one is malformed or has an empty part."""
    from resnet_cli.store.selection import Selection

    def words(name: str, text: str) -> tuple[str, ...]:
        return tuple(map(str, split_list(name, text)))

    values: dict[str, tuple[str, ...]] = {}
    for text in where or ():
        key, sign, listed = text.partition("=")
        if not sign:
            raise UserError(f"where (={shorten(text)}) must have the form key=value, such as --where init=he.")
        name = key.strip().replace("-", "_")
        values[name] = (*values.get(name, ()), *words(f"where {shorten(name)}", listed))
    return Selection(
        models=() if models is None else words("models", models),
        depths=None if depths is None else frozenset(numbers(parse_depths(depths))),
        seeds=None if seeds is None else frozenset(numbers(parse_seeds(seeds))),
        where=values,
    )


def load_selected(folders: Sequence[Path] | None, selection: "Selection") -> tuple[list["Results"], list[str]]:
    """The selected runs of every sweep below some folders, or below results/, and a sentence for each broken run."""
    from resnet_cli.store.reader import find_results, load_results

    places = dict.fromkeys(place for root in folders or [Path("results")] for place in find_results(root))
    loaded = [load_results(place) for place in places]
    problems = [problem for results in loaded for problem in results.problems]
    return selection.apply_to_all(loaded), problems
