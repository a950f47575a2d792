"""The stored sweeps as a list: which of them, what came of each, and what a user calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cpd.errors import CpdError, closest
from cpd.results import history
from cpd.results.headlines import Headline, from_json, headline_of, judged_by
from cpd.store import headlines
from cpd.store.labels import Labels, all_labels
from cpd.store.records import SweepInfo
from cpd.store.store import Store

MOST_RUNNING = 1000
"""Runs of a sweep under way that are judged for a list: of more it is not said what came of them by now."""

MOST_NAMED = 20
"""Tasks or tags that an error names."""


@dataclass(frozen=True)
class Filters:
    """Which sweeps are meant: those of which all of it holds.

    Attributes:
        task: Its name.
        since: The earliest moment at which it began.
        failed: Whether some of its runs failed, where that is asked for.
        tag: One of its tags.
    """

    task: str | None = None
    since: datetime | None = None
    failed: bool = False
    tag: str | None = None

    @property
    def any(self) -> bool:
        """Whether something is asked for."""
        return self != Filters()


@dataclass(frozen=True)
class Listed:
    """A sweep of the list.

    Attributes:
        running: Whether somebody works on it.
        labels: What a user calls it.
        headline: What came of it; None where it cannot be read, or is under way and large.
        error: Why not.
    """

    info: SweepInfo
    running: bool
    labels: Labels
    headline: Headline | None
    error: CpdError | None = None


@dataclass(frozen=True)
class Listing:
    """A list of sweeps.

    Attributes:
        sweeps: The newest first.
        left_out: How many more there are, older ones.
        judged: How many had to be judged, since nobody remembers what came of them.
    """

    sweeps: list[Listed]
    left_out: int
    judged: int


def listing(store: Store, filters: Filters, most: int | None = None) -> Listing:
    """The sweeps that are meant.

    Args:
        store: An open one.
        filters: Which sweeps.
        most: How many at the most, the newest; None for all.

    Raises:
        CpdError: No sweep has such a task or tag.
        StoreError: The store cannot be read.
    """
    labels = all_labels(store)
    infos = filtered(store.sweeps(), labels, filters)
    shown = infos if most is None else infos[:most]
    known = headlines.kept(store, judged_by())
    sweeps = [_listed(store, info, labels.get(info.id, Labels()), known.get) for info in shown]
    judged = sum(one.info.id not in known and not one.running for one in sweeps)
    return Listing(sweeps, len(infos) - len(shown), judged)


def filtered(infos: Sequence[SweepInfo], labels: dict[str, Labels], filters: Filters) -> list[SweepInfo]:
    """Those of the sweeps that are meant.

    Raises:
        CpdError: No sweep at all has such a task or tag; the message names those that there are.
    """
    tasks = dict.fromkeys(info.task for info in infos)
    tags = dict.fromkeys(tag for info in infos for tag in labels.get(info.id, Labels()).tags)
    for asked, there, kind in ((filters.task, tasks, "of task"), (filters.tag, tags, "with tag")):
        if asked is not None and asked not in there:
            place = "--task" if there is tasks else "--tag"
            hint = closest(asked, list(there)[:MOST_NAMED])
            raise CpdError(f"no sweep {kind} '{asked}' is stored", place=place, hint=hint)
    return [info for info in infos if _is_meant(info, labels.get(info.id, Labels()), filters)]


def _is_meant(info: SweepInfo, labels: Labels, filters: Filters) -> bool:
    since = filters.since
    return (
        filters.task in (None, info.task)
        and (filters.tag is None or filters.tag in labels.tags)
        and not (filters.failed and not info.failed)
        and (since is None or datetime.fromisoformat(info.started) >= since)
    )


def _listed(store: Store, info: SweepInfo, labels: Labels, known: Callable[[str], dict[str, object] | None]) -> Listed:
    running = info.ended is None and store.is_running(info.id)
    remembered = known(info.id)
    if remembered is not None:
        return Listed(info, running, labels, from_json(remembered))
    if running and info.completed + info.diverged + info.failed > MOST_RUNNING:
        return Listed(info, running, labels, None)
    try:
        return Listed(info, running, labels, judged(store, info.id))
    except CpdError as error:  # one that cannot be read hides no other
        return Listed(info, running, labels, None, error)


def judged(store: Store, sweep: str) -> Headline:
    """What came of a sweep, judged now.

    Raises:
        CpdError: It cannot be read, or judged.
    """
    return headline_of(history.result(store.load(sweep, curves=True)))


def unremembered(store: Store) -> Iterator[tuple[str, Headline]]:
    """The sweeps that nobody works on and whose headline nobody remembers, judged; one that cannot be is left out."""
    known = headlines.kept(store, judged_by())
    for info in store.sweeps():
        if info.id not in known and (info.ended is not None or not store.is_running(info.id)):
            try:
                found = judged(store, info.id)
            except CpdError:
                continue  # ``cpd store check`` says what is wrong with it
            yield info.id, found
