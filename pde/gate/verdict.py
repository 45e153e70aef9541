"""What the gate says: a word for the file, for each trajectory and for each coefficient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from symflow.console import CANNOT_TELL, HOLDS, REFUTED

from ..laws.fits import MATERIAL

SOLVES, UNKNOWN, NOT, OUTLIERS = "solves", "cannot be told", "refuted", "outliers"
FACTOR = 3.0  # of the error that a residual may have
KNOWN = 0.02  # of the terms: a larger error tells nothing
MARGIN = 1e-5  # of a coefficient: more digits tell a person nothing


def word_of(residual: float, error: float, allowed: float | None = None) -> str:
    """``r > 3 e + 2e-3``, or more than is allowed, refutes, else ``e > .02`` tells nothing."""
    if residual > (FACTOR * error + MATERIAL if allowed is None else allowed):
        return NOT
    return UNKNOWN if not error <= KNOWN else SOLVES


@dataclass(frozen=True)
class Trial:
    """One trajectory: word and reason, residual and error relative to its terms, whether it is unlike the others.

    Of a system these are figures of the equation that it solves worst, ``equation`` from 0. Refuted is what goes beyond
    ``allowed``: three times the error and .002, and more where few test functions may have a small error by chance.
    """

    trajectory: int
    word: str
    reason: str
    residual: float | None
    error: float | None
    outlier: bool
    equation: int = 0
    allowed: float | None = None


@dataclass(frozen=True)
class Coefficient:
    """A coefficient of the equation beside that of the data.

    Attributes:
        equation: which of a system.
        term: with the leading term at coefficient 1 on the same side.
        claimed: by the equation; 0 for a term that it is without.
        estimate, lower, upper: of the data, ``None`` where they do not determine it.
        share: the term's part of the terms that it brings by itself, for a term that the equation is without.
        tested: whether the data know it to 1 %.
        refused: whether they contradict the claim.
        leading: the leading term of its equation in a system, empty for a single equation.
    """

    equation: int
    term: str
    claimed: float
    estimate: float | None
    lower: float | None
    upper: float | None
    share: float | None
    tested: bool
    refused: bool
    leading: str = ""

    @property
    def sentence(self) -> str:
        """What the data say of it."""
        if self.estimate is None or self.lower is None or self.upper is None:
            return f"the data do not determine the coefficient of {self.name}"
        size = max(abs(self.estimate), abs(self.claimed))
        half = max((self.upper - self.lower) / 2, MARGIN * size, 1e-300)
        digits = max(math.ceil(-math.log10(half) - 1e-6), 0)
        margin = f"{self.estimate:.{digits}f} ± {math.ceil(half * 10**digits - 1e-6) / 10**digits:.{digits}f}"
        says = f"the equation says {self.claimed:g}" if self.claimed else "the equation is without it"
        return f"the data have {self.name} with coefficient {margin}, {says}"

    @property
    def name(self) -> str:
        """The term, and of a system in which equation it stands."""
        return f"{self.term} in the equation of {self.leading}" if self.leading else self.term


@dataclass(frozen=True)
class Gate:
    """What data say of the equation they claim to solve.

    Attributes:
        equation: its text.
        verdict: "solves", "refuted", "cannot be told", or "outliers": it holds but for trajectories unlike the others.
        reason: the figures behind it, in words.
        trials: a word for each trajectory.
        coefficients: of the equation's terms.
        missing: terms that the data have and the equation is without.
        not_tested: coefficients that the data do not know to 1 %, and absent terms that they do not exclude to 1 % of
            the terms, by name.
        method: "weak form" or "prediction by one row".
        alpha: probability of error of the intervals that are shown.
        remarks: what else the verdict rests on, in words: a line that is not periodic, spacings that cannot be tested.
        periodic: whether the ends of the rows meet where the layout says so; if not, rows inside were judged alone.
    """

    equation: str
    verdict: str
    reason: str
    trials: tuple[Trial, ...]
    coefficients: tuple[Coefficient, ...]
    missing: tuple[Coefficient, ...]
    not_tested: tuple[str, ...]
    method: str
    alpha: float
    remarks: tuple[str, ...] = ()
    periodic: bool = True

    @property
    def word(self) -> Literal["measured", "refuted", "cannot be told"]:
        """The verdict at the level of data."""
        if self.verdict == SOLVES:
            return "measured"
        return "cannot be told" if self.verdict == UNKNOWN else "refuted"

    @property
    def exit_code(self) -> int:
        """0 if the data solve the equation, 1 if they or some of them do not, 3 if it cannot be told."""
        return {SOLVES: HOLDS, UNKNOWN: CANNOT_TELL}.get(self.verdict, REFUTED)

    @property
    def passed(self) -> bool:
        """Whether the data solve the equation."""
        return self.verdict == SOLVES

    @property
    def outliers(self) -> tuple[Trial, ...]:
        """Trajectories unlike the others."""
        return tuple(trial for trial in self.trials if trial.outlier)

    @property
    def sentence(self) -> str:
        """The one line a person reads."""
        text = {
            SOLVES: "these data solve it",
            NOT: "these data do not solve it",
            UNKNOWN: "whether these data solve it cannot be told",
            OUTLIERS: "these data solve it but for some trajectories",
        }[self.verdict]
        text += f" ({self.reason})"
        if self.not_tested and self.verdict in (SOLVES, OUTLIERS):
            text += f"; not tested to 1 %: {', '.join(self.not_tested)}"
        return "; ".join((text, *self.remarks))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "word": self.word,
            "verdict": self.verdict,
            "reason": self.reason,
            "sentence": self.sentence,
            "method": self.method,
            "trajectories": [vars(trial) for trial in self.trials],
            "coefficients": [vars(c) for c in self.coefficients],
            "missing": [vars(c) for c in self.missing],
            "not_tested": list(self.not_tested),
            "alpha": self.alpha,
            "remarks": list(self.remarks),
            "periodic": self.periodic,
        }

    def __str__(self) -> str:
        return f"{self.equation}: {self.sentence}"
