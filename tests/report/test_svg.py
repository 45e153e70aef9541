"""Drawings: marks where the numbers are, text that stays text, files that stand alone, the same bytes each time."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symflow.report import figures
from symflow.report.scales import Scale
from symflow.report.svg import (
    COLOURS,
    SHAPES,
    SHEET,
    Figure,
    Plot,
    arrows,
    axes,
    band,
    line,
    pixels,
    points,
    text,
)

PLOT = Plot(Scale(0.0, 10.0), Scale(1e-4, 1.0, log=True), 100, 80)


def path(element: str) -> str:
    return ElementTree.fromstring(element).get("d")


def begins(d: str) -> np.ndarray:
    """Where the pieces of a path begin."""
    return np.array([[float(v) for v in pair] for pair in re.findall(r"M(-?[\d.]+) (-?[\d.]+)", d)])


@pytest.mark.parametrize("shape", SHAPES)
def test_every_finite_point_is_a_mark_at_its_place(shape):
    x, y = np.array([0.0, 2.5, 5.0, np.nan, 7.0]), np.array([1.0, 1e-2, 1e-4, 0.1, -1.0])  # no logarithm of -1
    expected = [[0, 0], [25, 40], [50, 80]]
    np.testing.assert_allclose(begins(path(points(PLOT, x, y, "first", shape))), expected, atol=0.05)


def test_lines_break_where_they_are_not_finite():
    d = path(line(PLOT, [0, 1, 2, 3, 4], [1.0, 0.1, np.nan, 0.1, 0.01], "first"))
    assert d == "M0 0L10 20M30 20L40 40"


def test_bands_have_their_ends_in_any_order():
    for ends in ((1e-4, 1e-2), (1e-2, 1e-4)):
        found = ElementTree.fromstring(band(PLOT, *ends, "gap"))
        assert [found.get(n) for n in ("y", "height", "width")] == ["40", "40", "100"]


def test_arrows_have_their_middles_at_the_points_and_the_direction_of_the_vectors():
    plot = Plot(Scale(0.0, 10.0), Scale(0.0, 4.0), 100, 80)
    x, y = np.array([5.0, 5.0, 5.0, 2.0]), np.array([2.0, 1.0, np.nan, 3.0])
    shafts = pixels(plot, np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1e-3, 0.0]]))
    np.testing.assert_allclose(shafts[:2], [[20, 0], [0, -20]])
    d = path(arrows(plot, x, y, shafts, "first"))
    assert re.findall(r"M[^M]*", d)[0] == "M40 40L60 40"
    assert re.findall(r"M[^M]*", d)[2] == "M50 70L50 50"
    assert d.endswith("M20 20h0")  # too short for a head


def test_what_is_far_away_is_far_away():
    d = path(points(PLOT, np.array([1e300, -1e300]), np.array([1e-300, 1.0]), "first"))
    assert len(d) < 60
    assert (begins(d)[:, 0] == [1e5, -1e5]).all()


@given(st.text(st.characters(exclude_categories=()), max_size=30))
@settings(deadline=None)
def test_any_words_are_text_in_a_file_that_can_be_read(words):
    figure = Figure([PLOT.panel(around=[text(0, 0, words), axes(PLOT, words, words, words)])])
    for content in (figure.file(words), figure.html(words)):
        root = ElementTree.fromstring(content)
        assert {e.tag.split("}")[-1] for e in root.iter()} <= {"svg", "div", "title", "style", "g", "path", "text"}
        assert root.get("role") == "img"
        printable = re.sub(r"[\ud800-\udfff\ufffe\uffff\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", words)
        if not re.search(r"\s", words):
            assert root.get("aria-label") == printable
            assert {e.text or "" for e in root.iter() if e.tag.endswith("text")} >= {printable}


ATTACKS = ["<script>alert(1)</script>", '" onload="alert(1)', "</svg><img src=x onerror=alert(1)>", "]]>&amp;&#0;"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_titles_make_no_elements_and_no_attributes(attack):
    grid = np.arange(4.0), np.arange(3.0)
    figure = figures.vectors(grid, [(attack, np.ones((3, 4, 3)))])
    for content in (figure.file(attack), str(figure.html(attack))):
        root = ElementTree.fromstring(content)
        names = {name for e in root.iter() for name in e.attrib}
        assert not [name for name in names if name.startswith("on")]
        assert not {"script", "img", "foreignObject", "a", "use"} & {e.tag.split("}")[-1] for e in root.iter()}
        assert all(e.get("href", "data:image/png").startswith("data:image/png") for e in root.iter())
        assert attack in {e.text for e in root.iter() if e.tag.endswith("text")}


def test_a_file_stands_alone_in_light_and_in_dark():
    content = Figure([PLOT.panel(text(1, 2, "a", "third"))]).file("alt")
    root = ElementTree.fromstring(content)
    style = root.findtext("{*}style")
    assert "var(" not in style
    light, _, dark = style.partition("@media (prefers-color-scheme: dark)")
    for name, pair in COLOURS.items():
        assert f".{name}{{color:{pair[0]}}}" in light
        assert f".{name}{{color:{pair[1]}}}" in dark
    assert not re.search(r"url\(|@import|http(?!://www.w3.org/2000/svg)", content)


def luminance(colour: str) -> float:
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return float(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("scheme", [0, 1])
def test_words_and_marks_can_be_told_from_paper(scheme):
    """WCAG 2.2: 4.5 to 1 for text, 3 to 1 for marks."""

    def contrast(name: str, under: str) -> float:
        a, b = sorted((luminance(COLOURS[name][scheme]), luminance(COLOURS[under][scheme])))
        return (b + 0.05) / (a + 0.05)

    for name in ("ink", "quiet", "first", "third", "fourth", "fifth", "sixth"):
        assert contrast(name, "paper") > 4.5, name
    assert contrast("second", "paper") > 3
    assert contrast("gap-ink", "gap") > 4.5
    assert contrast("first", "gap") > 3


def test_classes_of_the_sheet_are_the_colours():
    assert set(re.findall(r"\.panel \.([a-z-]+)", SHEET)) == set(COLOURS)


def test_panels_of_a_file_do_not_overlap():
    figure = Figure([Plot(PLOT.x, PLOT.y, 50 + 10 * i, 40).panel() for i in range(5)], columns=2)
    root = ElementTree.fromstring(figure.file("alt"))
    boxes = [[float(e.get(n)) for n in ("x", "y", "width", "height")] for e in root if e.get("class") == "panel"]
    assert len(boxes) == 5
    for i, (x, y, w, h) in enumerate(boxes):
        assert x + w <= float(root.get("width"))
        assert y + h <= float(root.get("height"))
        for u, v, _, _ in boxes[i + 1 :]:
            assert u >= x + w or v >= y + h or u + 1 < x + w  # beside it, or in a later row
            assert not (x <= u < x + w and y <= v < y + h)
