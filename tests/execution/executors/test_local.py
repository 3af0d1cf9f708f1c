"""On this machine several processes start only for several units of work at a time."""

from pathlib import Path

import pytest

from resnet_cli.execution.executors import local, processes, serial
from resnet_cli.execution.sweep import open_sweep
from resnet_cli.planning.conditions import Conditions
from resnet_cli.planning.plan import plan_sweep


@pytest.mark.parametrize(
    ("workers", "units", "name"), [(1, 5, "serial"), (2, 5, "processes"), (2, 1, "serial"), (2, 0, "serial")]
)
def test_processes_start_only_for_several_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, units: int, name: str
) -> None:
    called = []
    for module in (serial, processes):
        own = module.EXECUTOR.name
        monkeypatch.setattr(module, "execute", lambda *arguments, own=own: called.append((own, arguments)))
    with open_sweep(plan_sweep({"task": "sine", "depths": "2..6", "seeds": 0, "engine": "loop"}), tmp_path) as sweep:
        some = sweep.units[:units]
    conditions = Conditions(folder=tmp_path, device="cpu", workers=workers, threads=1)
    local.execute(some, conditions, print)
    assert called == [(name, (some, conditions, print))]
