"""What would go with sweeps that are to be removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cpd.store.labels import Labels, all_labels
from cpd.store.sharing import shown_only_by
from cpd.store.store import Store
from cpd.views.printable import size, spelled_out


@dataclass(frozen=True)
class AtStake:
    """What would go.

    Attributes:
        sweeps: Their ids, each once, in the order in which they were named.
        lines: One for each sweep, where there are several.
        question: For all of them.
    """

    sweeps: list[str]
    lines: list[str]
    question: str


def at_stake(store: Store, named: Sequence[str]) -> AtStake:
    """What would go with the sweeps that a user names.

    Raises:
        CpdError: One of the names is none of a sweep.
    """
    ids = list(dict.fromkeys(store.resolve(name) for name in named))
    labels = all_labels(store)
    said = {sweep: _said(store, sweep, labels.get(sweep, Labels())) for sweep in ids}
    runs = shown_only_by(store, ids)
    sizes = store.models.sizes()
    freed = sum(sizes.get(run, 0) for run in runs)
    shown = sum(store.info(sweep).runs for sweep in ids)
    goes = [f"{len(runs):,} of the runs are in no other sweep"] if len(runs) < shown else []
    goes += [f"{size(freed)} of models"] if freed else []
    if len(ids) == 1:
        question = f"Remove {ids[0]} ({'; '.join([said[ids[0]], *goes])})? [y/N]:"
        return AtStake(ids, [], question)
    lines = [f"{sweep}: {words}" for sweep, words in said.items()]
    return AtStake(ids, lines, f"Remove these {len(ids)} sweeps{''.join(f'; {part}' for part in goes)}? [y/N]:")


def _said(store: Store, sweep: str, labels: Labels) -> str:
    info = store.info(sweep)
    running = ["running now"] if info.ended is None and store.is_running(sweep) else []
    tags = [f"tagged {', '.join(labels.tags)}"] if labels.tags else []
    note = [f"note: {labels.note}"] if labels.note else []
    parts = [f"{info.command} {info.task}", f"{info.runs:,} {'run' if info.runs == 1 else 'runs'}"]
    return spelled_out(", ".join([*parts, *running, *tags, *note])).replace("\n", " ")
