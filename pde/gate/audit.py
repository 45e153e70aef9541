"""An audit of data: the gate's verdict, and where in time and space the residual is.

The verdict on the file, the words for trajectories and the coefficients are those of `pde.gate`. Beside them
stands a map of the weak residual for narrow test functions, which see a fault where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from symflow import plotting
from symflow.errors import UserError
from symflow.formulas import Rows, Tabled, text_table
from symflow.runs import one_thread

from ..laws.claims import Law
from ..laws.figures import ladder
from ..laws.fits import MATERIAL
from ..laws.regression import check_alpha
from ..trajectories import Trajectories, tears
from ..weak import Samples, rows_on_axes
from .gate import gate
from .verdict import FACTOR, UNKNOWN, Coefficient, Gate


@dataclass(frozen=True)
class Outlier:
    """A trajectory unlike the others: its index, which figure says so, and where its residual is largest, by axis."""

    trajectory: int
    reason: str
    place: Mapping[str, float]

    @property
    def t(self) -> float:
        """When."""
        return self.place.get("t", 0.0)

    @property
    def x(self) -> float:
        """Where along the first axis of space; NaN without any."""
        return next((v for name, v in self.place.items() if name != "t"), float("nan"))


@dataclass(frozen=True)
class DataAudit(Tabled):
    """What an audit of data found; ``print(audit)`` shows it as a table with a verdict.

    Attributes:
        gate: the verdict with all its figures.
        outliers: trajectories unlike the others.
        noise: standard deviation of the noise of u over that of u.
        map: ``[S, times, places...]``, residuals relative to the RMS of the trajectory's terms; of a system those of
            the equation that has the largest.
        centres: of the test functions of the map, by axis.
    """

    gate: Gate
    outliers: tuple[Outlier, ...]
    noise: float
    map: Tensor
    centres: Mapping[str, Tensor]

    @property
    def t(self) -> Tensor:
        """The times of the map."""
        return self.centres.get("t", torch.zeros(0, dtype=torch.float64))

    @property
    def x(self) -> Tensor:
        """The places of the map along the first axis of space."""
        return next((v for name, v in self.centres.items() if name != "t"), torch.zeros(0, dtype=torch.float64))

    @property
    def equation(self) -> str:
        """The text of the equation the data claim."""
        return self.gate.equation

    @property
    def verdict(self) -> str:
        """One of "solves", "outliers", "refuted", "cannot be told"."""
        return self.gate.verdict

    @property
    def passed(self) -> bool:
        """Whether the data solve the equation, every trajectory of them."""
        return self.gate.passed

    @property
    def exit_code(self) -> int:
        """Of the command: 0 where the data solve the equation, 1 where they do not, 3 where it cannot be told."""
        return self.gate.exit_code

    @property
    def claims(self) -> tuple[Coefficient, ...]:
        """The coefficients of the equation, and after them terms that the data have and it is without."""
        return (*self.gate.coefficients, *self.gate.missing)

    @property
    def residual(self) -> Tensor:
        """``[S]``, relative RMS of each trajectory; NaN where there is none."""
        return torch.tensor([_number(t.residual) for t in self.gate.trials], dtype=torch.float64)

    @property
    def excess(self) -> Tensor:
        """``[S]``, the residual over the largest that noise and grid allow: 1 and less for data of the equation."""
        allowed = [FACTOR * _number(t.error) + MATERIAL if t.allowed is None else t.allowed for t in self.gate.trials]
        return self.residual / torch.tensor(allowed, dtype=torch.float64)

    def _refused(self, c: Coefficient) -> bool:
        """An interval does not hold what a grid leaves open: data that cannot tell refuse nothing."""
        return c.refused and self.verdict != UNKNOWN

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is wrong, in words, and the gate's own sentence."""
        found = [c.sentence for c in self.claims if self._refused(c)]
        for o in self.outliers:
            place = ", ".join(f"{name} = {value:.4g}" for name, value in o.place.items())
            found.append(f"trajectory {o.trajectory} is unlike the others: {o.reason} ({place})")
        return (*found, self.gate.sentence)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without the map."""
        return {
            "equation": self.equation,
            "verdict": self.verdict,
            "sentences": list(self.sentences),
            "outliers": [{"trajectory": o.trajectory, "reason": o.reason, **o.place} for o in self.outliers],
            "noise": self.noise,
            "gate": self.gate.to_dict(),
        }

    def table(self) -> Rows:
        """The coefficients: what the equation says, and the interval that the data give."""
        names = ["term", "equation", "data", "lower", "upper", "refused"]
        return Rows(names, [[c.name, c.claimed, c.estimate, c.lower, c.upper, self._refused(c)] for c in self.claims])

    def plot(self, axes: Any = None) -> Any:
        """Draws the interval of each coefficient that the data give beside what the equation says.

        Args:
            axes: of matplotlib; by default those of a new figure.

        Returns:
            The axes, to go on with.

        Raises:
            UserError: matplotlib is missing.
        """
        panel = plotting.subplots(1, axes)[0]
        known = [(c, c.estimate, c.lower, c.upper) for c in self.claims]
        for place, (c, estimate, lower, upper) in enumerate(known):
            panel.plot([c.claimed], [place], "k|", markersize=12)
            if estimate is not None and lower is not None and upper is not None:
                colour = "C3" if self._refused(c) else "C0"
                panel.errorbar(
                    [estimate], [place], xerr=[[estimate - lower], [upper - estimate]], fmt="o", color=colour
                )
        panel.set(yticks=range(len(known)), yticklabels=[c.name for c, *_ in known], xlabel="coefficient")
        panel.invert_yaxis()
        return panel

    def __str__(self) -> str:
        rows = []
        for c in self.claims:
            if c.estimate is None or c.lower is None or c.upper is None:
                rows.append([c.name, f"{c.claimed:g}", "-", "-", "no"])
                continue
            interval = f"{c.lower:.6g} ... {c.upper:.6g}"
            rows.append([c.name, f"{c.claimed:g}", f"{c.estimate:.6g}", interval, "yes" if self._refused(c) else "no"])
        level = f">{100 * (1 - self.gate.alpha):g} % interval"
        lines = text_table(["term", ">equation", ">data", level, "refused"], rows)
        count = len(self.gate.trials)
        who = "1 trajectory that claims" if count == 1 else f"{count} trajectories that claim"
        head = f"{who} {self.equation}: {self.verdict}"
        return "\n".join([head, "", lines, "", *self.sentences])


@one_thread()
def audit_data(data: Trajectories, alpha: float = 0.05) -> DataAudit:
    """Whether data solve the equation they claim, trajectory by trajectory and coefficient by coefficient.

    Determinism: the same data give the same audit.

    Args:
        data: trajectories with the equation they claim.
        alpha: probability that any of the intervals of coefficients that are shown misses; those that refuse a
            coefficient do with 1e-3.

    Raises:
        UserError: terms that are not finite on the data, or times that cannot be told apart.
        ValueError: `alpha` is no probability.

    >>> from dataclasses import replace
    >>> from symflow import pde
    >>> data = pde.generate("kdv", samples=4, seed=0, steps=60, keep=60, end=20.0, resolution=128)
    >>> audit_data(data).verdict
    'solves'
    >>> audit_data(replace(data, equation=pde.Equation("u_t + 6*u*u_x + u_xxx = 0"))).sentences[0]
    'the data have u*u_x with coefficient 1.00000 ± 0.00006, the equation says 6'
    """
    if not isinstance(data, Trajectories):
        raise UserError(f"`data` must be trajectories, got {type(data).__name__}; `pde.load` reads files")
    check_alpha(alpha)
    judged = gate(data, alpha=alpha)
    residual, noise, centres = _map(data)
    outliers = []
    for trial in judged.outliers:
        places = centres if residual.numel() else {"t": data.t, **{a.name: a.nodes for a in data.axes}}
        at = [0] * len(places)
        if residual.numel():
            own = residual[trial.trajectory]
            at = [int(n) for n in torch.unravel_index(own.abs().argmax(), own.shape)]
        place = {name: float(nodes[n]) for (name, nodes), n in zip(places.items(), at, strict=True)}
        outliers.append(Outlier(trial.trajectory, trial.reason, place))
    return DataAudit(judged, tuple(outliers), noise, residual, centres)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _map(data: Trajectories) -> tuple[Tensor, float, dict[str, Tensor]]:
    """The residual for the narrowest test functions, the relative noise, the centres; empty without room for any."""
    nowhere: tuple[Tensor, float, dict[str, Tensor]] = torch.zeros(len(data), 0, 0, dtype=torch.float64), 0.0, {}
    residuals = data.equation.residuals
    if len(data.t) < 2 and "t" in data.equation.space.independent:
        return nowhere
    samples = Samples.of(data, residuals, torn=tears(data))
    choices = ladder(samples)
    if not choices:
        return nowhere
    maps = []
    for law in (Law.of(F, samples.space) for F in residuals):
        columns = law.columns()
        J = len(law.terms)
        rows = rows_on_axes(samples, [*columns[: J + 1], columns[-1]], choices[0])
        weights = torch.tensor([1.0, *law.claimed], dtype=torch.float64)
        size = rows.rms((rows.plain[..., : J + 1] * weights).square().sum(-1).sqrt()).clamp_min(1e-300)
        maps.append(rows.plain[..., -1] / size.reshape(-1, *[1] * len(samples.axes)))
    several = torch.stack(maps)
    worst = several.abs().argmax(0, keepdim=True)
    noise = float((rows.sigma / samples.values.transpose(0, 1).flatten(1).std(1).clamp_min(1e-300)).amax(1).median())
    centres = dict(zip((a.name for a in samples.axes), rows.centres, strict=True))
    return several.gather(0, worst)[0], noise, centres
