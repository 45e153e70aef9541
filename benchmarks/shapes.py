"""Discovery from data of every shape at default settings: number, proofs, words, seconds.

Each kind of data (`_shapes.py`) is made by the package's solvers or from a closed form, and nothing is set by hand. The
number that is due is the literature's, of generators that keep the periods and the walls of the data, beside families
that depend on arbitrary functions. Members of these are not counted: translations of shallow water are some.

    python benchmarks/shapes.py [--only NAME ...] [--samples N] [--out FILE]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from _common import print_table, write_results
from _shapes import SHAPES, Shape

from symflow import pde

HEADS = ("data", "found", "due", "families", "proved", "data say", "network", "made s", "discovered s")


def measured(name: str, shape: Shape, samples: int, seed: int) -> dict[str, Any]:
    """One discovery."""
    begin = time.perf_counter()
    data = shape.make(samples, seed)
    made = time.perf_counter()
    result = pde.discover(data)
    done = time.perf_counter()
    said, neural = result.verdicts.data, result.neural
    return {
        "data": name,
        "found": result.rank,
        "due": shape.due,
        "families": len(result.families),
        "families_due": shape.families,
        "proved": sum(g.verified for g in result.generators),
        "valid": sum(g.valid for g in result.generators),
        "word": None if said is None else said.word,
        "network": None if neural is None else [neural.word, neural.spectrum.rank],
        "generators": [g.formula for g in result.generators],
        "seconds": {"made": made - begin, "discovered": done - made, **result.seconds},
    }


def row(r: dict[str, Any]) -> tuple[object, ...]:
    network = "none" if r["network"] is None else " ".join(map(str, r["network"]))
    seconds = r["seconds"]
    families = f"{r['families']} of {r['families_due']}"
    counts = (r["found"], r["due"], families, r["proved"])
    return (r["data"], *counts, r["word"], network, f"{seconds['made']:.1f}", f"{seconds['discovered']:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = []
    for name in options.only:
        found.append(measured(name, SHAPES[name], options.samples, options.seed))
        print(*row(found[-1]), flush=True)
        write_results("shapes", {"samples": options.samples, "seed": options.seed, "data": found}, options.out)
    print_table(HEADS, [row(r) for r in found])


if __name__ == "__main__":
    main()
