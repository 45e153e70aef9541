"""Every residual that cannot be used is refused with a sentence, or the count is not clear and says why."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from symflow import Coordinates, Problem, UserError, discover, distribution, equivariance, invariance

POINTS = torch.randn(400, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def square(z):
    return z.square().sum(-1)


def normalised(move, z):
    y = move(z)
    return square((y - y.mean(0)) / y.std(0)) ** 2


EITHER_WAY = {
    "never": (lambda move, z: square(z), "must call `move`"),
    "kept": (lambda move, z: square(z) + 0 * square(move(z)), "one that any motion keeps"),
    "kept by cancelling": (lambda move, z: square(z) + square(move(z) - move(z)), "one that any motion keeps"),
    "nan": (lambda move, z: move(z)[:, 0].log(), "must be finite on the data, got 50% of them"),
    "argmax": (lambda move, z: move(z).argmax(-1).double(), "constant between jumps"),
    "rounding": (lambda move, z: (4 * move(z)).round().sum(-1), "constant between jumps"),
    "one-sided": (lambda move, z: (square(move(z)) - square(z)).abs(), "must have one slope at its data"),
    "random": (lambda move, z: square(move(z)) + torch.randn(len(z), dtype=torch.float64), "the same numbers"),
    "mean of the batch": (lambda move, z: square(move(z)) - square(move(z)).mean(), "depend on this datum alone"),
    "batch normalisation": (normalised, "depend on this datum alone"),
    "one number": (lambda move, z: square(move(z)).mean(), r"must return \[B, ...\] for its B = 3 data, got \[\]"),
    "complex": (lambda move, z: torch.complex(*move(z).T[:2]), "must return real numbers, got torch.complex128"),
    "fails": (lambda move, z: move(z) @ torch.ones(4, dtype=torch.float64), "got RuntimeError: size mismatch"),
    "text": (lambda move, z: "valid", "must return a tensor or an array, got str"),
    "integers": (lambda move, z: move(torch.arange(3))[:1].expand(len(z)), "got torch.int64 of shape"),
    "two dimensions": (lambda move, z: square(move(z)) + square(move(z[:, :2])), "got 3 and 2; name a second space"),
}


@pytest.mark.parametrize("derivative", ["autograd", "differences"])
@pytest.mark.parametrize("name", EITHER_WAY)
def test_refused(name, derivative):
    residual, sentence = EITHER_WAY[name]
    with pytest.raises(UserError, match=sentence) as error:
        discover(Problem(residual, POINTS), derivative=derivative)
    assert str(error.value).startswith("`residual` must ")


@pytest.mark.parametrize(
    ("residual", "sentence"),
    [
        (lambda move, z: (square(move(z)) - square(z)).abs().sqrt(), "must have finite slopes, got 100% of the data"),
        (lambda move, z: square(move(z).detach()), "as after detach; derivative='differences' does without"),
        (lambda move, z: torch.tensor(square(move(z)).tolist(), dtype=torch.float64), "as after detach"),
        (lambda move, z: (move(z).numpy() ** 2).sum(-1), "code in numpy; it works with derivative='differences'"),
    ],
)
def test_refused_with_gradients_only(residual, sentence):
    with pytest.raises(UserError, match=sentence):
        discover(Problem(residual, POINTS))


def test_what_is_detached_works_by_differences():
    found = discover(Problem(lambda move, z: square(move(z).detach()), POINTS), derivative="differences")
    assert (found.rank, found.clear) == (3, True)


def test_partly_detached_is_not_clear():
    found = discover(Problem(lambda move, z: square(move(z)) + 3 * square(move(z).detach() * z), POINTS))
    assert not found.clear
    assert any("the gradient of the residual is not its slope" in sentence for sentence in found.why)


def test_a_kink_at_the_data_is_not_clear():
    found = discover(Problem(lambda move, z: square(move(z)) + (move(z) - z).abs().sum(-1), POINTS))
    assert not found.clear
    assert any("kink" in sentence for sentence in found.why)


def test_a_nearly_zero_residual_is_not_taken_for_a_random_one():
    """Heat's residual is nearly zero on valid data: repeats are compared with what motions do."""
    found = discover(Problem(lambda move, z: 1e-9 * (square(move(z)) - square(z)), POINTS))
    assert (found.rank, found.clear) == (3, True)


