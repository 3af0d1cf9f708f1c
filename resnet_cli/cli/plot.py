"""`resnet-exp plot`: the figures of every sweep below a folder."""

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
    "[bold]resnet-exp plot results/sine --scale linear --title 'Learning the sine' --out figures[/]"
)
METRICS = ("loss", "error")
SCALES = ("auto", "log", "linear")
FORMATS = ("png", "svg")
KINDS = ("depth", "curves")
MAX_PIXELS = 20_000
SPLITS = ("train", "test")
X_AXES = ("step", "epoch")


def command(
    folder: Annotated[Path, typer.Argument(help="A results folder, or one that holds several.")] = Path("results"),
    metric: Annotated[str, typer.Option("--metric", help="loss, error or loss,error.")] = "loss,error",
    kind: Annotated[str, typer.Option("--kind", help="depth (against depth), curves (learning curves), or both.")] = (
        "depth,curves"
    ),
    scale: Annotated[str, typer.Option("--scale", help="auto (log for losses), log or linear.")] = "auto",
    splits: Annotated[str, typer.Option("--splits", help="train, test or train,test.")] = "train,test",
    x: Annotated[str, typer.Option("--x", help="Axis of learning curves: step or epoch.")] = "step",
    file_format: Annotated[str, typer.Option("--format", help="png, svg or png,svg.")] = "png,svg",
    size: Annotated[str | None, typer.Option("--size", metavar="WxH", help="Width and height in inches.")] = None,
    dpi: Annotated[int, typer.Option("--dpi", min=20, max=1200, help="Resolution of PNG files.")] = 150,
    title: Annotated[str | None, typer.Option("--title", help="Title instead of the automatic one.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Output folder. (default: figures/ beside the runs)")
    ] = None,
) -> None:
    """Draw loss and error against depth, and learning curves by depth, for every sweep below a folder.

    The same results give the same bytes. What cannot be read or drawn is named on stderr and left out; the exit code is
    then 2.
    """
    from resnet_cli.figures import style
    from resnet_cli.store.files import atomic_file
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
    folders = find_results(folder)
    broken = drawn = False
    for place in folders:
        results = load_results(place)
        broken |= bool(results.problems)
        for problem in results.problems:
            typer.echo(f"resnet-exp: {problem}", err=True)
        target = place / FIGURES_FOLDER if out is None else out / place.relative_to(folder)
        figures = _figures(results, metrics, kinds, axis, options)
        for name, draw in figures.items():
            try:
                figure = draw()
            except UserError as error:  # such as too many settings for one page: the other figures are drawn
                typer.echo(f"resnet-exp: {place}: {error}", err=True)
                broken = True
                continue
            for extension in formats:
                path = target / f"{name}.{extension}"
                with atomic_file(path) as file:
                    file.write(style.render(figure, f".{extension}", dpi=dpi))
                typer.echo(path)
        drawn |= bool(figures)
    if not drawn and not broken:
        raise UserError(f"metric (={metric}) does not exist below {folder}, a regression task has no error; use loss.")
    if broken:
        raise typer.Exit(2)


def _figures(
    results: "Results", metrics: list[str], kinds: list[str], x: str, options: dict[str, Any]
) -> dict[str, Callable[[], "Figure"]]:
    """How to draw the figures of one sweep, by file name; error only where the task has one."""
    from resnet_cli.figures import learning_curves, loss_by_depth

    summary, curves = results.summary(), results.curves()
    found: dict[str, Callable[[], Figure]] = {}
    for metric in metrics:
        shared = {**options, "metric": metric}
        if metric == "error" and summary["test_error"].isna().all():
            continue
        if "depth" in kinds:
            found[f"{metric}-by-depth"] = partial(loss_by_depth.draw, summary, **shared)
        if "curves" in kinds:
            found[f"{metric}-curves"] = partial(learning_curves.draw, curves, **{**shared, "x": x})
    return found


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
