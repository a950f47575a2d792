"""What a program says of its run, read into a run: values, shares, vectors, what is not finite, curves."""

import datetime
import json
import math
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from program_tasks import sweep, write_task

import cpd
from cpd.external import output
from cpd.external.folder import Folder
from cpd.external.output import Recorded, Unreadable, last_lines, read_curves, read_result
from cpd.external.values import curves_of, finished
from cpd.outcome import Run, RunKey, Status
from cpd.spec.models import Constraint
from cpd.store.store import open_store

BOUNDS = {"recall": Constraint(level=0.9, sense=">=")}
KEY = RunKey("penalized", {"coefficient": 1}, {"recall": 0.9}, 0)


def made(points: list[dict[str, Any]] | None = None, **values: Any) -> Run:
    run, _ = finished(KEY, "loss", BOUNDS, {"loss": 1.0, "recall": 0.95, **values}, points or [])
    return run


def test_numbers() -> None:
    run = made(loss=2, accuracy=0.5, epochs=3)
    assert (run.objective, run.constraints["recall"].value) == (2.0, 0.95)
    assert run.metrics == {"accuracy": 0.5, "epochs": 3.0}
    assert run.status is Status.COMPLETED


def test_a_share_keeps_its_counts() -> None:
    outcome = made(recall={"hits": 270, "of": 300}).constraints["recall"]
    assert outcome.value == 270 / 300
    assert outcome.evidence is not None
    assert (outcome.evidence.counted, outcome.evidence.size) == (((270.0, 300.0),), 300)


@pytest.mark.parametrize(
    "value", [[{"hits": 9, "of": 10}, {"hits": 19, "of": 20}], {"hits": [9, 19], "of": [10, 20]}, [0.9, 0.95]]
)
def test_vectors(value: Any) -> None:
    outcome = made(recall=value).constraints["recall"]
    assert outcome.value == [0.9, 0.95]
    counted = outcome.evidence.counted if outcome.evidence else None
    assert counted == (None if value == [0.9, 0.95] else ((9.0, 10.0), (19.0, 20.0)))


def test_a_soft_share_has_no_counts() -> None:
    outcome = made(recall={"hits": 2.5, "of": 10}).constraints["recall"]
    assert (outcome.value, outcome.evidence) == (0.25, None)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "NaN", "Infinity", "NA", "-inf", 10**400])
@pytest.mark.parametrize("name", ["loss", "recall"])
def test_what_is_not_finite_is_a_diverged_run(name: str, value: Any) -> None:
    run = made(**{name: value})
    assert run.status is Status.DIVERGED
    assert run.error == f"{'the objective ' if name == 'loss' else ''}{name} is not finite in the result"


def test_a_diverged_run_says_what_was_not_finite_first_and_when() -> None:
    points = [{"step": 10, "loss": 1.0, "recall": 0.5}, {"step": 20, "loss": 2.0, "recall": math.nan}]
    assert made(points, loss=math.nan).error == "recall was not finite at step 20"


def test_a_component_that_is_not_finite() -> None:
    run = made(recall=[0.9, math.nan])
    assert (run.status, run.constraints["recall"].value) == (Status.DIVERGED, [0.9, None])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"recall": "high"}, "'recall' of its result is 'high', and no number"),
        ({"recall": {"hits": 3, "of": 0}}, "a share of no examples"),
        ({"recall": {"hits": 4, "of": 3}}, "is no share: 4 of 3"),
        ({"recall": {"hits": -1, "of": 3}}, "is no share: -1 of 3"),
        ({"recall": {"hit": 4, "of": 3}}, 'write {"hits": 270, "of": 300}'),
        ({"recall": []}, "an empty list"),
        ({"recall": [[1]]}, "a list of lists"),
        ({"recall": True}, "is True, and no number"),
        ({"loss": [1, 2]}, "the objective 'loss' of its result is a list"),
        ({"held_out": {"loss": 1}}, "held_out: its result lacks the constraint 'recall'"),
        ({"held_out": 3}, "is no mapping"),
    ],
)
def test_values_that_are_none(values: dict[str, Any], words: str) -> None:
    with pytest.raises(Unreadable, match="result") as caught:
        made(**values)
    assert words in str(caught.value)


def test_held_out_values_decide() -> None:
    run = made(held_out={"loss": 3.0, "recall": {"hits": 80, "of": 100}, "examples": 100, "luck": 1})
    assert run.held_out is not None
    assert (run.held_out.objective, run.held_out.examples) == (3.0, 100)
    assert run.held_out.constraints["recall"].value == 0.8
    assert run.held_out.metrics == {"luck": 1.0}


@pytest.mark.parametrize("value", [{"value": 0.8, "surrogate": 0.7}, 0.8])
def test_groups_as_in_the_documents_are_read_too(value: Any) -> None:
    run = made(held_out={"objective": 3.0, "constraints": {"recall": value}, "metrics": {"luck": 1}})
    assert run.held_out is not None
    assert (run.held_out.objective, run.held_out.constraints["recall"].value) == (3.0, 0.8)


