"""Trajectories between two walls: by sines or cosines where the equation has the mirror image, else by Chebyshev.

Where an equation is the same after ``x -> -x``, every unknown with a value of 0 at the walls (Dirichlet) changing its
sign and every one with a slope of 0 (Neumann) not, its solutions between walls at 0 and L are those of period 2 L that
are odd, or even. They are solved as those are. All other equations are stepped on Chebyshev's nodes
(`chebyshev`), which takes the order 2 in x.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy
import torch

from symflow.errors import UserError, check_integer
from symflow.runs import processes

from ..equations import Equation, variable
from ..settings import WALLS, Generation
from ..trajectories import OF, SHARD, Axis, Trajectories, share
from . import solvers
from .boxes import solve_box
from .chebyshev import BetweenWalls, from_uniform
from .integrator import Array
from .stepping import TOLERANCE, solve_each
from .systems import system_of

RESOLUTION, STEPS, WAVES, WAVENUMBERS = 129, 101, 4, (1, 2, 3)
FITS = 1e-6  # the tail of the spectrum above which data do not go on a grid unasked
ZERO = 1e-12  # of an initial value: what is smaller at a wall is none


def kinds_of(equation: Equation, boundary: str | Mapping[str, str]) -> dict[str, str]:
    """ "dirichlet" or "neumann" for each unknown.

    Raises:
        UserError: another word, or an unknown that the equation does not have or that is left out.

    >>> kinds_of(Equation("u_t = u_xx + v; v_t = v_xx - u"), "neumann")
    {'u': 'neumann', 'v': 'neumann'}
    """
    unknowns = equation.space.dependent
    given = dict.fromkeys(unknowns, boundary) if isinstance(boundary, str) else dict(boundary)
    for name, kind in given.items():
        if name not in unknowns or kind not in WALLS:
            raise UserError(
                f"`boundary` must be periodic, {' or '.join(WALLS)}, or one of the last two for each of the unknowns "
                f"{', '.join(unknowns)}, got {name}={kind}"
            )
    lost = [name for name in unknowns if name not in given]
    if lost:
        raise UserError(f"`boundary` must say what {lost[0]} keeps at the walls, {' or '.join(WALLS)}")
    return {name: given[name] for name in unknowns}


def mirrored(equation: Equation, kinds: Mapping[str, str]) -> bool:
    """Whether an equation is the same in the mirror, with the signs that the walls ask for.

    >>> burgers = Equation("u_t + u*u_x = u_xx")
    >>> mirrored(burgers, {"u": "dirichlet"}), mirrored(burgers, {"u": "neumann"})
    (True, False)
    """
    space = equation.space
    at = space.independent.index("x")
    if any(F.has(variable("x")) for F in equation.residuals):
        return False
    for F in equation.residuals:
        turned = {}
        for a, index in space.indices(F):
            sign = (-1) ** index[at] * (-1 if kinds[space.dependent[a]] == "dirichlet" else 1)
            turned[space.symbol(a, index)] = sign * space.symbol(a, index)
        image = F.xreplace(turned)
        if sympy.expand(image - F) != 0 and sympy.expand(image + F) != 0:
            return False
    return True


def generate_between_walls(
    equation: Equation,
    samples: int,
    settings: Generation,
    walls: str | Mapping[str, str],
    defaults: Mapping[str, Any],
    initial: Any,
    workers: int | None,
    progress: Callable[[float], None] | None,
) -> Trajectories:
    """What `generate` does between walls; `defaults` are those of the catalogue.

    Raises:
        UserError: as of `generate`; or the equation has another axis than x, or cannot be solved between walls.
    """
    if set(equation.space.independent) != {"t", "x"}:
        raise UserError(f"walls need t and x and no other variable, got {', '.join(equation.space.independent)}")
    kinds = kinds_of(equation, walls)
    length, end = (getattr(settings, key) or defaults.get(key) for key in ("length", "end"))
    if not length or not end:
        raise UserError(f"`{'length' if not length else 'end'}` must be given for {equation.text!r}")
    steps = settings.steps or STEPS
    n = settings.resolution or RESOLUTION
    check_integer("samples", samples, 1)
    check_integer("steps", steps, 2)
    check_integer("resolution", n, 8, 4096)
    keep = min(settings.keep or steps, steps)
    check_integer("keep", keep, 1)
    state = system_of(equation).state
    of_variable = [kinds[equation.space.dependent[a]] for a, _ in state]
    numbers = share(settings.shard, samples)
    if initial is not None and settings.shard is not None:
        raise UserError("`shard` goes with random initial values, got `initial` too")
    size = 8.0 * len(numbers) * keep * n * len(kinds)
    if size > processes.memory():
        raise UserError(
            f"{len(numbers)} trajectories take {size / 1e9:.3g} GB, more than the memory; make them in parts (`shard`)"
        )
    x = np.linspace(0.0, length, n)
    times = np.linspace(0.0, end, steps)
    tolerance = settings.tolerance or TOLERANCE
    how: dict[str, Any] = {"keep": keep, "tolerance": tolerance, "workers": workers, "progress": progress}
    start = None if initial is None else _given(initial, samples, len(state), n)
    zero = start is None or all(
        kind == "neumann" or float(np.abs(start[:, i, [0, -1]]).max()) <= ZERO * float(np.abs(start).max())
        for i, kind in enumerate(of_variable)
    )
    reflected = zero and mirrored(equation, kinds)
    if reflected:
        values = _mirrored(equation, numbers, settings, start, of_variable, x, times, how)
    else:
        values = _chebyshev(equation, numbers, settings, start, kinds, of_variable, x, times, how)
    for i, kind in enumerate(kinds.values()):
        if kind == "dirichlet" and reflected:
            values[..., [0, -1], i] = 0.0  # not what is left of it by rounding
    if not np.isfinite(values).all():
        raise UserError(f"a trajectory of {equation.text!r} is not finite before t = {end:g}")
    method = "mirror images" if reflected else "Chebyshev"
    about: dict[str, Any] = {"length": length, "end": end, "steps": steps, "keep": keep, "resolution": n}
    about |= {"tolerance": tolerance, "amplitude": settings.amplitude, "boundary": kinds, "method": method}
    if settings.shard is not None:
        about |= {SHARD: settings.shard, OF: samples}
    fields = equation.space.dependent
    return Trajectories(
        equation=equation,
        x=torch.zeros(0),
        t=torch.from_numpy(times[-keep:].copy()),
        u=torch.from_numpy(np.ascontiguousarray(values if len(fields) > 1 else values[..., 0])),
        seed=settings.seed if initial is None else None,
        settings=about,
        fields=fields,
        axes=(Axis("x", torch.from_numpy(x)),),
    )


def _given(initial: Any, samples: int, variables: int, points: int) -> Array:
    start = np.asarray(initial, float)
    start = start[:, None] if start.ndim == 2 and variables == 1 else start
    if start.shape != (samples, variables, points) or not np.isfinite(start).all():
        raise UserError(
            f"`initial` must be finite with shape {[samples, variables, points]}, both walls included, "
            f"got {list(np.shape(initial))}"
        )
    return start


def wall_waves(numbers: range, settings: Generation, kinds: list[str], angle: Array) -> Array:
    """``sum_i A_i sin(l_i a)`` or cosines of angles a from 0 to pi, ``[samples, variables, points]``.

    ``A ~ U(-amplitude, amplitude)``, l from `wavenumbers`. The row of number i depends on (seed, i) alone.
    """
    choices, waves = settings.wavenumbers or WAVENUMBERS, settings.waves or WAVES
    u = np.zeros((len(numbers), len(kinds), len(angle)))
    for row, i in zip(u, numbers, strict=True):
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence((settings.seed, i))))
        for variable_, kind in zip(row, kinds, strict=True):
            for _ in range(waves):
                A = settings.amplitude * (2 * random.random() - 1)
                l = choices[min(int(random.random() * len(choices)), len(choices) - 1)]
                variable_ += A * (np.sin if kind == "dirichlet" else np.cos)(l * angle)
    return u


def _mirrored(
    equation: Equation,
    numbers: range,
    settings: Generation,
    start: Array | None,
    kinds: list[str],
    x: Array,
    times: Array,
    how: dict[str, Any],
) -> Array:
    """``[S, keep, points, unknowns]`` as half a period of what is odd or even."""
    n, length = len(x), float(x[-1])
    if start is None:
        start = wall_waves(numbers, settings, kinds, np.pi * np.arange(n) / (n - 1))
    signs = np.array([-1.0 if kind == "dirichlet" else 1.0 for kind in kinds])[:, None]
    if (signs < 0).any():
        start = start.copy()
        start[:, [k == "dirichlet" for k in kinds]] *= ((np.arange(n) > 0) & (np.arange(n) < n - 1)).astype(float)
    whole = np.concatenate([start, signs * start[..., -2:0:-1]], -1)
    if not equation.evolutionary:
        return np.array(solve_box(equation, whole, times, lengths=(2 * length,), **how)[:, :, :n])
    u = solvers.solve(equation, whole[:, 0], times, length=2 * length, resolution=2 * (n - 1), **how)
    size = np.abs(np.fft.rfft(u, norm="forward"))
    tail = size[..., -max(size.shape[-1] // 8, 1) :].max(-1) / np.maximum(size.max(-1), 1e-300)
    if settings.resolution is None and float(tail.max()) > FITS:
        raise UserError(
            f"{n} points do not resolve trajectory {int(tail.max(1).argmax())}: its spectrum ends at "
            f"{float(tail.max()):.1g} of the largest mode; give `resolution` a larger value"
        )
    return np.array(u[:, :, :n, None])


def _chebyshev(
    equation: Equation,
    numbers: range,
    settings: Generation,
    start: Array | None,
    kinds: Mapping[str, str],
    of_variable: list[str],
    x: Array,
    times: Array,
    how: dict[str, Any],
) -> Array:
    """The same on Chebyshev's nodes; trajectories that keep different values at the walls have a stepper each."""
    n, length = len(x), float(x[-1])
    if start is None:
        nodes = np.pi * (1 - np.cos(np.pi * np.arange(n) / (n - 1))) / 2
        values = wall_waves(numbers, settings, of_variable, nodes)
        return np.array(solve_each(BetweenWalls(equation, length, n, kinds), values, times, **how))
    values = from_uniform(start)
    ends = start[..., [0, -1]]
    if (ends == ends[:1]).all():
        return np.array(solve_each(BetweenWalls(equation, length, n, kinds, ends[0]), values, times, **how))
    each = [
        solve_each(BetweenWalls(equation, length, n, kinds, ends[s]), values[s : s + 1], times, **how)
        for s in range(len(start))
    ]
    return np.concatenate(each)
