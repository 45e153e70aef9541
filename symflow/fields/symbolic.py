"""Vector fields in closed form."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import sympy
import torch
from markupsafe import Markup
from torch import Tensor

from symflow.arrays import takes_arrays
from symflow.errors import UserError
from symflow.fields import series
from symflow.fields.coordinates import Coordinates
from symflow.fields.planes import Plotted
from symflow.fields.series import Series
from symflow.formulas import expressions, notation


class SymbolicField(Plotted):
    """K vector fields in closed form.

    Args:
        coordinates: the axes of the space.
        closed_forms: per generator the physical coefficient of each ``d/d name`` as a formula in the names of the
            axes, under the key ``"d" + name``; an absent key is 0.

    Raises:
        UserError: a formula is malformed or uses another name; a key is no ``"d" + name``; there is no generator.

    >>> field = SymbolicField(Coordinates(("x", "t", "u")), [{"dx": "t", "du": "1"}])
    >>> field(torch.tensor([0.0, 2.0, 0.0]))
    tensor([[2., 0., 1.]])
    """

    def __init__(self, coordinates: Coordinates, closed_forms: Sequence[Mapping[str, str]]) -> None:
        if not closed_forms:
            raise UserError("`closed_forms` must hold at least one generator, got none")
        self.coordinates = coordinates
        self.symbols = [sympy.Symbol(name, real=True) for name in coordinates.names]
        names = dict(zip(coordinates.names, self.symbols, strict=True))
        keys = ["d" + name for name in names]
        for form in closed_forms:
            if unknown := set(form) - set(keys):
                raise UserError(f"a closed form has the keys {', '.join(keys)}, got {', '.join(sorted(unknown))}")
        self.components = [[expressions.parse(form.get(key, "0"), names) for key in keys] for form in closed_forms]

    @property
    def generators(self) -> int:
        """The number K of vector fields."""
        return len(self.components)

    def latex(self) -> list[str]:
        """Each generator in LaTeX, physical.

        >>> SymbolicField(Coordinates(("x", "y")), [{"dx": "-y", "dy": "x"}]).latex()
        ['- y\\\\,\\\\partial_x + x\\\\,\\\\partial_y']
        """
        return [notation.latex(c, self.coordinates.names) for c in self.components]

    def _repr_html_(self) -> str:
        """What a notebook shows: the generators in mathematics."""
        lines = (Markup("<li>{}</li>").format(notation.generator(c, self.coordinates.names)) for c in self.components)
        return str(Markup("<ol>{}</ol>").format(Markup("").join(lines)))

    @takes_arrays
    def __call__(self, points: Tensor) -> Tensor:
        """``points [..., d]`` to ``vectors [..., K, d]``, both normalised."""
        physical = self.coordinates.to_physical(points)
        values = dict(zip(self.symbols, physical.unbind(-1), strict=True))
        rows = [[_on_tensor(c, values) for c in generator] for generator in self.components]
        vectors = torch.stack([torch.stack(row, -1) for row in rows], -2)
        return self.coordinates.vectors_to_normalised(vectors)

    def series(self, points: Series) -> Series:
        """The same on truncated polynomials, ``[C, ..., d]`` to ``[C, ..., K, d]``."""
        c, truncation = self.coordinates, points.truncation
        like = points.coefficients  # whose `new_tensor` fails where its sign is lazy, as in an imaginary part
        scale, offset = (torch.tensor(v, dtype=like.dtype, device=like.device) for v in (c.scale, c.offset))
        physical = points * scale + offset
        columns = [Series(truncation, column) for column in physical.coefficients.unbind(-1)]
        values = dict(zip(self.symbols, columns, strict=True))
        found = []
        for generator in self.components:
            for component in generator:
                value = expressions.evaluate(component, values, series.FUNCTIONS)
                if not isinstance(value, Series):  # a number
                    first = columns[0].coefficients
                    value = Series(truncation, torch.zeros_like(first)) + value
                found.append(value.coefficients)
        vectors = torch.stack(found, -1).unflatten(-1, (self.generators, len(columns)))
        return Series(truncation, vectors / scale)

    def slot(self, k: int) -> SymbolicField:
        """The k-th vector field alone."""
        result = copy.copy(self)
        result.components = self.components[k : k + 1]
        return result


def _on_tensor(expression: sympy.Expr, values: Mapping[sympy.Symbol, Tensor]) -> Tensor:
    like = next(iter(values.values()))
    value: Tensor = torch.zeros_like(like) + expressions.evaluate(expression, values, series.FUNCTIONS)
    return value
