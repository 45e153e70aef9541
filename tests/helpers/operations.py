"""Calls of every operation on tensors, drawn at random: right, or a sentence that names an argument.

A call is *right* when it has the bits of the same call on plain contiguous tensors (in plain torch, its digits) and the
values of the reference in plain torch with float64, to what its own rounding explains: eight units in the last place of
every argument, carried through the reference (four times the largest change over two draws), and sixteen of the largest
result.
"""

from __future__ import annotations

import contextlib
import math
import traceback
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from hostile import Outcome, timed
from kernels import threads
from symflow import Coordinates, GridField, NeuralField, SymbolicField, ops
from symflow.errors import UserError
from symflow.fields.series import Series, line, line_and_time, total_degree
from symflow.ops.warp import PADDINGS

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
NAMES = ("x", "y", "t", "u")
Results = tuple[Tensor, ...]


@dataclass(frozen=True)
class Call:
    """An operation and its arguments.

    Attributes:
        run: the operation.
        tensors: its arguments that are tensors, all of one type.
        others: its other arguments, by name.
        exact: the reference on those tensors in float64.
        wild: its result is not continuous in the tensors, so that no digits are compared.
        compiled: it runs in a kernel, whose bits depend on no layout and no number of threads.
        accuracy: the error of its method relative to the largest number, beside rounding.
        varying: tensors whose first axis is a batch of independent problems.
    """

    run: Callable[..., Results]
    tensors: dict[str, Tensor]
    others: dict[str, Any]
    exact: Callable[[dict[str, Tensor]], Results]
    wild: bool = False
    compiled: bool = True
    accuracy: float = 0.0
    varying: tuple[str, ...] = ()

    def __call__(self, tensors: dict[str, Any] | None = None, **others: Any) -> Results:
        found = self.run(**{**self.others, **(self.tensors if tensors is None else tensors), **others})
        return found if isinstance(found, tuple) else (found,)


# ---- what is called -------------------------------------------------------------------------------------------------


