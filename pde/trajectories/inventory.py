"""What a file of data holds: fields, axes, how well the grid resolves them, and samples that look wrong; in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symflow.errors import UserError, check_integer, path_of
from symflow.formulas import Rows, Tabled, text_table

from .arranging import NEGLIGIBLE, closed, coordinate, meeting
from .axes import UNIFORM
from .layouts import ENOUGH, SAMPLE, TIME, Contents, Field, Wanted, read
from .layouts.labelled import from_xarray, is_dataset
from .resolution import MOST, rows_along, scale_of, tail_of

RESOLVED = 1e-6  # of the largest mode: above, the last modes of the spectrum hold something that others would miss
COARSE = 1e-3
UNLIKE = 10.0  # times the median: an outlier
CONSTANT = 1e-13


@dataclass(frozen=True)
class FieldFacts:
    """One field.

    Attributes:
        name, dims, shape, dtype: as in the file.
        low, high, mean, spread: of its real part.
        missing: share of values that are missing or not finite.
        imaginary: largest imaginary part over the largest real one, ``None`` for a real field.
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    low: float
    high: float
    mean: float
    spread: float
    missing: float
    imaginary: float | None


@dataclass(frozen=True)
class AxisFacts:
    """One axis.

    Attributes:
        name: in the file.
        nodes: how many.
        first, last: of the nodes; ``None`` where they are not stored.
        uniform: whether all spacings are alike; ``None`` where nodes are not stored.
        closed: whether the last node repeats the first.
        joined: whether the ends of the data meet; ``None`` for the times.
        said: whether the file says that the axis is periodic.
        tail: of the spectrum along the axis, its last eighth over its largest mode; on an axis that is not periodic,
            what interpolation from 4 nodes on either side misses, over the spread. The largest over the fields.
        scale: the wavelength in nodes above which 99.9 % of the variance lies, on a uniform axis; the smallest over
            the fields.
        roughest: of several fields the one whose tail it is.
        differ: whether trajectories have nodes of their own; the others are then told of the first.
    """

    name: str
    nodes: int
    first: float | None
    last: float | None
    uniform: bool | None
    closed: bool
    joined: bool | None
    said: bool | None
    tail: float | None
    scale: float | None
    roughest: str | None
    differ: bool = False


