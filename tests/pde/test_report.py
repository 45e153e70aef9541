"""The report: whole, self-contained, sensible whatever the run lacks, and safe whatever its files say."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
import torch

from symflow import SymbolicField, UserError, pde
from symflow.pde.approximation import Approximate, Search
from symflow.pde.discovery.evidence import collect
from symflow.pde.discovery.result import NeuralSpan, Spectrum
from symflow.pde.gate import Coefficient, Gate
from symflow.pde.report import write_report
from symflow.pde.trajectories import Axis
from symflow.runs import Run

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """What a page holds, and whether its elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def data():
    x = torch.arange(64, dtype=torch.float64) / 6.4
    t = torch.linspace(1.0, 2.0, 6, dtype=torch.float64)
    phase = torch.arange(18, dtype=torch.float64).view(3, 6, 1)
    u = 0.3 * torch.sin(2 * torch.pi * x / 10 + phase) + 0.2 * torch.cos(4 * torch.pi * x / 10 - phase**2)
    return pde.Trajectories(pde.Equation("u_t + u*u_x + u_xxx = 0"), x, t, u)


@pytest.fixture(scope="module")
def result(data):
    """KdV with the period of the data, with a network that has learned the span exactly."""
    found = pde.discover(data, network="none", trust=True)  # these waves solve nothing
    field = SymbolicField(found.coordinates, [{"dx": "1"}, {"dx": "1", "dt": "1"}, {"dx": "t + 1", "du": "1"}])
    spectrum = Spectrum([1e-7, 1e-7, 4e-7, 7e-3, 8e-3, 9e-3], 3, 1e-5)
    return replace(found, neural=NeuralSpan(spectrum, [1e-7] * 3, [1e-9, 1e-8, 1e-6], [1e-9, 1e-8, 1e-6], field=field))


@pytest.fixture(scope="module")
def solved():
    """KdV from data that solve it."""
    return pde.discover(pde.generate("kdv", 2, seed=0, steps=60, keep=60, end=20.0, resolution=128), network="none")


CONFIG = {"command": "discover", "data": "my data.h5", "equation": None, "domain": "periodic", "seed": 0}


def make(path, result, evidence=None, config=CONFIG, steps=5):
    """A run directory as the command line leaves it."""
    run = Run(path, config)
    for step in range(steps):
        run.log({"stage": "network", "step": step, "loss": -1.0, "violation1": 1e-3 / (step + 1), "violation2": 1e-2})
    result.save(run.path / "result.json")
    if evidence is not None:
        run.save_tensors("evidence", evidence, {"rank": result.rank})
    return run.path


