import itertools
import math
import statistics
import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console, RenderableType

from resnet_cli.cli.tables import (
    depth_table,
    evaluations_table,
    failures,
    loss_text,
    plan_listing,
    product_line,
    results_table,
)
from resnet_cli.planning.plan import plan_sweep
from resnet_cli.planning.units import Unit
from resnet_cli.settings.run import Run
from resnet_cli.store.record import RunRecord
from tests.conftest import MakeRun

MODELS = ("plain-mlp", "residual-mlp")


def summary(depths: list[int], seeds: int = 5, *, errors: bool = False, **settings: object) -> pd.DataFrame:
    """Plain nets get worse with depth, residual ones better; every run has another loss."""
    rows = []
    for model, depth, seed in itertools.product(MODELS, depths, range(seeds)):
        loss = (depth if model == "plain-mlp" else 1 / depth) * (1 + seed / 10)
        row: dict[str, Any] = {
            "run_id": f"{model}_d{depth:03d}_s{seed}_0123456789",
            "task": "sine",
            "model": model,
            "depth": depth,
            "seed": seed,
            "status": "done",
            "epoch": 32.0,
            "step": 1000,
            "train_loss": loss,
            "test_loss": 2 * loss,
            "train_error": 10 * loss if errors else None,
            "test_error": 11 * loss if errors else None,
            "parameters": 930 * depth,
        }
        rows.append(row | settings)
    return pd.DataFrame(rows)


def chances(frame: pd.DataFrame, level: float = 20.0) -> dict[str, float]:
    """The loss of a constant answer for each run."""
    return dict.fromkeys(frame["run_id"], level)


def text_of(renderable: RenderableType, width: int = 80) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def rows_of(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()[:1].isdigit() and "(" not in line]


def runs_of(make_run: MakeRun, models: tuple[str, ...] = MODELS, **lists: list[object]) -> list[Run]:
    values = [dict(zip(lists, combination, strict=True)) for combination in itertools.product(*lists.values())]
    return [make_run(models=model, **settings) for model in models for settings in values]


@pytest.mark.parametrize(
    ("loss", "text"),
    [(0.000213, "0.000213"), (0.52, "0.520"), (2.3, "2.30"), (123.4, "123"), (0.0, "0.00"), (1e-5, "1.00e-05")],
)
def test_losses_have_three_digits(loss: float, text: str) -> None:
    assert loss_text(loss) == text


def test_missing_and_infinite_losses_have_symbols() -> None:
    assert (loss_text(math.inf), loss_text(math.nan)) == ("∞", "–")


def test_product_of_a_full_sweep(make_run: MakeRun) -> None:
    runs = runs_of(make_run, depths=[2, 3, 4], seeds=[0, 1])
    assert product_line(runs) == "3 depths × 2 models × 2 seeds = 12 runs"
    assert product_line(runs, 5) == "3 depths × 2 models × 2 seeds = 12 runs; 5 already done"
    assert product_line(runs[:1]) == "1 depth × 1 model × 1 seed = 1 run"


def test_product_with_settings(make_run: MakeRun) -> None:
    runs = runs_of(make_run, depths=[2, 3], init=["default", "he"])
    assert product_line(runs) == "2 depths × 2 models × 2 values of init × 1 seed = 8 runs"
    runs = runs_of(make_run, depths=[2, 3], init=["default", "he"], width=[30, 32])
    assert product_line(runs) == "2 depths × 2 models × 4 settings of width and init × 1 seed = 16 runs"


def test_an_incomplete_product_counts_each_model(make_run: MakeRun) -> None:
    runs = runs_of(make_run, ("plain-mlp",), depths=[2, 3])
    runs += runs_of(make_run, ("residual-mlp",), depths=[2, 3], block_size=[2, 3])
    assert product_line(runs) == (
        "6 runs: plain-mlp 2 depths × 1 seed, residual-mlp 2 depths × 2 values of block_size × 1 seed"
    )
    assert product_line(runs[:-1]) == "5 runs: plain-mlp 2 depths × 1 seed, residual-mlp 3 runs"


