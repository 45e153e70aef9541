"""What all commands have in common: options, examples, JSON, configurations, progress, sentences that are true."""

from __future__ import annotations

import ast
import io
import json
import random
import re
import shlex
import subprocess
import time
from contextlib import redirect_stderr
from pathlib import Path

import numpy as np
import pytest

import symflow as package
from command_line import symflow
from symflow import console, options
from symflow.cli import commands
from symflow.errors import UserError
from symflow.formulas import expressions
from symflow.words import number

ROOT = Path(package.__file__).parent
DOCS = Path(__file__).parents[1] / "docs" / "commands.md"
COMMANDS = commands()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_shows_two_examples_that_it_takes(name: str) -> None:
    shown = options.examples(COMMANDS[name])
    assert len(shown) >= 2
    for line in shown:
        program, command, *words = shlex.split(line.partition(" > ")[0])
        assert (program, command) == ("symflow", name)
        options.ask(COMMANDS[name], words)
        assert line in options.description(COMMANDS[name])


def test_the_examples_are_in_the_help(tmp_path: Path) -> None:
    answer = symflow("discover", "--help", cwd=tmp_path)
    assert answer.returncode == 0
    assert 'symflow discover --equation "u_t = u_xx + u_x**2"' in answer.stdout
    for option in ("--json", "--quiet", "--verbose", "--config", "--save-config"):
        assert option in answer.stdout


def test_the_exit_codes_have_one_table(tmp_path: Path) -> None:
    table = dict(re.findall(r"^\| (\d+) \| (.*) \|$", DOCS.read_text(), re.MULTILINE))
    assert table == {str(code): meaning for code, meaning in console.MEANINGS.items()}
    helped = " ".join(symflow("--help", cwd=tmp_path).stdout.split())
    for code, meaning in console.MEANINGS.items():
        assert f"{code}: {meaning}" in helped


