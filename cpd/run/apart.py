"""An exception of one run that is fused with others ends that run alone."""

from __future__ import annotations

from cpd.engine.batch import Batch
from cpd.engine.checkpointing import identity
from cpd.engine.train import Hooks, RaisedTogether, Trained, forget, train
from cpd.errors import UserCodeRaised, last_line
from cpd.outcome import Run, RunKey, Status
from cpd.run.parts import halves, part

PRESUMED = "Not trained alone: of the runs that were fused with it the first, the middle and the last raise this.\n"


def train_apart(batch: Batch, hooks: Hooks) -> Trained:
    """Train a batch; where the user's code raises in a step of several runs, find out whose step it was.

    What some operations refuse (eigenvalues of NaN, a factor of a matrix that is not positive) they refuse for all runs
    that are fused, so one that diverges would take its neighbours with it.

    Raises:
        CpdError: See :func:`cpd.engine.train.train`.
        Interrupted: See there.
    """
    try:
        return train(batch, hooks)
    except RaisedTogether as raised:
        note = f"a step of {len(batch.keys)} fused runs raised {raised}; trained again in parts"
        hooks.say(note)
        return _Parts(hooks).of(batch, raised, note)


class _Parts:
    """A batch in parts, small enough that what raises is a single run.

    Args:
        hooks: Of the training.
    """

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self._tried: list[Batch] = []
        self._ended: list[Trained] = []

    def of(self, batch: Batch, raised: RaisedTogether, note: str) -> Trained:
        """All runs of a batch that raised, in its order."""
        self._probe(batch, raised)
        for tried in self._tried:  # not before: interrupted, parts that have ended are not trained again
            forget(tried)
        runs = {identity(run.key): run for one in self._ended for run in one.runs}
        joined = Trained([runs[identity(key)] for key in batch.keys], [note])
        for one in self._ended:
            joined.notes += one.notes
            joined.inputs = {**joined.inputs, **one.inputs}
            joined.written |= one.written
            joined.contents |= one.contents
        return joined

    def _probe(self, batch: Batch, raised: RaisedTogether) -> None:
        """The first, the middle and the last run alone, for they differ most in a grid; then all the others.

        Where all three raise the same, it is taken to be a fault of the code, which is not tried run by run.
        """
        count = len(batch.keys)
        places = sorted({0, count // 2, count - 1})
        alone = [run for place in places for run in self._train(part(batch, (batch.keys[place],)))]
        rest = tuple(key for place, key in enumerate(batch.keys) if place not in places)
        if rest and all(run.error is not None and last_line(run.error) == str(raised) for run in alone):
            self._failed(rest, f"{PRESUMED}{raised.error}", raised.steps)
        elif rest:
            self._conquer(part(batch, rest))

    def _conquer(self, batch: Batch) -> None:
        try:
            self._train(batch)
        except RaisedTogether:
            for half in halves(batch) or ():
                self._conquer(half)

    def _train(self, batch: Batch) -> list[Run]:
        """A part's runs; those that do not even start, as others of their batch did, are failed runs."""
        self._tried.append(batch)
        try:
            done = train(batch, self._hooks)
        except UserCodeRaised as error:
            return self._failed(batch.keys, error.traceback, 0)
        self._ended.append(done)
        return done.runs

    def _failed(self, keys: tuple[RunKey, ...], error: str, steps: int) -> list[Run]:
        runs = [Run(key, Status.FAILED, error=error, steps=steps) for key in keys]
        self._ended.append(Trained(runs))
        return runs
