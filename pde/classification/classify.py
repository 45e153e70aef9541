"""For which functions and numbers in an equation the algebra is larger, over a list of them that is stated.

For all functions and numbers: the symmetries of one choice that has nothing special, and of these the combinations
whose determining condition vanishes with functions and numbers left open. For special ones: each of a list of forms
(powers, exponentials, logarithms, constants; simple fractions for numbers) is put in, of several names for some of them
with the others left open, and the algebra found, proved and counted like that of any equation. A choice is listed where
it gains on those that it is a case of. Forms that a change of variables makes one of the list (``exp(2 u + 1)``) are
not listed again.

Source of the task: Ovsiannikov, *Group Analysis of Differential Equations*, 1982.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, product
from typing import Any

from symflow.algebra import ClosedForm
from symflow.errors import UserError
from symflow.formulas import format_generator, text_table
from symflow.runs import one_thread

from ..counting import count_symmetries
from ..symmetries import symmetries
from .template import ARGUMENT, GENERIC, Template

EXPONENT, OWN = "n", 1.4  # of a power that has nothing special
_WHOLE = (-4, -3, -2, -1, 0, 1, 2, 3, 4)
_HALVES = ("-5/2", "-3/2", "-4/3", "-2/3", "-1/2", "-1/3", "1/3", "1/2", "2/3", "4/3", "3/2", "5/2")
NUMBERS = (*map(str, _WHOLE), *_HALVES)
"""Exponents, and values of parameters, that are tried."""
POWER = f"{ARGUMENT}**{EXPONENT}"
OTHERS = (f"exp({ARGUMENT})", f"log({ARGUMENT})", f"{ARGUMENT}*log({ARGUMENT})")
FORMULAS = (POWER, *(f"{ARGUMENT}**({n})" for n in NUMBERS), *OTHERS)
"""Functions that are tried."""
FEW = (POWER, *(f"{ARGUMENT}**({n})" for n in ("-4/3", "-1", "0", "1", "2")), f"exp({ARGUMENT})")
FEW_NUMBERS = ("-2", "-1", "-1/2", "0", "1/2", "1", "2", "3")
"""Where there are several names."""
MOST_CASES = 80


@dataclass(frozen=True)
class Case:
    """One choice.

    Attributes:
        choice: of functions a formula in their argument a, of numbers their value; those it does not name are any.
        generators: its symmetries in closed form, proved; without superposed solutions.
        superposition: whether solutions of a linear equation can be superposed besides.
        complete: whether a count modulo a prime says that there are no others.
    """

    choice: dict[str, str]
    generators: tuple[ClosedForm, ...]
    superposition: bool
    complete: bool

    @property
    def dimension(self) -> int:
        """Of the finite part."""
        return len(self.generators)

    @property
    def formulas(self) -> list[str]:
        """The generators, a line each."""
        return [format_generator({key: str(f) for key, f in form.items()}) for form in self.generators]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        generators = [{key: str(f) for key, f in form.items()} for form in self.generators]
        return asdict(replace(self, generators=())) | {"generators": generators}

    @property
    def name(self) -> str:
        """The choice in words."""
        return ", ".join(f"{name} = {value}" for name, value in self.choice.items()) or "all"


@dataclass(frozen=True)
class Classification:
    """What an equation with arbitrary functions and numbers has, for all of them and for special ones.

    Attributes:
        text: of the equation.
        general: for all.
        cases: those that were tried and have more.
        tried: what was put in.
        passed_over: how many choices were not tried, because there are more than `MOST_CASES`.
    """

    text: str
    general: Case
    cases: tuple[Case, ...]
    tried: tuple[str, ...]
    passed_over: int = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        said = {"equation": self.text, "tried": list(self.tried), "passed_over": self.passed_over}
        return said | {"general": self.general.to_dict(), "cases": [case.to_dict() for case in self.cases]}

    def __str__(self) -> str:
        rows = [
            [c.name, f"{c.dimension}{' + solutions' * c.superposition}", "yes" if c.complete else "", *c.formulas[:1]]
            for c in (self.general, *self.cases)
        ]
        more = [[["", "", "", f] for f in c.formulas[1:]] for c in (self.general, *self.cases)]
        table = [line for row, rest in zip(rows, more, strict=True) for line in (row + [""] * (4 - len(row)), *rest)]
        beyond = f"; {self.passed_over} choices were not tried" if self.passed_over else ""
        return "\n".join(
            [
                self.text,
                text_table(["for", "symmetries, proved", "complete", "generators"], table),
                f"tried: {', '.join(self.tried)}{beyond}",
            ]
        )


@one_thread()
def classify(
    text: str,
    *,
    numbers: Sequence[str] = (),
    independent: str | None = None,
    unknowns: str | None = None,
    **parameters: float,
) -> Classification:
    """The algebra of an equation for all functions and numbers in it, and the special ones for which it is larger.

    Determinism: the same text gives the same classification.

    Args:
        text: of an equation in which f, g, ... are called and not differentiated: ``u_t = f(u)*u_xx``; each takes one
            argument, any formula of the coordinates or derivatives.
        numbers: parameters whose special values are asked for.
        independent, unknowns: names that the text does not show.
        parameters: numbers for the other names.

    Raises:
        UserError: there is nothing to classify, or the text is no equation.

    >>> found = classify("u_tt = u_xx + k*u**3", numbers=["k"])
    >>> found.general.dimension, [(case.choice, case.superposition) for case in found.cases]
    (4, [({'k': '0'}, True)])
    """
    if not isinstance(text, str):
        raise UserError(
            f"`text` must be an equation such as 'u_t = Derivative(f(u)*u_x, x)', got {type(text).__name__}"
        )
    template = Template(text, parameters, independent, unknowns)
    if not template.functions and not numbers:
        raise UserError(f"`text` must call an arbitrary function, such as f(u), or `numbers` name one, got {text!r}")
    if {*numbers} & {*parameters}:
        raise UserError(f"`numbers` are those that have no value of their own, got {', '.join(numbers)} with values")
    one = len(template.functions) + len(numbers) == 1
    tried: dict[str, tuple[str, ...]] = dict.fromkeys(template.functions, FORMULAS if one else FEW)
    tried |= dict.fromkeys(numbers, NUMBERS if one else FEW_NUMBERS)
    general = _case(template, numbers, {})
    cases: list[Case] = []
    choices = _choices(tried)
    for choice in choices[:MOST_CASES]:
        try:
            case = _case(template, numbers, choice)
        except UserError:  # it is no equation
            continue
        if _gains(case, general, cases):
            cases.append(case)
    listed = tuple(dict.fromkeys(formula for formulas in tried.values() for formula in formulas))
    return Classification(text, general, tuple(cases), listed, max(len(choices) - MOST_CASES, 0))


def _choices(tried: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Of one name, then of two, ...: the others are left open."""
    return [
        dict(zip(names, choice, strict=True))
        for count in range(1, len(tried) + 1)
        for names in combinations(tried, count)
        for choice in product(*(tried[name] for name in names))
    ]


