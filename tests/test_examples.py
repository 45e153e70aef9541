"""Every example runs and says what it is there to say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))
HOOKS = Path(__file__).parents[1] / "docs" / "site" / "hooks.py"


def printed(name: str, folder: Path, seconds: int = 300) -> str:
    script = next(p for p in EXAMPLES if p.stem == name)
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    answer = subprocess.run(
        [sys.executable, "-W", "ignore:FigureCanvasAgg", str(script)],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=seconds,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    return answer.stdout


def test_own_data(tmp_path: Path) -> None:
    answer = printed("own_data", tmp_path)
    assert "{'dx': '0', 'dt': '0', 'du': 'u'}" in answer
    assert "f_t + f_x/2 + f_xxx = 0" in answer  # a linear equation: its solutions can be added
    right, wrong = answer.split("These data do not solve", 1)
    assert right.count("  proved     measured") == 4  # every generator
    assert "refuted" in wrong
    assert "0.5" in wrong  # what the coefficient is


def test_own_equation(tmp_path: Path) -> None:
    answer = printed("own_equation", tmp_path)
    counts = [
        line.split(": ")[-1] for line in answer.splitlines() if " symmetries " in line and " on the plane" in line
    ]
    assert [int(c.split()[0]) for c in counts] == [4, 3, 3, 4, 5, 9]
    assert "f_t - 3*f_xx/10 - 3*f_yy/10 = 0" in answer
    assert "none" not in answer


def test_own_function(tmp_path: Path) -> None:
    answer = printed("own_function", tmp_path)
    assert "6 affine fields keep the data valid (clear)" in answer
    assert "so(3,1)" in answer
    assert float(re.search(r"products changed by (\S+)", answer)[1]) < 1e-6
    assert float(re.search(r"moved by (\S+)", answer)[1]) > 0.1


def test_images(tmp_path: Path) -> None:
    answer = printed("images", tmp_path)
    words = dict(re.findall(r"^(translation \w|rotation|scale|squeeze|shear) +(\w.*)$", answer, re.MULTILINE))
    assert len(words) == 6
    assert words.pop("squeeze") == "refuted"
    assert "refuted" not in words.values()
    assert list(words.values()).count("measured") >= 2


def test_audit_transform(tmp_path: Path) -> None:
    answer = printed("audit_transform", tmp_path)
    assert "stretch: not a symmetry" in answer
    assert "the weight of u is -1, it must be -2" in answer
    assert "boost: symmetry" in answer


def test_augment_data(tmp_path: Path) -> None:
    answer = printed("augment_data", tmp_path)
    assert "proved and valid for these data" in answer
    assert "solves" in answer
    assert "not" in answer.splitlines()[-1]  # wrong data are refused in a sentence


def test_kernels(tmp_path: Path) -> None:
    answer = printed("kernels", tmp_path)
    assert float(answer.split("exact one: ")[1].split()[0]) < 1e-5


@pytest.mark.slow
def test_augment_operator(tmp_path: Path) -> None:
    pytest.importorskip("neuralop", reason="neuraloperator is not installed")
    answer = printed("augment_operator", tmp_path, 900)
    assert "t dx + du" in answer
    errors = {line.split()[0]: float(line.split()[3]) for line in answer.splitlines() if " 0.2 " in line}
    none = next(line.split() for line in answer.splitlines() if line.startswith(" none "))
    assert set(errors) == {"exact", "learned"}
    assert max(errors.values()) < 0.9 * float(none[2])  # about a third less
    assert (tmp_path / "moved.png").stat().st_size > 10_000
    assert (tmp_path / "errors.png").stat().st_size > 5_000


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_is_short_and_has_a_test(script: Path) -> None:
    text = script.read_text()
    assert len(text.splitlines()) < 60
    assert 'if __name__ == "__main__":' in text
    assert f"def test_{script.stem}(" in Path(__file__).read_text()
    assert f'"{script.stem}"' in HOOKS.read_text() or text.startswith('"""')  # a page of the site, or a script only
