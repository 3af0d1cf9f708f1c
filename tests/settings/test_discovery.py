import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pandas as pd
import pytest

from resnet_cli.models import all_models, build_net
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.settings import discovery
from resnet_cli.settings.discovery import load_plugins
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.request import load_config
from resnet_cli.tasks import all_tasks, get_task
from tests.cli.conftest import Command, command

__all__ = ["command"]

pytestmark = pytest.mark.usefixtures("_without_traces")

MODEL = """
from dataclasses import replace
from resnet_cli.models.mlp import MODELS as BUILT_IN
MODELS = replace(BUILT_IN[0], name="{}", role="other")
"""
SETTINGS = (
    MODEL.format("mine")
    + """
from typing import Literal
from resnet_cli.settings.setting import Fraction, Need, Setting
MODE = Setting("mode", Literal["keep", "mix"], "What is done.", default="keep")
SHARE = Setting(
    "share", Fraction, "How much is kept.", default=0.5, smoke=0.25,
    need=Need(MODE, lambda mode: mode == "mix", "mode mix"),
    complaint=lambda run: "too much is kept" if run[SHARE] > 0.9 else "",
)
MODELS = replace(MODELS, settings=(*MODELS.settings, MODE, SHARE))
"""
)
TASK = """
from dataclasses import replace
from resnet_cli.tasks.sine import TASK as BUILT_IN
TASK = replace(BUILT_IN, name="cosine")
"""


def written(path: Path, code: str) -> Path:
    path.write_text(code, "utf-8")
    return path


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return written(tmp_path / "mine.py", MODEL.format("mine"))


def test_a_plugin_adds_its_model_once(mine: Path) -> None:
    known = set(all_models())
    assert load_plugins(mine) == load_plugins([str(mine)]) == [str(mine)]
    assert set(all_models()) == {*known, "mine"}


