"""The known symmetry algebras of ``algebras.json``, found again from the equations alone.

Every equation runs with the same settings, the defaults. What is found is compared with what is known: the dimension of
the finite part, the largest principal angle between both spans on fresh points, and whether every generator was read
out and proven. Known non-symmetries must fail the proof and lie outside the span.

Where there is a solver, the data are asked as well, with noise on u and u_t from the data: how many fields they show,
the angle of those to the known algebra, and what they certify. Last, the span that the network learns with the period
of x.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from _common import machine, print_table, write_results

from symflow import Coordinates, SymbolicField, principal_angles
from symflow.algebra import readout
from symflow.formulas import expressions
from symflow.pde import CATALOGUE, Equation, Result, Trajectories, discover, generate
from symflow.pde.symmetries import prolongation
from symflow.pde.symmetries.algebra import Symmetries, symmetries

FILE = Path(__file__).with_name("algebras.json")
QUICK = ("KdV", "heat", "2D Allen-Cahn")
QUICK_DATA = ("ckdv",)
SAMPLES = 16
NOISE = (0.0, 1e-3, 1e-2)  # standard deviations, relative to that of u
FRESH = 1_000  # points on which spans are compared
OUTSIDE = 1e-3  # radians between the span and a field that is no symmetry
DATA_HEADER = ("equation", "noise", "fields", "known", "angle", "certified", "not certified", "s")
NEURAL_HEADER = ("equation", "fields", "known", "angle", "to the formulas", "s")
HEADER = ("equation", "dimension", "known", "superposition", "verified", "angle", "of null space", "rejected", "s")


@dataclass(frozen=True)
class Known:
    """An entry of `FILE`."""

    name: str
    equation: Equation
    generators: tuple[Mapping[str, str], ...]
    non_symmetries: tuple[Mapping[str, str], ...]
    superposition: Mapping[str, str] | None

    @classmethod
    def read(cls, path: Path = FILE) -> list[Known]:
        """All entries, in their order."""
        return [
            cls(
                entry["name"],
                Equation(entry["equation"], **entry.get("parameters", {})),
                tuple(entry["generators"]),
                tuple(entry.get("non_symmetries", ())),
                entry.get("superposition"),
            )
            for entry in json.loads(path.read_text())["equations"]
        ]


def fresh(coordinates: Coordinates) -> torch.Tensor:
    """Points of the unit cube that no search has seen."""
    generator = torch.Generator().manual_seed(20_240)
    return torch.rand(FRESH, len(coordinates.names), generator=generator, dtype=torch.float64)


def as_field(coordinates: Coordinates, forms: Sequence[Mapping[str, Any]]) -> SymbolicField:
    return SymbolicField(coordinates, [{key: str(f) for key, f in form.items()} for form in forms])


def angle(found: Symmetries, known: Sequence[Mapping[str, str]]) -> float:
    """The largest principal angle between closed forms and known generators; a right angle without closed forms."""
    if not found.forms:
        return math.pi / 2
    a, b = as_field(found.coordinates, found.forms), as_field(found.coordinates, known)
    return float(principal_angles(a, b, fresh(found.coordinates)).max())


def angle_of_null_space(found: Symmetries, known: Sequence[Mapping[str, str]]) -> float:
    """The same for the null space before anything is rounded; it holds superposed solutions as well."""
    null, coordinates = found.condition.null_space(), found.coordinates
    if found.rank == 0:
        return math.pi / 2

    def span(points: torch.Tensor) -> torch.Tensor:
        return null.fields(points, found.rank, coordinates)

    return float(principal_angles(span, as_field(coordinates, known), fresh(coordinates)).max())  # type: ignore[arg-type]


def rejected(found: Symmetries, form: Mapping[str, str]) -> bool:
    """Whether a field is neither proven nor in the span."""
    space = found.equation.space
    names = dict(zip(space.names, space.variables, strict=True))
    exact = {f"d{name}": expressions.parse(form.get(f"d{name}", "0"), names) for name in space.names}
    return not prolongation.is_symmetry(found.equation, exact) and angle(found, [form]) > OUTSIDE


def at_equation_level(known: Known) -> dict[str, Any]:
    """What is found from random jets on the equation's manifold, and how it compares; JSON-ready."""
    begun, used = time.perf_counter(), time.process_time()
    found = symmetries(known.equation)
    seconds, used = time.perf_counter() - begun, time.process_time() - used
    return {
        "equation": known.name,
        "formula": known.equation.text,
        "dimension": len(found.forms),
        "known": len(known.generators),
        "counts": found.counts,
        "stable": found.stable,
        "superposition": found.superposition and found.superposition.to_dict(),
        "superposition_known": known.superposition,
        "generators": [{k: str(f) for k, f in form.items()} for form in found.named],
        "verified": sum(found.verified),
        "closed": readout.structure_constants(found.forms) is not None,
        "values": found.values[max(found.rank - 1, 0) : found.rank + 1].tolist(),
        "angle": angle(found, known.generators),
        "angle_of_null_space": angle_of_null_space(found, known.generators),
        "rejected": [rejected(found, form) for form in known.non_symmetries],
        "seconds": seconds,
        "cpu_seconds": used,
    }


