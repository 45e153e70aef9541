"""Time to discovery, and what is found: the command line on every equation, domain and seed.

Every run is ``symflow generate NAME --samples 64 --seed S`` followed by ``symflow discover FILE --domain D --seed S``
with default settings, in processes of their own, so that seconds include imports, figures and the page.
"""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _common import options, print_table, print_targets, replace_table, write_results

from symflow import pde

EQUATIONS = ("kdv", "ks", "burgers", "nkdv", "ckdv")
DIMENSIONS = {"plane": (4, 3, 5, 4, 4), "periodic": (3, 3, 3, 3, 2)}
SECONDS, MEGABYTES = 10.0, 1000.0  # the most that a discovery from data may take
HEADER = (
    "equation",
    "domain",
    "seed",
    "rank",
    "expected",
    "data",
    "verified",
    "angle",
    "rank of network",
    "angle of network",
    "peak MB",
    "s",
)


def symflow(folder: str, *arguments: str) -> tuple[float, float]:
    """Runs the command line in a folder, so that results name no path; wall seconds and peak resident megabytes."""
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "symflow", *arguments], stdout=subprocess.DEVNULL, cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"symflow {' '.join(arguments)} failed")
    return time.perf_counter() - begun, usage.ru_maxrss / 1024


def main() -> None:
    parser = options(__doc__, "KdV and cKdV, one seed, 8 trajectories")
    parser.add_argument("--table", type=Path, help="a page between whose marks the table is put")
    arguments = parser.parse_args()
    names = ("kdv", "ckdv") if arguments.quick else EQUATIONS
    seeds = range(1) if arguments.quick else range(3)
    samples = 8 if arguments.quick else 64

    rows, results = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            for seed in seeds:
                file = f"{name}{seed}.h5"
                making, _ = symflow(
                    folder, "generate", name, "--samples", str(samples), "--seed", str(seed), "--out", file
                )
                for domain, dimensions in DIMENSIONS.items():
                    out = f"{name}{seed}{domain}"
                    seconds, peak = symflow(
                        folder, "discover", file, "--out", out, "--domain", domain, "--seed", str(seed)
                    )
                    result = pde.load_result(Path(folder, out))
                    expected = dimensions[EQUATIONS.index(name)]
                    generators, neural = result.generators, result.neural
                    angle = max(result.truth, default=math.nan)
                    told = neural is not None and neural.word != "cannot be told"
                    verified = sum(g.verified and g.at_floor for g in generators)
                    rows.append(
                        (
                            name,
                            domain,
                            seed,
                            result.rank,
                            expected,
                            result.verdicts.data.word,
                            f"{verified} of {len(generators)}",
                            f"{angle:.0e}",
                            neural.spectrum.rank if told else "cannot be told",
                            f"{max(neural.principal_angles, default=math.nan):.0e}" if told else "",
                            f"{peak:.0f}",
                            f"{seconds:.1f}",
                        )
                    )
                    results.append(
                        {
                            "equation": name,
                            "domain": domain,
                            "seed": seed,
                            "expected": expected,
                            "result": result.to_dict(),
                            "generate_seconds": making,
                            "seconds": seconds,
                            "peak_mb": peak,
                        }
                    )
                    print(*rows[-1], sep="  ", file=sys.stderr, flush=True)
    print_table(HEADER, rows)
    per_case: dict[tuple[str, str], list[float]] = {}
    for r in results:
        per_case.setdefault((r["equation"], r["domain"]), []).append(r["seconds"])
    wanted = [
        (f"{name}, {domain}: s from data to page", statistics.median(s), SECONDS)
        for (name, domain), s in per_case.items()
    ]
    wanted.append(("peak MB of a discovery from data", max(r["peak_mb"] for r in results), MEGABYTES))
    content = {"samples": samples, "runs": results, "targets": print_targets((), wanted)}
    write_results("discovery", content, arguments.out)
    if arguments.table is not None:
        replace_table(arguments.table, "discovery", HEADER, rows)


if __name__ == "__main__":
    main()
