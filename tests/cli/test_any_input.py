"""Whatever is typed or written into a configuration: an answer or sentences, and nothing written elsewhere.

The commands run in this process, with their real options; only training and the longest measurements are replaced.
RESNET_EXP_REPEATS=10000 tries that many configurations and command lines of training instead of a few, and a fifth as
many of the other commands, which take longer.
"""

import contextlib
import io
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.font_manager
import pandas as pd
import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resnet_cli.analysis import counts, forms, identity
from resnet_cli.cli.main import app
from resnet_cli.cli.main import run as run_command_line
from resnet_cli.evidence import making, tables
from resnet_cli.execution import executors, unit
from resnet_cli.execution.executors.base import Executor
from resnet_cli.execution.executors.serial import execute
from resnet_cli.planning import estimate
from resnet_cli.settings import discovery, registry
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import METRICS, PAIRS, Metrics
from resnet_cli.settings.run import Run
from resnet_cli.store import figures
from resnet_cli.store.record import RunRecord
from resnet_cli.tasks import download
from tests.cli.conftest import Train
from tests.settings.test_request_any import KEYS, VALUES, fragments

REPEATS = int(os.environ.get("RESNET_EXP_REPEATS", "12"))


def many(examples: int) -> settings:
    return settings(
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=examples,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


PLUGIN = """
from dataclasses import replace
from resnet_cli.models.mlp import MODELS as OWN
MODELS = (replace(OWN[0], name="mine"),)
"""
FILES = {"text.txt": "text", "mine.py": PLUGIN, "broken.py": "1 / 0", "empty.toml": "", "data/other.bin": "x"}
RESULTS, PACKED = "results/tiny", "packed/tiny"
PATHS = (RESULTS, "results", PACKED, "packed", "new", "new/inner", *FILES, "random.toml", "nowhere/x", "smoke", "")

WORDS: dict[str, tuple[str, ...]] = {
    "models": ("plain", "residual", "plain-mlp", "residual-mlp", "resnet,plain", "mine", "plain,plain"),
    "depths": ("2", "2,3", "2..4", "8", "8,14", "11", "2..", "4..2", "0", "1..10000000"),
    "seeds": ("0", "0..1", "0,0", "-1", "99999999999999999999"),
    "task": ("sine", "digits", "cifar10", "sine,digits", "cosine"),
    "metric": (*METRICS, *PAIRS, "weight_norm"),
    "kind": ("all", "depth", "curves", "parameters"),
    "by": ("width", "init,optimizer", "activation", "model"),
    "where": ("init=he", "width=30", "width=3", "init", "=", "model=plain-mlp", "task=sine"),
    "assignments": ("width=3", "steps=2", "epochs=1", "init=he,default", "growth_rate=2", "out=new", "width", "=1"),
    "formats": ("svg", "png,pdf", "gif"),
    "title": ("A title", "$\\frac$", "<b>&</b>", "$x$", "\x1b[2J"),
    "first": ("plain", "plain-mlp", RESULTS, PACKED),
    "second": ("residual", "residual-mlp", RESULTS, PACKED),
    "names": ("K1", "K2,K3", RESULTS, "k5"),
    "run": ("K1", "all", "K1,K2"),
    "name": ("resnet", "plain-mlp", "vgg", "sine", "digits", "cifar10", "mine", "densenet", "highway-mlp"),
    "config": ("random.toml", "smoke", f"{RESULTS}/sweep.toml", f"{PACKED}/sweep.toml", "sine", "empty.toml"),
    "executor": ("serial", "processes", "auto"),
    "device": ("cpu", "auto", "cuda", "cuda:7", "mps"),
    "engine": ("auto", "loop", "stacked"),
    "figure": ("winners", "loss"),
    "figures": ("all", "depth", "none", "curves,analyses", "loss-by-depth"),
    "to": ("tensorboard", "wandb"),
    "size": ("3x2", "0x0", "nanx2", "x"),
}
ODD = (
    "",
    "0",
    "1",
    "-1",
    "1.5",
    "nan",
    "inf",
    "1e999",
    "9" * 30,
    "--",
    "-",
    "=",
    ",",
    "a,b",
    "é",
    "\x1b[31m",
    "[bold]",
)
ANY_TEXT = st.text(max_size=8).filter(lambda text: not {"/", "\\", "~"} & {*text} and ".." not in text)


def commands_below(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands_below(command, (*words, name))
        else:
            yield (*words, name), command


WHOLE = typer.main.get_command(app)
COMMANDS = dict(commands_below(WHOLE))
SETTINGS = {setting.name: setting for setting in registry.declared()}
TRAINING = {("sweep",), ("run",)}


def values_of(option: Any) -> st.SearchStrategy[str]:
    """Words for an option or argument: some that suit it, some that do not."""
    if isinstance(option.name, str) and option.name in WORDS:
        suitable = st.sampled_from(WORDS[option.name])
    elif option.name in SETTINGS:
        suitable = st.sampled_from([*SETTINGS[option.name].choices, "1", "2", "0.5", "on", "off", "0.5/0.75"])
    elif option.name == "out" or "Path" in str(option.type_descriptor.annotation):
        return st.sampled_from(PATHS)
    else:
        suitable = st.sampled_from(["0", "1", "2", "3", "10"])
    return suitable | suitable | st.sampled_from(ODD) | ANY_TEXT


@st.composite
def words_after(draw: st.DrawFn, command: Any) -> list[str]:
    """Arguments and options for a command, in some order."""
    found: list[list[str]] = []
    options = [option for option in command.params if option.opts[0].startswith("-")]
    for argument in (option for option in command.params if option not in options):
        if argument.required or draw(st.booleans()):
            count = draw(st.integers(1, 2)) if argument.nargs == -1 else 1
            found += [[draw(values_of(argument))] for _ in range(count)]
    chosen = [option for option in options if option.required]
    chosen += draw(st.lists(st.sampled_from(options), max_size=4)) if options else []
    for option in chosen:
        flag = draw(st.sampled_from([*option.opts, *option.secondary_opts]))
        if option.is_flag:
            found.append([flag])
        else:
            value = draw(values_of(option))
            found.append(draw(st.sampled_from([[flag, value], [f"{flag}={value}"], [flag, value]])))
    if draw(st.integers(0, 9)) == 0:
        found.append([draw(ANY_TEXT | st.sampled_from(["--growth-rate=2", "--ordering", "--colour=red", "extra"]))])
    return [word for part in draw(st.permutations(found)) for word in part]


config_lines = st.one_of(
    st.builds("{} = {}".format, st.sampled_from([key for key in KEYS if key != "out"]), st.sampled_from(VALUES)),
    st.builds(
        '{} = "{}"'.format, st.sampled_from(["task", "models", "seeds"]), st.sampled_from(["sine", "plain", "0"])
    ),
    st.sampled_from(['out = "new"', 'plugins = "mine.py"', 'plugins = ["broken.py"]', 'models = "mine"', "format = 2"]),
    st.just("[[override]]"),
    ANY_TEXT,
)
config_texts = st.one_of(
    st.lists(config_lines, max_size=6).map("\n".join),
    st.lists(fragments, max_size=8).map("".join),
    st.text(max_size=30),
)


@st.composite
def command_lines(draw: st.DrawFn, names: Sequence[tuple[str, ...]]) -> tuple[list[str], str]:
    """A command line, and the text of random.toml."""
    name = draw(st.sampled_from(names))
    words = draw(words_after(COMMANDS[name]))
    if name == ("sweep",):
        small = draw(st.booleans())
        words = [*(("--depths", "2,3", "--seeds", "0") if small else ("--dry-run",)), *words]
    if name in TRAINING and draw(st.booleans()):
        words = ["--config", "random.toml", *words]
    return [*name, *words], draw(config_texts) if name in TRAINING else ""


@dataclass(frozen=True)
class Arena:
    """A folder to work in, made anew for every command, and others around it that must stay as they are."""

    root: Path
    content: Path

    @property
    def work(self) -> Path:
        return self.root / "work"

    def around(self) -> dict[str, tuple[int, int]]:
        """Size and time of everything outside the folder to work in."""
        return {
            str(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
            for path in self.root.rglob("*")
            if not path.is_dir() and not path.is_relative_to(self.work)
        }

    def answer(self, words: Sequence[str], config: str) -> tuple[object, str, str]:
        """The exit code of a command line, and what it printed."""
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.content, self.work)
        (self.work / "random.toml").write_text(config, "utf-8", "replace")
        streams = [io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2)]
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.chdir(self.work),
            contextlib.redirect_stdout(streams[0]),
            contextlib.redirect_stderr(streams[1]),
        ):
            patch.setattr(sys, "argv", ["resnet-exp", *words])
            patch.setattr(discovery, "_plugins", {})
            for name in ("_settings", "_owners"):
                patch.setattr(registry, name, {**getattr(registry, name)})
            with pytest.raises(SystemExit) as stop:
                run_command_line()
        if "mine" in str(words) + config:
            discovery._collect.cache_clear()
        for stream in streams:
            stream.flush()
        out, err = (stream.buffer.getvalue().decode() for stream in streams)
        return stop.value.code, out, err


