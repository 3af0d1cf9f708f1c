"""The options that `sweep` and `run` share: one for each setting, made from the settings' own descriptions."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from resnet_cli.cli.home import in_home
from resnet_cli.settings import registry
from resnet_cli.settings.errors import UserError, did_you_mean
from resnet_cli.settings.request import SWEEP_KEYS, load_config, merge, parse_assignments

WHAT = {
    "task": (["--task"], "Task to learn: sine, digits or cifar10. (default: sine)"),
    "models": (
        ["--models", "--model"],
        "Models to train; plain and residual stand for those that suit the task. (default: plain,residual)",
    ),
    "depths": (
        ["--depths", "--depth"],
        "Numbers of hidden layers (MLPs) or weight layers (CNNs): 2..40, 2..40:2, 8,20,56. (default: the task's)",
    ),
    "seeds": (["--seeds", "--seed"], "Seeds, written like depths; each is a repetition. (default: the task's)"),
    "engine": (
        ["--engine"],
        "auto (train MLPs together in stacks), loop (one net after another) or stacked. (default: auto)",
    ),
    "device": (["--device"], "auto, cpu, cuda, cuda:N or mps. (default: auto)"),
    "out": (["--out"], "Results folder. (default: results/<task>)"),
    "threads": (
        ["--threads"],
        "Maximum number of threads per process; small nets use one. (default: the cores, divided among the jobs)",
    ),
}
OF_ONE_RUN = {
    "models": "Model to train; plain and residual stand for those that suit the task. (default: residual)",
    "depths": "Number of hidden layers (MLP) or weight layers (CNN). (default: 20)",
    "seeds": "Seed of initialisation, data order and augmentation. (default: 0)",
    "out": "Results folder. (default: results/single/<run-id>)",
}
"""The texts that differ for a command that trains one net."""
SINGLE = {"engine": "NAME", "device": "NAME", "out": "DIR", "threads": "N"}
"""What the help page calls the values of options that take no list."""

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        callback=in_home,
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
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="RESNET_EXP_DATA",
        callback=in_home,
        metavar="DIR",
        help="Folder of the data sets.",
    ),
]
CheckpointEvery = Annotated[
    float,
    typer.Option("--checkpoint-every", min=0, metavar="SECONDS", help="Minimum time between checkpoints of a run."),
]
Recompute = Annotated[
    bool,
    typer.Option(
        "--recompute",
        help="Activation checkpointing: store the activations of few blocks; recompute the rest in the backward pass.",
    ),
]


CONTEXT_SETTINGS = {"ignore_unknown_options": True, "allow_extra_args": True}
"""For commands that take settings: flags for the models' own settings, such as --growth-rate, are parsed here."""


def _complete(words: tuple[str, ...]) -> Callable[[str], list[str]]:
    """Shell completion from fixed words."""

    def begin_with(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return begin_with


def _flags(texts: Mapping[str, str]) -> dict[str, Any]:
    """The annotation of each key's parameter, in the order of the help page; `texts` take precedence over `WHAT`."""
    flags = {
        key: typer.Option(
            *names, metavar=SINGLE.get(key, "LIST"), help=texts.get(key, text), rich_help_panel="What to run"
        )
        for key, (names, text) in WHAT.items()
    }
    for setting in registry.declared():
        flags[setting.name] = typer.Option(
            setting.flag,
            metavar="LIST",
            help=setting.description,
            rich_help_panel=registry.owner(setting),
            autocompletion=_complete(setting.choices),
        )
    return {name: Annotated[str | None, option] for name, option in flags.items()}


def _own_flags(arguments: list[str], others: set[str]) -> dict[str, str]:
    """The flags that the command line does not declare, by key: settings that only some models have.

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
        if key not in (names := [setting.name for setting in registry.all_settings()]):
            known = ["--" + name.replace("_", "-") for name in (*SWEEP_KEYS, *names, *others)]
            raise UserError(f"No such option: {flag}{did_you_mean(flag, known)}; see --help and `resnet-exp models`.")
        flags[key] = value if sign else next(rest, "--")
        if not sign and flags[key].startswith("--"):
            raise UserError(f"option {flag} needs a value.")
    return flags


def takes_settings(command: Callable[..., None], texts: Mapping[str, str] | None = None) -> Callable[..., None]:
    """Give `command` an option for each setting, `--config` and `--set`; it receives them merged as `request`.

    The command must be registered with `CONTEXT_SETTINGS`. Its help page shows `texts` for options with texts of its
    own.
    """

    def wrapper(context: typer.Context, config: Path | None, assignments: list[str] | None, **arguments: Any) -> None:
        flags = {name: value for name in flag_types if (value := arguments.pop(name)) is not None}
        flags |= _own_flags(context.args, {parameter.name for parameter in own})
        from_file = load_config(config) if config else {}
        command(request=merge(from_file, flags, parse_assignments(assignments or [])), **arguments)

    flag_types = _flags(texts or {})
    own = [p for p in inspect.signature(command).parameters.values() if p.name != "request"]
    shared: Mapping[str, Any] = {
        "context": typer.Context,
        "config": Config,
        "assignments": Assignments,
        **flag_types,
    }
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in shared.items()
    ]
    signature = inspect.Signature([*(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own), *added])
    wrapper.__signature__ = signature  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    wrapper.__doc__, wrapper.__name__ = command.__doc__, command.__name__
    return wrapper
