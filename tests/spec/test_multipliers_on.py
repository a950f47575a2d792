"""Multipliers that move on held-out examples, as a spec asks for them: one split for all runs of a task."""

from collections.abc import Callable
from pathlib import Path

import pytest
from spec_files import PROBLEM

from cpd.errors import CpdError
from cpd.spec.identity import runs
from cpd.spec.overrides import Overrides
from cpd.spec.reader import load_task

SPEC = """
problem: mine.py:Mine
objective: f
constraints: {g: "<= 0.7"}
held_out: 0.4
train: {steps: 10}
methods:
  penalized: {coefficient: 1}
  lagrangian: {dual_lr: 0.1%s}
"""

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    (tmp_path / "mine.py").write_text(PROBLEM)

    def written(more: str) -> str:
        path = tmp_path / "task.yaml"
        path.write_text(SPEC % more)
        return str(path)

    return written


@pytest.mark.parametrize(
    ("more", "words", "share"),
    [
        ("", (), None),
        (", multipliers_on: training", (), None),
        (", multipliers_on: held_out", (), 0.5),
        (", multipliers_on: {values: [training, held_out]}", (), 0.5),
        (", multipliers_on: held_out", ("train.multipliers_share=0.25",), 0.25),
        ("", ("lagrangian.multipliers_on=held_out",), 0.5),
        ("", ("lagrangian.multipliers_on=training,held_out",), 0.5),
        ("", ("train.multipliers_share=0.3",), 0.3),
    ],
)
def test_how_many_examples_are_the_multipliers(more: str, words: tuple[str, ...], share: float, write: Write) -> None:
    task = load_task(write(more), Overrides(set=words))
    assert task.train.multipliers_share == share
    alone = load_task(write(more), Overrides(set=(), methods=("penalized",)))
    if not words:  # a run is judged on the same examples whatever is trained beside it
        assert [key.id for key in runs(alone)] == [key.id for key in runs(task)][:1]


def test_only_runs_that_may_differ_have_other_ids(write: Write) -> None:
    plain, same, other = ([key.id for key in runs(load_task(write(more)))] for more in MORE)
    assert plain == same
    assert not set(plain) & set(other)


MORE = ("", ", multipliers_on: training", ", multipliers_on: held_out")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("penalized.multipliers_on=held_out", "unknown hyperparameter 'multipliers_on'"),
        ("lagrangian.multipliers_on=validation", "multipliers_on"),
        ("train.multipliers_share=1", "no share of the examples"),
        ("train.multipliers_share=0", "no share of the examples"),
    ],
)
def test_what_makes_no_sense_is_refused(words: str, said: str, write: Write) -> None:
    with pytest.raises(CpdError, match=said):
        load_task(write(""), Overrides(set=(words,)))
