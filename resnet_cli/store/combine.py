"""Several sweeps as one table, for comparing them."""

from collections.abc import Sequence

import pandas as pd

from resnet_cli.figures.run_table import SWEEP
from resnet_cli.figures.style import as_text
from resnet_cli.store.reader import Results


def combine(folders: Sequence[Results], metric: str | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Summary and curves of all runs, as those of `Results`, with the name of each run's folder as `sweep`."""
    names = sweep_names(folders)
    together = Results(folders[0].folder, [stored for results in folders for stored in results.runs], [])
    named = [(name, stored) for name, results in zip(names, folders, strict=True) for stored in results.runs]
    summary, curves = together.summary(metric), together.curves(metric)
    summary[SWEEP] = [name for name, _ in named]
    curves[SWEEP] = [name for name, stored in named for _ in stored.history]
    for frame in (summary, curves):
        frame["run_id"] = frame[SWEEP] + "/" + frame["run_id"]
    return summary, curves


def sweep_names(folders: Sequence[Results]) -> list[str]:
    """The folders' names, or their whole paths if two have the same name."""
    names = [as_text(results.folder.resolve().name) for results in folders]
    return names if len(set(names)) == len(names) else [as_text(str(results.folder)) for results in folders]
