"""GridField: interpolation against closed forms and torch's own, periods, ends of the box, series, misuse."""

import math

import pytest
import torch

from symflow import Coordinates, GridField, NeuralField, SymbolicField, flow
from symflow.fields.series import Series, total_degree

PLANE = Coordinates(("x", "y"))
SPACE = Coordinates(("x", "t", "u"), periods=(4.0, None, None), offset=(1.0, 0.0, 0.0), scale=(2.0, 1.0, 0.5))


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("sizes", [(5, 9), (2, 3), (33, 32)])
def test_it_is_grid_sample_of_the_table(sizes):
    """torch's bilinear sampling with aligned corners and border padding; its last axis comes first."""
    field = GridField(PLANE, random(3, *sizes, 2), (-1.0, -1.0), (1.0, 1.0))
    points = random(200, 2, seed=1)
    images = field.values.permute(0, 3, 1, 2).flatten(0, 1)[None]
    sampled = torch.nn.functional.grid_sample(
        images, points.flip(-1)[None, None], padding_mode="border", align_corners=True
    )
    torch.testing.assert_close(field(points), sampled[0, :, 0].T.unflatten(1, (3, 2)))


def test_multilinear_functions_exactly():
    """A product of affine functions of each coordinate, in physical units, inside the box."""
    form = SymbolicField(
        Coordinates(("x", "t", "u"), scale=(2.0, 1.0, 0.5)), [{"dx": "x*t*u - 2*t + 1", "du": "t - x"}]
    )
    field = GridField.tabulate(form, (4, 2, 7), (-1.0, 0.0, -3.0), (1.0, 2.0, 3.0)).double()
    points = torch.rand(100, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - torch.tensor(
        [1.0, 0, 1]
    )
    exact = form(points)
    torch.testing.assert_close(field(points), exact, rtol=1e-6, atol=1e-6)


def test_interpolation_error_is_of_second_order():
    form = SymbolicField(
        SPACE, [{"dx": "sin(1.5707963267948966*x)*u", "dt": "exp(t)", "du": "cos(1.5707963267948966*x)*t*u**2"}]
    )
    points = 0.9 * (2 * torch.rand(500, 3, generator=torch.Generator().manual_seed(0)) - 1)
    errors = []
    for n in (8, 16, 32):
        field = GridField.tabulate(form, (n, n, n), (None, -1.0, -1.0), (None, 1.0, 1.0))
        errors.append((field(points) - form(points)).abs().max().item())
    assert 3.2 < errors[0] / errors[1] < 5
    assert 3.2 < errors[1] / errors[2] < 5


def test_nodes_periods_and_ends():
    values = torch.arange(5.0).reshape(1, 5, 1)
    ring = GridField(Coordinates(("x",), periods=(1.0,)), values)
    assert (ring.lower, ring.upper) == ((0.0,), (1.0,))
    x = torch.tensor([[0.0], [0.2], [0.9], [1.0], [-0.1], [-5.0], [2.3]])
    torch.testing.assert_close(ring(x).flatten(), torch.tensor([0.0, 1.0, 2.0, 0.0, 2.0, 0.0, 1.5]))
    shifted = GridField(Coordinates(("x",), periods=(1.0,)), values, (-0.2,))
    torch.testing.assert_close(shifted(x - 0.2), ring(x))
    line = GridField(Coordinates(("x",)), values, (0.0,), (1.0,))
    x = torch.tensor([[-3.0], [0.0], [0.125], [1.0], [9.0], [torch.inf], [-torch.inf]])
    torch.testing.assert_close(line(x).flatten(), torch.tensor([0.0, 0.0, 0.5, 4.0, 4.0, 4.0, 0.0]))
    assert line(torch.tensor([torch.nan])).isnan().all()


def test_shapes_slots_and_parameters():
    field = GridField(PLANE, random(3, 5, 4, 2), (-1.0, -1.0), (1.0, 1.0))
    points = random(6, 7, 2, seed=1)
    assert field.generators == 3
    assert field(points).shape == (6, 7, 3, 2)
    assert field(points[0, 0]).shape == (3, 2)
    assert field(points[:0]).shape == (0, 7, 3, 2)
    assert torch.equal(field.slot(1)(points), field(points)[..., 1:2, :])
    assert [name for name, _ in field.named_parameters()] == ["values"]
    assert torch.autograd.gradcheck(field, points[:2].requires_grad_())


def test_tabulated_networks_approximate_them():
    network = NeuralField(SPACE, 2, width=16)
    field = GridField.tabulate(network, (40, 30, 30), (None, -1.0, -1.0), (None, 1.0, 1.0))
    points = (2 * torch.rand(2, 100, 3, generator=torch.Generator().manual_seed(0)) - 1) * 0.8
    weights = 0.1 * torch.ones(2, 2)
    torch.testing.assert_close(field(points), network(points), rtol=0, atol=5e-3)
    torch.testing.assert_close(flow(field, points, weights), flow(network, points, weights), rtol=0, atol=2e-3)
    assert field.values.dtype == torch.float32


def test_series_are_the_polynomials_of_the_cell():
    """Along z + s v + r w the coefficients are directional derivatives, inside and outside the box."""
    field = GridField(SPACE, random(2, 4, 5, 3, 3), (None, -1.0, -1.0), (None, 1.0, 1.0))
    z, v, w = random(8, 3, seed=1), random(8, 3, seed=2), random(8, 3, seed=3)
    truncation = total_degree(3)
    coefficients = torch.zeros(len(truncation), 8, 3, dtype=torch.float64)
    coefficients[0], coefficients[truncation.index[1, 0]], coefficients[truncation.index[0, 1]] = z, v, w
    found = field.series(Series(truncation, coefficients))
    zero = torch.zeros((), dtype=torch.float64)
    for i, j in truncation.monomials:
        derivative = lambda s, r: field(z + s * v + r * w)  # noqa: E731
        for argument in [0] * i + [1] * j:
            derivative = torch.func.jacfwd(derivative, argument)
        torch.testing.assert_close(found.derivative_at_origin((i, j)), derivative(zero, zero), rtol=1e-9, atol=1e-9)


def test_a_field_in_other_dimensions_and_types_runs_in_plain_torch():
    c = Coordinates(tuple("abcde"))
    field = GridField(c, torch.ones(1, 2, 2, 2, 2, 2, 5), [0.0] * 5, [1.0] * 5)
    end = flow(field, torch.zeros(1, 3, 5), torch.tensor([[0.5]]))
    torch.testing.assert_close(end, torch.full((1, 3, 5), 0.5))
    half = GridField(PLANE, torch.ones(1, 2, 2, 2), (0.0, 0.0), (1.0, 1.0)).bfloat16()
    end = flow(half, torch.zeros(1, 3, 2, dtype=torch.bfloat16), torch.ones(1, 1, dtype=torch.bfloat16))
    torch.testing.assert_close(end.float(), torch.ones(1, 3, 2), rtol=0, atol=0.05)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"values": [1.0]}, TypeError, "`values` must be a floating-point tensor, got list"),
        ({"values": torch.zeros(1, 2, 2, 2, dtype=torch.long)}, TypeError, "floating-point tensor, got torch.int64"),
        ({"values": torch.zeros(1, 2, 2)}, ValueError, r"shape \[K, n_1, n_2, 2\], none empty, got \[1, 2, 2\]"),
        ({"values": torch.zeros(1, 2, 2, 3)}, ValueError, r"got \[1, 2, 2, 3\]"),
        ({"values": torch.zeros(1, 0, 2, 2)}, ValueError, r"got \[1, 0, 2, 2\]"),
        ({"lower": (0.0,)}, ValueError, "`lower` must have one entry for each of the 2 axes, got 1"),
        ({"upper": None}, ValueError, "`lower` and `upper` must be finite and ascending on x, got -1.0 and None"),
        ({"upper": (1.0, -1.0)}, ValueError, "finite and ascending on y, got -1.0 and -1.0"),
        ({"upper": (1.0, math.inf)}, ValueError, "finite and ascending on y"),
    ],
)
def test_misuse(change, error, message):
    arguments = {"values": torch.zeros(1, 3, 2, 2), "lower": (-1.0, -1.0), "upper": (1.0, 1.0)}
    with pytest.raises(error, match=message):
        GridField(PLANE, **{**arguments, **change})


def test_misuse_of_periods_and_sizes():
    ring = Coordinates(("x",), periods=(2.0,))
    with pytest.raises(ValueError, match=r"must be one period 2.0 apart on x, got 0.0, 1.0"):
        GridField(ring, torch.zeros(1, 3, 1), None, (1.0,))
    form = SymbolicField(ring, [{"dx": "1"}])
    for sizes in ((0,), (3, 3), ()):
        with pytest.raises(ValueError, match="`sizes` must be 1 numbers of nodes, at least 1"):
            GridField.tabulate(form, sizes)
