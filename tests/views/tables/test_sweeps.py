"""The list of sweeps fits every terminal."""

from dataclasses import replace

import pytest
from rich.cells import cell_len

from cpd.views.tables.sweeps import SweepLine, clipped, sweeps_section
from cpd.views.tables.terminal import joined

PLAIN = SweepLine(
    id="20261126-200118-3f2a",
    age="3h",
    command="sweep",
    task="rate",
    runs="1,340",
    feasible="20/67",
    best="0.4814",
    objective="cross_entropy",
    setting="lagrangian, dual_lr 0.01",
    state="",
    tags="",
    note="",
    models="2.2 kB",
    started="2026-11-26T20:01:18+00:00",
    ended="2026-11-26T20:01:20+00:00",
    took="2.0 s",
)
LABELLED = replace(PLAIN, state="stopped, 3 failed", tags="paper, final", note="the run of Table 3", best="-5.894e-10")
ODD = replace(LABELLED, task="日本語のタスク" * 9, setting="x" * 300, tags="ü" * 80, runs="12/1,340", note="é")
LISTS = {"plain": [PLAIN], "labelled": [PLAIN, LABELLED], "odd": [PLAIN, ODD, LABELLED]}


def printed(lines: list[SweepLine], width: int | None) -> list[str]:
    columns = sweeps_section(lines, width).columns
    header = joined(columns, [column.name for column in columns]).rstrip()
    return [header, *(joined(columns, [column.cells[k] for column in columns]).rstrip() for k in range(len(lines)))]


@pytest.mark.parametrize("lines", LISTS.values(), ids=LISTS)
def test_no_line_is_longer_than_any_terminal_is_wide(lines: list[SweepLine]) -> None:
    for width in [*range(1, 200), 400]:
        found = printed(lines, width)
        assert max(map(cell_len, found)) <= width, width
        if width >= len(PLAIN.id):
            assert all(line.startswith(PLAIN.id) for line in found[1:]), width


@pytest.mark.parametrize("lines", LISTS.values(), ids=LISTS)
def test_what_one_looks_for_is_there_at_60(lines: list[SweepLine]) -> None:
    header, *rows = printed(lines, 60)
    assert {"id", "feasible", "best"} <= set(header.split())
    assert all(line.feasible in row and line.best in row for line, row in zip(lines, rows, strict=True))
    if lines == [PLAIN]:
        assert header.split() == ["id", "task", "age", "runs", "feasible", "best"]
        assert rows[0].split() == [PLAIN.id, "rate", "3h", "1,340", "20/67", "0.4814"]


def test_at_80_the_command_is_whole_and_at_132_all_is_there() -> None:
    assert printed([PLAIN], 80)[1].split()[1:3] == ["sweep", "rate"]
    header, row = printed([PLAIN], 132)
    assert "best setting" in header
    assert row.endswith("lagrangian, dual_lr 0.01  2.2 kB")


def test_wide_has_full_times_and_cuts_nothing() -> None:
    header, row, odd = printed([PLAIN, ODD], None)
    assert "age" not in header.split()
    assert {PLAIN.started, PLAIN.ended} <= set(row.split())
    assert all(text in odd for text in (ODD.task, ODD.setting, ODD.tags, ODD.note, ODD.state))


def test_words_are_cut_at_whole_letters() -> None:
    assert clipped("日本語", 6) == "日本語"
    assert clipped("日本語", 5) == "日本…"
    assert clipped("日本語", 4) == "日…"
    assert clipped("abc", 1) == "a"
