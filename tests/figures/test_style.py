"""The shared look leaves no trace, and a saved figure is whole, repeatable and replaces the old one only at the end."""

import subprocess
import sys
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from matplotlib.figure import Figure

from resnet_cli.figures import learning_curves, loss_by_depth
from resnet_cli.figures.style import BLUE, VERMILLION, model_styles, save
from resnet_cli.spec.errors import UserError


@pytest.mark.parametrize("suffix", [".png", ".svg"])
@pytest.mark.parametrize("figure", ["depth", "curves"])
def test_same_input_gives_the_same_bytes(
    summary: pd.DataFrame, curves: pd.DataFrame, tmp_path: Path, figure: str, suffix: str
) -> None:
    def draw() -> Figure:
        return loss_by_depth.draw(summary) if figure == "depth" else learning_curves.draw(curves)

    first, second, again = (tmp_path / f"{name}{suffix}" for name in ("first", "second", "again"))
    drawn = draw()
    save(drawn, first, dpi=50)
    save(draw(), second, dpi=50)
    save(drawn, again, dpi=50)
    assert first.read_bytes() == second.read_bytes() == again.read_bytes()


def test_dpi_sets_the_pixels_of_a_png(summary: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    save(loss_by_depth.draw(summary, size=(5, 4)), path, dpi=60)
    header = path.read_bytes()[:24]
    assert header.startswith(b"\x89PNG")
    assert (int.from_bytes(header[16:20]), int.from_bytes(header[20:24])) == (300, 240)


def test_an_old_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "new" / "figure.SVG"
    save(Figure(), path)
    path.write_text("old")
    save(Figure(), path)
    assert b"</svg>" in path.read_bytes()
    assert list(path.parent.iterdir()) == [path]


def test_the_old_file_stays_when_drawing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "figure.png"
    path.write_text("old")

    def fail(*_args: object, **_options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(MemoryError):
        save(Figure(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_temporary_file_is_left_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "figure.png"
    path.write_text("old")

    def fail(_file: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save(Figure(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_other_formats_and_resolutions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"figure\.pdf\) must end in \.png or \.svg\."):
        save(Figure(), tmp_path / "figure.pdf")
    with pytest.raises(UserError, match=r"dpi \(=0\) must be greater than 0\."):
        save(Figure(), tmp_path / "figure.png", dpi=0)


def test_rcparams_are_left_alone_and_have_no_influence(summary: pd.DataFrame, tmp_path: Path) -> None:
    save(loss_by_depth.draw(summary), tmp_path / "plain.svg")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "svg.fonttype": "none"}):
        names = set(matplotlib.rcParams) - {"backend"}  # reading the backend would choose one
        before = {name: matplotlib.rcParams[name] for name in names}
        save(loss_by_depth.draw(summary), tmp_path / "changed.svg")
        assert {name: matplotlib.rcParams[name] for name in names} == before
    assert (tmp_path / "plain.svg").read_bytes() == (tmp_path / "changed.svg").read_bytes()


def test_neither_pyplot_nor_torch_is_imported(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from resnet_cli.figures import axes, learning_curves, loss_by_depth, style
style.save(axes.new_figure((1, 1)), Path({str(tmp_path / "figure.png")!r}))
print({{"matplotlib.pyplot", "torch"}} & set(sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


@pytest.mark.parametrize("pair", [("plain-mlp", "residual-mlp"), ("plain-cnn", "resnet")])
def test_plain_is_vermillion_and_residual_blue(pair: tuple[str, str]) -> None:
    styles = model_styles(pair)
    assert [styles[model].colour for model in pair] == [VERMILLION, BLUE]


def test_models_of_one_figure_are_told_apart_in_any_order() -> None:
    models = ["resnet", "plain-mlp", "highway", "plain-cnn", "residual-mlp", "densenet", "resnext"]
    styles = model_styles(models)
    assert list(styles)[:4] == ["plain-mlp", "plain-cnn", "residual-mlp", "resnet"]
    assert len({style.colour for style in styles.values()}) == len({style.marker for style in styles.values()}) == 7
    assert model_styles(reversed(models)) == styles
