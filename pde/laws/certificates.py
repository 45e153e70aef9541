"""Certificates: how far a generator can be from a symmetry of the law of noisy, limited data.

**Law.** The data are taken to solve ``F_theta = u_t + sum_j theta_j m_j = 0`` over a dictionary: the terms of the
equation they claim, and nearby ones (`dictionary`). The weak regression of `pde.laws.regression` gives a region that
holds theta with probability ``1 - alpha``: Hotelling's ellipsoid, widened by the doubts d, d' that the grid leaves,

    theta = estimate + L z + s d + s' d',    |z| <= r,  |s|, |s'| <= 1,    L L^T the covariance of the estimate.

**Defect.** R, the determining condition on solutions (`pde.symmetries.prolongation`), is a sum of terms that cancel for
a symmetry:

    R_theta[V] = sum_b ( sum_j C_bj D_x^j b + C_bt D_t b ),    b = xi, tau, phi,
    defect(V, theta) = RMS(R_theta[V]) / W,    W^2 = E[ sum_b ( sum_j |C_bj D_x^j b|^2 + |C_bt D_t b|^2 ) ],

over points of the data, W at the coefficients the equation claims. It is 0 for a symmetry, 0.2 to 1 for other fields,
and free of units: what a large field like ``x d/dx`` has in common with a translation, which R does not see, does not
hide that the rest fails. A field without such terms (a translation, in a law free of its variable) has defect 0. The
mean is taken before the division, because where a solution is at rest the ratio of R to its terms is that of the noise.
R is a polynomial in theta, of degree 2 because u_tt is:

    R_theta = R_0 + sum_i theta_i R_i + sum_ik theta_i theta_k R_ik;

its coefficients are computed once at every point (`Polynomial`).

**Growth.** A field whose only such term is the explicit dependence of the law on x or t has the defect 1 by definition,
however slow that dependence is. So the same R has a second size beside W: the residual, relative to the terms of the
equation, that moved data acquire per unit of length of the flow (`prolonged_law.growth_condition`),

    growth(V, theta)^2 = mean_s (RMS_s(R_theta[V])/(T_s |V|))^2,

T_s the RMS of the terms of the equation on trajectory s, |V| that of the velocity in the units of the data
(`data_coordinates`: the extents of x and t, and for u that of a uniform variable with its deviation). Fields that are
no symmetries have a growth of 0.2 to 2.

**Bound.** With a the value at the estimate and J the derivative there, divided by W and by the root of the number of
points, the triangle inequality gives for every theta of the region

    defect <= |a| + r |J L| + |J d| + r^2 |R_2(L, L)| + 2 r |R_2(L, d)| + |R_2(d, d)|,

with spectral norms (d stands for both doubts), and the same for the growth. The bound holds at the points after
smoothing: modes of a trajectory that are lost in noise are left out, others shrunk (`pde.weak.smoothing`); the share of
the energy of u that is left out is stated. The points carry noise even so. What that does to the bound is measured by
leaving out more, as if there were three and ten times the noise: delta is the largest bound and the spread of the three
on top. The region is one for all fields, so all certificates hold at once:
"the true defects are at most these delta", with probability ``1 - alpha`` over the noise.
`benchmarks/bench_certificates.py` measures how often one is false for planted near-symmetries.

What is assumed: noise independent from sample to sample, and a law in the span of the dictionary. The second is checked
as far as it can be: weak residuals well above the noise are a misfit, and nothing is certified then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sympy
import torch
from torch import Tensor

from symflow.errors import UserError
from symflow.formulas import expressions, format_generator, text_table
from symflow.runs import one_thread

from ..equations import Equation, Jets, derivative_symbol, t, u, x
from ..trajectories import Trajectories, data_coordinates
from ..weak import law, smooth
from .intervals import ellipsoid_radius
from .prolonged_law import COMPONENTS, Polynomial, growth_condition, jet_order, prolong, relative_condition
from .regression import Coefficients, check_alpha, effective_coefficients

POINTS = 2_000
MEANINGLESS = 0.1  # a bound above this says nothing: fields that are no symmetries have defects of 0.2 to 1
SMOOTHINGS = (1.0, 3.0, 10.0)  # times the noise: modes below are left out of the points
MOST_LEFT_OUT = 0.999  # of the energy, by any of the smoothings
MISFIT = 2.0  # weak residuals above this times the noise's, and above UNEXPLAINED of the terms, are no noise
UNEXPLAINED = 1e-2


def dictionary(equation: Equation) -> tuple[sympy.Expr, ...]:
    """The terms a law near an equation may have: its own first, then ``u ... u_(order)``, ``u^2`` and ``u u_x``.

    >>> dictionary(Equation("u_t + u*u_x + u_xxx = 0"))
    (u*u_x, u_xxx, u, u_x, u_xx, u**2)
    """
    nearby = [derivative_symbol(m) for m in range(equation.order + 1)] + [u**2, u * derivative_symbol(1)]
    return tuple(dict.fromkeys([*law(equation), *nearby]))


@dataclass(frozen=True)
class Points:
    """Derivatives of u at random points of the grid, the modes lost in noise left out.

    Attributes:
        jets: at N points.
        trajectory: of each point, ``[N]``, numbered from 0 among those that have points.
        left_out: the share of the energy of u about its mean that smoothing leaves out, over those trajectories.
    """

    jets: Jets
    trajectory: Tensor
    left_out: float


def smooth_points(data: Trajectories, order: int, noise: float, count: int = POINTS, seed: int = 0) -> Points:
    """Points of at most 32 trajectories, the same number of each.

    Args:
        data: trajectories.
        order: the highest x-derivative.
        noise: standard deviation of the noise of u.
        count: number of points.
        seed: of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    which = torch.linspace(0, len(data) - 1, min(len(data), 32)).round().long()
    energy = torch.zeros(2, dtype=torch.float64)
    xs, ts, us, owners = [], [], [], []
    for n, (part, s) in enumerate(zip(torch.arange(count).tensor_split(len(which)), which, strict=True)):
        i = torch.randint(len(data.t), (len(part),), generator=generator)
        j = torch.randint(len(data.x), (len(part),), generator=generator)
        found = smooth(data.u[s], data.length, order, noise)
        energy += found.energy
        xs.append(data.x[j])
        ts.append(data.t[i])
        us.append(found.derivatives[:, i, j])
        owners.append(torch.full_like(part, n))
    jets = Jets(torch.cat(xs), torch.cat(ts), torch.cat(us, 1))
    return Points(jets, torch.cat(owners), float(energy[1] / energy[0].clamp_min(1e-300)))


