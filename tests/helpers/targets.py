"""What is damaged: whole files of every kind, and everything that reads them."""

from __future__ import annotations

import csv
import gzip
import os
import pickle
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
import torch
from PIL import Image

import symflow
from hostile import Target, command
from layouts import T, grid, plane_wave, wave
from symflow import Coordinates, NeuralField, pde, vision
from symflow.errors import UserError
from symflow.pde.augmentation.files import augment_file
from symflow.report import write_report
from symflow.reproduction import reproduce, write_page
from symflow.runs import RESULT, Run, load_field, read_config, read_metrics, save_field
from symflow.runs.directory import CONFIG

SCHEMA2 = Path(__file__).parents[1] / "discovery" / "data"
HEAT = "u_t = nu*u_xx"
KDV = {"samples": 3, "seed": 0, "steps": 60, "keep": 60, "end": 12.0, "resolution": 64}
OPERATOR: dict[str, Any] = {
    "trajectories": 1, "seeds": 1, "points": 32, "width": 4, "modes": 4, "layers": 1, "steps": 2, "batch": 2,
    "copies": 2, "strengths": (0.1,), "validation": 1, "test": 1, "unproved": True, "arms": ("none",),
}  # fmt: skip


# ---- state ----------------------------------------------------------------------------------------------------------


def _shown(folder: Path) -> Any:
    """What everybody does with a result: read, print, page, algebra, write, read again."""
    result = symflow.load_result(folder)
    assert str(result)
    assert repr(result)
    assert result.statements is not None
    for g in result.generators:
        if g.closed_form is not None:
            assert g.latex()
            assert g.sympy()
    again = folder.parent / f"{folder.name}.again"
    shutil.rmtree(again, ignore_errors=True)
    shutil.copytree(folder, again)
    result.save(again / RESULT)
    assert symflow.load_result(again) == result
    return result


def _equation(folder: Path) -> None:
    refused: list[UserError] = []
    for work in (
        lambda: _shown(folder),
        lambda: write_report(folder),
        lambda: command("verify", str(folder)),
        lambda: command("report", str(folder)),
    ):
        try:
            work()
        except UserError as error:
            refused.append(error)
    if refused:
        raise refused[0]


def make_equation(folder: Path) -> None:
    Run(folder, {"command": "discover", "data": "kdv", "seed": 0})
    pde.discover("kdv", network="none").save(folder / RESULT)


def make_parameters(folder: Path) -> None:
    """A superposition, parameters by name, and the algebra of the heat equation."""
    Run(folder, {"command": "discover", "equation": HEAT, "parameters": ["nu=0.1"]})
    pde.discover(pde.Equation(HEAT, nu=0.1), network="none").save(folder / RESULT)


def make_data(folder: Path) -> None:
    """A run over data, as the command leaves it, with a trained network."""
    data = folder.parent / "data.h5"
    pde.save(pde.generate("kdv", **KDV), data, overwrite=True)
    words = ("--network", "trained", "--steps", "26", "--force")
    command("discover", str(data), "--out", str(folder), *words)
    shutil.copy(data, folder / "data.h5")


def _resumed(folder: Path) -> None:
    """A run that was killed before its result, resumed from what it left."""
    data = folder.parent / "data.h5"
    shutil.move(folder / "data.h5", data)
    for name in (RESULT, "evidence.safetensors", "span.safetensors", "report.html"):
        (folder / name).unlink(missing_ok=True)
    command("discover", str(data), "--out", str(folder), "--network", "trained", "--steps", "26", "--resume")


def make_images(folder: Path) -> None:
    Run(folder, {"command": "discover-images", "data": "pictures", "seed": 3})
    shutil.copy(SCHEMA2 / "images-schema2.json", folder / RESULT)
    result = vision.load_image_result(folder)
    k = len(result.generators)
    random = torch.Generator().manual_seed(0)
    field = symflow.GridField(result.coordinates, torch.randn(k, 6, 5, 2, generator=random), (-1.0, -1.0), (1.0, 1.0))
    replace(result, field=field, omega=torch.full((5, 6), 1 / 30)).save(folder / RESULT)


