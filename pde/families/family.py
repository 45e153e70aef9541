"""A family of symmetries: what it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from symflow.algebra import ClosedForm

from .functions import Functions


@dataclass(frozen=True)
class Family:
    """Symmetries for all functions of some arguments.

    Attributes:
        form: the components, linear in the symbols of the functions' derivatives.
        functions: f.
        order: the highest derivative of f.
        verified: whether exact algebra proves it for all f.
    """

    form: ClosedForm
    functions: Functions
    order: int
    verified: bool

    def renamed(self, letters: Sequence[str]) -> Family:
        """With other letters for the functions."""
        other = self.functions.renamed(letters[: len(self.functions.names)])
        swapped = dict(zip(self.functions.symbols(self.order), other.symbols(self.order), strict=True))
        form = {key: f.subs(swapped, simultaneous=True) for key, f in self.form.items()}
        return replace(self, form=form, functions=other)
