"""Words for motions: their error rates where nothing is to be found, and judges whose invariance is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from symflow.fields import SymbolicField
from symflow.vision.data.batches import Statistics
from symflow.vision.search.form import out_of_step
from symflow.vision.search.motions import MOTIONS
from symflow.vision.search.plane import PLANE, Basis, pixel_centres
from symflow.vision.validity.count import at_least
from symflow.vision.validity.judges import ClassOutputs
from symflow.vision.validity.products import Products
from symflow.vision.validity.responses import Judge, joint_responses
from symflow.vision.validity.rules import HeldOut, by_agreement, by_coherence

SIDE, FIELDS = 10, 8


def null(images: int, seed: int, tail: float, shared: float = 0.7) -> Products:
    """Two judges whose coherent sums are draws out of step: ``b_i ~ N(0, M_i)``, of images of very different weight."""
    own = out_of_step(SIDE, SIDE, 0.15, 6 * images, 7 * seed + 1).float().view(3, images, 2, SIDE, SIDE)
    weight = torch.exp(tail * torch.randn(images, generator=torch.Generator().manual_seed(seed)))
    fields = Basis.polynomials(SIDE, SIDE, 2).values[:, :FIELDS].unflatten(0, (SIDE, SIDE)).float()
    judges = [weight[:, None, None, None] * (shared * own[0] + (1 - shared**2) ** 0.5 * own[k]) for k in (1, 2)]
    q = torch.stack([torch.einsum("ndhw,hwkd->nkhw", g, fields) for g in judges], 1)
    xi = out_of_step(SIDE, SIDE, 0.2, images, 11 * seed + 5).float()[:, None, None]
    return Products((q * xi).sum((3, 4)), Products.of([q], 0.2).local)


def first(products: Products) -> Products:
    """Of the first judge alone."""
    return Products(products.total[:, :1], products.local[:, :1, :1])


@pytest.mark.parametrize(("images", "tail"), [(120, 0.0), (120, 1.0), (400, 0.5)])
def test_of_motions_no_better_than_their_patches_hardly_any_gets_a_word(images, tail):
    """Half a percent of each side, or less; 240 fields would have 1.2."""
    words, numbers = [], []
    for seed in range(30):
        products = null(images, seed, tail)
        words += [said.word for said, _ in by_agreement(products)]
        words += [said.word for said, _ in by_coherence(first(products), [])]
        numbers += [at_least(products), at_least(first(products))]
    assert words.count("measured") <= 5  # 480 words: 2.4 expected at most
    assert words.count("refuted") <= 4
    assert sum(n > 0 for n in numbers) <= 2  # of 60


@pytest.mark.parametrize(("factor", "word"), [(0.5, "measured"), (1.6, "refuted")])
def test_what_is_better_or_worse_than_its_patches_is_told(factor, word):
    """Each judge keeps errors of its own, so that they agree less, or more, on what is shared."""
    products = null(1000, 0, 0.0)
    shared = products.total.mean(1, keepdim=True)
    changed = Products(products.total + (factor - 1) * shared, products.local)
    assert {said.word for said, _ in by_agreement(changed)} == {word}
    alone = first(Products(factor * products.total, products.local))
    assert {said.word for said, _ in by_coherence(alone, [])} == {word}


def test_features_must_do_better_than_untrained_networks():
    products = first(null(1000, 0, 0.0))
    low, lower = (Products(f * products.total, products.local) for f in (0.5, 0.4))
    assert {said.word for said, _ in by_coherence(low, [products])} == {"measured"}
    assert {said.word for said, _ in by_coherence(low, [products, lower])} == {"cannot be told"}
    figures = by_coherence(low, [products, lower])[0][1]
    assert figures.agreement is None
    assert figures.untrained == pytest.approx([figures.ratio[0] * 4, figures.ratio[0] * 0.64])


# ------------------------------------------------- judges whose invariance is known

NAMES = ("translation x", "translation y", "rotation", "scale")
SIZE = 20


def spots(count: int) -> torch.Tensor:
    """Images of four spots."""
    random = torch.Generator().manual_seed(0)
    z = torch.linspace(-1, 1, SIZE)
    centres = 1.2 * torch.rand(count, 4, 2, generator=random) - 0.6
    heights = torch.rand(count, 4, generator=random)
    shapes = torch.exp(-((z[:, None] - centres[..., None, :]) ** 2) / (2 * 0.15**2))
    images = torch.einsum("ns,nsh,nsw->nhw", heights, shapes[..., 1], shapes[..., 0])
    return (127 * images).clamp(0, 255).to(torch.uint8)[:, None]


def rings(seed: int, error: float, order: tuple[int, ...] = (0, 1, 2, 3, 4)) -> Judge:
    """Classes by what lies in rings, which rotations keep, and by errors of its own, which nothing keeps."""
    radius = pixel_centres(SIZE, SIZE).norm(dim=-1).float()
    masks = torch.stack([torch.exp(-((radius - 0.2 * k) ** 2) / (2 * 0.12**2)) for k in order])
    matrix = torch.randn(SIZE * SIZE, 5, generator=torch.Generator().manual_seed(seed))

    def logits(images: torch.Tensor) -> torch.Tensor:
        return torch.einsum("nchw,khw->nk", images, masks) + error * SIZE * torch.tanh(
            images.flatten(1) @ matrix / SIZE
        )

    return Judge("rings", ClassOutputs(logits), Statistics((0.0,), (1.0,)))


def judged(*judges: Judge) -> dict[str, tuple[str, HeldOut | None]]:
    fields = SymbolicField(PLANE, [MOTIONS[name] for name in NAMES])(pixel_centres(SIZE, SIZE).flatten(0, 1))
    products = Products.of(joint_responses(judges, spots(800), fields, torch.zeros(0), 0), 0.2)
    return {name: (said.word, held) for name, (said, held) in zip(NAMES, by_agreement(products), strict=True)}


@pytest.mark.parametrize("error", [0.1, 0.3])
def test_what_judges_share_is_told_from_their_errors(error):
    """One judge alone is moved by rotations, by its errors; what two share is not."""
    found = judged(rings(1, error), rings(2, error))
    assert {name: word for name, (word, _) in found.items()} == {
        "rotation": "measured",
        "translation x": "refuted",
        "translation y": "refuted",
        "scale": "refuted",
    }
    assert abs(found["rotation"][1].ratio[0]) < 0.3
    assert found["scale"][1].ratio[0] > 2


def test_judges_of_other_classes_share_nothing():
    """Classes in another order."""
    words = {word for word, _ in judged(rings(1, 0.1), rings(2, 0.1, (3, 0, 4, 1, 2))).values()}
    assert words <= {"cannot be told"}


def test_judges_with_the_same_errors_agree_on_everything():
    """Two copies of one judge: nothing drops out, so that rho is 1 whatever moves."""
    found = judged(rings(1, 0.1), rings(1, 0.1))
    assert all(held.agreement[0] == pytest.approx(1.0) for _, held in found.values())
    assert "measured" not in {word for word, _ in found.values()}


def test_judges_that_see_nothing_tell_nothing():
    blind = replace(rings(1, 0.1), function=lambda images: torch.zeros(len(images), 5) + 0 * images.sum())
    assert judged(rings(1, 0.1), blind) == dict.fromkeys(NAMES, ("cannot be told", None))
