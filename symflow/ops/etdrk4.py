"""Exponential Runge-Kutta steps in Fourier space, compiled: many rows at once, each with steps of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from symflow.ops import _ext


def etdrk4(
    v: NDArray[np.complex128],
    weights: Sequence[NDArray[np.complex128]],
    steps: Sequence[int],
    density: NDArray[np.float64],
    multipliers: NDArray[np.complex128],
    factors: NDArray[np.float64] | None,
    roots: NDArray[np.complex128],
) -> NDArray[np.complex128]:
    """Steps of ``v_t = L v + c_0(t) m_0 F[p(u)] + sum_i c_i(t) m_i v`` in Krogstad's form (J. Comput. Phys. 203, 2005).

    The bits of a row depend on that row and its steps alone, not on the rows beside it.

    Args:
        v: Fourier coefficients of the modes that are not negative, ``[S, modes]``.
        weights: the nine multipliers of a step of each row, ``[9, modes]``; rows of one step share one array.
        steps: of each row, none larger than the one before.
        density: p, lowest power first.
        multipliers: m, ``[1 + terms, modes]``, m_0 with the scale of the transform.
        factors: c at the beginning, middle and end of the steps, ``[S, 2 steps[0] + 1, 1 + terms]``; None: ones.
        roots: ``exp(-2 pi i k/points)``, whose number is even, a product of 2, 3 and 5, and at least twice the modes.

    Raises:
        RuntimeError: a shape does not fit, or there is no extension.

    >>> h = 0.1  # u' = u - u^2 in the only mode of two points, without L: the weights are those of RK4
    >>> weights = h * np.array([1 / h, 1 / h, 1 / 2, 1 / 2, 0, 1, 1 / 6, 1 / 3, 1 / 6])[:, None].astype(complex)
    >>> scale, roots = np.array([[0.5 + 0j]]), np.array([1 + 0j, -1])
    >>> v = etdrk4(np.array([[0.5 + 0j]]), [weights], [10], np.array([0.0, 1.0, -1.0]), scale, None, roots)
    >>> abs(complex(v[0, 0]) - 1 / (1 + np.exp(-1))) < 1e-7
    True
    """
    if not _ext.built:
        raise RuntimeError(_ext.problem)
    tables: dict[int, int] = {}
    for table in weights:
        tables.setdefault(id(table), len(tables))
    distinct = {id(table): table for table in weights}
    if factors is None:
        factors = np.empty((len(v), 0, len(multipliers)))
    result = torch.ops.symflow.etdrk4(
        _pairs(v),
        _pairs(np.stack([distinct[key] for key in tables])),
        torch.tensor([tables[id(table)] for table in weights]),
        torch.tensor(steps),
        torch.from_numpy(density),
        _pairs(multipliers),
        torch.from_numpy(np.ascontiguousarray(factors)),
        _pairs(roots),
    )
    after: NDArray[np.complex128] = torch.view_as_complex(result).numpy()
    return after


def _pairs(numbers: NDArray[Any]) -> torch.Tensor:
    return torch.view_as_real(torch.from_numpy(np.ascontiguousarray(numbers)))
