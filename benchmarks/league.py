"""The tasks of LieNLSD (arXiv 2510.01855) and of symmetry-ode-discovery at their settings, beside their figures.

Data: x in [-10, 10), 100 points an axis, T = 2 (.36 and .3 for the two systems in the plane, up to which 100 points
resolve the worst of thirty), ten trajectories, initial values random Fourier series with N(0, 1)
coefficients, stored in single precision. Asked is what data show by themselves: fields with polynomial components of
degree 2 that satisfy ``pr V(F_i) = sum_j lambda_ij F_j`` on jets with every derivative from the data (*found*), and how
far the affine ones among such fields are from the true ones (*distance*: the root of the sum of the squared principal
angles between the spaces of their coefficients, over all affine fields, as LieNLSD measures it). The true spaces are
those of the equation, by the same count on random jets of it. The equation is given, as it is not to LieNLSD, which
fits a network in its place: so the distance is measured a second time with the terms given and their coefficients
fitted to the data (*fitted*). Beside them the gate's word, on the data as they are and with their spacing stored as
n/(n + 1), as LieNLSD stores it.

Of ordinary equations, 50 orbits with noise, all affine fields are asked for, time among their variables, with the
coefficients fitted. Top tagging has no data here: asked is the same question, which linear fields keep the mass of a
jet up to a factor, of jets that are made here as sums of massless momenta.

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

from symflow import discover, invariance, pde
from symflow.algebra import subspace_angles
from symflow.pde import Equation, Trajectories
from symflow.pde.equations import Manifold
from symflow.pde.gate import gate
from symflow.pde.laws.claims import Law
from symflow.pde.scores import ObservedJets, observed, observed_jets
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
        37,
        0.36,
    ),
    "Schrödinger": Task(
        "u_t = -0.5*(v_xx + v_yy) + (u**2 + v**2)*v; v_t = 0.5*(u_xx + u_yy) - (u**2 + v**2)*u",
        2,
        8,
        6,
        ".086 ± .013",
        31,
        0.3,
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


JET_MASS = "mass of jets"
THEIRS = {JET_MASS: "7; .092 ± .018"}  # of jets that are not here
NAMES = (*TASKS, JET_MASS, *ORBITS)


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


def null_space(
    data: Trajectories, degree: int, jets: ObservedJets | None = None, seed: int = 0
) -> tuple[int, Tensor, list[float]]:
    """How many polynomial fields, and their coefficients ``[columns, count]``; on jets of data, or of the equation."""
    equation, coordinates = data.equation, data_coordinates(data, periodic=False)
    library = polynomial_library(equation, degree, [])
    if jets is None:
        manifold = Manifold(equation)
        found = condition(equation, manifold.sample(JETS, seed), library, manifold.coordinates).null_space()
        ceiling = 1e-8
    else:
        found, ceiling = observed(jets, equation, library, coordinates), CEILING
    rank = gap_rank(found.values, EXACT, ceiling)
    return rank, found.vectors[..., :rank].flatten(0, 1), found.values[: rank + 1].tolist()


def jets_of(data: Trajectories, seed: int = 0) -> ObservedJets:
    jets = observed_jets(data, JETS, seed)
    assert jets is not None
    return jets


def distance(found: Tensor, true: Tensor) -> float:
    """The root of the sum of squared principal angles; a right angle for each dimension too few or too many."""
    missing = abs(found.shape[1] - true.shape[1]) * (math.pi / 2) ** 2
    angles = subspace_angles(found[:, :, None], true[:, :, None])
    return math.sqrt(float(angles.square().sum()) + missing)


def played(name: str, seed: int) -> dict[str, Any]:
    task = TASKS[name]
    start = time.perf_counter()
    data = made(task, seed)
    begin = time.perf_counter()
    jets = jets_of(data)
    count, _, values = null_space(data, 2, jets)
    affine, true = (null_space(data, 1, j)[1] for j in (jets, None))
    refit = fitted(data)
    apart_fitted = distance(null_space(refit, 1, jets_of(refit))[1], true)
    end = time.perf_counter()
    judged, wrong = gate(data), gate(stored_wrong(data))
    return {
        "found": count,
        "due": task.due,
        "due_by_count": null_space(data, 2)[0],
        "distance": distance(affine, true),
        "distance_fitted": apart_fitted,
        "values": values,
        "verdict": judged.verdict,
        "sentence": judged.sentence,
        "stored_wrong": wrong.sentence,
        "named": f"{(POINTS + 1) / POINTS:.6g} times" in wrong.sentence,
        "seconds": end - begin,
        "seconds_of_generation": begin - start,
        "processor_seconds": processor(),
        "peak_megabytes": peak(),
    }


def played_orbits(name: str, seed: int) -> dict[str, Any]:
    task = ORBITS[name]
    data = orbits(task, seed)
    begin = time.perf_counter()
    found = gate(data)
    refit = fitted(data)
    count, affine, values = null_space(refit, 1, jets_of(refit))
    true = null_space(data, 1)[1]
    return {
        "found": count,
        "due": true.shape[1],
        "distance_fitted": distance(affine, true),
        "values": values,
        "verdict": found.verdict,
        "sentence": found.sentence,
        "coefficients": [[c.name, c.claimed, c.estimate, c.lower, c.upper] for c in found.coefficients],
        "outside": sum(
            c.lower is not None and c.upper is not None and not c.lower <= c.claimed <= c.upper
            for c in found.coefficients
        ),
        "seconds": time.perf_counter() - begin,
        "processor_seconds": processor(),
        "peak_megabytes": peak(),
    }


def jets_of_particles(random: torch.Generator, count: int) -> Tensor:
    """Four-momenta ``(E, px, py, pz)`` of jets: sums of 5 to 40 massless ones within a cone, an energy of 1 each."""
    found = []
    for parts in torch.randint(5, 41, (count,), generator=random).tolist():
        axis, spread = torch.randn(1, 3, generator=random), 0.6 * torch.randn(parts, 3, generator=random)
        way = axis / axis.norm() + spread
        energy = torch.empty(parts, 1).exponential_(generator=random)
        p = energy * way / way.norm(dim=1, keepdim=True)
        found.append(torch.cat([energy.sum(0), p.sum(0)]) / parts)
    return torch.stack(found).double()


def played_jets(seed: int) -> dict[str, Any]:
    """Linear fields V with ``V m^2 = c m^2``: those that keep the quotients of the masses of two jets."""
    metric = torch.tensor([1.0, -1.0, -1.0, -1.0], dtype=torch.float64)
    momenta = jets_of_particles(torch.Generator().manual_seed(seed), 2 * JETS).unflatten(0, (-1, 2))

    def quotient(p: Tensor) -> Tensor:
        mass = (p.square() * metric).sum(-1)
        return (mass[:, 0] / mass[:, 1]).log()

    begin = time.perf_counter()
    found = discover(invariance(quotient, momenta), "linear")
    elapsed = time.perf_counter() - begin
    metric_ = metric.diag()
    units = torch.eye(16, dtype=torch.float64).reshape(16, 4, 4)
    # A^T g + g A = c g
    rows = units.mT @ metric_ + metric_ @ units
    rows = rows - (rows * metric_).sum((-2, -1), keepdim=True) / 4 * metric_
    true = torch.linalg.svd(rows.flatten(1).T).Vh[-7:].T
    matrices = found.field(torch.eye(4, dtype=torch.float64)) - found.field(torch.zeros(1, 4, dtype=torch.float64))
    spans = matrices.permute(2, 0, 1).flatten(0, 1)  # [component, variable] as A
    return {
        "found": found.rank,
        "due": 7,
        "clear": found.clear,
        "distance_fitted": distance(spans, true),
        "formulas": [g.formula for g in found.generators],
        "seconds": elapsed,
        "processor_seconds": processor(),
        "peak_megabytes": peak(),
    }


def processor() -> float:
    """Seconds of everything, the gate and the start of Python too, of all processes."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--one", nargs=2, metavar=("NAME", "SEED"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=RESULTS / "league.json")
    options = parser.parse_args()
    if options.one:
        name, seed = options.one
        one = (
            played_jets(int(seed))
            if name == JET_MASS
            else (played if name in TASKS else played_orbits)(name, int(seed))
        )
        print(json.dumps(one))
        return
    content: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    for name in options.only:
        content[name] = []
        for seed in range(options.seeds):  # each in a process of its own, whose memory is measured
            command = [sys.executable, __file__, "--one", name, str(seed)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            content[name].append(json.loads(done.stdout.splitlines()[-1]))
            write_results("league", {n: content[n] for n in NAMES if n in content}, options.out)
    print_table(HEADS, [row(name, content[name]) for name in options.only])


def mean_and_spread(numbers: list[float]) -> str:
    values = torch.tensor(numbers, dtype=torch.float64)
    spread = f" ± {float(values.std()):.1g}" if len(values) > 1 else ""
    return f"{float(values.mean()):.1g}{spread}"


def row(name: str, runs: list[dict[str, Any]]) -> tuple[object, ...]:
    def words(key: str) -> str:
        return ", ".join(sorted({str(r[key]) for r in runs if key in r}))

    def apart(key: str) -> str:
        return mean_and_spread([r[key] for r in runs]) if key in runs[0] else ""

    seconds, whole, memory = (
        max(r.get(key, 0.0) for r in runs) for key in ("seconds", "seconds_of_generation", "peak_megabytes")
    )
    named = f"named in {sum(r['named'] for r in runs)} of {len(runs)}" if name in TASKS else ""
    theirs = f"{TASKS[name].found}; {TASKS[name].distance}" if name in TASKS else THEIRS.get(name, "")
    return (
        name,
        words("due"),
        words("found"),
        apart("distance"),
        apart("distance_fitted"),
        theirs,
        words("verdict"),
        named,
        f"{seconds:.1f} + {whole:.1f}",
        f"{memory:.0f}",
    )


if __name__ == "__main__":
    main()
