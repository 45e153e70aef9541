"""Intervals and certificates against planted truth: how often they are wrong, under noise.

    python benchmarks/bench_certificates.py [--quick] [--replicates N] [--out FILE.json]

**Certificates.** Data of ``u_t + u u_x + u_xxx = eps u_xx`` and ``... = -eps u`` claim to be KdV data. The generators of
KdV are then near-symmetries of known defect, which follows from the true coefficients. Each replicate draws 12 of 32
trajectories and new noise, and runs `certify` from the beginning, choice of widths included. A replicate is false when
any of its five bounds is below the true defect, at the same points or at those of the data before the noise. At most
alpha = 5 % may be false; the table has the count, its 95 % upper bound (Clopper and Pearson), and the median delta and
true defect of the scaling, the generator that eps breaks.

**Coefficients.** `effective_coefficients` on the equation's own terms of KdV, KS and Burgers, a replicate being false when
any of the simultaneous 95 % intervals misses; and the bias of the estimates, of least squares without instruments too.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from _common import machine, print_table, write_results

from symflow.pde.catalogue import ENTRIES
from symflow.pde.certificates import (
    _closed_form,
    certify,
    jet_order,
    prolong,
    relative_condition,
    smooth_jets,
)
from symflow.pde.data import Trajectories, generate
from symflow.pde.equation import Equation, derivative_symbol, u
from symflow.pde.regression import choose_widths, effective_coefficients, law, weak_rows

ALPHA = 0.05
CLAIMED = ENTRIES["kdv"].equation
GENERATORS = [*ENTRIES["kdv"].symmetries, {"du": "u"}]
PLANTED = {
    "eps u_xx": ("u_t + u*u_x + u_xxx = eps*u_xx", derivative_symbol(2)),
    "eps u": ("u_t + u*u_x + u_xxx = -eps*u", u),
}
SETTINGS = {"length": 64.0, "end": 20.0, "steps": 60, "keep": 50, "resolution": 128}


def noisy(data: Trajectories, level: float, seed: int, pool: int) -> tuple[Trajectories, Trajectories]:
    """Some of the trajectories, and the same with noise of a level relative to the standard deviation of u."""
    random = torch.Generator().manual_seed(seed)
    clean = data[torch.randperm(len(data), generator=random)[:pool]]
    noise = torch.randn(clean.u.shape, dtype=torch.float64, generator=random) * (level * data.u.std())
    return clean, replace(clean, u=clean.u + noise)


def planted(kind: str, eps: float, level: float, replicates: int) -> dict[str, Any]:
    """False certificates of one near-symmetry."""
    text, term = PLANTED[kind]
    made = generate(Equation(text, eps=eps), 32, 0, **SETTINGS)
    claiming = replace(made, equation=CLAIMED)
    size = -eps if kind == "eps u_xx" else eps
    forms = [_closed_form(g) for g in GENERATORS]
    false = false_before = nothing = 0
    deltas, defects = [], []
    begun = time.perf_counter()
    for seed in range(replicates):
        clean, data = noisy(claiming, level, seed, 12)
        found = certify(data, GENERATORS, ALPHA)
        if found.law is None or found.reason:
            nothing += 1
            continue
        terms = found.law.terms
        truth = torch.tensor([(law(CLAIMED) | {term: size}).get(m, 0.0) for m in terms], dtype=torch.float64)
        claimed = torch.tensor([law(CLAIMED).get(m, 0.0) for m in terms], dtype=torch.float64)
        at = {
            name: prolong(terms, smooth_jets(d, jet_order(terms), noise))
            for name, d, noise in (("data", data, found.law.noise), ("clean", clean, 0.0))
        }
        wrong = {"data": False, "clean": False}
        for form, certificate in zip(forms, found.certificates, strict=True):
            for name, prolonged in at.items():
                defect = float(relative_condition(prolonged, claimed, form)(truth).norm())
                # a bound of 0 is met by a defect of 0 to rounding
                wrong[name] |= certificate.delta is not None and defect > certificate.delta + 1e-12
                if form == forms[3] and name == "clean":
                    defects.append(defect)
                    deltas.append(math.nan if certificate.delta is None else certificate.delta)
        false += wrong["data"]
        false_before += wrong["clean"]
    middle = sorted(deltas)[len(deltas) // 2] if deltas else math.nan
    return {
        "planted": kind,
        "eps": eps,
        "noise": level,
        "replicates": replicates,
        "false": false,
        "false_before_noise": false_before,
        "nothing_certified": nothing,
        "upper_bound": upper_bound(false, replicates),
        "median_delta": None if math.isnan(middle) else middle,
        "true_defect": sorted(defects)[len(defects) // 2] if defects else None,
        "seconds": (time.perf_counter() - begun) / replicates,
    }


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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="10 replicates, one eps")
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    replicates = 10 if arguments.quick else arguments.replicates
    rows = []
    for kind in PLANTED:
        for eps in (1e-2,) if arguments.quick else (1e-1, 1e-2, 1e-3):
            for level in (0.0, 1e-3, 1e-2):
                # without noise only the trajectories are drawn anew
                rows.append(planted(kind, eps, level, replicates if level else max(replicates // 4, 10)))
                print(rows[-1], flush=True)
    print_table(
        ("planted", "eps", "noise", "false", "before noise", "of", "at most", "delta", "true"),
        [
            (r["planted"], r["eps"], r["noise"], r["false"], r["false_before_noise"], r["replicates"])
            + tuple("-" if v is None else f"{v:.2g}" for v in (r["upper_bound"], r["median_delta"], r["true_defect"]))
            for r in rows
        ],
    )
    intervals = [
        coefficients(name, level, replicates // (1 if arguments.quick else 2))
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
    content = {
        "machine": machine(),
        "alpha": ALPHA,
        "settings": SETTINGS,
        "certificates": rows,
        "coefficients": intervals,
    }
    write_results("certificates", content, arguments.out)


if __name__ == "__main__":
    main()
