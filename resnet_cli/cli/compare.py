"""`resnet-exp compare`: two models of a sweep, or two sweeps, pair by pair."""

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resnet_cli.cli import filters
from resnet_cli.cli.console import make_console, name_broken, print_csv
from resnet_cli.cli.help_pages import examples
from resnet_cli.settings.errors import UserError, did_you_mean, either, printable, shorten

if TYPE_CHECKING:
    import pandas as pd

    from resnet_cli.store.selection import Selection

EPILOG = examples(
    "resnet-exp compare plain residual results/sine",
    "resnet-exp compare plain-mlp residual-mlp --depths 10..40 --metric test_loss",
    "resnet-exp compare results/mine results/yours",
    "resnet-exp compare plain residual results/sine --csv > difference.csv",
)


def command(
    first: Annotated[
        str, typer.Argument(metavar="A", help="A model, plain or residual for the only one of that kind, or a folder.")
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="Another model, or another results folder.")],
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FOLDER", help="Where two models are: results folders. (default: results)"),
    ] = None,
    metric: Annotated[
        str, typer.Option("--metric", metavar="NAME", help="What to compare after training, such as test_error.")
    ] = "train_loss",
    models: filters.Models = None,
    depths: filters.Depths = None,
    seeds: filters.Seeds = None,
    where: filters.Where = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array with one object per row.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
) -> None:
    """Compare two models of a sweep, or two sweeps: the difference by depth, over the seeds that both have.

    A difference is B minus A, its mean over pairs with a 95 % interval, and p-values of the exact sign-flip test.
    """
    if as_json and as_csv:
        raise UserError("--json and --csv exclude each other; choose one.")
    import pandas as pd

    from resnet_cli.cli.tables import comparison_table

    selection = filters.parse_selection(models, depths, seeds, where)
    if Path(first).is_dir() and Path(second).is_dir():
        if folders:
            raise UserError(
                f"A (={first}) and B (={second}) are folders, so the folder {folders[0]} has no effect; leave it out."
            )
        compared, problems = _two_sweeps(first, second, selection, metric)
    else:
        if models is not None:
            raise UserError(f"models (={models}) has no effect where A and B are models; leave it out.")
        compared, problems = _two_models(first, second, folders, selection, metric)
    if as_json or as_csv:
        frames = [one.table.assign(metric=metric, **one.sides) for one in compared]
        whole = pd.concat([frame.astype(object) for frame in frames], ignore_index=True)
        if as_json:
            finite = whole.notna() & ~whole.isin([math.inf, -math.inf])  # JSON has no infinity
            typer.echo(json.dumps(whole.where(finite, None).to_dict("records"), indent=2))
        else:
            print_csv(whole)
    else:
        console = make_console()
        for number, one in enumerate(compared):
            if number > 0:
                console.print()
            console.print(comparison_table(one.table, one.title, one.names, metric))
    name_broken(problems)


@dataclass(frozen=True)
class _Compared:
    """A table of `api.compare`, what it is about, the names of the two sides, and what they are in JSON and CSV."""

    table: "pd.DataFrame"
    title: str
    names: tuple[str, str]
    sides: dict[str, str]


def _two_models(
    first: str, second: str, folders: Sequence[Path] | None, selection: "Selection", metric: str
) -> tuple[list[_Compared], list[str]]:
    """Two models in every sweep below some folders that has both."""
    from resnet_cli.api import compare

    selected, problems = filters.load_selected(folders, selection)
    models = [{stored.run.model for stored in results.runs} for results in selected]
    found = [(_model(first, there), _model(second, there)) for there in models]
    both = [(results, one, other) for results, (one, other) in zip(selected, found, strict=True) if one and other]
    if not both:
        for name, ever in zip((first, second), zip(*found, strict=True), strict=True):
            if not any(ever):
                there = sorted(set().union(*models))
                raise UserError(
                    f"model (={shorten(name)}): no run is of it{did_you_mean(name, there)}; "
                    f"there are {', '.join(there) or 'none'}. Two folders can be compared as well."
                )
        raise UserError(f"{first} and {second} are in no sweep together; give two folders to compare sweeps.")
    compared = []
    for results, one, other in both:
        folder = printable(results.folder)
        table = compare(results, one, other, metric=metric)
        compared.append(_Compared(table, folder, (one, other), {"folder": folder, "A": one, "B": other}))
    return compared, problems


def _model(name: str, there: Collection[str]) -> str | None:
    """The model of this name, or the only one of this role, among those that are there.

    Raises:
        UserError: several have the role.
    """
    from resnet_cli.models import role_of

    if name in there:
        return name
    of_role = sorted(model for model in there if role_of(model) == name)
    if len(of_role) > 1:
        raise UserError(f"model (={name}) could be {either(of_role)}; name one of them.")
    return of_role[0] if of_role else None


def _two_sweeps(first: str, second: str, selection: "Selection", metric: str) -> tuple[list[_Compared], list[str]]:
    """The runs of two folders, model by model."""
    from resnet_cli.api import compare_sweeps, differing_settings

    sides = []
    problems = []
    for name in (first, second):
        (results, *others), found = filters.load_selected([Path(name)], selection)
        if others:
            raise UserError(f"{name} holds {len(others) + 1} sweeps, such as {printable(results.folder)}; choose one.")
        sides.append(results)
        problems += found
    names = tuple(printable(results.folder) for results in sides)
    table = compare_sweeps(sides[0], sides[1], metric=metric)
    unlike = differing_settings(sides[0], sides[1])
    told = "; ".join(f"{name} {values[0]} and {values[1]}" for name, values in unlike.items())
    title = f"{names[0]} and {names[1]}" + (f", which differ in {told}" if told else "")
    return [_Compared(table, title, (names[0], names[1]), {"A": names[0], "B": names[1]})], problems
