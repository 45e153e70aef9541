"""Which equation is found in data of any shape that come without one, with and without noise.

For each kind of data (`_shapes.py`, eight trajectories), draw and level of noise (relative to the spread of each
unknown), an equation is fitted to the first half of the trajectories, as `pde.load_identified` does. *Right*: the terms
are those of the equation that the data solve, each with a coefficient in its interval; *nothing*: a sentence; *wrong*:
anything else. Beside it what the gate says of the held-out half.

    python benchmarks/identification.py [--draws N] [--only NAME ...] [--out FILE]

Kinds of data take their places in the file of results one by one: what other runs found of other kinds stays there.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import sympy
import torch
from _common import RESULTS, print_table, write_results
from _shapes import SHAPES

from symflow.errors import UserError
from symflow.pde import Trajectories
from symflow.pde.gate import gate
from symflow.pde.laws.held_out import split
from symflow.pde.laws.identify import fitted_laws, written
from symflow.pde.weak import Samples

NOISES = (0.0, 1e-3, 1e-2)
HEADS = ("data", *(f"noise {level:g}" for level in NOISES), "held-out half", "largest deviation", "seconds")


def noisy(data: Trajectories, level: float, random: torch.Generator) -> Trajectories:
    white = torch.randn(data.values.shape, dtype=torch.float64, generator=random)
    size = data.values.flatten(0, -2).std(0)
    return replace(data, u=(data.values + level * size * white).reshape(data.u.shape))


def compared(data: Trajectories) -> dict[str, Any]:
    """What is found in the first half, beside the equation that the data solve."""
    begin = time.perf_counter()
    fitted, held = split(data)
    try:
        laws = fitted_laws(fitted)
        equation = written(laws, Samples.of(fitted).space)
    except UserError as error:
        return {"word": "nothing", "said": str(error), "seconds": time.perf_counter() - begin}
    seconds = time.perf_counter() - begin
    deviation, inside, same = 0.0, True, True
    true = [sympy.expand(F) for F in data.equation.residuals]
    for leading, fit in laws:
        own = next((F for F in true if F.coeff(leading) != 0 and F.coeff(leading).is_number), sympy.S.Zero)
        rest = sympy.expand(own / (own.coeff(leading) or 1) - leading)
        due = {sympy.simplify(m): float(c) for m, c in rest.as_coefficients_dict().items() if m != 0}
        found = {
            sympy.nsimplify(sympy.simplify(m)): tuple(float(v[j]) for v in (fit.theta, fit.lower, fit.upper))
            for j, m in enumerate(fit.terms)
        }
        if {*due} != {*found}:
            same = False
            continue
        inside &= all(low - 1e-9 <= due[m] <= high + 1e-9 for m, (_, low, high) in found.items())
        deviation = max(deviation, *(abs(value / due[m] - 1) for m, (value, _, _) in found.items()))
    word = "right" if same and inside else "right terms" if same else "wrong"
    judged = gate(replace(held, equation=equation, name=None), prediction=False)
    return {
        "word": word,
        "said": equation.text,
        "held_out": judged.verdict,
        "deviation": deviation,
        "seconds": seconds,
    }


def row(name: str, found: dict[str, Any]) -> tuple[object, ...]:
    cells = [found["cases"][f"{level:g}"] for level in NOISES]
    words = [", ".join(f"{n} {w}" for w, n in sorted(Counter(c["word"] for c in cell).items())) for cell in cells]
    held = Counter(c["held_out"] for cell in cells for c in cell if "held_out" in c)
    apart = [max((c.get("deviation", 0.0) for c in cell), default=0.0) for cell in cells]
    seconds = max(c["seconds"] for cell in cells for c in cell)
    verdicts = ", ".join(f"{n} {w}" for w, n in sorted(held.items()))
    return (name, *words, verdicts, ", ".join(f"{d:.0e}" for d in apart), f"{seconds:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "identification.json")
    options = parser.parse_args()
    content: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    content.pop("machine", None)
    for name in options.only:
        random = torch.Generator().manual_seed(options.seed)
        cases: dict[str, list[dict[str, Any]]] = {f"{level:g}": [] for level in NOISES}
        for n in range(options.draws):
            data = SHAPES[name].make(8, options.seed + n)
            for level in NOISES:
                cases[f"{level:g}"].append(compared(noisy(data, level, random)))
                print(name, n, level, cases[f"{level:g}"][-1], flush=True)
        content[name] = {"equation": SHAPES[name].text, "draws": options.draws, "seed": options.seed, "cases": cases}
        write_results("identification", {k: content[k] for k in SHAPES if k in content}, options.out)
    print_table(HEADS, [row(n, content[n]) for n in SHAPES if n in content])


if __name__ == "__main__":
    main()
