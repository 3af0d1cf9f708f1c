"""What expressions of pages about mechanisms (see `tests.pages`) are made of: gradients and landscapes."""

import math
from functools import cache

import pandas as pd

from resnet_cli.analysis.landscape import measure_cuts
from tests.page_numbers import rows, show, spread


def shattered(kind: str, depth: int, quantity: str, *, batch_norm: bool = True) -> "pd.Series[float]":
    """A quantity of untrained nets, one value a seed; `nearest` is the autocorrelation at the nearest inputs."""
    where: dict[str, object] = {"kind": kind, "batch_norm": batch_norm, "depth": depth}
    is_nearest = quantity == "nearest"
    frame = rows("shattered", "shattered", quantity="autocorrelation" if is_nearest else quantity, **where)
    shown = frame[frame["at"] == frame["at"].min()] if is_nearest else frame
    return pd.Series(shown["value"].to_numpy(), index=shown["seed"])


def mean(values: "pd.Series[float]") -> str:
    """The mean with two standard errors, such as `0.337 ± 0.026`."""
    error = 2 * float(values.std()) / math.sqrt(len(values))
    decimals = 1 - math.floor(math.log10(error))
    return f"{float(values.mean()):.{decimals}f} ± {error:.{decimals}f}"


def shattered_table() -> str:
    """Correlations of gradients by batch norm, kind of net and depth."""
    frame = rows("shattered", "shattered")
    depths = sorted(frame["depth"].unique())[1:]
    lines = [
        "| batch norm | nets | pairs | " + " | ".join(f"depth {depth}" for depth in depths) + " |",
        "|" + "---|" * (3 + len(depths)),
    ]
    for batch_norm in (False, True):
        for kind in frame["kind"].unique():
            words = f"| {'yes' if batch_norm else 'no'} | {kind} |"
            parts = {"nearest": "nearest inputs", "correlation": "all", "predicted": "all, theory"}
            for quantity, name in parts.items():
                found = [shattered(kind, depth, quantity, batch_norm=batch_norm) for depth in depths]
                if quantity == "predicted":
                    cells = [show(values.iloc[0]) if values.notna().all() else "–" for values in found]
                else:
                    cells = [f"{float(values.mean()):z.3f}" for values in found]
                lines.append(f"{words} {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


@cache
def cuts(sweep: str) -> pd.DataFrame:
    """The cuts through the loss landscapes of a sweep's nets, a row for each net and draw."""
    return measure_cuts(rows(sweep, "landscape"))


def landscape(sweep: str, model: str, depth: int, column: str) -> "pd.Series[float]":
    """What was measured of the cuts through the landscapes of one kind of net, by seed and draw."""
    frame = cuts(sweep)
    return frame[(frame["model"] == model) & (frame["depth"] == depth)].set_index(["seed", "draw"])[column]


def landscape_table(sweep: str) -> str:
    """The loss of nets, how far it is to half of the constant answer's, and how many valleys a cut has."""
    lines = [
        "| model | depth | loss of the net | distance of half the constant answer's loss | valleys |",
        "|" + "---|" * 5,
    ]
    for (depth, model), group in cuts(sweep).groupby(["depth", "model"]):
        far = "beyond 1" if group["half"].median() == math.inf else show(group["half"].median())
        ends = [("beyond 1" if end == math.inf else show(end)) for end in (group["half"].min(), group["half"].max())]
        valleys = f"{group['valleys'].median():g} ({group['valleys'].min()} to {group['valleys'].max()})"
        lines.append(
            f"| `{model}` | {depth} | {spread(group['centre'])} | {far} ({ends[0]} to {ends[1]}) | {valleys} |"
        )
    return "\n".join(lines)
