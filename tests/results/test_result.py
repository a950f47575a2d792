"""A result in Python: its tables are the document's numbers, its best run the summary's, its text one screen."""

import copy
import io
import json
import pickle
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
import sample_documents as samples
from pandas.testing import assert_frame_equal

import cpd
from cpd.errors import CpdError
from cpd.outcome import ConstraintOutcome, HeldOut, Run, RunKey, Status
from cpd.results.result import Result
from cpd.spec.models import Task
from cpd.spec.reader import load_task
from cpd.store.store import open_store

ANSI = re.compile(r"\x1b")


def task(name: str = "rate", objective: str = "loss", **bounds: Any) -> Task:
    """A real task with other constraints."""
    read = load_task("rate")
    kind = type(next(iter(read.constraints.values())))
    found = {n: kind(level=level, sense=sense, tolerance=0.001) for n, (level, sense) in bounds.items()}
    return read.model_copy(update={"name": name, "objective": objective, "constraints": found or read.constraints})


def run(
    method: str, objective: float | None, g: Any, *, seed: int = 0, status: Status = Status.COMPLETED, **more: Any
) -> Run:
    levels = more.pop("levels", {"g": 0.5})
    error = more.pop("error", None)
    held = more.pop("held_out", None)
    key = RunKey(method, more, levels, seed)
    metrics = {"size": None if objective is None else 10 * objective}
    outcome = ConstraintOutcome(g, g, 1.5, [g] * 10, held=1.0, tolerance=0.001)
    return Run(key, status, objective, {"g": outcome}, metrics, 10 + seed, 2.0, error, held_out=held)


def small() -> Result:
    """Two methods: a penalised setting that is feasible for one seed only, one for both; one that failed once."""
    runs = [
        run("penalized", 1.0, 0.4, coefficient=1.0),
        run("penalized", 3.0, 0.6, coefficient=1.0, seed=1),
        run("penalized", 4.0, 0.3, coefficient=10.0),
        run("penalized", 5.0, 0.2, coefficient=10.0, seed=1),
        run("lagrangian", 2.0, 0.5, dual_lr=0.1),
        run("lagrangian", 2.5, 0.45, dual_lr=0.1, seed=1),
        run("lagrangian", 1.0, 0.5, dual_lr=1.0),
        run("lagrangian", None, None, dual_lr=1.0, seed=1, status=Status.FAILED, error=TRACEBACK),
    ]
    return Result(task(g=(0.5, "<=")), runs)


TRACEBACK = "Traceback (most recent call last):\n" + "  frame\n" * 5000 + "ValueError: <no> way"


def test_runs_are_the_documents_rows() -> None:
    result = small()
    frame, rows = result.runs, result.document["runs"]
    assert len(frame) == 8
    assert frame["method"].tolist() == [row["method"] for row in rows]
    assert frame["feasible"].tolist() == [row["feasible"] for row in rows] == [True, False] + [True] * 5 + [False]
    assert frame["constraints.g.value"].tolist()[:7] == [0.4, 0.6, 0.3, 0.2, 0.5, 0.45, 0.5]
    assert numpy.isnan(frame["objective"].iloc[7])
    frame["feasible"] = True  # the user's own table: the result stays as it is
    assert result.runs["feasible"].tolist() == [row["feasible"] for row in rows]


def test_a_setting_is_the_mean_of_its_seeds_that_completed() -> None:
    frame = small().settings
    assert frame["method"].tolist() == ["penalized"] * 2 + ["lagrangian"] * 2
    assert frame["seeds"].tolist() == [2] * 4
    assert frame["completed"].tolist() == [2, 2, 2, 1]
    assert frame["feasible"].tolist() == [False, True, True, False]
    assert frame["best"].tolist() == [False, True, True, False]
    # The spread of feasible objectives is 2.25 to 4.5: 5 % of it is less than the way from one to the other.
    assert frame["useful"].tolist() == [False, False, True, False]
    assert frame["objective"].tolist() == [2.0, 4.5, 2.25, 1.0]
    assert frame["constraints.g.value"].tolist() == pytest.approx([0.5, 0.25, 0.475, 0.5])
    assert frame["metrics.size"].tolist() == [20.0, 45.0, 22.5, 10.0]
    assert frame["steps"].tolist() == [10.5, 10.5, 10.5, 10.0]
    assert frame["setting.dual_lr"].tolist()[2:] == [0.1, 1.0]
    assert frame["setting.dual_lr"].isna().tolist()[:2] == [True, True]
    assert "seed" not in frame


