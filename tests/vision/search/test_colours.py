"""Generators of colours: networks that cannot see a change by construction, and the quotient by its formula."""

from __future__ import annotations

import math

import pytest
import torch

from symflow.algebra.geometry import subspace_angles
from symflow.vision.data.batches import Statistics
from symflow.vision.discovery.checks import coloured
from symflow.vision.features.features import unit
from symflow.vision.search.colours import ColourBasis, change, colour_generators
from symflow.vision.search.scores import ALMOST_EQUAL

PLAIN = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
LUMINANCE = torch.tensor([0.3, 0.6, 0.1], dtype=torch.float64)
SIDE = 8


def colourful(count: int = 40) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, SIDE, SIDE, generator=random, dtype=torch.float64)


def colours_of(images: torch.Tensor) -> torch.Tensor:
    return images.movedim(1, -1).flatten(0, -2)


def projection(channels: int, features: int = 20) -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randn(channels * SIDE * SIDE, features, generator=random, dtype=torch.float64)


def grey(images: torch.Tensor) -> torch.Tensor:
    """Sees the luminance of every pixel, and nothing else."""
    luminance = torch.einsum("c,nchw->nhw", LUMINANCE, images).flatten(1)
    return unit(torch.tanh(luminance @ projection(1)))


def everything(images: torch.Tensor) -> torch.Tensor:
    return unit(torch.tanh(images.flatten(1) @ projection(3)))


def normalised(images: torch.Tensor) -> torch.Tensor:
    """Subtracts the mean of an image and divides by its size: neither brightness nor contrast can be seen."""
    centred = images - images.mean((1, 2, 3), keepdim=True)
    return unit(torch.tanh(unit(centred.flatten(1)) @ projection(3)))


def channels_normalised(images: torch.Tensor) -> torch.Tensor:
    """The same channel by channel: each may be shifted and scaled."""
    centred = images - images.mean((2, 3), keepdim=True)
    sizes = centred.norm(dim=(2, 3), keepdim=True)
    return unit(torch.tanh((centred / sizes).flatten(1) @ projection(3)))


def test_what_only_sees_luminance_leaves_the_colours_across_it_alone():
    """Two directions times four affine functions cost nothing, and no other change does."""
    images = colourful()
    found = colour_generators(grey, images, *PLAIN, generators=12)
    # Out of step they cost nothing either: what is left are rounding errors over the ridge.
    assert found.spectrum.values[:8].abs().max() < 1e-4
    assert found.spectrum.values[8] > 1e-3
    fields = found.basis.fields(found.spectrum.coefficients, colours_of(images))
    seen = (fields @ LUMINANCE).square().mean(0).sqrt()
    assert seen[:8].max() < 1e-6
    # The others are orthogonal to these: they move colours along the luminance.
    along = LUMINANCE / LUMINANCE.norm()
    assert torch.allclose((fields[:, 8:] @ along).square().mean(0), fields[:, 8:].square().sum(-1).mean(0), rtol=1e-3)


@pytest.mark.parametrize(
    ("features", "unseen"),
    [
        (normalised, lambda c: [torch.ones_like(c), c]),
        (channels_normalised, lambda c: [f * axis for axis in torch.eye(3).to(c) for f in (torch.ones_like(c), c)]),
    ],
    ids=["brightness and contrast", "of each channel"],
)
def test_what_is_normalised_away_is_found(features, unseen):
    """The changes that a network undoes are those that cost nothing; patch by patch they would cost something."""
    images = colourful()
    colours = colours_of(images)
    expected = torch.stack(unseen(colours), 1)
    count = expected.shape[1]
    found = colour_generators(features, images, *PLAIN, generators=count + 1)
    assert found.spectrum.values[:count].abs().max() < 1e-9
    assert found.spectrum.values[count] > 0.05
    fields = found.basis.fields(found.spectrum.coefficients[:, :count], colours)
    assert subspace_angles(fields, expected).max() < 1e-2


def test_the_quotient_is_the_cost_over_that_of_patches_out_of_step():
    """For one image and one linear feature ``sum_p w_p . f(p)``: ``(sum q)^2 / sum K q q`` with ``q_p = w_p . V``."""
    images, locality = colourful(1), 0.3
    weights = projection(3, 1).view(3, SIDE, SIDE)
    found = colour_generators(
        lambda x: (x * weights).sum((1, 2, 3))[:, None], images, *PLAIN, generators=12, locality=locality
    )
    fields = found.basis.fields(found.spectrum.coefficients, images[0].movedim(0, -1))  # [H, W, K, 3]
    q = torch.einsum("chw,hwkc->khw", weights, fields).flatten(1)
    line = torch.linspace(-1, 1, SIDE, dtype=torch.float64)
    places = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1).flatten(0, 1)
    kernel = torch.exp(-torch.cdist(places, places).square() / (4 * locality**2))
    expected = q.sum(1).square() / torch.einsum("kp,pq,kq->k", q, kernel, q)
    torch.testing.assert_close(found.spectrum.ratios, expected, rtol=1e-6, atol=1e-9)
    assert expected[-1] > 0.1  # one feature gives eleven changes for nothing, and this one is what is left