def test_a_plugin_may_define_a_task(tmp_path: Path) -> None:
    load_plugins(written(tmp_path / "cosine.py", TASK))
    assert get_task("cosine").families == ("mlp",)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (MODEL.format("resnet"), "there is a model called resnet already; choose another name"),
        ("x = 1\n\nprint(y)", ", line 3, cannot be run: NameError: name 'y' is not defined; mend it"),
        ("def f(:\n", ", line 1, cannot be run: SyntaxError: invalid syntax; mend it"),
        ("import nothing_of_this_name", ", line 1, cannot be run: ModuleNotFoundError: No module named"),
        ("raise SystemExit", ", line 1, cannot be run: SystemExit"),
        ("x = 1", "defines neither MODELS nor TASK; let it define one of them"),
        ("import resnet_cli.models.base\nMODELS = (1,)", "MODELS holds 1, which is no Model"),
        (MODEL.format("a/b"), "name (=a/b) of a model must be a word of letters, digits and ._+-"),
        (MODEL.format("plain"), "ValueError: name (=plain) stands for several models"),
        (
            MODEL.format("mine") + "MODELS = replace(MODELS, role='boss')",
            "role (=boss) must be plain, residual or other",
        ),
        (MODEL.format("mine") + "MODELS = replace(MODELS, depth_rule=2)", "depth_rule (=2) must be a DepthRule"),
        (MODEL.format("mine") + "MODELS = replace(MODELS, settings=None)", "settings must be a tuple"),
        (MODEL.format("mine") + "MODELS = replace(MODELS, defaults={'widht': 3})", "defaults (=widht) is not among"),
        (MODEL.format("mine") + "MODELS = replace(MODELS, settings=('width',))", "of mine must be a tuple of Setting"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_one_sentence(tmp_path: Path, code: str, message: str) -> None:
    path = written(tmp_path / "bad.py", code)
    known = all_models()
    with pytest.raises(UserError) as caught:
        load_plugins(path)
    assert str(caught.value).startswith(f"plugin (={path})")
    assert message in str(caught.value)
    assert all_models() == known, "nothing of it is left"


def test_settings_of_a_plugin_apply_and_complain_as_declared(tmp_path: Path) -> None:
    load_plugins(written(tmp_path / "mine.py", SETTINGS))
    asked = {"models": "plain,mine", "depths": 2, "seeds": 0, "steps": 1}
    values = {(run.model, run.get("mode"), run.get("share")) for run in plan_sweep(asked | {"mode": "keep,mix"}).runs}
    assert values == {("plain-mlp", None, None), ("mine", "keep", None), ("mine", "mix", 0.5)}
    assert plan_sweep(asked | {"mode": "mix"}, smoke=True).resolved["share"] == 0.25
    with pytest.raises(UserError, match=r"^share \(=0.3\) has no effect; it needs mode mix\.$"):
        plan_sweep(asked | {"share": 0.3})
    with pytest.raises(UserError, match="mine at depth 2: too much is kept"):
        plan_sweep(asked | {"mode": "mix", "share": 0.95})


@pytest.mark.slow
def test_a_plugin_that_fails_in_workers_is_one_sentence(command: Command, mine: Path) -> None:
    only_here = "\nimport multiprocessing\nassert multiprocessing.parent_process() is None, 'not here'"
    written(mine, MODEL.format("mine") + only_here)
    sweep = ("--plugin", mine, "--models", "mine", "--depths", 2, "--seeds", 0, "--steps", 3, "--executor", "processes")
    ended = command("sweep", *sweep)
    assert ended.code == 2
    assert f"plugin (={mine}), line" in ended.err
    assert "AssertionError: not here" in ended.err


def test_a_run_without_a_setting_of_its_model_is_named(tmp_path: Path) -> None:
    needing = (
        "\nbuild = MODELS.build\nMODELS = replace(MODELS, build=lambda run, *others: run[MODE] and build(run, *others))"
    )
    load_plugins(written(tmp_path / "mine.py", SETTINGS + needing))
    (run,) = plan_sweep({"models": "mine", "depths": 2, "seeds": 0}).runs
    assert build_net(run, (1,), 1)
    with pytest.raises(UserError, match="has no mode, which mine needs here; train it again"):
        build_net(run.but(mode=None), (1,), 1)


@pytest.mark.parametrize("name", ["nowhere.py", "model.txt", "folder.py"])
def test_a_plugin_must_be_a_python_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.py").mkdir()
    written(tmp_path / "model.txt", "MODELS = ()")
    with pytest.raises(UserError, match=r"is not a file that ends in \.py; give the path of one"):
        load_plugins(name, below=tmp_path)


@pytest.mark.parametrize("files", [3, {"a": 1}, [["a.py"]]])
def test_the_key_plugins_holds_paths(files: object) -> None:
    with pytest.raises(UserError, match=r"plugins \(=.*must be the path of a Python file, or a list of paths"):
        plan_sweep({"plugins": files})


def test_a_plan_names_only_the_plugins_it_needs(mine: Path, tmp_path: Path) -> None:
    load_plugins(mine)
    assert "plugins" not in plan_sweep({"depths": 2}).resolved
    plan = plan_sweep({"depths": 2, "models": "plain,mine"})
    assert plan.resolved["plugins"] == [str(mine)]
    assert plan_sweep(plan.resolved).runs == plan.runs


def test_plugins_of_a_configuration_lie_beside_it(mine: Path, tmp_path: Path) -> None:
    config = written(tmp_path / "mine.toml", 'plugins = "mine.py"\nmodels = "mine"')
    assert load_config(config)["plugins"] == [str(mine)]
    assert "mine" in all_models()


@pytest.mark.slow
def test_the_sweep_of_a_folder_repeats_in_worker_processes(command: Command, mine: Path) -> None:
    sweep = ("--plugin", mine, "--models", "mine", "--task", "sine", "--depths", 2, "--seeds", "0,1", "--steps", 3)
    assert command("sweep", *sweep, "--engine", "loop", "--jobs", 2).code == 0
    discovery._plugins.clear()
    assert "mine" not in all_models()
    assert "mine" in command("show", "results/sine").out, "results are readable without it"
    assert command("plot", "results/sine", "--format", "svg").code == 0
    again = command("sweep", "--config", "results/sine/sweep.toml", "--seeds", "0..2", "--jobs", 1)
    assert (again.code, again.err) == (0, "")
    assert list(pd.read_csv("results/sine/summary.csv")["model"]) == 3 * ["mine"]


@pytest.mark.parametrize("value", ["offered:MODELS", "offered"])
def test_installed_packages_offer_models_by_entry_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    written(tmp_path / "offered.py", MODEL.format("offered"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "offered", raising=False)
    offer(monkeypatch, EntryPoint("theirs", value, "resnet_exp.models"))
    assert "offered" in all_models()
    assert "offered" not in all_tasks()


def test_an_entry_point_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, EntryPoint("theirs", "nothing_of_this_name", "resnet_exp.models"))
    with pytest.raises(
        UserError, match=r"entry point theirs \(=nothing_of_this_name\) cannot be loaded: ModuleNotFound"
    ):
        all_models()


def offer(monkeypatch: pytest.MonkeyPatch, entry: EntryPoint) -> None:
    """Let an installed package have an entry point."""
    monkeypatch.setattr(discovery, "entry_points", lambda group: [entry] if group == entry.group else [])
    discovery._collect.cache_clear()
