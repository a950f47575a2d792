"""A whole search: its rounds, and what it came to."""

from __future__ import annotations

from cpd.errors import SpecError
from cpd.results.result import Result
from cpd.run.advice import advice
from cpd.run.bisection import SearchLoop
from cpd.run.events import SearchBegun
from cpd.run.execution import Session
from cpd.run.several import SeveralLoop
from cpd.spec.models import Search

DOUBTFUL = ("unattainable", "not_bracketed")
"""What is not said of a target before every training that says so was trained to the end."""


def searched(session: Session, search: Search, parallel: int) -> Result:
    """Train in rounds until the search has an outcome.

    Raises:
        CpdError: The constraint is a vector, or another mistake of the problem's; see :meth:`Session.train`.
    """
    assert search.constraint is not None, "a task that is searched knows of what"
    session.tell(SearchBegun(session.task))
    loop = loop_of(session, search, parallel)
    try:
        end = loop.run()
        if end is not None and end.kind in DOUBTFUL and loop.pruned:
            session.say("the search ended on trainings that were given up: they are trained to the end")
            session.train_to_the_end()
            end = loop.run()
    except SpecError as error:
        raise error.located(session.task.at) from error
    block = loop.block(end)
    return session.result(loop.runs, search=block, advice=advice(session.task, search, block, end))


def loop_of(session: Session, search: Search, parallel: int) -> SearchLoop:
    """The rounds of a search, of one coefficient or of one of each constraint."""
    if not search.is_several:
        return SearchLoop(session, search, parallel)
    return SeveralLoop(session, search, parallel)
