"""What goes with batches to other processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cpd.engine.batch import Batch
from cpd.engine.live import carried, given_key


def sent(batches: Sequence[Batch]) -> list[Batch]:
    """Batches with all that other processes need for them; what is pickled is so once for all."""
    known: dict[str, bytes | None] = {}
    found = []
    for batch in batches:
        key = given_key(batch.problem)
        if key not in known:
            known[key] = carried(batch.problem).pickled
        own = known[key]
        problem = batch.problem if own is None else batch.problem.model_copy(update={"pickled": own})
        found.append(replace(batch, problem=problem))
    return found
