"""The pixel plane: bases, affine-ness, brackets, and what a field is called."""

from __future__ import annotations

import math

import pytest
import torch

from symflow import SymbolicField, bracket
from symflow.ops import pixel_points
from symflow.vision.search import motions
from symflow.vision.search.plane import (
    AFFINE,
    PLANE,
    Basis,
    affine_products,
    affineness,
    grid_field,
    orthonormal,
    pixel_centres,
    uniform,
)


def fields(*forms: dict[str, str], size: tuple[int, int] = (12, 15)) -> torch.Tensor:
    return SymbolicField(PLANE, forms)(pixel_centres(*size).flatten(0, 1))


def test_pixel_centres_are_those_of_the_kernels():
    torch.testing.assert_close(pixel_centres(5, 8), pixel_points(torch.zeros(1, 1, 5, 8, dtype=torch.float64)))


def test_the_basis_is_orthonormal_and_spans_the_polynomials():
    basis = Basis.polynomials(12, 15, 3)
    assert basis.values.shape == (180, 20, 2)
    gram = torch.einsum("nad,nbd->ab", basis.values, basis.values) / 180
    torch.testing.assert_close(gram, torch.eye(20, dtype=torch.float64))
    cubic = fields({"dx": "x**2*y - 3*y + 1", "dy": "x**3"})
    coefficients = torch.einsum("nmd,nkd->mk", basis.values, cubic) / 180
    torch.testing.assert_close(basis.fields(coefficients), cubic)


def test_gradients_and_energy_of_a_known_field():
    basis = Basis.polynomials(12, 15, 2)
    field = fields({"dx": "x*y", "dy": "x**2"})
    c = torch.einsum("nmd,nkd->mk", basis.values, field) / 180
    x, y = basis.points.T
    gradients = torch.einsum("nmij,mk->nkij", basis.gradients, c)[:, 0]
    expected = torch.stack([torch.stack([y, x], -1), torch.stack([2 * x, torch.zeros_like(x)], -1)], 1)
    torch.testing.assert_close(gradients, expected)
    energy = (c.T @ basis.energy @ c)[0, 0]
    torch.testing.assert_close(energy, (y**2 + x**2 + 4 * x**2).mean())


def test_brackets_are_those_of_the_core():
    basis = Basis.polynomials(12, 15, 2)
    forms = [{"dx": "-y", "dy": "x"}, {"dx": "x*y", "dy": "1"}]
    symbolic = SymbolicField(PLANE, forms)
    c = torch.einsum("nmd,nkd->mk", basis.values, symbolic(basis.points)) / 180
    torch.testing.assert_close(basis.brackets(c), bracket(symbolic, symbolic, basis.points))


def test_the_mirror_is_an_involution_that_turns_the_sense_of_a_rotation():
    basis = Basis.polynomials(12, 15, 3)
    torch.testing.assert_close(basis.mirror @ basis.mirror, torch.eye(20, dtype=torch.float64))
    both = fields({"dx": "-y", "dy": "x"}, {"dx": "x", "dy": "y**2"})
    c = torch.einsum("nmd,nkd->mk", basis.values, both) / 180
    torch.testing.assert_close(basis.fields(basis.mirror @ c), both * both.new_tensor([-1.0, 1.0])[:, None])


def test_affineness_is_an_orthogonal_projection_under_any_measure():
    points = pixel_centres(9, 9).flatten(0, 1)
    random = torch.Generator().manual_seed(0)
    values = torch.randn(81, 4, 2, generator=random, dtype=torch.float64)
    measure = torch.rand(81, generator=random, dtype=torch.float64)
    measure = measure / measure.sum()
    share = affineness(values, points, measure)
    assert share.max() < 1
    # by least squares, weighted: what is left and what is explained make up the whole
    root = measure.sqrt()[:, None]
    design = (AFFINE(points) * root[:, None]).transpose(1, 2).flatten(0, 1)
    for k in range(4):
        target = (values[:, k] * root).flatten()
        rest = target - design @ torch.linalg.lstsq(design, target[:, None]).solution[:, 0]
        assert share[k].item() == pytest.approx(math.sqrt(1 - float(rest.norm() / target.norm()) ** 2))
    torch.testing.assert_close(affine_products(values, points, measure).norm(dim=1), share)


def test_orthonormal_keeps_the_span():
    points = pixel_centres(9, 9).flatten(0, 1)
    made = orthonormal(AFFINE(points), uniform(9, 9))
    torch.testing.assert_close(torch.einsum("nad,nbd->ab", made, made) / 81, torch.eye(6, dtype=torch.float64))
    torch.testing.assert_close(affineness(made, points, uniform(9, 9)), torch.ones(6, dtype=torch.float64))


def test_a_table_has_x_first():
    values = fields({"dx": "y", "dy": "2*x"}, size=(5, 7))
    table = grid_field(values, 5, 7)
    torch.testing.assert_close(table(torch.tensor([0.5, -0.25])), torch.tensor([[-0.25, 1.0]]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", motions.MOTIONS)
@pytest.mark.parametrize("factor", [1.0, -0.3])
def test_every_motion_is_called_by_its_name_in_both_directions(name, factor):
    points, measure = pixel_centres(16, 16).flatten(0, 1), uniform(16, 16)
    found = motions.read(factor * SymbolicField(PLANE, [motions.MOTIONS[name]])(points)[:, 0], points, measure)
    assert found.motion == name
    assert found.closed_form == motions.MOTIONS[name]
    assert found.angle == pytest.approx(0.0, abs=1e-6)
    assert found.sign == (1 if factor > 0 else -1)


def test_closed_forms_of_disturbed_fields_are_simple_and_say_how_far_they_are():
    points, measure = pixel_centres(16, 16).flatten(0, 1), uniform(16, 16)
    field = SymbolicField(PLANE, [{"dx": "0.51*x + 0.01*y + 0.1*x*y", "dy": "-0.98*y + 0.02"}])(points)[:, 0]
    found = motions.read(field, points, measure)
    assert found.closed_form == {"dx": "1/2*x", "dy": "-y"}
    truth = SymbolicField(PLANE, [{"dx": "x/2", "dy": "-y"}])(points)[:, 0]
    cosine = float((field * truth).sum() / field.norm() / truth.norm())
    assert found.angle == pytest.approx(math.acos(cosine))


def test_a_field_without_affine_part_has_no_name():
    points, measure = pixel_centres(16, 16).flatten(0, 1), uniform(16, 16)
    quadratic = SymbolicField(PLANE, [{"dx": "x*y"}])(points)[:, 0]
    assert motions.read(quadratic, points, measure).motion is None
    assert motions.read(quadratic, points, measure).closed_form is None


def test_degrees_that_the_pixels_cannot_hold_are_refused():
    with pytest.raises(ValueError, match="`degree` must be from 0 to 3, got 4"):
        Basis.polynomials(4, 9, 4)
