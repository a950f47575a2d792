"""The report as text: whole, escaped, small enough, and without any way to reach a network."""

import base64
import hashlib
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import sample_documents as samples

from cpd.errors import CpdError, install
from cpd.verdict.document import Document
from cpd.views.report import page as report
from cpd.views.report.figures import MOST_COURSES, figures
from cpd.views.report.packing import packed
from cpd.views.report.page import Provenance, write_report
from cpd.views.report.panels import rounded
from cpd.views.report.tables import MOST_ROWS
from cpd.views.tables.headline import verdict_sentences

pytest.importorskip("plotly", reason="the extra 'report' is not installed")

PROVENANCE: Provenance = {
    "spec_text": "task: ../tasks/rate.yaml  # <as written>\n",
    "canonical": {"methods": {"lagrangian": {"dual_lr": 0.1, "update": "alternating"}}},
    "command_line": "cpd sweep figure2 --set 'a=<b>'",
    "repeat_command": "cpd sweep figure2 --fresh",
    "versions": {"python": "3.12.1", "torch": "2.9.0"},
    "machine": {"processor": "A & B", "cores": 8},
    "started": "2026-01-31T14:25:30.000+00:00",
    "ended": "2026-01-31T14:26:30.000+00:00",
}


class Page(HTMLParser):
    """Elements, scripts and texts of a page, as a browser would read them."""

    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text = ""
        self._open: tuple[str, dict[str, str | None]] | None = None
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = (tag, dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        self._open = None

    def handle_data(self, data: str) -> None:
        if self._open and self._open[0] == "script":
            self.scripts.append((self._open[1], data))
        elif not (self._open and self._open[0] == "style"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def all_runs(content: str) -> str:
    """The table of all runs as it is written."""
    [table] = re.findall(r'aria-label="all runs"><table[^>]*>(.*?)</table>', content, re.DOTALL)
    return str(table)


def hostile() -> Document:
    """A document every text of which tries to break out."""
    text = samples.HOSTILE
    document = samples.figure2()
    document["task"] = document["objective"] = text
    document["constraints"] = {text: document["constraints"]["class0_rate"]}
    for run in document["runs"]:
        run |= {"method": text, "setting": {text: 1.0 + len(run["setting"]), "word": text}, "error": text}
        run |= {
            "constraints": {text: run["constraints"]["class0_rate"]},
            "levels": {text: run["levels"]["class0_rate"]},
        }
        run |= {"metrics": {text: 1.0}, "diagnosis": None, "status": "completed", "objective": 1.0}
    for entry in document["summary"]:
        entry |= {"method": text, "best_setting": {text: 1.0}, "best_objective": 1.0}
    return document


@pytest.fixture(scope="module")
def content() -> str:
    document = samples.figure2()
    return report.page(document, samples.curves_of(document), PROVENANCE)


def test_a_reader_finds_everything(content: str) -> None:
    page = Page(content)
    for text in (
        "minimise cross_entropy subject to class0_rate >= 70 % (tolerance 0.25 %)",
        "lagrangian: 16 of 20 settings feasible",
        "1 of 40 runs diverged.",
        "task: ../tasks/rate.yaml  # <as written>",
        '"update": "alternating"',
        "cpd sweep figure2 --set 'a=<b>'",
        "cpd sweep figure2 --fresh",
        "A & B",
        "torch",
        "2.9.0",
        "2026-01-31T14:26:30.000+00:00",
    ):
        assert text in page.text, text
    anchors = [a["href"] for a in page.all("a")]
    ids = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert len(anchors) == 8 + 3  # sections and figures
    assert {anchor.removeprefix("#") for anchor in anchors if anchor} <= set(ids)
    assert len(ids) == len(set(ids))


def test_all_runs_are_in_the_table_with_full_precision(content: str) -> None:
    document = samples.figure2()
    table = all_runs(content)
    assert table.count("<tr") == 41
    assert [run["objective"] for run in document["runs"] if run["objective"]] != []
    for run in document["runs"]:
        if run["objective"] is not None:
            assert f'data-value="{run["objective"]!r}"' in table
    assert table.count('aria-sort="none"') == table.count('<button type="button">') > 10


def unpacked(found: dict[str, Any]) -> list[Any]:
    """Figures as the page's script has them, lists of the pool put back."""

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            return found["pool"][value["$"]] if "$" in value else {name: whole(inner) for name, inner in value.items()}
        return [whole(inner) for inner in value] if isinstance(value, list) else value

    drawn: list[Any] = whole(found["figures"])
    return drawn


def drawings(content: str) -> list[Any]:
    [(_, text)] = [s for s in Page(content).scripts if s[0].get("type") == "application/json"]
    return unpacked(json.loads(text))


def test_figures_have_the_data(content: str) -> None:
    drawn = drawings(content)
    document = samples.figure2()
    assert len(drawn) == len(Page(content).all("figure")) == 3
    assert [line["name"] for line in drawn[0]["series"]] == ["penalized", "lagrangian"]
    [_, trace] = drawn[0]["panels"][0]["data"]
    wanted = [run["constraints"]["class0_rate"]["value"] for run in document["runs"] if run["method"] == "lagrangian"]
    assert trace["y"] == wanted
    assert trace["lead"][10] == "lagrangian<br>dual_lr 0.1<br>feasible"
    assert drawn[0]["panels"][0]["layout"]["xaxis"]["ticktext"][0] == "0"


@pytest.mark.parametrize("constraints", [1, 21])
def test_what_panels_have_alike_is_written_once(constraints: int) -> None:
    drawn = figures(*samples.many_constraints(constraints, settings=50))
    found = packed(drawn)
    text = json.dumps(found)
    assert text.count("penalized<br>coefficient 0.0001<br>") == 1
    assert text.count('"penalized, seed 0<br>coefficient 0.0001<br>') == 1
    for figure, back in zip(drawn, unpacked(found), strict=True):
        assert [panel["data"] for panel in back["panels"]] == [panel["data"] for panel in figure["panels"]]
        assert [panel["layout"] for panel in back["panels"]] == [panel["layout"] for panel in figure["panels"]]


@pytest.mark.parametrize(
    ("make", "kinds"),
    [
        (samples.table1, ["front", "levels"]),
        (samples.table2, ["bisection", "tuning", "front"]),
        (samples.two_constraints, ["tuning", "front", "levels"]),
    ],
)
def test_only_figures_that_have_data(make: Any, kinds: list[str]) -> None:
    document = make()
    found = figures(document, [None] * len(document["runs"]))
    assert [figure["kind"] for figure in found] == kinds
    for figure in found:
        series = {trace["series"] for panel in figure["panels"] for trace in panel["data"]}
        assert series == set(range(len(figure["series"])))


def test_dynamics_in_the_report_say_which_runs_are_chosen() -> None:
    document, curves = samples.many_runs(60)
    [figure] = [f for f in figures(document, curves) if f["kind"] == "dynamics"]
    assert len({line["name"] for line in figure["series"]}) == MOST_COURSES
    assert figure["caption"].startswith(f"{MOST_COURSES} of 60 runs: each method's best")


def test_dynamics_in_the_report_have_rings_where_something_was_measured() -> None:
    document = samples.figure2()
    [figure] = [f for f in figures(document, samples.measured_along(document)) if f["kind"] == "dynamics"]
    rings = [trace for panel in figure["panels"] for trace in panel["data"] if trace["mode"] == "markers"]
    assert {tuple(trace["x"]) for trace in rings} == {(330, 660, 1000)}
    assert [0.5, None, 0.4] in [trace["y"] for trace in rings]
    assert [0.1, None, -0.05] in [trace["y"] for trace in rings]
    assert figure["caption"].endswith("Rings were measured on all training data.")


def test_the_verdict_on_held_out_examples_comes_first_whichever_decides() -> None:
    document, _ = samples.many_constraints(1, settings=6, held_out=True)
    other: Document = {**samples.many_constraints(1, settings=6)[0], "judge": "training"}
    for decides, beside in ((document, other), (other, document)):
        text = Page(report.page(decides, [None] * 12, {}, beside)).text
        held, training = text.index("On 359 held-out examples"), text.index("On training data")
        assert held < training < text.index("Summary")
        assert ": tables and figures are by these" in text[held : training if decides is document else None]
        for verdict, at in ((verdict_sentences(document), held), (verdict_sentences(other), training)):
            assert text.index(verdict[0], at) < text.index("Summary")
    assert verdict_sentences(document) != verdict_sentences(other)
    assert "On training data" not in Page(report.page(other, [None] * 12, {})).text


def test_many_constraints_are_a_list_that_unfolds() -> None:
    few, many = (Page(report.page(*samples.many_constraints(count), {})) for count in (4, 12))
    assert few.all("details") == []
    assert [attributes for attributes in many.all("details") if "open" not in attributes]
    assert "minimise cross_entropy subject to 12 constraints" in many.text
    assert "group_11_rate <= 82 % (tolerance 0.1 %)" in many.text


def test_numbers_in_figures_have_six_digits() -> None:
    assert rounded({"a": [1 / 3, 2, None, True], "b": (1e-9 / 3,)}) == {
        "a": [0.333333, 2, None, True],
        "b": [3.33333e-10],
    }
    assert rounded([float("nan"), float("inf")]) == [None, None]


def test_hostile_texts_stay_texts() -> None:
    document = hostile()
    bad = samples.HOSTILE
    words: Provenance = {"spec_text": bad, "command_line": bad, "repeat_command": bad}
    provenance: Provenance = {**PROVENANCE, **words, "machine": {bad: bad}, "canonical": {bad: bad}}
    content = report.page(document, samples.curves_of(samples.figure2()), provenance)
    page = Page(content)
    assert page.all("img") == []
    assert page.all("b") == []
    assert len(page.all("script")) == 5
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert content.count("</script>") == 5
    shown = bad.replace("\x1b[31m", "")
    assert shown in page.text
    assert "&lt;img" in json.dumps(drawings(content))
    assert "<img" not in json.dumps(drawings(content))  # plotly reads a part of HTML in its texts


def test_the_policy_allows_the_pages_own_scripts_and_nothing_else(content: str) -> None:
    page = Page(content)
    [policy] = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["base-uri"] == rules["form-action"] == "'none'"
    bodies = re.findall(r"<script>(.*?)</script>", content, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in bodies]
    assert rules["script-src"].split() == [f"'sha256-{digest}'" for digest in digests]
    assert len(digests) == 4
    assert "unsafe" not in rules["script-src"]
    assert "http" not in policy


def test_nothing_is_loaded_from_elsewhere(content: str) -> None:
    page = Page(content)
    sources = [a[key] for _, a in page.elements for key in ("src", "href", "srcset", "action") if a.get(key)]
    assert {source.partition(":")[0][:1] if source else "" for source in sources} == {"#", "d"}
    assert [source for source in sources if source and not source.startswith("#")] == ["data:,"]


@pytest.mark.slow
def test_a_report_of_1000_runs_is_small_enough(tmp_path: Path) -> None:
    document, curves = samples.many_runs(1000)
    write_report(tmp_path / "r.html", document, curves, PROVENANCE)
    assert (tmp_path / "r.html").stat().st_size < 10_000_000
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


@pytest.mark.slow
def test_more_runs_than_a_page_holds_are_said() -> None:
    document = samples.figure2()
    document["runs"] = document["runs"] * (MOST_ROWS // 40 + 1)
    content = report.page(document, [None] * len(document["runs"]), {})
    assert all_runs(content).count("<tr") == MOST_ROWS + 1
    said = f"{MOST_ROWS} of {len(document['runs'])} runs, the best and the feasible among them: cpd export has all."
    assert said in content


def test_failures_are_listed_once_each() -> None:
    document = samples.figure2()
    for k, run in enumerate(document["runs"][:3]):
        run |= {"status": "failed", "error": "Traceback <here>\nValueError: no" if k else "out of memory"}
    page = Page(report.page(document, [None] * 40, {}))
    assert "2 run(s)Traceback <here>\nValueError: no" in page.text
    assert "1 run(s)out of memory" in page.text


def test_no_provenance_and_no_runs_make_a_page() -> None:
    document = samples.figure2()
    document |= {"runs": [], "summary": []}
    page = Page(report.page(document, [], {}))
    assert "figure2" in page.text
    assert page.all("figure") == []


@pytest.mark.parametrize(
    ("name", "message"),
    [("r.pdf", "cannot write '.pdf' files; valid: .html, .htm"), ("no/r.html", "; make it, or choose another place")],
)
def test_what_cannot_be_written_is_said(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(CpdError) as caught:
        write_report(tmp_path / name, samples.table1(), [None] * 8, {})
    assert message in str(caught.value)


def test_missing_plotly_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(CpdError, match=re.escape(f": needs plotly; {install('plotly', 'jinja2')}")):
        write_report(tmp_path / "r.html", samples.table1(), [None] * 8, {})
    assert list(tmp_path.iterdir()) == []