def documented(command: str) -> set[str]:
    """The names that the table of docs/commands.md gives to a command before any list in it."""
    row = next(line for line in DOCS.read_text().splitlines() if line.startswith("|") and f"`{command}`" in line)
    return set(re.findall(r"`(\w+)`", row.split("|")[2].partition(": a list")[0].partition(". With")[0]))


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with trajectories of two equations, made by the commands."""
    folder = tmp_path_factory.mktemp("waves")
    small = ["--samples", "2", "--steps", "60", "--keep", "60", "--resolution", "128", "--end", "20"]
    answer = symflow("generate", "KdV", *small, "--out", "kdv.h5", "--json", cwd=folder)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["shape"] == [2, 60, 128]
    assert set(json.loads(answer.stdout)) == documented("generate")
    return folder


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("describe kdv.h5", 0),
        ("discover KDV --seed 1", 0),
        ("discover kdv.h5 --network none --out run", 0),
        ("report run", 0),
        ("verify run", 0),
        ("audit kdv.h5", 0),
        ("augment kdv.h5 --generators kdv --copies 2 --out more.h5", 0),
        ("completion bash", 0),
    ],
)
def test_json_is_one_object_on_the_standard_output(command: str, code: int, waves: Path) -> None:
    answer = symflow(*command.split(), "--json", cwd=waves)
    assert answer.returncode == code, answer.stderr
    found = json.loads(answer.stdout)
    expected = documented(command.split()[0]) - ({"answers", "result", "refused"} if "discover" in command else set())
    if command.startswith("audit"):
        expected = {"equation", "verdict", "sentences", "outliers", "noise", "gate"}
    assert expected <= set(found)


def test_an_answer_without_a_directory_writes_nothing(tmp_path: Path) -> None:
    answer = symflow("discover", "--equation", "u_t = u_xx + u_x**2", "--quiet", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "2*t dx - x du" in answer.stdout
    assert (answer.stderr, list(tmp_path.iterdir())) == ("", [])
    answer = symflow("discover", "kdv", "--report", cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "`--out`" in answer.stderr


@pytest.mark.parametrize("words", [("discover", "--equation"), ("discover",)])
def test_a_formula_may_begin_with_a_minus(words: tuple[str, ...], tmp_path: Path) -> None:
    answer = symflow(*words, "-u_t + u_xx + k*u_x**2 = 0", "--parameters", "k=-1", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "2*t dx + x du" in answer.stdout
    answer = symflow(*words, "-x", cwd=tmp_path)
    assert answer.returncode == 2


def test_what_was_asked_is_asked_again_from_a_file(tmp_path: Path) -> None:
    asked = ["discover", "u_t = nu*u_xx", "--parameters", "nu=1/4", "--seed", "7", "--domain", "plane"]
    answer = symflow(*asked, "--out", "run", "--save-config", "asked.json", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    results = [json.loads((tmp_path / "run" / "result.json").read_text())]
    for config in ("asked.json", "run"):
        answer = symflow("discover", "--config", config, "--json", cwd=tmp_path)
        assert answer.returncode == 0, answer.stderr
        results.append(json.loads(answer.stdout))
    typed = symflow("discover", "u_t = u_xxx", "--config=asked.json", "--parameters", "--json", cwd=tmp_path)
    assert json.loads(typed.stdout)["equation"]["text"] == "u_t = u_xxx", typed.stderr
    assert json.loads(typed.stdout)["seed"] == 7
    for result in results:
        assert (result["seed"], result["domain"], result["equation"]["parameters"]) == (7, "plane", {"nu": 0.25})
        del result["seconds"], result["command"]
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"command": "augment"}', "`--config` must be of `symflow discover`, got one of 'augment'"),
        ('{"sead": 3}', "names an option 'sead' that there is not, in 'c.json'; did you mean 'seed'?"),
        ("[1]", "'c.json' must be a configuration"),
        ("{", "'c.json'"),
    ],
)
def test_a_file_that_asks_nothing_is_refused(content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(content)
    answer = symflow("discover", "kdv", "--config", "c.json", cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert sentence in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("discvoer", "kdv"), "there is no command 'discvoer'; did you mean 'discover'?"),
        (("discover", "--equation", "burger"), "did you mean 'burgers'?"),
        (("discover", "burgesr"), "did you mean 'burgers'?"),
        (("discover", "kdf.h5"), "did you mean 'kdv.h5'?"),
        (("train-operator", "kvd", "--out", "r"), "did you mean 'kdv'?"),
        (("discover", "u_t = sni(u)"), "did you mean 'sin'"),
        (("discover", "u_t = 2u_xx"), "2*u_xx for 2u_xx"),
        (("discover", "u_t = 3(u_x)"), "a product needs its sign"),
        (("discover", "u_t = u u_x"), "a product needs its sign"),
        (("generate", "kdv", "--samples", "1", "--end", "ten", "--out", "a.h5"), "unknown name 'ten'"),
        (("discover", "kdv", "--sead", "1"), "--seed"),
    ],
)
def test_what_was_nearly_right_is_named(arguments: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    (tmp_path / "kdv.h5").write_bytes(b"")
    answer = symflow(*arguments, cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert sentence in " ".join(answer.stderr.split())
    assert "Traceback" not in answer.stderr


def test_verbose_says_where(tmp_path: Path) -> None:
    answer = symflow("discover", "u_t = exp(", "-v", cwd=tmp_path)
    assert answer.returncode == 2
    assert "Traceback" in answer.stderr
    assert answer.stderr.splitlines()[-1].startswith("symflow: unexpected end")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("discover kdv --domian plane", "`symflow discover` has no option '--domian'; did you mean '--domain'?"),
        ("discover kdv --Quiet", "did you mean '--quiet'?"),
        ("discover kdv -o run", "has no option '-o'; `symflow discover --help` lists them"),
        ("discover kdv --domain box", "`--domain` must be periodic or plane, got 'box'"),
        ("discover kdv --domain Plane", "got 'Plane'; did you mean 'plane'?"),
        ("discover kdv --seed one", "`--seed` must be an integer, got 'one'"),
        ("discover kdv --degree 1.5", "`--degree` must be an integer, got '1.5'"),
        ("discover kdv --tolerance 0,1", "`--tolerance` must be a number, got '0,1'"),
        ("discover kdv --seed", "`--seed` must be followed by an integer"),
        ("discover --equation --json", "`--equation` must be followed by a text"),
        ("discover kdv --trust yes", "`--trust` takes no value, got 'yes'"),
        ("discover kdv --trust=yes", "`--trust` takes no value, got 'yes'"),
        ("discover u_t = u_xx", "a formula with spaces stands in quotation marks"),
        ("generate kdv", "needs `--samples` and `--out`, as in: symflow generate kdv --samples 64 --out kdv.h5"),
        ("audit", "`symflow audit` needs `TARGET`, as in: symflow audit mine.h5"),
        ("completion fish", "`SHELL` must be bash, zsh or tcsh, got 'fish'"),
        ("train-operator kdv --out r --strengths 0.1 big", "`--strengths` must be a number, got 'big'"),
    ],
)
def test_words_that_a_command_does_not_take_get_a_sentence(line: str, sentence: str, tmp_path: Path) -> None:
    answer = symflow(*shlex.split(line), cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert sentence in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


WORDS = [
    *("kdv", "a b", "plane", "box", "1", "-5", "1.5", "2*pi", "ten", "None", "a=1", "-u_t = 0", "zsh", "pde"),
    *(
        "--seed",
        "--seed=2",
        "--seed=x",
        "--domain",
        "--domain=plane",
        "--tolerance",
        "--trust",
        "--no-trust",
    ),
    *(
        "--json",
        "--no-json",
        "-v",
        "--parameters",
        "--parameters=a=1",
        "--out",
        "--save_config",
        "--samples",
        "--domian",
    ),
]


ENOUGH = {
    "discover": [],
    "generate": ["kdv", "--samples", "1", "--out", "a.h5"],
    "merge": ["a.h5", "--out", "b.h5"],
    "report": ["run"],
    "tensorboard": ["run"],
    "reproduce": ["pde"],
    "completion": ["zsh"],
    "doctor": [],
}


@pytest.mark.parametrize("name", ENOUGH)
def test_what_is_refused_is_what_tyro_refuses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words are looked through by rules of our own; on words drawn at random both have the same opinion."""
    draw = random.Random(0)
    opinions = []
    for _ in range(100):
        words = [*ENOUGH[name], *draw.choices(WORDS, k=draw.randrange(4))]
        with monkeypatch.context() as patch, redirect_stderr(io.StringIO()):
            patch.setattr(options, "check", lambda *given: None)
            try:
                options.ask(COMMANDS[name], words)
                theirs = False
            except SystemExit:
                theirs = True
            except UserError:  # a value out of its range, which comes after the words
                continue
        try:
            options.ask(COMMANDS[name], words)
            ours = False
        except UserError:
            ours = True
        assert ours == theirs, words
        opinions.append(ours)
    assert 15 < sum(opinions) < len(opinions) - 15


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.5", 0.5), ("-1e3", -1e3), ("−2", -2.0), ("pi", np.pi), ("2*pi", 2 * np.pi), ("1/3", 1 / 3), ("π", np.pi)],
)
def test_numbers_are_read_as_people_write_them(text: str, value: float) -> None:
    assert number(text) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize("text", ["x", "", "2*", "1/0", "nan*2"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        number(text)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("u_t − 6·u×u_x ÷ 2", "u_t - 6*u*u_x / 2"),
        ("u² + π", "u**2 + pi"),
        ("x⁻¹²", "x**(-12)"),
        ("1e5*x + 2.5E-3 + .5", "1e5*x + 2.5E-3 + .5"),
        ("x1 + u_x2", "x1 + u_x2"),
    ],
)
def test_formulas_are_read_as_people_write_them(written: str, meant: str) -> None:
    assert expressions.typed(written) == meant


