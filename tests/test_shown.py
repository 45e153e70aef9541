"""What people are shown: commands in the help, the README and the pages are taken; the help's examples run, and so do
the blocks of the pages that a reader types from, one after another.
"""

from __future__ import annotations

import ast
import re
import shlex
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from command_line import symflow
from symflow import GridField, SymbolicField, options
from symflow.cli import commands
from symflow.vision.search.plane import AFFINE_FORMS, PLANE

ROOT = Path(__file__).parents[1]
COMMANDS = commands()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def shown(page: Path) -> list[str]:
    """The lines of a page's blocks that begin with the program."""
    blocks = BLOCK.findall(page.read_text())
    return [line for _, block in blocks for line in block.splitlines() if line[:8] == "symflow "]


@pytest.mark.parametrize("page", [p for p in PAGES if shown(p)], ids=lambda p: p.name)
def test_commands_of_a_page_are_taken(page: Path) -> None:
    for line in shown(page):
        _, command, *words = shlex.split(line.partition(" > ")[0], comments=True)
        options.ask(COMMANDS[command], words)


def test_the_front_pages_show_commands() -> None:
    assert len(shown(ROOT / "README.md")) > 10
    assert len(shown(ROOT / "docs" / "quickstart.md")) >= 5


# ---- the examples of the help, on small data ------------------------------------------------------------------------

FEW = ["--samples", "4", "--steps", "100", "--keep", "80", "--end", "40", "--resolution", "128"]
LESS = {
    "generate": ["--samples", "2", "--steps", "40", "--keep", "30"],
    "train-operator": [
        *("--trajectories", "2", "--seeds", "1", "--points", "32", "--width", "4", "--modes", "4", "--layers", "1"),
        *("--steps", "2", "--batch", "2", "--copies", "2", "--strengths", "0.1", "--validation", "1", "--test", "1"),
        *("--workers", "1"),
    ],
    "discover-images": ["--generators", "2", "--epochs", "1"],
    "train-classifier": [
        "--seeds",
        "1",
        "--epochs",
        "1",
        "--fraction",
        "0.5",
        "--strengths",
        "0.1",
        "--shifts",
        "2",
        "--unproved",
    ],
}
"""What makes an example small; of an option that comes twice the last one counts."""
ELSEWHERE = ("reproduce", "completion", "tensorboard")
"""Studies take minutes, and tests of their own; files go to a person's home; TensorBoard need not be there."""
VERDICTS = {"audit": (0, 1, 3), "discover-images": (0, 1, 3)}


