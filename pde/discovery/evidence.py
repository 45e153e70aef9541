"""The arrays behind the figures of a report: one trajectory, moved and checked point by point.

Of several axes and unknowns each generator is shown on those that it moves most (`views`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from symflow.fields import Coordinates, Field, NeuralField, Series, SymbolicField, total_degree
from symflow.ops import flow, jet_flow
from symflow.runs import one_thread

from ..equations import JetSample, Manifold
from ..scores import JetScore, jets_of, jets_on, points_of, unit_weights
from ..trajectories import Trajectories
from .checks import controls
from .result import Result
from .views import PLACES, TIMES, View, chosen, planes, standard

STEPS = 4  # of RK4 over a length of 0.2: its error is about the rounding of float32, in which end points are kept
FITTED = 2_000  # points at which the learned span is aligned with a closed form
SEED = 3  # added to the seed of the discovery: points it has not used
TOGETHER, NEAR = 1e-4, 1e-2  # of an axis: points of a moved plane, and of one that a learned field moves, lie in one


def collect(data: Trajectories | None, result: Result) -> dict[str, Tensor]:
    """What the figures of a report show, computed once with the data at hand.

    A *view* is a plane through the middle of the first trajectory: X nodes of one axis and T of another, of time where
    it is a slice. There the trajectory is carried by a flow of unit-free length `JetScore.length` along generators, and
    its relative residual taken, point by point. All of it is physical and float32; a value is not finite where a flow
    leaves the domain of a closed form.

    Args:
        data: what the result was found in; ``None`` for an equation alone, which has no trajectory to move. Its
            fields are evaluated on the plane ``u = 1`` if their coordinates are x, t and u, and not at all otherwise.
            Orbits have no place, and nothing is shown of them.
        result: of `discover`.

    Returns:
        By name, of the first view, which is the first axis over time and the first unknown; those of view n have
        ``n.`` before their names, and K of them are shown there:

        - ``x [X]``, ``t [T]``, ``u [T, X]``: the nodes of its axes, and its unknown; ``at [d]``: where it lies, not
          finite for its own axes and unknowns.
        - ``field [K, T, X, 3]``: the components of the generators in its axes and its unknown; ``learned.field``: those
          combinations of the network's fields that are nearest to them; ``learned.difference [K]``: how near, RMS
          relative to the generator's.
        - ``length [K]``: of the flow in the generator's own parameter; ``moved [K, T, X, 3]``: where it takes the
          points; ``moved.at [K, d]``: where the moved plane lies, not finite if its points do not stay in one (then
          they are not finite either); ``learned.moved``: where the learned fields take them.
        - ``residual.before [T, X]``, ``residual.after [K, T, X]``, ``residual.control [K, T, X]``: absolute relative
          residuals of the trajectory, of the moved one, and of the one moved by the generator's control.

        And once: ``views [V, 3]``, the axes and the unknown of each view by their numbers among the coordinates;
        ``shown [K]``, the view of each generator; ``shape``: of the data, trajectories, times and places along every
        axis of space. Names with ``learned`` are there if `result` has a learned field, those of a flow and of views if
        there are data. Without a generator only the grid is left.

    >>> from symflow import pde
    >>> result = pde.discover("kdv", network="none")
    >>> {name: list(value.shape) for name, value in collect(None, result).items()}
    {'x': [64], 't': [32], 'u': [32, 64], 'field': [4, 32, 64, 3]}
    """
    with one_thread(), torch.no_grad():
        evidence = _collect(data, result)
    return {name: value if value.dtype == torch.int64 else value.float() for name, value in evidence.items()}


def _collect(data: Trajectories | None, result: Result) -> dict[str, Tensor]:
    return _of_equation(result) if data is None else _of_data(data, result)


def _of_equation(result: Result) -> dict[str, Tensor]:
    """The fields alone, on a plane of x and t."""
    coordinates = result.coordinates
    if coordinates.names != ("x", "t", "u"):
        return {}
    x, t, sample = _sheet(result)
    grid = (len(t), len(x))
    evidence = {"x": x, "t": t, "u": sample.points[:, 2].view(grid)}
    if not result.generators:
        return evidence
    seen = Plane(coordinates, grid, [0, 1, 2])
    exact, points = result.symbolic_field, points_of(sample, coordinates)
    evidence["field"] = seen.vectors(exact(points))
    learned = result.neural.field if result.neural is not None else None
    if learned is not None:
        fitted = points_of(Manifold(result.equation).sample(FITTED, result.seed + SEED), coordinates)
        mixture, evidence["learned.difference"] = _align(learned, exact, fitted)
        evidence["learned.field"] = seen.vectors(torch.einsum("nkc,kj->njc", learned(points), mixture))
    return evidence


def _of_data(data: Trajectories, result: Result) -> dict[str, Tensor]:
    """What is shown on every view."""
    first, coordinates = standard(data), result.coordinates
    if first is None:
        return {}
    views, shown, some = [first], [], None
    learned = result.neural.field if result.neural is not None else None
    if result.generators:
        pairs, space = planes(data), data.equation.space
        if learned is not None or len(pairs) * len(space.dependent) > 1:
            some = points_of(jets_of(data, FITTED, result.seed + SEED, ()), coordinates)
        of_each = [first] * len(result.generators)
        if some is not None:
            of_each = chosen(result.symbolic_field, some, space, pairs)
        views = list(dict.fromkeys([first, *of_each]))
        shown = [views.index(view) for view in of_each]
    mixture, difference = None, None
    if learned is not None and some is not None:
        mixture, difference = _align(learned, result.symbolic_field, some)
    evidence = {"shape": torch.tensor([len(data), len(data.t), *map(len, data.axes)])}
    if shown:
        numbers = [[coordinates.names.index(n) for n in (v.columns, v.rows, v.unknown)] for v in views]
        evidence |= {"views": torch.tensor(numbers), "shown": torch.tensor(shown)}
    for n, (view, sample) in enumerate(zip(views, _samples(data, views), strict=True)):
        which = [k for k, of in enumerate(shown) if of == n]
        arrays = _grid(data, view, sample)
        if which:
            seen = Plane.of(coordinates, view, arrays["u"].shape, len(data.equation.space.independent))
            arrays |= _on(seen, result, which, sample, mixture)
            if difference is not None:
                arrays["learned.difference"] = difference[which]
        evidence |= {f"{n}.{name}" if n else name: value for name, value in arrays.items()}
    return evidence


@dataclass(frozen=True)
class Plane:
    """Values at the T X points of a view, in its own axes and unknown.

    Attributes:
        coordinates: of the fields.
        grid: ``(T, X)``.
        shown: its axes and its unknown, by their numbers among the coordinates.
        hidden: the other variables.
    """

    coordinates: Coordinates
    grid: tuple[int, ...]
    shown: list[int]
    hidden: tuple[int, ...] = ()

    @classmethod
    def of(cls, coordinates: Coordinates, view: View, grid: tuple[int, ...], variables: int = 0) -> Plane:
        """That of a view, the first so many coordinates being variables."""
        shown = [coordinates.names.index(n) for n in (view.columns, view.rows, view.unknown)]
        return cls(coordinates, grid, shown, tuple(i for i in range(variables) if i not in shown))

    def on_grid(self, values: Tensor) -> Tensor:
        """``[T X, K, ...]`` to ``[K, T, X, ...]``."""
        found: Tensor = values.transpose(0, 1).unflatten(1, self.grid)
        return found

    def vectors(self, values: Tensor) -> Tensor:
        """Normalised vectors ``[T X, K, d]`` as physical ones, ``[K, T, X, 3]``."""
        return self.on_grid(self.coordinates.vectors_to_physical(values)[..., self.shown])

    def ends(self, values: Tensor, near: Tensor) -> Tensor:
        """Normalised points ``[K, T X, d]`` as physical ones, ``[K, T, X, 3]``.

        Not finite are those that lie farther than `NEAR` from the planes `near`, ``[K, d]``.
        """
        hidden = list(self.hidden)
        away = (values - near[:, None])[..., hidden].abs().amax(-1) if hidden else values.new_zeros(values.shape[:2])
        physical = self.coordinates.to_physical(values)[..., self.shown]
        found: Tensor = torch.where((away <= NEAR)[..., None], physical, torch.nan).unflatten(1, self.grid)
        return found

    def place(self, values: Tensor) -> Tensor:
        """Where normalised points ``[K, T X, d]`` lie, ``[K, d]``: not finite where they do not share a place."""
        at = torch.full(values[:, 0].shape, torch.nan, dtype=values.dtype)
        for i in self.hidden:
            middle = values[..., i].nanmedian(1).values
            spread = (values[..., i] - middle[:, None]).abs().nan_to_num(0.0).amax(1)
            at[:, i] = torch.where(spread <= TOGETHER, middle, torch.nan)
        return at


def _on(seen: Plane, result: Result, which: list[int], sample: JetSample, mixture: Tensor | None) -> dict[str, Tensor]:
    """The fields of some generators, and what their flows do, on a view."""
    coordinates, equation = result.coordinates, result.equation
    exact, points = result.symbolic_field, points_of(sample, coordinates)
    score = JetScore(equation, coordinates, sample)
    weights = unit_weights(exact, points) * score.length
    arrays = {"field": seen.vectors(exact(points))[which], "length": weights[which]}
    after, moved = _moved(score, exact, weights, which)
    place = seen.place(moved)
    arrays |= {"moved": seen.ends(moved, place), "moved.at": coordinates.to_physical(place)}
    learned = result.neural.field if result.neural is not None else None
    if learned is not None and mixture is not None:
        arrays["learned.field"] = seen.vectors(torch.einsum("nkc,kj->njc", learned(points), mixture))[which]
        ends = _learned_ends(learned, points, (mixture * weights)[:, which])
        arrays["learned.moved"] = seen.ends(ends, place)
    spoiled = controls(exact, points, equation.space.dependent[0])
    control, _ = _moved(score, spoiled, unit_weights(spoiled, points) * score.length, which)
    arrays["residual.before"] = score.residual(score.surface).abs().view(seen.grid)
    arrays["residual.after"] = after.unflatten(1, seen.grid)
    arrays["residual.control"] = control.unflatten(1, seen.grid)
    return arrays


def _samples(data: Trajectories, views: list[View]) -> list[JetSample]:
    """The jets of the first trajectory on the nodes of views, T X of each, rows outside."""
    rows: list[Tensor] = []
    places: dict[str, list[Tensor]] = {axis.name: [] for axis in data.axes}
    for view in views:
        across, up = view.nodes(data)
        r, c = (g.flatten() for g in torch.meshgrid(up, across, indexing="ij"))
        at = {view.columns: c, view.rows: r}
        rows.append(at.get("t", torch.full_like(r, len(data.t) // 2)))
        for axis in data.axes:
            places[axis.name].append(at.get(axis.name, torch.full_like(r, len(axis) // 2)))
    surfaces = total_degree(data.equation.order, len(data.equation.space.independent)).monomials
    together = jets_on(data, torch.cat(rows), [torch.cat(p) for p in places.values()], surfaces)
    ends = torch.tensor([len(r) for r in rows]).cumsum(0).tolist()
    return [together[slice(end - len(r), end)] for r, end in zip(rows, ends, strict=True)]


def _grid(data: Trajectories, view: View, sample: JetSample) -> dict[str, Tensor]:
    """The nodes and values of a view, and where it lies."""
    nodes = {axis.name: axis.nodes for axis in data.axes} | {"t": data.t}
    across, up = view.nodes(data)
    space, points = sample.space, sample.points
    at = points[0].clone()
    seen = (view.columns, view.rows, *space.dependent)
    at[[i for i, name in enumerate(space.names) if name in seen]] = torch.nan
    x, t = nodes[view.columns][across], nodes[view.rows][up]
    return {"x": x, "t": t, "u": points[:, space.names.index(view.unknown)].view(len(t), len(x)), "at": at}


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


def _moved(score: JetScore, field: SymbolicField, weights: Tensor, which: list[int]) -> tuple[Tensor, Tensor]:
    """Absolute residuals ``[K, N]`` and normalised end points ``[K, N, d]`` of the surface moved along some fields."""
    surface = score.surface
    row = Series(surface.truncation, surface.coefficients[:, None])
    residuals = torch.zeros(len(which), len(score.sample), dtype=torch.float64)
    ends = torch.zeros(*residuals.shape, surface.coefficients.shape[-1], dtype=torch.float64)
    for i, k in enumerate(which):
        rows = jet_flow(field.slot(k), row, weights[k].view(1, 1), steps=STEPS).coefficients
        moved = Series(surface.truncation, rows[:, 0])
        residuals[i], ends[i] = score.residual(moved).abs(), moved.coefficients[0]
    return residuals, ends
