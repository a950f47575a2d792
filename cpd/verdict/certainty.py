"""How surely constraints hold on the judged data: of each run, of settings over seeds, and of the best one.

- A run's constraints hold as one: ``satisfied`` where each is, ``violated`` where one is. To call all of them satisfied
  though one is not, that one must be called so: nothing is to be corrected for their number.
- Seeds of a setting are models of their own, on the same examples: the setting is ``satisfied`` where each of them is,
  ``violated`` where one is.
- The best setting was chosen among m for its numbers on these very examples, and looks better than it is: its
  intervals are at ``1 - (1 - confidence) / m`` (Bonferroni): those of all m cover at once, whichever is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cpd.outcome import Run, Status
from cpd.verdict.document import RunRow, SummaryRow, Verdict
from cpd.verdict.feasibility import Bound, dtype_of, finite, holds
from cpd.verdict.intervals import corrected, interval, together, verdict
from cpd.verdict.judged import On, judged_outcome
from cpd.verdict.settings import settings_of

Verdicts = dict[str, Verdict | None]


class Certainty:
    """Asks what the judged data say of runs.

    Args:
        bounds: Sense and tolerance of each constraint.
        dtype: Of runs that have none of their own.
        on: The judged data.
    """

    def __init__(self, bounds: Mapping[str, Bound], dtype: str, on: On) -> None:
        self.bounds, self.dtype, self.on = bounds, dtype, on

    def verdicts(self, run: Run, levels: Mapping[str, float], confidence: float) -> Verdicts:
        """Of each constraint of a run; None where nothing says how sure its value is."""
        if run.status is not Status.COMPLETED:
            return dict.fromkeys(self.bounds)
        outcomes = {name: judged_outcome(run, name, self.on) for name in self.bounds}
        dtype = dtype_of(run.key, self.dtype)
        return {
            name: verdict(finite(o.value), o.evidence, levels[name], self.bounds[name], dtype, confidence)
            for name, o in outcomes.items()
        }

    def of_run(self, run: Run, levels: Mapping[str, float], confidence: float) -> Verdict | None:
        """Of all constraints of a run together; one without an interval counts as violated where it does not hold."""
        found = self.verdicts(run, levels, confidence)
        if not any(found.values()):
            return None
        dtype = dtype_of(run.key, self.dtype)
        for name, bound in self.bounds.items():
            value = finite(judged_outcome(run, name, self.on).value)
            if found[name] is None and not holds(value, levels[name], bound, dtype):
                found[name] = "violated"
        return together(list(found.values()))

    def write(self, row: RunRow, run: Run, confidence: float) -> None:
        """Write intervals and verdicts into a run's row, beside the values of the judged data."""
        held = row.get("held_out")
        target: Mapping[str, object] = row["constraints"]
        if self.on == "held_out":
            target = held["constraints"] if held is not None else {}
        found = self.verdicts(run, row["levels"], confidence)
        done = run.status is Status.COMPLETED
        for name, constraint in target.items():
            assert isinstance(constraint, dict)
            outcome = judged_outcome(run, name, self.on)
            shown = interval(finite(outcome.value), outcome.evidence, confidence) if done else None
            constraint |= {"interval": shown, "verdict": found[name]}
        if any(found.values()):
            row["verdict"] = self.of_run(run, row["levels"], confidence)

    def write_summary(
        self, summary: Sequence[SummaryRow], rows: Sequence[RunRow], runs: Sequence[Run], confidence: float
    ) -> None:
        """Write into each method's row how many of its settings are satisfied, and how surely the best one is."""
        if not any(row.get("verdict") for row in rows):
            return
        places = {id(row): run for row, run in zip(rows, runs, strict=True)}
        for entry in summary:
            there = [own for own in settings_of(rows) if entry.get("levels", own[0]["levels"]) == own[0]["levels"]]
            mine = [own for own in there if own[0]["method"] == entry["method"]]
            entry["satisfied_settings"] = sum(setting_verdict(own) == "satisfied" for own in mine)
            best = next((own for own in mine if own[0]["setting"] == entry["best_setting"]), None)
            if best is None:
                continue
            strict = corrected(confidence, len(there))
            entry["best_confidence"] = strict
            entry["best_verdict"] = together([self.of_run(places[id(row)], row["levels"], strict) for row in best])
            outcomes = {n: [judged_outcome(places[id(row)], n, self.on) for row in best] for n in self.bounds}
            entry["best_intervals"] = {
                name: [interval(finite(o.value), o.evidence, strict) for o in own] for name, own in outcomes.items()
            }


def setting_verdict(rows: Sequence[RunRow]) -> Verdict | None:
    """Of a setting over its seeds; violated where a run did not come to its end."""
    found: list[Verdict | None] = [row.get("verdict") for row in rows]
    if not any(found):
        return None
    return together(
        [v if row["status"] == Status.COMPLETED.value else "violated" for v, row in zip(found, rows, strict=True)]
    )
