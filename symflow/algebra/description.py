"""What is known of a Lie algebra, in words and as data: from exact constants, and from measured ones with errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from symflow.algebra import rational
from symflow.algebra.ideals import ideals
from symflow.algebra.names import NOTES, SEMISIMPLE, _levi_names, _name, _total
from symflow.algebra.structure import (
    Constants,
    centre,
    derived_series,
    exact,
    jacobiator,
    killing_form,
    lower_central_series,
    nilradical,
    radical,
    subalgebra,
)

MARGIN = 3.0  # standard errors up to which a measured singular value counts as zero
CLEAR = 2.0  # the least gap that is certain: nothing lies between 1.5 and 3 standard errors


@dataclass(frozen=True)
class Description:
    """What is known of an algebra; none of it depends on the basis.

    ``derived_series`` and ``lower_central_series`` are dimensions, from that of the algebra to the last that differs;
    ``centre``, ``radical`` and ``nilradical`` are dimensions; ``killing`` holds the numbers of positive and of negative
    eigenvalues of the Killing form; ``levi`` names the simple ideals of the Levi factor. ``name`` is ``None`` when no
    name is proven; ``summands`` are the dimensions of the ideals of which the algebra is the direct sum, none of which
    decomposes. For measured constants ``exact`` is False, ``summands`` are ``None``, ``nilradical`` and ``name`` are
    ``None`` unless they follow from the rest, and ``gap`` is that of `describe_measured`.
    """

    dimension: int
    derived_series: tuple[int, ...]
    lower_central_series: tuple[int, ...]
    centre: int
    killing: tuple[int, int]
    radical: int
    nilradical: int | None
    nilradical_name: str | None
    levi: tuple[str, ...]
    unimodular: bool
    name: str | None
    summands: tuple[int, ...] | None = None
    exact: bool = True
    gap: float | None = None

    def __post_init__(self) -> None:
        if not self.derived_series or not self.lower_central_series:
            raise ValueError("the series of an algebra begin with its dimension, got an empty one")

    @property
    def abelian(self) -> bool:
        """All brackets vanish."""
        return self.centre == self.dimension

    @property
    def nilpotent(self) -> bool:
        """The lower central series ends at 0."""
        return self.lower_central_series[-1] == 0

    @property
    def solvable(self) -> bool:
        """The derived series ends at 0."""
        return self.derived_series[-1] == 0

    @property
    def perfect(self) -> bool:
        """``[g, g] = g``."""
        return len(self.derived_series) == 1

    @property
    def semisimple(self) -> bool:
        """There is no solvable ideal but 0."""
        return self.radical == 0

    @property
    def note(self) -> str | None:
        """Other common names, where there are any."""
        return NOTES.get(self.name or "")

    @property
    def sentence(self) -> str:
        """All of it for a reader: properties, the name or what is known instead, the centre."""
        if self.abelian:
            properties = ["abelian"]
        elif self.nilpotent:
            properties = ["nilpotent", "not abelian"]
        elif self.solvable:
            properties = ["solvable", "not nilpotent"]
        elif self.semisimple:
            properties = ["semisimple"]
        else:
            properties = ["perfect", "not solvable"] if self.perfect else ["neither solvable nor perfect"]
        head = ", ".join([f"dimension {self.dimension}", *properties])
        if self.name is not None:
            what = f": {self.name}" + (f" ({self.note})" if self.note else "")
        elif self.levi and self.radical:
            what = f": Levi factor {_total(self.levi)}, radical of dimension {self.radical}"
        else:
            what = ""
        if self.name is None and self.nilradical is not None and self.nilradical < self.dimension and self.radical:
            what += f"{',' if what else ':'} nilradical {self.nilradical_name or f'of dimension {self.nilradical}'}"
        if self.name is None and self.summands is not None and len(self.summands) > 1:
            what += f"{',' if what else ':'} direct sum of dimensions {' + '.join(map(str, self.summands))}"
        tail = f"; centre {self.centre}"
        if not self.exact:
            tail += "; from measured constants"
            if self.gap is not None:
                tail += f", ranks with a gap of {self.gap:.3g}{'' if self.gap >= CLEAR else ', which is not certain'}"
        return head + what + tail

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it, with the properties and the sentence."""
        result = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        for key in ("abelian", "nilpotent", "solvable", "perfect", "semisimple", "note", "sentence"):
            result[key] = getattr(self, key)
        return result


