"""What benchmarks/ computes from what it measures."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import agreement, engines, gpu, scale
from benchmarks.gpu_speed import KINDS, QUICK
from resnet_cli.store.index import INDEX_FILE
from resnet_cli.store.reader import load_results
from resnet_cli.tasks.data import Data
from resnet_cli.training.graphs import Work
from tests.conftest import MakeRun
from tests.training.software_graph import SoftwareRecorder


def test_useful_operations_match_a_count_by_hand(make_run: MakeRun) -> None:
    run = make_run(depths=2, width=3, batch_size=10, steps=4, eval_every=2)
    forward = 2 * (1 * 3 + 3 * 3 + 3 * 1)  # an example through 1→3, 3→3, 3→1
    backward = 2 * (1 * 3 + 2 * 3 * 3 + 2 * 3 * 1)  # the first layer passes nothing on
    assert engines.useful_flops(run) == 4 * 10 * (forward + backward) + 3 * 2000 * forward


def test_a_sweep_is_scaled_along_depth(make_run: MakeRun) -> None:
    seconds = {make_run(depths=depth): 1.0 + 0.5 * depth for depth in (2, 6, 10)}
    assert engines.scaled(seconds, [make_run(depths=depth) for depth in (3, 40)]) == pytest.approx(2.5 + 21.0)


def test_the_time_of_a_further_run_leaves_out_the_start() -> None:
    assert scale.a_further_run({10: 2.0, 110: 2.5, 1010: 7.0}) == pytest.approx(0.005)


def test_made_up_results_are_results(tmp_path: Path) -> None:
    scale.make_results(tmp_path, 20)
    results = load_results(tmp_path)
    assert (len(results.runs), results.problems, results.varying) == (20, [], ["init"])
    assert {len(stored.history) for stored in results.runs} == {scale.EVALUATIONS}


def test_costs_are_rows_of_a_table() -> None:
    costs = {"show": {size: scale.Cost(9.0, 1.0 + size / 1000, size * scale.MIB) for size in (100, 1000, 2000)}}
    header, _, row = scale.table(costs).splitlines()
    assert header.count("|") == row.count("|")
    assert row == "| show | 9.0 (1.1) | 9.0 (2.0) | 9.0 (3.0) | 2.00 | 1.50 | 0.75 | 1.00 | 1000 | 2000 |"
    assert scale.INDEX_FILE == INDEX_FILE
    one = scale.table({"show": {7: scale.Cost(9.0, 2.0, scale.MIB)}}).splitlines()
    assert one[0] == "| command | 7 runs, s | MiB, 7 runs |"
    assert one[2] == "| show | 9.0 (2.0) | 1 |"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_one_sentence_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert gpu.main(["--out", str(tmp_path / "page.md")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "There is no GPU to measure: device (=cuda): this machine has no CUDA device that torch can use; "
        "use --device cpu.\n"
    )
    assert list(tmp_path.iterdir()) == []


MARKED = """
import pytest

@pytest.mark.gpu
@pytest.mark.parametrize("here", [True, False])
def test_on_a_gpu(here):
    if not here:
        pytest.skip("needs a CUDA device")

def test_elsewhere():
    raise AssertionError("this test is not marked")
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_that_runs_on_a_gpu_runs_on_a_cpu(tmp_path: Path) -> None:
    page, tests = tmp_path / "page.md", tmp_path / "test_marked.py"
    tests.write_text(MARKED, "utf-8")
    arguments = ["--device", "cpu", "--quick", "--out", str(page), "--tests", str(tests)]
    assert gpu.main(arguments) == 0
    before, results = page.read_text("utf-8").split(f"\n{gpu.HEADING}\n")
    assert before == gpu.PAGE.read_text("utf-8").split(f"\n{gpu.HEADING}\n")[0]
    assert "1 passed, 0 failed, 1 skipped." in results
    assert "All models agree." in results
    assert "| ResNet | step |" not in results.partition("### A training step")[0]
    assert "at most" not in results, "steps that should be replayed were eager"
    rows = [line.split(" | ") for line in results.splitlines() if line.startswith("| ")]
    assert [row[1] for row in rows if row[0] == "| 14"] == list(KINDS)
    assert [row[1] for row in rows if row[0] == "| float32, channels_last, CUDA graphs"] == ["1", "2"]
    assert [row[0] for row in rows[-3:]] == ["| loop, eager", "| loop, CUDA graphs", "| stacked"]
    assert not any("nan" in cell for row in rows for cell in row)


