"""The paper's studies of equations: slots by the local score alone, its settings varied, operators along slots."""

from typing import Any

from torch.optim import Adam

from symflow.reproduction import Study

from ..scores import THRESHOLD
from .operators import OperatorStudy
from .page import page as page
from .slots import Ablation, SlotsStudy

NEARLY = ({"dt": "1"}, {"du": "u"}, {"dx": "t", "du": "1"})
"""Of cKdV: a shift in time, which its coefficient forbids, a scaling of u, which its nonlinearity does, KdV's boost."""


def varied(setting: str, *values: float) -> dict[str, dict[str, float]]:
    """Variants in one setting."""
    return {f"{setting} {value:g}": {setting: value} for value in values}


ROUTES: dict[str, dict[str, Any]] = {
    "small": {},
    "threshold 0.002 from the start": {"thresholds": (0.002, 0.002)},
    "threshold 0.0015 from the start, weight 3": {"thresholds": (THRESHOLD, THRESHOLD), "weight": 3.0},
    "weight 3": {"weight": 3.0},
    "Adam": {"optimizer": Adam, "peak": 3e-3},
}
"""What is taken back, one by one, of what `small` has in place of the paper's settings."""

OPERATORS: dict[str, dict[str, Any]] = {
    "kdv": {},
    "ks": {"points": 64, "strength": 0.2},
    "nkdv": {"strength": 0.05, "candidates": (0.02, 0.05, 0.1)},
    "ckdv": {"strength": 0.05, "candidates": (0.02, 0.05, 0.1)},
}
"""Where the equation depends on time, windows all begin at one time, and moves are short."""

STUDIES = {
    "pde": {
        "kdv": Study("KdV", 100.0, SlotsStudy("kdv")),
        "ks": Study("Kuramoto-Sivashinsky", 100.0, SlotsStudy("ks")),
        "burgers": Study("Burgers", 100.0, SlotsStudy("burgers")),
        "nkdv": Study("nKdV, whose coefficients grow in time", 100.0, SlotsStudy("nkdv")),
        "ckdv": Study("cylindrical KdV", 100.0, SlotsStudy("ckdv", NEARLY)),
        "ks-sigma": Study("KS: the longest flow", 200.0, Ablation("ks", varied("sigma", 0.1, 0.6, 0.8))),
        "ks-tau": Study("KS: the slope that costs nothing", 150.0, Ablation("ks", varied("tau", 1.0, 32.0))),
        "ks-route": Study("KS: what the settings of small are for", 400.0, Ablation("ks", ROUTES)),
    },
    "operators": {
        f"{equation}-{count}": Study(
            f"{equation}, {count} trajectories", 150.0, OperatorStudy(equation, count, **others)
        )
        for equation, others in OPERATORS.items()
        for count in (16, 64)
    },
}
