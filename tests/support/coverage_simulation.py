"""Fresh draws of examples whose true values are known, judged as the engine judges held-out ones."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

import cpd
from cpd.engine.evidence import Plan, evidence_of, terms_of
from cpd.outcome import Evidence
from cpd.verdict.intervals import corrected, intervals

SETTINGS = 20
DRAWN = 400_000
"""Examples of which the true values are taken."""


@dataclass(frozen=True)
class Quantity:
    """What is measured: from scores ``[n]``, which are decisions by their sign, labels and groups of the examples."""

    name: str
    examples: int
    value: Callable[[Tensor, Tensor, Tensor], Any]


def _gap(scores: Tensor, label: Tensor, group: Tensor) -> Any:
    return abs(cpd.share(scores > 0, of=group == 1) - cpd.share(scores > 0, of=group == 0))


def _ratio(scores: Tensor, label: Tensor, group: Tensor) -> Any:
    return cpd.share(scores > 0, of=group == 1) / cpd.share(scores > 0, of=group == 0)


def _spread(scores: Tensor, label: Tensor, group: Tensor) -> Any:
    rates = cpd.share(scores > 0, of=(label + 2 * group)[:, None] == torch.arange(4))
    return rates.max() - rates.min()


def _recall(scores: Tensor, label: Tensor, group: Tensor) -> Any:
    return cpd.share(scores > 0, of=label)


QUANTITIES = (
    Quantity("rate", 120, lambda scores, label, group: cpd.share(scores > 0)),
    Quantity("recall", 200, _recall),
    Quantity("recall, few positives", 60, _recall),
    Quantity("parity gap", 300, _gap),
    Quantity("parity gap, few examples", 80, _gap),
    Quantity("ratio of rates", 300, _ratio),
    Quantity("spread of four groups", 400, _spread),
    Quantity("mean loss", 120, lambda scores, label, group: cpd.share(functional.softplus(-scores))),
)


def drawn(examples: int, seed: int, repetitions: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Scores of every setting ``[repetitions, settings, n]``, labels and groups ``[repetitions, n]``.

    Settings are models that mostly agree: the same examples, a noise of their own and thresholds that differ a little.
    """
    rng = np.random.default_rng(seed)
    shape = (repetitions, examples)
    label, group = rng.random(shape) < 0.3, rng.random(shape) < 0.4
    common = rng.normal(size=shape) + 0.8 * label + 0.3 * group
    own = 0.5 * rng.normal(size=(repetitions, SETTINGS, examples)) + np.linspace(0.15, 0.25, SETTINGS)[:, None]
    scores = common[:, None, :] + own
    return torch.from_numpy(scores), torch.from_numpy(label).long(), torch.from_numpy(group).long()


def truth(quantity: Quantity) -> list[float]:
    """The value of each setting on very many examples, in parts that fit into memory."""
    parts = [drawn(DRAWN // 20, 10_000 + k) for k in range(20)]
    label, group = (torch.cat([part[j][0] for part in parts]) for j in (1, 2))
    scores = torch.cat([part[0][0] for part in parts], 1)
    return [float(quantity.value(own, label, group).value) for own in scores]


def judged(quantity: Quantity, scores: Tensor, label: Tensor, group: Tensor) -> tuple[list[float], list[Evidence]]:
    """Values and evidence of one setting's scores ``[repetitions, n]``, each repetition by itself."""
    plans: dict[str, Plan] = {}

    def one(own: Tensor, y: Tensor, g: Tensor) -> Any:
        value = quantity.value(own, y, g)
        found = terms_of(value, 0, (len(own),))
        assert found is not None
        plans["x"] = found[0]
        return value.value, found[1]

    values, terms = torch.vmap(one)(scores, label, group)
    return values.tolist(), [run["x"] for run in evidence_of(plans, terms, len(scores))]


def covers(value: float, evidence: Evidence, right: float, confidence: float) -> bool:
    """Whether the interval of a value has the true one in it."""
    (found,) = intervals(value, evidence, confidence)
    return found is not None and found[0] <= right <= found[1]


def coverage(quantity: Quantity, repetitions: int, seed: int = 1) -> float:
    """How often 95 % intervals of one setting cover."""
    scores, label, group = drawn(quantity.examples, seed, repetitions)
    right = truth(quantity)[0]
    values, found = judged(quantity, scores[:, 0], label, group)
    return float(np.mean([covers(v, e, right, 0.95) for v, e in zip(values, found, strict=True)]))


def coverage_of_chosen(quantity: Quantity, repetitions: int, seed: int = 2) -> tuple[float, float]:
    """The same of the setting with the smallest measured value among 20: corrected for that, and as if it were not."""
    scores, label, group = drawn(quantity.examples, seed, repetitions)
    right = truth(quantity)
    each = [judged(quantity, scores[:, k], label, group) for k in range(SETTINGS)]
    covered = []
    for r in range(repetitions):
        k = min(range(SETTINGS), key=lambda j: each[j][0][r])
        value, evidence = each[k][0][r], each[k][1][r]
        covered.append([covers(value, evidence, right[k], c) for c in (corrected(0.95, SETTINGS), 0.95)])
    rightly, naively = np.mean(covered, 0).tolist()
    return rightly, naively
