"""The command ``classify``: which functions and numbers in an equation make its algebra larger."""

from __future__ import annotations

from typing import Annotated

import tyro
from tyro.conf import OmitArgPrefixes

from symflow.console import Answer, loading

from . import arguments
from .settings import Variables


def classify(
    equation: Annotated[str, tyro.conf.Positional],
    numbers: tuple[str, ...] = (),
    parameters: tuple[str, ...] = (),
    variables: OmitArgPrefixes[Variables] = Variables(),
) -> Answer:
    """Finds the symmetries of an equation for all functions or numbers in it, and those for which there are more.

    Examples:
        symflow classify "u_t = Derivative(f(u)*u_x, x)"
        symflow classify "u_tt = u_xx + k*u**3" --numbers k

    Args:
        equation: with arbitrary functions of one argument, as f in "u_t = Derivative(f(u)*u_x, x)", or with names that
            stand for any number.
        numbers: these names; powers, exponentials, logarithms and constants are tried for functions, simple fractions
            for numbers.
        parameters: numbers for the other names, such as nu=0.01.
        variables: names that the formula does not show.
    """
    with loading():
        from symflow.pde import classify as classified

    found = classified(
        equation,
        numbers=numbers,
        independent=variables.independent,
        unknowns=variables.unknowns,
        **arguments.numbers(parameters),
    )
    return Answer(str(found), found.to_dict())
