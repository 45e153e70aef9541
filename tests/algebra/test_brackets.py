"""Structure constants of fields of every kind against exact ones; what leaves a span, and what should leave it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from symflow import Coordinates, GridField, NeuralField, SymbolicField
from symflow.algebra.brackets import Proposals, complete, propose, sample, sample_forms, structure_constants, suspects
from symflow.algebra.geometry import principal_angles
from symflow.algebra.liealgebra import describe
from symflow.algebra.readout import structure_constants as exact_constants
from symflow.formulas import expressions

SPACE = Coordinates(("x", "t", "u"), offset=(0.5, 1.0, 0.2), scale=(2.0, 3.0, 0.5))
KDV = [{"dx": "1"}, {"dt": "1"}, {"dx": "t", "du": "1"}, {"dx": "x", "dt": "3*t", "du": "-2*u"}]
BURGERS = [
    {"dx": "1"},
    {"dt": "1"},
    {"dx": "t", "du": "1"},
    {"dx": "x", "dt": "2*t", "du": "-u"},
    {"dx": "t*x", "dt": "t**2", "du": "x - t*u"},
]
# Facts of the literature (Olver, chapter 2; Ibragimov, CRC Handbook of Lie Group Analysis, volume 1).
EQUATIONS = {
    "KdV": (KDV, "A4,9(b = -2/3)"),
    "cylindrical KdV": (
        [
            {"dx": "1"},
            {"dx": "2*sqrt(t+1)", "du": "1/sqrt(t+1)"},
            {"dx": "x", "dt": "3*(t+1)", "du": "-2*u"},
            {"dx": "x*sqrt(t+1)/2", "dt": "(t+1)*sqrt(t+1)", "du": "(x-4*(t+1)*u)/(4*sqrt(t+1))"},
        ],
        "A4,9(b = -2/3)",
    ),
    "KdV with growing coefficient": (
        [
            {"dx": "1"},
            {"dt": "exp(-t/50)"},
            {"dx": "50*(exp(t/50)-1)", "du": "1"},
            {"dx": "x", "dt": "150*(1-exp(-t/50))", "du": "-2*u"},
        ],
        "A4,9(b = -2/3)",
    ),
    "Kuramoto-Sivashinsky": (KDV[:3], "h(1)"),
    "Burgers": (BURGERS, "sl(2,R) semidirect 2A1"),
    "heat, finite part": (
        [
            {"dx": "1"},
            {"dt": "1"},
            {"du": "u"},
            {"dx": "x", "dt": "2*t"},
            {"dx": "2*t", "du": "-x*u"},
            {"dx": "4*t*x", "dt": "4*t**2", "du": "-(x**2+2*t)*u"},
        ],
        "sch(1)",
    ),
    "mKdV": ([{"dx": "1"}, {"dt": "1"}, {"dx": "x", "dt": "3*t", "du": "-u"}], "Bianchi VI(h = -4)"),
    "Fisher": ([{"dx": "1"}, {"dt": "1"}], "2A1"),
    "porous medium": ([{"dx": "1"}, {"dt": "1"}, {"dx": "x", "dt": "2*t"}, {"dx": "x", "du": "2*u"}], "2A2"),
    "sine-Gordon": ([{"dx": "1"}, {"dt": "1"}, {"dx": "t", "dt": "x"}], "e(1,1)"),
}
PLANE = Coordinates(("x", "y", "t", "u"))
ALLEN_CAHN = [{"dx": "1"}, {"dy": "1"}, {"dt": "1"}, {"dx": "y", "dy": "-x"}]


def points(n: int = 400, d: int = 3, seed: int = 0) -> Tensor:
    return torch.rand(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def forms(texts: list[Mapping[str, str]], names: str = "xtu") -> list[dict[str, sympy.Expr]]:
    symbols = {name: sympy.Symbol(name, real=True) for name in names}
    return [{f"d{n}": expressions.parse(text.get(f"d{n}", "0"), symbols) for n in names} for text in texts]


def exact(texts: list[Mapping[str, str]], names: str = "xtu") -> Tensor:
    constants = exact_constants(forms(texts, names))
    assert constants is not None
    return torch.tensor([[[float(v) for v in row] for row in matrix] for matrix in constants], dtype=torch.float64)


# ---- structure constants --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EQUATIONS)
def test_constants_of_closed_forms_as_fields(name: str) -> None:
    texts, algebra = EQUATIONS[name]
    found = structure_constants(sample(SymbolicField(SPACE, texts), points()))
    torch.testing.assert_close(found.constants, exact(texts), rtol=1e-8, atol=1e-8)
    assert torch.equal(found.constants, -found.constants.transpose(0, 1))
    assert found.closure.max() < 1e-9
    assert found.jacobi < 1e-8
    measured, known = found.describe(), describe(exact_constants(forms(texts)))
    assert known.name == algebra
    assert measured.name in (algebra, None)
    assert (measured.derived_series, measured.radical, measured.killing) == (
        known.derived_series,
        known.radical,
        known.killing,
    )


def test_two_space_dimensions_and_a_list_of_fields() -> None:
    parts = [SymbolicField(PLANE, ALLEN_CAHN[:2]), SymbolicField(PLANE, ALLEN_CAHN[2:])]
    found = structure_constants(sample(parts, points(d=4)))
    torch.testing.assert_close(found.constants, exact(ALLEN_CAHN, "xytu"), rtol=1e-9, atol=1e-9)
    assert describe(exact_constants(forms(ALLEN_CAHN, "xytu"))).name == "e(2) + A1"


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_constants_transform_as_a_tensor(seed: int) -> None:
    """For ``V' = A V``, in any basis: ``c' = A A c A^-1``; the description does not change."""
    field, n = SymbolicField(SPACE, BURGERS), 5
    change = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if torch.linalg.cond(change) > 100:
        return

    class Changed:
        coordinates, generators = SPACE, n

        def __call__(self, z: Tensor) -> Tensor:
            return torch.einsum("lk,...kd->...ld", change, field(z))

    found = structure_constants(sample(Changed(), points()))
    expected = torch.einsum("ai,bj,ijk,kc->abc", change, change, exact(BURGERS), torch.linalg.inv(change))
    torch.testing.assert_close(found.constants, expected, rtol=1e-7, atol=1e-7 * expected.abs().max().item())
    assert found.describe().name == "sl(2,R) semidirect 2A1"


def bent(amount: float, seed: int) -> type:
    """KdV's algebra with every component changed by a wave of relative size `amount`, in value and derivative."""
    field = SymbolicField(SPACE, KDV)
    generator = torch.Generator().manual_seed(seed)
    waves = torch.randn(4, 3, 3, generator=generator, dtype=torch.float64)
    waves = waves / waves.norm(dim=-1, keepdim=True)  # wave vectors of length 1
    phases = 2 * math.pi * torch.rand(4, 3, generator=generator, dtype=torch.float64)
    sizes = field(points()).square().sum(-1).mean(0).sqrt()

    class Bent:
        coordinates, generators = SPACE, 4

        def __call__(self, z: Tensor) -> Tensor:
            wave = torch.sin(torch.einsum("kic,...c->...ki", waves, z) + phases) * math.sqrt(2 / 3)
            return field(z) + amount * sizes[:, None] * wave

    return Bent


