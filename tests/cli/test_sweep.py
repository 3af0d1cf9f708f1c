"""`resnet-exp sweep`: what it prints, trains and refuses to train twice."""

import json
import re
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from resnet_cli.settings import registry
from tests.cli.conftest import SMALL, Command


def test_sweep_has_an_option_for_every_setting(command: Command) -> None:
    text = command("sweep", "--help").out
    missing = [setting.name for setting in registry.declared() if setting.flag[:22] not in text]
    assert missing == []


def test_sweep_prints_its_product_each_run_and_the_turning_points(command: Command) -> None:
    answer = command("sweep", *SMALL)
    assert answer.code == 0
    assert answer.out.startswith("sine: 3 depths × 2 models × 1 seed = 6 runs\n")
    assert len(re.findall(r"^\[\d/6\] (plain|residual)-mlp depth \d seed 0: train ", answer.out, re.M)) == 6
    assert "plain-mlp: no verdict from 1 seed with a run at every depth (it takes 5); training loss is" in answer.out
    assert "\nFigures: resnet-exp plot results/sine\nEach run: resnet-exp show results/sine\n" in answer.out
    assert answer.err == ""


def test_quiet_prints_nothing(command: Command) -> None:
    assert command("sweep", *SMALL, "--quiet") == (0, "", "")


def test_a_results_folders_config_continues_its_sweep(command: Command) -> None:
    first = command("sweep", *SMALL, "--out", "mine", "--quiet")
    again = command("sweep", "--config", "mine/sweep.toml", "--seeds", "0,1", "--jobs", 1)
    assert (first.code, again.code) == (0, 0)
    assert "= 12 runs; 6 already done" in again.out
    assert not Path("results").exists()
    copy = command("sweep", "--config", "mine/sweep.toml", "--out", "copy", "--jobs", 1)
    assert copy.code == 0
    assert "already done" not in copy.out


def test_the_stored_sweep_repeats_itself(command: Command, sine: Path) -> None:
    again = command("sweep", "--config", sine / "sweep.toml", "--out", sine, "--jobs", 1)
    assert "6 already done" in again.out
    assert tomllib.loads((sine / "sweep.toml").read_text())["steps"] == 6


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


def test_depths_left_out_of_a_range_are_named(command: Command) -> None:
    answer = command("sweep", "--task", "digits", "--depths", "8..15", "--dry-run")
    assert "plain-cnn has depths 6n+2: kept 8,14; left out 9..13,15." in answer.out


def test_dry_run_prints_runs_and_cost_and_writes_nothing(command: Command) -> None:
    answer = command("sweep", *SMALL, "--dry-run")
    assert answer.code == 0
    assert re.findall(r"^(\w+)-mlp +2\.\.4 +0 +1 stack +3$", answer.out, re.M) == ["plain", "residual"]
    assert re.search(r"^Estimated cost: 36 optimiser steps, up to 2,881 parameters, about \d+ s", answer.out, re.M)
    assert re.search(r"^Memory: about [\d.]+ [MG]B, \d+ kB of it for the largest training\.$", answer.out, re.M)
    assert re.search(
        r"^Disk: about 78 kB in 13 files, and up to \d+ kB of checkpoints during training\.$", answer.out, re.M
    )
    assert not Path("results").exists()


def test_a_dry_run_says_what_is_finished_and_counts_many_runs(command: Command, sine: Path) -> None:
    answer = command("sweep", *SMALL, "--depths", "2..20", "--dry-run")
    assert "Finished already: 6 of 38 runs." in answer.out
    assert re.search(r"^plain-mlp +5\.\.20 +0 +\d+ stacks? +16$", answer.out, re.M)
    assert "Nothing is left to train." in command("sweep", *SMALL, "--dry-run").out


def test_a_dry_run_tells_all_but_the_time_without_the_data_set(command: Command) -> None:
    answer = command("sweep", "--config", "cifar10-cpu", "--data-dir", "nowhere", "--dry-run")
    assert answer.code == 0
    assert "Estimated cost: unknown, because CIFAR-10 is not in nowhere" in answer.out
    assert re.search(r"^Memory: about [\d.]+ [MG]B, .*\nDisk: about [\d.]+ kB in 49 files", answer.out, re.M)


def test_smoke_runs_go_into_a_folder_of_their_own(command: Command) -> None:
    assert command("sweep", "--task", "digits,sine", "--depths", "8..40", "--smoke", "--jobs", 1).code == 0
    assert sorted(str(path) for path in Path("results").iterdir()) == ["results/digits-smoke", "results/sine-smoke"]


@pytest.mark.parametrize("name", ["sine", "digits", "smoke"])
def test_the_configs_run(command: Command, name: str) -> None:
    config = Path(__file__).parents[2] / "configs" / f"{name}.toml"
    assert command("sweep", "--config", config, "--smoke", "--jobs", 1, "--out", "out", "--quiet").code == 0


def test_tables_of_settings_stand_in_the_order_given(command: Command) -> None:
    answer = command("sweep", *SMALL, "--init", "normal,he,default", "--out", "results/init")
    expected = ["normal", "he", "default"]
    assert re.findall(r"^sine, init (\w+):", answer.out, re.M) == expected
    assert re.findall(r"^sine, init (\w+):", command("show", "results/init", "--by-depth").out, re.M) == expected


@pytest.mark.parametrize(("name", "flags"), [("sweep", ["--recompute"]), ("run", ["--recompute"]), ("run", [])])
def test_recompute_is_passed_on_to_training(command: Command, name: str, flags: list[str]) -> None:
    answer = command(name, "--model", "residual-mlp", "--depth", 4, "--seed", 0, "--steps", 2, "--out", "out", *flags)
    assert answer.code == 0
    (record,) = Path("out").glob("runs/*/run.json")
    assert json.loads(record.read_text())["environment"]["recompute"] == bool(flags)


def test_a_shard_says_its_share_and_what_others_have_still_to_do(command: Command) -> None:
    dry = command("sweep", *SMALL, "--shard", "2/3", "--dry-run").out
    share = re.search(r"^Shard 2/3 has (\d) of 6 runs\.$", dry, re.M)
    assert share
    first = command("sweep", *SMALL, "--shard", "2/3")
    assert (first.code, first.err) == (0, "")
    assert f"Shard 2/3 has {share[1]} of 6 runs; 0 already done.\n" in first.out
    assert f"\nOther shards have still to do {6 - int(share[1])} of 6 runs:\n" in first.out
    for number in (1, 3):
        last = command("sweep", *SMALL, "--shard", f"{number}/3")
    assert "Other shards" not in last.out
    assert len(pd.read_csv("results/sine/summary.csv")) == 6
    assert "; 6 already done" in command("sweep", *SMALL).out


def test_a_shard_without_runs_says_so_and_succeeds(command: Command) -> None:
    empty = [
        number for number in range(1, 10) if "nothing to do" in command("sweep", *SMALL, "--shard", f"{number}/9").out
    ]
    assert len(empty) == 3
    answer = command("sweep", *SMALL, "--shard", f"{empty[0]}/9", "--dry-run")
    assert answer == (0, f"sine: Shard {empty[0]}/9 has 0 of 6 runs; there is nothing to do.\n", "")