def describe(constants: Constants) -> Description:
    """Describes a real Lie algebra from rational structure constants; every statement is exact and proven.

    Seconds in dimension 15. An algebra is named where the name follows: direct sums of ideals with a name; dimension 1
    to 3 all, dimension 4 all up to parameters that are not rational; Heisenberg algebras; semisimple ones by dimension
    and signature of the Killing form to dimension 15; motions of a flat space with any signature; the Schroedinger
    algebra; others with a Levi factor S and a radical R that has a name as "S semidirect R", which does not say how S
    acts.

    Args:
        constants: ``c[i][j][k]`` with ``[e_i, e_j] = sum_k c_ijk e_k``, int, Fraction or sympy.Rational.

    Raises:
        TypeError: a constant is of another type.
        ValueError: the shape is not ``[n, n, n]``, or the constants are not antisymmetric or violate the Jacobi
            identity.

    >>> describe([[[0, 0], [1, 0]], [[-1, 0], [0, 0]]]).sentence
    'dimension 2, solvable, not nilpotent: A2 (the affine algebra of the line); centre 0'
    """
    c = exact(constants)
    solvable, nilpotent = radical(c), nilradical(c)
    return Description(
        dimension=c.shape[0],
        derived_series=tuple(len(term) for term in derived_series(c)),
        lower_central_series=tuple(len(term) for term in lower_central_series(c)),
        centre=len(centre(c)),
        killing=rational.signature(killing_form(c)),
        radical=len(solvable),
        nilradical=len(nilpotent),
        nilradical_name=_name(subalgebra(c, nilpotent)[1]) if len(nilpotent) else None,
        levi=tuple(sorted(_levi_names(c, solvable))),
        unimodular=not np.any(np.trace(c, axis1=1, axis2=2)),
        name=_name(c),
        summands=tuple(sorted((d for ideal in ideals(c) for d in ideal.dimensions), reverse=True)),
    )


