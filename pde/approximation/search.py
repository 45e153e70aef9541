"""Closed forms of approximate symmetries, simplest first: over few columns of the library, with simple coefficients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import torch
from torch import Tensor

from .forms import SAME, Forms

SIZES = (1, 2, 3)  # of supports
SHARE = 0.03  # of the largest column that every one has at least: less is not what makes the defect small
EXACT = 1e-7  # defects below are rounding: an exact symmetry, of a family or of the few solutions that there are
MOST = 6  # fields that are told apart; more are a continuum
UNNOTICED = 0.1  # of the defect, and of the tolerance, by which simpler coefficients may raise the defect
DENOMINATORS = (1, 2, 3, 4, 6, 8, 10, 12)
DIGITS = (2, 3, 4, 6)


@dataclass(frozen=True)
class Candidate:
    """A field over few columns.

    Attributes:
        coefficients: ``[J]``, of columns of unit size, the numbers before the physical functions being simple.
        physical: ``[J]``, those numbers.
        defect: beside what was known when it was found.
    """

    coefficients: Tensor
    physical: Tensor
    defect: float

    @property
    def terms(self) -> int:
        """How many columns it has."""
        return int((self.coefficients != 0).sum())

    def is_along(self, other: Candidate) -> bool:
        """Whether the two are multiples of each other."""
        a, b = self.coefficients, other.coefficients
        return float(a @ b) ** 2 >= (1 - EXACT) * float(a @ a) * float(b @ b)


def candidates(forms: Forms, tolerance: float, sizes: Sequence[int] = SIZES) -> Iterator[Candidate]:
    """Fields with a defect of at most the tolerance beside the known ones and those before, simplest first.

    Over all supports of 1, then 2, then 3 columns the one with the smallest defect is taken, as long as it is below
    the tolerance and each of its columns carries a share; then it is known. Exact ones are passed over in silence.
    """
    for size in sizes:
        supports = torch.tensor(list(combinations(range(len(forms.columns)), size)))
        for _ in forms.columns:
            values, vectors = smallest(forms, supports)
            portions = vectors.abs() / vectors.abs().amax(1, keepdim=True)
            values = torch.where((portions >= SHARE).all(1), values, torch.inf)
            best = int(values.argmin())
            if not float(values[best]) <= tolerance:
                break
            a = forms.unit.new_zeros(len(forms.columns))
            a[supports[best]] = vectors[best]
            if float(values[best]) > EXACT:
                found = simplified(forms, a, tolerance)
                yield found
                a = found.coefficients
            forms = forms.beside([a])


def singles(forms: Forms, tolerance: float) -> list[Candidate]:
    """The single columns with a defect of at most the tolerance, each for itself, small ones first."""
    found = []
    for a in torch.eye(len(forms.columns), dtype=torch.float64):
        defect = forms.defect(a)
        if EXACT < defect <= tolerance:
            found.append(simplified(forms, a, tolerance))
    return sorted(found, key=lambda c: c.defect)


def smallest(forms: Forms, supports: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest defect over each support ``[P, m]`` and where it is met, ``[P]`` and ``[P, m]``.

    Infinite where the columns hold nothing but known fields. By the squares of m columns each, m being at most 3:
    accurate to 1e-8.
    """
    R, B = forms.violation[:, supports], forms.new[:, supports]  # [n, P, m]
    G, M = torch.einsum("npi,npj->pij", R, R), torch.einsum("npi,npj->pij", B, B)
    size, V = torch.linalg.eigh(M)
    kept = size > SAME**2 * supports.shape[1]
    W = V * torch.where(kept, size.clamp_min(1e-300).rsqrt(), 0.0)[:, None]
    inner = W.mT @ G @ W
    apart = 2.0 * inner.diagonal(dim1=1, dim2=2).sum(1) + 1.0  # above all eigenvalues
    inner = inner + torch.diag_embed(torch.where(kept, 0.0, apart[:, None]))
    values, y = torch.linalg.eigh(inner)
    a = (W @ y[..., :1])[..., 0]
    return torch.where(kept.any(1), values[:, 0].clamp_min(0).sqrt(), torch.inf), a


def simplified(forms: Forms, a: Tensor, tolerance: float) -> Candidate:
    """The field with the simplest numbers that do not raise its defect noticeably, its first coefficient being 1."""
    physical = a / forms.unit
    physical = physical / physical[physical != 0][0]
    least = forms.defect(a)
    limit = min(max((1 + UNNOTICED) * least, UNNOTICED * tolerance), tolerance)
    for rounded in _simpler(physical):
        defect = forms.defect(rounded * forms.unit)
        if bool(((rounded != 0) == (physical != 0)).all()) and defect <= limit:
            break
    return Candidate(rounded * forms.unit, rounded, defect)


def _simpler(numbers: Tensor) -> Iterator[Tensor]:
    """The numbers as fractions of small denominators, then as decimals of few digits."""
    for largest in DENOMINATORS:
        yield numbers.new_tensor([float(Fraction(c).limit_denominator(largest)) for c in numbers.tolist()])
    for digits in DIGITS:
        yield numbers.new_tensor([float(f"{c:.{digits}g}") for c in numbers.tolist()])