def test_stated_uncertainty_covers_the_error() -> None:
    known, inside = exact(KDV), []
    for seed in range(40):
        found = structure_constants(sample(bent(1e-3, seed)(), points()), uncertainty=1e-3)
        upper = torch.triu_indices(4, 4, 1)
        ratio = (found.constants - known)[upper[0], upper[1]].abs() / found.errors[upper[0], upper[1]]
        inside.append(float((ratio <= 2).double().mean()))
        assert ratio.min() > 1e-6
        assert 1e-5 < found.closure.max() < 1e-2
    assert sum(inside) / len(inside) > 0.95
    # and the bound is not idle: errors are of the size of what happens
    assert ratio.max() > 0.05


def test_errors_of_sampling_are_those_of_repetition() -> None:
    """The jackknife against the spread over independent samples of points, for fields that are no algebra."""
    field = SymbolicField(SPACE, [*KDV[:2], {"dx": "t + 0.1*sin(3*x)", "du": "1"}, KDV[3]])
    runs = [structure_constants(sample(field, points(400, seed=seed))) for seed in range(30)]
    spread = torch.stack([run.constants for run in runs]).std(0)
    stated = torch.stack([run.errors for run in runs]).mean(0)
    moving = spread > 1e-6
    assert moving.sum() > 10
    ratio = (stated[moving] / spread[moving]).log().mean().exp()
    assert 0.8 < ratio < 1.3


def test_a_network_in_single_precision() -> None:
    field = NeuralField(SPACE, 3, width=16)
    single = structure_constants(sample(field, points()))
    double = structure_constants(sample(field.double(), points()))
    torch.testing.assert_close(single.constants, double.constants, rtol=1e-3, atol=1e-3)
    assert double.closure[0, 1] > 1e-3  # a network that has learned nothing is no algebra


