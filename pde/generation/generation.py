"""Trajectories made by the solver from random initial waves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from symflow.errors import UserError, check_integer
from symflow.runs import processes
from symflow.settings import with_settings

from ..equations import Equation, equation_of, lookup
from ..settings import Generation
from ..trajectories import OF, SHARD, Trajectories, real_array, share
from . import solvers
from .box_generation import generate_system
from .wall_generation import generate_between_walls

RESOLVED = 1e-6  # the tail of the spectrum above which generated data do not go on a grid unasked


def random_waves(
    samples: int | range, seed: int, points: int, *, waves: int, wavenumbers: Sequence[int], amplitude: float = 0.5
) -> np.ndarray:
    """Initial values ``sum_i A_i sin(2 pi l_i x/L + phi_i)`` on a uniform grid, ``[samples, points]``.

    ``A ~ U(-amplitude, amplitude)``, l from `wavenumbers`, ``phi ~ U(0, 2 pi)``. The row of number i, of all below
    `samples` or of those in it, depends on (seed, i) alone.
    """
    numbers = range(samples) if isinstance(samples, int) else samples
    u = np.empty((len(numbers), points))
    theta = 2 * np.pi * np.arange(points) / points
    for row_of, i in zip(u, numbers, strict=True):
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, i))))
        A = amplitude * (2 * random.random(waves) - 1)
        which = np.minimum((random.random(waves) * len(wavenumbers)).astype(int), len(wavenumbers) - 1)
        phase = 2 * np.pi * random.random(waves)
        angle = np.asarray(wavenumbers)[which, None] * theta + phase[:, None]
        row_of[:] = sum(a * np.sin(row) for a, row in zip(A, angle, strict=True))
    return u


@with_settings(Generation)
def generate(
    equation: str | Equation,
    samples: int,
    settings: Generation,
    *,
    initial: Any = None,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Trajectories:
    """Trajectories of an equation from random initial waves, at the paper's settings unless told otherwise.

    ``u0 = sum_i A_i sin(2 pi l_i x/L + phi_i)``, ``A ~ U(-amplitude, amplitude)``, ``phi ~ U(0, 2 pi)``; solved from t
    = 0 to `end` (`pde.generation.solvers`), of which the last `keep` of `steps` equidistant times, 0 and `end`
    included, are kept.

    Convention: trajectory i of a seed is the same, bit for bit, whatever `samples`, `workers` and `shard` are: the
    shards of a large data set are made apart, and `merge` puts them together.

    Systems, several axes, second order in time and ordinary equations are solved as well (`boxes`): `length` is then
    the period of every axis, there are 101 times, 4 waves of components of l in {-2 ... 2} for each variable, and 256,
    64 or 32 points an axis in one, two or three dimensions; orbits start at 1 + U(-amplitude, amplitude).

    Between walls (`boundary`) an equation in t and x is solved with the period 2 `length` where mirror images of
    solutions are solutions, by sines, whose even derivatives are 0 at the walls too, or cosines, whose odd ones are;
    else on Chebyshev's nodes, if it is of order 2 in x. ``settings["method"]`` says which.

    Args:
        equation: a name of the catalogue, or any evolution equation whose highest x-derivative is linear; or a system
            of first or second order in time.
        samples: number of trajectories, of all shards together.
        settings: its fields, by place from the seed on or by name, are arguments of this function.
        initial: u at t = 0 instead of random waves, ``[samples, any number of points]`` on the uniform grid from 0;
            of a system ``[samples, variables, points...]``, the unknowns in their order, each with its u_t after it
            where the equation has u_tt. Between walls the ends are included, and there are `resolution` points.
        workers: processes, at most one per 8 trajectories; by default one per available processor.
        progress: called with the fraction that is done.

    Raises:
        UserError: an argument out of range, or a trajectory that cannot be solved or does not fit the grid.

    >>> data = generate("ckdv", samples=2, seed=0, steps=20, keep=5, end=2.0)
    >>> data.t.tolist()[-1]
    2.0
    """
    equation = equation_of(equation)
    found = lookup(equation)
    name, defaults = (found[0], dict(found[1].settings)) if found else (None, {})
    if settings.walls is not None:
        return generate_between_walls(equation, samples, settings, settings.walls, defaults, initial, workers, progress)
    if not equation.evolutionary:
        return generate_system(equation, samples, settings, initial, workers, progress)
    seed, amplitude = settings.seed, settings.amplitude
    for key in ("length", "end", "steps", "keep", "waves", "tolerance"):
        if getattr(settings, key) is not None:
            defaults[key] = getattr(settings, key)
    if settings.wavenumbers is not None:
        defaults["wavenumbers"] = tuple(int(n) for n in settings.wavenumbers)
    for key in ("length", "end"):
        if key not in defaults:
            raise UserError(f"`{key}` must be given for {equation.text!r}, which is not in the catalogue")
    chosen: dict[str, Any] = {
        "steps": 250,
        "waves": 10,
        "wavenumbers": (1, 2),
        "resolution": 512,
        "tolerance": solvers.TOLERANCE,
    } | defaults
    if settings.keep is None and isinstance(chosen["steps"], int):
        chosen["keep"] = min(chosen.get("keep", 140), chosen["steps"])
    asked = settings.resolution is not None
    if asked:
        chosen["resolution"] = settings.resolution
    for key in ("length", "end", "tolerance"):
        chosen[key] = _number(key, chosen[key], 0.0)
    _number("amplitude", amplitude, 0.0)
    check_integer("samples", samples, 1)
    check_integer("seed", seed, 0)
    if workers is not None:
        check_integer("workers", workers, 1)
    check_integer("steps", chosen["steps"], 2)
    check_integer("waves", chosen["waves"], 1)
    check_integer("resolution", chosen["resolution"], 8, 2 * solvers.MOST_MODES)
    check_integer("keep", chosen["keep"], 1, chosen["steps"])
    if not chosen["wavenumbers"] or not 0 <= min(chosen["wavenumbers"]) <= max(chosen["wavenumbers"]) <= 4096:
        raise UserError(f"`wavenumbers` must be integers from 0 to 4096, got {chosen['wavenumbers']}")

    numbers = share(settings.shard, samples)
    if initial is not None and settings.shard is not None:
        raise UserError("`shard` goes with random initial values, got `initial` too")
    size = 8.0 * len(numbers) * chosen["keep"] * chosen["resolution"]
    if size > processes.memory():
        raise UserError(
            f"{len(numbers)} trajectories take {size / 1e9:.3g} GB, more than the memory; make them in parts (`shard`)"
        )
    if initial is None:
        points = 2 * max(solvers.FEWEST_MODES, max(chosen["wavenumbers"]) + 1)
        u0 = random_waves(
            numbers, seed, points, waves=chosen["waves"], wavenumbers=chosen["wavenumbers"], amplitude=amplitude
        )
    else:
        u0 = real_array(initial, "initial").numpy()
        if u0.ndim != 2 or u0.shape[0] != samples or u0.shape[1] < 4 or not np.isfinite(u0).all():
            raise UserError(f"`initial` must be finite with shape [samples = {samples}, points], got {list(u0.shape)}")
    times = np.linspace(0.0, chosen["end"], chosen["steps"])
    u = solvers.solve(
        equation,
        u0,
        times,
        length=chosen["length"],
        resolution=chosen["resolution"],
        keep=chosen["keep"],
        tolerance=chosen["tolerance"],
        workers=workers,
        progress=progress,
    )
    about = chosen | {"wavenumbers": list(chosen["wavenumbers"]), "amplitude": amplitude}
    if settings.shard is not None:
        about |= {SHARD: settings.shard, OF: samples}
    if initial is not None:
        about = {k: v for k, v in about.items() if k not in ("waves", "wavenumbers", "amplitude")}
    data = Trajectories(
        equation=equation,
        x=torch.arange(chosen["resolution"], dtype=torch.float64) * (chosen["length"] / chosen["resolution"]),
        t=torch.from_numpy(times[-chosen["keep"] :].copy()),
        u=torch.from_numpy(u),
        name=name,
        seed=seed if initial is None else None,
        settings=about,
    )
    tail = data.tail()
    if not asked and float(tail.max()) > RESOLVED:
        raise UserError(
            f"{chosen['resolution']} points do not resolve trajectory {int(tail.argmax())}: its spectrum ends at "
            f"{float(tail.max()):.1g} of the largest mode; give `resolution` a larger value"
        )
    return data


def _number(name: str, value: Any, above: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value > above):
        raise UserError(f"`{name}` must be a number above {above:g}, got {value!r}")
    return float(value)
