"""Trajectories as people see them: in a line, in a notebook, in axes of matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from symflow import plotting
from symflow.errors import UserError, check_integer

if TYPE_CHECKING:
    from .data import Trajectories

MOST_PIXELS = 256  # along an axis of the picture in a notebook


class Shown:
    """What shows trajectories; `Trajectories` is one."""

    def __repr__(self: Any) -> str:
        return f"<Trajectories: {self.summary}>"

    @property
    def summary(self: Any) -> str:
        """How many, of what, on which grid."""
        sizes = [f"{len(self.t)} times", *(f"{len(a.nodes)} of {a.name}" for a in self.axes)]
        what = f"{len(self)} trajector{'y' if len(self) == 1 else 'ies'} of {self.equation.text}"
        numbers = "".join(f", {name} = {value:g}" for name, value in self.equation.parameters.items())
        return f"{what}{numbers}; {' x '.join(sizes)}; {', '.join(self.fields)}"

    @property
    def laid_out(self: Any) -> str:
        """Which fields over which axes, for a sentence that wants others."""
        axes = [f"{a.name}{'' if a.period is None else ' (periodic)'}" for a in self.axes]
        gone = ", some values missing" if self.missing is not None else ""
        return f"{', '.join(self.fields)} over {', '.join(['t', *axes])}{gone}"

    def _repr_html_(self: Any) -> str:
        """The same, with a picture of the first field of the first trajectory along t and the first axis."""
        from symflow.report import figures

        if len(self.axes) != 1 or not len(self):
            return str(Markup("<pre>{}</pre>").format(self.summary))
        u = _plane(self, 0, self.fields[0])
        rows, columns = (np.linspace(0, n - 1, min(n, MOST_PIXELS)).round().astype(int) for n in u.shape)
        x, t = self.axes[0].nodes.numpy()[columns], self.t.numpy()[rows]
        figure = figures.values(self.fields[0], self.axes[0].name, (x, t), u[np.ix_(rows, columns)])
        picture = figure.inline(f"{self.fields[0]} of the first trajectory in space and time")
        return str(Markup("<p>{}</p>{}").format(self.summary, Markup(picture)))  # noqa: S704

    def plot(self: Any, sample: int = 0, field: str | None = None, axes: Any = None) -> Any:
        """Draws a field of one trajectory: over x and t, over t where there is no axis of space.

        Of several axes of space the others are taken at their middle.

        Args:
            sample: which trajectory.
            field: by name; the first one by default.
            axes: of matplotlib; by default those of a new figure.

        Returns:
            The axes, to go on with.

        Raises:
            UserError: there is no such trajectory or field, or matplotlib is missing.
        """
        check_integer("sample", sample, 0, len(self) - 1)
        field = self.fields[0] if field is None else field
        if field not in self.fields:
            raise UserError(f"`field` must be one of {', '.join(self.fields)}, got {field!r}")
        panel = plotting.subplots(1, axes)[0]
        u = _plane(self, sample, field)
        if not self.axes:
            panel.plot(self.t.numpy(), u)
            panel.set(xlabel="t", ylabel=field)
            return panel
        mesh = panel.pcolormesh(self.axes[0].nodes.numpy(), self.t.numpy(), u, shading="nearest")
        panel.figure.colorbar(mesh, ax=panel, label=field)
        panel.set(xlabel=self.axes[0].name, ylabel="t")
        return panel


def _plane(data: Trajectories, sample: int, field: str) -> np.ndarray:
    """A field over t and the first axis, ``[T, X]``, or ``[T]`` without one."""
    u = data.field(field)[sample].numpy()
    for axis in range(len(data.axes) - 1, 0, -1):
        u = np.take(u, u.shape[1 + axis] // 2, axis=1 + axis)
    return np.asarray(u)
