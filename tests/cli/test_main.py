"""All commands together: what they import, their help, and the program in a process of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from resnet_cli.cli.main import app
from tests.cli.conftest import Command


def test_importing_the_command_line_loads_no_heavy_libraries() -> None:
    code = "import sys, resnet_cli.cli.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "pandas", "matplotlib", "numpy", "sklearn"}.isdisjoint(loaded)


def test_every_command_has_help_with_an_example(command: Command) -> None:
    group = typer.main.get_command(app)
    names = [
        [name, inner] if inner else [name]
        for name, one in group.commands.items()  # type: ignore[attr-defined]
        for inner in getattr(one, "commands", [""])
    ]
    assert ["data", "fetch"] in names
    assert ["analyze", "remove"] in names
    for name in names:
        answer = command(*name, "--help")
        assert answer.code == 0
        assert f"resnet-exp {' '.join(name)}" in " ".join(answer.out.split()), "an example"
        assert "Example" in answer.out


def test_help_groups_commands_and_names_no_types(command: Command) -> None:
    text = command("--help").out
    assert [text.index(panel) for panel in ("Train nets", "Look at results", "What there is")]
    for name in ("", "sweep", "show", "pack", "plot"):
        page = command(*filter(None, [name]), "--help").out
        assert "TEXT" not in page
        assert re.findall(r"<(?:bool|int|float|str|path|list)\b.*?>", page) == []


def test_models_and_tasks_list_everything(command: Command) -> None:
    models = command("models").out
    assert all(name in models for name in ("plain-mlp", "residual-mlp", "plain-cnn", "resnet", "6n+2"))
    tasks = command("tasks").out
    assert all(name in tasks for name in ("sine", "digits", "cifar10"))


@pytest.mark.slow
def test_python_m_prints_its_results_without_colour(sine: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "resnet_cli", "show", sine], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("results/sine: 6 runs\n")
    assert "\x1b" not in done.stdout


def test_the_version_is_three_numbers(command: Command) -> None:
    assert re.fullmatch(r"resnet-exp \d+\.\d+\.\d+\n", command("--version").out)
