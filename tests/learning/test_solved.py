"""Spans over random features, against the isometries of the plane, a cylinder, space and the hyperbolic plane."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from symflow import Coordinates, NeuralField, flow
from symflow.algebra import subspace_angles
from symflow.fields import Series, SymbolicField, total_degree
from symflow.fields.neural import embed
from symflow.learning import Condition, Eigenfields, Family, compare, random_layer, solve, span_field, with_constant
from symflow.learning.solved import RandomLayer
from symflow.ops import flow_ref

PLANE = Coordinates(("x", "y"))
CYLINDER = Coordinates(("x", "y"), periods=(1.0, None))


def points(count: int, d: int = 2, seed: int = 0) -> Tensor:
    return torch.rand(count, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def killing(layer: RandomLayer, at: Tensor, curved: bool = False) -> Condition:
    """``V^k d_k g_ij + g_kj d_i V^k + g_ik d_j V^k`` with ``g = 1`` or ``1/(y + 1/2)^2``, times its inverse."""
    n, d = at.shape
    lines = torch.cat([at[None], torch.eye(d, dtype=at.dtype)[:, None].expand(d, n, d)])
    truncation = total_degree(1, d)
    order = [(0,) * d, *(tuple(int(i == j) for j in range(d)) for i in range(d))]
    lines = lines[[order.index(m) for m in truncation.monomials]]
    features = layer.field.features(Series(truncation, lines))
    value = with_constant(features[order[0]][:, 0])
    slopes = [with_constant(features[m][:, 0], 0.0) for m in order[1:]]
    rows = []
    for i in range(d):
        for j in range(i, d):
            row = torch.zeros(n, d, value.shape[1], dtype=at.dtype)
            row[:, j] += slopes[i]
            row[:, i] += slopes[j]
            if curved and i == j:
                row[:, d - 1] -= 2 / (at[:, -1:] + 0.5) * value
            rows.append(row)
    return Condition(torch.cat(rows), value)


def solved(coordinates: Coordinates, count: int = 80, curved: bool = False) -> tuple[RandomLayer, Tensor, Tensor]:
    d = coordinates.dimension
    layer = random_layer(coordinates, points(500, d), seed=3, count=count)
    span = solve(killing(layer, points(800, d), curved), killing(layer, points(600, d, seed=1), curved))
    return layer, span.values, span.coefficients


@pytest.mark.parametrize(
    ("coordinates", "fields", "curved"),
    [
        (PLANE, [{"dx": "1"}, {"dy": "1"}, {"dx": "-y", "dy": "x"}], False),
        (CYLINDER, [{"dx": "1"}, {"dy": "1"}], False),
        (
            PLANE,
            [{"dx": "1"}, {"dx": "x", "dy": "y + 1/2"}, {"dx": "x**2 - (y + 1/2)**2", "dy": "2*x*(y + 1/2)"}],
            True,
        ),
        (
            Coordinates(("x", "y", "z")),
            [{f"d{a}": "1"} for a in "xyz"]
            + [{"dx": "-y", "dy": "x"}, {"dy": "-z", "dz": "y"}, {"dx": "-z", "dz": "x"}],
            False,
        ),
    ],
)
def test_isometries_are_counted_and_found(
    coordinates: Coordinates, fields: Sequence[dict[str, str]], curved: bool
) -> None:
    layer, values, coefficients = solved(coordinates, curved=curved)
    K = len(fields)
    assert values[K - 1] < 1e-5
    assert values[K] > 100 * values[K - 1]
    assert values[K] > 1e-3
    exact = SymbolicField(coordinates, fields)
    at = points(200, coordinates.dimension, seed=7)
    field = span_field(layer.field, Eigenfields(values, coefficients), K)
    assert subspace_angles(field(at), exact(at)).max() < 1e-3


def test_fields_are_of_unit_size_on_the_fresh_points() -> None:
    layer, values, coefficients = solved(PLANE)
    fresh = killing(layer, points(600, seed=1))
    V = torch.einsum("nm,dml->ndl", fresh.size, coefficients).flatten(0, 1)
    # coefficients of features that nearly coincide are large and cancel
    torch.testing.assert_close(V.T @ V / 600, torch.eye(V.shape[1], dtype=V.dtype), atol=1e-4, rtol=0)
    R = torch.einsum("ndm,dml->nl", fresh.violation, coefficients)
    torch.testing.assert_close(R.square().mean(0).sqrt(), values, atol=1e-4, rtol=1e-3)
    assert (values.diff() >= 0).all()


def test_null_fields_between_the_points_are_given_away_by_fresh_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """With fewer rows than unknowns many fields leave nothing on them; only isometries do so where none was asked."""
    layer = random_layer(PLANE, points(500), seed=3, count=80)
    few = Condition(killing(layer, points(10)).violation, killing(layer, points(600)).size)
    fresh = killing(layer, points(600, seed=1))
    with pytest.raises(ValueError, match="3 rows for each of 162 unknowns, got 30"):
        solve(few, fresh)
    monkeypatch.setattr("symflow.learning.solved.ROWS_PER_UNKNOWN", 0)
    span = solve(few, fresh)
    assert compare(few, span.coefficients).values[-1] < 1e-2  # rounding, of coefficients of 1e11
    assert span.values[3] > 0.1


def test_features_that_are_there_twice_make_no_field() -> None:
    layer = random_layer(PLANE, points(500), seed=3, count=60)
    twice = RandomLayer(PLANE, torch.cat([layer.weights] * 2), torch.cat([layer.bias] * 2))
    values = [solve(killing(one, points(800)), killing(one, points(600, seed=1))).values for one in (layer, twice)]
    assert (values[1][:3] < 1e-4).all()
    torch.testing.assert_close(values[1][3:6], values[0][3:6], rtol=0.2, atol=0)


def test_a_family_is_taken_out() -> None:
    """``V_x,y = 0`` and ``V_y = a + b y``: any function of x in the first component, and two fields beside it."""
    layer = random_layer(PLANE, points(500), seed=3, count=80)
    of_x = layer.weights[:, 1] == 0
    functions = RandomLayer(PLANE, layer.weights[of_x], layer.bias[of_x])
    assert (random_layer(PLANE, points(500), seed=4, without=("y",)).weights[:, 1] == 0).all()

    def condition(at: Tensor, modulo: bool) -> Condition:
        unit = torch.zeros(len(at), 2, dtype=at.dtype)
        unit[:, 1] = 1.0
        lines = Series(total_degree(2, 1), torch.stack([at, unit, torch.zeros_like(at)]))
        features = layer.field.features(lines)
        slope, second = (with_constant(features[(k,)][:, 0], 0.0) * k for k in (1, 2))
        h = with_constant(features[(0,)][:, 0])
        side = torch.zeros_like(h)
        along = killing(layer, at).violation[: len(at), 0] / 2  # the slope in x
        rows = torch.cat([torch.stack([slope, side], 1), torch.stack([side, second], 1), torch.stack([side, along], 1)])
        f = with_constant(functions.field.features(Series(total_degree(0, 1), at[None])).coefficients[0, :, 0])
        return Condition(
            rows, h, Family(torch.zeros(3 * len(at), f.shape[1], dtype=at.dtype), {0: f}) if modulo else None
        )

    free, counted = (
        solve(condition(points(800), modulo), condition(points(600, seed=1), modulo)).values for modulo in (False, True)
    )
    assert free[5] < 1e-5  # as many functions of x as there are features
    assert counted[1] < 1e-5
    assert counted[2] > 1e-3


@pytest.mark.determinism
def test_the_same_bits_with_any_number_of_threads() -> None:
    threads = torch.get_num_threads()
    try:
        found = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            layer = random_layer(PLANE, points(500), seed=3, count=80)
            torch.set_num_threads(1)
            pair = killing(layer, points(800)), killing(layer, points(600, seed=1))
            torch.set_num_threads(count)
            span = solve(*pair)
            found.append((span.values, span.coefficients))
        for values, coefficients in found[1:]:
            assert torch.equal(values, found[0][0])
            assert torch.equal(coefficients, found[0][1])
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("coordinates", [PLANE, CYLINDER])
def test_the_network_has_the_features_of_the_layer(coordinates: Coordinates) -> None:
    layer = random_layer(coordinates, points(500), seed=0, count=50)
    at = 4 * points(300, seed=2) - 1
    before = embed(at, coordinates.normalised_periods) @ layer.weights.T + layer.bias
    features = layer.field.features(Series(total_degree(0, 1), at[None])).coefficients[0, :, 0]
    torch.testing.assert_close(features, torch.nn.functional.silu(before), rtol=0, atol=1e-12)
    assert (layer.weights.norm(dim=1) >= 0.3 - 1e-12).all()
    assert (layer.weights.norm(dim=1) <= 3.0 + 1e-12).all()
    assert (layer.weights == 0).any()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-3)])
def test_the_compiled_flow_runs_it(dtype: torch.dtype, tolerance: float) -> None:
    """The rotation as a network turns points by the angle that is asked for."""
    layer, values, coefficients = solved(PLANE)
    field = span_field(layer.field, Eigenfields(values, coefficients), 3)
    at = points(100, seed=5)
    exact = SymbolicField(PLANE, [{"dx": "-y", "dy": "x"}])(at)[:, 0]
    mix = torch.linalg.lstsq(field(at).transpose(1, 2).flatten(0, 1), exact.flatten()[:, None]).solution.T * 0.3
    cast = NeuralField(PLANE, 3, width=2, head_width=80).to(dtype)
    cast.load_state_dict(field.state_dict())
    moved = flow(cast, at[None].to(dtype), mix.to(dtype))
    torch.testing.assert_close(moved.double(), flow_ref(field, at[None], mix, 8), rtol=0, atol=tolerance)
    turn = torch.tensor(
        [[torch.tensor(0.3).cos(), -torch.tensor(0.3).sin()], [torch.tensor(0.3).sin(), torch.tensor(0.3).cos()]]
    )
    torch.testing.assert_close(moved[0].double(), at @ turn.double().T, rtol=0, atol=max(1e-4, tolerance))
