"""Augmentation of a file of trajectories into another, a few trajectories at a time."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from symflow import domains
from symflow.errors import UserError, check_integer, nearest
from symflow.fields import Field, SymbolicField
from symflow.runs import RESULT, load_field
from symflow.settings import with_settings

from ..equations import CATALOGUE, Entry, Equation, entry
from ..settings import Copies
from ..trajectories import AUGMENTATION, FORMAT, Trajectories, lay_out, load, reason, within
from .allowed import UNLESS, check_solve, keeping_grid
from .residuals import residuals
from .trajectories import TrajectoryAugment, seeded_weights, tabulated

if TYPE_CHECKING:
    import h5py

FEWEST = 60  # valid rows of the paper's 140 below which a moved trajectory is not kept
SHARE = 3 / 7  # the same for fewer rows
MEASURED = 32  # trajectories of which the measure and the units are taken
AT_ONCE = 1 << 22  # values of a chunk
_OPEN = -1.0  # residual of a trajectory that is still to be made; those that are made are at least 0 or NaN


@dataclass(frozen=True)
class Augmented:
    """What `augment_file` wrote, in numbers.

    Attributes:
        trajectories: in the file, the originals included.
        kept: how many moved ones are there; the others have too few valid rows and are their originals again.
        rows: share of valid rows among the moved ones that are kept.
        original: median of the residuals of the originals.
        moved: median of the residuals of the moved ones; NaN where there is none.
        ratio: median of the residual of a moved one over its original's.
    """

    trajectories: int
    kept: int
    rows: float
    original: float
    moved: float
    ratio: float


def generators_of(name: str | Path, data: Trajectories, learned: bool = False, unproved: bool = False) -> Field:
    """The field that a run directory or a name of the catalogue stands for.

    Closed forms are taken in the units of the data, so that a strength has one meaning wherever they come from; of
    algebras on the plane only what has the period of the data, the generators without x. Learned fields keep the units
    they were learned in.

    Args:
        name: of a run of ``symflow discover``, or of an equation.
        data: that are to be augmented.
        learned: the network's span instead of the closed forms of a run; a table of it, in float32.
        unproved: also what is not valid: learned fields, and generators without a proof.

    Raises:
        UserError: it is neither, the run has no such field, or it holds nothing that is valid.
    """
    if learned:
        if not unproved:
            raise UserError(f"`learned` fields are proved by nothing, so they are not valid for the data; {UNLESS}")
        return tabulated(load_field(Path(name) / "span.safetensors").double(), data).float()
    if Path(name).is_dir():
        return keeping_grid(_result(name).allowed(unproved), data, "`generators`")
    return keeping_grid(_entry(name).symmetries, data, repr(str(name)))


def to_solve(name: str | Path) -> Equation | None:
    """The equation that data must solve for such generators to be valid; ``None`` where they are trusted to."""
    if Path(name).is_dir():
        result = _result(name)
        return None if result.trusted else result.equation
    return _entry(name).equation


def _result(name: str | Path) -> Any:
    return domains.part("pde", "discovery").load_result(Path(name) / RESULT)


def _entry(name: str | Path) -> Entry:
    if str(name).lower() not in CATALOGUE:
        raise UserError(
            f"`generators` must be a run directory or one of {', '.join(CATALOGUE)}, got {str(name)!r}, "
            f"which is neither{nearest(str(name), CATALOGUE)}"
        )
    return entry(str(name))


@with_settings(Copies)
def augment_file(
    source: str | os.PathLike[str],
    generators: str | Path,
    out: str | os.PathLike[str],
    settings: Copies,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Augmented:
    """Writes trajectories and moved copies of them to an HDF5 file in the layout of `save`.

    Row ``copies s + c`` of ``u [sample, time, x]`` is copy c of trajectory s; copy 0 is the trajectory itself. Beside
    it: ``valid [sample, time]`` (0 or 1), ``source [sample]``, ``weights [sample, generator]`` of `TrajectoryAugment`
    and ``residual [sample]`` of `augmentation.residuals`, NaN where too few rows are valid. Rows that are not valid
    hold 0, since `load` takes finite values only. A copy of which fewer than 60 rows are valid (of fewer than 140
    rows: fewer than 3/7) is the original again, with weights 0, as in the paper.

    Weights depend on ``(seed, s, c)`` alone, and a trajectory on its weights: shards take different seeds. Measure and
    units are those of 32 trajectories from all over the file. Memory does not grow with the file. What is done lies in
    ``OUT.partial``, which takes its place when it is complete; what a kill leaves is continued to the same bits.

    Args:
        source: a file of `save`.
        generators: a run directory, or a name of the catalogue.
        out: the file to write; its folder must exist.
        settings: its fields are arguments of this function; see also `TrajectoryAugment` and `AugmentedTrajectories`.
        resume: continue ``OUT.partial``.
        overwrite: replace a file that is there, and begin anew where one was begun.
        progress: called with the fraction that is done.

    Raises:
        UserError: a file is missing, there already, or not what it should be; the generators are not valid for the data
            (`generators_of`, `allowed.check_solve`); the arguments of a file to resume differ; or the disk is full.
    """
    import h5py

    source, out = Path(source), Path(out)
    partial = out.with_name(out.name + ".partial")
    copies, strength, seed, learned = settings.copies, settings.strength, settings.seed, settings.learned
    for name, value, least in (("copies", copies, 1), ("seed", seed, 0)):
        check_integer(name, value, least)
    if not 0 <= strength < math.inf:
        raise UserError(f"`strength` must be a finite number of at least 0, got {strength}")
    _check_place(out, partial, resume, overwrite)
    data = _measured(source)
    field = generators_of(generators, data, learned, settings.unproved)
    equation = None if settings.unproved else to_solve(generators)
    try:
        augment = TrajectoryAugment(field, data, strength)
    except ValueError as error:
        raise UserError(str(error)) from None
    asked = {"generators": str(generators), "learned": learned, "copies": copies, "strength": strength, "seed": seed}
    asked |= {"unproved": settings.unproved, "identity": _identity(data, field)}
    try:
        with h5py.File(source, "r") as file:
            samples = file[data.fields[0]].shape[0]
            if not resume:  # what was begun has been asked
                if equation is not None:
                    check_solve(data, equation)
                _begin(partial, data, samples, field.generators, asked)
            with h5py.File(partial, "r+") as target:
                _check_begun(partial, target, _shapes(data, samples * copies, field.generators), asked)
                _fill(file, target, data, augment, copies, seed, progress)
                found = _summary(target, copies)
        partial.replace(out)
    except (OSError, RuntimeError) as error:  # HDF5 raises either when a write fails
        raise UserError(
            f"cannot write {partial}: {reason(error)}; `--resume` continues it once that is mended"
        ) from None
    return found


def _check_place(out: Path, partial: Path, resume: bool, overwrite: bool) -> None:
    if out.is_dir() or not out.parent.is_dir():
        raise UserError(f"`out` must be a file in a folder that exists, got {str(out)!r}")
    if resume and not partial.exists():
        raise UserError(f"there is no file {str(partial)!r} to resume")
    if out.exists() and not overwrite:
        raise UserError(f"`out` must be a new file, got {str(out)!r}, which exists; `--force` replaces it")
    if partial.exists() and not (resume or overwrite):
        raise UserError(f"{str(partial)!r} was begun and not finished; `--resume` continues it, `--force` begins anew")


def _measured(source: Path) -> Trajectories:
    """A few trajectories from all over the file."""
    import h5py

    first = load(source, samples=1)
    if taken := {"generator", "valid", "source", "weights", "residual"} & set(first.fields):
        raise UserError(f"{taken.pop()!r} of {str(source)!r} has a name that the file to be written needs")
    try:
        if not h5py.is_hdf5(source):
            raise KeyError
        with h5py.File(source, "r") as file:
            shape = first.values.shape[1:-1]
            if file.attrs.get("format") != FORMAT or any(file[name].shape[1:] != shape for name in first.fields):
                raise KeyError
            samples = file[first.fields[0]].shape[0]
            which = np.unique(np.linspace(0, samples - 1, min(samples, MEASURED)).round().astype(int))
            return _read(file, first, which.tolist())
    except KeyError:
        raise UserError(f"{str(source)!r} must be a file of `symflow generate` or `pde.save` to be augmented") from None


def _read(file: h5py.File, like: Trajectories, numbers: Sequence[int]) -> Trajectories:
    """The trajectories with these numbers in a file of `save`, on the grid of others of it."""
    fields = []
    for name in like.fields:
        values = file[name][slice(numbers.start, numbers.stop) if isinstance(numbers, range) else numbers]
        finite = np.isfinite(values).reshape(len(values), -1).all(1)
        if not finite.all():
            number = numbers[int(np.argmin(finite))]
            raise UserError(
                f"`{name}` of {str(file.filename)!r} must be finite, got a value that is not in trajectory {number}"
            )
        fields.append(torch.from_numpy(values.astype(np.float64)))
    return replace(like, u=torch.stack(fields, -1) if len(fields) > 1 else fields[0])


def _identity(data: Trajectories, field: Field) -> str:
    """Of what is moved and by what, as far as it is looked at before."""
    content = hashlib.sha256(f"{data.equation.text} {data.equation.parameters} {field.coordinates}".encode())
    for tensor in (*(axis.nodes for axis in data.axes), data.t, data.u):
        content.update(tensor.numpy().tobytes())
    if isinstance(field, nn.Module):
        for tensor in field.state_dict().values():
            content.update(tensor.numpy().tobytes())
    if isinstance(field, SymbolicField):
        content.update(str(field.components).encode())
    return content.hexdigest()


def _begin(partial: Path, data: Trajectories, samples: int, generators: int, asked: Mapping[str, Any]) -> None:
    """An empty file of the final size: from then on only numbers are written, so that a kill leaves it readable."""
    import h5py

    settings = {k: v for k, v in data.settings.items() if k != AUGMENTATION}
    about = replace(data, seed=None, settings=settings | {AUGMENTATION: dict(asked)})
    total = samples * int(asked["copies"])
    partial.unlink(missing_ok=True)
    with h5py.File(partial, "w") as file:
        shape = (total, *data.values.shape[1:-1])
        lay_out(file, about, total, *(file.create_dataset(name, shape, np.float64) for name in data.fields))
        file["generator"] = np.arange(generators)
        file["generator"].make_scale("generator")
        file.create_dataset("valid", (total, len(data.t)), np.uint8)
        file.create_dataset("source", data=np.arange(total) // int(asked["copies"]))
        file.create_dataset("weights", (total, generators), np.float64)
        file.create_dataset("residual", data=np.full(total, _OPEN))
        axes = {"valid": ("sample", "t"), "source": ("sample",), "weights": ("sample", "generator")}
        meanings = {
            "valid": "1 where the row is valid",
            "source": "number of the trajectory that was moved",
            "weights": "of the generators; zeros for an original",
            "residual": "relative RMS residual of the equation on valid rows",
        }
        for name, meaning in meanings.items():
            file[name].attrs["long_name"], file[name].attrs["units"] = meaning, "1"
            for axis, scale in enumerate(axes.get(name, ("sample",))):
                file[name].dims[axis].attach_scale(file[scale])


def _shapes(data: Trajectories, total: int, generators: int) -> dict[str, tuple[int, ...]]:
    """Of what is filled in."""
    fields = dict.fromkeys(data.fields, (total, *data.values.shape[1:-1]))
    return fields | {"valid": (total, len(data.t)), "weights": (total, generators), "residual": (total,)}


def _check_begun(
    partial: Path, target: h5py.File, shapes: Mapping[str, tuple[int, ...]], asked: Mapping[str, Any]
) -> None:
    """Refuses what an earlier call did not leave; nothing is written through links that lead out of the file."""
    try:
        earlier = json.loads(target.attrs["settings"])[AUGMENTATION]
        fits = all(
            within(target, name)
            and target[name].shape == shape
            and target[name].dtype == (np.uint8 if name == "valid" else np.float64)
            for name, shape in shapes.items()
        )
        if not fits or not isinstance(earlier, dict):
            raise KeyError
    except (KeyError, ValueError, TypeError, RecursionError):
        raise UserError(
            f"{str(partial)!r} must be what an earlier `symflow augment` left, got something else"
        ) from None
    differing = [k for k in asked if earlier.get(k) != asked[k]]
    if differing:
        raise UserError(
            f"{str(partial)!r} cannot be resumed: it was begun with "
            + ", ".join(
                "other data or generators" if k == "identity" else f"{k} = {earlier.get(k)!r} (now {asked[k]!r})"
                for k in differing
            )
        )


def _fill(
    file: h5py.File,
    target: h5py.File,
    data: Trajectories,
    augment: TrajectoryAugment,
    copies: int,
    seed: int,
    progress: Callable[[float], None] | None,
) -> None:
    samples = file[data.fields[0]].shape[0]
    made = (target["residual"][()] != _OPEN).reshape(samples, copies).all(1)
    done = int(np.logical_and.accumulate(made).sum())
    each = max(1, AT_ONCE // (copies * data.u[0].numel()))
    while done < samples:
        many = min(each, samples - done)
        originals = _read(file, data, range(done, done + many))
        parts = _moved(originals, augment, copies, seed, done)
        rows = slice(done * copies, (done + many) * copies)
        for name in parts:  # the last one says that the others are there
            target[name][rows] = parts[name]
            target.flush()
        done += many
        if progress is not None:
            progress(done / samples)


def _moved(
    originals: Trajectories, augment: TrajectoryAugment, copies: int, seed: int, first: int
) -> dict[str, np.ndarray]:
    """The rows of the file for some consecutive trajectories."""
    count, T = len(originals), len(originals.t)
    numbers = [(s, c) for s in range(count) for c in range(copies)]
    u = originals.u.repeat_interleave(copies, 0)
    valid = torch.ones(len(u), T, dtype=torch.bool)
    weights = torch.cat([seeded_weights(augment, seed, first + s, c) for s, c in numbers]).double()
    moved = torch.tensor([c > 0 for _, c in numbers])
    values, rows = augment.move(u[moved].to(augment.whitener), weights[moved])
    enough = rows.sum(1) >= min(FEWEST, math.ceil(SHARE * T))
    kept = moved.clone()
    kept[moved] = enough
    u[kept], valid[kept] = values[enough].double(), rows[enough]
    u.masked_fill_(~valid.view(*valid.shape, *[1] * (u.ndim - 2)), 0.0)
    weights[~kept] = 0.0
    made = {"valid": valid, "weights": weights, "residual": residuals(originals, u, valid)}
    values = u if len(originals.fields) > 1 else u[..., None]
    fields = dict(zip(originals.fields, values.unbind(-1), strict=True))
    return {name: tensor.numpy() for name, tensor in (fields | made).items()}


def _summary(target: h5py.File, copies: int) -> Augmented:
    residual, weights = target["residual"][()], target["weights"][()]
    kept = weights.any(1)
    valid = [int(target["valid"][i].sum()) for i in np.flatnonzero(kept)]
    rows = float(np.mean(valid)) / target["valid"].shape[1] if valid else math.nan
    own = np.repeat(residual[::copies], copies)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = residual / own
    return Augmented(len(residual), int(kept.sum()), rows, _median(own), _median(residual[kept]), _median(ratio[kept]))


def _median(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else math.nan
