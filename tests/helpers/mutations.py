"""Damage to files, drawn from a seed: bytes, and what stands in JSON, lines, safetensors and HDF5."""

from __future__ import annotations

import json
import math
import struct
import sys
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np

DEEP = 10_000
FORMULAS = (
    "9**9**9", "((((x", "x**64*t**64*u**64", "exp(exp(exp(exp(x))))", "sqrt(x**2)*sqrt(x**2)-x**2", "1/(x-x)", "zz",
    "(" * 49 + "x" + ")" * 49, "(1+x+t+u)**30", "sin(cos(tan(sin(cos(x*t)))))", "abs(x)", "sign(x)", "log(-1)",
    "x^(1/999)", "1e308*x", "1e309", "0", "", "x" * 3000, "__import__('os')", "tanh(x)**2 + 1/cosh(x)**2 - 1",
    "exp(x)*exp(-x)*exp(t*u)", "erf(x/t)", "(x+t)**20*(x-u)**20", "-", "E**(pi*x)", "f", "f_t", "x;t", "u_xxxxxxxxxxxx",
    "u_t + u*u_x + u_xxx = 0", "u_t = u_xx; v_t = v_xx",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 10**18, -(10**18), 10**400, 0.0, -0.0, 0.5, -1.5, 1e-320, 1e300, -1e300,
    math.nan, math.inf, -math.inf, "", "x", "dx", "\0", "\ud800", "é́", "[red]", "[/]", "<script>", "a" * 5000,
    [], {}, [[]], [None], {"": None}, [0] * 50, {"dx": "1"}, "NaN", "../../x", "1", "V1", "pde", "measured", "proved",
    *FORMULAS,
)  # fmt: skip


def mutated(path: Path, random: Random) -> None:
    """Damages a file in place, in its own terms or in its bytes."""
    ways = {".json": _json, ".jsonl": _lines, ".safetensors": _safetensors, ".h5": _hdf5, ".partial": _hdf5}
    own = ways.get(path.suffix)
    if own is not None and random.random() < 0.75:
        try:
            own(path, random)
            return
        except (ValueError, KeyError, OSError, RuntimeError, TypeError, AttributeError):  # beyond what can be written
            pass
    path.write_bytes(_bytes(path.read_bytes(), random))


def _bytes(content: bytes, random: Random) -> bytes:
    data, way = bytearray(content), random.randrange(8)
    place = random.randrange(len(data)) if data else 0
    # what says how long things are stands at the beginning
    early = random.randrange(min(len(data), 600)) if data else 0
    place = early if random.random() < 0.6 else place
    if way == 0:
        del data[place:]
    elif way == 1:
        del data[place : place + random.choice((1, 2, 4, 8, 512))]
    elif way == 2:
        data[place:place] = random.randbytes(random.choice((1, 2, 4, 8, 512)))
    elif way == 3:
        other = random.randrange(len(data)) if data else 0
        data[place:place] = data[other : other + random.choice((4, 16, 64, 1024))]
    elif way == 4:
        size = random.choice((1, 2, 4, 8))
        data[place : place + size] = random.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * size
    else:
        for _ in range(random.choice((1, 1, 2, 5, 30))):
            if data:
                at = random.randrange(min(len(data), 600)) if random.random() < 0.6 else random.randrange(len(data))
                data[at] = random.randrange(256) if way == 5 else data[at] ^ (1 << random.randrange(8))
    return bytes(data)


def _places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in entries:
        found += _places(value, (*path, key))
    return found


