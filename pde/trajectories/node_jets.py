"""Jets of data of any shape: derivatives of every unknown at random nodes of the grid, none of them from the equation.

Along axes of space a whole trajectory is differentiated, modes that are lost in noise left out; along t only what is
seen at the nodes that were drawn. Relative errors of one axis are carried along by the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sympy
import torch
from torch import Tensor

from symflow.errors import UserError
from symflow.runs import one_thread

from ..equations import Index, JetSample
from .axes import Axis
from .data import Trajectories
from .derivatives import without_noise
from .differentiation import DEGREE, HIGHEST, differentiate
from .stencils import STENCIL

EACH = 512  # jets of one trajectory, where there are enough of them:
MOST_TRAJECTORIES = 8  # whose derivatives are taken


@dataclass(frozen=True)
class NodeJets:
    """Jets at nodes.

    Attributes:
        sample: the variables, and the derivatives that were asked for.
        error: an estimate of the error of each of these.
    """

    sample: JetSample
    error: Mapping[sympy.Symbol, Tensor]


def without_jets(data: Trajectories, indices: Sequence[Index]) -> str:
    """Why derivatives of data cannot be taken, in words; empty where they can.

    Args:
        data: of any shape.
        indices: which derivatives, in the order of the variables of the equation.
    """
    if data.missing is not None:
        return "some of the values are missing"
    names = data.equation.space.independent
    axes = {a.name: a for a in data.axes}
    for i, name in enumerate(names):
        nodes = len(data.t) if name == "t" else len(axes[name])
        highest = max((k[i] for k in indices), default=0)
        periodic = name != "t" and axes[name].period is not None
        most = HIGHEST if periodic else DEGREE - 2
        if highest and not periodic and nodes < STENCIL:
            return f"there are {nodes} nodes along {name}, where derivatives need {STENCIL}"
        if highest > most:
            return f"the equation needs derivatives of order {highest} in {name}, where they end at {most}"
    return ""


@one_thread()
def node_jets(data: Trajectories, indices: Sequence[Index], count: int, seed: int) -> NodeJets:
    """Derivatives at random nodes, the same number of each trajectory, of at most 8 from all over the data.

    Args:
        data: of any shape, without missing values.
        indices: which derivatives, of every unknown, in the order of the variables of the equation.
        count: of nodes.
        seed: of their draw.

    Raises:
        UserError: the data have no such derivatives.

    >>> from symflow.pde.equations import Equation
    >>> t = torch.linspace(0, 3, 61, dtype=torch.float64)
    >>> spring = Equation("u_t - v = 0; v_t + u = 0")
    >>> orbits = Trajectories(
    ...     spring, torch.zeros(0), t, torch.stack([t.sin(), t.cos()], -1)[None], fields=("u", "v"), axes=()
    ... )
    >>> values = {s.name: v for s, v in node_jets(orbits, [(1,)], 5, 0).sample.values.items()}
    >>> bool((values["u_t"] - values["v"]).abs().max() < 1e-8)
    True
    """
    space = data.equation.space
    few = min(len(data), MOST_TRAJECTORIES, -(-count // EACH))
    which = torch.linspace(0, len(data) - 1, few).round().long().tolist()
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for s, share in zip(which, torch.arange(count).tensor_split(few), strict=True):
        rows = torch.randint(len(data.t), (len(share),), generator=generator)
        places = [torch.randint(len(axis), (len(share),), generator=generator) for axis in data.axes]
        parts.append(jets_at(data, s, indices, rows, places))
    values = {v: torch.cat([p.sample.values[v] for p in parts]) for v in parts[0].sample.values}
    error = {v: torch.cat([p.error[v] for p in parts]) for v in parts[0].error}
    return NodeJets(JetSample(space, values), error)


@one_thread()
def jets_at(data: Trajectories, s: int, indices: Sequence[Index], rows: Tensor, places: Sequence[Tensor]) -> NodeJets:
    """Derivatives at given nodes of one trajectory.

    Args:
        data: of any shape, without missing values.
        s: which trajectory.
        indices: which derivatives, of every unknown, in the order of the variables of the equation.
        rows: ``[N]``, the times by their numbers.
        places: ``[N]`` for each axis of space, likewise.

    Raises:
        UserError: the data have no such derivatives.
    """
    if sentence := without_jets(data, indices):
        raise UserError(f"`data` must have derivatives, but {sentence}")
    space = data.equation.space
    wanted = sorted({*indices, (0,) * len(space.independent)})
    nodes = {"t": data.t[rows]} | {a.name: a.nodes[p] for a, p in zip(data.axes, places, strict=True)}
    values = {v: nodes[name] for name, v in zip(space.independent, space.variables, strict=False)}
    error: dict[sympy.Symbol, Tensor] = {}
    at = {name: i for i, name in enumerate(space.independent)}
    clock = at.get("t")
    orders = sorted({_along(data, at, k) for k in wanted})
    # what is differentiated along t is a column for each place that differs; an orbit has one place
    there, column = torch.stack([torch.zeros_like(rows), *places]).unique(dim=1, return_inverse=True)
    chosen: tuple[slice | Tensor, ...] = (slice(None), *there[1:])
    for a, name in enumerate(space.dependent):
        u = data.field(name)[s]
        for i, axis in enumerate(data.axes, 1):
            u = u if axis.period is None else without_noise(u.movedim(i, -1)).movedim(-1, i)
        for in_space, v, e in _in_space(data.axes, u, torch.zeros_like(u), orders, ()):
            columns, errors = (w[chosen].view(len(w), -1) for w in (v, e))
            for k in (k for k in wanted if _along(data, at, k) == in_space):
                later = k[clock] if clock is not None else 0
                moved, off = _derivative(columns, errors, Axis("t", data.t), later, 0) if later else (columns, errors)
                symbol = space.symbol(a, k)
                values[symbol], error[symbol] = moved[rows, column], off[rows, column]
    return NodeJets(JetSample(space, values), error)


def _along(data: Trajectories, at: Mapping[str, int], index: Index) -> Index:
    """How often a derivative differentiates along each axis of space of the data."""
    return tuple(index[at[axis.name]] if axis.name in at else 0 for axis in data.axes)


def _in_space(
    axes: Sequence[Axis], v: Tensor, e: Tensor, orders: Sequence[Index], done: Index
) -> Iterator[tuple[Index, Tensor, Tensor]]:
    """Derivatives along the axes of space, one axis after the other: no more than one chain of them at a time."""
    i = len(done)
    if i == len(axes):
        yield done, v, e
        return
    for n in sorted({k[i] for k in orders if k[:i] == done}):
        moved, off = _derivative(v, e, axes[i], n, i + 1) if n else (v, e)
        yield from _in_space(axes, moved, off, orders, (*done, n))


def _derivative(v: Tensor, e: Tensor, axis: Axis, order: int, dim: int) -> tuple[Tensor, Tensor]:
    """With an error that is its own, and the relative one of what is differentiated."""
    found = differentiate(v, axis, order, dim)
    before, after = (w.square().mean().sqrt() for w in (v, found.values))
    return found.values, found.error + e * (after / before.clamp_min(1e-300))
