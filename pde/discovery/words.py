"""A result in words, for a terminal and for the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symflow.discovery import Statement, counted, lines, statements
from symflow.formulas import format_generator, text_table

from ..approximation import words as nearby

if TYPE_CHECKING:
    from .result import Certified, Generator, NeuralSpan, Result

NOT_SOLVED = {
    "refuted": "these data do not solve it",
    "outliers": "these data solve it but for some trajectories",
    "cannot be told": "whether these data solve it cannot be told",
}

LEFT_OUT = "certificates and approximate symmetries were left out: they are known for one unknown u on a periodic line"


def text(result: Result) -> str:
    """All of it, as ``print`` shows it."""
    listed = ["", table(result)] if result.generators else []
    return "\n".join([*sentences(result), "", *lines(said(result)), *listed, *remarks(result)])


def headline(result: Result) -> str:
    """`sentences` on one line."""
    return " ".join(sentences(result))


def sentences(result: Result) -> list[str]:
    """What was studied, how many symmetries it has, and whether they are those of the data."""
    count, proved = (
        counted(result.rank, _families(result)),
        ", proved" if (result.rank or _families(result)) and all_proved(result) else "",
    )
    if vouched(result):
        where = _where(result, "with the period of the data")
        head = f"{result.samples} trajector{'y' if result.samples == 1 else 'ies'} of {result.equation.text}"
        return [f"{head}: {count} {where}{f'{proved} and {valid(result)}' if proved else _part(result)}"]
    where = _where(result, "with the period")
    if result.verdicts.data is None:
        return [f"{result.equation.text}: {count} {where}{proved}"]
    head = f"The equation {result.equation.text} has {count} {where}{proved}."
    return [head, f"{_capital(not_solved(result))}{_nothing(result)}."]


def _families(result: Result) -> int:
    """How many there are; which of their members keep a boundary is not asked."""
    return 0 if result.boundary else len(result.families)


def looked_for(result: Result) -> int:
    """How many fields null spaces and networks have to find: they know of periods and of no walls."""
    equation = result.verdicts.equation
    return result.rank if result.boundary is None or equation is None else equation.dimension


def _where(result: Result, period: str) -> str:
    return "that keep the boundary" if result.boundary else period if result.domain == "periodic" else "on the plane"


def title(result: Result) -> str:
    """The same for the head of a page, where the equation has a line of its own."""
    count = counted(result.rank, _families(result)).replace("symmetr", "continuous symmetr")
    count += " that keep the boundary" if result.boundary else ""
    proved = ", proved" if (result.rank or _families(result)) and all_proved(result) else ""
    if vouched(result):
        known = f"{proved} and {valid(result)}" if proved else _part(result)
        return f"{_capital(count)}{known}." if result.rank else "No continuous symmetry was found."
    if result.verdicts.data is None:
        return f"This equation has {count}{proved}."
    return f"The equation has {count}{proved}; {not_solved(result)}."


def vouched(result: Result) -> bool:
    """Whether the data solve the equation, or are trusted to."""
    said = result.verdicts.data
    return said is not None and (result.trusted or said.word == "measured")


def valid(result: Result) -> str:
    """For which data generators that are proved are valid."""
    return "valid for data that are trusted to solve it" if result.trusted else "valid for these data"


def _part(result: Result) -> str:
    """Where not all are proved."""
    proved = sum(g.verified for g in result.generators)
    return f", {proved} of them proved and {valid(result)}" if result.rank else ""


def not_solved(result: Result) -> str:
    """What is said of data that are not known to solve the equation, without the figures."""
    said, gate = result.verdicts.data, result.gate
    word = "cannot be told" if said is None else said.word
    return NOT_SOLVED["outliers" if gate is not None and gate.verdict == "outliers" else word]


def _nothing(result: Result) -> str:
    return "" if result.of_data else ": nothing is said of the data"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def all_proved(result: Result) -> bool:
    """Whether exact algebra proves every generator."""
    return all(g.verified for g in result.generators)


def said(result: Result) -> list[Statement]:
    """What is said of the equation, of the period and of the data, and on what it rests."""
    return statements(result.verdicts, keeps="keep the boundary" if result.boundary else "keep the period")


def table(result: Result) -> str:
    """The generators, each with its word at the levels that were asked."""
    levels = list(result.words(result.generators[0])) if result.generators else []
    rows = [[g.name, g.formula, *result.words(g).values()] for g in result.generators]
    return text_table(["", "generator", *levels], rows)


def checks(result: Result) -> list[str]:
    """What moving showed of generators where it informs: those without a proof, and checks of the code that failed."""
    return [line for g in result.generators if (line := checked(g))]


def checked(g: Generator) -> str:
    """One of them; empty for a generator that is proved and passes."""
    if g.verified and g.at_floor:
        return ""
    beside = f"floor {g.floor:.0e}, control {g.control:.0e}"
    figures = f"moved along it, the residual with u_t from the equation is {g.score:.0e} ({beside})"
    return f"{g.name} fails a check of the code: {figures}" if g.verified else f"{g.name} is not proved; {figures}"


def remarks(result: Result) -> list[str]:
    """What the count rests on, and what else was found."""
    lines = [
        "",
        f"null space: last value below the gap {result.nullspace.below:.0e}, first above {result.nullspace.above:.0e}",
    ]
    if result.truth is not None:
        lines[-1] += f"; largest angle to the known algebra {max(result.truth, default=0.0):.0e} rad"
    lines += [*checks(result), *_levels(result)]
    if result.first_order is not None:
        lines += result.first_order.lines()
    if result.neural is not None:
        lines += _without_library(result.neural, looked_for(result), bool(result.families))
    if result.identified:
        lines.append("the equation was not given: it was identified in the data, by fits in weak form")
        lines += _identified(result)
    if result.certificates is not None:
        lines += _certified(result.certificates)
    elif result.of_data and result.generators:
        lines.append(LEFT_OUT)
    if result.approximation is not None:
        lines += nearby.sentences(result.approximation, result.approximate, result.coordinates)
    if result.seconds:
        lines.append(f"all stages together: {sum(result.seconds.values()):.1f} s")
    return lines


def _identified(result: Result) -> list[str]:
    """Which part of the data an equation was fitted to, and what the other says of it."""
    found = result.identification
    if found is None:
        return []
    over = [] if found.over is None else found.over.lines([g.formula for g in result.generators])
    return [found.parts, *(d.sentence for d in found.drifts), *over]


def _without_library(neural: NeuralSpan, rank: int, infinite: bool) -> list[str]:
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
        others = "be a member of an infinite family" if infinite else "lie outside the library"
        lines.append(f"The two counts differ: a symmetry may {others}, or lie beyond the network.")
    return lines


def _levels(result: Result) -> list[str]:
    lines = []
    stable = result.verdicts.equation is None or result.verdicts.equation.stable
    if result.algebra is not None:
        lines.append(f"algebra: {result.algebra.sentence}")
    for family in result.families:
        many = f"{'and ' if result.rank else ''}infinitely many{' more' if result.rank else ''}"
        lines.append(f"{'of the equation, not asked at the boundary' if result.boundary else many}: {family.sentence}")
    if result.observed is not None:
        spectrum = result.observed.spectrum
        lines.append(
            f"with u_t from the data, off solutions: {spectrum.rank} fields, gap {spectrum.below:.0e} | "
            f"{spectrum.above:.0e}" + "".join(f"; angle to these {a:.0e} rad" for a in result.observed.angles[-1:])
        )
        more = max(spectrum.rank, result.nullspace.rank) > looked_for(result)
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
    where = "" if certified.left_out is None else f", smoothing leaving out {certified.left_out:.1g} of the energy of u"
    return [f"certificate: by these data alone, with {share}, no defect is above {max(bounds):.0e}{where}", *open_]
