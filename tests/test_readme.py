"""The README against the program: its commands run, its Python runs, its table and its files are there.

`python -m tests.test_readme` renews the settings table.
"""

import re
import shlex
from pathlib import Path

import pytest

from resnet_cli.models import all_models
from resnet_cli.spec.run import SETTINGS, Run
from resnet_cli.spec.setting import Setting
from tests.cli.conftest import Command, command

__all__ = ["command"]

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
SMALL = ["--smoke", "--jobs", "1", "--threads", "1"]
START, END = "<!-- settings: made by `make docs` -->", "<!-- end of settings -->"


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def commands() -> list[str]:
    """Every line that calls the program."""
    lines = [line.partition(" #")[0].strip() for block in blocks("bash") for line in block.splitlines()]
    return list(
        dict.fromkeys(line.removeprefix(".venv/bin/") for line in lines if "resnet-exp" in line and line[0] != "#")
    )


def settings_table() -> str:
    """The settings as Markdown, from their own descriptions."""
    rows = [f"| `{name}` | {Run.model_fields[name].description} |" for name in SETTINGS]
    of_models: dict[Setting, list[str]] = {}
    for model in all_models().values():
        for option in model.options:
            of_models.setdefault(option, []).append(model.name)
    rows += [f"| `{one.name}` | {', '.join(sorted(names))}: {one.description} |" for one, names in of_models.items()]
    return "\n".join([START, "| setting | meaning |", "|---|---|", *rows, END])


def in_readme() -> str:
    """The table as it stands in the README."""
    return START + README.split(START)[1].split(END)[0] + END


def test_the_settings_table_is_up_to_date() -> None:
    assert in_readme() == settings_table(), "run `make docs`"


@pytest.mark.parametrize("line", commands())
def test_every_command_runs(command: Command, line: str) -> None:
    Path("configs").symlink_to(ROOT / "configs")
    name, *arguments = shlex.split(line)[1:]
    if name in ("show", "plot") and "--figure" not in arguments:
        made = [shlex.split(other)[2:] for other in commands() if other.endswith(f"--out {arguments[0]}")]
        assert command("sweep", *(made or [[]])[0], *SMALL, "--quiet").code == 0
        arguments[0] = f"{arguments[0]}-smoke" if made else arguments[0]
    elif name == "analyze" and arguments[0] == "identity":
        arguments += ["--steps", "2", "--depths", "1,2", "--seeds", "0"]
    elif name == "analyze":
        config = f"configs/{Path(arguments[1]).name}.toml"
        assert command("sweep", "--config", config, *SMALL, "--save-models", "--quiet").code == 0
        arguments[1] += "-smoke"
    elif name == "sweep" and "--dry-run" not in arguments:
        arguments += SMALL
    elif name == "run":
        arguments += ["--set", "steps=4", "--set", "eval_every=2"]
    elif name == "data":
        arguments += ["--help"] if arguments[0] == "fetch" else []
    answer = command(name, *arguments)
    if ("cifar10" in line and name == "sweep") or (name == "data" and arguments == ["check"]):
        assert answer.code == 2
        assert "CIFAR-10 is not in" in answer.err
    else:
        assert (answer.code, answer.err) == (0, "")


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("python")
    exec(compile(code.replace('"steps": 200', '"steps": 5').replace("2..10", "2..3"), "README.md", "exec"), {})
    assert re.search(r"^plain-mlp +2 +\d\.\d+$", capsys.readouterr().out, re.M)


def test_the_files_that_it_names_are_there() -> None:
    names = set(re.findall(r"\]\(([\w./-]+)\)", README)) | set(re.findall(r"`(configs/[\w./-]+)`", README))
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_every_config_is_named() -> None:
    assert [path.name for path in (ROOT / "configs").iterdir() if f"configs/{path.name}" not in README] == []


if __name__ == "__main__":
    (ROOT / "README.md").write_text(README.replace(in_readme(), settings_table()), "utf-8")
