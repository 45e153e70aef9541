"""What `describe` says of data that are made to have it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from layouts import T, grid, wave
from symflow.cli import main
from symflow.errors import UserError
from symflow.pde import describe, generate, save

X = grid(64)


def stored(path, u, x=X, **more):
    np.savez(path, u=u, x=x, t=T, **more)
    return path


def test_facts_of_fields_and_axes(tmp_path):
    found = describe(stored(tmp_path / "a.npz", wave(X), nu=0.5))
    (u,), (t, x) = found.fields, found.axes
    assert (u.dims, u.shape, u.dtype, u.missing, u.imaginary) == (
        ("sample", "t", "x"),
        (3, 21, 64),
        "float64",
        0.0,
        None,
    )
    assert (u.low, u.high) == (wave(X).min(), wave(X).max())
    assert (t.nodes, t.first, t.last, t.uniform, t.joined) == (21, 0.0, 1.0, True, None)
    assert (x.closed, x.joined, x.said) == (False, True, None)
    assert x.tail < 1e-12
    assert found.parameters == {"nu": 0.5}
    assert found.samples == 3
    assert "x: 64 nodes from 0 to 6.18501, uniform; the ends of the data meet: periodic; resolved" in str(found)


def test_the_smallest_scales_are_those_of_the_data(tmp_path):
    """A wave of 8 nodes, and noise, which has all scales."""
    found = describe(stored(tmp_path / "a.npz", np.sin(8 * X - T[:, None])))
    assert found.axes[1].scale == pytest.approx(8)
    noise = np.random.default_rng(0).normal(size=(21, 64))
    found = describe(stored(tmp_path / "b.npz", wave(X, samples=1)[0] + 0.1 * noise))
    assert found.axes[1].tail > 1e-3
    assert "under-resolved or noisy" in str(found)


def test_nodes_of_their_own_are_judged_by_where_they_are(tmp_path):
    x = np.sort(np.append(np.random.default_rng(0).uniform(0, 2 * np.pi, 158), [0, 2 * np.pi]))
    found = describe(stored(tmp_path / "a.npz", np.exp(np.sin(x - T[:, None])), x=x))
    assert found.axes[1].uniform is False
    assert found.axes[1].tail < 1e-5


def test_rows_with_missing_values_are_left_out(tmp_path):
    u = wave(X)
    u[0, 3, 5] = np.nan
    found = describe(stored(tmp_path / "a.npz", u))
    assert (found.axes[1].joined, found.axes[1].tail < 1e-12) == (True, True)


def test_samples_that_look_wrong(tmp_path):
    u = wave(X, samples=12)
    u[3] = 1.5
    u[5] = u[2]
    u[7] *= 100
    u[9] += 0.5 * np.random.default_rng(0).normal(size=u[9].shape)
    found = describe(stored(tmp_path / "a.npz", u))
    assert (found.constant, found.repeated, found.outliers) == ((3,), (5,), (7, 9))
    assert "nothing changes in trajectory 3" in found.sentences
    assert "another size or roughness than most have trajectories 7, 9" in found.sentences


def test_our_own_files_name_their_equation(tmp_path):
    data = generate("ckdv", 2, 0, end=4.0, steps=25, keep=20, resolution=64, length=32.0)
    found = describe(save(data, tmp_path / "a.h5"))
    assert found.equation == data.equation.text
    assert found.axes[1].said is True


def test_ends_that_do_not_meet_although_the_file_says_so(tmp_path):
    data = generate("ckdv", 2, 0, end=4.0, steps=25, keep=20, resolution=64, length=32.0)
    torn = replace(data, x=data.x[:50], u=data.u[..., :50].contiguous())
    assert "but the ends of the data do not meet" in str(describe(save(torn, tmp_path / "a.h5")))


def test_values_that_are_no_numbers(tmp_path):
    u = wave(X)
    u[0, 0, :32] = np.nan
    found = describe(stored(tmp_path / "a.npz", u))
    assert found.fields[0].missing == pytest.approx(32 / u.size)
    u[:] = np.nan
    assert json.dumps(describe(stored(tmp_path / "a.npz", u)).to_dict(), allow_nan=False)


def test_the_command(tmp_path, capsys):
    path = stored(tmp_path / "a.npz", wave(X))
    main(["describe", str(path)])
    assert "npz, 3 trajectories" in capsys.readouterr().out
    main(["describe", str(path), "--json", "--samples", "2"])
    assert json.loads(capsys.readouterr().out)["samples"] == 2
    with pytest.raises(SystemExit) as caught:
        main(["describe", str(path), "--fields", "u"])
    assert caught.value.code == 2
    assert "`fields` must be of the form name=name" in capsys.readouterr().err


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        describe(tmp_path / "no.h5")
