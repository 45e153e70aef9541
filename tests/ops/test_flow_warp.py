"""Images warped along flows: the one operation against its two parts, references, laws, bits, transforms of torch."""

import pytest
import torch
from torch import Tensor

from kernels import assert_close, assert_threads_change_no_bit
from symflow import Coordinates, GridField, NeuralField, SymbolicField, flow, flow_warp
from symflow.ops import _ext, flow_warp_kernel, flow_warp_ref, pixel_points, warp_kernel
from symflow.ops.warp import PADDINGS

pytestmark = pytest.mark.skipif(not _ext.built, reason="symflow was built without its kernels")

PLANE = Coordinates(("x", "y"))
SHAPES = [(3, 2, 4, 11, 13), (2, 25, 3, 9, 37), (1, 1, 1, 1, 5)]  # B, C, G, H, W


def random(*shape, seed, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def grid_field(K=3, dtype=torch.float64, sizes=(5, 6)):
    return GridField(PLANE, 0.1 * random(K, *sizes, 2, seed=0, dtype=dtype), (-1.0, -1.0), (1.0, 1.0))


def network(K=3, dtype=torch.float64):
    field = NeuralField(PLANE, K, width=13, head_width=5).to(dtype)
    with torch.no_grad():
        field.out_weight *= 2
    return field


FIELDS = {"grid": grid_field, "network": network}


def problem(kind="grid", shape=SHAPES[0], own=False, dtype=torch.float64):
    B, C, G, H, W = shape
    images = random(B, C, H, W, seed=1, dtype=dtype).requires_grad_()
    weights = 0.7 * random(*([B] if own else []), G, 3, seed=2, dtype=dtype)
    return FIELDS[kind](dtype=dtype), images, weights.requires_grad_()


def value_and_gradients(call, field, images, weights):
    """The result and the gradients of a random functional of it: images, weights, the field's parameters."""
    result = call(field, images, weights)
    direction = random(*result.shape, seed=3, dtype=result.dtype)
    return [result.detach(), *torch.autograd.grad(result, [images, weights, *field.parameters()], direction)]


def relative(a: Tensor, b: Tensor) -> float:
    """The distance of two tensors relative to the second, in the Euclidean norm."""
    return float((a.double() - b.double()).norm() / b.double().norm().clamp_min(1e-30))


def reference(steps, padding):
    def call(field, images, weights):
        return flow_warp_ref(field, images, weights if weights.dim() == 3 else weights[None], steps, padding)

    return call


# ---- values and gradients -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("own", [False, True], ids=["shared", "own"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", FIELDS)
def test_kernel_is_the_reference(isa, kind, shape, own, padding):
    arguments = problem(kind, shape, own)
    found = value_and_gradients(lambda f, i, w: flow_warp(f, i, w, steps=3, padding=padding), *arguments)
    expected = value_and_gradients(reference(3, padding), *arguments)
    for a, b in zip(found, expected, strict=True):
        assert relative(a, b) < 1e-12


@pytest.mark.parametrize("size", [(5, 17), (23, 1), (40, 51)])
@pytest.mark.parametrize("own", [False, True], ids=["shared", "own"])
@pytest.mark.parametrize("kind", FIELDS)
def test_the_result_may_have_another_size(isa, kind, own, size):
    field, images, weights = problem(kind, own=own)

    def expected(field, images, weights):
        return flow_warp_ref(field, images, weights if own else weights[None], 3, "reflection", size)

    def found(field, images, weights):
        return flow_warp(field, images, weights, steps=3, padding="reflection", size=size)

    assert found(field, images, weights).shape[-2:] == size
    pairs = zip(*(value_and_gradients(call, field, images, weights) for call in (found, expected)), strict=True)
    assert all(relative(a, b) < 1e-12 for a, b in pairs)


@pytest.mark.parametrize("kind", FIELDS)
def test_single_precision(isa, kind):
    """Against float64. Gradients jump where a coordinate crosses a pixel or a node: rounding moves a few across."""
    field, images, weights = problem(kind, SHAPES[1], dtype=torch.float32)
    exact, _, _ = problem(kind, SHAPES[1])
    exact.load_state_dict(field.state_dict())
    doubles = [t.detach().double().requires_grad_() for t in (images, weights)]
    found = value_and_gradients(lambda f, i, w: flow_warp(f, i, w, steps=3), field, images, weights)
    expected = value_and_gradients(reference(3, "zeros"), exact, *doubles)
    for a, b in zip(found, expected, strict=True):
        assert relative(a, b) < 2e-5


@pytest.mark.parametrize("own", [False, True], ids=["shared", "own"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", FIELDS)
def test_it_is_the_composition_bit_for_bit(isa, kind, dtype, own):
    """Results, and the gradients of weights and images: the same kernels at the same points."""
    field, images, weights = problem(kind, SHAPES[1], own, dtype)

    def composed(field, images, weights):
        rows = weights.flatten(0, -2)
        points = pixel_points(images)
        ends = flow(field, points.view(1, -1, 2).repeat(len(rows), 1, 1), rows, steps=3)
        return warp_kernel(images, ends.view(*(weights if own else weights[None]).shape[:2], *points.shape))

    found = value_and_gradients(lambda f, i, w: flow_warp(f, i, w, steps=3), field, images, weights)
    expected = value_and_gradients(composed, field, images, weights)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    for a, b in zip(found[2:], expected[2:], strict=True):
        assert relative(a, b) < (1e-5 if dtype == torch.float32 else 1e-13)  # sums over other pieces


def test_many_planes_and_pieces(isa):
    """More planes than a group has, more pixels than a piece."""
    field, images, weights = problem("grid", (3, 150, 2, 35, 37))
    found = value_and_gradients(lambda f, i, w: flow_warp(f, i, w, steps=2), field, images, weights)
    expected = value_and_gradients(reference(2, "zeros"), field, images, weights)
    for a, b in zip(found, expected, strict=True):
        assert relative(a, b) < 1e-12


@pytest.mark.parametrize("kind", FIELDS)
def test_which_gradients_are_wanted_does_not_matter(isa, kind):
    field, images, weights = problem(kind)
    expected = value_and_gradients(flow_warp, field, images, weights)
    wanted = [images, weights, *field.parameters()]
    for chosen in ([0], [1], [2], [0, 1], [1, 2], [0, 2]):
        for i, t in enumerate(wanted):
            t.requires_grad_(i in chosen)
        result = flow_warp(field, images, weights)
        gradients = torch.autograd.grad(result, [wanted[i] for i in chosen], random(*result.shape, seed=3))
        for i, g in zip(chosen, gradients, strict=True):
            assert relative(g, expected[1 + i]) < 1e-12


@pytest.mark.parametrize("kind", FIELDS)
def test_gradcheck(isa, kind):
    """A short flow from pixel centres that a strong field takes to the middle of cells, away from kinks."""
    field, images, weights = problem(kind, (2, 2, 2, 3, 4))
    with torch.no_grad():
        for parameter in field.parameters():
            parameter *= 0.1
        drift = torch.tensor([0.23, 0.31])
        if kind == "grid":
            field.values[0] += drift
        else:
            field.out_bias[0] += drift
        weights[:, 0] = 1.0
    tensors = [field.values] if kind == "grid" else list(field.layers)

    def call(images, weights, *tensors):
        names = [name for name, _ in field.named_parameters()]
        return torch.func.functional_call(
            Warped(field), {f"field.{n}": t for n, t in zip(names, tensors, strict=True)}, (images, weights)
        )

    assert torch.autograd.gradcheck(call, (images, weights, *tensors))


class Warped(torch.nn.Module):
    def __init__(self, field, steps=2):
        super().__init__()
        self.field, self.steps = field, steps

    def forward(self, images, weights):
        return flow_warp(self.field, images, weights, steps=self.steps)


@pytest.mark.parametrize("shape", [(0, 2, 3, 5, 6), (2, 0, 3, 5, 6), (2, 2, 0, 5, 6)])
@pytest.mark.parametrize("kind", FIELDS)
def test_empty(isa, kind, shape):
    field, images, weights = problem(kind, shape)
    result, *gradients = value_and_gradients(flow_warp, field, images, weights)
    B, C, G, H, W = shape
    assert result.shape == (B, G, C, H, W)
    assert all(g.shape == t.shape for g, t in zip(gradients, [images, weights, *field.parameters()], strict=True))
    assert all(not g.any() for g in gradients)


def test_inputs_need_not_be_contiguous(isa):
    field, images, weights = problem()
    flipped = images.detach().transpose(2, 3).contiguous().transpose(2, 3).requires_grad_()
    wide = torch.stack([weights, weights], -1).detach()[..., 0].requires_grad_()
    assert not flipped.is_contiguous()
    pairs = (
        value_and_gradients(flow_warp, field, images, weights),
        value_and_gradients(flow_warp, field, flipped, wide),
    )
    assert all(torch.equal(a, b) for a, b in zip(*pairs, strict=True))


def test_not_finite_stays_where_it_is(isa):
    """A pixel that is not finite taints its neighbours, weights that are not finite their own result."""
    field, images, weights = problem()
    with torch.no_grad():
        expected = flow_warp(field, images, weights)
        images[0, 0, 3, 4] = torch.nan
        found = flow_warp(field, images, weights)
        assert 0 < found[0, :, 0].isnan().sum() < 40
        assert torch.equal(found[1:], expected[1:])
        assert torch.equal(found[0, :, 1], expected[0, :, 1])
        weights[1, 0] = torch.nan
        found = flow_warp(field, images, weights)
        assert found[:, 1].isnan().all()
        assert torch.equal(found[1:, 0], expected[1:, 0])


# ---- laws -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("kind", FIELDS)
def test_zero_weights_change_nothing(isa, kind, padding):
    """Bit for bit where the pixel coordinates are exact, one more than a power of two; else to rounding."""
    for side, dtype, bound in ((17, torch.float32, 0), (33, torch.float64, 0), (32, torch.float32, 1e-5)):
        field, _, _ = problem(kind, dtype=dtype)
        images = random(2, 3, side, side, seed=1, dtype=dtype)
        found = flow_warp(field, images, torch.zeros(2, 3, dtype=dtype), padding=padding)
        assert (found - images[:, None]).abs().max() <= bound


def test_whole_pixels_move_pixels(isa):
    """A constant field of one pixel: the result at a pixel is the image one pixel further on, zeros from outside."""
    side = 17
    step = 2 / (side - 1)
    translations = torch.tensor([[step, 0.0], [0.0, step]])[:, None, None].expand(2, 3, 4, 2)
    field = GridField(PLANE, translations, (-1.0, -1.0), (1.0, 1.0))
    images = random(1, 2, side, side, seed=0, dtype=torch.float32)
    weights = torch.tensor([[1.0, 0.0], [0.0, -2.0], [3.0, 1.0]])
    found = flow_warp(field, images, weights, steps=4)[0]
    assert torch.equal(found[0, :, :, :-1], images[0, :, :, 1:])
    assert not found[0, :, :, -1].any()
    assert torch.equal(found[1, :, 2:], images[0, :, :-2])
    assert not found[1, :, :2].any()
    assert torch.equal(found[2, :, :-1, :-3], images[0, :, 1:, 3:])


def test_every_size_shows_the_same_plane(isa):
    """A plane that rises evenly, moved evenly: its value at the moved centres, however many there are."""
    field = GridField(PLANE, torch.tensor([0.25, -0.5]).expand(1, 2, 2, 2), (-1.0, -1.0), (1.0, 1.0)).double()
    rises = pixel_points(torch.zeros(9, 9, dtype=torch.float64)).movedim(-1, 0)[None]  # of x and of y
    for size in ((9, 9), (17, 5), (4, 33)):
        found = flow_warp(field, rises, torch.ones(1, 1, dtype=torch.float64), padding="border", size=size)[0, 0]
        moved = pixel_points(rises, size) + torch.tensor([0.25, -0.5])
        torch.testing.assert_close(found.movedim(0, -1), moved.clamp(-1, 1), rtol=0, atol=1e-14)


def test_a_quarter_turn_turns_the_image(isa):
    rotation = SymbolicField(PLANE, [{"dx": "-y", "dy": "x"}])
    field = GridField.tabulate(rotation, (33, 33), (-2.0, -2.0), (2.0, 2.0)).double()
    images = random(2, 3, 15, 15, seed=0)
    quarter = torch.tensor([[torch.pi / 2]], dtype=torch.float64)
    inner = (slice(None), 0, slice(None), slice(1, -1), slice(1, -1))
    for f in (field, rotation):
        found = flow_warp(f, images, quarter, steps=64)[inner]
        torch.testing.assert_close(found, images.rot90(1, (2, 3))[:, :, 1:-1, 1:-1], rtol=0, atol=1e-6)


def test_other_fields_and_types_run_in_plain_torch():
    form = SymbolicField(PLANE, [{"dx": "1"}, {"dy": "x"}])
    images, weights = random(2, 1, 5, 7, seed=0), random(3, 2, seed=1)
    for size in (None, (4, 9)):
        expected = flow_warp_ref(form, images, weights[None], size=size)
        torch.testing.assert_close(flow_warp(form, images, weights, size=size), expected)
    field = grid_field(dtype=torch.bfloat16)
    found = flow_warp(field, images.bfloat16(), random(1, 3, seed=1).bfloat16())
    assert found.dtype == torch.bfloat16


# ---- bits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FIELDS)
def test_an_image_does_not_know_its_company(isa, kind):
    """Bit for bit for rows of weights; for images as far as they share a width of vectors, which changes no sum."""
    field, images, weights = problem(kind, (9, 3, 4, 11, 13), dtype=torch.float32)
    with torch.no_grad():
        expected = flow_warp(field, images, weights)
        for rows in ([0, 1, 2, 3], [2], [3, 1]):
            for chosen in (list(range(9)), [4], [8, 0, 3]):
                assert torch.equal(flow_warp(field, images[chosen], weights[rows]), expected[chosen][:, rows])
        own = weights.expand(9, -1, -1)
        assert torch.equal(flow_warp(field, images, own), expected)


@pytest.mark.determinism
@pytest.mark.parametrize("kind", FIELDS)
def test_threads_change_no_bit(isa, kind):
    field, images, weights = problem(kind, (3, 4, 3, 37, 41), dtype=torch.float32)
    assert_threads_change_no_bit(lambda: value_and_gradients(flow_warp, field, images, weights))


# ---- torch's transforms ---------------------------------------------------------------------------------------------


def small(kind="grid"):
    field, images, weights = problem(kind, (2, 2, 2, 4, 5))
    return field, images.detach(), weights.detach()


@pytest.mark.parametrize("kind", FIELDS)
def test_func_transforms_equal_the_reference(kind):
    field, images, weights = small(kind)
    plain = reference(2, "zeros")

    def functions(call):
        def apply(i, w):
            return call(field, i, w)

        def loss(i, w):
            return apply(i, w).square().sum()

        return apply, loss

    batch, func = torch.stack([images, images.flip(2)]), torch.func
    transforms = {
        "grad": lambda f, loss: func.grad(loss, (0, 1))(images, weights),
        "vjp": lambda f, loss: func.vjp(f, images, weights)[1](torch.ones(2, 2, 2, 4, 5, dtype=torch.float64)),
        "jacrev": lambda f, loss: func.jacrev(f, 1)(images, weights),
        "vmap": lambda f, loss: func.vmap(f, (0, None))(batch, weights),
        "vmap of grad": lambda f, loss: func.vmap(func.grad(loss, (0, 1)), (0, None))(batch, weights),
    }
    kernel = functions(lambda f, i, w: flow_warp(f, i, w, steps=2))
    for transform in transforms.values():
        assert_close(transform(*kernel), transform(*functions(plain)))


@pytest.mark.parametrize("kind", FIELDS)
def test_missing_derivatives_raise_and_are_never_zero(kind):
    field, images, weights = small(kind)

    def twice(value, first, second):
        (g,) = torch.autograd.grad(value, first, create_graph=True)
        torch.autograd.grad(g.sum(), second)

    i, w, parameter = images.clone().requires_grad_(), weights.clone().requires_grad_(), next(field.parameters())
    attempts = [
        lambda: torch.func.jvp(lambda i: flow_warp(field, i, weights), (images,), (images,)),
        lambda: torch.func.jvp(lambda w: flow_warp(field, images, w), (weights,), (weights,)),
        lambda: torch.func.jacfwd(lambda w: flow_warp(field, images, w))(weights),
        lambda: torch.func.hessian(lambda w: flow_warp(field, images, w).sum())(weights),
        lambda: twice(flow_warp(field, images, w).sum(), w, w),
        lambda: twice(flow_warp(field, i, w).sum(), w, i),
        lambda: twice(flow_warp(field, i, w).sum(), i, parameter),
    ]
    for attempt in attempts:
        with pytest.raises(
            NotImplementedError, match=r"first derivatives by reverse mode only; the composition symflow"
        ):
            attempt()


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.filterwarnings("ignore")
def test_compile(kind, backend):
    arguments = problem(kind)

    def call(f, i, w):
        return 2 * flow_warp(f, i, w, steps=2).sin()

    torch._dynamo.reset()
    compiled = torch.compile(call, fullgraph=True, backend=backend)
    pairs = (value_and_gradients(compiled, *arguments), value_and_gradients(call, *arguments))
    for a, b in zip(*pairs, strict=True):
        assert_close(a, b)


@pytest.mark.filterwarnings("ignore")
def test_opcheck():
    points = pixel_points(torch.zeros(4, 5, dtype=torch.float64))
    for kind, op in (("grid", torch.ops.symflow.grid_flow_warp), ("network", torch.ops.symflow.flow_warp)):
        field, images, weights = small(kind)
        tensors = [t.detach() for t in field.parameters()] if kind == "grid" else [t.detach() for t in field.layers]
        box = ([-1.0, -1.0], [1.0, 1.0], [0.0, 0.0]) if kind == "grid" else ([0.0, 0.0],)
        for grad in (False, True):
            arguments = (images.clone().requires_grad_(grad), points, weights[None], *tensors, *box, 2, 1)
            torch.library.opcheck(op.default, arguments)
        backward = getattr(torch.ops.symflow, f"{op.__name__}_backward")
        cotangent = random(2, 2, 2, 4, 5, seed=4)
        for wanted in (False, True):
            arguments = (cotangent, images, points, weights[None], *tensors, *box, 2, 0, *[wanted] * 3)
            torch.library.opcheck(backward.default, arguments)


# ---- wrong arguments ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"images": [1.0]}, TypeError, "`images` must be a floating-point tensor, got list"),
        ({"weights": torch.ones(2, 3, dtype=torch.long)}, TypeError, "`weights` must be a floating-point tensor"),
        ({"images": torch.zeros(2, 5, 6)}, ValueError, r"`images` must have shape \[B, C, H, W\].*got \[2, 5, 6\]"),
        ({"images": torch.zeros(2, 1, 0, 6)}, ValueError, r"H and W from 1 to 16777216, got \[2, 1, 0, 6\]"),
        ({"weights": torch.zeros(3)}, ValueError, r"`weights` must have shape \[G, K\] or \[B, G, K\] with K = 3"),
        ({"weights": torch.zeros(5, 4, 3)}, ValueError, r"B = 2, got \[5, 4, 3\]"),
        ({"weights": torch.zeros(4, 2)}, ValueError, r"with K = 3 and B = 2, got \[4, 2\]"),
        ({"weights": torch.zeros(4, 3).double()}, ValueError, "`images` and `weights` must have one dtype and device"),
        ({"field": grid_field()}, ValueError, "`images` and `field.values` must have one dtype and device"),
        ({"steps": 0}, ValueError, "`steps` must be at least 1, got 0"),
        ({"steps": 1.5}, TypeError, "`steps` must be an integer, got float"),
        ({"size": (3,)}, ValueError, r"`size` must be rows and columns, each from 1 to 16777216, got \(3,\)"),
        ({"size": (3, 0)}, ValueError, r"`size` must be rows and columns.*got \(3, 0\)"),
        ({"padding": "wrap"}, ValueError, "`padding` must be one of zeros, border, reflection, got 'wrap'"),
        (
            {"field": SymbolicField(Coordinates(("x",)), [{"dx": "1"}])},
            ValueError,
            "2 coordinates of the pixel plane, got 1",
        ),
    ],
)
def test_misuse(change, error, message):
    arguments = {
        "field": grid_field(dtype=torch.float32),
        "images": torch.zeros(2, 1, 5, 6),
        "weights": torch.zeros(4, 3),
    }
    with pytest.raises(error, match=message):
        flow_warp(**{**arguments, **change})


def test_operators_check_their_arguments():
    field, images, weights = small()
    points = pixel_points(images)

    def call(images=images, points=points, weights=weights[None], values=field.values.detach(), steps=2, padding=0):  # noqa: B008
        torch.ops.symflow.grid_flow_warp(
            images, points, weights, values, [-1.0] * 2, [1.0] * 2, [0.0] * 2, steps, padding
        )

    for change, message in [
        ({"images": images[0]}, r"`images` must have shape \[B, C, H, W\]"),
        ({"points": points[0]}, r"`points` must have shape \[H', W', 2\]"),
        ({"points": points.float()}, "`points` must have the dtype"),
        ({"weights": weights}, r"`weights` must have shape \[1 or B, G, K\]"),
        ({"weights": weights.expand(3, -1, -1)}, "one set for all images or one for each of 2, got 3"),
        ({"values": torch.zeros(2, 3, 3, 3, 3).double()}, r"`values` must have shape \[K, n_1, n_2, 2\]"),
        ({"steps": 0}, "`steps` must be at least 1, got 0"),
        ({"padding": 3}, "`padding` must be 0, 1 or 2, got 3"),
    ]:
        with pytest.raises(RuntimeError, match=message):
            call(**change)


def test_kernel_is_used():
    """The public function takes the kernel: the same bits as calling it."""
    field, images, weights = problem()
    assert torch.equal(flow_warp(field, images, weights), flow_warp_kernel(field, images, weights[None], 8, "zeros"))
