"""The tasks of LieNLSD (arXiv 2510.01855) and of symmetry-ode-discovery at their settings, beside their figures.

Data: x in [-10, 10), 100 points an axis, T = 2 (.4 for the two systems in the plane, which 100 points do not resolve
for longer than .5), ten trajectories, initial values random Fourier series with N(0, 1) coefficients, stored in single
precision. Asked is what data show by themselves: fields with polynomial components of
degree 2 that satisfy ``pr V(F_i) = sum_j lambda_ij F_j`` on jets with every derivative from the data (*found*), and how
far the affine ones among such fields are from the true ones (*distance*: the root of the sum of the squared principal
angles between the spaces of their coefficients, over all affine fields, as LieNLSD measures it). The true spaces are
those of the equation, by the same count on random jets of it. The equation is given, as it is not to LieNLSD, which
fits a network in its place: so the distance is measured a second time with the terms given and their coefficients
fitted to the data (*fitted*). Beside them the gate's word, on the data as they are and with their spacing stored as
n/(n + 1), as LieNLSD stores it.

    python benchmarks/league.py [--only NAME ...] [--seeds N] [--out FILE]

Tasks are played one after the other, and each takes its place in the file of results: what other runs found of other
tasks stays there.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import RESULTS, print_table, write_results
from torch import Tensor

from symflow import pde
from symflow.algebra import subspace_angles
from symflow.pde import Equation, Trajectories
from symflow.pde.equations import Manifold
from symflow.pde.gate import gate
from symflow.pde.laws.claims import Law
from symflow.pde.scores import observed, observed_jets
from symflow.pde.symmetries import condition, gap_rank, polynomial_library
from symflow.pde.trajectories import Axis, data_coordinates
from symflow.pde.weak.samples import Samples

POINTS, TRAJECTORIES, SIDE, END = 100, 10, 20.0, 2.0
EXACT, CEILING = 1e-12, 1e-3  # resolution and ceiling of null spaces; data are in single precision
JETS = 4_000
HEADS = ("task", "due", "found", "distance", "fitted", "theirs", "data say", "with n/(n + 1)", "s", "MB")


@dataclass(frozen=True)
class Task:
    """One of LieNLSD's.

    Attributes:
        text: the equation.
        terms: of the initial series.
        due: fields of degree 2.
        found, distance: theirs.
        steps: stored times.
        end: the last of them; earlier than theirs where 100 points do not resolve the solution for longer.
    """

    text: str
    terms: int
    due: int
    found: int
    distance: str
    steps: int = 201
    end: float = END


TASKS = {
    "heat": Task("u_t = u_xx", 10, 8, 8, ".0008 ± .0002"),
    "Burgers": Task("u_t = u_xx + u_x**2", 10, 6, 6, ".0126 ± .002"),
    "KdV": Task("u_t + u*u_x + u_xxx = 0", 5, 4, 4, ".0053 ± .0015"),
    "wave": Task("u_tt = u_xx + u_yy", 3, 20, 20, ".0140 ± .0001", 101),
    "reaction-diffusion": Task(
        "u_t = 0.1*(u_xx + u_yy) + (1 - u**2 - v**2)*u + (u**2 + v**2)*v; "
        "v_t = 0.1*(v_xx + v_yy) - (u**2 + v**2)*u + (1 - u**2 - v**2)*v",
        2,
        5,
        5,
        ".124 ± .018",
        41,
        0.4,
    ),
    "Schrödinger": Task(
        "u_t = -0.5*(v_xx + v_yy) + (u**2 + v**2)*v; v_t = 0.5*(u_xx + u_yy) - (u**2 + v**2)*u",
        2,
        8,
        6,
        ".086 ± .013",
        41,
        0.4,
    ),
}


@dataclass(frozen=True)
class Orbits:
    """One of the tasks of ordinary equations: 50 initial values, and noise as a share of the deviation."""

    text: str
    noise: float
    end: float
    low: tuple[float, ...]
    high: tuple[float, ...]
    samples: int = 50


ORBITS = {
    "damped oscillator": Orbits("u_t = -0.1*u - v; v_t = u - 0.1*v", 0.2, 10.0, (-2.0, -2.0), (2.0, 2.0)),
    "growth": Orbits("u_t = 0.1*v**2 - 0.3*u; v_t = v", 0.05, 2.0, (0.2, 0.2), (1.0, 1.0)),
    "Lotka-Volterra, log": Orbits("u_t = 2/3 - 4/3*exp(v); v_t = exp(u) - 1", 0.99, 20.0, (-0.5, -1.0), (0.5, 0.0)),
    "Sel'kov": Orbits("u_t = 0.75 - 0.1*u - u*v**2; v_t = -v + 0.1*u + u*v**2", 0.2, 20.0, (0.2, 0.2), (1.5, 1.5)),
}


# ---------------------------------------------------------------- data


def made(task: Task, seed: int) -> Trajectories:
    """Trajectories at the settings of the task, in single precision."""
    equation = Equation(task.text)
    unknowns, axes = equation.space.dependent, len(equation.space.independent) - 1
    state = len(unknowns) * (2 if "_tt" in task.text else 1)
    start = np.zeros((TRAJECTORIES, state, *(POINTS,) * axes))
    random = np.random.default_rng(seed)
    for values in start.reshape(-1, *(POINTS,) * axes)[:: state // len(unknowns)]:
        values[...] = series(random, task.terms, axes)
    if axes == 1 and state == 1:
        data = pde.generate(
            task.text,
            TRAJECTORIES,
            initial=start[:, 0],
            length=SIDE,
            end=task.end,
            steps=task.steps,
            keep=task.steps,
            resolution=POINTS,
        )
    else:
        data = pde.generate(
            task.text, TRAJECTORIES, initial=start, length=SIDE, end=task.end, steps=task.steps, resolution=POINTS
        )
    return replace(data, u=data.u.float().double())


def series(random: np.random.Generator, terms: int, axes: int) -> Any:
    """A sum of so many sines and cosines along each axis, N(0, 1) coefficients, of several axes their products."""
    x = np.arange(POINTS) * (2 * math.pi / POINTS)
    waves = np.stack([f(k * x) for k in range(terms) for f in (np.cos, np.sin)])
    if axes == 1:
        return random.standard_normal(len(waves)) @ waves
    return waves.T @ random.standard_normal((len(waves), len(waves))) @ waves


def fitted(data: Trajectories) -> Trajectories:
    """With the coefficients that the data have in the place of those of their equation."""
    space = Samples.of(data, data.equation.residuals).space
    laws = [Law.of(F, space) for F in data.equation.residuals]
    estimates = gate(data).coefficients
    parts = []
    for n, law in enumerate(laws):
        known = {c.term: c.claimed if c.estimate is None else c.estimate for c in estimates if c.equation == n}
        parts.append(" + ".join([str(law.leading), *(f"({known[str(m)]!r})*({m})" for m in law.terms)]) + " = 0")
    return replace(data, equation=Equation("; ".join(parts)), name=None)


def stored_wrong(data: Trajectories) -> Trajectories:
    """The spacing L/(n + 1) in the place of L/n."""
    s = POINTS / (POINTS + 1)
    axes = tuple(Axis(a.name, a.nodes * s, (a.period or 0.0) * s) for a in data.axes)
    return replace(data, x=axes[0].nodes, axes=axes)


def orbits(task: Orbits, seed: int) -> Trajectories:
    random = np.random.default_rng(seed)
    low, high = np.array(task.low), np.array(task.high)
    start = low + (high - low) * random.random((task.samples, len(low)))
    data = pde.generate(task.text, task.samples, initial=start, end=task.end, steps=201)
    white = torch.randn(data.u.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return replace(data, u=data.u + task.noise * data.u.flatten(0, 1).std(0) * white)


# ---------------------------------------------------------------- what is measured


def null_space(data: Trajectories, degree: int, truth: bool, seed: int = 0) -> tuple[int, Tensor, list[float]]:
    """How many polynomial fields, and their coefficients ``[columns, count]``; on jets of data or of the equation."""
    equation, coordinates = data.equation, data_coordinates(data, periodic=False)
    library = polynomial_library(equation, degree, [])
    if truth:
        manifold = Manifold(equation)
        found = condition(equation, manifold.sample(JETS, seed), library, manifold.coordinates).null_space()
        ceiling = 1e-8
    else:
        jets = observed_jets(data, JETS, seed)
        assert jets is not None
        found, ceiling = observed(jets, equation, library, coordinates), CEILING
    rank = gap_rank(found.values, EXACT, ceiling)
    return rank, found.vectors[..., :rank].flatten(0, 1), found.values[: rank + 1].tolist()


def distance(found: Tensor, true: Tensor) -> float:
    """The root of the sum of squared principal angles; a right angle for each dimension too few or too many."""
    missing = abs(found.shape[1] - true.shape[1]) * (math.pi / 2) ** 2
    angles = subspace_angles(found[:, :, None], true[:, :, None])
    return math.sqrt(float(angles.square().sum()) + missing)


def played(name: str, seed: int) -> dict[str, Any]:
    task = TASKS[name]
    data = made(task, seed)
    begin = time.perf_counter()
    count, _, values = null_space(data, 2, truth=False)
    (_, affine, _), (_, true, _) = (null_space(data, 1, truth=t) for t in (False, True))
    apart = distance(affine, true)
    apart_fitted = distance(null_space(fitted(data), 1, truth=False)[1], true)
    seconds = time.perf_counter() - begin
    judged, wrong = gate(data), gate(stored_wrong(data))
    return {
        "found": count,
        "due": task.due,
        "due_by_count": null_space(data, 2, truth=True)[0],
        "distance": apart,
        "distance_fitted": apart_fitted,
        "values": values,
        "verdict": judged.verdict,
        "sentence": judged.sentence,
        "stored_wrong": wrong.sentence,
        "named": f"{(POINTS + 1) / POINTS:.6g} times" in wrong.sentence,
        "seconds": seconds,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def played_orbits(name: str, seed: int) -> dict[str, Any]:
    task = ORBITS[name]
    data = orbits(task, seed)
    begin = time.perf_counter()
    found = gate(data)
    seconds = time.perf_counter() - begin
    return {
        "verdict": found.verdict,
        "sentence": found.sentence,
        "coefficients": [[c.name, c.claimed, c.estimate, c.lower, c.upper] for c in found.coefficients],
        "seconds": seconds,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*TASKS, *ORBITS], default=[*TASKS, *ORBITS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--one", nargs=2, metavar=("NAME", "SEED"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=RESULTS / "league.json")
    options = parser.parse_args()
    if options.one:
        name, seed = options.one
        print(json.dumps((played if name in TASKS else played_orbits)(name, int(seed))))
        return
    content: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    for name in options.only:
        content[name] = []
        for seed in range(options.seeds):  # each in a process of its own, whose memory is measured
            command = [sys.executable, __file__, "--one", name, str(seed)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            content[name].append(json.loads(done.stdout.splitlines()[-1]))
            write_results("league", {n: content[n] for n in [*TASKS, *ORBITS] if n in content}, options.out)
    print_table(HEADS, [row(name, content[name]) for name in options.only])


def mean_and_spread(numbers: list[float]) -> str:
    values = torch.tensor(numbers, dtype=torch.float64)
    spread = f" ± {float(values.std()):.1g}" if len(values) > 1 else ""
    return f"{float(values.mean()):.1g}{spread}"


def row(name: str, runs: list[dict[str, Any]]) -> tuple[object, ...]:
    words = ", ".join(sorted({r["verdict"] for r in runs}))
    seconds, peak = (max(r[key] for r in runs) for key in ("seconds", "peak_megabytes"))
    if name in ORBITS:
        return (name, "", "", "", "", "", words, "", f"{seconds:.1f}", f"{peak:.0f}")
    apart = [mean_and_spread([r[key] for r in runs]) for key in ("distance", "distance_fitted")]
    found = ", ".join(sorted({str(r["found"]) for r in runs}))
    named = f"named in {sum(r['named'] for r in runs)} of {len(runs)}"
    task = TASKS[name]
    theirs = f"{task.found}; {task.distance}"
    return (
        name,
        task.due,
        found,
        *apart,
        theirs,
        words,
        named,
        f"{seconds:.1f}",
        f"{peak:.0f}",
    )


if __name__ == "__main__":
    main()
