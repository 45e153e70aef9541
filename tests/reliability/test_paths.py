"""A package, data and runs in folders whose names have spaces and letters that are not ASCII."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_names_of_folders_are_any_names(tmp_path: Path) -> None:
    """Laid out as it is installed, compiled extension and all, found by its path."""
    place = tmp_path / "größer als ü" / "sym flow 数"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "symflow", place / "symflow", ignore=ignored)
    for domain in ("pde", "vision"):
        shutil.copytree(ROOT / domain, place / "symflow" / domain, ignore=ignored)

    def symflow(*words: str) -> str:
        script = "import symflow, sys; print(symflow.__file__, file=sys.stderr); from symflow.cli import main; main()"
        answer = subprocess.run(
            [sys.executable, "-c", script, *words], cwd=place, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(place), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr
        assert str(place) in answer.stderr
        return answer.stdout

    sizes = ("--samples", "4", "--end", "20", "--steps", "60", "--keep", "60", "--resolution", "64")
    symflow("generate", "kdv", *sizes, "--out", "Daten é 1.h5")
    assert "u_t + u*u_x + u_xxx = 0" in symflow("describe", "Daten é 1.h5")
    symflow("discover", "kdv", "--report", "--out", "läuft hier")
    assert json.loads((place / "läuft hier" / "result.json").read_text())["rank"] == 4
    assert (place / "läuft hier" / "report.html").stat().st_size > 10_000
    assert "proven" in symflow("verify", "läuft hier")
