"""What a discovery states of images, in the words of `symflow.discovery`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from symflow.discovery import DataVerdict

UNTESTED = "the file is from before motions were judged on held-out images: discover again"
UNJUDGED = "it was not judged on held-out images yet"
UNLESS = "`unproved=True` (`--unproved`) allows those of which it cannot be told"

BY_AGREEMENT = "what two classifiers agree on less than their patches out of step do"
BY_COHERENCE = "the features less than their patches out of step do"


def data_verdict(
    said: Sequence[DataVerdict], names: Sequence[str], at_least: int, images: int, rule: str
) -> DataVerdict:
    """What images show of all motions together.

    Args:
        said: of every motion.
        names: of them.
        at_least: how many independent ones there are at least.
        images: how many were held out.
        rule: what was tested: `BY_AGREEMENT` or `BY_COHERENCE`.
    """
    words = [s.word for s in said]
    word: Literal["measured", "refuted", "cannot be told"] = "cannot be told"
    if "measured" in words:
        word = "measured"
    elif words and set(words) == {"refuted"}:
        word = "refuted"
    number = "no number of motions can be told that change"
    if at_least:
        number = f"at least {at_least} independent motion{'s change' if at_least > 1 else ' changes'}"
    reason = f"{number} {rule}, on {images:,} held-out images"
    refuted = [name for name, w in zip(names, words, strict=True) if w == "refuted"]
    return DataVerdict(word, reason + (f"; refuted: {', '.join(refuted)}" if refuted else ""))


def untold(reason: str) -> DataVerdict:
    """Nothing was tested."""
    return DataVerdict("cannot be told", reason)
