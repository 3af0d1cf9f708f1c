"""Figures as SVG inside a page: small, with ids of their own, and with colours that a dark page can replace."""

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

import matplotlib
import numpy as np
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from resnet_cli.figures.style import alternative_text, look

FONTS = "'DejaVu Sans', Verdana, Geneva, sans-serif"
"""Fonts of the widths with which matplotlib lays out its texts; one of them is on nearly every machine."""

PIXELS_PER_POINT = 4 / 3
_STYLES_OF_TEXT = ("font-family",)
_NUMBER = re.compile(r"-?\d+\.\d+")
_REFERENCE = re.compile(r"(?:url\()?#([^)]+)\)?")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_INHERITED = ("fill", "stroke", "font", "text-anchor")
"""Properties that the children of an element inherit begin with these words."""


@dataclass(frozen=True)
class InlineSvg:
    """An `<svg>` element, and what its figure says in words: its title, its subtitle and the notes of its legend.

    These are not in the picture, so that they wrap on a narrow page. `colours` are all that the picture contains;
    its `height` is in pixels.
    """

    markup: str
    title: str
    subtitle: str
    notes: str
    colours: frozenset[str]
    height: float


def inline_svg(figure: Figure, name: str) -> InlineSvg:
    """A figure as an `<svg>` element whose ids begin with `name`, best a short one; without its titles and notes.

    The same figure gives the same text.
    """
    title, description = alternative_text(figure)
    subtitle, notes = _take_words(figure)
    root = _rendered(figure)
    _drop(root, ["metadata", "style"])
    _spread_styles(root)
    _shorten_numbers(root)
    _rename_ids(root, name)
    _flatten(root)
    width, height = (PIXELS_PER_POINT * float(side) for side in root.attrib["viewBox"].split()[2:])
    view = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib |= {
        "viewBox": view,
        "width": f"{width:.0f}",
        "height": f"{height:.0f}",
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-text",
    }
    for tag, text in (("desc", description), ("title", title)):
        words = ElementTree.Element(tag, id=f"{name}-{'title' if tag == 'title' else 'text'}")
        words.text = text
        root.insert(0, words)
    markup = ElementTree.tostring(root, encoding="unicode")
    return InlineSvg(markup, title, subtitle, notes, frozenset(_COLOUR.findall(markup)), height)


def _take_words(figure: Figure) -> tuple[str, str]:
    """Take title, subtitle and notes out of a figure; the layout gives the place to its axes."""
    figure.suptitle("")
    others = [text for text in figure.texts if text.get_text()]
    subtitle = " ".join(" ".join(text.get_text().split()) for text in others)
    for text in others:
        text.remove()
    notes = []
    for legend in figure.legends:
        notes.append(" ".join(legend.get_title().get_text().split()))
        legend.set_title("")
    return subtitle, " ".join(filter(None, notes))


def _rendered(figure: Figure) -> ElementTree.Element:
    """The root of the figure's SVG, its names without namespaces."""
    content = io.BytesIO()
    with look(), matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(content.getvalue())
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for key in list(element.attrib):
            element.attrib[key.rpartition("}")[2]] = element.attrib.pop(key)
    return root


def _drop(root: ElementTree.Element, tags: Iterable[str]) -> None:
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in tags]:
            parent.remove(child)


def _spread_styles(root: ElementTree.Element) -> None:
    """`style="fill: none"` as `fill="none"`: shorter, and a rule of the page's style sheet takes precedence."""
    for element in root.iter():
        for declaration in filter(None, element.attrib.pop("style", "").split(";")):
            name, _, value = declaration.partition(":")
            if name.strip() not in _STYLES_OF_TEXT:
                element.set(name.strip(), value.strip())


def _shorten_numbers(root: ElementTree.Element) -> None:
    """Coordinates to a tenth of a point, and no rotation by nothing."""
    for element in root.iter():
        for key in ("d", "x", "y", "transform", "width", "height", "stroke-dasharray"):
            if key in element.attrib:
                element.set(key, " ".join(_NUMBER.sub(_tenth, element.attrib[key]).split()))
        if "d" in element.attrib:
            element.set("d", re.sub(r" ?([A-Za-z]) ?", r"\1", element.attrib["d"]))
        if re.match(r"rotate\(-?0 ", element.get("transform", "")):
            del element.attrib["transform"]
        if element.get("stroke-dashoffset") == "0":
            del element.attrib["stroke-dashoffset"]


