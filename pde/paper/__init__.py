"""The paper's studies of equations: slots by the local score alone, its settings varied, operators along slots."""

from typing import Any

from symflow.reproduction import Study

from .operators import OperatorStudy
from .page import page as page
from .slots import Ablation, SlotsStudy

NEARLY = ({"dt": "1"}, {"du": "u"}, {"dx": "t", "du": "1"})
"""Of cKdV: a shift in time, which its coefficient forbids, a scaling of u, which its nonlinearity does, KdV's boost."""

OPERATORS: dict[str, dict[str, Any]] = {
    "kdv": {},
    "ks": {"points": 64},
    "nkdv": {"strengths": (0.02, 0.05, 0.1)},
    "ckdv": {"strengths": (0.02, 0.05, 0.1)},
}
"""Where the equation depends on time, windows all begin at one time, and short moves are candidates."""

STUDIES = {
    "pde": {
        "kdv": Study("KdV", 100.0, SlotsStudy("kdv")),
        "ks": Study("Kuramoto-Sivashinsky", 100.0, SlotsStudy("ks")),
        "burgers": Study("Burgers", 100.0, SlotsStudy("burgers")),
        "nkdv": Study("nKdV, whose coefficients grow in time", 100.0, SlotsStudy("nkdv")),
        "ckdv": Study("cylindrical KdV", 100.0, SlotsStudy("ckdv", NEARLY)),
        "ks-sigma": Study("KS: the longest flow", 400.0, Ablation("ks", "sigma", (0.1, 0.2, 0.4, 0.6, 0.8))),
        "ks-tau": Study("KS: the slope that costs nothing", 400.0, Ablation("ks", "tau", (1.0, 2.0, 8.0, 32.0))),
    },
    "operators": {
        f"{equation}-{count}": Study(
            f"{equation}, {count} trajectories", 900.0, OperatorStudy(equation, count, **others)
        )
        for equation, others in OPERATORS.items()
        for count in (16, 64)
    },
}
