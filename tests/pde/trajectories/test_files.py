"""Files: what is written is read back, other people's layouts are read, and a bad file costs one sentence."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from symflow.errors import UserError
from symflow.pde.equations.equation import Equation
from symflow.pde.generation.generation import generate
from symflow.pde.trajectories.files import load, save
from symflow.pde.trajectories.layouts import matlab5
from symflow.runs import processes

BURGERS = Equation("u_t + u*u_x = nu*u_xx", nu=0.1)
X = np.arange(64) * (2 * np.pi / 64)
T = np.linspace(0.0, 1.0, 20)
TRAVEL = Equation("u_t + u_x = 0")


def travelling(x=X, t=T, samples=3):
    """``[samples, T, X]``, solutions of ``u_t + u_x = 0``."""
    return np.stack([np.exp(np.sin(x - t[:, None] + s)) for s in range(samples)])


@pytest.fixture(scope="module")
def data():
    return generate("ckdv", 3, 4, end=4.0, steps=25, keep=20, resolution=64, length=32.0)


def refused(sentence, *args, **kwargs):
    with pytest.raises(UserError) as caught:
        load(*args, **kwargs)
    text = str(caught.value)
    assert sentence in text
    assert "\n" not in text
    if args:
        assert str(args[0]) in text


# ---------------------------------------------------------------- our own


def test_round_trip(data, tmp_path):
    path = save(data, tmp_path / "a.h5")
    again = load(path)
    for name in ("x", "t", "u"):
        assert torch.equal(getattr(again, name), getattr(data, name))
    assert again.equation == data.equation
    assert (again.name, again.seed, again.version) == ("ckdv", 4, data.version)
    assert dict(again.settings) == json.loads(json.dumps(dict(data.settings)))
    assert torch.equal(load(path, samples=2).u, data.u[:2])


def test_parameters_are_kept(tmp_path):
    equation = Equation("u_t + c*u_x = 0", c=1.0)
    arrays = load(u=travelling(), x=X, t=T, equation=equation)
    assert load(save(arrays, tmp_path / "a.h5")).equation == equation


def test_the_layout_is_that_of_netcdf(data, tmp_path):
    """Dimension scales as xarray's readers want them: every axis of u has one, of its length and name."""
    with h5py.File(save(data, tmp_path / "a.h5")) as file:
        assert [dimension[0].name for dimension in file["u"].dims] == ["/sample", "/t", "/x"]
        assert all(file[name].is_scale for name in ("sample", "t", "x"))
        assert {name: file[name].attrs["units"] for name in ("u", "t", "x")} == {"u": "1", "t": "1", "x": "1"}
        assert file.attrs["equation"] == "u_t + u*u_x + u_xxx + u/(2*(t + 1)) = 0"
        assert file.attrs["seed"] == 4
        assert json.loads(file.attrs["parameters"]) == {}


def test_xarray_reads_it(data, tmp_path):
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    pytest.importorskip("h5netcdf", reason="h5netcdf is not installed")
    with xarray.open_dataset(save(data, tmp_path / "a.h5"), engine="h5netcdf") as held:
        assert held.u.dims == ("sample", "t", "x")
        np.testing.assert_array_equal(held.u, data.u)
        np.testing.assert_array_equal(held.x, data.x)


def test_nothing_is_overwritten_unasked(data, tmp_path):
    path = save(data, tmp_path / "a.h5")
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"a\.h5 exists"):
        save(data, path)
    assert path.read_bytes() == before
    save(data[:1], path, overwrite=True)
    assert len(load(path)) == 1
    assert os.listdir(tmp_path) == ["a.h5"]
    for bad in (tmp_path, tmp_path / "no" / "b.h5"):
        with pytest.raises(UserError, match="must be a file in a folder that exists"):
            save(data, bad)


