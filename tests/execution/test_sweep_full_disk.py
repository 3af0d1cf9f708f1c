"""A disk that is full: one sentence with the path, no failed runs, and the same command continues later."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from resnet_cli.execution.sweep import open_sweep
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings.errors import StorageError
from resnet_cli.settings.events import Event
from resnet_cli.store.reader import load_results

SMALL = {"task": "sine", "depths": "2,3", "models": "plain", "seeds": 0, "steps": 4, "eval_every": 2, "threads": 1}


def attempt(folder: Path, engine: str) -> list[Event]:
    events: list[Event] = []
    plan = plan_sweep(SMALL | {"engine": engine})
    with open_sweep(plan, folder, jobs=1, checkpoint_seconds=0, save_models=True) as sweep:
        sweep.execute(events.append)
    return events


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["loop", "stacked"])
def test_a_disk_full_at_any_write_stops_the_sweep_which_continues_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    real = os.fsync
    writes = 0
    failed_in = set()
    attempt(tmp_path / "whole", engine)
    whole = load_results(tmp_path / "whole").curves()
    for room in (0, 1, 2, 3, 4, 5, 6, 8, 11):
        writes = 0

        def fill(descriptor: int) -> None:
            nonlocal writes
            writes += 1
            if writes > room:  # noqa: B023 - used in this turn only
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(descriptor)

        folder = tmp_path / str(room)
        monkeypatch.setattr(os, "fsync", fill)
        with pytest.raises(StorageError) as full:
            attempt(folder, engine)
        monkeypatch.undo()
        assert str(folder) in str(full.value)
        assert "No space left on device; free some space there, then repeat the same command" in str(full.value)
        failed_in.add(full.value.path.name)
        assert not list(folder.rglob("*.tmp"))
        assert all(stored.status == "done" for stored in load_results(folder).runs)
        assert not any("failed" in repr(event) for event in attempt(folder, engine))
        assert load_results(folder).curves().equals(whole)
    assert failed_in >= {"sweep.toml", "run.json", "weights.pt"}


LIMITED = (
    "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))\n"
    "from resnet_cli.__main__ import main\n"
    "if __name__ == '__main__':\n    main()\n"
)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limits on the size of files")
@pytest.mark.parametrize("jobs", [1, 2])
def test_weights_that_exceed_a_limit_end_the_command_with_a_sentence(tmp_path: Path, jobs: int) -> None:
    script, folder = tmp_path / "limited.py", tmp_path / "results"
    script.write_text(LIMITED)
    settings = [word for name, value in SMALL.items() for word in ("--" + name.replace("_", "-"), str(value))]
    arguments = ["sweep", *settings, "--out", str(folder), "--engine", "loop", "--save-models", "--quiet"]
    arguments += ["--checkpoint-every", "1000"]  # so that the weights are what is written first
    answer = subprocess.run(
        [sys.executable, str(script), *arguments, "--jobs", str(jobs)], capture_output=True, text=True, timeout=300
    )
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"resnet-exp: {folder / 'runs'}")
    assert answer.stderr.endswith(
        "weights.pt cannot be written: File too large; raise the limit on the size of files (ulimit -f), "
        "then repeat the same command: finished work is kept.\n"
    )
    assert answer.stderr.count("\n") == 1
    assert load_results(folder).runs == []
