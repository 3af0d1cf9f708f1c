"""`resnet-exp run`: one net and its curve."""

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Command


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
