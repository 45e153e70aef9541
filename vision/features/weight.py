"""The paper's weight of the pixels: how much the features react to a change at a place."""

from __future__ import annotations

import torch
from torch import Tensor

WIDTH = 0.1  # of the Gaussian masks, in units of the plane


def omega(sensitivity: Tensor, width: float = WIDTH) -> Tensor:
    """The weight ``omega`` of the pixels, ``[H W]`` float64, with sum 1.

    ``omega(p) = sum_s m_s(p) E |J (m_s grad f)|^2`` with the Gaussian masks ``m_s(p) = exp(-|p - s|^2 / 2 width^2)``.
    The paper draws the centres s at random, 20 per image, and takes products of the Jacobian with vectors; here all
    pixels are centres, and one random feature per image gives the same mean (`form.pullbacks`).

    Args:
        sensitivity: of the features, ``[N, H, W, 2]`` (`form.sensitivities`).
        width: of the masks.

    Raises:
        ValueError: the features react to nothing.
    """
    rows, columns = (_mask(n, width) for n in sensitivity.shape[1:3])
    response = torch.zeros(sensitivity.shape[1:3], dtype=torch.float64)
    for batch in sensitivity.split(500):
        masked = torch.einsum("sh,nhwd,wt->nstd", rows, batch.double(), columns)
        response += masked.square().sum((0, 3))
    weight = (rows.T @ response @ columns.T).flatten()
    if not float(weight.sum()) > 0:
        raise ValueError("`sensitivity` must not vanish, got features that react to nothing")
    return weight / weight.sum()


def _mask(n: int, width: float) -> Tensor:
    z = torch.linspace(-1.0, 1.0, n, dtype=torch.float64) if n > 1 else torch.zeros(1, dtype=torch.float64)
    return torch.exp(-((z[:, None] - z) ** 2) / (2 * width**2))
