"""Intervals and certificates against planted truth: how often they are wrong, under noise.

    python benchmarks/bench_certificates.py [--quick] [--replicates N] [--resume] [--out FILE.json]

**Certificates.** Data of ``F = eps m`` claim to be data of ``F = 0``, KdV, Burgers or KS. Generators of ``F = 0`` are
then near-symmetries whose defect and growth follow from the true coefficients. The trajectories of a pool have spectra
of several kinds (`SPECTRA`): all modes, every second, every third, two bands far apart, one band far from the mean.
Each replicate draws 8 of 30 and new noise, and runs `certify` from the beginning, choice of widths included. A
replicate is false when any of its bounds is below the truth at the points after smoothing, which is where they are
stated to hold. At most alpha = 5 % may be false; the table has the count and its 95 % upper bound (Clopper and
Pearson). Beside it stands the count at the same points of the data *before* the noise, which no certificate speaks of.

**Coefficients.** `effective_coefficients` on the equation's own terms of KdV, KS and Burgers, a replicate being false
when any of the simultaneous 95 % intervals misses; and the bias of the estimates, of plain least squares too.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any

import sympy
import torch
from _common import RESULTS, options, print_table, write_results

from symflow.pde.equations.catalogue import CATALOGUE
from symflow.pde.equations.equation import Equation, derivative_symbol, u
from symflow.pde.generation.generation import generate
from symflow.pde.laws.certificates import Points, _closed_form, certify, smooth_points
from symflow.pde.laws.prolonged_law import growth_condition, jet_order, prolong, relative_condition
from symflow.pde.laws.regression import choose_widths, effective_coefficients
from symflow.pde.trajectories import Trajectories, data_coordinates
from symflow.pde.weak.terms import law
from symflow.pde.weak.weak_form import weak_rows

ALPHA = 0.05
LEVELS = (1e-3, 1e-2, 5e-2, 0.0)
EPS = (3e-2, 1e-2, 3e-3)
SPECTRA = {  # wave numbers of the initial waves
    "all modes": (1, 2),
    "every second": (2, 4),
    "every third": (3, 6),
    "two bands": (1, 12),
    "one band": (11, 12),
}
PART = 25  # replicates between two writings of the file
EACH, DRAWN = 6, 8  # trajectories of each kind of spectrum in a pool, and those of a replicate


@dataclass(frozen=True)
class Planted:
    """Data of ``claimed = eps term`` under the name of the claimed equation."""

    claimed: Equation
    text: str
    term: sympy.Expr
    generators: Sequence[Mapping[str, str]]
    settings: Mapping[str, Any]

    def pool(self, eps: float) -> Trajectories:
        """Trajectories with all kinds of spectra."""
        sign = "" if self.term != u else "-"
        equation = Equation(f"{self.text} = {sign}eps*{self.term}", eps=eps)
        parts = [
            generate(equation, EACH, seed, wavenumbers=waves, **self.settings)
            for seed, waves in enumerate(SPECTRA.values())
        ]
        return replace(parts[0], equation=self.claimed, u=torch.cat([part.u for part in parts]))

    def true_law(self, eps: float) -> dict[sympy.Expr, float]:
        """The coefficients behind the data."""
        known = law(self.claimed)
        return known | {self.term: known.get(self.term, 0.0) + (eps if self.term == u else -eps)}


COMMON = {"length": 64.0, "end": 20.0, "steps": 60, "keep": 50, "resolution": 160}
KDV, KS = CATALOGUE["kdv"], CATALOGUE["ks"]
BURGERS = Equation("u_t + u*u_x = u_xx/2")
PLANTED = {
    "KdV, eps u_xx": Planted(
        KDV.equation, "u_t + u*u_x + u_xxx", derivative_symbol(2), [*KDV.symmetries, {"du": "u"}], COMMON
    ),
    "KdV, eps u": Planted(KDV.equation, "u_t + u*u_x + u_xxx", u, [*KDV.symmetries, {"du": "u"}], COMMON),
    "Burgers, eps u": Planted(
        BURGERS, "u_t + u*u_x - u_xx/2", u, CATALOGUE["burgers"].symmetries, COMMON | {"length": 32.0, "end": 10.0}
    ),
    "KS, eps u": Planted(KS.equation, "u_t + u*u_x + u_xx + u_xxxx", u, [*KS.symmetries, {"du": "u"}], COMMON),
}


def noisy(data: Trajectories, level: float, seed: int, pool: int) -> tuple[Trajectories, Trajectories]:
    """Some of the trajectories, and the same with noise of a level relative to the standard deviation of u."""
    random = torch.Generator().manual_seed(seed)
    clean = data[torch.randperm(len(data), generator=random)[:pool]]
    noise = torch.randn(clean.u.shape, dtype=torch.float64, generator=random) * (level * data.u.std())
    return clean, replace(clean, u=clean.u + noise)


def truths(case: Planted, points: Points, data: Trajectories, terms: Sequence[sympy.Expr], eps: float) -> list[float]:
    """The true defects, then the true growths, of the generators at points."""
    true, claimed = (
        torch.tensor([float(known.get(m, 0.0)) for m in terms], dtype=torch.float64)
        for known in (case.true_law(eps), law(case.claimed))
    )
    prolonged = prolong(terms, points.jets)
    box = data_coordinates(data, periodic=False).scale
    forms = [_closed_form(g) for g in case.generators]
    defects = [relative_condition(prolonged, claimed, form) for form in forms]
    growths = [growth_condition(prolonged, claimed, form, points.trajectory, box) for form in forms]
    return [float(condition(true).norm()) for condition in [*defects, *growths]]


@cache
def pools_of(kind: str) -> list[Trajectories]:
    return [PLANTED[kind].pool(eps) for eps in EPS]


def planted(kind: str, level: float, seeds: Sequence[int]) -> dict[str, Any]:
    """False certificates of one kind of near-symmetry at one level of noise; eps takes its values in turn."""
    case, pools = PLANTED[kind], pools_of(kind)
    false: list[int] = []
    before = nothing = certified = asked = 0
    ratios: list[float] = []
    left_out: list[float] = []
    begun = time.process_time()
    for seed in seeds:
        eps = EPS[seed % len(EPS)]
        clean, data = noisy(pools[seed % len(EPS)], level, seed, DRAWN)
        found = certify(data, case.generators, ALPHA)
        if found.law is None or found.reason:
            nothing += 1
            continue
        terms, order = found.law.terms, jet_order(found.law.terms)
        bounds = [c.delta for c in found.certificates] + [c.growth_delta for c in found.certificates]
        wrong = []
        for part, noise in ((data, found.law.noise), (clean, 0.0)):
            true = truths(case, smooth_points(part, order, noise), data, terms, eps)
            # a bound of 0 is met by a defect of 0 to rounding
            pairs = [(b, v) for b, v in zip(bounds, true, strict=True) if b is not None]
            wrong.append(any(v > b + 1e-12 for b, v in pairs))
            if part is data:
                ratios += [b / v for b, v in pairs if v > 1e-12]
        if wrong[0]:
            false.append(seed)
        before += wrong[1]
        certified += sum(c.delta is not None for c in found.certificates)
        asked += len(found.certificates)
        left_out.append(found.left_out or 0.0)
    return {
        "planted": kind,
        "noise": level,
        "first": seeds[0],
        "replicates": len(seeds),
        "false": false,
        "false_before_noise": before,
        "nothing_certified": nothing,
        "certified": certified,
        "asked": asked,
        "bound_over_truth": _median(ratios) if ratios else None,
        "left_out": _median(left_out) if left_out else None,
        "cpu_seconds": time.process_time() - begun,
    }


def together(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Parts of one kind and level, counted together; of medians, the median."""
    summed = ("replicates", "false_before_noise", "nothing_certified", "certified", "asked", "cpu_seconds")
    total = {key: sum(p[key] for p in parts) for key in summed}
    false = sum(len(p["false"]) for p in parts)
    middles = {
        key: _median([p[key] for p in parts if p[key] is not None] or [math.inf])
        for key in ("bound_over_truth", "left_out")
    }
    bound = upper_bound(false, total["replicates"])
    return (
        {"planted": parts[0]["planted"], "noise": parts[0]["noise"], "false": false, "upper_bound": bound}
        | total
        | middles
    )


