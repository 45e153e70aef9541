"""What data may be moved along: what is proved for an equation, if they solve it.

For a proved generator ``F[moved] = Lambda F[u]`` with F the equation: data that solve it are moved to such, and data
that do not are not. Augmentation by anything else makes data that nothing vouches for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from symflow.errors import UserError
from symflow.fields import SymbolicField

from ..equations import Equation
from ..laws import gate
from ..trajectories import Trajectories, data_coordinates

ASKED = 32  # trajectories, from all over the data
UNLESS = "`unproved=True` (`--unproved`) allows it"


def check_solve(data: Trajectories, equation: Equation) -> None:
    """Refuses data that do not solve an equation, or cannot tell (`pde.laws.gate`), along whose symmetries they go.

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


def with_period(forms: Sequence[Mapping[str, str]], data: Trajectories, whose: str = "`result`") -> SymbolicField:
    """Those of the closed forms that have the period of data, the ones without x, in units of the data.

    Args:
        forms: at least one.
        data: whose period and units they are.
        whose: the generators, for the sentence.

    Raises:
        UserError: none has, or the data are no u on a periodic line.
    """
    data.require_line("what moves trajectories")
    axes = data_coordinates(data, periodic=True)
    field = SymbolicField(axes, forms)
    x = field.symbols[0]
    periodic = [f for f, row in zip(forms, field.components, strict=True) if not any(c.has(x) for c in row)]
    if not periodic:
        raise UserError(f"{whose} holds no generator with the period of the data, so there is nothing to move along")
    return SymbolicField(axes, periodic)
