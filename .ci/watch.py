"""Run a command as someone with a fresh clone would, and say what would trouble them.

`python3 .ci/watch.py COMMAND...` shows the command's output and exits with its exit code, or with 1 if it printed a
traceback or changed what `git status` shows.
"""

import subprocess
import sys

TRACEBACK = b"Traceback (most recent call last)"
STATUS = ("git", "-c", "safe.directory=*", "status", "--porcelain")  # also in a clone of another user's


def main(command: list[str]) -> int:
    """The exit code that a command deserves, after it has run without any input."""
    before = _status()
    traceback = False
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT) as process:
        for line in process.stdout or ():
            sys.stdout.buffer.write(line)
            sys.stdout.flush()
            traceback = traceback or TRACEBACK in line
    after = _status()
    if traceback:
        print(f"{' '.join(command)}: it printed a traceback.", file=sys.stderr)
    if after != before:
        print(f"{' '.join(command)}: it changed what git shows, from\n{before}to\n{after}", file=sys.stderr)
    return process.returncode or int(traceback or after != before)


def _status() -> str:
    return subprocess.run(STATUS, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
