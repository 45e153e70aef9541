"""The condition of symmetry over a class of fields: one matrix of responses, one of sizes, and what is not known.

``A a`` are the responses of the residuals to the combination a of the class, ``B a`` its vectors at the points.
Symmetries are the bottom of ``|A a| / |B a|``, by QR of B and SVD of ``A B^-1``: normal equations would stop at the
square root of the rounding unit. The unit of all values is the RMS response to a random affine field of size 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .bases.classes import FieldClass, Polynomials, orthonormal_triangle
from .residuals.frames import Frame
from .residuals.linearise import Linearised

DEPENDENT = 1e-10  # relative size at which a combination of fields vanishes on the data
ROUNDED = 10.0  # rounding units that the decompositions themselves may lose

Classes = Mapping[str, FieldClass]


def responses(linear: Linearised, classes: Classes, frames: Mapping[str, Frame]) -> Tensor:
    """``[P, B, m]``, the columns of all spaces behind each other."""
    parts = []
    for space, fields in classes.items():
        own = linear.spaces[space]
        frame = frames[space]
        parts.append(fields.rows(frame.whiten(own.points), frame.whiten_gradients(own.gradients)))
    return torch.cat(parts, -1)


def affine_classes(frames: Mapping[str, Frame]) -> dict[str, FieldClass]:
    """The fields that set the unit."""
    return {space: Polynomials(frame.dimension, 1) for space, frame in frames.items()}


def whitener(linear: Linearised, classes: Classes, frames: Mapping[str, Frame]) -> Tensor:
    """Combinations ``[m, m']`` of orthonormal size on the points; those that vanish there are left out."""
    triangles = [
        fields.triangle(frames[space].whiten(linear.spaces[space].points.flatten(0, 1)))
        for space, fields in classes.items()
    ]
    whole = torch.block_diag(*triangles)
    size = whole.norm(dim=0).clamp_min(torch.finfo(torch.float64).tiny)
    _, values, right = torch.linalg.svd(whole / size)
    kept = values > DEPENDENT * values[0]
    combinations: Tensor = right[kept].T / values[kept] / size[:, None]
    return combinations


@dataclass(frozen=True)
class Evidence:
    """What some of the data say about a class, in columns of unit size.

    Attributes:
        responses: ``[rows, m']``; their norm for a field of unit size is its violation, in the unit.
        unknown: ``[m', m']`` or fewer rows; the norm for a field is how far its violation may be off.
        floor: the same for all fields: the residual's own size on valid data, in the unit.
        unit: the RMS response to random affine fields of unit size, in the residual's own units.
        enough: whether there are at least four times as many rows as columns.
        weight: of each mean of a pooled problem, ``[P]``; ``None`` of others.
    """

    responses: Tensor
    unknown: Tensor
    floor: float
    unit: float
    enough: bool
    weight: Tensor | None = None

    def violation(self, combinations: Tensor) -> Tensor:
        """Of fields given in the columns of unit size, ``[m', K]`` to ``[K]``."""
        size: Tensor = (self.responses @ combinations).norm(dim=0)
        return size

    def noise(self, combinations: Tensor) -> Tensor:
        """How large the violation of a true symmetry would be, ``[m', K]`` to ``[K]``."""
        return ((self.unknown @ combinations).square().sum(0) + self.floor**2).sqrt()


def unit_of(linear: Linearised, frames: Mapping[str, Frame], pooled: bool) -> float:
    """The RMS response to a random affine field of unit size."""
    classes = affine_classes(frames)
    table = responses(linear, classes, frames) @ whitener(linear, classes, frames)
    table = table.mean(1) if pooled else table.flatten(0, 1)
    return float(table.square().sum(1).mean().sqrt() / table.shape[1] ** 0.5)


def evidence(
    replicates: Sequence[Linearised],
    again: Linearised,
    classes: Classes,
    frames: Mapping[str, Frame],
    unit: float,
    zero: bool,
    pooled: bool,
    rounding: float,
    basis: Tensor,
) -> Evidence:
    """The responses with all that is known of their errors.

    Args:
        replicates: the same probes on the same data by each of the residuals.
        again: the first of them, from data whose last bits differ.
        classes, frames: the fields.
        unit: of the responses.
        zero: whether valid data have the residual 0.
        pooled: whether only the mean over the data is kept.
        rounding: the rounding unit.
        basis: `whitener`.
    """
    tables = [responses(linear, classes, frames) @ basis / unit for linear in replicates]
    errors, weight = [], None
    if pooled:
        each = tables[0]  # [P, B, m']
        count = each.shape[1]
        error = (each - each.mean(1, keepdim=True)) / (max(1, count - 1) * count) ** 0.5
        weight = told(each.mean(1), error)
        errors.append((error * weight[:, None, None]).flatten(0, 1) / len(each) ** 0.5)
    else:
        flat = torch.stack([table.flatten(0, 1) for table in tables]) / tables[0][..., 0].numel() ** 0.5
        if len(flat) > 1:
            errors.append(((flat - flat.mean(0)) / (len(flat) * (len(flat) - 1)) ** 0.5).flatten(0, 1))
        jittered = responses(again, classes, frames) @ basis / unit
        errors.append(jittered.flatten(0, 1) / jittered[..., 0].numel() ** 0.5 - flat[0])
    mean = mean_rows(tables, weight)
    floor = 0.0
    if zero:
        floor = float(torch.stack([linear.values for linear in replicates]).square().mean().sqrt()) / unit
    errors.append(ROUNDED * rounding * torch.eye(mean.shape[1], dtype=mean.dtype))
    unknown = orthonormal_triangle(torch.cat(errors))
    return Evidence(mean, unknown, floor, unit, mean.shape[0] >= 4 * mean.shape[1], weight)


def mean_rows(tables: Sequence[Tensor], weight: Tensor | None) -> Tensor:
    """Responses ``[P, B, m]`` of all replicates as rows ``[rows, m]`` whose norm is a root mean square."""
    mean = torch.stack(list(tables)).mean(0)
    if weight is None:
        root: float = mean[..., 0].numel() ** 0.5
        return mean.flatten(0, 1) / root
    root = len(mean) ** 0.5
    return mean.mean(1) * weight[:, None] / root


def told(mean: Tensor, error: Tensor) -> Tensor:
    """How much each mean tells: its signal over its error, less where it is mostly error (Wiener), ``[P]``.

    Of means ``[P, m]`` and the parts ``[P, B, m]`` of their errors, both of all fields together, so that no field is
    preferred; the most telling one has the weight 1.
    """
    noise = error.square().sum((1, 2))
    signal = (mean.square().sum(1) - noise).clamp_min(0.0)
    weight = signal.sqrt() / noise.clamp_min(torch.finfo(torch.float64).tiny).sqrt()
    weight = weight * signal / (signal + noise)
    return weight / weight.max() if bool((weight > 0).any()) else torch.ones_like(weight)


@dataclass(frozen=True)
class Null:
    """Fields of unit size, sorted by violation: ``values [m']`` ascending and ``combinations [m', m']`` in columns."""

    values: Tensor
    combinations: Tensor


def null_space(found: Evidence) -> Null:
    """The singular value decomposition of the responses."""
    _, values, right = torch.linalg.svd(orthonormal_triangle(found.responses))
    return Null(values.flip(0), right.T.flip(1))
