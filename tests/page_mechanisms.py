"""What expressions of pages about mechanisms (see `tests.pages`) are made of: shattered gradients."""

import math

import pandas as pd

from tests.page_numbers import rows, show


def shattered(kind: str, depth: int, quantity: str, *, batch_norm: bool = True) -> "pd.Series[float]":
    """A quantity of untrained nets, one value a seed; `nearest` is the autocorrelation at the nearest inputs."""
    where: dict[str, object] = {"kind": kind, "batch_norm": batch_norm, "depth": depth}
    if quantity != "nearest":
        return rows("shattered", "shattered", quantity=quantity, **where).set_index("seed")["value"]
    frame = rows("shattered", "shattered", quantity="autocorrelation", **where)
    return frame[frame["at"] == frame["at"].min()].set_index("seed")["value"]


def mean(values: "pd.Series[float]") -> str:
    """The mean with two standard errors, such as `0.337 ± 0.026`."""
    error = 2 * float(values.sem())
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
