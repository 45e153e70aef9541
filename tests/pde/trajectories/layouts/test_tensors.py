"""Tensors that torch saved, and nothing else that a pickle could hold."""

from __future__ import annotations

import os
import zipfile

import numpy as np
import pytest
import torch

from layouts import TRAVEL, T, grid, holds, wave
from symflow.errors import UserError
from symflow.pde import describe, load
from symflow.pde.trajectories.layouts import tensors

X = grid(32)


def test_tensors_by_name(tmp_path):
    torch.save({"u": torch.from_numpy(wave(X)), "x": torch.from_numpy(X), "t": torch.from_numpy(T)}, tmp_path / "a.pt")
    holds(load(tmp_path / "a.pt", TRAVEL), wave(X), [2 * np.pi])


def test_neuraloperator_stores_no_coordinates(tmp_path):
    x = np.arange(32) / 32
    y = torch.from_numpy(wave(2 * np.pi * x, 2 * np.pi * T))
    torch.save({"x": y[:, 0].clone(), "y": y, "visc": torch.tensor([[0.01]])}, tmp_path / "a.pt")
    data = load(tmp_path / "a.pt", TRAVEL)
    holds(data, y, [1.0])
    assert data.settings["notes"] == ["coordinates are not stored: t from 0 to 1, x over a period of 1"]
    assert describe(tmp_path / "a.pt").guess == "u_t + u*u_x = 0.01*u_xx"


def test_nothing_is_executed(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "boom"),))

    torch.save({"u": Bomb(), "x": torch.from_numpy(X)}, tmp_path / "a.pt")
    with pytest.raises(UserError, match="the file must hold tensors and nothing else"):
        load(tmp_path / "a.pt", TRAVEL)
    assert not (tmp_path / "boom").exists()


KINDS = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int32, torch.uint8, torch.complex64]


@pytest.mark.parametrize("dtype", KINDS, ids=str)
def test_every_type_and_view_comes_back(dtype, tmp_path):
    """Transposed, strided, expanded and shared views, parameters, and what torch keeps as a mark only."""
    whole = torch.arange(60).reshape(3, 4, 5).to(dtype)
    held = {"a": whole, "b": whole.transpose(0, 2), "c": whole[1:, ::2], "d": whole[0, :1].expand(3, 5)}
    held["e"] = whole[2, 3, 4]
    if dtype.is_complex:
        held["f"] = whole.conj()
    elif dtype.is_floating_point:
        held["f"] = torch.nn.Parameter(whole)
    torch.save(held, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as archive:
        found = tensors._Archive(archive).tensors()
    assert found.keys() == held.keys()
    for name, tensor in held.items():
        wide = tensor.detach().float() if dtype in (torch.bfloat16, torch.float16) else tensor.detach()
        expected = wide.resolve_conj().numpy()
        np.testing.assert_array_equal(found[name].astype(expected.dtype), expected)


def rewritten(path, member, change):
    """The archive with one member changed."""
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    (name,) = [name for name in held if name.endswith(member)]
    held[name] = change(held[name])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in held.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("member", "change", "sentence"),
    [
        ("data/0", lambda b: b[:-8], "should take 16,128 bytes, got 16,120"),
        ("data.pkl", lambda b: b.replace(b"FloatStorage", b"CharStorage_"), "asks for torch.CharStorage_"),
        ("data.pkl", lambda b: b.replace(b"DoubleStorage", b"CharStorage"), "should take 2,016 bytes, got 16,128"),
        (
            "data.pkl",
            lambda b: b.replace(b"K\x03K\x15K ", b"K\xffK\x15K "),
            "needs [0-9,]+ numbers, but 2,016 are stored",
        ),
        ("data.pkl", lambda b: b"cos\nsystem\n(S'ls'\ntR.", "the instruction"),
        ("byteorder", lambda b: b"big", "must|finite|damaged"),
    ],
    ids=range(6),
)
def test_what_an_archive_says_wrongly_is_refused(member, change, sentence, tmp_path):
    u = torch.from_numpy(wave(X))
    kinds = {"u": u, "x": torch.from_numpy(X), "t": torch.from_numpy(T), "q": torch.zeros(1)}
    torch.save(kinds, tmp_path / "a.pt")
    rewritten(tmp_path / "a.pt", member, change)
    with pytest.raises(UserError, match=sentence):
        load(tmp_path / "a.pt", TRAVEL)


def test_files_of_torch_before_its_archives_say_how_to_convert(tmp_path):
    torch.save(torch.zeros(3), tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(UserError, match=r"is of torch before 1\.6; save its tensors again"):
        load(tmp_path / "a.pt", TRAVEL)


def test_arrays_must_fit_the_memory_together(tmp_path, monkeypatch):
    """Each of them would: an archive of many is as large as their sum."""
    np.savez_compressed(tmp_path / "a.npz", u=wave(X), x=X, t=T, **{f"v{i}": np.zeros((3, 21, 32)) for i in range(20)})
    monkeypatch.setattr("symflow.runs.processes.memory", lambda: 2 * 8.0 * 10 * wave(X).size)
    with pytest.raises(UserError, match="with the arrays before it, more than 50% of the memory"):
        load(tmp_path / "a.npz", TRAVEL)


def test_the_length_of_a_header_is_bounded_before_it_is_read(tmp_path):
    """Version 2 of numpy's files has lengths to 4 GB, and so much was taken."""
    np.save(tmp_path / "a.npy", X)
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(whole[:6] + b"\x02\x00" + b"\xff\xff\xff\xd0" + whole[10:])
    with pytest.raises(UserError, match="a header of 3,506,438,143 bytes"):
        load(tmp_path / "a.npy", TRAVEL)


@pytest.mark.parametrize("empty", ["u", "x", "t"])
def test_arrays_without_numbers_are_refused(empty, tmp_path):
    held = {"u": wave(X), "x": X, "t": T}
    held[empty] = held[empty][:0]
    np.savez(tmp_path / "a.npz", **held)
    for read in (describe, lambda path: load(path, TRAVEL)):
        with pytest.raises(UserError):
            read(tmp_path / "a.npz")


def test_an_array_without_coordinates(tmp_path):
    np.save(tmp_path / "a.npy", wave(X))
    with pytest.raises(UserError, match=r"holds one array of shape \[3, 21, 32\] without coordinates"):
        load(tmp_path / "a.npy", TRAVEL)