def test_product_of_many_runs_takes_little_memory(make_run: MakeRun) -> None:
    one = make_run()
    runs = [one.but(depth=depth, seed=seed) for depth in range(2, 42) for seed in range(100)]
    tracemalloc.start()
    line = product_line(runs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert line == "40 depths × 1 model × 100 seeds = 4,000 runs"
    assert peak < 200_000


@pytest.mark.parametrize("errors", [False, True])
def test_depth_table_holds_medians_and_ranges(errors: bool) -> None:
    frame = summary([2, 4, 40], errors=errors)
    rows = rows_of(text_of(depth_table(frame), width=160))
    for row, depth in zip(rows, [2, 4, 40], strict=True):
        expected = [str(depth)]
        for model in MODELS:
            chosen = frame[(frame["model"] == model) & (frame["depth"] == depth)]
            train, test = chosen["train_loss"].tolist(), chosen["test_loss"].tolist()
            expected += [loss_text(statistics.median(train)), f"{min(train):.2g}–{max(train):.2g}"]
            expected += [loss_text(statistics.median(test))]
            if errors:
                expected += [
                    f"{statistics.median(chosen[name].tolist()):.2f}" for name in ("train_error", "test_error")
                ]
        assert row == expected


def test_depth_table_names_the_turning_point() -> None:
    frame = summary([2, 4, 8, 16])
    text = " ".join(text_of(depth_table(frame, chances(frame))).split())
    assert "sine: loss by depth, median of 5 seeds" in text
    assert "plain-mlp: it degrades: from depth 4 on, training loss stays more than 10 % of chance above its" in text
    assert "residual-mlp: no turning point up to depth 16: from the best depth to depth 16 training loss rises" in text
    assert text.endswith(
        "Chance: the loss of the best constant answer, 20.0. p: exact sign-flip test over seeds, "
        "corrected for 2 models (Benjamini-Hochberg)."
    )
    assert "Chance:" not in text_of(depth_table(frame))


def test_all_blocks_of_a_table_are_corrected_for_together() -> None:
    """Five seeds are enough where every model of every block has a verdict, not where one is in between."""
    frame = pd.concat([summary([2, 4, 8], init=init) for init in ("he", "default")], ignore_index=True)
    frame["run_id"] += frame["init"]
    levels = dict.fromkeys(frame["run_id"], 20.0)
    text = text_of(depth_table(frame, levels), width=300)
    assert text.count("5 seeds, p = 0.031)") == 4
    assert "corrected for 4 models" in text
    between = (frame["init"] == "he") & (frame["model"] == "residual-mlp") & (frame["depth"] == 8) & (frame["seed"] < 2)
    frame.loc[between, "train_loss"] = 20.0
    text = text_of(depth_table(frame, levels), width=300)
    assert text.count("p = 0.042)") == 3
    assert text.count("unclear whether there is a turning point up to depth 8") == 1


def test_the_level_of_chance_is_each_runs_own() -> None:
    """Where noise varies, so does what a constant answer reaches, and no single number is given."""
    frame = pd.concat([summary([2, 4, 8], noise=noise) for noise in (0.0, 1.0)])
    frame["run_id"] += frame["noise"].astype(str)
    levels = {run_id: 20.0 if run_id.endswith("0.0") else 500.0 for run_id in frame["run_id"]}
    text = text_of(depth_table(frame, levels), width=300)
    assert text.count("plain-mlp: it degrades") == text.count("plain-mlp: no turning point") == 1
    assert "Chance: the loss of the best constant answer. p: exact" in text


def test_39_depths_of_two_models_fit_side_by_side() -> None:
    text = text_of(depth_table(summary(list(range(2, 41)))))
    assert len(rows_of(text)) == 39
    assert max(map(len, text.splitlines())) <= 80


def test_a_narrow_console_loses_no_number() -> None:
    frame = summary([2, 4, 40], errors=True)
    wide, narrow = (text_of(depth_table(frame), width=width) for width in (200, 70))
    assert "…" not in narrow
    below, beside = (sorted(itertools.chain(*rows_of(text))) for text in (narrow, wide))
    assert below == sorted([*beside, "2", "4", "40"])


def test_diverged_and_failed_runs_are_counted() -> None:
    frame = summary([2, 4], seeds=3)
    frame.loc[(frame["model"] == "plain-mlp") & (frame["depth"] == 4) & (frame["seed"] > 0), "status"] = "diverged"
    frame.loc[(frame["model"] == "residual-mlp") & (frame["depth"] == 4), "status"] = "failed"
    text = text_of(depth_table(frame), width=120)
    assert "median over seeds" in text
    row = rows_of(text)[1]
    assert row[:7] == ["4", "∞", "4–∞", "∞", "3,", "2", "diverged"]
    assert row[-3:] == ["3,", "3", "failed"]


def test_values_that_are_not_finite_have_symbols() -> None:
    """Runs that all failed, all diverged, or have the same loss to three digits."""
    frame = summary([2, 4, 6], seeds=2).query("model == 'plain-mlp'").reset_index(drop=True)
    frame["status"] = ["failed", "failed", "diverged", "diverged", "done", "done"]
    frame["train_loss"] = [math.nan, math.nan, math.nan, math.inf, 0.5, 0.50001]
    frame["test_loss"] = [math.nan, math.nan, math.inf, math.nan, 12.6, 12.6]
    text = text_of(depth_table(frame), width=120)
    assert rows_of(text) == [
        ["2", "–", "–", "2,", "2", "failed"],
        ["4", "∞", "∞", "2,", "2", "diverged"],
        ["6", "0.500", "0.5", "12.6", "2"],
    ]
    text += text_of(results_table(frame), width=120)
    text += text_of(evaluations_table(pd.DataFrame({"step": [1], "train_loss": [np.inf], "gradient_norm": [np.inf]})))
    assert "nan" not in text
    assert "inf" not in text


def test_each_combination_of_settings_has_a_block() -> None:
    plain = summary([2, 4]).query("model == 'plain-mlp'").assign(block_size=None)
    residual = summary([2, 4]).query("model == 'residual-mlp'")
    frame = pd.concat([plain, residual.assign(block_size=2), residual.assign(block_size=3)])
    text = text_of(depth_table(frame))
    assert [line for line in text.splitlines() if ": loss by depth" in line] == [
        "sine, block size 2: loss by depth, median of 5 seeds",
        "sine, block size 3: loss by depth, median of 5 seeds",
    ]
    assert [row[0] for row in rows_of(text)] == ["2", "4", "2", "4"]
    assert all(len(row) == 7 for row in rows_of(text))


def test_models_of_one_verdict_share_a_line_from_three_on() -> None:
    frame = summary([2, 4, 6]).query("model == 'residual-mlp'")
    frame = pd.concat([frame, frame.assign(model="highway-mlp"), frame.assign(model="vgg")])
    text = text_of(depth_table(frame.reset_index(drop=True), chances(frame)), width=300)
    assert "\n3 models: no turning point up to depth 6: from the best depth to depth 6 training loss rises" in text


def test_models_are_compared_where_depths_are_too_few_for_a_turning_point() -> None:
    frame = summary([2, 4], seeds=3)
    text = text_of(depth_table(frame), width=120)
    assert "turning point" not in text
    assert text.splitlines()[-3:-1] == [
        "At depth 2 residual-mlp's median training loss is 0.550, plain-mlp's 2.20 (3 seeds).",
        "At depth 4 residual-mlp's median training loss is 0.275, plain-mlp's 4.40 (3 seeds).",
    ]
    frame.loc[(frame["model"] == "plain-mlp") & (frame["depth"] == 4), "status"] = "diverged"
    assert "At depth 4 residual-mlp's median training loss is 0.275, plain-mlp's ∞ (3 seeds)." in text_of(
        depth_table(frame), width=120
    )


def test_one_run_at_one_depth_is_told_as_such() -> None:
    text = text_of(depth_table(summary([4], seeds=1).query("model == 'plain-mlp'")), width=120)
    assert "At depth 4 plain-mlp's training loss is 4.00 (1 seed)." in text


def test_equal_losses_are_called_the_same() -> None:
    frame = summary([4]).assign(train_loss=0.5)
    expected = "At depth 4 the median training loss of plain-mlp and residual-mlp is the same, 0.500 (5 seeds)."
    assert expected in text_of(depth_table(frame), width=120)


def test_of_many_models_the_best_and_the_worst_are_named() -> None:
    frame = summary([4], seeds=1)
    frame = pd.concat([frame, frame.query("model == 'plain-mlp'").assign(model="vgg", train_loss=9.0)])
    expected = "the training loss of 3 models is lowest for residual-mlp, 0.250, and highest for vgg, 9.00 (1 seed)."
    assert expected in text_of(depth_table(frame), width=120)


def test_evaluations_have_sensible_numbers() -> None:
    frame = pd.DataFrame({"epoch": [0.0, 50 / 31], "step": [0, 1050], "gradient_norm": [None, 0.123456]})
    assert text_of(evaluations_table(frame)).split("\n", 2)[2].split() == ["0.00", "0", "–", "1.61", "1,050", "0.123"]


def test_few_runs_without_engines_are_counted_like_many(make_run: MakeRun) -> None:
    runs = runs_of(make_run, depths=[2, 3], seeds=[0])
    lines = text_of(plan_listing(runs)).splitlines()
    assert [line.split() for line in lines if line.strip("─ ")] == [
        ["model", "depths", "seeds", "runs"],
        ["plain-mlp", "2,3", "0", "2"],
        ["residual-mlp", "2,3", "0", "2"],
    ]


def test_runs_are_counted_by_model_and_engine(make_run: MakeRun) -> None:
    runs = runs_of(make_run, depths=[2, 4, 6], seeds=[0, 1, 2], init=["default", "he"])
    plain, residual = runs[:18], runs[18:]
    units = [Unit((run,), stacked=False) for run in plain] + [
        Unit(tuple(residual[:9]), True),
        Unit(tuple(residual[9:]), True),
    ]
    text = text_of(plan_listing(runs, units))
    assert [line.split() for line in text.splitlines()[2:]] == [
        ["plain-mlp", "2..6:2", "0..2", "2", "of", "init", "loop", "18"],
        ["residual-mlp", "2..6:2", "0..2", "2", "of", "init", "2", "stacks", "18"],
    ]


def test_failures_are_told_by_reason() -> None:
    def failed(number: int, message: str) -> RunRecord:
        run = plan_sweep({"models": "plain", "depths": 3, "seeds": number}).runs[0]
        return RunRecord(run=run, status="failed", message=message)

    runs = [failed(number, "MemoryError: no\x1b[31m memory") for number in range(7)] + [failed(7, "ValueError: odd")]
    first, second = failures(runs)
    assert first.startswith("7 runs failed: MemoryError: no�[31m memory (plain-mlp_d003_s0_")
    assert first.endswith(" and 2 more)")
    assert second == f"1 run failed: ValueError: odd ({runs[7].run.run_id})"


def test_models_appear_only_in_blocks_of_their_settings() -> None:
    frame = pd.concat([summary([2, 4], init="he"), summary([2, 4], init="default").query("model == 'plain-mlp'")])
    assert [len(row) for row in rows_of(text_of(depth_table(frame)))] == [4, 4, 7, 7]


def test_a_setting_determined_by_depth_makes_no_blocks() -> None:
    frame = summary([2, 4, 6])
    frame["warmup_steps"] = frame["depth"].map(lambda depth: 400 if depth == 6 else 0)
    assert text_of(depth_table(frame)).count("loss by depth, median") == 1


def test_tables_without_finished_runs_say_so() -> None:
    frame = summary([2, 4]).assign(status="failed", train_loss=None, test_loss=None, step=None)
    assert "5, 5 failed" in text_of(depth_table(frame))
    assert "10 runs" not in text_of(results_table(frame))
    assert "20 runs, failed" in text_of(results_table(frame))
    assert "no finished runs" in text_of(depth_table(frame[:0])) + text_of(results_table(frame[:0]))


def test_colour_marks_best_and_worse_depths(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = summary([2, 4, 8, 16])

    def printed() -> str:
        console = Console(width=100, force_terminal=True, color_system="standard")
        with console.capture() as capture:
            console.print(depth_table(frame, chances(frame)))
        return capture.get()

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1;32m" in printed()
    assert "\x1b[31m" in printed()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;32m" not in printed()
    assert "\x1b[31m" not in printed()


def test_results_table_has_a_row_per_run() -> None:
    frame = summary([2], seeds=2, errors=True, init="he")
    frame.loc[0, "status"] = "diverged"
    text = text_of(results_table(frame), width=120)
    assert text.splitlines()[0].rstrip() == "4 runs, 1,000 steps"
    assert "plain-mlp_d002_s0_0123456789 diverged 2.00 4.00 20.00 22.00 1,860 he" in " ".join(text.split())
    assert sum("_0123456789" in line for line in text.splitlines()) == 4


def test_results_table_folds_only_run_ids() -> None:
    text = text_of(results_table(summary([2, 40], errors=True)), width=70)
    assert "…" not in text
    assert text.count("37,200") == 10
