"""What a reader sees, compared as whole texts: every format, narrow and wide, plain and coloured, hostile names."""

import csv
import io
import json
import math
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import sample_documents as samples
from golden import golden
from rich.console import Console

from cpd.outcome import ConstraintOutcome, Curves, Evidence, HeldOut, MeasuredCurves, Run, RunKey, Status
from cpd.verdict.diagnosis import DIAGNOSES
from cpd.verdict.document import Document, Iteration, Plain, SearchBlock
from cpd.verdict.judgement import judge
from cpd.views.tables.headline import subtitle, verdict_sentence
from cpd.views.tables.markup import escape_latex, escape_markdown, latex_cell
from cpd.views.tables.names import readable, short_names
from cpd.views.tables.numbers import decimals, distinct, is_share, measured, number, setting_value, signed, spread
from cpd.views.tables.records import records, to_frame
from cpd.views.tables.render import FORMATS, print_rows, render, sections, show, text
from cpd.views.tables.search import IterationPrinter

ERROR = 'Traceback (most recent call last):\n  File "rate.py", line 3\nValueError: [red]no[/red]\x1b[2J'
HOSTILE = "[red]x[/red]\x1b[31m\n|<b>&_$%#{}~^\\`*\u202e"


def task(**changes: Any) -> Any:
    rate = SimpleNamespace(level=0.7, sense=">=", tolerance=0.0025)
    fields = {"name": "rate", "objective": "cross_entropy", "constraints": {"class0_rate": rate}}
    return SimpleNamespace(**{**fields, **changes}, train=SimpleNamespace(dtype="float32"))


def run(
    setting: dict[str, Any], objective: float | None, rate: float | None, multiplier: float | None = None, **k: Any
) -> Run:
    key = RunKey(k.pop("method", "penalized"), setting, k.pop("levels", {"class0_rate": 0.7}), k.pop("seed", 1))
    outcome = ConstraintOutcome(rate, rate, multiplier, k.pop("tail", [rate] * 10 if rate else []))
    metrics: dict[str, float | None] = {} if rate is None else {"accuracy": 1.2 - rate, "margin": 5.894e-10}
    return Run(key, k.pop("status", Status.COMPLETED), objective, {"class0_rate": outcome}, metrics, 10_000, 1.5, **k)


def compared() -> Document:
    """Two methods, one of whose runs failed, one diverged and one oscillates."""
    swings = [0.6 if t % 2 else 0.8 for t in range(100)]
    return judge(
        task(),
        [
            run({"coefficient": 0.1}, 0.02620, 0.4975),
            run({"coefficient": 10 ** (1 / 3)}, 0.3952, 0.76),
            run({"coefficient": 4.641588833612779}, 0.9, 0.9975),
            run({"dual_lr": 1e-2, "update": "alternating"}, 0.3507, 0.6975, 2.0, method="lagrangian"),
            run({"dual_lr": 0.1, "update": "alternating"}, 0.3612, 0.7025, 2.01, method="lagrangian", tail=swings),
            run({"dual_lr": 1e3, "update": "alternating"}, None, None, method="lagrangian", status=Status.DIVERGED),
            run(
                {"dual_lr": 1e4, "update": "alternating"},
                None,
                None,
                method="lagrangian",
                status=Status.FAILED,
                error=ERROR,
            ),
        ],
    )


def several_seeds() -> Document:
    results = {0.01: [(0.35, 0.70), (0.36, 0.71)], 0.1: [(0.35, 0.70), (0.34, 0.69)]}
    runs = [
        run({"dual_lr": dual_lr}, objective, rate, 2.0, seed=seed, method="lagrangian")
        for dual_lr, seeds in results.items()
        for seed, (objective, rate) in enumerate(seeds)
    ]
    return judge(task(), runs)


def swept_levels() -> Document:
    g = SimpleNamespace(level=0.5, sense="==", tolerance=0.001)
    runs = []
    for level in (0.1, 0.5):
        outcome = ConstraintOutcome(level + 3.2e-9, level, level / math.sqrt(1 - level**2), [level] * 10)
        key = RunKey("nupi", {"dual_lr": 0.3, "kp": 40}, {"g": level}, 1)
        runs.append(Run(key, Status.COMPLETED, math.sqrt(1 - level**2), {"g": outcome}, {"y": 5.894e-10}, 1000, 0.1))
    return judge(task(name="concave", objective="f", constraints={"g": g}), runs)


def searched(outcome: str = "solved") -> Document:
    density = SimpleNamespace(level=0.5, sense="<=", tolerance=0.01)
    found = [(1e-3, 0.98, 0.01), (1.0, 0.1, 1.2), (0.220673406908, 0.4951, 0.2)]
    iterations: list[Iteration] = [
        {"iteration": k, "coefficient": c, "value": v, "objective": f, "metrics": {"accuracy": 0.9}}
        for k, (c, v, f) in enumerate(found)
    ]
    search: SearchBlock = {
        "constraint": "density",
        "target": 0.5,
        "tolerance": 0.01,
        "outcome": outcome,
        "trainings": 3,
        "iterations": iterations,
    }
    runs = [
        Run(RunKey("penalized", {"coefficient": c}, {"density": 0.5}, 1), Status.COMPLETED, f,
            {"density": ConstraintOutcome(v, v)}, {"accuracy": 0.9}, 150)
        for c, v, f in found
    ]  # fmt: skip
    judged = task(name="sparsity", constraints={"density": density})
    return judge(judged, runs, search=search, summary=False)


