"""Tables under many constraints: the share that is satisfied, and the list of all of them on request."""

import io
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from sample_documents import task, two_constraints

from cpd.errors import CpdError
from cpd.outcome import ConstraintOutcome, Run, RunKey, Status
from cpd.verdict.document import Document
from cpd.verdict.judgement import judge
from cpd.views.tables.constraint_list import constraints_section
from cpd.views.tables.render import render, text
from cpd.views.tables.shape import Order, Shape


def fifty(vector: bool = False, tolerance: float = 0.001) -> Document:
    """Two settings of each of two methods; k violated ones miss the level 1 by 0.01, 0.02 and so on, the last most."""
    runs = []
    for method, name, missed in (("penalized", "coefficient", (9, 2)), ("lagrangian", "dual_lr", (3, 0))):
        for size, count in zip((0.1, 1.0), missed, strict=True):
            for seed in (0, 1):
                broken = max(0, count - seed)  # the second seed misses one less
                values = [0.5] * (50 - broken) + [1 + 0.01 * (k + 1) for k in range(broken)]
                own: dict[str, Any] = {"parts": values} if vector else {f"g_{k:02d}": v for k, v in enumerate(values)}
                paid: Any = [0.25] * 50 if vector else 0.25
                outcomes = {n: ConstraintOutcome(v, v, None if size == 0.1 else paid) for n, v in own.items()}
                key = RunKey(method, {name: size}, dict.fromkeys(own, 1.0), seed)
                runs.append(Run(key, Status.COMPLETED, 2.0 - size, outcomes, {}, 100, 1.0))
    names = ["parts"] if vector else [f"g_{k:02d}" for k in range(50)]
    return judge(task("fifty", "f", **dict.fromkeys(names, (1.0, "<=", tolerance))), runs)


def seen(document: Document, shape: Shape | None = None, width: int = 80, height: int = 60) -> str:
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    render(document, "table", Console(file=stream, width=width, height=height, no_color=True), shape=shape or Shape())
    return stream.getvalue()


@pytest.mark.parametrize("vector", [False, True])
@pytest.mark.parametrize("width", [50, 60, 80, 160])
def test_a_terminal_of_any_width_says_how_many_hold(vector: bool, width: int) -> None:
    printed = seen(fifty(vector), width=width)
    assert max(map(cell_len, printed.splitlines())) <= width
    if width >= 80:
        assert [printed.count(f"{n} of 50 ") + printed.count(f"{n} of 50\n") for n in (41, 48, 47)] >= [1, 1, 1]
    else:
        assert "of 50" in printed or "satisfied" in printed.partition("left out")[2]
    assert "penalized: 0 of 2 settings feasible, at most 48 of 50 constraints satisfied." in " ".join(printed.split())


@pytest.mark.parametrize("form", ["markdown", "latex"])
def test_every_form_has_the_fewest_of_the_seeds(form: str) -> None:
    printed = text(fifty(), form)
    assert "satisfied" in printed
    assert all(f"{n} of 50" in printed for n in (41, 48, 47, 50))
    assert "49 of 50" not in printed, "the other seed's"


def test_few_constraints_have_no_such_column() -> None:
    assert "satisfied" not in text(two_constraints(), "markdown")
    assert "satisfied" not in text(two_constraints(), "json").replace('"verdict": "satisfied"', "")


def test_rows_are_sorted_by_the_share() -> None:
    printed = seen(fifty(), Shape(sort=(Order("satisfied"),), columns=("satisfied",)))
    found = [line.split()[-3:] for line in printed.splitlines() if line.endswith("of 50")]
    assert [n for n, *_ in found] == ["41", "48", "47", "50"]


def test_the_list_has_the_worst_first_at_the_setting_nearest_to_feasible() -> None:
    section = constraints_section(fifty(), ["all"])
    assert section is not None
    cells = {column.name: list(column.cells) for column in section.columns}
    assert dict.fromkeys(section.groups) == dict.fromkeys(["penalized: coefficient 1", "lagrangian: dual_lr 1"])
    assert section.height == 100
    assert cells["constraint"][:3] == ["g_49", "g_48", "g_00"]
    assert cells["violation"][:3] == ["+0.02", "+0.01", "-0.5"]
    assert cells["value"][0] == "1.015 ± 0.0071"
    assert cells["level"][0] == "<= 1"
    assert cells["holds"][:3] == ["no", "no", "yes"]
    assert set(cells["holds"][50:]) == {"yes"}
    assert cells["multiplier"][0] == "0.2500 ± 0"


def test_the_components_of_a_vector_are_listed_each() -> None:
    section = constraints_section(fifty(vector=True), ["parts"])
    assert section is not None
    assert section.columns[0].cells[:3] == ["parts[49]", "parts[48]", "parts[0]"]


def test_the_list_is_shaped_as_other_tables() -> None:
    asked = ("all",)
    printed = seen(fifty(), Shape(constraints=asked), height=40)
    assert "the worst first (--top all has all)" in " ".join(printed.split())
    assert len(printed.splitlines()) <= 40
    held = seen(fifty(), Shape(constraints=asked, only="feasible", top=0))
    assert "g_49" in held.partition("lagrangian: dual_lr 1")[2]
    assert "g_49" not in held.partition("lagrangian: dual_lr 1")[0].partition("penalized: coefficient")[2]
    sorted_ = seen(fifty(), Shape(constraints=("g_0*",), sort=(Order("constraint"),), columns=("violation",)))
    names = [line.split()[0] for line in sorted_.splitlines() if line.startswith("g_")]
    assert names == [f"g_{k:02d}" for k in range(10)] * 2
    assert "value" not in sorted_


def test_a_name_of_no_constraint_is_answered_with_those_there_are() -> None:
    with pytest.raises(CpdError, match=r"^--constraints: no constraint 'g_5x'; did you mean"):
        text(fifty(), "markdown", Shape(constraints=("g_5x",)))
