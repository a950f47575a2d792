"""Which rows and columns a table shows: in a terminal, elsewhere, and where somebody asks."""

import io
import re
from typing import Any

import pytest
import wide_sweeps
from rich.cells import cell_len
from rich.console import Console
from sample_documents import figure2, rate_run, table2, task, two_constraints

from cpd.errors import CpdError
from cpd.outcome import ConstraintOutcome, Run, RunKey, Status
from cpd.verdict.document import Document
from cpd.verdict.judgement import judge
from cpd.views.tables.lines import lines
from cpd.views.tables.numbers import number
from cpd.views.tables.render import render, sections, show, text
from cpd.views.tables.search import notes_of_iterations
from cpd.views.tables.section import Column, Facts, Section
from cpd.views.tables.shape import ALL, Order, Shape, shaped
from cpd.views.tables.terminal import print_wrapped
from cpd.views.tables.worst import worst_of

HEADED = re.compile(r"^[─-]+(?:  [─-]+)*$", re.MULTILINE)


class Terminal(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        return True


def seen(document: Document, shape: Shape | None = None, width: int = 80, height: int = 40) -> str:
    """What a terminal of this size shows."""
    stream = Terminal()
    console = Console(file=stream, width=width, height=height, no_color=True, highlight=False, markup=False)
    render(document, "table", console, shape=shape or Shape())
    return stream.getvalue()


def piped(document: Document, shape: Shape | None = None) -> str:
    stream = io.StringIO()
    show(document, "table", stream, shape=shape or Shape())
    return stream.getvalue()


def first_cells(printed: str) -> list[str]:
    """The first cell of each row of the first table."""
    return [line.split()[0] for line in HEADED.split(printed)[1].split("\n\n")[0].splitlines() if line.strip()]


@pytest.fixture(autouse=True)
def no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)


def many_settings() -> Document:
    """200 settings, the best of which is the 125th."""
    runs = [rate_run("lagrangian", {"dual_lr": k + 1.0}, 0.75, 1 + abs(k - 124) / 100) for k in range(200)]
    return judge(task(), runs)


@pytest.fixture(scope="module")
def many() -> Document:
    """100 settings under 12 constraints."""
    return judge(wide_sweeps.task(("lagrangian",), 100), wide_sweeps.runs("lagrangian", 100))


def test_of_many_settings_a_terminal_shows_the_best_and_says_how_to_see_all() -> None:
    tall = seen(many_settings(), height=100)
    assert first_cells(tall)[:4] == ["125", "124", "126", "123"]
    assert "30 of 200 rows, the best first (--top all has all)" in tall
    low = seen(many_settings(), height=40)
    assert len(low.splitlines()) < 40
    assert 5 <= len(first_cells(low)) < 30
    every = seen(many_settings(), Shape(top=ALL), height=40)
    assert [c for c in first_cells(every) if c.isdigit()] == [str(k + 1) for k in range(200)]


def test_a_file_or_a_pipe_has_every_row_and_every_column() -> None:
    printed = piped(many_settings())
    assert [c for c in first_cells(printed) if c.isdigit()] == [str(k + 1) for k in range(200)]
    assert "left out" not in printed
    assert "accuracy %" in printed
    assert len(printed.splitlines()[1]) > 80, "sentences are not folded either"


def test_a_width_that_is_set_holds_in_a_pipe_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, piped(many_settings()).splitlines())) <= 60


def test_a_small_sweep_stays_as_it_was() -> None:
    printed = seen(figure2(), height=10)
    assert "--top" not in printed
    assert len(first_cells(printed)) > 40


