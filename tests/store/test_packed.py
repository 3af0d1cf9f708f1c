"""The packed form: the same bytes both ways, and damage that is named."""

import csv
import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resnet_cli.settings.errors import UserError
from resnet_cli.settings.metrics import Metrics
from resnet_cli.store.pack import pack_folder, unpack_folder
from resnet_cli.store.packed import _cell, _value
from resnet_cli.store.reader import find_results, load_results
from resnet_cli.store.record import content_hash, record_text
from tests.conftest import MakeRun
from tests.store.records import store

ODD = [Metrics(1 / 3, 7, 1e-300, math.nan, math.inf, 90.0, -math.inf, math.nan)]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def pack(folder: Path, target: Path, **options: Any) -> Path:
    pack_folder(load_results(folder), target, **options)
    return target


def unpack(folder: Path, target: Path) -> Path:
    unpack_folder(load_results(folder), target)
    return target


def change_record(place: Path, **changes: Any) -> None:
    """Change run.json by hand and make its hash right again; None removes a key."""
    content = json.loads((place / "run.json").read_text()) | changes
    content = {key: value for key, value in content.items() if value is not None}
    if "content_sha256" in content:
        content["content_sha256"] = content_hash(content)
    (place / "run.json").write_text(record_text(content))


@pytest.fixture
def folder(make_run: MakeRun, tmp_path: Path) -> Path:
    """Done, diverged and failed runs, one of format 1, one indented otherwise, an analysis and pictures."""
    folder = tmp_path / "sine"
    store(folder, make_run(depths=3))
    store(folder, make_run(depths=9, init="normal", schedule="steps"))
    store(folder, make_run(models="residual", depths=4), ODD, "diverged")
    failed = store(folder, make_run(depths=5), [], "failed")
    change_record(
        failed, message='no "memory",\n\tfür 1', environment={"torch": "2", "on": True, "x.y": [1, {"a": ""}]}
    )
    old = store(folder, make_run(depths=6))
    change_record(old, format=1, content_sha256=None, parameters=None)
    other = store(folder, make_run(depths=7))
    (other / "run.json").write_bytes((other / "run.json").read_bytes().replace(b"\n", b"\r\n"))
    (folder / "sweep.toml").write_text("format = 1\n# mine\r\ntask = 'sine'\n")
    (folder / "analysis").mkdir()
    (folder / "analysis" / "convergence.csv").write_bytes(b"a,b\r\n1,2\n")
    (folder / "analysis" / "convergence.png").write_bytes(b"\x89PNG a")
    (folder / "analysis" / "gradients.csv").write_bytes(b"layer,gradient_norm\n" + b"1,0.5\n" * 100_000)
    (folder / "figures").mkdir()
    (folder / "figures" / "loss-by-depth.png").write_bytes(b"\x89PNG b")
    return folder


def test_unpacking_restores_every_byte_and_packing_again_too(folder: Path, tmp_path: Path) -> None:
    packed = pack(folder, tmp_path / "packed", figures=["convergence", "loss-by-depth"])
    restored = unpack(packed, tmp_path / "restored")
    original, back = tree(folder), tree(restored)
    assert back.pop("summary.csv")
    assert back == original
    again = pack(restored, tmp_path / "again", figures=["convergence", "loss-by-depth"])
    assert tree(again) == tree(packed)


def test_packed_results_read_like_the_folder_itself(folder: Path, tmp_path: Path) -> None:
    plain, packed = load_results(folder), load_results(pack(folder, tmp_path / "packed"))
    assert packed.problems == []
    assert plain.summary().equals(packed.summary())
    assert plain.curves().equals(packed.curves())
    assert [run.message for run in plain.runs] == [run.message for run in packed.runs]