@dataclass(frozen=True)
class Inventory(Tabled):
    """What is in a file; ``print(inventory)`` says it in words.

    Attributes:
        source: the file's name.
        layout: whose it is.
        fields, axes: their facts.
        samples: trajectories that were read.
        parameters: numbers that the file gives names.
        equation: that the file names.
        guess: which equation it may be of, in words.
        constant, repeated, outliers: trajectories of one value; those that repeat an earlier one; and those whose
            spread or roughness is ten times, or a tenth of, that of most. At most the first 64 are looked at.
        notes: what was assumed or left out.
    """

    source: str
    layout: str
    fields: tuple[FieldFacts, ...]
    axes: tuple[AxisFacts, ...]
    samples: int
    parameters: Mapping[str, float]
    equation: str | None
    guess: str
    constant: tuple[int, ...]
    repeated: tuple[int, ...]
    outliers: tuple[int, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: what is not finite is ``None``."""
        found: dict[str, Any] = finite(asdict(self))
        return found

    def table(self) -> Rows:
        """The fields and what their values are like."""
        rows = [asdict(f) for f in self.fields]
        return Rows(list(rows[0]) if rows else [], [list(row.values()) for row in rows])

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a person should know of the data before anything is made of them."""
        found = list(self.notes)
        for a in self.axes:
            found += _of_axis(a)
        for f in self.fields:
            if f.missing:
                found.append(f"{f.missing:.2%} of the values of {f.name} are missing or not finite")
            if f.imaginary is not None:
                small = (
                    "which is rounding: the real part is taken" if f.imaginary <= NEGLIGIBLE else "two real unknowns"
                )
                found.append(
                    f"{f.name} is complex with an imaginary part of {f.imaginary:.1g} of the real one, {small}"
                )
        for which, what in (
            (self.constant, "nothing changes in"),
            (self.repeated, "an earlier trajectory is repeated by"),
            (self.outliers, "another size or roughness than most have"),
        ):
            if which:
                found.append(
                    f"{what} {'trajectory' if len(which) == 1 else 'trajectories'} {', '.join(map(str, which))}"
                )
        if self.equation is not None:
            found.append(f"the file says that the data solve {self.equation}")
        elif self.guess:
            found.append(f"the equation may be: {self.guess}")
        return tuple(found)

    def __str__(self) -> str:
        rows = [
            [f.name, " x ".join(f"{d} {n}" for d, n in zip(f.dims, f.shape, strict=True)), f.dtype]
            + [f"{v:.4g}" for v in (f.low, f.high, f.mean, f.spread)]
            for f in self.fields
        ]
        parts = [
            f"{self.source}: {self.layout}, {self.samples} {'trajectory' if self.samples == 1 else 'trajectories'}",
            "",
            text_table(["field", "over", "type", ">from", ">to", ">mean", ">spread"], rows),
        ]
        if self.parameters:
            parts += ["", ", ".join(f"{name} = {value:g}" for name, value in self.parameters.items())]
        return "\n".join([*parts, "", *self.sentences])


def finite(value: Any) -> Any:
    """The same without numbers that are not finite."""
    if isinstance(value, Mapping):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _of_axis(a: AxisFacts) -> list[str]:
    if a.first is None or a.last is None:
        return [f"{a.name}: {a.nodes} nodes, whose coordinates are not stored"]
    if a.nodes == 1:
        return [f"{a.name}: one node, {a.first:.6g}"]
    own = ", different ones for each trajectory, of the first" if a.differ else ""
    text = f"{a.name}: {a.nodes} nodes{own} from {a.first:.6g} to {a.last:.6g}"
    text += ", uniform" if a.uniform else ", not uniform"
    if a.name != TIME:
        if a.said is not None:
            text += f"; {'periodic' if a.said else 'open'}, the file says"
            text += (
                ""
                if a.joined is None or a.joined == a.said
                else ", but the ends of the data do not meet smoothly" * a.said
            )
        elif a.closed and a.joined:
            text += "; periodic, the last node repeats the first"
        elif a.joined is not None:
            text += (
                "; the ends of the data meet: periodic"
                if a.joined
                else "; the ends of the data do not meet smoothly: open"
            )
        else:
            text += "; whether the ends of the data meet cannot be told"
    if a.tail is not None and a.name != TIME:
        word = (
            "resolved" if a.tail <= RESOLVED else "nearly resolved" if a.tail <= COARSE else "under-resolved or noisy"
        )
        whose = f" of {a.roughest}" if a.roughest else ""
        text += f"; {word} (the smallest scales{whose} are {a.tail:.1g} of the largest)"
    if a.scale is not None:
        text += f"; 99.9 % of the variance at wavelengths above {a.scale:.3g} nodes"
    return [text]


def describe(
    source: Any,
    *,
    samples: int | None = None,
    group: str | None = None,
    fields: Mapping[str, str] | None = None,
    axes: Mapping[str, str] | None = None,
) -> Inventory:
    """What a file of data holds, whatever its layout, before an equation is named.

    Args:
        source: a path, or a Dataset or DataArray of xarray.
        samples: how many trajectories to read, from the first; by default all, or of more than 128 MB every n-th.
        group: of a file with several.
        fields, axes: names of unknowns and variables in a file of bare arrays, as of `load`.

    Raises:
        UserError: the file is missing, damaged, of an unknown layout or larger than the memory.

    >>> import tempfile
    >>> from pathlib import Path
    >>> x, t = np.arange(64) * (2 * np.pi / 64), np.linspace(0.0, 1.0, 20)
    >>> path = Path(tempfile.mkdtemp()) / "wave.npz"
    >>> np.savez(path, u=np.exp(np.sin(x - t[:, None])), x=x, t=t)
    >>> found = describe(path)
    >>> found.axes[1].joined, found.axes[1].tail < 1e-12
    (True, True)
    """
    if samples is not None:
        check_integer("samples", samples, 1)
    wanted = Wanted(samples, group, dict(fields or {}), dict(axes or {}), ENOUGH)
    if is_dataset(source):
        return _inventory("dataset", from_xarray(source, wanted))
    path = path_of("source", source)
    try:
        return _inventory(path.name, read(path, wanted))
    except UserError as error:
        raise type(error)(str(error) if str(path) in str(error) else f"{path}: {error}") from None


@np.errstate(all="ignore")  # numbers of strangers: what overflows is said as what it is
def _inventory(source: str, contents: Contents) -> Inventory:
    names = dict.fromkeys([TIME, *(d for f in contents.fields.values() for d in f.dims if d != SAMPLE)])
    counts = [f.values.shape[f.dims.index(SAMPLE)] for f in contents.fields.values() if SAMPLE in f.dims]
    constant, repeated, outliers = _strange(contents)
    about = contents.about
    return Inventory(
        source,
        contents.layout,
        tuple(_facts(name, f) for name, f in contents.fields.items()),
        tuple(found for name in names if (found := _axis(name, contents)) is not None),
        max(counts, default=1),
        dict(contents.parameters) or dict(about.get("parameters", {})),
        about.get("equation"),
        contents.guess,
        constant,
        repeated,
        outliers,
        contents.notes,
    )


def _facts(name: str, f: Field) -> FieldFacts:
    values = f.values
    gone = ~np.isfinite(values) if f.missing is None else f.missing | ~np.isfinite(values)
    kept = np.asarray(values.real[~gone], np.float64)
    low, high, mean, spread = (kept.min(), kept.max(), kept.mean(), kept.std()) if kept.size else [float("nan")] * 4
    imaginary = None
    if values.dtype.kind == "c" and kept.size:
        imaginary = float(np.abs(values.imag[~gone]).max() / (np.abs(kept).max() or 1.0))
    share = float(gone.mean()) if gone.size else 0.0
    low, high, mean, spread = map(float, (low, high, mean, spread))
    return FieldFacts(name, f.dims, values.shape, str(values.dtype), low, high, mean, spread, share, imaginary)


def _filled(f: Field) -> NDArray[np.float64] | None:
    """Real values; ``None`` where some are missing."""
    values = np.asarray(f.values.real, np.float64)
    return None if f.missing is not None or not np.isfinite(values).all() else values


def _axis(name: str, contents: Contents) -> AxisFacts | None:
    along = {field: f for field, f in contents.fields.items() if name in f.dims}
    if not along:
        return None
    one = next(iter(along.values()))
    count = one.values.shape[one.dims.index(name)]
    first = last = flat = None
    uniform = said = None
    differ = False
    if name in contents.axes:
        nodes, said = contents.axes[name].values, contents.axes[name].periodic
        try:
            flat = coordinate(nodes, name)
        except UserError:  # grids that differ from run to run
            flat, differ = nodes.reshape(-1, nodes.shape[-1])[0].astype(np.float64), True
        steps = np.diff(flat)
        first, last = float(flat[0]), float(flat[-1])
        uniform = bool(len(flat) < 3 or np.abs(steps / (steps.mean() or 1.0) - 1).max() <= UNIFORM)
    held = {field: r for field, f in along.items() if (r := rows_along(f, name)) is not None}
    whole = len(held) == len(along) and count > 2
    space = name != TIME
    closes = whole and space and all(closed(r, 2) for r in held.values())
    meets: bool | None = None
    if uniform is False:
        meets = False
    elif whole and space and None not in (found := [meeting(r, 2, closes) for r in held.values()]):
        meets = all(found)
    periodic = bool(meets if said is None else said)
    inner = {k: r[..., :-1] if closes and periodic else r for k, r in held.items()} if whole else {}
    places = None if uniform else flat
    tails = {k: tail for k, r in inner.items() if (tail := tail_of(r, periodic, places)) is not None}
    scales = [scale for r in inner.values() if periodic and (scale := scale_of(r)) is not None]
    roughest = max(tails, key=lambda k: tails[k]) if tails else None
    return AxisFacts(
        name,
        count,
        first,
        last,
        uniform,
        closes,
        meets if space else None,
        said,
        None if roughest is None else tails[roughest],
        min(scales, default=None),
        roughest if len(along) > 1 else None,
        differ,
    )


def _strange(contents: Contents) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Trajectories that do not change, repeat others, or are unlike most."""
    fields = [(f, _filled(f)) for f in contents.fields.values() if f.dims[:1] == (SAMPLE,)]
    looked = [v[:MOST] for _, v in fields if v is not None and v.ndim > 1]
    held = [v.reshape(len(v), -1) for v in looked]
    if not held:
        return (), (), ()
    together = np.concatenate(held, 1)
    low, high = together.min(1), together.max(1)
    still = [all(_flat(v[s]) for v in held) for s in range(len(together))]
    seen: dict[bytes, int] = {}
    again = []
    for s, row in enumerate(together):
        key = row.tobytes()
        if key in seen and not still[s]:
            again.append(s)
        seen.setdefault(key, s)
    rough = [np.square(np.diff(v, 4)).reshape(len(v), -1).mean(1) for v in looked if v.shape[-1] > 8]  # within rows
    figures = [np.maximum(high - low, 0), *map(np.sqrt, rough)]
    odd = set()
    for figure in figures:
        middle = float(np.median(figure))
        if middle > 0:
            odd |= {s for s in range(len(figure)) if not middle / UNLIKE <= figure[s] <= UNLIKE * middle}
    constant = [s for s, v in enumerate(still) if v]
    return tuple(constant), tuple(again), tuple(sorted(odd - set(constant)))


def _flat(row: NDArray[np.float64]) -> bool:
    return float(row.max() - row.min()) <= CONSTANT * float(np.abs(row).max())