def pictures(folder: Path) -> None:
    """Upright and lying bars, a subfolder for each class."""
    draw = np.random.default_rng(0)
    for name in ("upright", "lying"):
        (folder / name).mkdir(parents=True)
        for k in range(60):
            image = draw.integers(0, 60, (16, 16, 3), dtype=np.uint8)
            image[:, (at := draw.integers(2, 12)) : at + 3] = 220
            Image.fromarray(image if name == "upright" else image.transpose(1, 0, 2)).save(folder / name / f"{k}.png")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the examples name."""
    folder = tmp_path_factory.mktemp("home")
    assert symflow("generate", "kdv", *FEW, "--out", "mine.h5", cwd=folder).returncode == 0
    for k in (1, 2):
        part = ("--shard", f"{k}/2", "--out", f"part{k}.h5")
        assert symflow("generate", "kdv", *FEW, *part, cwd=folder).returncode == 0
    for name in ("mine.nc", "theirs.nc"):  # netCDF-4 is HDF5
        shutil.copy(folder / "mine.h5", folder / name)
    with h5py.File(folder / "two.h5", "w") as file:
        file["Vx"], file["Vy"] = np.zeros((2, 20, 64)), np.ones((2, 20, 64))
        file["x"], file["t"] = np.arange(64.0), np.arange(20.0)
    (folder / "my_transform.py").write_text(
        "def boost(x, t, u, epsilon):\n    return x + epsilon * t, t, u + epsilon\n"
    )
    pictures(folder / "cifar-10-batches-py")
    pictures(folder / "photographs")
    found = symflow("discover-images", "photographs", *LESS["discover-images"], "--out", "runs/cifar", cwd=folder)
    assert found.returncode in VERDICTS["discover-images"], found.stderr
    shutil.copy(folder / "runs" / "cifar" / "network.safetensors", folder / "mine.safetensors")
    for run, equation in (("mine", "kdv"), ("kdv", "kdv"), ("burgers", "burgers")):
        assert symflow("discover", equation, "--out", f"runs/{run}", cwd=folder).returncode == 0
    shutil.copy(folder / "runs" / "mine" / "result.json", folder / "result.json")
    return folder


def examples() -> list[str]:
    return [line for name, c in COMMANDS.items() if name not in ELSEWHERE for line in options.examples(c)]


@pytest.mark.slow
@pytest.mark.parametrize("line", examples())
def test_an_example_of_the_help_runs(line: str, home: Path) -> None:
    _, command, *words = shlex.split(line)
    if "--out" in words:  # what another example left
        left = home / words[words.index("--out") + 1]
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    if [command, *words[:1]] == ["describe", "mine.h5"]:
        words[0] = "two.h5"  # with the fields that the example names
    if command == "train-operator" and "--generators" in words:  # of a network that learned fields
        learned = ("mine.h5", "--network", "trained", "--steps", "10", "--out", "runs/mine", "--force")
        assert symflow("discover", *learned, cwd=home).returncode in (0, 3)
    answer = symflow(command, *words, *LESS.get(command, []), cwd=home)
    assert answer.returncode in VERDICTS.get(command, (0,)), answer.stderr


# ---- the pages that a reader types from, from the top to the bottom -------------------------------------------------

TYPED = ("README.md", "docs/quickstart.md", "docs/howto.md")


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in TYPED if shown(ROOT / page)])
def test_the_commands_of_a_page_run(page: str, readers: Path) -> None:
    for line in shown(ROOT / page):
        command, *words = shlex.split(line.partition(" > ")[0], comments=True)[1:]
        if command in ELSEWHERE:
            continue
        few = FEW if command == "generate" else LESS.get(command, [])
        answer = symflow(command, *words, *few, cwd=readers)
        assert answer.returncode in VERDICTS.get(command, (0,)), (line, answer.stderr)


@pytest.fixture
def readers(home: Path, tmp_path: Path) -> Path:
    """A folder with what a reader has before the first command."""
    for name in ("my_transform.py", "cifar-10-batches-py"):
        (shutil.copytree if (home / name).is_dir() else shutil.copy)(home / name, tmp_path / name)
    (tmp_path / "many.txt").write_text("u_t = u_xx\nu_t + u*u_x + u_xxx = 0\n")
    shutil.copy(home / "mine.h5", tmp_path / "mine.h5")
    return tmp_path


FEW_IMAGES = re.compile(r"(augment\w*)\((0\.\d+)\)")
"""Of so few images it cannot be told what is valid, so that only unproved motions are there to try."""


def of_the_reader(page: str) -> list[dict[str, object]]:
    """What is the reader's own in every block of Python, by name."""
    torch.manual_seed(0)
    points = torch.randn(400, 2)
    x, y, t = np.arange(32) / 32, np.arange(24) / 24, np.arange(20) / 20
    waves = np.sin(2 * np.pi * (x[:, None] - t[:, None, None]) + 0 * y)  # [t, x, y]
    grid = torch.stack(torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="xy"), -1)
    nodes_t, nodes_x = torch.meshgrid(torch.linspace(0, 2, 11), torch.arange(16) / 8, indexing="ij")
    images = {"images": torch.rand(4, 3, 16, 16)}
    rings = {
        "network": lambda p: p.square().sum(-1, keepdim=True),
        "points": points,
        "batch": points,
        "my_residual": lambda p: p.square().sum(-1, keepdim=True),
    }
    kernels = {
        "points": torch.rand(4, 50, 3) * 2 - 1,
        "weights": torch.randn(4, 4) / 10,
        "images": torch.rand(4, 3, 32, 32),
        "grid": grid[None],
        "nodes": torch.stack([64 * nodes_x, 50 * nodes_t, torch.sin(torch.pi * nodes_x)], -1)[None],
        "grid_field": GridField.tabulate(SymbolicField(PLANE, AFFINE_FORMS[:4]), (9, 9), (-1.5, -1.5), (1.5, 1.5)),
    }
    arrays = {"u": waves[:, :, 0], "h": waves, "v": waves, "x": x, "y": y, "t": t}
    if page == "docs/howto.md":
        xarray = pytest.importorskip("xarray", reason="a block of the page is about xarray")
        arrays["dataset"] = xarray.Dataset({"u": (("t", "x"), arrays["u"])}, {"t": t, "x": x})
    return {
        "README.md": [{}, images, rings, kernels],
        "docs/quickstart.md": [{}, {}, rings],
        "docs/howto.md": [arrays, {"points": torch.rand(5, 3)}],
    }[page]


@pytest.mark.slow
@pytest.mark.parametrize("page", TYPED)
def test_the_python_of_a_page_runs(page: str, readers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one session; where a literal stands behind an expression, that is its value."""
    monkeypatch.chdir(readers)
    names: dict[str, object] = {"__name__": "page"}
    blocks = [text for language, text in BLOCK.findall((ROOT / page).read_text()) if language == "python"]
    own = of_the_reader(page)
    assert len(blocks) == len(own)
    for block, given in zip(blocks, own, strict=True):
        names |= given
        block = FEW_IMAGES.sub(r"\1(\2, unproved=True)", block)
        exec(compile(block, page, "exec"), names)
        for line in block.splitlines():
            expression, _, said = line.partition("  # ")
            if said.startswith(("{", "[", "(")) and "->" not in said:  # a value, and no shapes
                assert eval(expression, names) == ast.literal_eval(said), line
