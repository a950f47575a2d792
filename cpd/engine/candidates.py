"""Iterates that a mixture may be made of: their numbers and models are kept while a run is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from cpd.engine.bound import Tensors
from cpd.engine.mixtures import Iterates, best_mixture, worth_keeping
from cpd.engine.stacked import Models
from cpd.engine.step import State, Step
from cpd.engine.tree import mapped

MOST = 32
"""Iterates of a run that are kept at once; of more, those that no mixture of the others makes up for."""
LEFT = 3 * MOST // 4
"""So many stay at most where room is made."""


class Candidates(NamedTuple):
    """Iterates of each run, in places of their own.

    Attributes:
        step: Steps done at each, ``[R, K]``; 0 where the place is free.
        numbers: As measured there: ``objective [R, K]``, ``surrogate``, ``strict`` and ``multiplier``, ``[R, K, C]``,
            and ``metrics [R, K, M]``.
        models: Parameters and buffers, by name, ``[R, K, ...]``.
    """

    step: Tensor
    numbers: Tensors
    models: dict[str, Tensors]


class Mixture(NamedTuple):
    """Of each run, the distribution from which an iterate is drawn for each prediction.

    Attributes:
        shares: ``[R, K]``, those of the places; all 0 where a run has none.
        step: Steps done at each, ``[R, K]``.
        feasible: ``[R]`` bool.
    """

    shares: Tensor
    step: Tensor
    feasible: Tensor

    def mean(self, values: Tensor) -> Tensor:
        """Of values ``[R, K]`` or ``[R, K, ...]`` of the places; what has no share does not count, whatever it is."""
        shares = self.shares.view(*self.shares.shape, *[1] * (values.dim() - 2))
        return torch.where(shares > 0, shares * values, torch.zeros_like(values)).sum(1)

    def of(self, row: int) -> list[tuple[int, float]]:
        """The iterates of a run, by the steps done there, with their shares."""
        places = zip(self.step[row].tolist(), self.shares[row].tolist(), strict=True)
        return sorted((step, share) for step, share in places if share > 0)

    @property
    def most(self) -> int:
        """Iterates of the run that has most."""
        return int((self.shares > 0).sum(1).max())


def places(count: int) -> int:
    """How many iterates of a run are kept, of so many measures."""
    return min(count, MOST)


def no_candidates(numbers: Mapping[str, Tensor], state: State, count: int) -> Candidates:
    """All places free; ``numbers`` are like those of a measure, and so many of these will be taken."""
    k = places(count)

    def room(t: Tensor) -> Tensor:
        return t.new_zeros(len(t), k, *t.shape[1:])

    models = {"parameters": state.parameters, "buffers": state.buffers}
    step = state.steps.new_zeros(len(state.steps), k)
    return Candidates(step, mapped(room, dict(numbers)), mapped(room, models))


def with_iterate(
    known: Candidates, step: Step, state: State, numbers: Mapping[str, Tensor], usable: Tensor, done: int
) -> Candidates:
    """With the iterates of those runs ``[R]`` bool that are usable.

    Numbers and models change in place, where a place is free: it is written again where the training goes back. Room is
    made in new memory, for what was there may be gone back to.
    """
    rows = usable.nonzero()[:, 0]
    full = usable & (known.step > 0).all(1)
    if full.any():
        known = _with_room(known, step, full)
    free = (known.step[rows] == 0).long().argmax(1)
    _write(known.numbers, numbers, rows, free)
    _write(known.models["parameters"], state.parameters, rows, free)
    _write(known.models["buffers"], state.buffers, rows, free)
    steps = known.step.clone()
    steps[rows, free] = done
    return known._replace(step=steps)


def mixture_of(known: Candidates, step: Step) -> Mixture:
    """The best mixture of each run's iterates."""
    shares = torch.zeros_like(known.step, dtype=torch.float64, device="cpu")
    feasible = torch.zeros(len(shares), dtype=torch.bool)
    for row, there in enumerate((known.step > 0).cpu()):
        if there.any():
            found, holds = best_mixture(_iterates(known, step, row).taken(there.numpy()))
            shares[row, there], feasible[row] = torch.from_numpy(found), holds
    device = known.step.device
    kind = known.numbers["objective"].dtype
    return Mixture(shares.to(device, kind), known.step, feasible.to(device))


