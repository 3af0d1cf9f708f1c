"""Fixtures that all tests share."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings import discovery, registry, run
from resnet_cli.settings.run import Run

torch.set_num_threads(1)

MakeRun = Callable[..., Run]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the tests over all models and tasks take in plug-ins."""
    parser.addoption(
        "--plugin", action="append", default=[], type=Path, help="Python file with models or tasks to test"
    )


def pytest_xdist_auto_num_workers() -> int:
    """With `-n auto`, one more than cores: tests of whole commands wait half of their time."""
    return (os.cpu_count() or 1) + 1


def pytest_configure(config: pytest.Config) -> None:
    """Run the plug-ins before tests are collected."""
    discovery.load_plugins(config.getoption("--plugin"))


@pytest.fixture
def _without_traces(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test defines in plug-ins is forgotten after it."""
    registry.all_settings()  # declares them
    monkeypatch.setattr(discovery, "_plugins", {**discovery._plugins})
    for name in ("_settings", "_owners"):
        monkeypatch.setattr(registry, name, {**getattr(registry, name)})
    yield
    discovery._collect.cache_clear()
    run._kind_of.cache_clear()


@pytest.fixture(autouse=True)
def _away_from_results(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test starts in an empty folder and without the person's data folder and width."""
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))
    monkeypatch.delenv("RESNET_EXP_DATA", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)  # which processes that share out the tests set


@pytest.fixture(scope="session")
def make_run() -> MakeRun:
    """One run with small defaults: `make_run(task="sine", models="plain", depths=3, steps=5)`."""

    def make(**request: object) -> Run:
        small = {"task": "sine", "models": "plain", "depths": 3, "seeds": 0}
        (run,) = plan_sweep(small | request).runs
        return run

    return make
