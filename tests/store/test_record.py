"""Runs whose metrics.csv has other columns than those of this version."""

import hashlib
import json
import math
from pathlib import Path

import pytest

from resnet_cli.settings.errors import UserError
from resnet_cli.store.pack import pack_folder, unpack_folder
from resnet_cli.store.reader import load_results, load_run
from resnet_cli.store.record import content_hash, record_text
from tests.conftest import MakeRun
from tests.store.records import store

OLDER = "epoch,step,learning_rate,train_loss,test_loss\n0.5,10,0.1,1e-300,inf\n"
NEWER = (
    "step,sharpness,epoch,learning_rate,train_loss,test_loss,train_error,test_error,gradient_norm\n"
    "0,,0.0,0.1,2.0,3.0,,,\n"
    "10,0.30000000000000004,0.5,0.1,nan,3.0,,,1.0\n"
)
HEADER_ONLY = "epoch,step,learning_rate,train_loss,test_loss,sharpness\n"


def with_metrics(place: Path, text: str) -> Path:
    """Replace metrics.csv of a stored run as another version would have written it."""
    (place / "metrics.csv").write_text(text)
    content = json.loads((place / "run.json").read_text())
    content["metrics_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (place / "run.json").write_text(record_text(content | {"content_sha256": content_hash(content)}))
    return place


def test_a_metric_that_is_not_stored_is_missing(make_run: MakeRun, tmp_path: Path) -> None:
    stored = load_run(with_metrics(store(tmp_path, make_run()), OLDER))
    assert stored.last is not None
    assert stored.last[:5] == (0.5, 10, 0.1, 1e-300, math.inf)
    assert set(stored.last[5:]) == {None}
    assert load_results(tmp_path).summary()["train_error"].isna().all()


def test_an_unknown_metric_is_kept_to_the_bit(make_run: MakeRun, tmp_path: Path) -> None:
    with_metrics(store(tmp_path, make_run(depths=3)), NEWER)
    store(tmp_path, make_run(depths=4))
    results = load_results(tmp_path)
    assert results.other_metrics == ["sharpness"]
    assert results.runs[0].other_metrics == {"sharpness": [None, 0.1 + 0.2]}
    assert results.curves("sharpness")["metric_value"].dropna().tolist() == [0.1 + 0.2]
    assert results.summary("sharpness")["metric_value"].dropna().tolist() == [0.1 + 0.2]
    assert "metric_value" not in results.summary()


def test_any_declared_metric_can_be_added_to_the_summary(make_run: MakeRun, tmp_path: Path) -> None:
    store(tmp_path, make_run())
    results = load_results(tmp_path)
    assert results.summary("gradient_norm")["gradient_norm"].tolist() == [0.7]
    assert list(results.summary("loss")) == list(results.summary())
    with pytest.raises(UserError, match=r"metric \(=sharpness\) is not known; known are .*gradient_norm, loss"):
        results.summary("sharpness")


@pytest.mark.parametrize(
    "text",
    [
        "epoch,step,learning_rate,train_loss\n",
        OLDER.replace("learning_rate", "step"),
        OLDER.replace("test_loss\n", "test_loss,$x$\n").replace("inf", "inf,1"),
        OLDER.replace("inf", "inf,1"),
        OLDER.replace("0.1,", ","),
    ],
    ids=["no loss", "twice", "no word", "long row", "no value"],
)
def test_impossible_columns_leave_only_their_run_out(make_run: MakeRun, tmp_path: Path, text: str) -> None:
    place = with_metrics(store(tmp_path, make_run()), text)
    (problem,) = load_results(tmp_path).problems
    assert problem.startswith(f"{place / 'metrics.csv'} is left out: ")


def test_runs_with_different_columns_are_packed_to_the_byte(make_run: MakeRun, tmp_path: Path) -> None:
    folder = tmp_path / "sine"
    texts = {2: None, 3: OLDER, 4: HEADER_ONLY, 5: NEWER, 6: None, 7: NEWER, 8: HEADER_ONLY, 9: HEADER_ONLY}
    for depth, text in texts.items():
        place = store(folder, make_run(depths=depth), status="diverged")
        if text:
            with_metrics(place, text)
    pack_folder(load_results(folder), tmp_path / "packed")
    packed = load_results(tmp_path / "packed")
    assert packed.problems == []
    unpack_folder(packed, tmp_path / "restored")
    for path in folder.rglob("*.*"):
        assert (tmp_path / "restored" / path.relative_to(folder)).read_bytes() == path.read_bytes()
    pack_folder(load_results(tmp_path / "restored"), tmp_path / "again")
    for name in ("runs.csv", "metrics.csv.gz"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "packed" / name).read_bytes()


@pytest.mark.parametrize(
    "value",
    [
        *[{}, {"a": {}}, {"a": []}, {"a": 1, "b": {"c": [1, {"d": "\n é"}, [2.5]], "e": (1, 2)}, '\u2028"': None}],
        *[{"a": True}, {"a": -0.0, "b": 1e300, "c": 1e-7}, {"a": float("nan"), "b": float("-inf")}, {"a": 10**30}],
    ],
)
def test_the_text_of_a_record_is_indented_json(value: dict[str, object]) -> None:
    assert record_text(value) == json.dumps(value, indent=2) + "\n"
