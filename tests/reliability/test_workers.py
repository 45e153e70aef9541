"""Commands under torchrun, several processes on one machine: shared out, killed, and resumed with another number."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from symflow import pde

pytestmark = pytest.mark.slow
WORKERS = pytest.mark.parametrize("workers", [2, 4])
LONGEST = 240.0  # seconds

# A batch of 5 is 3 and 2 for two workers, and 2, 1, 1 and 1 for four.
OPERATOR = (
    "train-operator", "IN/data.h5", "--trajectories", "5", "--seeds", "2", "--points", "32", "--width", "4",
    "--modes", "4", "--layers", "1", "--steps", "60", "--batch", "5", "--copies", "2", "--strengths", "0.1",
    "--validation", "1", "--test", "2", "--workers", "1", "--arms", "none", "exact", "--unproved",
)  # fmt: skip
CLASSIFIER = (
    "train-classifier", "IN/pictures", "--arms", "none", "flip", "--seeds", "2", "--epochs", "3", "--batch", "21",
)  # fmt: skip


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trajectories and pictures."""
    import numpy as np
    from PIL import Image

    folder = tmp_path_factory.mktemp("inputs")
    data = pde.generate("kdv", 13, seed=0, steps=60, keep=60, end=12.0, resolution=64)
    pde.save(data, folder / "data.h5")
    random = np.random.default_rng(0)
    for label in "ab":
        (folder / "pictures" / label).mkdir(parents=True)
        for n in range(150):
            noise = random.integers(0, 128, (24, 24, 3)) + 60 * (label == "b")
            Image.fromarray(noise.astype(np.uint8)).save(folder / "pictures" / label / f"{n}.png")
    return folder


def started(workers: int, words: tuple[str, ...], inputs: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    """The command, under torchrun where there are several workers; a group of processes of its own."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={workers}"] if workers > 1 else []
    placed = [word.replace("IN/", f"{inputs}/") for word in words]
    return subprocess.Popen(
        [sys.executable, *launcher, "-m", "symflow", *placed, "--out", str(out), *more],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    try:
        return process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def figures(out: Path) -> dict:
    record = json.loads((out / "result.json").read_text())
    return {k: v for k, v in record.items() if k not in ("seconds", "created")}


def errors(out: Path) -> torch.Tensor:
    return torch.tensor([arm["errors"] for arm in figures(out)["arms"]])


@WORKERS
def test_discovery_is_done_by_one_of_them(workers: int, inputs: Path, tmp_path: Path) -> None:
    found = []
    for count in (1, workers):
        out = tmp_path / f"{count}"
        process = started(count, ("discover", "IN/data.h5", "--network", "none"), inputs, out)
        told = ended(process)
        assert process.returncode in (0, 3), told[1]
        assert told[0].count("du/dt") <= 1 or count == 1
        found.append(figures(out))
    assert found[0] == found[1]


@WORKERS
def test_operators_are_those_of_one_process(workers: int, inputs: Path, tmp_path: Path) -> None:
    for count in (1, workers):
        process = started(count, OPERATOR, inputs, tmp_path / f"{count}")
        told = ended(process)
        assert process.returncode == 0, told[1]
    torch.testing.assert_close(errors(tmp_path / f"{workers}"), errors(tmp_path / "1"), rtol=1e-3, atol=0)


@WORKERS
def test_a_share_of_one_image_is_refused_before_the_work(workers: int, inputs: Path, tmp_path: Path) -> None:
    words = (*CLASSIFIER[:-1], str(2 * workers - 1))
    process = started(workers, words, inputs, tmp_path / "run")
    _, told = ended(process)
    assert process.returncode != 0
    assert f"at least {2 * workers}, two for each of {workers} workers" in told
    assert not (tmp_path / "run").exists()


def children(process: subprocess.Popen[str]) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


@WORKERS
@pytest.mark.parametrize("words", [OPERATOR, CLASSIFIER], ids=["operators", "classifiers"])
def test_one_that_is_killed_ends_all_and_another_number_resumes(
    words: tuple[str, ...], workers: int, inputs: Path, tmp_path: Path
) -> None:
    whole = started(workers, words, inputs, tmp_path / "whole")
    told = ended(whole)
    assert whole.returncode == 0, told[1]
    out = tmp_path / "run"
    process = started(workers, words, inputs, out)
    metrics, end = out / "metrics.jsonl", time.monotonic() + LONGEST
    while not (metrics.exists() and metrics.read_text().count("\n")):  # until a first training is finished
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    os.kill(children(process)[-1], signal.SIGKILL)
    _, told_errors = ended(process)
    assert process.returncode != 0
    assert "SIGKILL" in told_errors
    with pytest.raises(ProcessLookupError):  # nobody of the group is left
        os.killpg(process.pid, 0)
    finished = metrics.read_text().splitlines()
    for count in (1, 3):  # resumed, and found finished
        again = started(count, words, inputs, out, "--resume")
        told = ended(again)
        assert again.returncode == 0, told[1]
    assert metrics.read_text().splitlines()[: len(finished)] == finished
    if words is OPERATOR:
        torch.testing.assert_close(errors(out), errors(tmp_path / "whole"), rtol=1e-3, atol=0)
    else:  # normalisations see each worker's share, so figures differ
        assert [arm["name"] for arm in figures(out)["arms"]] == [
            arm["name"] for arm in figures(tmp_path / "whole")["arms"]
        ]
