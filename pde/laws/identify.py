"""The evolution law of data that come without one: proposed by PySINDy's weak form, decided by intervals.

The candidates are ``u^a D_x^k u``, a = 0, 1, 2 and k = 1 ... 4, and ``u, u^2``. PySINDy (Kaptanoglu et al., JOSS 7,
2022; weak form after Reinbold, Gurevich and Grigoriev, 2020) proposes a sparse law by thresholded least squares on
columns of unit size. What it proposes is not the result: `pde.laws.regression` refits the coefficients without the bias
of noise, terms whose simultaneous interval holds 0, or which contribute less than `NEGLIGIBLE` of ``u_t``, are left out
one by one, the least certain first, and each coefficient is rounded to the fewest digits that its interval allows. A
law whose weak residual is neither small nor explained by the noise is not returned.

Coefficients are looked at in windows of t (`drift`); those that change with t get factors of t (`clock`), when the law
then fits better and nothing changes any more.

An equation found so is a hypothesis about the data at hand: terms outside the candidates, or too small for the noise,
are not in it. It is fitted to one part of the data, and whatever is said of it afterwards rests on the other (`split`).
"""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import sympy
import torch

from symflow.errors import UserError
from symflow.runs import one_thread

from ..equations import Equation, derivative_symbol, u
from ..trajectories import Trajectories, describe, load, tears
from ..weak import weak_rows
from .clock import candidates_with_time
from .drift import drifts
from .intervals import MOST_DIGITS, rounded
from .regression import Coefficients, candidates, check_alpha, effective_coefficients

HIGHEST_POWER, HIGHEST_DERIVATIVE = 2, 4
PROPOSED_FROM = 8  # trajectories that PySINDy sees
WINDOWS = 100  # its test functions on each
THRESHOLD = 0.01  # of coefficients of columns of unit size
NEGLIGIBLE = 1e-3
UNEXPLAINED, MISFIT = 0.05, 2.0
PLACEHOLDER = Equation("u_t + u_x = 0")


@one_thread()
def identify(x: Any, t: Any, u: Any, *, alpha: float = 0.05, seed: int = 0) -> Equation:
    """The evolution equation that data on a periodic line solve, as far as they tell.

    Determinism: the same arrays and seed give the same equation.

    Args:
        x: ``[X]``, uniform over one period without its right end.
        t: ``[T]``, increasing.
        u: ``[S, T, X]``.
        alpha: probability of error of the simultaneous intervals that decide over terms and digits.
        seed: of PySINDy's test functions.

    Raises:
        UserError: PySINDy is not installed, arrays that are no trajectories, or no law that fits them.

    >>> from symflow import pde
    >>> data = pde.generate("kdv", samples=4, seed=0, steps=60, keep=60, end=20.0, resolution=128)
    >>> identify(data.x, data.t, data.u).text
    'u_t + u*u_x + u_xxx = 0'
    """
    check_alpha(alpha)
    # the container checks the arrays; it needs an equation, of which nothing is used
    data = Trajectories(PLACEHOLDER, x, t, u)
    if tears(data):
        raise UserError(
            "a fit of an equation needs one unknown u on a periodic line, and the ends of these rows do not meet"
        )
    terms = _proposed(data, seed)
    if not terms:
        raise UserError("no law fits the data: PySINDy proposes none of the candidate terms")
    fit = _with_time(data, _reduced(data, terms, alpha))
    if fit.residual > UNEXPLAINED and fit.misfit > MISFIT:
        raise UserError(
            f"no law fits the data: the best, u_t + a combination of {', '.join(map(str, fit.terms))} = 0, leaves "
            f"{fit.residual:.2g} of its terms, {fit.misfit:.1f} times the noise"
        )
    return Equation(_text(fit))


def load_identified(path: str | os.PathLike[str], **reading: Any) -> Trajectories:
    """Trajectories of a file that does not name their equation, with the one that `identify` fits to a part of them.

    ``settings["identified"]`` is then True, and `held_out` is the part that it was not fitted to. Further arguments are
    those of `load`.

    Raises:
        UserError: as `load` and `identify`; or the data are no u on a periodic line.
    """
    how = {name: reading.get(name) for name in ("samples", "group", "fields", "axes")}
    found = describe(path, **how)
    unknowns = list(how["fields"] or [f.name for f in found.fields if "t" in f.dims])
    space = [a.name for a in found.axes if a.name != "t" and a.nodes > 1]
    if len(unknowns) != 1 or len(space) != 1:
        raise UserError(
            f"a fit of an equation needs one unknown on a periodic line, got {', '.join(unknowns)} over "
            f"{', '.join(['t', *space])}; `equation` says what they solve"
        )
    data = load(path, equation=PLACEHOLDER, check=False, **reading)
    data.require_line("a fit of an equation")
    fitted, _ = split(data)
    equation = identify(fitted.x, fitted.t, fitted.u)
    return replace(data, equation=equation, name=None, settings={**data.settings, "identified": True})


