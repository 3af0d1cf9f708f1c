"""Every command that writes, on a real disk that is full, and one that is read-only."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.small_disk import COMMANDS


@pytest.mark.slow
def test_a_full_or_read_only_disk_is_one_sentence_and_the_command_works_later(tmp_path: Path) -> None:
    own = ["unshare", "--mount"] if sys.platform == "linux" and os.geteuid() == 0 else ["unshare", "-r", "--mount"]
    place = tmp_path / "place"
    place.mkdir()
    try:
        mount = ["mount", "-t", "tmpfs", "none", str(place)]
        subprocess.run([*own, *mount], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    done = subprocess.run(
        [*own, sys.executable, "-m", "tests.cli.small_disk", str(place)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])},
    )
    assert done.returncode == 0, done.stderr
    answers = {answer["name"]: answer for answer in map(json.loads, done.stdout.splitlines())}
    assert answers.keys() == COMMANDS.keys()
    for name, answer in answers.items():
        for state in ("full", "read_only"):
            said = answer[state]
            assert said["err"].count("resnet-exp: ") == 1, (name, said)
            assert said["err"].endswith(".\n"), (name, said)
            assert "Traceback" not in said["err"], (name, said)
            assert said["code"] in (1, 2), (name, said)
            assert str(place) in said["err"], (name, said)
        assert "No space left on device; free some space there, then repeat" in answer["full"]["err"], name
        assert answer["full"]["code"] == 1
        assert "Read-only file system" in answer["read_only"]["err"], name
        assert answer["left"] == [], name
        assert answer["later"] == {"code": 0, "err": answer["later"]["err"]}, name
        assert answer["made"], name
