"""Stored results as tables for claims: which folder they come from, and what counts as a run of a configuration."""

import gzip
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from resnet_cli.claims.claim import Analysis, MissingEvidence, Sweep
from resnet_cli.evidence.tables import StoredTables, plan_of, reference_results, sweeps_of, tables_at_hand
from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import Metrics
from resnet_cli.store.reader import Results, load_results
from tests.store.records import store

SMOKE = Sweep("smoke")
BETTER = [Metrics(1.0, 20, 1e-3, 0.01, 0.02, None, None, 0.5)]


def fill(folder: Path, number: int) -> Path:
    for run in plan_of("smoke").runs[:number]:
        store(folder, run, BETTER)
    return folder


def test_a_table_has_settings_roles_and_the_chance_level(tmp_path: Path) -> None:
    fill(tmp_path / "any name", 4)
    table = StoredTables(tmp_path).runs("smoke")
    assert sorted(set(table["role"])) == ["plain", "residual"]
    assert sorted(zip(table["model"], table["depth"], strict=True)) == [
        (model, depth) for model in ("plain-mlp", "residual-mlp") for depth in (2, 4)
    ]
    assert set(table["train_loss"]) == {0.01}
    assert set(table["width"]) == {30}
    assert table["chance_loss"].tolist() == pytest.approx([0.5] * 4, rel=0.2)
    assert table["chance_error"].isna().all()


def test_the_folder_with_most_runs_is_taken_and_the_first_of_equals(tmp_path: Path) -> None:
    own, other = fill(tmp_path / "own" / "smoke", 2), fill(tmp_path / "other" / "smoke", 3)
    tables = StoredTables(own.parent, other.parent)
    assert (tables.source(SMOKE).folder, tables.source(SMOKE).found, tables.source(SMOKE).planned) == (other, 3, 4)
    fill(own, 3)
    assert StoredTables(own.parent, other.parent).source(SMOKE).folder == own


def test_only_runs_with_the_settings_of_the_configuration_count(tmp_path: Path) -> None:
    run = plan_of("smoke").runs[0]
    store(tmp_path, run.but({}, depth=3), BETTER)
    store(tmp_path, plan_of("smoke").runs[1], BETTER, "failed")
    tables = StoredTables(tmp_path)
    assert tables.source(SMOKE).found == 0
    assert not tables.source(SMOKE).complete
    with pytest.raises(MissingEvidence, match="there are no runs of smoke"):
        tables.runs("smoke")


def test_an_analysis_lies_beside_its_runs_or_where_that_of_packed_runs_goes(tmp_path: Path) -> None:
    folder = fill(tmp_path / "smoke", 4)
    need = Analysis("paths", SMOKE)
    assert not StoredTables(tmp_path).source(need).complete
    with pytest.raises(MissingEvidence, match="there is no analysis paths of smoke"):
        StoredTables(tmp_path).analysis("paths", "smoke")
    outside = tmp_path / "analysis" / "smoke" / "paths.csv"
    outside.parent.mkdir(parents=True)
    pd.DataFrame({"a": [1]}).to_csv(outside, index=False)
    assert StoredTables(tmp_path).analysis("paths", "smoke")["a"].tolist() == [1]
    (folder / "analysis").mkdir()
    pd.DataFrame({"a": [2]}).to_csv(folder / "analysis" / "paths.csv.gz", index=False)
    assert StoredTables(tmp_path).analysis("paths", "smoke")["a"].tolist() == [2]
    assert StoredTables(tmp_path).source(need).complete


def test_an_analysis_without_runs_has_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "identity").mkdir()
    (tmp_path / "identity" / "identity.csv").write_text("a\n1\n")
    assert len(StoredTables(tmp_path).analysis("identity")) == 1


def test_a_damaged_table_is_missing_evidence(tmp_path: Path) -> None:
    (tmp_path / "identity").mkdir()
    (tmp_path / "identity" / "identity.csv").write_text("")
    with pytest.raises(MissingEvidence, match=r"identity\.csv cannot be read"):
        StoredTables(tmp_path).analysis("identity")


def test_the_reference_results_are_there_without_own_ones() -> None:
    assert tables_at_hand().source(Sweep("sine")).complete
    assert reference_results().is_dir()


def test_a_folder_without_results_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no results"):
        tables_at_hand(tmp_path)


def test_a_sweep_keeps_its_nets_if_any_evidence_needs_them() -> None:
    saving = replace(SMOKE, save_models=True)
    assert sweeps_of([SMOKE, Analysis("paths", saving), Analysis("identity")]) == {"smoke": saving}
    assert sweeps_of([Analysis("paths", saving), SMOKE]) == {"smoke": saving}


def test_an_analysis_of_runs_that_another_sweep_has_too_is_found(tmp_path: Path) -> None:
    """Each folder has all runs of the configuration, and only the one with its name has the analysis."""
    fill(tmp_path / "another", 4)
    table = fill(tmp_path / "smoke", 4) / "analysis" / "paths.csv"
    table.parent.mkdir()
    table.write_text("a\n1\n")
    assert len(StoredTables(tmp_path).analysis("paths", "smoke")) == 1


def test_an_unknown_configuration_has_no_evidence(tmp_path: Path) -> None:
    fill(tmp_path / "smoke", 1)
    tables = StoredTables(tmp_path)
    assert not tables.source(Sweep("unknown")).complete
    with pytest.raises(MissingEvidence, match="no runs of unknown"):
        tables.runs("unknown")
    with pytest.raises(MissingEvidence, match="no analysis paths of unknown"):
        tables.analysis("paths", "unknown")


def test_a_run_in_two_folders_is_that_of_its_own_sweep(tmp_path: Path) -> None:
    fill(tmp_path / "smoke", 2)
    for run in plan_of("smoke").runs:
        store(tmp_path / "another", run, [BETTER[0]._replace(train_loss=0.9)])
    losses = StoredTables(tmp_path).runs("smoke").set_index("run_id")["train_loss"]
    own = [run.run_id for run in plan_of("smoke").runs[:2]]
    assert losses.loc[own].tolist() == [0.01, 0.01]
    assert sorted(losses) == [0.01, 0.01, 0.9, 0.9]


@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", gzip.compress(b"a,b\n1,2\n" * 1000)[:-30], bytes(100)],
    ids=["empty", "no gzip", "cut off", "zeros"],
)
def test_a_damaged_packed_table_is_missing_evidence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "counts").mkdir()
    (tmp_path / "counts" / "counts.csv.gz").write_bytes(content)
    with pytest.raises(MissingEvidence, match=r"counts\.csv\.gz cannot be read: .+"):
        StoredTables(tmp_path).analysis("counts")


def test_reference_results_that_no_claim_needs_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def note(folder: Path) -> Results:
        read.append(folder.name)
        return load_results(folder)

    monkeypatch.setattr("resnet_cli.evidence.tables.load_results", note)
    assert StoredTables(reference_results()).problems == []
    assert "sine" in read
    assert "map-sine" not in read
