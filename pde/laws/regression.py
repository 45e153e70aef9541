"""Effective coefficients of an evolution law, from trajectories, in weak form and with intervals.

The law is ``u_t + sum_j theta_j m_j = 0``, its terms m_j known and its coefficients not. Against a test function psi
of compact support, with every total derivative moved onto psi (`parts.moved`),

    -<u, psi_t> + sum_j theta_j sum_k (-1)^k <f_jk(x, t, u), D_x^k psi> = 0,        m_j = sum_k D_x^k f_jk,

no derivative of the data is taken. Each psi, one for every centre of a lattice in space and time, gives a row
``y + Z theta = 0``. Here ``psi = b((x - x_c)/h_x) b((t - t_c)/h_t)`` with ``b(s) = (1 - s^2)^p``; integrals are sums
over the grid, whose weights follow the times (`quadrature_weights`) and which converge fast because psi is smooth and
vanishes at its ends. What is no total derivative (``u_x^2``) is evaluated with spectral derivatives of u, the modes
lost in noise left out (`samples`); such terms are named in the result.

**Noise.** Least squares on noisy rows is biased towards 0 (errors in variables). The grid is coloured as a
checkerboard, ``c_ij = (-1)^(i+j)``. Rows from the black and from the white half have independent noise, E and O, and
the same signal, so each half is an instrument for the other: ``E^T O + O^T E``. With ``Z = (E + O)/2``, the rows of
the full grid, and ``D = (E - O)/2``, the rows of the test functions ``c psi``, which see the noise and, u being
smooth, nothing else,

    theta = -(Z^T Z - D^T D)^-1 (Z^T y - D^T d):

the Gram matrix of the noise is measured and subtracted, and without noise nothing happens. The mean of f(u) is shifted
by noise as well; ``f - s^2/2 f_uu + ...`` is used instead, exact for Gaussian noise and polynomial f, its variance s^2
measured by the same D. The noise is assumed independent from sample to sample; where it is not, `misfit`, the size of
``y + Z theta`` relative to ``d + D theta``, is above 1, as it is when the law is not that of the data.

**Intervals.** The covariance is that of the jackknife over clusters: trajectories, cut into blocks at least a test
function wide where there are few (Efron and Stein, Ann. Statist. 9, 1981). Simultaneous intervals take the quantile of
the largest of correlated t variables. The sums over the grid have an error, too. It falls with the widths of the test
functions (for ``b`` as their power -11), so what changes from one step of a ladder of widths to the next bounds it; the
changes in x and in t are the doubts, and both are added to the intervals. The widths are those of the ladder that give
the shortest intervals on a few trajectories.

Sources of the method: Reinbold, Gurevich and Grigoriev, Phys. Rev. E 101 (2020) 010203; Messenger and Bortz, J. Comput.
Phys. 443 (2021) 110525; instruments: Fuller, *Measurement Error Models*, Wiley 1987, section 1.4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy
import torch
from torch import Tensor

from symflow.errors import UserError
from symflow.runs import one_thread

from ..equations import JetSpace
from ..trajectories import Trajectories
from ..weak import Rows, Widths, law, movable, moved, weak_ladder
from .intervals import _covariance, jackknife, largest_t

LADDER_X = (12, 18, 27, 40)  # half-widths in grid steps, each 1.5 times the last
LADDER_T = (8, 12, 18, 27)
SELECTION = 6  # trajectories on which the widths are chosen, fewer where they are large:
SELECTED_VALUES = 2**19  # so many values, of three at least
PLANE = JetSpace(("t", "x"), ("u",))
COLLINEAR = 1e-6  # square of the sine of the angle of a term to those before it


@dataclass(frozen=True)
class Coefficients:
    """The coefficients of ``u_t + sum_j theta_j m_j = 0`` that data show, with their intervals.

    Attributes:
        terms: the m_j.
        theta: the estimates.
        lower, upper: the ends of intervals that hold all coefficients at once with probability ``1 - alpha``.
        covariance: of the estimates, by the jackknife.
        doubt: ``[2, terms]``, the change of the estimates with test functions narrower in x, and in t.
        degrees: of freedom of the covariance, clusters less one.
        collinear: terms left out because on these data they are combinations of those before them.
        smoothed: terms that needed derivatives of u, the noisy modes left out; their bias is not removed.
        noise: standard deviation of the noise of u, as measured.
        misfit: RMS of ``y + Z theta`` over that of its noise; near 1 for data of the law, large without noise.
        residual: RMS of ``y + Z theta`` relative to the terms' own.
        alpha: the intervals' probability of error.
    """

    terms: tuple[sympy.Expr, ...]
    theta: Tensor
    lower: Tensor
    upper: Tensor
    covariance: Tensor
    doubt: Tensor
    degrees: int
    collinear: tuple[sympy.Expr, ...]
    smoothed: tuple[sympy.Expr, ...]
    noise: float
    misfit: float
    residual: float
    alpha: float

    @property
    def error(self) -> Tensor:
        """Standard errors, ``[terms]``."""
        return self.covariance.diagonal().sqrt()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: terms as text, numbers as lists."""
        return {
            "terms": [
                {"term": str(m), "coefficient": a, "lower": low, "upper": high, "standard_error": e, "doubt": d}
                for m, a, low, high, e, d in zip(
                    self.terms,
                    *(v.tolist() for v in (self.theta, self.lower, self.upper, self.error, self.doubt.abs().sum(0))),
                    strict=True,
                )
            ],
            "collinear": [str(m) for m in self.collinear],
            "smoothed": [str(m) for m in self.smoothed],
            "noise": self.noise,
            "misfit": self.misfit,
            "residual": self.residual,
            "alpha": self.alpha,
        }