def hostile() -> Document:
    bound = SimpleNamespace(level=0.5, sense="<=", tolerance=0.001)
    key = RunKey("lagrangian", {HOSTILE: HOSTILE}, {HOSTILE: 0.5}, 1)
    failed = Run(key, Status.FAILED, error=f"RuntimeError: {HOSTILE}")
    done = Run(key, Status.COMPLETED, 1.0, {HOSTILE: ConstraintOutcome(0.4, 0.4)}, {HOSTILE: 0.5}, 10)
    return judge(task(name=HOSTILE, objective=HOSTILE, constraints={HOSTILE: bound}), [failed, done])


def printed(document: Document, form: str = "table", width: int = 80, **console: Any) -> str:
    stream = io.StringIO()
    render(document, form, Console(file=stream, width=width, **console))
    return stream.getvalue()


def recipes() -> Document:
    """One method over two step-sizes, two sizes and two patterns that end alike."""
    pattern = "train.groups.*.bias.lr"
    settings = [
        {"coefficient": c, "train.optimizer.lr": lr, pattern: 0.5, "arguments.layers": n, "arguments.how": h}
        for lr in (1e-3, 0.01)
        for n, h in (([64, 64], None), ([8], {"p": 0.25}))
        for c in (0.1, 10.0)
    ]
    settings[-1][pattern] = 0.25
    return judge(task(), [run(setting, 0.3 + k / 100, 0.66 + k / 50) for k, setting in enumerate(settings)])


def methods_by_recipe() -> Document:
    """Two methods over two step-sizes."""
    lr = "train.optimizer.lr"
    penalized = [run({"coefficient": c, lr: r}, 0.3 + c / 9, 0.6 + c / 9) for r in (0.1, 0.02) for c in (0.1, 1.0)]
    return judge(
        task(),
        [*penalized, *(run({"dual_lr": 0.1, lr: r}, 0.3, 0.71, 2.0, method="lagrangian") for r in (0.1, 0.02))],
    )


DOCUMENTS = {
    f.__name__: f for f in (compared, several_seeds, swept_levels, searched, hostile, recipes, methods_by_recipe)
}


@pytest.mark.parametrize(
    ("name", "form", "width"),
    [
        ("compared", "table", 60),
        ("compared", "table", 80),
        ("compared", "table", 120),
        ("several_seeds", "table", 60),
        ("several_seeds", "table", 120),
        ("swept_levels", "table", 80),
        ("recipes", "table", 80),
        ("methods_by_recipe", "table", 80),
        ("methods_by_recipe", "markdown", 80),
        ("searched", "table", 60),
        ("hostile", "table", 120),
        *((name, form, 60) for name in ("compared", "hostile", "searched") for form in ("markdown", "latex", "csv")),
        ("searched", "json", 60),
    ],
)
def test_text_is_as_it_was_read_and_approved(name: str, form: str, width: int) -> None:
    suffix = f"-{width}" if form == "table" else ""
    golden(f"{name}{suffix}.{form}.txt", printed(DOCUMENTS[name](), form, width))


# Dotted keys


def test_a_dotted_key_has_its_last_part_for_a_name_and_more_where_others_have_the_same() -> None:
    names = ["coefficient", "train.optimizer.lr", "arguments.coefficient", "arguments.hidden", "train.steps"]
    assert short_names(names) == {
        "coefficient": "coefficient",
        "train.optimizer.lr": "lr",
        "arguments.coefficient": "arguments.coefficient",
        "arguments.hidden": "hidden",
        "train.steps": "steps",
    }
    alike = ["dual_lr", "train.optimizer.lr", "train.groups.*.bias.lr", "arguments.lr", "arguments.dual_lr"]
    assert list(short_names(alike).values()) == [
        "dual_lr",
        "optimizer.lr",
        "groups.*.bias.lr",
        "arguments.lr",
        alike[-1],
    ]
    rest = ["train.optimizer.name", "train.optimizer.betas[0]", "arguments.net.size"]
    assert list(short_names(rest).values()) == ["optimizer", "betas[0]", "size"]
    assert all(len(set(short_names(one).values())) == len(one) for one in (names, alike, rest))


def test_a_document_without_dotted_keys_is_read_as_it_is() -> None:
    document = compared()
    assert readable(document) is document
    made = recipes()
    before = json.dumps(made)
    once = readable(made)
    assert readable(once) == once
    assert json.dumps(made) == before
    assert json.loads(printed(made, "json")) == made


