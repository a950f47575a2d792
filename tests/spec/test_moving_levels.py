"""Levels that move: read, swept, set on the command line, refused, and part of an id only where they are given."""

from pathlib import Path

import pytest
from spec_files import Write, load, refusal, writer

from cpd.spec.identity import runs
from cpd.spec.models import MovingConstraint, task_from_json, task_to_json

PATH = "{g: {from: 1.0, to: 0.5, over: 0.25}}"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    return writer(tmp_path, monkeypatch)


def test_the_level_of_a_run_is_where_it_ends(write: Write) -> None:
    task = load(write(levels=PATH))
    moved = task.constraints["g"]
    assert isinstance(moved, MovingConstraint)
    assert (moved.start, moved.over, moved.level, moved.sense) == (1.0, 0.25, 0.7, ">=")
    assert [key.levels for key in runs(task)] == [{"g": 0.5, "h": 1.0}]
    assert not isinstance(task.constraints["h"], MovingConstraint)
    assert task_from_json(task_to_json(task)) == task


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ("{g: {from: 1, to: {values: [0.5, 0.6]}, over: 1}}", [0.5, 0.6]),
        ("{g: {from: 1, to: [0.5, 0.6], over: 1}}", [0.5, 0.6]),
        ("{g: {from: 1, to: {min: 0.5, max: 0.7, num: 3}, over: 1}}", [0.5, 0.6, 0.7]),
        ("{g: {from: 1, over: 1}}", [0.7]),
    ],
)
def test_where_it_ends_may_be_swept(write: Write, levels: str, expected: list[float]) -> None:
    assert [key.levels["g"] for key in runs(load(write(levels=levels)))] == expected


def test_options_change_a_part_of_it_or_end_it(write: Write) -> None:
    name = write(levels=PATH)
    later = load(name, "levels.g.over=0.75", "levels.g.to=0.4,0.6")
    moved = later.constraints["g"]
    assert isinstance(moved, MovingConstraint)
    assert (moved.start, moved.over, later.levels["g"]) == (1.0, 0.75, (0.4, 0.6))
    fixed = load(name, levels=("g=0.4",))
    assert not isinstance(fixed.constraints["g"], MovingConstraint)
    assert fixed.levels["g"] == (0.4,)


def test_an_id_says_how_a_level_moves_where_it_does(write: Write) -> None:
    texts = ["{g: 0.5}", PATH, PATH.replace("1.0", "0.9"), PATH.replace("0.25", "0.5")]
    found = [[key.id for key in runs(load(write(levels=text)))] for text in texts]
    assert len({str(ids) for ids in found}) == len(texts)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ("{g: {to: 0.5, over: 0.5}}", "levels.g: the key 'from' is missing; write {from: 1, to: 0.5, over: 0.5}"),
        ("{g: {from: 1, to: 0.5}}", "levels.g: the key 'over' is missing; write {from: 1, to: 0.5, over: 0.5}"),
        (
            "{g: {from: 1, to: 0.5, ovr: 0.5}}",
            "levels.g.ovr: unknown key 'ovr'; did you mean 'over'? Valid: from, to, over",
        ),
        (
            "{g: {from: 1, to: 0.5, over: 1.5}}",
            "levels.g.over: 1.5 is not a share of the training; write a number above 0, up to 1",
        ),
        (
            "{g: {from: 1, to: 0.5, over: 0}}",
            "levels.g.over: 0 is not a share of the training; write a number above 0, up to 1",
        ),
        ("{g: {from: high, over: 1}}", "levels.g.from: 'high' is not a number; write a number like 0.5 or 1e-3"),
        ("{g: {from: 1, to: low, over: 1}}", "levels.g.to: 'low' is not a number; write a number like 0.5 or 1e-3"),
        ("{k: {from: 1, to: 0, over: 1}}", "levels.k: no constraint 'k'; valid: g, h"),
    ],
)
def test_what_is_refused(write: Write, levels: str, message: str) -> None:
    assert refusal(write(levels=levels)) == f"x.yaml: {message}"
