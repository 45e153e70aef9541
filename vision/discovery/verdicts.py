"""What a discovery states of images, in the words of `symflow.discovery`."""

from __future__ import annotations

from symflow.discovery import DataVerdict


def data_verdict(valid: int, count: int) -> DataVerdict:
    """What images show: how many generators their features tolerate better than those of an untrained network."""
    reason = f"{valid} of {count} generators cost less than any motion for a network that has learned nothing"
    return DataVerdict("measured" if valid else "cannot be told", reason)


def generator_verdict(valid: bool, score: float) -> DataVerdict:
    """The same of one generator."""
    if valid:
        return DataVerdict("measured", figure=score)
    return DataVerdict("cannot be told", "a network that has learned nothing notices some motion as little", score)