def _images(folder: Path) -> None:
    _shown(folder)
    write_report(folder)
    result = vision.load_image_result(folder)
    for name, arm in vision.learned_arms(result, unproved=True).items():
        assert name
        arm(0.1)(torch.rand(2, 3, 8, 8))


def make_problem(folder: Path) -> None:
    points = torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    symflow.discover(symflow.invariance(lambda z: z.square().sum(-1), points)).save(folder / RESULT)


def _problem(folder: Path) -> None:
    _shown(folder)
    write_report(folder)
    symflow.load_result(folder).augment(torch.rand(4, 2, dtype=torch.float64), unproved=True)


def _old(name: str) -> Target:
    return Target(
        f"schema 2 {name}", lambda folder: shutil.copy(SCHEMA2 / f"{name}-schema2.json", folder / RESULT) and None,
        (RESULT,), _shown, 500,
    )  # fmt: skip


def make_operators(folder: Path) -> None:
    pde.compare_operators(pde.generate("kdv", **KDV), folder, **OPERATOR)


def _operators(folder: Path) -> None:
    pde.compare_operators(pde.generate("kdv", **KDV), folder, resume=True, **OPERATOR)


CLASSIFIER: dict[str, Any] = {
    "seeds": 1,
    "epochs": 1,
    "batch": 16,
    "strengths": (0.1,),
    "shifts": (1,),
    "arms": ("none", "flip"),
}


def _sets() -> tuple[vision.data.Images, vision.data.Images]:
    """The same every time."""
    pixels = torch.from_numpy(_pixels(60, 3, 8, 8))
    parts = (pixels[:40], "noise"), (pixels[40:], "noise, test")
    train, test = (vision.data.Images(p, torch.arange(len(p)) % 3, ("a", "b", "c"), name) for p, name in parts)
    return train, test


def make_classifiers(folder: Path) -> None:
    vision.compare(_sets(), folder, **CLASSIFIER)


def _classifiers(folder: Path) -> None:
    vision.compare(_sets(), folder, resume=True, **CLASSIFIER)


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def make_augmented(folder: Path) -> None:
    """An augmentation that a kill left half done, along a run of discover."""
    data = pde.generate("ckdv", samples=3, seed=0, steps=60, keep=20, end=10.0, resolution=64)
    pde.save(data, folder / "data.h5")
    pde.discover("ckdv", network="none").save(folder / RESULT)
    with inside(folder):  # what is resumed has the same names
        augment_file("data.h5", ".", "out.h5", copies=2, unproved=True)
    (folder / "out.h5").rename(folder / "out.h5.partial")
    with h5py.File(folder / "out.h5.partial", "r+") as file:
        file["residual"][2:] = -1.0


def _augmented(folder: Path) -> None:
    with inside(folder):
        command("augment", "data.h5", "--generators", ".", "--copies", "2", "--unproved", "--out", "out.h5", "--resume")


def make_networks(folder: Path) -> None:
    from symflow.vision.features import SmallResNet, save_network

    save_network(folder / "network.safetensors", SmallResNet(3, 3, 4, 1), {"classes": ["a", "b", "c"]})
    field = NeuralField(Coordinates(("x", "t", "u"), periods=(2.0, None, None)), 3, width=7, head_width=5)
    save_field(folder / "span.safetensors", field)


def _networks(folder: Path) -> None:
    from symflow.vision.features import load_network

    load_network(folder / "network.safetensors")[0](torch.zeros(1, 3, 8, 8))
    load_field(folder / "span.safetensors")(torch.zeros(2, 3))


def make_runs(folder: Path) -> None:
    run = Run(folder, {"command": "discover", "data": "a.h5", "parameters": ["nu=1"], "seed": 0})
    for step in range(5):
        run.log({"stage": "network", "step": step, "loss": -1.0})


def _runs(folder: Path) -> None:
    from symflow.runs import command as typed

    read_metrics(folder)
    typed(read_config(folder), "out")
    Run(folder, {"command": "discover", "data": "a.h5", "parameters": ["nu=1"], "seed": 0}, resume=True).rewind(
        "network", 3
    )


