"""A result in words, for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symflow.formulas import format_generator, text_table

if TYPE_CHECKING:
    from symflow.discovery import DataVerdict

    from .result import Certified, NeuralSpan, Result


def headline(result: Result) -> str:
    """What was studied, and how many symmetries it has."""
    source = f"{result.samples} trajectories of " if result.samples else ""
    where = "with the period of the data" if result.domain == "periodic" else "on the plane"
    count = "no symmetry" if result.rank == 0 else f"{result.rank} symmetr{'y' if result.rank == 1 else 'ies'}"
    said = result.verdicts.data
    if said is None or result.of_data:
        return f"{source}{result.equation.text}: {count} {where}"
    proved = ", proved" if result.rank and all(g.verified for g in result.generators) else ""
    return f"The equation {result.equation.text} has {count} {where}{proved}.\n{_of_the_data(said)}"


def _of_the_data(said: DataVerdict) -> str:
    """What is said of data that are not known to solve the equation."""
    sentence = said.reason[:1].upper() + said.reason[1:]
    return f"{sentence}: nothing is said of the data."


def table(result: Result) -> str:
    """The generators with their checks."""
    columns = ["", "generator", ">moved data", ">floor", ">control", "valid", "proof"]
    rows = [
        [
            g.name,
            g.formula,
            *(f"{v:.1e}" for v in (g.score, g.floor, g.control)),
            "yes" if g.valid else "no",
            "exact" if g.verified else "none",
        ]
        for g in result.generators
    ]
    return text_table(columns, rows)


def remarks(result: Result) -> list[str]:
    """What the table means, and all that it does not say."""
    lines = [
        "",
        "moved data: relative residual of the equation after a flow along the generator; floor: the same without",
        "the flow, plus the solver's error; control: the generator mixed with u^2 du, which must fail.",
        f"null space: last value below the gap {result.nullspace.below:.0e}, first above {result.nullspace.above:.0e}",
    ]
    if result.truth is not None:
        lines[-1] += f"; largest angle to the known algebra {max(result.truth, default=0.0):.0e} rad"
    lines += _levels(result)
    if result.neural is not None:
        lines += _without_library(result.neural, result.rank)
    said = result.verdicts.data
    if said is not None and result.of_data and said.reason:
        lines.append(said.reason)
    elif said is None and result.residual is not None:
        lines.append(f"the data solve the equation to {result.residual:.0e} (relative, u_t by differences)")
    if result.identified:
        lines.append("the equation was not given: it was fitted to the data (PySINDy's weak form)")
    if result.certificates is not None:
        lines += _certified(result.certificates)
    if result.seconds:
        lines.append(f"{sum(result.seconds.values()):.1f} s")
    return lines


def _without_library(neural: NeuralSpan, rank: int) -> list[str]:
    """What the network counts, and beside a count from the library whether they agree."""
    spectrum, from_data = neural.spectrum, "" if neural.misfit is None else ", u_t from the data"
    if neural.word == "cannot be told":
        return [f"network, without a library{from_data}: cannot be told; {neural.reason}"]
    measured = "measured " if neural.word == "measured" else ""
    lines = [
        f"network, without a library{from_data}: {measured}{spectrum.rank} symmetries, gap {spectrum.below:.0e} | "
        f"{spectrum.above:.0e}" + "".join(f"; angle to these {a:.0e} rad" for a in neural.agreement[-1:])
    ]
    if spectrum.rank != rank:
        lines.append("The two counts differ: a symmetry may lie outside the library, or beyond the network.")
    return lines


def _levels(result: Result) -> list[str]:
    lines = []
    equation, domain = result.verdicts.equation, result.verdicts.domain
    stable = equation is None or equation.stable
    if result.algebra is not None:
        lines.append(f"algebra: {result.algebra.sentence}")
    for family in result.families:
        conditions = "; ".join(f"{c} = 0" for c in family.conditions)
        lines.append(
            f"and infinitely many more: {family.formula} for every solution {' and '.join(family.functions)} of "
            f"{conditions}"
        )
    if not result.families and not stable:
        lines.append("the number of symmetries grows with the library: there may be infinitely many")
    if domain is not None and domain.lost:
        lines.append(f"symmetries of the equation that change the period: {'; '.join(domain.lost)}")
    if result.observed is not None:
        spectrum = result.observed.spectrum
        lines.append(
            f"with u_t from the data: {spectrum.rank} fields, gap {spectrum.below:.0e} | {spectrum.above:.0e}"
            + "".join(f"; angle to these {a:.0e} rad" for a in result.observed.angles[-1:])
        )
        more = spectrum.rank > result.rank or result.nullspace.rank > result.rank
        if more and not result.families and stable:
            lines.append("The data fill too little of jet space to exclude the fields beyond these.")
    named = [f"{g.name} = {format_generator(g.named)}" for g in result.generators if g.named != g.closed_form]
    if named:
        lines.append(f"for any value of the parameters: {'; '.join(named)}")
    return lines


def _certified(certified: Certified) -> list[str]:
    """What noisy, limited data certify, in a line or two."""
    if certified.reason:
        return [certified.reason]
    bounds = [c.delta for c in certified.certificates if c.delta is not None]
    open_ = [c.sentence for c in certified.certificates if c.delta is None]
    if not bounds:
        return open_
    share = f"probability {1 - certified.alpha:g}"
    return [f"certificate: by these data alone, with {share}, no defect is above {max(bounds):.0e}", *open_]
