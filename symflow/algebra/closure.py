"""What is missing from a span to be closed under brackets, and what is too much."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import sympy
import torch
from torch import Tensor

from symflow.algebra import rational
from symflow.algebra.brackets import Fields, Sample, _evaluate, _pairs, _parts, _sample, sample_brackets
from symflow.algebra.constants import _fit
from symflow.algebra.readout import ClosedForm, exact_bracket
from symflow.fields import Coordinates, Field
from symflow.runs import one_thread

DEPENDENT = 1e-9  # relative distance to a span at which closed forms, evaluated in double precision, lie in it
MOST_REMOVALS = 20_000  # subsets that `suspects` tries


@dataclass(frozen=True)
class Proposals:
    """M new vector fields from the brackets outside a span, as a function of the point.

    Each has unit size, and they are orthogonal to the span and to each other over the points they were found on.

    Args:
        fields: those whose brackets they come from.
        weights: ``[M, K, K]``, of the brackets.
        corrections: ``[M, K]``, of the generators.
        strengths: ``[M]``, descending: size outside the span per unit of generators, as `StructureConstants.closure`.
    """

    fields: tuple[Field, ...]
    weights: Tensor
    corrections: Tensor
    strengths: Tensor

    @property
    def coordinates(self) -> Coordinates:
        """The axes of the space."""
        return self.fields[0].coordinates

    @property
    def generators(self) -> int:
        """The number M of new fields."""
        return len(self.strengths)

    def __call__(self, points: Tensor) -> Tensor:
        """``points [N, d]`` to ``vectors [N, M, d]``, both normalised."""
        found = _sample(self.fields, points)
        return torch.einsum("mij,nijd->nmd", self.weights, found.brackets) + torch.einsum(
            "mk,nkd->nmd", self.corrections, found.values
        )


@one_thread()
def propose(fields: Fields, points: Tensor, tolerance: float) -> Proposals:
    """New fields from the brackets that leave a span, orthonormalised against it under the measure of the points.

    If all fields generate symmetries, so do these: one that does not says that a generator is wrong.

    Args:
        fields, points: as for `sample_brackets`.
        tolerance: strengths up to it are taken for errors of the generators; above 0.

    Raises:
        ValueError: as for `sample_brackets` and `measured_structure_constants`, or ``tolerance`` is not positive.

    >>> from symflow import Coordinates, SymbolicField
    >>> plane = Coordinates(("x", "y"))
    >>> some = SymbolicField(plane, [{"dx": "1"}, {"dx": "-y", "dy": "x"}])
    >>> new = propose(some, torch.rand(50, 2), 1e-6)
    >>> new.generators, suspects(sample_brackets([some, new], torch.rand(9, 2))).sentence
    (1, 'the span is closed under brackets')
    """
    if not tolerance > 0:
        raise ValueError(f"`tolerance` must be positive, got {tolerance}")
    brackets = sample_brackets(fields, points)
    fit, k = _fit(brackets), brackets.generators
    pairs = _pairs(k)
    units = torch.tensor([float(brackets.sizes[i] * brackets.sizes[j]) for i, j in pairs], dtype=torch.float64)
    _, strengths, mixtures = torch.linalg.svd(fit.outside / units, full_matrices=False)
    kept = int((strengths > tolerance).sum())
    own = mixtures[:kept] / strengths[:kept, None] / units  # [M, pairs]
    weights = torch.zeros(kept, k, k, dtype=torch.float64)
    for index, (i, j) in enumerate(pairs):
        weights[:, i, j] = own[:, index]
    corrections = -torch.einsum("mij,ijn,kn->mk", weights, fit.constants, fit.dual)
    return Proposals(tuple(_parts(fields)), weights, corrections, strengths[:kept])


def complete_algebra(
    forms: Sequence[Mapping[str, sympy.Expr]],
    is_symmetry: Callable[[ClosedForm], bool],
    most: int = 32,
) -> tuple[list[ClosedForm], list[ClosedForm]]:
    """Closes a list of closed forms under brackets, with those brackets that pass a test.

    Brackets in the span, or in the span and one rejected form, are not tested again. Every new form is reduced by the
    span and has coefficients without a common factor. The result is closed under brackets when nothing was rejected and
    there are fewer than `most` forms; `readout.structure_constants` proves it.

    Args:
        forms: linearly independent.
        is_symmetry: the test of a new form.
        most: the number of forms at which the search ends: algebras need not have finite dimension.

    Returns:
        The forms with the new ones behind them, and the rejected ones. A rejected bracket of two symmetries does not
        exist: where there is one, a form of the list is no symmetry (`suspects`).

    Raises:
        ValueError: there are more than `most` forms to begin with.

    >>> x, y = sympy.symbols("x y", real=True)
    >>> shift, rotation = {"dx": sympy.S(1), "dy": sympy.S(0)}, {"dx": -y, "dy": x}
    >>> complete_algebra([shift, rotation], lambda form: True)[0][2]
    {'dx': 0, 'dy': 1}
    """
    if len(forms) > most:
        raise ValueError(f"`forms` must hold at most {most} forms, got {len(forms)}")
    found: list[ClosedForm] = [dict(form) for form in forms]
    rejected: list[ClosedForm] = []
    count = 8 * most + 16

    def column(form: ClosedForm) -> Tensor:
        return _evaluate([form], count).flatten()

    inner, outer = [column(form) for form in found], list[Tensor]()
    if not all(values.isfinite().all() for values in inner):  # fields without values at the points: nothing is told
        return found, rejected
    second = 1
    while second < len(found) < most:
        for first in range(second):
            new = exact_bracket(found[first], found[second])
            values = column(new)
            # a bracket that vanishes may be written as a sum that only rounding keeps from 0
            size = max(float(values.norm()), float(inner[first].norm() * inner[second].norm()) / count**0.5)
            spans = [inner, *([*inner, other] for other in outer)]
            if any(_in_span(values, span, size) for span in spans):
                continue
            new = _reduced(new, found)
            passed = is_symmetry(new)
            (found if passed else rejected).append(new)
            (inner if passed else outer).append(column(new))
            if len(found) == most:
                break
        second += 1
    return found, rejected


def _in_span(values: Tensor, span: Sequence[Tensor], size: float) -> bool:
    columns = torch.stack([v / v.norm() for v in span], 1)
    basis = torch.linalg.qr(columns)[0]
    rest = values - basis @ (basis.T @ values)
    return bool(rest.norm() <= DEPENDENT * size)


def _reduced(form: ClosedForm, forms: Sequence[ClosedForm]) -> ClosedForm:
    """The form less what the span can remove from it, scaled to integers: exact, or as it was when not rational."""
    terms: dict[tuple[str, sympy.Expr], int] = {}
    rows: list[dict[int, Fraction]] = []
    for f in [*forms, form]:
        row: dict[int, Fraction] = {}
        for name, expression in f.items():
            for term in sympy.Add.make_args(sympy.expand(expression)):
                number, function = term.as_coeff_Mul(rational=False)
                if number == 0:
                    continue
                if not isinstance(number, sympy.Rational):
                    return form
                row[terms.setdefault((name, function), len(terms))] = Fraction(int(number.p), int(number.q))
        rows.append(row)
    matrix = [[row.get(column, Fraction(0)) for column in range(len(terms))] for row in rows]
    basis, leading = rational.echelon(rational.integers(matrix[:-1]))
    reduced = np.array(matrix[-1], dtype=object)
    for vector, lead in zip(basis, leading, strict=True):
        reduced = reduced - reduced[lead] / Fraction(int(vector[lead])) * vector
    (whole,) = rational.integers([reduced])
    if next(v for v in whole if v) < 0:
        whole = -whole
    result: ClosedForm = {name: sympy.Integer(0) for name in form}
    for (name, function), v in zip(terms, whole, strict=True):
        result[name] += int(v) * function
    return result


@dataclass(frozen=True)
class Suspects:
    """Which generators a span must lose to be closed under brackets.

    Args:
        pairs: (i, j), i < j, whose bracket leaves the span; none when it is closed.
        removals: every smallest set of generators without which the rest is closed; more than one when the brackets do
            not tell which is wrong, none when no set was found among those tried.
        tried: the largest size of the sets that were all tried.
    """

    pairs: tuple[tuple[int, int], ...]
    removals: tuple[tuple[int, ...], ...]
    tried: int

    @property
    def sentence(self) -> str:
        """For a reader; generators are V1, V2, ..."""
        if not self.pairs:
            return "the span is closed under brackets"
        names = [" and ".join(f"V{k + 1}" for k in removal) for removal in self.removals]
        open_ones = ", ".join(f"[V{i + 1}, V{j + 1}]" for i, j in self.pairs)
        head = f"the span is not closed under brackets ({open_ones})"
        if not names:
            return f"{head}, and stays so without any {self.tried} of its generators"
        if len(names) == 1:
            return f"{head}: without {names[0]} it is closed"
        return (
            f"{head}, and the brackets do not tell which is wrong: it is closed without {', or without '.join(names)}"
        )


@one_thread()
def suspects(brackets: Sample, tolerance: float = 1e-8) -> Suspects:
    """The smallest sets of generators whose removal closes a span under brackets.

    All sets of one size are tried before the next size; the search ends after 20,000 sets.

    Args:
        brackets: from `sample_brackets` or `sample_forms`.
        tolerance: RMS size outside the span relative to ``|V_i| |V_j|`` up to which a bracket lies in it; choose it
            above the errors of the generators.

    Raises:
        ValueError: ``tolerance`` is not positive; the generators are linearly dependent on the points.

    >>> from symflow.algebra.brackets import sample_forms
    >>> x = sympy.Symbol("x", real=True)
    >>> zero, one = sympy.Integer(0), sympy.Integer(1)
    >>> projective = [{"dx": one, "du": zero}, {"dx": x, "du": zero}, {"dx": x**2, "du": zero}]
    >>> suspects(sample_forms([*projective, {"dx": zero, "du": x}])).removals
    ((3,),)
    """
    if not tolerance > 0:
        raise ValueError(f"`tolerance` must be positive, got {tolerance}")
    fit, k = _fit(brackets), brackets.generators
    pairs, sizes = _pairs(k), brackets.sizes
    if not pairs:
        return Suspects((), (), 0)
    units = torch.tensor([float(sizes[i] * sizes[j]) for i, j in pairs], dtype=torch.float64)
    inner = torch.stack([fit.constants[i, j] for i, j in pairs], 1) / units  # brackets in W, [K, pairs]
    vectors = fit.triangle / sizes  # generators in W, [K, K], columns
    leaving = (fit.outside / units).norm(dim=0)

    def open_pairs(kept: Sequence[int]) -> list[int]:
        basis = torch.linalg.qr(vectors[:, kept])[0]
        chosen = [index for index, (i, j) in enumerate(pairs) if i in kept and j in kept]
        rest = inner[:, chosen] - basis @ (basis.T @ inner[:, chosen])
        size = (rest.square().sum(0) + leaving[chosen].square()).sqrt()
        return [index for index, large in zip(chosen, (size > tolerance).tolist(), strict=True) if large]

    failing = tuple(pairs[index] for index in open_pairs(range(k)))
    if not failing:
        return Suspects((), (), 0)
    for size in range(1, k):
        if sum(math.comb(k, r) for r in range(1, size + 1)) > MOST_REMOVALS:
            return Suspects(failing, (), size - 1)
        removals = tuple(
            removed
            for removed in itertools.combinations(range(k), size)
            if not open_pairs([i for i in range(k) if i not in removed])
        )
        if removals:
            return Suspects(failing, removals, size)
    raise AssertionError  # one generator alone is closed
