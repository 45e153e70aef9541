"""The command line as a person meets it: results, sentences instead of tracebacks, runs that survive a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from command_line import symflow, symflow_process
from symflow.runs import read_json

SMALL = ["--samples", "2", "--steps", "120", "--keep", "100", "--end", "50"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    answer = symflow_process("generate", "ckdv", *SMALL, "--out", "data.h5", cwd=folder)
    assert answer.returncode == 0, answer.stderr
    return folder / "data.h5"


def test_help_names_the_commands(tmp_path: Path) -> None:
    answer = symflow_process("--help", cwd=tmp_path)
    assert answer.returncode == 0
    for command in ("generate", "discover", "report", "verify", "audit", "augment", "doctor"):
        assert command in answer.stdout


def test_doctor_says_what_was_built(tmp_path: Path) -> None:
    answer = symflow("doctor", cwd=tmp_path)
    assert answer.returncode == 0
    assert "built: True" in answer.stdout


def test_under_torchrun_one_worker_does_what_is_not_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, told in (("0", 0), ("1", 1)):
        monkeypatch.setenv("RANK", rank)
        answer = symflow("completion", "bash", cwd=tmp_path)
        assert (answer.returncode, answer.stdout == "") == (0, bool(told))


def test_discover_leaves_a_result_figures_and_a_page(data: Path, tmp_path: Path) -> None:
    answer = symflow("discover", str(data), "--out", "run", "--network", "trained", "--steps", "10", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "2*sqrt(t + 1) dx + 1/sqrt(t + 1) du" in answer.stdout
    result = read_json(tmp_path / "run" / "result.json")
    assert (result["schema"], result["kind"]) == (3, "pde")
    assert result["rank"] == 2
    assert all(g["verified"] and g["valid"] for g in result["generators"])
    assert result["generators"][0]["closed_form"] == {"dx": "1", "dt": "0", "du": "0"}
    assert result["domain"] == "periodic"
    assert max(result["truth"]) < 1e-6
    assert result["command"].startswith(f"symflow discover {data} --domain periodic --seed 0")
    assert 'role="img"' in (tmp_path / "run" / "report.html").read_text()
    assert list((tmp_path / "run" / "figures").glob("*.svg"))
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(10))

    page = (tmp_path / "run" / "report.html").read_bytes()
    (tmp_path / "run" / "report.html").unlink()
    assert symflow("report", "run", cwd=tmp_path).returncode == 0
    assert (tmp_path / "run" / "report.html").read_bytes() == page

    again = symflow("discover", str(data), "--out", "run", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert "holds a run already" in again.stderr


def test_discover_from_a_formula(tmp_path: Path) -> None:
    """Without a network and without a page, which can be made of what is left."""
    answer = symflow("discover", "u_t = u_xx + u_x**2", "--out", "run", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "2*t dx - x du" in answer.stdout
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["config.json", "result.json"]
    assert symflow("report", "run", cwd=tmp_path).returncode == 0
    page = (tmp_path / "run" / "report.html").read_bytes()
    assert b"<svg" in page

    options = ("--network", "solved", "--report", "--out", "run", "--force")
    answer = symflow("discover", "u_t = u_xx + u_x**2", *options, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "The network and the formulas" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("generate", "kvd", "--samples", "2", "--out", "a.h5"), "unknown equation 'kvd'; known by name are kdv"),
        (("generate", "kdv", "--samples", "0", "--out", "a.h5"), "`samples` must be an integer of at least 1, got 0"),
        (("generate", "u_t = exp(", "--samples", "1", "--out", "a.h5"), "unexpected end at column"),
        (("discover", "none.h5", "--out", "run"), "there is no such file"),
        (("discover", "kdv", "--out", "run", "--generators", "1000"), "`generators` must be an integer from 1 to 32"),
        (("discover", "kdv", "--out", "run", "--resume"), "there is no run to resume in 'run'"),
        (("report", "nowhere"), "there is no file 'nowhere/result.json'"),
        (("report", "junk.h5"), "`run` must be a run directory, got the file 'junk.h5'"),
        (("verify", "junk.h5"), "'junk.h5' must be a JSON file"),
        (("generate", "kdv", "--samples", "1", "--out", "a.csv"), "whose name ends in .h5"),
        (("audit", "mine.py", "--equation", "kdv"), "as mine.py:function"),
        (("train-operator", "kdv", "--out", "run", "--generators", "none"), "whose network learned fields"),
        (("augment", "few.npz", "--equation", "kdv", "--generators", "kvd", "--out", "b.h5"), "did you mean 'kdv'?"),
        (("discover", "bad.h5", "--out", "run", "--equation", "kdv"), "must be finite"),
        (("discover", "junk.h5", "--out", "run"), "junk.h5"),
        (("discover", "few.npz", "--out", "run", "--equation", "kdv", "--trust"), "at least 16 profiles"),
        (("train-operator", "kvd", "--out", "run"), "`data` must be a file of trajectories or one of kdv"),
        (("train-operator", "junk.h5", "--out", "run"), "junk.h5"),
        (("train-classifier", "nowhere", "--out", "run", "--seeds", "0"), "`seeds` must be an integer of at least 1"),
        (("discover-images", "nowhere", "--out", "run"), "nowhere"),
    ],
)
def test_mistakes_get_one_sentence(arguments: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    x = np.arange(64) * 2.0
    with h5py.File(tmp_path / "bad.h5", "w") as file:
        file["u"], file["x"], file["t"] = np.full((1, 20, 64), np.nan), x, np.arange(20.0)
    (tmp_path / "junk.h5").write_bytes(b"junk" * 100)
    np.savez(tmp_path / "few.npz", u=np.sin(x * np.pi / 64)[None, None] * np.ones((1, 3, 1)), x=x, t=np.arange(3.0))
    answer = symflow(*arguments, cwd=tmp_path)
    assert answer.returncode == 2, answer.stderr
    assert sentence in answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.stderr.strip().splitlines()[-1].startswith("symflow: ")


def test_an_existing_file_is_not_replaced(data: Path) -> None:
    """In a process of its own, as all the mistakes above would end."""
    before = data.read_bytes()
    answer = symflow_process("generate", "ckdv", *SMALL, "--out", str(data), cwd=data.parent)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert "Traceback" not in answer.stderr
    assert answer.stderr.strip().splitlines()[-1].startswith("symflow: ")
    assert "--force" in answer.stderr
    assert data.read_bytes() == before


def test_a_run_that_is_refused_leaves_its_place_free(tmp_path: Path) -> None:
    """So that the command can be typed again, put right."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").mkdir()
    for out in ("run", "there"):
        (tmp_path / "there").mkdir(exist_ok=True)
        for _ in range(2):
            answer = symflow("discover-images", "mine", "--out", out, cwd=tmp_path)
            assert answer.returncode == 2
            assert "must hold pictures in one subfolder per class" in answer.stderr
    assert not (tmp_path / "run").exists()
    assert list((tmp_path / "there").iterdir()) == []