@dataclass(frozen=True)
class Certificate:
    """What the data certify of one generator.

    Attributes:
        generator: its closed form.
        delta: the true defect is at most this, with the probability of the `Certificates`; ``None`` where nothing can
            be certified.
        defect: at the estimated law, ``None`` where there is none.
        sentence: the statement in words.
        growth: at the estimated law, the relative residual that moved data acquire per unit of length of the flow.
        growth_delta: the true growth is at most this, with the same probability.
    """

    generator: dict[str, str]
    delta: float | None
    defect: float | None
    sentence: str
    growth: float | None = None
    growth_delta: float | None = None


@dataclass(frozen=True)
class Certificates:
    """Simultaneous statements about generators: all bounds hold at once with probability ``1 - alpha``.

    Attributes:
        certificates: one for each generator, in order.
        alpha: probability of error, for all together.
        law: the regression behind them, ``None`` where it failed.
        reason: why nothing can be certified, or an empty text.
        left_out: the share of the energy of u about its mean that smoothing leaves out of the points of the bounds.
        noise: the share that the noise alone has.
    """

    certificates: tuple[Certificate, ...]
    alpha: float
    law: Coefficients | None
    reason: str
    left_out: float | None = None
    noise: float | None = None

    @property
    def scope(self) -> str:
        """Where the bounds hold, in words."""
        if self.left_out is None or self.noise is None:
            return ""
        return (
            f"The bounds hold at the points of the data after smoothing, which leaves out {_percent(self.left_out)} of "
            f"the energy of u; noise alone has {_percent(self.noise)}."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "alpha": self.alpha,
            "reason": self.reason,
            "left_out": self.left_out,
            "noise": self.noise,
            "certificates": [asdict(c) for c in self.certificates],
            "law": self.law.to_dict() if self.law else None,
        }

    def __str__(self) -> str:
        rows = []
        for c in self.certificates:
            numbers = ["-" if v is None else f"{v:.1e}" for v in (c.defect, c.delta, c.growth, c.growth_delta)]
            rows.append([format_generator(c.generator), *numbers])
        lines = text_table(["generator", ">defect", ">at most", ">growth", ">at most"], rows)
        closing = self.reason or f"All bounds hold at once with probability {1 - self.alpha:g}. {self.scope}"
        return "\n".join([lines, "", closing])


