"""What a discovery states of images, in the words of `symflow.discovery`."""

from __future__ import annotations

from symflow.discovery import DataVerdict

NO_RULE = "no rule says yet how little a motion must change for an image to stay valid"
UNLESS = "`unproved=True` (`--unproved`) allows it"


def data_verdict(learned: int, count: int) -> DataVerdict:
    """What images show: an order of motions, and which of them a network learned to tolerate; not which are valid."""
    return DataVerdict(
        "cannot be told",
        f"{NO_RULE}; {learned} of {count} motions cost less than any does for a network that has learned nothing",
    )


def generator_verdict(score: float) -> DataVerdict:
    """The same of one generator."""
    return DataVerdict("cannot be told", NO_RULE, score)
