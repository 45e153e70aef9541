"""The compiled flow of jets against its reference and against laws: derivatives of the flow map, group, truncation."""

import math
import sys

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kernels import ISAS, assert_close, assert_transforms_agree, instruction_set, printed_kilobytes, threads
from symflow import Coordinates, NeuralField, SymbolicField, flow, jet_flow
from symflow.fields.series import Series, Truncation, line, line_and_time, total_degree
from symflow.ops import _ext, flow_ref, jet_flow_kernel, jet_flow_ref

needs_kernels = pytest.mark.skipif(not _ext.built, reason="symflow was built without its kernels")

AXES = {
    1: Coordinates(("x",), periods=(1.0,)),
    2: Coordinates(("x", "y"), periods=(None, None)),
    3: Coordinates(("x", "t", "u"), periods=(2.0, None, None)),
    4: Coordinates(("x", "y", "t", "u"), periods=(1.0, 0.5, None, None)),
}
CLOSED = Coordinates(("x", "y", "t", "u"), periods=(1.0, 2.0, 1.5, 4.0))  # every axis periodic
POINT = Truncation([(0,)])
THREE_UNKNOWNS = Truncation([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 1, 1), (0, 1, 1), (1, 0, 1)])
TRUNCATIONS = {
    "point": POINT,
    **{f"total{n}": total_degree(n) for n in range(1, 6)},
    "line4": line(4),
    "line and time": line_and_time(3),
    "three unknowns": THREE_UNKNOWNS,
}


def random_surface(truncation, B, N, d, dtype=torch.float64, seed=0):
    """Surfaces that are smooth on the scale of the shortest period, so that no derivative swamps the others."""
    rng = torch.Generator().manual_seed(seed)
    sizes = torch.tensor([0.2 ** sum(m) for m in truncation.monomials], dtype=torch.float64)
    coefficients = torch.randn(len(truncation), B, N, d, generator=rng, dtype=torch.float64)
    return (coefficients * sizes[:, None, None, None]).to(dtype)


def problem(truncation=None, coordinates=AXES[3], K=4, W=64, H=32, B=2, N=20, dtype=torch.float64, seed=0):
    """A field, coefficients that require a gradient, and weights that do."""
    truncation = truncation or total_degree(3)
    field = NeuralField(coordinates, K, width=W, head_width=H, seed=seed).to(dtype)
    surface = random_surface(truncation, B, N, coordinates.dimension, dtype, seed)
    weights = torch.randn(B, K, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64).to(dtype)
    return field, Series(truncation, surface.requires_grad_()), weights.requires_grad_()


def value_and_gradients(call, field, surface, weights, seed=1):
    """The end and the gradients of a random functional of it: surface, weights, eight parameters."""
    end = call(field, surface, weights).coefficients
    direction = torch.randn(end.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(end)
    return [end.detach(), *torch.autograd.grad(end, [surface.coefficients, weights, *field.layers], direction)]


def relative(a: Tensor, b: Tensor) -> float:
    """The distance of two tensors relative to the second, in the Euclidean norm."""
    return float((a.double() - b.double()).norm() / b.double().norm().clamp_min(1e-30))


def reference(field, surface, weights, steps):
    """`jet_flow_ref` and its gradients in float64."""
    exact = NeuralField(field.coordinates, field.generators, *field.head_weight.shape[:0:-1]).double()
    exact.load_state_dict(field.state_dict())
    s = Series(surface.truncation, surface.coefficients.detach().double().requires_grad_())
    w = weights.detach().double().requires_grad_()
    with threads(1):
        return value_and_gradients(lambda f, s, w: jet_flow_ref(f, s, w, steps), exact, s, w)


def assert_agrees(field, surface, weights, steps=2):
    """Rounding apart, the kernels of every instruction set are the reference. The bounds are those of the flow of
    points, three times over for the longer sums of a product of series, or twice the rounding error of the reference
    itself where the problem magnifies it."""
    expected = reference(field, surface, weights, steps)
    small = weights.dtype == torch.float32
    bounds = [3e-7 if small else 3e-15, 1e-6 if small else 6e-15] + 9 * [3e-6 if small else 3e-14]
    if small:
        with threads(1):
            rounded = value_and_gradients(lambda f, s, w: jet_flow_ref(f, s, w, steps), field, surface, weights)
        bounds = [max(b, 2 * relative(r, e)) for b, r, e in zip(bounds, rounded, expected, strict=True)]
    for isa in ISAS:
        with instruction_set(isa):
            found = value_and_gradients(lambda f, s, w: jet_flow(f, s, w, steps=steps), field, surface, weights)
        for value, exact, bound in zip(found, expected, bounds, strict=True):
            assert relative(value, exact) < bound, isa


# ---- values and gradients -------------------------------------------------------------------------------------------


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("truncation", TRUNCATIONS.values(), ids=TRUNCATIONS)
def test_kernel_is_the_reference(truncation, dtype):
    assert_agrees(*problem(truncation, W=37, H=5, N=17, dtype=dtype))


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("W", "H", "N"), [(64, 32, 193), (37, 5, 1), (130, 33, 37)])
def test_sizes(W, H, N, dtype):
    assert_agrees(*problem(W=W, H=H, N=N, dtype=dtype))


