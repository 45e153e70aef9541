"""Closed forms: what is planted is found, and nothing where nothing is."""

from __future__ import annotations

import pytest
import torch

from planted import ALONG, BOOST, LATER, damped, small
from symflow.pde import generate
from symflow.pde.approximation.forms import Forms
from symflow.pde.approximation.measure import Measure
from symflow.pde.approximation.search import candidates, simplified, singles, smallest
from symflow.pde.symmetries import symmetries

KNOWN = [ALONG, LATER, BOOST]


def test_a_planted_scaling_is_found_alone() -> None:
    forms = Forms.of(Measure.of(damped(1e-3)), KNOWN)
    (found,) = candidates(forms, 0.02)
    assert {k: str(f) for k, f in forms.form(found.physical).items()} == {"dx": "x", "dt": "3*t", "du": "-2*u"}
    assert found.terms == 3
    assert found.defect < 2 * float(forms.spectrum()[0])


@pytest.mark.parametrize(
    "name", ["kdv", "ckdv", *(pytest.param(n, marks=pytest.mark.slow) for n in ("ks", "burgers", "nkdv"))]
)
def test_nothing_is_found_where_nothing_is(name: str) -> None:
    data = generate(name, 4, 0)
    forms = Forms.of(Measure.of(data), symmetries(data.equation).forms)
    assert list(candidates(forms, 0.02)) == []
    assert float(forms.spectrum()[0]) > 0.05


def test_exact_fields_of_a_family_are_passed_over() -> None:
    """Any solution f of the heat equation gives the symmetry f du; of degree 2 are 1, x and x^2 + 2 t."""
    data = small("u_t = u_xx")
    forms = Forms.of(Measure.of(data), symmetries(data.equation).forms)
    assert all(c.defect > 1e-7 for c in candidates(forms, 0.02))
    assert int((forms.spectrum() < 1e-9).sum()) == 3


def test_the_smallest_over_a_support_is_no_larger_than_elsewhere_on_it() -> None:
    forms = Forms.of(Measure.of(damped(1e-2)), KNOWN)
    supports = torch.tensor([[3, 7, 11], [5, 8, 20], [4, 6, 9]])
    values, vectors = smallest(forms, supports)
    random = torch.Generator().manual_seed(0)
    for support, value, vector in zip(supports, values, vectors, strict=True):
        a = torch.zeros(len(forms.columns), dtype=torch.float64)
        a[support] = vector
        assert forms.defect(a) == pytest.approx(float(value), rel=1e-6)
        for _ in range(50):
            a[support] = torch.randn(3, dtype=torch.float64, generator=random)
            assert forms.defect(a) >= float(value) * (1 - 1e-9)


def test_coefficients_are_rounded_only_as_far_as_the_defect_allows() -> None:
    forms = Forms.of(Measure.of(damped(1e-3)), KNOWN)
    names = [(c, str(f)) for c, f in forms.columns]
    a = torch.zeros(len(names), dtype=torch.float64)
    for part, c in ((("dx", "x"), 1.0), (("dt", "t"), 3.0004), (("du", "u"), -2.0003)):
        a[names.index(part)] = c
    rounded = simplified(forms, a * forms.unit, 0.02).physical
    assert rounded[rounded != 0].tolist() == [1.0, 3.0, -2.0]
    kept = simplified(forms, a * forms.unit, 1e-9).physical  # nothing that raises the defect by so little
    assert kept[kept != 0].tolist() == [1.0, 3.0004, -2.0003]


def test_single_columns_each_for_itself() -> None:
    data = small("u_t + exp(t/500)*(u*u_x + u_xxx) = 0")
    forms = Forms.of(Measure.of(data), symmetries(data.equation).forms)
    found = singles(forms.alone, 0.1)
    assert "dt" in [next(k for k, f in forms.form(c.physical).items() if f == 1) for c in found if c.terms == 1]
    assert [c.defect for c in found] == sorted(c.defect for c in found)
