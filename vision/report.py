"""The page a person reads after a discovery in images: one self-contained HTML file, and its figures as SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import sympy
import torch
from markupsafe import Markup

from symflow.formulas import notation
from symflow.report import Card, Page, Picture, motion, open_run

from . import figures
from .discovery import AFFINE_RANK, ImageResult, held_out_figures, load_image_result
from .search import AFFINE, pixel_centres

AFFINE_NAMES = ("1 ∂x", "1 ∂y", "x ∂x", "y ∂y", "y ∂x", "x ∂y")


def write_report(run: str | Path) -> Path:
    """Writes the page and figures of a run directory on images (`symflow.report.write_report`).

    What the run does not hold is left out: the fields, the evidence of `discovery.collect`.
    """
    folder, config = open_run(run)
    return ImagePage(folder, load_image_result(folder), config).write()


@dataclass(frozen=True)
class ImagePage(Page[ImageResult]):
    """The page of a discovery in images."""

    package: ClassVar[str] = "symflow.vision"
    template: ClassVar[str] = "images.html"

    def content(self) -> dict[str, Any]:
        """What the template shows."""
        result = self.result
        named = [g.motion for g in result.generators if g.motion is not None]
        return super().content() | {
            "setting": result.setting,
            "count": len(result.generators),
            "named": named,
            "six": AFFINE_RANK,
            "rows": [{"g": g, "formula": self.formula(k)} for k, g in enumerate(result.generators)],
            "spans": {"found": result.found, **result.controls},
            "measured": sum(g.valid for g in result.generators),
            "held_out": held_out_figures,
            "fields": self.fields(),
            "moved": self.moved(),
            "coloured": self.coloured(),
            "products": self.products(),
            "controls": self.controls(),
            "brackets": self.brackets(),
            "degrees": math.degrees,
        }

    @property
    def question(self) -> Markup:
        """Which motions of what."""
        return Markup("Which motions of the pixel plane leave what the images of {} show alone?").format(
            self.result.data
        )

    @property
    def headline(self) -> str:
        return self.result.headline

    def card(self, k: int) -> Card:
        """With the name of the motion; the closed form is the nearest one, not the field itself."""
        meaning = self.result.generators[k].motion or "no common name"
        return replace(super().card(k), formula=Markup(""), meaning=meaning)

    def motion(self, k: int) -> Markup | None:
        """The image as it moves, where the run has kept it; else the field's closed form on a net."""
        images = self.kept("moved", "lengths", len(self.result.generators))
        if images is None:
            return super().motion(k)
        return motion.film(
            f"{self.place}{k + 1}",
            images[0][k],
            f"An image moved along the {self.result.generators[k].motion or 'motion'}.",
        )

    @property
    def moving(self) -> str:
        kept = self.kept("moved", "lengths", len(self.result.generators)) is not None
        return "One image, moved along each generator, from one side to the other." if kept else super().moving

    def formula(self, k: int) -> Markup:
        """The closed form of a generator as MathML; empty without one."""
        forms = [i for i, g in enumerate(self.result.generators) if g.closed_form is not None]
        if k not in forms:
            return Markup("")
        dx, dy = self.result.symbolic_field.components[forms.index(k)]
        return notation.formula(*notation.combination([dx, dy], [sympy.Symbol(f"∂_{name}") for name in "xy"]))

    def brackets(self) -> list[list[str]]:
        """The table of ``[V_i, V_j]`` of the first six, coefficients below a tenth of the largest left out."""
        constants = np.array(self.result.structure_constants)
        least = 0.25 * np.abs(constants).max(initial=0.0)
        table: list[list[str]] = []
        for row in constants:
            table.append([])
            for entry in row:
                terms = [
                    f"{'−' if c < 0 else '+'} {abs(c):.1f} V{k + 1}" for k, c in enumerate(entry) if abs(c) > least
                ]
                table[-1].append(" ".join(terms).removeprefix("+ ") or "0")
        return table

    # ------------------------------------------------------------------ figures

    def values(self) -> np.ndarray | None:
        """The fields ``[K, H, W, 2]``."""
        if self.result.field is None:
            return None
        return self.result.field.values.detach().permute(0, 2, 1, 3).numpy()

    def fields(self) -> Picture | None:
        values = self.values()
        if values is None:
            return None
        titles = [
            (f"{_index('V', k)} {g.motion or ''}", f"λ = {g.value:.2f}") for k, g in enumerate(self.result.generators)
        ]
        alt = "Vector fields as arrows, from cheap to dear: " + ", ".join(
            g.motion or "no common name" for g in self.result.generators
        )
        return self.picture("fields", figures.vector_fields(values, titles), alt + ".")

    def moved(self) -> Picture | None:
        labels = [f"{_index('V', k)} {g.motion or ''}" for k, g in enumerate(self.result.generators)]
        return self.rows("moved", "lengths", labels, "An image moved along every generator, by several lengths.")

    def coloured(self) -> Picture | None:
        generators = [] if self.result.colours is None else self.result.colours.generators
        labels = [f"{_index('C', k)} {g.change or ''}" for k, g in enumerate(generators)]
        return self.rows("coloured", "changes", labels, "An image changed in colour, by several amounts.")

    def rows(self, name: str, lengths_name: str, labels: list[str], alt: str) -> Picture | None:
        """Rows of images at S lengths, when the run holds them."""
        kept = self.kept(name, lengths_name, len(labels))
        return None if kept is None else self.picture(name, figures.image_rows(*kept, labels), alt)

    def kept(self, name: str, lengths_name: str, count: int) -> tuple[np.ndarray, list[float]] | None:
        """Images ``[K, S, C, H, W]`` and S lengths, when the run holds what fits the result."""
        evidence = self.evidence()
        images, lengths = evidence.get(name), evidence.get(lengths_name)
        if images is None or lengths is None or lengths.dim() != 1 or not count:
            return None
        expected = (count, len(lengths), *self.result.setting.shape)
        if tuple(images.shape) != expected or images.shape[2] not in (1, 3) or not torch.isfinite(images).all():
            return None
        return images.float().numpy(), lengths.tolist()

    def products(self) -> Picture | None:
        values, omega = self.values(), self.result.omega
        if values is None or omega is None:
            return None
        weight = omega.double()
        fields = torch.from_numpy(values).double()
        affine = AFFINE(pixel_centres(*weight.shape)).movedim(2, 0)  # [6, H, W, 2]
        fields, affine = (
            v / torch.einsum("khwd,khwd,hw->k", v, v, weight).sqrt()[:, None, None, None] for v in (fields, affine)
        )
        own, with_affine = (torch.einsum("ahwd,bhwd,hw->ab", fields, v, weight).numpy() for v in (fields, affine))
        figure = figures.products(own, with_affine, [n.replace(" ∂", "∂") for n in AFFINE_NAMES], weight.numpy())
        alt = (
            "Inner products of the generators with each other and with the affine fields, and the weight of the pixels."
        )
        return self.picture("products", figure, alt)

    def controls(self) -> Picture:
        spans = {"found": self.result.found, **self.result.controls}
        affine = {name: span.affineness for name, span in spans.items()}
        ratios = {name: s.values for name, s in spans.items() if s.values and name != "smoothness only"}
        figure = figures.beside_controls([("affine-ness", affine), ("λ", ratios)], AFFINE_RANK)
        return self.picture("controls", figure, "Affine-ness and lambda of the generators and of the controls.")


def _index(letter: str, k: int) -> str:
    return letter + notation.subscript(k + 1)


PAGE = ImagePage
