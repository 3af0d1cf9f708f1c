"""`resnet-exp plot`: the figures of every sweep below a folder, and figures that need no sweep."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resnet_cli.cli import filters
from resnet_cli.cli.help_pages import examples
from resnet_cli.cli.home import in_home
from resnet_cli.models.settings import SURVIVAL
from resnet_cli.settings.errors import UserError, not_among, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from resnet_cli.store.reader import Results

NAME = "plot"
EPILOG = examples(
    "resnet-exp plot results/",
    "resnet-exp plot results/digits --metric error --format pdf --models resnet --depths 8,20",
    "resnet-exp plot results/sine --scale linear --title 'Learning the sine' --out figures",
    "resnet-exp plot results/digits --by init --splits test",
    "resnet-exp plot results/optimiser-sine --by optimizer,learning_rate --kind depth",
    "resnet-exp plot results/mine results/yours",
    "resnet-exp plot --figure winners,counts",
)
METRICS = ("loss", "error")
SCALES = ("auto", "log", "linear")
FORMATS = ("png", "svg", "pdf")
KINDS = ("depth", "curves")
MAX_PIXELS = 20_000
EXIT_USAGE = 2
SPLITS = ("train", "test")
X_AXES = ("step", "epoch")
OUT_WITHOUT_RUNS = Path("results/figures")
MOST_LISTED = 6
"""If a sweep has more figures than this, the others are counted instead of listed."""


def command(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FOLDER",
            help="A results folder, or one that holds several; more than one are compared in one figure, a line for "
            "each sweep. (default: results)",
        ),
    ] = None,
    metric: Annotated[str, typer.Option("--metric", help="loss, error or loss,error.")] = "loss,error",
    kind: Annotated[str, typer.Option("--kind", help="depth (against depth), curves (learning curves), or both.")] = (
        "depth,curves"
    ),
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="SETTING",
            help="Compare the values of a setting as lines in one panel (learning curves: a panel for each depth), "
            "instead of a panel for each; two settings, joined by a comma, make rows and columns of panels.",
        ),
    ] = None,
    figure: Annotated[
        str | None,
        typer.Option(
            "--figure",
            metavar="NAME",
            help="Figures that need no results, instead of a folder: winners (error and depth of ImageNet's winners), "
            "counts (parameters and operations of VGGs and ResNets), or both.",
        ),
    ] = None,
    models: filters.Models = None,
    depths: filters.Depths = None,
    seeds: filters.Seeds = None,
    where: filters.Where = None,
    scale: Annotated[str, typer.Option("--scale", help="auto (log for losses), log or linear.")] = "auto",
    splits: Annotated[str, typer.Option("--splits", help="train, test or train,test.")] = "train,test",
    x: Annotated[str, typer.Option("--x", help="Axis of learning curves: step or epoch.")] = "step",
    file_format: Annotated[str, typer.Option("--format", help="png, svg, pdf, or several joined by commas.")] = (
        "png,svg"
    ),
    size: Annotated[str | None, typer.Option("--size", metavar="WxH", help="Width and height in inches.")] = None,
    dpi: Annotated[int, typer.Option("--dpi", min=20, max=1200, help="Resolution of PNG files.")] = 150,
    title: Annotated[str | None, typer.Option("--title", help="Title instead of the automatic one.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            callback=in_home,
            metavar="DIR",
            help="Output folder. (default: figures/ beside the runs; of packed results "
            f"{OUT_WITHOUT_RUNS}/<name>; with several folders or --figure {OUT_WITHOUT_RUNS})",
        ),
    ] = None,
) -> None:
    """Draw loss and error against depth, and learning curves by depth, for every sweep below a folder.

    The same results give the same bytes. Of more than eight depths, learning curves show five, unless --depths
    chooses.

    What cannot be read or drawn is named on stderr and left out; the exit code is then 2, or 1 if
    a file cannot be written.
    """
    metrics = _words("metric", metric, METRICS)
    kinds = _words("kind", kind, KINDS)
    formats = _words("format", file_format, FORMATS)
    inches = _parse_size(size)
    if inches and max(inches) * dpi > MAX_PIXELS:
        raise UserError(f"size (={size}) at dpi (={dpi}) is over {MAX_PIXELS:,} pixels a side; lower one of them.")
    options: dict[str, Any] = {
        "scale": _word("scale", scale, SCALES),
        "size": inches,
        "title": title and title.replace("$", r"\$"),  # not a formula
        "splits": tuple(_words("splits", splits, SPLITS)),
    }
    axis = _word("x", x, X_AXES)
    if figure is not None:
        choosing = {"by": by, "models": models, "depths": depths, "seeds": seeds, "where": where}
        given = [f"{option} (={value})" for option, value in choosing.items() if value]
        if folders or given:
            what = f"the folder {folders[0]}" if folders else given[0]
            raise UserError(f"figure (={figure}) needs no results, so {what} has no effect; leave one of them out.")
        drawings: dict[str, Callable[[], Figure]] = {
            name: partial(FIGURES_WITHOUT_RUNS[name], title=options["title"], size=inches)
            for name in _words("figure", figure, tuple(FIGURES_WITHOUT_RUNS))
        }
        _draw_all(drawings, out or OUT_WITHOUT_RUNS, formats, dpi)
        return
    from resnet_cli.store.layout import FIGURES_FOLDER
    from resnet_cli.store.packed import output_folder
    from resnet_cli.store.reader import find_results, load_results

    roots = folders or [Path("results")]
    places = {place: place.relative_to(root) for root in roots for place in find_results(root)}
    loaded = [load_results(place) for place in places]
    problems = [problem for results in loaded for problem in results.problems]
    for problem in problems:
        typer.echo(f"resnet-exp: {problem}", err=True)
    selected = filters.parse_selection(models, depths, seeds, where).apply_to_all(loaded)
    choices: dict[str, Any] = {
        **options,
        "metrics": metrics,
        "kinds": kinds,
        "by": [setting.strip().replace("-", "_") for setting in by.split(",")] if by is not None else [],
        "every_depth": depths is not None,
        "x": axis,
    }
    whole, code = not problems, EXIT_USAGE
    drawn = ready = 0
    for group in [selected] if len(roots) > 1 else [[results] for results in selected]:
        names = ", ".join(printable(results.folder) for results in group)
        if all(stored.status == "failed" for results in group for stored in results.runs):
            typer.echo(f"resnet-exp: {names}: no run has finished or diverged, so there is nothing to draw.", err=True)
            continue
        ready += 1
        target = out or OUT_WITHOUT_RUNS
        if len(group) == 1:
            place = group[0].folder
            target = output_folder(place, FIGURES_FOLDER) if out is None else out / places[place]
        try:
            drawings = _figures(group, choices)
            drawn += len(drawings)
            whole &= _draw_all(drawings, target, formats, dpi, of=names)
        except UserError as error:
            typer.echo(f"resnet-exp: {names}: {error}", err=True)
            whole, code = False, error.exit_code
    if not drawn and whole and ready:
        places_read = ", ".join(map(str, roots))
        if kinds == ["depth"] and metrics != ["error"]:
            raise UserError(f"kind (=depth): the runs below {places_read} are of one depth; use curves.")
        raise UserError(
            f"metric (={metric}) does not exist below {places_read}, a regression task has no error; use loss."
        )
    if not whole or not ready:
        raise typer.Exit(code)


def _figures(group: Sequence["Results"], choices: dict[str, Any]) -> dict[str, Callable[[], "Figure"]]:
    """How to draw the figures of one sweep, or of several as lines, by file name."""
    from resnet_cli.figures.panels import as_file_name
    from resnet_cli.figures.sweep import sweep_figures
    from resnet_cli.store.combine import combine, sweep_names
    from resnet_cli.tasks import constant_answers

    given = {name: values for results in group for name, values in results.given_values().items()}
    chances = constant_answers(stored.run for results in group for stored in results.runs)
    if len(group) == 1:
        drawings = sweep_figures(group[0].summary(), group[0].curves(), given=given, chances=chances, **choices)
        if SURVIVAL.name in group[0].varying and not choices["by"] and set(choices["kinds"]) == set(KINDS):
            drawings[SURVIVAL.name] = partial(_draw_survival, group[0], title=choices["title"], size=choices["size"])
        return drawings
    names = sweep_names(group)
    summary, curves = combine(group)
    drawings = sweep_figures(summary, curves, given={**given, "sweep": names}, chances=chances, **choices)
    held = "-and-".join(map(as_file_name, names)) if len(names) <= 3 else f"{len(names)}-sweeps"
    return {f"{name}-of-{held}": draw for name, draw in drawings.items()}


def _draw_all(
    drawings: dict[str, Callable[[], "Figure"]], folder: Path, formats: list[str], dpi: int, of: str = ""
) -> bool:
    """Draw and write figures, and print the first file of each; returns whether all could be drawn."""
    written = []
    for name, draw in drawings.items():
        try:
            drawing = draw()
        except UserError as error:  # such as runs that cannot be told apart: the other figures are drawn
            typer.echo(f"resnet-exp: {of}: {error}", err=True)
        else:
            written.append(_write(drawing, folder, name, formats, dpi))
    others = f" (and {', '.join(formats[1:])})" if len(formats) > 1 else ""
    for path in written[:MOST_LISTED]:
        typer.echo(f"{printable(path)}{others}")
    if len(written) > MOST_LISTED:
        typer.echo(f"and {len(written) - MOST_LISTED} more figures in {printable(folder)}")
    return len(written) == len(drawings)


def _draw_survival(results: "Results", **options: Any) -> "Figure":
    from resnet_cli.api import plot_survival

    return plot_survival(results, **options)


def _draw_winners(**options: Any) -> "Figure":
    from resnet_cli.api import plot_winners

    return plot_winners(**options)


def _draw_counts(**options: Any) -> "Figure":
    from resnet_cli.api import plot_counts

    return plot_counts(**options)


FIGURES_WITHOUT_RUNS: dict[str, Callable[..., "Figure"]] = {"winners": _draw_winners, "counts": _draw_counts}
"""How to draw what --figure names, with `title` and `size`."""


def _write(figure: "Figure", folder: Path, name: str, formats: list[str], dpi: int) -> Path:
    """Write a figure in each of the formats; the path of the first."""
    from resnet_cli.figures.style import render
    from resnet_cli.store.files import atomic_file, remove_temporary_files

    remove_temporary_files(folder)
    paths = [folder / f"{name}.{extension}" for extension in formats]
    for path in paths:
        with atomic_file(path) as file:
            file.write(render(figure, path.suffix, dpi=dpi))
    return paths[0]


def _word(option: str, text: str, known: tuple[str, ...]) -> str:
    if text not in known:
        raise UserError(f"{option} (={text}) must be one of {', '.join(known)}.")
    return text


def _words(option: str, text: str, known: tuple[str, ...]) -> list[str]:
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in known:
            raise not_among(option, text, known)
    return words


def _parse_size(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        width, height = (float(part) for part in text.lower().split("x"))
    except ValueError:
        raise UserError(f"size (={text}) must be width x height in inches, such as 7x4.5.") from None
    if not (1 <= width <= 100 and 1 <= height <= 100):
        raise UserError(f"size (={text}) must lie between 1 and 100 inches each way.")
    return width, height
