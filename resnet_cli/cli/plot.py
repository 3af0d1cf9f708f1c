"""`resnet-exp plot`: the figures of every sweep below a folder, and figures that need no sweep."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resnet_cli.cli import filters
from resnet_cli.cli.console import complain
from resnet_cli.cli.help_pages import examples
from resnet_cli.cli.options import path_option
from resnet_cli.cli.words import Formats, check_word, known_words
from resnet_cli.figures.kinds import OF_RUNS, WITHOUT_RUNS, listed
from resnet_cli.settings.errors import UserError, either, printable
from resnet_cli.settings.metrics import METRICS, PAIRS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EPILOG = examples(
    "resnet-exp plot results/",
    "resnet-exp plot results/digits --metric error --format pdf --models resnet --depths 8,20",
    "resnet-exp plot results/sine --scale linear --title 'Learning the sine' --out figures",
    "resnet-exp plot results/digits --by init --splits test",
    "resnet-exp plot results/optimiser-sine --by optimizer,learning_rate --kind depth",
    "resnet-exp plot results/map-sine --kind map --x init_std",
    "resnet-exp plot results/mine results/yours",
    "resnet-exp plot --figure winners,counts",
)
MAX_PIXELS = 20_000
OUT_WITHOUT_RUNS = Path("results/figures")
MOST_LISTED = 6
AXES_OF_CURVES = ("step", "epoch")


def command(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FOLDER",
            help="A results folder, or one that holds several; more than one are compared in one figure, a line for "
            "each sweep. (default: results)",
        ),
    ] = None,
    metric: Annotated[
        str, typer.Option("--metric", help="Metrics joined by commas: loss, error, gradient_norm, …")
    ] = ",".join(PAIRS),
    kind: Annotated[str, typer.Option("--kind", help=f"{listed(OF_RUNS)}, or several joined by commas.")] = ",".join(
        OF_RUNS
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
            help=f"Figures that need no results, instead of a folder: {listed(WITHOUT_RUNS)}, or several.",
        ),
    ] = None,
    models: filters.Models = None,
    depths: filters.Depths = None,
    seeds: filters.Seeds = None,
    where: filters.Where = None,
    scale: Annotated[str, typer.Option("--scale", help="auto (log for losses), log or linear.")] = "auto",
    splits: Annotated[str, typer.Option("--splits", help="train, test or train,test.")] = "train,test",
    x: Annotated[
        str | None,
        typer.Option(
            "--x",
            metavar="step|epoch|SETTING",
            help="Horizontal axis of learning curves: step or epoch (default: step); or of maps: a setting that is a "
            "number (default: the one with most values, if they are five or more).",
        ),
    ] = None,
    formats: Formats = "png,svg",
    size: Annotated[str | None, typer.Option("--size", metavar="WxH", help="Width and height in inches.")] = None,
    dpi: Annotated[int, typer.Option("--dpi", min=20, max=1200, help="Resolution of PNG files.")] = 150,
    title: Annotated[str | None, typer.Option("--title", help="Title instead of the automatic one.")] = None,
    out: Annotated[
        Path | None,
        path_option(
            "--out",
            help="Output folder. (default: figures/ beside the runs; of packed results "
            f"{OUT_WITHOUT_RUNS}/<name>; with several folders or --figure {OUT_WITHOUT_RUNS})",
        ),
    ] = None,
) -> None:
    """Draw loss and error against depth, learning curves by depth, and maps, for every sweep below a folder.

    The same results give the same bytes. Of more than eight depths, learning curves show five, unless --depths
    chooses.

    What cannot be read or drawn is named on stderr and left out; the exit code is then 2, or 1 if
    a file cannot be written.
    """
    if title is not None:
        from resnet_cli.figures.style import as_text

        title = as_text(title)
    kinds = known_words("kind", kind, tuple(OF_RUNS))
    inches = _parse_size(size)
    if inches and max(inches) * dpi > MAX_PIXELS:
        raise UserError(f"size (={size}) at dpi (={dpi}) is over {MAX_PIXELS:,} pixels a side; lower one of them.")
    check_word("scale", scale, ("auto", "log", "linear"))
    map_by = _parse_x(x, has_maps="map" in kinds)
    shown = known_words("splits", splits, ("train", "test"))
    title = title and title.replace("$", r"\$")  # not a formula
    write = partial(_draw_all, formats=formats.split(","), dpi=dpi)
    if figure is not None:
        choosing = {"by": by, "models": models, "depths": depths, "seeds": seeds, "where": where}
        given = [f"{option} (={value})" for option, value in choosing.items() if value]
        if folders or given:
            what = f"the folder {folders[0]}" if folders else given[0]
            raise UserError(f"figure (={figure}) needs no results, so {what} has no effect; leave one of them out.")
        import resnet_cli

        draw = {
            name: partial(getattr(resnet_cli, f"plot_{name}"), title=title, size=inches)
            for name in known_words("figure", figure, tuple(WITHOUT_RUNS))
        }
        write(draw, out or OUT_WITHOUT_RUNS)
        return
    from resnet_cli.api import sweep_drawings
    from resnet_cli.store.layout import FIGURES_FOLDER
    from resnet_cli.store.packed import output_folder

    roots = folders or [Path("results")]
    selected, problems = filters.load_selected(roots, filters.parse_selection(models, depths, seeds, where))
    metrics = known_words("metric", metric, [*PAIRS, *METRICS, *(n for one in selected for n in one.other_metrics)])
    if map_by and all(map_by not in stored.run.settings for results in selected for stored in results.runs):
        raise UserError(f"x (={x}) must be {either(AXES_OF_CURVES)}, or for maps a setting of the runs.")
    for problem in problems:
        complain(problem)
    whole, code = not problems, UserError.exit_code
    drawn = ready = 0
    for group in [selected] if len(roots) > 1 else [[results] for results in selected]:
        names = ", ".join(printable(results.folder) for results in group)
        if all(stored.status == "failed" for results in group for stored in results.runs):
            complain(f"{names}: no run has finished or diverged, so there is nothing to draw.")
            continue
        ready += 1
        target = out or OUT_WITHOUT_RUNS
        if len(group) == 1:
            place = group[0].folder
            root = next(root for root in roots if place.is_relative_to(root))
            target = out / place.relative_to(root) if out else output_folder(place, FIGURES_FOLDER)
        try:
            drawings = sweep_drawings(
                group,
                metrics=metrics,
                kinds=kinds,
                by=[setting.strip().replace("-", "_") for setting in by.split(",")] if by is not None else [],
                every_depth=depths is not None,
                x="epoch" if x == "epoch" else "step",
                map_by=map_by,
                scale=scale,
                splits=shown,
                title=title,
                size=inches,
            )
            drawn += len(drawings)
            whole &= write(drawings, target, of=names)
        except UserError as error:
            complain(f"{names}: {error}")
            whole, code = False, error.exit_code
    if not drawn and whole and ready:
        below = ", ".join(map(str, roots))
        if len(kinds) == 1 and metrics != ["error"]:
            raise UserError(f"kind (={kind}): the runs below {below} {OF_RUNS[kinds[0]].obstacle}.")
        raise UserError(f"metric (={metric}) does not exist below {below}, a regression task has no error; use loss.")
    if not whole or not ready:
        raise typer.Exit(code)


def _draw_all(
    drawings: Mapping[str, Callable[[], "Figure"]], folder: Path, formats: list[str], dpi: int, of: str = ""
) -> bool:
    """Draw and write figures, and print the first file of each; returns whether all could be drawn."""
    from resnet_cli.store.figures import write_figure

    written = []
    for name, draw in drawings.items():
        try:
            drawing = draw()
        except UserError as error:  # such as runs that cannot be told apart: the other figures are drawn
            complain(f"{of}: {error}")
        else:
            written.append(write_figure(drawing, folder, name, formats, dpi=dpi)[0])
    others = f" (and {', '.join(formats[1:])})" if len(formats) > 1 else ""
    for path in written[:MOST_LISTED]:
        typer.echo(f"{printable(path)}{others}")
    if len(written) > MOST_LISTED:
        typer.echo(f"and {len(written) - MOST_LISTED} more figures in {printable(folder)}")
    return len(written) == len(drawings)


def _parse_x(x: str | None, *, has_maps: bool) -> str | None:
    """The setting that `--x` names, if it names one."""
    if x in (None, *AXES_OF_CURVES):
        return None
    if not has_maps:
        raise UserError(f"x (={x}) must be {either(AXES_OF_CURVES)}; a setting needs maps, so add map to --kind.")
    return x.strip().replace("-", "_")


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
