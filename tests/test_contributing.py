"""The example of CONTRIBUTING.md: inside and outside the package, it can be swept, listed, drawn and analysed."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import resnet_cli.models
from resnet_cli.models import build_net
from resnet_cli.models.initialisation import initialise
from resnet_cli.settings import discovery
from tests.cli.conftest import Command, command
from tests.conftest import MakeRun

__all__ = ["command"]

CONTRIBUTING = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text("utf-8")


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The example's file."""
    (code,) = re.findall(r"^```python\n(.*?)^```", CONTRIBUTING, re.M | re.S)
    path = tmp_path / "averaging.py"
    path.write_text(code, "utf-8")
    return path


@pytest.fixture(params=["inside the package", "outside the package"])
def plugin(
    request: pytest.FixtureRequest, example: Path, monkeypatch: pytest.MonkeyPatch, _without_traces: None
) -> tuple[str, ...]:
    """What to add to a command; inside, the example lies in the folder of models, as far as the program can tell."""
    if request.param == "outside the package":
        return "--plugin", str(example)
    monkeypatch.setattr(resnet_cli.models, "__path__", [*resnet_cli.models.__path__, str(example.parent)])
    monkeypatch.setitem(sys.modules, "resnet_cli.models.averaging", None)
    del sys.modules["resnet_cli.models.averaging"]
    discovery._collect.cache_clear()
    return ()


@pytest.mark.slow
def test_one_file_is_all_that_a_model_needs(command: Command, plugin: tuple[str, ...]) -> None:
    sweep = ("--task", "sine", "--models", "plain,averaging-mlp", "--depths", "1..3", "--seeds", 0, "--jobs", 1)
    answer = command("sweep", *sweep, "--share", "0.2,0.5", "--smoke", "--save-models", *plugin)
    assert (answer.code, answer.err) == (0, "")
    summary = pd.read_csv("results/sine-smoke/summary.csv")
    shares = summary.loc[summary["model"] == "averaging-mlp", "share"]
    assert sorted(shares) == [0.2, 0.2, 0.5, 0.5]
    refused = command("sweep", "--task", "sine", "--share", 0.5, *plugin)
    assert "share (=0.5) is not a setting of plain-mlp and residual-mlp" in refused.err
    assert "averaging-mlp" in command("models", *plugin).out
    page = command("models", "averaging-mlp", *plugin).out
    assert "Share of its input that an averaging block keeps." in " ".join(page.split())
    drawn = command("models", "averaging-mlp", "--draw", "block.svg", *plugin)
    assert (drawn.code, drawn.err) == (0, "")
    analysed = command("analyze", "remove", "results/sine-smoke", "--draws", 1, "--format", "svg", *plugin)
    assert analysed.code == 0
    assert "resnet-exp:" not in analysed.err
    assert command("plot", "results/sine-smoke", "--by", "share", "--format", "svg").code == 0


@pytest.mark.usefixtures("_without_traces")
def test_the_example_computes_what_it_says(make_run: MakeRun, example: Path) -> None:
    run = make_run(plugins=str(example), models="averaging-mlp", depths=2, width=3, share=0.25)
    net = build_net(run, (1,), 1)
    initialise(net, "normal", 0, 0.3)
    inputs = torch.linspace(-1, 1, 5)[:, None]
    first, layer, output = (module for module in net.modules() if isinstance(module, torch.nn.Linear))
    signal = first(inputs)
    expected = 0.25 * signal + 0.75 * layer(signal).relu()
    # In a Sequential the parts that CONTRIBUTING's `build` adds by name are run in the order in which it adds them.
    assert torch.allclose(net(inputs), output(expected))


@pytest.mark.slow
def test_the_tests_over_all_models_take_a_plugin(example: Path) -> None:
    root = Path(__file__).parents[1]
    only = ("-k", "averaging-mlp", "-p", "no:cacheprovider", "--rootdir", root, "-c", root / "pyproject.toml")
    tests = root / "tests/models/test_registry.py"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", tests, "--plugin", example, *only],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