@pytest.mark.parametrize("limit", [4_000, 200_000, 245_000])
def test_a_full_disk_loses_nothing(limit, tmp_path):
    """A limit on the size of files fails like a full disk: at the first write, in the middle, at the last flush."""
    script = f"""
import resource, signal, sys
from pathlib import Path
import torch
from symflow.errors import UserError
from symflow.pde.trajectories import Trajectories, load, save
from symflow.pde.equations import Equation
x, t = torch.arange(64, dtype=torch.float64), torch.arange(20, dtype=torch.float64)
data = Trajectories(Equation("u_t + u_x = 0"), x, t, torch.zeros(24, 20, 64))
path = Path({str(tmp_path / "a.h5")!r})
save(data[:2], path)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    save(data, path, overwrite=True)
except UserError as error:
    print(error)
print(len(load(path)), sorted(p.name for p in path.parent.iterdir()))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    first, second = run.stdout.splitlines()
    assert "cannot write" in first
    assert "file too large; nothing was changed there" in first
    assert second == "2 ['a.h5']"


# ---------------------------------------------------------------- arrays


def test_arrays_in_any_orientation():
    u = travelling()
    for value in (u, torch.from_numpy(u), u.tolist()):
        assert torch.equal(load(u=value, x=X, t=T, equation=TRAVEL).u, torch.from_numpy(u))
    for value in (u[0], u[0].T, torch.from_numpy(u[0].T.copy())):
        assert torch.equal(load(u=value, x=X, t=T, equation=TRAVEL).u, torch.from_numpy(u[:1]))
    assert load(u=u[0].T, x=X[:, None], t=T[None], equation=TRAVEL).u.shape == (1, 20, 64)
    assert len(load(u=u, x=X, t=T, equation=TRAVEL, samples=2)) == 2
    square = travelling(t=np.linspace(0, 1, 64), samples=1)[0]
    assert torch.equal(load(u=square, x=X, t=np.linspace(0, 1, 64), equation=TRAVEL).u[0], torch.from_numpy(square))


def test_a_repeated_first_column_is_dropped():
    x = np.linspace(0, 2 * np.pi, 65)
    data = load(u=travelling(x), x=x, t=T, equation=TRAVEL)
    assert data.u.shape == (3, 20, 64)
    assert data.length == pytest.approx(2 * np.pi)
    constant = load(u=np.ones((1, 20, 64)), x=X, t=T, equation=TRAVEL)
    assert constant.u.shape == (1, 20, 64)


def test_single_precision_coordinates_are_uniform_again():
    x, t = ((np.arange(1024) + 0.5) / 1024 * 2 * np.pi).astype(np.float32), np.linspace(0, 2, 41).astype(np.float32)
    data = load(u=travelling(x, t).astype(np.float32), x=x, t=t, equation=TRAVEL)
    assert float((data.x.diff() / data.x.diff().mean() - 1).abs().max()) < 1e-11
    assert data.length == pytest.approx(2 * np.pi, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"u": None}, "`u` is missing"),
        ({"equation": None}, "the data do not name their equation"),
        ({"equation": "u_t - u_x = 0"}, "the data do not solve 'u_t - u_x = 0'"),
        ({"equation": "heat"}, "unknown equation 'heat'"),
        ({"equation": 5}, "`equation` must be a name, a formula or an Equation, got int"),
        ({"u": np.full((20, 64), np.nan)}, "`u` must be finite, got nan first in trajectory 0"),
        ({"u": travelling()[:, :10]}, "`u` must have shape [samples, T, X] with T = 20 times and X = 64 points"),
        ({"u": np.array([["a"]])}, "`u` must be an array of real numbers"),
        ({"u": np.array([[None]])}, "`u` must be an array of real numbers, got object"),
        ({"u": travelling() * 1j}, "`u` must be an array of real numbers, got complex128"),
        ({"x": X**2, "boundary": "periodic"}, "`x` must be increasing and uniform"),
        ({"boundary": "wall"}, "`boundary` must be periodic or open, got 'wall'"),
        ({"x": np.zeros((4, 4, 4))}, "`x` must be one axis, got shape [4, 4, 4]"),
        ({"x": np.stack([X, 2 * X])}, "`x` must be the same for every trajectory"),
        ({"samples": 0}, "`samples` must be an integer of at least 1"),
        ({"path": "a.h5"}, "takes a path or arrays, got both"),
    ],
)
def test_bad_arrays(arguments, sentence):
    with pytest.raises(UserError) as caught:
        load(**({"u": travelling(), "x": X, "t": T, "equation": TRAVEL} | arguments))
    assert sentence in str(caught.value)


# ---------------------------------------------------------------- other layouts


def test_npz(tmp_path):
    path, u = tmp_path / "a.npz", travelling()
    np.savez(path, u=u, x=X, t=T)
    assert torch.equal(load(path, TRAVEL).u, torch.from_numpy(u))
    refused("the data do not name their equation", path)
    np.savez_compressed(path, u=u, x=X, t=T, equation="u_t + u_x = 0")
    assert load(path).equation.text == "u_t + u_x = 0"


def test_plain_hdf5(tmp_path):
    path, u = tmp_path / "a.h5", travelling()
    with h5py.File(path, "w") as file:
        file.update({"u": u, "x": X, "t": T})
        file.attrs["equation"] = np.bytes_(b"u_t + u_x = 0")
    held = load(path)
    assert torch.equal(held.u, torch.from_numpy(u))
    assert held.seed is None
    assert held.settings == {"origin": "a.h5"}


def test_pdebench(tmp_path):
    path = tmp_path / "a.hdf5"
    x, t = ((np.arange(256) + 0.5) * (2 * np.pi / 256)).astype(np.float32), np.linspace(0, 2, 42).astype(np.float32)
    u = travelling(x, t[:-1]).astype(np.float32)
    with h5py.File(path, "w") as file:
        file["tensor"], file["x-coordinate"], file["t-coordinate"] = u, x, t
    held = load(path, TRAVEL)
    assert torch.equal(held.u, torch.from_numpy(u).double())
    assert len(held.t) == 41
    assert load(path, TRAVEL, samples=1).u.shape == (1, 41, 256)


def test_lpsda(tmp_path):
    path, u = tmp_path / "KdV_train_3.h5", travelling()
    with h5py.File(path, "w") as file:
        for group, part in (("valid", u[:1]), ("train", u)):
            n = len(part)
            file[f"{group}/pde_20-64"] = part
            file[f"{group}/x"], file[f"{group}/t"] = np.tile(X, (n, 1)), np.tile(T, (n, 1))
            file[f"{group}/dx"], file[f"{group}/dt"] = np.full(n, X[1]), np.full(n, T[1])
    assert torch.equal(load(path, TRAVEL).u, torch.from_numpy(u))
    assert load(path, TRAVEL, group="valid").u.shape == (1, 20, 64)
    refused("`group` must be one of train, valid, got 'test'", path, TRAVEL, group="test")
    with h5py.File(path, "a") as file:
        file["train/x"][1] *= 1.1
    refused("`x` must be the same for every trajectory", path, TRAVEL)
    assert len(load(path, TRAVEL, samples=1)) == 1


def test_matlab(tmp_path):
    path, u = tmp_path / "a.mat", travelling()[0]
    scipy.io.savemat(path, {"usol": u.T, "x": X, "t": T})
    assert torch.equal(load(path, TRAVEL).u[0], torch.from_numpy(u))
    scipy.io.savemat(path, {"u": u.T, "x": X[:, None], "t": T[:, None]}, do_compression=True)
    assert torch.equal(load(path, TRAVEL).u[0], torch.from_numpy(u))
    t = np.linspace(0, 1, 64)
    square = travelling(t=t)[0]
    scipy.io.savemat(path, {"usol": square.T, "x": X, "t": t})
    assert torch.equal(load(path, TRAVEL).u[0], torch.from_numpy(square))
    with h5py.File(path, "w") as file:  # MATLAB 7.3: HDF5 with the axes reversed
        file.update({"usol": square, "x": X[None], "t": t[None]})
    assert torch.equal(load(path, TRAVEL).u[0], torch.from_numpy(square))


@pytest.mark.parametrize("compressed", [False, True])
def test_matlab_types(compressed, tmp_path):
    """Every type that scipy writes, beside names that are not wanted."""
    path = tmp_path / "a.mat"
    values = [
        np.arange(6, dtype=dtype).reshape(2, 3) for dtype in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "f4", "f8")
    ]
    for value in values:
        held = {"note": "text", "cell": np.array([1, "a"], object), "s": {"u": value}, "u": value, "v": value * 1j}
        scipy.io.savemat(path, held, do_compression=compressed)
        (u,) = matlab5.arrays(path.read_bytes(), ["u"], 10**6).values()
        np.testing.assert_array_equal(u, value)
        assert u.dtype == ("f4" if value.dtype == "f4" else "f8")
        (v,) = matlab5.arrays(path.read_bytes(), ["v"], 10**6).values()
        np.testing.assert_array_equal(v, value * 1j)
        assert sorted(matlab5.arrays(path.read_bytes(), None, 10**6)) == ["u", "v"]
        with pytest.raises(UserError, match="more than 16"):
            matlab5.arrays(path.read_bytes(), ["u"], 16)


def test_matlab_on_a_machine_of_the_other_order():
    """Big-endian, and the scalar in a small element: by the letter of the format."""
    flags, name = struct.pack(">IIII", 6, 8, 6, 0), struct.pack(">HH4s", 1, 1, b"u")
    dimensions, real = struct.pack(">IIii", 5, 8, 1, 1), struct.pack(">HHh2x", 2, 3, 7)
    body = flags + dimensions + name + real
    content = matlab5.START.ljust(124) + b"\x01\x00MI" + struct.pack(">II", 14, len(body)) + body
    assert matlab5.arrays(content, ["u"], 100)["u"] == [[7.0]]


def test_a_compressed_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"usol": np.zeros((2000, 2000)), "x": X, "t": T}, do_compression=True)
    assert path.stat().st_size < 100_000
    with pytest.raises(UserError, match="more than the 1,000,000 that may be read"):
        matlab5.arrays(path.read_bytes(), ["usol"], 10**6)


@pytest.mark.parametrize(
    ("name", "equation", "wrong", "points"),
    [("KdV_sine", "kdv", "ks", 512), ("KS", "ks", "kdv", 511), ("burgers_sine", BURGERS, "burgers", 256)],
)
def test_runs_of_chebfun(name, equation, wrong, points):
    folder = os.environ.get("SYMFLOW_DATA")
    if folder is None:
        pytest.skip("SYMFLOW_DATA does not name the folder with reference data")
    path = Path(folder) / "pde" / "chebfun" / f"{name}.mat"
    data = load(path, equation)
    assert data.u.shape[::2] == (1, points)
    assert data.residual() < 1e-4
    refused("the data do not solve", path, wrong)


# ---------------------------------------------------------------- bad files


def test_missing_empty_and_foreign(tmp_path):
    refused("there is no file", tmp_path / "no.h5")
    refused("must be a file of data, got a folder", tmp_path)
    (tmp_path / "a.h5").touch()
    refused("is empty", tmp_path / "a.h5")
    (tmp_path / "a.h5").write_bytes(b"\x80\x04K\x01.")  # a pickle
    refused("is no HDF5, npz or MATLAB 5 file", tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["weights"] = np.zeros(3)
    refused("the layout is unknown", tmp_path / "a.h5", TRAVEL)
    refused("found weights", tmp_path / "a.h5", TRAVEL)


def test_truncated_files(data, tmp_path):
    own, npz, mat = save(data, tmp_path / "a.h5"), tmp_path / "a.npz", tmp_path / "a.mat"
    np.savez(npz, u=travelling(), x=X, t=T)
    scipy.io.savemat(mat, {"usol": travelling()[0].T, "x": X, "t": T})
    for path in (own, npz, mat):
        whole = path.read_bytes()
        for share in (0.1, 0.5, 0.9, 0.999):
            path.write_bytes(whole[: int(share * len(whole))])
            with pytest.raises(UserError) as caught:
                load(path, TRAVEL if path != own else None)
            assert str(path) in str(caught.value)
            assert "locked" not in str(caught.value)


def test_noise_in_a_file_never_escapes_as_another_exception(data, tmp_path):
    """Damaged copies: each is read, or refused in a sentence."""
    own, npz, mat = save(data[:1], tmp_path / "a.h5"), tmp_path / "a.npz", tmp_path / "a.mat"
    np.savez(npz, u=travelling(samples=1), x=X, t=T)
    scipy.io.savemat(mat, {"usol": travelling()[0].T, "x": X, "t": T})
    random = np.random.default_rng(0)
    for path in (own, npz, mat):
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(30):
            damaged = whole.copy()
            at = random.integers(0, min(len(whole), 4096), 8)
            damaged[at] = random.integers(0, 256, 8)
            path.write_bytes(damaged.tobytes())
            with contextlib.suppress(UserError):
                load(path, "ckdv" if path == own else TRAVEL)


def test_a_file_that_does_not_solve_its_equation(data, tmp_path):
    path = save(data, tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file.attrs["equation"] = "u_t + u*u_x = u_xx"
    refused("the data do not solve 'u_t + u*u_x = u_xx'", path)
    assert load(path, "ckdv").name == "ckdv"
    with h5py.File(path, "a") as file:
        file["u"][1, 2, 3] = np.nan
    refused("`u` must be finite, got nan first in trajectory 1", path, "ckdv")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("equation", "u_t + __import__('os') = 0", "unexpected"),
        ("equation", 5, "do not name their equation"),
        ("parameters", "{", "must be JSON"),
        ("parameters", "[" * 5000, "must be JSON"),
        ("parameters", "[1]", "must be a JSON object"),
        ("parameters", '{"nu": "x"}', "must be a JSON object of numbers"),
        ("parameters", '{"nu": NaN}', "finite"),
        ("parameters", '{"text": 1}', "cannot be a parameter"),
        ("parameters", '{"a b": 1}', "cannot be called"),
        ("settings", "[]", "must be a JSON object"),
        ("settings", "x" * 60_000, "must be JSON"),
    ],
)
def test_hostile_attributes(data, tmp_path, name, value, sentence):
    path = save(data, tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file.attrs[name] = value
    refused(sentence, path)


def test_links_and_foreign_storage_are_not_followed(data, tmp_path):
    secret = save(data, tmp_path / "secret.h5")
    raw = tmp_path / "raw"
    raw.write_bytes(np.zeros(3 * 20 * 64).tobytes())
    layout = h5py.VirtualLayout(shape=(3, 20, 64), dtype=float)
    layout[...] = h5py.VirtualSource(secret, "u", shape=(3, 20, 64))
    writers = {
        "got a link": lambda file: file.__setitem__("u", h5py.ExternalLink(str(secret), "/u")),
        "got a link or": lambda file: file.__setitem__("u", h5py.SoftLink("/x")),
        "stored in other files": lambda file: file.create_virtual_dataset("u", layout),
        "that is stored in other": lambda file: file.create_dataset(
            "u", (3, 20, 64), float, external=[(raw, 0, 30720)]
        ),
    }
    for sentence, write in writers.items():
        path = tmp_path / "a.h5"
        with h5py.File(path, "w") as file:
            write(file)
            file["x"], file["t"] = X, T
        refused(sentence, path, TRAVEL)
    with h5py.File(path, "w") as file:
        file["train"] = h5py.ExternalLink(str(secret), "/")
    refused("the layout is unknown", path, TRAVEL)
    with h5py.File(path, "w") as file:
        file["u"], file["x"], file["t"] = np.array([b"a", b"b"]), X, T
    refused("`u` must be an array of real numbers", path, TRAVEL)


def test_declared_sizes_are_checked_before_anything_is_allocated(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("u", (10**6, 10**5, 64), float, chunks=(1, 1, 64))
        file["x"], file["t"] = X, T
    refused("declares the shape [1000000, 100000, 64]", path, TRAVEL)
    npz = tmp_path / "a.npz"
    np.savez(npz, x=X, t=T, u=np.zeros(3))
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 100000, 64), }"
    header += b" " * (117 - len(header)) + b"\n"
    with zipfile.ZipFile(npz, "w") as archive:
        archive.writestr("u.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        for name, value in (("x", X), ("t", T)):
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, value)
    refused("`u` declares 51,200,000,000,000 bytes", npz, TRAVEL)
    with h5py.File(path, "w") as file:
        file["u"], file["x"], file["t"] = travelling(), X, T
    monkeypatch.setattr(processes, "memory", lambda: 10_000.0)
    refused("give `samples` to read fewer", path, TRAVEL)


def test_pickled_objects_are_refused(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "boom"),))

    path = tmp_path / "a.npz"
    np.savez(path, u=np.array([Bomb()], dtype=object), x=X, t=T)
    refused("`u` must be an array of real numbers, got object", path, TRAVEL)
    scipy.io.savemat(tmp_path / "a.mat", {"usol": np.array([[1], "a"], dtype=object), "x": X, "t": T})
    refused("got a MATLAB cell", tmp_path / "a.mat", TRAVEL)
    assert not (tmp_path / "boom").exists()


def test_the_first_trajectories_of_a_file_larger_than_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = generate("ckdv", samples=4, seed=0, steps=20, keep=5, end=2.0)
    path = save(data, tmp_path / "a.h5")
    held = data.u[:2].numel() + len(data.x) + len(data.t) + len(data)  # half of the memory, to the last number
    monkeypatch.setattr("symflow.runs.processes.memory", lambda: 2 * 8.0 * held)
    with pytest.raises(UserError, match="give `samples`"):
        load(path)
    assert torch.equal(load(path, samples=2).u, data.u[:2])
