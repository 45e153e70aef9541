"""Warp against `grid_sample`, against its reference in plain torch, and against closed forms, to second order."""

import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kernels import ISAS, assert_close, printed_kilobytes
from symflow import warp
from symflow.ops import _ext, warp_ref
from symflow.ops.warp import PADDINGS

pytestmark = pytest.mark.skipif(not _ext.built, reason="symflow was built without its kernels")

# B, C, H, W, G, H', W'. Few planes (1 lane and few), many, sides of length 1, more than one chunk and unit.
SHAPES = [
    (1, 1, 1, 1, 1, 1, 1),
    (2, 3, 5, 7, 2, 4, 6),
    (5, 3, 17, 1, 2, 3, 37),
    (3, 1, 1, 19, 3, 11, 17),
    (7, 5, 9, 31, 3, 13, 11),
    (45, 3, 6, 5, 2, 20, 9),
]


def problem(B=2, C=3, H=5, W=7, G=2, h=4, w=6, own=False, dtype=torch.float64, seed=0, reach=1.7):
    """Random images, and grids that reach beyond them."""
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(B, C, H, W, generator=rng, dtype=torch.float64).to(dtype)
    shape = (B, G, h, w, 2) if own else (G, h, w, 2)
    grid = (2 * torch.rand(shape, generator=rng, dtype=torch.float64) - 1).mul(reach).to(dtype)
    return images.requires_grad_(), grid.requires_grad_()


def reference(images, grid, padding):
    return warp_ref(images, grid if grid.dim() == 5 else grid[None], padding)


def peer(images, grid, padding):
    """`grid_sample` on repeated images."""
    B, G = images.shape[0], grid.shape[-4]
    repeated = images[:, None].expand(-1, G, -1, -1, -1).flatten(0, 1)
    points = grid.expand(B, -1, -1, -1, -1).flatten(0, 1)
    sampled = torch.nn.functional.grid_sample(repeated, points, padding_mode=padding, align_corners=True)
    return sampled.unflatten(0, (B, G))


def kernel(images, grid, padding):
    return warp(images, grid, padding=padding)


def value_and_gradients(call, images, grid, padding, seed=1):
    """The result and the gradients of a random functional of it."""
    out = call(images, grid, padding)
    direction = torch.randn(out.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(out)
    return [out.detach(), *torch.autograd.grad(out, [images, grid], direction)]


def relative(a: Tensor, b: Tensor) -> float:
    """The distance of two tensors relative to the second, in the Euclidean norm."""
    return float((a.double() - b.double()).norm() / b.double().norm().clamp_min(1e-30))


# ---- values and gradients -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_warp_is_grid_sample(isa, shape, own, padding, dtype):
    """Values and both gradients, to a few rounding units of the type."""
    images, grid = problem(*shape, own=own, dtype=dtype)
    found = value_and_gradients(kernel, images, grid, padding)
    bound = 20 * torch.finfo(dtype).eps
    for a, b in zip(found, value_and_gradients(peer, images, grid, padding), strict=True):
        assert relative(a, b) < bound
    for a, b in zip(found, value_and_gradients(reference, images, grid, padding), strict=True):
        assert relative(a, b) < bound


@pytest.mark.parametrize("padding", PADDINGS)
def test_kinks_are_those_of_grid_sample(isa, padding):
    """Points exactly on pixels, on the outermost ones, and whole pixels beyond: all of these are kinks."""
    images, _ = problem(H=5, W=9)
    x = (torch.arange(-16, 17, dtype=torch.float64) / 8)[None].expand(17, -1)
    y = (torch.arange(-8, 9, dtype=torch.float64) / 4)[:, None].expand(-1, 33)
    grid = torch.stack([x, y], -1)[None].clone().requires_grad_()
    for call in (peer, reference):
        for a, b in zip(
            value_and_gradients(kernel, images, grid, padding),
            value_and_gradients(call, images, grid, padding),
            strict=True,
        ):
            assert_close(a, b)


@pytest.mark.parametrize("padding", PADDINGS)
def test_identity_and_flips_are_exact(isa, padding):
    """With 2^n + 1 pixels the coordinates of pixels are exact, and so are the pixels found there."""
    images, _ = problem(H=17, W=33, dtype=torch.float32)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 17), torch.linspace(-1, 1, 33), indexing="ij")
    grid = torch.stack([torch.stack([x, y], -1), torch.stack([-x, y], -1), torch.stack([x, -y], -1)])
    out = warp(images, grid, padding=padding)
    assert torch.equal(out, torch.stack([images, images.flip(3), images.flip(2)], 1))


