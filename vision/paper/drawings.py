"""What the figures of a study of images are drawn from, kept in its record, and the figures."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symflow.fields import GridField
from symflow.ops import flow_warp

from .. import figures
from ..search import grid_field, pixel_centres

PLACES = 9  # per side, where a field is noted
SHOWN = ("slots, angle", "slots, no score", "quadratic form, mu = 0.05")
LENGTHS = (-0.4, -0.2, 0.0, 0.2, 0.4)  # of flows, of fields of unit norm
STEPS = 16


def noted(sets: Mapping[str, Tensor], image: Tensor) -> dict[str, Any]:
    """The fields that are shown, as text, and the image that they move.

    Args:
        sets: of fields of unit norm, values at the pixel centres ``[H W, K, 2]``.
        image: ``[C, H, W]``, uint8.
    """
    height, width = image.shape[1:]
    places = pixel_centres(PLACES, PLACES).flatten(0, 1)
    fields = {}
    for name in SHOWN:
        at_places = grid_field(sets[name], height, width)(places.float())  # [PLACES^2, K, 2]
        fields[name] = [" ".join(f"{v:.3f}" for v in field.flatten().tolist()) for field in at_places.unbind(1)]
    picture = base64.b64encode(image.contiguous().numpy().tobytes()).decode()
    return {"shape": list(image.shape), "image": picture, "fields": fields}


def _read(noted: Mapping[str, Any], name: str) -> Tensor:
    """The fields of one set, ``[PLACES^2, K, 2]``."""
    columns = [np.array(text.split(), np.float32).reshape(PLACES**2, 2) for text in noted["fields"][name]]
    return torch.from_numpy(np.stack(columns, 1))


def drawn(result: Mapping[str, Any], first: int) -> dict[str, str]:
    """The figures of a record as SVG, by name: the fields, and an image moved along the first of the slots."""
    noted = result["drawn"]
    every, titles = [], []
    for name in SHOWN:
        values = _read(noted, name)
        every.append(values.unflatten(0, (PLACES, PLACES)).permute(2, 0, 1, 3).numpy())
        affine = result["sets"][name]["affineness"]
        titles += [(name.split(", mu")[0] if k == 0 else "", f"{k + 1}: affine {a:.2f}") for k, a in enumerate(affine)]
    fields = figures.vector_fields(np.concatenate(every), titles)
    slots = _read(noted, SHOWN[0])[:, :first]
    moved = _moved(grid_field(slots, PLACES, PLACES), noted)
    labels = [f"slot {k + 1}" for k in range(first)]
    return {
        "fields": fields.file(f"Vector fields as arrows, ten in a set: {', '.join(SHOWN)}."),
        "moved": figures.image_rows(moved.numpy(), LENGTHS, labels).file("An image moved along the first slots."),
    }


def _moved(field: GridField, noted: Mapping[str, Any]) -> Tensor:
    """The image of a record along each generator, ``[K, S, C, H, W]`` from 0 to 1."""
    pixels = np.frombuffer(base64.b64decode(noted["image"]), np.uint8).reshape(1, *noted["shape"]).copy()
    K, S = field.generators, len(LENGTHS)
    weights = torch.einsum("s,kl->ksl", torch.tensor(LENGTHS), torch.eye(K)).flatten(0, 1)
    with torch.no_grad():
        moved = flow_warp(field, torch.from_numpy(pixels).float() / 255, weights, steps=STEPS, padding="reflection")
    found: Tensor = moved[0].unflatten(0, (K, S))
    return found
