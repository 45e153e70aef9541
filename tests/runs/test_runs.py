"""Run directories: whole files or none, nothing lost, nothing overwritten unasked."""

from __future__ import annotations

import gc
import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from symflow import Coordinates, NeuralField, UserError
from symflow.runs import Run, load_field, read_json, replacing, save_tensors, to_json, write_json


def test_replacing_is_all_or_nothing(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")

    def fail() -> None:
        with replacing(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
    with replacing(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """A limit on file sizes stands for the disk: the write fails in the middle."""
    write_json(tmp_path / "a.json", {"old": True})
    script = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
from symflow.runs import write_json
try:
    write_json({str(tmp_path / "a.json")!r}, list(range(10_000)))
except OSError:
    print("refused")
"""
    assert hasattr(signal, "SIGXFSZ")
    assert resource.RLIMIT_FSIZE is not None
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "refused"
    assert read_json(tmp_path / "a.json") == {"old": True}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_run_does_not_overwrite_a_run(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {"seed": 0})
    write_json(run.path / "result.json", {})
    with pytest.raises(UserError, match="holds a run already"):
        Run(tmp_path / "run", {"seed": 0})
    (run.path / "notes.txt").write_text("mine")
    Run(tmp_path / "run", {"seed": 1}, replace=True)
    assert sorted(p.name for p in run.path.iterdir()) == ["config.json", "notes.txt"]


def test_a_directory_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    for replace in (False, True):
        with pytest.raises(UserError, match="holds other files"):
            Run(tmp_path, {}, replace=replace)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="must be a directory"):
        Run(tmp_path / "file", {})


@pytest.mark.parametrize("how", [{}, {"resume": True}, {"replace": True}], ids=str)
def test_what_a_kill_left_before_the_configuration_is_in_nobodys_way(how: dict[str, bool], tmp_path: Path) -> None:
    """A run that was killed while it wrote its first file neither blocks the next one nor stays."""
    script = f"""
import os, signal
from symflow.runs import directory
def killed(path, content):
    with directory.replacing(path) as temporary:
        temporary.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
directory.write_json = killed
directory.Run({str(tmp_path / "run")!r}, {{"seed": 0}})
"""
    answer = subprocess.run([sys.executable, "-c", script], check=False)
    assert answer.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "run").iterdir()
    assert left.name.startswith(".config.json.")
    run = Run(tmp_path / "run", {"seed": 1}, **how)
    assert [p.name for p in run.path.iterdir()] == ["config.json"]
    assert read_json(run.path / "config.json") == {"seed": 1}


def test_one_process_at_a_time_works_in_a_directory(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {"seed": 0})
    script = f"""
from symflow import UserError
from symflow.runs import Run
for how in ({{}}, {{"resume": True}}, {{"replace": True}}):
    try:
        Run({str(run.path)!r}, {{"seed": 0}}, **how)
        print("taken")
    except UserError as error:
        print(error)
"""
    command = [sys.executable, "-c", script]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout.count("is in use: another process works in it") == 3
    assert Run(run.path, {"seed": 0}, resume=True).path == run.path  # the same process may
    del run
    gc.collect()
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout.count("taken") == 2
    assert "holds a run already" in answer.stdout


def test_resuming_another_job_is_refused(tmp_path: Path) -> None:
    Run(tmp_path / "run", {"seed": 0, "steps": 5})
    with pytest.raises(UserError, match=r"seed = 0 \(now 1\)"):
        Run(tmp_path / "run", {"seed": 1, "steps": 5}, resume=True)
    with pytest.raises(UserError, match=r"no run to resume in .*none'"):
        Run(tmp_path / "none", {}, resume=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="there is no file"):
        Run(tmp_path / "other", {}, resume=True)


def test_rewind_drops_later_and_broken_lines(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {})
    for step in range(4):
        run.log({"stage": "network", "step": step})
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"stage": "netw')
    run.rewind("network", 2)
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1]


def test_tensors_come_back(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {})
    tensors = {"a": torch.arange(6.0).view(2, 3).T, "b": torch.zeros(0, dtype=torch.float64)}
    run.save_tensors("state", tensors, {"step": 3})
    loaded, about = run.load_tensors("state") or ({}, {})
    assert about == {"step": 3}
    assert torch.equal(loaded["a"], tensors["a"])
    assert loaded["b"].dtype == torch.float64
    assert run.load_tensors("other") is None


def test_a_field_comes_back(tmp_path: Path) -> None:
    coordinates = Coordinates(("x", "t"), periods=(2.0, None), offset=(1.0, 0.5))
    field = NeuralField(coordinates, 3, width=7, head_width=5, seed=9).double()
    run = Run(tmp_path / "run", {})
    run.save_field("span", field)
    again = load_field(run.path / "span.safetensors")
    points = torch.rand(4, 2, dtype=torch.float64)
    assert again.coordinates == coordinates
    assert torch.equal(again(points), field(points))
    run.save_tensors("span", {"out_bias": torch.zeros(1)}, {"coordinates": {}})
    for path, sentence in ((run.path / "span.safetensors", "must hold a field"), (tmp_path / "no", "no file")):
        with pytest.raises(UserError, match=sentence):
            load_field(path)


def test_the_sizes_of_a_field_are_compared_before_memory_is_taken(tmp_path: Path) -> None:
    field = NeuralField(Coordinates(("x", "t")), 3, width=7, head_width=5)
    for name in ("generators", "width", "head_width"):
        sizes = {"generators": 3, "width": 7, "head_width": 5, name: 10**7}
        about = {"coordinates": to_json(field.coordinates), **sizes}
        save_tensors(tmp_path / "a.safetensors", dict(field.named_parameters()), about)
        with pytest.raises(UserError, match=r"weight` must have shape \[.*10000000"):
            load_field(tmp_path / "a.safetensors")


@pytest.mark.parametrize("content", [b"", b"\x80\x04\x95", b"\xff" * 100, b"\x10" + b"\0" * 7 + b'{"a":{"dtype":"'])
def test_a_file_that_is_no_checkpoint_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    run = Run(tmp_path / "run", {})
    (run.path / "state.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="must be a checkpoint of symflow"):
        run.load_tensors("state")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_is_no_json_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match="must be a JSON file"):
        read_json(tmp_path / "a.json")


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"a": float("inf")})
    assert not (tmp_path / "a.json").exists()
