"""What can be said of a discovery, and how: one question at three levels, each with one word.

- **equation**: true of all solutions; *proved* by exact algebra, or *found* in a null space and not proved.
- **domain**: what keeps this box, these walls, this span of time; *proved*, *found* or *refuted*.
- **data**: what these numbers show; *measured*, *refuted*, or *cannot be told*, with the reason.

The lines that people read are made here, so that a terminal, a page and a program are told the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Literal

WORDS = ("proved", "found", "measured", "cannot be told", "refuted")
"""What can be said of a level, from strong to weak."""


@dataclass(frozen=True)
class EquationVerdict:
    """What holds for all solutions.

    Attributes:
        word: "proved" where each generator follows by exact algebra, else "found".
        dimension: the number of generators; families that depend on arbitrary functions are counted by themselves.
        complete: whether a count says that there are no others, of whatever form.
        stable: whether the number stopped growing with the library of formulas, which is no proof of completeness, and
            nothing else speaks for infinitely many.
        missing: how many others there can be at most; ``None`` where no bound is known.
        searched: among which others were looked for; may be empty.
        families: how many families there are that depend on arbitrary functions.
        counted: the order up to which a count finds room for no other Taylor polynomials than those of the generators
            and families; ``None`` without families or count.
        left_out: what was not looked for to the end, because it is too much; may be empty.
    """

    word: Literal["proved", "found"]
    dimension: int
    complete: bool = False
    stable: bool = True
    missing: int | None = None
    searched: str = ""
    families: int = 0
    counted: int | None = None
    left_out: str = ""

    @property
    def count(self) -> str:
        """How many symmetries and families there are.

        >>> EquationVerdict("proved", 0, families=2).count, EquationVerdict("proved", 6, families=1).count
        ('2 infinite families of symmetries', '6 symmetries and 1 infinite family')
        """
        return counted(self.dimension, self.families)

    @property
    def reach(self) -> str:
        """Whether there are others, or how far they were looked for.

        >>> EquationVerdict("proved", 4, searched="polynomials of degree 4 in x, t, u").reach
        'no others among polynomials of degree 4 in x, t, u'
        >>> EquationVerdict("proved", 4, missing=1, left_out="not all powers of x were tried").reach
        'at most 1 of 5 not found in closed form, counted modulo a prime; not all powers of x were tried'
        """
        return self._reach + (f"; {self.left_out}" if self.left_out and not self.complete else "")

    @property
    def _reach(self) -> str:
        if self.counted is not None:
            return f"no others up to order {self.counted} of their Taylor polynomials, counted modulo a prime"
        if self.families and not self.stable:
            return "that there are no others is not proved"
        if self.complete:
            return "no others of any form, counted modulo a prime"
        if self.missing is not None:
            all_ = self.dimension + self.missing
            return f"at most {self.missing} of {all_} not found in closed form, counted modulo a prime"
        if not self.stable:
            return "where they end was not found: there may be infinitely many"
        return f"no others among {self.searched}" if self.searched else "that there are no others is not proved"


@dataclass(frozen=True)
class DomainVerdict:
    """What keeps the domain.

    Attributes:
        word: "proved" where each generator that keeps it follows by exact algebra, else "found".
        dimension: how many generators keep it.
        lost: those of the equation that do not, on one line each.
        families: and how many families do, with functions that do.
    """

    word: Literal["proved", "found", "refuted"]
    dimension: int
    lost: list[str]
    families: int = 0

    @property
    def count(self) -> str:
        """How many of them there are.

        >>> DomainVerdict("proved", 3, [], families=1).count, DomainVerdict("proved", 0, []).count
        ('3 of them and 1 infinite family', 'none of them')
        """
        several = f"{self.families} infinite famil{'ies' if self.families > 1 else 'y'}" if self.families else ""
        alone = f"{self.dimension or 'none'} of them" if self.dimension or not several else ""
        return " and ".join(part for part in (alone, several) if part)


@dataclass(frozen=True)
class DataVerdict:
    """What the numbers show, of all generators or of one.

    Attributes:
        word: "measured", "refuted", or "cannot be told".
        reason: of the word, in a sentence; may be empty.
        figure: what was measured, or ``None``: the relative residual of data in their equation, the score of a
            generator.
    """

    word: Literal["measured", "refuted", "cannot be told"]
    reason: str = ""
    figure: float | None = None


@dataclass(frozen=True)
class Verdicts:
    """One question at three levels; a level that was not asked is ``None``."""

    equation: EquationVerdict | None = None
    domain: DomainVerdict | None = None
    data: DataVerdict | None = None

    @property
    def word(self) -> str:
        """That of the weakest level that was asked.

        >>> Verdicts(EquationVerdict("proved", 4), data=DataVerdict("cannot be told", "too few times")).word
        'cannot be told'
        """
        asked = [level.word for level in (self.equation, self.domain, self.data) if level is not None]
        return max(asked, key=WORDS.index, default="cannot be told")

    @property
    def levels(self) -> dict[str, EquationVerdict | DomainVerdict | DataVerdict]:
        """The levels that were asked, by name."""
        asked = {"equation": self.equation, "domain": self.domain, "data": self.data}
        return {name: said for name, said in asked.items() if said is not None}


@dataclass(frozen=True)
class Statement:
    """A line of a result.

    Attributes:
        level: "equation", "domain" or "data".
        word: of the verdict.
        text: on what it rests.
    """

    level: str
    word: str
    text: str


def symmetries(count: int) -> str:
    """``no symmetry``, ``1 symmetry``, ``2 symmetries``."""
    return f"{count or 'no'} symmetr{'ies' if count > 1 else 'y'}"


def counted(count: int, families: int) -> str:
    """Symmetries beside infinite families of them."""
    if not families:
        return symmetries(count)
    several = f"{families} infinite famil{'ies' if families > 1 else 'y'}"
    return f"{symmetries(count)} and {several}" if count else f"{several} of symmetries"


def statements(verdicts: Verdicts, keeps: str = "keep the domain") -> list[Statement]:
    """What is said, level by level.

    Args:
        verdicts: of a result.
        keeps: what keeping the domain means.

    >>> for line in statements(Verdicts(EquationVerdict("proved", 4), DomainVerdict("proved", 3, ["x dx"]))):
    ...     print(line.level, line.word, line.text, sep=": ")
    equation: proved: 4 symmetries; that there are no others is not proved
    domain: proved: 3 of them keep the domain; lost: x dx
    """
    said = []
    if (equation := verdicts.equation) is not None:
        text = f"{equation.count}; {equation.reach}"
        said.append(Statement("equation", equation.word, text))
    if (domain := verdicts.domain) is not None:
        lost = f"; lost: {', '.join(domain.lost)}" if domain.lost else ""
        said.append(Statement("domain", domain.word, f"{domain.count} {keeps}{lost}"))
    if verdicts.data is not None:
        said.append(Statement("data", verdicts.data.word, verdicts.data.reason))
    return said


def lines(said: Sequence[Statement], width: int = 120) -> list[str]:
    """Statements for a terminal, in columns.

    >>> lines([Statement("data", "refuted", "they do not solve it"), Statement("domain", "found", "")])
    ['data     refuted   they do not solve it', 'domain   found']
    """
    level, word = (max((len(getattr(s, name)) for s in said), default=0) for name in ("level", "word"))
    found = []
    for s in said:
        head = f"{s.level:<{level}}   {s.word:<{word}}   "
        found += wrap(head + s.text, width, subsequent_indent=" " * len(head), break_on_hyphens=False) or [""]
    return [line.rstrip() for line in found]
