"""The scales of axes and colours: shares of a length, and round numbers as people write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symflow.formulas import notation


@dataclass(frozen=True)
class Scale:
    """One axis: numbers to shares of its length; `low` may be above `high`.

    >>> Scale(0.0, 1.2).ticks(3)
    [(0.0, '0'), (0.5, '0.5'), (1.0, '1.0')]
    >>> [label for _, label in Scale(1e-9, 2.0, log=True).ticks(5)]
    ['10⁻⁸', '10⁻⁶', '10⁻⁴', '10⁻²', '1']
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False  # marks at whole numbers only

    def __call__(self, values: np.ndarray | Sequence[float] | float) -> np.ndarray:
        v, ends = np.asarray(values, dtype=float), np.array([self.low, self.high])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            if self.log:
                v, ends = np.log10(v), np.log10(ends)
            return np.asarray((v - ends[0]) / (ends[1] - ends[0]))

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """At most so many round numbers and how people write them: steps of 1, 2 or 5, or decades."""
        low, high = sorted((self.low, self.high))
        if self.log and high / low >= 100:
            first, last = _ceil(np.log10(low)), -_ceil(-np.log10(high))
            every = next(n for n in (1, 2, 3, 4, 5, 6, 8, 10, 20, 50, 100, 200) if last // n + -first // n + 1 <= most)
            exponents = [e for e in range(first, last + 1) if e % every == 0]
            return [(float(f"1e{e}"), _power(e)) for e in exponents]
        decade = max(int(np.floor(np.log10((high - low) / most))), 0 if self.whole else -400)
        unit, exponent = next(
            (m, e) for e in (decade, decade + 1) for m in (1, 2, 5) if (high - low) <= most * m * 10.0**e * (1 + 1e-9)
        )
        step = unit * 10.0**exponent
        marks = [i * unit for i in range(_ceil(low / step), -_ceil(-high / step) + 1)]
        numbers = [float(f"{mark}e{exponent}") for mark in marks]
        largest = max((abs(n) for n in numbers), default=0.0)
        if 0 < largest < 1e-3 or largest >= 1e5:
            digits = max(1, int(np.floor(np.log10(largest))) - exponent + 1)
            return [(n, notation.number(n, digits)) for n in numbers]
        return [(n, f"{n:.{max(0, -exponent)}f}".replace("-", "−") if n else "0") for n in numbers]


def _ceil(value: float) -> int:
    """The next integer, or the one a rounding error below."""
    return int(np.ceil(value - 1e-9))


def spanning(*values: np.ndarray, margin: float = 0.0) -> Scale:
    """A linear scale over all that is finite, with a share of the range on either side."""
    finite = np.concatenate([v[np.isfinite(v)] for v in values])
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if not high - low > 1e-12 * max(abs(low), abs(high)):
        half = 0.5 * max(1.0, abs(low))
        low, high = low - half, high + half
    pad = margin * (high - low)
    return Scale(low - pad, high + pad)


def _power(exponent: int) -> str:
    return ("1", "10")[exponent] if exponent in (0, 1) else "10" + notation.superscript(exponent)
