"""Spans, angles and brackets against closed forms."""

import itertools
import math

import pytest
import sympy
import torch

from symflow import Coordinates, NeuralField, SymbolicField, bracket, principal_angles
from symflow.algebra.geometry import span_basis, subspace_angles

SPACE = Coordinates(("x", "t", "u"), offset=(0.5, -1.0, 2.0), scale=(2.0, 3.0, 0.5))
KDV = [{"dx": "1"}, {"dt": "1"}, {"dx": "t", "du": "1"}, {"dx": "x", "dt": "3*t", "du": "-2*u"}]


def points(n=200, d=3):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


# ---- angles ---------------------------------------------------------------------------------------------------------


def test_a_span_is_itself():
    a = SymbolicField(SPACE, KDV)
    mixed = SymbolicField(
        SPACE, [{"dx": "1 + t", "du": "1"}, {"dt": "2"}, {"dx": "5 + x", "dt": "3*t", "du": "-2*u"}, KDV[2]]
    )
    assert principal_angles(a, a, points()).max() < 1e-14
    assert principal_angles(a, mixed, points()).max() < 1e-13
    assert principal_angles(a, mixed, points()).shape == (4,)


@pytest.mark.parametrize("angle", [1e-10, 1e-6, 1e-3, 0.3, 0.6, math.pi / 4, 1.2, math.pi / 2 - 1e-9, math.pi / 2])
def test_constant_fields_at_a_known_angle(angle):
    """In the plane d/dx and cos a d/dx + sin a d/dy enclose a, down to angles whose cosine rounds to 1."""
    ones = torch.ones(30, 1, dtype=torch.float64)
    a = torch.stack([ones, 0 * ones], -1)
    b = torch.stack([math.cos(angle) * ones, math.sin(angle) * ones], -1)
    assert subspace_angles(a, b).item() == pytest.approx(angle, rel=1e-5, abs=1e-15)


def test_several_angles_at_once_are_sorted():
    """Planes in R^8 spanned by cos a e_i + sin a e_{i+4}: the principal angles are the a, in any order and mixture."""
    wanted = torch.tensor([1e-9, 0.5, 0.9, 1.5], dtype=torch.float64)
    e = torch.eye(8, dtype=torch.float64)
    a = e[:4]
    b = wanted.cos()[:, None] * e[:4] + wanted.sin()[:, None] * e[4:]
    mix = torch.randn(4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 3 * torch.eye(4)
    fields = [(m @ v).T[..., None] for v, m in ((a, mix), (b, mix.T))]
    torch.testing.assert_close(subspace_angles(*fields), wanted, rtol=1e-5, atol=1e-14)
    torch.testing.assert_close(subspace_angles(*fields[::-1]), wanted, rtol=1e-5, atol=1e-14)


def test_smaller_span_inside_a_larger_one():
    small, large = SymbolicField(SPACE, KDV[1:3]), SymbolicField(SPACE, KDV)
    for pair in ((small, large), (large, small)):
        angles = principal_angles(*pair, points())
        assert angles.shape == (2,)
        assert angles.max() < 1e-13
    other = SymbolicField(SPACE, [{"du": "sin(9*x)"}])
    assert principal_angles(other, large, points()).item() > 0.5


def test_scaling_and_basis_do_not_matter():
    field = NeuralField(SPACE, 3).double()
    values = field(points()).detach()
    other = NeuralField(SPACE, 2, seed=1).double()(points()).detach()
    mix = torch.tensor([[1.0, 2, 0], [0, 1e4, 1], [3, 0, 1e-3]], dtype=torch.float64)
    torch.testing.assert_close(
        subspace_angles(values, other), subspace_angles(torch.einsum("lk,nkd->nld", mix, values), other)
    )


def test_dependent_fields_are_refused():
    twice = SymbolicField(SPACE, [{"dx": "t"}, {"dx": "2*t"}])
    zero = SymbolicField(SPACE, [{"dx": "0"}])
    for field in (twice, zero):
        with pytest.raises(ValueError, match="the fields must be linearly independent on the points"):
            principal_angles(field, SymbolicField(SPACE, KDV), points())


def test_basis_is_orthonormal():
    values = NeuralField(SPACE, 3)(points().float())
    basis = span_basis(values)
    assert basis.dtype == torch.float64
    torch.testing.assert_close(basis.T @ basis, torch.eye(3, dtype=torch.float64))


# ---- brackets -------------------------------------------------------------------------------------------------------


def closed_bracket(v, w):
    """[v, w] of closed forms by sympy, as formulas."""
    symbols = dict(zip("xtu", sympy.symbols("x t u"), strict=True))
    a, b = ([sympy.sympify(form.get("d" + name, "0"), locals=symbols) for name in "xtu"] for form in (v, w))
    order = list(symbols.values())
    parts = [
        sum(a[j] * sympy.diff(b[i], order[j]) - b[j] * sympy.diff(a[i], order[j]) for j in range(3)) for i in range(3)
    ]
    return {"d" + name: str(part) for name, part in zip("xtu", parts, strict=True)}


CURVED = [{"dx": "sin(x)*u", "dt": "t**2"}, {"du": "exp(-u)*x", "dx": "t"}, {"dt": "x*t*u", "du": "cos(t)"}]


@pytest.mark.parametrize("forms", [KDV, CURVED], ids=["kdv", "curved"])
def test_brackets_of_closed_forms(forms):
    field = SymbolicField(SPACE, forms)
    found = bracket(field, field, points(20))
    for k, l in itertools.product(range(len(forms)), repeat=2):
        expected = SymbolicField(SPACE, [closed_bracket(forms[k], forms[l])])(points(20))[:, 0]
        torch.testing.assert_close(found[:, k, l], expected, rtol=1e-11, atol=1e-11)


def test_antisymmetry_and_jacobi_of_networks():
    a, b = (NeuralField(SPACE, 2, width=16, seed=s).double() for s in (0, 1))
    torch.testing.assert_close(bracket(a, b, points(9)), -bracket(b, a, points(9)).transpose(1, 2))

    class Bracket:
        """One field [v_k, w_l] as a field."""

        coordinates, generators = SPACE, 1

        def __init__(self, v, k, w, l):
            self.parts = v, k, w, l

        def __call__(self, points):
            v, k, w, l = self.parts
            return bracket(v, w, points)[:, k : k + 1, l]

    cycle = [(a, 0), (b, 0), (b, 1)]
    total = 0
    for i in range(3):
        (u, j), (v, k), (w, l) = (cycle[(i + shift) % 3] for shift in range(3))
        total = total + bracket(u, Bracket(v, k, w, l), points(9))[:, j, 0]
    assert total.abs().max() < 1e-12


def test_bracket_is_differentiable():
    field = NeuralField(SPACE, 2, width=4, head_width=3).double()
    assert torch.autograd.gradcheck(lambda p: bracket(field, field, p), points(2).requires_grad_())
    assert bracket(field, NeuralField(SPACE, 3).double(), points(5)).shape == (5, 2, 3, 3)


def test_fields_that_are_not_finite_are_refused() -> None:
    plane = Coordinates(("x", "y"))
    fields = [SymbolicField(plane, [{"dx": form}]) for form in ("1", "log(x)")]
    with pytest.raises(ValueError, match="the fields must be finite on the points"):
        principal_angles(*fields, torch.tensor([[-1.0, 0.0], [1.0, 2.0]], dtype=torch.float64))
