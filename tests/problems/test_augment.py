"""Data moved along the fields that were found to keep them: they stay valid, and nothing else is moved unasked."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import symflow
from symflow import UserError


def circle(count: int = 400, points: int = 1) -> torch.Tensor:
    shape = (count, 2) if points == 1 else (count, points, 2)
    return torch.randn(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * torch.tensor(
        [3.0, 3.0]
    )


@pytest.fixture(scope="module")
def found():
    return symflow.discover(symflow.invariance(lambda z: z.square().sum(-1), circle()))


def test_moved_data_are_as_valid_as_before(found):
    data = circle()
    more = found.augment(data, strength=0.4, seed=1)
    assert more.shape == data.shape
    torch.testing.assert_close(more.norm(dim=1), data.norm(dim=1), rtol=1e-7, atol=0)
    # RMS displacement over axes of unit deviation, to first order: a uniform draw of the one weight has a third of it
    size = ((more - data) / data.std(0)).square().sum(1).mean().sqrt()
    assert 0.4 / 3**0.5 * 0.85 < size < 0.4 / 3**0.5 * 1.15
    assert torch.equal(found.augment(data, strength=0.4, seed=1), more)
    assert not torch.equal(found.augment(data, strength=0.4, seed=2), more)
    torch.testing.assert_close(found.augment(data, strength=0.0), data)


def test_the_points_of_a_datum_move_together():
    """Distances within a datum are kept by turns of the whole."""
    data = circle(60, 3)
    found = symflow.discover(
        symflow.invariance(lambda z: (z[:, :, None] - z[:, None]).square().sum(-1).flatten(1), data), "isometric"
    )
    assert found.rank == 3
    more = found.augment(data, strength=0.5)
    torch.testing.assert_close(torch.cdist(more, more), torch.cdist(data, data), rtol=1e-6, atol=1e-9)
    assert found.augment(data.float(), strength=0.5).dtype == torch.float32


def test_what_cannot_be_told_is_not_used_unless_told(found):
    unclear = symflow.discover(symflow.invariance(lambda z: z.square().sum(-1), circle(20)))
    unclear = replace(
        unclear, verdicts=replace(unclear.verdicts, data=replace(unclear.verdicts.data, word="cannot be told"))
    )
    with pytest.raises(UserError, match=r"got 1 \(cannot be told\); `unproved=True` allows it"):
        unclear.augment(circle())
    assert unclear.augment(circle(), unproved=True).shape == (400, 2)
    nothing = symflow.discover(symflow.invariance(lambda z: z[:, :1] ** 3 + z[:, 1:] + z[:, :1], circle()), "linear")
    assert nothing.rank == 0
    with pytest.raises(UserError, match="must hold fields that keep the data valid to move them along, got 0"):
        nothing.augment(circle(), unproved=True)
    for arguments, sentence in (
        ({"strength": -1.0}, "`strength` must be"),
        ({"seed": -1}, "`seed` must be"),
        ({"data": torch.zeros(4, 3)}, r"`data` must be points \[B, 2\]"),
        ({"data": torch.full((4, 2), torch.nan)}, "`data` must be finite"),
    ):
        with pytest.raises(UserError, match=sentence):
            found.augment(**({"data": circle()} | arguments))