def test_the_summary_has_a_row_for_each_method_and_choice_of_levels() -> None:
    frame = small().summary
    assert frame["method"].tolist() == ["penalized", "lagrangian"]
    assert frame["best_setting.coefficient"].tolist()[0] == 10.0
    assert frame["best_objective"].tolist() == [4.5, 2.25]
    swept = Result(
        task(g=(0.5, "<=")),
        [run("lagrangian", level, level, dual_lr=0.1, levels={"g": level}) for level in (0.1, 0.2, 0.3)],
    ).summary
    assert swept["levels.g"].tolist() == [0.1, 0.2, 0.3]


def test_tables_of_no_runs_have_their_columns() -> None:
    empty = Result(task(g=(0.5, "<=")), [])
    assert {"method", "seed", "status", "objective"} <= set(empty.runs)
    assert {"method", "feasible", "best"} <= set(empty.settings)
    assert "method" in empty.summary
    assert len(empty.runs) == len(empty.settings) == len(empty.summary) == 0
    assert "g <= 0.5" in repr(empty)


def test_the_best_run_is_the_summarys() -> None:
    result = small()
    best = result.best()
    assert (best.method, best.setting, best.seed, best.objective) == ("lagrangian", {"dual_lr": 0.1}, 0, 2.0)
    assert best.feasible
    assert best.constraints["g"]["value"] == 0.5
    assert best.metrics == {"size": 20.0}
    assert (best.status, best.steps, best.levels, best.model, best.held_out) == (
        "completed",
        10,
        {"g": 0.5},
        None,
        None,
    )
    assert repr(best) == "<lagrangian, dual_lr 0.1, seed 0: feasible; objective 2.000, g 0.5000>"
    assert result.best("penalized").setting == {"coefficient": 10.0}
    assert result.best("lagrangian", seed=1).objective == 2.5
    for words in ({"method": "nupi"}, {"seed": 7}, {"levels": {"h": 0.5}}, {"setting": {"dual_lr": 3}}):
        with pytest.raises(CpdError, match=r"^(method|seed|levels|setting): "):
            result.best(**words)


def test_the_best_run_has_a_line_where_it_is_judged_on_held_out_examples() -> None:
    held = HeldOut(40, 2.5, {"g": ConstraintOutcome(0.25, 0.25)})
    result = Result(task(g=(0.5, "<=")), [run("lagrangian", 1.0, 0.6, dual_lr=0.1, held_out=held)])
    best = result.best()
    assert best.feasible  # held-out examples decide
    assert repr(best).endswith("objective 1.000, g 0.6000; held out: objective 2.500, g 0.2500>")
    assert best.held_out is not None
    assert best.held_out["constraints"]["g"]["value"] == 0.25


def test_nothing_feasible_has_no_best_run() -> None:
    result = Result(task(g=(0.5, "<=")), [run("penalized", 1.0, 0.9, coefficient=1.0)])
    with pytest.raises(CpdError, match="no setting of rate is feasible"):
        result.best()


def many(settings: int, seeds: int = 3) -> Result:
    grid = numpy.geomspace(1e-3, 1e3, settings)
    pairs = [(float(x), seed) for x in grid for seed in range(seeds)]
    return Result(task(g=(0.5, "<=")), [run("lagrangian", 1 + x, 0.4, dual_lr=x, seed=seed) for x, seed in pairs])