@one_thread()
def effective_coefficients(
    data: Trajectories,
    terms: Sequence[sympy.Expr] | None = None,
    alpha: float = 0.05,
    *,
    simultaneous: bool = True,
    widths: Widths | None = None,
) -> Coefficients:
    """The coefficients that the data have in ``u_t + sum_j theta_j m_j = 0``.

    Determinism: the same data give the same numbers; nothing is drawn at random but the quantile of the largest of
    correlated t variables, from a fixed seed.

    Args:
        data: trajectories; their equation says no more than the terms.
        terms: the m_j, in the order in which collinear ones give way to those before them; by default the summands of
            the data's equation.
        alpha: probability of error of the intervals.
        simultaneous: intervals for all coefficients at once, or for each by itself.
        widths: of the test functions; chosen by the data unless given.

    Raises:
        UserError: too few times, points or trajectories, or data that do not tell the terms apart.

    >>> from symflow import pde
    >>> data = pde.generate("kdv", samples=4, seed=0, steps=50, keep=50, end=20.0, resolution=128)
    >>> fit = effective_coefficients(data)
    >>> [round(float(a), 3) for a in fit.theta]
    [1.0, 1.0]
    """
    check_alpha(alpha)
    terms = tuple(law(data.equation)) if terms is None else tuple(terms)
    if not terms:
        raise UserError("`terms` must hold at least one term, got none")
    widths = choose_widths(data, terms) if widths is None else widths
    *narrower, rows = weak_ladder(data, terms, [*widths.narrower(), widths])
    columns = independent_columns(rows)
    if len(columns) < len(terms):
        narrower, rows = [few.of(columns) for few in narrower], rows.of(columns)
    collinear = tuple(m for c, m in enumerate(terms) if c not in columns)
    kept = tuple(terms[c] for c in columns)
    theta, replicates = jackknife(rows)
    degrees = len(replicates) - 1
    covariance = _covariance(replicates)
    doubt = torch.stack([theta - jackknife(few)[0] for few in narrower])
    quantile = largest_t(covariance, degrees, alpha) if simultaneous else largest_t(covariance[:1, :1], degrees, alpha)
    half = quantile * covariance.diagonal().sqrt() + doubt.abs().sum(0)
    r, d = rows.residual(theta)
    size = (rows.values * torch.cat([torch.ones(1, dtype=torch.float64), theta])).square().sum(-1).mean()
    return Coefficients(
        terms=kept,
        theta=theta,
        lower=theta - half,
        upper=theta + half,
        covariance=covariance,
        doubt=doubt,
        degrees=degrees,
        collinear=collinear,
        smoothed=tuple(m for m in kept if not movable(moved(m, PLANE), PLANE)),
        noise=float(rows.sigma.square().mean().sqrt()),
        misfit=float((r.square().mean() / d.square().mean().clamp_min(1e-300)).sqrt()),
        residual=float((r.square().mean() / size.clamp_min(1e-300)).sqrt()),
        alpha=alpha,
    )