def _case(template: Template, numbers: Sequence[str], choice: dict[str, str]) -> Case:
    """The algebra for a choice, and for any functions and numbers that it leaves open.

    Raises:
        UserError: there is no such equation.
    """
    functions = [name for name in template.functions if name not in choice]
    values = {name: OWN for name in numbers if name not in choice}
    values |= {EXPONENT: OWN} if POWER in choice.values() else {}
    equation = template.equation({**dict.fromkeys(functions, GENERIC), **choice}, **values)
    found = symmetries(equation)
    forms: Sequence[ClosedForm] = found.proved.named if values else found.proved.forms
    if functions or values:
        forms = template.for_all(equation, forms, choice, values)
    complete = False
    if found.superposition is None:
        try:
            complete = count_symmetries(equation, len(forms)).at_most == len(forms)
        except UserError:
            complete = False
    return Case(choice, tuple(forms), found.superposition is not None, complete)


def _gains(case: Case, general: Case, before: Sequence[Case]) -> bool:
    """Whether a case has more than those that it is a case of: of all functions, of powers with any exponent."""

    def covers(c: Case) -> bool:
        """Whether a choice is one of those of another, which leaves some open, or exponents."""
        pairs = ((f, case.choice.get(name, "")) for name, f in c.choice.items())
        return all(a == b or (a == POWER and b.startswith(f"{ARGUMENT}**(")) for a, b in pairs)

    least = [general, *filter(covers, before)]
    return all((case.superposition, case.dimension) > (c.superposition, c.dimension) for c in least)
