"""What each stage still tells of noisy, few, coarse and torn data.

    python benchmarks/noise.py [--quick] [--seeds N] [--page docs/noise.md] [--out FILE.json]

Data of five equations, white noise on u of 0 to 5 % of its standard deviation, 1 to 64 trajectories on the full grid,
and 16 on every second point in x, every second row in t, or without a fifth of the rows, drawn at random. Of each is
asked

- by the gate, whether they solve their equation, and whether they solve it with its last coefficient 2 % off;
- by the coefficients of the nearby terms (`pde.laws.certificates.dictionary`), which of them the equation has;
- by the certificates, how far the known symmetries can be from symmetries of the law of the data;
- by the observed null space, how many symmetries the jets of the data have, u_t taken from the data.

Cases that are in the result file are not computed again: a run that was stopped goes on. ``--page`` puts the tables
into the page and draws its figure beside it.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import torch
from _common import RESULTS, options, print_table, replace_table, write_results
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from verdicts import SETTINGS, changed, law_of

from symflow import pde
from symflow.errors import UserError
from symflow.pde import CATALOGUE, Trajectories
from symflow.pde.discovery.checks import POINTS, observed_null_space
from symflow.pde.discovery.sources import source_of
from symflow.pde.gate import gate
from symflow.pde.laws.regression import Coefficients
from symflow.pde.symmetries import Symmetries, prolongation, symmetries
from symflow.pde.weak import law

NOISES = (0.0, 1e-3, 1e-2, 5e-2)
MOST = 64
TORN = 0.2  # the share of rows that are missing
OFF = 0.02  # of a coefficient
TIGHT = 0.01  # a coefficient is known, and a bound is good


@dataclass(frozen=True)
class Shape:
    """How much of the data there is."""

    name: str
    samples: int
    of: Callable[[Trajectories], Trajectories] = lambda data: data


def torn(data: Trajectories) -> Trajectories:
    """Without a fifth of the rows; the first and the last stay."""
    inner = torch.randperm(len(data.t) - 2, generator=torch.Generator().manual_seed(7)) + 1
    ends = torch.tensor([0, len(data.t) - 1])
    left = torch.cat([ends, inner[int(TORN * len(data.t)) :]]).sort().values
    return replace(data, t=data.t[left], u=data.u[:, left])


SHAPES = (
    Shape("16 trajectories", 16),
    Shape("1 trajectory", 1),
    Shape("4 trajectories", 4),
    Shape("16, half the points in x", 16, lambda d: replace(d, x=d.x[::2], u=d.u[..., ::2])),
    Shape("16, half the rows in t", 16, lambda d: replace(d, t=d.t[::2], u=d.u[:, ::2])),
    Shape("16, a fifth of the rows missing", 16, torn),
    Shape("64 trajectories", MOST),
)


@cache
def made(name: str, seed: int) -> Trajectories:
    return pde.generate(name, MOST, seed, **SETTINGS[name])


@cache
def algebra_of(name: str) -> Symmetries:
    return symmetries(CATALOGUE[name].equation)


def drawn(name: str, seed: int, noise: float, shape: Shape) -> Trajectories:
    """The data; the noise of a seed is the same whatever is left of it."""
    data = made(name, seed)
    white = torch.randn(data.u.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + 1))
    loud = replace(data, u=data.u + noise * data.u.std() * white)
    return shape.of(loud[: shape.samples])


def case(name: str, seed: int, noise: float, shape: Shape) -> dict[str, Any]:
    """What every stage says of one data set."""
    begun = time.process_time()
    data = drawn(name, seed, noise, shape)
    right, claimed = gate(data), law_of(data)
    off = gate(changed(data, claimed.terms[-1], OFF * claimed.claimed[-1]))
    known = CATALOGUE[name].symmetries
    certified = pde.certify(data, known)
    return {
        "equation": name,
        "seed": seed,
        "noise": noise,
        "data": shape.name,
        "gate": right.verdict,
        "gate_reason": right.reason,
        "not_tested": list(right.not_tested),
        "gate_off": off.verdict,
        "off_not_tested": list(off.not_tested),
        **about_terms(data, certified.law),
        "bounds": [c.delta for c in certified.certificates],
        "growths": [c.growth_delta for c in certified.certificates],
        "certificate_reason": certified.reason,
        "left_out": certified.left_out,
        "observed": seen(name, data),
        "known": len(known),
        "cpu_seconds": time.process_time() - begun,
    }


def about_terms(data: Trajectories, fit: Coefficients | None) -> dict[str, Any]:
    """Whether the simultaneous intervals of nearby terms tell which the equation has, and how well they know those."""
    own = law(data.equation)
    if fit is None:
        return {"terms_found": False, "false_terms": [], "widest": None}
    present = {m for m, low, high in zip(fit.terms, fit.lower, fit.upper, strict=True) if low > 0 or high < 0}
    half = {m: float(h) for m, h in zip(fit.terms, (fit.upper - fit.lower) / 2, strict=True)}
    return {
        "terms_found": present == set(own),
        "false_terms": [str(m) for m in present - set(own)],
        "widest": max((half[m] / abs(c) for m, c in own.items() if m in half), default=None),
    }


def seen(name: str, data: Trajectories) -> int | None:
    """How many fields the jets of the data have; ``None`` where they are too few."""
    algebra = algebra_of(name)
    try:
        source = source_of(data, "plane")
        sample = source.sample(POINTS, 0, prolongation.needed(data.equation))
        found = observed_null_space(source, algebra, sample.points, "plane", sample.points, None, 0)
    except UserError:
        return None
    return found.spectrum.rank if found else None


# ---- what the cases come to -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Panel:
    """A question, and the answer of cases of one kind: shade from 0 (nothing) to 1 (all), and what is written."""

    title: str
    below: str
    shade: Callable[[Sequence[dict[str, Any]]], float]
    text: Callable[[Sequence[dict[str, Any]]], str]


def share(holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    def of(cases: Sequence[dict[str, Any]]) -> float:
        return sum(map(holds, cases)) / len(cases)

    return {"shade": of, "text": lambda cases: f"{sum(map(holds, cases))}/{len(cases)}"}


def worst(c: dict[str, Any]) -> float | None:
    """The largest bound, if all generators have one."""
    if not c["bounds"] or any(b is None for b in c["bounds"]):
        return None
    return float(max(c["bounds"]))


def middle(cases: Sequence[dict[str, Any]]) -> float | None:
    """The median of the largest bounds, those that are none being the largest."""
    found = sorted((worst(c) for c in cases), key=lambda v: float("inf") if v is None else v)
    return found[len(found) // 2]


def bound_text(cases: Sequence[dict[str, Any]]) -> str:
    found = middle(cases)
    return "none" if found is None else f"{found:.0e}".replace("e-0", "e-")


PANELS = (
    Panel("Do they solve\nmy equation?", "gate: solves", **share(lambda c: c["gate"] == "solves")),
    Panel("Is a coefficient\n2 % off noticed?", "gate: refuted", **share(lambda c: c["gate_off"] == "refuted")),
    Panel("Which terms has\nthe equation?", "nearby terms: right ones", **share(lambda c: c["terms_found"])),
    Panel(
        "How exact are\nits symmetries?",
        "certificate: median bound",
        shade=lambda cases: sum(v is not None and v <= TIGHT for v in map(worst, cases)) / len(cases),
        text=bound_text,
    ),
    Panel("How many\nare there?", "null space: the right number", **share(lambda c: c["observed"] == c["known"])),
)
ROWS = (
    "64 trajectories",
    "16 trajectories",
    "4 trajectories",
    "1 trajectory",
    "16, half the points in x",
    "16, half the rows in t",
    "16, a fifth of the rows missing",
)
INK, PAPER, DARK = "#1f2933", "#f4f1ea", "#1b6e6a"


def cell(cases: Sequence[dict[str, Any]], noise: float, data: str) -> list[dict[str, Any]]:
    return [c for c in cases if c["noise"] == noise and c["data"] == data]


def draw(cases: Sequence[dict[str, Any]], path: Path) -> None:
    """The figure: a panel for each question, noise to the right, data downwards."""
    colours = LinearSegmentedColormap.from_list("share", [PAPER, DARK])
    figure = Figure(figsize=(13.2, 4.4), dpi=160, facecolor="white")
    axes = figure.subplots(1, len(PANELS), sharey=True, gridspec_kw={"wspace": 0.06})
    for axis, panel in zip(axes, PANELS, strict=True):
        for (row, data), (column, noise) in product(enumerate(ROWS), enumerate(NOISES)):
            some = cell(cases, noise, data)
            if not some:
                continue
            shade = panel.shade(some)
            at = (column + 0.04, row + 0.05 + 0.25 * (row > 3))
            axis.add_patch(
                FancyBboxPatch(
                    at, 0.92, 0.9, boxstyle="round,pad=0,rounding_size=0.08", facecolor=colours(shade), linewidth=0
                )
            )
            axis.text(
                at[0] + 0.46,
                at[1] + 0.46,
                panel.text(some),
                ha="center",
                va="center",
                fontsize=8.5,
                color="white" if shade > 0.55 else INK,
            )
        axis.set_xlim(0, len(NOISES))
        axis.set_ylim(len(ROWS) + 0.3, 0)
        axis.set_xticks([i + 0.5 for i in range(len(NOISES))], [f"{100 * n:g} %" for n in NOISES])
        axis.set_yticks([i + 0.5 + 0.25 * (i > 3) for i in range(len(ROWS))], ROWS)
        axis.tick_params(length=0, labelsize=9, colors=INK)
        axis.set_title(panel.title, fontsize=10.5, color=INK, fontweight="bold", pad=22, linespacing=1.15)
        axis.text(0.5, 1.025, panel.below, transform=axis.transAxes, ha="center", fontsize=8.5, color="#5b6770")
        axis.set_xlabel("noise on u", fontsize=9, color=INK)
        for side in axis.spines.values():
            side.set_visible(False)
    figure.savefig(path, bbox_inches="tight", metadata={"Software": None})


def table(cases: Sequence[dict[str, Any]]) -> list[tuple[object, ...]]:
    """For every kind of data and noise, what each panel says."""
    return [
        (data, f"{100 * noise:g} %", *(panel.text(some) for panel in PANELS))
        for data in ROWS
        for noise in NOISES
        if (some := cell(cases, noise, data))
    ]


def by_equation(cases: Sequence[dict[str, Any]]) -> list[tuple[object, ...]]:
    """For every equation and noise, over all kinds of data."""
    return [
        (name, f"{100 * noise:g} %", *(panel.text(some) for panel in PANELS))
        for name in SETTINGS
        for noise in NOISES
        if (some := [c for c in cases if c["equation"] == name and c["noise"] == noise])
    ]


def mistakes(cases: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Answers that are wrong, not merely missing."""
    return {
        "cases": len(cases),
        "right data refuted": sum(c["gate"] == "refuted" for c in cases),
        "right data with outliers": sum(c["gate"] == "outliers" for c in cases),
        "2 % off solved, no coefficient named as not tested": sum(
            c["gate_off"] == "solves" and not c["off_not_tested"] for c in cases
        ),
        "terms that are not there": sum(bool(c["false_terms"]) for c in cases),
        "more symmetries than there are": sum((c["observed"] or 0) > c["known"] for c in cases),
    }