@pytest.mark.parametrize("own", [False, True])
def test_a_linear_image_is_sampled_exactly(isa, own):
    """Bilinear interpolation reproduces a + b x + c y + d x y, and its derivative is that polynomial's."""
    _, grid = problem(C=4, own=own, reach=0.999)
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, 5, dtype=torch.float64), torch.linspace(-1, 1, 7, dtype=torch.float64), indexing="ij"
    )
    terms = torch.stack([torch.ones_like(x), x, y, x * y])
    out = warp(terms[None].repeat(2, 1, 1, 1), grid)
    u, v = grid[..., 0], grid[..., 1]
    exact = torch.stack([torch.ones_like(u), u, v, u * v], -3).expand(2, -1, -1, -1, -1)
    assert_close(out, exact)
    (gradient,) = torch.autograd.grad(out[:, :, 3].sum(), grid)
    assert_close(gradient, grid.detach().flip(-1) * (1 if own else 2))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_shape_is_the_reference(data):
    sizes = [data.draw(st.integers(1, n)) for n in (40, 5, 20, 37, 4, 12, 17)]
    own, padding = data.draw(st.booleans()), data.draw(st.sampled_from(PADDINGS))
    images, grid = problem(*sizes, own=own, seed=data.draw(st.integers(0, 1000)), reach=3.0)
    for a, b in zip(
        value_and_gradients(kernel, images, grid, padding),
        value_and_gradients(reference, images, grid, padding),
        strict=True,
    ):
        assert_close(a, b)


def test_images_larger_than_a_wave(isa):
    """Blocks of planes that fill a cache alone: several units and several waves, float32 and float64."""
    images, grid = problem(33, 1, 301, 203, 1, 7, 5, dtype=torch.float32)
    found = value_and_gradients(kernel, images, grid, "zeros")
    expected = value_and_gradients(reference, images, grid, "zeros")
    for a, b in zip(found, expected, strict=True):
        assert relative(a, b) < 1e-5  # the coordinates' own rounding, times 300 pixels


def test_which_gradients_are_wanted_does_not_matter(isa):
    images, grid = problem(dtype=torch.float32)
    out, grad_images, grad_grid = value_and_gradients(kernel, images, grid, "zeros")
    direction = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).float()
    for wanted, expected in ((images, grad_images), (grid, grad_grid)):
        other = grid if wanted is images else images
        other.requires_grad_(False)
        assert torch.equal(torch.autograd.grad(warp(images, grid), wanted, direction)[0], expected)
        other.requires_grad_()


