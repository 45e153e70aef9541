"""Every command and function on every kind of data: an answer, or a sentence that names what it needs.

The table in docs/data.md is held to what is asked here, cell by cell.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from symflow import SymbolicField, pde
from symflow.errors import UserError
from symflow.pde import Equation, Trajectories
from symflow.pde.trajectories import Axis, data_coordinates

TURN = 2 * math.pi
PAGE = Path(__file__).parents[2] / "docs" / "data.md"
WORKS, REFUSED, EMPTY = "yes", "-", "nothing certified"


def box(text: str, **settings: object) -> Trajectories:
    given = {"end": 0.3, "length": TURN, "resolution": 16, "steps": 41, "amplitude": 0.1, "wavenumbers": (0, 1)}
    return pde.generate(text, 3, 0, **(given | settings))


def walls(text: str) -> Trajectories:
    """Heat between walls in closed form, with slopes of 0; and Burgers by Hopf and Cole, 0 at the walls."""
    x, t = torch.linspace(0, 1, 33, dtype=torch.float64), torch.linspace(0, 1, 41, dtype=torch.float64)
    k = math.pi * torch.arange(1, 3, dtype=torch.float64)[:, None, None]
    a = torch.tensor([[0.2, 0.1], [-0.1, 0.2], [0.3, 0.0]], dtype=torch.float64)[:, :, None, None]
    size = a * torch.exp(-0.1 * k**2 * t[:, None])
    theta, slope = 1 + (size * torch.cos(k * x)).sum(1), (-k * size * torch.sin(k * x)).sum(1)
    u = -0.2 * slope / theta if "u*u_x" in text else theta
    return Trajectories(Equation(text), x, t, u, axes=(Axis("x", x),))


def kepler() -> Trajectories:
    t = torch.linspace(0, 3, 61, dtype=torch.float64)
    u = torch.stack([torch.stack([torch.cos(t + s), torch.sin(t + s)], -1) for s in range(3)])
    equation = Equation("p_tt = -p/(p**2 + q**2)**(3/2); q_tt = -q/(p**2 + q**2)**(3/2)")
    return Trajectories(equation, torch.zeros(0), t, u, fields=("p", "q"), axes=())


KINDS: dict[str, Callable[[], Trajectories]] = {
    "NLS": lambda: box("i*psi_t + psi_xx + 2*|psi|**2*psi = 0", resolution=32),
    "Gray-Scott": lambda: box(
        "u_t = 0.02*(u_xx + u_yy) - u*v**2 + 0.04*(1 - u); v_t = 0.01*(v_xx + v_yy) + u*v**2 - 0.1*v"
    ),
    "lambda-omega": lambda: box(
        "u_t = 0.2*(u_xx + u_yy) + u - u*(u**2 + v**2) + v*(u**2 + v**2); "
        "v_t = 0.2*(v_xx + v_yy) + v - v*(u**2 + v**2) - u*(u**2 + v**2)"
    ),
    "Navier-Stokes": lambda: box("w_t + q_y*w_x - q_x*w_y = 0.05*(w_xx + w_yy); q_xx + q_yy + w = 0"),
    "2-D KS": lambda: box("u_t + u_x**2/2 + u_y**2/2 + u_xx + u_yy + u_xxxx + 2*u_xxyy + u_yyyy = 0"),
    "Klein-Gordon": lambda: box("u_tt = u_xx - u - u**3", resolution=32),
    "2-D wave": lambda: box("u_tt = u_xx + u_yy"),
    "shallow water": lambda: box("h_t + Derivative(h*v, x) = 0; v_t + v*v_x + h_x = 0", resolution=32, end=0.05),
    "2-D shallow water": lambda: box(
        "h_t + Derivative(h*u, x) + Derivative(h*v, y) = 0; "
        "u_t + u*u_x + v*u_y + h_x = 0; v_t + u*v_x + v*v_y + h_y = 0",
        end=0.05,
    ),
    "Burgers between walls": lambda: walls("u_t + u*u_x = 0.1*u_xx"),
    "heat between walls": lambda: walls("u_t = 0.1*u_xx"),
    "Lotka-Volterra": lambda: pde.generate("u_t = 2/3*u - 4/3*u*v; v_t = u*v - v", 3, 0, end=5.0, steps=61),
    "Kepler": kepler,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Trajectories, Path]]:
    folder = tmp_path_factory.mktemp("kinds")
    known: dict[str, tuple[Trajectories, Path]] = {}

    def of(kind: str) -> tuple[Trajectories, Path]:
        if kind not in known:
            data, path = KINDS[kind](), folder / f"{len(known)}.h5"
            pde.save(data, path)
            known[kind] = data, path
        return known[kind]

    return of


def _same(data: Trajectories, path: Path) -> bool:
    again = pde.load(path)
    assert torch.equal(again.u, data.u)
    assert again.fields == data.fields
    return True


def _seen(data: Trajectories) -> bool:
    assert data.equation.text.split()[0] in data._repr_html_().replace("&lt;", "<")
    return data.plot() is not None


def _judged(data: Trajectories) -> bool:
    audit = pde.audit_data(data)
    assert audit.verdict != "refuted", audit
    return bool(audit.to_dict()) and bool(audit._repr_html_())


def _shift(data: Trajectories) -> SymbolicField:
    return SymbolicField(data_coordinates(data, periodic=True), [{"dt": "1"}])


def _augmented(data: Trajectories) -> bool:
    augment = pde.TrajectoryAugment(_shift(data), data, 0.05)
    values, valid = augment.move(data.u, augment.draw(len(data), torch.Generator().manual_seed(0)))
    return values.shape == data.u.shape and bool(valid.any()) and not torch.equal(values, data.u)


def _trained(data: Trajectories, path: Path) -> bool:
    arms = {"trajectories": 1, "seeds": 1, "validation": 1, "test": 1, "steps": 2, "width": 4, "modes": 2}
    return bool(str(pde.compare_operators(data, arms=("none",), workers=1, **arms)))


def _fitted(data: Trajectories, path: Path) -> bool:
    arrays = {name: data.field(name).numpy() for name in data.fields} | {a.name: a.nodes.numpy() for a in data.axes}
    bare = path.with_suffix(".npz")
    np.savez(bare, t=data.t.numpy(), **arrays)
    return bool(pde.load_identified(bare).equation.text)


COMMANDS: dict[str, Callable[[Trajectories, Path], bool]] = {
    "save, load": _same,
    "describe": lambda data, path: bool(pde.describe(path).to_dict()),
    "plot, notebook": lambda data, path: _seen(data),
    "audit": lambda data, path: _judged(data),
    "certify": lambda data, path: not pde.certify(data, [{"dt": "1"}]).reason,
    "fit of an equation": _fitted,
    "augment": lambda data, path: _augmented(data),
    "train-operator": _trained,
    "residual": lambda data, path: data.residual() >= 0,
    "characteristics": lambda data, path: bool(len(pde.augmentation.characteristics(_shift(data), data))),
}
# what a refusal must name, for a person to know what the command takes
NEEDS = "|".join(
    (
        r"no law( of \w+)? fits the data",
        "needs one unknown u? ?on a periodic line",
        "an operator needs periodic axes and all values",
        r"needs an equation u_t = \.\.\. in x, t and u",
    )
)


def table() -> dict[tuple[str, str], str]:
    """The cells of the table in docs/data.md."""
    rows = [line.strip("|").split("|") for line in PAGE.read_text().splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in row] for row in rows]
    head = next(row for row in rows if row[0] == "kind of data")
    return {
        (row[0], name): cell
        for row in rows
        if row[0] in KINDS and len(row) == len(head)
        for name, cell in zip(head[1:], row[1:], strict=True)
    }


def test_the_table_is_whole():
    assert set(table()) == {(kind, command) for kind in KINDS for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_cell(kind, command, made):
    if command == "plot, notebook":
        pytest.importorskip("matplotlib").use("Agg")
    data, path = made(kind)
    said = ""
    try:
        found = WORKS if COMMANDS[command](data, path) else EMPTY
    except UserError as error:
        said, found = str(error), REFUSED
    assert not said or re.search(NEEDS, said), said
    assert found == table()[kind, command], said
