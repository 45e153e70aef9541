"""A transformation of the user's own: any Python function, loaded, told apart by what it takes, called with care."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from symflow.errors import UserError

from ..equations import Equation, Manifold

Arrays = Literal["torch", "numpy"]
P = TypeVar("P")

_ORDER: tuple[Arrays, ...] = ("numpy", "torch")
PROBE = 1e-3  # the parameter a function is tried with
POINTS, PLACES, TIMES = 24, 32, 17  # sizes it is tried on; all different, so that shapes tell axes apart
SAME = 1e-9  # relative difference of two calls that must agree; single precision gets SAME_SINGLE
SAME_SINGLE = 1e-5
RANDOM = "gave different answers to the same call, where all that is random must come in by epsilon"


class _Unfit(Exception):
    """What a function did instead of what was asked, as the end of a sentence."""


@dataclass(frozen=True)
class _Called(Generic[P]):
    """A function of the user's own.

    Attributes:
        function: takes coordinates, or arrays of data, and then the parameter.
        arrays: what it is called with, float64.
        name: for sentences.
    """

    maps: ClassVar[str]

    function: Callable[..., Any]
    arrays: Arrays
    name: str

    def __call__(self, given: P, epsilon: float) -> P:
        """What the function makes of points or data; not finite where the transform does not exist.

        Raises:
            UserError: the function raises an exception or returns something else.
        """
        try:
            return self.called(given, epsilon)
        except _Unfit as what:
            raise UserError(f"{self.name!r} must map {self.maps} that {what} for epsilon = {epsilon:g}") from None

    def called(self, given: P, epsilon: float) -> P:
        """The same.

        Raises:
            _Unfit: what the function did instead.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class PointTransform(_Called[Tensor]):
    """``f(x, t, u, epsilon) -> (x, t, u)``, elementwise on arrays of one shape: points ``[..., d]``, physical, float64.

    Attributes:
        names: of the coordinates, in the order that the function takes them.
    """

    maps: ClassVar[str] = "points, got one"

    names: tuple[str, ...]

    def called(self, given: Tensor, epsilon: float) -> Tensor:
        """Where points go."""
        shape, d = given.shape[:-1], len(self.names)
        columns = given.reshape(-1, d).unbind(-1)
        answer = _sequence(_guarded(self.function, [_given(c, self.arrays) for c in columns], epsilon))
        expected = f"({', '.join(self.names)})"
        if answer is None or len(answer) != d:
            raise _Unfit(f"returned {_count(answer)} instead of {expected}")
        moved = [_float64(value, name) for value, name in zip(answer, self.names, strict=True)]
        for value, name in zip(moved, self.names, strict=True):
            if value.shape != columns[0].shape:
                raise _Unfit(f"returned {name} of shape {list(value.shape)} for points of {list(columns[0].shape)}")
        return torch.stack(moved, -1).view(*shape, d)


@dataclass(frozen=True)
class GriddedSolution:
    """One solution on a grid: ``x [X]``, ``t [T]``, ``u [T, X]``, physical, float64."""

    x: Tensor
    t: Tensor
    u: Tensor


@dataclass(frozen=True)
class DataTransform(_Called[GriddedSolution]):
    """``f(x, t, u, epsilon) -> u`` or ``-> (x, t, u)`` on gridded data: x ``[X]``, t ``[T]``, u ``[T, X]``.

    What comes out is on the grid of the data or on one of its own.
    """

    maps: ClassVar[str] = "gridded data, got a function"

    def called(self, given: GriddedSolution, epsilon: float) -> GriddedSolution:
        """The transformed data."""
        arguments = [_given(value, self.arrays) for value in (given.x, given.t, given.u)]
        answer = _guarded(self.function, arguments, epsilon)
        parts = _sequence(answer)
        if parts is not None and len(parts) != 3:
            raise _Unfit(f"returned {len(parts)} arrays instead of u or (x, t, u)")
        if parts is None:
            moved = GriddedSolution(given.x, given.t, _float64(answer, "u"))
        else:
            moved = GriddedSolution(
                *(_float64(value, name) for value, name in zip(parts, ("x", "t", "u"), strict=True))
            )
        if moved.x.ndim != 1 or moved.t.ndim != 1 or moved.u.shape != (len(moved.t), len(moved.x)):
            shapes = ", ".join(f"{n} {list(v.shape)}" for n, v in zip("xtu", (moved.x, moved.t, moved.u), strict=True))
            raise _Unfit(f"returned {shapes} instead of x [X], t [T], u [T, X]")
        return moved


Transform = PointTransform | DataTransform


def load_function(reference: str) -> Callable[..., Any]:
    """The function ``"path.py:name"`` of a file of the user's own.

    The file is run as the user's own code, with all that it may do, just as ``python path.py`` would run it: give no
    file that you would not run. While it runs it can import what lies beside it.

    Raises:
        UserError: there is no such file or function, or running the file raises an exception.
    """
    path, colon, name = reference.rpartition(":")
    if not colon or not path.endswith(".py") or not name.isidentifier():
        raise UserError(f"a transform must be given as 'path.py:function', got {reference!r}")
    if not Path(path).is_file():
        raise UserError(f"there is no file {path!r}")
    spec = importlib.util.spec_from_file_location(f"_symflow_user_{Path(path).stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path!r} must be a Python file that can be imported, got one that cannot")
    module = importlib.util.module_from_spec(spec)
    folder = str(Path(path).resolve().parent)
    sys.modules[module.__name__] = module  # dataclasses look up their module there
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise UserError(f"{path!r} must run without an error, got {_said(error)}") from error
    finally:
        sys.path.remove(folder)
    if not hasattr(module, name):
        raise UserError(f"{path!r} must define {name!r}, got no such name in it")
    function: Callable[..., Any] = getattr(module, name)
    if not callable(function):
        raise UserError(f"{name!r} in {path!r} must be a function, got {type(function).__name__}")
    return function


