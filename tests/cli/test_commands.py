"""The commands as a person uses them."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
import typer

from resnet_cli.cli.main import app
from resnet_cli.settings import registry
from tests.cli.conftest import Command, Train

SMALL = ("--seeds", 0, "--steps", 6, "--eval-every", 3, "--depths", "2..4", "--jobs", 1)


@pytest.fixture
def sine(train: Train) -> Path:
    """The results of a small sweep."""
    train(*SMALL, "--quiet")
    return Path("results/sine")


def test_importing_the_command_line_loads_no_heavy_libraries() -> None:
    code = "import sys, resnet_cli.cli.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "pandas", "matplotlib", "numpy", "sklearn"}.isdisjoint(loaded)


def test_every_command_has_help_with_an_example(command: Command) -> None:
    group = typer.main.get_command(app)
    names = [
        [name, inner] if inner else [name]
        for name, one in group.commands.items()  # type: ignore[attr-defined]
        for inner in getattr(one, "commands", [""])
    ]
    assert ["data", "fetch"] in names
    assert ["analyze", "remove"] in names
    for name in names:
        answer = command(*name, "--help")
        assert answer.code == 0
        assert f"resnet-exp {' '.join(name)}" in " ".join(answer.out.split()), "an example"
        assert "Example" in answer.out


def test_sweep_has_an_option_for_every_setting(command: Command) -> None:
    text = command("sweep", "--help").out
    missing = [setting.name for setting in registry.declared() if setting.flag[:22] not in text]
    assert missing == []


def test_sweep_prints_its_product_each_run_and_the_turning_points(command: Command) -> None:
    answer = command("sweep", *SMALL)
    assert answer.code == 0
    assert answer.out.startswith("sine: 3 depths × 2 models × 1 seed = 6 runs\n")
    assert len(re.findall(r"^\[\d/6\] (plain|residual)-mlp depth \d seed 0: train ", answer.out, re.M)) == 6
    assert "plain-mlp: with one seed, training loss is lowest at depth 4" in answer.out
    assert "\nFigures: resnet-exp plot results/sine\nEach run: resnet-exp show results/sine\n" in answer.out
    assert answer.err == ""


def test_a_results_folders_config_continues_its_sweep(command: Command) -> None:
    first = command("sweep", *SMALL, "--out", "mine", "--quiet")
    again = command("sweep", "--config", "mine/sweep.toml", "--seeds", "0,1", "--jobs", 1)
    assert (first.code, again.code) == (0, 0)
    assert "= 12 runs; 6 already done" in again.out
    assert not Path("results").exists()
    copy = command("sweep", "--config", "mine/sweep.toml", "--out", "copy", "--jobs", 1)
    assert copy.code == 0
    assert "already done" not in copy.out


def test_quiet_prints_nothing(command: Command) -> None:
    assert command("sweep", *SMALL, "--quiet") == (0, "", "")


def test_a_list_anywhere_multiplies_and_later_sources_win(command: Command) -> None:
    Path("config.toml").write_text('depths = "2..9"\nlearning_rate = [0.1, 0.01]\nsteps = 99\n')
    answer = command(
        "sweep",
        "--config",
        "config.toml",
        *SMALL,
        "--steps",
        7,
        "--set",
        "steps=4",
        "--set",
        "init=he,default",
        "--quiet",
    )
    assert answer.code == 0
    summary = pd.read_csv("results/sine/summary.csv")
    assert len(summary) == 3 * 2 * 2 * 2
    assert set(summary["step"]) == {4}
    assert set(summary["init"]) == {"he", "default"}


def test_the_stored_sweep_repeats_itself(command: Command, sine: Path) -> None:
    again = command("sweep", "--config", sine / "sweep.toml", "--out", sine, "--jobs", 1)
    assert "6 already done" in again.out
    assert tomllib.loads((sine / "sweep.toml").read_text())["steps"] == 6


def test_depths_left_out_of_a_range_are_named(command: Command) -> None:
    answer = command("sweep", "--task", "digits", "--depths", "8..15", "--dry-run")
    assert "plain-cnn has depths 6n+2: kept 8,14; left out 9..13,15." in answer.out


def test_dry_run_prints_runs_and_cost_and_writes_nothing(command: Command) -> None:
    answer = command("sweep", *SMALL, "--dry-run")
    assert answer.code == 0
    assert re.findall(r"^(\w+)-mlp +2\.\.4 +0 +1 stack +3$", answer.out, re.M) == ["plain", "residual"]
    assert re.search(
        r"^Estimated cost: 36 optimiser steps, up to 2,881 parameters, about \d+ seconds? with", answer.out, re.M
    )
    assert not Path("results").exists()


def test_smoke_runs_go_into_a_folder_of_their_own(command: Command) -> None:
    assert command("sweep", "--task", "digits,sine", "--depths", "8..40", "--smoke", "--jobs", 1).code == 0
    assert sorted(str(path) for path in Path("results").iterdir()) == ["results/digits-smoke", "results/sine-smoke"]


@pytest.mark.parametrize("name", ["sine", "digits", "smoke"])
def test_the_configs_run(command: Command, name: str) -> None:
    config = Path(__file__).parents[2] / "configs" / f"{name}.toml"
    assert command("sweep", "--config", config, "--smoke", "--jobs", 1, "--out", "out", "--quiet").code == 0


def test_run_trains_one_net_and_draws_its_curve(command: Command) -> None:
    answer = command("run", "--task", "sine", "--model", "plain-mlp", "--depth", 3, "--steps", 10, "--eval-every", 5)
    assert answer.code == 0
    (curve,) = Path("results/single").glob("plain-mlp_d003_s0_*/figures/loss-curves.png")
    assert answer.out.splitlines()[-1] == str(curve)
    drawn = curve.read_bytes()
    command("plot", "results/single", "--format", "png")
    assert curve.read_bytes() == drawn, "the same figure"
    assert re.findall(r"^ *[\d.]+ +(\d+) +0\.001", answer.out, re.M) == ["0", "5", "10"], "a row for each evaluation"


def test_help_of_run_names_the_defaults_of_one_net(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    texts = command("run", "--help").out
    for flag, default in (("model", "residual"), ("depth", "20"), ("seed", "0"), ("out", "results/single/<run-id>")):
        assert re.search(rf"--{flag} .*\(default: {default}\)", texts), flag
    assert "(default: plain,residual)" in command("sweep", "--help").out


def test_tables_of_settings_stand_in_the_order_given(command: Command) -> None:
    answer = command("sweep", *SMALL, "--init", "normal,he,default", "--out", "results/init")
    expected = ["normal", "he", "default"]
    assert re.findall(r"^sine, init (\w+):", answer.out, re.M) == expected
    assert re.findall(r"^sine, init (\w+):", command("show", "results/init", "--by-depth").out, re.M) == expected


def test_plot_draws_identical_files_each_time(command: Command, sine: Path) -> None:
    answer = command("plot", "results")
    names = [f"loss-{kind}.{extension}" for kind in ("by-depth", "curves") for extension in ("png", "svg")]
    assert answer.out.splitlines() == [f"{sine}/figures/loss-{kind}.png (and svg)" for kind in ("by-depth", "curves")]
    before = {name: (sine / "figures" / name).read_bytes() for name in names}
    command("plot", "results")
    assert {name: (sine / "figures" / name).read_bytes() for name in names} == before


@pytest.mark.slow
def test_thirteen_values_of_a_setting_go_on_several_figures(command: Command) -> None:
    rates = ",".join(f"{0.001 * number:g}" for number in range(1, 14))
    assert command("sweep", *SMALL, "--learning-rate", rates, "--out", "results/many", "--quiet").code == 0
    answer = command("plot", "results", "--format", "png", "--kind", "depth")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        f"results/many/figures/loss-by-depth-learning-rate-{held}.png" for held in ("0.001-to-0.007", "0.008-to-0.013")
    ]


def test_sweeps_of_the_same_name_do_not_overwrite_each_others_figures(command: Command, sine: Path) -> None:
    shutil.copytree(sine, "results/other/sine")
    answer = command("plot", "results", "--kind", "depth", "--format", "png", "--out", "figs")
    assert answer.out.splitlines() == [f"figs/{name}/loss-by-depth.png" for name in ("other/sine", "sine")]


@pytest.mark.parametrize("name", ["sweep", "run"])
@pytest.mark.parametrize("flags", [[], ["--recompute"]])
def test_recompute_is_passed_on_to_training(command: Command, name: str, flags: list[str]) -> None:
    answer = command(name, "--model", "residual-mlp", "--depth", 4, "--seed", 0, "--steps", 2, "--out", "out", *flags)
    assert answer.code == 0
    (record,) = Path("out").glob("runs/*/run.json")
    assert json.loads(record.read_text())["environment"]["recompute"] == bool(flags)


def test_plot_takes_kind_format_size_title_and_folder(command: Command, sine: Path) -> None:
    answer = command(
        "plot", sine, "--kind", "depth", "--format", "svg", "--size", "4x3", "--title", "My own title", "--out", "drawn"
    )
    assert answer.out == "drawn/loss-by-depth.svg\n"
    text = Path("drawn/loss-by-depth.svg").read_text()
    assert 'width="288pt" height="216pt"' in text


def test_show_gives_the_same_numbers_as_table_json_and_csv(command: Command, sine: Path) -> None:
    rows = json.loads(command("show", sine, "--json").out)
    frame = pd.read_csv(StringIO(command("show", sine, "--csv").out))
    assert [row["run_id"] for row in rows] == frame["run_id"].tolist()
    for column in ("train_loss", "test_loss", "parameters"):
        assert [row[column] for row in rows] == frame[column].tolist(), "to the last bit"
    assert {row["train_error"] for row in rows} == {None}
    table = command("show", sine).out
    assert all(row["run_id"] in table for row in rows)
    assert "depth" in command("show", sine, "--by-depth").out


def test_show_takes_several_folders_and_some_of_their_runs(command: Command, sine: Path) -> None:
    other = ("--init", "he", "--out", "other", "--quiet")
    assert command("sweep", *SMALL, *other).code == 0
    rows = json.loads(command("show", sine, "other", sine, "--json", "--models", "plain", "--depths", "3,4").out)
    assert [(row["folder"], row["model"], row["depth"]) for row in rows] == [
        (folder, "plain-mlp", depth) for folder in (str(sine), "other") for depth in (3, 4)
    ]
    table = command("show", sine, "other", "--where", "init=he", "--seeds", 0)
    assert table.out.startswith("other: 6 runs\n")
    assert command("show", sine, "--depths", 99).code == 2


def test_show_says_which_runs_failed_and_why(command: Command) -> None:
    failing = ("--task", "digits", "--model", "highway-cnn", "--depth", 8, "--steps", 2, "--gate-bias", "1e39")
    assert command("sweep", *failing, "--seeds", "0,1", "--jobs", 1, "--quiet").code == 1
    told = command("show", "results").out.splitlines()[-1]
    assert told.startswith("2 runs failed: ")
    assert told.count("highway-cnn_d008_s") == 2
    for row in json.loads(command("show", "results", "--json").out):
        assert row["status"] == "failed"
        assert told.startswith(f"2 runs failed: {row['message']} (")


def test_help_groups_commands_and_names_no_types(command: Command) -> None:
    text = command("--help").out
    assert [text.index(panel) for panel in ("Train nets", "Look at results", "What there is")]
    for name in ("", "sweep", "show", "pack", "plot"):
        page = command(*filter(None, [name]), "--help").out
        assert "TEXT" not in page
        assert re.findall(r"<(?:bool|int|float|str|path|list)\b.*?>", page) == []


def test_paragraphs_of_a_help_page_fill_their_lines(command: Command) -> None:
    lines = [line.strip() for line in command("plot", "--help").out.splitlines()]
    assert "curves show five, unless --depths chooses." in lines


def test_examples_of_a_help_page_stand_one_a_line(command: Command) -> None:
    lines = [line.strip() for line in command("show", "--help").out.splitlines()]
    assert "resnet-exp show results/" in lines
    assert "resnet-exp show results/sine --csv > sine.csv" in lines


def test_a_dry_run_says_what_is_finished_and_counts_many_runs(command: Command, sine: Path) -> None:
    answer = command("sweep", *SMALL, "--depths", "2..20", "--dry-run")
    assert "Finished already: 6 of 38 runs." in answer.out
    assert re.search(r"^plain-mlp +5\.\.20 +0 +\d+ stacks? +16$", answer.out, re.M)
    assert "Nothing is left to train." in command("sweep", *SMALL, "--dry-run").out


def test_models_and_tasks_list_everything(command: Command) -> None:
    models = command("models").out
    assert all(name in models for name in ("plain-mlp", "residual-mlp", "plain-cnn", "resnet", "6n+2"))
    tasks = command("tasks").out
    assert all(name in tasks for name in ("sine", "digits", "cifar10"))


def test_python_m_and_version() -> None:
    text = subprocess.run(
        [sys.executable, "-m", "resnet_cli", "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert re.fullmatch(r"resnet-exp \d+\.\d+\.\d+\n", text)


def test_no_color_is_respected(sine: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "resnet_cli", "show", str(sine)], capture_output=True, check=True)
    assert b"\x1b" not in done.stdout