def test_inputs_need_not_be_contiguous(isa):
    images, grid = problem(B=4, H=9, W=9)
    turned = images.detach().transpose(2, 3).contiguous().transpose(2, 3).requires_grad_()
    wide = torch.stack([grid, grid], -1).detach()[..., 0].requires_grad_()
    assert not turned.is_contiguous()
    assert not wide.is_contiguous()
    for a, b in zip(
        value_and_gradients(kernel, images, grid, "border"),
        value_and_gradients(kernel, turned, wide, "border"),
        strict=True,
    ):
        assert torch.equal(a, b)
    out = warp(images, grid)
    (gradient,) = torch.autograd.grad(out.transpose(3, 4).sum(), grid)  # an expanded gradient
    assert_close(gradient, torch.autograd.grad(warp(images, grid).sum(), grid)[0])


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("empty", ["B", "C", "G", "h", "w"])
def test_empty(isa, empty, own):
    images, grid = problem(**{empty: 0}, own=own)
    for found in (
        value_and_gradients(kernel, images, grid, "zeros"),
        value_and_gradients(reference, images, grid, "zeros"),
    ):
        assert found[0].shape == (images.shape[0], grid.shape[-4], images.shape[1], *grid.shape[-3:-1])
        for gradient, tensor in zip(found[1:], (images, grid), strict=True):
            assert gradient.shape == tensor.shape
            assert not gradient.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("own", [False, True])
def test_far_infinite_and_missing_coordinates(isa, own, dtype):
    images, grid = problem(3, 2, 5, 7, 1, 1, 20, own=own, dtype=dtype)
    largest = torch.finfo(dtype).max
    far = torch.tensor([torch.inf, -torch.inf, largest, -largest, 1e10, -3e9], dtype=dtype)
    with torch.no_grad():
        grid[..., :6, 0] = far
        grid[..., 6:12, 1] = far
        grid[..., 12, 0] = torch.nan
        grid[..., 13, 1] = torch.nan
    out, grad_images, grad_grid = value_and_gradients(kernel, images, grid, "zeros")
    assert not out[..., :12].any()
    assert not grad_grid[..., :12, :].any()
    assert out[..., 12:14].isnan().all()
    assert out[..., 14:].isfinite().all()
    assert grad_grid[..., 12, 0].isnan().all()
    assert grad_grid[..., 13, 1].isnan().all()
    assert grad_images.isfinite().all()

    out, grad_images, grad_grid = value_and_gradients(kernel, images, grid, "border")
    with torch.no_grad():
        near = grid.clamp(-1, 1)
    assert torch.equal(out[..., :12], warp(images, near, padding="border")[..., :12])
    assert not grad_grid[..., :6, 0].any()
    assert not grad_grid[..., 6:12, 1].any()
    assert grad_images.isfinite().all()
    assert out[..., 12:14].isnan().all()

    out, grad_images, _ = value_and_gradients(kernel, images, grid, "reflection")
    assert out[..., [0, 1, 6, 7, 12, 13]].isnan().all()
    assert out[..., [4, 5, 10, 11]].isfinite().all()
    assert grad_images.isfinite().all()
    with torch.no_grad():
        assert relative(out[..., [4, 5, 10, 11]], reference(images, grid, "reflection")[..., [4, 5, 10, 11]]) < 1e-6


def test_pixels_that_are_not_finite_stay_where_they_are(isa):
    """They taint the points whose cells they are corners of, and no other."""
    images, grid = problem(40, 1, 6, 6, 1, 9, 9, dtype=torch.float32)
    with torch.no_grad():
        clean = warp(images, grid)
        u = (grid.double() + 1) * 2.5
        near = ((u - torch.tensor([5.0, 0.0])).abs() < 1).all(-1)  # of the pixel in the last column of the first row
        images[:, :, 0, 5] = torch.nan
        out = warp(images, grid)
    assert near.any()
    assert out[..., near[0]].isnan().all()
    assert torch.equal(out[..., ~near[0]], clean[..., ~near[0]])


# ---- bits -----------------------------------------------------------------------------------------------------------