def test_long_values_are_cut_where_that_leaves_them_apart() -> None:
    paths = [f"/a/long/way/to/a/folder/of/tables/{name}.csv" for name in ("first", "other")]
    document = judge(task(), [run({"arguments.path": path}, 0.3, 0.7) for path in paths])
    shown = [row["setting"]["path"] for row in readable(document)["runs"]]
    assert shown == ["/a/long/way...ther/first.csv"[:11] + "..." + path[-14:] for path in paths]
    document = judge(task(), [run({"arguments.path": path + "x" * 14}, 0.3, 0.7) for path in paths])
    assert [row["setting"]["path"] for row in readable(document)["runs"]] == [path + "x" * 14 for path in paths]


# The terminal


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("name", ["compared", "several_seeds", "swept_levels", "searched"])
def test_tables_fit_and_never_cut_a_number(name: str, width: int) -> None:
    def rows(text: str) -> list[list[str]]:
        body = re.split(r"\n-[- ]+\n|\nleft out|\n\[1\]|\n\n", text)[2].splitlines()
        return [[word for word in line.split() if re.match(r"[-+]?\d\S*$", word)] for line in body if " " in line]

    text, whole = (printed(DOCUMENTS[name](), width=w) for w in (width, 1000))
    if width >= 60:
        assert len(rows(text)) == len(rows(whole)) >= 2
        assert all(set(shown) <= set(complete) for shown, complete in zip(rows(text), rows(whole), strict=True))
    assert {word for row in rows(text) for word in row} <= {word for row in rows(whole) for word in row}
    assert (rows(text) != rows(whole)) == ("left out" in text.partition("\n\nmethod")[0].partition("\n[1]")[0])
    if width >= 60:
        assert max(map(len, text.splitlines())) <= width


def test_words_are_folded_where_columns_that_stay_do_not_fit() -> None:
    runs = [
        run({"coefficient": c, "arguments.kind": "a long word"}, c, 0.72, levels={"class0_rate": level}, seed=seed)
        for c in (1.0, 2.0)
        for level in (0.6, 0.7)
        for seed in range(2)
    ]
    several = [run({"dual_lr": 0.1, "kp": 1.0, "nu": 0.5}, 1.0, 0.72, method="nupi", seed=seed) for seed in range(2)]
    document = judge(task(), [*runs, *several])
    for width in (60, 70, 80):
        text = printed(document, width=width)
        assert max(map(len, text.splitlines())) <= width
        row = text.partition("dual_lr 0.1,")[2].partition("left out")[0]
        assert [word for word in ("kp", "0.5", "2/2,") if word not in row.split()] == []


def test_a_pipe_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream = io.StringIO()
    show(compared(), "table", stream)
    assert stream.getvalue() == printed(compared(), width=80)
    assert stream.getvalue().isascii()


def test_no_color_on_a_terminal_is_as_plain_as_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert printed(compared(), force_terminal=True) == printed(compared())