def make_studies(folder: Path) -> None:
    shutil.copytree(Path(__file__).parents[2] / "benchmarks" / "results" / "paper", folder, dirs_exist_ok=True)


def _studies(folder: Path) -> None:
    write_page(folder, folder / "page.md")
    assert list(reproduce([], folder, folder)) == []


STATE = (
    Target("equation", make_equation, (RESULT, CONFIG), _equation, 1_500),
    Target("parameters", make_parameters, (RESULT,), _equation, 1_500),
    Target("images", make_images, (RESULT, CONFIG, "*.safetensors"), _images, 1_000),
    Target("problem", make_problem, (RESULT, "*.safetensors"), _problem, 1_000),
    _old("equations"),
    _old("family"),
    _old("images"),
    Target("networks", make_networks, ("*.safetensors",), _networks, 2_000),
    Target("runs", make_runs, (CONFIG, "metrics.jsonl"), _runs, 2_000),
    Target("studies", make_studies, ("*/*.json",), _studies, 1_000),
    Target("augmentation", make_augmented, (RESULT, "*.partial", "data.h5"), _augmented, 500),
    Target("operators", make_operators, ("metrics.jsonl", CONFIG, RESULT), _operators, 100),
    Target("classifiers", make_classifiers, ("metrics.jsonl", CONFIG), _classifiers, 100),
    Target("data", make_data, (RESULT, CONFIG, "metrics.jsonl", "*.safetensors"), _equation, 500),
    Target(
        "resumed run", make_data, (CONFIG, "metrics.jsonl", "network.safetensors", "stage*.safetensors"), _resumed, 100
    ),
)


# ---- data -----------------------------------------------------------------------------------------------------------

X, Y = grid(32), grid(24)
TRAVEL, PLANE = "u_t + u_x = 0", "u_t + u_x + u_y/2 = 0"


def _read(name: str, equation: str = TRAVEL) -> Any:
    def use(folder: Path) -> None:
        refused: list[UserError] = []
        for work in (
            lambda: str(pde.describe(folder / name)),
            lambda: pde.load(folder / name, equation),
            lambda: pde.load(folder / name, equation, samples=1, fields={"u": "u"}, check=False),
        ):
            try:
                work()
            except UserError as error:
                refused.append(error)
        if refused:
            raise refused[0]

    return use


def _file(kind: str, name: str, write: Any, equation: str = TRAVEL, often: int = 1_000) -> Target:
    return Target(kind, lambda folder: write(folder / name), (name,), _read(name, equation), often)


def _own(path: Path) -> None:
    data = pde.load(u=wave(X), x=X, t=T, equation=TRAVEL)
    pde.save(data, path)


def _packed(path: Path) -> None:
    """netCDF-4 as climate models write it: packed numbers, fill values, times since a date."""
    u = plane_wave(X, Y, samples=1)[0]
    with h5py.File(path, "w") as file:
        for name, nodes in (("time", T), ("y", Y), ("x", X)):
            file[name] = nodes
            file[name].make_scale(name)
        file["time"].attrs["units"] = "seconds since 2000-01-01"
        file["u"] = np.round(u.transpose(0, 2, 1) / 1e-4).astype(">i2")
        file["u"].attrs.update({"scale_factor": 1e-4, "add_offset": 0.0, "_FillValue": np.int16(-32768)})
        for n, name in enumerate(("time", "y", "x")):
            file["u"].dims[n].attach_scale(file[name])