def _tenth(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")


def _rename_ids(root: ElementTree.Element, name: str) -> None:
    """Keep only the ids that something refers to, as `name-1`, `name-2`, …."""
    used: dict[str, str] = {}
    for element in root.iter():
        for key, value in element.attrib.items():
            if key != "id" and (found := _REFERENCE.fullmatch(value)) and not _COLOUR.fullmatch(value):
                new = used.setdefault(found[1], f"{name}-{len(used) + 1}")
                element.set(key, value.replace(f"#{found[1]}", f"#{new}"))
    for element in root.iter():
        if "id" in element.attrib:
            old = element.attrib.pop("id")
            if old in used:
                element.set("id", used[old])


def _flatten(parent: ElementTree.Element) -> None:
    """Without groups that say nothing; what all children of a group say is said once."""
    children: list[ElementTree.Element] = []
    for child in parent:
        _flatten(child)
        child.tail = None
        if child.tag == "g" and not child.attrib:
            children += child
        elif len(child) or child.attrib or (child.text or "").strip():
            children.append(child)
    if parent.tag != "text":
        parent.text = None if not (parent.text or "").strip() else parent.text
    parent[:] = list(_hoisted(children)) if parent.tag in ("g", "svg") else children


def _hoisted(children: list[ElementTree.Element]) -> Iterator[ElementTree.Element]:
    """Neighbours of the same look as one group with that look."""
    start = 0
    while start < len(children):
        looks = _look_of(children[start])
        end = start + 1
        while end < len(children) and looks and _look_of(children[end]) == looks:
            end += 1
        if end - start < 3:
            yield children[start]
            start += 1
            continue
        group = ElementTree.Element("g", looks)
        for child in children[start:end]:
            for key in looks:
                del child.attrib[key]
        group[:] = children[start:end]
        yield group
        start = end


def _look_of(element: ElementTree.Element) -> dict[str, str]:
    """The properties of an element that it could as well inherit."""
    return {key: value for key, value in element.attrib.items() if key.startswith(_INHERITED)}


def dark_colours(colours: Iterable[str]) -> Mapping[str, str]:
    """What stands for each colour of a figure on a dark page, each as `#rrggbb`.

    Greys change places: white becomes the colour of the page, black nearly white. Other colours become lighter, the
    dark ones more than the light ones, so that their order by lightness stays and the darkest is still told from the
    page. Lightness is that of CIELAB.
    """
    return {colour: _dark(colour) for colour in sorted(colours)}


PAGE_LIGHTNESS, INK_LIGHTNESS, LEAST_LIGHTNESS = 11.0, 92.0, 52.0
"""On the dark page, from 0 to 100: of the page behind figures, of what is black on white, of the darkest colour."""


def _dark(colour: str) -> str:
    lightness, a, b = _to_lab(np.array(to_rgb(colour)))
    if abs(a) < 2 and abs(b) < 2:
        lightness = INK_LIGHTNESS + (PAGE_LIGHTNESS - INK_LIGHTNESS) * (lightness / 100) ** 1.3  # grey stays visible
    else:
        lightness = LEAST_LIGHTNESS + (100 - LEAST_LIGHTNESS) * lightness / 100
    return to_hex(np.clip(_from_lab(np.array([lightness, a, b])), 0, 1))


_XYZ_OF_RGB = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
"""Of linear sRGB, by IEC 61966-2-1, with white (D65) as the sum of its columns."""
_WHITE = _XYZ_OF_RGB.sum(axis=1)
_KNEE = 6 / 29


def _to_lab(rgb: np.ndarray) -> np.ndarray:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    share = _XYZ_OF_RGB @ linear / _WHITE
    x, y, z = np.where(share > _KNEE**3, np.cbrt(share), share / (3 * _KNEE**2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def _from_lab(lab: np.ndarray) -> np.ndarray:
    y = (lab[0] + 16) / 116
    scaled = np.array([y + lab[1] / 500, y, y - lab[2] / 200])
    share = np.where(scaled > _KNEE, scaled**3, 3 * _KNEE**2 * (scaled - 4 / 29))
    linear = np.clip(np.linalg.solve(_XYZ_OF_RGB, share * _WHITE), 0, 1)
    rgb: np.ndarray = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb
