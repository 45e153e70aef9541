"""Intervals and certificates against planted truth: how often they are wrong, under noise.

    python benchmarks/bench_certificates.py [--quick] [--replicates N] [--out FILE.json]

**Certificates.** Data of ``u_t + u u_x + u_xxx = eps u_xx`` and ``... = -eps u`` claim to be KdV data. The generators
of KdV are then near-symmetries of known defect, which follows from the true coefficients. Each replicate draws 8 of
32 trajectories and new noise, and runs `certify` from the beginning, choice of widths included. A replicate is false
when any of its five bounds is below the true defect, at the same points or at those of the data before the noise. At
most alpha = 5 % may be false; the table has the count, its 95 % upper bound (Clopper and Pearson), and the median
delta and true defect of the scaling, the generator that eps breaks.

**Coefficients.** `effective_coefficients` on the equation's own terms of KdV, KS and Burgers, a replicate being false
when any of the simultaneous 95 % intervals misses; and the bias of the estimates, of plain least squares too.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import torch
from _common import options, print_table, write_results

from symflow.pde.equations.catalogue import CATALOGUE
from symflow.pde.equations.equation import Equation, derivative_symbol, u
from symflow.pde.laws.certificates import _closed_form, certify, smooth_jets
from symflow.pde.laws.prolonged_law import jet_order, prolong, relative_condition
from symflow.pde.laws.regression import choose_widths, effective_coefficients
from symflow.pde.trajectories.data import Trajectories
from symflow.pde.trajectories.generation import generate
from symflow.pde.weak.terms import law
from symflow.pde.weak.weak_form import weak_rows

ALPHA = 0.05
CLAIMED = CATALOGUE["kdv"].equation
GENERATORS = [*CATALOGUE["kdv"].symmetries, {"du": "u"}]
PLANTED = {
    "eps u_xx": ("u_t + u*u_x + u_xxx = eps*u_xx", derivative_symbol(2)),
    "eps u": ("u_t + u*u_x + u_xxx = -eps*u", u),
}
EPS = (3e-2, 1e-2, 3e-3)
DRAWN, POOL = 8, 32  # trajectories of a replicate, and those they are drawn from
SETTINGS = {"length": 64.0, "end": 20.0, "steps": 60, "keep": 50, "resolution": 160}


def noisy(data: Trajectories, level: float, seed: int, pool: int) -> tuple[Trajectories, Trajectories]:
    """Some of the trajectories, and the same with noise of a level relative to the standard deviation of u."""
    random = torch.Generator().manual_seed(seed)
    clean = data[torch.randperm(len(data), generator=random)[:pool]]
    noise = torch.randn(clean.u.shape, dtype=torch.float64, generator=random) * (level * data.u.std())
    return clean, replace(clean, u=clean.u + noise)


def planted(kind: str, level: float, replicates: int) -> dict[str, Any]:
    """False certificates of one kind of near-symmetry at one level of noise; eps takes its values in turn."""
    text, term = PLANTED[kind]
    pools = [replace(generate(Equation(text, eps=e), POOL, 0, **SETTINGS), equation=CLAIMED) for e in EPS]
    forms = [_closed_form(g) for g in GENERATORS]
    false = before = nothing = 0
    scaling: dict[float, list[tuple[float, float]]] = {e: [] for e in EPS}  # delta, true defect
    begun = time.process_time()
    for seed in range(replicates):
        eps = EPS[seed % len(EPS)]
        clean, data = noisy(pools[seed % len(EPS)], level, seed, DRAWN)
        found = certify(data, GENERATORS, ALPHA)
        if found.law is None or found.reason:
            nothing += 1
            continue
        terms = found.law.terms
        true_law = law(CLAIMED) | {term: -eps if kind == "eps u_xx" else eps}
        truth, claimed = (
            torch.tensor([known.get(m, 0.0) for m in terms], dtype=torch.float64) for known in (true_law, law(CLAIMED))
        )
        wrong = []
        for part, noise in ((data, found.law.noise), (clean, 0.0)):
            prolonged = prolong(terms, smooth_jets(part, jet_order(terms), noise))
            defects = [float(relative_condition(prolonged, claimed, form)(truth).norm()) for form in forms]
            # a bound of 0 is met by a defect of 0 to rounding
            pairs = zip(found.certificates, defects, strict=True)
            wrong.append(any(c.delta is not None and defect > c.delta + 1e-12 for c, defect in pairs))
        false += wrong[0]
        before += wrong[1]
        delta = found.certificates[3].delta
        scaling[eps].append((math.inf if delta is None else delta, defects[3]))
    return {
        "planted": kind,
        "noise": level,
        "replicates": replicates,
        "false": false,
        "false_before_noise": before,
        "nothing_certified": nothing,
        "upper_bound": upper_bound(max(false, before), replicates),
        "scaling": [
            {"eps": e, "median_delta": _median([p[0] for p in v]), "true_defect": _median([p[1] for p in v])}
            for e, v in scaling.items()
            if v
        ],
        "cpu_seconds": (time.process_time() - begun) / replicates,
    }


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
    parser = options(__doc__, "10 replicates")
    parser.add_argument("--replicates", type=int, default=200)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    replicates = 10 if arguments.quick else arguments.replicates
    rows = []
    for level in (1e-3, 1e-2, 0.0):
        for kind in PLANTED:
            # without noise only the trajectories are drawn anew
            rows.append(planted(kind, level, replicates if level else max(replicates // 10, 10)))
            print(rows[-1], flush=True)
    print_table(
        ("planted", "noise", "false", "before noise", "of", "at most", "scaling: eps, delta (true)"),
        [
            (r["planted"], r["noise"], r["false"], r["false_before_noise"], r["replicates"], f"{r['upper_bound']:.2g}")
            + ("; ".join(f"{v['eps']:g}: {v['median_delta']} ({v['true_defect']:.2g})" for v in r["scaling"]),)
            for r in rows
        ],
    )
    intervals = [
        coefficients(name, level, replicates // (1 if arguments.quick else 4))
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
    content = {"alpha": ALPHA, "settings": SETTINGS, "certificates": rows, "coefficients": intervals}
    write_results("certificates", content, arguments.out)


if __name__ == "__main__":
    main()