@needs_kernels
def test_smallest_network():
    assert_agrees(*problem(W=1, H=1, K=1, N=50))


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("coordinates", [*AXES.values(), CLOSED], ids=lambda c: f"d{c.dimension}")
def test_dimensions_and_periods(coordinates, dtype):
    assert_agrees(*problem(total_degree(4), coordinates, W=32, H=7, N=19, dtype=dtype))


@needs_kernels
@pytest.mark.parametrize("K", [1, 2, 7, 32])
def test_numbers_of_generators(K):
    assert_agrees(*problem(K=K, W=32, H=8, dtype=torch.float32))


@needs_kernels
def test_wide():
    assert_agrees(*problem(W=256, B=1, N=13, dtype=torch.float32), steps=1)


@needs_kernels
def test_rows_of_weights():
    """One-hot, dense, partly zero and zero rows: a zero weight's head moves nothing, but its gradient counts."""
    field, surface, _ = problem(K=5, B=5, N=11)
    rows = [[0, 0, 0.7, 0, 0], [0.1, -0.2, 0.3, 0.4, -0.5], [0, 0.5, 0, -0.5, 0], [0] * 5, [-0.0, 0, 0, 0, 1]]
    weights = torch.tensor(rows, dtype=torch.float64, requires_grad=True)
    assert_agrees(field, surface, weights)
    assert torch.equal(jet_flow(field, surface, weights).coefficients[:, 3], surface.coefficients[:, 3])


@needs_kernels
@pytest.mark.parametrize("truncation", [total_degree(3), total_degree(2), line_and_time(2)], ids=lambda t: len(t))
@pytest.mark.parametrize("coordinates", [AXES[3], CLOSED], ids=["mixed", "closed"])
def test_gradcheck(isa, truncation, coordinates):
    field, surface, weights = problem(truncation, coordinates, K=2, W=5, H=3, B=2, N=2)

    def call(coefficients, weights, *layers):
        series = Series(truncation, coefficients)
        return jet_flow_kernel(series, weights, layers, coordinates.normalised_periods, 2).coefficients

    assert torch.autograd.gradcheck(call, (surface.coefficients, weights, *field.layers), fast_mode=True)


@needs_kernels
def test_which_gradients_are_wanted_does_not_matter(isa):
    field, surface, weights = problem(dtype=torch.float32, N=31)
    expected = value_and_gradients(jet_flow, field, surface, weights)
    wanted = [surface.coefficients, weights, *field.layers]
    for chosen in ([0], [1], [0, 1], [4], [1, 9], [0, 7]):
        for i, t in enumerate(wanted):
            t.requires_grad_(i in chosen)
        end = jet_flow(field, surface, weights).coefficients
        direction = torch.randn(end.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).float()
        gradients = torch.autograd.grad(end, [wanted[i] for i in chosen], direction)
        assert torch.equal(end, expected[0])
        for i, g in zip(chosen, gradients, strict=True):
            # Weights' gradients evaluate more heads, in another order.
            assert relative(g, expected[1 + i]) < 1e-6


@needs_kernels
def test_inputs_need_not_be_contiguous(isa):
    field, surface, weights = problem(N=7)
    flipped = Series(
        surface.truncation, surface.coefficients.detach().transpose(0, 3).contiguous().transpose(0, 3).requires_grad_()
    )
    wide = torch.stack([weights, weights], -1).detach()[..., 0].requires_grad_()
    assert not flipped.coefficients.is_contiguous()
    assert not wide.is_contiguous()
    found = value_and_gradients(jet_flow, field, flipped, wide)
    for a, b in zip(value_and_gradients(jet_flow, field, surface, weights), found, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("B", "N"), [(0, 5), (2, 0), (0, 0)])