def test_a_terminal_sees_feasible_rows_green_the_best_bold_and_bad_ones_red(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    lines = printed(compared(), force_terminal=True, color_system="standard", width=80).splitlines()

    def line(start: str) -> str:
        return next(line for line in lines if start in line)

    assert line("coefficient 4.642").startswith("\x1b[32mcoefficient 4.642")
    assert line("coefficient 2.154").startswith("\x1b[1;32mcoefficient 2.154")
    assert line("dual_lr 1000 ").startswith("\x1b[31mdual_lr 1000")
    assert line("coefficient 0.1").startswith("coefficient 0.1")
    assert any(line.startswith("─────") for line in lines)


def test_data_formats_ignore_the_console(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for form in ("json", "csv", "markdown", "latex"):
        assert printed(compared(), form, force_terminal=True) == printed(compared(), form, width=30)


def test_a_stream_that_is_not_unicode_gets_ascii() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    for form in FORMATS:
        show(several_seeds(), form, stream)
    stream.flush()
    assert b"0.3550 +- 0.0071" in raw.getvalue()


@pytest.mark.parametrize("form", FORMATS)
def test_hostile_names_reach_no_terminal(form: str) -> None:
    text = printed(hostile(), form)
    assert not set(text) & {"\x1b", "\u202e"}
    if form == "json":
        assert json.loads(text) == hostile()
    else:
        assert "[31m" not in text
    if form == "table":
        assert "[red]x[/red]" in text


def test_hostile_names_do_not_break_a_markdown_table() -> None:
    table = [line for line in printed(hostile(), "markdown").splitlines() if line.startswith("|")]
    assert len(table) == 3
    unescaped = [line.replace("\\\\", "").replace("\\|", "").count("|") for line in table]
    assert len(set(unescaped)) == 1


# Data


def test_json_is_the_document() -> None:
    assert json.loads(printed(compared(), "json")) == compared()
    with pytest.raises(ValueError, match="JSON"):
        text({**compared(), "objective": math.nan}, "json")  # type: ignore[typeddict-item]


def test_csv_is_flat_and_in_full_precision() -> None:
    rows = list(csv.DictReader(io.StringIO(printed(compared(), "csv"))))
    assert len(rows) == 7
    assert float(rows[1]["setting.coefficient"]) == 10 ** (1 / 3)
    assert rows[1]["setting.dual_lr"] == ""
    assert rows[3]["constraints.class0_rate.multiplier"] == "2.0"
    assert (rows[0]["feasible"], rows[1]["feasible"]) == ("false", "true")
    assert rows[6]["error"].startswith("Traceback (most recent call last):\n")


def test_a_vector_has_a_column_per_component_even_beside_a_failed_run() -> None:
    bound = SimpleNamespace(level=0.5, sense="<=", tolerance=0.001)
    key = RunKey("lagrangian", {}, {"g": 0.5}, 1)
    done = Run(key, Status.COMPLETED, 1.0, {"g": ConstraintOutcome([0.4, 0.7], [0.4, 0.7], [0.0, 3.0], [[0.4, 0.7]])})
    judged = judge(task(constraints={"g": bound}), [Run(key, Status.FAILED, error="no"), done])
    failed, row = records(judged)
    assert list(failed) == list(row)
    assert {name: x for name, x in row.items() if name.startswith("constraints.")} == {
        "constraints.g.value.0": 0.4,
        "constraints.g.value.1": 0.7,
        "constraints.g.surrogate.0": 0.4,
        "constraints.g.surrogate.1": 0.7,
        "constraints.g.violation.0": pytest.approx(-0.1),
        "constraints.g.violation.1": pytest.approx(0.2),
        "constraints.g.multiplier.0": 0.0,
        "constraints.g.multiplier.1": 3.0,
        "constraints.g.feasible_share": 0.0,
    }
    [worst] = [line for line in printed(judged, width=120).splitlines() if line.startswith("0/2")]
    assert worst.split() == ["0/2,", "1", "failed", "1.000", "0.7000", "+0.2", "3.000", "0", "[1],[2]"]


@pytest.mark.parametrize("form", ["table", "markdown", "latex"])
def test_means_are_over_the_seeds_that_finished_and_say_so(form: str) -> None:
    runs = [
        run({"dual_lr": 1.0}, 1.0 if done else None, 0.75 if done else 88.0, multiplier, method="lagrangian", seed=k)
        for k, (done, multiplier) in enumerate([(True, 2.0), (False, 0.0), (True, 2.0)])
    ]
    runs[1] = replace(runs[1], status=Status.DIVERGED)
    shown = printed(judge(task(), runs), form, width=140)
    (row,) = [line for line in shown.splitlines() if "2/3" in line]
    assert "2.000" in row
    assert "75.00" in row  # a share still, whatever the seed that diverged had
    assert "1.333" not in shown
    assert "the numbers are over the seeds that finished: 2 of 3" in shown


def test_numbers_of_a_setting_that_never_finished_are_none() -> None:
    runs = [run({"dual_lr": 1.0}, None, 0.5, 3.0, seed=k, status=Status.DIVERGED) for k in range(2)]
    (row,) = [line for line in printed(judge(task(), runs)).splitlines() if "0/2" in line]
    assert set(row.split()[3:]) == {"-"}


FIXED = [
    "method",
    "setting",
    "feasible",
    "seed",
    "status",
    "note",
    "violation",
    "objective",
    "diagnosis",
    "id",
    "steps",
]


def alike(name: str, form: str) -> Document:
    """A constraint, a metric and perhaps the objective of one name."""
    bound = SimpleNamespace(level=0.5, sense=">=", tolerance=0.001)
    key = RunKey("lagrangian", {"dual_lr": 0.1}, {name: 0.5}, 1, "c1:1")
    outcome = ConstraintOutcome(0.625, 0.625, 2.0, [0.625])
    done = Run(key, Status.COMPLETED, 0.25, {name: outcome}, {name: 7.0}, 10)
    objective = name if form == "all" else "loss"
    return judge(task(objective=objective, constraints={name: bound}), [done])


@pytest.mark.parametrize("name", ["recall", *FIXED])
@pytest.mark.parametrize("form", ["two", "all"])
def test_a_metric_named_as_a_constraint_or_a_column_replaces_nothing(name: str, form: str) -> None:
    document = alike(name, form)
    section = sections(document)[0]
    cells = {column.name: column.cells[0] for column in section.columns}
    assert len(cells) == len(section.columns)
    assert {"7.000", "0.2500"} <= set(cells.values())
    assert cells[f"{name} metric"] == "7.000"
    assert cells.get(f"{name} constraint", cells.get(f"{name} % constraint")) in ("0.6250", "62.50")
    (record,) = records(document)
    assert (record[f"metrics.{name}"], record[f"constraints.{name}.value"]) == (7.0, 0.625)
    (parsed,) = csv.DictReader(io.StringIO(text(document, "csv")))
    assert (parsed["method"], parsed["objective"], parsed["feasible"]) == ("lagrangian", "0.25", "true")
    assert (parsed[f"metrics.{name}"], parsed[f"constraints.{name}.value"]) == ("7.0", "0.625")


def test_held_100_is_said_of_every_step_alone() -> None:
    tails = {999: "99", 1000: "100", 4: "0"}
    for held, expected in tails.items():
        tail = [0.75] * held + [0.0] * (1000 - held)
        (column,) = [
            c for c in sections(judge(task(), [run({"c": 1.0}, 0.3, 0.75, tail=tail)]))[0].columns if c.name == "held %"
        ]
        assert column.cells == [expected]


def test_a_selected_iterate_is_no_luck_and_has_a_column() -> None:
    swing = [0.6, 0.8] * 50
    outcome = ConstraintOutcome(0.75, 0.75, 2.0, swing)
    curves = Curves(list(range(100)), [1.0] * 100, {"class0_rate": swing}, {})
    measured = MeasuredCurves([50, 100], [0.5, 0.6], {"class0_rate": [0.75, 0.6]}, {"class0_rate": [0.75, 0.6]}, {})
    last = replace(
        samples.rate_run("lagrangian", {"dual_lr": 1.0}, 0.75, 0.5), constraints={"class0_rate": outcome}, curves=curves
    )
    best = replace(last, curves=replace(curves, measured=measured), selected_step=50)
    [plain], [row] = (judge(samples.task(), [run])["runs"] for run in (last, best))
    assert plain["diagnosis"] == row["diagnosis"] == "oscillating"
    assert "curves" not in plain
    assert row["curves"]["measured"]["constraints"] == {"class0_rate": [0.75, 0.6]}
    assert row["selected_step"] == 50
    tables = [text(judge(samples.task(), [run]), "csv") for run in (last, best)]
    assert ["selected_step" in table for table in tables] == [False, True]
    assert all("curves" not in table for table in tables)
    shown = [text(judge(samples.task(), [run]), "markdown") for run in (last, best)]
    assert ["last step only" in table for table in shown] == [True, False]


def test_useful_is_marked_by_the_data_that_decide_and_notes_say_which_they_are_of() -> None:
    def judged(coefficient: float, training: float, held_out: float) -> Run:
        own = run({"coefficient": coefficient}, training, 0.72)
        outcome = ConstraintOutcome(0.72, 0.6)
        held = HeldOut(400, held_out, {"class0_rate": ConstraintOutcome(0.72, 0.72)})
        return replace(own, constraints={"class0_rate": outcome}, held_out=held)

    runs = [judged(1.0, 0.5, 0.3), judged(2.0, 0.1, 0.31), judged(3.0, 0.3, 0.9)]
    by_held_out, by_training = judge(task(), runs, on="held_out"), judge(task(), runs, on="training")
    marks = re.findall(r"^ +\d  (yes[a-z, ]*?)  ", printed(by_held_out), re.MULTILINE)
    assert marks == ["yes, useful, best", "yes, useful", "yes"]
    assert "[1] class0_rate on training data: the strict value holds" in printed(by_held_out)
    assert "[1] class0_rate: the strict value holds" in printed(by_training)


def test_what_is_the_same_in_every_row_stands_above_the_table_for_methods_with_one_setting_too() -> None:
    common = {"multipliers_on": "held_out"}
    runs = [
        run({"dual_lr": 0.1, **common}, 0.5, 0.72, method="lagrangian"),
        run({"dual_lr": 0.2, **common}, 0.5, 0.72, method="lagrangian"),
        run({"dual_lr": 0.1, "kp": 1.0, **common}, 0.5, 0.72, method="nupi"),
    ]
    said = printed(judge(task(), runs))
    title, table = said.split("setting", 1)
    assert title.count("multipliers_on held_out") == 2
    assert "multipliers_on" not in table
    assert re.search(r"^kp 1 +0.1 ", table, re.MULTILINE)


def test_what_has_no_interval_is_not_sure_beside_what_has_one() -> None:
    counts = {0.95: Evidence(counted=[(380, 400)]), 1.0: None, 0.5: None, 0.71: Evidence(counted=[(284, 400)])}
    runs = [
        replace(
            run({"coefficient": k}, 0.1 * k, value),
            held_out=HeldOut(400, 0.1 * k, {"class0_rate": ConstraintOutcome(value, evidence=evidence)}),
        )
        for k, (value, evidence) in enumerate(counts.items())
    ]
    said = printed(judge(task(), runs, on="held_out"))
    assert re.findall(r"^ +\d  (yes|no|unsure)", said, re.MULTILINE) == ["yes", "unsure", "no", "unsure"]
    assert "95 % confidence: 1 of 4 settings" in said
    unknown = [
        replace(one, held_out=replace(one.held_out, constraints=one.constraints)) for one in runs if one.held_out
    ]
    assert "unsure" not in printed(judge(task(), unknown, on="held_out"))


def test_a_frame_has_a_row_per_run() -> None:
    frame = to_frame(compared())
    assert list(frame.columns) == list(records(compared())[0])
    assert frame["feasible"].sum() == 4
    assert frame["objective"].isna().sum() == 2
    assert frame["setting.coefficient"].dtype == float


def test_a_document_without_runs_is_printed() -> None:
    empty = judge(task(), [])
    for form in FORMATS:
        printed(empty, form)
    assert printed(empty, "csv") == ""
    assert "0 of 0 runs feasible." in printed(empty)


# Sentences


def test_each_diagnosis_is_said_once() -> None:
    text = printed(compared(), "markdown")
    assert text.count(DIAGNOSES["oscillating"][:40]) == 1


def test_the_verdict_of_a_search() -> None:
    assert verdict_sentence(searched()) == (
        "solved: for density 50 %, coefficient 0.220673406908 gives 49.51 %, after 3 trainings."
    )
    assert verdict_sentence(searched("unattainable")) == (
        "unattainable: density 50 % was not reached after 3 trainings; coefficient 0.001 gives 98 % and "
        "coefficient 0.220673406908 gives 49.51 %."
    )


def test_the_verdict_of_a_search_that_ran_out_names_the_nearest() -> None:
    assert verdict_sentence(searched("out_of_budget")) == (
        "out_of_budget: density 50 % was not reached after 3 trainings; coefficient 0.220673406908 gives 49.51 %, "
        "the nearest."
    )


def test_a_best_setting_that_did_not_hold_all_along_says_so() -> None:
    tail = [0.7] * 199 + [0.6]
    runs = [run({"coefficient": 0.1}, 0.35, 0.7, tail=tail), run({"coefficient": 1}, 0.36, 0.7)]
    assert verdict_sentence(judge(task(), runs)) == (
        "penalized: 2 of 2 settings feasible, 1 useful, "
        "best coefficient 0.1 with cross_entropy 0.3500 (held in 99 % of the last steps)."
    )


def test_a_best_setting_that_held_at_the_last_step_only_is_not_marked_in_the_summary() -> None:
    swings = [0.6 if t % 2 else 0.8 for t in range(100)]
    runs = [
        run({"dual_lr": 0.1}, 0.35, 0.7, method="lagrangian", tail=swings),
        run({"dual_lr": 1}, 0.36, 0.6, method="lagrangian"),
    ]
    judged = judge(task(), runs)
    (summary,) = [section for section in sections(judged) if section.name == "summary"]
    (best,) = [column for column in summary.columns if column.name == "best setting"]
    assert list(best.cells) == ["dual_lr 0.1 (last step only)"]
    assert list(summary.marks) == [""]


def test_the_verdict_of_a_comparison() -> None:
    assert verdict_sentence(compared()) == (
        "penalized: 2 of 3 settings feasible, none useful, best coefficient 2.154 with cross_entropy 0.3952. "
        "lagrangian: 2 of 4 settings feasible (1 of them at the last step only), 2 useful over >= 1.00 decades, "
        "best dual_lr 0.01 with cross_entropy 0.3507. 1 of 7 runs diverged. 1 of 7 runs failed."
    )


# A search line by line


def with_run(document: Document, coefficient: float, value: float | None, **more: Any) -> Document:
    """The same search one training later."""
    bounds = {n: SimpleNamespace(**b) for n, b in document["constraints"].items()}
    outcomes = {n: ConstraintOutcome(v, v) for n, v in {"density": value, **more.pop("others", {})}.items()}
    metrics: dict[str, float | None] = more.pop("metrics", {"accuracy": 0.9})
    status = Status.DIVERGED if value is None else Status.COMPLETED
    run = Run(RunKey("penalized", {"coefficient": coefficient}, {}, 1), status, 0.2, outcomes, metrics, 150)
    row: Iteration = {
        "iteration": len(document["search"]["iterations"]),
        "coefficient": coefficient,
        "value": value,
        "objective": None if value is None else 0.2,
        "metrics": {} if value is None else metrics,
        **more,  # type: ignore[typeddict-item]
    }
    search: SearchBlock = {**document["search"], "iterations": [*document["search"]["iterations"], row]}
    found = judge(task(name="sparsity", objective="loss", constraints=bounds), [run], search=search, summary=False)
    return {**found, "runs": [*document["runs"], *found["runs"]]}


def test_iterations_are_printed_one_by_one() -> None:
    stream = io.StringIO()
    printer = IterationPrinter(stream, width=80)
    document = searched()
    later = with_run(document, 9.0, None)
    for k in range(3):
        printer(document, k)
    printer({**later, "objective": document["objective"]}, 3)
    assert stream.getvalue() == (
        "sparsity: minimise cross_entropy subject to density <= 50 % (tolerance 1 %)\n"
        "\n"
        " iteration  coefficient   density %  cross_entropy  accuracy %\n"
        "----------  -----------  ----------  -------------  ----------\n"
        "         0        0.001       98.00        0.01000       90.00\n"
        "         1            1       10.00          1.200       90.00\n"
        "         2    0.2206734       49.51         0.2000       90.00\n"
        "         3            9           -              -           -\n"
    )


def lines_of(*documents: Document) -> list[str]:
    """What is printed as each document's last iteration ends."""
    stream = io.StringIO()
    printer = IterationPrinter(stream, width=100)
    for document in documents:
        printer(document, len(document["search"]["iterations"]) - 1)
    return stream.getvalue().splitlines()[2:]


def test_a_value_that_shows_a_quantity_to_be_no_share_begins_a_new_header() -> None:
    first = searched()
    second = with_run(first, 0.5, 1.5, metrics={"accuracy": 0.9})
    printed_lines = lines_of(first, second)
    assert [line.split() for line in printed_lines] == [
        ["iteration", "coefficient", "density", "%", "cross_entropy", "accuracy", "%"],
        ["-" * 10, "-" * 11, "-" * 10, "-" * 13, "-" * 10],
        ["2", "0.2206734", "49.51", "0.2000", "90.00"],
        ["iteration", "coefficient", "density", "loss", "accuracy", "%"],
        ["-" * 10, "-" * 11, "-" * 10, "-" * 10, "-" * 10],
        ["3", "0.5", "1.500", "0.2000", "90.00"],
    ]
    assert [column.name for column in sections(second)[0].columns][2] == "density"


def test_coefficients_that_are_near_each_other_are_told_apart_while_they_are_printed() -> None:
    first = with_run(searched(), 0.12345678, 0.4)
    second = with_run(first, 0.123456780001, 0.4)
    assert [line.split()[1] for line in lines_of(first, second) if line.split()[0] in "34"] == [
        "0.1234568",
        "0.123456780001",
    ]


def test_a_metric_named_as_the_constraint_has_a_column_of_its_own() -> None:
    document = with_run(searched(), 0.5, 0.4, metrics={"density": 7.0, "coefficient": 8.0})
    names = [column.name for column in sections(document)[0].columns]
    assert names == [
        "iteration", "coefficient", "density %", "loss", "accuracy %", "density (metric)", "coefficient (metric)",
    ]  # fmt: skip
    assert [column.cells[-1] for column in sections(document)[0].columns] == [
        "3", "0.5", "40.00", "0.2000", "-", "7.000", "8.000",
    ]  # fmt: skip
    assert lines_of(document)[-1].split() == ["3", "0.5", "40.00", "0.2000", "-", "7.000", "8.000"]


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        ("infeasible", "infeasible: for density 50 %, coefficient 0.220673406908 gives 49.51 %, "
                       "but x and y do not hold there, after 3 trainings."),
        ("not_bracketed", "not_bracketed: density 50 % was not reached after 3 trainings; coefficient 0.001 gives 48 % "
                          "and coefficient 1 gives 10 %, both below it."),
    ],
)  # fmt: skip
def test_the_verdict_of_a_search_that_did_not_solve_it(outcome: str, sentence: str) -> None:
    document = searched(outcome)
    document["search"]["iterations"][2]["violated"] = ["x", "y"]
    document["search"]["iterations"][0]["value"] = 0.48
    assert verdict_sentence(document) == sentence


