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


def command(
    folder: Annotated[Path, typer.Argument(help="A results folder, or one that holds several.")] = Path("results"),
    metric: Annotated[str, typer.Option("--metric", help="loss, error or loss,error.")] = "loss,error",
    kind: Annotated[str, typer.Option("--kind", help="depth (against depth), curves (learning curves), or both.")] = (
        "depth,curves"
    ),
    scale: Annotated[str, typer.Option("--scale", help="auto (log for losses), log or linear.")] = "auto",
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
    from resnet_cli.store.layout import FIGURES_FOLDER
    from resnet_cli.store.reader import find_results, load_results

    metrics = _words("metric", metric, METRICS)
    kinds = _words("kind", kind, KINDS)
    formats = _words("format", file_format, FORMATS)
    if scale not in SCALES:
        raise UserError(f"scale (={scale}) must be one of {', '.join(SCALES)}.")
    inches = _parse_size(size)
    folders = find_results(folder)
    broken = False
    for place in folders:
        results = load_results(place)
        broken |= bool(results.problems)
        for problem in results.problems:
            typer.echo(f"resnet-exp: {problem}", err=True)
        target = place / FIGURES_FOLDER if out is None else out / place.name if len(folders) > 1 else out
        for name, draw in _figures(results, metrics, kinds, scale, inches, title).items():
            try:
                figure = draw()
            except UserError as error:  # such as too many settings for one page: the other figures are drawn
                typer.echo(f"resnet-exp: {place}: {error}", err=True)
                broken = True
                continue
            for extension in formats:
                path = target / f"{name}.{extension}"
                style.save(figure, path, dpi=dpi)
                typer.echo(path)
    if broken:
        raise typer.Exit(2)


def _figures(
    results: "Results",
    metrics: list[str],
    kinds: list[str],
    scale: str,
    size: tuple[float, float] | None,
    title: str | None,
) -> dict[str, Callable[[], "Figure"]]:
    """How to draw the figures of one sweep, by file name; error only where the task has one."""
    from resnet_cli.figures import learning_curves, loss_by_depth

    summary, curves = results.summary(), results.curves()
    if (summary["status"] == "failed").all():
        typer.echo(f"resnet-exp: {results.folder} has no run to draw; all failed or none is usable.", err=True)
        return {}
    if summary["test_error"].isna().all():
        metrics = [metric for metric in metrics if metric != "error"]
        if not metrics:
            raise UserError(f"metric (=error) does not exist in {results.folder}, a regression task; use loss.")
    found: dict[str, Callable[[], Figure]] = {}
    for metric in metrics:
        options: dict[str, Any] = {"metric": metric, "scale": scale, "size": size, "title": title}
        if "depth" in kinds:
            found[f"{metric}-by-depth"] = partial(loss_by_depth.draw, summary, **options)
        if "curves" in kinds:
            found[f"{metric}-curves"] = partial(learning_curves.draw, curves, **options)
    return found


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
