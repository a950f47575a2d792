"""A task aimed at a target: what the options replace, and what a search cannot use."""

import math
from typing import Any

import pytest

from cpd.errors import CpdError
from cpd.run.target import aimed, with_target
from cpd.spec.models import Search, Task
from cpd.spec.reader import load_task

PLAIN = "write a number like 0.5 or 1e-3"


@pytest.fixture(scope="module")
def task() -> Task:
    return load_task("concave")


def test_options_come_over_the_tasks_own_search(task: Task) -> None:
    words = {"target": "0.5", "low": 0.01, "high": None, "strategy": "illinois", "max_trainings": 7}
    first = with_target(task, words)
    assert first.search == Search(constraint="g", target=0.5, low=0.01, high=1.0, strategy="illinois", max_trainings=7)
    second = with_target(first, {"high": 5.0})
    assert first.search is not None
    assert second.search == first.search.model_copy(update={"high": 5.0})


def test_the_level_is_the_target_judged_with_the_searchs_tolerance(task: Task) -> None:
    found = with_target(task, {"target": "g=0.25", "tolerance": 0.125})
    assert (found.constraints["g"].level, found.constraints["g"].tolerance) == (0.25, 0.125)
    assert found.constraints["g"].sense == task.constraints["g"].sense
    assert found.levels == {}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "--target: no target; write --target-g VALUE"),
        ({"target": ""}, "--target: no target; write --target-g VALUE"),
        ({"target": "h=1"}, "--target-h: no constraint 'h'; valid: g"),
        ({"target": "high"}, "--target: 'high' is not a number; give a number, e.g. 0.5"),
        ({"target": "g=nan"}, f"--target-g: NaN is not a number; {PLAIN}"),
        ({"target": "1", "low": 0.0}, "--low: 0.0 is out of range; write a number above 0"),
        ({"target": "1", "low": math.inf}, f"--low: Infinity is not a number; {PLAIN}"),
        ({"target": "1", "high": math.inf}, f"--high: Infinity is not a number; {PLAIN}"),
        ({"target": "1", "tolerance": 0.0}, "--tolerance: 0.0 is out of range; write a number above 0"),
        ({"target": "1", "max_trainings": 1}, "--max-trainings: expected an integer >= 2, got 1"),
    ],
)
def test_what_a_search_cannot_use_names_its_option(words: dict[str, Any], message: str, task: Task) -> None:
    with pytest.raises(CpdError) as refused:
        with_target(task, words)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("words", "option"),
    [({"low": 2.0}, "--low: "), ({"high": 1e-4}, "--high: "), ({"low": 3.0, "high": 2.0}, "--high: ")],
)
def test_ends_that_do_not_go_together_name_the_one_that_was_given(
    words: dict[str, Any], option: str, task: Task
) -> None:
    with pytest.raises(CpdError) as refused:
        with_target(task, {"target": "1", **words})
    assert str(refused.value).startswith(option)


def test_of_several_constraints_one_is_named(task: Task) -> None:
    both = {**task.constraints, "h": task.constraints["g"]}
    with pytest.raises(CpdError) as refused:
        aimed(task.model_copy(update={"constraints": both}), Search(target=1.0))
    assert str(refused.value) == "--target: concave has 2 constraints; write --target-g VALUE"