def hostile() -> Result:
    """Names that a terminal and a browser would obey, as long as a screen, and 40 constraints."""
    name = samples.HOSTILE
    bounds = {f"{name} {k}": (0.5, "<=") for k in range(40)} | {"x" * 300: (0.5, "<=")}
    outcomes = {n: ConstraintOutcome([0.1, 0.2], [0.1, 0.2], [0.0, 0.0], [[0.1, 0.2]] * 3) for n in bounds}
    keys = [RunKey(name, {name: c, "o": {"a": name}}, dict.fromkeys(bounds, 0.5), 0) for c in (1.0, name, [1, 2])]
    metrics: dict[str, float | None] = {f"{name} {k}": 1.0 for k in range(200)}
    runs = [Run(key, Status.COMPLETED, 1.0, outcomes, metrics, 1, 1.0) for key in keys]
    runs += [replace(runs[0], status=Status.FAILED, objective=None, error=f"{name}{k}\n{name}") for k in range(30)]
    return Result(task(name, name, **bounds), runs, notes=[name * 9] * 20)


def levels_swept() -> Result:
    grid = [k / 300 for k in range(300)]
    runs = [run("lagrangian", 1.0, x, dual_lr=0.1, levels={"g": x}) for x in grid]
    return Result(task(g=(0.5, "<=")), runs)


def searched() -> Result:
    document = samples.table2()
    runs = [run("penalized", i["objective"], i["value"], coefficient=i["coefficient"]) for i in rows(document)]
    return Result(task(g=(0.5, "<=")), runs, search={**document["search"], "constraint": "g"}, advice="so " * 200)


def rows(document: Any) -> Any:
    return document["search"]["iterations"]


RESULTS = {
    "small": small,
    "many": lambda: many(300),
    "hostile": hostile,
    "levels": levels_swept,
    "search": searched,
}


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", list(RESULTS))
def test_a_result_is_one_screen(name: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    result = RESULTS[name]()
    text = repr(result)
    assert max(map(len, text.splitlines())) <= width
    assert len(text.splitlines()) <= 45
    assert not ANSI.search(text)
    assert str(result) == text
    if name == "small":
        assert "lagrangian: 1 of 2 settings feasible, 1 useful, best dual_lr 0.1 with loss 2.250." in " ".join(
            text.split()
        )
        assert "failed: 1 run(s): ValueError: <no> way" in text
        assert "frame" not in text


def test_a_prompt_of_a_terminal_has_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    plain = repr(small())
    assert not ANSI.search(plain)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    coloured = repr(small())
    assert ANSI.search(coloured)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured).replace("\u2500", "-") == plain


def test_a_screen_is_written_in_the_letters_that_stdout_has(monkeypatch: pytest.MonkeyPatch) -> None:
    result = many(3)
    assert "\u00b1" in repr(result)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    repr(result).encode("ascii")