def test_empty(B, N):
    field, surface, weights = problem(B=B, N=N)
    end, *gradients = value_and_gradients(jet_flow, field, surface, weights)
    assert end.shape == (10, B, N, 3)
    expected = [surface.coefficients, weights, *field.layers]
    assert all(g.shape == t.shape for g, t in zip(gradients, expected, strict=True))
    assert all(not g.any() for g in gradients)


@needs_kernels
def test_not_finite_stays_so(isa):
    """A coefficient that is not finite taints those of its multiples, and no other point."""
    truncation = total_degree(3)
    field, surface, weights = problem(truncation, N=40, dtype=torch.float32)
    with torch.no_grad():
        expected = jet_flow(field, surface, weights).coefficients
        bad = surface.coefficients.clone()
        bad[0, 0, 0], bad[truncation.index[1, 0], 0, 1], bad[0, 0, 2] = torch.nan, torch.nan, torch.inf
        end = jet_flow(field, Series(truncation, bad), weights).coefficients
        assert torch.equal(end[:, 0, 3:], expected[:, 0, 3:])
        assert torch.equal(end[:, 1], expected[:, 1])
        assert not end[:, 0, [0, 2]].isfinite().any()
        multiples = [i for i, (s, _) in enumerate(truncation.monomials) if s > 0]
        others = [i for i, (s, _) in enumerate(truncation.monomials) if s == 0]
        assert end[multiples, 0, 1].isnan().all()
        assert torch.equal(end[others, 0, 1], expected[others, 0, 1])


# ---- laws -----------------------------------------------------------------------------------------------------------


@needs_kernels
def test_one_coefficient_is_the_flow_of_points(isa):
    for dtype, bound in ((torch.float64, 1e-15), (torch.float32, 3e-7)):
        field, surface, weights = problem(POINT, N=50, dtype=dtype)
        found = value_and_gradients(jet_flow, field, surface, weights)
        expected = value_and_gradients(
            lambda f, s, w: Series(POINT, flow(f, s.coefficients[0], w)[None]), field, surface, weights
        )
        assert relative(found[0], expected[0]) < bound
        for gradient, exact in zip(found[1:], expected[1:], strict=True):
            assert relative(gradient, exact) < 20 * bound


@pytest.mark.parametrize("coordinates", [AXES[3], AXES[4]], ids=["d3", "d4"])
def test_coefficients_are_the_derivatives_of_the_moved_surface(coordinates):
    """The moved polynomial of a surface is the Taylor polynomial of the flow after the surface, by nested jacfwd."""
    truncation = total_degree(3)
    field, surface, weights = problem(truncation, coordinates, K=2, W=9, H=4, B=1, N=3)
    coefficients = surface.coefficients.detach()

    def moved(parameters):
        monomials = torch.stack([parameters[0] ** i * parameters[1] ** j for i, j in truncation.monomials])
        return flow_ref(field, torch.einsum("c,cbnd->bnd", monomials, coefficients), weights, 2)

    found = jet_flow(field, surface, weights, steps=2)
    origin, derivative = torch.zeros(2, dtype=torch.float64), moved
    for order in range(4):
        values = derivative(origin)  # [1, N, d, 2, 2, ...]
        for i, j in truncation.monomials:
            if i + j == order:
                expected = values[(..., *[0] * i, *[1] * j)]
                torch.testing.assert_close(found.derivative_at_origin((i, j)), expected, rtol=1e-12, atol=1e-12)
        derivative = torch.func.jacfwd(derivative)


def test_group_law():
    """The same steps, in two flows or in one; and a flow after its inverse, which RK4 misses by its fifth order."""
    field, surface, weights = problem(total_degree(4), K=3, W=24, H=8, N=13)
    with torch.no_grad():
        twice = jet_flow(field, jet_flow(field, surface, weights, steps=4), weights, steps=4)
        torch.testing.assert_close(
            twice.coefficients, jet_flow(field, surface, 2 * weights, steps=8).coefficients, rtol=1e-12, atol=1e-13
        )
        errors = []
        for steps in (8, 16):
            back = jet_flow(field, jet_flow(field, surface, weights, steps=steps), -weights, steps=steps)
            errors.append(relative(back.coefficients, surface.coefficients))
    assert errors[1] < 1e-7
    assert 25 < errors[0] / errors[1] < 40


