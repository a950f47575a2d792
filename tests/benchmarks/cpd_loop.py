"""One batch trained by the engine alone: ``python cpd_loop.py TASK ENGINE [--runs N] [--device cpu]``.

Prints as JSON the seconds of the training loop, with everything loaded and compiled by a training before it, and the
peak memory of the process. With ``--runs`` the task's runs are repeated or cut to that number.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from dataclasses import replace

from cpd.engine.batch import Batch
from cpd.engine.checkpointing import Keeper
from cpd.engine.cost import threads_for
from cpd.engine.prepared import Prepared
from cpd.engine.preparing import Builder
from cpd.engine.steppers.choice import choose
from cpd.engine.train import Hooks, run_spans
from cpd.engine.training import Training
from cpd.run import commands
from cpd.spec.identity import runs as expand


def loop(batch: Batch) -> float:
    """Seconds of one training of a batch."""
    group = next(iter(Builder(batch).groups()))
    assert isinstance(group, Prepared)
    with threads_for(group):
        training = Training.begin(group, batch.constraints, batch.train)
        stepper = choose(batch, training)
        started = time.perf_counter()
        run_spans(training, stepper, Hooks(), Keeper(batch, print))
        return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    parser.add_argument("engine")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    task = commands.load(arguments.task)
    keys = expand(task)
    wanted = arguments.runs or len(keys)
    keys = [replace(keys[k % len(keys)], id=str(k)) for k in range(wanted)]
    batch = Batch(
        task.problem, task.constraints, task.train, tuple(keys), device=arguments.device, stepper=arguments.engine
    )
    loop(replace(batch, train=batch.train.model_copy(update={"steps": 60, "epochs": None})))
    seconds = loop(batch)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "runs": wanted, "memory": memory}))


if __name__ == "__main__":
    main()