def _plain(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.update({"u": wave(X), "x": X, "t": T})


def _bench(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.update(
            {"tensor": wave(X).astype("f4"), "x-coordinate": X.astype("f4"), "t-coordinate": np.append(T, 1.05)}
        )
        file.attrs["Nu"] = 0.01


def _arena(path: Path) -> None:
    with h5py.File(path, "w") as file:
        group = file.create_group("train")
        group["pde_21-32"], group["dt"], group["dx"] = wave(X), np.full(3, T[1]), np.full(3, X[1])


def _well(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs.update({"dataset_name": "waves", "n_spatial_dims": 2, "speed": 0.5})
        file.attrs["simulation_parameters"] = ["speed"]
        file["dimensions/time"], file["dimensions/x"], file["dimensions/y"] = T, X, Y
        file["dimensions"].attrs["spatial_dims"] = ["x", "y"]
        group = file.create_group("t0_fields")
        group.attrs["field_names"] = ["u"]
        group["u"] = plane_wave(X, Y, samples=2)
        group["u"].attrs.update({"sample_varying": True, "time_varying": True, "dim_varying": [True, True]})
        ends = file.create_group("boundary_conditions/x_periodic")
        ends.attrs["bc_type"], ends.attrs["associated_dims"], ends["mask"] = "PERIODIC", "x", np.ones(32, bool)


def _classic(path: Path) -> None:
    with scipy.io.netcdf_file(path, "w") as file:
        file.createDimension("time", None)
        file.createDimension("x", len(X))
        for name, nodes in (("time", T), ("x", X)):
            file.createVariable(name, "f8", (name,))[:] = nodes
        file.createVariable("u", "f4", ("time", "x"))[:] = wave(X)[0]
        file.nu = 0.5


def _table(path: Path) -> None:
    t = np.linspace(0, 6, 60)
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["t", "u", "v"])
        rows.writerows(np.stack([t, np.cos(t), -np.sin(t)], 1).tolist())


ARRAYS = {"u": wave(X), "x": X, "t": T}
TENSORS = {name: torch.from_numpy(value) for name, value in ARRAYS.items()}

DATA = (
    _file("own HDF5", "a.h5", _own),
    _file("netCDF-4", "b.h5", _packed, PLANE),
    _file("plain HDF5", "c.h5", _plain),
    _file("PDEBench", "d.h5", _bench),
    _file("PDEArena", "e.h5", _arena),
    _file("The Well", "f.h5", _well, PLANE),
    _file("netCDF classic", "a.nc", _classic),
    _file("npz", "a.npz", lambda path: np.savez(path, **ARRAYS)),
    _file("compressed npz", "b.npz", lambda path: np.savez_compressed(path, **ARRAYS, equation=TRAVEL)),
    _file("npy", "a.npy", lambda path: np.save(path, wave(X)), often=500),
    _file("torch", "a.pt", lambda path: torch.save(TENSORS, path)),
    _file("MATLAB 5", "a.mat", lambda path: scipy.io.savemat(path, ARRAYS)),
    _file("compressed MATLAB 5", "b.mat", lambda path: scipy.io.savemat(path, ARRAYS, do_compression=True)),
    _file("CSV", "a.csv", _table, "u_t - v = 0; v_t + u = 0"),
)


# ---- images ---------------------------------------------------------------------------------------------------------


def _pixels(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)


def _cifar(folder: Path) -> None:
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"):
        content = {b"data": _pixels(2, 3072), b"labels": [1, 2], b"filenames": [b"a", b"b"]}
        (folder / name).write_bytes(pickle.dumps(content, protocol=4))


def _binary(folder: Path) -> None:
    for name in (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"):
        (folder / name).write_bytes(np.concatenate([np.full((2, 1), 3, np.uint8), _pixels(2, 3072)], 1).tobytes())


def _mnist(folder: Path) -> None:
    for part, count in (("train", 6), ("t10k", 4)):
        images = struct.pack(">4I", 2051, count, 7, 7) + _pixels(count, 49).tobytes()
        (folder / f"{part}-images-idx3-ubyte").write_bytes(images)
        labels = struct.pack(">2I", 2049, count) + bytes(range(count))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))


def _pictures(folder: Path) -> None:
    for label in "ab":
        (folder / label).mkdir()
        for n, suffix in enumerate(("png", "jpg", "gif", "bmp", "tiff", "webp", "ppm")):
            Image.fromarray(_pixels(1, 9, 8, 3)[0]).save(folder / label / f"{n}.{suffix}")


IMAGES = (
    Target("CIFAR pickles", _cifar, ("*batch*",), vision.load),
    Target("CIFAR binary", _binary, ("*.bin",), vision.load, 300),
    Target("MNIST", _mnist, ("*ubyte*",), vision.load),
    Target("pictures", _pictures, ("*/*",), vision.load),
)

ALL = (*STATE, *DATA, *IMAGES)
