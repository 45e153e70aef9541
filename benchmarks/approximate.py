"""Intervals of defects against planted truth: how often they miss, and what is found where nothing is.

    python benchmarks/approximate.py [--quick] [--replicates N] [--out FILE.json]

**Data.** Of ``u_t + u u_x + u_xxx = eps u_xx`` with eps 3e-2, 1e-2, 3e-3 in turn, which claim to be of KdV; and of cKdV
on t in [3.4, 20]. Each replicate draws 8 of 32 trajectories and new noise, relative to the standard deviation of u.

**Intervals.** `pde.approximation` bounds the defects of three fields on each, at the law of the data: a symmetry, a
near-symmetry and a field that is none. The truth is the defect at the true law on the data before the noise. A
replicate is false when one of its three intervals misses: at most alpha = 5 % may be, up to chance; the table has the
count and its 95 % upper bound (Clopper and Pearson), the median interval and truth of the near-symmetry (the eps in the
middle), and how often the data left more open than a search can use.

**Nothing.** Beside the proved algebra of the claimed equation, no field of degree 2 is near on these data: whatever
`approximate` reports at its default tolerance is counted, in the first replicates.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import sympy
import torch
from _common import options, print_table, write_results
from bench_certificates import noisy, upper_bound

from symflow.errors import UserError
from symflow.pde import certify, generate
from symflow.pde.approximation import Measure, approximate
from symflow.pde.approximation.bounds import Bounds
from symflow.pde.approximation.measure import middle
from symflow.pde.equations import CATALOGUE, Equation, t, u, x
from symflow.pde.laws import Region
from symflow.pde.symmetries import symmetries

ALPHA = 0.05
DRAWN, POOL = 8, 32  # trajectories of a replicate, and those they are drawn from
SETTINGS = {"length": 64.0, "end": 20.0, "steps": 60, "keep": 50, "resolution": 160}
SEARCHED = 10  # replicates
LEVELS = (5e-2, 1e-2, 1e-3, 0.0)
EPS = (3e-2, 1e-2, 3e-3)
NO, ONE = sympy.Integer(0), sympy.Integer(1)
BOOST = {"dx": t, "dt": NO, "du": ONE}
SCALING = {"dx": x, "dt": 3 * t, "du": -2 * u}
LATER = {"dx": NO, "dt": ONE, "du": NO}
LOUDER = {"dx": NO, "dt": NO, "du": u}
CASES = {
    "KdV, eps u_xx": (
        "kdv",
        [Equation("u_t + u*u_x + u_xxx = eps*u_xx", eps=e) for e in EPS],
        (BOOST, SCALING, LOUDER),
    ),
    "cKdV": ("ckdv", [CATALOGUE["ckdv"].equation], (LATER, SCALING, LOUDER)),
}


def replicates(name: str, level: float, count: int) -> dict[str, Any]:
    """How often intervals miss, and what is found, at one level of noise."""
    claimed, laws, fields = CASES[name]
    equation = CATALOGUE[claimed].equation
    proved = symmetries(equation).forms
    pools = [generate(law, POOL, 0, **SETTINGS) for law in laws]
    false = found = untold = nothing = 0
    shown: list[tuple[float, float, float]] = []
    begun = time.process_time()
    for seed in range(count):
        k = seed % len(pools)
        clean, dirty = noisy(pools[k], level, seed, DRAWN)
        data = replace(dirty, equation=equation)
        fitted = certify(data, [], ALPHA)
        try:
            if fitted.law is None or fitted.reason:
                raise UserError(fitted.reason)
            bounds = Bounds.of(data, Region.of(fitted.law, ALPHA), fitted.law.noise)
        except UserError:
            nothing += 1
            continue
        truth = middle(Measure.of(clean).defects(fields)).tolist()
        intervals = [bounds.interval(field) for field in fields]
        # rounding: an interval of no length is met to nine digits
        false += any(
            not low * (1 - 1e-9) - 1e-12 <= d <= high * (1 + 1e-9) + 1e-12
            for d, (low, high) in zip(truth, intervals, strict=True)
        )
        if seed < SEARCHED:
            search, fields_found = approximate(data, proved, certificates=fitted, alpha=ALPHA)
            found += len(fields_found)
            untold += search.tolerance is None
        if k == len(pools) // 2:
            shown.append((*intervals[1], truth[1]))
    low, high, true = torch.tensor(shown or [[torch.nan] * 3], dtype=torch.float64).median(0).values.tolist()
    return {
        "case": name,
        "noise": level,
        "replicates": count,
        "false": false,
        "upper_bound": upper_bound(false, count),
        "no_law": nothing,
        "searched": min(count, SEARCHED),
        "cannot_be_told": untold,
        "found": found,
        "median": {"low": low, "high": high, "true": true},
        "cpu_seconds": (time.process_time() - begun) / count,
    }


def main() -> None:
    parser = options(__doc__, "5 replicates")
    parser.add_argument("--replicates", type=int, default=50)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    count = 5 if arguments.quick else arguments.replicates
    rows = []
    for level in LEVELS:
        for name in CASES:
            # without noise only the trajectories are drawn anew
            rows.append(replicates(name, level, count if level else max(count // 5, 5)))
            print(rows[-1], flush=True)
            write_results("approximate", {"alpha": ALPHA, "settings": SETTINGS, "rows": rows}, arguments.out)
    print_table(
        ("data", "noise", "false", "of", "at most", "no law", "searched", "cannot be told", "found", "interval (true)"),
        [
            (r["case"], r["noise"], r["false"], r["replicates"], f"{r['upper_bound']:.2g}", r["no_law"])
            + (r["searched"], r["cannot_be_told"], r["found"])
            + ("{low:.2g} to {high:.2g} ({true:.2g})".format(**r["median"]),)
            for r in rows
        ],
    )


if __name__ == "__main__":
    main()
