"""What leaves a span, and what should leave it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import sympy
import torch
from torch import Tensor

from symflow import Coordinates, SymbolicField
from symflow.algebra.brackets import sample_brackets, sample_forms
from symflow.algebra.closure import Proposals, complete_algebra, propose, suspects
from symflow.algebra.constants import measured_structure_constants
from symflow.algebra.description import describe
from symflow.algebra.geometry import principal_angles
from symflow.algebra.readout import structure_constants as exact_constants
from symmetric_fields import BURGERS, EQUATIONS, KDV, SPACE, bent, forms, points


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
    closed = measured_structure_constants(sample_brackets([field, new], points()))
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

    found, rejected = complete_algebra(given, is_symmetry)
    assert rejected == []
    assert len(found) == 5
    assert len(asked) == 2
    assert all(form in found for form in forms([BURGERS[2], BURGERS[3]]))
    assert describe(exact_constants(found)).name == "sl(2,R) semidirect 2A1"


def test_completion_rejects_and_stops() -> None:
    x = sympy.Symbol("x", real=True)
    found, rejected = complete_algebra(forms([*KDV, {"du": "u"}]), lambda form: False)
    assert len(found) == 5
    assert rejected == [{"dx": 0, "dt": 0, "du": 1}]
    endless, _ = complete_algebra(forms([{"dx": "x**2"}, {"dx": "x**3"}]), lambda form: True, most=9)
    assert [form["dx"] for form in endless[:4]] == [x**2, x**3, x**4, x**5]
    assert len(endless) == 9
    with pytest.raises(ValueError, match="`forms` must hold at most 1 forms, got 2"):
        complete_algebra(forms(KDV[:2]), lambda form: True, most=1)


def test_new_forms_are_reduced_by_the_span() -> None:
    found, _ = complete_algebra(
        forms([{"dx": "3*t", "du": "3"}, {"dx": "2*x + 5*t", "du": "x + 5"}, {"du": "u"}]), lambda f: True
    )
    texts = [str(form) for form in found[3:]]
    assert all("6" not in text for text in texts)
    assert exact_constants(found) is None or describe(exact_constants(found)).dimension == len(found)


def test_a_wrong_generator_of_burgers_is_named() -> None:
    """u du is often mistaken for a symmetry: its brackets alone show that it is none."""
    texts = [*BURGERS, {"du": "u"}]
    for brackets, tolerance in (
        (sample_forms(forms(texts)), 1e-8),
        (sample_brackets(SymbolicField(SPACE, texts), points()), 1e-8),
    ):
        found = suspects(brackets, tolerance)
        assert found.removals == ((5,),)
        assert found.pairs == ((2, 5), (4, 5))
        assert found.sentence == ("the span is not closed under brackets ([V3, V6], [V5, V6]): without V6 it is closed")
    _, rejected = complete_algebra(forms(texts), lambda form: False)
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
    found = suspects(sample_brackets([spoiled, wrong], points()), tolerance=0.02)
    assert (4,) in found.removals
    assert suspects(sample_brackets(spoiled, points()), tolerance=0.02).pairs == ()


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

    found, rejected = complete_algebra([boost, projective], test)
    assert found == [boost, projective]
    assert not rejected
    assert not asked


def test_generators_that_one_block_alone_tells_apart_are_refused() -> None:
    """Without the first half of the points the second generator is the first: no replicate has its constants."""
    line = Coordinates(("x", "y"))
    places = torch.rand(40, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = sample_brackets(
        SymbolicField(line, [{"dx": "1"}, {"dx": "x"}]), torch.cat([places, places[:1].expand(40, 2)])
    )
    with pytest.raises(ValueError, match="independent on the points outside each of the 2 blocks"):
        measured_structure_constants(found, blocks=2)
    assert suspects(found).sentence == "the span is closed under brackets"
