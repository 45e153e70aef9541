"""The main job on data, its laws, and what it refuses."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
import torch

from symflow import NeuralField, SymbolicField, UserError, flow, pde, principal_angles
from symflow.runs import Run, read_json


@lru_cache
def data(name: str, samples: int = 4) -> pde.Trajectories:
    return pde.generate(name, samples, seed=0)


@lru_cache
def ckdv() -> pde.Result:
    return pde.discover(data("ckdv"), domain="plane", network="trained", steps=60)


@lru_cache
def periodic() -> pde.Result:
    return pde.discover(data("ckdv"), network="none")


@lru_cache
def dimension(equation: str) -> int:
    return len(pde.discover(equation, network="none").generators)


def test_the_whole_answer_on_ckdv() -> None:
    result = ckdv()
    assert result.rank == 4
    assert result.name == "ckdv"
    assert all(g.valid and g.verified for g in result.generators)
    for g in result.generators:
        assert g.control > 1e6 * g.score
        assert g.infinitesimal < 1e-12
    assert result.truth is not None
    assert max(result.truth) < 1e-6
    assert result.neural is not None
    assert result.neural.spectrum.rank == 4
    assert max(result.neural.principal_angles) < 1e-2
    assert max(result.neural.agreement) < 1e-2
    assert max(result.neural.scores) < 1e-2
    assert result.samples == 4
    assert result.residual is not None
    assert result.residual < 1e-4
    text = str(result)
    assert "4 symmetries on the plane" in text
    assert "2*sqrt(t + 1) dx + 1/sqrt(t + 1) du" in text


def test_structure_constants_are_those_of_the_brackets() -> None:
    result = ckdv()
    field = result.symbolic_field
    points = torch.rand(20, 3, dtype=torch.float64)
    from symflow import bracket

    brackets = bracket(field, field, points)
    constants = torch.tensor(result.structure_constants, dtype=torch.float64)
    torch.testing.assert_close(brackets, torch.einsum("ijk,nkd->nijd", constants, field(points)), rtol=1e-9, atol=1e-9)


def test_the_learned_span_flows_like_the_closed_forms() -> None:
    """The learned field that lies closest to the boost moves points as the boost does."""
    result = ckdv()
    assert result.neural is not None
    learned = result.neural.field
    assert isinstance(learned, NeuralField)
    exact = SymbolicField(result.coordinates, [{"dx": "2*sqrt(t + 1)", "du": "1/sqrt(t + 1)"}])
    points = pde.scores.points_of(data("ckdv").jets(500, 0, seed=7), result.coordinates)
    values, target = learned(points).detach(), exact(points)[:, 0]
    weights = torch.linalg.lstsq(values.transpose(1, 2).flatten(0, 1), target.flatten()[:, None]).solution.T * 0.01
    moved = flow(learned, points[None], weights)
    expected = flow(exact, points[None], torch.tensor([[0.01]], dtype=torch.float64))
    assert (moved - expected).norm() < 1e-2 * (expected - points).norm()


def test_the_periodic_part_is_a_part() -> None:
    assert periodic().rank == 2
    points = torch.rand(100, 3, dtype=torch.float64)
    assert principal_angles(periodic().symbolic_field, ckdv().symbolic_field, points).max() < 1e-6
    assert periodic().coordinates.periods == (128.0, None, None)


def test_a_result_comes_back_from_its_file(tmp_path: Path) -> None:
    result = ckdv()
    result.save(tmp_path / "result.json")
    again = pde.load_result(tmp_path / "result.json")
    assert again == result
    assert again.seconds == result.seconds
    assert str(again) == str(result)
    assert read_json(tmp_path / "result.json")["schema"] == 3


@pytest.mark.parametrize(
    "damage",
    [
        {"schema": 1},
        {"generators": [{}]},
        {"generators": 3},
        {"equation": {"text": "u_t", "parameters": {}, "name": None}},
        {"coordinates": {"names": []}},
        {"domain": "sphere"},
        {"rank": "three"},
        {"truth": {}},
        {"verdicts": {}, "kind": "images"},
        {"structure_constants": [[[0.0]]]},
        {"seconds": {"data": float("inf")}},
    ],
)
def test_a_damaged_result_is_a_sentence(tmp_path: Path, damage: dict) -> None:
    (tmp_path / "result.json").write_text(json.dumps(ckdv().to_dict() | damage))
    with pytest.raises(UserError, match="must be a result of symflow, got something else"):
        pde.load_result(tmp_path / "result.json")


@pytest.mark.determinism
def test_discovery_repeats_itself_bit_for_bit_with_any_number_of_threads() -> None:
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(pde.discover(data("ckdv"), network="trained", steps=3))
        assert results[0] == results[1]
    finally:
        torch.set_num_threads(threads)
    other = pde.discover(data("ckdv"), network="trained", steps=3, seed=1)
    assert other.neural is not None
    assert results[0].neural is not None
    assert other.neural.spectrum.values != results[0].neural.spectrum.values


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"domain": "torus"}, "`domain` must be periodic or plane"),
        ({"generators": 33}, "`generators` must be an integer from 1 to 32, got 33"),
        ({"network": "trained", "steps": 0}, "`steps` must be an integer from 1"),
        ({"steps": 10}, "`steps` is of a network that is trained, got it with `network` solved"),
        ({"network": "none", "generators": 3}, "`generators` is of a network that is trained"),
        ({"network": "deep"}, "`network` must be solved, trained, none, got 'deep'"),
        ({"score": "local", "network": "solved"}, "`network` must be trained, or none, for the score local"),
        ({"degree": 2.0}, "`degree` must be an integer from 0 to 6"),
        ({"score": "wild"}, "`score` must be infinitesimal or local"),
        ({"seed": -1}, "`seed`"),
    ],
)
def test_bad_arguments_are_sentences(arguments: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        pde.discover(data("ckdv"), **arguments)


def test_bad_data_are_sentences() -> None:
    good = data("ckdv")
    with pytest.raises(UserError, match="at least 16 profiles"):
        pde.discover(replace(good[0], t=good.t[:3], u=good.u[:1, :3]), trust=True)
    with pytest.raises(UserError, match="must vary"):
        pde.discover(replace(good, u=torch.ones_like(good.u)), trust=True)
    with pytest.raises(UserError, match="must be finite"):
        replace(good, u=good.u / 0)
    with pytest.raises(UserError, match="unknown equation 'kvd'"):
        pde.discover("kvd")
    with pytest.raises(UserError, match="must be trajectories, an equation or its name, got list"):
        pde.discover([1, 2])  # type: ignore[arg-type]
    with pytest.raises(UserError, match="needs trajectories"):
        pde.discover("kdv", score="local", steps=1)


def test_random_jets_are_reproducible_and_on_the_manifold() -> None:
    from symflow.pde.equations.manifold import Manifold

    equation = pde.Equation("u_tt - u_xx + sin(u) = 0")
    a, b = Manifold(equation).sample(50, seed=4), Manifold(equation).sample(50, seed=4)
    assert all(torch.equal(a.values[s], b.values[s]) for s in a.values)
    ((residual, squares),) = equation.terms(a.values)
    assert (residual.abs() < 1e-14 * (1 + squares.sqrt())).all()
    normalised = Manifold(equation).coordinates.to_normalised(a.points)
    assert ((normalised >= 0) & (normalised <= 1)).all()


def test_one_long_trajectory_is_enough_for_the_null_space() -> None:
    result = pde.discover(data("kdv", 1), domain="plane", network="none")
    assert result.rank == 4
    assert all(g.verified for g in result.generators)


def test_the_papers_route_runs(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {})
    whole = data("ckdv")
    short = replace(whole, t=whole.t[::7], u=whole.u[:, ::7])  # patches of 20 x 20
    result = pde.discover(short, score="local", generators=2, steps=2, run=run)
    assert result.rank == 2  # of the null space, which does not depend on the route
    assert result.neural is not None
    assert len(result.neural.spectrum.values) == 2
    assert result.neural.spectrum.resolution > 0
    assert all(math.isfinite(v) for v in result.neural.spectrum.values)
    assert (run.path / "metrics.jsonl").read_text().count("\n") == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "plane", "periodic"), [("kdv", 4, 3), ("ks", 3, 3), ("burgers", 5, 3), ("nkdv", 4, 3)]
)
def test_the_other_equations_on_data(name: str, plane: int, periodic: int) -> None:
    for domain, rank in (("plane", plane), ("periodic", periodic)):
        result = pde.discover(data(name), domain=domain, network="trained", steps=60)  # type: ignore[arg-type]
        assert result.rank == rank
        assert all(g.valid and g.verified and g.control > 1e3 * g.score for g in result.generators)
        assert result.truth is not None
        assert max(result.truth) < 1e-6
        assert result.neural is not None
        assert result.neural.spectrum.rank == rank
        assert max(result.neural.principal_angles) < 1e-2


def test_three_levels_are_told_apart() -> None:
    result = periodic()
    equation, domain, data_level = result.verdicts.equation, result.verdicts.domain, result.verdicts.data
    assert equation is not None
    assert domain is not None
    assert data_level is not None
    assert (equation.dimension, domain.dimension, result.rank) == (4, 2, 2)
    assert (equation.word, domain.word, data_level.word, result.verdict) == ("proved", "proved", "measured", "measured")
    assert equation.stable
    assert equation.complete
    assert data_level.figure is not None
    assert data_level.figure < 1e-6
    assert domain.lost == [g.formula for g in ckdv().generators if "x" in g.formula.replace("dx", "")]
    assert result.observed is not None
    assert result.observed.spectrum.rank == 2
    assert max(result.observed.angles) < 1e-6


def test_a_level_that_was_not_asked_is_none() -> None:
    assert ckdv().verdicts.domain is None
    alone = pde.discover("ckdv", network="none")
    assert (alone.verdicts.domain, alone.verdicts.data, alone.verdict) == (None, None, "proved")


def test_data_that_do_not_solve_their_equation_get_no_yes() -> None:
    """Nothing is said of them: the equation alone is studied, and no generator is valid for the data."""
    good = data("ckdv")
    times, places = torch.meshgrid(good.t, good.x, indexing="ij")
    waves = torch.stack([torch.sin(2 * math.pi * k * places / good.length - 0.3 * k * times) for k in (1, 2, 3)])
    noise = torch.randn(good.u.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for claimed, word in (
        (replace(good, u=1.02 * good.u), "refuted"),
        (replace(good, equation=pde.CATALOGUE["ks"].equation), "refuted"),
        (replace(good, u=waves), "refuted"),
        (replace(good, u=noise), "cannot be told"),
    ):
        result = pde.discover(claimed, domain="plane", network="none")
        said = result.verdicts.data
        assert said is not None
        assert (result.verdict, said.word) == (word, word)
        assert result.rank == dimension(claimed.equation.text)
        assert result.observed is None
        assert result.certificates is None
        assert all(g.verified and not g.valid for g in result.generators)
        assert str(result).startswith(
            f"The equation {claimed.equation.text} has {result.rank} symmetries on the plane, proved."
        )
        assert "nothing is said of the data" in str(result)


def test_data_that_are_trusted_are_not_asked() -> None:
    result = pde.discover(replace(data("ckdv"), u=1.02 * data("ckdv").u), network="none", trust=True)
    assert result.verdicts.data is not None
    assert (result.verdict, result.verdicts.data.reason) == (
        "cannot be told",
        "whether the data solve the equation was not asked",
    )
    assert all(g.valid for g in result.generators)


def test_a_few_times_are_asked_by_prediction() -> None:
    short = data("ckdv", 16)
    result = pde.discover(replace(short, t=short.t[:6], u=short.u[:, :6]), network="none")
    assert result.verdict == "measured"
    assert all(g.valid for g in result.generators)


def test_data_are_moved_along_what_is_proved_and_valid() -> None:
    result = periodic()
    more = result.augment(data("ckdv"), strength=0.2, seed=1)
    assert len(more) == len(data("ckdv"))
    assert not torch.equal(more.u[:, 0], data("ckdv").u[:, 0])
    assert more.residual() < 10 * data("ckdv").residual() + 1e-3
    assert torch.equal(more.u, result.augment(data("ckdv"), strength=0.2, seed=1).u)
    torch.testing.assert_close(result.augment(data("ckdv"), strength=0.0).u, data("ckdv").u)
    doubtful = replace(result, generators=[replace(g, valid=False) for g in result.generators])
    with pytest.raises(UserError, match="must hold a generator that is valid for data to move them along, got none"):
        doubtful.augment(data("ckdv"))
    assert torch.equal(doubtful.augment(data("ckdv"), strength=0.2, seed=1, unproved=True).u, more.u)
    for arguments, sentence in (({"strength": -1.0}, "`strength` must be"), ({"seed": -1}, "`seed` must be")):
        with pytest.raises(UserError, match=sentence):
            result.augment(data("ckdv"), **arguments)


def test_a_generator_is_a_function_and_a_formula() -> None:
    galilei = next(g for g in ckdv().generators if g.formula == "2*sqrt(t + 1) dx + 1/sqrt(t + 1) du")
    points = torch.tensor([[5.0, 3.0, 2.0]], dtype=torch.float64)
    torch.testing.assert_close(galilei(points), torch.tensor([[4.0, 0.0, 0.5]], dtype=torch.float64))
    assert str(galilei.sympy()["dx"]) == "2*sqrt(t + 1)"
    assert galilei.latex() == r"2 \sqrt{t + 1}\,\partial_x + \frac{1}{\sqrt{t + 1}}\,\partial_u"


@pytest.mark.parametrize("noise", [1e-3, 1e-2])
def test_noise_does_not_hide_what_the_data_visit(noise: float) -> None:
    """Off solutions a symmetry is an identity: with u_t from noisy data the same generators are found."""
    clean = data("ckdv")
    generator = torch.Generator().manual_seed(1)
    shift = noise * clean.u.std() * torch.randn(clean.u.shape, generator=generator, dtype=torch.float64)
    result = pde.discover(replace(clean, u=clean.u + shift), domain="plane", network="none")
    assert result.observed is not None
    assert result.observed.spectrum.rank == 4
    assert max(result.observed.angles) < 1e-2


def test_a_system_in_full() -> None:
    """The cubic Schroedinger equation, psi = u + i v: dimension 5 (Gagnon and Winternitz, J. Phys. A 21, 1988)."""
    text = "u_t + v_xx + (u**2 + v**2)*v = 0; v_t - u_xx - (u**2 + v**2)*u = 0"
    result = pde.discover(text, domain="plane", network="trained", steps=60)
    assert result.rank == 5
    assert all(g.verified and g.valid and g.control > 1e3 * g.score for g in result.generators)
    assert result.coordinates.names == ("x", "t", "u", "v")
    assert result.neural is not None
    assert result.neural.spectrum.rank == 5
    assert max(result.neural.agreement) < 1e-2
    assert result.algebra is not None
    assert result.algebra.solvable
    assert {"dv": "-u", "du": "v", "dx": "0", "dt": "0"} in [g.closed_form for g in result.generators]


def test_proofs_are_made_again_from_the_text(tmp_path: Path) -> None:
    result = pde.discover(pde.Equation("u_t = nu*u_xx", nu=0.3), domain="plane", network="none")
    result.save(tmp_path / "result.json")
    again = pde.load_result(tmp_path / "result.json")
    assert again == result
    assert again.verify() == [True] * 6
    boost = next(g for g in result.generators if "u*x" in g.closed_form["du"] and g.closed_form["dt"] == "0")
    assert boost.named == {"dx": "2*nu*t", "dt": "0", "du": "-u*x"}
    wrong = [replace(g, closed_form=g.closed_form | {"du": "u**2"}) for g in result.generators]
    assert replace(again, generators=wrong).verify() == [False] * 6
    wrong = [replace(g, named=g.named | {"du": "nu*u**2"}) for g in result.generators]
    assert replace(again, generators=wrong).verify() == [False] * 6


@pytest.mark.parametrize(
    ("text", "identity"),
    [("u_t + u*u_x + u_xxx = 0", "-5"), ("u_tt - u_xx + sin(u) = 0", "0"), ("u_t = u_xx", None)],
)
def test_multipliers_make_identities(text: str, identity: str | None) -> None:
    """pr V(F) = lambda F on all of jet space; for the scaling of KdV, lambda = -5: F has the weight u_t has."""
    result = pde.discover(text, domain="plane", network="none")
    assert all(g.multiplier is not None for g in result.generators)
    if identity is not None:
        assert result.generators[-1].multiplier == identity


def test_a_small_parameter_is_asked_besides(tmp_path: Path) -> None:
    equation = pde.Equation("u_t + u*u_x + u_xxx + eps*u = 0", eps=0.05)
    result = pde.discover(equation, network="none", small="eps")
    assert result.first_order == pde.first_order_symmetries(equation, "eps")
    assert "to first order in eps, 4 of 4 symmetries of u_t + u*u_x + u_xxx = 0 survive:" in str(result)
    result.save(tmp_path / "result.json")
    again = pde.load_result(tmp_path / "result.json")
    assert again == result
    assert again.first_order is not None
    assert again.first_order.verify(equation) == [True] * 4
    wrong = [replace(s, correction=s.correction | {"du": "u"}) for s in again.first_order.stable]
    assert replace(again.first_order, stable=wrong).verify(equation) == [False] * 4
    assert pde.discover(equation, network="none").first_order is None


def test_a_small_parameter_must_be_one() -> None:
    with pytest.raises(UserError, match="`parameter` must be one of the parameters"):
        pde.discover("u_t + u*u_x + u_xxx = 0", network="none", small="eps")
