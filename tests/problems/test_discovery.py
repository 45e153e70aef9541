"""Known truths of `discover`, and what a count must not depend on."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from symflow import (
    Coordinates,
    NeuralField,
    Problem,
    SymbolicField,
    discover,
    distribution,
    equivariance,
    invariance,
    principal_angles,
)
from symflow.runs import Run


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def square(z: torch.Tensor) -> torch.Tensor:
    return z.square().sum(-1)


def gram(z: torch.Tensor) -> torch.Tensor:
    return (z @ z.mT).flatten(1)


# ---- known truths ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "rank"), [("linear", 3), ("affine", 3), ("isometric", 3), ("polynomial:2", 11), ("polynomial:3", 26)]
)
def test_one_point_is_the_module_trap_and_coherence_tells(fields, rank):
    found = discover(invariance(square, normal(0, 1200, 3)), fields)
    assert (found.rank, found.clear, found.pointwise_rank) == (rank, True, 2)
    assert min(found.coherence) > 0.5


def test_several_points_are_no_trap():
    found = discover(invariance(gram, normal(0, 200, 4, 3)), "polynomial:2")
    assert (found.rank, found.clear) == (3, True)
    assert max(found.coherence) < 1e-6


def test_a_network_counts_whatever_it_is_asked_for_where_fields_are_a_module():
    found = discover(invariance(square, normal(1, 900, 3)), "network", generators=3, steps=80)
    assert found.rank == 3
    assert not found.clear
    assert any("as many as were asked for" in sentence for sentence in found.why)


@pytest.mark.parametrize(("angle", "fields", "rank"), [(0.7, "linear", 8), (np.pi, "polynomial:2", 16)])
def test_a_map_and_what_commutes_with_it(angle, fields, rank):
    """gl(2, C) in general; after half a period the map is -1, with which all odd fields commute."""
    zero, one = torch.zeros(2, 2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    j = torch.cat([torch.cat([zero, one], 1), torch.cat([-one, zero], 1)])
    m = torch.matrix_exp(angle * j)
    found = discover(equivariance(lambda z: z @ m.T, normal(2, 600, 4)), fields)
    assert (found.rank, found.clear) == (rank, True)


def test_fields_of_two_spaces_come_in_pairs():
    found = discover(equivariance(lambda z: square(z)[:, None], normal(3, 500, 3), space="out"))
    assert (found.rank, found.clear) == (4, True)  # rotations, and a dilation that doubles the squared length
    scaling = next(g for g in found.generators if g.closed_form["dy1"] != "0")
    assert scaling.closed_form == {"dx1": "x1", "dx2": "x2", "dx3": "x3", "dy1": "2*y1"}
    assert set(found.field_by_space) == {"in", "out"}


def test_combinations_of_given_fields():
    plane = Coordinates(("x", "y"))
    given_fields = SymbolicField(plane, [{"dx": "1"}, {"dx": "x", "dy": "y"}, {"dx": "x - y", "dy": "x + y"}])
    problem = invariance(square, normal(4, 300, 2), coordinates=plane)
    found = discover(problem, given_fields)
    assert (found.rank, found.clear) == (1, True)
    rotation = SymbolicField(plane, [{"dx": "-y", "dy": "x"}])
    assert principal_angles(found.field, rotation, normal(5, 50, 2))[0] < 1e-9


def test_isometric_fields_keep_normalised_distances():
    stretched = Coordinates(("x", "y"), offset=(1.0, -2.0), scale=(3.0, 0.5))
    z = stretched.to_physical(normal(6, 300, 2))
    problem = invariance(lambda z: square(stretched.to_normalised(z)), z, coordinates=stretched)
    assert discover(problem, "isometric").rank == 1
    assert discover(invariance(lambda z: square(stretched.to_normalised(z)), z), "isometric").rank == 0


def test_points_that_all_data_share():
    grid = torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, 6, dtype=torch.float64)] * 2, indexing="ij"), -1)
    centres = 0.2 * normal(7, 60, 2)

    def residual(move, batch):  # a bump about the origin, summed over a moved grid: each datum has a width of its own
        moved = move(grid.reshape(-1, 2))
        width = 0.3 + batch.square().sum(-1)
        return torch.exp(-square(moved) / width[:, None])

    found = discover(Problem(residual, centres))
    assert (found.rank, found.clear) == (1, True)
    assert found.generators[0].formula == "-x2 dx1 + x1 dx2"


def test_twenty_dimensions():
    z = normal(8, 100, 21, 20)
    found = discover(invariance(gram, z), "isometric")
    assert (found.rank, found.clear) == (190, True)


@pytest.mark.parametrize("size", [1e-4, 1e-2])
def test_near_symmetries_do_not_count(size):
    w = normal(9, 20, 3)
    found = discover(
        invariance(lambda z: gram(z) + size * torch.tanh(z @ w.T).sum((1, 2))[:, None], normal(10, 200, 4, 3))
    )
    assert (found.rank, found.clear) == (0, True)
    assert found.values[2] < 10 * size


def test_too_few_equations_are_not_clear():
    found = discover(invariance(square, normal(11, 30, 5)), "polynomial:2")
    assert not found.clear
    assert any("too few" in sentence for sentence in found.why)


def test_two_replicates_are_not_clear():
    problem = invariance([square, square], normal(12, 300, 3))
    found = discover(problem)
    assert not found.clear
    assert any("two replicates" in sentence for sentence in found.why)


def test_a_normal_cloud_is_round():
    found = discover(distribution(normal(13, 20_000, 2) @ normal(14, 2, 2)))
    assert (found.rank, found.clear) == (1, True)
    assert found.values[0] < 3 * found.noise[0]


# ---- what a count does not depend on --------------------------------------------------------------------------------


@settings(max_examples=5, deadline=None, phases=[Phase.generate])
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_linear_changes_of_coordinates(seed, d):
    z = normal(seed, 150, d + 1, d)
    a = torch.matrix_exp(0.5 * normal(seed + 1, d, d))
    back = torch.linalg.inv(a)
    plain = discover(invariance(gram, z))
    changed = discover(invariance(lambda y: gram(y @ back.T), z @ a.T))
    assert plain.rank == changed.rank == d * (d - 1) // 2
    assert changed.clear
    assert changed.values[plain.rank] == pytest.approx(plain.values[plain.rank], rel=0.1)  # other random motions


@settings(max_examples=5, deadline=None, phases=[Phase.generate])
@given(st.lists(st.floats(-6, 6), min_size=3, max_size=3), st.floats(-6, 6))
def test_units_of_the_axes_and_of_the_residual(powers, power):
    units = 10.0 ** torch.tensor(powers, dtype=torch.float64)
    plain = discover(invariance(gram, normal(20, 150, 4, 3)))
    scaled = discover(invariance(lambda y: 10.0**power * gram(y / units), normal(20, 150, 4, 3) * units))
    assert (scaled.rank, scaled.clear) == (plain.rank, plain.clear) == (3, True)
    assert scaled.values[3] == pytest.approx(plain.values[3], rel=0.1)


def test_numbers_of_different_units_count_alike():
    """A symmetry of the large number alone is none."""
    problem = invariance(lambda z: torch.stack([1e8 * square(z), z[:, 0]], -1), normal(21, 600, 3))
    assert discover(problem).rank == 1


def test_order_of_the_data():
    z = normal(22, 300, 3)
    w = normal(23, 30, 3)

    def f(z):
        return torch.stack([square(z), torch.tanh(z @ w.T).sum(-1) * z[:, 0]], -1)

    shuffled = z[torch.randperm(300, generator=torch.Generator().manual_seed(0))]
    first, second = discover(invariance(f, z)), discover(invariance(f, shuffled))
    assert first.rank == second.rank == 0


@pytest.mark.parametrize("form", [gram, lambda z: torch.linalg.det(z[:, :3])])
def test_single_and_double_precision(form):
    z = normal(24, 900, 4, 3)
    double, single = discover(invariance(form, z)), discover(invariance(form, z.float()))
    assert double.rank == single.rank
    assert double.clear
    assert single.clear
    assert single.floor > 1e3 * double.floor


def test_gradients_and_differences():
    z = normal(25, 100, 4, 2)
    exact, other = discover(invariance(gram, z)), discover(invariance(gram, z), derivative="differences")
    arrays = discover(
        Problem(lambda move, z: (lambda y: (y @ y.transpose(0, 2, 1)).reshape(len(y), -1))(move(z)), z.numpy()),
        derivative="differences",
    )
    assert exact.rank == other.rank == arrays.rank == 1
    assert other.clear
    assert arrays.values == pytest.approx(other.values, abs=1e-9)


def test_the_seed_of_the_data_may_be_that_of_the_probes():
    ranks = []
    for seed in (0, 1, 2):
        torch.manual_seed(seed)
        z = torch.randn(300, 4, dtype=torch.float64)
        torch.manual_seed(seed)
        ranks.append(discover(invariance(square, z), seed=seed).rank)
    assert ranks == [6, 6, 6]


def test_the_same_seed_gives_the_same_bits_with_any_number_of_threads():
    def run() -> str:
        found = discover(invariance(gram, normal(26, 150, 4, 3)), seed=3).to_dict()
        return json.dumps({k: v for k, v in found.items() if k not in ("created", "seconds")})

    before = torch.get_num_threads()
    try:
        texts = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            texts.append(run())
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert texts[0] == texts[1]


def test_the_global_random_state_is_left_alone():
    before = torch.random.get_rng_state()
    discover(invariance(square, normal(27, 200, 2)))
    assert torch.equal(before, torch.random.get_rng_state())


# ---- results --------------------------------------------------------------------------------------------------------


def test_generators_are_named_checked_and_fields():
    names = Coordinates(("x", "y", "z"))
    found = discover(invariance(gram, normal(28, 200, 4, 3), coordinates=names))
    assert [g.formula for g in found.generators] == ["-y dx + x dy", "-z dx + x dz", "-z dy + y dz"]
    assert all(g.rational and g.violation < 1e-12 and g.score < 1e-6 and g.control > 1e-2 for g in found.generators)
    closed = SymbolicField(names, [g.closed_form for g in found.generators])
    assert principal_angles(found.field, closed, normal(29, 40, 3)).max() < 1e-12
    assert found.algebra.name == "so(3)"
    assert found.verdict == "measured"
    text = str(found)
    assert text.startswith("3 affine fields keep the data valid (clear).")
    assert "-y dx + x dy" in text


def test_measured_coefficients_are_rounded_to_what_is_known():
    nets = [
        lambda z, k=k: square(z) + 0.05 * torch.sin(z @ normal(40 + k, 3, 3)).sum(-1) for k in range(4)
    ]  # errors that are independent of each other
    found = discover(invariance(nets, normal(30, 600, 3)))
    assert found.rank == 3
    assert found.agreement is not None
    assert not any(g.rational for g in found.generators)
    assert found.pointwise_rank == 2


def test_records(tmp_path):
    found = discover(invariance(square, normal(31, 300, 2)))
    found.save(tmp_path / "result.json")
    record = json.loads((tmp_path / "result.json").read_text())
    assert record["schema"] == 3
    assert record["kind"] == "problem"
    assert record["verdicts"]["equation"] is record["verdicts"]["domain"] is None
    assert record["verdicts"]["data"]["word"] == "measured"
    assert record["rank"] == len(record["generators"]) == 1
    assert record["generators"][0]["closed_form"] == {"dx1": "-x2", "dx2": "x1"}
    assert (tmp_path / "fields.safetensors").exists()
    unclear = discover(invariance(square, normal(31, 20, 4)))
    assert unclear.verdict == "cannot be told"
    assert unclear.verdicts.data.reason


def test_a_discovery_that_is_interrupted_and_resumed_ends_alike(tmp_path):
    problem = invariance(gram, normal(32, 300, 4, 3))

    def search(run: Run | None, stop_at: str = "", after: float = 0.0):
        def progress(stage, done, figures):
            if stage == stop_at and done >= after:
                raise KeyboardInterrupt

        return discover(problem, "network", generators=5, steps=60, run=run, progress=progress)

    whole = search(None)
    assert isinstance(whole.field, NeuralField)
    for number, (stage, after) in enumerate([("network", 0.7), ("null space", 0.0)]):
        path = tmp_path / str(number)
        with pytest.raises(KeyboardInterrupt):
            search(Run(path, {}), stage, after)
        resumed = search(Run(path, {}, resume=True))
        assert resumed.values == whole.values
        assert all(torch.equal(a, b) for a, b in zip(resumed.field.parameters(), whole.field.parameters(), strict=True))


def test_stages_are_told_and_timed():
    told = []
    found = discover(
        invariance(square, normal(33, 200, 2)), progress=lambda stage, done, figures: told.append((stage, done))
    )
    stages = ["residual", "linearise", "null space", "count", "closed forms", "finite flow", "algebra"]
    assert list(found.seconds) == stages
    assert list(dict.fromkeys(stage for stage, _ in told)) == stages
    for stage, group in itertools.groupby(told, key=lambda item: item[0]):
        shares = [done for _, done in group]
        assert shares[0] == 0.0
        assert shares[-1] == 1.0
        assert shares == sorted(shares), stage
