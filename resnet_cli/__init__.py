"""Reproduce the degradation problem of deep plain networks, and its cure by residual connections.

The command line is `resnet-exp`. The same from Python:

    import resnet_cli

    plan = resnet_cli.plan_sweep({"task": "sine", "depths": "2..40", "seeds": "0..4"})
    with resnet_cli.open_sweep(plan, "results/sine", jobs=1) as sweep:
        sweep.execute(print)
    results = resnet_cli.load_results("results/sine")
    figure = resnet_cli.plot_loss_by_depth(results)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from resnet_cli.settings import registry

if TYPE_CHECKING:
    from resnet_cli.api import (
        compare,
        compare_sweeps,
        load_net,
        plot_analysis,
        plot_counts,
        plot_learning_curves,
        plot_loss_by_depth,
        plot_networks,
        plot_survival,
        plot_winners,
    )
    from resnet_cli.execution.sweep import OpenSweep, open_sweep
    from resnet_cli.models import all_models, build_net, get_model
    from resnet_cli.planning.plan import Plan, plan_sweep
    from resnet_cli.settings.errors import UserError
    from resnet_cli.settings.run import Run
    from resnet_cli.store.reader import Results, load_results
    from resnet_cli.tasks import all_tasks, get_task

__all__ = [
    "OpenSweep",
    "Plan",
    "Results",
    "Run",
    "UserError",
    "all_models",
    "all_tasks",
    "build_net",
    "compare",
    "compare_sweeps",
    "get_model",
    "get_task",
    "load_net",
    "load_results",
    "open_sweep",
    "plan_sweep",
    "plot_analysis",
    "plot_counts",
    "plot_learning_curves",
    "plot_loss_by_depth",
    "plot_networks",
    "plot_survival",
    "plot_winners",
]

_HOMES = {
    "resnet_cli.api": (
        "compare",
        "compare_sweeps",
        "load_net",
        "plot_analysis",
        "plot_counts",
        "plot_learning_curves",
        "plot_loss_by_depth",
        "plot_networks",
        "plot_survival",
        "plot_winners",
    ),
    "resnet_cli.models": ("all_models", "build_net", "get_model"),
    "resnet_cli.settings.errors": ("UserError",),
    "resnet_cli.settings.run": ("Run",),
    "resnet_cli.store.reader": ("Results", "load_results"),
    "resnet_cli.planning.plan": ("Plan", "plan_sweep"),
    "resnet_cli.execution.sweep": ("OpenSweep", "open_sweep"),
    "resnet_cli.tasks": ("all_tasks", "get_task"),
}


def _declare_settings() -> None:
    from resnet_cli.models import settings as of_models
    from resnet_cli.settings.setting import settings_in
    from resnet_cli.tasks import all_tasks
    from resnet_cli.training import optimizers
    from resnet_cli.training import settings as of_training

    registry.declare("Model", settings_in(of_models))
    for task in all_tasks().values():
        registry.declare("Task", task.settings)
    registry.declare("Training", [*settings_in(optimizers), *settings_in(of_training)])


def _declare_settings_of_single_models() -> None:
    from resnet_cli.models import all_models

    all_models()


registry.add_sources(_declare_settings, _declare_settings_of_single_models)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that torch and pandas are loaded only then."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, for completion, even before they are imported."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("_"))})
