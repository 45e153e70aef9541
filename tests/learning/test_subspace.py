"""The subspace objective against scipy's generalised eigenproblem and on a planted null space."""

from __future__ import annotations

import scipy.linalg
import torch

from symflow import Coordinates, NeuralField
from symflow.algebra.geometry import subspace_angles
from symflow.learning.loop import learn
from symflow.learning.subspace import RIDGE, Subspace, eigenfields, pencil, span_field, with_constant

COORDINATES = Coordinates(("x", "y"))


def planted(targets: torch.Tensor, points: torch.Tensor):
    """Forms whose violation is the part of a field outside the span of `targets [N, k, d]`."""
    n, k, d = targets.shape
    basis = torch.linalg.qr(targets.transpose(1, 2).reshape(n * d, k))[0].view(n, d, k)

    def forms(field: NeuralField, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        from symflow.fields.series import Series, line

        h = with_constant(field.features(Series(line(0), points[None])).coefficients[0, :, 0])
        m = h.shape[-1]
        gram = h.T @ h / n
        inside = torch.einsum("ndk,nf->dfk", basis, h).reshape(d * m, k)
        whole = torch.einsum("cd,fg->cfdg", torch.eye(d, dtype=h.dtype), gram).reshape(d * m, d * m)
        return (whole - inside @ inside.T / n).view(d, m, d, m), gram

    return forms


def test_the_pencil_has_the_generalised_eigenvalues() -> None:
    d, m = 2, 5
    a = torch.randn(40, d * m, dtype=torch.float64)
    h = torch.randn(40, m, dtype=torch.float64)
    violation, gram = (a.T @ a / 40).view(d, m, d, m), h.T @ h / 40
    whole = torch.kron(torch.eye(d, dtype=torch.float64), gram)
    ridge = RIDGE * gram.diagonal().mean() * torch.eye(d * m, dtype=torch.float64)
    expected = scipy.linalg.eigh(violation.reshape(d * m, d * m) + ridge, whole + ridge, eigvals_only=True)
    values = torch.linalg.eigvalsh(pencil(violation, gram).matrix)
    torch.testing.assert_close(values, torch.as_tensor(expected), rtol=1e-9, atol=1e-12)


def test_the_gradient_of_the_objective() -> None:
    d, m = 2, 4
    a = torch.randn(30, d * m, dtype=torch.float64, requires_grad=True)
    h = torch.randn(30, m, dtype=torch.float64, requires_grad=True)

    def loss(a: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        matrix = pencil((a.T @ a / 30).view(d, m, d, m), h.T @ h / 30).matrix
        return torch.log(torch.linalg.eigvalsh(matrix)[:3]).sum()

    assert torch.autograd.gradcheck(loss, (a, h))


def test_a_planted_span_is_found_and_its_dimension_shows() -> None:
    """Two smooth fields that the features can represent only after learning; five are asked for."""
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(800, 2, generator=generator, dtype=torch.float64)
    x, y = points.T
    targets = torch.stack([torch.stack([torch.sin(4 * y), x], -1), torch.stack([x * y, torch.cos(5 * x)], -1)], 1)
    forms = planted(targets, points)
    network = NeuralField(COORDINATES, 1, width=48, head_width=32, seed=0).double()
    before = eigenfields(network, forms).values
    learn(network, Subspace(forms, generators=5, steps=100))
    span = eigenfields(network, forms)
    assert span.values[1] < 0.1 * before[1]
    assert span.values[2] > 30 * span.values[1]  # the gap
    field = span_field(network, span, 2)
    assert subspace_angles(field(points), targets).max() < 1e-2


def test_span_field_is_orthonormal_and_spans_what_was_solved() -> None:
    """The constant fields are combinations of the constant feature alone, so the ridge does not show."""
    points = torch.rand(300, 2, dtype=torch.float64)
    constants = torch.eye(2, dtype=torch.float64).expand(300, 2, 2)
    forms = planted(constants, points)
    network = NeuralField(COORDINATES, 1, width=16, head_width=12, seed=1).double()
    field = span_field(network, eigenfields(network, forms), 2)
    values = field(points)
    products = torch.einsum("nkd,nld->kl", values, values) / len(points)
    torch.testing.assert_close(products, torch.eye(2, dtype=torch.float64), rtol=1e-6, atol=1e-6)
    assert subspace_angles(values, constants).max() < 1e-6
    torch.testing.assert_close(field.slot(1)(points)[:, 0], values[:, 1], rtol=1e-12, atol=1e-12)
