"""How a problem's methods are called: with what they declare beside the model and the batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cpd.engine.paired import Both
from cpd.engine.players import of_players
from cpd.errors import CpdError
from cpd.problem import Evaluation, Problem, takes


class Calls:
    """A problem's ``evaluate`` and ``measure``; a problem without a ``measure`` of its own is judged by ``evaluate``.

    Args:
        problem: The user's problem.

    Attributes:
        taken: For each method, what each of its further parameters gets, by name.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        own = getattr(problem.measure, "__func__", None) is not Problem.measure
        self.methods = {"evaluate": "evaluate", "measure": "measure" if own else "evaluate"}
        self.taken = {name: takes(getattr(problem, method)) for name, method in self.methods.items()}

    @property
    def takes_progress(self) -> bool:
        """Whether ``evaluate`` depends on the share of the training that is done."""
        return "progress" in self.taken["evaluate"].values()

    def refuse_unpaired(self, constraint_data: Any, target: str) -> None:
        """Refuse a second stream that is not taken, and one that is taken and is not there.

        Raises:
            CpdError: It is so.
        """
        takes_it = "constraint_batch" in self.taken["evaluate"].values()
        if takes_it and constraint_data is None:
            message, hint = "takes a constraint_batch, and there is none", "write constraint_data(), as data()"
            raise CpdError(message, place=f"{target}.evaluate()", hint=hint)
        if constraint_data is not None and not takes_it:
            message, hint = "takes no constraint_batch, and there is a constraint_data()", "add that parameter"
            raise CpdError(message, place=f"{target}.evaluate()", hint=hint)

    def __call__(self, method: str, model: nn.Module, batch: Any, offered: Mapping[str, Any]) -> Evaluation:
        """Call a method with what it takes of ``offered``, and of the second stream where there is one."""
        batch = of_players(batch).model
        if isinstance(batch, Both):
            batch, offered = batch.batch, {**offered, "constraint_batch": batch.constraint_batch}
        further = {name: offered[what] for name, what in self.taken[method].items()}
        called: Evaluation = getattr(self.problem, self.methods[method])(model, batch, **further)
        return called


def progress_of(method: str, like: Tensor) -> Tensor:
    """The share of the training that is done where nothing says it: none of it, and all where a model is judged."""
    return torch.full((), 1.0 if method == "measure" else 0.0, dtype=like.dtype, device=like.device)