def trained(run: Run, *others: object, **options: object) -> RunRecord:
    """What training leaves, without training."""
    rows = [Metrics(0.0, 0, 0.1, 2.0, 2.0, None, None, None), Metrics(1.0, 2, 0.1, 1.0, 1.0, None, None, 0.5)]
    return RunRecord(status="done", run=run, parameters=1, history=rows)


def refuse(*arguments: object, **options: object) -> Any:
    raise UserError("this is not done here.")


@pytest.fixture
def arena(train: Train, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Arena:
    counted = pd.read_csv(tables.reference_results() / "counts" / "counts.csv")
    root = tmp_path_factory.mktemp("arena")
    content = root / "content"
    content.mkdir()
    for name, text in FILES.items():
        (content / name).parent.mkdir(exist_ok=True)
        (content / name).write_text(text)
    registry.all_settings()  # declares them: what plug-ins add is forgotten after each command
    small = ("--task", "sine", "--depths", "2,3", "--seeds", 0, "--steps", 2, "--eval-every", 1, "--width", 4)
    with contextlib.chdir(content):
        train(*small, "--train-size", 32, "--save-models", "--jobs", 1, "--quiet", "--out", RESULTS)
    arena = Arena(root, content)
    code, _, err = arena.answer(["pack", RESULTS, "--out", PACKED], "")
    assert (code, err) == (0, "")
    shutil.copytree(arena.work / PACKED, content / PACKED)

    matplotlib.font_manager.get_font_names()  # writes a file of its own into the home folder
    for variable in ("HOME", "USERPROFILE", "XDG_CACHE_HOME"):
        (root / "home").mkdir(exist_ok=True)
        monkeypatch.setenv(variable, str(root / "home"))
    monkeypatch.setattr(typer.main, "get_command", lambda made_from: WHOLE)  # the same for each command line
    monkeypatch.setattr(unit, "train", trained)
    monkeypatch.setattr(unit, "train_stack", lambda runs, data, **options: [trained(run) for run in runs])
    here = {
        name: Executor(name, execute, takes_address=known.takes_address)
        for name, known in executors.all_executors().items()
    }
    monkeypatch.setattr(executors, "all_executors", lambda: here)
    monkeypatch.setattr(estimate, "_time", lambda *arguments: estimate.Cost(2, 0.1, 0.1, 0.1))
    monkeypatch.setattr(making, "make", lambda step: True)
    monkeypatch.setattr(tables, "reference_results", lambda: content / "results")
    monkeypatch.setattr(counts, "count_imagenet_nets", lambda: counted.copy())
    for module in (identity, forms):
        monkeypatch.setattr(module, "measure", refuse)
    monkeypatch.setattr(download, "_download", refuse)
    monkeypatch.setattr(figures, "render", lambda figure, suffix, **options: b"a picture")
    return arena


def check(arena: Arena, words: Sequence[str], config: str) -> None:
    before = arena.around()
    code, out, err = arena.answer(words, config)
    assert code in (0, 1, 2), err
    assert "Traceback" not in out + err
    assert all(line.isprintable() for text in (out, err) for line in text.split("\n")), (out, err)
    assert code == 0 or (out + err).strip()
    assert arena.around() == before


@pytest.mark.slow
@pytest.mark.timeout(REPEATS * 5 + 300)
@many(REPEATS)
@given(line=command_lines(sorted(TRAINING)))
def test_any_configuration_and_options_of_training_give_an_answer(arena: Arena, line: tuple[list[str], str]) -> None:
    check(arena, *line)


@pytest.mark.slow
@pytest.mark.timeout(REPEATS * 5 + 300)
@many(max(REPEATS // 5, 12))
@given(line=command_lines(sorted(COMMANDS.keys() - TRAINING)))
def test_any_arguments_of_the_other_commands_give_an_answer(arena: Arena, line: tuple[list[str], str]) -> None:
    check(arena, *line)
