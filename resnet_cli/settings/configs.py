"""The configurations that come with the program: found by name, and described by the comment on top of each."""

import re
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path


@dataclass(frozen=True)
class Config:
    """A bundled configuration, as the comment on top of its file describes it."""

    path: Path
    shows: str  # from "Shows:" to the next line of another kind
    runs: int
    cost: str  # what follows "24 runs; ", such as "about 15 minutes on two cores"


@cache
def bundled_configs() -> dict[str, Config]:
    """Every bundled configuration by name, names ascending.

    An installed package holds them itself; in a clone they are in the folder `configs` beside it.
    """
    package = Path(__file__).parents[1]
    folder = package / "configs"
    if not folder.is_dir():
        folder = package.parent / "configs"
    return {path.stem: describe(path) for path in sorted(folder.glob("*.toml"))}


def find_config(path: Path) -> Path:
    """The file of the bundled configuration called `path`, unless a file of that name exists: then `path`."""
    config = bundled_configs().get(str(path))
    return path if config is None or path.is_file() else config.path


def describe(path: Path) -> Config:
    """Read the comment on top of a configuration.

    It says in free words what is trained, then `Shows: …`, perhaps `Draw it with: …`, and last `24 runs; … .`

    Raises:
        ValueError: the comment lacks one of these lines.
    """
    lines = takewhile(lambda line: line.startswith("#"), path.read_text("utf-8").splitlines())
    comment = "\n".join(line.removeprefix("# ") for line in lines)
    found = re.search(r"^Shows: (.+?)\.\n(?:Draw it with: .+\n)?([\d,]+) runs; ([^\n]+)\.\Z", comment, re.M | re.S)
    if found is None:
        raise ValueError(f"{path}: its first lines must say `# Shows: …` and `# 24 runs; about 2 minutes …`")
    shows, runs, cost = found.groups()
    return Config(path, " ".join(shows.split()), int(runs), cost)