def read(path) -> Page:
    return Page((path / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def run(data, result, tmp_path_factory):
    path = make(tmp_path_factory.mktemp("report") / "run", result, collect(data, result))
    assert write_report(path) == path / "report.html"
    return path


def test_the_page_answers_first(run):
    page = read(run)
    first = page.text[page.text.rindex("3 continuous") :]
    assert first.startswith("3 continuous symmetries, proved and valid for data that are trusted to solve it.")
    for words in ("All 3 are proved", "The two counts agree", "Galilean boost", "The other brackets vanish"):
        assert words in page.text


def sections(path) -> list[list[str]]:
    """The heads of every table on the page, and whether the table is folded away."""
    text = (path / "report.html").read_text(encoding="utf-8")
    return [
        ["folded" if "<details>" in text[: m.start()] else "shown", *re.findall(r"<th(?: [^>]*)?>(.*?)</th>", m[0])]
        for m in re.finditer(r"<thead>.*?</thead>", text, re.DOTALL)
    ]


def test_the_first_three_lines_say_what_is_proved_and_what_is_measured(solved, tmp_path):
    path = make(tmp_path / "run", solved)
    write_report(path)
    text = (path / "report.html").read_text(encoding="utf-8")
    header = text[text.index("<header>") : text.index("</header>")]
    lines = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd><dd>(.*?)</dd></div>", header)
    assert [line[:2] for line in lines] == [("equation", "proved"), ("domain", "proved"), ("data", "measured")]
    equation, domain, data = (line[2] for line in lines)
    assert equation == "4 symmetries; no others of any form, counted modulo a prime"
    assert domain == "3 of them keep the period; lost: x dx + 3*t dt - 2*u du"
    assert re.match(
        r"these data solve it \(weak residual .*, 2 of 2 trajectories\); the coefficients are known to", data
    )
    assert header.index('<p class="question">') < header.index("<h1>") < header.index("<dl")
    content = json.loads((path / "result.json").read_text())["verdicts"]
    assert [content[level]["word"] for level in ("equation", "domain", "data")] == [line[1] for line in lines]


def test_what_only_checks_the_code_is_folded_away(run):
    tables = sections(run)
    figures = {"moved", "floor", "control"}
    assert [t[0] for t in tables if figures & set(t)] == ["folded"]


def test_a_check_of_the_code_that_fails_is_shown(result, tmp_path):
    broken = replace(result.generators[0], score=0.3)
    path = make(tmp_path / "run", replace(result, generators=[broken, *result.generators[1:]]))
    write_report(path)
    assert "V1 fails a check of the code: moved along it, the residual" in read(path).text
    assert [d for d in read(path).all("details") if "class" not in d] == [{"open": None}]


def test_data_that_do_not_solve_their_equation_are_refuted_at_once(data, tmp_path):
    found = pde.discover(data, network="none")
    assert found.verdict in ("refuted", "cannot be told")
    path = make(tmp_path / "run", found, collect(None, found))
    write_report(path)
    text = read(path).text
    begin = text.index("The equation has 3 continuous symmetries, proved; ")
    assert (
        "None of them is valid for these data: what follows is about the equation alone" in text[begin : begin + 1500]
    )
    assert "everything else is from random local solutions of the equation itself" in text
    assert f"data{found.verdict}" in text[begin : begin + 500].replace(" ", "").replace(
        "cannotbetold", "cannot be told"
    )


def test_the_page_is_self_contained(run):
    page = read(run)
    assert not page.all("script")
    assert not page.all("link")
    assert "http:" not in (run / "report.html").read_text()
    assert all(a["href"].startswith("#") for a in page.all("a"))
    identities = {a["id"] for _, a in page.elements if "id" in a}
    assert {a["href"][1:] for a in page.all("a")} <= identities
    pictures = [a for _, a in page.elements if a.get("role") == "img"]
    assert len(pictures) == 12 + 3  # of these three move
    assert all(len(a["aria-label"]) > 20 for a in pictures)
    assert page.all("image")
    for name in ("href", "src"):
        loaded = [a[name] for tag, a in page.elements if name in a and tag != "a"]
        assert all(value.startswith("data:image/png;base64,") for value in loaded)


def test_the_pictures_are_files_too(run):
    html = (run / "report.html").read_text(encoding="utf-8")
    files = {p.name: p.read_text(encoding="utf-8") for p in (run / "figures").iterdir()}
    kinds = {f"V{k}-{kind}.svg" for k in (1, 2, 3) for kind in ("flow", "residual", "field")}
    assert set(files) == kinds | {"gap.svg", "angles.svg", "learning.svg"}
    for content in files.values():
        root = ElementTree.fromstring(content)
        assert root.findtext("{*}title") == root.get("aria-label")
        panels = re.findall(r'<svg class="panel"[^>]*>(.*)</svg>', content)
        assert panels
        assert all(panel in html for panel in panels)


def test_the_same_run_gives_the_same_bytes(run):
    before = {p: p.read_bytes() for p in sorted(run.rglob("*")) if p.is_file()}
    write_report(run)
    assert {p: p.read_bytes() for p in sorted(run.rglob("*")) if p.is_file()} == before


def test_numbers_are_not_written_for_machines(run):
    assert not re.search(r"\d[eE]-\d", read(run).text)


def test_the_command_is_one_for_a_shell(run):
    assert "symflow discover 'my data.h5' --out run --domain periodic --seed 0" in read(run).text


def without(**changes):
    return lambda r: replace(r, **changes)


def unproven(r):
    first = replace(r.generators[0], verified=False, valid=False, score=0.3)
    return replace(r, generators=[first, *r.generators[1:]])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without(neural=None), "was left out of this run"),
        (without(truth=None), "No algebra is on record"),
        (without(structure_constants=None), "no structure constants are given"),
        (without(residual=None), "there are too few times"),
        (without(seconds={}), "What was studied"),
        (unproven, "Only 2 of 3 are proved"),
        (
            lambda r: replace(r, neural=replace(r.neural, spectrum=replace(r.neural.spectrum, rank=4))),
            "The two counts differ. The network found more",
        ),
        (
            lambda r: replace(r, neural=replace(r.neural, spectrum=replace(r.neural.spectrum, rank=1))),
            "The two counts differ. The network found fewer",
        ),
        (without(nullspace=Spectrum([0.0, 0.0, 0.0], 3, 1e-12)), "3 continuous symmetries, proved"),
    ],
)
def test_what_is_missing_or_wrong_is_said(result, tmp_path, change, words):
    changed = change(result)
    path = make(tmp_path / "run", changed)  # without evidence, which takes most of the time
    write_report(path)
    assert words in read(path).text