def test_of_two_coefficients_that_meet_the_target_the_feasible_one_is_reported() -> None:
    document = with_run(searched(), 0.21, 0.5001)
    assert "coefficient 0.21 gives" in verdict_sentence(document)
    document["search"]["iterations"][3]["violated"] = ["x"]
    assert "coefficient 0.220673406908 gives" in verdict_sentence(document)


def test_iterations_that_were_shown_are_not_shown_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream = io.StringIO()
    show(searched(), "table", stream, iterations_shown=True)
    expected = "\nsolved: for density 50 %, coefficient 0.220673406908 gives 49.51 %, after 3\n    trainings.\n"
    assert stream.getvalue() == expected


# Other lists


def test_any_list_of_records_is_printed_in_any_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    rows: list[dict[str, Plain]] = [
        {"name": "rate", "runs": 20, "text": "the words of one line that is long"},
        {"name": "b", "runs": 3, "text": "x"},
    ]

    def shown(form: str) -> str:
        stream = io.StringIO()
        print_rows(rows, form, "tasks", stream)
        return stream.getvalue()

    assert shown("table") == (
        "name  runs  text\n"
        "----  ----  --------------------------\n"
        "rate    20  the words of one line that\n"
        "            is long\n"
        "b        3  x\n"
    )
    assert json.loads(shown("json")) == {"tasks": rows}
    assert shown("csv") == "name,runs,text\nrate,20,the words of one line that is long\nb,3,x\n"
    assert shown("markdown").splitlines()[1] == "| ---- | ---: | ---------------------------------- |"
    assert r"b & $3$ & x \\" in shown("latex")


