"""The page a person reads after a discovery: one self-contained HTML file, and its figures as SVG."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import sympy
from markupsafe import Markup
from torch import Tensor

from symflow.errors import UserError
from symflow.formulas import expressions, notation
from symflow.report import Card, Page, Picture, figures, open_run
from symflow.runs import load_field, read_metrics

from . import glance, planes
from .approximation import words as nearby
from .discovery import Generator, Result, collect, load_result, words
from .equations import complex_form
from .gate import Coefficient, Gate
from .symmetries import determining_equations

STAGE = "network"  # of the metrics that hold relative violations
LONGEST_TITLE = 40  # characters of a formula above a figure
MOST_STEPS = 400  # points of a learning curve
FEW_TIMES = 8  # a residual by differences needs more

Evidence = dict[str, np.ndarray]


def write_report(run: str | Path) -> Path:
    """Writes the page and figures of a run directory of equations (`symflow.report.write_report`).

    What the run does not hold is left out, and the page says so: the network, the evidence of `discovery.collect` in
    data, the metrics.
    """
    folder, config = open_run(run)
    result, learned = load_result(folder), folder / "span.safetensors"
    if result.neural is not None and learned.exists():
        result = replace(result, neural=replace(result.neural, field=load_field(learned)))
    return EquationPage(folder, result, config).write()


def coefficients(gate: Gate) -> list[Coefficient]:
    """Those that data determine, of one equation after the other."""
    known = [
        c
        for c in (*gate.coefficients, *gate.missing)
        if c.estimate is not None and c.lower is not None and c.upper is not None
    ]
    return sorted(known, key=lambda c: c.equation)


@dataclass(frozen=True)
class Shown:
    """A figure on the page with what stands below it."""

    picture: Picture
    caption: str


@dataclass(frozen=True)
class Section:
    """One generator on the page; its name is that of its place, not one read from a file."""

    name: str
    generator: Generator
    formula: Markup
    meaning: notation.Meaning | None
    flow: list[Markup]
    characteristic: Markup
    multiplier: Markup | None
    pictures: dict[str, Shown]
    not_shown: str


@dataclass(frozen=True)
class EquationPage(Page[Result]):
    """The page of a discovery in data or an equation."""

    package: ClassVar[str] = "symflow.pde"
    template: ClassVar[str] = "equations.html"

    def content(self) -> dict[str, Any]:
        """What the template shows."""
        result = self.result
        components = result.symbolic_field.components if result.generators else []
        neural = result.neural
        gate, axes = result.gate, result.coordinates
        sections = [self.section(k, c) for k, c in enumerate(components)]
        return super().content() | {
            "title": words.title(result),
            "neural": neural,
            "said": result.verdicts.data,
            "vouched": words.vouched(result),
            "from_data": result.of_data,
            "gate": gate,
            "coefficients": coefficients(gate) if gate is not None else [],
            "system": len(result.equation.residuals) > 1,
            "unlike": gate.outliers if gate is not None else (),
            "checked": all(g.at_floor for g in result.generators),
            "failed": "; ".join(words.checks(result)),
            "equation": self.equation(),
            "count": result.rank,
            "looked_for": words.looked_for(result),
            "proven": sum(g.verified for g in result.generators),
            "sections": sections,
            "spectra": self.spectra(),
            "angles": self.angles(),
            "learning": self.learning(),
            "brackets": self.brackets(),
            "names": result.coordinates.names,
            "unknowns": result.equation.space.dependent,
            "general": self.general(),
            "periodic": [n for n, p in zip(axes.names, axes.periods, strict=True) if p is not None],
            "extents": list(zip(axes.names, axes.offset, axes.scale, strict=True))[
                : len(result.equation.space.independent)
            ],
            "families": self.families(),
            "nearly": self.nearly(),
            "levels": result.verdicts,
            "named": self.named(),
            "left": self.left(),
            "shape": self.shape(),
            "no_residual": self.no_residual(),
            "grid": bool(self.arrays),
            "orbits": result.equation.space.independent == ("t",),
            "kinds": {kind for s in sections for kind in s.pictures},
            "choice": len(axes.names) > 3 and "views" in self.arrays,
            "degrees": math.degrees,
        }

    # ------------------------------------------------------------------ the first screen

    @property
    def question(self) -> Markup:
        """Which symmetries what has."""
        return glance.question(self.result, self.equation())

    @property
    def headline(self) -> str:
        return words.title(self.result)

    def card(self, k: int) -> Card:
        """With complex unknowns as they are written, and what the transformation is called."""
        components = self.result.symbolic_field.components[k]
        meaning = self.meaning(components)
        return replace(
            super().card(k),
            formula=self.formula(self.result.generators[k], components),
            meaning="" if meaning is None else meaning.name,
            link=f"#V{k + 1}",
        )

    def motion(self, k: int) -> Markup | None:
        """A surface u(x, t) that is moved, where there is one of that kind."""
        if self.surface is None:
            return super().motion(k)
        return glance.moved(f"{self.place}{k + 1}", self.result, k, self.surface)

    @property
    def moving(self) -> str:
        return super().moving if self.surface is None else self.surface.caption

    @cached_property
    def surface(self) -> glance.Surface | None:
        """What the pictures of the first screen move."""
        return glance.surface(self.result, self.arrays)

    # ------------------------------------------------------------------ the data

    def shape(self) -> str:
        """The grid of a trajectory in words; empty where the run does not hold it."""
        if "shape" not in self.arrays:
            return ""
        _, times, *places = self.arrays["shape"].astype(int).tolist()
        axes = [n for n in self.result.equation.space.independent if n != "t"]
        along = f" along {axes[0]}" if len(places) < len(axes) else ""  # all that runs of 0.2.0 say
        return f"{times} times and {' × '.join(map(str, places))} places{along}"

    def no_residual(self) -> str:
        """Why there is no residual by differences; what the run does not say is left open."""
        names, equation = self.result.coordinates.names, self.result.equation
        if names != ("x", "t", "u"):
            return f"it is of one unknown u on a periodic line, and these have {notation.listing(names)}"
        if not equation.evolutionary:
            return "it is of equations u_t = ... alone"
        times = int(self.arrays["shape"][1]) if "shape" in self.arrays else None
        if times is None and self.result.coordinates.periods[0] is None:
            return "there are too few times, or x is not periodic"
        if times is None or times <= FEW_TIMES:
            return "there are too few times"
        return "x is not periodic"

    # ------------------------------------------------------------------ formulas

    def meaning(self, components: Sequence[sympy.Expr]) -> notation.Meaning | None:
        """What a generator does in plain words."""
        return notation.meaning(components, self.result.coordinates.names, self.result.equation.space.dependent)

    def general(self) -> dict[str, Markup]:
        """What the text says of any generator: itself, its characteristic, and what spoils it in controls."""
        space, names = self.result.equation.space, self.result.coordinates.names
        letters = notation.general(names, space.dependent)
        u = space.dependent[0]
        terms = [sympy.Integer(1), *(sympy.Symbol(f"{u}_{n}") for n in space.independent)]
        Q = notation.combination([letters[u], *(-letters[n] for n in space.independent)], terms)
        return {
            "field": notation.generator([letters[n] for n in names], names),
            "characteristic": notation.formula(sympy.Symbol("Q" if len(space.dependent) == 1 else f"Q_{u}"), "=", *Q),
            "control": notation.generator([sympy.Symbol(u) ** 2], [u]),
        }

    def equation(self) -> Markup:
        """``u_t = -K`` where it is that, else ``F = 0``, one after the other."""
        equation = self.result.equation
        if equation.evolutionary:
            return notation.formula(sympy.Symbol("u_t"), "=", -equation.K)
        return Markup(", ").join(notation.formula(F, "=", sympy.Integer(0)) for F in equation.residuals)

    def families(self) -> list[dict[str, Any]]:
        """The families of symmetries that depend on arbitrary functions, as formulas."""
        names = self.result.coordinates.names
        shown = []
        for family in self.result.families:
            words = re.findall(r"[^\W\d]\w*", " ".join(family.closed_form.values()))
            derivatives = [w for w in words if w.partition("_")[0] in family.functions]
            symbols = {n: sympy.Symbol(n, real=True) for n in [*names, *family.functions, *derivatives]}
            field = [expressions.parse(family.closed_form.get(f"d{n}", "0"), symbols) for n in names]
            shown.append(
                {
                    "field": notation.generator(field, names),
                    "quantified": family.quantified,
                    "superposed": bool(family.conditions)
                    and all(
                        f == "0"
                        for key, f in family.closed_form.items()
                        if key[1:] in self.result.equation.space.independent
                    ),
                }
            )
        return shown

    def nearly(self) -> dict[str, Any] | None:
        """Approximate symmetries in words, if they were looked for."""
        search, coordinates = self.result.approximation, self.result.coordinates
        if search is None:
            return None
        symbols = {n: sympy.Symbol(n, real=True) for n in coordinates.names}
        rows = []
        for near in self.result.approximate:
            field = [expressions.parse(near.closed_form.get(f"d{n}", "0"), symbols) for n in coordinates.names]
            rows.append(
                {
                    "formula": notation.generator(field, coordinates.names),
                    "defect": near.defect,
                    "interval": near.interval,
                    "kind": nearby.kind(near),
                    "reach": nearby.reached(near, search.delta),
                    "places": ", ".join(nearby.places(near, coordinates)),
                }
            )
        lead = nearby.sentences(search, self.result.approximate, coordinates)[0].rstrip(":")
        return {"lead": f"{lead[0].upper()}{lead[1:]}.", "rows": rows}

    def named(self) -> list[tuple[str, Markup]]:
        """Generators that are proven for any value of the parameters, with these by name."""
        names = self.result.coordinates.names
        symbols = {n: sympy.Symbol(n, real=True) for n in [*names, *self.result.equation.parameters]}
        return [
            (
                str(k + 1),
                notation.generator([expressions.parse(g.named.get(f"d{n}", "0"), symbols) for n in names], names),
            )
            for k, g in enumerate(self.result.generators)
            if g.named != g.closed_form
        ]

    def left(self) -> list[Markup]:
        """What the determining condition leaves of ``u^2 d/du``, the field in every control."""
        form = dict.fromkeys((f"d{n}" for n in self.result.coordinates.names), sympy.Integer(0))
        u = self.result.equation.space.dependent[0]
        form[f"d{u}"] = sympy.Symbol(u, real=True) ** 2
        equations = determining_equations(self.result.equation, form)
        return [notation.formula(e) for e in equations if sympy.simplify(e) != 0][:4]

    def brackets(self) -> list[list[Markup]] | None:
        """The table of ``[V_i, V_j]``."""
        constants = self.result.structure_constants
        if constants is None:
            return None
        names = [sympy.Symbol(f"V_{k + 1}") for k in range(len(constants))]
        return [
            [notation.formula(*notation.combination([_exact(c) for c in row], names)) for row in rows]
            for rows in constants
        ]

    # ------------------------------------------------------------------ figures

    @cached_property
    def arrays(self) -> Evidence:
        """The arrays of `pde.discovery.collect`; empty when there are none or they belong to another result."""
        arrays = {name: value.numpy() for name, value in self._collected().items()}
        return arrays if planes.fitting(arrays, self.result) else {}

    @cached_property
    def planes(self) -> list[planes.Plane | None]:
        """Where each generator is shown."""
        return planes.planes(self.arrays, self.result)

    def _collected(self) -> dict[str, Tensor]:
        """What the run holds; of an equation alone it follows from the result."""
        return collect(None, self.result) if not self.result.samples else self.evidence()

    def spectra(self) -> Picture:
        s = self.result.nullspace
        panels = [("search over formulas (null space)", s.values, s.rank, s.resolution)]
        if self.result.neural is not None:
            n = self.result.neural.spectrum
            panels.append(("learned by the network", n.values, n.rank, n.resolution))
        counts = " and ".join(str(rank) for _, _, rank, _ in panels)
        alt = f"Relative violations on a logarithmic axis; {counts} of them lie below the gap."
        return self.picture("gap", figures.spectra(panels), alt)

    def angle_sets(self) -> dict[str, list[float]]:
        """Principal angles by what is compared."""
        neural = self.result.neural
        sets = {
            "formulas against the known algebra": self.result.truth or [],
            "network against the known algebra": neural.principal_angles if neural else [],
            "network against the formulas": neural.agreement if neural else [],
        }
        return {name: values for name, values in sets.items() if values}

    def angles(self) -> Picture | None:
        sets = self.angle_sets()
        if not sets:
            return None
        alt = "Principal angles on a logarithmic axis. " + " ".join(
            f"{name}: at most {notation.number(max(values))} radians." for name, values in sets.items()
        )
        return self.picture("angles", figures.angles(sets), alt)

    def learning(self) -> Picture | None:
        records = [r for r in read_metrics(self.run) if r.get("stage") == STAGE]
        names = (
            [f"violation{k + 1}" for k in range(sum(str(key).startswith("violation") for key in records[0]))]
            if records
            else []
        )
        rows = [[r.get(n) for n in ("step", *names)] for r in records]
        rows = [row for row in rows if all(isinstance(value, int | float) for value in row)]
        if not names or not rows:
            return None
        table = np.array(rows[:: max(1, len(rows) // MOST_STEPS)], dtype=float)
        if not np.isfinite(table).all():
            return None
        rank = self.result.neural.spectrum.rank if self.result.neural is not None else 0
        figure = figures.learning([int(s) for s in table[:, 0]], table[:, 1:], rank)
        alt = f"Relative violations of {len(names)} learned vector fields over the steps of learning."
        return self.picture("learning", figure, alt)

    def section(self, k: int, components: Sequence[sympy.Expr]) -> Section:
        g = self.result.generators[k]
        names = self.result.coordinates.names
        meaning = self.meaning(components)
        name = f"V{k + 1}"
        title = (
            notation.plain(components, names) if len(g.formula) <= LONGEST_TITLE else f"V{notation.subscript(k + 1)}"
        )
        space = self.result.equation.space
        p = len(space.independent)
        characteristics = [
            notation.formula(
                *notation.combination(
                    [phi, *(-xi for xi in components[:p])],
                    [sympy.Integer(1), *(sympy.Symbol(f"{u}_{i}") for i in space.independent)],
                )
            )
            for u, phi in zip(space.dependent, components[p:], strict=True)
        ]
        flow = []
        if meaning is not None and meaning.flow is not None:
            symbols = [sympy.Symbol(name, real=True) for name in names]
            flow = [notation.assignment(s, end) for s, end in zip(symbols, meaning.flow, strict=True) if s != end]
        return Section(
            name=name,
            generator=g,
            formula=self.formula(self.result.generators[k], components),
            meaning=meaning,
            flow=flow,
            pictures=self.pictures(k, name, title),
            not_shown=self.not_shown(k),
            characteristic=Markup(", ").join(characteristics),
            multiplier=self.multiplier(g),
        )

    def formula(self, g: Generator, components: Sequence[sympy.Expr]) -> Markup:
        """A generator, with complex unknowns as they are written."""
        if g.in_complex is None:
            return notation.generator(components, self.result.coordinates.names)
        written = complex_form(self.result.equation.names, g.in_complex)
        return notation.generator(list(written.values()), [key[1:] for key in written])

    def multiplier(self, g: Generator) -> Markup | None:
        """lambda in ``pr V(F) = lambda F``."""
        if g.multiplier is None:
            return None
        space = self.result.equation.space
        names = {s.name: s for F in self.result.equation.residuals for s in F.free_symbols} | {
            s.name: s for s in space.variables
        }
        names |= {s.name: s for a in range(len(space.dependent)) for m in space.units for s in [space.symbol(a, m)]}
        try:
            return notation.formula(expressions.parse(g.multiplier, names))
        except UserError:
            return None

    def pictures(self, k: int, name: str, title: str) -> dict[str, Shown]:
        plane, g = self.planes[k], self.result.generators[k]
        if plane is None:
            return {}
        drawn = {
            "flow": plane.flow(title, g.formula),
            "residual": plane.residual(title, g.formula, g.score, g.control),
            "field": plane.field(title, g.formula),
        }
        return {
            kind: Shown(self.picture(f"{name}-{kind}", d.figure, d.alt), d.caption)
            for kind, d in drawn.items()
            if d is not None
        }

    def not_shown(self, k: int) -> str:
        """Why a generator has fewer pictures than others; empty where it does not."""
        plane = self.planes[k]
        if self.arrays and plane is None:
            return "This run was made by a version that kept no picture in which this one moves anything."
        if plane is not None and plane.leaves:
            axes, hidden = notation.listing(plane.names[:2]), notation.listing(list(plane.hidden))
            return f"It takes points of a plane of {axes} to different {hidden}, so no moved trajectory is shown."
        return ""


def _exact(value: float) -> sympy.Rational:
    return sympy.Rational(value).limit_denominator(1_000)


PAGE = EquationPage
