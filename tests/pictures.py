"""The pictures that pages show, each with how it is drawn from the committed tables: `make docs` renews them."""

import io
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from resnet_cli.api import plot_analysis, plot_networks, plot_winners, sweep_drawings
from resnet_cli.figures import block_diagram, unravelled
from resnet_cli.figures.style import render
from resnet_cli.models import describe_net
from resnet_cli.models.diagram import block_graphs, trace_blocks
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.store.layout import FIGURES_FOLDER
from resnet_cli.store.packed import table_in
from resnet_cli.store.reader import load_results
from resnet_cli.tasks import get_task

COMMITTED = Path(__file__).parents[1] / "docs/results"
PICTURES = sorted(COMMITTED.glob("**/*.png"))


def small_png(figure: Figure) -> bytes:
    """A figure as a PNG of 256 colours, a third of the size of all colours and the same to the eye."""
    return smaller(render(figure, ".png"))


def smaller(png: bytes) -> bytes:
    """A PNG with 256 colours."""
    with Image.open(io.BytesIO(png)) as image:
        few = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    content = io.BytesIO()
    few.save(content, "PNG", optimize=True)
    return content.getvalue()


def drawn(picture: Path) -> Figure:
    """The figure of a committed picture, from the tables beside it."""
    if picture.parent == COMMITTED / FIGURES_FOLDER:
        return WITHOUT_RUNS[picture.stem]()
    if table := table_in(picture.parent, picture.stem):
        return plot_analysis(picture.stem, table)
    assert picture.parent.name == FIGURES_FOLDER, f"there is no table beside {picture}"
    results = load_results(picture.parents[1])
    by = picture.stem.partition("-and-")[2].replace("-", "_")
    return sweep_drawings([results], by=[by] if by else [])[picture.stem]()


def _draw_bottleneck() -> Figure:
    model, depth = "bottleneck-resnet", 20
    (run,) = plan_sweep({"task": "cifar10", "models": model, "depths": depth, "seeds": 0}).runs
    shape, outputs = get_task(run.task).input_shape(run), get_task(run.task).outputs
    return block_diagram.draw(trace_blocks(describe_net(run, shape, outputs), shape), title=f"{model}, depth {depth}")


def _draw_unravelled() -> Figure:
    model, depth = "resnet", 8
    (run,) = plan_sweep({"task": "cifar10", "models": model, "depths": depth, "seeds": 0}).runs
    shape, outputs = get_task(run.task).input_shape(run), get_task(run.task).outputs
    return unravelled.draw(block_graphs(describe_net(run, shape, outputs), shape), title=f"{model}, depth {depth}")


WITHOUT_RUNS: dict[str, Callable[[], Figure]] = {
    "winners": plot_winners,
    "bottleneck": _draw_bottleneck,
    "networks": plot_networks,
    "unravelled": _draw_unravelled,
}
