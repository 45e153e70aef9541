"""The claim that fields are affine, and its nulls."""

from __future__ import annotations

import pytest
import torch

from symflow.vision.search.plane import Basis, uniform
from symflow.vision.validity.affine import affine_claim, random_shares


def basis(degree: int = 5):
    found, measure = Basis.polynomials(12, 12, degree), uniform(12, 12)
    return found, found.gram(measure), measure


@pytest.mark.parametrize("degree", [2, 5])
def test_random_spaces_share_a_36th_of_the_number_of_fields(degree):
    """E tr(P_A P_W) = 6 6/m for a random W of six dimensions among m."""
    found = basis(degree)
    shares = torch.tensor(random_shares(*found))
    expected = 36 / len(found[1])
    assert float(shares.mean()) == pytest.approx(expected, abs=4 * float(shares.std()) / len(shares) ** 0.5)


def test_of_affine_fields_alone_every_space_is_affine():
    assert random_shares(*basis(1)) == pytest.approx([6.0] * 400)


def test_what_untrained_networks_reach_is_no_evidence():
    """The share of another untrained network, drawn like the four, exceeds the limit once in 200 times."""
    spaces = random_shares(*basis())
    random = torch.Generator().manual_seed(0)
    draws = 1.2 + 0.3 * torch.randn(400, 5, generator=random)
    claims = [affine_claim(float(d[0]), d[1:].tolist(), spaces).word for d in draws]
    assert claims.count("measured") <= 7  # 2 expected at most; those below random spaces are not claimed
    assert affine_claim(5.2, [1.0, 1.2, 1.5, 1.8], spaces).word == "measured"
    assert affine_claim(1.3, [0.1, 0.1, 0.11, 0.1], spaces).word == "cannot be told"
