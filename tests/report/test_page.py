"""The page: for eyes, for a keyboard, for a screen reader, on paper; and two runs side by side."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from jinja2 import Environment

import symflow
from symflow import Coordinates, SymbolicField, pde
from symflow.report import motion, write_comparison, write_report
from symflow.report.page import environment
from symflow.report.side_by_side import shared_dimension
from symflow.report.svg import COLOURS
from symflow.runs import Run


class Outline(HTMLParser):
    """The elements of a page with their attributes, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def run_of(folder: Path, result, **config) -> Path:
    result.save(Run(folder, {"command": "discover", **config}).path / "result.json")
    return folder


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    points = torch.randn(400, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    circle = symflow.discover(symflow.invariance(lambda z: z.square().sum(-1), points))
    burgers, kdv = pde.discover("burgers"), pde.discover("kdv")
    runs = {
        "burgers": run_of(folder / "burgers", burgers, equation="burgers"),
        "kdv": run_of(folder / "kdv", kdv, equation="kdv"),
        "plane": run_of(folder / "plane", pde.discover("u_t = u_xx + u_yy")),
        "circle": run_of(folder / "circle", circle),
    }
    found = {name: write_report(run).read_text(encoding="utf-8") for name, run in runs.items()}
    both = write_comparison(runs["burgers"], runs["kdv"], folder / "both.html")
    return found | {"both": both.read_text(encoding="utf-8")}


NAMES = ("burgers", "kdv", "plane", "circle", "both")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_needs_nothing_and_runs_nothing(name, pages):
    html = pages[name]
    assert not re.search(r"<script|\son\w+=|https?://(?!www\.w3\.org)", html)
    assert "default-src 'none'" in html


@pytest.mark.parametrize("name", NAMES)
def test_a_page_can_be_read_aloud_and_by_keyboard(name, pages):
    outline = Outline(pages[name])
    assert outline.all("html")[0]["lang"] == "en"
    assert all(cell.get("scope") in ("col", "row") for cell in outline.all("th"))
    for pictured in [e for tag, e in outline.elements if tag in ("svg", "div", "img") and e.get("role") == "img"]:
        assert len(pictured["aria-label"]) > 10
    assert all(image.get("alt") for image in outline.all("img"))
    heads = [int(tag[1]) for tag, _ in outline.elements if re.fullmatch("h[1-6]", tag)]
    assert heads[0] == 1
    assert heads.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(heads))
    names = [e["id"] for _, e in outline.elements if e.get("id")]
    assert len(names) == len(set(names))
    links = [e["href"] for e in outline.all("a")]
    assert {link.removeprefix("#") for link in links if link.startswith("#")} <= set(names)
    assert all(e.get("tabindex") == "0" for tag, e in outline.elements if "motion" in (e.get("class") or "").split())
    assert all(e.get("tabindex") == "0" for e in outline.all("pre"))  # they scroll


@pytest.mark.parametrize("name", NAMES[:4])
def test_the_first_screen_is_question_answer_verdicts_and_generators(name, pages):
    html = pages[name]
    places = [html.index(part) for part in ('class="question"', "<h1>", 'class="levels"', 'class="cards"', "<details")]
    assert places == sorted(places)
    first = html[: places[-1]]
    assert first.count("<animate ") == first.count('class="panel motion"') > 0
    for words in ("<dt>seed</dt>", "<dt>made</dt>", "<dt>machine</dt>", "torch"):
        assert words in html[places[-1] :]


def test_what_is_evidence_is_folded(pages):
    outline = [e for e in Outline(pages["burgers"]).elements if e[0] in ("details", "h2")]
    assert sum(tag == "details" and "open" not in e for tag, e in outline) >= 5


