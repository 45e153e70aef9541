"""`symflow augment`: what is in the file, that it does not depend on how it was made, and that nothing is lost."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from command_line import symflow
from symflow import NeuralField, pde
from symflow.errors import UserError
from symflow.pde import TrajectoryAugment, discover, generate, load, save
from symflow.pde.augmentation import files as files
from symflow.pde.augmentation.files import augment_file, generators_of
from symflow.pde.augmentation.residuals import residuals
from symflow.pde.augmentation.trajectories import seeded_weights
from symflow.runs import Run

SAMPLES, TIMES, COPIES = 5, 80, 3
KDV: dict[str, Any] = {"generators": "kdv", "copies": COPIES, "seed": 4, "strength": 0.1}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = generate("kdv", SAMPLES, seed=0, end=20.0, steps=TIMES, keep=TIMES, resolution=256)
    return save(data, tmp_path_factory.mktemp("augment") / "in.h5")


@pytest.fixture(scope="module")
def made(source: Path) -> Path:
    augment_file(source, out=source.with_name("out.h5"), **KDV)
    return source.with_name("out.h5")


def contents(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path, "r") as file:
        return {name: file[name][()] for name in file}


def test_the_file_holds_originals_and_what_the_augmentation_makes_of_them(source: Path, made: Path) -> None:
    data, more, found = load(source), load(made), contents(made)
    assert more.equation == data.equation
    assert torch.equal(more.u[::COPIES], data.u)
    assert found["source"].tolist() == [i // COPIES for i in range(SAMPLES * COPIES)]
    augment = TrajectoryAugment(generators_of("kdv", data), data, 0.1)  # all five are measured
    own = residuals(data, data.u, torch.ones(SAMPLES, TIMES, dtype=torch.bool))
    for i in range(SAMPLES * COPIES):
        s, c = divmod(i, COPIES)
        if c == 0:
            assert found["valid"][i].all()
            assert not found["weights"][i].any()
            assert found["residual"][i] == own[s]
            continue
        weights = seeded_weights(augment, 4, s, c)
        assert found["weights"][i].tolist() == weights[0].tolist()
        values, valid = augment.move(data.u[s : s + 1], weights)
        assert found["valid"][i].tolist() == valid[0].tolist()
        assert torch.equal(more.u[i], values[0].where(valid[0][:, None], 0.0))
        assert found["residual"][i] < 1.5 * own[s]


def test_the_layout_is_that_of_other_files(source: Path, made: Path) -> None:
    with h5py.File(made, "r") as file, h5py.File(source, "r") as plain:
        assert [file["u"].dims[i][0].name for i in range(3)] == ["/sample", "/t", "/x"]
        assert [file["weights"].dims[i][0].name for i in range(2)] == ["/sample", "/generator"]
        assert [file["valid"].dims[i][0].name for i in range(2)] == ["/sample", "/t"]
        for name in ("equation", "parameters", "format", "name"):
            assert file.attrs[name] == plain.attrs[name]
        assert json.loads(file.attrs["settings"])["augmentation"]["seed"] == 4
    again = load(made)
    assert again.settings["augmentation"]["generators"] == "kdv"


def test_chunks_leave_no_trace_and_seeds_do(source: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "AT_ONCE", 1)
    augment_file(source, out=source.with_name("small.h5"), **KDV)
    assert source.with_name("small.h5").read_bytes() == made.read_bytes()
    augment_file(source, out=source.with_name("shard.h5"), **KDV | {"seed": 5})
    shard, first = contents(source.with_name("shard.h5")), contents(made)
    moved = first["weights"].any(1)
    assert not (shard["weights"][moved] == first["weights"][moved]).any()
    assert (shard["u"][::COPIES] == first["u"][::COPIES]).all()


def test_copies_with_too_few_rows_are_originals_again(source: Path) -> None:
    out = source.with_name("far.h5")
    found = augment_file(source, out=out, **KDV | {"strength": 2.0, "copies": 8})
    content = contents(out)
    kept = content["weights"].any(1)
    assert 0 < found.kept == int(kept.sum()) < SAMPLES * 7
    assert (content["valid"][kept].sum(1) >= 35).all()  # 3/7 of 80
    assert content["valid"][~kept].all()
    assert (content["u"][~kept] == content["u"][::8].repeat(8, 0)[~kept]).all()
    assert not content["u"][content["valid"] == 0].any()
    load(out)


# ---- interruptions --------------------------------------------------------------------------------------------------

INTERRUPTED = """
import sys
from symflow.pde.augmentation import files
files.AT_ONCE = 1
files.augment_file(sys.argv[1], "kdv", sys.argv[2], copies=3, seed=4, progress=lambda done: print(done, flush=True))
"""


def test_a_killed_augmentation_resumes_to_the_same_bits(source: Path, made: Path, tmp_path: Path) -> None:
    out, partial = tmp_path / "out.h5", tmp_path / "out.h5.partial"
    line = [sys.executable, "-c", INTERRUPTED, str(source), str(out)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(2):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert not out.exists()
    done = contents(partial)["residual"] >= 0
    assert done[: 2 * COPIES].all()
    assert not done.all()
    with pytest.raises(UserError, match="was begun and not finished; `--resume` continues it"):
        augment_file(source, out=out, **KDV)
    for changed, sentence in (
        ({"copies": 2}, "must be what an earlier `symflow augment` left"),
        ({"seed": 5}, r"cannot be resumed: it was begun with seed = 4 \(now 5\)"),
        ({"generators": "ks"}, "generators = 'kdv' .now 'ks'."),
    ):
        with pytest.raises(UserError, match=sentence):
            augment_file(source, out=out, resume=True, **KDV | changed)
    seen: list[float] = []
    augment_file(source, out=out, resume=True, progress=seen.append, **KDV)
    assert len(seen) == 1  # the rest, in one chunk
    assert out.read_bytes() == made.read_bytes()
    assert not partial.exists()
    with pytest.raises(UserError, match="to resume"):
        augment_file(source, out=out, resume=True, overwrite=True, **KDV)


def test_other_data_do_not_continue_a_file(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(done: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "AT_ONCE", 1)
    out, other = tmp_path / "out.h5", tmp_path / "other.h5"
    with pytest.raises(KeyboardInterrupt):
        augment_file(source, out=out, progress=stop, **KDV)
    data = load(source)
    save(data[[1, 0, 2, 3, 4]], other)
    with pytest.raises(UserError, match="other data or generators"):
        augment_file(other, out=out, resume=True, **KDV)


@pytest.mark.parametrize("name", ["u", "valid", "weights", "residual"])
def test_nothing_is_written_through_a_link_or_into_another_array(
    name: str, source: Path, made: Path, tmp_path: Path
) -> None:
    """What is resumed may come from anywhere: numbers go into its own arrays, of the size and type that are written."""
    partial, other = tmp_path / "out.h5.partial", tmp_path / "other.h5"
    other.write_bytes(made.read_bytes())
    for put in (
        lambda file, old: h5py.ExternalLink("other.h5", f"/{name}"),
        lambda file, old: old[:-1],
        lambda file, old: old.astype("f4"),
    ):
        partial.write_bytes(made.read_bytes())
        with h5py.File(partial, "r+") as file:
            file["residual"][3:] = -1.0
            old = file[name][()]
            del file[name]
            file[name] = put(file, old)
        with pytest.raises(UserError, match="must be what an earlier `symflow augment` left"):
            augment_file(source, out=tmp_path / "out.h5", resume=True, **KDV)
    assert other.read_bytes() == made.read_bytes()


def test_a_full_disk_is_one_sentence(source: Path, tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (900_000, 900_000)); "
        "from symflow.cli import main; main(sys.argv[1:])"
    )
    line = [sys.executable, "-c", script, "augment", str(source), "--generators", "kdv", "--out", "out.h5"]
    answer = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert answer.returncode == 2, answer.stderr
    assert "Traceback" not in answer.stderr
    assert "file too large" in answer.stderr
    assert not (tmp_path / "out.h5").exists()


# ---- generators -----------------------------------------------------------------------------------------------------


def test_a_run_gives_its_closed_forms_or_its_learned_span(tmp_path: Path) -> None:
    data = generate("ckdv", samples=2, seed=0, steps=60, keep=40, end=10.0)
    save(data, tmp_path / "in.h5")
    result = discover(data, network="none")
    run = Run(tmp_path / "run", {})
    result.save(run.path / "result.json")
    found = augment_file(tmp_path / "in.h5", run.path, tmp_path / "out.h5", copies=2)
    assert found.kept == 2
    assert found.ratio < 2
    with pytest.raises(UserError, match=r"span\.safetensors"):
        augment_file(tmp_path / "in.h5", run.path, tmp_path / "learned.h5", copies=2, learned=True, unproved=True)
    run.save_field("span", NeuralField(result.coordinates, 2, width=16, head_width=8).double())
    learned: dict[str, Any] = {"copies": 2, "learned": True, "strength": 0.01}
    with pytest.raises(UserError, match="`learned` fields are proved by nothing, so they are not valid for the data"):
        augment_file(tmp_path / "in.h5", run.path, tmp_path / "learned.h5", **learned)
    found = augment_file(tmp_path / "in.h5", run.path, tmp_path / "learned.h5", **learned, unproved=True)
    assert found.kept == 2
    assert found.ratio > 10  # a network that has learned nothing
    with h5py.File(tmp_path / "learned.h5", "r") as file:
        assert np.array_equal(file["u"][::2], data.u.numpy())


def test_of_algebras_on_the_plane_only_what_has_the_period_is_taken(source: Path, tmp_path: Path) -> None:
    data = load(source)
    result = discover(data.equation, network="none")
    assert (result.domain, result.rank) == ("plane", 4)
    run = Run(tmp_path / "run", {})
    result.save(run.path / "result.json")
    own, known = generators_of(run.path, data), generators_of("kdv", data)
    assert files.to_solve(run.path) == files.to_solve("kdv") == data.equation
    assert own.generators == known.generators == 3
    assert own.coordinates == known.coordinates
    scaling = [g for g in result.generators if "x" in g.closed_form["dx"]]
    replace(result, generators=scaling, rank=len(scaling), structure_constants=None).save(run.path / "result.json")
    with pytest.raises(UserError, match="holds no generator with the period of the data"):
        generators_of(run.path, data)


# ---- what is valid for the data -------------------------------------------------------------------------------------


def test_data_are_not_moved_along_what_is_not_valid_for_them(source: Path, tmp_path: Path) -> None:
    """The equation of the generators is asked, whatever the file says that the data solve."""
    data = load(source)
    scaled = save(replace(data, u=1.05 * data.u), tmp_path / "scaled.h5")
    named = discover(pde.CATALOGUE["kdv"].equation, domain="periodic", network="none")
    alone, trusted, refuted = (Run(tmp_path / name, {}).path for name in ("alone", "trusted", "refuted"))
    named.save(alone / "result.json")
    discover(load(scaled, check=False), network="none", trust=True).save(trusted / "result.json")
    discover(load(scaled, check=False), network="none").save(refuted / "result.json")
    out = {"out": tmp_path / "out.h5", "copies": 2}
    for generators in ("kdv", alone, "burgers"):
        with pytest.raises(UserError, match=r"must solve .* but these data do not solve it .*`--unproved`"):
            augment_file(scaled, generators, **out)
    with pytest.raises(UserError, match="must hold a generator that is valid for data to move them along, got none"):
        augment_file(source, refuted, **out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["alone", "refuted", "scaled.h5", "trusted"]
    for run, unproved in ((alone, True), (refuted, True), (trusted, False)):
        assert augment_file(scaled, run, **out, unproved=unproved, overwrite=True).trajectories == 2 * SAMPLES


# ---- the command ----------------------------------------------------------------------------------------------------


def test_the_command(source: Path, tmp_path: Path) -> None:
    arguments = ("augment", str(source), "--generators", "kdv", "--copies", "3", "--seed", "4", "--out", "out.h5")
    answer = symflow(*arguments, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "15 trajectories, 10 of them moved" in answer.stdout
    assert "moved over its own original" in answer.stdout
    before = (tmp_path / "out.h5").read_bytes()
    answer = symflow(*arguments, cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "--force" in answer.stderr
    assert (tmp_path / "out.h5").read_bytes() == before
    assert symflow(*arguments, "--force", cwd=tmp_path).returncode == 0
    assert (tmp_path / "out.h5").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"generators": "nothing"}, "must be a run directory or one of kdv, ks"),
        ({"generators": "."}, "there is no file 'result.json'"),
        ({"copies": 0}, "`copies` must be an integer of at least 1"),
        ({"seed": -1}, "`seed` must be an integer of at least 0"),
        ({"strength": -1.0}, "`strength` must be a finite number"),
        ({"out": "nowhere/out.h5"}, "`out` must be a file in a folder that exists"),
        ({"resume": True}, "to resume"),
        ({"source": "none.h5"}, "there is no file 'none.h5'"),
        ({"source": "few.npz"}, "must be a file of `symflow generate` or `pde.save`"),
    ],
)
def test_mistakes(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    data = load(source)
    np.savez("few.npz", u=data.u, x=data.x, t=data.t, equation="kdv")
    with pytest.raises(UserError, match=sentence):
        augment_file(**{"source": source, "out": "out.h5"} | KDV | change)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["few.npz"]


@pytest.mark.parametrize("number", [4, 6])  # every 1.26th is measured
def test_a_value_that_is_not_finite_is_named(source: Path, tmp_path: Path, number: int) -> None:
    path = save(load(source)[[0] * 40], tmp_path / "in.h5")
    with h5py.File(path, "r+") as file:
        file["u"][number, 3, 2] = np.nan
    with pytest.raises(UserError, match=f"must be finite, got a value that is not in trajectory {number}$"):
        augment_file(path, out=tmp_path / "out.h5", **KDV)
