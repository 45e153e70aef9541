"""What a discovery states of an equation, of its domain and of data, in the words of `symflow.discovery`.

For a proved generator ``pr V(F) = lambda F``: the residual of moved data is a factor times the data's own. So it is
valid for data exactly when the data solve the equation, which `pde.gate` answers, and moving the data along it
tells nothing more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Literal

from symflow.discovery import DataVerdict, DomainVerdict, EquationVerdict, Family

from ..equations import JetSpace
from ..families import Family as Found
from ..gate import Coefficient, Gate
from ..laws import Drift
from ..symmetries import Library

if TYPE_CHECKING:
    from .result import Generator

FEWEST_ORDERS = 2
"""Of Taylor polynomials that are accounted for: an infinite algebra is then called complete."""
NOT_ASKED = "whether the data solve the equation was not asked"
"""What is said of data that are trusted."""
UNPROVED = "no proof, and data cannot take its place"
"""What is said of a generator that passes where it was asked and does not follow from the equation."""


def equation_verdict(
    proved: bool,
    dimension: int,
    stable: bool,
    searched: str = "",
    at_most: int | None = None,
    families: int = 0,
    counted: int | None = None,
    left_out: str = "",
) -> EquationVerdict:
    """Of all solutions. That a count is stable is no proof that it is complete; an upper bound that it meets is."""
    missing = at_most - dimension if at_most is not None and at_most >= dimension else None
    complete = missing == 0 or (counted is not None and counted >= FEWEST_ORDERS)
    word = "proved" if complete and proved else _word(proved, dimension + families)
    return EquationVerdict(word, dimension, complete, stable, missing, searched, families, counted, left_out)


def searched(library: Library, degree: int) -> str:
    """The functions among which generators were looked for, in words."""
    names = ", ".join(v.name for v in library.variables)
    special = [str(s) for s in library.special if s != 1]
    times = f", times {', '.join(special)}" if len(special) <= 3 else f", times {len(special)} other functions"
    return f"polynomials of degree {degree} in {names}" + (times if special else "")


def domain_verdict(
    domain: str, proved: bool, dimension: int, lost: Sequence[str], bounded: bool = False, families: int = 0
) -> DomainVerdict | None:
    """Of the period or the boundary; ``None`` where none was asked for."""
    if domain == "plane" and not bounded:
        return None
    return DomainVerdict(_word(proved, dimension + families), dimension, list(lost), families)


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
    known = known_to(judged.coefficients) if judged.word == "measured" else ""
    reason = "; ".join(part for part in (judged.sentence, known) if part)
    return DataVerdict(judged.word, reason, figure)


def known_to(coefficients: Sequence[Coefficient]) -> str:
    """How well data know the coefficients of their equation, in words: the longest of the intervals."""
    halves = [
        (c.upper - c.lower) / 2 / abs(c.claimed)
        for c in coefficients
        if c.tested and c.claimed and c.lower is not None and c.upper is not None
    ]
    if not halves:
        return ""
    whose = "the coefficients" if len(halves) == len(coefficients) else "the other coefficients"
    return f"{whose} are known to {max(halves):.0e} of their values"


def recorded(judged: Gate | None) -> Gate | None:
    """The gate as a file keeps it, which has no numbers that are not finite."""
    if judged is None:
        return None
    trials = (replace(t, residual=_finite(t.residual), error=_finite(t.error)) for t in judged.trials)
    terms, missing = (tuple(map(_told, group)) for group in (judged.coefficients, judged.missing))
    return replace(judged, trials=tuple(trials), coefficients=terms, missing=missing)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _told(c: Coefficient) -> Coefficient:
    estimate, lower, upper, share = map(_finite, (c.estimate, c.lower, c.upper, c.share))
    return replace(c, estimate=estimate, lower=lower, upper=upper, share=share)


def for_the_data(generator: Generator, said: DataVerdict | None, trusted: bool) -> Generator:
    """A generator with what the data say of it: valid is what is proved, where the data solve the equation."""
    if said is None:
        return replace(generator, valid=generator.verified, data=None)
    if not generator.verified:
        return replace(generator, valid=False, data=DataVerdict("cannot be told", UNPROVED))
    return replace(generator, valid=trusted or said.word == "measured", data=DataVerdict(said.word))


def family_record(family: Found) -> Family:
    """A family as text."""
    functions = family.functions
    return Family(
        {key: str(f) for key, f in family.form.items()},
        {name: [str(a) for a in functions.arguments] for name in functions.names},
        [str(c) for c in functions.conditions],
        family.verified,
    )


def superposed(space: JetSpace, factor: str, condition: Sequence[str], functions: Sequence[str] = ("f", "g")) -> Family:
    """The family ``f h d/du`` for every solution f of linear equations ``... = 0``; the algebra behind it is exact."""
    functions = functions[: len(space.dependent)]
    form = {f"d{name}": "0" for name in space.names}
    form |= {
        f"d{u}": f if factor == "1" else f"{f}*({factor})" for u, f in zip(space.dependent, functions, strict=True)
    }
    arguments = {f: list(space.independent) for f in functions}
    return Family(form, arguments, [c.removesuffix(" = 0") for c in condition], verified=True)
