"""The solved network: counts of equations and of data, families, and what noise and wrong times hide."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import pytest
import torch

from symflow import pde
from symflow.fields import SymbolicField
from symflow.pde.discovery.solved import CEILING, MISFITS, SAMPLE, Span, solved_span, span_of_data
from symflow.pde.discovery.sources import source_of
from symflow.pde.scores import InfinitesimalScore, observed_jets, points_of
from symflow.pde.symmetries import needed, symmetries
from symflow.runs import one_thread


@lru_cache
def data(name: str, samples: int = 4) -> pde.Trajectories:
    return pde.generate(name, samples, seed=0)


def noisy(clean: pde.Trajectories, noise: float) -> pde.Trajectories:
    generator = torch.Generator().manual_seed(1)
    shift = torch.randn(clean.u.shape, generator=generator, dtype=torch.float64)
    return replace(clean, u=clean.u + noise * clean.u.std() * shift)


def of_data(trajectories: pde.Trajectories) -> tuple[Span, float]:
    with one_thread():
        coordinates = source_of(trajectories, "plane").coordinates
    found = span_of_data(trajectories, coordinates, 0, None, 4)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("u_t + u*u_x + u_xxx = 0", 4),  # Olver, example 2.44
        ("u_t = u_xx", 6),  # example 2.41, without superposed solutions
        ("u_t = u_xx + u_x**2", 6),  # example 2.42: the family is f exp(-u) d/du
    ],
)
def test_the_count_is_the_dimension(text: str, dimension: int) -> None:
    algebra = symmetries(pde.Equation(text))
    source = source_of(text, "plane")
    sample = source.sample(SAMPLE, 3, needed(source.equation))
    span = solved_span(source.equation, sample, source.coordinates, 3, algebra.superposition, dimension)
    fresh = points_of(source.sample(500, 4, ()), source.coordinates)
    closed = SymbolicField(source.coordinates, [{k: str(f) for k, f in form.items()} for form in algebra.forms])(fresh)
    neural = span.neural(closed, fresh, dimension)
    assert (neural.word, neural.spectrum.rank) == ("found", dimension)
    assert len(neural.spectrum.values) >= dimension + 3
    assert max(neural.agreement) < 1e-2
    assert (neural.field is None) == (algebra.superposition is not None)


def test_fewer_than_are_proved_is_no_count() -> None:
    span, _ = of_data(data("ckdv"))
    points = torch.rand(10, 3, dtype=torch.float64)
    rank = span.neural(None, points).spectrum.rank
    more = span.neural(None, points, proved=rank + 1)
    assert (span.neural(None, points, proved=rank).word, more.word) == ("found", "cannot be told")
    assert more.reason.startswith(f"it finds {rank} of the {rank + 1} that are proved")
    assert more.field is None


def test_clean_data_are_measured() -> None:
    result = pde.discover(data("ckdv"), domain="plane")
    neural = result.neural
    assert neural is not None
    assert (neural.word, neural.spectrum.rank) == ("measured", 4)
    assert neural.misfit is not None
    assert 0 < neural.misfit < 1e-5  # by differences: not what rounding leaves
    assert max(neural.agreement) < 2e-2
    assert "u_t from the data: measured 4 symmetries" in str(result)


@pytest.mark.parametrize("spoiled", ["noise", "times"])
def test_what_data_hide_cannot_be_told(spoiled: str) -> None:
    """The equation's own symmetries are as they were, so only u_t of the data can tell."""
    clean = data("ckdv")
    bad = noisy(clean, 1e-2) if spoiled == "noise" else replace(clean, t=clean.t[0] + 1.3 * (clean.t - clean.t[0]))
    span, misfit = of_data(bad)
    neural = span.neural(None, torch.rand(10, 3, dtype=torch.float64), misfit=misfit)
    assert misfit > CEILING
    assert neural.word == "cannot be told"
    assert f"jets of the data leave {misfit:.0e}" in neural.reason
    assert neural.field is None


@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_symmetries_stand_at_the_misfit(noise: float) -> None:
    """``pr V(F) = lambda F``: what a proved generator leaves on the jets is the misfit times a factor of order one."""
    trajectories = noisy(data("ckdv"), noise)
    source = source_of(trajectories, "plane")
    jets = observed_jets(trajectories, 4_000, 0)
    assert jets is not None
    assert source.symmetries is not None
    misfit = float(jets.misfit(trajectories.equation, source.coordinates).square().mean().sqrt())
    score = InfinitesimalScore(trajectories.equation, source.coordinates, jets.observed)
    left = score(SymbolicField(source.coordinates, source.symmetries)) / misfit
    assert left.max() < 2 * MISFITS
    assert left.max() > 0.1


def test_u_t_is_that_of_the_data() -> None:
    """Waves that solve nothing, whose u_t is known."""
    t, x = torch.linspace(0, 1, 41, dtype=torch.float64), torch.arange(64, dtype=torch.float64) / 64 * 2 * torch.pi
    u = torch.stack([torch.sin(x - t[:, None]), torch.cos(2 * x + 0.5 * t[:, None])])
    waves = pde.Trajectories(pde.Equation("u_t + u_xxx = 0"), x, t, u)
    jets = observed_jets(waves, 500, 0)
    assert jets is not None
    values = {s.name: v for s, v in jets.observed.values.items()}
    first = (torch.sin(values["x"] - values["t"]) - values["u"]).abs() < 1e-9
    assert first.any()
    torch.testing.assert_close(values["u_t"][first], -torch.cos(values["x"] - values["t"])[first], rtol=0, atol=1e-8)
    torch.testing.assert_close(values["u_xt"][first], torch.sin(values["x"] - values["t"])[first], rtol=0, atol=1e-7)
    assert observed_jets(replace(waves, t=t[:2], u=u[:, :2]), 500, 0) is None


@pytest.mark.determinism
def test_the_same_bits_with_any_number_of_threads() -> None:
    threads = torch.get_num_threads()
    try:
        found = []
        for count in (1, 2):
            torch.set_num_threads(count)
            span, misfit = of_data(data("ckdv"))
            found.append((span.solution, misfit))
        assert found[0][1] == found[1][1]
        assert torch.equal(found[0][0].values, found[1][0].values)
        assert torch.equal(found[0][0].coefficients, found[1][0].coefficients)
    finally:
        torch.set_num_threads(threads)
