"""What slots have found: beside the true generators, and beside the floor of the local score."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from symflow.algebra import span_basis, subspace_angles
from symflow.fields import Coordinates, Field

from ..scores import LocalScore, cut, random_corners
from ..trajectories import Trajectories

POINTS = 4096  # of the data, on which fields are compared


def points_of(data: Trajectories, coordinates: Coordinates, seed: int) -> Tensor:
    """Random points of the data, ``[4096, 3]``, normalised."""
    corners = random_corners(data, POINTS, 1, 1, torch.Generator().manual_seed(seed))
    return cut(data, coordinates, corners, 1, 1).flatten(0, 2)


@dataclass(frozen=True)
class SlotTable:
    """A row for every slot, and the span of all of them.

    Attributes:
        products: ``|<V_k, W_j>|`` of each slot with each true generator, both of unit norm, ``[K, J]``.
        norms: of the component in the span of the true generators, 1 for a field in it.
        scores: root mean square relative residual of patches moved along each slot.
        log_scores: the paper's, as a ratio: ``exp(mean log - that of patches not moved)``.
        floor: of the scores.
        angles: from the span of the slots to that of the true generators, one for each of these, ascending.
    """

    products: list[list[float]]
    norms: list[float]
    scores: list[float]
    log_scores: list[float]
    floor: float
    angles: list[float]


@torch.no_grad()
def angles(field: Field, truth: Field, points: Tensor) -> list[float]:
    """Principal angles between two spans under the uniform measure of normalised points."""
    return subspace_angles(field(points), truth(points)).tolist()


@torch.no_grad()
def slot_table(field: Field, truth: Field, score: LocalScore, points: Tensor) -> SlotTable:
    """Compares slots with the true generators under the uniform measure of some points of the data.

    Args:
        field: the slots.
        truth: the true generators.
        score: on patches that the slots have not seen.
        points: ``[N, 3]``, normalised.
    """
    values, true = field(points).double(), truth(points).double()
    columns, known = (_unit(v).transpose(1, 2).flatten(0, 1) for v in (values, true))
    return SlotTable(
        products=(columns.T @ known).abs().tolist(),
        norms=(span_basis(true).T @ columns).norm(dim=0).tolist(),
        scores=score(field).tolist(),
        log_scores=(score.log_score(field) - score.log_floor).exp().tolist(),
        floor=score.floor,
        angles=subspace_angles(values, true).tolist(),
    )


def _unit(values: Tensor) -> Tensor:
    """Fields ``[N, K, d]`` whose squares summed over everything are 1."""
    return values / values.square().sum((0, 2)).sqrt()[:, None]
