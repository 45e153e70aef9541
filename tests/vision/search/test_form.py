"""The quadratic form: against finite flows through the kernels, exact invariances, and independent solvers."""

from __future__ import annotations

import math

import pytest
import scipy.linalg
import torch

from symflow import SymbolicField, flow_warp, warp
from symflow.vision.features.features import Normalised, PatchFeatures, Whitened, unit, untrained
from symflow.vision.features.weight import omega
from symflow.vision.search.form import (
    Forms,
    cheapest_fields,
    gradients,
    out_of_step,
    pullbacks,
    responses,
    sensitivities,
    smoothest,
    widest_gap,
)
from symflow.vision.search.plane import PLANE, Basis, affineness, grid_field, pixel_centres, uniform


def blobs(count: int, size: int, seed: int = 0) -> torch.Tensor:
    """Images of a few Gaussian spots well inside the frame: nothing reaches the border."""
    random = torch.Generator().manual_seed(seed)
    z = torch.linspace(-1, 1, size, dtype=torch.float64)
    centres = torch.rand(count, 3, 2, generator=random, dtype=torch.float64) - 0.5
    spots = torch.exp(-((z[None, None, :, None] - centres[..., None, :]) ** 2) / (2 * 0.12**2))  # [N, 3, size, 2]
    images = torch.einsum("nsh,nsw->nhw", spots[..., 1], spots[..., 0])
    return torch.where(images > 1e-4, images, 0.0)[:, None]


def power(images: torch.Tensor) -> torch.Tensor:
    """The power spectrum, which no translation changes: the central difference has an imaginary symbol."""
    spectrum = torch.fft.fft2(images[:, 0])
    return (spectrum.real**2 + spectrum.imag**2)[:, :4, :4].flatten(1)


def mixing(size: int, features: int, seed: int = 0):
    """Smooth features that know no symmetry."""
    random = torch.Generator().manual_seed(seed)
    matrix = torch.randn(size * size, features, generator=random, dtype=torch.float64) / size
    return lambda images: torch.tanh(images.flatten(1) @ matrix)


def test_gradients_are_the_mean_slope_of_the_interpolation_on_both_sides():
    images = torch.randn(2, 3, 5, 7, dtype=torch.float64)
    grid, step = pixel_centres(5, 7), 1e-6
    for axis in (0, 1):
        shift = torch.zeros(2, dtype=torch.float64)
        shift[axis] = step
        ahead, behind = (warp(images, (grid + s)[None], padding="reflection")[:, 0] for s in (shift, -shift))
        torch.testing.assert_close(gradients(images)[..., axis], (ahead - behind) / (2 * step), rtol=0, atol=1e-8)


def test_pullbacks_do_not_depend_on_batches_and_are_those_of_the_jacobian():
    images = torch.randn(3, 1, 4, 4, dtype=torch.float64)
    features = mixing(4, 5)
    r = torch.randn(3, 5, generator=torch.Generator().manual_seed(7)).double()
    jacobian = torch.func.vmap(torch.func.jacrev(lambda image: features(image[None])[0]))(images)
    expected = torch.einsum("nf,nfchw->nchw", r, jacobian)
    torch.testing.assert_close(pullbacks(features, images, 7), expected)


