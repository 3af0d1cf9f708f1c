"""`resnet-exp claims`."""

import json
from pathlib import Path

import pytest

from resnet_cli.claims import all_claims
from tests.cli.conftest import Command, Train

DOCUMENTS = [*(f"K{n}" for n in range(1, 18)), *(f"B{n}" for n in range(1, 7)), *(f"Z{n}" for n in range(1, 10))]


def test_each_claim_of_the_documents_has_a_verdict(command: Command) -> None:
    assert list(all_claims()) == [*DOCUMENTS, "G1", "G2"]
    answer = command("claims", "--json")
    assert (answer.code, answer.err) == (0, "")
    lines = json.loads(answer.out)
    assert list(dict.fromkeys(line["id"] for line in lines)) == [*DOCUMENTS, "G1", "G2"]
    assert {line["verdict"] for line in lines} <= {"supported", "not supported", "undecided", "not tested"}


def test_the_ledger_is_a_table_with_a_line_for_each_scale(command: Command) -> None:
    answer = command("claims")
    assert answer.code == 0
    (row,) = [line for line in answer.out.splitlines() if line.startswith("K2 ")]
    assert "With a skip over every three layers the loss does not turn." in row
    assert "✓ supported" in row
    assert "tested against its margin (exact sign-flip test); intervals are 95% intervals of the mean" in answer.out


def test_a_claim_shows_its_evidence_and_how_to_make_it(command: Command) -> None:
    answer = command("claims", "k2")
    assert answer.code == 0
    assert answer.out.startswith("K2: With a skip over every three layers the loss does not turn.\n")
    assert "Evidence: sine, 780 of 780 runs, in the results that come with the program." in answer.out
    assert "Make it: resnet-exp sweep --config sine\n" in answer.out
    assert "K1:" not in answer.out


def test_json_holds_each_difference_by_seed(command: Command) -> None:
    sine = json.loads(command("claims", "K2", "--json").out)[0]
    (comparison,) = sine["comparisons"]
    assert sorted(map(int, comparison["differences"])) == list(range(10))
    assert comparison["mean"] == pytest.approx(sum(comparison["differences"].values()) / 10)
    assert sine["adjusted_p_value"] >= sine["p_value"] == comparison["p_for"] == 1 / 1024


def test_a_folder_is_judged_by_its_own_runs_only(command: Command, train: Train) -> None:
    train("--task", "sine", "--depths", "2,3,4", "--seeds", "0", "--steps", "5")
    lines = json.loads(command("claims", "results", "--json").out)
    assert {line["verdict"] for line in lines} == {"not tested"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["K99"], "claim (=K99) is not known"),
        (["--run", "K99"], "claim (=K99) is not known"),
        (["--run", ","], "run (=,) names no claim; write --run K1,K2 or --run all."),
        (["nowhere/"], "nowhere is not a folder"),
        (["--dry-run"], "--dry-run, --jobs and --device have an effect with --run only; add --run ID."),
    ],
)
def test_mistakes_are_named(command: Command, arguments: list[str], message: str) -> None:
    answer = command("claims", *arguments)
    assert answer.code == 2
    assert message in answer.err
    assert answer.out == ""


def test_two_folders_are_one_too_many(command: Command) -> None:
    for name in ("a", "b"):
        Path(name).mkdir()
    answer = command("claims", "a", "b")
    assert (answer.code, answer.err) == (
        2,
        "resnet-exp: folder (=b) is one too many; name one folder, which may hold many results.\n",
    )


@pytest.mark.slow
def test_dry_run_prints_commands_and_cost_and_trains_nothing(command: Command) -> None:
    answer = command("claims", "--run", "K2", "--dry-run", "--jobs", "1")
    assert answer.code == 0
    assert "resnet-exp sweep --config sine --jobs 1  (about " in answer.out
    assert "Estimated cost: " in answer.out
    assert not Path("results").exists()
