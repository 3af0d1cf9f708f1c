"""Kills at random moments; `RESNET_EXP_FAULTS=50` repeats each kind fifty times."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.store.damage import REPEATS


@pytest.mark.slow
@pytest.mark.timeout(REPEATS * 600 or 600)
@pytest.mark.skipif(not hasattr(os, "waitid"), reason="this system lacks what the harness needs")
def test_kills_at_random_moments_change_no_byte() -> None:
    victims = "driver,worker" if not REPEATS else "all"
    program = [sys.executable, "-m", "tests.execution.kills", "--victims", victims]
    done = subprocess.run(
        [*program, "--kills", str(REPEATS or 2)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])},
    )
    assert done.returncode == 0, done.stderr
    for sweep in ("stacked MLPs", "looped CNNs"):
        assert done.stdout.count(sweep) == len(victims.split(",")) or victims == "all"
