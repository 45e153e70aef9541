"""Of data that are larger than what is wanted in memory, every n-th trajectory is read, and the others are not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from command_line import symflow
from layouts import TRAVEL, T, grid, holds, wave
from symflow.errors import UserError
from symflow.pde import describe, load
from symflow.pde.trajectories import Trajectories, save

X = grid(32)
MANY = 40
U = wave(X, samples=MANY)
FIT = 10 * U[0].nbytes  # ten trajectories


def own(path: Path) -> None:
    save(Trajectories(TRAVEL, X, T, U), path)


def arrays(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.update({"u": U, "x": X, "t": T})


def tensor(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.update({"tensor": U, "x-coordinate": X, "t-coordinate": T})


def runs(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for i, u in enumerate(U):
            file[f"{i:04d}/data"] = u[..., None]
            file[f"{i:04d}/grid/x"], file[f"{i:04d}/grid/t"] = X, T


def well(path: Path) -> None:
    with h5py.File(path, "w") as file:
        dimensions, fields = file.create_group("dimensions"), file.create_group("t0_fields")
        dimensions["x"], dimensions["time"] = X, T
        dimensions.attrs["spatial_dims"], fields.attrs["field_names"] = ["x"], ["u"]
        fields["u"] = U


def lpsda(path: Path) -> None:
    with h5py.File(path, "w") as file:
        group = file.create_group("train")
        group["pde_21-32"] = U
        group["x"], group["t"] = np.tile(X, (MANY, 1)), np.tile(T, (MANY, 1))


def stored(path: Path) -> None:
    np.savez(path, u=U, x=X, t=T)


def deflated(path: Path) -> None:
    np.savez_compressed(path, u=U, x=X, t=T)


def columns_first(path: Path) -> None:
    np.savez(path, u=np.asfortranarray(U), x=X, t=T)


WRITERS = [own, arrays, tensor, runs, well, lpsda, stored, deflated, columns_first]


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_every_nth_of_many(write, tmp_path):
    path = tmp_path / ("a.npz" if write in (stored, deflated, columns_first) else "a.h5")
    write(path)
    period = None if write is runs else 2 * np.pi  # as that layout says
    data = load(path, TRAVEL, most=FIT)
    holds(data, U[::4], [period])
    assert "one trajectory in 4 was read: 10 of 40" in data.settings["notes"]
    holds(load(path, TRAVEL, most=FIT, samples=3), U[:3], [period])  # what is asked for goes before
    whole = load(path, TRAVEL, most=U.nbytes)
    holds(whole, U, [period])
    assert not any("was read" in note for note in whole.settings.get("notes", ()))


def test_arrays_that_are_mapped(tmp_path):
    np.save(tmp_path / "u.npy", U)
    data = load(u=np.load(tmp_path / "u.npy", mmap_mode="r"), x=X, t=T, equation=TRAVEL, most=FIT)
    holds(data, U[::4], [2 * np.pi])
    with pytest.raises(UserError, match=r"one array of shape \[40, 21, 32\] without coordinates"):
        load(tmp_path / "u.npy", TRAVEL)


def test_samples_are_those_of_the_axis_of_trajectories(tmp_path):
    """One trajectory in a file of bare arrays has its times in the first place."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.update({"u": U[0], "x": X, "t": T})
    holds(load(tmp_path / "a.h5", TRAVEL, samples=1), U[:1], [2 * np.pi])


POINTS, TIMES, HELD = 256, 101, 2000
EACH = 8 * POINTS * TIMES  # 0.2 MB: the file declares 0.4 GB
SOLUTION = f"""
import numpy as np
x, t = np.arange({POINTS}) * (2 * np.pi / {POINTS}), np.linspace(0.0, 1.0, {TIMES})
waves = lambda s: np.exp(np.sin(x - t[:, None] + s)) + 0.3 * np.cos(2 * (x - t[:, None]) - 3 * s)
"""


def sparse_hdf5(path: Path, name: str, places: dict[str, str], step: int) -> None:
    """A file whose trajectories are holes but for every n-th."""
    about: dict = {}
    exec(SOLUTION, about)
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple((HELD, TIMES, POINTS))
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        h5py.h5d.create(file.id, name.encode(), h5py.h5t.IEEE_F64LE, space, how)
        for s in range(0, HELD, step):
            file[name][s] = about["waves"](s)
        for axis, called in places.items():
            file[called] = about[axis]


def sparse_npy(path: Path, step: int) -> None:
    about: dict = {}
    exec(SOLUTION, about)
    held = np.lib.format.open_memmap(path, "w+", np.float64, (HELD, TIMES, POINTS))
    for s in range(0, HELD, step):
        held[s] = about["waves"](s)
    held.flush()


@pytest.mark.parametrize("layout", ["arrays", "PDEBench", "npy"])
def test_memory_does_not_grow_with_the_file(layout, tmp_path):
    step, most = 100, 20 * EACH
    path = tmp_path / "a"
    if layout == "npy":
        sparse_npy(path, step)
        how = "u=np.load(sys.argv[1], mmap_mode='r'), x=x, t=t, "
    elif layout == "arrays":
        sparse_hdf5(path, "u", {"x": "x", "t": "t"}, step)
        how = "sys.argv[1], "
    else:
        sparse_hdf5(path, "tensor", {"x": "x-coordinate", "t": "t-coordinate"}, step)
        how = "sys.argv[1], "
    script = f"""{SOLUTION}
import resource, sys
import h5py
from symflow.pde import Equation, load
equation = Equation("u_t + u_x = 0")
load(u=np.stack([waves(0)]), x=x, t=t, equation=equation)  # what the first call imports
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
data = load({how}equation=equation, most={most})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, len(data), float(data.u.std(dim=(1, 2)).min()))
"""
    found = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    grown, samples, least = found.stdout.split()
    assert int(samples) == 20
    assert float(least) > 0.1  # no hole among them
    assert int(grown) * 1024 < 10 * most < HELD * EACH / 9


def test_questions_about_a_part(tmp_path, monkeypatch):
    """Audit, discovery and description of a file that is larger than what they look at."""
    for module in ("symflow.pde.trajectories", "symflow.pde.trajectories.inventory"):
        monkeypatch.setattr(f"{module}.ENOUGH", FIT)
    tensor(tmp_path / "a.h5")
    found = describe(tmp_path / "a.h5")
    assert found.samples == 10
    assert "one trajectory in 4 was read: 10 of 40" in found.sentences
    answer = symflow("audit", "a.h5", "--equation", "u_t + u_x = 0", cwd=tmp_path)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout.startswith("10 trajectories that claim")
    assert "one trajectory in 4 was read: 10 of 40" in answer.stderr
    answer = symflow("discover", "a.h5", "--equation", "u_t + u_x = 0", "--network", "none", cwd=tmp_path)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "one trajectory in 4 was read: 10 of 40" in answer.stderr