class Tags(HTMLParser):
    """Which tags are open, which were seen, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        if tag != "br":
            self.open.append(tag)
        assert {name for name, _ in attrs} <= {"class"}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("name", list(RESULTS))
def test_html_is_a_table_in_which_every_text_is_escaped(name: str) -> None:
    result = RESULTS[name]()
    page = result._repr_html_()
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert set(tags.seen) <= {"div", "style", "p", "table", "thead", "tbody", "tr", "th", "td", "br"}
    assert tags.seen.count("table") == 1
    assert tags.seen.count("tr") < 20
    assert len(page) < 30_000
    if name == "small":
        assert "ValueError: <no> way" in tags.text
        assert "<no>" not in page
    if name == "hostile":
        assert "onerror=alert(1)" in tags.text
        assert "\x1b" not in page


@pytest.mark.parametrize("name", ["small", "hostile", "search"])
def test_results_are_pickled_and_copied(name: str) -> None:
    result = RESULTS[name]()
    assert result.document
    for again in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result), copy.copy(result)):
        assert again == result
        assert again.document == result.document
        assert_frame_equal(again.settings, result.settings)
        assert repr(again) == repr(result)


def test_json_and_csv_are_the_commands() -> None:
    result = small()
    assert json.loads(result.to_json()) == result.document
    assert result.to_csv().splitlines()[0].split(",") == list(result.runs)
    assert len(pandas.read_csv(io.StringIO(result.to_csv()))) == 8


def test_a_search_in_tables() -> None:
    result = searched()
    assert result.search is not None
    summary = result.summary
    assert summary.loc[0, "outcome"] == "solved"
    assert summary.loc[0, "coefficient"] == pytest.approx(10**-0.65625)
    assert summary.loc[0, "value"] == 0.505
    assert result.settings["best"].tolist() == [False] * 6 + [True]
    assert result.best().setting["coefficient"] == summary.loc[0, "coefficient"]


def test_a_plot_is_a_figure_without_pyplots_state(tmp_path: Path) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="the extra 'plot' is not installed")
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    result, size = small(), rcParams["font.size"]
    before = pyplot.get_fignums()
    figure = result.plot("front", to=tmp_path / "front.png")
    assert isinstance(figure, Figure)
    assert pyplot.get_fignums() == before
    assert rcParams["font.size"] == size
    assert figure.axes[0].xaxis.label.get_fontsize() == 8
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    figure.savefig(tmp_path / "own.pdf")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"kind": "nice"}, r"^result.plot\(\): kind: 'nice' is no kind of picture"),
        ({"to": "front.txt"}, r"^result.plot\(\): to front.txt: cannot write"),
        ({"kind": "front", "runs": "seed=1"}, r"only kind dynamics takes chosen runs"),
    ]
    for words, said in wrong:
        with pytest.raises(CpdError, match=said):
            result.plot(**words)


@pytest.mark.parametrize("judge", [None, "training"])
def test_a_report_begins_with_the_held_out_verdict_whichever_decides(tmp_path: Path, judge: Any) -> None:
    pytest.importorskip("plotly", reason="the extra 'report' is not installed")
    held = [HeldOut(40, 2.5, {"g": ConstraintOutcome(g, g)}) for g in (0.25, 0.75)]
    runs = [run("lagrangian", 1.0, 0.6, dual_lr=0.1 * (k + 1), held_out=held[k]) for k in range(2)]
    result = Result(task(g=(0.5, "<=")).model_copy(update={"judge": judge}), runs)
    assert [row["feasible"] for row in result.document["runs"]] == [judge is None, False]
    page = result.report(tmp_path / "r.html").read_text(encoding="utf-8")
    head = page[page.index("<main>") : page.index("<nav")]
    first, second = "1 of 2 settings feasible", "0 of 2 settings feasible"
    assert (
        head.index("On 40 held-out examples") < head.index(first) < head.index("On training data") < head.index(second)
    )
    assert ("On 40 held-out examples: tables and figures are by these" in head) == (judge is None)


def test_a_report_is_written(tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason="the extra 'report' is not installed")
    written = small().report(tmp_path / "r.html")
    assert written == tmp_path / "r.html"
    assert "lagrangian: 1 of 2 settings feasible" in written.read_text(encoding="utf-8")
    with pytest.raises(CpdError, match=r"^result.report\(\): to .*r.txt: cannot write '.txt' files"):
        small().report(tmp_path / "r.txt")


CONCAVE: dict[str, Any] = {"train": {"steps": 20}, "engine": "eager"}
SWEEPS: dict[str, dict[str, Any]] = {
    "two methods": {"methods": {"lagrangian": {"dual_lr": [0.1, 0.2]}, "penalized": {"coefficient": [0, 1]}}},
    "levels and seeds": {"levels": {"g": [0.3, 0.6]}, "methods": {"lagrangian": {"dual_lr": 0.1}}, "seeds": [1, 2]},
    "a grid of the recipe": {
        "train": {"steps": 20, "optimizer": {"name": "SGD", "lr": [0.01, 0.1]}},
        "methods": {"nupi": {"dual_lr": 0.1, "kp": [1, 2]}},
    },
    "measured": {"train": {"steps": 20, "measure_every": 5, "select": "best_feasible"}},
    "diverged": {"methods": {"penalized": {"coefficient": [1e30, 1]}}},
}


@pytest.mark.parametrize("name", list(SWEEPS))
def test_an_opened_sweep_is_the_fresh_one(name: str, tmp_path: Path) -> None:
    store = tmp_path / "runs.sqlite"
    fresh = cpd.sweep("concave", store=store, **{**CONCAVE, **SWEEPS[name]})
    opened = cpd.open(store=store)
    for table in ("runs", "settings", "summary"):
        assert_frame_equal(getattr(opened, table), getattr(fresh, table))
    assert opened.document == fresh.document
    assert opened.curves == fresh.curves
    assert opened.record == fresh.record
    assert repr(opened) == repr(fresh)
    assert opened.id == fresh.id
    assert cpd.open(str(fresh.id), str(store)).document == fresh.document


def test_an_opened_search_is_the_fresh_one(tmp_path: Path) -> None:
    store = tmp_path / "runs.sqlite"
    fresh = cpd.bisect("concave", target=0.5, max_trainings=4, store=store, **CONCAVE)
    opened = cpd.open("concave", store)
    assert opened.search == fresh.search
    assert opened.document == fresh.document
    for table in ("runs", "settings", "summary"):
        assert_frame_equal(getattr(opened, table), getattr(fresh, table))


def test_a_sweep_is_opened_at_another_tolerance(tmp_path: Path) -> None:
    store = tmp_path / "runs.sqlite"
    cpd.sweep("concave", methods={"penalized": {"coefficient": [0, 1]}}, store=store, **CONCAVE)
    wide_tolerance: Any = numpy.float32(1e6)
    wide = cpd.open(store=store, tolerance=wide_tolerance, gap="10%", confidence="90%")
    assert wide.runs["feasible"].tolist() == [True, True]
    assert (wide.gap, wide.confidence) == ("10%", 0.9)
    for words, said in (
        ({"tolerance": -1}, "tolerance: expected a number >= 0"),
        ({"tolerance": "wide"}, "tolerance: expected a number >= 0"),
        ({"gap": "wide"}, "gap: expected a number"),
        ({"judge": "test"}, "judge: expected training or held_out"),
        ({"judge": "held_out"}, "judge: no run of the sweep was measured on held-out"),
        ({"confidence": 2}, "confidence: expected a number above 0 and below 1"),
    ):
        with pytest.raises(CpdError, match=rf"^cpd.open\(\): {said}"):
            cpd.open(store=store, **words)
    with pytest.raises(CpdError, match="no sweep 'nope'"):
        cpd.open("nope", store)


def test_a_sweep_that_runs_is_opened_with_what_is_done(tmp_path: Path) -> None:
    store = tmp_path / "runs.sqlite"
    seen: list[Result] = []

    class Looking(cpd.Tracker):
        def run_end(self, run: Any) -> None:
            seen.append(cpd.open(store=store))

    fresh = cpd.sweep(
        "concave", methods={"penalized": {"coefficient": [0, 1, 2]}}, store=store, fuse=1, jobs=1,
        callbacks=[Looking()], **CONCAVE,
    )  # fmt: skip
    assert [len(result.finished) for result in seen] == [1, 2, 3]
    assert [result.notes for result in seen[:2]] == [
        ["the sweep still runs: 1 of 3 planned runs are done"],
        ["the sweep still runs: 2 of 3 planned runs are done"],
    ]
    assert_frame_equal(seen[-1].runs.drop(columns="model"), fresh.runs.drop(columns="model"))  # kept ones changed since
    assert cpd.open(store=store).notes == []
    with open_store(store, "read") as opened:
        assert opened.info(str(fresh.id)).ended is not None


def test_tables_are_pandas() -> None:
    assert isinstance(small().runs, pandas.DataFrame)
