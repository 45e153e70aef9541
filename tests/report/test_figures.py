"""What the figures show, read back from the drawings."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from symflow.report import figures
from symflow.vision import figures as images


def elements(figure, tag: str, colour: str | None = None) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(figure.file("alt"))
    return [e for e in root.iter() if e.tag.endswith(tag) and colour in (None, e.get("class"))]


def words(figure) -> list[str]:
    return [e.text for e in elements(figure, "text")]


def marks(figure, colour: str) -> int:
    """How many marks, drawn as dots or filled outlines, have a colour."""
    filled = [e for e in elements(figure, "path", colour) if "h0" in e.get("d") or e.get("fill") == "currentColor"]
    return sum(e.get("d").count("M") for e in filled)


VALUES = [1e-9, 2e-9, 1e-8, 1e-2, 0.1, 0.2]


@pytest.mark.parametrize("rank", range(7))
def test_a_spectrum_has_a_mark_for_every_value_and_says_how_many_are_below_the_gap(rank):
    figure = figures.spectra([("a title", VALUES, rank, 1e-6)])
    assert (marks(figure, "first"), marks(figure, "second")) == (rank, 6 - rank)
    assert (f"{rank} below the gap" in words(figure)) == (rank > 0)
    assert len(elements(figure, "rect", "gap")) == (0 < rank < 6)
    if rank == 3:
        assert "the gap: 6 orders of magnitude" in words(figure)


def test_spectra_of_nothing_of_zeros_and_of_many_are_drawn():
    figures.spectra([("none", [], 0, 1e-9), ("zeros", [0.0, 0.0], 2, 1e-12)]).file("alt")
    many = figures.spectra([("many", [1.0] * 100, 0, 1e-9)])
    assert marks(many, "second") == 40
    assert "vector field, from best to worst (40 of 100)" in words(many)


def test_angles_are_marks_between_nothing_and_a_right_angle():
    figure = figures.angles({"one against two": [0.0, 1e-9], "two against three": [np.pi / 2]})
    assert (marks(figure, "first"), marks(figure, "third")) == (2, 1)
    assert {"one against two", "two against three", "right angle"} <= set(words(figure))


@pytest.mark.parametrize(("rank", "said"), [(0, {"left out"}), (2, {"kept", "left out"}), (3, {"kept"})])
def test_learning_has_a_line_for_every_field_and_names_those_that_are_kept(rank, said):
    figure = figures.learning([1, 2, 3], np.array([[1e-2, 1e-1, 0.0]] * 3), rank)
    drawn = [e for e in elements(figure, "path") if e.get("class") in ("first", "second")]
    assert sum(e.get("class") == "first" for e in drawn) == rank
    assert len(drawn) == 3
    assert set(words(figure)) & {"kept", "left out"} == said


X, T = np.linspace(0, 9, 10), np.linspace(0, 4, 5)


def test_a_trajectory_is_shown_before_and_after_with_its_highest_point():
    t, x = np.meshgrid(T, X, indexing="ij")
    u = np.exp(-((x - 3) ** 2) - (t - 2) ** 2)
    moved = np.stack([x + 2, t, u], -1)
    figure = figures.trajectory((X, T, u), [("after", moved), ("again", moved)])
    dots = [
        re.findall(r"M([\d.]+) ([\d.]+)", e.get("d"))[0] for e in elements(figure, "path", "mark") if "h0" in e.get("d")
    ]
    width = figures.SPACE_TIME[0]
    assert [float(a) for a, _ in dots] == pytest.approx([3 / 11 * width, 5 / 11 * width, 5 / 11 * width], abs=0.06)
    assert {"before", "after", "again", "u"} <= set(words(figure))


def test_a_periodic_trajectory_comes_back_on_the_other_side():
    """Moved by one period and a half, or by a half: the same picture."""
    t, x = np.meshgrid(T, X, indexing="ij")
    u = np.sin(2 * np.pi * x / 10)
    panels = [
        figures.trajectory((X, T, u), [("after", np.stack([x + s, t, u], -1))], (10.0, None)) for s in (5.0, 15.0, -5.0)
    ]
    assert len({elements(figure, "image")[1].get("href") for figure in panels}) == 1


def test_trajectories_that_went_nowhere_are_drawn():
    for periods in itertools.product((None, 10.0), (None, 5.0)):
        figures.trajectory((X, T, np.zeros((5, 10))), [("after", np.full((5, 10, 3), np.nan))], periods).file("alt")


def test_a_map_comes_back_on_all_sides_and_names_its_axes():
    """Moved by whole periods, by half of them either way, along either axis: the same picture."""
    y, x = np.meshgrid(T, X, indexing="ij")
    v = np.sin(2 * np.pi * (x / 10 + 2 * y / 5))
    drawn = [
        figures.trajectory((X, T, v), [("after", np.stack([x + a, y + b, v], -1))], (10.0, 5.0), names=("x", "y", "v"))
        for a, b in ((5.0, 2.5), (-5.0, 2.5), (15.0, -7.5))
    ]
    assert len({elements(figure, "image")[1].get("href") for figure in drawn}) == 1
    assert {"x", "y", "v"} <= set(words(drawn[0]))
    assert not [e for e in elements(drawn[0], "path", "on-map") if "stroke-dasharray" in e.attrib]


def test_only_open_sides_have_a_frame():
    t, x = np.meshgrid(T, X, indexing="ij")
    u = np.sin(x)
    for periods, sides in (((None, None), 4), ((10.0, None), 1), ((10.0, 5.0), 0)):
        figure = figures.trajectory((X, T, u), [("after", np.stack([x, t + 1.0, u], -1))], periods)
        assert len([e for e in elements(figure, "path", "on-map") if e.get("stroke-dasharray") == "4 4"]) == sides


def test_vectors_have_arrows_on_one_scale_and_a_bar_only_where_u_changes():
    field = np.zeros((5, 10, 3))
    field[..., 0] = 1.0
    still = figures.vectors((X, T), [("a", field), ("b", field * 2)])
    assert "change of u" not in words(still)
    first, second = (
        re.findall(r"M([\d.-]+) [\d.-]+L([\d.-]+)", e.get("d"))[0] for e in elements(still, "path", "on-map")
    )
    lengths = [float(b) - float(a) for a, b in (first, second)]
    assert lengths == pytest.approx([figures.LONGEST_ARROW, 2 * figures.LONGEST_ARROW], abs=0.15)
    field[..., 2] = 1.0
    assert words(figures.vectors((X, T), [("a", field), ("b", field)])).count("change of u") == 1


def test_a_spoiled_residual_counts_as_the_largest():
    drawn = [
        elements(figures.residuals((X, T), [("one", np.full((5, 10), value))]), "image")[0].get("href")
        for value in (1.0, np.nan, np.inf, 7.0)
    ]
    assert len(set(drawn)) == 1


def test_planes_have_an_arrow_for_every_point():
    places = np.stack(np.meshgrid(np.linspace(0, 1, 4), np.linspace(-2, 2, 3)), -1).reshape(-1, 2)
    figure = figures.planes([("a", ("p", "q"), places, np.ones((12, 2))), ("b", ("q", "r"), places, 0 * places)])
    first, second = (e.get("d") for e in elements(figure, "path", "first"))
    assert len(re.findall(r"M[^M]*L[^M]*L", first)) == 12  # heads
    assert second.count("h0") == 12  # dots: nothing moves
    assert {"p", "q", "r"} <= set(words(figure))


def test_images_are_in_rows_and_the_one_that_stayed_is_framed():
    pictures = np.random.default_rng(0).random((2, 3, 3, 4, 5))
    figure = images.image_rows(pictures, [-0.5, 0.0, 0.5], ["V₁ rotation", "<b>"])
    assert len(elements(figure, "image")) == 6
    assert len(elements(figure, "rect", "third")) == 2
    assert {"−0.5", "the image", "+0.5", "V₁ rotation", "<b>"} <= set(words(figure))


def test_tables_of_products_say_what_is_not_small():
    own = np.array([[1.0, -0.5], [0.04, 1.0]])
    figure = images.products(own, np.zeros((2, 6)), list("abcdef"), np.ones((4, 4)))
    assert [e.text for e in elements(figure, "text", "on-map")] == ["1.0", "−.5", "1.0"]


def test_controls_have_a_series_and_a_name_each():
    series = {"found": [0.9, 0.8], "no <score>": [0.5, 0.4, 0.3]}
    figure = images.beside_controls([("affine-ness", series), ("λ", {"found": [0.1, 0.2]})], 2)
    assert marks(figure, "first") == 2 + 2 + 1  # two plots and the key
    assert {"found", "no <score>", "affine-ness", "λ"} <= set(words(figure))


def test_fields_of_pixels_are_panels_of_their_own():
    values = np.ones((7, 6, 5, 2))
    figure = images.vector_fields(values, [(f"V{k}", "λ = 1") for k in range(7)])
    assert len(figure.panels) == 7
    assert all(e.get("d").count("M") == 2 * 30 for e in elements(figure, "path", "first"))  # shafts and heads


def test_the_same_numbers_give_the_same_bytes():
    field = np.random.default_rng(0).normal(size=(5, 10, 3))
    first, second = (figures.vectors((X, T), [("a", field)]) for _ in range(2))
    assert first.file("alt") == second.file("alt")
    assert first.html("alt") == second.html("alt")
