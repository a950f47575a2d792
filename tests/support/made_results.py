"""Documents as large sweeps give them, made and not trained: any number of constraints, settings and seeds."""

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

from sample_documents import Curves, task

from cpd.outcome import ConstraintOutcome, Recorded, Run, RunKey, Status
from cpd.verdict.document import Document, Iteration, SearchBlock
from cpd.verdict.judgement import judge

NAMES = ("recall_of_group", "mean_latency_of_the_whole_service", "density", "g", "calibration_error_rate", "budget")

SWEPT = {"penalized": ("coefficient", "train.optimizer.lr", "arguments.hidden"), "lagrangian": ("dual_lr", "lr", "kp")}

BLOWN_UP = 3e34


@dataclass(frozen=True)
class Size:
    """How large a made sweep is."""

    constraints: int = 1
    hyperparameters: int = 1
    seeds: int = 1
    settings: int = 20
    levels: int = 1

    def __str__(self) -> str:
        return f"{self.constraints}c-{self.hyperparameters}h-{self.seeds}s-{self.settings}n-{self.levels}l"


def bounds(count: int) -> dict[str, tuple[float, str, float]]:
    """Constraints of all senses, shares and others, with short and long names."""
    found = {}
    for k in range(count):
        name = NAMES[k % len(NAMES)] + (f"_{k}" if k >= len(NAMES) else "")
        sense = (">=", "<=", "<=", "==", "<=", "<=")[k % len(NAMES)]
        found[name] = (_level(k, sense), sense, 0.01)
    return found


def _level(k: int, sense: str) -> float:
    return (300.0 + k) if k % len(NAMES) == 5 else 0.7 - 0.005 * (k % 20) if sense == ">=" else 0.3


def grid(size: Size, method: str) -> list[dict[str, Any]]:
    """The settings of a method, about half of those that are asked for."""
    count = max(size.settings // 2, 1)
    each = max(round(count ** (1 / size.hyperparameters)), 1)
    wide = max(round(count / each ** (size.hyperparameters - 1)), 1)
    lengths = [wide, *[each] * (size.hyperparameters - 1)]
    values = [[10 ** (6 * k / max(length - 1, 1) - 4) for k in range(length)] for length in lengths]
    names = SWEPT[method][: size.hyperparameters]
    return [dict(zip(names, point, strict=True)) for point in product(*values)]


def value(k: int, level: float, sense: str, strength: float, seed: int) -> float:
    """A constraint's value, that a stronger push moves over its level, later for later constraints."""
    slack = math.tanh(1.5 * (strength - 0.1 * (k % 7))) + 0.03 * math.sin(7 * seed + k)
    if sense == "==":
        return level - 0.2 * (1 - math.tanh(2 + 2 * max(strength, -1))) + 0.004 * math.sin(seed + k)
    side = 1 if sense == ">=" else -1
    return level + side * slack * 0.25 * abs(level)


def run_of(size: Size, method: str, setting: dict[str, Any], seed: int, levels: dict[str, float]) -> Run:
    """One run; of the strongest settings one diverged and one blew up."""
    own = list(setting.values())
    strength = math.log10(own[0]) + 1 - 0.2 * sum(math.log10(x) for x in own[1:])
    every = bounds(size.constraints)
    outcomes = {}
    for k, (name, (_, sense, _)) in enumerate(every.items()):
        at = value(k, levels[name], sense, strength, seed)
        outcomes[name] = ConstraintOutcome(at, at, abs(1 + k / 9) if method == "lagrangian" else None, [at] * 10)
    aim = 0.35 + 0.02 * max(strength, -3) ** 2 + 0.01 * math.sin(3 * seed) + (0.2 if method == "penalized" else 0.0)
    metrics: dict[str, float | None] = {"accuracy": 0.8 + 0.1 * math.tanh(strength)}
    status = Status.COMPLETED
    if method == "penalized" and size.settings > 4 and own[0] > 90:
        last = list(outcomes)[-1]
        aim, status = (BLOWN_UP, status) if seed % 2 else (aim, Status.DIVERGED)
        wrong = -BLOWN_UP if every[last][1] == ">=" else BLOWN_UP
        outcomes[last] = ConstraintOutcome(wrong, wrong, None, [wrong] * 10)
    return Run(RunKey(method, setting, levels, seed), status, aim, outcomes, metrics, 1000, 1.0)


def made(size: Size) -> Document:
    """A sweep of two methods."""
    every = bounds(size.constraints)
    base = {name: level for name, (level, _, _) in every.items()}
    first = next(iter(base))
    choices = [{**base, first: base[first] * (1 - 0.08 * k)} for k in range(size.levels)]
    runs = [
        run_of(size, method, setting, seed, levels)
        for method in SWEPT
        for levels in choices
        for setting in grid(size, method)
        for seed in range(1, size.seeds + 1)
    ]
    return judge(task("made_results", "cross_entropy", **every), runs)


def made_search(size: Size) -> Document:
    """A bisection with as many iterations as there are settings, at most 40, the last one lost, one blown up."""
    name, (_, _, _) = next(iter(bounds(size.constraints).items()))
    document = made(Size(size.constraints, 1, 1, 2))
    powers = [(-1) ** k * 3 / (1 + k) for k in range(min(size.settings, 40))]
    iterations: list[Iteration] = [
        {
            "iteration": k + 1,
            "coefficient": 10**power,
            "value": None if k == 6 else BLOWN_UP if k == 3 else 0.5 + 0.1 * power,
            "objective": 1.0,
            "metrics": {},
            "spread": 0.01 if size.seeds > 1 else None,
        }
        for k, power in enumerate(powers)
    ]
    search: SearchBlock = {
        "constraint": name,
        "target": 0.5,
        "tolerance": 0.01,
        "outcome": "out_of_budget",
        "trainings": len(powers),
        "iterations": iterations,
    }
    return {**document, "search": search}


def curves_of(document: Document, points: int = 120) -> Curves:
    """Courses that settle at what each run came to; one blows up on its way."""
    return [None if k > 60 else _course(document, k, points) for k in range(len(document["runs"]))]


def _course(document: Document, k: int, points: int) -> Recorded:
    run = document["runs"][k]
    decay = [math.exp(-t / (points / (4 + k % 5))) * math.cos(t / (6 + k % 4)) for t in range(points)]
    ends = {name: row["value"] for name, row in run["constraints"].items()}
    grown = [10 ** (t / 2) if k == 1 and t > points // 2 else 1.0 for t in range(points)]
    return {
        "steps": [20 * t for t in range(points)],
        "objective": [(0.4 + d / 3) * g for d, g in zip(decay, grown, strict=True)],
        "constraints": {name: [_float(end) + 0.2 * abs(_float(end)) * d for d in decay] for name, end in ends.items()},
        "multipliers": {name: [1.5 - d for d in decay] for name in ends} if run["method"] == "lagrangian" else {},
    }


def _float(number: Any) -> float:
    return float(number) if isinstance(number, float | int) else 0.0
