"""The data behind a figure as a table that a page lets people save."""

import io
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from resnet_cli.figures.learning_curves import choose_depths, median_curve
from resnet_cli.figures.panels import as_file_name
from resnet_cli.figures.run_table import varying_settings
from resnet_cli.figures.sweep import Drawing
from resnet_cli.settings.metrics import METRICS, OTHER_METRIC, columns_of
from resnet_cli.settings.setting import IDENTITY

MOST_CHARACTERS = 1_000_000
"""A longer table stays on disk: the page names its place."""


def figure_data(drawing: Drawing) -> pd.DataFrame:
    """What the figure of a sweep shows.

    Against depth, and in maps, that is a row for each run, with its last values; during training a row for each
    evaluation of each kind of net that is drawn, with medians over `runs` and infinity where diverged ones make it
    infinite.
    """
    rows, settings = drawing.rows, varying_settings(drawing.rows)
    columns = columns_of(drawing.metric) if drawing.metric else [name for name in METRICS if name in rows]
    columns = [name for name in columns if name in rows]
    if drawing.kind in ("depth", "parameters", "map"):
        table = rows[["run_id", *IDENTITY, "status", *settings, "step", *columns]]
        of_x_axis = {"depth": "parameters"} if drawing.kind == "parameters" else {}
        return table.sort_values(["model", "depth", "seed"]).rename(columns=of_x_axis)
    drawn = rows[rows["status"] != "failed"]
    if drawing.kind == "curves":
        drawn = choose_depths(drawn)
    names = ["task", "model", "depth", *settings]
    parts = []
    for key, group in drawn.groupby(names, dropna=False, observed=True):
        table = pd.DataFrame({name: median_curve(group, "step", name) for name in columns if name != "step"})
        table.insert(0, "step", table.index)
        identity: dict[str, Any] = dict(zip(names, key, strict=True))
        for setting, value in identity.items():
            table[setting] = value
        table["runs"] = group["run_id"].nunique()
        parts.append(table)
    medians = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*names, "runs", "step"])
    return medians[[*names, "runs", "step", *(name for name in columns if name != "step")]]


def as_csv(table: pd.DataFrame, metric: str = "") -> str:
    """A table as CSV with six significant digits."""
    content = io.StringIO()
    table.rename(columns={OTHER_METRIC: metric or OTHER_METRIC}).to_csv(
        content, index=False, lineterminator="\n", float_format="%.6g"
    )
    return content.getvalue()


def data_link(text: str, kind: str = "text/csv") -> str:
    """A link that contains a text, for a browser to save without asking anybody."""
    return f"data:{kind};charset=utf-8,{quote(text, safe=_SAFE)}"


_SAFE = " ,;:+-_.~()[]{}/=@!*$'|"
"""What an URL of the scheme `data` may hold as it is, inside double quotes."""


def file_name(*parts: str | Path, ending: str) -> str:
    """A name for a saved file, from words."""
    return "-".join(filter(None, (as_file_name(str(part)) for part in parts))) + ending
