"""How seconds and memory grow with the size of each stage's work: fitted exponents, one figure.

    python benchmarks/growth.py [--quick] [--only STAGE ...] [--out FILE.json] [--picture docs/growth.png]

A stage is made larger in one respect at a time, the others fixed, until it takes `LONGEST` seconds or fills its share
of the memory. Seconds are medians of three, in one process; the peak of memory is that of a process of its own beyond
what it holds before. The exponent is the slope of log seconds on log size over the upper half of the sizes, where
fixed costs no longer count: 1 is linear.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import (
    RESULTS,
    Call,
    child,
    median_seconds,
    options,
    peak_megabytes,
    print_peak,
    print_table,
    write_results,
)

from symflow import Coordinates, NeuralField, flow, warp
from symflow.pde import Trajectories, discover, generate
from symflow.pde.gate import gate
from symflow.pde.laws import certify

LONGEST = 8.0  # seconds of one call: no larger size after it
MOST_MEGABYTES = 6_000.0
SETTINGS = {"seed": 0, "steps": 60, "keep": 60, "end": 20.0, "resolution": 128}
TRANSLATIONS = [{"dx": "1"}, {"dt": "1"}]


def flow_of(points: int = 4096, steps: int = 8, generators: int = 4, width: int = 64) -> Call:
    field = NeuralField(Coordinates(("x", "t", "u")), generators, width=width)
    z, weights = torch.randn(1, points, 3), torch.ones(1, generators) / generators
    parameters = list(field.parameters())
    return lambda: torch.autograd.grad(flow(field, z, weights, steps=steps).sum(), parameters)


def warp_of(images: int = 64, side: int = 32) -> Call:
    pixels, grids = torch.randn(images, 3, side, side), torch.rand(images, 1, side, side, 2) * 2 - 1
    return lambda: warp(pixels, grids)


def data_of(samples: int = 8, rows: int = 60) -> Trajectories:
    settings: dict[str, Any] = SETTINGS | {"steps": rows, "keep": rows}
    few = generate("kdv", min(samples, 16), **settings)
    copies = -(-samples // len(few))  # the same trajectories again cost what others would
    return Trajectories(few.equation, few.x, few.t, few.u.repeat(copies, 1, 1)[:samples])


def generation_of(samples: int = 8) -> Call:
    return lambda: generate("kdv", samples, **SETTINGS)


def gate_of(samples: int = 8, rows: int = 60) -> Call:
    data = data_of(samples, rows)
    return lambda: gate(data)


def certificates_of(samples: int = 8) -> Call:
    data = data_of(samples)
    return lambda: certify(data, TRANSLATIONS)


def equation_of(order: int = 3, unknowns: int = 1, degree: int = 4) -> Call:
    high = "x" * order
    text = f"u_t + u*u_x + u_{high} = 0" if unknowns == 1 else f"u_t + u*v_x + u_{high} = 0; v_t + v*u_x + v_{high} = 0"
    return lambda: discover(text, network="none", degree=degree)


def network_of(unknowns: int = 1) -> Call:
    text = "u_t + u*u_x + u_xxx = 0" if unknowns == 1 else "u_t + u*v_x + u_xx = 0; v_t + v*u_x + v_xx = 0"
    return lambda: discover(text, network="solved")


@dataclass(frozen=True)
class Growth:
    """A stage, what grows, and its sizes from small to large."""

    stage: str
    what: str
    prepare: Callable[..., Call]
    sizes: tuple[int, ...]


GROWTHS = (
    Growth("flow, forward + backward", "points", flow_of, tuple(2**n for n in range(8, 21, 2))),
    Growth("flow, forward + backward", "steps", flow_of, (2, 4, 8, 16, 32, 64)),
    Growth("flow, forward + backward", "generators", flow_of, (1, 2, 4, 8, 16, 32)),
    Growth("flow, forward + backward", "width", flow_of, (16, 32, 64, 128, 256, 512, 1024)),
    Growth("warp", "images", warp_of, (1, 8, 64, 512, 4096)),
    Growth("warp", "side", warp_of, (16, 32, 64, 128, 256)),
    Growth("generate", "samples", generation_of, (1, 4, 16, 64, 256)),
    Growth("gate", "samples", gate_of, (4, 16, 64, 256, 1024)),
    Growth("gate", "rows", gate_of, (60, 120, 240, 480, 960)),
    Growth("certificates", "samples", certificates_of, (8, 32, 128, 512)),
    Growth("equation", "order", equation_of, (2, 3, 4, 5)),
    Growth("equation", "degree", equation_of, (2, 3, 4, 5, 6)),
    Growth("equation", "unknowns", equation_of, (1, 2)),
    Growth("network", "unknowns", network_of, (1, 2)),
)


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The slope of log value on log size over the upper half."""
    upper = slice(len(sizes) // 2 if len(sizes) > 2 else 0, None)
    return float(np.polyfit(np.log(sizes[upper]), np.log(values[upper]), 1)[0])


def measured(growth: Growth, sizes: Sequence[int]) -> dict[str, Any]:
    seconds, peaks, reached = [], [], []
    for size in sizes:
        taken, _ = median_seconds(growth.prepare(**{growth.what: size}), repeats=3)
        peak = peak_megabytes(GROWTHS.index(growth), size)
        seconds.append(taken)
        peaks.append(peak)
        reached.append(size)
        if taken > LONGEST or (peak or 0.0) > MOST_MEGABYTES:
            break
    return {
        "stage": growth.stage,
        "what": growth.what,
        "sizes": reached,
        "seconds": seconds,
        "peak_mb": peaks,
        "exponent": exponent(reached, seconds) if len(reached) > 1 else None,
        "memory_exponent": exponent(reached, [max(p, 0.1) for p in peaks])
        if len(reached) > 1 and all(p is not None for p in peaks)
        else None,
    }


def draw(results: Sequence[dict[str, Any]], path: Path) -> None:
    """A panel for each growth: seconds, and megabytes in grey, with their fitted exponents."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    columns = 4
    rows = math.ceil(len(results) / columns)
    figure = Figure(figsize=(3.1 * columns, 2.3 * rows), dpi=110, layout="constrained")
    panels = list(figure.subplots(rows, columns).flat)
    for panel, r in zip(panels, results, strict=False):
        sizes = r["sizes"]
        for ax, values, colour, unit, power in (
            (panel, r["seconds"], "#2166ac", "s", r["exponent"]),
            (panel.twinx(), [max(p, 0.1) for p in r["peak_mb"]], "#8c8c8c", "MB", r["memory_exponent"]),
        ):
            ax.loglog(sizes, values, "o-", color=colour, ms=3, lw=1.2)
            ax.set_xlim(sizes[0] / 1.2, sizes[-1] * 1.2)
            ax.set_ylim(min(values) / 1.3, max(values) * 1.3)
            for axis, ticks, of in (
                (ax.xaxis, [sizes[0], sizes[-1]], ""),
                (ax.yaxis, [min(values), max(values)], unit),
            ):
                axis.set_minor_locator(NullLocator())
                axis.set_ticks(ticks, [f"{v:,.0f} {of}" if v >= 100 or not of else f"{v:.2g} {of}" for v in ticks])
            ax.tick_params(axis="y", labelsize=7, colors=colour)
            ax.tick_params(axis="x", labelsize=7)
            ax.spines[["top"]].set_visible(False)
            height = 0.9 if unit == "s" else 0.78
            ax.text(0.04, height, f"{unit}: size$^{{{power:.1f}}}$", color=colour, fontsize=8, transform=ax.transAxes)
        panel.set_title(f"{r['stage']}: {r['what']}", fontsize=8.5)
    for ax in panels[len(results) :]:
        ax.set_axis_off()
    figure.savefig(path, metadata={"Software": None})


def main() -> None:
    parser = options(__doc__, "three sizes of each")
    parser.add_argument("--picture", type=Path, help="where to draw the figure")
    parser.add_argument("--only", nargs="+", metavar="STAGE", help="measure these again and keep the others")
    arguments = parser.parse_args()
    path = arguments.out or RESULTS / "growth.json"
    kept = json.loads(path.read_text())["growths"] if path.exists() and arguments.only else []
    found = {(r["stage"], r["what"]): r for r in kept}
    for growth in GROWTHS:
        if not arguments.only or growth.stage in arguments.only:
            sizes = growth.sizes[:3] if arguments.quick else growth.sizes
            found[growth.stage, growth.what] = measured(growth, sizes)
            write_results("growth", {"growths": list(found.values())}, path)  # what is measured is not lost
    results = [found[g.stage, g.what] for g in GROWTHS if (g.stage, g.what) in found]

    def shown(value: float | None) -> str:
        return "" if value is None else f"{value:.2f}"

    print_table(
        ("stage", "grows with", "from", "to", "s", "exponent", "MB", "exponent"),
        [
            (
                r["stage"],
                r["what"],
                r["sizes"][0],
                r["sizes"][-1],
                f"{r['seconds'][-1]:.3g}",
                shown(r["exponent"]),
                shown(r["peak_mb"][-1]),
                shown(r["memory_exponent"]),
            )
            for r in results
        ],
    )
    if arguments.picture is not None:
        draw(results, arguments.picture)


if __name__ == "__main__":
    if (words := child()) is not None:
        growth, size = GROWTHS[int(words[0])], int(words[1])
        print_peak(growth.prepare(**{growth.what: growth.sizes[0]}), lambda: growth.prepare(**{growth.what: size}))
    else:
        main()