def counted(parts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    cells = sorted({(p["planted"], p["noise"]) for p in parts})
    return [together([p for p in parts if (p["planted"], p["noise"]) == cell]) for cell in cells]


def _median(values: list[float]) -> float | None:
    middle = sorted(values)[len(values) // 2]
    return middle if math.isfinite(middle) else None


def upper_bound(count: int, of: int, confidence: float = 0.95) -> float:
    """The Clopper-Pearson upper bound of a probability: the p at which so few are as unlikely as 1 - confidence."""
    low, high = 0.0, 1.0
    for _ in range(60):
        p = (low + high) / 2
        tail = sum(math.comb(of, k) * p**k * (1 - p) ** (of - k) for k in range(count + 1))
        low, high = (p, high) if tail > 1 - confidence else (low, p)
    return high


def coefficients(name: str, level: float, replicates: int) -> dict[str, Any]:
    """False intervals and the bias of estimates, with instruments and without."""
    made = generate(name, 16, 0, resolution=512 if name == "burgers" else 256, keep=60)
    truth = torch.tensor(list(law(made.equation).values()), dtype=torch.float64)
    false, estimates, plain, errors = 0, [], [], []
    for seed in range(replicates):
        _, data = noisy(made, level, seed, 12)
        fit = effective_coefficients(data, alpha=ALPHA)
        false += bool(((truth < fit.lower) | (truth > fit.upper)).any())
        estimates.append(fit.theta)
        errors.append(fit.error)
        rows = weak_rows(data, fit.terms, choose_widths(data, fit.terms)).values.flatten(0, 2)
        plain.append(-torch.linalg.lstsq(rows[:, 1:], rows[:, :1]).solution[:, 0])
    scale = torch.stack(errors).mean(0)
    return {
        "equation": name,
        "noise": level,
        "replicates": replicates,
        "false": false,
        "upper_bound": upper_bound(false, replicates),
        "bias_over_error": ((torch.stack(estimates).mean(0) - truth) / scale).tolist(),
        "bias_over_error_least_squares": ((torch.stack(plain).mean(0) - truth) / scale).tolist(),
        "error": scale.tolist(),
        "scatter_over_error": (torch.stack(estimates).std(0) / scale).tolist(),
    }


def main() -> None:
    parser = options(__doc__, "3 replicates")
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("--resume", action="store_true", help="keep the parts of an earlier run that are in the file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    replicates = 3 if arguments.quick else arguments.replicates
    out = arguments.out or RESULTS / "certificates.json"
    known = json.loads(out.read_text()) if arguments.resume and out.exists() else {}
    parts: list[dict[str, Any]] = known.get("parts", [])
    content = {"alpha": ALPHA, "eps": EPS, "spectra": SPECTRA, "coefficients": known.get("coefficients", [])}
    for first in range(0, replicates, PART):
        for level, kind in product(LEVELS, PLANTED):
            if any((p["planted"], p["noise"], p["first"]) == (kind, level, first) for p in parts):
                continue
            parts.append(planted(kind, level, range(first, min(first + PART, replicates))))
            print(parts[-1], flush=True)
            write_results("certificates", content | {"certificates": counted(parts), "parts": parts}, out)
    rows = counted(parts)
    print_table(
        ("planted", "noise", "false", "of", "at most", "before noise", "certified", "bound / truth", "left out"),
        [
            (r["planted"], r["noise"], r["false"], r["replicates"], f"{r['upper_bound']:.2g}")
            + (r["false_before_noise"], f"{r['certified']} of {r['asked']}")
            + tuple("" if r[k] is None else f"{r[k]:.2g}" for k in ("bound_over_truth", "left_out"))
            for r in rows
        ],
    )
    intervals = [
        coefficients(name, level, max(replicates // 2, 3))
        for name in ("kdv", "ks", "burgers")
        for level in (1e-3, 1e-2)
    ]
    print_table(
        ("equation", "noise", "false", "of", "at most", "bias / error", "least squares"),
        [
            (r["equation"], r["noise"], r["false"], r["replicates"], f"{r['upper_bound']:.2g}")
            + tuple(" ".join(f"{v:+.2f}" for v in r[k]) for k in ("bias_over_error", "bias_over_error_least_squares"))
            for r in intervals
        ],
    )
    write_results("certificates", content | {"certificates": rows, "parts": parts, "coefficients": intervals}, out)


if __name__ == "__main__":
    main()