def test_no_symmetry(data, result, tmp_path):
    neural = replace(result.neural, spectrum=Spectrum([1e-2, 2e-2], 0, 1e-5), scores=[], principal_angles=[1.5])
    none = replace(
        result,
        rank=0,
        generators=[],
        structure_constants=None,
        nullspace=Spectrum([1e-2, 0.1], 0, 1e-12),
        truth=[1.5707963],
        neural=replace(neural, agreement=[], field=None),
    )
    path = make(tmp_path / "run", none, collect(data, none))
    write_report(path)
    assert "No continuous symmetry was found." in read(path).text
    assert {p.name for p in (path / "figures").iterdir()} == {"gap.svg", "angles.svg", "learning.svg"}


def test_what_nearly_holds(result, tmp_path):
    where = [[0.0] * 8 for _ in range(8)]
    where[7][2] = 1.0
    form = {"dx": "x", "dt": "3*t", "du": "-2*u"}
    near = Approximate(form, 3e-4, (2e-4, 4e-4), None, None, "not moved", 1e-4, 9e-4, 6e-4, True, None, None, where)
    search = Search(0.02, 1e-6, 0.05, 0.02, Spectrum([6e-4, 0.2], 1, 1e-7), "")
    path = make(tmp_path / "run", replace(result, approximate=[near], approximation=search))
    write_report(path)
    page = read(path)
    assert "What nearly holds" in page.text
    assert "independent of what is proved" in page.text
    assert "100% of the violation lies in t from 1.88 to 2" in page.text
    untold = Search(None, None, 0.05, 0.02, None, "cannot be told: too few <b>data</b>")
    path = make(tmp_path / "other", replace(result, approximation=untold))
    write_report(path)
    assert "Approximate symmetries cannot be told: too few <b>data</b>." in read(path).text


def test_an_equation_alone(tmp_path):
    found = pde.discover("u_t = u_xx + u_x**2", domain="plane", network="none")
    path = make(tmp_path / "run", found, collect(None, found))
    write_report(path)
    page = read(path)
    assert "This equation has 6 continuous symmetries and 1 infinite family, proved." in page.text
    assert "there is no trajectory to move" in page.text
    assert len(list((path / "figures").glob("V*-field.svg"))) == 6


