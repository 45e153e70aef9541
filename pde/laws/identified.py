"""Data that do not name their equation, with the one that is fitted to a part of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from symflow.errors import UserError

from ..equations import Equation
from ..trajectories import Trajectories, describe, load
from .held_out import split
from .identify import identify

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?<!_)")
VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9]*")
SPACE = ("x", "y", "z")
REAL = 1e-5  # imaginary over real part: less is rounding


def load_identified(path: Any = None, **reading: Any) -> Trajectories:
    """Trajectories of a file that does not name their equation, with the one that `identify` fits to a part of them.

    ``settings["identified"]`` is then True, and `held_out` is the part that it was not fitted to. Further arguments are
    those of `load`; arrays are given as there, by ``fields`` and ``axes``. The unknowns are the fields that depend on
    t, by their names, or those that ``fields`` names; a single one is u, and a single axis of space x.

    Raises:
        UserError: as `load` and `identify`.

    >>> from symflow import pde
    >>> data = pde.generate("u_t = 2/3*u - 4/3*u*v; v_t = u*v - v", 4, end=12.0, steps=200)
    >>> load_identified(fields={"u": data.field("u"), "v": data.field("v")}, axes={"t": data.t}).equation.text
    'u_t - 0.66667*u + 1.33333*u*v = 0; v_t - u*v + v = 0'
    """
    data = load(path, equation=_placeholder(path, reading), check=False, **reading)
    fitted, _ = split(data)
    return replace(data, equation=identify(fitted), name=None, settings={**data.settings, "identified": True})


def _placeholder(path: Any, reading: Mapping[str, Any]) -> Equation:
    """An equation of which nothing is used but the names of its unknowns and variables."""
    fields, axes = reading.get("fields") or {}, reading.get("axes") or {}
    if path is None:
        complex_ = {n for n, v in fields.items() if getattr(getattr(v, "dtype", None), "kind", "") == "c"}
        unknowns, space = list(fields or ("u",)), [a for a in axes or ("x",) if a != "t"]
        return named(unknowns, space, complex_ & {*unknowns})
    how = {name: reading.get(name) for name in ("samples", "group", "fields", "axes")}
    found = describe(path, **how)
    places = [a.name for a in found.axes if a.name != "t" and a.nodes > 1]
    held = {f.name: f for f in found.fields if "t" in f.dims}
    unknowns = list(fields) or list(held)
    complex_ = {
        n
        for n, own in zip(unknowns, fields.values() or unknowns, strict=False)
        if own in held and (held[own].imaginary or 0.0) > REAL
    }
    if not fields and len(unknowns) == 1:
        complex_, unknowns = {"u"} if complex_ else set(), ["u"]
    return named(unknowns, _variables(places, axes), complex_)


def _variables(places: Sequence[str], given: Mapping[str, str]) -> list[str]:
    """What the axes of space are called: as they are told to, as they are if that can be, else x, y, z."""
    told = {own: name for name, own in given.items()}
    if len(places) == 1:
        return [told.get(places[0], "x")]
    free = [n for n in SPACE if n not in {*places, *told.values()}]
    return [told.get(p) or (p if p in SPACE or VARIABLE.fullmatch(p) else free.pop(0)) for p in places]


def named(unknowns: Sequence[str], space: Sequence[str], complex_: Sequence[str] | set[str] = ()) -> Equation:
    """A placeholder for data whose equation is not known.

    Raises:
        UserError: no unknown, or a name that no equation can have.

    >>> named(["h", "v"], ["x", "y"]).space
    JetSpace(independent=('x', 'y', 't'), dependent=('h', 'v'))
    """
    if not unknowns:
        raise UserError("a fit of an equation needs a field that depends on t, got none")
    for name in unknowns:
        if not NAME.fullmatch(name) or name in (*space, "t"):
            raise UserError(
                f"the field {name!r} has a name that no unknown can have; `fields` gives it another, such as u={name}"
            )
    parts = []
    for name in unknowns:
        slopes = "".join(f" + {name}_{x}" for x in space) or f" + {name}"
        parts.append(f"i*{name}_t{slopes} + conj({name}) = 0" if name in complex_ else f"{name}_t{slopes} = 0")
    return Equation("; ".join(parts), [*sorted(space), "t"], list(unknowns))