def test_data_of_others_are_augmented_too(waves: Path) -> None:
    """The same trajectories, without a word of what they solve: what comes of them is the same."""
    import h5py

    with h5py.File(waves / "kdv.h5") as file:
        u, x, t = (file[name][()] for name in ("u", "x", "t"))
    np.savez(waves / "theirs.npz", u=u, x=x, t=t)
    for source, more in (("kdv.h5", ()), ("theirs.npz", ("--equation", "kdv", "--boundary", "periodic"))):
        arguments = (*more, "--generators", "kdv", "--copies", "2", "--out", f"of-{Path(source).stem}.h5")
        answer = symflow("augment", source, *arguments, cwd=waves)
        assert answer.returncode == 0, answer.stderr
    with h5py.File(waves / "of-kdv.h5") as own, h5py.File(waves / "of-theirs.h5") as theirs:
        np.testing.assert_array_equal(own["weights"], theirs["weights"])
        np.testing.assert_allclose(own["u"], theirs["u"], rtol=0, atol=1e-12)
    assert not list(waves.glob("*.source.h5"))


# ---- progress -------------------------------------------------------------------------------------------------------


def test_a_log_gets_a_line_now_and_then_though_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "EVERY", 0.02)
    log = io.StringIO()
    with redirect_stderr(log), console.staged(lambda figures: f"loss {figures['loss']}" if figures else "") as progress:
        progress("network", 0.25, {"loss": 3})
        time.sleep(0.3)
        progress("network", 1.0, {})
        time.sleep(0.1)
    lines = log.getvalue().splitlines()
    assert 2 <= len(lines) <= 15  # about 0.3 / 0.02, and none once it is done
    assert set(lines) == {"symflow: network 25%, 0 s, loss 3"}


