"""How surely runs, settings and the chosen one hold, by hand; and what tables say of it."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cpd.errors import CpdError
from cpd.outcome import ConstraintOutcome, Evidence, HeldOut, Run, RunKey, Series, Status
from cpd.verdict.confidence import read_confidence
from cpd.verdict.document import Document
from cpd.verdict.intervals import clopper_pearson, corrected
from cpd.verdict.judgement import judge
from cpd.views.tables.certainty import percent
from cpd.views.tables.headline import subtitle, verdict_sentence
from cpd.views.tables.runs import runs_section

OF = 100


def task(names: tuple[str, ...] = ("g",)) -> Any:
    bound = SimpleNamespace(level=0.7, sense=">=", tolerance=0.0)
    constraints = dict.fromkeys(names, bound)
    return SimpleNamespace(
        name="toy", objective="loss", constraints=constraints, train=SimpleNamespace(dtype="float64")
    )


def counted(hits: int) -> ConstraintOutcome:
    return ConstraintOutcome(hits / OF, hits / OF, evidence=Evidence(counted=[(hits, OF)]))


def run(setting: float, held: dict[str, ConstraintOutcome], loss: float = 1.0, seed: int = 1, **more: Any) -> Run:
    """A run that held on all training data; ``held`` on others."""
    key = RunKey("lagrangian", {"dual_lr": setting}, dict.fromkeys(held, 0.7), seed)
    training = {name: replace(outcome, value=0.9, evidence=None) for name, outcome in held.items()}
    status = more.pop("status", Status.COMPLETED)
    return Run(key, status, loss, training, held_out=HeldOut(OF, loss, held), **more)


def words(document: Document) -> list[str]:
    (column,) = [c for c in runs_section(document).columns if c.header[0] == "feasible"]
    return list(column.cells)


def test_intervals_and_verdicts_stand_beside_the_values_that_decide() -> None:
    document = judge(task(), [run(1, {"g": counted(80)})])
    row = document["runs"][0]
    held = row["held_out"]
    assert held is not None
    low, high = clopper_pearson(80, OF, 0.95)
    assert held["constraints"]["g"]["interval"] == [low, high]
    assert (held["constraints"]["g"]["verdict"], row["verdict"]) == ("satisfied", "satisfied")
    assert "interval" not in row["constraints"]["g"]
    again = judge(task(), [run(1, {"g": counted(80)})], confidence=0.999)["runs"][0]
    assert again["verdict"] == "uncertain"
    training = judge(task(), [run(1, {"g": counted(80)})], on="training")["runs"][0]
    assert (training["constraints"]["g"]["interval"], training.get("verdict")) == (None, None)


def test_all_constraints_of_a_run_hold_as_one() -> None:
    unknown = ConstraintOutcome(0.8, 0.8)
    cases = [
        ((counted(80), counted(90)), "satisfied"),
        ((counted(80), counted(75)), "uncertain"),
        ((counted(75), counted(50)), "violated"),
        ((counted(80), unknown), "uncertain"),
        ((counted(80), replace(unknown, value=0.5)), "violated"),
        ((unknown, unknown), None),
    ]
    for (a, b), says in cases:
        assert judge(task(("a", "b")), [run(1, {"a": a, "b": b})])["runs"][0].get("verdict") == says


def test_seeds_are_models_of_their_own_and_all_must_hold() -> None:
    for hits, sure, word in (((80, 85), 1, "2/2"), ((80, 75), 0, "2/2, unsure"), ((80, 50), 0, "1/2")):
        runs = [run(1, {"g": counted(h)}, seed=seed) for seed, h in enumerate(hits, start=1)]
        document = judge(task(), runs)
        assert document["summary"][0]["satisfied_settings"] == sure
        assert words(document) == [word]
    diverged = run(1, {"g": counted(80)}, seed=2, status=Status.DIVERGED)
    assert judge(task(), [run(1, {"g": counted(80)}), diverged])["summary"][0]["satisfied_settings"] == 0


def test_the_chosen_setting_is_judged_by_all_that_were_tried() -> None:
    # 79 of 100 is surely above 70 % by itself, and is not where it is the best of many.
    few = [
        run(k, {"g": counted(hits)}, loss) for k, hits, loss in ((1, 90, 3.0), (2, 80, 1.0), (3, 75, 2.0), (4, 50, 0.1))
    ]
    document = judge(task(), few)
    (entry,) = document["summary"]
    strict = corrected(0.95, 4)
    assert entry["best_setting"] == {"dual_lr": 2}
    assert entry["best_confidence"] == strict
    assert entry["best_intervals"] == {"g": [list(clopper_pearson(80, OF, strict))]}
    assert (entry["satisfied_settings"], entry["best_verdict"]) == (2, "uncertain")
    assert document["runs"][1]["verdict"] == "satisfied"
    assert words(document) == ["yes", "unsure, useful, best", "unsure", "no"]
    assert verdict_sentence(document).endswith(
        "holds on held-out data with 95 % confidence: 2 of 4 settings; the best, chosen among 4: lagrangian unsure."
    )
    assert subtitle(document).endswith("95 % confidence, 98.75 % of the best, for it was chosen")
    alone = judge(task(), [few[1]])
    assert alone["summary"][0]["best_verdict"] == "satisfied"
    assert words(alone) == ["yes"]


def test_without_held_out_intervals_it_is_yes_or_no() -> None:
    runs = [run(1, {"g": counted(75)}), run(2, {"g": counted(50)})]
    for document in (
        judge(task(), runs, on="training"),
        judge(task(), [replace(one, held_out=None) for one in runs]),
        judge(task(), [run(k, {"g": ConstraintOutcome(v, v)}) for k, v in ((1, 0.75), (2, 0.5))]),
    ):
        assert {word.split(",")[0] for word in words(document)} <= {"yes", "no"}
        assert "confidence" not in verdict_sentence(document) + subtitle(document)


def test_a_vector_s_resamples_are_judged_together() -> None:
    drawn = np.random.default_rng(0).normal([0.8, 0.9], 0.03, (2000, 2))
    outcome = ConstraintOutcome([0.8, 0.9], [0.8, 0.9], evidence=Evidence(resampled=Series(drawn), size=[50, 50]))
    row = judge(task(), [run(1, {"g": outcome})])["runs"][0]
    assert row["held_out"] is not None
    found: Any = row["held_out"]["constraints"]["g"]["interval"]
    for (low, high), middle in zip(found, (0.8, 0.9), strict=True):
        assert (low, high) == pytest.approx((middle - 0.062, middle + 0.062), abs=0.006)
    assert row["verdict"] == "satisfied"


def test_a_confidence_is_a_share() -> None:
    assert [read_confidence(x) for x in ("0.9", "99%", 0.5, " 95 % ".replace(" %", "%"))] == [0.9, 0.99, 0.5, 0.95]
    for wrong in ("0", "1", "95", "100%", "nan", "sure", "-0.1", None):
        with pytest.raises(CpdError, match="--confidence: expected a number above 0 and below 1"):
            read_confidence(wrong)
    assert [percent(c) for c in (0.95, 0.9, 0.9975, 0.999, corrected(0.95, 9), corrected(0.95, 300))] == [
        "95", "90", "99.75", "99.9", "99.44", "99.983",
    ]  # fmt: skip
