"""From tables of analyses to one number a seed: nets with their role, gradients by layer, blocks that are removed."""

from math import inf

import numpy as np
import pandas as pd

from resnet_cli.claims.claim import Analysis, MissingEvidence, Need, Tables

_OF_MODELS = ("role", "chance_loss", "chance_error")

_FAINTEST = 1e-45
"""The least number above zero in single precision; a gradient of zero counts as that, and one that is no number as its
inverse."""


def needs(analysis: Analysis) -> tuple[Need, ...]:
    """An analysis and the runs that it is made from."""
    return (analysis.sweep, analysis) if analysis.sweep else (analysis,)


def of_nets(tables: Tables, analysis: Analysis) -> pd.DataFrame:
    """The table of an analysis of a sweep's nets, with what the table of its runs knows of each.

    Without a column `run_id` it is only what the runs of a model have in common: `role` and the chance level.

    Raises:
        MissingEvidence: there is no such table, or no run of the sweep is in it.
    """
    assert analysis.sweep is not None
    runs = tables.runs(analysis.sweep.config)
    frame = tables.analysis(analysis.kind, analysis.sweep.config)
    if "run_id" in frame:
        key, known = "run_id", runs
    else:
        key, known = "model", runs[["model", *_OF_MODELS]].drop_duplicates("model")
    found = frame.merge(known[[key, *(name for name in known if name not in frame)]], on=key)
    if found.empty:
        raise MissingEvidence(f"the table of {analysis} has none of the sweep's runs")
    return found if "status" in found else found.assign(status="done")


def first_over_last(frame: pd.DataFrame, first: int = 1) -> pd.DataFrame:
    """How much larger the gradient is in the `first` layer than in the last, in powers of ten.

    Args:
        frame: of `analyze gradients`, nets of one model, depth and settings.

    Returns:
        A row for each seed and a column for each step.
    """
    norms = frame["gradient_norm"].astype(float).fillna(inf).clip(_FAINTEST, 1 / _FAINTEST)
    frame, last = frame.assign(power=np.log10(norms)), frame["layer"].max()
    if first == last:
        raise MissingEvidence("the nets have a single layer")
    starts, ends = (
        frame[frame["layer"] == layer].pivot_table(index="seed", columns="step", values="power")
        for layer in (first, last)
    )
    return starts - ends


def way_to_chance(frame: pd.DataFrame) -> pd.DataFrame:
    """The test error after each change to a net, as a share of the way from its own error (0) to chance (1).

    It is 1 at most, and −1 at least, so that a net that is hardly better than chance does not outweigh all others.

    Args:
        frame: of `analyze remove`.

    Returns:
        Its rows that remove blocks, with a column `way`; nets that are no better than chance are not there.
    """
    error = frame.set_index("run_id")["test_error"].astype(float)
    change = frame.set_index("run_id")["change"]
    own, chance = (frame["run_id"].map(error[change == kind]) for kind in ("intact", "chance"))
    way = ((frame["test_error"].astype(float) - own) / (chance - own)).clip(-1.0, 1.0)
    return frame.assign(way=way)[frame["change"].isin(("single", "several")) & (own < chance)]
