"""What generators need of coefficients: by hand, and against proofs at coefficients that are numbers."""

from __future__ import annotations

import pytest
import sympy

from symflow.pde import Equation
from symflow.pde.laws.confidence import Interval, OverConfidenceSet, over_confidence_set
from symflow.pde.symmetries.algebra import symmetries
from symflow.pde.symmetries.prolongation import is_symmetry

NEARBY = ("u", "u_x", "u_xx", "u**2")
KDV, BURGERS = "u_t + u*u_x + u_xxx = 0", "u_t + u*u_x - u_xx/50 = 0"


def asked(text: str, own: dict[str, float], nearby: tuple[str, ...]) -> tuple[list[dict], OverConfidenceSet]:
    forms = symmetries(Equation(text)).forms
    known = [Interval(m, c - 1e-3, c + 2e-3) for m, c in {**own, **dict.fromkeys(nearby, 0.0)}.items()]
    return forms, over_confidence_set(Equation(text), known, [{k: str(f) for k, f in form.items()} for form in forms])


def test_kdv_by_hand() -> None:
    _, found = asked(KDV, {"u*u_x": 1.0, "u_xxx": 1.0}, NEARBY)
    needs = [{c.of for c in conditions} for conditions in found.conditions]
    assert needs == [set(), set(), {"u", "u**2"}, {"u", "u_x", "u_xx", "u**2"}]
    assert {c.value for conditions in found.conditions for c in conditions} == {"0"}
    assert {c.within for conditions in found.conditions for c in conditions} == {2e-3}
    # with u_x the scaling is another field, with u the boost is
    assert found.dimensions == {"nothing": 4, "u": 3, "u_x": 4, "u_xx": 3, "u**2": 2, "all of these": 2}
    assert (found.smallest, found.largest) == (2, 4)


@pytest.mark.parametrize(
    ("text", "own", "nearby"),
    [
        (KDV, {"u*u_x": 1.0, "u_xxx": 1.0}, (*NEARBY, "u**2*u_x")),
        (BURGERS, {"u*u_x": 1.0, "u_xx": -0.02}, ("u", "u_x", "u**2", "u_xxx")),
    ],
)
def test_each_condition_is_needed_and_no_other(text: str, own: dict, nearby: tuple[str, ...]) -> None:
    """With one term more a generator is proved at a number before it exactly where it needs nothing of that term."""
    forms, found = asked(text, own, nearby)
    for form, conditions in zip(forms, found.conditions, strict=True):
        for m in nearby:
            more = Equation(f"{text.removesuffix(' = 0')} + 3/7*({m}) = 0")
            assert is_symmetry(more, form) == (m not in {c.of for c in conditions})


def test_a_coefficient_that_must_have_a_value_is_named() -> None:
    text = "u_t + u*u_x + u_xxx + u/(2*(t + 1)) = 0"
    forms, found = asked(text, {"u*u_x": 1.0, "u_xxx": 1.0, "u/(2*t + 2)": 1.0}, ())
    boost = next(k for k, f in enumerate(forms) if f["dx"] == 2 * sympy.sqrt(sympy.Symbol("t", real=True) + 1))
    assert ("u/(2*t + 2)", "1") in {(c.of, c.value) for c in found.conditions[boost]}
    assert found.dimensions["another coefficient of u/(2*t + 2)"] < found.dimensions["nothing"] == 4


def test_generators_that_go_with_the_coefficients_need_none_of_them() -> None:
    """The boost of ``u_t + c u u_x + u_xxx`` is ``c t dx + du``: known to an interval, c breaks nothing."""
    _, found = asked("u_t + 3*u*u_x + u_xxx = 0", {"u*u_x": 3.0, "u_xxx": 1.0}, ())
    assert found.conditions == [[]] * 4
    assert found.dimensions == {"nothing": 4}
