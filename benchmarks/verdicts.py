"""How often the gate is wrong: data of every kind, with right and with wrong labels, and trajectories that are ruined.

A verdict is wrong when right data are refuted, or accused of trajectories unlike the others, and when data with a wrong
label solve it, unless every coefficient that is wrong is named as not tested. All draws follow from the seed.

    python benchmarks/verdicts.py [--quick] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import sympy
import torch
from _common import RESULTS, print_table, write_results
from torch import Tensor

from symflow import pde
from symflow.errors import UserError
from symflow.pde import Equation, Trajectories
from symflow.pde.gate import gate
from symflow.pde.laws.claims import Law
from symflow.pde.weak.samples import Samples

SETTINGS: dict[str, dict[str, Any]] = {
    "kdv": {"resolution": 128, "steps": 120, "keep": 80, "end": 60.0},
    "ks": {"resolution": 128, "steps": 200, "keep": 80, "end": 60.0},
    "burgers": {"resolution": 256, "steps": 100, "keep": 80, "end": 9.0},
    "nkdv": {"resolution": 128, "steps": 120, "keep": 80, "end": 60.0},
    "ckdv": {"resolution": 128, "steps": 120, "keep": 80, "end": 60.0},
}
NOISES = (0.0, 1e-3, 1e-2)
RUINS = ("white noise", "more noise", "scaled", "shuffled", "shifted", "bad row", "fill values", "another equation")


@dataclass(frozen=True)
class Case:
    """Data with a label; which terms are wrong: none where it is right, ``None`` where no term is to blame."""

    kind: str
    data: Trajectories
    right: bool
    noise: float = 0.0
    wrong: tuple[str, ...] | None = None


@cache
def made(name: str, seed: int, samples: int = 8) -> Trajectories:
    return pde.generate(name, samples, seed, **SETTINGS[name])


def noisy(data: Trajectories, level: float, random: torch.Generator) -> Trajectories:
    white = torch.randn(data.u.shape, dtype=torch.float64, generator=random)
    return replace(data, u=data.u + level * data.u.std() * white)


def labelled(data: Trajectories, equation: Equation) -> Trajectories:
    return replace(data, equation=equation, name=None)


def changed(data: Trajectories, term: sympy.Expr, by: float) -> Trajectories:
    """The label with a multiple of a term added."""
    return labelled(data, Equation(f"{data.equation.residuals[0]} + ({sympy.Rational(repr(by))})*({term}) = 0"))


def same(data: Trajectories, m: sympy.Expr) -> tuple[str, ...]:
    """A term as the label of the data writes it."""
    return tuple(str(k) for k in law_of(data).terms if sympy.simplify(k / m).is_number)


def law_of(data: Trajectories) -> Law:
    return Law.of(data.equation.residuals[0], Samples.of(data).space)


def variants(kind: str, data: Trajectories, levels: tuple[float, ...], random: torch.Generator) -> Iterator[Case]:
    """The right label, each coefficient 2 % off, and each term left out."""
    law = law_of(data)
    for level in levels:
        yield Case(f"{kind}right", noisy(data, level, random), True, level)
        for m, c in zip(law.terms, law.claimed, strict=True):
            sign = 1 if torch.rand(1, generator=random) < 0.5 else -1
            off = changed(data, m, 0.02 * sign * c)
            yield Case(f"{kind}2 % off", noisy(off, level, random), False, level, same(off, m))
            if len(law.terms) > 1:
                without = changed(data, m, -c)
                yield Case(f"{kind}term missing", noisy(without, level, random), False, level, (str(m),))


def catalogue_cases(seeds: Sequence[int], random: torch.Generator) -> Iterator[Case]:
    for seed in seeds:
        for name in SETTINGS:
            data = made(name, seed)
            yield from variants("", data, NOISES, random)
            yield Case("right", noisy(data, 0.05, random), True, 0.05)
            for other in SETTINGS:
                if other != name:
                    level = NOISES[int(torch.randint(3, (1,), generator=random))]
                    label = pde.CATALOGUE[other].equation
                    yield Case("wrong pairing", noisy(labelled(data, label), level, random), False, level)
            for level in NOISES:
                yield Case("u scaled by 1.02", noisy(replace(data, u=1.02 * data.u), level, random), False, level)
            yield from shapes(data, seed == seeds[0], random)


def shapes(data: Trajectories, slow: bool, random: torch.Generator) -> Iterator[Case]:
    law = law_of(data)
    m, c = law.terms[-1], law.claimed[-1]
    off = changed(data, m, 0.1 * c)
    wrong = same(off, m)
    for right, d in ((True, data), (False, off)):
        about = {"right": right, "wrong": None if right else wrong}
        yield Case("half resolution", replace(d, x=d.x[::2], u=d.u[..., ::2]), **about)
        yield Case("every 2nd row", replace(d, t=d.t[::2], u=d.u[:, ::2]), **about)
        yield Case("every 4th row", replace(d, t=d.t[::4], u=d.u[:, ::4]), **about)
        yield Case("one trajectory", d[int(torch.randint(len(d), (1,), generator=random))], **about)
        if slow:
            few = d[:3]
            yield Case("every 20th row", replace(few, t=few.t[::20], u=few.u[:, ::20]), **about)
            yield Case("two stored times", replace(few, t=few.t[[9, 10]], u=few.u[:, [9, 10]]), **about)
    yield Case("float32", replace(data, u=data.u.float().double()), True)
    for axis in ("x", "t"):
        n = len(getattr(data, axis))
        s = [n / (n + 1), n / (n - 1)][int(torch.randint(2, (1,), generator=random))]
        yield Case("wrong spacing", replace(data, **{axis: getattr(data, axis) * s}), False)
    k = int(torch.randint(1, 5, (1,), generator=random))
    waves = torch.sin(2 * math.pi * k * data.x / data.length - data.t[:, None]).expand(len(data), -1, -1)
    yield Case("sine waves", replace(data, u=waves), False)
    yield Case("constants", replace(data, u=torch.full_like(data.u, float(k))), False)
    white = torch.randn(data.u.shape, dtype=torch.float64, generator=random)
    yield Case("white noise", replace(data, u=white), False)


def solitons(count: int, random: torch.Generator) -> Iterator[Case]:
    """``3 c sech^2(sqrt(c) (x - c t)/2)`` of KdV, alone on a period."""
    x = torch.arange(256, dtype=torch.float64) * (60.0 / 256)
    t = torch.linspace(0, 8, 80, dtype=torch.float64)
    for _ in range(count):
        c = float(torch.rand(1, generator=random)) + 1.0
        away = (x - 10 - c * t[:, None] + 30) % 60 - 30
        u = 3 * c / torch.cosh(math.sqrt(c) * away / 2) ** 2
        data = Trajectories(pde.CATALOGUE["kdv"].equation, x, t, u[None])
        for level in NOISES:
            yield Case("travelling wave", noisy(data, level, random), True, level)
        for label in ("u_t + 1.02*u*u_x + u_xxx = 0", "u_t + u*u_x + 0.98*u_xxx = 0", "u_t + u*u_x = u_xx/100"):
            yield Case("travelling wave", labelled(data, Equation(label)), False)


def drawn_equation(random: torch.Generator) -> Trajectories:
    """Data of an evolution equation with random terms and coefficients that can be solved."""
    while True:
        number = lambda low, high: round(low + (high - low) * float(torch.rand(1, generator=random)), 3)  # noqa: E731
        chance = lambda p: float(torch.rand(1, generator=random)) < p  # noqa: E731
        terms = [f"{number(0.3, 3)}*u*u_x"] if chance(0.7) else [f"{number(0.3, 2)}*u**2*u_x"]
        terms += [f"{number(-1, 1)}*u_xxx"] if chance(0.6) else []
        terms += [f"-{number(0.02, 0.5)}*u_xx"] if chance(0.6) else []
        terms += [f"{number(0.02, 0.5)}*u_xxxx"] if chance(0.4) else []
        terms += [f"{number(-0.1, 0.1)}*u"] if chance(0.3) else []
        terms += [f"{number(-1, 1)}*u_x"] if chance(0.3) else []
        if len(terms) < 2:
            continue
        text = "u_t + " + " + ".join(terms) + " = 0"
        settings = {"length": number(10, 60), "end": number(5, 30), "steps": 80, "keep": 70, "resolution": 128}
        seed = int(torch.randint(1000, (1,), generator=random))
        try:
            data = pde.generate(text, 8, seed, **settings)
        except UserError:
            continue
        if float(data.tail().max()) < 1e-3 and float(data.u.std()) > 1e-3:
            return data


def drawn_cases(count: int, random: torch.Generator) -> Iterator[Case]:
    for _ in range(count):
        data = drawn_equation(random)
        level = NOISES[int(torch.randint(3, (1,), generator=random))]
        yield from variants("drawn equation, ", data, (level,), random)
        yield Case(
            "drawn equation, u scaled by 1.02", noisy(replace(data, u=1.02 * data.u), level, random), False, level
        )


def judged(case: Case) -> dict[str, Any]:
    found = gate(case.data)
    if case.right:
        bad = found.verdict in ("refuted", "outliers")
    else:
        excused = case.wrong is not None and set(case.wrong) <= set(found.not_tested)
        bad = found.verdict in ("solves", "outliers") and not excused
    return {
        "kind": case.kind,
        "noise": case.noise,
        "right": case.right,
        "verdict": found.verdict,
        "bad": bad,
        "tested": not found.not_tested,
        "label": case.data.equation.text,
        "sentence": found.sentence,
    }


# ---------------------------------------------------------------- ruined trajectories


@cache
def foreign(name: str, seed: int) -> Tensor:
    """Trajectories of the same equation but for a coefficient, on the same grid."""
    data = made(name, seed)
    law = law_of(data)
    other = changed(data, law.terms[0], 0.5 * law.claimed[0])
    keys = ("length", "waves", "wavenumbers")
    known = {k: v for k, v in pde.CATALOGUE[name].settings.items() if k in keys}
    return pde.generate(other.equation, 8, seed + 50, **known, **SETTINGS[name]).u


def ruined(data: Trajectories, name: str, seed: int, level: float, random: torch.Generator) -> tuple[Tensor, dict]:
    """1 to 3 of 8 trajectories ruined, each in a way of its own."""
    u = data.u.clone()
    S, T, X = u.shape
    whole = lambda low, high: int(torch.randint(low, high, (1,), generator=random))  # noqa: E731
    ways = {}
    for s in torch.randperm(S, generator=random)[: whole(1, 4)].tolist():
        way = ways[s] = RUINS[whole(0, len(RUINS))]
        std = float(u[s].std())
        if way == "white noise":
            u[s] = std * torch.randn(T, X, dtype=torch.float64, generator=random)
        elif way == "more noise":
            loud = max(0.02, 10 * level) * float(data.u.std())
            u[s] += loud * torch.randn(T, X, dtype=torch.float64, generator=random)
        elif way == "scaled":
            u[s] *= [0.5, 0.7, 1.5, 2.0][whole(0, 4)]
        elif way == "shuffled":
            u[s] = u[s, torch.randperm(T, generator=random)]
        elif way == "shifted":
            u[s, T // 2 :] = torch.roll(u[s, T // 2 :], whole(X // 16, X // 3), -1)
        elif way == "bad row":
            i = whole(T // 4, 3 * T // 4)
            u[s, i] = torch.roll(u[s, i], whole(X // 16, X // 3), -1)
        elif way == "fill values":
            i, j = whole(T // 4, 3 * T // 4), whole(0, X - 8)
            u[s, i : i + 3, j : j + 8] = -999.0
        else:
            u[s] = foreign(name, seed)[s]
    return u, ways


def accusations(draws: int, seeds: Sequence[int], random: torch.Generator) -> dict[str, Any]:
    named, exact, false, missed = Counter(), 0, 0, []
    total = Counter()
    names = list(SETTINGS)
    for n in range(draws):
        name, seed, level = names[n % len(names)], seeds[n % len(seeds)], NOISES[n % len(NOISES)]
        data = noisy(made(name, seed), level, random)
        false += bool(gate(data).outliers)
        u, ways = ruined(data, name, seed, level, random)
        found = {t.trajectory for t in gate(replace(data, u=u)).outliers}
        exact += found == set(ways)
        for s, way in ways.items():
            total[way] += 1
            named[way] += s in found
            if s not in found:
                missed.append(f"{name}, noise {level:g}: {way}")
        missed += [f"{name}, noise {level:g}: falsely" for _ in found - set(ways)]
    return {
        "draws": draws,
        "all_named_and_no_other": exact,
        "clean_draws_with_an_accusation": false,
        "named": {way: f"{named[way]} of {total[way]}" for way in RUINS if total[way]},
        "missed": missed,
    }


# ---------------------------------------------------------------- parts and totals


def counted(cases: Iterator[Case]) -> dict[str, Any]:
    """The verdicts on cases: a table by kind, the wrong ones, and how many right data solve at each noise."""
    results = []
    for case in cases:
        results.append(judged(case))
        if results[-1]["bad"]:
            print({k: results[-1][k] for k in ("kind", "noise", "label", "sentence")}, flush=True)
    groups = defaultdict(list)
    for r in results:
        groups[r["kind"], r["right"]].append(r)
    rows = []
    for (kind, right), those in groups.items():
        words = Counter(r["verdict"] for r in those)
        rows.append(
            (kind, "right" if right else "wrong", len(those), *(words[w] for w in WORDS), sum(r["bad"] for r in those))
        )
    print_table(HEADS, rows)
    rates = {}
    for level in (*NOISES, 0.05):
        those = [
            r for r in results if r["right"] and r["noise"] == level and r["kind"] in ("right", "drawn equation, right")
        ]
        rates[f"{level:g}"] = {
            "cases": len(those),
            "solve": sum(r["verdict"] == "solves" for r in those),
            "every_coefficient_tested": sum(r["verdict"] == "solves" and r["tested"] for r in those),
        }
    return {
        "cases": len(results),
        "wrong_verdicts": sum(r["bad"] for r in results),
        "wrong": [{k: r[k] for k in ("kind", "noise", "label", "sentence")} for r in results if r["bad"]],
        "right_data_solve": rates,
        "table": [dict(zip(HEADS, row, strict=True)) for row in rows],
    }


def part(name: str, seed: int, quick: bool) -> dict[str, Any]:
    """One part of the benchmark, from draws of its own."""
    random = torch.Generator().manual_seed(len(PARTS) * seed + PARTS.index(name))
    data = range(2 * seed, 2 * seed + (1 if quick else 2))
    if name == "catalogue":
        return counted(catalogue_cases(data, random))
    if name == "waves":
        return counted(solitons(1 if quick else 3, random))
    if name == "drawn":
        return counted(drawn_cases(2 if quick else 15, random))
    return accusations(10 if quick else 100, data, random)


def totals(parts: dict[str, Any]) -> dict[str, Any]:
    """Of the parts of one seed that judge files."""
    those = [p for p in parts.values() if "cases" in p]
    rates: dict[str, Counter] = defaultdict(Counter)
    for p in those:
        for level, counts in p["right_data_solve"].items():
            rates[level].update(counts)
    return {
        "cases": sum(p["cases"] for p in those),
        "wrong_verdicts": sum(p["wrong_verdicts"] for p in those),
        "right_data_solve": {level: dict(counts) for level, counts in rates.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="data of one seed, few draws")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    path = options.out or RESULTS / "verdicts.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    content = {key: found for key, found in before.items() if key.startswith("seed ")}
    for seed in options.seeds:
        found = content.setdefault(f"seed {seed}", {})
        for name in options.parts:
            found[name] = part(name, seed, options.quick)
            found["totals"] = totals({k: found[k] for k in PARTS if k in found})
            write_results("verdicts", content, options.out)
        print(f"seed {seed}", found["totals"], found.get("ruined"))


PARTS = ("catalogue", "waves", "drawn", "ruined")
WORDS = ("solves", "refuted", "cannot be told", "outliers")
HEADS = ("data", "label", "cases", *WORDS, "wrong verdicts")

if __name__ == "__main__":
    main()
