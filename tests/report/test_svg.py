"""Figures inside a page: their ids, colours and words."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from resnet_cli.figures.axes import entry, finish, new_figure
from resnet_cli.figures.style import PALETTE, SHADES, look
from resnet_cli.report.svg import dark_colours, inline_svg


def figure(title: str = "Deeper is worse") -> Figure:
    """A line with dots, a legend and a note."""
    with look():
        drawn = new_figure((4, 3))
        axes = drawn.subplots()
        axes.plot(range(20), np.linspace(0.1, 1, 20), marker=".", color=PALETTE[0], label="plain")
        axes.set_yscale("log")
        axes.set(xlabel="depth", ylabel="loss")
        return finish(drawn, (title, "Loss on sine"), [entry("plain", color=PALETTE[0])], ["one seed"])


def test_titles_and_notes_leave_the_picture_and_stay_in_its_words() -> None:
    svg = inline_svg(figure(), "f1")
    assert (svg.title, svg.subtitle, svg.notes) == ("Deeper is worse", "Loss on sine", "One seed.")
    root = ElementTree.fromstring(svg.markup)
    shown = {text for element in root.iter("text") if (text := "".join(element.itertext()).strip())}
    assert {"depth", "loss", "plain"} <= shown
    assert not shown & {"Deeper is worse", "Loss on sine", "One seed."}
    assert root.findtext("title") == "Deeper is worse"
    assert root.findtext("desc") == "Deeper is worse. Loss on sine. loss against depth. Legend: plain. One seed."
    assert [root.attrib[key] for key in ("role", "aria-labelledby")] == ["img", "f1-title f1-text"]


def test_two_pictures_share_no_id_and_refer_to_their_own() -> None:
    ids = []
    for name in ("f1", "f2"):
        markup = inline_svg(figure(), name).markup
        own = re.findall(r'\bid="([^"]+)"', markup)
        assert len(own) == len(set(own))
        used = {*re.findall(r'href="#([^"]+)"', markup), *re.findall(r"url\(#([^)]+)\)", markup)}
        assert used
        assert used <= set(own)
        ids += own
    assert len(ids) == len(set(ids))


def test_the_same_figure_gives_the_same_text_without_styles() -> None:
    first, second = (inline_svg(figure(), "f1").markup for _ in range(2))
    assert first == second
    assert [word for word in ("style=", "<style", "<?xml", "xmlns", "script") if word in first] == []


def test_coordinates_stay_within_a_tenth_of_a_point() -> None:
    with look():
        drawn = Figure(figsize=(4, 3))
        axes = drawn.add_axes((0, 0, 1, 1))
        axes.plot([0, 1], [0.123, 0.789], color="#123456")
        axes.set(xlim=(0, 1), ylim=(0, 1))
    (path,) = re.findall(r'd="M([^"]+)"[^>]*stroke="#123456"', inline_svg(drawn, "f1").markup)
    numbers = list(map(float, re.findall(r"-?[\d.]+", path)))
    assert numbers == pytest.approx([0, 216 * (1 - 0.123), 288, 216 * (1 - 0.789)], abs=0.06)


def test_hostile_texts_are_escaped() -> None:
    svg = inline_svg(figure("</svg><script>alert(1)</script>"), "f1")
    assert "<script" not in svg.markup
    assert svg.title == "</svg><script>alert(1)</script>"


def luminance(colour: str) -> float:
    """By WCAG 2.2."""
    channels = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in to_rgb(colour)]
    return float(np.dot(channels, [0.2126, 0.7152, 0.0722]))


def test_dark_colours_stand_out_from_the_dark_page() -> None:
    dark = dark_colours({"#ffffff", "#000000", *map(str.lower, (*PALETTE, *SHADES))})
    page = luminance(dark["#ffffff"])
    contrast = {
        light: (luminance(colour) + 0.05) / (page + 0.05) for light, colour in dark.items() if light != "#ffffff"
    }
    assert {light: value for light, value in contrast.items() if value < 3} == {}
    assert dark["#ffffff"] == "#1d1d1d"
    assert contrast["#000000"] > 12


def test_dark_colours_keep_the_order_of_shades() -> None:
    shades = ["#602a00", "#a34700", "#d55e00", "#e8a373"]
    lights = [luminance(dark_colours({shade})[shade]) for shade in shades]
    assert lights == sorted(lights)
    assert len(set(lights)) == 4
