"""The page as a whole: what it holds, that it needs nothing else, and that nothing in it is obeyed."""

import itertools
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from resnet_cli.report.page import START, make_report, name_sweeps, render, write_report
from resnet_cli.settings.errors import UserError
from resnet_cli.store.layout import SWEEP_FILE
from tests.page_numbers import REFERENCE
from tests.report.conftest import DEGRADING, MakeSweep

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&lt;"
VOID = {"meta", "link", "input", "br", "img"}


class Reader(HTMLParser):
    """The elements of a page, their attributes, and whether they are closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture
def html(make_sweep: MakeSweep) -> str:
    return render(make_report([make_sweep("mine", DEGRADING)], claims=False))


def test_elements_are_closed_and_ids_are_unique(html: str) -> None:
    page = Reader(html)
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    inside = {attributes["href"][1:] for attributes in page.all("a") if attributes["href"].startswith("#")}
    assert inside <= set(ids)
    named = {word for _, one in page.found for word in one.get("aria-labelledby", "").split()}
    assert named <= set(ids)


def test_everything_is_in_the_file(html: str) -> None:
    page = Reader(html)
    places = [one[key] for _, one in page.found for key in ("href", "src", "action", "data") if key in one]
    assert [place for place in places if not place.startswith(("#", "data:"))] == []
    assert re.findall(r"url\((?!#)|@import|https?://", html) == []
    policy = next(one["content"] for one in page.all("meta") if "http-equiv" in one)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    assert [one for _, one in page.found if any(key == "style" or key.startswith("on") for key in one)] == []


def test_every_table_and_field_has_a_name(html: str) -> None:
    page = Reader(html)
    assert len(page.all("h1")) == 1
    assert all({"scope"} <= set(one) for one in page.all("th"))
    assert html.count("<select") + html.count("<input") == html.count("<label>")
    assert page.all("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _ in page.found if re.fullmatch("h[1-6]", tag)]
    assert all(lower - upper <= 1 for upper, lower in itertools.pairwise(levels))


def test_the_same_results_give_the_same_bytes_wherever_they_lie(make_sweep: MakeSweep, tmp_path: Path) -> None:
    folder = make_sweep("mine", DEGRADING)
    first = render(make_report([folder], claims=False))
    (tmp_path / "elsewhere").mkdir()
    folder.rename(tmp_path / "elsewhere" / "mine")
    assert render(make_report([tmp_path / "elsewhere" / "mine"], claims=False)) == first
    assert str(tmp_path) not in first


def test_hostile_words_are_shown_and_not_obeyed(make_sweep: MakeSweep, tmp_path: Path) -> None:
    losses = {**DEGRADING, ("plain-mlp", 2): [0.2, float("nan"), 0.1]}
    folder = make_sweep("mine", losses, message=HOSTILE)
    (folder / SWEEP_FILE).write_text((folder / SWEEP_FILE).read_text() + f"# {HOSTILE}\n")
    hostile = tmp_path / "outer" / "<b>&'\"onload=x>"
    hostile.parent.mkdir()
    folder.rename(hostile)
    page = Reader(text := render(make_report([hostile.parent], title=HOSTILE, claims=False)))
    assert len(page.all("script")) == 1
    assert page.all("img") == page.all("b") == []
    assert text.count("onerror=alert(2)") == text.count("&lt;img src=x onerror=alert(2)&gt;") + text.count(
        "%3Cimg src=x onerror=alert(2)%3E"
    )
    assert page.all("title")[0] == {}


def test_settings_command_and_gaps_are_told(make_sweep: MakeSweep) -> None:
    html = render(make_report([make_sweep("mine", {**DEGRADING, ("plain-mlp", 2): [0.2, None, None]})], claims=False))
    assert "resnet-exp sweep --config mine.toml --out results/mine-again" in html
    assert "mine: 2 of 9 planned runs of plain-mlp are missing (depths 2, seeds 1,2)." in html
    assert "Something is missing or went wrong" in html


def test_a_whole_sweep_says_that_nothing_is_missing(html: str) -> None:
    assert "Nothing: every run that the sweeps planned is there" in html
    assert "Something is missing" not in html


def test_figures_and_claims_can_be_left_out(make_sweep: MakeSweep) -> None:
    folder = make_sweep("mine", DEGRADING)
    html = render(make_report([folder], kinds=[], claims=False))
    assert "<svg" not in html
    assert 'id="claims"' not in html
    one = render(make_report([folder], kinds=["curves"], claims=False))
    assert re.findall(r'<figure id="([^"]+)"', one) == ["figure-mine-loss-by-depth", "figure-mine-loss-curves"]


def test_a_figure_that_cannot_be_drawn_is_named(make_sweep: MakeSweep, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> Figure:
        raise UserError("too many panels.")

    monkeypatch.setattr("resnet_cli.figures.learning_curves.draw", refuse)
    report = make_report([make_sweep("mine", DEGRADING)], claims=False)
    assert report.problems == ["mine, loss-curves: too many panels."]
    assert "mine, loss-curves is not drawn: too many panels." in render(report)


def test_sweeps_are_called_by_their_place_below_the_folders(make_sweep: MakeSweep, tmp_path: Path) -> None:
    first, second = make_sweep("a/one", DEGRADING), make_sweep("b/one", DEGRADING)
    assert [sweep.name for sweep in name_sweeps([first])] == ["one"]
    assert [sweep.name for sweep in name_sweeps([tmp_path])] == ["a/one", "b/one"]
    assert [sweep.name for sweep in name_sweeps([tmp_path / "a", tmp_path / "b"])] == ["a/one", "b/one"]
    assert len({sweep.name for sweep in name_sweeps([first, second])}) == 2


def test_analyses_are_drawn_and_other_tables_are_not_read(make_sweep: MakeSweep, tmp_path: Path) -> None:
    folder = make_sweep("mine", DEGRADING)
    (folder / "analysis").mkdir()
    table = REFERENCE / "analysis-digits" / "analysis" / "paths.csv"
    (folder / "analysis" / "paths.csv").write_bytes(table.read_bytes())
    (folder / "analysis" / "other.csv").write_text("not,ours\n")
    (tmp_path / "responses.csv").write_text("broken\n")
    report = make_report([tmp_path], kinds=["analyses"], claims=False)
    assert [figure.name for part in report.sweeps for figure in part.figures] == ["figure-mine-paths"]
    assert len(report.problems) == 1
    assert "responses" in report.problems[0]


def test_a_folder_without_a_finished_run_has_no_report(make_sweep: MakeSweep) -> None:
    folder = make_sweep("mine", {("plain-mlp", 2): [None], ("plain-mlp", 3): [None]})
    with pytest.raises(UserError, match=r"mine holds no finished run, so there is nothing to report\."):
        make_report([folder])


def test_only_a_report_is_replaced(make_sweep: MakeSweep, tmp_path: Path) -> None:
    report = make_report([make_sweep("mine", DEGRADING)], kinds=[], claims=False)
    out = tmp_path / "report.html"
    assert write_report(report, out) == out.stat().st_size == write_report(report, out)
    assert out.read_bytes().startswith(START)
    out.write_text("<!doctype html>\n<p>Somebody's own.</p>\n")
    with pytest.raises(UserError, match="is a file, but no report of resnet-exp"):
        write_report(report, out)
    with pytest.raises(UserError, match="is a folder; name a file"):
        write_report(report, tmp_path)
    assert out.read_text().endswith("own.</p>\n")


@pytest.mark.slow
def test_a_thousand_runs_stay_below_five_megabytes() -> None:
    """Their table and figures; the claims are as many for a thousand runs as for one."""
    report = make_report([REFERENCE / "sine", REFERENCE / "optimiser-sine"], claims=False)
    assert len(report.table.rows) > 900
    assert len(render(report).encode()) < 4_000_000
