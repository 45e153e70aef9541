"""The word for each motion: measured, refuted, or cannot be told.

By **agreement**, where images have labels. Two judges a and b, trained apart, give classes. For each motion

    ``lambda = G_ab/M_ab,    rho = corr(G)/corr(M),    corr(G) = G_ab/sqrt(G_aa G_bb).``

lambda says how much less the whole motion changes what both see of the classes than its patches do out of step; rho how
much less they agree on that change. A motion that leaves the classes alone changes each judge by its own errors only,
so that both fall towards 0. Of a motion that is no better than its patches both are 1: the null hypothesis.

By **coherence**, without labels. There is one judge, the features, and ``lambda = G/M``. Features of a network that has
learned nothing respond with a lambda of their own, so that of untrained networks is the second null.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from symflow.discovery import DataVerdict

from .products import Estimate, Forms, Products, estimate

MEASURED = 0.99  # two-sided: 2.58 standard errors with many blocks
REFUTED = 0.9973  # three: images out of order refute more often than chance says


@dataclass(frozen=True)
class HeldOut:
    """What a motion does on images that took no part in the search. Pairs are a figure and its standard error.

    Attributes:
        ratio: lambda, the cost of the motion over that of its patches out of step; between two judges by agreement.
        agreement: rho, how much less the judges agree on the whole motion than on its patches; ``None`` by coherence.
        untrained: lambda of the same motion for untrained networks; empty by agreement.
    """

    ratio: tuple[float, float]
    agreement: tuple[float, float] | None
    untrained: list[float]

    def __post_init__(self) -> None:
        if self.ratio[1] < 0 or (self.agreement is not None and self.agreement[1] < 0):
            raise ValueError("a standard error is negative")

    def __str__(self) -> str:
        parts = [f"lambda {self.ratio[0]:.2f} ± {self.ratio[1]:.2f}"]
        if self.agreement is not None:
            parts.append(f"rho {self.agreement[0]:.2f} ± {self.agreement[1]:.2f}")
        if self.untrained:
            parts.append(f"untrained networks {min(self.untrained):.2f} to {max(self.untrained):.2f}")
        return ", ".join(parts)


Word = Literal["measured", "refuted", "cannot be told"]
Judged = tuple[DataVerdict, HeldOut | None]
"""The word for a motion, and the figures behind it; ``None`` where there are none to give."""

BLIND = "the judges share no response to it that the images can tell from 0"


def by_agreement(products: Products) -> list[Judged]:
    """The words for all fields by two judges of classes.

    *measured*: lambda and rho both below 1; *refuted*: either above; else *cannot be told*.

    Args:
        products: of the two judges, trained apart, on images that neither has learned from.
    """
    seen = estimate(lambda f: _correlation(f[1]), products).above(0.0, MEASURED)
    ratio, agreement = ratios(products), _agreements(products)
    below = ratio.below(1.0, MEASURED) & agreement.below(1.0, MEASURED) & seen
    above = (ratio.above(1.0, REFUTED) | agreement.above(1.0, REFUTED)) & seen
    finite = ratio.finite & agreement.finite
    figures = [HeldOut(_pair(ratio, k), _pair(agreement, k), []) if finite[k] else None for k in range(len(finite))]
    return _judged(figures, below, above, seen)


def by_coherence(own: Products, untrained: Sequence[Products]) -> list[Judged]:
    """The words for all fields by features, without labels.

    *measured*: lambda below 1, and below that of every untrained network on the same images; *refuted*: above 1; else
    *cannot be told*.

    Args:
        own: products of the features by themselves.
        untrained: the same of features of networks that have learned nothing.
    """
    ratio, *others = map(ratios, (own, *untrained))
    below = ratio.below(1.0, MEASURED)
    for p, other in zip(untrained, others, strict=True):
        difference = estimate(lambda a, b: _ratio(a) - _ratio(b), own, p)
        below &= difference.at_least_as_wide(torch.hypot(_null(own), _null(p))).below(0.0, MEASURED)
        below &= other.finite
    figures = [
        HeldOut(_pair(ratio, k), None, [float(o.value[k]) for o in others if o.finite[k]]) if ratio.finite[k] else None
        for k in range(len(below))
    ]
    return _judged(figures, below, ratio.above(1.0, REFUTED), ratio.finite)


def ratios(products: Products) -> Estimate:
    """lambda of every field, by the one judge or between the two; no error is below that of the null hypothesis."""
    return estimate(_ratio, products).at_least_as_wide(_null(products))


def _judged(figures: Sequence[HeldOut | None], below: Tensor, above: Tensor, seen: Tensor) -> list[Judged]:
    judged: list[Judged] = []
    for k, found in enumerate(figures):
        if found is None:
            judged.append((DataVerdict("cannot be told", BLIND), None))
            continue
        word: Word = "refuted" if above[k] else "measured" if below[k] else "cannot be told"
        judged.append((DataVerdict(word, str(found) if seen[k] else BLIND, found.ratio[0]), found))
    return judged


def _each(form: Tensor) -> Tensor:
    """The products of each field with itself, ``[..., J, J, K, K]`` to ``[..., K, J, J]``."""
    own: Tensor = form.diagonal(dim1=-2, dim2=-1).movedim(-1, -3)
    return own


def _ratio(forms: Forms) -> Tensor:
    cost, local = (_each(form)[..., 0, -1] for form in forms)
    ratio: Tensor = cost / local
    return ratio


def _null(products: Products) -> Tensor:
    return products.null_error(_shared(_each(products.blocks()[1].sum(0))))


def _shared(local: Tensor) -> Tensor:
    """lambda to first order in the sums of the images, ``[K, J, J]``: 1/M of the one judge, or between the two."""
    own, other = local.new_zeros(2, *local.shape[1:])
    own[0, -1], other[-1, 0] = 0.5, 0.5
    shared: Tensor = (own + other) / local[:, 0, -1, None, None]
    return shared


def _agreements(products: Products) -> Estimate:
    """rho of every field."""
    local = _each(products.blocks()[1].sum(0))
    own = torch.diag_embed(local.diagonal(dim1=1, dim2=2).reciprocal() / 2)
    found = estimate(lambda f: _correlation(f[0]) / _correlation(f[1]), products)
    return found.at_least_as_wide(products.null_error(_shared(local) - own))


def _correlation(form: Tensor) -> Tensor:
    own = _each(form)
    correlation: Tensor = own[..., 0, 1] / (own[..., 0, 0] * own[..., 1, 1]).sqrt()
    return correlation


def _pair(estimate: Estimate, k: int) -> tuple[float, float]:
    return float(estimate.value[k]), float(estimate.error[k])
