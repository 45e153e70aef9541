"""Law 7: results have the same bits with any number of threads."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import symflow
from symflow import pde, vision
from symflow.algebra import geometry, measured_structure_constants, sample_brackets
from symflow.fields import Coordinates, NeuralField, SymbolicField
from symflow.pde.augmentation import characteristics
from symflow.pde.augmentation.residuals import residuals
from symflow.pde.scores.slots import Slots
from symflow.pde.trajectories import data_coordinates
from symflow.runs import one_thread

pytestmark = pytest.mark.determinism

BOOST = {"dx": "t", "dt": "0", "du": "1"}


def bits(result: Any) -> bytes:
    return result.detach().numpy().tobytes() if isinstance(result, Tensor) else json.dumps(result).encode()


def assert_same_bits(make: Callable[[], Any]) -> None:
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(bits(make()))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert found[0] == found[1] == found[2]


@pytest.fixture(scope="module")
def data() -> pde.Trajectories:
    data = pde.generate("kdv", 8, 0, resolution=256, keep=140)
    noise = torch.randn(data.u.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return replace(data, u=data.u + 1e-3 * noise)


@pytest.fixture(scope="module")
def fields() -> tuple[NeuralField, NeuralField, Tensor]:
    axes = Coordinates(("x", "t", "u"))
    points = torch.rand(20_000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    first, second = (NeuralField(axes, 3, width=32, head_width=16, seed=seed).double() for seed in (0, 1))
    return first, second, points


def test_generated_data() -> None:
    assert_same_bits(lambda: pde.generate("ckdv", 4, 0, steps=60, keep=40, end=10.0).u)


def test_residuals_of_data(data: pde.Trajectories) -> None:
    everywhere = torch.ones(data.u.shape[:2], dtype=torch.bool)
    assert_same_bits(lambda: [data.residual(), data._residual(8)[1], residuals(data, data.u, everywhere).tolist()])


def test_jets(data: pde.Trajectories) -> None:
    assert_same_bits(lambda: data.jets(5_000, 4, 0).u)


def test_audits(data: pde.Trajectories) -> None:
    assert_same_bits(lambda: pde.audit_data(data).to_dict())


def test_certificates(data: pde.Trajectories) -> None:
    assert_same_bits(lambda: pde.certify(data, [BOOST]).to_dict())


def test_characteristics_and_augmentation(data: pde.Trajectories) -> None:
    field = SymbolicField(data_coordinates(data, periodic=True), [BOOST, {"dt": "1"}])

    def moved() -> Tensor:
        augment = pde.TrajectoryAugment(field, data, 0.1)
        weights = augment.draw(len(data), torch.Generator().manual_seed(0))
        return torch.cat([augment.move(data.u, weights)[0].flatten(), characteristics(field, data).flatten()])

    assert_same_bits(moved)


def test_angles_of_spans(fields: tuple[NeuralField, NeuralField, Tensor]) -> None:
    assert_same_bits(lambda: geometry.principal_angles(*fields))


def test_structure_constants(fields: tuple[NeuralField, NeuralField, Tensor]) -> None:
    def found() -> Tensor:
        constants = measured_structure_constants(sample_brackets(fields[0], fields[2][:8_000]))
        return torch.stack([constants.constants, constants.errors])

    assert_same_bits(found)


def test_a_step_of_the_papers_route(data: pde.Trajectories) -> None:
    coordinates = data_coordinates(data, periodic=True)
    slots = Slots(data.equation, coordinates, data, steps=1, batch=2, patch=(32, 32))

    def gradient() -> Tensor:
        field = NeuralField(coordinates, 2, width=256, seed=0)
        slots.backward(field, 0)
        return torch.cat([p.grad.flatten() for p in field.parameters() if p.grad is not None])

    assert_same_bits(gradient)


def test_an_error_gives_the_threads_back() -> None:
    before = torch.get_num_threads()

    @one_thread()
    def fails() -> None:
        assert torch.get_num_threads() == 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert torch.get_num_threads() == before


def least_squares() -> Iterator[tuple[str, list[str | None]]]:
    """Every call of ``lstsq`` in the package: its place, and the names of its arguments."""
    for package in (symflow, pde, vision):
        folder = Path(str(package.__file__)).parent
        for path in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "lstsq":
                    yield f"{path.name}:{node.lineno}", [k.arg for k in node.keywords]


def test_least_squares_name_their_driver() -> None:
    """torch's own choice on the CPU, ``gelsy``, starts from pivots that it does not set: bits change from call to call.

    (pytorch issue 187411.)
    """
    calls = dict(least_squares())
    assert len(calls) >= 9
    assert [place for place, names in calls.items() if "driver" not in names] == []
