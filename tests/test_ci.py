"""What runs on every change: the check of a fresh clone, the Makefile, and the workflow for the other systems."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Command, command

__all__ = ["command"]

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TRACEBACK = "Traceback (most recent call last):"

needs_bash = pytest.mark.skipif(sys.platform == "win32", reason="make and .ci/run are for systems with a POSIX shell")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with .ci, a committed file, and an ignored one."""
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    (tmp_path / "kept.txt").write_text("as it was")
    (tmp_path / ".gitignore").write_text("results/\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "All"]):
        subprocess.run([*git, *arguments], cwd=tmp_path, check=True)
    return tmp_path


def watch(clone: Path, code: str) -> subprocess.CompletedProcess[str]:
    """What the check says of a command that does `code` in a clone."""
    command = [sys.executable, ".ci/watch.py", sys.executable, "-c", code]
    return subprocess.run(command, cwd=clone, capture_output=True, text=True)


def test_a_command_that_behaves_passes_with_its_output_unchanged(clone: Path) -> None:
    code = "import pathlib, sys; pathlib.Path('results').mkdir(); print('done', len(sys.stdin.read()))"
    watched = watch(clone, code)
    assert (watched.returncode, watched.stdout, watched.stderr) == (0, "done 0\n", "")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_printed_traceback_fails(clone: Path, stream: str) -> None:
    watched = watch(clone, f"import sys; print('  | {TRACEBACK}', file=sys.{stream})")
    assert watched.returncode == 1
    assert TRACEBACK in watched.stdout
    assert "it printed a traceback." in watched.stderr


@pytest.mark.parametrize("name", ["kept.txt", "new.txt"])
def test_a_changed_clone_fails(clone: Path, name: str) -> None:
    watched = watch(clone, f"open('{name}', 'w').write('changed')")
    assert watched.returncode == 1
    assert name in watched.stderr


def test_a_failure_keeps_its_exit_code(clone: Path) -> None:
    assert watch(clone, "raise SystemExit(2)").returncode == 2


@needs_bash
@pytest.mark.parametrize(
    ("failing", "done"), [("none", ["lint", "demo", "test"]), ("demo", ["lint", "demo"]), ("lint", ["lint"])]
)
def test_the_check_of_a_clone_stops_at_the_first_failure(clone: Path, failing: str, done: list[str]) -> None:
    make = clone / "results" / "make"
    make.parent.mkdir()
    make.write_text(f'#!/bin/sh\necho "$1"\ntest "$1" != {failing}\n')
    make.chmod(0o755)
    shutil.copy(make, make.with_name("chromedriver"))  # so that none is installed
    path = os.pathsep.join([str(make.parent), os.environ["PATH"]])
    checked = subprocess.run(
        ["bash", ".ci/run"], cwd=clone, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert checked.stdout.split() == done
    assert (checked.returncode == 0) == (failing == "none")


@pytest.mark.slow
def test_the_demo_draws_its_sweep_and_names_the_picture_and_the_report_last(command: Command) -> None:
    recipe = MAKEFILE.split("\ndemo:")[1].split("\n\n")[0].splitlines()[1:]
    sweep, plot, report = (line.removeprefix("\t$(BIN)/resnet-exp ").split() for line in recipe[:3])
    small = ["--depths", "2..4", "--seeds", "0", "--steps", "6", "--eval-every", "3", "--jobs", "1"]
    trained = command(*sweep, *small)
    drawn, reported = command(*plot), command(*report)
    assert (trained.code, drawn.code, reported.code) == (0, 0, 0)
    assert re.search(r"^ *depth +train", trained.out, re.M), "the table of the sweep"
    pictures = [line.partition(" ")[0] for line in drawn.out.splitlines()]
    assert {Path(name).parent for name in pictures} == {Path("results/sine/figures")}
    named = re.fullmatch(r'\t@echo "Open (\S+), or all of it on one page: (\S+)"', recipe[-1])
    assert named is not None
    assert named[1] in pictures
    assert reported.out.startswith(f"{named[2]} (")


def test_every_target_of_the_makefile_is_phony() -> None:
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.M))
    assert targets == {"demo", "test", "quick", "bench", "gpu", "lint", "format", "docs", "install", "clean"}
    assert targets == set(re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.M)[0].split())


@pytest.fixture
def workflow() -> dict[str, Any]:
    """The workflow, without the key that YAML 1.1 reads as the word on."""
    content = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    assert content.pop(True) == {"push": {"branches": ["main"]}, "pull_request": None}
    assert isinstance(content, dict)
    return content


def test_the_workflow_tests_every_python_version_of_the_classifiers(workflow: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    versions = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    matrix = workflow["jobs"]["tests"]["strategy"]["matrix"]
    assert matrix["python"] == versions == ["3.11", "3.12", "3.13", "3.14"]
    assert project["requires-python"] == f">={versions[0]}"
    assert [system.split("-")[0] for system in matrix["system"]] == ["ubuntu", "macos", "windows"]
    assert workflow["jobs"]["clone"]["steps"][1]["with"]["python-version"] == versions[0]


def test_the_workflow_may_only_read_and_pins_its_actions(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["cancel-in-progress"] is True
    used = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    assert used
    assert [name for name in used if not re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", name)] == []


def test_the_workflow_audits_every_pinned_version(workflow: dict[str, Any]) -> None:
    commands = [step["run"] for step in workflow["jobs"]["audit"]["steps"] if "run" in step]
    assert commands[-1].split()[0] == "pip-audit"
    assert commands[-1].split()[-2:] == ["--requirement", "constraints.txt"]
    lines = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*", line)] == []


def test_the_weekly_workflow_runs_the_long_forms_of_tests_that_exist() -> None:
    content = yaml.safe_load((ROOT / ".github" / "workflows" / "long.yml").read_text("utf-8"))
    assert content["permissions"] == {"contents": "read"}
    commands = "\n".join(step["run"] for job in content["jobs"].values() for step in job["steps"] if "run" in step)
    assert [name for name in re.findall(r"tests/\S+\.py", commands) if not (ROOT / name).is_file()] == []
    reliability = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    variables = set(re.findall(r"RESNET_EXP_\w+=\d+", commands))
    assert variables == set(re.findall(r"RESNET_EXP_\w+=\d+", reliability))


@pytest.mark.slow
def test_the_workflow_calls_commands_that_exist(command: Command, workflow: dict[str, Any]) -> None:
    steps = {step["name"]: step["run"] for step in workflow["jobs"]["tests"]["steps"] if "name" in step}
    assert [name for name in re.findall(r"tests/[a-z]+", steps["Tests"]) if not (ROOT / name).is_dir()] == []
    assert "make" not in " ".join(steps.values()).split()
    for line in steps["Smoke sweep"].splitlines():
        name, *arguments = line.removeprefix("resnet-exp ").split()
        assert command(name, *arguments, *(["--jobs", "1"] if name == "sweep" else [])).code == 0
    lint = MAKEFILE.split("\nlint:")[1].split("\n\n")[0]
    tools = [line.partition("$(BIN)/")[2].split()[:2] for line in lint.splitlines()[1:]]
    assert [line.split()[:2] for line in steps["Lint"].splitlines()[:3]] == tools[:3]
    assert steps["Lint"].splitlines()[3].split()[0] == tools[3][0]