def mixed_models(known: Candidates, mixture: Mixture, models: Models) -> list[tuple[Tensor, Models]]:
    """The models of a mixture: of each run one at a time, with their shares ``[R]``, which add up to 1.

    Args:
        known: The iterates.
        mixture: Of them.
        models: The last ones: what is fixed is theirs, and a run without a mixture has its last one with share 1.
    """
    order = mixture.shares.argsort(dim=1, descending=True, stable=True)
    rows = torch.arange(len(order), device=order.device)
    none = mixture.shares.sum(1) == 0
    found = []
    for k in range(max(1, mixture.most)):
        place = order[:, k]
        share = torch.where(none, float(k == 0), mixture.shares[rows, place])
        kept = {part: {n: t[rows, place] for n, t in known.models[part].items()} for part in ("parameters", "buffers")}
        own = models._replace(
            parameters=_where(none, models.parameters, kept["parameters"]),
            buffers=_where(none, models.buffers, kept["buffers"]),
        )
        found.append((share, own))
    return found


def _iterates(known: Candidates, step: Step, row: int) -> Iterates:
    """One run's, all places of it."""
    values = known.numbers["strict"][row]
    violations = (values - step.levels[row].to(values)) * step.sign.to(values)
    ends = (
        np.full(values.shape[-1], fill) if end is None else _plain(end[row])
        for end, fill in ((step.holding.low, -np.inf), (step.holding.high, np.inf))
    )
    low, high = ends
    objective = _plain(known.numbers["objective"][row])
    equality = step.groups.equality.cpu().numpy()
    return Iterates(objective, _plain(values), _plain(violations), equality, low, high)


def _with_room(known: Candidates, step: Step, full: Tensor) -> Candidates:
    """With free places for the runs that have none."""
    steps = known.step.clone()
    for row in full.nonzero()[:, 0].tolist():
        iterates = _iterates(known, step, row)
        order = np.argsort(_plain(known.step[row]), kind="stable")  # of equals the earlier stays
        stays = np.zeros(len(order), dtype=bool)
        stays[order] = worth_keeping(iterates.taken(order))
        stays[_surplus(order, stays, best_mixture(iterates.taken(stays))[0])] = False
        steps[row, torch.from_numpy(~stays).to(steps.device)] = 0
    numbers, models = mapped(torch.clone, (known.numbers, known.models))
    return Candidates(steps, numbers, models)


def _surplus(order: Any, stays: Any, shares: Any) -> list[int]:
    """What is given up of iterates that are all worth keeping: every other one that the best mixture has not.

    Args:
        order: All, the oldest first.
        stays: Which of all there are, bool.
        shares: Of these, in the best mixture.
    """
    share = np.zeros(len(order))
    share[stays] = shares
    others = [int(k) for k in order if stays[k] and not share[k]][::2]
    if stays.all() and not others:
        return [int(np.argmin(share))]
    return others[: max(0, int(stays.sum()) - LEFT)]


def _where(rows: Tensor, a: Tensors, b: Tensors) -> Tensors:
    return {n: torch.where(rows.view(-1, *[1] * (t.dim() - 1)), t, b[n]) for n, t in a.items()}


def _write(kept: Tensors, new: Mapping[str, Tensor], rows: Tensor, free: Tensor) -> None:
    for name, tensor in new.items():
        kept[name][rows, free] = tensor[rows].detach().to(kept[name].dtype)


def _plain(values: Tensor) -> Any:
    return values.detach().cpu().double().numpy()
