"""Scores against exact finite transforms of exact solutions, and on true generators and known non-symmetries."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import sympy
import torch

from symflow import Coordinates, Field, NeuralField, SymbolicField, flow, jet_flow
from symflow.fields.series import Series, total_degree
from symflow.pde import CATALOGUE, InfinitesimalScore, Jets, JetScore
from symflow.pde.equations.equation import t, x
from symflow.pde.equations.manifold import Manifold
from symflow.pde.scores.jets import physical, points_of, surface_derivatives, unit_weights
from symflow.pde.symmetries import prolongation
from symflow.pde.symmetries.prolongation import complete_jets

COORDINATES = Coordinates(("x", "t", "u"), offset=(0.1, -0.2, 0.3), scale=(4.0, 2.0, 3.0))
SOLITON = 3 * sympy.sech((x - t) / 2) ** 2


def jets_of(solution: sympy.Expr, order: int, points: torch.Tensor) -> Jets:
    derivatives = [solution] + [sympy.diff(solution, x, m) for m in range(1, order + 1)]
    rows = [torch.as_tensor(sympy.lambdify((x, t), d, "numpy")(*points.T.numpy())) for d in derivatives]
    return Jets(points[:, 0], points[:, 1], torch.stack(rows))


def kdv_score(**arguments: float | int) -> JetScore:
    points = torch.rand(7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    equation = CATALOGUE["kdv"].equation
    sample = complete_jets(equation, jets_of(SOLITON, 9, points), total_degree(3).monomials)
    return JetScore(equation, COORDINATES, sample, **arguments)


def kdv_limit() -> InfinitesimalScore:
    points = torch.rand(7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    equation = CATALOGUE["kdv"].equation
    return InfinitesimalScore(equation, COORDINATES, complete_jets(equation, jets_of(SOLITON, 6, points)))


def move(field: Field, score: JetScore, weight: float, steps: int) -> Series:
    """The score's surface moved along the single generator of a field."""
    row = Series(score.surface.truncation, score.surface.coefficients[:, None])
    weights = torch.tensor([[weight]], dtype=torch.float64)
    return Series(row.truncation, jet_flow(field, row, weights, steps=steps).coefficients[:, 0])


