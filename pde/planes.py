"""The pictures of one generator after the other: the views that a run holds, and what is drawn and said of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sympy

from symflow.formulas import notation
from symflow.report import figures
from symflow.report.svg import Figure

from .discovery import Result

Evidence = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Drawn:
    """A figure, what it shows for those who cannot see it, and its caption."""

    figure: Figure
    alt: str
    caption: str


@dataclass(frozen=True)
class Plane:
    """A view of `pde.discovery.collect`, and one generator on it.

    Attributes:
        arrays: of the view, by their names there.
        k: the place of the generator among those of the view.
        names: of its two axes and its unknown.
        periods: of the axes.
        hidden: the other variables, by their numbers among the coordinates.
    """

    arrays: Evidence
    k: int
    names: figures.Names
    periods: figures.Periods
    hidden: dict[str, int]

    def number(self, name: str) -> float | None:
        """One number of the generator, if the run has it."""
        return float(self.arrays[name][self.k]) if name in self.arrays else None

    @property
    def leaves(self) -> bool:
        """Whether its flow takes the points of this plane, as of every such plane, apart."""
        if "moved.at" not in self.arrays:
            return False
        return any(not np.isfinite(self.arrays["moved.at"][self.k][i]) for i in self.hidden.values())

    def place(self, at: np.ndarray | None) -> str:
        """``t = 5 and y = 3.1``: where a plane lies; empty where that is not known, or all of space-time is shown."""
        if at is None or not self.hidden:
            return ""
        return notation.listing([f"{name} = {notation.number(float(at[i]), 3)}" for name, i in self.hidden.items()])

    def flow(self, title: str, formula: str) -> Drawn | None:
        """The trajectory on this plane, and moved."""
        e, k = self.arrays, self.k
        if "moved" not in e or self.leaves:
            return None
        moved = [(f"after {title}", e["moved"][k])]
        if "learned.moved" in e:
            moved.append(("after the learned field", e["learned.moved"][k]))
        figure = figures.trajectory((e["x"], e["t"], e["u"]), moved, self.periods, self.names)
        before, after = (self.place(at) for at in (e.get("at"), e["moved.at"][k] if "moved.at" in e else None))
        what = "A trajectory" if self.names == figures.XTU and not before else f"{self.names[2]} of a trajectory"
        epsilon = f"ε = {notation.number(float(e['length'][k]), 3)}"
        if after == before:
            caption = f"{what}{f' at {before}' if before else ''} as it is, and moved with {epsilon}."
        else:
            caption = f"{what} at {before} as it is, and, moved with {epsilon}, at {after}."
        caption += " The white dot is one point of the wave, carried along."
        if not any(self.periods):
            caption += " The dashed frame is where the trajectory was."
        alt = f"{what} over {notation.listing(self.names[:2])} before and after the flow along {formula}."
        return Drawn(figure, alt, caption)

    def field(self, title: str, formula: str) -> Drawn | None:
        """The vector field on this plane."""
        e, (x, t, u) = self.arrays, self.names
        if "field" not in e:
            return None
        exact = e["field"][self.k]
        fields = [(title, exact)]
        if "learned.field" in e:
            fields.append(("learned by the network", e["learned.field"][self.k]))
        figure = figures.vectors((e["x"], e["t"]), fields, self.names)
        arrows, colours = (bool((np.abs(exact[..., part]) > 0).any()) for part in (slice(0, 2), slice(2, 3)))
        caption = {
            (True, True): f"Arrows say how {x} and {t} begin to move, colour how {u} begins to change.",
            (True, False): f"Arrows say how {x} and {t} begin to move.",
            (False, True): f"Colour says how {u} begins to change.",
            (False, False): "Nothing moves here.",
        }[arrows, colours]
        if (difference := self.number("learned.difference")) is not None:
            caption += (
                f" What the network learned differs from the formula by {notation.number(difference)}, "
                "relative to its size."
            )
        alt = f"The vector field {formula}: arrows for the change of {x} and {t}, colour for the change of {u}."
        return Drawn(figure, alt, caption)

    def residual(self, title: str, formula: str, score: float, control: float) -> Drawn | None:
        """Where the equation is violated on this plane, before and after."""
        e = self.arrays
        if "residual.after" not in e:
            return None
        maps = [
            ("before", e["residual.before"]),
            (f"after {title}", e["residual.after"][self.k]),
            ("after the control", e["residual.control"][self.k]),
        ]
        alt = (
            f"Relative residual of the equation over {notation.listing(self.names[:2])}: {notation.number(score)} "
            f"after {formula}, {notation.number(control)} after its control."
        )
        return Drawn(figures.residuals((e["x"], e["t"]), maps, self.names), alt, "")


def fitting(arrays: Evidence, result: Result) -> bool:
    """Whether the arrays of a run belong to a result: whether each has the shape that it would have."""
    d, K = len(result.coordinates.names), len(result.generators)
    views, shown = _views(arrays, result)
    if views.ndim != 2 or views.shape[1:] != (3,) or not ((views >= 0) & (views < d)).all():
        return False
    if shown.shape != (K,) or not ((shown >= -1) & (shown < len(views))).all():
        return False
    for n in range(len(views)):
        of, count = _of(arrays, n), int((shown == n).sum()) if "views" in arrays else K
        try:
            grid = (len(of["t"]), len(of["x"]))
        except (KeyError, TypeError):
            return False
        shapes: dict[str, tuple[int, ...]] = {"u": grid, "at": (d,), "moved.at": (count, d)}
        shapes |= dict.fromkeys(("length", "learned.difference"), (count,))
        shapes |= dict.fromkeys(("field", "learned.field", "moved", "learned.moved"), (count, *grid, 3))
        shapes |= {"residual.before": grid} | dict.fromkeys(("residual.after", "residual.control"), (count, *grid))
        if "u" not in of or any(v.shape != shapes.get(name, v.shape) for name, v in of.items()):
            return False
    return True


def planes(arrays: Evidence, result: Result) -> list[Plane | None]:
    """Where each generator is shown; ``None`` where a run of an earlier version has no such picture.

    Args:
        arrays: that are `fitting`, or none at all.
        result: of the run.
    """
    if not arrays:
        return [None] * len(result.generators)
    names, periods = result.coordinates.names, result.coordinates.periods
    variables, (views, shown) = result.equation.space.independent, _views(arrays, result)
    found: list[Plane | None] = []
    for k, n in enumerate(shown.tolist()):
        if n < 0:
            found.append(None)
            continue
        x, t, u = views[n].tolist()
        hidden = {name: i for i, name in enumerate(names) if name in variables and i not in (x, t)}
        place = k if "views" not in arrays else int((shown[:k] == n).sum())
        found.append(Plane(_of(arrays, n), place, (names[x], names[t], names[u]), (periods[x], periods[t]), hidden))
    return found


def _of(arrays: Evidence, n: int) -> dict[str, np.ndarray]:
    """The arrays of a view, without its number."""
    if n:
        return {name.removeprefix(f"{n}."): value for name, value in arrays.items() if name.startswith(f"{n}.")}
    return {name: v for name, v in arrays.items() if not name[0].isdigit() and name not in ("views", "shown", "shape")}


def _views(arrays: Evidence, result: Result) -> tuple[np.ndarray, np.ndarray]:
    """The axes and unknown of each view, and the view of each generator, -1 for one that is shown nowhere."""
    if "views" in arrays and "shown" in arrays:
        return arrays["views"].astype(int), arrays["shown"].astype(int)
    space, names = result.equation.space, result.coordinates.names
    places = [n for n in space.independent if n != "t"]
    if not places or "t" not in names:
        return np.zeros((0, 3), int), np.full(len(result.generators), -1)
    # runs of 0.2.0, and equations alone: the first axis over time, and the first unknown
    seen = (places[0], "t", space.dependent[0])
    views = np.array([[names.index(n) for n in seen]])
    shown = np.zeros(len(result.generators), int)
    fields = result.symbolic_field.components if result.generators else []
    for k, components in enumerate(fields):
        at = dict(zip(names, components, strict=True))
        moves = any(at[n] != sympy.Integer(0) for n in seen)
        if not moves or any(at[n] != sympy.Integer(0) for n in space.independent if n not in seen):
            shown[k] = -1
    return views, shown
