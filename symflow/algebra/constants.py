"""Structure constants of fields as measured on points, with errors, and how far the span is from closed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from symflow.algebra.brackets import Sample, _pairs
from symflow.algebra.description import Description, describe_measured
from symflow.algebra.structure import jacobiator
from symflow.runs import one_thread

ALONE = 1e-12  # smallest share of a combination of generators outside a block of points that is no rounding


@dataclass(frozen=True)
class StructureConstants:
    """``[V_i, V_j] = sum_k c_ijk V_k + rest``, as measured; float64.

    Args:
        constants: ``[K, K, K]``, exactly antisymmetric in i and j.
        errors: ``[K, K, K]``, standard errors.
        closure: ``[K, K]``, the RMS size of the rest relative to ``|V_i| |V_j|``: what leaves the span, per normalised
            unit of length; 0 for an algebra.
        closure_errors: ``[K, K]``, standard errors.
        jacobi: the largest RMS size of ``[[V_i, V_j], V_k] + cyclic``, by the constants, relative to
            ``|V_i| |V_j| |V_k|``.
        orthonormal: constants and errors in an orthonormal basis of the span, where they can be compared. Its errors
            include what leaves the span: brackets that are wrong by so much outside are no better inside.
    """

    constants: Tensor
    errors: Tensor
    closure: Tensor
    closure_errors: Tensor
    jacobi: float
    orthonormal: tuple[Tensor, Tensor]

    def describe(self) -> Description:
        """The algebra as far as the errors tell (`description.describe_measured`).

        Raises:
            ValueError: the constants violate the Jacobi identity by more than their errors: they are of no algebra.
        """
        constants, errors = self.orthonormal
        return describe_measured(constants.numpy(), errors.numpy())


@one_thread()
def measured_structure_constants(
    brackets: Sample, blocks: int = 20, uncertainty: float | Sequence[float] = 0.0
) -> StructureConstants:
    """Structure constants of a span of fields by least squares over points, with standard errors.

    Three errors are added in squares. The jackknife over blocks of consecutive points (Efron and Stein, 1981). For
    tables ``|w_k| |d| / 3``, with d the change of the bracket's part in the span when every other node is left out (a
    third of it is the error of a second-order rule, after Richardson) and ``w_k`` the dual basis. And the error of the
    generators themselves, to first order: ``V_i + dV_i`` with ``|dV_i| = e_i |V_i|`` and derivatives of the same size
    per normalised unit of length, those of different generators independent, changes c_ijk by at most

        |w_k| sqrt(E_ij^2 + E_ji^2 + sum_m (c_ijm e_m |V_m|)^2),   E_ij = e_i |V_i| (|V_j| + |dV_j/dz|),

    The rounding of fields in single precision is not among them; state it as an uncertainty of 1e-7 where it matters.
    For fields that are no algebra the constants are those of the brackets' projection onto the span, and ``closure``
    says how much they leave out.

    Args:
        brackets: from `sample_brackets` or `sample_forms`.
        blocks: at least 2 and at most the number of points.
        uncertainty: e_i, relative; one number for all or one per generator.

    Raises:
        ValueError: the generators are linearly dependent on the points, or on those outside one of the blocks, or an
            argument does not fit.

    >>> from symflow import Coordinates, SymbolicField
    >>> from symflow.algebra import sample_brackets
    >>> plane = Coordinates(("x", "y"))
    >>> motions = SymbolicField(plane, [{"dx": "1"}, {"dy": "1"}, {"dx": "-y", "dy": "x"}])
    >>> found = measured_structure_constants(sample_brackets(motions, torch.rand(50, 2)))
    >>> found.constants[0, 2].round(decimals=9).abs().tolist()  # [d/dx, rotation] = d/dy
    [0.0, 1.0, 0.0]
    """
    count, k = brackets.values.shape[:2]
    if not 2 <= blocks <= count:
        raise ValueError(f"`blocks` must be from 2 to the number of points {count}, got {blocks}")
    relative = torch.as_tensor(uncertainty, dtype=torch.float64)
    if relative.shape not in ((), (k,)) or not (relative.isfinite() & (relative >= 0)).all():
        raise ValueError(f"`uncertainty` must be one or {k} finite numbers, not negative, got {uncertainty}")
    fit = _fit(brackets, blocks)
    sizes, dual, triangle = brackets.sizes, fit.dual, fit.triangle

    def in_generators(constants: Tensor) -> Tensor:
        return torch.einsum("...m,km->...k", constants, dual)

    def in_orthonormal(constants: Tensor) -> Tensor:
        return torch.einsum("ia,jb,...ijm->...abm", dual, dual, constants)

    constants = in_generators(fit.constants)
    shares, leaving = torch.zeros_like(fit.rest), torch.zeros_like(fit.rest)
    if brackets.coarse is not None:
        other = _fit(brackets.coarse, blocks)
        change = constants - torch.einsum("...m,km->...k", other.constants, other.dual)
        shares, leaving = (change @ triangle.T).norm(dim=-1) / 3, (fit.rest - other.rest) / 3

    reach = relative * sizes
    shift = reach[:, None] * (sizes + brackets.slopes)  # of [V_i, V_j] by dV_i
    squares = shift.square() + shift.T.square() + (constants * reach).square().sum(-1)
    squares = squares * (1.0 - torch.eye(k, dtype=torch.float64)) + shares.square()
    squares_orthonormal = torch.einsum("ia,jb,ij->ab", dual.square(), dual.square(), squares)
    outside = torch.einsum("ia,jb,nij->nab", dual, dual, _both(fit.outside, k, -1.0))
    squares_orthonormal = squares_orthonormal + outside.square().sum(0)

    def errors(transform: Callable[[Tensor], Tensor], own: Tensor) -> Tensor:
        replicates = transform(fit.replicates)
        spread = (replicates - replicates.mean(0)).square().sum(0) * (blocks - 1) / blocks
        return (spread + own).sqrt()

    scale = sizes[:, None] * sizes
    defect = torch.as_tensor(jacobiator(constants.numpy())) @ triangle.T
    return StructureConstants(
        constants=constants,
        errors=errors(in_generators, squares[..., None] * dual.square().sum(1)),
        closure=fit.rest / scale,
        closure_errors=(fit.rest_errors.square() + leaving.square()).sqrt() / scale,
        jacobi=float((defect.norm(dim=-1) / (scale[..., None] * sizes)).max()),
        orthonormal=(in_orthonormal(fit.constants), errors(in_orthonormal, squares_orthonormal[..., None])),
    )


@dataclass(frozen=True)
class _Fit:
    """Brackets in an orthonormal basis W of the span, ``V = W triangle``, and what lies outside of it."""

    triangle: Tensor  # [K, K], upper
    dual: Tensor  # its inverse
    constants: Tensor  # [K, K, K], the last index in W
    replicates: Tensor  # [blocks, K, K, K], each without one block of points
    rest: Tensor  # [K, K], RMS
    rest_errors: Tensor
    outside: Tensor  # [N d, K (K - 1) / 2], divided by sqrt(N)


def _fit(brackets: Sample, blocks: int = 0) -> _Fit:
    """Over the points; without blocks there are no replicates, and the errors are 0."""
    count, k, d = brackets.values.shape
    pairs = _pairs(k)
    sizes = brackets.sizes
    if not (sizes > 0).all():
        raise ValueError("the generators must be linearly independent on the points, got one that vanishes there")
    columns = (brackets.values / sizes[:, None]).transpose(1, 2).reshape(count * d, k) / math.sqrt(count)
    w, triangle = torch.linalg.qr(columns)
    if triangle.diagonal().abs().min() < 1e-10:
        raise ValueError("the generators must be linearly independent on the points, got a dependent set")
    triangle = triangle * sizes
    chosen = brackets.brackets[:, [i for i, _ in pairs], [j for _, j in pairs]]
    wanted = chosen.transpose(1, 2).reshape(count * d, len(pairs)) / math.sqrt(count)
    constants = w.T @ wanted
    outside = wanted - w @ constants
    outside = outside - w @ (w.T @ outside)  # once more, for what cancelled

    replicates, rests = [], []
    total = outside.square().sum(0)
    ends = [round(b * count / blocks) * d for b in range(1, blocks)]
    for rows in torch.arange(count * d).tensor_split(ends) if blocks else ():
        own, theirs = w[rows], wanted[rows]
        # the normal equations of all points, less those of the block
        left = torch.eye(k, dtype=torch.float64) - own.T @ own
        if not float(torch.linalg.eigvalsh(left)[0]) > ALONE:
            raise ValueError(
                f"the generators must be linearly independent on the points outside each of the {blocks} blocks, got a "
                "set that depends on one of them; take more points, or more blocks"
            )
        replicates.append(torch.linalg.solve(left, constants - own.T @ theirs))
        rests.append(((total - outside[rows].square().sum(0)) * count / (count - len(rows) / d)).clamp_min(0.0).sqrt())
    rest_errors = torch.zeros_like(total)
    if blocks:
        deleted = torch.stack(rests)
        rest_errors = ((deleted - deleted.mean(0)).square().sum(0) * (blocks - 1) / blocks).sqrt()
    return _Fit(
        triangle=triangle,
        dual=torch.linalg.solve_triangular(triangle, torch.eye(k, dtype=torch.float64), upper=True),
        constants=_both(constants, k, -1.0).movedim(0, -1),
        replicates=_both(torch.stack(replicates or [constants]), k, -1.0).movedim(1, -1),
        rest=_both(total.sqrt(), k, 1.0),
        rest_errors=_both(rest_errors, k, 1.0),
        outside=outside,
    )


def _both(values: Tensor, k: int, sign: float) -> Tensor:
    """Values of pairs ``[..., K (K - 1) / 2]`` to ``[..., K, K]``, symmetric or antisymmetric."""
    full = values.new_zeros(*values.shape[:-1], k, k)
    for index, (i, j) in enumerate(_pairs(k)):
        full[..., i, j], full[..., j, i] = values[..., index], sign * values[..., index]
    return full
