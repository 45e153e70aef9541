"""The defect: its units, and exact violations."""

import torch
from torch.testing import assert_close

from symflow.pde.symmetries import by_trajectory, defects, displacement


def test_a_trajectory_twice_as_loud_has_the_same_defect() -> None:
    generator = torch.Generator().manual_seed(0)
    R, squares = torch.randn(60, generator=generator).double(), torch.rand(60, generator=generator).double()
    which = torch.arange(60) // 30
    loud = torch.where(which == 1, 5.0, 1.0)
    assert_close(defects(loud * R, loud**2 * squares, 0.3, which), defects(R, squares, 0.3, which))


def test_a_field_twice_as_long_has_the_same_defect() -> None:
    vectors = torch.randn(40, 2, 3, generator=torch.Generator().manual_seed(0)).double()
    scale = (128.0, 100.0, 2.0)
    assert_close(displacement(3 * vectors, scale), 3 * displacement(vectors, scale))
    R, squares, which = vectors[..., 0].T, torch.ones(40).double(), torch.zeros(40).long()
    size = displacement(vectors, scale)[:, None]
    assert_close(defects(3 * R, squares, 3 * size, which), defects(R, squares, size, which))


def test_units_do_not_matter() -> None:
    vectors = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)).double()
    metres = vectors * vectors.new_tensor([1e3, 1.0, 1.0])
    assert_close(displacement(metres, (5e3, 2.0, 1.0)), displacement(vectors, (5.0, 2.0, 1.0)))


def test_trajectories_may_have_different_numbers_of_points() -> None:
    values = torch.tensor([9.0, 1.0, 1.0, 4.0, 4.0, 4.0], dtype=torch.float64)
    assert_close(by_trajectory(values, torch.tensor([0, 1, 1, 2, 2, 2])), values.new_tensor([3.0, 1.0, 2.0]))
