"""What the figures show, against flows that are known exactly."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from symflow import SymbolicField, pde
from symflow.pde.discovery.evidence import collect
from symflow.pde.discovery.result import NeuralSpan, Spectrum
from symflow.pde.scores.jets import JetScore


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
    assert set(collect(data, replace(result, rank=0, generators=[]))) == {"x", "t", "u", "shape"}


def test_evidence_is_small_and_repeatable(data, result):
    first, second = collect(data, result), collect(data, result)
    assert sum(v.numel() * v.element_size() for v in first.values()) < 4e6
    assert all(torch.equal(v.nan_to_num(), second[name].nan_to_num()) for name, v in first.items())
    assert all(v.dtype in (torch.float32, torch.int64) for v in first.values())