def test_other_keys_that_are_no_numbers_are_left_out_with_a_note() -> None:
    run, notes = finished(KEY, "loss", BOUNDS, {"loss": 1, "recall": 1, "name": "mine", "a": math.nan}, [])
    assert run.metrics == {"a": None}
    assert notes == ["'name' of a result is no number, and is left out"]


def test_a_surrogate_beside_the_strict_value() -> None:
    outcome = made(surrogate={"recall": 0.8}).constraints["recall"]
    assert (outcome.value, outcome.surrogate) == (0.95, 0.8)


def test_curves_and_their_tail() -> None:
    points = [{"step": 10 * k, "loss": 1 / k, "recall": k / 100, "multipliers": {"recall": k}} for k in range(1, 101)]
    run = made(points)
    assert run.curves is not None
    assert (run.steps, list(run.curves.steps)) == (1000, [10 * k for k in range(1, 101)])
    assert list(run.constraints["recall"].tail) == pytest.approx([k / 100 for k in range(90, 101)])
    assert list(run.curves.multipliers["recall"]) == list(range(1, 101))


@pytest.mark.parametrize("count", [1, 499, 500, 501, 7_777])
def test_curves_are_thinned_and_keep_their_end(count: int) -> None:
    curves = curves_of("loss", ["recall"], [{"step": k, "loss": k, "recall": 1} for k in range(count)])
    assert curves is not None
    assert len(curves.steps) == min(count, 500)
    assert curves.steps[-1] == count - 1
    assert sorted(set(curves.steps)) == list(curves.steps)


def test_points_lack_values_or_have_others() -> None:
    points: list[dict[str, Any]] = [
        {"step": 1, "loss": 1},
        {"step": 2, "recall": [0.1, 0.2]},
        {"step": 3, "recall": "x"},
    ]
    curves = curves_of("loss", ["recall"], points)
    assert curves is not None
    assert list(curves.objective) == [1.0, None, None]
    assert list(curves.constraints["recall"]) == [[None, None], [0.1, 0.2], [None, None]]


def test_lines_of_curves(tmp_path: Path) -> None:
    lines = ['{"step": 1, "loss": 1}', '{"step": 5, "loss": 2}', "", "[1]", '{"step": "x"}', '{"step": 3, "loss": 3}']
    (tmp_path / "curves.jsonl").write_text("\n".join([*lines, '{"loss": 4}', '{"step": 9, "lo']))
    assert [(p["step"], p["loss"]) for p in read_curves(tmp_path)] == [(1, 1), (3, 3), (4, 4)]


@pytest.mark.parametrize("block", [1, 2, 7, 64, 1 << 20])
@pytest.mark.parametrize(
    ("log", "loss"),
    [
        ('{"loss": 1}\n', 1),
        ('{"loss": 1}', 1),
        ('{"loss": 1}\nmore\n{"loss": 2\n[3]\n', 1),
        ('x\r\n{"loss": 1}\r\n', 1),
        ('  {"loss": 1}  \n\n\n', 1),
        ('10 %|#  |\r100 %|###|\r{"loss": 1}\n', 1),
        ('{"loss": 1}\n{"loss": 2}\n{not json}\n', 2),
        ('{"loss": 1}\n' + "x" * 300 + "\n", 1),
        ('{"loss": "é"}\n', "é"),
        ("{" * 5000 + "}" * 5000 + '\n{"loss": 1}\n{"a": ' + "[" * 5000 + "}\n", 1),
    ],
)
def test_the_last_line_that_is_an_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: str, loss: Any, block: int
) -> None:
    monkeypatch.setattr(output, "BLOCK", block)
    (tmp_path / "log.txt").write_bytes(log.encode())
    assert read_result(Folder(tmp_path))["loss"] == loss


def test_a_line_that_is_too_long_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "BLOCK", 16)
    monkeypatch.setattr(output, "LONGEST", 50)
    (tmp_path / "log.txt").write_text('{"loss": 1}\n{"a": "' + "x" * 200 + '"}\n')
    assert read_result(Folder(tmp_path)) == {"loss": 1}


PROGRAM = """\
import sys
import cpd
for step in range(1, 4):
    cpd.log(step, loss=1 / step, density=0.1 * step)
cpd.result(loss=0.5, density={"hits": 3, "of": 10}, held_out={"loss": 0.6, "density": 0.4}, model="best.ckpt")
open(f"{sys.argv[2]}/best.ckpt", "w").write("weights")
"""


