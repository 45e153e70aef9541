"""Proofs of what stands in a file: what cannot be decided ends, and says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from command_line import symflow
from symflow import pde
from symflow.pde.symmetries import prolongation
from symflow.runs import RESULT


@pytest.fixture(scope="module")
def found():
    return pde.discover("kdv", network="none")


@pytest.mark.parametrize(
    "form",
    [
        {"dx": "(x+t)**20*(x-u)**11", "dt": "1"},
        {"dx": "exp(exp(exp(exp(x*t*u))))", "du": "1"},
        {"dx": "sin(cos(sin(cos(sin(cos(x*t*u))))))", "du": "tanh(x**2/(1 + t**2))**7"},
        {"du": "(" * 40 + "x" + "**2)" * 6 + ")" * 34},
    ],
    ids=range(4),
)
def test_adversarial_forms_are_not_proven_within_the_budget(found, form):
    other = [replace(found.generators[0], closed_form=form, named=form)]
    assert replace(found, generators=other).verify(seconds=5.0)[0] in (False, None)


def test_components_that_a_form_leaves_out_are_zero(found):
    shift = [replace(found.generators[0], closed_form={"dx": "1"}, named={"dx": "1"})]
    assert replace(found, generators=shift).verify() == [True]


def test_what_is_not_decided_is_said(found, tmp_path, monkeypatch):
    """A decision that takes for ever leaves the others what it took; here the first one that is asked."""

    def endless(equation, form, general=False):
        return sum(iter(int, 1))

    with monkeypatch.context() as patch:
        patch.setattr(prolongation, "is_symmetry", endless)
        assert found.verify(seconds=1.0) == [None] * found.rank
    found.save(tmp_path / RESULT)
    monkeypatch.setattr(pde.Result, "verify", lambda self: [True, None, True, True])
    answer = symflow("verify", str(tmp_path), cwd=tmp_path)
    assert answer.returncode == 3, answer.stderr
    assert "not decided" in answer.stdout
    monkeypatch.setattr(pde.Result, "verify", lambda self: [False, None, True, True])
    assert symflow("verify", str(tmp_path), cwd=tmp_path).returncode == 1
