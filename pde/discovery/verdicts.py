"""What a discovery states of an equation, of its domain and of data, in the words of `symflow.discovery`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Literal

from symflow.discovery import DataVerdict, DomainVerdict, EquationVerdict, Family

from ..equations import JetSpace
from ..laws import Drift, Gate

if TYPE_CHECKING:
    from .result import Generator

NOT_ASKED = "whether the data solve the equation was not asked"
"""What is said of data that are trusted."""


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


def data_verdict(samples: int, judged: Gate | None, drifting: Sequence[Drift] = ()) -> DataVerdict | None:
    """Of data, if there are any: for a generator that is proved the question is whether they solve the equation.

    They do not where one of its coefficients drifts.
    """
    if not samples:
        return None
    if judged is None:
        return DataVerdict("cannot be told", NOT_ASKED)
    residuals = [r for r in (trial.residual for trial in judged.trials) if r is not None and math.isfinite(r)]
    figure = median(residuals) if residuals else None
    if judged.word == "measured" and drifting:
        said = "; ".join(d.sentence for d in drifting)
        return DataVerdict("refuted", f"the data do not solve {judged.equation}: {said}", figure)
    return DataVerdict(judged.word, judged.sentence, figure)


def for_the_data(generator: Generator, said: DataVerdict | None, trusted: bool) -> Generator:
    """A generator with what the data say: it is valid for them if they solve the equation, or are trusted to."""
    if said is None or trusted:
        return generator
    return replace(generator, valid=generator.valid and said.word == "measured", data=DataVerdict(said.word))


def superposed(space: JetSpace, factor: str, conditions: Sequence[str]) -> Family:
    """The family ``f h d/du`` for every solution f of linear equations ``... = 0``; the algebra behind it is exact."""
    functions = ("f", "g")[: len(space.dependent)]
    form = {f"d{name}": "0" for name in space.names}
    form |= {
        f"d{u}": f if factor == "1" else f"{f}*({factor})" for u, f in zip(space.dependent, functions, strict=True)
    }
    arguments = {f: list(space.independent) for f in functions}
    return Family(form, arguments, [c.removesuffix(" = 0") for c in conditions], verified=True)
