"""What data may be moved along: what is proved for an equation, if they solve it.

For a proved generator ``F[moved] = Lambda F[u]`` with F the equation: data that solve it are moved to such, and data
that do not are not. Augmentation by anything else makes data that nothing vouches for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import sympy
import torch

from symflow.errors import UserError
from symflow.fields import SymbolicField

from ..equations import Equation
from ..gate import gate
from ..trajectories import Trajectories, data_coordinates

ROUNDING = 1e-12  # a motion of an end that is none
ASKED = 32  # trajectories, from all over the data
UNLESS = "`unproved=True` (`--unproved`) allows it"


def check_solve(data: Trajectories, equation: Equation) -> None:
    """Refuses data that do not solve an equation, or cannot tell (`pde.gate`), along whose symmetries they go.

    At most 32 trajectories are asked, from the first to the last.

    Raises:
        UserError: they do not, some do not, or it cannot be told.
    """
    which = torch.linspace(0, len(data) - 1, min(len(data), ASKED)).round().long()
    judged = gate(replace(data, u=data.u[which], equation=equation))
    if judged.word != "measured":
        raise UserError(
            f"`data` must solve {equation.text} to be moved along its symmetries, but {judged.sentence}; {UNLESS}"
        )


def keeping_grid(forms: Sequence[Mapping[str, str]], data: Trajectories, whose: str = "`result`") -> SymbolicField:
    """Those of the closed forms that keep the grid of data, in units of the data.

    They have its periods: no variable of a periodic axis is in them. They leave the ends of its open axes where they
    are. And off a line they move variables independently of unknowns (`grids`).

    Args:
        forms: at least one.
        data: whose grid and units they are.
        whose: the generators, for the sentence.

    Raises:
        UserError: none does, or they are in other variables.
    """
    coordinates = data_coordinates(data, periodic=True)
    if others := sorted({key.removeprefix("d") for form in forms for key in form} - set(coordinates.names)):
        raise UserError(
            f"{whose} must be in the variables and unknowns of the data, {', '.join(coordinates.names)}, got "
            f"{', '.join(others)}"
        )
    field = SymbolicField(coordinates, forms)
    symbols = dict(zip(field.coordinates.names, field.symbols, strict=True))
    variables = [symbols[name] for name in data.equation.space.independent]

    def keeps(components: Sequence[sympy.Expr]) -> bool:
        moves = dict(zip(symbols, components, strict=True))
        for axis in data.axes:
            if axis.period is not None:
                if any(c.has(symbols[axis.name]) for c in components):
                    return False
                continue
            ends = [moves[axis.name].subs(symbols[axis.name], float(axis.nodes[i])) for i in (0, -1)]
            if any(abs(end) > ROUNDING if end.is_number else end != 0 for end in ends):
                return False
        return data.on_line or mixing(components, variables, field.symbols) is None

    kept = [form for form, row in zip(forms, field.components, strict=True) if keeps(row)]
    if not kept:
        what = "the period" if all(axis.period is not None for axis in data.axes) else "the periods and ends"
        raise UserError(f"{whose} holds no generator with {what} of the data, so there is nothing to move along")
    return SymbolicField(field.coordinates, kept)


def mixing(
    components: Sequence[sympy.Expr], variables: Sequence[sympy.Symbol], symbols: Sequence[sympy.Symbol]
) -> tuple[sympy.Symbol, sympy.Expr] | None:
    """A variable whose motion depends on an unknown, and that motion; ``None`` where there is none.

    Args:
        components: of a generator, in the order of the symbols.
        variables: those of the symbols that are no unknowns.
        symbols: the coordinates.
    """
    unknowns = [symbol for symbol in symbols if symbol not in variables]
    for symbol, component in zip(symbols, components, strict=True):
        if symbol in variables and component.has(*unknowns):
            return symbol, component
    return None
