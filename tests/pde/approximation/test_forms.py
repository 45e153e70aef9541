"""The quadratic form: against the dense eigenproblem, and what does not change it."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from planted import ALONG, BOOST, LATER, damped
from symflow.pde.approximation.forms import Forms
from symflow.pde.approximation.measure import Measure

KNOWN = [ALONG, LATER, BOOST]


@pytest.fixture(scope="module")
def forms() -> Forms:
    return Forms.of(Measure.of(damped(1e-2)), KNOWN)


def test_without_known_fields_it_is_the_mean_square_over_trajectories(forms: Forms) -> None:
    for physical in torch.eye(len(forms.columns), dtype=torch.float64)[2::5]:
        each = forms.measure.defects([forms.form(physical)])[0]
        expected = float(each.square().mean().sqrt())
        assert forms.alone.defect(physical * forms.unit) == pytest.approx(expected, rel=1e-9)


def test_the_spectrum_is_that_of_the_dense_problem(forms: Forms) -> None:
    """a^T G a = lambda a^T M a with M = N - N K (K^T N K)^-1 K^T N, where M is not 0."""
    inside = torch.zeros(len(forms.columns), len(KNOWN), dtype=torch.float64)
    names = [(c, str(f)) for c, f in forms.columns]
    for k, parts in enumerate([[("dx", "1")], [("dt", "1")], [("dx", "t"), ("du", "1")]]):
        for part in parts:
            inside[names.index(part), k] = forms.unit[names.index(part)]
    G, N = forms.violation.T @ forms.violation, forms.whole.T @ forms.whole
    M = N - N @ inside @ torch.linalg.solve(inside.T @ N @ inside, inside.T @ N)
    size, V = torch.linalg.eigh(M)
    W = V[:, len(KNOWN) :] / size[len(KNOWN) :].sqrt()
    expected = torch.linalg.eigvalsh(W.T @ G @ W).clamp_min(0).sqrt()
    assert_close(forms.spectrum(), expected, rtol=1e-5, atol=1e-7)


def test_a_known_field_dilutes_nothing(forms: Forms) -> None:
    a = torch.randn(len(forms.columns), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shifted = a.clone()
    shifted[0] += 50  # of columns of unit size: dx
    assert forms.defect(shifted) == pytest.approx(forms.defect(a), rel=1e-9)
    assert forms.alone.defect(shifted) < 0.2 * forms.alone.defect(a)
    assert forms.defect(torch.eye(len(a), dtype=torch.float64)[0]) == float("inf")


def test_angles(forms: Forms) -> None:
    a = torch.zeros(len(forms.columns), dtype=torch.float64)
    a[0], a[1] = 1.0, 1.0  # along dx and dt, of equal size
    closest, angle = forms.nearest(a)
    assert closest in (0, 1)
    assert angle == pytest.approx(0, abs=1e-7)
    assert forms.alone.nearest(a) == (None, None)
