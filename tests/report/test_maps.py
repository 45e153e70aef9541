"""Colour maps: numbers where they belong, order that shows in grey, nothing where nothing is."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from symflow.report import maps
from symflow.report.maps import CHANGES, RESIDUALS, VALUES, Colours, deformed, photograph, rasterise, regular
from symflow.report.scales import Scale
from symflow.report.svg import Plot

UNIT = Scale(0.0, 1.0)


def decoded(element: str) -> np.ndarray:
    """The red, green, blue and opacity of the only image in an element."""
    (data,) = re.findall(r'href="data:image/png;base64,([^"]*)"', element)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA"))


def rectangle(element: str) -> list[float]:
    return [float(re.search(rf' {name}="([^"]*)"', element)[1]) for name in ("x", "y", "width", "height")]


def lightness(rgb: np.ndarray) -> np.ndarray:
    """L* of CIELAB, from sRGB bytes (CIE 15, IEC 61966-2-1)."""
    c = rgb[..., :3] / 255
    y = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
    return np.where(y > (6 / 29) ** 3, 116 * np.cbrt(y) - 16, y * (29 / 3) ** 3)


def shown(anchors, values) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(Colours(UNIT, anchors).png(np.atleast_2d(values)))).convert("RGBA"))


@pytest.mark.parametrize("anchors", [VALUES, RESIDUALS])
def test_more_is_lighter_by_even_steps(anchors):
    """So that order shows without telling hues apart, on paper without colour too."""
    L = lightness(shown(anchors, np.linspace(0, 1, 11))[0])
    steps = np.diff(L)
    assert steps.min() > 0.4 * steps.mean()
    assert L[-1] - L[0] > 70


def test_changes_are_even_about_nothing():
    L = lightness(shown(CHANGES, np.linspace(0, 1, 11))[0])
    np.testing.assert_allclose(L, L[::-1], atol=4)
    assert L[5] == max(L) > 95
    low, high = shown(CHANGES, [0.0, 1.0])[0, :, :3].astype(int)
    assert low[2] - low[0] > 80  # blue
    assert high[0] - high[2] > 80  # orange: not red against green
    assert L.min() > 55  # black arrows lie on it


def test_what_is_not_finite_is_not_drawn_and_what_is_off_the_scale_is_at_its_end():
    pixels = shown(VALUES, [np.nan, np.inf, -3.0, 0.0, 1.0, 7.0])[0]
    assert pixels[:, 3].tolist() == [0, 0, 255, 255, 255, 255]
    assert (pixels[2] == pixels[3]).all()
    assert (pixels[4] == pixels[5]).all()
    assert (pixels[3] != pixels[4]).any()


def test_a_linear_function_is_itself_on_any_grid():
    """Triangles interpolate linearly: an affine function of the place comes back, whatever the grid."""
    rng = np.random.default_rng(0)
    row, column = np.meshgrid(np.linspace(-5, 45, 12), np.linspace(-5, 65, 15), indexing="ij")
    x, y = column + rng.uniform(-1, 1, row.shape) + 0.3 * row, row + rng.uniform(-1, 1, row.shape)
    drawn = rasterise(x, y, 2.0 * x - y + 3.0, (40, 60))
    at_y, at_x = np.meshgrid(np.arange(40) + 0.5, np.arange(60) + 0.5, indexing="ij")
    covered = np.isfinite(drawn)
    np.testing.assert_allclose(drawn[covered], (2.0 * at_x - at_y + 3.0)[covered], atol=1e-9)
    assert covered[:, 20:].all()  # no seams between triangles; the slant leaves the lower left corner out


def test_a_cell_with_a_corner_that_is_not_finite_is_empty():
    y, x = np.meshgrid(np.arange(5) * 10.0, np.arange(5) * 10.0, indexing="ij")
    for broken in (np.nan, np.inf, -np.inf):
        for place in range(3):
            grid = np.stack([x, y, x], -1)
            grid[1, 2, place] = broken
            drawn = rasterise(*np.moveaxis(grid, -1, 0), (40, 40))
            expected = np.ones((40, 40), bool)
            expected[0:20, 10:30] = False
            assert (np.isfinite(drawn) == expected).all()


def test_wild_points_are_drawn_in_bounded_time(monkeypatch):
    rng = np.random.default_rng(1)
    wild = rng.standard_cauchy((3, 40, 40)) * 100
    tested = []
    monkeypatch.setattr(maps, "_fill", lambda shown, triangles, low, size: tested.append(size.prod(-1).sum()))
    assert rasterise(*wild, (60, 80)).shape == (60, 80)
    assert 0 < sum(tested) <= maps.LAYERS * 60 * 80
    monkeypatch.undo()
    assert np.isfinite(rasterise(*wild, (60, 80))).any()
    assert not np.isfinite(rasterise(*np.zeros((3, 4, 4)), (6, 8))).any()  # a grid without area
    rasterise(np.full((4, 4), 1e300), np.eye(4) * -1e300, np.ones((4, 4)), (6, 8))


def test_the_last_copy_lies_on_top():
    plot = Plot(UNIT, UNIT, 20, 10)
    y, x = np.meshgrid([0.0, 1.0], [0.0, 1.0], indexing="ij")
    under, over = np.stack([x, y, 0 * x], -1), np.stack([x / 2, y, 0 * x + 1], -1)
    pixels = decoded(deformed(plot, [under, over], Colours(UNIT, VALUES)))
    left, right = pixels[:, : pixels.shape[1] // 2], pixels[:, pixels.shape[1] // 2 :]
    ends = shown(VALUES, [0.0, 1.0])[0]
    assert (left == ends[1]).all()
    assert (right == ends[0]).all()


def test_samples_of_a_regular_grid_are_at_their_places():
    """The middle of pixel (i, j) is the place of sample (i, j); t points up, rows of pictures down."""
    plot = Plot(Scale(0.0, 4.0), Scale(0.0, 2.0), 400, 200)
    values = np.array([[0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    element = regular(plot, np.array([0.5, 1.5, 2.5, 3.5]), np.array([0.5, 1.5]), values, Colours(UNIT, VALUES))
    assert rectangle(element) == [0, 0, 400, 200]
    pixels = decoded(element)
    assert pixels.shape[:2] == (2, 4)
    assert (pixels[0, 0] == shown(VALUES, 1.0)[0, 0]).all()
    assert (pixels[1:] == shown(VALUES, 0.0)[0, 0]).all()


def test_photographs_keep_their_pixels():
    picture = np.array([[[0.0, 0.5, 1.0], [2.0, -1.0, 0.2]]])
    assert decoded(photograph(picture, 0, 0, 10, 5))[0, :, :3].tolist() == [[0, 128, 255], [255, 0, 51]]
    assert decoded(photograph(np.array([[0.0, 1.0]]), 0, 0, 10, 5))[0, :, 0].tolist() == [0, 255]
