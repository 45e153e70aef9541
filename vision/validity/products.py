"""What motions do to judges, image by image: what verdicts rest on, and the errors of figures made of it.

A *judge* is a function of images, such as the class outputs of a network. Its response to the field V at the pixel p of
an image is ``q_p = V(p) . g_p`` (`search.responses`). Coherent motions add responses up, patches out of step add them
with the random functions of `search.out_of_step`; both are quadratic, and between two judges a and b bilinear:

    ``G_ab = E (sum_p q^a_p)(sum_p q^b_p),    M_ab = E sum_pq K_pq q^a_p q^b_q.``

The null hypothesis is that a motion is no better than its patches: of an image with the local products ``M_i`` the sums
over pixels are then draws from ``N(0, M_i)``, independent from image to image, and ``G = M``. Errors of judges that are
not shared have mean 0 in products of two judges and drop out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from symflow.learning import student_quantile

from ..search import correlation

BLOCKS = 50  # of images; leaving out one at a time gives the errors
PER_BLOCK = 4  # images at least: with fewer, a block is one image and its heavy tail
LEAST = 100  # images, for errors that can be believed: half of them make a dozen blocks

Forms = tuple[Tensor, Tensor]
"""G and M summed over images, ``[B, J, J, K, K]`` each."""


@dataclass(frozen=True)
class Estimate:
    """Figures of the images and their standard errors.

    Attributes:
        value: of any shape.
        error: of the same.
        freedom: of Student's t.
    """

    value: Tensor
    error: Tensor
    freedom: int

    @property
    def finite(self) -> Tensor:
        """Whether a figure and its error are numbers."""
        return self.value.isfinite() & self.error.isfinite()

    def below(self, bound: float, confidence: float) -> Tensor:
        """Whether the two-sided interval of this confidence lies below a bound; what is no number does not."""
        return self.value + student_quantile(confidence, self.freedom) * self.error < bound

    def above(self, bound: float, confidence: float) -> Tensor:
        """The same above."""
        return self.value - student_quantile(confidence, self.freedom) * self.error > bound

    def at_least_as_wide(self, error: Tensor) -> Estimate:
        """The same with errors that are nowhere below others."""
        return Estimate(self.value, torch.maximum(self.error, error), self.freedom)


@dataclass(frozen=True)
class Products:
    """The responses of J judges to K fields, of n images.

    Attributes:
        total: summed over the pixels, ``[n, J, K]``.
        local: their products with patches out of step, ``[n, J, J, K, K]``.
    """

    total: Tensor
    local: Tensor

    @classmethod
    def of(cls, responses: Iterable[Tensor], locality: float) -> Products:
        """Of all images.

        Args:
            responses: q, in batches ``[n, J, K, H, W]``.
            locality: l, the size of a patch, in units of the plane.

        Raises:
            ValueError: there are fewer than `LEAST` images.
        """
        totals, locals_ = [], []
        for q in responses:
            rows, columns = (correlation(n, locality).to(q) for n in q.shape[3:])
            flat = q.flatten(1, 2)
            products = flat.flatten(2) @ (rows @ flat @ columns).flatten(2).mT  # judges and fields, [n, J K, J K]
            totals.append(q.sum((3, 4)))
            locals_.append(products.unflatten(2, q.shape[1:3]).unflatten(1, q.shape[1:3]).transpose(2, 3))
        images = sum(map(len, totals))
        if images < LEAST:
            raise ValueError(f"`responses` must be those of at least {LEAST} images, got {images}")
        return cls(torch.cat(totals), torch.cat(locals_))

    def __len__(self) -> int:
        """The number of images."""
        return len(self.total)

    def __getitem__(self, images: slice) -> Products:
        """Some of the images."""
        return Products(self.total[images], self.local[images])

    def of_fields(self, fields: slice) -> Products:
        """Some of the fields."""
        return Products(self.total[..., fields], self.local[..., fields, fields])

    def along(self, coefficients: Tensor) -> Products:
        """For combinations ``[K, L]`` of the fields."""
        c = coefficients.to(self.total)
        return Products(self.total @ c, c.T @ self.local @ c)

    def null_error(self, weights: Tensor) -> Tensor:
        """The standard error under the null hypothesis of ``sum_i b_i^T Q b_i``, ``b_i ~ N(0, M_i)``, of every field.

        ``sqrt(sum_i 2 tr (Q M_i)^2)``. Errors from the images themselves are smallest just when a figure is low by
        chance, and alone call one field in thirty *measured* that is not.

        Args:
            weights: Q, symmetric, ``[K, J, J]``: a figure to first order in the sums of the images.
        """
        local = self.local.diagonal(dim1=3, dim2=4).movedim(-1, 1).double()  # [n, K, J, J]
        turned = weights @ local
        return (2 * (turned * turned.mT).sum((0, 2, 3))).sqrt()

    def blocks(self) -> Forms:
        """G and M of each block ``[B, J, J, K, K]`` float64; images are dealt out to blocks one by one."""
        count = min(BLOCKS, len(self) // PER_BLOCK)
        block = torch.arange(len(self)) % count
        _, J, K = self.total.shape
        flat = self.total.double().flatten(1)
        of_block = [flat[block == number] for number in range(count)]
        cost = torch.stack([(rows.T @ rows).view(J, K, J, K).transpose(1, 2) for rows in of_block])
        local = torch.zeros(count, *self.local.shape[1:], dtype=torch.float64)
        return cost, local.index_add_(0, block, self.local.double())


def estimate(statistic: Callable[..., Tensor], *products: Products) -> Estimate:
    """A figure of all images, and its error by leaving out one block of images at a time (jackknife).

    Args:
        statistic: from the forms of each of the products to figures ``[B, ...]``, one for each of B sets of images; it
            does not depend on how many are summed.
        products: of the same images.
    """
    forms = [p.blocks() for p in products]
    whole = [(cost.sum(0, keepdim=True), local.sum(0, keepdim=True)) for cost, local in forms]
    rest = statistic(*((w[0] - f[0], w[1] - f[1]) for w, f in zip(whole, forms, strict=True)))
    count = len(rest)
    error = ((count - 1) / count * (rest - rest.mean(0)).square().sum(0)).sqrt()
    return Estimate(statistic(*whole)[0], error, count - 1)