@pytest.mark.determinism
@pytest.mark.parametrize("own", [False, True])
def test_threads_change_no_bit(isa, own):
    images, grid = problem(64, 3, 9, 11, 3, 23, 17, own=own, dtype=torch.float32)
    tangents = problem(64, 3, 9, 11, 3, 23, 17, own=own, dtype=torch.float32, seed=7)

    def everything():
        first = value_and_gradients(kernel, images, grid, "zeros")
        out = torch.func.jvp(lambda i, g: warp(i, g), (images, grid), tangents)[1]
        return [*first, out.detach(), *torch.autograd.grad(out.square().sum(), [images, grid])]

    threads = torch.get_num_threads()
    results = []
    try:
        for n in (1, 2, 3, 1):
            torch.set_num_threads(n)
            results.append(everything())
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_an_image_does_not_know_its_company(isa):
    """Bit for bit: result and gradient of an image are those of the image alone; with grids of its own, theirs too."""
    for own in (False, True):
        images, grid = problem(21, 3, 9, 11, 2, 13, 7, own=own, dtype=torch.float32)
        out, grad_images, grad_grid = value_and_gradients(kernel, images, grid, "reflection")
        direction = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).float()
        for chosen in ([20], [3, 1], list(range(5, 18))):
            some = images.detach()[chosen].requires_grad_()
            points = (grid[chosen] if own else grid).detach().requires_grad_()
            found = warp(some, points, padding="reflection")
            assert torch.equal(found, out[chosen])
            gradients = torch.autograd.grad(found, [some, points], direction[chosen])
            assert torch.equal(gradients[0], grad_images[chosen])
            if own:
                assert torch.equal(gradients[1], grad_grid[chosen])


def test_shared_and_own_grids_give_the_same_bits(isa):
    images, grid = problem(20, 3, 9, 11, 2, 13, 7, dtype=torch.float32)
    assert torch.equal(warp(images, grid), warp(images, grid.expand(20, -1, -1, -1, -1)))