def main() -> None:
    parser = options(__doc__, "one seed, one equation")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--page", type=Path, help="the page to put the tables into; its figure is drawn beside it")
    parser.add_argument("--draw", action="store_true", help="compute nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    out = arguments.out or RESULTS / "noise.json"
    cases: list[dict[str, Any]] = json.loads(out.read_text())["cases"] if out.exists() else []
    done = {(c["equation"], c["seed"], c["noise"], c["data"]) for c in cases}
    names = list(SETTINGS)[:1] if arguments.quick else list(SETTINGS)
    wanted = product(range(1 if arguments.quick else arguments.seeds), SHAPES, names, NOISES)
    for seed, shape, name, noise in () if arguments.draw else wanted:
        if (name, seed, noise, shape.name) in done:
            continue
        cases.append(case(name, seed, noise, shape))
        print({k: v for k, v in cases[-1].items() if k != "gate_reason"}, flush=True)
        write_results("noise", {"mistakes": mistakes(cases), "cases": cases}, out)
    header = ("data", "noise", *(" ".join(panel.title.split()) for panel in PANELS))
    print_table(header, table(cases))
    print(mistakes(cases), f"{statistics.fmean(c['cpu_seconds'] for c in cases):.1f} s each")
    if arguments.page:
        draw(cases, arguments.page.with_suffix(".png"))
        replace_table(arguments.page, "by data", header, table(cases))
        replace_table(arguments.page, "by equation", ("equation", *header[1:]), by_equation(cases))


if __name__ == "__main__":
    main()
