"""How often the count of the solved network is wrong: 40 equations alone, five seeds each; data with noise.

``python benchmarks/network.py [--quick] [--out FILE]``. The dimensions are from the literature named beside each
equation; where the algebra is infinite, the finite part is counted, modulo the superposed solutions that are known
(`pde.symmetries`). The five known equations as data: 16 trajectories, noise of 0, .01, .1 and 1 % of the standard
deviation of u, three seeds. A count that is said to be found or measured and is not the dimension is wrong; *cannot be
told* is no count.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from typing import Any

import torch
from _common import options, write_results

from symflow import pde
from symflow.fields import SymbolicField
from symflow.pde.discovery.solved import SAMPLE, solved_span, span_of_data
from symflow.pde.discovery.sources import source_of
from symflow.pde.scores import points_of
from symflow.pde.symmetries import needed, symmetries

ARRIGO, BAUMANN, CRC = "Arrigo 2015", "Baumann 2000", "Ibragimov (ed.), CRC Handbook of Lie Group Analysis 1"
GABEL, ENTRY = "Gabel, Quax and Gavves 2024, table A1", "EqWorld, nonlinear PDEs"
EQUATIONS: tuple[tuple[str, dict[str, float], int, str], ...] = (
    ("u_t + u*u_x + u_xxx = 0", {}, 4, "Olver 1993, chapter 2"),
    ("u_t + u*u_x + u_xx + u_xxxx = 0", {}, 3, "Ko, Kim and Lee 2024"),
    ("u_t + u*u_x - nu*u_xx = 0", {"nu": 0.01}, 5, "Olver 1993, chapter 2"),
    ("exp(-t/t0)*u_t + u*u_x + u_xxx = 0", {"t0": 50.0}, 4, "Ko, Kim and Lee 2024"),
    ("u_t + u*u_x + u_xxx + u/(2*(t + 1)) = 0", {}, 4, "Ko, Kim and Lee 2024"),
    ("u_t - u**3*u_xxx = 0", {}, 5, BAUMANN),
    ("u_t - u_xx - u**2 = 0", {}, 3, ARRIGO),
    ("u_t - u_xx + 2*u**3 = 0", {}, 3, ARRIGO),
    ("u_t - u_xx - u*log(u) = 0", {}, 4, ARRIGO),
    ("u_t - Derivative(u**2*u_x, x) = 0", {}, 4, "Ovsiannikov 1982"),
    ("u_t - Derivative(u**(-4/3)*u_x, x) = 0", {}, 5, "Ovsiannikov 1982"),
    ("u_t - Derivative(exp(u)*u_x, x) = 0", {}, 4, GABEL),
    ("u_t - Derivative(exp(u)*u_x, x) - d = 0", {"d": 0.7}, 4, CRC),
    ("u_t - u_xx - a*u*(1 - u) = 0", {"a": 1.5}, 2, ENTRY),
    ("u_t - u_xx - 1/u = 0", {}, 3, GABEL),
    ("u_t - u_xx = 0", {}, 6, "Olver 1993, chapter 2"),
    ("u_t - u_xx - u = 0", {}, 6, GABEL),
    ("u_t - u_xx - u_x**2 = 0", {}, 6, "Olver 1993, chapter 2"),
    ("u_t = u_xx - x**2*u", {}, 6, "Bluman and Cole 1974"),
    ("u_t = u_xx + k*u_x/x", {"k": 0.7}, 4, "Bluman and Cole 1974"),
    ("u_tt - u_xx - u**3 = 0", {}, 4, ARRIGO),
    ("u_tt - a*u_xx - b*sin(lam*u) = 0", {"a": 0.7, "b": 1.3, "lam": 1.5}, 3, ENTRY),
    ("u_tt - Derivative((1 + u**2)*u_x, x) = 0", {}, 3, ENTRY),
    ("u_tt + u_xxxx = 0", {}, 4, "classical"),
    ("u_tt + u_t - u_xx = 0", {}, 4, "classical"),
    ("u_t + u_x + u*u_x - u_xxt = 0", {}, 3, ARRIGO),
    ("u_t - 6*u**2*u_x + 6*lam*u_x + u_xxx = 0", {"lam": 0.7}, 3, BAUMANN),
    ("u_t + (1 + t**2)*u*u_x + (1 + t**4)*u_xxx = 0", {}, 2, BAUMANN),
    ("u_t + 6*u*u_x + u_xxx + u/t = 0", {}, 3, BAUMANN),
    ("u_t - k*u_xx/(1 + u_x**2) = 0", {"k": 0.7}, 5, BAUMANN),
    ("u_t - u_x**3 = 0", {}, 5, "Hydon 2000, exercise 8.2"),
    ("u_t + Derivative(u**3*u_xxx, x) = 0", {}, 4, "literature of thin films"),
    ("u_t + 5*u**2*u_x + 5*u_x*u_xx + 5*u*u_xxx + u_xxxxx = 0", {}, 3, "Sawada and Kotera 1974"),
    ("u_xt = exp(u) - exp(-2*u)", {}, 3, "Tzitzeica 1908"),
    ("u_t + v_xx + (u**2 + v**2)*v = 0; v_t - u_xx - (u**2 + v**2)*u = 0", {}, 5, "Gagnon and Winternitz 1988"),
    ("u_t + u*u_x + v_x = 0; v_t + Derivative(u*v, x) + u_xxx = 0", {}, 4, "Clarkson 1990"),
    ("u_t = u_xxx + 6*u*u_x + 2*v*v_x; v_t = 2*Derivative(u*v, x)", {}, 3, "Ito 1982"),
    ("u_t + v_xx = 0; v_t - u_xx = 0", {}, 7, "Niederer 1972"),
    ("u_t = u_xx + u_yy + exp(u)", {}, 5, "classical"),
    ("u_t - Derivative(u*u_x, x) - Derivative(u*u_y, y) = 0", {}, 6, ARRIGO),
)
NOISES = (0.0, 1e-4, 1e-3, 1e-2)


def alone(seeds: int) -> list[dict[str, Any]]:
    """Every equation by itself."""
    runs = []
    for text, parameters, dimension, origin in EQUATIONS:
        equation = pde.Equation(text, **parameters)
        algebra = symmetries(equation)
        source = source_of(equation, "plane")
        closed = [{key: str(f) for key, f in form.items()} for form in algebra.forms]
        for seed in range(seeds):
            begun = time.process_time()
            sample = source.sample(SAMPLE, seed, needed(equation))
            span = solved_span(equation, sample, source.coordinates, seed, algebra.superposition, len(closed))
            seconds = time.process_time() - begun
            fresh = points_of(source.sample(1_000, seed + 1_000, ()), source.coordinates)
            values = SymbolicField(source.coordinates, closed)(fresh)
            found = span.neural(values, fresh, sum(algebra.verified))
            spectrum = found.spectrum
            runs.append(
                {
                    "equation": text,
                    "parameters": parameters,
                    "source": origin,
                    "family": algebra.superposition is not None,
                    "seed": seed,
                    "dimension": dimension,
                    "found": spectrum.rank,
                    "word": found.word,
                    "below": spectrum.below,
                    "above": spectrum.above,
                    "angle": max(found.agreement, default=None),
                    "seconds": round(seconds, 2),
                }
            )
            mark = "" if spectrum.rank == dimension else f"  not the dimension: {found.word}"
            print(
                f"{text[:60]:60} {seed} {spectrum.rank} of {dimension}  {spectrum.below:.0e} | {spectrum.above:.0e}  "
                f"{seconds:.1f} s{mark}",
                flush=True,
            )
    return runs


def of_data(seeds: int) -> list[dict[str, Any]]:
    """The five known equations from trajectories, with noise."""
    runs = []
    for name in pde.CATALOGUE:
        clean = pde.generate(name, 16, seed=0)
        dimension = len(symmetries(clean.equation).forms)
        for noise in NOISES:
            for seed in range(seeds):
                generator = torch.Generator().manual_seed(seed)
                shift = noise * clean.u.std() * torch.randn(clean.u.shape, generator=generator, dtype=torch.float64)
                data = replace(clean, u=clean.u + shift)
                source = source_of(data, "plane")
                begun = time.process_time()
                found = span_of_data(data, source.coordinates, seed, None, dimension)
                assert found is not None
                span, misfit = found
                neural = span.neural(*_known(source), dimension, misfit)
                runs.append(
                    {
                        "equation": name,
                        "noise": noise,
                        "seed": seed,
                        "dimension": dimension,
                        "found": neural.spectrum.rank,
                        "word": neural.word,
                        "misfit": misfit,
                        "values": neural.spectrum.values[: dimension + 3],
                        "angle": max(neural.agreement, default=None),
                        "seconds": round(time.process_time() - begun, 2),
                    }
                )
                print(*runs[-1].values(), flush=True)
    return runs


def _known(source: Any) -> tuple[torch.Tensor, torch.Tensor]:
    fresh = points_of(source.sample(1_000, 1_000, ()), source.coordinates)
    return SymbolicField(source.coordinates, source.symmetries)(fresh), fresh


def main() -> None:
    asked = options(__doc__ or "", "one seed, and no data").parse_args()
    torch.set_num_threads(1)
    runs = alone(1 if asked.quick else 5)
    measured = [] if asked.quick else of_data(3)
    summary = {"alone": counts(runs), "data": counts(measured)}
    summary["alone"]["median CPU seconds"] = statistics.median(r["seconds"] for r in runs)
    print(summary)
    write_results("network", {"summary": summary, "runs": runs, "data": measured}, asked.out)


def counts(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """How many counts are said, and how many of these are not the dimension."""
    said = [r for r in runs if r["word"] != "cannot be told"]
    open_ = sorted({r["equation"] for r in runs if r["word"] == "cannot be told"})
    wrong = sum(r["found"] != r["dimension"] for r in said)
    return {"runs": len(runs), "said": len(said), "wrong": wrong, "cannot be told": open_}


if __name__ == "__main__":
    main()
