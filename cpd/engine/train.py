"""Train a batch of runs, fused where the problem allows it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cpd.engine.batch import Batch
from cpd.engine.checkpointing import Keeper, identity
from cpd.engine.cost import threads_for
from cpd.engine.counting import out_of_memory
from cpd.engine.generators import kept_random
from cpd.engine.loading import inputs_of, user_traceback
from cpd.engine.prepared import Prepared, Refused
from cpd.engine.preparing import Builder, check_device
from cpd.engine.results import finished_runs
from cpd.engine.steppers.choice import choose
from cpd.engine.steppers.stepper import Stepper
from cpd.engine.training import Training
from cpd.engine.weights import Weights
from cpd.errors import CpdError, last_line
from cpd.outcome import Run, Status
from cpd.spec.inputs import Inputs
from cpd.spec.searched import not_searchable

SHOWN_EVERY = 0.1
"""Seconds between two reports of progress."""


@dataclass
class Hooks:
    """What the loop tells and asks the outside.

    Attributes:
        progress: Called now and then with steps done, steps in all and runs in the program.
        stop: Asked after each span of steps; True ends the training with :class:`Interrupted` after a checkpoint.
        say: Told of long waits.
    """

    progress: Callable[[int, int, int], None] | None = None
    stop: Callable[[], bool] | None = None
    say: Callable[[str], None] = lambda text: None


class Interrupted(Exception):
    """The training was asked to stop; what was done is in its checkpoint."""


class RaisedTogether(Exception):
    """The user's code raised in a step that several runs take together: one of them may be why.

    Attributes:
        error: The traceback.
        steps: How many were done before.
    """

    def __init__(self, error: str, steps: int) -> None:
        self.error = error
        self.steps = steps
        super().__init__(last_line(error))


@dataclass
class Trained:
    """The runs of a batch, in the order of its keys, what the user should know, and the files that were read.

    Attributes:
        written: Whose weights were written: the ids of the files by those under which the runs were planned.
        contents: Files that are to be written where the runs are going, by the same: their ids, and what is in them.
    """

    runs: list[Run]
    notes: list[str] = field(default_factory=list)
    inputs: Inputs = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    contents: dict[str, tuple[str, bytes]] = field(default_factory=dict)


def train(batch: Batch, hooks: Hooks | None = None) -> Trained:
    """Train all runs of a batch.

    The caller's random state is left as it was.

    Raises:
        CpdError: The problem breaks its contract, or the device is not there.
        ProblemRaised: The user's code raised before the first step, whatever the run.
        RaisedTogether: It raised later, in a step of several runs.
        MemoryError: There was not enough memory for this many runs.
        Interrupted: ``hooks.stop`` said so.
    """
    hooks = hooks or Hooks()
    done: dict[str, Run] = {}
    with kept_random(check_device(batch.device)):
        builder = Builder(batch)

        def tell(text: str) -> None:
            builder.notes.append(text)
            hooks.say(text)

        keeper, weights = Keeper(batch, tell), Weights(batch, builder.notes)
        try:
            for group in builder.groups():
                with threads_for(group), closing(group.batches) if isinstance(group, Prepared) else nullcontext():
                    runs = _train_group(batch, group, keeper, hooks, builder.notes, weights)
                done |= {identity(run.key): run for run in runs}
        except RuntimeError as error:
            if out_of_memory(error):
                raise MemoryError(str(error)) from error
            raise
    runs = [done[identity(key)] for key in batch.keys]
    return Trained(runs, builder.notes, inputs_of(batch.problem), weights.written, weights.contents)


def run_spans(training: Training, stepper: Stepper, hooks: Hooks, keeper: Keeper) -> list[str]:
    """Train to the end; show progress, keep checkpoints and stop where the hooks say so, between spans of steps.

    Returns:
        What the user should know of how the steps were executed.

    Raises:
        Interrupted: ``hooks.stop`` said so; a checkpoint was kept.
    """
    before, started, shown = training.seconds, time.monotonic(), 0.0
    note: str | None = None
    for executed in training.spans(stepper):
        note = executed.note
        now = time.monotonic()
        training.seconds = before + now - started
        if hooks.progress and now - shown > SHOWN_EVERY:
            hooks.progress(training.done, training.steps, len(training.going.keys))
            shown = now
        stopping = hooks.stop is not None and hooks.stop()
        if stopping or keeper.due():
            training.replay.settle()
            keeper.save(training)
        if stopping:
            raise Interrupted
    return training.notes if note is None else [*training.notes, note]


def forget(batch: Batch) -> None:
    """Remove the checkpoints of a batch whose runs are stored."""
    if batch.checkpoint:
        shutil.rmtree(batch.checkpoint, ignore_errors=True)
        with suppress(OSError):  # the folder of all batches: other batches may have theirs in it
            Path(batch.checkpoint).parent.rmdir()


def _train_group(
    batch: Batch, group: Prepared | Refused, keeper: Keeper, hooks: Hooks, notes: list[str], weights: Weights
) -> list[Run]:
    if isinstance(group, Refused):
        return [Run(group.key, Status.FAILED, error=group.error)]
    if batch.searched is not None and (parts := group.stack.sizes[batch.searched]) > 1:
        raise not_searchable(batch.searched, parts)
    keys = group.keys[:1] if group.padded else group.keys
    training = Training.begin(group, batch.constraints, batch.train, batch.prune)
    try:
        keeper.resume(training)
        notes += run_spans(training, choose(batch, training, hooks.say), hooks, keeper)
        group.batches.close()
        keeper.ended(training)
        said = len(training.notes)
        runs = finished_runs(training)
        notes += training.notes[said:]
        weights.keep(training, runs)
        return runs
    except (CpdError, Interrupted):
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
        text = user_traceback(error)
        if len(keys) > 1:
            raise RaisedTogether(text, training.done) from error
        return [Run(keys[0], Status.FAILED, error=text, steps=training.done)]
