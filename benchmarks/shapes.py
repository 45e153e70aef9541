"""Discovery from data of every shape at default settings: number, proofs, words, seconds.

Each kind of data (`_shapes.py`) is made by the package's solvers or from a closed form, and nothing is set by hand. The
number that is due is the literature's, of generators that keep the periods and the walls of the data, beside families
that depend on arbitrary functions. Members of these are not counted: translations of shallow water are some. Seconds
are those of the clock and, in brackets, of all processors, which other work on the machine does not lengthen as much.

Kinds of data take their places in the file of results one by one: what other runs found of other kinds stays there.

    python benchmarks/shapes.py [--only NAME ...] [--samples N] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from _common import RESULTS, print_table, write_results
from _shapes import SHAPES, Shape

from symflow import pde

HEADS = ("data", "found", "due", "families", "proved", "data say", "network", "made s", "discovered s")


def processors() -> float:
    """Seconds of processor of this process and of those it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def measured(name: str, shape: Shape, samples: int, seed: int) -> dict[str, Any]:
    """One discovery."""
    (begin, begin_cpu), data = (time.perf_counter(), processors()), shape.make(samples, seed)
    (made, made_cpu), result = (time.perf_counter(), processors()), pde.discover(data)
    done, done_cpu = time.perf_counter(), processors()
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
        "processor": {"made": made_cpu - begin_cpu, "discovered": done_cpu - made_cpu},
    }


def row(r: dict[str, Any]) -> tuple[object, ...]:
    network = "none" if r["network"] is None else " ".join(map(str, r["network"]))
    taken = (f"{r['seconds'][part]:.1f} ({r['processor'][part]:.1f})" for part in ("made", "discovered"))
    families = f"{r['families']} of {r['families_due']}"
    counts = (r["found"], r["due"], families, r["proved"])
    return (r["data"], *counts, r["word"], network, *taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "shapes.json")
    options = parser.parse_args()
    found: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    for name in options.only:
        found[name] = measured(name, SHAPES[name], options.samples, options.seed)
        found[name] |= {"samples": options.samples, "seed": options.seed}
        print(*row(found[name]), flush=True)
        write_results("shapes", {n: found[n] for n in SHAPES if n in found}, options.out)
    print_table(HEADS, [row(found[n]) for n in SHAPES if n in found])


if __name__ == "__main__":
    main()