def test_the_form_is_the_second_order_of_finite_flows_through_the_kernels():
    """E |dH/ds|^2 with one random vector an image, against central differences of flows: 4,000 draws leave 2 %."""
    size, count = 8, 4000
    image = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    features = lambda images: unit(mixing(size, 6)(images))  # noqa: E731
    basis = Basis.polynomials(size, size, 2)
    g = sensitivities(features, image.expand(count, -1, -1, -1), 0)
    cost = Forms.of(responses(g, basis.values), 0.2).cost
    random = torch.randn(12, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    field = grid_field(basis.fields(random), size, size).double()
    step = 1e-5
    ends = [flow_warp(field, image, s * torch.eye(3).double(), padding="reflection")[0] for s in (step, -step)]
    speed = (features(ends[0]) - features(ends[1])) / (2 * step)
    found = torch.einsum("ak,ab,bk->k", random, cost, random)
    torch.testing.assert_close(found, speed.square().sum(1), rtol=0.1, atol=0)


def test_the_local_form_is_the_mean_over_motions_out_of_step():
    """M(V, V) = E G(xi V, xi V); 4,000 functions leave 2-3 %."""
    size = 8
    g = torch.randn(5, size, size, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    basis = Basis.polynomials(size, size, 2)
    local = Forms.of(responses(g, basis.values), 0.3).local
    xi = out_of_step(size, size, 0.3, 4000, seed=1)
    q = torch.cat(list(responses(g, basis.values)))
    totals = torch.einsum("xhw,nmhw->xnm", xi, q)
    expected = torch.einsum("xna,xna->a", totals, totals) / (4000 * 5)
    torch.testing.assert_close(local.diagonal(), expected, rtol=0.12, atol=0)


def test_functions_out_of_step_have_the_correlation_of_the_form():
    xi = out_of_step(6, 9, 0.25, 20_000, seed=0)
    points = pixel_centres(6, 9).flatten(0, 1)
    expected = torch.exp(-torch.cdist(points, points).square() / (4 * 0.25**2))
    found = torch.einsum("xp,xq->pq", xi.flatten(1), xi.flatten(1)) / 20_000
    torch.testing.assert_close(found, expected, rtol=0, atol=0.05)


def test_translations_come_first_for_features_that_no_translation_changes():
    images = blobs(300, 24)
    basis = Basis.polynomials(24, 24, 3)
    forms = Forms.of(responses(sensitivities(power, images, 0), basis.values), 0.15)
    found = cheapest_fields(forms, basis.energy, basis.gram(uniform(24, 24)), 0.0, 6)
    assert found.values[1] < 1e-6
    assert found.values[2] > 1e-2
    assert widest_gap(found.values[1:].clamp_min(1e-12))[0] == 1
    translations = SymbolicField(PLANE, [{"dx": "1"}, {"dy": "1"}])(basis.points)
    overlap = torch.einsum("nkd,njd->kj", basis.fields(found.coefficients[:, :2]), translations) / len(basis.points)
    torch.testing.assert_close(torch.linalg.svdvals(overlap), torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-4)


def test_features_that_know_no_symmetry_find_none():
    """The control: the coherent motion costs as much as its parts."""
    images = blobs(600, 24)
    basis = Basis.polynomials(24, 24, 3)
    features = Normalised(mixing(24, 64))
    found = cheapest_fields(
        Forms.of(responses(sensitivities(features, images, 0), basis.values), 0.15),
        basis.energy,
        basis.gram(uniform(24, 24)),
        0.0,
        6,
    )
    assert found.values.min() > 0.2
    assert affineness(basis.fields(found.coefficients), basis.points, uniform(24, 24)).min() < 0.9


ONE = torch.eye(12, dtype=torch.float64)


def random_forms(m: int = 12, seed: int = 3) -> tuple[Forms, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    a, b, c = (torch.randn(m, m, generator=random, dtype=torch.float64) for _ in range(3))
    return Forms(a @ a.T, b @ b.T + torch.eye(m, dtype=torch.float64)), c @ c.T


def test_each_field_is_the_cheapest_of_those_orthogonal_to_the_ones_before():
    forms, energy = random_forms()
    gram = random_forms(seed=8)[0].local
    for mu in (0.0, 0.7):
        found = cheapest_fields(forms, energy, gram, mu, 12)
        rho = float(forms.cost.trace() / energy.trace())
        cost = (forms.cost + mu * rho * energy).numpy()
        c = found.coefficients
        torch.testing.assert_close(c.T @ gram @ c, torch.eye(12, dtype=torch.float64))
        for k in range(12):
            rest = scipy.linalg.null_space((c[:, :k].T @ gram).numpy()) if k else scipy.linalg.orth(cost)
            lowest = scipy.linalg.eigh(rest.T @ cost @ rest, rest.T @ forms.local.numpy() @ rest, eigvals_only=True)[0]
            assert found.values[k].item() == pytest.approx(lowest, rel=1e-6)
        assert (found.values.diff() > -1e-9).all()


def test_ratios_leave_smoothness_out():
    forms, energy = random_forms()
    torch.testing.assert_close(
        cheapest_fields(forms, energy, ONE, 0.0, 4).values,
        cheapest_fields(forms, energy, ONE, 0.0, 4).ratios,
        rtol=1e-6,
        atol=0,
    )
    found = cheapest_fields(forms, energy, ONE, 2.0, 4)
    assert (found.ratios < found.values).all()


def test_scaling_the_features_changes_nothing():
    forms, energy = random_forms()
    small = Forms(1e-12 * forms.cost, 1e-12 * forms.local)
    torch.testing.assert_close(
        cheapest_fields(small, energy, ONE, 0.5, 5).values, cheapest_fields(forms, energy, ONE, 0.5, 5).values
    )


def test_averaging_with_the_mirror_is_that_over_mirrored_images():
    images = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    basis = Basis.polynomials(8, 8, 3)
    g = sensitivities(mixing(8, 4), images, 0)
    both = torch.cat([g, g.flip(2) * g.new_tensor([-1.0, 1.0])])
    expected = Forms.of(responses(both, basis.values), 0.2)
    found = Forms.of(responses(g, basis.values), 0.2).averaged(basis.mirror)
    torch.testing.assert_close(found.cost, expected.cost)
    torch.testing.assert_close(found.local, expected.local)


def test_the_smoothest_fields_are_those_of_large_mu():
    forms, energy = random_forms()
    gram = random_forms(seed=8)[0].local
    unit = Forms(forms.cost, gram)  # cost relative to the size of the fields
    found, expected = smoothest(energy, gram, 3), cheapest_fields(unit, energy, gram, 1e7, 3)
    overlap = found.coefficients.T @ gram @ expected.coefficients
    torch.testing.assert_close(overlap.abs(), torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-3)


def test_wrong_arguments_of_solve_get_a_sentence():
    forms, energy = random_forms()
    with pytest.raises(ValueError, match="`mu` must be at least 0, got -1"):
        cheapest_fields(forms, energy, ONE, -1.0, 3)
    with pytest.raises(ValueError, match="`count` must be from 1 to the 12 fields of the basis, got 13"):
        cheapest_fields(forms, energy, ONE, 1.0, 13)


# ---------------------------------------------------------------- features and weight


def test_whitened_features_have_mean_zero_and_covariance_one_before_they_become_directions():
    images = blobs(200, 12)
    white = Whitened.of(power, images)
    values = (power(images) - white.mean) @ white.whitener
    torch.testing.assert_close(values.mean(0), torch.zeros_like(values[0]), rtol=0, atol=1e-6)
    torch.testing.assert_close(
        values.T @ values / 200, torch.eye(values.shape[1], dtype=torch.float64), rtol=0, atol=1e-5
    )
    torch.testing.assert_close(white(images).norm(dim=1), torch.ones(200, dtype=torch.float64))


def test_directions_without_variance_are_left_out():
    images = torch.randn(50, 1, 4, 4, dtype=torch.float64)

    def repeated(x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(1)[:, :3]
        return torch.cat([flat, flat, torch.ones_like(flat)], 1)

    assert Whitened.of(repeated, images).whitener.shape == (9, 3)


def test_features_that_say_nothing_are_refused():
    images = torch.randn(5, 1, 4, 4)
    with pytest.raises(ValueError, match="`features` must differ between images"):
        Whitened.of(lambda x: torch.ones(len(x), 3), images)
    with pytest.raises(ValueError, match="`features` must be finite"):
        Whitened.of(lambda x: torch.full((len(x), 3), math.nan), images)


def test_patch_features_are_rectified_projections_of_whitened_patches():
    """At one place, from the filter; and the whitened patches behind the filters are nearly uncorrelated."""
    images = torch.randn(60, 2, 9, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    images = images.cumsum(-1)  # neighbours belong together
    made = PatchFeatures.of(images, seed=1, filters=5, side=4)
    assert made(images).shape == (60, 40)
    responses = torch.einsum("bchwij,ncij->bnhw", images.unfold(2, 4, 1).unfold(3, 4, 1), made.filters)
    responses = responses + made.biases[:, None, None]
    both = torch.relu(torch.cat([responses, -responses], 1) - 0.5)
    torch.testing.assert_close(made(images).view(60, 10, 2, 2)[..., 0, 0], both[..., :3, :3].mean((2, 3)))
    assert torch.equal(made.filters, PatchFeatures.of(images, seed=1, filters=5, side=4).filters)
    spread = responses.movedim(1, 0).flatten(1).std(1)
    assert spread.max() < 1.5 * spread.min()


def test_images_without_patches_are_refused():
    with pytest.raises(ValueError, match="`images` must have sides of at least 6 pixels, got \\[5, 9\\]"):
        PatchFeatures.of(torch.rand(3, 1, 5, 9), seed=0)
    with pytest.raises(ValueError, match="`images` must vary"):
        PatchFeatures.of(torch.ones(3, 1, 9, 9), seed=0)


def test_an_untrained_network_is_another_one_and_the_same_for_a_seed():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    first, again, other = untrained(network, 1), untrained(network, 1), untrained(network, 2)
    assert torch.equal(first[0].weight, again[0].weight)
    assert not torch.equal(first[0].weight, other[0].weight)
    assert not torch.equal(first[0].weight, network[0].weight)


def test_omega_is_the_papers_mean_over_all_centres():
    """From the definition, with products of the Jacobian and masked gradients, on one image and many vectors."""
    size = 6
    image = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    features = mixing(size, 4)
    points = pixel_centres(size, size)
    slopes = gradients(image)
    expected = torch.zeros(size, size, dtype=torch.float64)
    for centre in points.flatten(0, 1):
        mask = torch.exp(-(points - centre).square().sum(-1) / (2 * 0.3**2))
        for axis in (0, 1):
            change = torch.func.jvp(features, (image,), (slopes[..., axis] * mask,))[1]
            expected += change.square().sum() * mask
    found = omega(sensitivities(features, image.expand(6000, -1, -1, -1), 0), 0.3).view(size, size)
    torch.testing.assert_close(found, expected / expected.sum(), rtol=0.1, atol=0)
    assert found.sum().item() == pytest.approx(1.0)


def test_features_without_reaction_have_no_weight():
    with pytest.raises(ValueError, match="`sensitivity` must not vanish"):
        omega(torch.zeros(3, 4, 4, 2))