def test_a_bare_result_is_enough(result, tmp_path):
    result.save(tmp_path / "result.json")
    write_report(tmp_path)
    page = read(tmp_path)
    assert "The run holds no evidence file" in page.text
    assert "does not say how it was started" in page.text


def test_evidence_of_another_result_is_left_out(data, result, tmp_path):
    path = make(tmp_path / "run", result, collect(data, replace(result, generators=result.generators[:2])))
    write_report(path)
    assert "The run holds no evidence file that belongs to this result" in read(path).text


def test_a_line_of_metrics_that_a_kill_cut_short_is_left_out(result, tmp_path):
    path = make(tmp_path / "run", result)
    with open(path / "metrics.jsonl", "a") as file:
        file.write('{"stage": "network", "st')
    write_report(path)
    assert (path / "figures" / "learning.svg").exists()


def test_flows_that_leave_every_domain_are_drawn(data, result, tmp_path):
    evidence = collect(data, result)
    evidence["moved"][0, 2:4, 10:20] = torch.nan
    evidence["residual.control"][:] = torch.inf
    evidence["learned.field"][1, 0] = torch.nan
    evidence["moved"][2] = torch.nan
    write_report(make(tmp_path / "run", result, evidence))


def test_hostile_strings_stay_text(result, tmp_path):
    attack = "<script>alert(1)</script>"
    path = make(tmp_path / "run", result, config={**CONFIG, "data": attack, "identity": attack})
    d = json.loads((path / "result.json").read_text())
    d["name"] = attack
    d["generators"][0]["name"] = "../../" + attack
    (path / "result.json").write_text(json.dumps(d))
    write_report(path)
    page = read(path)
    assert not page.all("script")
    assert page.text.count(attack) >= 3
    assert {p.name for p in tmp_path.iterdir()} == {"run"}


def test_no_result_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        write_report(tmp_path)


def test_damaged_evidence_is_one_sentence(result, tmp_path):
    path = make(tmp_path / "run", result)
    (path / "evidence.safetensors").write_bytes(b"no tensors")
    with pytest.raises(UserError, match="must be a checkpoint"):
        write_report(path)


# ---- data of other shapes than u on a line ---------------------------------------------------------------------------

TURN = 2 * torch.pi


@pytest.fixture(scope="module")
def box():
    """Two unknowns in a box, each a plane wave that diffuses."""
    x, y = (torch.arange(n, dtype=torch.float64) * (TURN / n) for n in (16, 12))
    t = torch.linspace(0, 1, 21, dtype=torch.float64)
    T, X, Y = torch.meshgrid(t, x, y, indexing="ij")
    u = torch.stack([torch.cos(X + Y) * torch.exp(-0.2 * T), torch.sin(X - 2 * Y) * torch.exp(-1.0 * T)], -1)
    equation = pde.Equation("u_t = 0.1*(u_xx + u_yy); v_t = 0.2*(v_xx + v_yy)")
    axes = (Axis("x", x, TURN), Axis("y", y, TURN))
    return pde.Trajectories(equation, x, t, u[None], fields=("u", "v"), axes=axes)


@pytest.fixture(scope="module")
def in_box(box):
    found = pde.discover(box, network="none", trust=True)
    assert [g.formula for g in found.generators] == ["dx", "dy", "dt", "u du", "v dv"]
    return found


@pytest.fixture(scope="module")
def box_run(box, in_box, tmp_path_factory):
    rows = [
        Coefficient(e, term, c, c, c - 1e-9, c + 1e-9, None, True, False, leading)
        for e, term, c, leading in ((0, "u_xx", -0.1, "u_t"), (1, "v_xx", -0.2, "v_t"), (0, "v", 0.0, "u_t"))
    ]
    gate = Gate(box.equation.text, "solves", "", (), tuple(rows[:2]), tuple(rows[2:]), (), "weak form", 0.05)
    path = make(tmp_path_factory.mktemp("box") / "run", replace(in_box, gate=gate), collect(box, in_box))
    write_report(path)
    return path


