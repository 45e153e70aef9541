"""How often the gate is wrong on data of any shape: systems, boxes, walls, second order in time, orbits.

For each kind of data (`_shapes.py`) and draw: the right label; one coefficient 2 % off; one axis with n/(n + 1) of its
spacing; one term left out; one trajectory of the eight ruined. Noise of 0, .1 and 1 % in turn. A verdict is wrong when
right data are refuted or accused of trajectories unlike the others; when data with a wrong label solve it, unless what
is wrong is named as not tested or not excluded; and when a trajectory is ruined and another is accused, or none is,
unless it is named as one of which nothing can be told, or (scaled) what that changes is named as not tested.

    python benchmarks/verdict_shapes.py [--draws N] [--only NAME ...] [--out FILE]

Kinds of data are judged one after the other, and each takes its place in the file of results when it is done: what
other runs found of other kinds stays there.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sympy
import torch
from _common import RESULTS, print_table, write_results
from _shapes import SHAPES
from torch import Tensor

from symflow.pde import Equation, Trajectories
from symflow.pde.gate import Gate, gate
from symflow.pde.laws.claims import Law
from symflow.pde.trajectories import Axis
from symflow.pde.weak.samples import Samples

NOISES = (0.0, 1e-3, 1e-2)
RUINS = ("white noise", "shuffled", "constant", "scaled", "two rows swapped")
KINDS = ("right", "2 % off", "wrong spacing", "term missing", "one ruined")
DRAWS, IN_BOXES = 20, 6  # boxes take ten times as long
HEADS = ("data", *KINDS, "named", "cannot be told", "wrong")


@dataclass(frozen=True)
class Draw:
    """Data with a label.

    Attributes:
        kind: one of `KINDS`.
        data: with the label.
        wrong: the terms that are wrong, as the gate would name them.
        ruined: the trajectory that is.
        about: what was done, in words.
    """

    kind: str
    data: Trajectories
    wrong: tuple[str, ...] = ()
    ruined: int | None = None
    about: str = ""


def noisy(data: Trajectories, level: float, random: torch.Generator) -> Trajectories:
    white = torch.randn(data.values.shape, dtype=torch.float64, generator=random)
    size = data.values.flatten(0, -2).std(0)
    return replace(data, u=(data.values + level * size * white).reshape(data.u.shape))


def laws_of(data: Trajectories) -> list[Law]:
    residuals = data.equation.residuals
    return [Law.of(F, Samples.of(data, residuals).space) for F in residuals]


def relabelled(data: Trajectories, law: int, term: sympy.Expr, by: float) -> Trajectories:
    """The label with a multiple of a term added to one of its equations."""
    parts = [str(F) for F in data.equation.residuals]
    parts[law] = f"{parts[law]} + ({sympy.Rational(repr(by))})*({term})"
    equation = data.equation
    return replace(
        data,
        equation=Equation("; ".join(f"{p} = 0" for p in parts), equation.space.independent, equation.space.dependent),
        name=None,
    )


def stretched(data: Trajectories, axis: str) -> Trajectories:
    """With ``n/(n + 1)`` of the spacing of an axis."""
    if axis == "t":
        return replace(data, t=data.t * len(data.t) / (len(data.t) + 1))
    axes = []
    for a in data.axes:
        s = len(a) / (len(a) + 1) if a.name == axis else 1.0
        axes.append(Axis(a.name, a.nodes * s, None if a.period is None else a.period * s))
    return replace(data, x=axes[0].nodes, axes=tuple(axes))


def ruined(u: Tensor, way: str, random: torch.Generator) -> Tensor:
    """One trajectory, in one of `RUINS`."""
    T = len(u)
    if way == "white noise":
        return u.std() * torch.randn(u.shape, dtype=torch.float64, generator=random)
    if way == "shuffled":
        return u[torch.randperm(T, generator=random)]
    if way == "constant":
        return torch.ones_like(u)
    if way == "scaled":
        return 1.5 * u
    swapped = u.clone()
    swapped[[T // 2, T // 2 + T // 8]] = u[[T // 2 + T // 8, T // 2]]
    return swapped


def draws(name: str, count: int, seed: int) -> list[Draw]:
    random = torch.Generator().manual_seed(seed)

    def one_of(things: Any) -> Any:
        return things[int(torch.randint(len(things), (1,), generator=random))]

    found = []
    for n in range(count):
        data = SHAPES[name].make(8, seed + n)
        level = NOISES[n % len(NOISES)]
        laws = laws_of(data)
        bare = noisy(data, level, random)
        found.append(Draw("right", bare))
        terms = [(i, m, c) for i, law in enumerate(laws) for m, c in zip(law.terms, law.claimed, strict=True)]
        i, m, c = one_of(terms)
        off = relabelled(bare, i, m, 0.02 * c)
        found.append(Draw("2 % off", off, tuple(_named(off, i, m)), about=str(m)))
        axis = one_of(["t", *(a.name for a in data.axes)])
        found.append(Draw("wrong spacing", stretched(bare, axis), about=axis))
        removable = [(i, m, c) for i, m, c in terms if len(laws[i].terms) > 1]
        if removable:
            i, m, c = one_of(removable)
            found.append(Draw("term missing", relabelled(bare, i, m, -c), (str(m),), about=str(m)))
        linear = all(m.is_Symbol for law in laws for m in law.terms)  # then any multiple is a solution
        way, s = one_of([r for r in RUINS if not (linear and r == "scaled")]), one_of(range(8))
        u = bare.u.clone()
        u[s] = ruined(u[s], way, random)
        # of what scales it has its terms of other degrees with other coefficients, and no other fault
        degrees = tuple(str(m) for law in laws for m in law.terms if not m.is_Symbol) if way == "scaled" else ()
        found.append(Draw("one ruined", replace(bare, u=u), degrees, s, way))
    return found


def _named(data: Trajectories, i: int, m: sympy.Expr) -> list[str]:
    law = laws_of(data)[i]
    return [str(k) for k in law.terms if sympy.simplify(k / m).is_number]


def judged(draw: Draw) -> dict[str, Any]:
    found = gate(draw.data)
    named = {t.trajectory for t in found.outliers}
    open_ = {name.split(" in the equation")[0] for name in found.not_tested}
    if draw.kind == "right":
        bad = found.verdict in ("refuted", "outliers")
    elif draw.ruined is not None:
        untold = {t.trajectory for t in found.trials if t.word == "cannot be told"}
        bad = named != {draw.ruined} and found.verdict != "cannot be told" and draw.ruined not in untold
        bad &= not (draw.wrong and not named and set(draw.wrong) <= open_)
    else:
        excused = set(draw.wrong) <= open_ if draw.wrong else bool(open_)
        if draw.kind == "wrong spacing":
            excused = any("not excluded" in r and f"spacing of {draw.about} " in r for r in found.remarks)
        bad = found.verdict == "solves" and not excused
    return {
        "kind": draw.kind,
        "about": draw.about,
        "verdict": found.verdict,
        "bad": bad,
        "named": found.verdict in ("refuted", "outliers") and _names(found, draw),
        "sentence": found.sentence,
    }


def _names(found: Gate, draw: Draw) -> bool:
    """Whether what is wrong is named, and nothing else."""
    if draw.ruined is not None:
        return {t.trajectory for t in found.outliers} == {draw.ruined}
    if draw.kind == "wrong spacing":
        return f"spacing of {draw.about} were" in found.sentence
    return {c.term for c in (*found.coefficients, *found.missing) if c.refused} == set(draw.wrong)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, help=f"{DRAWS} by default, {IN_BOXES} of data in boxes")
    parser.add_argument("--only", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "verdict_shapes.json")
    options = parser.parse_args()
    content: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    content.pop("machine", None)
    rows = []
    for name in options.only:
        count = options.draws or (IN_BOXES if "y" in SHAPES[name].text else DRAWS)
        found = [judged(d) for d in draws(name, count, options.seed)]
        for f in found:
            print(
                name, "WRONG" if f["bad"] else "", *(f[k] for k in ("kind", "about", "named", "sentence")), flush=True
            )
        words = {kind: Counter(f["verdict"] for f in found if f["kind"] == kind) for kind in KINDS}
        accused = [f for f in found if f["verdict"] in ("refuted", "outliers")]
        content[name] = {
            "draws": count,
            "seed": options.seed,
            "verdicts": {k: dict(w) for k, w in words.items()},
            "wrong": [f for f in found if f["bad"]],
            "accused": len(accused),
            "named": sum(f["named"] for f in accused),
            "cases": len(found),
        }
        rows.append(row(name, content[name]))
        write_results("verdict_shapes", {k: content[k] for k in SHAPES if k in content}, options.out)
    print_table(HEADS, rows)


def row(name: str, found: dict[str, Any]) -> tuple[object, ...]:
    cells = [", ".join(f"{n} {word}" for word, n in sorted(found["verdicts"][k].items())) for k in KINDS]
    untold = sum(of_kind.get("cannot be told", 0) for of_kind in found["verdicts"].values())
    return (name, *cells, f"{found['named']} of {found['accused']}", untold, len(found["wrong"]))


if __name__ == "__main__":
    main()
