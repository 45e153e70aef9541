"""Generators on the space of colours: the quadratic form of `vision.form` for changes of colour.

A field V on ``(r, g, b)`` changes the colour f(p) of every pixel by ``V(f(p))``, so ``V(f(p))`` takes the place of
``V(p) . grad f(p)``; cost, local cost and solution are those of motions. The patches whose changes are out of step are
patches of the pixel plane.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from symflow.fields import GridField

from ..features import Features
from .form import BATCH, CheapestFields, Forms, cheapest_fields, pullbacks
from .scores import COLOURS

SAMPLE = 50_000  # colours under which fields are orthonormal
NODES = 17  # along each axis of a table


@dataclass(frozen=True)
class ColourBasis:
    """Polynomials in r, g and b up to a total degree, in each component, orthonormal under a sample of colours.

    Attributes:
        exponents: of the S monomials, ``[S, 3]``.
        centre: from which colours count in monomials, ``[3]``.
        inverse: monomials times it are orthonormal, ``[S, S]``.
        energy: mean over the sample of products of gradients of the ``3 S`` fields.
    """

    exponents: Tensor
    centre: Tensor
    inverse: Tensor
    energy: Tensor

    @classmethod
    def of(cls, colours: Tensor, degree: int) -> ColourBasis:
        """Orthonormal under the colours ``[N, 3]``, from 0 to 1.

        Raises:
            ValueError: the colours do not determine so many polynomials; those of grey images do not.
        """
        colours = colours.double()
        rows = [e for e in itertools.product(range(degree + 1), repeat=3) if sum(e) <= degree]
        exponents = torch.tensor(sorted(rows, key=lambda e: (sum(e), e)))
        centre = colours.mean(0)
        values = _monomials(colours - centre, exponents)
        triangle = torch.linalg.qr(values / len(colours) ** 0.5)[1]
        sizes = triangle.diagonal().abs()
        if len(colours) < len(rows) or sizes.min() < 1e-6 * sizes.max():
            raise ValueError(f"`colours` must determine {len(rows)} polynomials, got colours with fewer dimensions")
        inverse = torch.linalg.inv(triangle)
        energy = torch.zeros(len(rows), len(rows), dtype=torch.float64)
        for axis in range(3):
            lower = exponents - torch.eye(3, dtype=torch.long)[axis]
            slopes = exponents[:, axis] * _monomials(colours - centre, lower.clamp_min(0)) @ inverse
            energy += slopes.T @ slopes / len(colours)
        return cls(exponents, centre, inverse, torch.kron(energy, torch.eye(3, dtype=torch.float64)))

    def functions(self, colours: Tensor) -> Tensor:
        """The S orthonormal functions at colours ``[..., 3]``, ``[..., S]``; field ``3 s + c`` is function s on c."""
        return _monomials(colours - self.centre.to(colours), self.exponents) @ self.inverse.to(colours)

    def fields(self, coefficients: Tensor, colours: Tensor) -> Tensor:
        """Combinations ``[3 S, K]`` of the fields at colours ``[..., 3]``, ``[..., K, 3]``."""
        by_component = coefficients.unflatten(0, (-1, 3)).to(colours)
        return torch.einsum("...s,sck->...kc", self.functions(colours), by_component)


def _monomials(z: Tensor, exponents: Tensor) -> Tensor:
    return (z[..., None, :] ** exponents).prod(-1)


@dataclass(frozen=True)
class ColourGenerators:
    """Fields on the space of colours, sorted by what they cost.

    Attributes:
        spectrum: their quotients and coefficients.
        basis: of the coefficients.
        forms: G and M in that basis.
        field: the same as a table on `COLOURS`, of RMS size 1 on the sample of colours.
    """

    spectrum: CheapestFields
    basis: ColourBasis
    forms: Forms
    field: GridField

    @property
    def matrices(self) -> Tensor:
        """``(A | b)`` of the affine fields ``V(c) = A c + b``, ``[K, 3, 4]`` float64.

        Raises:
            ValueError: the fields are of a higher degree.
        """
        if int(self.basis.exponents.sum(1).max()) > 1:
            raise ValueError("fields must be affine to have matrices, got polynomials of a higher degree")
        corners = torch.cat([torch.zeros(1, 3), torch.eye(3)]).double()
        values = self.basis.fields(self.spectrum.coefficients, corners)  # [4, K, 3]
        return torch.cat([values[1:] - values[:1], values[:1]]).permute(1, 2, 0)


def colour_generators(
    features: Features,
    images: Tensor,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    *,
    generators: int = 3,
    degree: int = 1,
    mu: float = 0.0,
    locality: float = 0.1,
    seed: int = 0,
) -> ColourGenerators:
    """The changes of colour that cost least, relative to the same changes with their patches out of step.

    Args:
        features: to unit vectors.
        images: normalised, ``[N, 3, H, W]``.
        mean, std: with which they were normalised, per channel.
        generators: K.
        degree: of the polynomials in r, g, b; 1 are the affine changes of colour, 12 fields.
        mu: weight of the energy of gradients, as in `form.cheapest_fields`.
        locality: l, the size of a patch on the pixel plane.
        seed: of the random features and of the sample of colours.

    Raises:
        ValueError: the images have not three channels, or too few colours.
    """
    if images.dim() != 4 or images.shape[1] != 3:
        raise ValueError(f"`images` must have shape [N, 3, H, W], got {list(images.shape)}")
    scale, offset = (images.new_tensor(v)[:, None, None] for v in (std, mean))
    colours = images * scale + offset
    flat = colours.movedim(1, -1).flatten(0, -2)
    random = torch.Generator().manual_seed(seed)
    basis = ColourBasis.of(flat[torch.randint(len(flat), (SAMPLE,), generator=random)], degree)
    pulled = pullbacks(features, images, seed) / scale

    def responses() -> Iterator[Tensor]:
        for change, colour in zip(pulled.split(BATCH), colours.split(BATCH), strict=True):
            functions = basis.functions(colour.movedim(1, -1))
            yield torch.einsum("nchw,nhws->nschw", change, functions).flatten(1, 2)

    forms = Forms.of(responses(), locality)
    found = cheapest_fields(forms, basis.energy, torch.eye(len(basis.energy), dtype=torch.float64), mu, generators)
    axis = torch.linspace(0.0, 1.0, NODES, dtype=torch.float64)
    nodes = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)
    table = basis.fields(found.coefficients, nodes).movedim(-2, 0)
    return ColourGenerators(found, basis, forms, GridField(COLOURS, table.float(), (0.0,) * 3, (1.0,) * 3))


_CHANGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": lambda c, mean: torch.ones_like(c),
    "contrast": lambda c, mean: c - mean,
    "saturation": lambda c, mean: c - c.mean(-1, keepdim=True),
    "temperature": lambda c, mean: c.new_tensor([1.0, 0.0, -1.0]).expand_as(c),
    "tint": lambda c, mean: c.new_tensor([1.0, -2.0, 1.0]).expand_as(c),
}
"""The changes of colour that have a name: values at colours ``[N, 3]`` with a mean."""

CHANGES = tuple(_CHANGES)
_NEAR = 0.9  # cosine of the angle to a change from which a field has its name


def change(matrix: Tensor, colours: Tensor) -> str | None:
    """What an affine change of colour is called, for example "contrast"; ``None`` when it is near none with a name.

    Args:
        matrix: ``(A | b)``, ``[3, 4]``.
        colours: under which the cosine to a change is taken, ``[N, 3]``, from 0 to 1.

    >>> change(torch.tensor([[1.0, 0, 0, -0.5], [0, 1, 0, -0.5], [0, 0, 1, -0.5]]), torch.rand(1000, 3))
    'contrast'
    """
    colours = colours.double()
    field = colours @ matrix[:, :3].double().T + matrix[:, 3].double()
    best, name = _NEAR, None
    for candidate, values in _CHANGES.items():
        other = values(colours, colours.mean(0))
        cosine = float((field * other).sum().abs() / (field.norm() * other.norm()))
        if cosine >= best:
            best, name = cosine, candidate
    return name