def test_packed_folder_holds_a_table_metrics_and_what_is_asked_for(folder: Path, tmp_path: Path) -> None:
    packed = pack(folder, tmp_path / "packed", figures=["loss-by-depth"])
    assert set(tree(packed)) == {
        *(
            "runs.csv",
            "metrics.csv.gz",
            "sweep.toml",
            "analysis/convergence.csv",
            "analysis/gradients.csv.gz",
            "figures/loss-by-depth.png",
        )
    }
    header, *rows = (packed / "runs.csv").read_text().splitlines()
    assert header.startswith("run_id,status,task,model,depth,seed,width,")
    assert header.endswith(",message,run_json")
    assert sum(row.endswith(",") for row in rows) == 5, "only one run keeps its JSON"
    head = (packed / "metrics.csv.gz").read_bytes()[:10]
    assert head[3] == 0, "gzip holds no name"
    assert head[4:8] == bytes(4), "and no time"


def test_packed_folders_are_found_below_a_root(folder: Path, tmp_path: Path) -> None:
    packed = pack(folder, tmp_path / "packed")
    (packed / "sweep.toml").unlink()
    assert find_results(tmp_path) == [packed, folder]


def test_packing_takes_only_the_given_runs(folder: Path, tmp_path: Path) -> None:
    results = load_results(folder)
    results.runs[:] = [stored for stored in results.runs if stored.run.depth == 4]
    pack_folder(results, tmp_path / "packed")
    assert [stored.run.depth for stored in load_results(tmp_path / "packed").runs] == [4]
    assert b"_d003_" not in gzip.decompress((tmp_path / "packed" / "metrics.csv.gz").read_bytes())


def test_packing_never_touches_files_of_others(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.mkdir()
    (target / "runs.csv").write_text("name,miles\n")
    (target / "metrics.csv.gz").write_text("mine")
    with pytest.raises(UserError, match=r"holds files, but no packed results; choose a new or an empty folder\.$"):
        pack(folder, target)
    with pytest.raises(UserError, match="is the folder to be packed"):
        pack(folder, folder)
    with pytest.raises(UserError, match="is a file"):
        pack(folder, target / "runs.csv")
    with pytest.raises(UserError, match=r"figures \(=b\): .* it has convergence, loss-by-depth\.$"):
        pack(folder, tmp_path / "new", figures=["b"])
    assert tree(target) == {"runs.csv": b"name,miles\n", "metrics.csv.gz": b"mine"}
    assert not (tmp_path / "new").exists()


def test_packing_replaces_what_was_packed_before(folder: Path, make_run: MakeRun, tmp_path: Path) -> None:
    packed = pack(folder, tmp_path / "packed")
    store(folder, make_run(depths=8))
    assert len(load_results(pack(folder, packed)).runs) == 7


def test_unpacking_needs_a_packed_folder_and_an_empty_place(folder: Path, tmp_path: Path) -> None:
    packed = pack(folder, tmp_path / "packed")
    with pytest.raises(UserError, match=r"sine holds no packed results \(runs\.csv, metrics\.csv\.gz\)\.$"):
        unpack(folder, tmp_path / "new")
    with pytest.raises(UserError, match=r"is not empty; choose a new or an empty folder\.$"):
        unpack(packed, folder)
    (tmp_path / "empty").mkdir()
    assert len(load_results(unpack(packed, tmp_path / "empty")).runs) == 6
    assert {path.name for path in tmp_path.iterdir()} == {"sine", "packed", "empty"}, "nothing temporary stays"


def test_what_a_killed_unpacking_left_is_ignored_and_removed(folder: Path, tmp_path: Path) -> None:
    packed = pack(folder, tmp_path / "packed")
    left = tmp_path / ".resnet-exp-back.tmp"
    unpack(packed, left)
    assert find_results(tmp_path) == [packed, folder]
    (left / "runs" / "half").mkdir()
    assert not (unpack(packed, tmp_path / "back") / "runs" / "half").exists()
    assert not left.exists()


@pytest.mark.parametrize("content", [b"", b"no gzip", None])
def test_damaged_metrics_are_one_sentence(folder: Path, tmp_path: Path, content: bytes | None) -> None:
    path = pack(folder, tmp_path / "packed") / "metrics.csv.gz"
    path.write_bytes(path.read_bytes()[:-20] if content is None else content)
    with pytest.raises(UserError, match=r"metrics\.csv\.gz (cannot be read \(.*\)|is not a table .*)"):
        load_results(tmp_path / "packed")


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("_d003_s0_", "_d004_s0_", "its settings are those of another run"),
        (",diverged,", ",done,", "it is cut off or was changed"),
        (",100,", ",101,", "it is cut off or was changed"),
        (",diverged,", ',"diverged', "cannot be read"),
        (",1.0,2026", ",2026", "its row is cut off or too long"),
        (",sine,", ",$\\frac$,", "must be a word of letters"),
    ],
)
def test_a_damaged_row_is_named_and_left_out(
    make_run: MakeRun, tmp_path: Path, before: str, after: str, reason: str
) -> None:
    for depth in (3, 5):
        store(tmp_path / "sine", make_run(depths=depth), status="diverged")
    path = pack(tmp_path / "sine", tmp_path / "packed") / "runs.csv"
    header, *rows = path.read_text().splitlines(keepends=True)
    path.write_text(header + rows[0].replace(before, after, 1) + rows[1])
    if reason == "cannot be read":
        with pytest.raises(UserError, match=r"runs\.csv cannot be read \(.*\); restore it or pack again\.$"):
            load_results(tmp_path / "packed")
        return
    results = load_results(tmp_path / "packed")
    assert [stored.run.depth for stored in results.runs] == [5]
    assert any(f"runs.csv, {rows[0][:12]}" in problem and reason in problem for problem in results.problems)


