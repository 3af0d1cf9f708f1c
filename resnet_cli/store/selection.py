"""Selecting stored runs by model, depth, seed and values of settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from resnet_cli.settings import registry
from resnet_cli.settings.errors import UserError, did_you_mean, shorten, unknown_name
from resnet_cli.settings.ranges import compact
from resnet_cli.store.reader import Results
from resnet_cli.store.record import RunRecord

TRUTH = {True: ("on", "true", "yes"), False: ("off", "false", "no")}
MAX_LISTED = 10


@dataclass(frozen=True)
class Selection:
    """Which runs to use; a criterion that is not given keeps all.

    `where` holds the accepted values of settings, as text: `{"init": ("he", "default")}`; `none` stands for runs to
    which the setting does not apply.
    """

    models: tuple[str, ...] = ()  # or the roles `plain` and `residual`
    depths: frozenset[int] | None = None
    seeds: frozenset[int] | None = None
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def apply(self, results: Results) -> Results:
        """The selected runs of one results folder.

        Raises:
            UserError: a model, setting or value exists in no run, or no run meets all criteria; the message lists what
                exists.
        """
        return self.apply_to_all([results])[0]

    def apply_to_all(self, folders: Sequence[Results]) -> list[Results]:
        """The selected runs of several results folders, without folders in which no run is left.

        Raises:
            UserError: as for `apply`, over all folders together.
        """
        if self == EVERYTHING:
            return list(folders)
        runs = [stored for results in folders for stored in results.runs]
        place = ", ".join(shorten(results.folder) for results in folders[:3]) + (", …" if len(folders) > 3 else "")
        if not runs:
            raise UserError(f"{place} holds no finished runs, so there is nothing to select from.")
        roles = self._check(runs, place)
        selected = [
            replace(results, runs=[stored for stored in results.runs if self._keeps(stored, roles)])
            for results in folders
        ]
        if not any(results.runs for results in selected):
            depths, seeds = (compact(stored.run.get(name) for stored in runs) for name in ("depth", "seed"))
            raise UserError(
                f"{place} holds no run of this selection; it has {', '.join(sorted(roles))} at depths {depths} "
                f"with seeds {seeds}."
            )
        return [results for results in selected if results.runs]

    def _keeps(self, stored: RunRecord, roles: Mapping[str, str]) -> bool:
        run = stored.run
        return (
            (not self.models or run.model in self.models or roles[run.model] in self.models)
            and (self.depths is None or run.depth in self.depths)
            and (self.seeds is None or run.seed in self.seeds)
            and all(any(_is(run.get(name), text) for text in texts) for name, texts in self.where.items())
        )

    def _check(self, runs: Sequence[RunRecord], place: str) -> dict[str, str]:
        """The models of `runs` with their roles; raises UserError unless all requested models and values exist."""
        from resnet_cli.models import role_of

        there = sorted({stored.run.model for stored in runs})
        roles = {model: role_of(model) for model in there}
        for model in self.models:
            if model not in there and model not in roles.values():
                raise UserError(
                    f"models (={shorten(model)}): {place} has no run of it{did_you_mean(model, there)}; "
                    f"it has {', '.join(there)}."
                )
        known = ("task", *registry.column_names(stored.run for stored in runs))
        for name, texts in self.where.items():
            if name not in known:
                raise unknown_name("where", shorten(name), known)
            values = list(dict.fromkeys(stored.run.get(name) for stored in runs))
            for text in texts:
                if not any(_is(value, text) for value in values):
                    listed = ", ".join(shorten(_text(value)) for value in values[:MAX_LISTED])
                    more = f" and {len(values) - MAX_LISTED} more" if len(values) > MAX_LISTED else ""
                    raise UserError(f"where {name} (={shorten(text)}): {place} has no such run; it has {listed}{more}.")
        return roles


EVERYTHING = Selection()


def _is(value: Any, text: str) -> bool:
    if isinstance(value, bool):
        return text.lower() in TRUTH[value]
    if isinstance(value, (int, float)):
        try:
            return float(text) == value
        except ValueError:
            return False
    return _text(value) == text


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return TRUTH[value][0]
    return "none" if value is None else str(value)