def split(data: Trajectories) -> tuple[Trajectories, Trajectories]:
    """What an equation is fitted to, and what is held out: the first half of the trajectories, and the others.

    Of a single trajectory the first two thirds of the times, and the later ones.
    """
    if len(data) > 1:
        return data[: (len(data) + 1) // 2], data[(len(data) + 1) // 2 :]
    first = -(-2 * len(data.t) // 3)
    return replace(data, t=data.t[:first], u=data.u[:, :first]), replace(data, t=data.t[first:], u=data.u[:, first:])


def held_out(data: Trajectories) -> Trajectories:
    """The part of the data that their equation was not fitted to: all of them where it was given."""
    return split(data)[1] if data.settings.get("identified") else data


def parts(data: Trajectories) -> str:
    """`split` in words.

    >>> from symflow import pde
    >>> data = pde.generate("kdv", samples=3, seed=0, steps=20, keep=20, end=2.0, resolution=64)
    >>> parts(data)
    'fitted to the first 2 of 3 trajectories; all else rests on the other 1, counted from 0'
    """
    fitted, held = split(data)
    if len(data) > 1:
        return (
            f"fitted to the first {len(fitted)} of {len(data)} trajectories; all else rests on the other {len(held)}, "
            "counted from 0"
        )
    return f"fitted to the times up to {float(fitted.t[-1]):.4g}; all else rests on the later ones"


def _proposed(data: Trajectories, seed: int) -> list[sympy.Expr]:
    """The terms with non-zero coefficients in PySINDy's law, simple ones first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its dependencies, and of fits that it retries
        try:
            import pysindy
        except ImportError:
            raise UserError(
                "`identify` needs PySINDy, which is not installed; pip install 'symflow-torch[identify]' brings it"
            ) from None
        few = data[:: max(1, -(-len(data) // PROPOSED_FROM))]
        choices = candidates(data)
        widths = choices[len(choices) // 2]
        x, t = data.x.numpy(), data.t.numpy()
        grid = np.stack(np.meshgrid(x, t, indexing="ij"), -1)
        half = [widths.x * (x[1] - x[0]), (t[-1] - t[0]) * widths.t / len(t)]
        state = np.random.get_state()  # noqa: NPY002  PySINDy draws from the global generator
        np.random.seed(seed)  # noqa: NPY002
        try:
            library = pysindy.WeakPDELibrary(
                function_library=pysindy.PolynomialLibrary(degree=HIGHEST_POWER, include_bias=False),
                derivative_order=HIGHEST_DERIVATIVE,
                spatiotemporal_grid=grid,
                K=WINDOWS,
                H_xt=half,
                p=2 * HIGHEST_DERIVATIVE,
            )
            optimizer = pysindy.STLSQ(threshold=THRESHOLD, alpha=1e-12, normalize_columns=True)
            model = pysindy.SINDy(feature_library=library, optimizer=optimizer)
            model.fit([row.numpy().T[..., None] for row in few.u], t=t)
        finally:
            np.random.set_state(state)  # noqa: NPY002
        names, coefficients = model.get_feature_names(), model.coefficients()[0]
    found = [_term(name) for name, value in zip(names, coefficients, strict=True) if value != 0]
    return sorted(found, key=lambda m: (len(m.free_symbols), sympy.count_ops(m), str(m)))


def _term(name: str) -> sympy.Expr:
    """PySINDy's ``x0^2x0_11`` as ``u**2*u_xx``."""
    match = re.fullmatch(r"(?:x0(?:\^(\d+))?)?(?:x0_(1+))?", name)
    if match is None:
        raise RuntimeError(f"PySINDy named a feature {name!r}, which is not of its documented form")
    power = 0 if re.match(r"x0(?!_)", name) is None else int(match[1] or 1)
    return u**power * (derivative_symbol(len(match[2])) if match[2] else 1)


def _reduced(data: Trajectories, terms: list[sympy.Expr], alpha: float) -> Coefficients:
    """The refitted law, terms that it can do without left out one by one."""
    while True:
        fit = effective_coefficients(data, terms, alpha)
        half = (fit.upper - fit.lower) / 2
        doubtful = (fit.lower <= 0) & (fit.upper >= 0)
        rows = weak_rows(data, fit.terms, candidates(data)[-1])
        shares = rows.values[..., 1:].square().mean((0, 1, 2)).sqrt() * fit.theta.abs()
        doubtful |= shares < NEGLIGIBLE * rows.values[..., 0].square().mean().sqrt()
        if not bool(doubtful.any()):
            return fit
        if len(fit.terms) == 1:
            raise UserError(f"no law fits the data: the coefficient of {fit.terms[0]} cannot be told from 0")
        certainty = torch.where(doubtful, fit.theta.abs() / half.clamp_min(1e-300), torch.inf)
        terms = [m for j, m in enumerate(fit.terms) if j != int(certainty.argmin())]


def _with_time(data: Trajectories, fit: Coefficients) -> Coefficients:
    """The law with factors of t where coefficients drift; as it is where none do, or where no such law fits."""
    drifting = [d for d in drifts(data, Equation(_text(fit))) if d.axis == "t"]
    for found in candidates_with_time(data, fit.terms, drifting, fit.alpha) if drifting else ():
        certain = bool(((found.lower > 0) | (found.upper < 0)).all())
        if certain and found.misfit < fit.misfit and not drifts(data, Equation(_text(found))):
            return found
    return fit


def _text(fit: Coefficients) -> str:
    text = "u_t"
    order = sorted(range(len(fit.terms)), key=lambda j: (len(str(fit.terms[j]).split("u_")[-1]), str(fit.terms[j])))
    for j in order:
        value = rounded(*(float(v[j]) for v in (fit.theta, fit.lower, fit.upper)))
        size = f"{abs(value):.{MOST_DIGITS}g}"
        text += f" {'-' if value < 0 else '+'} {'' if size == '1' else size + '*'}{fit.terms[j]}"
    return text + " = 0"