@pytest.mark.parametrize("width", [60, 80, 160])
@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_thousand_settings_under_twelve_constraints_fit_a_screen(count: int, width: int) -> None:
    document = judge(wide_sweeps.task(("lagrangian",), count), wide_sweeps.runs("lagrangian", count))
    printed = seen(document, width=width, height=45)
    assert len(printed.splitlines()) < 45
    assert max(map(len, printed.splitlines())) <= width
    best = number(wide_sweeps.value(round(0.637 * count)))
    assert first_cells(printed)[0] == best
    said = " ".join(printed.split())
    assert f"best dual_lr {best} with cost 1.00" in said
    violated, finished = {100: (55, 99), 1000: (545, 990)}[count]
    assert f"worst of 12 constraints: requirement_07, violated in {violated} of {finished} finished settings" in said
    assert "and 8 more" in said.partition("lagrangian;")[0]
    assert "each of the 12 constraints" in said


def test_the_worst_constraint_of_a_row_is_named_with_its_violation(many: Document) -> None:
    row = seen(many, Shape(sort=(Order("dual_lr"),), top=1))
    assert "requirement_07" in row
    assert "+1.1" in row, "0.9 + 2 * 0.6 - 1"
    assert " 4 of 12" in row, "not it, nor the others beyond the third"
    full = piped(many, Shape(top=1))
    assert "requirement_11" in full
    assert "each of the 12" not in full


def scaled(name: str, values: dict[str, float], tolerances: dict[str, float], sense: str = "<=") -> Document:
    bounds = {n: (1.0, sense, tolerances[n]) for n in values}
    outcomes = {n: ConstraintOutcome(v, v) for n, v in values.items()}
    run = Run(RunKey("penalized", {"coefficient": 1.0}, dict.fromkeys(values, 1.0), 1), Status.COMPLETED, 1.0, outcomes)
    return judge(task(name, "cross_entropy", **bounds), [run])


def test_constraints_of_unlike_units_are_compared_in_their_tolerances() -> None:
    values = {"a": 1.5, "b": 1.01, "c": 0.0, "d": 0.0, "e": 0.0}
    coarse = scaled("t", values, {"a": 0.6, "b": 0.001, "c": 1, "d": 1, "e": 1})
    found = worst_of(coarse, lines(coarse)[0])
    assert found is not None
    assert (found.name, found.violated) == ("b", ("b",))
    without = scaled("t", values, {"a": 0, "b": 0.001, "c": 1, "d": 1, "e": 1})
    assert "a +0.5 " in piped(without)


def test_either_side_of_an_equality_is_a_violation() -> None:
    values = {"a": 0.2, "b": 1.5, "c": 1.0, "d": 1.0, "e": 1.0}
    assert "a -0.8 " in piped(scaled("t", values, dict.fromkeys(values, 0.001), "=="))


def test_few_constraints_have_no_such_column() -> None:
    assert "worst constraint" not in piped(two_constraints())


def table(**values: list[Any]) -> Section:
    columns = [Column((name,), list(map(str, own)), values=own) for name, own in values.items()]
    return Section("runs", columns, facts=[Facts(rank=(k,)) for k in range(len(columns[0].cells))], named=("row",))


def order(section: Section, *orders: str) -> list[str]:
    sort = tuple(Order(name.removeprefix("-"), name.startswith("-")) for name in orders)
    return list(shaped(section, Shape(sort=sort)).columns[0].cells)


def test_numbers_are_sorted_as_numbers_words_after_them_and_what_is_missing_last() -> None:
    section = table(row=[0, 1, 2, 3, 4], x=[10.0, 9.0, None, "cosine", 1e-5], y=[1, 2, 1, 2, 1])
    assert order(section, "x") == ["4", "1", "0", "3", "2"]
    assert order(section, "-x") == ["3", "0", "1", "4", "2"]
    assert order(section, "y", "-x") == ["0", "4", "2", "3", "1"]
    assert order(table(row=[0, 1, 2], x=[(1.0, "b"), (1.0, "a"), 3.0]), "x") == ["2", "1", "0"]


def test_rows_are_sorted_within_their_method() -> None:
    (runs, _) = sections(figure2(), Shape(sort=(Order("cross_entropy", True),), top=2))
    assert runs.groups == ["penalized", "penalized", "lagrangian", "lagrangian"]
    assert runs.shown == "4 of 40 rows, at most 2 of each method, by -cross_entropy (--top all has all)"
    names = [column.name for column in sections(figure2(), Shape(columns=("dual_lr",)))[0].columns]
    assert names == ["setting", "dual_lr"], "a hyperparameter of one method alone, which stands with others"


