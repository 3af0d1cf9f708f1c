"""In which settings runs differ: what tells them apart in tables, figures and on the terminal."""

from collections.abc import Hashable, Iterable, Sequence

Row = tuple[Hashable, Sequence[Hashable]]
"""What a run shares with those that it is compared with, such as model and depth, and the values of its settings."""


def varying_settings(names: Sequence[str], runs: Iterable[Row]) -> list[str]:
    """The settings called `names` in which runs of one group differ.

    What follows from the group alone, such as a warm-up for the deepest nets only, tells none of its runs apart.
    """
    groups: dict[Hashable, set[tuple[Hashable, ...]]] = {}
    for group, values in runs:
        groups.setdefault(group, set()).add(tuple(values))
    differ = [[len(set(column)) > 1 for column in zip(*found, strict=True)] for found in groups.values()]
    return [name for name, of_groups in zip(names, zip(*differ, strict=True), strict=False) if any(of_groups)]


def free_settings(names: Sequence[str], runs: Iterable[Row]) -> list[str]:
    """The settings that vary, without those that follow from another one, as `init_std` follows from `init`."""
    distinct = list({(group, tuple(values)) for group, values in runs})
    columns = dict(zip(names, zip(*(values for _, values in distinct), strict=True), strict=False))
    free = varying_settings(names, distinct)
    for name in reversed(free.copy()):
        if any(_follows(columns[name], columns[other]) for other in free if other != name):
            free.remove(name)
    return free


def _follows(values: Sequence[Hashable], others: Sequence[Hashable]) -> bool:
    """Whether each of the `others`, of which none is missing, comes with only one of the `values`."""
    return None not in others and len(set(zip(others, values, strict=True))) == len(set(others))
