"""The options that `sweep` and `run` share: one for each setting, made from the settings' own descriptions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import make_dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from resnet_cli.settings import registry
from resnet_cli.settings.discovery import load_plugins
from resnet_cli.settings.errors import UserError, did_you_mean
from resnet_cli.settings.request import DEFAULT_TASK, expand_home, load_config, merge, parse_assignments

WHAT = {
    "task": f"Task to learn, such as sine, digits or cifar10; see `resnet-exp tasks`. (default: {DEFAULT_TASK})",
    "models": "Models to train; plain and residual stand for those that suit the task. (default: plain,residual)",
    "depths": "Numbers of hidden layers (MLPs) or weight layers (CNNs): 2..40, 2..40:2, 8,20,56. (default: the task's)",
    "seeds": "Seeds, written like depths; each is a repetition. (default: the task's)",
    "engine": "auto (train MLPs together in stacks), loop (one net after another) or stacked. (default: auto)",
    "device": "auto, cpu, cuda, cuda:N or mps. (default: auto)",
    "out": "Results folder. (default: results/<task>)",
    "threads": "Maximum number of threads per process; small nets use one. (default: the cores, divided among the "
    "jobs)",
}
OF_ONE_RUN = {
    **WHAT,
    "models": "Model to train; plain and residual stand for those that suit the task. (default: residual)",
    "depths": "Number of hidden layers (MLP) or weight layers (CNN). (default: 20)",
    "seeds": "Seed of initialisation, data order and augmentation. (default: 0)",
    "out": "Results folder. (default: results/single/<run-id>)",
}
SINGULARS = {"models": "--model", "depths": "--depth", "seeds": "--seed"}
SINGLE = {"engine": "NAME", "device": "NAME", "out": "DIR", "threads": "N"}
"""What the help page calls the values of options that take no list."""


def in_home(parameter: typer.CallbackParam, path: Path | None) -> Path | None:
    """`~` as the home folder, which shells leave as it is after `--out=`. Raises UserError if there is no such one."""
    return None if path is None else expand_home(str(parameter.name), path)


path_option = partial(typer.Option, callback=in_home, metavar="DIR")

Config = Annotated[
    Path | None,
    path_option(
        "--config",
        metavar="FILE|NAME",
        help="Settings from a TOML file, or from a bundled one (see `resnet-exp configs`).",
    ),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any setting; takes precedence over flags and --config. Settings that only some models have, such as "
        "growth_rate (also a flag, --growth-rate), are listed by `resnet-exp models NAME`.",
    ),
]
DataDir = Annotated[Path | None, path_option("--data-dir", envvar="RESNET_EXP_DATA", help="Folder of the data sets.")]
CheckpointEvery = Annotated[
    float,
    typer.Option("--checkpoint-every", min=0, metavar="SECONDS", help="Minimum time between checkpoints of a run."),
]
LiveMetric = Annotated[
    str, typer.Option("--metric", metavar="NAME", help="What to show on the terminal during training, such as error.")
]
Recompute = Annotated[
    bool,
    typer.Option(
        "--recompute",
        help="Activation checkpointing: store the activations of few blocks; recompute the rest in the backward pass.",
    ),
]
CudaGraphs = Annotated[
    bool,
    typer.Option(
        "--cuda-graphs/--no-cuda-graphs",
        help="On a CUDA device, replay training steps as CUDA graphs where that is possible, with the same results.",
    ),
]


def _complete(words: tuple[str, ...]) -> Callable[[str], list[str]]:
    """Shell completion from fixed words."""

    def begin_with(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return begin_with


def _run_plugins(files: list[Path] | None) -> None:
    load_plugins([expand_home("plugin", file) for file in files or ()])


Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        callback=_run_plugins,
        expose_value=False,
        is_eager=True,
        metavar="FILE",
        help="Python file that defines models or tasks, see CONTRIBUTING.md; may be repeated.",
    ),
]


def click_parameters(dataclass: type) -> list[Any]:
    """Click's parameters for the fields of a dataclass that are annotated as Typer's options and arguments."""
    app = typer.Typer(add_completion=False)
    app.command()(dataclass)
    return typer.main.get_command(app).params


def _settings_options(texts: Mapping[str, str]) -> list[Any]:
    """The options `--config`, `--set`, those with these help texts, and that of every setting."""
    flags = {}
    for key, text in texts.items():
        names = [f"--{key}", *([SINGULARS[key]] if key in SINGULARS else [])]
        flags[key] = typer.Option(*names, metavar=SINGLE.get(key, "LIST"), help=text, rich_help_panel="What to run")
    for setting in registry.declared():
        flags[setting.name] = typer.Option(
            setting.flag,
            metavar="LIST",
            help=setting.description,
            rich_help_panel=registry.owner(setting),
            autocompletion=_complete(setting.choices),
        )
    annotations = {name: Annotated[str | None, option] for name, option in flags.items()}
    fields = {"config": Config, "assignments": Assignments, **annotations}
    return click_parameters(make_dataclass("Options", [(name, kind, None) for name, kind in fields.items()]))


def _own_flags(arguments: list[str], declared: Sequence[str]) -> dict[str, str]:
    """The flags that a command does not declare, by key: settings that only some models have.

    Raises:
        UserError: a flag is not such a setting, or has no value.
    """
    flags: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        flag, sign, value = argument.partition("=")
        key = flag.removeprefix("--").replace("-", "_")
        if not flag.startswith("--"):
            raise UserError(f"argument (={argument}) is not expected here; options begin with --, see --help.")
        if key not in (setting.name for setting in registry.all_settings()):
            known = [*declared, *(setting.flag for setting in registry.all_settings())]
            raise UserError(f"No such option: {flag}{did_you_mean(flag, known)}; see --help and `resnet-exp models`.")
        flags[key] = value if sign else next(rest, "--")
        if not sign and flags[key].startswith("--"):
            raise UserError(f"option {flag} needs a value.")
    return flags


class PluginCommand(TyperCommand):
    """A command with `--plugin`, whose files are run before the rest of the command line is looked at."""

    def __init__(self, *arguments: Any, params: list[Any], **others: Any) -> None:
        super().__init__(
            *arguments,
            params=[*params, *click_parameters(make_dataclass("Options", [("plugins", Plugins, None)]))],
            **others,
        )


class SettingsCommand(PluginCommand):
    """A command with `--config`, `--set` and an option for each setting; its context's `obj` is all of them, merged."""

    allow_extra_args = ignore_unknown_options = True  # flags for the models' own settings, such as --growth-rate
    texts: Mapping[str, str] = WHAT

    def __init__(self, *arguments: Any, params: list[Any], **others: Any) -> None:
        self._added = _settings_options(self.texts)
        super().__init__(*arguments, params=[*params, *self._added], **others)

    def invoke(self, ctx: Any) -> Any:
        """Merge the settings and call the command's function with the rest."""
        given = {option.name: ctx.params.pop(option.name) for option in self._added}
        config, assignments = given.pop("config"), given.pop("assignments")
        flags = {name: value for name, value in given.items() if value is not None}
        from_file = load_config(config) if config else {}  # first: its plug-ins have flags of their own
        flags |= _own_flags(ctx.args, [flag for option in self.params for flag in option.opts])
        ctx.obj = merge(from_file, flags, parse_assignments(assignments or []))
        return super().invoke(ctx)


class OneRunCommand(SettingsCommand):
    """A command that trains one net."""

    texts = OF_ONE_RUN
