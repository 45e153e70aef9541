"""How many motions there are at least.

No gap in lambda tells their number, and it grows with the images that are asked; what can be said is a lower bound. A
space of fields is tolerated when *each* of its fields is: when the largest lambda in it is below 1. Spaces are chosen
on one half of the images, nested, one dimension at a time; on the other half each is tested until one fails. A test
asks for all fields of a space at once (an intersection-union test) and comes only after smaller ones have passed, so
the probability that the bound exceeds the truth is at most that of a single test.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .products import Forms, Products, estimate
from .rules import MEASURED, ratios


def at_least(products: Products) -> int:
    """The number of independent fields, all of whose combinations have lambda below 1, at least.

    ``max over V in W_n of G(V, V)/M(V, V) < 1``, n = 1, 2, ..., tested on every other image; W_n is spanned by the n
    fields for which ``M - G``, of the images between, is largest beside what they do to the judges one by one.

    Args:
        products: of the fields among which is counted, by one judge (coherence) or two (agreement).
    """
    chosen, tested = products[0::2], products[1::2]
    cost, local = (form.sum(0) for form in chosen.blocks())
    own = local.diagonal(dim1=0, dim2=1).movedim(-1, 0)  # M of each judge, [J, K, K]
    sizes = own.diagonal(dim1=1, dim2=2).sum(1)
    spaces = _pencil(_between(cost) - _between(local), (own / sizes[:, None, None]).sum(0))
    if spaces is None:
        return 0
    vectors = spaces[1]
    for n in range(1, vectors.shape[1] + 1):
        inside = tested.along(vectors[:, :n])

        def largest(forms: Forms) -> Tensor:
            values = [_largest(g, m)[0] for g, m in zip(*map(_between, forms), strict=True)]
            return torch.stack(values)

        worst = inside.along(_largest(*(_between(form.sum(0)) for form in inside.blocks()))[1][:, None])
        if not bool(estimate(largest, inside).at_least_as_wide(ratios(worst).error[0]).below(1.0, MEASURED)):
            return n - 1
    return vectors.shape[1]


def _between(form: Tensor) -> Tensor:
    """The form of two judges, symmetrised, or of the only one, ``[..., J, J, K, K]`` to ``[..., K, K]``."""
    between = form[..., 0, -1, :, :]
    return (between + between.mT) / 2


def _pencil(cost: Tensor, local: Tensor) -> tuple[Tensor, Tensor] | None:
    """The eigenvalues and vectors of ``G v = lambda M v``, ascending; ``None`` where M is not positive."""
    factor, failed = torch.linalg.cholesky_ex(local)
    if failed:
        return None
    inverse = torch.linalg.inv(factor)
    values, vectors = torch.linalg.eigh(inverse @ cost @ inverse.mT)
    return values, inverse.mT @ vectors


def _largest(cost: Tensor, local: Tensor) -> tuple[Tensor, Tensor]:
    """The largest lambda and its field; infinite where M is not positive, so that nothing is claimed."""
    found = _pencil(cost, local)
    if found is None:
        return cost.new_tensor(torch.inf), cost.new_ones(len(cost))
    return found[0][-1], found[1][:, -1]