def values(expression: sympy.Expr, X: torch.Tensor, T: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(sympy.lambdify((x, t), expression, "numpy")(X.numpy(), T.numpy()))


@pytest.mark.parametrize(
    ("texts", "transformed"),
    [  # exact finite transforms by eps = 0.3 (Olver, section 2.4, and directly for the non-symmetries)
        ({"dx": "t", "du": "1"}, SOLITON.subs(x, x - 0.3 * t) + 0.3),
        (
            {"dx": "x", "dt": "3*t", "du": "-2*u"},
            sympy.exp(-0.6) * SOLITON.subs({x: x * sympy.exp(-0.3), t: t * sympy.exp(-0.9)}, simultaneous=True),
        ),
        ({"du": "u"}, SOLITON * sympy.exp(0.3)),
        ({"dt": "x"}, SOLITON.subs(t, t - 0.3 * x)),
    ],
)
def test_moved_surfaces_are_those_of_the_exact_transform(texts: dict[str, str], transformed: sympy.Expr) -> None:
    """U and its derivatives at the moved points, to third order in x, against sympy on the transformed solution."""
    score = kdv_score()
    field = SymbolicField(COORDINATES, [texts])
    moved = physical(move(field, score, 0.3, 64), COORDINATES)
    X, T = moved.coefficients[0, :, 0], moved.coefficients[0, :, 1]
    *u, u_t = surface_derivatives(moved, 1, [(0, (m, 0)) for m in range(4)] + [(0, (0, 1))])
    for m in range(4):
        expected = values(sympy.diff(transformed, x, m) if m else transformed, X, T)
        torch.testing.assert_close(u[m], expected, rtol=1e-7, atol=1e-7)  # 64 steps of RK4 leave about 1e-9
    torch.testing.assert_close(u_t, values(sympy.diff(transformed, t), X, T), rtol=1e-7, atol=1e-7)


def test_the_flow_of_surfaces_moves_base_points_as_flow_does() -> None:
    score = kdv_score()
    field = NeuralField(COORDINATES, 1, width=16, head_width=8, seed=3).double()
    moved = move(field, score, 0.4, 5)
    expected = flow(field, score.surface.coefficients[:1], torch.tensor([[0.4]], dtype=torch.float64), steps=5)
    torch.testing.assert_close(moved.coefficients[0], expected[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CATALOGUE)
def test_true_generators_are_at_the_floor_and_others_are_not(name: str) -> None:
    """On random jets, which belong to solutions like any other: the statement does not depend on a solver."""
    entry = CATALOGUE[name]
    equation = entry.equation
    manifold = Manifold(equation)
    jets, coordinates = manifold.sample(64, seed=0), manifold.coordinates
    moved = JetScore(equation, coordinates, jets, length=0.1, steps=64)
    limit = InfinitesimalScore(equation, coordinates, jets)
    true = SymbolicField(coordinates, entry.symmetries)
    false = SymbolicField(coordinates, [{"du": "u"}, {"dx": "x"}, {"dx": "1", "du": "u**2"}, {"dx": "u"}])
    assert moved.floor < 1e-14
    assert limit(true).max() < 10 * limit.floor
    assert limit(false).min() > 1e-3
    assert moved(true).max() < 1e-9  # the solver's error at 64 steps, which halving below shows to be all of it
    assert moved(false).min() > 1e-3
    if moved(true).max() > 1e-12:
        coarse = replace(moved, steps=32)(true).max()
        assert coarse > 10 * moved(true).max()


def test_scores_do_not_depend_on_the_length_of_a_generator() -> None:
    score = kdv_score()
    one, ten = (SymbolicField(COORDINATES, [{"dx": f"{c}*x", "du": f"{c}*u"}]) for c in (1, 10))
    torch.testing.assert_close(score(one), score(ten))
    limit = kdv_limit()
    torch.testing.assert_close(limit(one), limit(ten))


def test_scores_do_not_depend_on_the_other_generators() -> None:
    score = kdv_score(steps=2)
    field = NeuralField(COORDINATES, 3, width=8, head_width=4).double()
    together = score(field)
    for k in range(3):
        torch.testing.assert_close(score(field.slot(k))[0], together[k], rtol=1e-12, atol=0)


def test_gradients_of_the_scores() -> None:
    score = kdv_score(steps=1)
    score = replace(score, sample=score.sample[:3])
    limit = replace(kdv_limit(), sample=kdv_limit().sample[:3])
    field = NeuralField(COORDINATES, 2, width=5, head_width=3, seed=1).double()

    def of(function: JetScore | InfinitesimalScore):
        def call(*layers: torch.Tensor) -> torch.Tensor:
            return function(type(field.network)(COORDINATES, layers))

        return call

    layers = tuple(layer.detach().clone().requires_grad_() for layer in field.layers)
    assert torch.autograd.gradcheck(of(limit), layers, fast_mode=True)
    assert torch.autograd.gradcheck(of(score), layers, fast_mode=True)


def test_residual_and_its_terms_on_a_solution_and_off_it() -> None:
    equation = CATALOGUE["kdv"].equation
    points = torch.rand(50, 2, dtype=torch.float64) * 4 - 2
    jets = jets_of(SOLITON, 3, points)
    u_t = values(sympy.diff(SOLITON, t), jets.x, jets.t)
    residual, squares = equation.residual_terms(jets.x, jets.t, jets.u, u_t)
    assert (residual.abs() < 1e-13 * (1 + squares.sqrt())).all()
    torch.testing.assert_close(squares, u_t**2 + (jets.u[0] * jets.u[1]) ** 2 + jets.u[3] ** 2)
    residual, _ = equation.residual_terms(jets.x, jets.t, jets.u, -u_t)
    torch.testing.assert_close(residual, -2 * u_t)


def test_a_points_residual_does_not_depend_on_those_beside_it() -> None:
    score = kdv_score()
    moved = move(SymbolicField(COORDINATES, [{"du": "u"}]), score, 0.3, 4)
    part = type(moved)(moved.truncation, moved.coefficients[:, 2:5])
    assert torch.equal(score.residual(moved)[2:5], score.residual(part))


def test_points_that_a_flow_carries_to_infinity_count_as_the_worst() -> None:
    """u' = u^2 leaves every bound in finite time, and a control may do so."""
    score = kdv_score(length=1e3)
    value = score(SymbolicField(COORDINATES, [{"du": "u**2"}])).item()
    assert 0.1 < value <= 3**0.5
    assert score.worst == 3**0.5


def test_unit_weights_make_unit_generators() -> None:
    jets = kdv_score().sample
    field = SymbolicField(COORDINATES, [{"dx": "t", "du": "7"}])
    points = points_of(jets, COORDINATES)
    size = (field(points) * unit_weights(field, points)).square().sum(-1).mean().sqrt()
    assert size.item() == pytest.approx(1.0)


def test_the_jet_order_suffices_and_no_less_does() -> None:
    for name in CATALOGUE:
        equation = CATALOGUE[name].equation
        truncation = total_degree(equation.order)
        needed = equation.jet_order(truncation)
        generator = torch.Generator().manual_seed(0)
        jets = Jets(
            *torch.rand(2, 2, generator=generator, dtype=torch.float64),
            torch.rand(needed + 1, 2, generator=generator, dtype=torch.float64),
        )
        equation.surface(jets.x, jets.t, jets.u, truncation)
        with pytest.raises(IndexError):
            equation.surface(jets.x, jets.t, jets.u[:-1], truncation)
        assert prolongation.jet_order(equation) <= needed


def test_networks_of_float32_are_scored_in_their_type():
    field = NeuralField(COORDINATES, 2, width=8, head_width=4)
    for score in (kdv_score(), kdv_limit()):
        single, double = score(field), score(copy.deepcopy(field).double())
        torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=0)