def test_one_generator_is_an_algebra() -> None:
    single = SymbolicField(SPACE, KDV[3:])
    found = structure_constants(sample(single, points()))
    assert (found.constants.shape, found.closure.item(), found.jacobi) == ((1, 1, 1), 0.0, 0.0)
    assert found.describe().name == "A1"
    assert propose(single, points(), 1e-6).generators == 0
    assert suspects(sample(single, points())).pairs == ()


# ---- tables ---------------------------------------------------------------------------------------------------------


def tabulated(nodes: int, texts: list[Mapping[str, str]] = BURGERS) -> GridField:
    axis = torch.linspace(0, 1, nodes, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)
    return GridField(SPACE, SymbolicField(SPACE, texts)(grid).movedim(-2, 0), (0.0,) * 3, (1.0,) * 3)


CURVED = [{"dx": "exp(x)"}, {"dx": "1"}, {"dx": "exp(-x)"}]  # sl(2,R): [V1, V2] = -V1, [V1, V3] = -2 V2, [V2, V3] = -V3


def test_derivatives_of_tables_are_of_second_order() -> None:
    """Right to second order at every point, where the slope of the cell is right to first order only."""
    line = Coordinates(("x", "y"), periods=(1.0, None))
    field = SymbolicField(line, [{"dx": "cos(2*3.141592653589793*x)*exp(y)", "dy": "y**3"}])
    z = points(300, 2)
    errors, slopes = [], []
    for nodes in (16, 32, 64):
        grid = GridField.tabulate(field, (nodes, nodes + 1), (None, 0.0), (None, 1.0)).double().table
        wanted = torch.func.vmap(torch.func.jacfwd(lambda p: field(p)[0]))(z)
        found = torch.stack([grid.derivative(axis)(z)[:, 0] for axis in range(2)], -1)
        within = torch.func.vmap(torch.func.jacfwd(lambda p, grid=grid: grid(p[None])[0, 0]))(z)
        errors.append((found - wanted).abs().max().item())
        slopes.append((within - wanted).abs().max().item())
    for coarse, fine in itertools.pairwise(errors):
        assert coarse / fine == pytest.approx(4, rel=0.25)
    for coarse, fine in itertools.pairwise(slopes):
        assert coarse / fine == pytest.approx(2, rel=0.25)


def test_constants_of_tables_converge_within_their_errors() -> None:
    known, previous = exact(CURVED), None
    for nodes in (9, 17, 33):
        found = structure_constants(sample(tabulated(nodes, CURVED), points()))
        error = (found.constants - known).abs()
        assert (error <= 2 * found.errors + 1e-12).all()
        if previous is not None:
            assert previous / error.max() > 3  # second order: 4, where errors do not cancel
        previous = error.max()
    assert found.describe().name == "sl(2,R)"


def test_mixed_kinds() -> None:
    network = NeuralField(SPACE, 1, width=8, seed=3).double()
    exact_part, table = SymbolicField(SPACE, BURGERS[:3]), tabulated(33, BURGERS[3:])
    found = structure_constants(sample([exact_part, table], points()))
    torch.testing.assert_close(found.constants, exact(BURGERS), rtol=1e-2, atol=1e-2)
    assert ((found.constants - exact(BURGERS)).abs() <= 3 * found.errors + 1e-9).all()
    mixed = structure_constants(sample([exact_part, network, table], points()))
    assert mixed.constants.shape == (6, 6, 6)
    assert mixed.closure[0, 1] < 1e-9 < 1e-4 < mixed.closure[0, 3]


def test_nodes_left_out() -> None:
    grid = tabulated(9).table
    assert grid.coarse().values.shape[1:4] == (5, 5, 5)
    assert tabulated(8).table.coarse().values.shape[1:4] == (8, 8, 8)  # the last node would be lost
    assert torch.equal(grid.coarse()(points()[:1] * 0 + 0.5), grid(points()[:1] * 0 + 0.5))


# ---- new generators -------------------------------------------------------------------------------------------------


def test_brackets_outside_the_span_are_proposed() -> None:
    """dt and the projective field generate the scaling, then all of sl(2,R)."""
    field = SymbolicField(SPACE, [BURGERS[1], BURGERS[4]])
    new = propose(field, points(), 1e-6)
    assert new.generators == 1
    together = torch.cat([field(points()), new(points())], 1)
    gram = torch.einsum("nkd,nld->kl", together, together) / len(together)
    torch.testing.assert_close(gram[:, 2], torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64), rtol=1e-9, atol=1e-9)
    scaling = SymbolicField(SPACE, [BURGERS[1], BURGERS[4], BURGERS[3]])

    class Together:
        coordinates, generators = SPACE, 3

        def __call__(self, z: Tensor) -> Tensor:
            return torch.cat([field(z), new(z)], 1)

    assert principal_angles(Together(), scaling, points(50, seed=1)).max() < 1e-9
    closed = structure_constants(sample([field, new], points()))
    assert closed.closure.max() < 1e-9
    assert closed.describe().name == "sl(2,R)"
    assert propose([field, new], points(), 1e-6).generators == 0