@pytest.mark.parametrize("place", ["/proc/nowhere/a.h5", "file/a.h5", "."])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(place: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("symflow.pde.generation.generation.random_waves", lambda *a, **b: pytest.fail("it began"))
    (tmp_path / "file").write_text("x")
    answer = symflow("generate", "kdv", "--samples", "1", "--out", place, cwd=tmp_path)
    assert answer.returncode == 2
    assert "`out` must be a file" in answer.stderr


def test_brackets_are_no_markup(tmp_path: Path) -> None:
    answer = symflow("generate", "u_t = [/x] + [red]", "--samples", "1", "--out", "a.h5", cwd=tmp_path)
    assert answer.returncode == 2
    assert "unexpected '['" in answer.stderr


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk."""
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); from symflow.cli import main; main(sys.argv[1:])"
    )
    arguments = ["discover", "kdv", "--report", "--out", "run"]
    command = [sys.executable, "-c", script, *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert answer.returncode == 2, answer.stderr
    assert "Traceback" not in answer.stderr
    assert not list(tmp_path.glob("run/.*"))  # no temporary file is left


def test_train_operator_compares_arms_and_resumes(tmp_path: Path) -> None:
    sizes = ["--samples", "5", "--end", "40", "--steps", "100", "--keep", "60", "--resolution", "128"]
    assert symflow("generate", "kdv", *sizes, "--out", "kdv.h5", cwd=tmp_path).returncode == 0
    small = {"trajectories": 2, "seeds": 1, "points": 32, "width": 4, "modes": 4, "layers": 1, "steps": 3, "batch": 2}
    small |= {"copies": 2, "strengths": 0.1, "validation": 1, "test": 2, "workers": 1}
    options = [word for name, value in small.items() for word in (f"--{name}", str(value))]
    command = ["train-operator", "kdv.h5", "--out", "run", *options]
    answer = symflow(*command, "--arms", "none", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    answer = symflow(*command, "--arms", "none", "exact", "--resume", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "20 times to 20 on 32 points in x, 2 trajectories" in answer.stdout
    result = read_json(tmp_path / "run" / "result.json")
    assert [arm["name"] for arm in result["arms"]] == ["none", "exact"]
    for mistake, sentence in (("--steps 0", "`steps` must be"), ("--points 5", "`points` must be"), ("", "resume")):
        answer = symflow(*command, *mistake.split(), cwd=tmp_path)
        assert answer.returncode == 2, answer.stderr
        assert sentence in answer.stderr
        assert "Traceback" not in answer.stderr


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_bits(data: Path, tmp_path: Path) -> None:
    """SIGKILL while the network learns; what the resumed run leaves is what an uninterrupted one leaves."""
    arguments = ["discover", str(data), "--network", "trained", "--steps", "110"]
    whole = symflow_process(*arguments, "--out", "whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr

    command = [sys.executable, "-m", "symflow", *arguments, "--out", "part"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    metrics = tmp_path / "part" / "metrics.jsonl"
    deadline = time.monotonic() + 200
    while not (metrics.exists() and metrics.read_text().count("\n") >= 60):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "part" / "result.json").exists()
    later = time.time() + 365 * 86400  # as if the clock had been set back since
    for path in (tmp_path / "part").iterdir():
        os.utime(path, (later, later))

    resumed = symflow_process(*arguments, "--out", "part", "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    for name in ("metrics.jsonl", "network.safetensors", "evidence.safetensors", "span.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "part" / name).read_bytes(), name
    results = [read_json(tmp_path / folder / "result.json") for folder in ("whole", "part")]
    for result in results:
        del result["seconds"]  # the one thing that may differ
    assert results[0] == results[1]


def test_an_equation_alone_is_studied_and_proven_again(tmp_path: Path) -> None:
    text = "u_t = nu*(u_xx + u_yy) + sin(u)"
    options = ("--domain", "plane", "--report", "--out", "run")
    answer = symflow("discover", "--equation", text, "--parameters", "nu=0.3", *options, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "4 symmetries on the plane" in answer.stdout
    assert "y dx - x dy" in answer.stdout
    page = (tmp_path / "run" / "report.html").read_text()
    assert "rotation of x and y" in page
    assert "--parameters nu=0.3" in page
    answer = symflow("verify", "run", cwd=tmp_path)
    assert answer.returncode == 0
    assert answer.stdout.count("proven, pr V(F) = (0) F") == 4
    result = read_json(tmp_path / "run" / "result.json")
    result["generators"][0]["closed_form"]["du"] = "u"
    (tmp_path / "run" / "result.json").write_text(json.dumps(result))
    answer = symflow("verify", "run/result.json", cwd=tmp_path)
    assert answer.returncode == 1
    assert "V1  dx + u du: NOT proven" in answer.stdout


def test_symmetries_to_first_order_are_shown_and_proved_again(tmp_path: Path) -> None:
    damped = ["--equation", "u_t + u*u_x + u_xxx + eps*u = 0", "--parameters", "eps=0.05", "--small", "eps"]
    answer = symflow("discover", *damped, "--report", "--out", "run", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "t dx + du + eps (-t**2/2 dx - t du)  (proved)" in answer.stdout
    assert "4 of 4 symmetries" in (tmp_path / "run" / "report.html").read_text()
    answer = symflow("verify", "run", cwd=tmp_path)
    assert answer.returncode == 0
    assert answer.stdout.count("proven to first order in eps") == 4
    result = read_json(tmp_path / "run" / "result.json")
    result["first_order"]["stable"][2]["correction"]["du"] = "u"
    (tmp_path / "run" / "result.json").write_text(json.dumps(result))
    answer = symflow("verify", "run", cwd=tmp_path)
    assert answer.returncode == 1
    assert "NOT proven to first order in eps" in answer.stdout


def test_many_equations_are_answered_in_one_call(tmp_path: Path) -> None:
    """A table in the order of the file, JSON lines, and exit code 2 where one was refused."""
    (tmp_path / "equations.txt").write_text("u_t = u_xx  # heat\nu_t = exp(\nkdv\n")
    command = ("discover", "--equations", "equations.txt", "--out", "found/answers.jsonl")
    answer = symflow(*command, cwd=tmp_path)
    assert answer.returncode == 2
    assert "2 answered, 1 refused; written: found/answers.jsonl" in answer.stdout
    assert [line.split()[0] for line in answer.stdout.splitlines()[2:] if line.split()[0].isdigit()][:3] == list("123")
    lines = [json.loads(line) for line in (tmp_path / "found" / "answers.jsonl").read_text().splitlines()]
    assert [line["line"] for line in lines] == [1, 2, 3]
    assert [line["result"]["rank"] for line in (lines[0], lines[2])] == [6, 4]
    assert "unexpected end" in lines[1]["refused"]
    for mistake, sentence in (((), "--force"), (("--report",), "goes with no data"), (("kdv",), "goes with no data")):
        again = symflow(*command, *mistake, cwd=tmp_path)
        assert (again.returncode, again.stdout) == (2, "")
        assert sentence in again.stderr
    (tmp_path / "equations.txt").write_text("kdv\n")
    assert symflow("discover", "--equations", "equations.txt", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--equation", "u_t = nu*u_xx"], "unknown name 'nu'"),
        (["--equation", "u_t = nu*u_xx", "--parameters", "nu"], "`parameters` must be of the form name=number"),
        ([], "a file of trajectories or `--equation` must be given"),
        (["no.h5", "--equation", "u_t = u_xx"], "there is no such file"),
    ],
)
def test_wrong_equations_cost_a_sentence(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    answer = symflow("discover", *arguments, "--out", "run", cwd=tmp_path)
    assert answer.returncode == 2
    assert sentence in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / "run").exists()


def test_the_exit_code_of_an_audit_is_its_verdict(data: Path, tmp_path: Path) -> None:
    """0 where the data solve their equation, 1 where they do not, 3 where nothing can be told of them."""
    assert symflow("audit", str(data), cwd=tmp_path).returncode == 0
    refuted = symflow("audit", str(data), "--equation", "kdv", cwd=tmp_path)
    assert refuted.returncode == 1, refuted.stdout
    assert "do not solve it" in refuted.stdout
    with h5py.File(data, "r") as file, h5py.File(tmp_path / "still.h5", "w") as still:
        for name in file:
            file.copy(name, still)
        for name, value in file.attrs.items():
            still.attrs[name] = value
        still["u"][...] = 1.0
    untold = symflow("audit", "still.h5", cwd=tmp_path)
    assert untold.returncode == 3, untold.stdout
    assert "Traceback" not in untold.stderr
