"""Weak residuals of trajectories beside the errors that noise and grid explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from symflow.errors import UserError

from ..weak import FEWEST_STEPS, HalfWidths, Samples, WeakRows, rows_on_ladder, widths
from .claims import Law
from .fits import sharp

TIME_FRACTIONS, FEW_FRACTIONS, SPACE_FRACTIONS = (7, 3), (3, 2), (8, 3)
FEW_TIMES = 60  # below: the widest test functions that fit


@dataclass(frozen=True)
class Figures:
    """Residuals of one equation at one choice of widths, relative to its terms, ``[S]`` each.

    With ``W_s = RMS_c sqrt(sum_j (c_j Z_j)^2)``, leading term included,

        residual = RMS(sum_j c_j Z_j)/W,    noise = the same of the noise rows,    dd_a^2 = d_a^2 - noise^2,
        error = noise + sum_a max(4 dd_a^2, dd_a/64),

    d_a the residual's change on every second node of axis a.

    Attributes:
        size: W.
        rough: dd_a, what every second node of each axis changes beyond the noise, ``[axes, S]``.
    """

    size: Tensor
    residual: Tensor
    noise: Tensor
    rough: Tensor

    @property
    def grid(self) -> Tensor:
        """The part of the error that is due to each axis, ``[axes, S]``."""
        return sharp(self.rough)

    @property
    def error(self) -> Tensor:
        """What noise and grid explain."""
        return self.noise + self.grid.sum(0)

    @staticmethod
    def of(rows: WeakRows, law: Law | Sequence[float]) -> Figures:
        """From the rows of `Law.columns`; or of a leading term, of others with coefficients, and of their sum."""
        claimed = law.claimed if isinstance(law, Law) else law
        weights = torch.tensor([1.0, *claimed], dtype=torch.float64)
        size = rows.rms((rows.plain[..., : len(weights)] * weights).square().sum(-1).sqrt())
        unit = size.clamp_min(1e-300)
        noise = rows.rms(rows.noise[..., -1]) / unit
        rough = []
        for change in rows.change:
            d = rows.rms(change[..., -1]) / unit
            rough.append((d.square() - noise.square()).clamp_min(0).sqrt())
        return Figures(size, rows.rms(rows.plain[..., -1]) / unit, noise, torch.stack(rough))


def ladder(samples: Samples) -> list[HalfWidths]:
    """Half-widths from narrow to wide, as far as there is room on every axis; none where one has no room."""
    choices = []
    for axis in samples.axes:
        few = FEW_FRACTIONS if len(axis) < FEW_TIMES else TIME_FRACTIONS
        found = widths(axis, *(few if axis.name == "t" else SPACE_FRACTIONS))
        if not found:
            return []
        choices.append([found[0], found[-1]])
    in_time = [n for n, axis in enumerate(samples.axes) if axis.name == "t"]
    rungs = []
    for late, wide in product((0, 1), (0, 1)):  # all axes of space are widened together
        rungs.append(tuple(c[late if n in in_time else wide] for n, c in enumerate(choices)))
    return list(dict.fromkeys(rungs))


def all_rows(samples: Samples, laws: Sequence[Law]) -> list[list[WeakRows]]:
    """The rows of every law at every rung of the ladder, ``[rung][law]``.

    Raises:
        UserError: an axis has no room for a test function, or terms that are not finite on the data.
    """
    columns = [law.columns() for law in laws]
    choices = ladder(samples)
    if not choices:
        short = min(samples.axes, key=len)
        raise UserError(
            f"test functions need at least {2 * FEWEST_STEPS + 1} nodes along {short.name}, got {len(short)}"
        )
    result = []
    for rows in rows_on_ladder(samples, [part for parts in columns for part in parts], choices):
        if not bool(rows.plain.isfinite().all()):
            named = ", ".join(str(m) for law in laws for m in law.terms)
            raise UserError(f"the terms {named} must be finite on the data, got values that are not")
        ends = torch.tensor([len(parts) for parts in columns]).cumsum(0).tolist()
        result.append([rows.of(range(end - len(p), end)) for p, end in zip(columns, ends, strict=True)])
    return result


def best_rung(figures: Sequence[Sequence[Figures]]) -> int:
    """The rung with the smallest median error, that of the worst equation."""
    medians = [max(float(f.error.nanmedian()) for f in of_laws) for of_laws in figures]
    return min(range(len(medians)), key=lambda n: medians[n])