def test_only_some_rows() -> None:
    whole = sections(figure2())[0]
    counts = {"feasible": 0, "useful": 0, "failed": 1}
    for only, least in counts.items():
        (runs, _) = sections(figure2(), Shape(only=only))  # type: ignore[arg-type]
        assert least <= runs.height < whole.height
        assert runs.shown == f"{only} only, {runs.height} of 40 rows"
    useful = sections(figure2(), Shape(only="useful"))[0].columns
    assert all("useful" in cell for column in useful if column.name == "feasible" for cell in column.cells)
    none = judge(task(), [rate_run("penalized", {"coefficient": c}, 0.5, 1.0) for c in (1.0, 2.0)])
    for form in ("markdown", "latex"):
        assert "none of the 2 rows is useful" in text(none, form, Shape(only="useful"))
    assert "none of the 2 rows is useful" in seen(none, Shape(only="useful"))


def test_footnotes_are_those_of_the_rows_that_are_shown() -> None:
    failed = rate_run("penalized", {"coefficient": 2.0}, 0.5, 1.0, status=Status.FAILED, error="boom")
    document = judge(task(), [failed, *(rate_run("penalized", {"coefficient": c}, 0.75, c) for c in (3.0, 4.0))])
    assert "[1] failed: boom" in piped(document)
    assert "boom" not in piped(document, Shape(only="feasible"))
    assert "boom" not in piped(document, Shape(columns=("accuracy",)))
    assert "boom" in piped(document, Shape(columns=("accuracy", "note")))


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("cross_entropy", "cross_entropy"),
        ("objective", "cross_entropy"),
        ("class0_rate", "class0_rate %"),
        ("Class0-Rate", "class0_rate %"),
        ("constraints.class0_rate.value", "class0_rate %"),
        ("violation", "violation %"),
        ("class0_rate violation", "violation %"),
        ("class0_rate.violation", "violation %"),
        ("held", "held %"),
        ("accuracy", "accuracy %"),
        ("metrics.margin", "margin"),
        ("feasible", "feasible"),
        ("seconds", "seconds"),
        ("kkt.primal", "primal"),
    ],
)
def test_a_column_has_the_names_that_people_write(name: str, header: str) -> None:
    (runs, *_) = sections(figure2(), Shape(columns=(name,)))
    assert [column.name for column in runs.columns] == ["setting", header]


def test_columns_stand_as_they_are_asked_for() -> None:
    columns = sections(many_settings(), Shape(columns=("accuracy", "dual_lr", "kkt")))[0].columns
    assert [c.name for c in columns][:3] == ["accuracy %", "dual_lr", "stationarity residual"]
    printed = seen(many_settings(), Shape(columns=("accuracy", "margin", "multiplier", "held", "violation")), width=40)
    assert "left out at this width: accuracy" not in printed


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (Shape(sort=(Order("acuracy"),)), "--sort: no column 'acuracy'; did you mean 'accuracy'? Valid: dual_lr, fea"),
        (Shape(columns=("nothing",)), "--columns: no column 'nothing'; valid: dual_lr, feasible, cross_entropy, "),
        (Shape(sort=(Order("kkt"),)), "--sort: several columns are called 'kkt'; choose one of: stationarity"),
    ],
)
def test_a_name_that_is_none_is_answered_before_anything_is_printed(shape: Shape, message: str) -> None:
    stream = io.StringIO()
    with pytest.raises(CpdError) as refused:
        show(many_settings(), "table", stream, shape=shape)
    assert str(refused.value).startswith(message)
    assert stream.getvalue() == ""


def test_of_many_constraints_the_valid_names_are_few(many: Document) -> None:
    with pytest.raises(CpdError, match="did you mean 'requirement_03'") as refused:
        piped(many, Shape(sort=(Order("requirment_03"),)))
    assert "NAME violation, NAME multiplier" in str(refused.value)
    assert "requirement_00 violation" not in str(refused.value)


