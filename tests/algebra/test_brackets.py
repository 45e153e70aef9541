"""Fields of every kind as values and brackets on points; what is refused."""

from __future__ import annotations

import itertools

import pytest
import sympy
import torch

from symflow import Coordinates, GridField, SymbolicField
from symflow.algebra.brackets import sample_brackets, sample_forms
from symflow.algebra.closure import propose, suspects
from symflow.algebra.constants import measured_structure_constants
from symmetric_fields import ALLEN_CAHN, KDV, PLANE, SPACE, points, tabulated


def test_derivatives_of_tables_are_of_second_order() -> None:
    """Right to second order at every point, where the slope of the cell is right to first order only."""
    line = Coordinates(("x", "y"), periods=(1.0, None))
    field = SymbolicField(line, [{"dx": "cos(2*3.141592653589793*x)*exp(y)", "dy": "y**3"}])
    z = points(300, 2)
    errors, slopes = [], []
    for nodes in (16, 32, 64):
        grid = GridField.tabulate(field, (nodes, nodes + 1), (None, 0.0), (None, 1.0)).double().table
        wanted = torch.func.vmap(torch.func.jacfwd(lambda p: field(p)[0]))(z)
        found = torch.stack([grid.derivative(axis)(z)[:, 0] for axis in range(2)], -1)
        within = torch.func.vmap(torch.func.jacfwd(lambda p, grid=grid: grid(p[None])[0, 0]))(z)
        errors.append((found - wanted).abs().max().item())
        slopes.append((within - wanted).abs().max().item())
    for coarse, fine in itertools.pairwise(errors):
        assert coarse / fine == pytest.approx(4, rel=0.25)
    for coarse, fine in itertools.pairwise(slopes):
        assert coarse / fine == pytest.approx(2, rel=0.25)


def test_nodes_left_out() -> None:
    grid = tabulated(9).table
    assert grid.coarse().values.shape[1:4] == (5, 5, 5)
    assert tabulated(8).table.coarse().values.shape[1:4] == (8, 8, 8)  # the last node would be lost
    assert torch.equal(grid.coarse()(points()[:1] * 0 + 0.5), grid(points()[:1] * 0 + 0.5))


def test_parameters_are_constants() -> None:
    """A symbol that is no coordinate is the same number at every point."""
    a = sympy.Symbol("a", positive=True)
    x = sympy.Symbol("x", real=True)
    zero, one = sympy.Integer(0), sympy.Integer(1)
    family = [
        {"dx": one, "dt": zero, "du": zero},
        {"dx": x, "dt": zero, "du": a * x},
        {"dx": zero, "dt": zero, "du": one},
    ]
    found = measured_structure_constants(sample_forms(family))
    assert found.closure.max() < 1e-12
    assert found.constants[0, 1, 2] > 0.4  # [d/dx, x d/dx + a x d/du] = d/dx + a d/du


def test_errors_are_sentences() -> None:
    field = SymbolicField(SPACE, KDV)
    with pytest.raises(ValueError, match=r"`points` must have shape \[N, 3\], got \[7, 2\]"):
        sample_brackets(field, torch.zeros(7, 2))
    with pytest.raises(ValueError, match="`fields` must hold at least one field"):
        sample_brackets([], torch.zeros(7, 3))
    with pytest.raises(ValueError, match="`fields` must be on the same coordinates"):
        sample_brackets([field, SymbolicField(PLANE, ALLEN_CAHN)], torch.zeros(7, 3))
    with pytest.raises(ValueError, match=r"`points` must lie in the box of the table, 0 to 1 on t, got .* to 2"):
        sample_brackets(tabulated(5), torch.tensor([[0.5, 2.0, 0.5], [0.5, 0.5, 0.5]]))
    with pytest.raises(ValueError, match="`blocks` must be from 2 to the number of points 9, got 20"):
        measured_structure_constants(sample_brackets(field, points(9)))
    with pytest.raises(ValueError, match=r"`uncertainty` must be one or 4 finite numbers, not negative, got -1.0"):
        measured_structure_constants(sample_brackets(field, points()), uncertainty=-1.0)
    with pytest.raises(ValueError, match="`uncertainty` must be one or 4 finite numbers"):
        measured_structure_constants(sample_brackets(field, points()), uncertainty=[0.1, 0.1])
    with pytest.raises(ValueError, match=r"`forms` must be at least one, all with the same components, got \[\]"):
        sample_forms([])
    with pytest.raises(ValueError, match="linearly independent on the points, got a dependent set"):
        measured_structure_constants(sample_brackets([field, field], points()))
    with pytest.raises(ValueError, match="got one that vanishes there"):
        measured_structure_constants(sample_brackets(SymbolicField(SPACE, [{"dx": "0"}]), points()))
    for call in (lambda: propose(field, points(), 0.0), lambda: suspects(sample_brackets(field, points()), 0.0)):
        with pytest.raises(ValueError, match="`tolerance` must be positive"):
            call()