def test_a_cell_that_is_folded_keeps_its_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    stream = io.StringIO()
    print_rows(
        [{"check": "command", "found": "python train.py 'tags=[a,b]' --n 58,320 runs [1],[2]"}], "table", "", stream
    )
    assert stream.getvalue().splitlines()[2:] == [
        "command  python train.py 'tags=[a,b]'",
        "         --n 58,320 runs [1], [2]",
    ]


def test_an_empty_list_is_printed() -> None:
    stream = io.StringIO()
    print_rows([], "table", "tasks", stream)
    print_rows([], "json", "tasks", stream)
    assert json.loads(stream.getvalue()) == {"tasks": []}


# Numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.350712, "0.3507"), (0.35, "0.35"), (100.0, "100"), (0.0, "0"), (5.894e-10, "5.894e-10"), (None, "-"),
        (2.154434690031884e-3, "0.002154"), (1e-4, "0.0001"), (1e-5, "1e-5"), (123456.0, "123456"), (3.2e7, "3.2e7"),
        (-0.25, "-0.25"), (-0.0, "0"), (99999.6, "100000"),
    ],
)  # fmt: skip
def test_number(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.35, "0.3500"), (5.0, "5.000"), (1234.5, "1234"), (0.0, "0"), (1e-9, "1e-9")]
)
def test_measured_numbers_keep_their_zeros(value: float, text: str) -> None:
    assert measured(value) == text


