"""`resnet-exp models`: what can be trained, one model's page, and the layers of a net."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resnet_cli.cli.console import make_console
from resnet_cli.cli.help_pages import examples
from resnet_cli.cli.options import path_option
from resnet_cli.cli.words import check_word
from resnet_cli.figures.kinds import FORMATS
from resnet_cli.settings.errors import UserError, printable, unknown_name
from resnet_cli.settings.request import parse_assignments
from resnet_cli.settings.run import Run
from resnet_cli.tasks.settings import IMAGE_SIZE

if TYPE_CHECKING:
    from rich.console import RenderableType
    from torch import nn

    from resnet_cli.models.base import Model
    from resnet_cli.models.count import LayerRow

EPILOG = examples(
    "resnet-exp models",
    "resnet-exp models resnet",
    "resnet-exp models resnet --depth 110 --set shortcut=B",
    "resnet-exp models vgg --depth 16",
    "resnet-exp models resnet --set shortcut=B --draw blocks.png",
    "resnet-exp models vgg --depth 19 --draw net.svg --as net",
    "resnet-exp models resnet --draw paths.png --as paths",
)

FAMILIES = {"mlp": "MLPs", "cnn": "CNNs"}
ROLES = ("plain", "residual", "other")
DRAWINGS = {"blocks": {"mlp": 7, "cnn": 20}, "net": {"mlp": 7, "cnn": 20}, "paths": {"mlp": 10, "cnn": 8}}
"""What can be drawn, and by family the depth that is drawn by default, or the next lower one if the model lacks it."""
COLUMNS = ("layer", "kind", "output", "parameters", "multiply-adds")


def command(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A model to describe.")] = None,
    depth: Annotated[int | None, typer.Option("--depth", help="Print the layers of the net of this depth.")] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", help="The task that the net is for. (default: cifar10 for CNNs, sine for MLPs)"),
    ] = None,
    side: Annotated[
        int | None,
        typer.Option(
            "--input",
            metavar="PIXELS",
            help="Instead of a task: colour images of this height and width, and 1000 classes. (default for ImageNet's "
            "nets, such as vgg: 224; their width is then 64)",
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the model. (default: as in a sweep)"),
    ] = None,
    drawing: Annotated[
        Path | None,
        path_option(
            "--draw", metavar="FILE", help="Draw the blocks of the net into this .png, .svg or .pdf file instead."
        ),
    ] = None,
    drawn: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="WHAT",
            help="What to draw: blocks (each form of block), net (every layer) or paths (a net of 2 to 4 residual "
            "blocks unravelled into its paths). (default: blocks)",
        ),
    ] = None,
) -> None:
    """List the models with their paper, the depths that exist, and the settings they take.

    With NAME, describe that model and its settings.

    With --depth too, print the net's layers, parameters and multiply-adds, without data and without weights; or with
    --draw, draw it. Unless --depth is given, the net has depth 20, an MLP depth 7, or the next below; for --as paths, 3
    residual blocks.
    """
    from resnet_cli.models import all_models, describe_net, get_model
    from resnet_cli.models.count import layer_table

    options = {
        "--depth": depth,
        "--task": task,
        "--input": side,
        "--set": assignments,
        "--draw": drawing,
        "--as": drawn,
    }
    model = None if name is None else get_model(name)
    if drawn is not None:
        check_word("as", drawn, DRAWINGS)
        if drawing is None:
            raise UserError(f"as (={drawn}) has no effect without --draw FILE.")
    if model is not None and drawing is not None and depth is None:
        depth = model.depth_rule.nearest(DRAWINGS[drawn or "blocks"][model.family])[0]
    given = [option for option, value in options.items() if value is not None]
    if given and (model is None or depth is None):
        missing = "a model" if model is None else "--depth"
        raise UserError(f"{given[0]} needs {missing}, as in `resnet-exp models resnet --depth 20`.")
    console = make_console()
    if model is None:
        console.print(_listing(all_models().values()))
    elif depth is None:
        console.print(_page(model))
    else:
        run, shape, outputs = _plan_net(model, depth, task, side, assignments or [])
        try:
            net = describe_net(run, shape, outputs)
            if drawing is not None:
                _draw(net, shape, f"{name}, depth {depth}", drawing, drawn or "blocks")
                return
            rows = layer_table(net, shape)
        except RuntimeError as error:
            if "overflow" not in str(error):
                raise
            raise UserError(f"{name} at depth {depth} has a tensor of over 2⁶³ bytes; make it smaller.") from None
        console.print(_heading(model, run, shape, outputs))
        console.print("\n".join(_layers(rows)), soft_wrap=True)


def _listing(models: Collection["Model"]) -> "RenderableType":
    """Two lines for each model, with plain and residual models first in each family; common settings come once."""
    from rich.console import Group
    from rich.text import Text

    from resnet_cli.cli.tables import listing

    common = set.intersection(*({*model.settings} for model in models))
    table = listing(["model", "what it is, paper"])
    table.add_column("depths, settings of its own", max_width=33)
    for family, title in FAMILIES.items():
        table.add_row(Text(title, "bold"), Text(f"for {', '.join(_tasks_of(family))}", "bold"))
        for model in sorted(models, key=lambda model: ROLES.index(model.role)):
            if model.family == family:
                own = ", ".join(setting.name for setting in model.settings if setting not in common)
                table.add_row(
                    model.name,
                    Text(model.title).append(f"\n{model.paper}", "dim"),
                    Text(model.depth_rule.words).append(f"\n{own}", "dim"),
                )
        table.add_section()
    settings = ", ".join(setting.name for setting in next(iter(models)).settings if setting in common)
    more = "`resnet-exp models NAME` describes one model; with --depth it lists the layers of the net."
    return Group(table, Text(f"\nAll take {settings}. {more}"))


def _page(model: "Model") -> "RenderableType":
    """What a model is, and its settings with their defaults."""
    from rich.console import Group
    from rich.text import Text

    from resnet_cli.cli.tables import listing
    from resnet_cli.figures.panels import value_text
    from resnet_cli.planning.plan import plan_sweep

    request = {"models": model.name, "depths": model.depth_rule.first, "seeds": 0}
    runs = {task: plan_sweep({**request, "task": task}).runs[0] for task in _tasks_of(model.family)}

    rows = []
    for setting in model.settings:
        values = {task: run.get(setting) for task, run in runs.items()}
        if setting.name in model.defaults:
            values["--input"] = model.defaults[setting.name]
        if setting.need is not None:
            values = dict.fromkeys(values, setting.default)
        cases: dict[str, list[str]] = {}  # by default
        for case, value in values.items():
            cases.setdefault("–" if value is None else value_text(value), []).append(case)
        texts = [f"{text} ({', '.join(names)})" for text, names in cases.items()] if len(cases) > 1 else [*cases]
        rows.append([setting.name, ", ".join(texts), setting.description])
    facts = f"paper   {model.paper}\ndepths  {model.depth_rule.words}\ntasks   {', '.join(runs)}\n"
    heading = Text.assemble((model.name, "bold"), f": {model.title}\n{facts}")
    more = f"\n`resnet-exp models {model.name} --depth {model.depth_rule.first}` prints the layers of the smallest net."
    return Group(heading, listing(["setting", "default", "meaning"], rows), Text(more))


def _tasks_of(family: str) -> list[str]:
    """The tasks that models of a family can learn, those made for it first."""
    from resnet_cli.tasks import all_tasks

    tasks = [task for task in all_tasks().values() if family in task.families]
    return [task.name for task in sorted(tasks, key=lambda task: task.families[0] != family)]


def _plan_net(
    model: "Model", depth: int, task: str | None, side: int | None, assignments: Iterable[str]
) -> tuple[Run, tuple[int, ...], int]:
    """The run whose net is asked for, the shape of an input and the number of outputs.

    Raises:
        UserError: the model, the task or the settings do not fit each other, or name several nets.
    """
    from resnet_cli.models import imagenet
    from resnet_cli.planning.plan import plan_sweep
    from resnet_cli.tasks import get_task

    if task is not None and side is not None:
        raise UserError(f"--task (={task}) and --input (={side}) both set the input of the net; choose one.")
    if task is None and side is None and model in imagenet.MODELS:
        side = imagenet.SIDE
    if side is not None and (side < 8 or side % 4):
        raise UserError(f"--input (={side}) must be a multiple of 4, from 8 on.")
    settings = parse_assignments(assignments)
    known = [setting.name for setting in (*model.settings, *(() if side else [IMAGE_SIZE]))]
    for name in settings:
        if name not in known:
            raise unknown_name(f"setting of {model.name}", name, known)
    own = model.defaults if side else {}
    request = {"task": task or _tasks_of(model.family)[0], "models": model.name, "depths": depth, "seeds": 0}
    runs = plan_sweep({**own, **settings, **request}).runs
    if len(runs) > 1:
        raise UserError(f"--set names {len(runs)} nets; give each setting one value.")
    if side is not None:
        return runs[0], (3, side, side), imagenet.CLASSES
    learned = get_task(runs[0].task)
    return runs[0], learned.input_shape(runs[0]), learned.outputs


def _draw(net: "nn.Module", shape: tuple[int, ...], title: str, path: Path, what: str) -> None:
    """Write a drawing of a net, one of `DRAWINGS`, and print its path."""
    from resnet_cli.figures import block_diagram, net_diagram, unravelled
    from resnet_cli.models.count import count_multiply_adds
    from resnet_cli.models.diagram import block_graphs, trace_blocks, trace_net
    from resnet_cli.store.figures import write_figure

    if path.suffix[1:] not in FORMATS:
        raise UserError(f"draw (={path}) must end in .png, .svg or .pdf.")
    if what == "net":
        caption = f"{count_multiply_adds(net, shape):,} multiply-adds"
        figure = net_diagram.draw([net_diagram.Net("", caption, trace_net(net, shape))], title=title)
    elif what == "paths":
        figure = unravelled.draw(block_graphs(net, shape), title=title)
    else:
        figure = block_diagram.draw(trace_blocks(net, shape), title=title)
    write_figure(figure, path.parent, path.stem, [path.suffix[1:]])
    typer.echo(printable(path))


def _heading(model: "Model", run: Run, shape: tuple[int, ...], outputs: int) -> "RenderableType":
    from rich.text import Text

    from resnet_cli.figures.panels import value_text

    names = [setting.name for setting in model.settings]
    settings = {name: value for name, value in run.settings.items() if name in names}
    words = ", ".join(f"{name}={value_text(value)}" for name, value in settings.items())
    reads = f"{_shape_text(shape)} → {outputs}"
    return Text.assemble((f"{run.model}, depth {run.depth}", "bold"), f": {reads}; {words}\n")


def _layers(rows: Sequence["LayerRow"]) -> list[str]:
    """The lines of the table: one for each layer, then totals. Rich would take seconds for a thousand layers."""
    cells: list[Sequence[str]] = [COLUMNS]
    for row in rows:
        products = f"{row.multiply_adds:,}" if row.multiply_adds else "–"
        cells.append((row.name, row.kind, _shape_text(row.output_shape), f"{row.parameters:,}", products))
    sums = sum(row.parameters for row in rows), sum(row.multiply_adds for row in rows)
    cells.append(("total", "", "", *(f"{value:,}" for value in sums)))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    template = "  ".join(f"{{:{side}{width}}}" for side, width in zip("<<<>>", widths, strict=True))
    header, *body, total = (template.format(*line) for line in cells)
    rule = "─" * len(header)
    notes = ["", "Multiply-adds are those of convolutions and linear layers, for one example."]
    if any(row.output_shape is None for row in rows):
        notes.append("Layers without an output are used in training only.")
    return [header, rule, *body, rule, total, *notes]


def _shape_text(shape: tuple[int, ...] | None) -> str:
    return "×".join(map(str, shape)) if shape else "–"
