"""What the files of many runs say, in one file beside them, which is quicker to read: never trusted over them.

<folder>/.runs.index: `resnet-exp index <64 hexadecimal digits>\\n<JSON>`, the digits being the SHA-256 of the JSON

A run is taken from the index only if its two files have the number, size and times that they had before they were read
for it; all others are read. An index that is cut, changed, copied with its folder, or of another program holds
nothing then, and is replaced by the next command that reads many runs. Where it cannot be written there is none.
"""

import contextlib
import hashlib
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from resnet_cli.settings.errors import StorageError
from resnet_cli.settings.metrics import METRICS, Metrics
from resnet_cli.settings.run import Run
from resnet_cli.store.files import atomic_file
from resnet_cli.store.layout import METRICS_FILE, RUN_FILE
from resnet_cli.store.record import RunRecord
from resnet_cli.store.regular import MEGABYTE, read_regular

INDEX_FILE = ".runs.index"
MAGIC = b"resnet-exp index "
FEWEST = 500
"""With fewer runs, or fewer that an index lacks, writing it takes longer than it saves."""
MOST_OF_INDEX = 2000 * MEGABYTE
SETTLED_SECONDS = 2.0
"""A file that changed so recently might change again without another time: clocks of file systems are coarse."""

_PLAIN = ("status", "message", "parameters", "started", "finished", "seconds")
_START = len(MAGIC) + 2 * hashlib.sha256().digest_size + 1
Stamp = list[int]


@dataclass
class RunIndex:
    """The runs of a results folder that an index holds: `entries` by run id, each with the stamp of its files.

    Settings but for the seed, and environments, are the same for most runs and stand in the lists `kinds` and
    `environments`.
    """

    path: Path
    columns: list[str] = field(default_factory=lambda: [*METRICS])
    kinds: list[dict[str, Any]] = field(default_factory=list)
    environments: list[dict[str, Any]] = field(default_factory=list)
    entries: dict[str, list[Any]] = field(default_factory=dict)
    _found: dict[str, tuple[Stamp, RunRecord]] = field(default_factory=dict, init=False)
    _new: int = field(default=0, init=False)
    _firsts: dict[int, Run] = field(default_factory=dict, init=False)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The index of a results folder, empty if there is none that can be used."""
        path = folder / INDEX_FILE
        with contextlib.suppress(OSError, ValueError, RecursionError, TypeError):
            content = read_regular(path, MOST_OF_INDEX)
            body = memoryview(content)[_START:]
            if content[:_START] == _header(body):
                found = cls(path, **json.loads(str(body, "utf-8")))
                if found.columns == [*METRICS] and isinstance(found.entries, dict):
                    return found
        return cls(path)

    def get(self, run_id: str, stamp: Stamp | None) -> RunRecord | None:
        """The record of a run whose files have this stamp, None if the index does not have it; to be asked for once."""
        entry = self.entries.pop(run_id, None)
        if entry is None or stamp is None:
            return None
        try:
            known, kind, seed, environment, plain, rows, columns, others = entry
            if known != stamp:
                return None
            if kind not in self._firsts:
                self._firsts[kind] = Run(**self.kinds[kind], seed=seed)
            run = self._firsts[kind].with_seed(seed)
            missing = [None] * rows
            history = list(map(Metrics._make, zip(*(column or missing for column in columns), strict=True)))
            record = RunRecord(
                run=run,
                environment=self.environments[environment],
                history=history,
                other_metrics=others,
                **dict(zip(_PLAIN, plain, strict=True)),
            )
        except (ValueError, TypeError, LookupError):
            return None
        if run.run_id != run_id:
            return None
        self._found[run_id] = stamp, record
        return record

    def add(self, stamp: Stamp, record: RunRecord) -> None:
        """Remember a run that it lacked, and which stamp its files had before they were read."""
        self._found[record.run.run_id] = stamp, record
        self._new += 1

    def write(self) -> None:
        """Write an index of the runs that were found, if many are new; where that is impossible nothing changes."""
        if self._new < FEWEST:
            return
        settled = (time.time() - SETTLED_SECONDS) * 1e9
        kinds: dict[str, int] = {}
        environments: dict[str, int] = {}
        entries: dict[str, list[Any]] = {}
        for run_id, (stamp, record) in self._found.items():
            if max(stamp) >= settled:
                continue
            values = record.run.as_dict()
            seed = values.pop("seed")
            columns = [list(column) for column in zip(*record.history, strict=True)]
            entries[run_id] = [
                stamp,
                kinds.setdefault(json.dumps(values), len(kinds)),
                seed,
                environments.setdefault(json.dumps(record.environment), len(environments)),
                [getattr(record, name) for name in _PLAIN],
                len(record.history),
                [None if {*column} == {None} else column for column in columns] or [None for _ in METRICS],
                record.other_metrics,
            ]
        content = {
            "columns": self.columns,
            "kinds": [json.loads(text) for text in kinds],
            "environments": [json.loads(text) for text in environments],
            "entries": entries,
        }
        body = memoryview(json.dumps(content, separators=(",", ":")).encode())
        with contextlib.suppress(StorageError), atomic_file(self.path) as file:
            file.write(_header(body))
            file.write(body)


def stamp_of(place: str) -> Stamp | None:
    """What changes with every change of the files in a run's folder: numbers, sizes, times; None if one is missing.

    The number of a file and the time of its last change of any kind cannot be chosen, so another's index never fits.
    """
    stamp = []
    for name in (RUN_FILE, METRICS_FILE):
        try:
            found = os.stat(os.path.join(place, name))
        except OSError:
            return None
        stamp += [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]
    return stamp


def _header(body: memoryview) -> bytes:
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n"