def test_instruction_sets_give_the_same_values():
    images, grid = problem(20, 3, 9, 11, 2, 13, 7, dtype=torch.float32)
    before, found = _ext._C.isa(), []
    try:
        for name in ISAS:
            _ext._C.select_isa(name)
            found.append(value_and_gradients(kernel, images, grid, "zeros")[:2])
    finally:
        _ext._C.select_isa(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


# ---- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_the_result():
    """Forward and backward need the result, the gradients, and a few MB for packed planes: nothing per pair."""
    B, C, H, W, G = 96, 3, 96, 96, 8
    script = f"""
        import torch, symflow

        def kilobytes(key):
            return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key))

        def run(n):
            images, grid = torch.ones(n, {C}, {H}, {W}), torch.zeros({G}, {H}, {W}, 2, requires_grad=True)
            out = symflow.warp(images, grid)
            out.backward(torch.ones(1).expand_as(out).contiguous())

        run(1)
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")  # forget the peak so far
        before = kilobytes("VmRSS")
        run({B})
        print(kilobytes("VmHWM") - before)
    """
    done = printed_kilobytes(script)
    image, result = B * C * H * W * 4 / 2**20, B * C * G * H * W * 4 / 2**20
    assert done / 1024 < image + 2 * result + 16


# ---- derivatives of second order ------------------------------------------------------------------------------------


def small(own=False):
    """Points off the kinks by more than the steps of finite differences."""
    images, grid = problem(B=2, C=1, H=3, W=4, G=1, h=2, w=2, own=own, seed=3, reach=1.3)
    scale = torch.tensor([1.5, 1.0], dtype=torch.float64)
    u = (grid.detach() + 1) * scale
    cell = u.floor()
    grid = ((cell + (u - cell).clamp(0.1, 0.9)) / scale - 1).requires_grad_()
    return images, grid


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("own", [False, True])
def test_gradcheck(own, padding):
    """Reverse and forward mode."""
    images, grid = small(own)
    assert torch.autograd.gradcheck(lambda i, g: warp(i, g, padding=padding), (images, grid), check_forward_ad=True)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("wanted", ["images", "grid", "both"])
def test_gradgradcheck(own, wanted):
    """Reverse over reverse and forward over reverse."""
    images, grid = small(own)
    images.requires_grad_(wanted != "grid")
    grid.requires_grad_(wanted != "images")
    check = torch.autograd.gradgradcheck
    assert check(warp, (images, grid), check_fwd_over_rev=True, check_rev_over_rev=True)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("shape", SHAPES[1::2])
@pytest.mark.parametrize("moving", ["grid", "both"])
def test_reverse_over_forward(isa, moving, shape, own, padding):
    """The JVP, and the gradients of a functional of it, are those of the reference."""
    images, grid = problem(*shape, own=own)
    rng = torch.Generator().manual_seed(5)
    dots = [torch.randn(t.shape, generator=rng, dtype=torch.float64).requires_grad_() for t in (images, grid)]
    used = {"grid": [1], "both": [0, 1]}[moving]

    def tangent(call):
        def of(*some):
            arguments = [images, grid]
            for i, t in zip(used, some, strict=True):
                arguments[i] = t
            return call(*arguments, padding)

        return torch.func.jvp(of, tuple((images, grid)[i] for i in used), tuple(dots[i] for i in used))[1]

    found, expected = tangent(kernel), tangent(reference)
    assert_close(found, expected)
    direction = torch.randn(found.shape, generator=rng, dtype=torch.float64)
    wanted = [images, grid, *(dots[i] for i in used)]
    gradients = (
        torch.autograd.grad(out, wanted, direction, allow_unused=True, materialize_grads=True)
        for out in (found, expected)
    )
    for a, b in zip(*gradients, strict=True):
        assert relative(a, b) < 1e-13


@pytest.mark.parametrize("own", [False, True])
def test_func_transforms_equal_the_reference(own):
    images, grid = (t.detach() for t in small(own))
    func = torch.func

    def loss(call):
        return lambda i, g: call(i, g, "border").square().sum()

    def score(call):
        """The JVP through warp and a network that follows, as a score has it."""

        def of(g, g_dot):
            return func.jvp(lambda g: call(images, g, "border").sin().sum((2, 3, 4)), (g,), (g_dot,))[1].square().sum()

        return of

    batch, grids = torch.stack([images, 2 * images, images.flip(0)]), torch.stack([grid, grid.flip(-2), 0.9 * grid])
    dots = (torch.randn_like(images), torch.randn_like(grid))
    pairs = {
        "grad": lambda f: func.grad(loss(f), (0, 1))(images, grid),
        "vjp": lambda f: func.vjp(lambda g: f(images, g, "border"), grid)[1](f(images, grid, "border")),
        "jvp": lambda f: func.jvp(lambda i, g: f(i, g, "border"), (images, grid), dots),
        "jacrev": lambda f: func.jacrev(lambda g: f(images, g, "border"))(grid),
        "jacfwd": lambda f: func.jacfwd(lambda i, g: f(i, g, "border"), (0, 1))(images, grid),
        "hessian": lambda f: func.hessian(loss(f), (0, 1))(images, grid),
        "jacrev of jacrev": lambda f: func.jacrev(func.jacrev(loss(f), 1), 1)(images, grid),
        "jacrev of jacfwd": lambda f: func.jacrev(func.jacfwd(loss(f), 1), 1)(images, grid),
        "grad of jvp": lambda f: func.grad(score(f), (0, 1))(grid, dots[1]),
        "jvp of grad": lambda f: func.jvp(func.grad(loss(f), (0, 1)), (images, grid), dots),
        "vmap over images": lambda f: func.vmap(lambda i: f(i, grid, "border"))(batch),
        "vmap over grids": lambda f: func.vmap(lambda g: f(images, g, "border"))(grids),
        "vmap over both": lambda f: func.vmap(lambda i, g: f(i, g, "border"))(batch, grids),
        "vmap, inner dimension": lambda f: func.vmap(lambda i: f(i, grid, "border"), 2)(batch.movedim(0, 2)),
        "vmap of grad": lambda f: func.vmap(func.grad(loss(f), (0, 1)), (0, None))(batch, grid),
        "grad of vmap": lambda f: func.grad(lambda b: func.vmap(loss(f), (0, None))(b, grid).sum())(batch),
        "jacobian": lambda f: torch.autograd.functional.jacobian(
            lambda i, g: f(i, g, "border"), (images, grid), vectorize=True
        ),
    }
    for name, transform in pairs.items():
        for a, b in zip(
            torch.utils._pytree.tree_leaves(transform(kernel)),
            torch.utils._pytree.tree_leaves(transform(reference)),
            strict=True,
        ):
            torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11, msg=lambda m, name=name: f"{name}: {m}")