def captions(path) -> list[str]:
    text = (path / "report.html").read_text(encoding="utf-8")
    return [re.sub(r"\s+", " ", c) for c in re.findall(r"<figcaption>(.*?)</figcaption>", text, re.DOTALL)]


def test_a_box_is_shown_on_the_axes_that_each_generator_moves(box_run):
    page, below = read(box_run), captions(box_run)
    for words in (
        "the factors are the speeds of x, y, t, u and v",
        "21 times and 16 × 12 places",
        "none: it is of one unknown u on a periodic line, and these have x, y, t, u and v",
        "What leaves a picture on one side of x or y comes back on the other",
    ):
        assert words in page.text
    flows = [c for c in below if "moved with" in c]
    assert [c.partition(",")[0] for c in flows] == [
        "u of a trajectory at t = 0.5 as it is",
        "u of a trajectory at t = 0.5 as it is",
        "u of a trajectory at y = 3.14 as it is",
        "u of a trajectory at t = 0.5 as it is",
        "v of a trajectory at t = 0.5 as it is",
    ]
    assert [c.partition(".")[0] for c in below if "begin" in c] == [
        "Arrows say how x and y begin to move",
        "Arrows say how x and y begin to move",
        "Arrows say how x and t begin to move",
        "Colour says how u begins to change",
        "Colour says how v begins to change",
    ]


def test_every_coefficient_of_a_system_says_whose_it_is(box_run):
    text = (box_run / "report.html").read_text(encoding="utf-8")
    rows = re.findall(r"<tr><td><code>(\w+)</code></td><td><code>(\w+)</code></td>", text)
    assert rows == [("u_t", "u_xx"), ("u_t", "v"), ("v_t", "v_xx")]
    assert "equation of</th>" in text


def test_what_was_moved_differs_from_what_was(box_run):
    """No picture called moved shows what was there before, which a slice that a generator does not move would."""
    for k in (1, 2, 3, 4, 5):
        content = (box_run / "figures" / f"V{k}-flow.svg").read_text(encoding="utf-8")
        before, after = re.findall(r'<image x="0" y="0"[^>]*href="([^"]*)"', content)
        assert before != after


def test_evidence_of_earlier_runs_shows_what_it_has(box, in_box, tmp_path):
    """Runs of 0.2.0 had the first axis over time and the first unknown, whatever a generator moves."""
    e = collect(box, replace(in_box, generators=in_box.generators[2:3], rank=1))
    one = {name: e[name] for name in ("x", "t", "u", "residual.before")} | {"shape": torch.tensor([1, 21, 16])}
    for name in ("field", "moved", "length", "residual.after", "residual.control"):
        one[name] = e[name].expand(5, *e[name].shape[1:]).contiguous()
    path = make(tmp_path / "run", in_box, one)
    write_report(path)
    text = read(path).text
    assert "21 times and 16 places along x" in text
    assert text.count("kept no picture in which this one moves anything") == 2  # of d/dy and v d/dv
    assert {p.name for p in (path / "figures").glob("V*-flow.svg")} == {f"V{k}-flow.svg" for k in (1, 3, 4)}


def test_orbits_say_why_they_have_no_pictures(tmp_path):
    t = torch.linspace(0, 6, 121, dtype=torch.float64)
    orbit = torch.stack([2 + t.cos(), 2 - t.sin()], -1)[None]
    hunt = pde.Equation("u_t = u - u*v; v_t = u*v - v")
    data = pde.Trajectories(hunt, torch.zeros(0), t, orbit, fields=("u", "v"), axes=())
    found = pde.discover(data, network="none", trust=True)
    path = make(tmp_path / "run", found, collect(data, found))
    write_report(path)
    assert "These data are orbits, which have no axis of space" in read(path).text
    assert "start a motion at any other time" in read(path).text
