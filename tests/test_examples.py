"""Every example runs and says what it is there to say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_own_data(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "own_data.py")]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert answer.returncode == 0, answer.stderr
    assert "{'dx': '0', 'dt': '0', 'du': 'u'}" in answer.stdout
    assert "f_t + f_x/2 + f_xxx = 0" in answer.stdout  # a linear equation: its solutions can be added
    assert answer.stdout.count("  proved     measured") == 4  # every generator


def test_own_equation(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "own_equation.py")]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert answer.returncode == 0, answer.stderr
    counts = [
        line.split(": ")[-1]
        for line in answer.stdout.splitlines()
        if " symmetries " in line and " on the plane" in line
    ]
    assert [int(c.split()[0]) for c in counts] == [3, 3, 4, 5, 9]
    assert "f_t - 3*f_xx/10 - 3*f_yy/10 = 0" in answer.stdout
    assert "none" not in answer.stdout


def test_audit_transform(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "audit_transform.py")]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert answer.returncode == 0, answer.stderr
    assert "stretch: not a symmetry" in answer.stdout
    assert "the weight of u is -1, it must be -2" in answer.stdout
    assert "boost: symmetry" in answer.stdout


@pytest.mark.slow
def test_augment_operator(tmp_path: Path) -> None:
    pytest.importorskip("neuralop", reason="neuraloperator is not installed")
    command = [sys.executable, str(EXAMPLES / "augment_operator.py")]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=900)
    assert answer.returncode == 0, answer.stderr
    assert "t dx + du" in answer.stdout
    errors = {line.split()[0]: float(line.split()[3]) for line in answer.stdout.splitlines() if " 0.2 " in line}
    none = next(line.split() for line in answer.stdout.splitlines() if line.startswith(" none "))
    assert set(errors) == {"exact", "learned"}
    assert max(errors.values()) < 0.9 * float(none[2])  # about a third less
    assert (tmp_path / "moved.png").stat().st_size > 10_000
    assert (tmp_path / "errors.png").stat().st_size > 5_000