def test_quiet_says_nothing_and_verbose_every_step() -> None:
    for word, expected in (("quiet", []), ("normal", []), ("verbose", ["a 0%, 0 s", "a 100%, 0 s", "b 100%, 0 s"])):
        log = io.StringIO()
        with redirect_stderr(log), console.loudness(word), console.staged() as progress:
            progress("a", 0.0, {})
            progress("a", 1.0, {})
            progress("b", 1.0, {})
        assert log.getvalue().splitlines() == [f"symflow: {line}" for line in expected]


# ---- completion, and sentences --------------------------------------------------------------------------------------


def test_completion_knows_commands_and_options(tmp_path: Path) -> None:
    answer = symflow("completion", "bash", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    for word in (*COMMANDS, "--equation", "--generators", "--json"):
        assert word in answer.stdout
    assert subprocess.run(["bash", "-n"], input=answer.stdout, text=True, check=False).returncode == 0


def sentences() -> list[tuple[str, str]]:
    """Every text of the package that names an option or a command between backticks, with the file it stands in."""
    found = []
    for path in sorted(p for p in ROOT.parent.rglob("*.py") if {"symflow", "pde", "vision"} & {*p.parts[-4:]}):
        if {"tests", "build", ".venv"} & set(path.parts):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and re.search("`(--|symflow )", node.value)
            ):
                found.append((path.name, node.value))
    return found


def test_a_sentence_that_names_an_option_names_one_that_exists() -> None:
    known = {"help", "version"} | {name for c in COMMANDS.values() for name in options.offers(c)[0]}
    known = {name.replace("_", "-") for name in known} | {"json", "quiet", "verbose", "config", "save-config"}
    named = sentences()
    assert len(named) > 20
    for file, text in named:
        for option in re.findall(r"`--([a-z][a-z-]*)", text):
            assert option.removeprefix("no-") in known, f"{file}: {text}"
        for command in re.findall(r"`symflow ([a-z-]+)", text):
            assert command in COMMANDS or command.startswith("--"), f"{file}: {text}"


def test_doctor_tries_every_kernel(tmp_path: Path) -> None:
    answer = symflow("doctor", "--json", cwd=tmp_path)
    found = json.loads(answer.stdout)
    assert answer.returncode == 0, found
    assert set(found) == documented("doctor")
    assert len(found["kernels"]) == 7
    for kernel in found["kernels"]:
        assert kernel["right"]
        assert 0 < kernel["share"] < 5
        assert max(v for v in (kernel["single"], kernel["double"]) if v is not None) < 1e-5


def test_doctor_finds_a_kernel_that_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from symflow import checkup

    right = checkup.warp
    monkeypatch.setattr(checkup, "warp", lambda images, grid: right(images, grid) * (1 + 1e-4))
    answer = symflow("doctor", cwd=tmp_path)
    assert answer.returncode == 1
    assert answer.stdout.count("WRONG") == 2