def row(run: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        run["equation"],
        run["dimension"],
        run["known"],
        "; ".join(run["superposition"]["condition"]) if run["superposition"] else "",
        f"{run['verified']} of {run['dimension']}",
        f"{run['angle']:.0e}",
        f"{run['angle_of_null_space']:.0e}",
        f"{sum(run['rejected'])} of {len(run['rejected'])}" if run["rejected"] else "",
        f"{run['seconds']:.1f}",
    )


def with_noise(data: Trajectories, level: float) -> Trajectories:
    generator = torch.Generator().manual_seed(1)
    normal = torch.randn(data.u.shape, generator=generator, dtype=torch.float64)
    return replace(data, u=data.u + level * data.u.std() * normal)


def at_data_level(name: str, data: Trajectories, level: float) -> dict[str, Any]:
    """What noisy data show with u_t from the data, and what they certify; JSON-ready."""
    begun = time.perf_counter()
    result = discover(with_noise(data, level), domain="plane", network="none")
    known = CATALOGUE[name].symmetries
    seen, certificates = result.observed, result.certificates
    assert seen is not None  # these data have times enough
    assert certificates is not None
    field = as_field(result.coordinates, known)
    exact = float(principal_angles(result.symbolic_field, field, fresh(result.coordinates)).max())
    bounds = [c.delta for c in certificates.certificates]
    return {
        "equation": name,
        "noise": level,
        "fields": seen.spectrum.rank,
        "known": len(known),
        "values": seen.spectrum.values[max(seen.spectrum.rank - 1, 0) : seen.spectrum.rank + 1],
        "angle": max([exact, *seen.angles]) if seen.spectrum.rank == len(known) == result.rank else math.pi / 2,
        "certified": [b for b in bounds if b is not None],
        "not_certified": sum(b is None for b in bounds),
        "reason": certificates.reason,
        "seconds": time.perf_counter() - begun,
    }


def learned(name: str, data: Trajectories) -> dict[str, Any]:
    """The span that the network learns with the period of the data; JSON-ready."""
    begun = time.perf_counter()
    result: Result = discover(data, domain="periodic", network="trained")
    assert result.neural is not None
    return {
        "equation": name,
        "fields": result.neural.spectrum.rank,
        "known": result.rank,
        "angle": max(result.neural.principal_angles),
        "agreement": max(result.neural.agreement),
        "seconds": time.perf_counter() - begun,
    }


def data_row(run: Mapping[str, Any]) -> tuple[object, ...]:
    certified = f"{max(run['certified']):.0e}" if run["certified"] else run["reason"]
    angle = f"{run['angle']:.0e}"
    return (
        run["equation"],
        f"{100 * run['noise']:g} %",
        run["fields"],
        run["known"],
        angle,
        certified,
        run["not_certified"],
        f"{run['seconds']:.1f}",
    )


def neural_row(run: Mapping[str, Any]) -> tuple[object, ...]:
    angles = (f"{run[key]:.0e}" for key in ("angle", "agreement"))
    return (run["equation"], run["fields"], run["known"], *angles, f"{run['seconds']:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=", ".join(QUICK))
    parser.add_argument("--out", type=Path, help="where to write the JSON")
    arguments = parser.parse_args()
    chosen = [known for known in Known.read() if not arguments.quick or known.name in QUICK]
    symmetries(chosen[0].equation)  # imports and first calls
    load = os.getloadavg()[0]
    runs = [at_equation_level(known) for known in chosen]
    print_table(HEADER, [row(run) for run in runs])
    names = QUICK_DATA if arguments.quick else tuple(CATALOGUE)
    data = {name: generate(name, SAMPLES, seed=0) for name in names}
    shown = [at_data_level(name, data[name], level) for name in names for level in NOISE]
    print_table(DATA_HEADER, [data_row(run) for run in shown])
    spans = [learned(name, data[name]) for name in names]
    print_table(NEURAL_HEADER, [neural_row(run) for run in spans])
    print(f"load of the machine at the start: {load:.1f}")
    about = {"machine": machine() | {"load": load}, "samples": SAMPLES}
    levels = {"equation_level": runs, "data_level": shown, "neural": spans}
    write_results("algebras", about | levels, arguments.out)


if __name__ == "__main__":
    main()
