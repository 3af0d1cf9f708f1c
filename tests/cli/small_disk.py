"""What commands say in a file system that is full, and then read-only: `python -m tests.cli.small_disk PLACE`.

A file system of 256 kB is mounted at PLACE, so this needs a mount namespace of its own, as `unshare -m` makes. Prints a
JSON object for each command.
"""

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path

SWEEP = "sweep --task sine --seeds 0 --steps 4 --eval-every 2 --depths 2,3 --models plain --jobs 1 --quiet --out"
COMMANDS = {
    "sweep": f"{SWEEP} {{place}}/sine",
    "plot": "plot whole --kind depth --metric loss --format svg --out {place}/figures",
    "analyze": "analyze convergence whole --format svg --out {place}/analysis",
    "report": "report whole --figures none --no-claims -o {place}/report.html",
    "pack": "pack whole --out {place}/packed",
    "unpack": "unpack packed --out {place}/unpacked",
    "export": "export whole {place}/events --to tensorboard",
}


def answer(command: str) -> dict[str, object]:
    """The exit code of a command, and what it wrote to stderr."""
    from resnet_cli.cli.main import run

    sys.argv = ["resnet-exp", *command.split()]
    err, code = io.StringIO(), 70
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        try:
            run()
        except SystemExit as stop:
            code = int(stop.code or 0)
    return {"code": code, "err": err.getvalue()}


def mount(place: Path, options: str) -> None:
    """Mount, or mount anew."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(place)], check=True)


def fill(path: Path) -> None:
    """Write zeros until there is no space left."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))


def main() -> None:
    """Try every command when the disk is full, has space again, and is read-only."""
    place = Path(sys.argv[1])
    assert answer(f"{SWEEP} whole")["code"] == 0
    assert answer("pack whole --out packed")["code"] == 0
    for name, command in COMMANDS.items():
        mount(place, "size=256k")
        fill(place / "filler")
        full = answer(command.format(place=place))
        left = [path.name for path in place.rglob("*") if path.is_file() and path.name not in ("filler", ".lock")]
        (place / "filler").unlink()
        later = answer(command.format(place=place))
        made = sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())
        mount(place, "remount,ro")
        again = COMMANDS[name].replace("{place}", f"{place}/new")
        print(json.dumps({"name": name, "full": full, "left": left, "later": later, "made": made} | read_only(again)))
        subprocess.run(["umount", str(place)], check=True)


def read_only(command: str) -> dict[str, object]:
    """What a command that would write says."""
    return {"read_only": answer(command)}


if __name__ == "__main__":
    main()