def test_missing_derivatives_raise_and_are_never_zero():
    images, grid = (t.detach() for t in small())
    func = torch.func

    def loss(g):
        return warp(images, g).square().sum()

    def third(g):
        value = loss(g)
        for _ in range(3):
            value = torch.autograd.grad(value, g, create_graph=True)[0].sum()

    attempts = [
        lambda: func.jacfwd(func.jacfwd(loss))(grid),
        lambda: func.jvp(lambda g: func.jvp(loss, (g,), (grid,))[1], (grid,), (grid,)),
        lambda: func.jacrev(func.jacrev(func.jacrev(loss)))(grid),
        lambda: third(grid.clone().requires_grad_()),
    ]
    for attempt in attempts:
        with pytest.raises(NotImplementedError, match=r"up to second order, forward over forward excepted.*warp_ref"):
            attempt()
    # Raw operators too, as torch.compile sees them.
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(grid[None], torch.ones_like(grid[None]))
        tangent = torch.autograd.forward_ad.unpack_dual(torch.ops.symflow.warp(images, dual, 0)).tangent
    assert_close(tangent, func.jvp(lambda g: warp(images, g), (grid,), (torch.ones_like(grid),))[1])


def test_reference_has_all_derivatives():
    """What the kernel's refusal promises."""
    images, grid = (t.detach() for t in small())

    def loss(g):
        return warp_ref(images[:1], g, "reflection").pow(3).sum()

    g = grid[None, :, :1, :2]
    forward = torch.func.jacfwd(torch.func.jacfwd(torch.func.jacfwd(loss)))(g)
    assert_close(forward, torch.func.jacrev(torch.func.jacrev(torch.func.jacrev(loss)))(g))
    assert forward.abs().sum() > 0


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore")
def test_compile(backend):
    images, grid = problem()

    def call(i, g, padding):
        return 2 * warp(i, g, padding=padding).sin()

    compiled = torch.compile(call, fullgraph=True, backend=backend)
    for a, b in zip(
        value_and_gradients(compiled, images, grid, "border"),
        value_and_gradients(call, images, grid, "border"),
        strict=True,
    ):
        assert_close(a, b)
    with torch.no_grad():
        assert_close(compiled(images, grid, "zeros"), call(images, grid, "zeros"))
    dynamic = torch.compile(call, fullgraph=True, backend=backend, dynamic=True)
    for n in (3, 7, 20):
        images, grid = problem(B=n, w=n)
        assert_close(dynamic(images, grid, "zeros"), call(images, grid, "zeros"))


@pytest.mark.filterwarnings("ignore")
def test_compiled_transforms_are_right_or_raise():
    images, grid = (t.detach() for t in small())

    def call(g):
        return warp(images, g)

    for function in (
        lambda g: torch.func.jvp(call, (g,), (torch.ones_like(g),))[1],
        lambda g: torch.func.grad(lambda g: call(g).square().sum())(g),
        torch.func.vmap(lambda g: call(g[None])),
    ):
        torch._dynamo.reset()
        try:
            found = torch.compile(function, fullgraph=True, backend="aot_eager")(grid)
        except Exception:  # refused, which is right
            continue
        assert_close(found, function(grid))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("own", [False, True])