def test_changed_metrics_leave_only_their_run_out(folder: Path, tmp_path: Path) -> None:
    path = pack(folder, tmp_path / "packed") / "metrics.csv.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    path.write_bytes(gzip.compress(text.replace("_d003_s0", "_d002_s0", 1).encode()))
    results = load_results(tmp_path / "packed")
    assert len(results.runs) == 5
    assert sorted(problem.split(" is left out: ")[1] for problem in results.problems) == [
        "it is cut off or was changed after it was written.",
        "no run of this name is beside it.",
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|'/c calc'!A1"])
def test_no_cell_is_a_formula(text: str, make_run: MakeRun, tmp_path: Path) -> None:
    change_record(store(tmp_path / "sine", make_run(), [], "failed"), message=text)
    packed = pack(tmp_path / "sine", tmp_path / "packed")
    with (packed / "runs.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert json.dumps(text) in cells
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))] == []
    assert load_results(packed).runs[0].message == text


@pytest.mark.parametrize("run_id", ["../../outside", "/outside", "..", ".", "a/b", "\x1b[2J"])
def test_a_run_id_is_never_used_as_a_path(run_id: str, make_run: MakeRun, tmp_path: Path) -> None:
    runs = [make_run(depths=depth) for depth in (3, 5)]
    for run in runs:
        store(tmp_path / "sine", run)
    packed = pack(tmp_path / "sine", tmp_path / "packed")
    (packed / "runs.csv").write_text((packed / "runs.csv").read_text().replace(runs[0].run_id, run_id))
    metrics = gzip.decompress((packed / "metrics.csv.gz").read_bytes()).decode().replace(runs[0].run_id, run_id)
    (packed / "metrics.csv.gz").write_bytes(gzip.compress(metrics.encode()))
    before = tree(tmp_path)
    results = load_results(packed)
    assert [stored.run for stored in results.runs] == runs[1:]
    assert any("its settings are those of another run" in problem for problem in results.problems)
    assert all(problem.isprintable() for problem in results.problems)
    unpack(packed, tmp_path / "again")
    assert {name: content for name, content in tree(tmp_path).items() if not name.startswith("again/")} == before
    assert [path.name for path in (tmp_path / "again" / "runs").iterdir()] == [runs[1].run_id]