def test_violations_are_signed() -> None:
    assert [signed(v) for v in (0.25, -0.25, 0.0, 3.21e-9, None)] == ["+0.25", "-0.25", "0", "+3.21e-9", "-"]
    assert [signed(v, 2) for v in (0.0025, -0.0025, -1e-9)] == ["+0.25", "-0.25", "0.00"]


def test_spread_over_seeds() -> None:
    assert spread([0.35, 0.36]) == "0.3550 ± 0.0071"
    assert spread([0.35, None]) == "0.3500"
    assert spread([0.5, 0.25], 2) == "37.50 ± 17.68"
    assert spread([None]) == "-"


def test_close_settings_stay_apart() -> None:
    assert distinct([0.1, 0.2]) == ["0.1", "0.2"]
    assert distinct([0.5463021, 0.5463039]) == ["0.546302", "0.546304"]
    assert distinct([True, "simultaneous", [1.0, 2.5], None]) == ["true", "simultaneous", "[1, 2.5]", "-"]


@pytest.mark.parametrize(
    ("tolerance", "expected"), [(0.1, 2), (0.0025, 2), (1e-5, 3), (1e-12, 10), (0.0, 2), (1e-16, 2), (1e-60, 2)]
)
def test_a_percentage_has_as_many_decimals_as_its_tolerance_and_numbers_have(tolerance: float, expected: int) -> None:
    assert decimals(tolerance) == expected


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ([0, 1, 2], "3 seeds (0 to 2)"),
        ([42, 1337, 987654321], "3 seeds (42, 1337, 987654321)"),
        ([1, 2, 20261125], "3 seeds (1, 2, 20261125)"),
        ([0, 2**63 - 1], f"2 seeds (0, {2**63 - 1})"),
        ([10**k for k in range(15)], f"15 seeds ({', '.join(str(10**k) for k in range(11))}, ..., {10**14})"),
        ([10**18 + k for k in range(15)], f"15 seeds ({10**18} to {10**18 + 14})"),
    ],
)
def test_seeds_however_far_apart_are_named(seeds: list[int], words: str) -> None:
    document = judge(task(), [run({"coefficient": 1.0}, 0.3, 0.75, seed=seed) for seed in seeds])
    assert words in subtitle(document)