@one_thread()
def certify(
    data: Trajectories,
    generators: Sequence[Mapping[str, str | sympy.Expr]],
    alpha: float = 0.05,
    *,
    seed: int = 0,
) -> Certificates:
    """Bounds on the true defects of generators that hold at once with probability ``1 - alpha``.

    Args:
        data: trajectories, with noise; their equation proposes the dictionary.
        generators: closed forms ``{"dx": xi, "dt": tau, "du": phi}``, text or expressions in x, t, u.
        alpha: probability of error.
        seed: of the points at which the condition is asked.

    Raises:
        UserError: the data are not of an equation ``u_t = ...`` on a periodic line; or a generator that cannot be read,
            or is zero on the data.
        ValueError: `alpha` is no probability.

    >>> from symflow import pde
    >>> data = pde.generate("kdv", samples=4, seed=0, steps=60, keep=60, end=20.0, resolution=128)
    >>> found = certify(data, [{"dx": "t", "dt": "0", "du": "1"}, {"dx": "0", "dt": "0", "du": "u"}])
    >>> found.certificates[0].delta < 1e-3, found.certificates[1].delta is None or found.certificates[1].delta > 0.01
    (True, True)
    """
    check_alpha(alpha)
    data.require_evolution("a certificate")
    fields = [_closed_form(g) for g in generators]
    texts = [{key: str(f) for key, f in zip(COMPONENTS, form, strict=True)} for form in fields]
    terms = dictionary(data.equation)
    try:
        fit = effective_coefficients(data, terms, alpha)
        radius = ellipsoid_radius(len(fit.terms), fit.degrees, alpha)
    except UserError as error:
        return _nothing(texts, alpha, None, str(error))
    lost = [str(m) for m in fit.collinear if m in law(data.equation)]
    if lost:
        return _nothing(
            texts, alpha, fit, f"on these data {' and '.join(lost)} cannot be told from the other terms, or from noise"
        )
    if fit.misfit > MISFIT and fit.residual > UNEXPLAINED:
        return _nothing(
            texts,
            alpha,
            fit,
            f"no law u_t + a combination of {', '.join(map(str, fit.terms))} = 0 fits the data: its weak residual is "
            f"{fit.residual:.1g} of its terms, {fit.misfit:.1f} times the noise",
        )
    own = law(data.equation)
    claimed = torch.tensor([own.get(m, 0.0) for m in fit.terms], dtype=torch.float64)
    order = jet_order(fit.terms)
    points = [smooth_points(data, order, n * fit.noise, seed=seed) for n in SMOOTHINGS]
    if max(p.left_out for p in points) > MOST_LEFT_OUT:
        return _nothing(
            texts, alpha, fit, f"smoothing with {SMOOTHINGS[-1]:g} times the noise leaves nothing of the data"
        )
    prolonged = [prolong(fit.terms, p.jets) for p in points]
    box = data_coordinates(data, periodic=False).scale
    root = radius * _root(fit.covariance)

    def bounded(conditions: Sequence[Polynomial]) -> tuple[float, float]:
        """The value at the estimate, and delta."""
        bounds = [bound(c, fit.theta, root, fit.doubt) for c in conditions]
        return float(conditions[0](fit.theta).norm()), max(bounds) + (max(bounds) - min(bounds))

    found = []
    for field, text in zip(fields, texts, strict=True):
        defect, delta = bounded([relative_condition(p, claimed, field) for p in prolonged])
        growth, most = bounded(
            [growth_condition(p, claimed, field, q.trajectory, box) for p, q in zip(prolonged, points, strict=True)]
        )
        sentence = _sentence(text, delta, most, alpha, fit)
        found.append(Certificate(text, delta if delta <= MEANINGLESS else None, defect, sentence, growth, most))
    variance = float(data.u.var(correction=0))
    return Certificates(tuple(found), alpha, fit, "", points[0].left_out, fit.noise**2 / max(variance, 1e-300))