def test_links_that_lead_out_of_a_folder_are_not_copied(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    packed = pack(folder, tmp_path / "packed")
    for place in (folder, packed):
        for name in ("analysis/stolen.csv", "analysis/stolen.csv.gz", "figures/stolen.png"):
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).symlink_to(secret)
    (folder / "analysis" / "own.csv").write_text("a\n")
    (folder / "analysis" / "same.csv").symlink_to("own.csv")
    again, unpacked = pack(folder, tmp_path / "packed-again"), unpack(packed, tmp_path / "unpacked")
    assert [name for target in (again, unpacked) for name in tree(target) if "stolen" in name] == []
    assert (again / "analysis" / "same.csv").read_text() == "a\n"
    with pytest.raises(UserError, match="has no such PNG file"):
        pack(folder, tmp_path / "with-figures", figures=["stolen"])


@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", gzip.compress(b"a" * 1000)[:-9], gzip.compress(bytes(3_000_000))],
    ids=["empty", "no gzip", "cut off", "too large"],
)
def test_a_table_that_cannot_be_unpacked_is_one_sentence_and_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr("resnet_cli.store.pack.LARGEST_TABLE", 2_000_000)
    packed = pack(folder, tmp_path / "packed")
    (packed / "analysis" / "remove.csv.gz").write_bytes(content)
    before = tree(tmp_path)
    with pytest.raises(UserError, match=r"remove\.csv\.gz cannot be unpacked \(.+\); restore or remove it\.$"):
        unpack(packed, tmp_path / "back")
    assert tree(tmp_path) == before
    assert not (tmp_path / "back").exists()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    )
)
def test_every_value_comes_back_from_its_cell_with_its_type(value: object) -> None:
    cell = _cell(value)
    assert cell != ""
    assert repr(_value(cell)) == repr(value)


@given(
    rows=st.lists(st.tuples(*[st.floats()] * 3, *[st.none() | st.floats()] * 3), max_size=3),
    message=st.text(),
    environment=st.dictionaries(
        st.text(), st.none() | st.booleans() | st.integers() | st.floats() | st.text(), max_size=4
    ),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_run_is_packed_and_unpacked_to_the_same_bytes(
    rows: list[tuple[Any, ...]], message: str, environment: dict[str, Any], make_run: MakeRun, tmp_path_factory: Any
) -> None:
    folder = tmp_path_factory.mktemp("any")
    history = [Metrics(0.5, step, *values) for step, values in enumerate(rows)]
    place = store(folder / "runs-of-one", make_run(), history, "failed")
    change_record(place, message=message, environment=environment)
    assert load_results(folder / "runs-of-one").problems == []
    restored = unpack(pack(folder / "runs-of-one", folder / "packed"), folder / "restored")
    back = tree(restored)
    del back["summary.csv"]
    assert back == tree(folder / "runs-of-one")


def test_committed_results_are_whole_and_pack_to_the_same_content(tmp_path: Path) -> None:
    committed = Path(__file__).parents[2] / "docs/results/digits"
    assert load_results(committed).problems == []
    again = pack(unpack(committed, tmp_path / "plain"), tmp_path / "again")
    assert (again / "runs.csv").read_bytes() == (committed / "runs.csv").read_bytes()
    first, second = (gzip.decompress((folder / "metrics.csv.gz").read_bytes()) for folder in (committed, again))
    assert first == second


def test_a_table_that_has_grown_is_not_left_in_its_old_form(folder: Path, tmp_path: Path) -> None:
    packed = pack(folder, tmp_path / "packed")
    analysis = packed / "analysis"
    assert {path.name for path in analysis.iterdir()} == {"convergence.csv", "gradients.csv.gz"}
    (folder / "analysis" / "convergence.csv").write_bytes(b"a,b\n" * 200_000)
    (folder / "analysis" / "gradients.csv").write_bytes(b"a,b\n1,2\n")
    pack(folder, packed)
    assert {path.name for path in analysis.iterdir()} == {"convergence.csv.gz", "gradients.csv"}