def test_two_quantities_of_one_name_are_told_apart() -> None:
    run = Run(
        RunKey("penalized", {"coefficient": 1.0}, {"loss": 1.0}, 1), Status.COMPLETED, 1.0,
        {"loss": ConstraintOutcome(0.5, 0.5)}, {"loss": 2.0},
    )  # fmt: skip
    document = judge(task(objective="f", loss=(1.0, "<=", 0.001)), [run])
    with pytest.raises(CpdError, match="choose one of: loss constraint, loss metric"):
        piped(document, Shape(sort=(Order("loss"),)))
    assert [c.name for c in sections(document, Shape(columns=("metrics.loss",)))[0].columns] == ["loss metric"]


def test_a_name_with_a_comma_can_be_written_without() -> None:
    run = rate_run("penalized", {"coefficient": 1.0}, 0.75, 1.0)
    document = judge(task(), [Run(run.key, run.status, 1.0, run.constraints, {"a, b": 2.0}, 10)])
    assert [c.name for c in sections(document, Shape(columns=("a_b",)))[0].columns] == ["a, b"]


def test_wide_has_every_column_in_a_terminal(many: Document) -> None:
    printed = seen(many, Shape(wide=True, top=2))
    assert "left out at this width" not in printed
    assert printed.count("requirement_11") > 1
    assert max(map(len, printed.splitlines())) > 500
    assert max(map(len, printed.splitlines()[:2])) <= 80, "sentences are folded at the terminal's width"


def test_data_is_not_shaped() -> None:
    shape = Shape(sort=(Order("accuracy"),), top=1, only="useful", columns=("accuracy",))
    for form in ("json", "csv"):
        assert text(figure2(), form, shape) == text(figure2(), form)


def test_a_search_is_shaped_too() -> None:
    found = sections(table2(), Shape(sort=(Order("density", True),), top=3))[0]
    assert [c.cells for c in found.columns if c.name == "iteration"] == [["1", "3", "4"]]
    assert sections(table2(), Shape(top=1))[0].columns[0].cells == ["7"], "the nearest to the target"
    kkt = sections(table2(), Shape(columns=("kkt", "accuracy")))[0]
    assert [c.name for c in kkt.columns][:3] == ["iteration", "coefficient", "stationarity residual"]
    with pytest.raises(CpdError, match="a search calls no training useful"):
        sections(table2(), Shape(only="useful"))


def test_the_footnotes_of_a_search_have_their_marks() -> None:
    document = table2()
    first = document["search"]["iterations"][0]
    run = next(r for r in document["runs"] if r["setting"] == {"coefficient": first["coefficient"]})
    run["diagnosis"] = "budget_exhausted"
    found = sections(document)[0]
    assert (found.columns[-1].name, found.columns[-1].cells[:2]) == ("note", ["[1]", ""])
    assert found.notes[0].startswith("[1] budget_exhausted")
    assert notes_of_iterations(document)[0].startswith(f"iteration {first['iteration']}: budget_exhausted")


def test_a_sentence_of_wide_letters_fits() -> None:
    said = io.StringIO()
    print_wrapped("名前 <= 1 (tolerance 0.001) " * 9, Console(file=said, width=40))
    assert said.getvalue().count("名前") == 9
    assert max(map(cell_len, said.getvalue().splitlines())) <= 40


def test_very_many_columns_are_not_all_named() -> None:
    metrics: dict[str, float | None] = {f"some_metric_{k}": 1.0 for k in range(200)}
    run = rate_run("penalized", {"coefficient": 1.0}, 0.75, 1.0)
    document = judge(task(), [Run(run.key, run.status, 1.0, run.constraints, metrics, 10)])
    printed = seen(document)
    assert re.search(r"and 1\d\d more \(--wide has all\)", " ".join(printed.split()))
    assert len(printed.splitlines()) < 15