def test_a_program_reports_with_cpd(tmp_path: Path) -> None:
    path = write_task(tmp_path, PROGRAM, words="{coefficient} {folder}")
    (run,) = sweep(path)
    assert (run.objective, run.constraints["density"].value) == (0.5, 0.3)
    assert run.curves is not None
    assert list(run.curves.steps) == [1, 2, 3]
    assert run.held_out is not None
    assert run.held_out.objective == 0.6
    assert run.model is not None
    assert Path(run.model).read_text() == "weights"
    store = tmp_path / ".cpd" / "runs.sqlite"
    with open_store(store, "read") as opened:
        assert opened.models.file(str(run.key.id)) == Path(run.model)
    with open_store(store, "write") as opened:
        opened.remove(opened.resolve("last"))
        assert not opened.models.sizes()
    assert not Path(run.model).parent.exists()


def test_reports_elsewhere_do_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CPD_FOLDER", raising=False)
    cpd.log(1, loss=2.0)
    cpd.result(loss=1.0)
    assert list(tmp_path.iterdir()) == []


def test_reports_take_tensors_and_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPD_FOLDER", str(tmp_path))
    cpd.log(np.int64(3), loss=torch.tensor(2.0), density=np.float32(0.5))
    cpd.result({"loss": torch.ones(2)}, density=np.array([1.0, math.inf]), model=tmp_path / "x", share={"hits": 1})
    assert read_curves(tmp_path) == [{"step": 3, "loss": 2.0, "density": 0.5}]
    found = json.loads((tmp_path / "result.json").read_text())
    assert found == {"loss": [1.0, 1.0], "density": [1.0, math.inf], "model": str(tmp_path / "x"), "share": {"hits": 1}}


def test_of_a_distributed_training_the_first_process_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPD_FOLDER", str(tmp_path))
    monkeypatch.setenv("RANK", "1")
    cpd.result(loss=1.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_result_in_any_encoding_that_json_has(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "result.json").write_bytes('{"loss": 1, "name": "é"}'.encode(encoding))
    assert read_result(Folder(tmp_path)) == {"loss": 1, "name": "é"}


def test_a_printed_result_with_a_mark_at_its_front(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_bytes('{"loss": 1}'.encode("utf-8-sig"))
    assert read_result(Folder(tmp_path)) == {"loss": 1}


def test_whole_numbers_of_any_length(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"loss": 1, "many": 1' + "0" * 10000 + "}")
    assert read_result(Folder(tmp_path)) == {"loss": 1, "many": math.inf}


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    for name in ("curves.jsonl", "log.txt"):
        os.mkfifo(tmp_path / name)
    assert read_curves(tmp_path) == []
    assert last_lines(Folder(tmp_path)) == ""
    with pytest.raises(Unreadable, match="it left no"):
        read_result(Folder(tmp_path))
    os.mkfifo(tmp_path / "result.json")
    with pytest.raises(Unreadable, match=r"result\.json cannot be read: it is no file"):
        read_result(Folder(tmp_path))


def test_values_of_one_step_come_together(tmp_path: Path) -> None:
    lines = ['{"step": 0.5, "loss": 1}', '{"step": 0.75, "loss": 2}', '{"step": 0.75, "density": 3}', '{"step": 1}']
    (tmp_path / "curves.jsonl").write_text("\n".join([*lines, '{"step": 1, "loss": 5}', '{"step": 1, "loss": 6}']))
    assert read_curves(tmp_path) == [
        {"step": 0, "loss": 1},
        {"step": 0, "loss": 2, "density": 3},
        {"step": 1, "loss": 6},
    ]


def test_curves_are_read_on_from_where_the_last_look_ended(tmp_path: Path) -> None:
    path = tmp_path / "curves.jsonl"
    recorded = Recorded(tmp_path)
    assert recorded.points() == []
    path.write_text('{"step": 1, "loss": {"hits": 1, "of": 2}}\n{"step": 2, "loss": {"hits": 1}')
    assert [p["step"] for p in recorded.points()] == [1]
    with path.open("a") as file:
        file.write('}\n\n{"step": 3, "loss": 3}')
    assert [p["step"] for p in recorded.points()] == [1, 2, 3]
    with path.open("a") as file:
        file.write('\n{"step": 2, "loss": 4}\n')
    assert recorded.points()[1:] == [{"step": 2, "loss": 4}] == read_curves(tmp_path)[1:]
    path.write_text('{"step": 7}\n')
    assert recorded.points() == [{"step": 7}]
    path.unlink()
    assert recorded.points() == []


def test_what_is_said_beside_numbers_does_not_end_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPD_FOLDER", str(tmp_path))
    day = datetime.date(2025, 1, 2)
    cpd.log(1, loss=Decimal("1.5"), day=day)
    cpd.result({"1": day}, loss=1 + 2j, held_out={"loss": Decimal("0.5"), "day": day})
    assert read_curves(tmp_path) == [{"step": 1, "loss": 1.5, "day": "2025-01-02"}]
    held = {"loss": 0.5, "day": "2025-01-02"}
    assert read_result(Folder(tmp_path)) == {"1": "2025-01-02", "loss": "(1+2j)", "held_out": held}
