"""The arrays behind the figures of a report: one trajectory, moved and checked point by point.

Of several axes of space the first is shown, with the others at their middle nodes; of several unknowns the first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from symflow.fields import Field, NeuralField, Series, SymbolicField, total_degree
from symflow.ops import flow, jet_flow
from symflow.runs import one_thread

from ..equations import JetSample, Manifold
from ..scores import JetScore, jets_of, points_of, slice_of, unit_weights
from ..trajectories import Trajectories
from .checks import controls
from .result import Result

TIMES, PLACES = 32, 64  # about as many rows and columns as a figure shows
STEPS = 4  # of RK4 over a length of 0.2: its error is about the rounding of float32, in which end points are kept
FITTED = 2_000  # points at which the learned span is aligned with a closed form
SEED = 3  # added to the seed of the discovery: points it has not used


def collect(data: Trajectories | None, result: Result) -> dict[str, Tensor]:
    """What the figures of a report show, computed once with the data at hand.

    The first trajectory on a grid of T times and X places of the first axis of space, carried by a flow of unit-free
    length `JetScore.length` along each of the K generators, and its relative residual there, point by point. All of it
    is physical and float32; a value is not finite where a flow leaves the domain of a closed form.

    Args:
        data: what the result was found in; ``None`` for an equation alone, which has no trajectory to move. Its
            fields are evaluated on the plane ``u = 1`` if their coordinates are x, t and u, and not at all otherwise.
            Orbits have no place, and nothing is shown of them.
        result: of `discover`.

    Returns:
        By name:

        - ``x [X]``, ``t [T]``, ``u [T, X]``: the grid, and the first unknown on it; ``shape``: of the data,
          trajectories, times and places along every axis of space.
        - ``field [K, T, X, 3]``: the components of the generators in x, t, u on it; ``learned.field``: those
          combinations of the network's fields that are nearest to them; ``learned.difference [K]``: how near, RMS
          relative to the generator's.
        - ``length [K]``: of the flow in the generator's own parameter; ``moved [K, T, X, 3]``: where it takes the
          points ``(x, t, u)``; ``learned.moved``: where the learned fields take them.
        - ``residual.before [T, X]``, ``residual.after [K, T, X]``, ``residual.control [K, T, X]``: absolute relative
          residuals of the trajectory, of the moved one, and of the one moved by the generator's control.

        Names that start with ``learned`` are there if `result` has a learned field, those of a flow if there are
        data. Without a generator only the grid is left.

    >>> from symflow import pde
    >>> result = pde.discover("kdv", network="none")
    >>> {name: list(value.shape) for name, value in collect(None, result).items()}
    {'x': [64], 't': [32], 'u': [32, 64], 'field': [4, 32, 64, 3]}
    """
    with one_thread(), torch.no_grad():
        evidence = _collect(data, result)
    return {name: value if value.dtype == torch.int64 else value.float() for name, value in evidence.items()}


def _collect(data: Trajectories | None, result: Result) -> dict[str, Tensor]:
    equation, coordinates = result.equation, result.coordinates
    space = equation.space
    if "t" not in space.independent or len(space.independent) == 1:
        return {}
    if data is None and coordinates.names != ("x", "t", "u"):
        return {}
    first = "x" if data is None else data.axes[0].name
    if first not in space.independent:
        return {}
    shown = [coordinates.names.index(n) for n in (first, "t", space.dependent[0])]
    x, t, sample = _sheet(result) if data is None else _trajectory(data)
    grid = (len(t), len(x))
    points = points_of(sample, coordinates)  # [T X, d]
    evidence = {"x": x, "t": t, "u": sample.points[:, shown[2]].view(grid)}
    if data is not None:
        evidence["shape"] = torch.tensor([len(data), len(data.t), *map(len, data.axes)])
    if not result.generators:
        return evidence
    exact = result.symbolic_field

    def on_grid(values: Tensor) -> Tensor:  # [T X, K, ...] to [K, T, X, ...]
        found: Tensor = values.transpose(0, 1).unflatten(1, grid)
        return found

    def ends(values: Tensor) -> Tensor:  # [K, T X, d], normalised
        found: Tensor = coordinates.to_physical(values)[..., shown].unflatten(1, grid)
        return found

    evidence["field"] = on_grid(coordinates.vectors_to_physical(exact(points))[..., shown])
    learned = result.neural.field if result.neural is not None else None
    if learned is not None:
        seed = result.seed + SEED
        some = jets_of(data, FITTED, seed, ()) if data is not None else Manifold(equation).sample(FITTED, seed)
        fitted = points_of(some, coordinates)
        mixture, difference = _align(learned, exact, fitted)
        evidence["learned.field"] = on_grid(
            coordinates.vectors_to_physical(torch.einsum("nkc,kj->njc", learned(points), mixture))[..., shown]
        )
        evidence["learned.difference"] = difference
    if data is None:
        return evidence

    score = JetScore(equation, coordinates, sample)
    weights = unit_weights(exact, points) * score.length
    evidence["length"] = weights
    if learned is not None:
        evidence["learned.moved"] = ends(_learned_ends(learned, points, mixture * weights))
    after, moved = _moved(score, exact, weights)
    evidence["moved"] = ends(moved)
    spoiled = controls(exact, points, space.dependent[0])
    control, _ = _moved(score, spoiled, unit_weights(spoiled, points) * score.length)
    evidence["residual.before"] = score.residual(score.surface).abs().view(grid)
    evidence["residual.after"] = after.unflatten(1, grid)
    evidence["residual.control"] = control.unflatten(1, grid)
    return evidence


def _trajectory(data: Trajectories) -> tuple[Tensor, Tensor, JetSample]:
    """The first trajectory on a coarser grid, ``x [X]``, ``t [T]``, and its jets at ``[T X]`` points."""
    rows = torch.linspace(0, len(data.t) - 1, min(TIMES, len(data.t))).round().long()
    stride = max(1, len(data.x) // PLACES)
    columns = torch.arange(0, len(data.x), stride)
    x, t = data.x[columns], data.t[rows]
    surfaces = total_degree(data.equation.order, len(data.equation.space.independent)).monomials
    return x, t, slice_of(data, rows, columns, surfaces)


def _sheet(result: Result) -> tuple[Tensor, Tensor, JetSample]:
    """The plane u = 1 over the range of random jets."""
    (x0, t0, _), (L, duration, _) = result.coordinates.offset, result.coordinates.scale
    x = x0 + L * torch.linspace(0, 1, PLACES, dtype=torch.float64)
    t = t0 + duration * torch.linspace(0, 1, TIMES, dtype=torch.float64)
    T, X = torch.meshgrid(t, x, indexing="ij")
    space = result.equation.space
    values = dict(zip(space.variables, (X.flatten(), T.flatten(), torch.ones_like(T).flatten()), strict=True))
    return x, t, JetSample(space, values)


def _align(learned: Field, exact: SymbolicField, points: Tensor) -> tuple[Tensor, Tensor]:
    """The combinations of learned fields nearest to each exact one, by least squares over points.

    Returns:
        ``[K_learned, K]`` and the relative RMS difference ``[K]``.
    """
    a = learned(points).transpose(1, 2).flatten(0, 1)  # [3 N, K_learned]
    b = exact(points).transpose(1, 2).flatten(0, 1)
    mixture = torch.linalg.lstsq(a, b, driver="gelsd").solution
    return mixture, (a @ mixture - b).norm(dim=0) / b.norm(dim=0)


def _learned_ends(learned: Field, points: Tensor, weights: Tensor) -> Tensor:
    """Where combinations ``[K_learned, K]`` of learned fields take points ``[N, d]`` in unit time, ``[K, N, d]``."""
    if isinstance(learned, NeuralField):  # its heads share their features: one field costs what one head does
        combined = [learned.combination(w) for w in weights.T]
        return torch.cat([flow(field, points[None], points.new_ones(1, 1), steps=STEPS) for field in combined])
    return flow(learned, points.expand(weights.shape[1], -1, -1), weights.T.contiguous(), steps=STEPS)


def _moved(score: JetScore, field: SymbolicField, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Absolute residuals ``[K, N]`` and normalised end points ``[K, N, 3]`` of the surface moved along each field."""
    surface = score.surface
    row = Series(surface.truncation, surface.coefficients[:, None])
    residuals, ends = [], []
    for k in range(field.generators):
        rows = jet_flow(field.slot(k), row, weights[k].view(1, 1), steps=STEPS).coefficients
        moved = Series(surface.truncation, rows[:, 0])
        residuals.append(score.residual(moved).abs())
        ends.append(moved.coefficients[0])
    return torch.stack(residuals), torch.stack(ends)
