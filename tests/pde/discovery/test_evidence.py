"""What the figures show, against flows that are known exactly."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from symflow import SymbolicField, pde
from symflow.pde.discovery.evidence import collect
from symflow.pde.discovery.result import NeuralSpan, Spectrum
from symflow.pde.discovery.views import chosen, planes, standard
from symflow.pde.scores import jets_of, points_of
from symflow.pde.scores.jets import JetScore
from symflow.pde.trajectories import Axis, data_coordinates


def waves(samples: int, times: int, places: int) -> pde.Trajectories:
    """Smooth periodic data of too few times for anybody to ask whether they solve an equation."""
    generator = torch.Generator().manual_seed(1)
    x = torch.arange(places, dtype=torch.float64) * (10.0 / places)
    t = 1.0 + 0.25 * torch.arange(times, dtype=torch.float64)
    phase = 2 * math.pi * torch.rand(samples, times, 1, generator=generator, dtype=torch.float64)
    theta = 2 * math.pi * x / 10.0
    u = 0.3 * torch.sin(theta + phase) + 0.2 * torch.cos(2 * theta - phase)
    return pde.Trajectories(pde.Equation("u_t + u*u_x + u_xxx = 0"), x, t, u)


@pytest.fixture(scope="module")
def data():
    return waves(3, 7, 128)


@pytest.fixture(scope="module")
def result(data):
    """KdV on the plane: dx, dt, t dx + du, x dx + 3 t dt - 2 u du."""
    found = pde.discover(data, domain="plane", network="none")
    assert [g.formula for g in found.generators] == ["dx", "dt", "t dx + du", "x dx + 3*t dt - 2*u du"]
    return found


def test_the_trajectory_is_the_first_one(data, result):
    e = collect(data, result)
    torch.testing.assert_close(e["u"], data.u[0, :, :: len(data.x) // len(e["x"])].float())
    assert e["shape"].tolist() == list(data.u.shape)


def test_moved_points_are_those_of_the_exact_flows(data, result):
    e = collect(data, result)
    T, X = torch.meshgrid(e["t"].double(), e["x"].double(), indexing="ij")
    u, one = e["u"].double(), torch.ones_like(X)
    exact = [
        lambda a: (X + a, T, u),
        lambda a: (X, T + a, u),
        lambda a: (X + a * T, T, u + a),
        lambda a: (X * math.exp(a), T * math.exp(3 * a), u * math.exp(-2 * a)),
    ]
    for k, ends in enumerate(exact):
        expected = torch.stack([one * end for end in ends(float(e["length"][k]))], -1)
        torch.testing.assert_close(e["moved"][k].double(), expected, rtol=1e-5, atol=1e-6)  # kept in float32


def test_fields_are_physical(data, result):
    e = collect(data, result)
    T, X = torch.meshgrid(e["t"], e["x"], indexing="ij")
    zero, one = torch.zeros_like(X), torch.ones_like(X)
    torch.testing.assert_close(e["field"][2], torch.stack([T, zero, one], -1))
    torch.testing.assert_close(e["field"][3], torch.stack([X, 3 * T, -2 * e["u"]], -1))


def test_generators_keep_the_equation_and_their_controls_do_not(data, result):
    e = collect(data, result)
    assert float(e["residual.before"].max()) < 1e-14
    assert float(e["residual.after"].max()) < 1e-6  # the steps of the flow, largest for the scaling
    # at some points a control may be harmless; a blown-up one is not finite
    broken = e["residual.control"].nan_to_num(nan=1.0)
    assert float(broken.square().mean((1, 2)).sqrt().min()) > 0.05


def test_the_flow_has_the_length_of_the_score(data, result):
    e = collect(data, result)
    normalised = result.coordinates.vectors_to_normalised(e["field"].double())
    size = normalised.square().sum(-1).mean((1, 2)).sqrt() * e["length"]
    torch.testing.assert_close(size, torch.full_like(size, JetScore.length), rtol=1e-5, atol=0.0)  # float32


def test_a_learned_span_is_compared_in_the_basis_of_the_closed_forms(data, result):
    """Another basis of the same span: aligned, it is the exact one."""
    mixed = [
        {"dx": "1 + t", "dt": "2", "du": "1"},
        {"dx": "3 - t", "dt": "-1", "du": "-1"},
        {"dx": "x", "dt": "3*t + 1", "du": "-2*u"},
        {"dx": "x + t", "dt": "3*t", "du": "1 - 2*u"},
    ]
    span = NeuralSpan(Spectrum([0.0], 1, 1e-5), [], [], [], field=SymbolicField(result.coordinates, mixed))
    e = collect(data, replace(result, neural=span))
    assert float(e["learned.difference"].max()) < 1e-6
    torch.testing.assert_close(e["learned.field"], e["field"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(e["learned.moved"], e["moved"], rtol=1e-5, atol=1e-5)


def test_a_direction_the_network_lacks_shows(data, result):
    span = NeuralSpan(Spectrum([0.0], 1, 1e-5), [], [], [], field=SymbolicField(result.coordinates, [{"dx": "1"}]))
    difference = collect(data, replace(result, neural=span))["learned.difference"]
    assert float(difference[0]) < 1e-6
    assert float(difference[1]) == pytest.approx(1.0, abs=1e-6)  # d/dt is orthogonal to d/dx


def test_an_equation_alone_has_fields_and_no_trajectory():
    found = pde.discover("u_t + u*u_x = 0.1*u_xx", domain="plane", network="none")
    e = collect(None, found)
    assert set(e) == {"x", "t", "u", "field"}
    assert bool((e["u"] == 1.0).all())
    assert e["field"].shape == (5, len(e["t"]), len(e["x"]), 3)


def test_without_generators_the_grid_is_left(data, result):
    assert set(collect(data, replace(result, rank=0, generators=[]))) == {"x", "t", "u", "at", "shape"}


def test_evidence_is_small_and_repeatable(data, result):
    first, second = collect(data, result), collect(data, result)
    assert sum(v.numel() * v.element_size() for v in first.values()) < 4e6
    assert all(torch.equal(v.nan_to_num(), second[name].nan_to_num()) for name, v in first.items())
    assert all(v.dtype in (torch.float32, torch.int64) for v in first.values())


# ---- in a box: a plane wave, u = cos(x + 2 y - sqrt(5) t + 0.3), which is moved exactly -----------------------------

TURN = 2 * math.pi


def plane_wave(x, y, t):
    return torch.cos(x + 2 * y - math.sqrt(5) * t + 0.3)


@pytest.fixture(scope="module")
def box():
    x, y = (torch.arange(n, dtype=torch.float64) * (TURN / n) for n in (24, 20))
    t = torch.linspace(1, 3, 31, dtype=torch.float64)
    T, X, Y = torch.meshgrid(t, x, y, indexing="ij")
    axes = (Axis("x", x, TURN), Axis("y", y, TURN))
    return pde.Trajectories(pde.Equation("u_tt = u_xx + u_yy"), x, t, plane_wave(X, Y, T)[None], axes=axes)


@pytest.fixture(scope="module")
def in_box(box):
    found = pde.discover(box, domain="plane", network="none", trust=True)
    return found, collect(box, found)


def seen(found, e, formula: str) -> tuple[list[str], dict[str, torch.Tensor]]:
    """The axes and the unknown on which a generator is shown, and its own arrays there."""
    k = [g.formula for g in found.generators].index(formula)
    n = int(e["shown"][k])
    names = [found.coordinates.names[i] for i in e["views"][n].tolist()]
    place = int((e["shown"][:k] == n).sum())
    start = f"{n}." if n else ""
    own = {name: e[f"{start}{name}"][place].double() for name in ("moved", "moved.at", "length", "field")}
    return names, own | {name: e[f"{start}{name}"].double() for name in ("x", "t", "u", "at")}


def turned(a, v, w):
    return v * math.cos(a) - w * math.sin(a), v * math.sin(a) + w * math.cos(a)


def boosted(a, v, w):
    return v * math.cosh(a) - w * math.sinh(a), w * math.cosh(a) - v * math.sinh(a)


SEEN = [  # the axes, and where a moved point came from
    ("dx", ["x", "y"], lambda a, x, y, t: (x - a, y, t)),
    ("dy", ["x", "y"], lambda a, x, y, t: (x, y - a, t)),
    ("dt", ["x", "t"], lambda a, x, y, t: (x, y, t - a)),
    ("u du", ["x", "y"], lambda a, x, y, t: (x, y, t)),
    ("y dx - x dy", ["x", "y"], lambda a, x, y, t: (*turned(a, x, y), t)),
    ("t dx + x dt", ["x", "t"], lambda a, x, y, t: (boosted(a, x, t)[0], y, boosted(a, x, t)[1])),
    ("t dy + y dt", ["y", "t"], lambda a, x, y, t: (x, *boosted(a, y, t))),
    ("x dx + y dy + t dt", ["y", "t"], lambda a, x, y, t: (x * math.exp(-a), y * math.exp(-a), t * math.exp(-a))),
]


@pytest.mark.parametrize(("formula", "axes", "origin"), SEEN)
def test_a_moved_plane_wave_is_that_of_the_exact_flow(box, in_box, formula, axes, origin):
    """On the axes that a generator moves most, and where the moved plane lies: ``u'(p') = u(p)``."""
    found, e = in_box
    names, own = seen(found, e, formula)
    assert names == [*axes, "u"]
    hidden = next(n for n in ("x", "y", "t") if n not in axes)
    at = float(own["moved.at"][found.coordinates.names.index(hidden)])
    points = dict(zip(names, own["moved"].unbind(-1), strict=True)) | {hidden: torch.tensor(at, dtype=torch.float64)}
    a = float(own["length"])
    before = plane_wave(*origin(a, points["x"], points["y"], points["t"]))
    expected = math.exp(a) * before if formula == "u du" else before
    torch.testing.assert_close(points["u"], expected, rtol=0.0, atol=2e-5)  # kept in float32
    place = dict(zip(found.coordinates.names, own["at"].tolist(), strict=True))
    nodes = {"t": box.t} | {axis.name: axis.nodes for axis in box.axes}
    assert place[hidden] == pytest.approx(float(nodes[hidden][len(nodes[hidden]) // 2]), rel=1e-6)
    assert all(math.isnan(place[name]) for name in names)


def test_what_tears_every_plane_apart_is_not_shown_moved(in_box):
    """The special conformal transformation along x: y becomes another y at every x."""
    found, e = in_box
    formula = next(g.formula for g in found.generators if g.formula.endswith("2*t*x dt - u*x du"))
    _, own = seen(found, e, formula)
    assert bool(own["moved"].isnan().all())
    assert bool(own["moved.at"].isnan().all())
    assert bool(own["field"].isfinite().all())


def test_each_unknown_is_shown_by_what_changes_it():
    """Two unknowns on a line, turned into each other and stretched by themselves."""
    x, t = torch.arange(32, dtype=torch.float64) * (TURN / 32), torch.linspace(0, 1, 21, dtype=torch.float64)
    u = torch.stack([torch.sin(x) * torch.exp(-t[:, None]), torch.cos(2 * x) * torch.exp(-4 * t[:, None])], -1)
    equation = pde.Equation("u_t = u_xx; v_t = v_xx")
    data = pde.Trajectories(equation, x, t, u[None], fields=("u", "v"), axes=(Axis("x", x, TURN),))
    points = points_of(jets_of(data, 500, 0, ()), data_coordinates(data, periodic=False))
    forms = [{"dx": "1"}, {"du": "u"}, {"dv": "v"}, {"du": "v", "dv": "3*u"}, {"dt": "2*t", "dx": "x", "dv": "v"}]
    field = SymbolicField(data_coordinates(data, periodic=False), forms)
    views = chosen(field, points, equation.space, planes(data))
    assert [(v.columns, v.rows, v.unknown) for v in views] == [("x", "t", name) for name in "uuvvv"]


def test_orbits_have_no_plane():
    t = torch.linspace(0, 3, 31, dtype=torch.float64)
    orbit = torch.stack([t.cos(), -t.sin()], -1)[None]
    spring = pde.Equation("u_t - v = 0; v_t + u = 0")
    data = pde.Trajectories(spring, torch.zeros(0), t, orbit, fields=("u", "v"), axes=())
    assert planes(data) == []
    assert standard(data) is None
