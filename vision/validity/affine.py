"""Whether the cheapest fields are affine because of the images: a claim beside its nulls.

Affine fields are smooth, and smoothness alone makes fields affine, so the claim is made at a weak prior: at a mu of .05
networks that have learned nothing do not find affine fields, at 1 they nearly do.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from symflow.learning import student_quantile

from ..search import Basis, affine_products, orthonormaliser

WEAK = 0.05  # of mu
DRAWS = 400  # of spaces at random
CONFIDENCE = 0.99


@dataclass(frozen=True)
class AffineClaim:
    """How much of the first six fields is affine, beside those of networks that have learned nothing.

    Attributes:
        word: "measured" where the share is above what another untrained network would reach, and above random spaces;
            else "cannot be told".
        mu: the weight of smoothness under which all were found.
        share: sum of the squared affine-ness of the first six, at most 6.
        untrained: the same of untrained networks.
        random: of random spaces of six fields: the share that 1 in 200 exceeds.
    """

    word: Literal["measured", "cannot be told"]
    mu: float
    share: float
    untrained: list[float]
    random: float

    @property
    def reason(self) -> str:
        """In a sentence."""
        return (
            f"{self.share:.1f} of the first six fields at mu = {self.mu:g} is affine; untrained networks "
            f"{min(self.untrained):.1f} to {max(self.untrained):.1f}, random fields at most {self.random:.1f}"
        )


def affine_claim(share: float, untrained: list[float], random: list[float]) -> AffineClaim:
    """The claim for one share.

    The nulls: a further untrained network, whose share lies below ``mean + t sd sqrt(1 + 1/U)`` with 99.5 %, Student's
    t with ``U - 1`` degrees of freedom, its U shares taken for normal; and spaces at random in the basis.

    Args:
        share: of the fields found, at `WEAK`.
        untrained: of U untrained networks, at least two.
        random: of `random_shares`.
    """
    most = random[math.ceil(0.995 * len(random)) - 1]
    count = len(untrained)
    spread = statistics.stdev(untrained) * math.sqrt(1 + 1 / count)
    limit = statistics.mean(untrained) + student_quantile(CONFIDENCE, count - 1) * spread
    word: Literal["measured", "cannot be told"] = "measured" if share > max(limit, most) else "cannot be told"
    return AffineClaim(word, WEAK, share, untrained, most)


def random_shares(basis: Basis, gram: Tensor, measure: Tensor, rank: int = 6) -> list[float]:
    """The shares of random spaces in the basis, ascending; their mean is ``36/m`` for m fields and six dimensions.

    Args:
        basis: among which fields were sought.
        gram, measure: under which they are orthonormal.
        rank: of the spaces.
    """
    generator = torch.Generator().manual_seed(0)
    frame = orthonormaliser(gram)
    m = len(gram)
    products = affine_products(basis.fields(frame), basis.points, measure)  # [m, 6], its columns orthonormal
    shares = []
    for _ in range(DRAWS):
        space = torch.linalg.qr(torch.randn(m, rank, generator=generator, dtype=torch.float64))[0]
        shares.append(float((space.T @ products).square().sum()))
    return sorted(shares)