def test_a_report_of_tests_names_what_failed() -> None:
    case = '<testcase classname="tests.test_a" name="{}">{}</testcase>'
    cases = [case.format(*each) for each in (("a", ""), ("b", "<failure/>"), ("c", "<error/>"), ("d", "<skipped/>"))]
    found = gpu.read_report(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    assert found == gpu.Outcome(1, 1, ["tests.test_a::b", "tests.test_a::c"])
    assert str(found).splitlines() == [
        "1 passed, 2 failed, 1 skipped.",
        "- failed: `tests.test_a::b`",
        "- failed: `tests.test_a::c`",
    ]


@pytest.mark.parametrize(
    ("found", "code", "some_pass", "failed"),
    [
        (gpu.Outcome(3, 1, []), 0, True, []),
        (gpu.Outcome(0, 9, []), 0, False, []),
        (gpu.Outcome(0, 9, []), 0, True, ["no test ran on the GPU"]),
        (gpu.Outcome(0, 0, []), 5, False, ["pytest ended with exit code 5"]),
        (gpu.Outcome(3, 0, []), -9, True, ["pytest ended with exit code -9"]),
        (gpu.Outcome(3, 0, ["a"]), 1, True, ["a"]),
    ],
)
def test_tests_that_did_not_run_did_not_pass(found: gpu.Outcome, code: int, some_pass: bool, failed: list[str]) -> None:
    assert gpu.judged(found, code, some_pass=some_pass).failed == failed


def test_a_part_that_ends_with_an_error_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*of: object, **options: object) -> str:
        raise torch.OutOfMemoryError("CUDA out of memory |\nat all")

    monkeypatch.setattr(gpu, "run_tests", lambda *of, **options: gpu.Outcome(1, 0, []))
    monkeypatch.setattr(gpu, "step_table", fail)
    monkeypatch.setattr(gpu, "sharing_table", lambda *of: "a table")
    monkeypatch.setattr(gpu, "engine_table", lambda *of: "another")
    monkeypatch.setattr(agreement, "compare", fail)
    results, good = gpu.measure(torch.device("cpu"), QUICK, quick=True, tests=[])
    assert not good
    *_, tests, models, step, sharing, engines = results.split("### ")
    assert tests == "Tests\n\n1 passed, 0 failed, 0 skipped.\n\n"
    assert models.count(" | nan | nan | nan | nan | **OutOfMemoryError: CUDA out of memory / at all** |\n") == 4
    assert step == "A training step\n\n**Ended with OutOfMemoryError: CUDA out of memory / at all**\n\n"
    assert (sharing, engines) == ("Several runs at once\n\na table\n\n", "The two engines\n\nanother\n")


def test_a_device_with_other_results_is_found(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(depths=3, width=4, steps=5, eval_every=1, precision="float64")
    data, there = agreement.data_of(run), torch.device("cpu")
    assert agreement.compare(run, data, there).found == agreement.Differences(0, 0, 0, 0)

    def altered(self: Data, device: torch.device, dtype: torch.dtype) -> Data:
        return replace(self, train_targets=self.train_targets * (1 + 1e-6))

    monkeypatch.setattr(Data, "to", altered)
    found = agreement.compare(run, data, there)
    assert not found.holds
    assert found.found.graphs == 0


def test_steps_that_are_not_replayed_do_not_agree(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(SoftwareRecorder):
        def record(self, work: Work) -> Work:
            raise RuntimeError("operation not permitted")

    monkeypatch.setattr(agreement, "recorder_of", lambda device: Failing())
    run = make_run(depths=3, width=4, steps=5, eval_every=1, precision="float64")
    found = agreement.compare(run, agreement.data_of(run), torch.device("cpu"))
    assert found.found == agreement.Differences(0, 0, 0, 0)
    assert not found.holds
    row = agreement.agreement_table([found]).splitlines()[-1]
    assert row.endswith("| 0 | 0 | 0 | not replayed: recording failed: operation not permitted | **differs** |")


def test_losses_that_end_early_or_are_no_numbers_never_agree() -> None:
    assert math.isnan(agreement.apart([1.0], [1.0, 2.0]))
    assert math.isnan(agreement.apart([math.inf], [math.inf]))
    limit = agreement.LIMITS["float32"]
    assert not replace(limit, curve=math.nan).within(limit)
    assert limit.within(limit)
