"""What an equation is fitted to, and what is held out, on which all that is said of it rests."""

from __future__ import annotations

from dataclasses import replace

from ..trajectories import Trajectories


def split(data: Trajectories) -> tuple[Trajectories, Trajectories]:
    """What an equation is fitted to, and what is held out: the first half of the trajectories, and the others.

    Of a single trajectory the first two thirds of the times, and the later ones.
    """
    if len(data) > 1:
        return data[: (len(data) + 1) // 2], data[(len(data) + 1) // 2 :]
    first = -(-2 * len(data.t) // 3)
    return _times(data, slice(first)), _times(data, slice(first, None))


def _times(data: Trajectories, which: slice) -> Trajectories:
    missing = None if data.missing is None else data.missing[:, which]
    return replace(data, t=data.t[which], u=data.u[:, which], missing=missing)


def held_out(data: Trajectories) -> Trajectories:
    """The part of the data that their equation was not fitted to: all of them where it was given."""
    return split(data)[1] if data.settings.get("identified") else data


def parts(data: Trajectories) -> str:
    """`split` in words.

    >>> from symflow import pde
    >>> data = pde.generate("kdv", samples=3, seed=0, steps=20, keep=20, end=2.0, resolution=64)
    >>> parts(data)
    'fitted to the first 2 of 3 trajectories; all else rests on the other 1, counted from 0'
    """
    fitted, held = split(data)
    if len(data) > 1:
        return (
            f"fitted to the first {len(fitted)} of {len(data)} trajectories; all else rests on the other {len(held)}, "
            "counted from 0"
        )
    return f"fitted to the times up to {float(fitted.t[-1]):.4g}; all else rests on the later ones"