def linear_network(matrix: Tensor) -> NeuralField:
    """The field ``V(z) = A z`` as a network, by ``silu(x) - silu(-x) = x`` in every layer."""
    d = len(matrix)
    names = ("x", "y", "t", "u")[:d]
    field = NeuralField(Coordinates(names), 1, width=2 * d, head_width=2 * d).double()
    both = torch.cat([torch.eye(d), -torch.eye(d)]).double()
    with torch.no_grad():
        for name, value in {
            "trunk0_weight": both,
            "trunk1_weight": both @ both.T,
            "head_weight": (both @ both.T)[None],
            "out_weight": (matrix @ both.T)[None],
        }.items():
            getattr(field, name).copy_(value)
            getattr(field, name.replace("weight", "bias")).zero_()
    return field


def test_linear_fields_act_by_the_matrix_exponential():
    """Every coefficient moves by exp(A), and in n steps of RK4 by the n-th power of its series to fourth order."""
    matrix = 0.5 * torch.randn(3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    surface = Series(total_degree(4), random_surface(total_degree(4), 1, 7, 3))
    weights = torch.ones(1, 1, dtype=torch.float64)
    symbolic = SymbolicField(
        Coordinates(("x", "t", "u")),
        [
            {
                f"d{a}": " + ".join(f"({float(c)!r})*{b}" for c, b in zip(row, "xtu", strict=True))
                for a, row in zip("xtu", matrix, strict=True)
            }
        ],
    )
    exact = surface.coefficients @ torch.linalg.matrix_exp(matrix).T
    step = sum(torch.linalg.matrix_power(matrix / 2, k) / math.factorial(k) for k in range(5))
    two_steps = surface.coefficients @ torch.linalg.matrix_power(step, 2).T
    for field in (linear_network(matrix), symbolic):
        with torch.no_grad():
            assert relative(jet_flow(field, surface, weights, steps=64).coefficients, exact) < 1e-9
            assert relative(jet_flow(field, surface, weights, steps=2).coefficients, two_steps) < 1e-14


@pytest.mark.parametrize("small", [POINT, line(2), total_degree(1), total_degree(2), line_and_time(3)], ids=len)
def test_dropped_monomials_change_no_other(small):
    """The coefficients to a lower order are those of the higher order."""
    full = total_degree(4)
    field, surface, weights = problem(full, W=33, N=9)
    kept = [full.index[(*m, 0)[:2]] for m in small.monomials]
    with torch.no_grad():
        expected = jet_flow(field, surface, weights).coefficients[kept]
        found = jet_flow(field, Series(small, surface.coefficients[kept]), weights).coefficients
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)


