"""The search for several coefficients: rounds of trainings, and what they gave for each constraint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cpd.outcome import Run, Status
from cpd.run.aims import fixed_entry
from cpd.run.bisection import SearchLoop, keys_at, seed_values
from cpd.run.events import IterationEnded
from cpd.search.coordinates import coordinates
from cpd.search.several import Aim, Sizes, State, observe, start
from cpd.search.several_ending import Ending, ending, proposed
from cpd.search.simplex import simplex
from cpd.spec.searched import searched_of
from cpd.verdict.document import Iteration, SearchBlock
from cpd.verdict.feasibility import EPSILON
from cpd.verdict.several import measured_again, settled

PLANS = {"coordinates": coordinates, "simplex": simplex}


class SeveralLoop(SearchLoop):
    """The rounds of a search for a coefficient of each constraint."""

    def run(self) -> Ending | None:
        """Train until there is an outcome; None where a training failed or nothing more can be stored."""
        state = self._begun()
        while (end := ending(state)) is None:
            sizes = proposed(state)
            settings = {one: self._setting(state, one) for one in sizes}
            trained = self._judged(self.session.train(keys_at(self.session.task, list(settings.values()))))
            of = {one: [r for r in trained if r.key.setting[self._name] == settings[one]] for one in sizes}
            state = observe(state, {one: self._seen(state, one, settings[one], of[one]) for one in sizes})
            if any(run.status is Status.FAILED for run in trained) or self.session.recording.error is not None:
                return None
        return end

    def block(self, end: Ending | None) -> SearchBlock:  # type: ignore[override]
        """The search as contract 3 has it, with what it has of each constraint."""
        search = self.search
        block: SearchBlock = {
            **self._block(end.kind if end is not None else "out_of_budget"),
            "strategy": search.strategy,
            "targets": {name: aim.target or 0.0 for name, aim in search.targets.items()},
            "tolerances": {name: aim.tolerance or 0.0 for name, aim in search.targets.items()},
            "lows": {aim.name: aim.signed(aim.low) for aim in self._aims()},
        }
        senses = {name: one.sense for name, one in self.session.task.constraints.items()}
        return settled(block, len(self.session.task.seeds), senses)

    def _begun(self) -> State:
        search = self.search
        return start(
            self._aims(),
            PLANS[search.strategy],
            max_trainings=search.max_trainings,
            parallel=self.parallel,
            spacing=EPSILON[self.session.task.train.dtype] / 2,
        )

    def _aims(self) -> list[Aim]:
        """The aims in the order of the constraints; of coefficients below 0 their sizes."""
        found = []
        for name, aim in self.search.targets.items():
            low, high, below = aim.low or 0.0, aim.high or 0.0, (aim.low or 0.0) < 0
            ends = (-high, -low) if below else (low, high)
            sense = self.session.task.constraints[name].sense
            found.append(Aim(aim.target or 0.0, *ends, aim.tolerance or 0.0, sense, below, name))
        return found

    def _setting(self, state: State, sizes: Sizes) -> list[float]:
        """What is trained: the coefficients that are searched, and those of other constraints."""
        task, own = self.session.task, {a.name: a.signed(c) for a, c in zip(state.aims, sizes, strict=True)}
        found = searched_of(self.search)
        return [own[n] if n in own else fixed_entry(task, found, n, k) for k, n in enumerate(task.constraints)]

    def _seen(self, state: State, sizes: Sizes, setting: list[float], own: Sequence[Run]) -> list[list[float | None]]:
        """The values of one training, every constraint's of every seed, shown as they are known."""
        names = [aim.name for aim in state.aims]
        values = {name: seed_values(own, name) for name in names}
        coefficients = {aim.name: aim.signed(size) for aim, size in zip(state.aims, sizes, strict=True)}
        row = self._iteration(own, setting, coefficients, values)
        self.iterations.append(row)
        document = self._document()
        self.session.tell(IterationEnded(document["search"]["iterations"][-1], document))
        return list(values.values())

    def _iteration(
        self,
        own: Sequence[Run],
        setting: list[float],
        coefficients: dict[str, float],
        values: Mapping[str, Sequence[float | None]],
    ) -> Iteration:
        name = self.search.constraint or ""
        row: Iteration = {
            "iteration": len(self.iterations) + 1,
            "coefficient": coefficients[name],
            "value": None,
            "objective": None,
            "metrics": {},
            "setting": {self._name: setting},
            "coefficients": coefficients,
        }
        return measured_again(row, own, list(values), self.session.task.constraints, self.session.task.train.dtype)
