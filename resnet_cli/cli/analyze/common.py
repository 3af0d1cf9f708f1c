"""What all analyses share: their options, and a CSV and a figure as files."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resnet_cli.spec.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")


def _check_format(text: str) -> str:
    """Refuse a wrong format before anything is computed."""
    formats = split_words(text)
    if not formats or not set(formats) <= set(FORMATS):
        raise UserError(f"format (={text}) must be of {', '.join(FORMATS)}, joined by commas.")
    return text


Folder = Annotated[Path, typer.Argument(help="A results folder; its sweep was done with --save-models.")]
Models = Annotated[str, typer.Option("--models", "--model", help="Models, joined by commas. (default: all there are)")]
Depths = Annotated[str | None, typer.Option("--depths", "--depth", help="Depths, such as 20 or 8..32. (default: all)")]
Seeds = Annotated[str | None, typer.Option("--seeds", "--seed", help="Seeds, written like depths. (default: all)")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
Format = Annotated[str, typer.Option("--format", callback=_check_format, help="png, svg or png,svg.")]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Output folder. (default: analysis/ beside the runs)")
]


def say_problem(problem: str) -> None:
    """Name a stored run that cannot be read on stderr."""
    typer.echo(f"resnet-exp: {problem}", err=True)


def split_words(text: str) -> list[str]:
    """Words that are joined by commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def write(
    name: str, frame: "pd.DataFrame", draw: "Callable[[pd.DataFrame], Figure]", target: Path, file_format: str
) -> None:
    """Write `name`.csv and the figure of a frame into `target`, and print their paths; the CSV comes first."""
    from resnet_cli.figures import style
    from resnet_cli.store.files import atomic_file

    with atomic_file(target / f"{name}.csv") as file:
        frame.to_csv(file, index=False, lineterminator="\n", float_format="%.7g")  # float32 has no more
    typer.echo(target / f"{name}.csv")
    figure = draw(frame)
    for extension in split_words(file_format):
        with atomic_file(target / f"{name}.{extension}") as file:
            file.write(style.render(figure, f".{extension}"))
        typer.echo(target / f"{name}.{extension}")