def describe_measured(constants: ArrayLike, errors: ArrayLike) -> Description:
    """Describes a real Lie algebra from structure constants with errors, by ranks at the level of the errors.

    A singular value of a matrix counts as zero when it is at most three times the standard error of the matrix
    (Frobenius, to first order in the errors). ``gap`` is the smallest ratio, over all ranks, of what was taken for
    nonzero to the larger of all that was taken for zero and one standard error; below 2, or 0 where the ranks
    contradict each other, the description is not certain. Constants smaller than the errors cannot be seen. Meant for
    an orthonormal basis, as `constants.StructureConstants.describe` provides.

    Args:
        constants: ``[n, n, n]``, antisymmetric.
        errors: standard errors, of a shape that broadcasts to it.

    Raises:
        ValueError: the shape is not ``[n, n, n]``, a number is not finite, an error is negative, or the constants
            violate the Jacobi identity by more than three standard errors.

    >>> describe_measured([[[0, 0], [1.001, 1e-3]], [[-1.001, -1e-3], [0, 0]]], 1e-3).name
    'A2'
    """
    c = np.array(constants, dtype=np.float64)
    if c.ndim != 3 or c.shape != (len(c),) * 3 or not len(c):
        raise ValueError(f"`constants` must have the shape [n, n, n], got {list(c.shape)}")
    deviations = np.broadcast_to(np.array(errors, dtype=np.float64), c.shape)
    if not (np.isfinite(c).all() and np.isfinite(deviations).all() and (deviations >= 0).all()):
        raise ValueError("`constants` and `errors` must be finite, and errors not negative")
    c = (c - c.transpose(1, 0, 2)) / 2
    n, size = len(c), float(np.linalg.norm(c))
    deviations = np.maximum(deviations, 1e-12 * max(size, 1.0) / n)  # rounding
    deviations = deviations * (1.0 - np.eye(n))[..., None]
    error = float(np.linalg.norm(deviations))
    violation, allowed = float(np.linalg.norm(jacobiator(c))), MARGIN * 6 * size * error
    if violation > allowed:
        raise ValueError(
            f"`constants` must satisfy the Jacobi identity within their errors, got a violation of {violation:.3g} "
            f"where {allowed:.3g} is allowed"
        )
    form = killing_form(c)
    # K_ij = c_ikl c_jlk is bilinear, and the errors of c_ikl and c_kil are the same
    form_error = float(2 * np.sqrt(np.tensordot(deviations**2, c**2, ((1, 2), (2, 1))).sum()))
    gaps: list[float] = []

    def rank(values: NDArray[Any], error: float) -> int:
        """Of descending singular values."""
        count = int((values > MARGIN * error).sum())
        zero = max(error, float(np.linalg.norm(values[count:])))
        if count:
            gaps.append(values[count - 1] / zero)
        elif zero > error:
            gaps.append(MARGIN * error / zero)
        return count

    def span(rows: NDArray[Any]) -> NDArray[Any]:
        _, values, basis = np.linalg.svd(rows, full_matrices=False)
        return basis[: rank(values, error)]

    def kernel(matrix: NDArray[Any], error: float = error) -> NDArray[Any]:
        _, values, basis = np.linalg.svd(matrix)
        return basis[rank(values, error) :]

    def signature(form: NDArray[Any]) -> tuple[int, int]:
        values = np.linalg.eigvalsh(form)
        order = np.argsort(-np.abs(values))
        kept = values[order[: rank(np.abs(values[order]), form_error)]]
        return int((kept > 0).sum()), int((kept < 0).sum())

    derived, central = derived_series(c, span), lower_central_series(c, span)
    # K([x, y], z) = 0 for all x and y
    solvable = kernel((c @ form).reshape(n * n, n), size * form_error + float(np.linalg.norm(form, 2)) * error)
    outside = np.linalg.svd(solvable)[2][len(solvable) :]
    factor = np.einsum("ai,bj,ijk,ck->abc", outside, outside, c, outside)
    names: Sequence[str] = ()
    if len(outside):
        names = SEMISIMPLE.get(
            (len(outside), signature(killing_form(factor))), (f"a semisimple algebra of dimension {len(outside)}",)
        )
    if (len(solvable) == n) != (len(derived[-1]) == 0):
        gaps.append(0.0)
    description = Description(
        dimension=n,
        derived_series=tuple(len(term) for term in derived),
        lower_central_series=tuple(len(term) for term in central),
        centre=len(centre(c, kernel)),
        killing=signature(form),
        radical=len(solvable),
        nilradical=n if not len(central[-1]) else None,
        nilradical_name=None,
        levi=tuple(sorted(names)),
        unimodular=bool(np.linalg.norm(np.trace(c, axis1=1, axis2=2)) <= MARGIN * np.sqrt(n) * error),
        name=None,
        exact=False,
    )
    return replace(description, name=_named_by_numbers(description), gap=min(map(float, gaps), default=None))


def _named_by_numbers(d: Description) -> str | None:
    """The name where dimensions and signatures leave one algebra only."""
    if d.abelian:
        return _total(["A1"] * d.dimension)
    if d.dimension == 2:
        return "A2"
    if d.nilpotent and d.derived_series[1] == 1 and d.centre == 1:
        return f"h({(d.dimension - 1) // 2})"
    if d.semisimple and not d.levi[0].startswith("a "):
        return _total(d.levi)
    # The radical of a perfect algebra is nilpotent and has no quotient on which the Levi factor acts as 0.
    if d.perfect and len(d.levi) == 1 and d.dimension - d.radical == 3:
        return {
            ("sl(2,R)", 2, 0): "sl(2,R) semidirect 2A1",
            ("sl(2,R)", 3, 0): "p(2,1)",
            ("sl(2,R)", 3, 1): "sch(1)",
            ("so(3)", 3, 0): "e(3)",
        }.get((d.levi[0], d.radical, d.centre))
    return None