def _at(content: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        content = content[key]
    return content


def changed(content: Any, random: Random) -> Any:
    """JSON with a few of its values replaced, taken away, doubled, exchanged, scaled or nested."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        places = _places(content)
        path = random.choice(places)
        if not path:
            content = random.choice(VALUES) if random.random() < 0.3 else content
            continue
        inside, last, way = _at(content, path[:-1]), path[-1], random.randrange(9)
        if way <= 2:
            inside[last] = random.choice(VALUES)
        elif way == 3:
            del inside[last]
        elif way == 4:
            inside[last] = json.loads(json.dumps(_at(content, random.choice(places))))
        elif way == 5 and isinstance(inside, dict):
            inside[random.choice(("", "x", "kind", "schema", "dq", "d", "f", "\0"))] = inside[last]
        elif way == 5:
            inside.append(inside[last])
        elif way == 6 and isinstance(inside[last], int | float) and not isinstance(inside[last], bool):
            number, by = inside[last], random.choice((-1, 0, 2, 1e6, 1e-6, 10**30))
            whole = isinstance(number, int) and abs(number) > sys.float_info.max  # no float holds it
            inside[last] = number * (2 if whole else by)
        elif way == 7 and isinstance(inside[last], str):
            text = inside[last]
            at = random.randrange(len(text) + 1)
            inside[last] = text[:at] + random.choice(("x", "*", "(", ")", "^9", "-", "/0", "\0", " ", "u_")) + text[at:]
        elif way == 8 and isinstance(inside[last], list):
            inside[last] = inside[last] * random.choice((0, 2, 3)) if len(inside[last]) < 1000 else []
        else:
            inside[last] = random.choice(VALUES)
    return content


def _written(content: Any, random: Random) -> bytes:
    text = json.dumps(content)
    if random.random() < 0.05:  # what json.dumps would refuse
        text = text.replace('"', "[" * DEEP + '"', 1)
    if random.random() < 0.03:
        text = "[" * DEEP + "]" * DEEP
    return text.encode("utf-16" if random.random() < 0.03 else "utf-8", "surrogatepass")


def _json(path: Path, random: Random) -> None:
    path.write_bytes(_written(changed(json.loads(path.read_bytes()), random), random))


def _lines(path: Path, random: Random) -> None:
    lines = path.read_bytes().splitlines()
    at = random.randrange(len(lines))
    way = random.randrange(4)
    if way == 0:
        del lines[at]
    elif way == 1:
        lines.insert(at, lines[random.randrange(len(lines))])
    else:
        lines[at] = _written(changed(json.loads(lines[at]), random), random)
    path.write_bytes(b"\n".join(lines) + random.choice((b"\n", b"", b"\n{")))


def _safetensors(path: Path, random: Random) -> None:
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header, body = json.loads(content[8 : 8 + size]), bytearray(content[8 + size :])
    way = random.randrange(4)
    if way == 0 and "about" in header.get("__metadata__", {}):
        about = changed(json.loads(header["__metadata__"]["about"]), random)
        header["__metadata__"]["about"] = _written(about, random).decode("utf-8", "replace")
    elif way == 1:
        header = changed(header, random)
    elif way == 2:  # other numbers
        values = np.frombuffer(bytes(body[: len(body) // 8 * 8]), np.float64).copy()
        if len(values):
            values[random.randrange(len(values))] = random.choice((math.nan, math.inf, 1e300, -1.0, 0.0))
            body[: len(values) * 8] = values.tobytes()
    else:  # another shape of as many numbers
        names = [n for n in header if n != "__metadata__"]
        tensor = header[random.choice(names)]
        shape = tensor["shape"]
        tensor["shape"] = random.choice(([math.prod(shape)], shape[::-1], [1, *shape], [0, *shape]))
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def _hdf5(path: Path, random: Random) -> None:
    """Attributes and data sets of another kind, size or place, as a program could have written them."""
    with h5py.File(path, "r+") as file:
        held: list[str] = []
        file.visit(held.append)
        name = random.choice(held)
        way = random.randrange(9)
        of = random.choice((file, file[name]))
        if way == 0:
            said = random.choice([*of.attrs] or ["units"])
            of.attrs[said] = random.choice((*VALUES, np.arange(3), np.nan, b"\xff", h5py.Empty("f8"), np.zeros((2, 2))))
            return
        if way == 1:
            said = random.choice(("_FillValue", "scale_factor", "add_offset", "units", "periodic", "missing_value"))
            of.attrs[said] = random.choice((0, -1, np.nan, "seconds since 1970-01-01", [1.0, 2.0], "x", 10**18))
            return
        if way == 2:
            del file[name]
            return
        dataset = file[name]
        if way == 3:
            file.move(name, random.choice(("u", "usol", "x", "tensor", "t", "data", "train", "q")))
            return
        if not isinstance(dataset, h5py.Dataset):
            return
        values, said = dataset[()], dict(dataset.attrs)
        del file[name]
        if way == 4:
            values = np.asarray(values).astype(random.choice((">f8", "f4", "i2", ">i4", "f2", "?", "u8", "g", "c16")))
        elif way == 5 and np.ndim(values):
            values = random.choice((values[:1], values[:0], values[::-1], values[None], np.moveaxis(values, 0, -1)))
        elif way == 6 and np.size(values) and np.asarray(values).dtype.kind == "f":
            values = np.array(values)
            values.reshape(-1)[random.randrange(values.size)] = random.choice((np.nan, np.inf, 1e300, -1e300))
        elif way == 7:
            file[name] = random.choice(
                (h5py.SoftLink("/u"), h5py.ExternalLink("other.h5", "/u"), "text", np.float64(1))
            )
            return
        elif way == 8 and np.ndim(values):
            file.create_dataset(name, (10**9, *np.shape(values)), np.float64, chunks=True)
            return
        file[name] = values
        for key, value in said.items():
            if key not in ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME", "_Netcdf4Dimid"):
                file[name].attrs[key] = value