@given(heights=st.lists(st.integers(0, 5), min_size=1, max_size=6), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_any_closed_set_of_monomials(heights, seed):
    """Staircases below s^i r^j, i + j <= 5, in any order: the kernel takes what the reference does."""
    heights = [min(h, 5 - i) for i, h in enumerate(np.minimum.accumulate(heights).tolist())]
    rest = [(i, j) for i, h in enumerate(heights) for j in range(h + 1)][1:]
    order = torch.randperm(len(rest), generator=torch.Generator().manual_seed(seed)).tolist()
    truncation = Truncation([(0, 0), *(rest[i] for i in order)])
    field, surface, weights = problem(truncation, AXES[3], W=6, H=3, B=1, N=3, seed=seed)
    assert_agrees(field, surface, weights, steps=1)


# ---- the series of silu ---------------------------------------------------------------------------------------------


# The derivatives of the logistic function as polynomials in it, ascending: s' = s - s^2, and each from the one before.
LOGISTIC = [np.polynomial.Polynomial([0, 1])]
for _ in range(6):
    LOGISTIC.append(LOGISTIC[-1].deriv() * np.polynomial.Polynomial([0, 1, -1]))
LOGISTIC = [[int(c) for c in p.coef] for p in LOGISTIC]


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_series_of_silu(isa, dtype):
    """To a few units in the last place of the two terms of each coefficient, x s^(m)/m! and s^(m-1)/(m-1)!; these
    vanish at 0 by symmetry, where 1/8 stands for them. A term is a product of s and 1 - s (up to 2 units each, from the
    exponential and the reciprocal) and four more roundings, so 8 units bound each."""
    limit = 85.0 if dtype == torch.float32 else 700.0
    rng = torch.Generator().manual_seed(0)
    x = torch.cat([torch.linspace(-limit, limit, 301), 2 * torch.randn(200, generator=rng), torch.tensor([0.0])])
    x = x.to(dtype)
    found = torch.ops.symflow.silu_taylor(x).double()
    eps = torch.finfo(dtype).eps
    with mpmath.workdps(700):  # 1 - s keeps its digits at the limit
        for n, value in enumerate(x.tolist()):
            s = 1 / (1 + mpmath.exp(-mpmath.mpf(value)))
            logistic = [mpmath.polyval(p[::-1], s) / math.factorial(k) for k, p in enumerate(LOGISTIC)]
            for m in range(7):
                terms = [value * logistic[m], logistic[m - 1] if m else 0]
                slope = logistic[1] if m > 1 else 0  # s (1 - s), the common factor of all further derivatives
                scale = max(abs(terms[0]), abs(terms[1]), slope / 8)
                assert abs(found[m, n].item() - sum(terms)) <= 8 * eps * scale, (value, m)


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_series_of_silu_at_the_extremes(isa, dtype):
    largest = torch.finfo(dtype).max
    x = torch.tensor([largest, torch.inf, 1e4, -largest, -torch.inf, -1e4, torch.nan], dtype=dtype)
    value, slope, *rest = torch.ops.symflow.silu_taylor(x)
    assert torch.equal(value[:3], x[:3])
    assert slope[:3].tolist() == [1, 1, 1]
    for t in (value, slope):
        assert (t[3:6].abs() < 1e-30).all()
    for t in rest:
        assert (t[:6].abs() < 1e-30).all()
    assert all(t[6].isnan() for t in (value, slope, *rest))


# ---- bits -----------------------------------------------------------------------------------------------------------


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("truncation", [total_degree(3), line_and_time(2)], ids=len)
def test_a_point_does_not_know_its_company(isa, dtype, truncation):
    """Bit for bit: polynomial and gradient are those of the point alone, wherever it stands."""
    field, surface, weights = problem(truncation, K=3, W=40, H=9, B=3, N=41, dtype=dtype)
    end, gradient = value_and_gradients(jet_flow, field, surface, weights)[:2]
    direction = torch.randn(end.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    order = torch.randperm(41, generator=torch.Generator().manual_seed(2))
    for rows in ([0, 1, 2], [2], [1, 0]):
        for chosen in (order, order[:1], order[:14], torch.arange(7, 40), torch.arange(40, 41)):
            c = surface.coefficients.detach()[:, rows][:, :, chosen].requires_grad_()
            found = jet_flow(field, Series(truncation, c), weights.detach()[rows]).coefficients
            assert torch.equal(found, end[:, rows][:, :, chosen])
            (g,) = torch.autograd.grad(found, c, direction[:, rows][:, :, chosen])
            assert torch.equal(g, gradient[:, rows][:, :, chosen])


@pytest.mark.determinism
@needs_kernels
def test_threads_change_no_bit(isa):
    field, surface, weights = problem(B=3, N=101, dtype=torch.float32)
    results = []
    for n in (1, 2, 1, 2):
        with threads(n):
            results.append(value_and_gradients(jet_flow, field, surface, weights))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


# ---- memory ---------------------------------------------------------------------------------------------------------


@needs_kernels
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_the_states():
    """Forward and backward need the states, the surfaces and gradients that torch holds anyway, and at most 12 MB."""
    N, C, d, steps = 4_096, 10, 3, 4
    script = f"""
        import torch, symflow
        from symflow.fields.series import Series, total_degree

        def kilobytes(key):
            return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key))

        field = symflow.NeuralField(symflow.Coordinates(("x", "t", "u"), periods=(1.0, None, None)), 4, width=64)
        weights = torch.tensor([[1.0, 0.0, 0.0, 0.0]], requires_grad=True)

        def run(n):
            surface = Series(total_degree(3), torch.rand({C}, 1, n, {d}).requires_grad_())
            moved = symflow.jet_flow(field, surface, weights, steps={steps})
            moved.coefficients.backward(torch.ones({C}, 1, n, {d}))

        run(64)
        run(64)
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")  # forget the peak so far
        before = kilobytes("VmRSS")
        run({N})
        print(kilobytes("VmHWM") - before)
    """
    done = printed_kilobytes(script)
    array = N * C * d * 4 / 2**20
    # The surface, its end, their gradients, and the states.
    assert done / 1024 < (4 + steps) * array + 12


# ---- torch's transforms ---------------------------------------------------------------------------------------------


def small(B=2, N=3):
    field, surface, weights = problem(total_degree(2), AXES[2], K=2, W=8, H=4, B=B, N=N)
    return field, surface.coefficients.detach(), weights.detach()


def on_coefficients(call, field, **options):
    """A flow as a function of tensors only."""
    return lambda c, w: call(field, Series(total_degree(2), c), w, **options).coefficients


@needs_kernels
def test_func_transforms_equal_the_reference():
    field, coefficients, weights = small()
    kernel, plain = (on_coefficients(call, field, steps=2) for call in (jet_flow, jet_flow_ref))

    assert_transforms_agree(kernel, plain, coefficients, weights)


@needs_kernels
def test_missing_derivatives_raise_and_are_never_zero():
    field, coefficients, weights = small()
    kernel = on_coefficients(jet_flow, field, steps=2)

    def call(c, w=weights):
        return kernel(c, w)

    def loss(c):
        return call(c).square().sum()

    def dual():
        with torch.autograd.forward_ad.dual_level():
            call(torch.autograd.forward_ad.make_dual(coefficients, torch.ones_like(coefficients)))

    def twice(value, first, second):
        (g,) = torch.autograd.grad(value, first, create_graph=True)
        torch.autograd.grad(g.sum(), second)

    c, w, parameter = coefficients.clone().requires_grad_(), weights.clone().requires_grad_(), field.trunk1_weight
    ones = torch.ones_like(coefficients)
    attempts = [
        lambda: torch.func.jvp(call, (coefficients,), (ones,)),
        lambda: torch.func.jvp(lambda w: call(coefficients, w), (weights,), (torch.ones_like(weights),)),
        lambda: torch.func.jacfwd(call)(coefficients),
        lambda: torch.func.hessian(loss)(coefficients),
        lambda: torch.func.jacrev(torch.func.jacrev(loss))(coefficients),
        dual,
        lambda: twice(call(c).sum(), c, c),  # the first gradient does not contain c as an argument
        lambda: twice(call(c).square().sum(), c, c),
        lambda: twice(call(coefficients, w).sum(), w, parameter),
        lambda: twice(call(c, w).sum(), c, w),
    ]
    for attempt in attempts:
        with pytest.raises(NotImplementedError, match=r"first derivatives by reverse mode only.*jet_flow_ref"):
            attempt()


def test_reference_has_all_derivatives():
    """What the kernel's refusal promises."""
    field, coefficients, weights = small(B=1, N=1)
    call = on_coefficients(jet_flow_ref, field, steps=1)

    def loss(c):
        return call(c, weights).square().sum()

    assert_close(torch.func.hessian(loss)(coefficients), torch.func.jacrev(torch.func.jacrev(loss))(coefficients))
    assert torch.autograd.gradgradcheck(loss, coefficients.requires_grad_())


@needs_kernels
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore")
def test_compile(backend):
    truncation = total_degree(2)
    field, surface, weights = problem(truncation, K=2, W=16, H=8, N=9)

    def plain(field, coefficients, weights):
        return 2 * jet_flow(field, Series(truncation, coefficients), weights, steps=2).coefficients.sin()

    def wrapped(call):
        return lambda f, s, w: Series(truncation, call(f, s.coefficients, w))

    compiled = torch.compile(plain, fullgraph=True, backend=backend)
    for a, b in zip(
        value_and_gradients(wrapped(compiled), field, surface, weights),
        value_and_gradients(wrapped(plain), field, surface, weights),
        strict=True,
    ):
        assert_close(a, b)


@needs_kernels
@pytest.mark.filterwarnings("ignore")
def test_opcheck():
    field, coefficients, weights = small()
    layers = [t.detach() for t in field.layers]
    products = [m for k, pairs in enumerate(total_degree(2).products) for i, j in pairs for m in (i, j, k)]
    for grad in (False, True):
        for save in (False, True):
            arguments = (coefficients.clone().requires_grad_(grad), weights, *layers, [0.0, 0.0], products, 2, save)
            torch.library.opcheck(torch.ops.symflow.jet_flow.default, arguments)
    states = torch.stack([coefficients, coefficients + 1])
    for wanted in (False, True):
        arguments = (coefficients, states, weights, *layers, [0.0, 0.0], products, wanted, wanted)
        torch.library.opcheck(torch.ops.symflow.jet_flow_backward.default, arguments)
    torch.library.opcheck(torch.ops.symflow.silu_taylor.default, (coefficients.flatten(),))


# ---- wrong arguments ------------------------------------------------------------------------------------------------


def test_arguments_are_checked():
    field, coefficients, weights = small()
    surface = Series(total_degree(2), coefficients)

    def call(surface=surface, weights=weights, steps=2, field=field):
        jet_flow(field, surface, weights, steps=steps)

    single = NeuralField(field.coordinates, 2, width=8, head_width=4)
    for change, error, message in [
        ({"surface": coefficients}, TypeError, r"`surface` must be a symflow.fields.series.Series, got Tensor"),
        ({"surface": Series(total_degree(2), coefficients.long())}, TypeError, "`surface` must be a floating-point"),
        (
            {"surface": Series(total_degree(2), coefficients[:, 0])},
            ValueError,
            r"shape \[6, B, N, 2\], got \[6, 3, 2\]",
        ),
        ({"weights": weights[:1]}, ValueError, r"`weights` must have shape \[B, K\] = \[2, 2\], got \[1, 2\]"),
        ({"weights": weights.float()}, ValueError, "`surface` and `weights` must have one dtype and device"),
        ({"field": single}, ValueError, "`surface` and `field.trunk0_weight` must have one dtype and device"),
        ({"field": single.network}, ValueError, r"`surface` and `field.layers\[0\]` must have one dtype and device"),
        ({"steps": 0}, ValueError, "`steps` must be at least 1, got 0"),
        ({"steps": 2.0}, TypeError, "`steps` must be an integer, got float"),
    ]:
        with pytest.raises(error, match=message):
            call(**change)


@needs_kernels
def test_operators_check_their_arguments():
    field, coefficients, weights = small()
    layers = [t.detach() for t in field.layers]

    def call(surface=coefficients, weights=weights, periods=(0.0, 0.0), products=(0, 0, 0), steps=2):
        torch.ops.symflow.jet_flow(surface, weights, *layers, list(periods), list(products), steps, False)

    for change, message in [
        ({"surface": coefficients[0]}, r"`surface` must have shape \[C, B, N, d\]"),
        ({"surface": coefficients.half()}, "`surface` must be float32 or float64"),
        ({"surface": torch.zeros(6, 2, 3, 5, dtype=torch.float64)}, "1 to 4 coordinates, got 5"),
        ({"surface": torch.zeros(57, 2, 3, 2, dtype=torch.float64)}, "1 to 56 monomials .*, got 57"),
        ({"products": (0, 0)}, "`products` must be triples"),
        ({"products": (0, 0, 6)}, "`products` must name monomials 0 to 5, got 6"),
        ({"products": (0, 0, -1)}, "`products` must name monomials 0 to 5, got -1"),
        ({"products": (1, 1, 2, 2, 2, 3, 3, 3, 4)}, "degree 5 at most"),
        ({"products": (1, 1, 1)}, "degree 5 at most"),
        ({"weights": weights[:1]}, r"`weights` must have shape \[2, 2\], got \[1, 2\]"),
        ({"periods": (0.0,)}, "`periods` must have one entry per coordinate"),
        ({"steps": 0}, "`steps` must be at least 1, got 0"),
    ]:
        with pytest.raises(RuntimeError, match=message):
            call(**change)


def test_long_truncations_run_in_plain_torch():
    """Degree 6, which the kernels do not have, agrees with degree 5 where both are defined."""
    field, surface, weights = problem(line(6), W=8, H=4, N=3)
    with torch.no_grad():
        found = jet_flow(field, surface, weights).coefficients
        expected = jet_flow(field, Series(line(5), surface.coefficients[:6]), weights).coefficients
    assert_close(found[:6], expected)
