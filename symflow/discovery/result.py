"""What a discovery found, whatever its domain, and the file that keeps it.

A result is one record: the dataclasses here are the schema of ``result.json`` (schema 3), and a domain extends them by
what it adds. What is said of the three levels, and in which words, is in `verdicts`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from markupsafe import Markup
from sympy import Expr
from torch import Tensor

from symflow import domains
from symflow._version import __version__
from symflow.arrays import takes_arrays
from symflow.errors import UserError
from symflow.fields import Coordinates, SymbolicField
from symflow.fields.planes import plot
from symflow.formulas import Rows, Tabled, format_generator, notation, text_table
from symflow.runs import machine, to_json, write_json

from .verdicts import DataVerdict, Statement, Verdicts, lines, statements, symmetries

SCHEMA = 3

R = TypeVar("R", bound="Result")


@dataclass(frozen=True, kw_only=True)
class Generator:
    """One discovered symmetry.

    Attributes:
        name: ``V1, V2, ...``.
        closed_form: physical coefficients of d/dx, d/dt and so on, as formulas in the coordinates; or ``None``.
        verified: whether exact algebra proves it.
        valid: whether data may be moved along it and stay valid, as far as is known: what that takes, its domain says.
        score: how far moved data are from valid; ``None`` where nothing was moved.
        floor: the score of data that are not moved.
        control: the score of a motion that must fail.
        data: what the data alone show of it; ``None`` where they were not asked.

    >>> boost = Generator(name="V1", closed_form={"dx": "t", "dt": "0", "du": "1"})
    >>> boost.formula, boost.latex()
    ('t dx + du', 't\\\\,\\\\partial_x + \\\\partial_u')
    """

    name: str
    closed_form: dict[str, str] | None
    verified: bool = False
    valid: bool = False
    score: float | None = None
    floor: float | None = None
    control: float | None = None
    data: DataVerdict | None = None

    @property
    def formula(self) -> str:
        """The closed form on one line, for example ``t dx + du``; empty without one."""
        return "" if self.closed_form is None else format_generator(self.closed_form)

    @takes_arrays
    def __call__(self, points: Tensor) -> Tensor:
        """The vectors at points, both in physical units, ``[..., d]``; a numpy array gives a numpy array.

        Raises:
            UserError: there is no closed form.

        >>> import torch
        >>> Generator(name="V1", closed_form={"dx": "-y", "dy": "x"})(torch.tensor([2.0, 1.0]))
        tensor([-1.,  2.])
        """
        form = self._form()
        return SymbolicField(Coordinates([name[1:] for name in form]), [form])(points)[..., 0, :]

    def _repr_html_(self) -> str:
        """What a notebook shows: the closed form in mathematics."""
        if self.closed_form is None:
            return f"{self.name}: no closed form"
        names = [name[1:] for name in self.closed_form]
        return str(Markup("{} = {}").format(self.name, notation.generator(self._components(self.closed_form), names)))

    def sympy(self) -> dict[str, Expr]:
        """The closed form as expressions, by component.

        Raises:
            UserError: there is none.
        """
        form = self._form()
        return dict(zip(form, self._components(form), strict=True))

    def latex(self) -> str:
        """The closed form in LaTeX.

        Raises:
            UserError: there is none.
        """
        form = self._form()
        return notation.latex(self._components(form), [name[1:] for name in form])

    def _form(self) -> dict[str, str]:
        if self.closed_form is None:
            raise UserError(f"the generator {self.name} has no closed form")
        return self.closed_form

    def _components(self, form: Mapping[str, str]) -> Sequence[Expr]:
        return SymbolicField(Coordinates([name[1:] for name in form]), [form]).components[0]


@dataclass(frozen=True)
class Spectrum:
    """Ascending relative violations of a discovery and the gap that decides the rank.

    Attributes:
        values: singular values (null space) or roots of eigenvalues (network): the relative violation, RMS over the
            data, of fields of unit size.
        rank: how many lie below the gap.
        resolution: values below it are not told apart.
    """

    values: list[float]
    rank: int
    resolution: float

    def __post_init__(self) -> None:
        if not 0 <= self.rank <= len(self.values):
            raise ValueError(f"a rank of {self.rank} among {len(self.values)} values")

    @property
    def below(self) -> float:
        """The last value below the gap, 0 when there is none."""
        return self.values[self.rank - 1] if self.rank else 0.0

    @property
    def above(self) -> float:
        """The first value above the gap, infinite when there is none."""
        return self.values[self.rank] if self.rank < len(self.values) else math.inf


@dataclass(frozen=True)
class Family:
    """Generators that depend on arbitrary functions.

    Attributes:
        closed_form: as of `Generator`, with the functions as names.
        functions: the variables that each function depends on.
        conditions: expressions in the functions and their derivatives (``f_t - f_xx``) that must vanish.
        verified: whether exact algebra proves it for all such functions.
    """

    closed_form: dict[str, str]
    functions: dict[str, list[str]]
    conditions: list[str]
    verified: bool

    @property
    def formula(self) -> str:
        """The closed form on one line."""
        return format_generator(self.closed_form)

    @property
    def quantified(self) -> str:
        """For which functions it is a symmetry.

        >>> Family({"dx": "f", "du": "f_t"}, {"f": ["t"]}, [], True).quantified
        'for every function f of t'
        """
        names = " and ".join(self.functions)
        if self.conditions:
            return f"for every solution {names} of {'; '.join(f'{c} = 0' for c in self.conditions)}"
        of = ", ".join(next(iter(self.functions.values())))
        return f"for every function {names} of {of}"

    @property
    def sentence(self) -> str:
        """The closed form and its functions."""
        return f"{self.formula} {self.quantified}"


@dataclass(frozen=True)
class Approximate:
    """A field that nearly is a symmetry.

    Attributes:
        closed_form: as of `Generator`.
        defect: its relative violation, 0 for a symmetry.
        interval: that holds the true defect.
        reach: the length of flow up to which the data do not tell it from a symmetry; ``None`` where it was not
            measured or not reached.
    """

    closed_form: dict[str, str]
    defect: float
    interval: tuple[float, float]
    reach: float | None

    @property
    def formula(self) -> str:
        """The closed form on one line."""
        return format_generator(self.closed_form)


@dataclass(frozen=True, kw_only=True, repr=False)
class Result(Tabled):
    """What was found, how sure it is, and on what that rests.

    ``repr(result)`` is a line, ``print(result)`` shows all of it, a notebook the verdicts with a picture of what each
    generator does, `table` and `to_pandas` the generators, `sympy` and `latex` their closed forms; `save` writes
    ``result.json`` and `symflow.load_result` reads it back. Two results are equal when they say the same; when, how
    long, on what and by which command they came about does not count.

    Attributes:
        kind: of the domain.
        verdicts: at the levels of equation, domain and data.
        rank: the number of symmetries, families left out.
        generators: the finite part, in closed form where there is one.
        families: generators that depend on arbitrary functions.
        approximate: fields that nearly are symmetries.
        seed: of the discovery.
        seconds: by stage.
        symflow: the version that made it.
        created: the day.
        command: what to type for it, or ``None``.
        machine: what it was made on (`symflow.runs.machine`); ``None`` in files of earlier versions.
    """

    kind: ClassVar[str]

    verdicts: Verdicts
    rank: int
    generators: Sequence[Generator]
    families: list[Family] = field(default_factory=list)
    approximate: Sequence[Approximate] = field(default_factory=list)
    seed: int
    seconds: dict[str, float] = field(default_factory=dict, compare=False)
    symflow: str = field(default_factory=lambda: __version__, compare=False)
    created: str = field(default_factory=lambda: date.today().isoformat(), compare=False)
    command: str | None = field(default=None, compare=False)
    machine: str | None = field(default_factory=machine, compare=False)

    @property
    def verdict(self) -> str:
        """The headline in a word: that of the weakest level that was asked."""
        return self.verdicts.word

    def to_dict(self) -> dict[str, Any]:
        """The content of ``result.json``."""
        return {"schema": SCHEMA, "kind": self.kind, **to_json(self)}

    def save(self, path: str | Path) -> None:
        """Writes ``result.json`` to a path, whole or not at all."""
        write_json(path, self.to_dict())

    @classmethod
    def upgraded(cls, content: dict[str, Any]) -> dict[str, Any]:
        """The content of a file of schema 2 as one of schema 3; it may raise whatever bad content causes."""
        raise ValueError(f"there are no results of kind {cls.kind!r} and schema 2")

    @classmethod
    def completed(cls, content: dict[str, Any]) -> dict[str, Any]:
        """The content of a file of schema 3 with what earlier versions did not write; it may raise as `upgraded`."""
        return content

    def check(self) -> None:
        """Refuses what is read from a file and does not belong together.

        Raises:
            ValueError: parts contradict each other.
        """

    def beside(self: R, folder: Path) -> R:
        """The same with what lies beside its file; a domain that keeps arrays there reads them here."""
        return self

    @property
    def headline(self) -> str:
        """The result in a line."""
        return f"{symmetries(self.rank)}: {self.verdict}"

    @property
    def statements(self) -> list[Statement]:
        """What is said at each level that was asked, and on what it rests."""
        return statements(self.verdicts)

    def words(self, generator: Generator) -> dict[str, str]:
        """The words for one generator, by the levels that were asked of each: "equation" and "data"."""
        found = {"equation": "proved" if generator.verified else "found"} if self.verdicts.equation is not None else {}
        if self.verdicts.data is not None:
            found["data"] = generator.data.word if generator.data is not None else self.verdicts.data.word
        return found

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.headline}>"

    def table(self) -> Rows:
        """The generators: name, closed form, components, figures, and what is said of each."""
        keys = list(dict.fromkeys(key for g in self.generators for key in g.closed_form or {}))
        levels = list(dict.fromkeys(level for g in self.generators for level in self.words(g)))
        figures = ("verified", "valid", "score", "floor", "control")
        rows = [
            [g.name, g.formula, *((g.closed_form or {}).get(key) for key in keys)]
            + [getattr(g, name) for name in figures]
            + [self.words(g).get(level) for level in levels]
            for g in self.generators
        ]
        return Rows(["name", "formula", *keys, *figures, *levels], rows)

    def sympy(self) -> dict[str, dict[str, Expr]]:
        """The closed forms as expressions, by generator and component; those that have none are left out."""
        return {g.name: g.sympy() for g in self.generators if g.closed_form is not None}

    def latex(self) -> str:
        """The closed forms in LaTeX, lines of an ``align*``; those that have none are left out."""
        lines = [rf"{g.name[0]}_{{{g.name[1:]}}} &= {g.latex()}" for g in self.generators if g.closed_form is not None]
        return " \\\\\n".join(lines)

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdicts, and each generator with a picture of what it does."""
        shown: str = domains.part(self.kind, "report").PAGE(Path(os.devnull), self, {}).notebook()
        return shown

    def __str__(self) -> str:
        figures = [[g.score, g.floor, g.control] for g in self.generators]
        shown = [k for k in range(3) if any(row[k] is not None for row in figures)]
        rows = [
            [g.name, g.formula, *("" if row[k] is None else f"{row[k]:.1e}" for k in shown), *self.words(g).values()]
            for g, row in zip(self.generators, figures, strict=True)
        ]
        heads = [(">moved", ">floor", ">control")[k] for k in shown]
        levels = list(self.words(self.generators[0])) if self.generators else []
        table = text_table(["", "generator", *heads, *levels], rows)
        return "\n".join([self.headline, "", *lines(self.statements), "", table])


@dataclass(frozen=True, kw_only=True, repr=False)
class OneSpaceResult(Result):
    """A result whose generators live in one space of points.

    Attributes:
        coordinates: normalised units; closed forms and everything printed are physical.
    """

    coordinates: Coordinates

    @property
    def symbolic_field(self) -> SymbolicField:
        """The generators that have a closed form, as a field.

        Raises:
            UserError: none has.
        """
        forms = [g.closed_form for g in self.generators if g.closed_form is not None]
        if not forms:
            raise UserError("the result holds no generator in closed form, so it has no field")
        return SymbolicField(self.coordinates, forms)

    def plot(self, axes: Any = None) -> list[Any]:
        """Draws each generator that has a closed form as arrows, in the plane that it fills most.

        Args:
            axes: of matplotlib, at least one for each; by default those of a new figure.

        Returns:
            The axes, to go on with.

        Raises:
            UserError: no generator has a closed form, matplotlib is missing, or there are too few axes.
        """
        titles = [f"{g.name}: {g.formula}" for g in self.generators if g.closed_form is not None]
        return plot(self.symbolic_field, axes, titles)