def test_proposals_of_proposals() -> None:
    """x^3 d/dx with d/dx: a bracket of a bracket is right, by derivatives of derivatives."""
    field = SymbolicField(SPACE, [{"dx": "1"}, {"dx": "x**3"}])
    first = propose(field, points(), 1e-6)
    second: Proposals = propose([field, first], points(), 1e-6)
    known = SymbolicField(SPACE, [{"dx": f"x**{n}"} for n in range(5)])

    class Together:
        coordinates, generators = SPACE, 5

        def __call__(self, z: Tensor) -> Tensor:
            return torch.cat([field(z), first(z), second(z)], 1)

    assert second.generators == 2  # x d/dx and x^4 d/dx
    assert principal_angles(Together(), known, points(60, seed=2)).max() < 1e-6


def test_completion_finds_the_whole_algebra() -> None:
    """All of Burgers from two translations and the projective field; every new form is a symmetry, none is rejected."""
    given = forms([BURGERS[0], BURGERS[1], BURGERS[4]])
    asked: list[dict] = []

    def is_symmetry(form: dict[str, sympy.Expr]) -> bool:
        asked.append(form)
        return True

    found, rejected = complete(given, is_symmetry)
    assert rejected == []
    assert len(found) == 5
    assert len(asked) == 2
    assert all(form in found for form in forms([BURGERS[2], BURGERS[3]]))
    assert describe(exact_constants(found)).name == "sl(2,R) semidirect 2A1"


def test_completion_rejects_and_stops() -> None:
    x = sympy.Symbol("x", real=True)
    found, rejected = complete(forms([*KDV, {"du": "u"}]), lambda form: False)
    assert len(found) == 5
    assert rejected == [{"dx": 0, "dt": 0, "du": 1}]
    endless, _ = complete(forms([{"dx": "x**2"}, {"dx": "x**3"}]), lambda form: True, most=9)
    assert [form["dx"] for form in endless[:4]] == [x**2, x**3, x**4, x**5]
    assert len(endless) == 9
    with pytest.raises(ValueError, match="`forms` must hold at most 1 forms, got 2"):
        complete(forms(KDV[:2]), lambda form: True, most=1)


def test_new_forms_are_reduced_by_the_span() -> None:
    found, _ = complete(
        forms([{"dx": "3*t", "du": "3"}, {"dx": "2*x + 5*t", "du": "x + 5"}, {"du": "u"}]), lambda f: True
    )
    texts = [str(form) for form in found[3:]]
    assert all("6" not in text for text in texts)
    assert exact_constants(found) is None or describe(exact_constants(found)).dimension == len(found)


# ---- wrong lists ----------------------------------------------------------------------------------------------------


def test_a_wrong_generator_of_burgers_is_named() -> None:
    """u du is often mistaken for a symmetry: its brackets alone show that it is none."""
    texts = [*BURGERS, {"du": "u"}]
    for brackets, tolerance in (
        (sample_forms(forms(texts)), 1e-8),
        (sample(SymbolicField(SPACE, texts), points()), 1e-8),
    ):
        found = suspects(brackets, tolerance)
        assert found.removals == ((5,),)
        assert found.pairs == ((2, 5), (4, 5))
        assert found.sentence == ("the span is not closed under brackets ([V3, V6], [V5, V6]): without V6 it is closed")
    _, rejected = complete(forms(texts), lambda form: False)
    assert rejected


def test_ambiguity_is_said() -> None:
    """KdV with u du: both that and the boost explain the bracket [t dx + du, u du] = du."""
    found = suspects(sample_forms(forms([*KDV, {"du": "u"}])))
    assert found.removals == ((2,), (4,))
    assert "the brackets do not tell which is wrong: it is closed without V3, or without V5" in found.sentence


def test_two_wrong_generators_are_named_together() -> None:
    found = suspects(sample_forms(forms([*BURGERS, {"du": "u*x"}, {"dt": "u"}])))
    assert found.removals == ((5, 6),)
    assert "without V6 and V7 it is closed" in found.sentence