def as_transform(function: Callable[..., Any], equation: Equation) -> Transform:
    """Which of the two kinds a function is, found by trying it.

    It is a point transform if it maps the coordinates of random points, all of one shape, elementwise to as many
    arrays; else, for an evolution equation, a data transform if it maps x ``[X]``, t ``[T]`` and u ``[T, X]`` to u or
    to all three. Numpy arrays are tried before torch tensors, on which functions of numpy half work.

    Raises:
        UserError: it is neither; the sentence says what it did.
    """
    if not callable(function):
        raise UserError(f"a transform must be a function, got {type(function).__name__}")
    name, names = getattr(function, "__name__", type(function).__name__), equation.space.names
    try:
        inspect.signature(function).bind(*names, "epsilon")
    except TypeError:
        raise UserError(
            f"{name!r} must take ({', '.join(names)}, epsilon), got a function of {inspect.signature(function)}"
        ) from None
    except ValueError:  # some built-in functions have no signature
        pass
    at_points, on_grids = [], []
    for arrays in _ORDER:
        point = PointTransform(function, arrays, name, names)
        try:
            _check_elementwise(point, equation)
            return point
        except _Unfit as what:
            at_points.append(str(what))
        if not equation.evolutionary:
            continue
        data = DataTransform(function, arrays, name)
        try:
            _check_repeats(data, equation)
            return data
        except _Unfit as what:
            on_grids.append(str(what))
    said = f"at points it {_either(at_points)}"
    if not equation.evolutionary:
        raise UserError(f"{name!r} must map ({', '.join(names)}) elementwise, but {said}")
    raise UserError(f"{name!r} must map points or gridded data, but {said}; on a grid it {_either(on_grids)}")


def _either(failures: list[str]) -> str:
    """What a function did with numpy arrays, and what it did with tensors where that differs."""
    return " and with torch tensors it ".join(dict.fromkeys(failures))


def _check_elementwise(transform: PointTransform, equation: Equation) -> None:
    points = Manifold(equation).sample(POINTS, 0).points
    moved, again = transform.called(points, PROBE), transform.called(points, PROBE)
    if not _alike(moved, again):
        raise _Unfit(RANDOM)
    order = torch.randperm(POINTS, generator=torch.Generator().manual_seed(0))[: POINTS // 2]
    if not _alike(moved[order], transform.called(points[order], PROBE)):
        raise _Unfit("does not act on each point by itself")


def _check_repeats(transform: DataTransform, equation: Equation) -> None:
    grid = _probe_grid(equation)
    moved, again = transform.called(grid, PROBE), transform.called(grid, PROBE)
    for a, b in ((moved.x, again.x), (moved.t, again.t), (moved.u, again.u)):
        if a.shape != b.shape or not _alike(a, b):
            raise _Unfit(RANDOM)


def _alike(a: Tensor, b: Tensor) -> bool:
    size = torch.nan_to_num(a, 0.0, 0.0, 0.0).abs().mean()
    single = bool((a == a.float()).all())
    tolerance = SAME_SINGLE if single else SAME
    return bool(torch.isclose(a, b, rtol=tolerance, atol=tolerance * float(size), equal_nan=True).all())


def _probe_grid(equation: Equation) -> GriddedSolution:
    coordinates = Manifold(equation).coordinates
    x = torch.arange(PLACES, dtype=torch.float64) / PLACES
    t = torch.linspace(0.0, 1.0, TIMES, dtype=torch.float64)
    u = 0.5 + 0.3 * torch.sin(2 * torch.pi * (x - t[:, None]))
    scaled = [v * s + o for v, s, o in zip((x, t, u), coordinates.scale, coordinates.offset, strict=True)]
    return GriddedSolution(*scaled)


def _given(value: Tensor, arrays: Arrays) -> Any:
    """A copy, so that a function that writes into its arguments harms nobody."""
    return value.detach().clone() if arrays == "torch" else value.detach().numpy().copy()


def _guarded(function: Callable[..., Any], arguments: list[Any], epsilon: float) -> Any:
    with _quiet():
        try:
            return function(*arguments, epsilon)
        except (Exception, SystemExit) as error:
            raise _Unfit(f"raised {_said(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Values that are not finite are dealt with where they come from the function: no warnings, no gradients."""
    with np.errstate(all="ignore"), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # numpy's, of functions of numpy that are tried on tensors
        yield


def _said(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].strip()[:200]}" if lines else type(error).__name__


def _sequence(answer: Any) -> list[Any] | None:
    return list(answer) if isinstance(answer, tuple | list) else None


def _count(answer: list[Any] | None) -> str:
    if answer is None:
        return "one value"
    return f"{len(answer)} value{'' if len(answer) == 1 else 's'}"


def _float64(value: Any, name: str) -> Tensor:
    try:
        tensor = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise _Unfit(f"returned {type(value).__name__} instead of an array for {name}") from None
    if tensor.is_complex():
        raise _Unfit(f"returned complex numbers for {name}")
    return tensor.detach().to("cpu", torch.float64).clone()
