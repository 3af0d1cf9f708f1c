"""Where things are in a results folder.

<folder>/sweep.toml                  the resolved sweep
<folder>/runs/<run-id>/metrics.csv   one row per evaluation
<folder>/runs/<run-id>/run.json      settings, status, environment, times; written last: a run with it is finished
<folder>/runs/<run-id>/weights.pt    the net's final values, where a sweep was asked to save models
<folder>/runs/<run-id>/checkpoint.pt while a long run is not finished
<folder>/stacks/<name>.pt            while a stack of runs is not finished
*.damaged                            the last checkpoint or weights file in this place that could not be used
<folder>/summary.csv                 one row per run, derived
<folder>/figures/
<folder>/analysis/                   what `resnet-exp analyze` writes

In packed form (see `store.packed`) runs.csv and metrics.csv.gz stand for runs/.
"""

from pathlib import Path
from typing import NamedTuple

from resnet_cli.settings.run import Run

SWEEP_FILE = "sweep.toml"
SUMMARY_FILE = "summary.csv"
RUNS_FOLDER = "runs"
RUN_FILE = "run.json"
METRICS_FILE = "metrics.csv"
CHECKPOINT_FILE = "checkpoint.pt"
WEIGHTS_FILE = "weights.pt"
STACKS_FOLDER = "stacks"
FIGURES_FOLDER = "figures"
ANALYSIS_FOLDER = "analysis"


def run_folder(folder: Path, run: Run) -> Path:
    """The folder of a run below a results folder."""
    return folder / RUNS_FOLDER / run.run_id


class RunFiles(NamedTuple):
    """The two files of a finished run as bytes, and what messages call them."""

    run_id: str
    record: bytes
    metrics: bytes
    record_place: str
    metrics_place: str
