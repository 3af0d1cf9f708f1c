"""`resnet-exp plot`: the figures of every sweep below a folder, and figures that need no sweep."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resnet_cli.spec.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from resnet_cli.store.reader import Results

NAME = "plot"
EPILOG = (
    "Examples: [bold]resnet-exp plot results/[/] · "
    "[bold]resnet-exp plot results/digits --metric error --format svg[/] · "
    "[bold]resnet-exp plot results/sine --scale linear --title 'Learning the sine' --out figures[/] · "
    "[bold]resnet-exp plot results/digits --by init --splits test[/] · [bold]resnet-exp plot --figure winners,counts[/]"
)
METRICS = ("loss", "error")
SCALES = ("auto", "log", "linear")
FORMATS = ("png", "svg")
KINDS = ("depth", "curves")
MAX_PIXELS = 20_000
SPLITS = ("train", "test")
X_AXES = ("step", "epoch")
OUT_WITHOUT_RUNS = Path("results/figures")


def command(
    folder: Annotated[
        Path | None, typer.Argument(help="A results folder, or one that holds several. (default: results)")
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
            "instead of a panel for each.",
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
    scale: Annotated[str, typer.Option("--scale", help="auto (log for losses), log or linear.")] = "auto",
    splits: Annotated[str, typer.Option("--splits", help="train, test or train,test.")] = "train,test",
    x: Annotated[str, typer.Option("--x", help="Axis of learning curves: step or epoch.")] = "step",
    file_format: Annotated[str, typer.Option("--format", help="png, svg or png,svg.")] = "png,svg",
    size: Annotated[str | None, typer.Option("--size", metavar="WxH", help="Width and height in inches.")] = None,
    dpi: Annotated[int, typer.Option("--dpi", min=20, max=1200, help="Resolution of PNG files.")] = 150,
    title: Annotated[str | None, typer.Option("--title", help="Title instead of the automatic one.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help=f"Output folder. (default: figures/ beside the runs; with --figure {OUT_WITHOUT_RUNS}/)",
        ),
    ] = None,
) -> None:
    """Draw loss and error against depth, and learning curves by depth, for every sweep below a folder.

    The same results give the same bytes. Of many models, --splits test draws the test curves alone.

    What cannot be read or drawn is named on stderr and left out; the exit code is then 2.
    """
    from resnet_cli.store.layout import FIGURES_FOLDER
    from resnet_cli.store.reader import find_results, load_results

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
        if folder is not None or by is not None:
            what = f"the folder {folder}" if folder is not None else f"by (={by})"
            raise UserError(f"figure (={figure}) needs no results, so {what} has no use; leave one of them away.")
        for name in _words("figure", figure, tuple(FIGURES_WITHOUT_RUNS)):
            drawing = FIGURES_WITHOUT_RUNS[name](title=options["title"], size=inches)
            _write(drawing, out or OUT_WITHOUT_RUNS, name, formats, dpi)
        return
    folder = folder or Path("results")
    broken = drawn = False
    for place in find_results(folder):
        results = load_results(place)
        broken |= bool(results.problems)
        for problem in results.problems:
            typer.echo(f"resnet-exp: {problem}", err=True)
        target = place / FIGURES_FOLDER if out is None else out / place.relative_to(folder)
        try:
            figures = _figures(results, metrics, kinds, axis, by, options)
        except UserError as error:
            typer.echo(f"resnet-exp: {place}: {error}", err=True)
            broken = True
            continue
        for name, draw in figures.items():
            try:
                drawing = draw()
            except UserError as error:  # such as too many settings for one page: the other figures are drawn
                typer.echo(f"resnet-exp: {place}: {error}", err=True)
                broken = True
            else:
                _write(drawing, target, name, formats, dpi)
        drawn |= bool(figures)
    if not drawn and not broken:
        raise UserError(f"metric (={metric}) does not exist below {folder}, a regression task has no error; use loss.")
    if broken:
        raise typer.Exit(2)


def _figures(
    results: "Results", metrics: list[str], kinds: list[str], x: str, by: str | None, options: dict[str, Any]
) -> dict[str, Callable[[], "Figure"]]:
    """How to draw the figures of one sweep, by file name; error only where the task has one.

    Raises:
        UserError: `by` is not a setting that varies in this sweep.
    """
    from resnet_cli.figures import learning_curves, loss_by_depth
    from resnet_cli.figures.panels import compare

    summary, curves = results.summary(), results.curves()
    names = {"depth": "by-depth", "curves": "curves"}
    if by is not None:
        setting = by.replace("-", "_")
        summary, curves = compare(summary, setting), compare(curves, setting)
        names = {"depth": f"by-depth-and-{by}", "curves": f"curves-by-{by}"}
    found: dict[str, Callable[[], Figure]] = {}
    for metric in metrics:
        shared = {**options, "metric": metric}
        if metric == "error" and summary["test_error"].isna().all():
            continue
        if "depth" in kinds:
            found[f"{metric}-{names['depth']}"] = partial(loss_by_depth.draw, summary, **shared)
        if "curves" in kinds:
            shared |= {"x": x, "lines": "depth" if by is None else "model"}
            found[f"{metric}-{names['curves']}"] = partial(learning_curves.draw, curves, **shared)
    return found


def _draw_winners(**options: Any) -> "Figure":
    from resnet_cli.api import plot_winners

    return plot_winners(**options)


def _draw_counts(**options: Any) -> "Figure":
    from resnet_cli.api import plot_counts

    return plot_counts(**options)


FIGURES_WITHOUT_RUNS: dict[str, Callable[..., "Figure"]] = {"winners": _draw_winners, "counts": _draw_counts}
"""How to draw what --figure names, with `title` and `size`."""


def _write(figure: "Figure", folder: Path, name: str, formats: list[str], dpi: int) -> None:
    """Write a figure in each of the formats, and print the paths."""
    from resnet_cli.figures.style import render
    from resnet_cli.store.files import atomic_file

    for extension in formats:
        path = folder / f"{name}.{extension}"
        with atomic_file(path) as file:
            file.write(render(figure, f".{extension}", dpi=dpi))
        typer.echo(path)


def _word(option: str, text: str, known: tuple[str, ...]) -> str:
    if text not in known:
        raise UserError(f"{option} (={text}) must be one of {', '.join(known)}.")
    return text


def _words(option: str, text: str, known: tuple[str, ...]) -> list[str]:
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in known:
            raise UserError(f"{option} (={text}) must be of {', '.join(known)}, joined by commas.")
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
