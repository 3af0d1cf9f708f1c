"""Fixtures that all tests share."""

from collections.abc import Callable

import pytest
import torch

from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.run import Run

torch.set_num_threads(1)

MakeRun = Callable[..., Run]


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