def test_only_named_shares_within_0_and_1_are_percentages() -> None:
    assert is_share("class0_rate", [0.0, 1.0, None])
    assert is_share("Top-5 accuracy", [0.5])
    assert not is_share("accuracy", [93.2])
    assert not is_share("g", [0.5])
    assert not is_share("moderate", [0.5])


def test_escapes() -> None:
    assert escape_markdown("a_b _c_ <b> x < 1 & &amp; `|*") == r"a_b \_c\_ \<b> x < 1 & \&amp; \`\|\*"
    assert escape_latex("50 % of a_b <= {x}") == r"50 \% of a\_b $\le$ \{x\}"
    assert latex_cell("5.894e-10") == r"$5.894 \times 10^{-10}$"
    assert latex_cell("0.35 ± 0.01") == r"$0.35 \pm 0.01$"
    assert latex_cell("-") == "-"


def test_what_stands_in_a_mapping_has_a_column_where_all_settings_have_one() -> None:
    alike: list[dict[str, Any]] = [
        {"dual_lr": 0.1, "dual_optimizer": {"name": "SGD", "momentum": m}} for m in (0.0, 0.7)
    ]
    shown = printed(judge(task(), [run(setting, 0.6, 0.75, method="lagrangian") for setting in alike]), width=200)
    assert "lagrangian with dual_lr 0.1, dual_optimizer.name SGD" in shown
    assert re.search(r"optimizer\.momentum", shown)
    assert "best dual_optimizer.momentum 0" in shown
    mixed: list[dict[str, Any]] = [alike[1], {"dual_lr": 0.1, "dual_optimizer": "SGD"}, {"dual_lr": 0.1}]
    shown = printed(judge(task(), [run(setting, 0.6, 0.75, method="lagrangian") for setting in mixed]), width=200)
    assert "{name: SGD, momentum: 0.7}" in shown


def test_a_long_list_says_once_what_repeats_itself() -> None:
    assert setting_value([0.1, *[30.0] * 48, 50]) == "[0.1, 30 x48, 50]"
    assert setting_value([1, 1, 2, 2, 2, 3, 3]) == "[1, 1, 2 x3, 3, 3]"
    assert setting_value([1, 1, 1]) == "[1, 1, 1]"
