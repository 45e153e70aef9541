"""`benchmarks/gpu_vision.sh`: images come whole through parts or not at all; stages say whether they are complete."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_vision.sh"
SIZES = {"data_batch_1": 9_000, "test_batch": 5_000, "batches.meta": 1, "empty": 0}


def call(state: Path, *arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": sys.executable, "SMOKE": "1", "STATE": str(state), "PART_SIZE": "4096"}
    environment |= {"OMP_NUM_THREADS": "1", **settings}
    environment.pop("CIFAR_PARTS", None)
    command = [str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name, size in SIZES.items():
        (folder / name).write_bytes(random.bytes(size))
    answer = call(tmp_path / "state", "pack", folder, tmp_path / "parts")
    assert answer.returncode == 0, answer.stderr
    return tmp_path / "parts"


def test_images_come_out_as_they_went_in(tmp_path, parts):
    names = sorted(path.name for path in parts.iterdir())
    assert names[:3] == ["SHA256SUMS", "images.000.part", "images.001.part"]
    assert all(path.stat().st_size <= 4096 for path in parts.iterdir())
    answer = call(tmp_path / "state", "--parts", parts, "unpack")
    assert answer.returncode == 0, answer.stdout
    assert "complete: unpack; to be continued: none; failed: none" in answer.stdout
    assert contents(tmp_path / "state" / "images") == contents(tmp_path / "images")
    again = call(tmp_path / "state", "--parts", tmp_path / "nowhere", "unpack")
    assert again.returncode == 0
    assert "is there already" in again.stdout


def test_the_same_images_make_the_same_parts(tmp_path, parts):
    for path in (tmp_path / "images").iterdir():
        os.utime(path, (1, 1))
        path.chmod(0o600)
    assert call(tmp_path / "state", "pack", tmp_path / "images", tmp_path / "again").returncode == 0
    assert contents(tmp_path / "again") == contents(parts)


def flip(parts: Path) -> None:
    content = bytearray((parts / "images.001.part").read_bytes())
    content[100] ^= 1
    (parts / "images.001.part").write_bytes(content)


def shorten(parts: Path) -> None:
    os.truncate(parts / "images.001.part", 4095)


def lose(parts: Path) -> None:
    (parts / "images.001.part").unlink()


def exchange(parts: Path) -> None:
    first, second = parts / "images.000.part", parts / "images.001.part"
    first.rename(parts / "aside")
    second.rename(first)
    (parts / "aside").rename(second)


def forget_sums(parts: Path) -> None:
    (parts / "SHA256SUMS").unlink()


def forget_some_sums(parts: Path) -> None:
    lines = (parts / "SHA256SUMS").read_text().splitlines(keepends=True)
    (parts / "SHA256SUMS").write_text("".join(lines[:2]))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (flip, "images.001.part: FAILED"),
        (shorten, "images.001.part: FAILED"),
        (lose, "images.001.part: FAILED"),
        (exchange, "images.000.part: FAILED"),
        (forget_sums, "the stage 'pack' makes it"),
        (forget_some_sums, "Unexpected EOF"),
    ],
)
def test_damaged_parts_are_refused(tmp_path, parts, damage, sentence):
    damage(parts)
    answer = call(tmp_path / "state", "--parts", parts, "unpack")
    assert answer.returncode == 1
    assert sentence in answer.stdout
    assert "failed: unpack" in answer.stdout
    assert not (tmp_path / "state" / "images").exists()


def test_what_is_not_there(tmp_path, parts):
    state = tmp_path / "state"
    for arguments, sentence in (
        (("pack", tmp_path / "nowhere", tmp_path / "new"), "FOLDER must be a folder"),
        (("pack", tmp_path / "images", parts), "OUT must be an empty folder"),
        (("pack", tmp_path / "images"), "needs FOLDER and OUT"),
        (("--parts",), "--parts needs"),
        (("unpack", "polish"), "unknown stage 'polish'"),
    ):
        answer = call(state, *arguments)
        assert answer.returncode == 2, arguments
        assert sentence in answer.stderr
    assert not (state / "images").exists()
    answer = call(state, "unpack")
    assert answer.returncode == 1
    assert "must name the folder with the parts" in answer.stdout


def test_a_stage_without_time_is_to_be_continued(tmp_path):
    (tmp_path / "state" / "images").mkdir(parents=True)
    answer = call(tmp_path / "state", "classifier", LIMIT="0")
    assert answer.returncode == 75
    assert "complete: none; to be continued: classifier; failed: none" in answer.stdout
    answer = call(tmp_path / "state", "discover", "classifier", LIMIT="0")
    assert answer.returncode == 1
    assert "the stage 'classifier' makes it" in answer.stdout
    assert "complete: none; to be continued: classifier; failed: discover" in answer.stdout


@pytest.mark.slow
def test_every_stage_runs(tmp_path):
    """From pictures on disk to the figures of all stages, on the CPU; once complete, nothing is done again."""
    random = np.random.default_rng(0)
    for number in range(100):
        folder = tmp_path / "pictures" / ("lying", "standing")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 60, (12, 12, 3), dtype=np.uint8)
        at = random.integers(2, 9)
        pixels[(slice(at, at + 2), slice(2, 10))[:: 1 if number % 2 else -1]] += 150
        Image.fromarray(pixels).save(folder / f"{number}.png")
    state = tmp_path / "state"
    assert call(state, "pack", tmp_path / "pictures", tmp_path / "parts").returncode == 0
    stages = ("build", "unpack", "classifier", "discover", "slots", "arms")
    answer = call(state, "--parts", tmp_path / "parts", *stages, SEEDS="1")
    assert answer.returncode == 0, answer.stdout
    assert f"complete: {' '.join(stages)}; to be continued: none" in answer.stdout
    found = {path.name for path in (state / "results").glob("*.json")}
    assert found == {"classifier-0.json", "discover-0.json", "slots.json", "arms.json"}
    before = {path: path.stat().st_mtime_ns for path in state.glob("*.safetensors")}
    again = call(state, "classifier", "discover", "slots", SEEDS="1", LIMIT="0")
    assert again.returncode == 0, again.stdout
    assert {path: path.stat().st_mtime_ns for path in state.glob("*.safetensors")} == before