def test_a_constant_far_away_does_not_hide_a_change():
    found = discover(Problem(lambda move, z: 1e3 + square(move(z)), POINTS))
    assert (found.rank, found.clear) == (3, True)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (torch.full((5, 2), torch.nan), "must be finite numbers"),
        (torch.zeros(0, 3), r"at least one, got \[0\]"),
        ((torch.zeros(4, 3), torch.zeros(5, 3)), r"as many data in each tensor, at least one, got \[4, 5\]"),
        ([[1.0, 2.0]], "a tensor or a tuple of tensors, datum by datum, got list"),
        (torch.tensor(1.0), "got Tensor"),
    ],
)
def test_data_that_are_none(data, sentence):
    with pytest.raises(UserError, match=sentence):
        Problem(lambda move, z: square(move(z)), data)


def test_data_that_do_not_vary():
    with pytest.raises(UserError, match="must vary, got one and the same point"):
        discover(Problem(lambda move, z: square(move(z)), torch.ones(10, 3)))


def test_wrong_calls():
    problem = Problem(lambda move, z: square(move(z)), POINTS)
    with pytest.raises(TypeError, match="`problem` must be a Problem, got Tensor"):
        discover(POINTS)
    with pytest.raises(TypeError, match="`residual` must be a function"):
        Problem(3, POINTS)
    with pytest.raises(TypeError, match="`coordinates` must be Coordinates"):
        Problem(square, POINTS, coordinates="xyz")
    with pytest.raises(TypeError, match="`f` must be a function or a list"):
        invariance([], POINTS)
    with pytest.raises(TypeError, match="`f` must be a map or a list"):
        equivariance(3, POINTS)
    with pytest.raises(ValueError, match=r"`fields` must be 'linear', 'affine'.*got 'cubic'"):
        discover(problem, "cubic")
    with pytest.raises(TypeError, match="`fields` must be the name of a class or fields to combine, got int"):
        discover(problem, 3)
    with pytest.raises(ValueError, match="`derivative` must be 'autograd' or 'differences', got 'exact'"):
        discover(problem, derivative="exact")
    for name in ("generators", "steps", "seed"):
        with pytest.raises(ValueError, match=f"`{name}` must be an integer from"):
            discover(problem, **{name: -1})
    with pytest.raises(ValueError, match="'network' where `residual` moves several spaces"):
        discover(equivariance(lambda z: z[:, :2], POINTS, space="out"), "network")


def test_other_refusals():
    with pytest.raises(UserError, match="must have the 3 axes of the points"):
        discover(invariance(square, POINTS, coordinates=Coordinates(("x", "y"))))
    with pytest.raises(UserError, match="at most 2,000 fields, got 10,296"):
        discover(invariance(square, torch.randn(50, 8, generator=torch.Generator().manual_seed(0))), "polynomial:5")
    with pytest.raises(
        UserError, match=r"`replicates` must return what `residual` returns, \[400, 1\], got \[400, 3\]"
    ):
        discover(invariance([square, lambda z: z], POINTS))
    with pytest.raises(UserError, match="`samples` must hold at least 100 points, got 20"):
        distribution(POINTS[:20])
    with pytest.raises(UserError, match="must lie in their window"):
        distribution(POINTS, window=[(-0.1, 0.1), None, None])
    with pytest.raises(UserError, match=r"floating-point numbers \[n, d\], got \[400\]"):
        distribution(POINTS[:, 0])


def test_arrays_stay_arrays():
    seen = []

    def residual(move, z):
        moved = move(z)
        seen.append((type(z), type(moved), moved.dtype))
        return (moved**2).sum(-1)

    found = discover(Problem(residual, POINTS.numpy().astype(np.float32)), derivative="differences")
    assert (found.rank, found.clear) == (3, True)
    assert set(seen) == {(np.ndarray, np.ndarray, np.dtype("float32"))}
