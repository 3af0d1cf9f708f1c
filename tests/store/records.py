"""Runs on disk, written without training."""

from pathlib import Path

from resnet_cli.settings.events import Status
from resnet_cli.settings.metrics import Metrics
from resnet_cli.settings.run import Run
from resnet_cli.store.layout import run_folder
from resnet_cli.store.record import RunRecord, write_run

HISTORY = [
    Metrics(0.0, 0, 0.1, 0.1 + 0.2, 1 / 3, None, None, None),
    Metrics(1 / 31, 10, 0.1, 1e-300, 2.5e-7, None, None, 0.7),
]


def store(folder: Path, run: Run, history: list[Metrics] | None = None, status: Status = "done") -> Path:
    """Write a run as a sweep would, and return its folder."""
    write_run(
        folder,
        RunRecord(
            status=status,
            run=run,
            parameters=100,
            environment={"torch": "2"},
            started="2026-01-01T00:00:00+00:00",
            finished="2026-01-01T00:00:01+00:00",
            seconds=1.0,
            history=HISTORY if history is None else history,
        ),
    )
    return run_folder(folder, run)
