"""What a discovery states of an equation, of its domain and of data, in the words of `symflow.discovery`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from symflow.discovery import DataVerdict, DomainVerdict, EquationVerdict, Family

from ..equations import JetSpace
from ..trajectories import MISLABELLED


def equation_verdict(proved: bool, dimension: int, stable: bool) -> EquationVerdict:
    """Of all solutions. That a count is stable is no proof that it is complete."""
    return EquationVerdict(_word(proved, dimension), dimension, complete=False, stable=stable)


def domain_verdict(domain: str, proved: bool, dimension: int, lost: Sequence[str]) -> DomainVerdict | None:
    """Of the period; ``None`` where none was asked for."""
    if domain == "plane":
        return None
    return DomainVerdict(_word(proved, dimension), dimension, list(lost))


def _word(proved: bool, dimension: int) -> Literal["proved", "found"]:
    """That nothing was found is proved by nothing."""
    return "proved" if proved and dimension else "found"


def data_verdict(samples: int, residual: float | None) -> DataVerdict | None:
    """Of data: for a generator that is proved the question is whether they solve the equation.

    Data that certainly do not are refused before (`Trajectories.check_equation`): a large residual that remains is one
    of data whose derivatives are in doubt.
    """
    if not samples:
        return None
    if residual is None:
        return DataVerdict("cannot be told", "there are too few output times to take derivatives in time from the data")
    if residual > MISLABELLED:
        reason = "the data are too coarse or too noisy to tell whether they solve the equation"
        return DataVerdict("cannot be told", reason, residual)
    return DataVerdict("measured", "relative residual of the equation on the data, u_t by differences", residual)


def superposed(space: JetSpace, factor: str, conditions: Sequence[str]) -> Family:
    """The family ``f h d/du`` for every solution f of linear equations ``... = 0``; the algebra behind it is exact."""
    functions = ("f", "g")[: len(space.dependent)]
    form = {f"d{name}": "0" for name in space.names}
    form |= {
        f"d{u}": f if factor == "1" else f"{f}*({factor})" for u, f in zip(space.dependent, functions, strict=True)
    }
    arguments = {f: list(space.independent) for f in functions}
    return Family(form, arguments, [c.removesuffix(" = 0") for c in conditions], verified=True)