def test_colours_are_physical_whatever_the_normalisation():
    images, mean, std = colourful(), (0.5, 0.4, 0.3), (0.2, 0.3, 0.1)
    m, s = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (mean, std))
    plain = colour_generators(everything, images, *PLAIN, generators=12, mu=1.0)
    other = colour_generators(lambda x: everything(x * s + m), (images - m) / s, mean, std, generators=12, mu=1.0)
    torch.testing.assert_close(other.spectrum.values, plain.spectrum.values, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(other.basis.energy, plain.basis.energy, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("degree", "error"), [(1, 1e-5), (2, 0.02)])
def test_the_table_holds_the_same_fields_of_unit_size(degree, error):
    """Exact for affine fields, which interpolation keeps; the sample is drawn from these colours."""
    images = colourful()
    found = colour_generators(everything, images, *PLAIN, generators=4, degree=degree)
    assert found.spectrum.values.tolist() == sorted(found.spectrum.values.tolist())
    colours = colours_of(images)
    fields = found.basis.fields(found.spectrum.coefficients, colours)
    with torch.no_grad():
        table = found.field(colours.float())
    assert (table - fields).abs().max() < error * fields.abs().max()
    sizes = table.square().sum(-1).mean(0).sqrt()
    torch.testing.assert_close(sizes, torch.ones(4), rtol=0.03, atol=0)


def test_matrices_are_the_fields():
    images = colourful()
    found = colour_generators(everything, images, *PLAIN, generators=5)
    colours = colours_of(images)
    values = torch.einsum("kij,nj->nki", found.matrices[..., :3], colours) + found.matrices[..., 3]
    torch.testing.assert_close(values, found.basis.fields(found.spectrum.coefficients, colours))
    with pytest.raises(ValueError, match="higher degree"):
        _ = colour_generators(everything, images, *PLAIN, generators=5, degree=2).matrices


@pytest.mark.parametrize(
    ("matrix", "name"),
    [
        ([[0, 0, 0, -2.0]] * 3, "brightness"),
        ([[2.0, 0, 0, -1], [0, 2, 0, -1.2], [0, 0, 2, -0.9]], "contrast"),
        ([[0, 0, 0, 1.0], [0, 0, 0, 0], [0, 0, 0, -1]], "temperature"),
        ([[0, 0, 0, 1.0], [0, 0, 0, -2], [0, 0, 0, 1]], "tint"),
        ([[2.0, -1, -1, 0], [-1, 2, -1, 0], [-1, -1, 2, 0]], "saturation"),
        ([[0, 0, 0, 1.0], [0, 0, 0, 0], [0, 0, 0, 0]], None),
        ([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 0]], None),
    ],
)
def test_changes_have_names(matrix, name):
    assert change(torch.tensor(matrix), colours_of(colourful())) == name


def test_colours_beside_an_untrained_network():
    """Two changes cost nothing and turn nothing, however far; another network sees them."""
    found = coloured(normalised, everything, colourful(), Statistics(*PLAIN), 0.1, 0)
    assert max(abs(g.value) for g in found.generators[:2]) < 1e-9
    assert max(max(g.turned) for g in found.generators[:2]) < 1.1 * math.acos(ALMOST_EQUAL)
    assert min(g.control for g in found.generators[:2]) > 0.05
    for g in found.generators[2:]:
        assert 0.05 < g.value < 1
        assert g.turned == sorted(g.turned)
        assert g.turned[-1] > 0.01
    assert [g.value for g in found.generators] == sorted(g.value for g in found.generators)


def test_grey_images_have_no_colours():
    images = colourful()[:, :1].expand(-1, 3, -1, -1)
    assert coloured(normalised, everything, images, Statistics(*PLAIN), 0.1, 0) is None


@pytest.mark.parametrize("degree", [0, 1, 3])
def test_the_basis_is_orthonormal_and_its_energy_that_of_its_gradients(degree):
    colours = torch.rand(500, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64) ** 2
    basis = ColourBasis.of(colours, degree)
    size = math.comb(degree + 3, 3)
    values = basis.functions(colours)
    eye = torch.eye(size, dtype=torch.float64)
    torch.testing.assert_close(values.T @ values / len(colours), eye, rtol=0, atol=1e-9)
    # Field 3 s + c is function s on component c.
    fields = basis.fields(torch.eye(3 * size, dtype=torch.float64), colours)
    torch.testing.assert_close(fields[:, 3 * (size - 1) + 1, 1], values[:, -1])
    assert fields[:, 3 * (size - 1) + 1, 0].abs().max() == 0
    gradients = torch.vmap(
        torch.func.jacfwd(lambda c: basis.fields(torch.eye(3 * size, dtype=torch.float64), c)), randomness="error"
    )(colours)  # [N, 3 S, 3, 3]
    energy = torch.einsum("nacd,nbcd->ab", gradients, gradients) / len(colours)
    torch.testing.assert_close(basis.energy, energy, rtol=1e-6, atol=1e-7)


def test_the_seed_decides():
    first, again, other = (
        colour_generators(grey, colourful(), *PLAIN, seed=seed).spectrum.coefficients for seed in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_errors():
    with pytest.raises(ValueError, match=r"\[N, 3, H, W\], got \[2, 1, 8, 8\]"):
        colour_generators(grey, colourful(2)[:, :1], *PLAIN)
    with pytest.raises(ValueError, match="must determine 4 polynomials"):
        colour_generators(grey, colourful()[:, :1].expand(-1, 3, -1, -1), *PLAIN)
    with pytest.raises(ValueError, match="must determine 4 polynomials"):
        ColourBasis.of(torch.eye(3), 1)
    with pytest.raises(ValueError, match="`count`"):
        colour_generators(grey, colourful(2), *PLAIN, generators=13)
