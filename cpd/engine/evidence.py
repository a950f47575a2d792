"""What says how sure a constraint's value is: the terms of its shares, example by example, kept from one measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cpd.engine.paired import Both
from cpd.engine.resampling import FEW, resampled_patterns, resampled_sums
from cpd.engine.tree import leaves
from cpd.outcome import Evidence, Series
from cpd.shares import Calculable, Share

Tensors = dict[str, Tensor]
Array = NDArray[np.float64]


class Leaf(NamedTuple):
    """Something that a value is calculated from.

    Attributes:
        name: Of its tensors among the terms.
        shape: Of its value.
        is_share: Whether it is a share; otherwise it is the same on each resample.
        at: Where a share's components stand among those of all shares.
    """

    name: str
    shape: tuple[int, ...]
    is_share: bool
    at: slice


class Plan(NamedTuple):
    """How a constraint's strict value is calculated from terms.

    Attributes:
        leaves: What it is made of, each once.
        formula: Gives it from their values.
        itself: Whether it is a share, and nothing that was calculated from shares.
        once: Whether an example counts once in each share, as a whole.
    """

    leaves: tuple[Leaf, ...]
    formula: Callable[[Sequence[Tensor]], Tensor]
    itself: bool
    once: bool

    @property
    def shares(self) -> list[Leaf]:
        """Those of the leaves that are shares."""
        return [leaf for leaf in self.leaves if leaf.is_share]


def examples_of(batch: Any) -> tuple[int, ...]:
    """How many examples a batch has, of each stream."""
    parts = list(batch) if isinstance(batch, Both) else [batch]
    return tuple(len(leaves(part)[0]) for part in parts if part is not None)


def terms_of(value: Any, number: int, examples: Sequence[int]) -> tuple[Plan, Tensors] | None:
    """The terms of a strict value, example by example.

    Args:
        value: As the user's method gave it.
        number: Of the constraint.
        examples: How many examples the batch has, of each stream.

    Returns:
        How it is calculated, and the tensors, ``[n, k]`` for a share; None where it is made of something else than
        shares over the examples of one stream.
    """
    if not isinstance(value, Calculable):
        return None
    distinct = {id(leaf): leaf for leaf in value.leaves}
    order = [list(distinct).index(id(leaf)) for leaf in value.leaves]
    found, terms, once, at, counts = [], {}, True, 0, set()
    for j, leaf in enumerate(distinct.values()):
        name = f"{number}.{j}"
        if not isinstance(leaf, Share):
            terms[name] = leaf.detach()
            found.append(Leaf(name, tuple(leaf.shape), False, slice(0)))
            continue
        own = None if leaf.terms is None else leaf.terms.by_example(examples)
        if own is None:
            return None
        counted, of, one_each = own
        terms |= {f"{name}.counted": counted.detach(), f"{name}.of": of.detach()}
        found.append(Leaf(name, tuple(leaf.shape), True, slice(at, at + counted.shape[1])))
        at, once = at + counted.shape[1], once and one_each
        counts.add(len(counted))
    if len(counts) != 1:
        return None
    formula = value.formula
    plan = Plan(tuple(found), lambda values: formula([values[j] for j in order]), isinstance(value, Share), once)
    return plan, terms


def evidence_of(plans: Mapping[str, Plan], terms: Tensors, runs: int) -> list[dict[str, Evidence]]:
    """The evidence of each run's constraints, by name, of those that are made of shares.

    Shares that count whole examples keep their counts. All else is resampled: by the patterns in which examples count
    where these are few, so that thousands of resamples cost nearly nothing; otherwise example by example, the same
    resamples for all runs.

    Args:
        plans: How values are calculated, by name.
        terms: ``[runs, n, k]`` of shares, ``[runs, ...]`` of other tensors.
        runs: How many.
    """
    host = {name: tensor.detach().cpu() for name, tensor in terms.items()}
    plans = plans if terms else {}
    found: list[dict[str, Evidence]] = [{} for _ in range(runs)]
    rest: dict[int, list[tuple[int, str, Array]]] = {}
    for r, (name, plan) in ((r, item) for r in range(runs) for item in plans.items()):
        counted, of = (_columns(plan, host, r, what) for what in ("counted", "of"))
        whole = plan.once and _is_count(counted) and _is_count(of)
        if whole and plan.itself:
            pairs = zip(counted.sum(0).tolist(), of.sum(0).tolist(), strict=True)
            found[r][name] = Evidence(counted=list(pairs))
            continue
        both = np.concatenate([counted, of], 1)
        sums = resampled_patterns(both) if whole and both.shape[1] <= FEW else None
        if sums is None:
            rest.setdefault(len(both), []).append((r, name, both))
        else:
            found[r][name] = _resampled(plan, host, r, sums, of)
    for r, name, sums, of in _by_example(rest):
        found[r][name] = _resampled(plans[name], host, r, sums, of)
    return found


def value_of_all(plan: Plan, terms: Tensors) -> tuple[Tensor, Tensor]:
    """A strict value of all examples from the sums of its terms, and where no group of it is empty: ``[R, k]`` each."""
    values, empty = [], []
    for leaf in plan.leaves:
        if not leaf.is_share:
            values.append(terms[leaf.name])
            continue
        counted, of = (terms[f"{leaf.name}.{what}"].double().sum(1) for what in ("counted", "of"))
        there = of != 0
        share = torch.where(there, counted / torch.where(there, of, 1), torch.nan)
        values.append(share.reshape(-1, *leaf.shape).to(values[0].device if values else share.device))
        empty.append((~there).any(1))
    found = torch.vmap(lambda *each: plan.formula(each))(*values)
    found = found.reshape(len(found), -1)
    some = torch.stack(empty).any(0)[:, None]
    there = ~(found.isnan() & some)
    return torch.where(there, found, 0), there


def _columns(plan: Plan, host: Tensors, run: int, what: str) -> Array:
    """Terms of all shares of a value side by side, ``[n, columns]``."""
    parts = [host[f"{leaf.name}.{what}"][run].double().numpy() for leaf in plan.shares]
    return np.concatenate(parts, 1)


def _is_count(values: Array) -> bool:
    return bool(((values == 0) | (values == 1)).all())


def _by_example(rest: Mapping[int, list[tuple[int, str, Array]]]) -> Iterator[tuple[int, str, Array, Array]]:
    """Sums on resamples of the examples, of all runs and constraints that have as many."""
    for of_one_size in rest.values():
        sums = resampled_sums(np.concatenate([both for *_, both in of_one_size], 1))
        at = 0
        for r, name, both in of_one_size:
            width = both.shape[1]
            yield r, name, sums[:, at : at + width], both[:, width // 2 :]
            at += width


def _resampled(plan: Plan, host: Tensors, run: int, sums: Array, of: Array) -> Evidence:
    """Values on resamples from the sums there, ``[B, columns]``."""
    counted, group = (torch.from_numpy(np.ascontiguousarray(part)) for part in np.split(sums, 2, axis=1))
    there = group != 0
    shares = torch.where(there, counted / torch.where(there, group, 1), torch.nan)
    values, places = [], []
    for leaf in plan.leaves:
        own = shares[:, leaf.at].reshape(-1, *leaf.shape) if leaf.is_share else host[leaf.name][run]
        values.append(own.double() if own.is_floating_point() else own)
        places.append(0 if leaf.is_share else None)
    drawn = torch.vmap(lambda *each: plan.formula(each), in_dims=tuple(places))(*values)
    return Evidence(resampled=Series(drawn.float().numpy()), size=_size(plan, (of != 0).sum(0).tolist()))


def _size(plan: Plan, members: list[int]) -> int | list[int]:
    """Examples of the smallest group; of each component, where it is a group's share itself."""
    return members if plan.itself and plan.leaves[0].shape else min(members)
