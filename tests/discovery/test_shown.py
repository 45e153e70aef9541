"""What results show in a notebook, hand to others, and draw."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import numpy as np
import pytest
import sympy
import torch

import symflow
from symflow import Coordinates, GridField, NeuralField, SymbolicField, pde
from symflow.formulas import Rows

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Nested(HTMLParser):
    """Text whose elements must be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def burgers() -> pde.Result:
    return pde.discover("burgers")


@pytest.fixture(scope="module")
def circle() -> symflow.problems.Found:
    points = torch.randn(400, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return symflow.discover(symflow.invariance(lambda z: z.square().sum(-1), points))


@pytest.fixture(params=["burgers", "circle"])
def result(request):
    return request.getfixturevalue(request.param)


def test_a_notebook_shows_the_answer_and_a_picture_of_each(result):
    html = result._repr_html_()
    seen = Nested(html).seen
    assert seen.count("li") == len(result.generators)
    assert seen.count("math") >= len(result.generators)
    assert html.count('class="panel motion"') == len(result.generators)
    assert "<script" not in html
    assert result._repr_html_() == html


def test_a_table_has_a_row_for_each_generator(result):
    columns, rows = result.table()
    assert all(len(row) == len(columns) for row in rows)
    assert [row[columns.index("formula")] for row in rows] == [g.formula for g in result.generators]
    json.dumps(rows, allow_nan=False)


def test_pandas_holds_the_same_table(result):
    pytest.importorskip("pandas", reason="pandas is not installed")
    columns, rows = result.table()
    frame = result.to_pandas()
    assert list(frame.columns) == list(columns)
    assert [list(row) for row in frame.itertuples(index=False)] == [list(row) for row in rows]


def test_generators_are_callable_on_arrays(burgers):
    points = np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    for g in burgers.generators:
        found = g(points)
        assert isinstance(found, np.ndarray)
        np.testing.assert_array_equal(found, g(torch.from_numpy(points)).numpy())
        expected = [
            [float(c.subs(dict(zip(sympy.symbols("x t u", real=True), p, strict=True)))) for c in g.sympy().values()]
            for p in points
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_closed_forms_are_sympy_and_latex(burgers):
    t = sympy.Symbol("t", real=True)
    forms = burgers.sympy()
    assert list(forms) == [g.name for g in burgers.generators]
    assert {"dx": t, "dt": 0, "du": 1} in forms.values()
    assert burgers.latex().count(r"\partial_") >= len(forms)
    assert len(burgers.latex().splitlines()) == len(forms)


def test_plots_are_axes_that_one_can_go_on_with(result):
    axes = result.plot()
    assert len(axes) == len(result.generators)
    for panel in axes:
        assert len(panel.collections) == 1  # the arrows
        panel.set_title("mine")
    _, own = matplotlib.pyplot.subplots(3, 3)
    assert result.plot(own)[0] is own.flat[0]
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize(
    "field",
    [
        SymbolicField(Coordinates(("x", "y")), [{"dx": "-y", "dy": "x"}, {"dx": "1"}]),
        NeuralField(Coordinates(("x", "t", "u"), periods=(1.0, None, None)), 2, width=8, head_width=4),
        GridField(Coordinates(("x", "y")), torch.ones(2, 4, 4, 2), (-1.0, -1.0), (1.0, 1.0)),
    ],
    ids=lambda field: type(field).__name__,
)
def test_fields_take_arrays_and_draw_themselves(field):
    d = field.coordinates.dimension
    points = np.random.default_rng(0).random((5, d)).astype(np.float32)
    with torch.no_grad():
        np.testing.assert_array_equal(field(points), field(torch.from_numpy(points)).numpy())
        ends = symflow.flow(field, points[None], np.ones((1, 2), np.float32))
    assert isinstance(ends, np.ndarray)
    assert ends.shape == (1, 5, d)
    assert len(field.plot()) == 2
    matplotlib.pyplot.close("all")


def test_arrays_of_any_memory_are_taken():
    field = SymbolicField(Coordinates(("x", "y")), [{"dx": "-y", "dy": "x"}])
    points = np.random.default_rng(0).random((6, 2))
    expected = field(points)
    for same in (points[::-1][::-1], np.asfortranarray(points), points.astype(">f8")):
        same.flags.writeable = False
        np.testing.assert_array_equal(field(same), expected)
    np.testing.assert_array_equal(field(points[::-1]), expected[::-1])


def test_trajectories_say_what_they_are_and_draw_themselves():
    data = pde.generate("ckdv", samples=2, seed=0, steps=20, keep=5, end=2.0)
    assert repr(data).startswith("<Trajectories: 2 trajectories of u_t + u*u_x + u_xxx + u/(2*(t + 1)) = 0; 5 times x ")
    assert "\n" not in repr(data)
    assert Nested(data._repr_html_()).seen.count("img") == 1
    panel = data.plot(sample=1)
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("x", "t")
    with pytest.raises(symflow.UserError, match="`sample` must be an integer from 0 to 1"):
        data.plot(sample=2)
    with pytest.raises(symflow.UserError, match="`field` must be one of u, got 'v'"):
        data.plot(field="v")
    audit = pde.audit_data(data)
    assert isinstance(audit.table(), Rows)
    assert audit.plot().get_xlabel() == "coefficient"
    Nested(audit._repr_html_())
    matplotlib.pyplot.close("all")
