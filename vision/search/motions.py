"""Affine motions of the plane by name, and the simplest closed form of a field that is nearly one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from symflow.fields import SymbolicField

from .plane import AFFINE, PLANE

MOTIONS: dict[str, dict[str, str]] = {
    "translation x": {"dx": "1", "dy": "0"},
    "translation y": {"dx": "0", "dy": "1"},
    "rotation": {"dx": "-y", "dy": "x"},
    "scale": {"dx": "x", "dy": "y"},
    "shear": {"dx": "y", "dy": "x"},
    "squeeze": {"dx": "x", "dy": "-y"},
    "stretch x": {"dx": "x", "dy": "0"},
    "stretch y": {"dx": "0", "dy": "y"},
    "slant x": {"dx": "y", "dy": "0"},
    "slant y": {"dx": "0", "dy": "x"},
}
"""In the order in which the earlier one wins when two are equally near."""

NEAR = math.radians(25)  # between a field and what it is called
ROUNDED = math.radians(10)  # between the affine part of a field and its closed form, where small denominators allow it
LARGEST_DENOMINATOR = 4


@dataclass(frozen=True)
class Reading:
    """What a field is called.

    Attributes:
        motion: the nearest of `MOTIONS`, ``None`` when its angle is above `NEAR`.
        closed_form: an affine field with simple rational coefficients, ``None`` when its angle is above `NEAR`.
        angle: between the field and its closed form, radians.
        sign: 1, or -1 when the field is to be turned round to point along what it is called.
    """

    motion: str | None
    closed_form: dict[str, str] | None
    angle: float | None
    sign: int


def read(values: Tensor, points: Tensor, measure: Tensor) -> Reading:
    """Names a field by its values ``[N, 2]`` at points ``[N, 2]``, under a measure ``[N]`` with sum 1."""
    named = SymbolicField(PLANE, list(MOTIONS.values()))(points)
    cosines = _cosines(values, named, measure)
    nearest = int((cosines.abs() > cosines.abs().max() - 1e-9).int().argmax())
    sign = 1 if cosines[nearest] >= 0 else -1
    motion = list(MOTIONS)[nearest] if _angle(cosines[nearest].abs()) <= NEAR else None

    basis = AFFINE(points)
    gram, right = (torch.einsum("nid,nkd,n->ik", basis, v, measure) for v in (basis, sign * values[:, None]))
    coefficients = torch.linalg.solve(gram, right)[:, 0]
    largest = float(coefficients.abs().max())
    if largest == 0.0:
        return Reading(None, None, None, 1)
    affine = torch.einsum("nid,i->nd", basis, coefficients)
    for denominator in range(1, LARGEST_DENOMINATOR + 1):
        rational = [Fraction(round(c / largest * denominator), denominator) for c in coefficients.tolist()]
        rounded = torch.einsum("nid,i->nd", basis, basis.new_tensor([float(c) for c in rational]))
        if _angle(_cosines(affine, rounded[:, None], measure)[0]) <= ROUNDED:
            break
    angle = _angle(_cosines(sign * values, rounded[:, None], measure)[0])
    if angle > NEAR:
        return Reading(motion, None, None, sign)
    return Reading(motion, _formulas(rational), angle, sign)


def _cosines(values: Tensor, fields: Tensor, measure: Tensor) -> Tensor:
    """Of the angles between a field ``[N, 2]`` and others ``[N, K, 2]``, ``[K]``."""
    product = torch.einsum("nd,nkd,n->k", values, fields, measure)
    sizes = torch.einsum("nkd,nkd,n->k", fields, fields, measure)
    return product / (torch.einsum("nd,nd,n->", values, values, measure) * sizes).sqrt()


def _angle(cosine: Tensor) -> float:
    return math.acos(min(max(float(cosine), -1.0), 1.0))


def _formulas(c: list[Fraction]) -> dict[str, str]:
    """Coefficients of (1, 0), (0, 1), (x, 0), (0, y), (y, 0), (0, x) as formulas."""
    return {"dx": _sum({"x": c[2], "y": c[4], "": c[0]}), "dy": _sum({"x": c[5], "y": c[3], "": c[1]})}


def _sum(terms: dict[str, Fraction]) -> str:
    text = ""
    for name, factor in terms.items():
        if factor == 0:
            continue
        size = str(abs(factor))
        term = size if not name else name if size == "1" else f"{size}*{name}"
        text += ("-" if factor < 0 else "+" if text else "") + term
    return text or "0"
