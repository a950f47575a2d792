"""The gallery: each task by each method, what does not fit, and what is found again."""

import json
from pathlib import Path

import pytest
from command_line import InProcess
from line_problem import LINE

from cpd.run.gallery import LONG, exhibits, names_of
from cpd.spec.bundled import bundled
from cpd.spec.overrides import Overrides

SPEC = """\
problem: line.py:Line
objective: f
constraints: {x: "<= 1"}
train: {steps: 300, optimizer: {name: SGD, lr: 0.1}, dtype: float64}
methods: {penalized: {coefficient: {values: [3, 4]}}}
"""


@pytest.fixture
def cpd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    made = InProcess(tmp_path, monkeypatch, capsys)
    made.write("line.py", LINE)
    made.write("line.yaml", SPEC)
    made.write("equal.yaml", SPEC.replace("<= 1", "== 1"))
    return made


TWO = ("--method", "penalized", "--method", "geco", "--engine", "eager")


def test_each_task_by_each_method_and_what_does_not_fit(cpd: InProcess) -> None:
    words = ("gallery", "line.yaml", "equal.yaml", "command-sklearn", *TWO)
    done = cpd(*words, "--format", "json", "--gap", "5%")
    assert done.rc == 0, done.stderr
    rows = {(row["task"], row["method"]): row for row in json.loads(done.stdout)["gallery"]}
    assert list(rows) == [(t, m) for t in ("line", "equal", "command-sklearn") for m in ("penalized", "geco")]
    # The default grid's coefficients 10, 100, 1000 are feasible, at x = -3, -48, -498: 25, 2500 and 250,000.
    own = rows["line", "penalized"]
    assert (own["settings"], own["feasible_settings"], own["best_setting"]) == (7, 3, {"coefficient": 10})
    assert own["best_objective"] == pytest.approx(25)
    assert (own["useful_settings"], own["useful_share"], own["trainings_to_first_useful"]) == (2, 2 / 7, 5)
    assert (own["useful_decades"], own["useful_at_edge"], own["note"]) == (1.0, False, None)
    assert rows["equal", "geco"]["settings"] is None
    assert "equality" in rows["equal", "geco"]["note"]
    assert rows["command-sklearn", "penalized"]["note"] == "its program has methods of its own"

    # Again it finds all of it, whatever the order and the form.
    again = cpd(*words, "--dry-run")
    assert "line: 14 runs of 300 steps, 14 of them stored, none to train" in again.stdout
    assert "equal: 7 runs of 300 steps, 7 of them stored" in again.stdout
    assert "command-sklearn: no method fits" in again.stdout
    (planned, *_) = json.loads(cpd(*words, "--dry-run", "--format", "json").stdout)["tasks"]
    assert (planned["task"], planned["runs"], planned["to_train"], planned["seconds"]) == ("line", 14, 0, 0.0)
    table = [line.split() for line in cpd(*words).stdout.splitlines()]
    assert ["penalized", "3", "of", "7", "2", "of", "7", "29", "%", "1.00", "5", "coefficient", "10", "25.00"] in table
    assert ["geco", "-", "-", "-", "-", "-", "-", "-", "[1]"] in table
    page = [line.replace("\\", "").split() for line in cpd(*words, "--format", "markdown").stdout.splitlines()]
    assert ["|", "task", "|", "penalized", "|", "geco", "|"] in page
    assert ["|", "line", "|", "29", "%,", "1.00,", "5", "|"] in [line[:8] for line in page]
    assert ["[1]", "its", "multipliers", "are"] in [line[:4] for line in page]
    assert len(cpd(*words, "--format", "csv").stdout.splitlines()) == 1 + 6
    assert "29" in cpd(*words, "--format", "latex").stdout


def test_a_task_that_cannot_be_trained_does_not_end_it(cpd: InProcess) -> None:
    cpd.write("broken.yaml", SPEC.replace("{x: ", "{y: "))
    done = cpd("gallery", "broken.yaml", "line.yaml", *TWO[:2], "--steps", "3", "--format", "json")
    broken, line = json.loads(done.stdout)["gallery"]
    assert (done.rc, broken["settings"], line["settings"]) == (1, None, 7)
    assert broken["note"]


def test_a_method_that_is_refused_once_the_model_is_there_takes_no_other_with_it(cpd: InProcess) -> None:
    cpd.write("line.py", LINE.replace('{"x": model.x}', '{"x": model.x.expand(65)}'))
    for methods, settings in ((("penalized", "projected"), [7, None]), (("projected",), [None])):
        words = ("gallery", "line.yaml", *(word for method in methods for word in ("-m", method)), "--steps", "3")
        done = cpd(*words, "--format", "json")
        rows = json.loads(done.stdout)["gallery"]
        assert (done.rc, [row["settings"] for row in rows]) == (0, settings)
        assert rows[-1]["note"] == "it takes the gradient of each of 65 components of constraints"
        planned = "line: no method fits" if len(methods) == 1 else "line: 7 runs of 3 steps, 7 of them stored"
        assert planned in cpd(*words, "--dry-run").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "no bundled task or sweep 'nowhere'"),
        (["rate", "--method", "penalised"], "unknown method 'penalised'"),
        (["rate", "--set", "train.step=3"], "--set train.step: unknown key 'step'"),
        (["rate", "-m", "nupi", "--set", "penalized.coefficient=1"], "'penalized' is not among the methods asked for"),
        (["table2"], "sweeps/table2.yaml: is a search; name a task"),
        (["rate", "--top", "3"], "--top: is of one sweep's tables"),
    ],
)
def test_what_is_no_task_or_word_is_said(cpd: InProcess, words: list[str], message: str) -> None:
    done = cpd("gallery", *words)
    assert done.rc == 2
    assert message in done.stderr


@pytest.mark.slow
def test_every_bundled_task_is_in_it_but_those_that_take_hours() -> None:
    names = names_of([])
    assert set(names) | set(LONG) == {one.name for one in bundled() if one.kind == "task"}
    for exhibit in exhibits(names, Overrides()):
        assert exhibit.task is not None or set(exhibit.unfit) == set(exhibit.methods), exhibit.name
        trained = [] if exhibit.task is None else exhibit.task.methods
        assert {*trained, *exhibit.unfit} == set(exhibit.methods)
