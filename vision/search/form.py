"""The generators of images as the bottom of a generalised eigenproblem: the infinitesimal quadratic form.

A field V moves the image f by ``df/ds = V . grad f``, and its features by ``J (V . grad f)``, where J is the Jacobian
of the features. Let ``q_p = V(p) . grad f(p)`` be taken pixel by pixel. The cost of V is the squared change of
features, ``G(V, V) = E |J q|^2``.

Cost relative to the size of V finds nothing: features are low-pass, so the fields that oscillate cost least. What tells
a symmetry is that the parts of the motion *cancel*: that all of it together costs less than its parts do. So the cost
is divided by that of the same motion with its patches out of step,

    ``M(V, V) = E_xi G(xi V, xi V)``,

where ``xi`` is a smooth random function on the plane with mean 0, variance 1 and correlation ``K_pq = exp(-|p - q|^2 /
4 l^2)`` (the Hadamard product of the matrix of G with K). The quotient ``lambda = G/M`` is the cost of the coherent
motion over that of its patches: about 1 for features that know nothing of the motion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..features import Features

BATCH = 100  # images whose derivatives are computed at once
RIDGE = 1e-10  # added to M and to a Gram matrix, relative to their mean eigenvalues


def gradients(images: Tensor) -> Tensor:
    """The derivative of the bilinear interpolation of images at the pixel centres, ``[B, C, H, W, 2]``.

    The mean of the slopes on both sides of a centre, per unit of the plane; images are mirrored at the centres of
    their outermost pixels, as by ``symflow.warp(..., padding="reflection")``.

    >>> gradients(torch.tensor([[[[0.0, 1.0, 4.0]]]]))[0, 0, 0, :, 0].tolist()
    [0.0, 2.0, 0.0]
    """
    slopes = []
    for axis in (-1, -2):
        n = images.shape[axis]
        slope = torch.zeros_like(images)
        if n > 2:
            inner = (images.narrow(axis, 2, n - 2) - images.narrow(axis, 0, n - 2)) * ((n - 1) / 4)
            slope.narrow(axis, 1, n - 2).copy_(inner)
        slopes.append(slope)
    return torch.stack(slopes, -1)


def pullbacks(features: Features, images: Tensor, seed: int) -> Tensor:
    """``J^T r`` with a normal vector r for each image: how the pixels change one random feature, ``[N, C, H, W]``.

    Since ``E r r^T = 1``, the mean of ``(r . J q)^2`` over r is ``|J q|^2``: one product of a vector with the Jacobian
    per image replaces all of the Jacobian. The vectors depend on the seed and the place of an image, not on batches.
    """
    random = torch.Generator().manual_seed(seed)
    found = []
    for batch in images.split(BATCH):
        leaf = batch.detach().requires_grad_()
        with torch.enable_grad():
            values = features(leaf)
            r = torch.randn(values.shape, generator=random).to(values)
            found.append(torch.autograd.grad((values * r).sum(), leaf)[0])
    return torch.cat(found)


def sensitivities(features: Features, images: Tensor, seed: int) -> Tensor:
    """``g_p = sum_c (J^T r)_cp grad f_c(p)``, ``[N, H, W, 2]``: what a motion of pixel p does to one random feature."""
    return torch.einsum("nchw,nchwd->nhwd", pullbacks(features, images, seed), gradients(images))


@dataclass(frozen=True)
class Forms:
    """Quadratic forms on the coefficients of fields in a basis, ``[m, m]`` float64 each.

    Attributes:
        cost: G, of the coherent motion.
        local: M, of the same motion with its patches out of step.
    """

    cost: Tensor
    local: Tensor

    @classmethod
    def of(cls, responses: Iterable[Tensor], locality: float) -> Forms:
        """Means over images of ``(sum_p q_p)(sum_p q_p)^T`` and ``sum_pq K_pq q_p q_q^T``.

        Args:
            responses: q of every field of a basis, in batches ``[n, m, H, W]``.
            locality: l, the size of a patch in units of the plane, at most 1.
        """
        cost = local = torch.zeros((), dtype=torch.float64)
        count = 0
        for q in responses:
            total = q.sum((2, 3)).double()
            cost = cost + total.T @ total
            rows, columns = (correlation(n, locality).to(q) for n in q.shape[2:])
            smooth = rows @ q @ columns
            local = local + torch.einsum("nap,nbp->ab", q.flatten(2), smooth.flatten(2)).double()
            count += len(q)
        return cls(cost / count, (local + local.T) / (2 * count))

    def quotients(self, coefficients: Tensor) -> Tensor:
        """``G/M`` of fields given by their coefficients ``[m, K]``, ``[K]``."""
        cost, local = ((coefficients * (form @ coefficients)).sum(0) for form in (self.cost, self.local))
        return cost / local

    def averaged(self, change: Tensor) -> Forms:
        """The mean with the forms seen through a symmetry of the plane, by what it does to coefficients ``[m, m]``."""
        cost, local = ((form + change.T @ form @ change) / 2 for form in (self.cost, self.local))
        return Forms(cost, local)


def correlation(n: int, locality: float) -> Tensor:
    """``exp(-(z_i - z_j)^2 / 4 l^2)`` along an axis of n pixels, ``[n, n]``."""
    z = torch.linspace(-1.0, 1.0, n, dtype=torch.float64) if n > 1 else torch.zeros(1, dtype=torch.float64)
    return torch.exp(-((z[:, None] - z) ** 2) / (4 * locality**2))


def responses(sensitivity: Tensor, basis: Tensor) -> Iterator[Tensor]:
    """``q_p = V(p) . g_p`` of the fields ``[H W, m, 2]`` of a basis on the plane, in batches ``[n, m, H, W]``."""
    fields = basis.unflatten(0, sensitivity.shape[1:3])
    for batch in sensitivity.split(BATCH):
        yield torch.einsum("nhwd,hwmd->nmhw", batch, fields.to(batch))


@dataclass(frozen=True)
class CheapestFields:
    """Orthonormal fields, each the cheapest of those orthogonal to the ones before it.

    Attributes:
        values: ``lambda``, the quotient ``(G + mu rho L)/M`` of each field, ascending, ``[K]``.
        ratios: ``G/M`` of the same fields: what the images alone say, ``[K]``.
        coefficients: of the fields in the basis, in columns, ``[m, K]``.
    """

    values: Tensor
    ratios: Tensor
    coefficients: Tensor


def cheapest_fields(forms: Forms, energy: Tensor, gram: Tensor, mu: float, count: int) -> CheapestFields:
    """The fields ``V_k = argmin (G + mu rho L)(V, V) / M(V, V)`` over all V orthogonal to ``V_1 ... V_{k-1}``.

    L is the energy of the gradients of a field, and ``rho = tr G / tr L`` puts it in units of the cost: for ``mu = 0``
    the images alone decide, for large mu smoothness alone. Fields are orthogonal, and of unit norm, under the inner
    product of the paper, as its slots are; eigenvectors of the pencil would be orthogonal under M instead, which leaves
    parts of the first fields in the last ones.

    Args:
        forms: G and M in a basis of m fields that is orthonormal under the uniform measure.
        energy: L in the same basis, ``[m, m]``.
        gram: the inner products of the basis that fields are to be orthonormal under, ``[m, m]``.
        mu: weight of smoothness, at least 0.
        count: K, at most m.

    Raises:
        ValueError: ``mu`` is negative, or ``count`` is not from 1 to m.
    """
    m = len(energy)
    if not mu >= 0:
        raise ValueError(f"`mu` must be at least 0, got {mu}")
    if not 1 <= count <= m:
        raise ValueError(f"`count` must be from 1 to the {m} fields of the basis, got {count}")
    scale = forms.local.diagonal().mean()  # of both forms alike: images without contrast would underflow
    local = forms.local / scale + RIDGE * torch.eye(m, dtype=torch.float64)
    rho = forms.cost.diagonal().sum() / scale / energy.diagonal().sum().clamp_min(torch.finfo(torch.float64).tiny)
    cost = forms.cost / scale + mu * rho * energy
    free = orthonormaliser(gram)  # an orthonormal basis of what is orthogonal to the fields so far
    values, fields = [], []
    for _ in range(count):
        inverse = _whitener(free.T @ local @ free)
        quotients, vectors = torch.linalg.eigh(inverse @ (free.T @ cost @ free) @ inverse.T)
        lowest = inverse.T @ vectors[:, 0]
        field = free @ (lowest / lowest.norm())
        values.append(quotients[0])
        fields.append(field * field[field.abs().argmax()].sign())
        rest = torch.linalg.qr(torch.cat([lowest[:, None], torch.eye(len(lowest), dtype=torch.float64)], 1))[0]
        free = free @ rest[:, 1:]
    coefficients = torch.stack(fields, 1)
    return CheapestFields(torch.stack(values), forms.quotients(coefficients), coefficients)


def _whitener(matrix: Tensor) -> Tensor:
    """W with ``W M W^T = 1``, for a matrix that is positive but for rounding.

    Responses are in single precision. Images that vary in a few pixels have forms of low rank, whose other eigenvalues
    are rounding of either sign, above the ridge: they count as the smallest that can be told from 0.
    """
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if not failed:
        inverse: Tensor = torch.linalg.inv(factor)
        return inverse
    values, vectors = torch.linalg.eigh(matrix)
    whitener: Tensor = (vectors / values.clamp_min(torch.finfo(torch.float32).eps * values[-1]).sqrt()).T
    return whitener


def smoothest(energy: Tensor, gram: Tensor, count: int) -> CheapestFields:
    """The fields of least energy, orthonormal under ``gram``: `cheapest_fields` for mu without bound."""
    frame = orthonormaliser(gram)
    values, vectors = torch.linalg.eigh(frame.T @ energy @ frame)
    coefficients = frame @ vectors[:, :count]
    return CheapestFields(values[:count].clamp_min(0.0), torch.zeros(count, dtype=torch.float64), coefficients)


def orthonormaliser(gram: Tensor) -> Tensor:
    """Columns of coefficients that are orthonormal under ``gram``, ``[m, m]``."""
    m = len(gram)
    ridge = RIDGE * gram.diagonal().mean() * torch.eye(m, dtype=torch.float64)
    factor = torch.linalg.cholesky(gram + ridge)
    inverse: Tensor = torch.linalg.solve_triangular(factor, torch.eye(m, dtype=torch.float64), upper=False)
    return inverse.T


def widest_gap(values: Tensor) -> tuple[int, float]:
    """After how many values the relative gap is widest, and the quotient of the values on its two sides."""
    quotients = values[1:] / values[:-1]
    rank = int(quotients.argmax())
    return rank + 1, float(quotients[rank])


def out_of_step(height: int, width: int, locality: float, draws: int, seed: int) -> Tensor:
    """Random functions with mean 0, variance 1 and correlation ``K``, ``[draws, H, W]``: those that define M."""
    random = torch.Generator().manual_seed(seed)
    noise = torch.randn(draws, height, width, generator=random, dtype=torch.float64)
    rows, columns = (_root(correlation(n, locality)) for n in (height, width))
    return rows @ noise @ columns


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp_min(0.0).sqrt()) @ vectors.T
    return root