def test_true_lists_have_no_suspects() -> None:
    for texts, _ in EQUATIONS.values():
        found = suspects(sample_forms(forms(texts)))
        assert (found.pairs, found.removals) == ((), ())
    assert found.sentence == "the span is closed under brackets"


def test_learned_spans_need_a_tolerance() -> None:
    spoiled = bent(1e-3, 0)()
    wrong = SymbolicField(SPACE, [{"du": "u**2"}])
    found = suspects(sample([spoiled, wrong], points()), tolerance=0.02)
    assert (4,) in found.removals
    assert suspects(sample(spoiled, points()), tolerance=0.02).pairs == ()


def test_parameters_are_constants() -> None:
    """A symbol that is no coordinate is the same number at every point."""
    a = sympy.Symbol("a", positive=True)
    x = sympy.Symbol("x", real=True)
    zero, one = sympy.Integer(0), sympy.Integer(1)
    family = [
        {"dx": one, "dt": zero, "du": zero},
        {"dx": x, "dt": zero, "du": a * x},
        {"dx": zero, "dt": zero, "du": one},
    ]
    found = structure_constants(sample_forms(family))
    assert found.closure.max() < 1e-12
    assert found.constants[0, 1, 2] > 0.4  # [d/dx, x d/dx + a x d/du] = d/dx + a d/du


# ---- what is refused ------------------------------------------------------------------------------------------------


def test_errors_are_sentences() -> None:
    field = SymbolicField(SPACE, KDV)
    with pytest.raises(ValueError, match=r"`points` must have shape \[N, 3\], got \[7, 2\]"):
        sample(field, torch.zeros(7, 2))
    with pytest.raises(ValueError, match="`fields` must hold at least one field"):
        sample([], torch.zeros(7, 3))
    with pytest.raises(ValueError, match="`fields` must be on the same coordinates"):
        sample([field, SymbolicField(PLANE, ALLEN_CAHN)], torch.zeros(7, 3))
    with pytest.raises(ValueError, match=r"`points` must lie in the box of the table, 0 to 1 on t, got .* to 2"):
        sample(tabulated(5), torch.tensor([[0.5, 2.0, 0.5], [0.5, 0.5, 0.5]]))
    with pytest.raises(ValueError, match="`blocks` must be from 2 to the number of points 9, got 20"):
        structure_constants(sample(field, points(9)))
    with pytest.raises(ValueError, match=r"`uncertainty` must be one or 4 finite numbers, not negative, got -1.0"):
        structure_constants(sample(field, points()), uncertainty=-1.0)
    with pytest.raises(ValueError, match="`uncertainty` must be one or 4 finite numbers"):
        structure_constants(sample(field, points()), uncertainty=[0.1, 0.1])
    with pytest.raises(ValueError, match=r"`forms` must be at least one, all with the same components, got \[\]"):
        sample_forms([])
    with pytest.raises(ValueError, match="linearly independent on the points, got a dependent set"):
        structure_constants(sample([field, field], points()))
    with pytest.raises(ValueError, match="got one that vanishes there"):
        structure_constants(sample(SymbolicField(SPACE, [{"dx": "0"}]), points()))
    for call in (lambda: propose(field, points(), 0.0), lambda: suspects(sample(field, points()), 0.0)):
        with pytest.raises(ValueError, match="`tolerance` must be positive"):
            call()


def test_brackets_that_vanish_in_disguise_are_not_new():
    """``1 - t/(t + 1) - 1/(t + 1)`` is 0, which only simplification shows: two boosts of cKdV commute."""
    x, t, u = sympy.symbols("x t u", real=True)
    zero, root = sympy.Integer(0), sympy.sqrt(t + 1)
    boost = {"dx": 2 * root, "dt": zero, "du": 1 / root}
    projective = {"dx": x * root / 2, "dt": (t + 1) * root, "du": (x - 4 * (t + 1) * u) / (4 * root)}
    asked = []

    def test(form: Mapping[str, sympy.Expr]) -> bool:
        asked.append(form)
        return False

    found, rejected = complete([boost, projective], test)
    assert found == [boost, projective]
    assert not rejected
    assert not asked


def test_generators_that_one_block_alone_tells_apart_are_refused() -> None:
    """Without the first half of the points the second generator is the first: no replicate has its constants."""
    line = Coordinates(("x", "y"))
    points = torch.rand(40, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = sample(SymbolicField(line, [{"dx": "1"}, {"dx": "x"}]), torch.cat([points, points[:1].expand(40, 2)]))
    with pytest.raises(ValueError, match="independent on the points outside each of the 2 blocks"):
        structure_constants(found, blocks=2)
    assert suspects(found).sentence == "the span is closed under brackets"
