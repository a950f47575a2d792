"""The list of sweeps: quick however many there are."""

import time
from pathlib import Path

import pytest
from store_runs import RECORD, make_run

from cpd.errors import CpdError
from cpd.results.headlines import Headline, judged_by
from cpd.results.listing import Filters, listing
from cpd.store import headlines
from cpd.store.store import Store

HEADLINE = Headline("f", {}, "training", "code", 5, 2, 1)


def remembered(store: Store, count: int, runs: int) -> list[str]:
    """So many sweeps of so many runs each, with what came of them; the oldest first."""
    found = []
    for k in range(count):
        found.append(store.begin_sweep(RECORD))
        store.add_runs(found[-1], [make_run(k * runs + place) for place in range(runs)])
        store.end_sweep(found[-1], 0)
    headlines.keep(store, dict.fromkeys(found, HEADLINE.to_json()), judged_by())
    return found


def test_a_list_has_what_is_remembered_and_says_what_was_judged(store: Store) -> None:
    sweeps = remembered(store, 3, 1)
    found = listing(store, Filters(), most=2)
    assert [one.info.id for one in found.sweeps] == [sweeps[2], sweeps[1]]
    assert [one.headline for one in found.sweeps] == [HEADLINE] * 2
    assert (found.left_out, found.judged) == (1, 0)
    store.end_sweep(store.begin_sweep(RECORD), 0)
    found = listing(store, Filters())
    assert (len(found.sweeps), found.judged) == (4, 1)
    assert found.sweeps[0].headline is None  # its spec is no task's
    assert isinstance(found.sweeps[0].error, CpdError)


@pytest.mark.slow
def test_a_thousand_sweeps_are_listed_in_a_moment(store: Store, path: Path) -> None:
    remembered(store, 1000, 10)
    before = time.process_time()
    found = listing(store, Filters())
    taken = time.process_time() - before
    assert (len(found.sweeps), found.judged) == (1000, 0)
    assert taken < 1.5  # judging them takes many times that
