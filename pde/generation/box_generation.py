"""Trajectories of systems on periodic boxes, and orbits of ordinary equations, from random initial values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symflow.errors import UserError, check_integer
from symflow.runs import processes

from ..equations import Equation, variable
from ..settings import Generation
from ..trajectories import OF, SHARD, Axis, Trajectories, share
from .boxes import random_plane_waves, solve_box
from .integrator import Array, _compiled
from .stepping import TOLERANCE
from .systems import System, system_of

RESOLUTION = {1: 256, 2: 64, 3: 32}  # points along each axis, by the number of axes
STEPS = 101
WAVES, WAVENUMBERS = 4, (0, 1, 2)
ORBIT_TOLERANCE = 1e-11


def generate_system(
    equation: Equation,
    samples: int,
    settings: Generation,
    initial: Any,
    workers: int | None,
    progress: Callable[[float], None] | None,
) -> Trajectories:
    """What `generate` does for equations that are no evolution equation of u on a line.

    Raises:
        UserError: as of `generate` and `solve_box`.
    """
    system = system_of(equation)
    d, q = len(system.axes), len(system.state)
    if settings.end is None or (d and settings.length is None):
        raise UserError(f"`{'end' if settings.end is None else 'length'}` must be given for {equation.text!r}")
    if d not in (0, *RESOLUTION):
        raise UserError(f"`equation` must have at most 3 axes of space to be solved, got {', '.join(system.axes)}")
    steps = settings.steps or STEPS
    keep = min(settings.keep or steps, steps)
    check_integer("samples", samples, 1)
    check_integer("steps", steps, 2)
    n = settings.resolution or RESOLUTION.get(d, 1)
    check_integer("resolution", n, 1 if not d else 8, 4096)
    times = np.linspace(0.0, settings.end, steps)
    points = (n,) * d
    numbers = share(settings.shard, samples)
    if initial is not None and settings.shard is not None:
        raise UserError("`shard` goes with random initial values, got `initial` too")
    size = 8.0 * len(numbers) * keep * n**d * len(equation.space.dependent)
    if size > processes.memory():
        raise UserError(
            f"{len(numbers)} trajectories take {size / 1e9:.3g} GB, more than the memory; make them in parts (`shard`)"
        )
    if initial is None:
        start = _random(numbers, settings, points, q)
    else:
        start = np.asarray(initial, float)
        if start.shape != (samples, q, *points) or not np.isfinite(start).all():
            names = ", ".join(f"{equation.space.dependent[a]}{'_t' * j}" for a, j in system.state)
            raise UserError(
                f"`initial` must be finite with shape {[samples, q, *points]}, of {names}, got {list(start.shape)}"
            )
    tolerance = settings.tolerance or (TOLERANCE if d else ORBIT_TOLERANCE)
    if d:
        lengths = (float(settings.length or 1.0),) * d
        values = solve_box(
            equation,
            start,
            times,
            lengths=lengths,
            keep=keep,
            tolerance=tolerance,
            workers=workers,
            progress=progress,
        )
    else:
        lengths = ()
        values = np.stack([_orbit(system, row, times, tolerance) for row in start])[:, -keep:]
    if not np.isfinite(values).all():
        raise UserError(f"a trajectory of {equation.text!r} is not finite before t = {settings.end:g}")
    nodes = [torch.arange(n, dtype=torch.float64) * (length / n) for length in lengths]
    fields = equation.space.dependent
    about: dict[str, Any] = {
        "length": settings.length,
        "end": settings.end,
        "steps": steps,
        "keep": keep,
        "resolution": n,
    }
    about |= {"tolerance": tolerance, "amplitude": settings.amplitude}
    if settings.shard is not None:
        about |= {SHARD: settings.shard, OF: samples}
    return Trajectories(
        equation=equation,
        x=torch.zeros(0),
        t=torch.from_numpy(times[-keep:].copy()),
        u=torch.from_numpy(np.array(values if len(fields) > 1 else values[..., 0])),
        seed=settings.seed if initial is None else None,
        settings=about,
        fields=fields,
        axes=tuple(Axis(a, x, length) for a, x, length in zip(system.axes, nodes, lengths, strict=True)),
    )


def _random(numbers: range, settings: Generation, points: tuple[int, ...], q: int) -> Array:
    if points:
        return random_plane_waves(
            numbers,
            settings.seed,
            points,
            q,
            waves=settings.waves or WAVES,
            wavenumbers=settings.wavenumbers or WAVENUMBERS,
            amplitude=settings.amplitude,
        )
    rows = []
    for i in numbers:
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence((settings.seed, i))))
        rows.append(1 + settings.amplitude * (2 * random.random(q) - 1))
    return np.stack(rows)


def _orbit(system: System, start: Array, times: Array, tolerance: float) -> Array:
    """``[T, unknowns]`` by torchdiffeq's pair of order 8 (Dormand and Prince)."""
    from torchdiffeq import odeint

    if system.given:
        raise UserError("orbits need a derivative in t of every unknown")
    symbols = dict(system.symbols)
    rates = [_compiled(N) for N in system.rest]
    matrix = np.zeros((len(start), len(start)))
    for (row, column), terms in system.linear.items():
        matrix[row, column] = sum(terms.values())

    def rate(t: Tensor, y: Tensor) -> Tensor:
        state = y.numpy()
        values: dict[Any, Any] = {s: state[n] for s, (n, _) in symbols.items()} | {variable("t"): float(t)}
        return torch.from_numpy(matrix @ state + np.array([float(r(values)) for r in rates]))

    clock = torch.from_numpy(times)
    # steps end at the output times: between them the method's interpolant is of lower order
    how = {"rtol": tolerance, "atol": tolerance * 1e-2, "method": "dopri8", "options": {"step_t": clock[1:]}}
    try:
        found = odeint(rate, torch.from_numpy(start), clock, **how).numpy()
    except AssertionError:  # its steps go to 0
        raise UserError(f"an orbit from {', '.join(f'{v:.4g}' for v in start)} ends before t = {times[-1]:g}") from None
    columns = [n for n, (_, j) in enumerate(system.state) if j == 0]
    return np.asarray(found[:, columns])
