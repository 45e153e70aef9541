"""Finite motions: what a field does when it moves the data for good, beside motions that must fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from symflow.fields import Field
from symflow.ops.flow import flow

from .problem import Problem, stream
from .residuals.moves import AffineMotions, Moving, respond, still
from .residuals.soundness import Layout

LENGTH = 0.3  # of the flow of a field of unit size, in whitened units
STEPS = 16
CONTROLS = 4
FEWEST, MOST = 8, 128  # data that are moved
MOST_MOVED = 2_000  # in all, by all fields


def finite_check(
    problem: Problem, layout: Layout, index: Tensor, fields: Mapping[str, Field], seed: int
) -> tuple[list[float], float]:
    """The RMS change of the residuals under the flow of each field, in units of what random affine fields do.

    Args:
        problem: whose residuals are asked.
        layout: how they use their motion.
        index: of the data, fresh ones.
        fields: K fields by space, of unit size together.
        seed: of the random fields.

    Returns:
        The change by each field, relative to the RMS change by the controls; and the smallest change by a control,
        relative to the same, which says how sure a control is to fail.
    """
    count = next(iter(fields.values())).generators
    index = index[: max(FEWEST, min(MOST, MOST_MOVED // count))]
    parts: Sequence[Tensor] = index.split(1) if layout.one_by_one else (index,)

    def change(displace: Moving) -> float:
        squares, numbers = 0.0, 0
        for part in parts:
            batch = problem.batch(part)
            with torch.no_grad():
                before = respond(problem.residual, still(), batch, len(part)).double().cpu()
                after = respond(problem.residual, Moving(displace.displace), batch, len(part)).double().cpu()
            moved = (after - before) * layout.weights
            if problem.pooled:
                moved = moved.mean(0, keepdim=True)
            squares += float(moved.square().sum())
            numbers += moved.numel()
        return float((squares / numbers) ** 0.5)

    generator = stream("controls", seed)
    controls = []
    for _ in range(CONTROLS):
        motion = AffineMotions.random(layout.frames, generator)
        controls.append(change(motion_by_flow(motion, layout)))
    scale = (sum(c * c for c in controls) / len(controls)) ** 0.5
    moved = [change(along({space: field.slot(k) for space, field in fields.items()})) for k in range(count)]
    return [m / scale for m in moved], min(controls) / scale


def along(fields: Mapping[str, Field], length: float = LENGTH) -> Moving:
    """The flow of one field in every space."""

    def displace(points: Tensor, space: str, call: int) -> Tensor:
        field = fields[space]
        z = field.coordinates.to_normalised(points.detach().double().cpu()).reshape(1, -1, points.shape[-1])
        moved = flow(field, z, torch.full((1, 1), length, dtype=torch.float64), steps=STEPS)
        return field.coordinates.to_physical(moved).reshape(points.shape).to(points)

    return Moving(displace)


def motion_by_flow(motion: AffineMotions, layout: Layout) -> Moving:
    """The flow of a random affine field, by the exponential of its matrix."""
    maps = {}
    for space, matrix in motion.matrices.items():
        d = len(matrix)
        whole = torch.zeros(d + 1, d + 1, dtype=torch.float64)
        whole[:d] = matrix
        maps[space] = torch.linalg.matrix_exp(LENGTH * whole)[:d]

    def displace(points: Tensor, space: str, call: int) -> Tensor:
        frame, matrix = layout.frames[space], maps[space]
        w = frame.whiten(points.detach().double().cpu())
        return (frame.mean + frame.vectors(w @ matrix[:, :-1].T + matrix[:, -1])).to(points)

    return Moving(displace)
