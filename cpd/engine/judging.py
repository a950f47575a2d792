"""Measures of models that are not to go on without any: where one raises, the others have their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from cpd.engine.counting import out_of_memory
from cpd.engine.loading import user_traceback
from cpd.engine.prepared import Prepared
from cpd.engine.python_state import PythonState
from cpd.engine.stacked import Models, Stacked, stacked_rows
from cpd.engine.tracebacks import ItemRaised
from cpd.engine.tree import mapped, take
from cpd.errors import CpdError


def judged(
    prepared: Prepared, models: Models, python: Sequence[PythonState] | None = None
) -> tuple[Stacked, dict[int, str]]:
    """The models' numbers on all training data; NaN for those whose measure raises, and what it raises.

    Args:
        prepared: What they started from.
        models: Those of some runs.
        python: What each of them keeps in Python, where that is not the same.
    """
    try:
        return prepared.measured(models, python), {}
    except (CpdError, ItemRaised):
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
    alone = replace(prepared, stack=prepared.stack.alone())
    rows: list[Stacked | None] = []
    raised = {}
    for r in range(models.runs):
        try:
            rows.append(alone.measured(take(models, [r]), python and [python[r]]))
        except CpdError:
            raise
        except Exception as error:
            if out_of_memory(error):
                raise
            rows.append(None)
            raised[r] = user_traceback(error)
    missing = next((row for row in rows if row), unmeasured(prepared, take(models, [0])))
    missing = Stacked(*mapped(lambda leaf: torch.full_like(leaf, float("nan")), missing[:-1]))
    return stacked_rows([row or missing for row in rows]), raised


def unmeasured(prepared: Prepared, models: Models) -> Stacked:
    """Numbers of models that are not measured: NaN."""
    like = next(iter(models.parameters.values()))
    nothing = like.new_full((models.runs, sum(prepared.stack.sizes.values())), float("nan"))
    return Stacked(like.new_full((models.runs,), float("nan")), nothing, nothing, {}, {}, {}, {})