@pytest.mark.parametrize("name", NAMES)
def test_who_wants_no_motion_gets_none(name, pages):
    css = "".join(re.findall(r"<style>(.*?)</style>", pages[name], re.DOTALL))
    for where in ("prefers-reduced-motion: reduce", "print"):
        assert re.search(
            rf"@media \(?{where}\)?{{\.motion \.still{{display:inline}}\.motion \.moving{{display:none}}", css
        )
    for begin, repeated, seconds in re.findall(r'begin="([^"]*)" dur="([^"]*)s" repeatCount="(\d)"', pages[name]):
        assert begin.startswith("0s;")
        assert float(repeated) * float(seconds) <= 5  # WCAG 2.2.2: what moves longer needs a button to stop it


# ---- contrast (WCAG 2.1, 1.4.3 and 1.4.11) --------------------------------------------------------------------------


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def schemes() -> dict[str, dict[str, str]]:
    """The variables of the style, light and dark, as they are rendered."""
    rendered: Environment = environment("symflow.report")
    css = rendered.get_template("style.html").render()
    blocks = re.findall(r":root\s*{([^}]*)}", css)
    found = [dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-f]{6})", block)) for block in blocks[:2]]
    return {"light": found[0], "dark": found[1]}


def test_the_measure_of_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_what_they_lie_on(scheme):
    colours = schemes()[scheme]
    assert set(COLOURS) <= set(colours)
    for ground in ("paper", "panel"):
        for ink in ("ink", "quiet", "accent", "good", "bad", "open"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
        for mark in ("first", "second", "third", "fourth", "fifth", "sixth"):
            assert contrast(colours[mark], colours[ground]) >= 3, (mark, ground)
    assert contrast(colours["gap-ink"], colours["gap"]) >= 4.5


# ---- pictures that move ---------------------------------------------------------------------------------------------


def test_points_are_carried_as_far_as_they_should_be():
    field = SymbolicField(Coordinates(("x", "y"), scale=(4.0, 4.0)), [{"dx": "-y", "dy": "x"}])
    points = torch.rand(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 0.5
    frames = motion.carried(field, points)
    assert frames.shape == (motion.FRAMES, 50, 2)
    np.testing.assert_allclose(frames[0], 4 * points, atol=1e-15)
    radii = np.hypot(*np.moveaxis(frames, -1, 0))
    np.testing.assert_allclose(radii, np.broadcast_to(radii[0], radii.shape), rtol=1e-7)  # a rotation keeps them
    moved = np.sqrt(((frames[-1] - frames[0]) ** 2).sum(-1).mean()) / 4
    assert moved == pytest.approx(motion.REACH, rel=0.1)


def test_nothing_that_is_not_finite_is_carried():
    field = SymbolicField(Coordinates(("x", "y")), [{"dx": "1/x"}])
    assert motion.carried(field, torch.zeros(3, 2, dtype=torch.float64)) is None


def test_frames_have_one_structure(pages):
    """What the animation runs through can be interpolated: the same commands in the same order."""
    values = re.findall(r'attributeName="d"[^>]*values="([^"]*)"', pages["burgers"] + pages["plane"])
    assert values
    for row in values:
        assert len({re.sub(r"-?\d+", "n", frame) for frame in row.split(";")}) == 1


# ---- two runs -------------------------------------------------------------------------------------------------------


def test_two_runs_are_shown_side_by_side(pages):
    html = pages["both"]
    assert html.count('class="levels"') == 2
    assert "Their spans share 3 directions, of 5 and 4." in html
    assert "<h1>burgers beside kdv</h1>" in html


def test_spans_are_compared_and_not_lists():
    x = [{"dx": "1", "du": "0"}, {"dx": "0", "du": "1"}]
    mixed = [{"dx": "1", "du": "1"}, {"dx": "1", "du": "-2"}]
    other = [{"dx": "x", "du": "0"}, {"dx": "1", "du": "-1"}]
    assert (shared_dimension(("x", "u"), x, mixed), shared_dimension(("x", "u"), x, other)) == (2, 1)
