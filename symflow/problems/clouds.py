"""Distributions known by samples: which motions leave the cloud as it is.

A density rho is kept by the flow of V exactly when ``int rho V . grad phi = 0`` for all test functions phi that vanish
at the edges of the window through which the cloud is seen. Random cosines are the test functions, means over samples
the integrals; blocks of samples say how far the means are off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from symflow.errors import UserError
from symflow.fields import Coordinates

from .problem import Move, Problem, stream
from .residuals.frames import Frame

BLOCKS = 200  # of samples, at most
FEWEST = 100
COARSE, FINE = 0.5, 8.0  # wave numbers of the cosines, per spread of the cloud


def distribution(
    samples: Tensor,
    *,
    window: Sequence[tuple[float, float] | None] | None = None,
    tests: int = 64,
    coordinates: Coordinates | None = None,
    seed: int = 0,
) -> Problem:
    """Which motions keep the distribution that samples were drawn from, ``phi(Z) ~ Z``.

    Too few samples leave the count unclear: the noise is that of means over samples. What the cosines do not resolve is
    not seen: structure finer than an eighth of the spread of the cloud. Meant for affine fields: of others there are
    always some that oscillate and keep a cloud.

    Args:
        samples: independent, ``[n, d]``.
        window: the interval on each axis outside which samples are not seen, ``None`` for an axis that is seen as a
            whole; by default all are.
        tests: random cosines.
        coordinates: of the points.
        seed: of the cosines.

    Raises:
        UserError: there are too few samples, or they lie outside the window.
        ValueError: the window has another dimension, or there is no test.

    >>> cloud = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> distribution(cloud).pooled
    True
    """
    if not isinstance(samples, Tensor) or samples.dim() != 2 or not samples.is_floating_point():
        got = list(samples.shape) if isinstance(samples, Tensor) else type(samples).__name__
        raise UserError(f"`samples` must be floating-point numbers [n, d], got {got}")
    n, d = samples.shape
    if n < FEWEST:
        raise UserError(f"`samples` must hold at least {FEWEST} points, got {n}")
    if tests < 1:
        raise ValueError(f"`tests` must be at least 1, got {tests}")
    if window is not None and len(window) != d:
        raise ValueError(f"`window` must have an interval or None for each of the {d} axes, got {len(window)}")
    edges = [(i, *interval) for i, interval in enumerate(window or ()) if interval is not None]
    for i, low, high in edges:
        if not bool(((samples[:, i] >= low) & (samples[:, i] <= high)).all()):
            raise UserError(f"`samples` must lie in their window, {low:g} to {high:g} on axis {i}, got some outside")
    frame = Frame.of(samples.double().cpu())
    generator = stream("cosines", seed)
    lengths = COARSE * (FINE / COARSE) ** torch.rand(tests, 1, generator=generator, dtype=torch.float64)
    directions = torch.nn.functional.normalize(torch.randn(tests, d, generator=generator, dtype=torch.float64))
    waves = lengths * directions @ frame.inverse
    phases = 2 * torch.pi * torch.rand(tests, generator=generator, dtype=torch.float64)
    phases = phases - waves @ frame.mean
    blocks = min(BLOCKS, n // 10)
    order = torch.randperm(n, generator=generator)[: n // blocks * blocks]

    def residual(move: Move, batch: Any) -> Tensor:
        moved = move(batch)  # [B, n, d]
        values = torch.cos(moved @ waves.to(moved).T + phases.to(moved))
        for i, low, high in edges:
            place = 2 * (moved[..., i] - low) / (high - low) - 1
            values = values * (1 - place.square()).clamp(min=0.0).square()[..., None]
        return values.mean(1)

    return Problem(residual, samples[order].unflatten(0, (blocks, -1)), coordinates, pooled=True)