def check_alpha(alpha: float) -> None:
    """Raises ValueError unless ``alpha`` is a probability that intervals can have."""
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not 1e-4 <= alpha < 1:
        raise ValueError(f"`alpha` must be a probability from 1e-4 to below 1, got {alpha!r}")


def candidates(data: Trajectories) -> list[Widths]:
    """The ladder of widths that the data have room for, from narrow to wide.

    Raises:
        UserError: there is room for none.
    """
    T, X = len(data.t), len(data.x)
    in_t = [m for m in LADDER_T if 3 * m < T] or [m for m in ((T - 1) // 3,) if m >= 4]
    in_x = [m for m in LADDER_X if 3 * m <= X] or [m for m in (X // 3,) if m >= 6]
    if not in_t or not in_x:
        raise UserError(f"coefficients need at least 13 times and 18 points, got {T} times and {X} points")
    return [Widths(a, b) for a in in_x for b in in_t]


def choose_widths(data: Trajectories, terms: Sequence[sympy.Expr]) -> Widths:
    """The widths that give the shortest intervals, noise and doubt together, on a few trajectories.

    Intervals are compared by the mean of their logarithms, so that the units of the coefficients do not count. Terms
    that are combinations of others have none, whatever rounding makes of them; widths that tell more terms apart come
    first.
    """
    wanted = min(SELECTION, max(SELECTED_VALUES // data.u[0].numel(), 3))
    few = data[:: max(1, len(data) // wanted)]
    ladder = list(dict.fromkeys(v for c in candidates(data) for v in (*c.narrower(), c)))
    fits: dict[Widths, tuple[list[int], Tensor, Tensor] | None] = {}
    try:
        found = weak_ladder(few, terms, ladder)
    except UserError:
        found = []
    for rows in found:
        try:
            columns = independent_columns(rows)
            fits[rows.widths] = (columns, *jackknife(rows.of(columns)))
        except UserError:
            fits[rows.widths] = None
    best, least = None, (0, math.inf)
    for widths in candidates(data):
        wide, in_x, in_t = (fits.get(w) for w in (widths, *widths.narrower()))
        if wide is None or in_x is None or in_t is None or not wide[0] == in_x[0] == in_t[0]:
            continue
        doubt = (wide[1] - in_x[1]).abs() + (wide[1] - in_t[1]).abs()
        half = 2 * _covariance(wide[2]).diagonal().sqrt() + doubt
        length = -len(wide[0]), float((half / wide[1].abs().clamp_min(1e-12)).log().mean())
        if length < least:
            best, least = widths, length
    return best or candidates(data)[len(candidates(data)) // 2]


def independent_columns(rows: Rows) -> list[int]:
    """The terms that are no combination of those before them, on the data and with the noise taken out."""
    gram = rows.clusters().sum(0)[1:, 1:]
    kept: list[int] = []
    for j in range(len(gram)):
        if not float(gram[j, j]) > 0:
            continue
        rest = gram[j, j]
        if kept:
            inner = gram[kept][:, kept]
            scale = inner.diagonal().sqrt()
            b = gram[kept, j] / scale
            rest = (
                rest - b @ torch.linalg.lstsq(inner / scale / scale[:, None], b[:, None], driver="gelsd").solution[:, 0]
            )
        if float(rest) > COLLINEAR * float(gram[j, j]):
            kept.append(j)
    if not kept:
        raise UserError("the data do not determine any coefficient: every term is lost in noise or zero")
    return kept