def test_opcheck(own):
    images, grid = small(own)
    grid = (grid if own else grid[None]).detach()
    images, ops = images.detach(), torch.ops.symflow
    grad, dots = torch.randn_like(ops.warp(images, grid, 0)), (2 * images, 3 * grid)
    check = torch.library.opcheck
    for wanted in (False, True):
        check(ops.warp.default, (images.clone().requires_grad_(wanted), grid.clone().requires_grad_(wanted), 1))
        check(ops.warp_backward.default, (grad, images, grid, 2, wanted, True))
        check(ops.warp_jvp_backward.default, (grad, images, grid, *dots, 0, wanted, True))
    check(ops.warp_jvp.default, (images, grid, *dots, 0))
    check(ops.warp_jvp.default, (images, grid, None, dots[1], 0))
    check(ops.warp_jvp.default, (images, grid, dots[0], None, 0))


# ---- arguments ------------------------------------------------------------------------------------------------------


def test_wrong_arguments_are_sentences():
    images, grid = problem()
    for kind, arguments, message in [
        (TypeError, (images.tolist(), grid), "`images` must be a floating-point tensor, got list"),
        (TypeError, (images, grid.long()), "`grid` must be a floating-point tensor, got torch.int64"),
        (ValueError, (images[0], grid), r"`images` must have shape \[B, C, H, W\], got \[3, 5, 7\]"),
        (ValueError, (images, grid[0]), r"`grid` must have shape \[G, H', W', 2\] or .*, got \[4, 6, 2\]"),
        (ValueError, (images, grid[..., :1]), r"`grid` must have shape .*, got \[2, 4, 6, 1\]"),
        (ValueError, (images, grid.expand(3, -1, -1, -1, -1)), "each of the 2 images, got 3"),
        (ValueError, (images[:, :, :0], grid), r"sides of 1 to 16777216 pixels, got \[0, 7\]"),
        (ValueError, (images.float(), grid), "one dtype and device, got torch.float32 on cpu and torch.float64 on cpu"),
    ]:
        with pytest.raises(kind, match=message):
            warp(*arguments)
    with pytest.raises(ValueError, match="`padding` must be one of zeros, border, reflection, got 'wrap'"):
        warp(images, grid, padding="wrap")


def test_operators_check_their_arguments():
    images, grid = (t.detach() for t in problem())
    grid, ops = grid[None], torch.ops.symflow
    for call, message in [
        (lambda: ops.warp(images[0], grid, 0), r"`images` must have shape \[B, C, H, W\]"),
        (lambda: ops.warp(images, grid[0], 0), r"`grid` must have shape \[1 or B, G, H', W', 2\]"),
        (lambda: ops.warp(images.half(), grid, 0), "`images` must be float32 or float64"),
        (lambda: ops.warp(images, grid.float(), 0), "`grid` must have the dtype of"),
        (lambda: ops.warp(images, grid, 3), "`padding` must be 0, 1 or 2, got 3"),
        (lambda: ops.warp(images, grid.expand(3, -1, -1, -1, -1).contiguous(), 0), "one for each of 2, got 3"),
        (lambda: ops.warp(images[:, :, :0], grid, 0), "images must have sides of 1 to 16777216"),
        (lambda: ops.warp(images.transpose(2, 3), grid, 0), "`images` must be contiguous"),
        (lambda: ops.warp_backward(images, images, grid, 0, True, True), r"`grad` must have shape \[2, 2, 3, 4, 6\]"),
        (lambda: ops.warp_jvp(images, grid, None, None, 0), "must not both be missing"),
        (lambda: ops.warp_jvp(images, grid, images[:1], None, 0), r"`images_dot` must have shape \[2, 3, 5, 7\]"),
        (lambda: ops.warp_jvp(images, grid, None, grid[..., 0], 0), r"`grid_dot` must have shape \[1, 2, 4, 6, 2\]"),
    ]:
        with pytest.raises(RuntimeError, match=message):
            call()