def numbers(random: Random, dtype: torch.dtype, *shape: int, size: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(random.getrandbits(31))
    return (torch.randn(*shape, generator=generator, dtype=torch.float64) * size).to(dtype)


def a_field(random: Random, d: int, generators: int, dtype: torch.dtype) -> tuple[Any, Any]:
    """A field of any kind with tensors of a type, and the same in float64."""
    periods = [random.choice((None, None, 1.0, 2.0)) for _ in range(d)]
    coordinates, kind = Coordinates(NAMES[:d], periods=periods), random.randrange(3)
    if kind == 0:
        made: Any = NeuralField(
            coordinates, generators, width=random.choice((1, 5, 16)), head_width=random.choice((1, 4)), seed=3
        )
    elif kind == 1:
        nodes = [random.randint(2, 4) for _ in range(d)]
        ends = [(0.0, p) if p else (-1.0, 1.0) for p in periods]
        values = numbers(random, torch.float64, generators, *nodes, d, size=0.3)
        made = GridField(coordinates, values, *zip(*ends, strict=True))
    else:
        forms = ("1", f"-{random.choice(NAMES[:d])}/2", f"sin({random.choice(NAMES[:d])})", "x/3")
        parts = [{f"d{n}": random.choice(forms) for n in NAMES[:d]} for _ in range(generators)]
        return (SymbolicField(Coordinates(NAMES[:d]), parts),) * 2
    low = made.to(dtype)
    return low, deepcopy(low).double()


def flow(random: Random, dtype: torch.dtype) -> Call:
    d, generators, rows, count = random.randint(1, 4), random.randint(1, 3), random.randint(0, 3), random.randint(0, 37)
    low, exact = a_field(random, d, generators, dtype)
    tensors = {
        "points": numbers(random, dtype, rows, count, d),
        "weights": numbers(random, dtype, rows, generators, size=0.5),
    }
    steps = random.randint(1, 4)
    return Call(
        ops.flow, tensors, {"field": low, "steps": steps, "method": "rk4"},
        lambda t: (ops.flow_ref(exact, t["points"], t["weights"], steps),),
        compiled=not isinstance(low, SymbolicField), varying=("points",),
    )  # fmt: skip


def jet_flow(random: Random, dtype: torch.dtype) -> Call:
    d, generators, rows, count = random.randint(1, 4), random.randint(1, 2), random.randint(0, 2), random.randint(0, 9)
    truncation = random.choice((line(0), line(2), line(6), total_degree(2), line_and_time(3)))
    low, exact = a_field(random, d, generators, dtype)
    tensors = {
        "surface": numbers(random, dtype, len(truncation), rows, count, d, size=0.5),
        "weights": numbers(random, dtype, rows, generators, size=0.5),
    }
    steps = random.randint(1, 3)

    def run(surface: Any, **others: Any) -> Results:
        if isinstance(surface, Tensor) and surface.dim() and surface.shape[0] == len(truncation):
            surface = Series(truncation, surface)
        return (ops.jet_flow(surface=surface, **others).coefficients,)

    return Call(
        run, tensors, {"field": low, "steps": steps},
        lambda t: (ops.jet_flow_ref(exact, Series(truncation, t["surface"]), t["weights"], steps).coefficients,),
        compiled=isinstance(low, NeuralField) and truncation.degree <= 5,
    )  # fmt: skip


def pictures(random: Random, dtype: torch.dtype) -> Tensor:
    sizes = random.randint(0, 3), random.randint(0, 3), random.randint(1, 9), random.randint(1, 9)
    return numbers(random, dtype, *sizes)


def flow_warp(random: Random, dtype: torch.dtype) -> Call:
    generators, sets = random.randint(1, 3), random.randint(0, 3)
    low, exact = a_field(random, 2, generators, dtype)
    images = pictures(random, dtype)
    own = random.random() < 0.5
    leading = (images.shape[0], sets) if own else (sets,)
    tensors = {"images": images, "weights": numbers(random, dtype, *leading, generators, size=0.5)}
    size = random.choice((None, None, (random.randint(1, 6), random.randint(1, 6))))
    padding, steps = random.choice(PADDINGS), random.randint(1, 3)
    return Call(
        ops.flow_warp, tensors, {"field": low, "steps": steps, "padding": padding, "size": size},
        lambda t: (
            ops.flow_warp_ref(exact, t["images"], t["weights"] if own else t["weights"][None], steps, padding, size),
        ),
        compiled=not isinstance(low, SymbolicField), varying=("images",),
    )  # fmt: skip


def warp(random: Random, dtype: torch.dtype) -> Call:
    images, padding = pictures(random, dtype), random.choice(PADDINGS)
    sizes = random.randint(0, 3), random.randint(0, 5), random.randint(0, 5)
    own = random.random() < 0.5
    grid = numbers(random, dtype, *((images.shape[0],) if own else ()), *sizes, 2)
    if random.random() < 0.1:  # the images are their own grid
        images = grid = numbers(random, dtype, random.randint(0, 3), random.randint(1, 5), random.randint(1, 5), 2)
        own = False
    return Call(
        ops.warp, {"images": images, "grid": grid}, {"padding": padding},
        lambda t: (ops.warp_ref(t["images"], t["grid"] if own else t["grid"][None], padding),), varying=("images",),
    )  # fmt: skip


def scatter(random: Random, dtype: torch.dtype) -> Call:
    shape = random.randint(2, 9), random.randint(1, 17)
    period, times = random.choice((1.0, 6.5)), random.choice(((0.0, 1.0), (-3.0, 2.5)))
    points = numbers(random, torch.float64, random.randint(0, 3), random.randint(0, 60), 3)
    points[..., 1] = times[0] + (times[1] - times[0]) * (0.5 + 0.4 * points[..., 1])
    return Call(
        ops.scatter, {"points": points.to(dtype)}, {"shape": shape, "period": period, "times": times},
        lambda t: ops.scatter_ref(t["points"], shape, period, times), wild=True, varying=("points",),
    )  # fmt: skip


def resample(random: Random, dtype: torch.dtype) -> Call:
    rows, columns, batch = random.randint(6, 9), random.randint(1, 17), random.randint(0, 3)
    period, times = random.choice((1.0, 6.5)), random.choice(((0.0, 1.0), (-3.0, 2.5)))
    t, x = torch.meshgrid(torch.arange(rows) / (rows - 1.0), torch.arange(columns) / columns, indexing="ij")
    phase, wild = 2 * math.pi * (x + random.random()), random.random() < 0.3
    moved = torch.stack(
        [period * (x + 0.02 * phase.sin() + 0.1 * t), times[0] + (times[1] - times[0]) * t * 0.9, t], -1
    )
    points = moved.double().expand(batch, -1, -1, -1) + numbers(random, torch.float64, batch, 1, 1, 3, size=0.1)
    if wild:
        points = points + numbers(random, torch.float64, batch, rows, columns, 3, size=1.0)
    # In half precision neighbouring points fall together.
    wild = wild or dtype in (torch.float16, torch.bfloat16)
    return Call(
        ops.resample, {"points": points.to(dtype)}, {"period": period, "times": times},
        lambda t: ops.resample_ref(t["points"], period, times), wild=wild, varying=("points",),
        accuracy=1e-13 * max(1.0, math.pi * columns / period),  # a slope of the series, of at most columns / 2 waves
    )  # fmt: skip


OPERATIONS: dict[str, Callable[[Random, torch.dtype], Call]] = {
    f.__name__: f for f in (flow, jet_flow, flow_warp, warp, scatter, resample)
}


# ---- how tensors lie ------------------------------------------------------------------------------------------------


def laid(values: Tensor, random: Random) -> Tensor:
    """The same numbers in another place or order; where memory is shared among them, numbers of its own."""
    way, axes = random.randrange(9), values.dim()
    if way == 1:  # any order of axes
        order = random.sample(range(axes), axes)
        return values.permute(order).contiguous().permute([order.index(i) for i in range(axes)])
    if way == 2:  # every second of more
        axis = random.randrange(axes)
        more = torch.full([n * 2 if i == axis else n for i, n in enumerate(values.shape)], math.nan, dtype=values.dtype)
        places: list[Any] = [slice(None)] * axes
        places[axis] = slice(1, None, 2)
        more[tuple(places)] = values
        return more[tuple(places)]
    if way == 3:  # not at the beginning, and aligned to nothing
        buffer = torch.full((values.numel() + 3,), math.nan, dtype=values.dtype)
        buffer[1 : 1 + values.numel()] = values.flatten()
        return buffer[1 : 1 + values.numel()].view(values.shape)
    if way == 4:  # one number for all along an axis
        axis = random.randrange(axes)
        return values.narrow(axis, 0, min(1, values.shape[axis])).expand(values.shape)
    if way == 5 and values.numel():  # windows that overlap
        strides = [random.randint(0, 2) for _ in range(axes)]
        last = sum((n - 1) * s for n, s in zip(values.shape, strides, strict=True))
        return numbers(random, values.dtype, last + 1).as_strided(values.shape, strides)
    if way == 6:
        return torch._neg_view(-values)
    if way == 7 and axes == 4:
        return values.contiguous(memory_format=torch.channels_last)
    if way == 8:  # strides of axes of one entry mean nothing
        strides = [s if n > 1 else 77 for n, s in zip(values.shape, values.stride(), strict=True)]
        return values.as_strided(values.shape, strides) if values.numel() else values
    return values


def as_array(values: Tensor, random: Random) -> np.ndarray:
    """An array as programs leave them: mirrored, big-endian, in Fortran's order, or not to be written."""
    array, way = values.numpy(), random.randrange(4)
    if way == 0:
        return np.ascontiguousarray(array[..., ::-1])[..., ::-1]
    if way == 1:
        return array.astype(array.dtype.newbyteorder(">"))
    if way == 2:
        return np.asfortranarray(array)
    array = array.copy()
    array.flags.writeable = False
    return array


# ---- right ----------------------------------------------------------------------------------------------------------


class Fault(AssertionError):
    """What is neither right nor a sentence."""


def same_bits(found: Results, expected: Results, what: str) -> None:
    for a, b in ((f.detach(), e.detach()) for f, e in zip(found, expected, strict=True)):
        if a.dtype != b.dtype or a.shape != b.shape or not torch.equal(a.nan_to_num(1.25), b.nan_to_num(1.25)):
            raise Fault(f"{what}: {_difference(a, b)}")


def alike(found: Results, expected: Results, what: str) -> None:
    """The same to 64 units in the last place of the largest number: plain torch in another order."""
    for a, b in ((f.detach(), e.detach()) for f, e in zip(found, expected, strict=True)):
        room = 0.0
        if b.dtype.is_floating_point and b.numel():
            room = 64 * torch.finfo(b.dtype).eps * (float(b.abs().nan_to_num(0, 0, 0).max()) + 1)
        near_enough = a.shape == b.shape and ((a.double() - b.double()).abs().nan_to_num(0, 0, 0) <= room).all()
        if a.dtype != b.dtype or not near_enough:
            raise Fault(f"{what}: {_difference(a, b)}")


def _difference(a: Tensor, b: Tensor) -> str:
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{a.dtype} {list(a.shape)} instead of {b.dtype} {list(b.shape)}"
    worst = (a.double() - b.double()).abs().nan_to_num(math.inf).max()
    return f"{float(worst):.3g} of {float(b.double().abs().nan_to_num(0).max()):.3g}"


def near(
    found: Results,
    call: Callable[[dict[str, Tensor]], Results],
    tensors: dict[str, Tensor],
    what: str,
    accuracy: float,
) -> None:
    """Whether results are those of a reference in float64, to what rounding explains."""
    held = next(iter(tensors.values())).dtype
    double = {n: t.detach().double() for n, t in tensors.items()}
    inside = torch.finfo(torch.float64 if held == torch.float64 else torch.float32).eps

    def exact(tensors: dict[str, Tensor]) -> Results:
        return tuple(result.detach() for result in call(tensors))

    expected = exact(double)
    generator, around = torch.Generator().manual_seed(0), []
    for _ in range(2):
        signs = {n: torch.randint(0, 2, t.shape, generator=generator) * 2.0 - 1 for n, t in double.items()}
        around.append(exact({n: t + 8 * inside * (1 + t.abs()) * signs[n] for n, t in double.items()}))
    for i, (a, b) in enumerate(zip([f.detach() for f in found], expected, strict=True)):
        if a.shape != b.shape:
            raise Fault(f"{what}: shape {list(a.shape)} instead of {list(b.shape)}")
        if a.dtype == torch.bool or not a.numel():
            continue
        change = max(float((b - other[i]).abs().nan_to_num(0, 0, 0).max()) for other in around)
        bound = 4 * change + (16 * inside + accuracy) * max(1.0, float(b.abs().nan_to_num(0, 0, 0).max()))
        if a.dtype != held:
            raise Fault(f"{what}: {a.dtype} from {held}")
        rounding = torch.finfo(held).eps * b.abs().clamp_min(torch.finfo(held).tiny)
        if not bool(((a.double() - b).abs() <= bound + rounding).all()):
            raise Fault(f"{what}: off by {_difference(a.double(), b)}, where rounding explains {bound:.2g}")


def in_one_place(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n: t.detach().clone(memory_format=torch.contiguous_format).resolve_neg() for n, t in tensors.items()}


def with_gradients(call: Call, laid_out: dict[str, Tensor], random: Random) -> None:
    """Gradients with respect to some of the tensors: those of the reference in float64."""
    wanted = [n for n in laid_out if random.random() < 0.7] or list(laid_out)
    seeds = random.getrandbits(31)

    def gradients(function: Callable[[dict[str, Tensor]], Results], tensors: dict[str, Tensor]) -> Results:
        leaves = {n: t.detach().requires_grad_(n in wanted) for n, t in tensors.items()}
        (first, *_) = function(leaves)
        direction = torch.randn(first.shape, generator=torch.Generator().manual_seed(seeds), dtype=torch.float64)
        found = torch.autograd.grad(first, [leaves[n] for n in wanted], direction.to(first.dtype))
        return tuple(g.detach() for g in found)

    same = same_bits if call.compiled else alike
    found = gradients(lambda t: call(t), laid_out)
    same(found, gradients(lambda t: call(t), in_one_place(laid_out)), "gradients of another layout")
    if not call.wild:
        near(found, lambda t: gradients(call.exact, t), laid_out, "gradients", call.accuracy)


def mapped(call: Call, laid_out: dict[str, Tensor], random: Random) -> None:
    """`vmap` over some of the tensors: one call after another."""
    names, count = list(laid_out), random.randint(1, 3)
    dims = [random.choice((0, -1, None)) for _ in names]
    if all(d is None for d in dims):
        dims[0] = 0
    stacks = [
        t if d is None else torch.stack([t * (1 - 0.25 * i) for i in range(count)], d)
        for t, d in zip(laid_out.values(), dims, strict=True)
    ]
    found = torch.func.vmap(lambda *t: call(dict(zip(names, t, strict=True))), in_dims=tuple(dims))(*stacks)
    single = [
        call({n: t if d is None else t.select(d, i) for n, t, d in zip(names, stacks, dims, strict=True)})
        for i in range(count)
    ]
    alike(found, tuple(torch.stack(several) for several in zip(*single, strict=True)), f"vmap over {dims}")


def not_finite(call: Call, plain: Results, random: Random) -> None:
    """A number that is not finite in one entry of the batch leaves the others' bits alone."""
    for name in call.varying:
        tensor = call.tensors[name]
        if tensor.numel() == 0:
            return
        spoilt = {n: t.clone() if n == name else t for n, t in in_one_place(call.tensors).items()}
        place = tuple(random.randrange(n) for n in tensor.shape)
        spoilt[name][place] = random.choice((math.nan, math.inf, -math.inf, torch.finfo(tensor.dtype).max))
        found = call(spoilt)
        others = [b for b in range(tensor.shape[0]) if b != place[0]]
        same_bits(tuple(f[others] for f in found), tuple(p[others] for p in plain), "beside what is not finite")


@contextlib.contextmanager
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def right(call: Call, random: Random) -> str:
    """One call in one way; what was done, in words."""
    tensors = {n: laid(t, random) for n, t in call.tensors.items()}
    simple = in_one_place(tensors)
    same = same_bits if call.compiled else alike
    moved = any(not torch.equal(simple[n], t) for n, t in call.tensors.items())
    # what `laid` has made of the points of a grid need not be a map that has an inverse
    call = replace(call, tensors=simple, wild=call.wild or (moved and call.run is ops.resample))
    plain = call()
    same(call(tensors), plain, "another layout")
    if not call.wild:
        near(plain, call.exact, simple, "the reference", call.accuracy)
    low = next(iter(simple.values())).dtype in (torch.float16, torch.bfloat16)
    way = random.choice(("gradients", "vmap", "autocast", "inference", "threads", "arrays", "not finite", "parameters"))
    if way == "gradients" and not low:
        with_gradients(call, tensors, random)
    elif way == "vmap":
        mapped(call, tensors, random)
    elif way == "autocast":
        with torch.autocast("cpu", random.choice((torch.bfloat16, torch.float16))):
            same(call(tensors), plain, "autocast")
    elif way == "inference":
        with inference():
            same(call({n: t.clone() for n, t in tensors.items()}), plain, "inference mode")
            same(call(tensors), plain, "inference mode")
    elif way == "threads":
        with threads(2):
            same(call(tensors), plain, "two threads")
    elif way == "arrays" and next(iter(simple.values())).dtype != torch.bfloat16 and "surface" not in simple:
        arrays = {n: as_array(t, random) for n, t in simple.items()}
        same(tuple(torch.from_numpy(np.array(a)) for a in call(arrays)), plain, "arrays")
    elif way == "not finite":
        not_finite(call, plain, random)
    elif way == "parameters":
        found = call({n: nn.Parameter(t) for n, t in tensors.items()})
        same(tuple(f.detach() for f in found), plain, "parameters")
    return way


# ---- or a sentence --------------------------------------------------------------------------------------------------

NO_TENSORS: tuple[Any, ...] = (None, 1.5, "x", [[1.0]], np.array(["a"]), np.array([None]), torch.float32, (), {})
WRONG: dict[str, tuple[Any, ...]] = {
    "steps": (0, -1, True, 2.0, None, "2", 10**30, np.int64(2), [1], math.nan),
    "padding": ("wrap", None, 0, ["zeros"], b"zeros", ""),
    "size": (
        (0, 3), (3,), 5, "ab", (2.0, 3), (3, 4, 5), (2**24, 2**24), (True, 3), (-1, 2), [3, 4], (), {}, (10**30, 1)
    ),
    "shape": (
        (0, 0), (1, 3), (2, 0), (10**9, 10**9), (2, 2**62), (2.0, 3), None, "ab", (True, 3), -1, (3,), (10**30, 2),
        [3, 4],
    ),
    "period": (0, -1, math.nan, math.inf, None, "x", [1.0], 1e-320, 1e300, 10**400, 1j, torch.ones(2), True),
    "times": (
        (0, 0), (1, 0), (math.nan, 1), None, (1,), (0, 1, 2), "ab", (0, 1e-320), (-1e308, 1e308), 3.0, ("a", "b"), {},
        (0, None), (0, 10**400),
    ),
    "field": (None, abs, 3, "rotation", nn.Linear(2, 2), NeuralField),
    "method": ("rk5", None, ["rk4"], 4, "dopri5"),
}  # fmt: skip


def wrong_tensor(tensor: Tensor, random: Random) -> Any:
    way = random.randrange(9)
    if way == 0:
        return random.choice(NO_TENSORS)
    if way == 1:
        kinds = torch.int64, torch.uint8, torch.bool, torch.complex64, torch.complex128, torch.float8_e4m3fn, *DTYPES
        return tensor.to(random.choice(kinds))
    axis = random.randrange(tensor.dim())
    if way == 2:
        return tensor.narrow(axis, 0, 0)
    if way == 3:
        return torch.cat([tensor, tensor.narrow(axis, 0, min(1, tensor.shape[axis]))], axis)
    if way == 4:
        return tensor.sum(axis)
    if way == 5:
        return tensor.unsqueeze(axis)
    if way == 6:
        return tensor.to_sparse()
    if way == 7:
        return tensor.to("meta")
    return tensor.reshape(-1) if random.random() < 0.5 else torch.zeros((), dtype=tensor.dtype)


def wrong(call: Call, random: Random) -> str:
    """One or two arguments that do not fit; what came of it."""
    arguments = {**call.others, **call.tensors}
    for name in random.sample(list(arguments), random.choice((1, 1, 2))):
        tensor = call.tensors.get(name)
        value = wrong_tensor(tensor, random) if tensor is not None else random.choice(WRONG[name])
        arguments[name] = value
    try:
        call.run(**arguments)
    except (ValueError, TypeError, NotImplementedError, UserError, RuntimeError) as error:
        text = str(error)
        if type(error) is RuntimeError and "cannot follow this field" in text:
            return "refused"
        if isinstance(error, RuntimeError) and not isinstance(error, NotImplementedError):
            raise Fault(f"{type(error).__name__}: {text}") from error
        named = any(f"`{name}" in text for name in arguments)
        if not named or "\n" in text.strip():
            raise Fault(f"no sentence about an argument, {type(error).__name__}: {text}") from error
        return "refused"
    return "right"


class _Recorded(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "symflow":
            self.calls.append((func, args))
        return func(*args, **(kwargs or {}))


def operator(call: Call, random: Random) -> str:
    """A compiled operator that a call has led to, with arguments that do not fit each other: it must not read or write
    what is not there; it may compute or raise."""
    if next(iter(call.tensors.values())).dtype not in DTYPES[:2]:
        return "right"
    leaves = {n: t.detach().clone().requires_grad_() for n, t in call.tensors.items()}
    with _Recorded() as recorded:
        first = call(leaves)[0]
        if first.requires_grad and first.numel():
            first.sum().backward()
    if not recorded.calls:
        return "right"
    function, given = random.choice(recorded.calls)
    arguments = [a.detach().clone() if isinstance(a, Tensor) else a for a in given]
    for place in random.sample(range(len(arguments)), random.choice((1, 1, 2))):
        arguments[place] = _another(arguments[place], random)
    try:
        function(*arguments)
    except (
        Exception
    ):  # below the checks of Python any error is a refusal; what is sought here are crashes of the process
        return "refused"
    return "right"


def _another(value: Any, random: Random) -> Any:
    if isinstance(value, Tensor):
        if value.dim() == 0 or random.random() < 0.2:
            return random.choice((None, value.new_zeros(()), value.new_zeros(0), value[..., None]))
        if random.random() < 0.3:
            return laid(value, random) if value.is_floating_point() else value.new_full(value.shape, 10**6)
        return wrong_tensor(value, random)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random.choice((0, -1, 1, 3, 7))
    if isinstance(value, float):
        return random.choice((0.0, -1.0, math.nan, math.inf, 1e-300, 1e300))
    if isinstance(value, list):
        more = random.choice((0, 1, -1, 3, 10**6)) if all(isinstance(v, int) for v in value) else math.nan
        return random.choice((value[:-1], [*value, more], [more for _ in value], [], value[::-1]))
    return random.choice((None, 0, [], value))


# ---- cases ----------------------------------------------------------------------------------------------------------

WAYS: dict[str, Callable[[Call, Random], str]] = {"right": right, "wrong": wrong, "operator": operator}


def tried(name: str, way: str, random: Random) -> tuple[str, str]:
    """A call of an operation: "read" (right), "refused", or "fault", and its text."""
    dtype = random.choice(DTYPES)
    try:
        said = WAYS[way](OPERATIONS[name](random, dtype), random)
    except Exception:  # whatever it is, it is counted as a fault and shown
        return "fault", f"{name}, {dtype}, {way}: {traceback.format_exc()}"
    return ("refused" if said == "refused" else "read"), ""


@dataclass(frozen=True)
class Calls:
    """Calls of an operation in one way, for `make soak`; `often` as that of `hostile.Target`."""

    operation: str
    way: str
    often: int = 1_000

    @property
    def name(self) -> str:
        return f"{self.operation} {self.way}"

    def outcome(self, seed: int, number: int) -> Outcome:
        """The same seed and number give the same call."""

        def work() -> None:
            word, text = tried(self.operation, self.way, Random(f"{self.name} {seed} {number}"))
            if word == "refused":
                raise UserError("a sentence")
            if word == "fault":
                raise Fault(text)

        return timed(work)


ALL = tuple(Calls(name, way) for name in OPERATIONS for way in WAYS)