def bound(relative: Polynomial, theta: Tensor, root: Tensor, doubt: Tensor) -> float:
    """The largest norm of a polynomial over ``theta + root z + s doubt``, ``|z| <= 1``, ``|s_d| <= 1``, from above.

    Args:
        relative: in J terms.
        theta: ``[J]``.
        root: ``[J, J]``, the radius of the ellipsoid in it.
        doubt: ``[D, J]``.
    """
    slope = relative.derivative(theta)
    pairs = torch.einsum("ikn,ia,kb->abn", relative.quadratic, root, root)
    mixed = torch.einsum("ikn,ia,dk->dan", relative.quadratic, root, doubt)
    both = torch.einsum("ikn,ci,dk->cdn", relative.quadratic, doubt, doubt)
    norms = [
        relative(theta).norm(),
        torch.linalg.matrix_norm(root.T @ slope, 2),
        (doubt @ slope).norm(dim=-1).sum(),
        torch.linalg.matrix_norm(pairs.flatten(0, 1), 2),
        2 * torch.linalg.matrix_norm(mixed, 2).sum(),
        both.norm(dim=-1).sum(),
    ]
    return float(torch.stack(norms).sum())


def _root(covariance: Tensor) -> Tensor:
    """L with ``L L^T`` the covariance, also when it is nearly singular."""
    scale = covariance.diagonal().clamp_min(1e-300).sqrt()
    values, vectors = torch.linalg.eigh(covariance / scale / scale[:, None])
    root: Tensor = scale[:, None] * vectors * values.clamp_min(0).sqrt()
    return root


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share >= 1e-6 else "less than 0.0001 %"


def _sentence(text: dict[str, str], delta: float, growth: float, alpha: float, fit: Coefficients) -> str:
    name = format_generator(text)
    grows = f"moved data gain at most {growth:.2g} of their terms per unit of length"
    if not delta <= MEANINGLESS:
        return (
            f"{name}: nothing can be certified, for the data only bound the defect by {delta:.2g}, "
            f"and above {MEANINGLESS} a bound means nothing; {grows}"
        )
    sentence = f"{name}: the true defect is at most {delta:.2g} with probability {1 - alpha:g}, and {grows}"
    if fit.collinear:
        sentence += f", if the law has no {' or '.join(map(str, fit.collinear))}, which these data cannot tell"
    return sentence


def _nothing(texts: list[dict[str, str]], alpha: float, fit: Coefficients | None, reason: str) -> Certificates:
    found = tuple(
        Certificate(text, None, None, f"{format_generator(text)}: nothing can be certified: {reason}") for text in texts
    )
    return Certificates(found, alpha, fit, f"Nothing can be certified: {reason}.")


def _closed_form(generator: Mapping[str, str | sympy.Expr]) -> tuple[sympy.Expr, sympy.Expr, sympy.Expr]:
    symbols = {"x": x, "t": t, "u": u}
    if not isinstance(generator, Mapping) or not set(generator) <= set(COMPONENTS):
        raise UserError(f"a generator must be a mapping of dx, dt and du to formulas, got {generator!r}")
    parts = []
    for key in COMPONENTS:
        value = generator.get(key, "0")
        value = expressions.parse(value, symbols) if isinstance(value, str) else _number(value, key)
        if value.free_symbols - {x, t, u}:
            raise UserError(f"a generator's {key} must be a formula in x, t and u, got {value}")
        parts.append(value)
    return parts[0], parts[1], parts[2]


def _number(value: object, key: str) -> sympy.Expr:
    """A sympy object or a number; strictly, so that nothing is ever parsed by sympy's own parser, which executes."""
    try:
        return sympy.sympify(value, strict=True)
    except sympy.SympifyError:
        raise UserError(f"a generator's {key} must be a formula in x, t and u, got {value!r}") from None
