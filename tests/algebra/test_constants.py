"""Structure constants of fields of every kind against exact ones, within their errors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from symflow import NeuralField, SymbolicField
from symflow.algebra.brackets import sample_brackets
from symflow.algebra.closure import propose, suspects
from symflow.algebra.constants import measured_structure_constants
from symflow.algebra.description import describe
from symflow.algebra.readout import structure_constants as exact_constants
from symmetric_fields import (
    ALLEN_CAHN,
    BURGERS,
    CURVED,
    EQUATIONS,
    KDV,
    PLANE,
    SPACE,
    bent,
    exact,
    forms,
    points,
    tabulated,
)


@pytest.mark.parametrize("name", EQUATIONS)
def test_constants_of_closed_forms_as_fields(name: str) -> None:
    texts, algebra = EQUATIONS[name]
    found = measured_structure_constants(sample_brackets(SymbolicField(SPACE, texts), points()))
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
    found = measured_structure_constants(sample_brackets(parts, points(d=4)))
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

    found = measured_structure_constants(sample_brackets(Changed(), points()))
    expected = torch.einsum("ai,bj,ijk,kc->abc", change, change, exact(BURGERS), torch.linalg.inv(change))
    torch.testing.assert_close(found.constants, expected, rtol=1e-7, atol=1e-7 * expected.abs().max().item())
    assert found.describe().name == "sl(2,R) semidirect 2A1"


def test_stated_uncertainty_covers_the_error() -> None:
    known, inside = exact(KDV), []
    for seed in range(40):
        found = measured_structure_constants(sample_brackets(bent(1e-3, seed)(), points()), uncertainty=1e-3)
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
    runs = [measured_structure_constants(sample_brackets(field, points(400, seed=seed))) for seed in range(30)]
    spread = torch.stack([run.constants for run in runs]).std(0)
    stated = torch.stack([run.errors for run in runs]).mean(0)
    moving = spread > 1e-6
    assert moving.sum() > 10
    ratio = (stated[moving] / spread[moving]).log().mean().exp()
    assert 0.8 < ratio < 1.3


def test_a_network_in_single_precision() -> None:
    field = NeuralField(SPACE, 3, width=16)
    single = measured_structure_constants(sample_brackets(field, points()))
    double = measured_structure_constants(sample_brackets(field.double(), points()))
    torch.testing.assert_close(single.constants, double.constants, rtol=1e-3, atol=1e-3)
    assert double.closure[0, 1] > 1e-3  # a network that has learned nothing is no algebra


def test_one_generator_is_an_algebra() -> None:
    single = SymbolicField(SPACE, KDV[3:])
    found = measured_structure_constants(sample_brackets(single, points()))
    assert (found.constants.shape, found.closure.item(), found.jacobi) == ((1, 1, 1), 0.0, 0.0)
    assert found.describe().name == "A1"
    assert propose(single, points(), 1e-6).generators == 0
    assert suspects(sample_brackets(single, points())).pairs == ()


def test_constants_of_tables_converge_within_their_errors() -> None:
    known, previous = exact(CURVED), None
    for nodes in (9, 17, 33):
        found = measured_structure_constants(sample_brackets(tabulated(nodes, CURVED), points()))
        error = (found.constants - known).abs()
        assert (error <= 2 * found.errors + 1e-12).all()
        if previous is not None:
            assert previous / error.max() > 3  # second order: 4, where errors do not cancel
        previous = error.max()
    assert found.describe().name == "sl(2,R)"


def test_mixed_kinds() -> None:
    network = NeuralField(SPACE, 1, width=8, seed=3).double()
    exact_part, table = SymbolicField(SPACE, BURGERS[:3]), tabulated(33, BURGERS[3:])
    found = measured_structure_constants(sample_brackets([exact_part, table], points()))
    torch.testing.assert_close(found.constants, exact(BURGERS), rtol=1e-2, atol=1e-2)
    assert ((found.constants - exact(BURGERS)).abs() <= 3 * found.errors + 1e-9).all()
    mixed = measured_structure_constants(sample_brackets([exact_part, network, table], points()))
    assert mixed.constants.shape == (6, 6, 6)
    assert mixed.closure[0, 1] < 1e-9 < 1e-4 < mixed.closure[0, 3]
