"""The shared look leaves no trace, and the same figure gives the same bytes."""

import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import pandas as pd
import pytest
from matplotlib.colors import rgb_to_hsv, to_rgb
from matplotlib.figure import Figure

from resnet_cli.figures import learning_curves, loss_by_depth
from resnet_cli.figures.style import BLUE, VERMILLION, by_numbers, model_styles, ordered_models, render
from resnet_cli.settings.errors import UserError


@pytest.mark.slow
@pytest.mark.parametrize(("figure", "suffix"), [("depth", ".png"), ("curves", ".svg"), ("depth", ".pdf")])
def test_same_input_gives_the_same_bytes(summary: pd.DataFrame, curves: pd.DataFrame, figure: str, suffix: str) -> None:
    def draw() -> Figure:
        return loss_by_depth.draw(summary) if figure == "depth" else learning_curves.draw(curves)

    drawn = draw()
    first, second, again = (render(each, suffix, dpi=50) for each in (drawn, draw(), drawn))
    assert first == second == again


def test_dpi_sets_the_pixels_of_a_png(summary: pd.DataFrame) -> None:
    header = render(loss_by_depth.draw(summary, size=(5, 4)), ".png", dpi=60)[:24]
    assert header.startswith(b"\x89PNG")
    assert (int.from_bytes(header[16:20]), int.from_bytes(header[20:24])) == (300, 240)


def test_an_svg_is_well_formed() -> None:
    assert render(Figure(), ".svg").endswith(b"</svg>\n")


def test_a_pdf_is_well_formed_and_undated(summary: pd.DataFrame) -> None:
    content = render(loss_by_depth.draw(summary), ".pdf")
    assert content.startswith(b"%PDF-")
    assert content.endswith(b"%%EOF\n")
    assert b"Date" not in content


def test_an_svg_describes_what_it_shows(summary: pd.DataFrame) -> None:
    root = ElementTree.fromstring(render(loss_by_depth.draw(summary, title="Deeper & worse"), ".svg"))
    name = "{http://www.w3.org/2000/svg}"
    assert root.get("role") == "img"
    assert [child.tag for child in root][:2] == [f"{name}title", f"{name}desc"]
    assert root.findtext(f"{name}title") == "Deeper & worse"
    words = root.findtext(f"{name}desc") or ""
    assert "cross-entropy (nats) against depth (weight layers)." in words
    assert "Legend: plain-cnn, resnet, training, test." in words
    assert "median of 5 seeds" in words


def test_other_formats_and_resolutions_are_rejected() -> None:
    with pytest.raises(UserError, match=r"suffix \(=\.gif\) must be \.png, \.svg or \.pdf\."):
        render(Figure(), ".gif")
    with pytest.raises(UserError, match=r"dpi \(=0\) must be greater than 0\."):
        render(Figure(), ".png", dpi=0)


def test_rcparams_are_not_changed_and_have_no_effect(summary: pd.DataFrame) -> None:
    plain = render(loss_by_depth.draw(summary), ".svg")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "svg.fonttype": "none"}):
        names = set(matplotlib.rcParams) - {"backend"}  # reading the backend would choose one
        before = {name: matplotlib.rcParams[name] for name in names}
        changed = render(loss_by_depth.draw(summary), ".svg")
        assert {name: matplotlib.rcParams[name] for name in names} == before
    assert plain == changed


@pytest.mark.slow
def test_neither_pyplot_nor_torch_is_imported() -> None:
    code = """
import sys
from resnet_cli.figures import axes, learning_curves, loss_by_depth, style
style.render(axes.new_figure((1, 1)), ".png")
print({"matplotlib.pyplot", "torch"} & set(sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


@pytest.mark.parametrize("pair", [("plain-mlp", "residual-mlp"), ("plain-cnn", "resnet")])
def test_plain_is_vermillion_and_residual_blue(pair: tuple[str, str]) -> None:
    styles = model_styles(pair)
    assert [styles[model].colour for model in pair] == [VERMILLION, BLUE]


def test_models_are_distinguishable_in_any_order() -> None:
    models = ["resnet", "plain-mlp", "highway", "plain-cnn", "residual-mlp", "densenet", "resnext"]
    styles = model_styles(models)
    assert list(styles)[:4] == ["plain-mlp", "plain-cnn", "residual-mlp", "resnet"]
    assert len({style.colour for style in styles.values()}) == len({style.marker for style in styles.values()}) == 7
    assert model_styles(reversed(models)) == styles


def test_lines_differ_in_colour_or_marker() -> None:
    styles = model_styles([f"m{index:02d}" for index in range(50)])
    assert len({style.colour for style in list(styles.values())[:14]}) == 14
    assert len({(style.colour, style.marker) for style in styles.values()}) == 50


def test_values_of_a_setting_keep_their_given_order() -> None:
    names = ["zeta", "resnet, sgd", "resnet, adam", "plain-cnn, sgd", "alpha", "resnet"]
    assert ordered_models(names) == ["plain-cnn, sgd", "resnet", "resnet, sgd", "resnet, adam", "alpha", "zeta"]


def test_texts_are_sorted_by_the_numbers_in_them() -> None:
    texts = [f"resnet, learning rate {rate}" for rate in ("10", "0.01", "1e-05", "2")]
    assert sorted(texts, key=by_numbers) == [texts[2], texts[1], texts[3], texts[0]]


def test_values_of_a_setting_are_shades_of_their_models_colour() -> None:
    values = ("sgd", "momentum", "adam")
    styles = model_styles([f"{model}, {value}" for value in values for model in ("resnet", "plain-cnn")])
    for value in values:
        assert styles[f"plain-cnn, {value}"].marker == styles[f"resnet, {value}"].marker
    for model, base in (("plain-cnn", VERMILLION), ("resnet", BLUE)):
        hues = [rgb_to_hsv(to_rgb(styles[f"{model}, {value}"].colour))[0] for value in values]
        assert hues == pytest.approx([rgb_to_hsv(to_rgb(base))[0]] * 3, abs=0.03)
    assert len({style.colour for style in styles.values()}) == 6
    assert styles["plain-cnn, sgd"].colour < styles["plain-cnn, adam"].colour, "from dark to light"


def test_plain_and_residual_keep_their_colours_beside_settings() -> None:
    styles = model_styles(["plain-cnn", "resnet, block size 1", "resnet, block size 2"])
    assert styles["plain-cnn"].colour == VERMILLION
    hue = rgb_to_hsv(to_rgb(styles["resnet, block size 2"].colour))[0]
    assert hue == pytest.approx(rgb_to_hsv(to_rgb(BLUE))[0], abs=0.03)
