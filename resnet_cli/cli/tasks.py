"""`resnet-exp tasks`: the tasks and their default settings."""

from typing import TYPE_CHECKING, Annotated

import typer

from resnet_cli.cli.console import make_console
from resnet_cli.cli.help_pages import examples

if TYPE_CHECKING:
    from rich.console import RenderableType

    from resnet_cli.tasks import Task

DEPTH = "Number of layers as the model's paper counts them: hidden layers of an MLP, weight layers of a CNN."
EPILOG = examples("resnet-exp tasks", "resnet-exp tasks digits")


def command(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A task whose settings to list.")] = None,
) -> None:
    """List the tasks with their source, the models that can learn them, and the settings they take.

    With NAME, list every setting of a sweep on that task with its default, and the models whose default differs.
    """
    from resnet_cli.tasks import all_tasks, get_task

    make_console().print(_listing(list(all_tasks().values())) if name is None else _page(get_task(name)))


def _listing(tasks: "list[Task]") -> "RenderableType":
    """A table of the tasks, then a paragraph for each group of models that can learn the same ones."""
    from rich.console import Group
    from rich.text import Text

    from resnet_cli.cli.tables import listing
    from resnet_cli.models import all_models

    rows = [
        [task.name, f"{task.title}\n{task.source}", ", ".join(sorted(setting.name for setting in task.settings))]
        for task in tasks
    ]
    learners: dict[str, list[str]] = {}
    for model in all_models().values():
        learned = ", ".join(task.name for task in tasks if model.family in task.families)
        learners.setdefault(learned, []).append(model.name)
    models = "\n".join(f"Models for {learned}: {', '.join(names)}." for learned, names in learners.items())
    more = "`resnet-exp tasks NAME` lists every setting with its default."
    return Group(listing(["task", "what it is, source", "settings of its own"], rows), Text(f"\n{models}\n{more}"))


def _page(task: "Task") -> "RenderableType":
    """Every setting of a sweep on a task: its default, its meaning, and the models with a different default."""
    from rich.console import Group
    from rich.text import Text

    from resnet_cli.cli.tables import listing
    from resnet_cli.figures.panels import value_text
    from resnet_cli.models import all_models
    from resnet_cli.planning.plan import plan_sweep, settings_of
    from resnet_cli.settings import registry
    from resnet_cli.training.settings import EPOCHS, STEPS

    usual = plan_sweep({"task": task.name}).resolved
    names = [name for name, model in all_models().items() if model.family in task.families]
    models = [all_models()[name] for name in sorted(names, key=lambda name: name not in usual["models"])]
    defaults: dict[str, dict[str, list[str]]] = {"depths": {}}  # setting → default → models
    for model in models:
        plan = plan_sweep({"task": task.name, "models": model.name, "seeds": 0})
        defaults["depths"].setdefault(plan.resolved["depths"], []).append(model.name)
        for setting in settings_of(task, model):
            value = plan.runs[0].get(setting)
            if value is None and setting.need is not None:
                value = setting.default
            text = "–" if value is None else value_text(value)
            defaults.setdefault(setting.name, {}).setdefault(text, []).append(model.name)

    rows = [
        ["models", ",".join(usual["models"]), "Models to compare."],
        ["seeds", usual["seeds"], "Each is a repetition."],
    ]
    for name in ["depths", *registry.in_order(name for name in defaults if name != "depths")]:
        by_default = defaults[name]
        (default, _), *others = by_default.items()
        having = [model for names in by_default.values() for model in names]
        only = f" Only {', '.join(having)}." if len(having) < len(models) else ""
        found = registry.find(name)
        meaning = DEPTH if found is None else found.description
        when = f" Only with {found.need.words}." if found and found.need else ""
        rows.append([name, default, f"{meaning}{when}{only}"])
        rows += [["", other, f"for {', '.join(names)}"] for other, names in others]
    length, number = next(
        (name, next(iter(defaults[name]))) for name in (EPOCHS.name, STEPS.name) if "–" not in defaults[name]
    )
    longer = f"resnet-exp sweep --task {task.name} --{length} {5 * int(number)} --out results/{task.name}-long"
    heading = Text.assemble((task.name, "bold"), f": {task.title}\nsource  {task.source}\n")
    table = listing(["setting", "default", "meaning"], rows)
    return Group(heading, table, Text(f"\nFive times longer: {longer}"))
