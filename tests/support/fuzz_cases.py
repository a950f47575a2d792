"""From a number to a problem of the fuzzer's: what is composed, how it is trained, and which runs are made."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fuzz_problem
from fuzz_blocks import BLOCKS
from fuzz_traits import AFTER, BEFORE, MEASURES

from cpd.engine.batch import Batch
from cpd.outcome import RunKey
from cpd.spec.identity import canonical_json
from cpd.spec.models import Constraint, Optimizer, ProblemSource, Task, Train

OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.02, "amsgrad": True, "weight_decay": 0.01, "betas": [0.8, 0.95], "eps": 1e-4}),
    ("AdamW", {"lr": 0.02, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.01, "amsgrad": True}),
    ("Adamax", {"lr": 0.02, "weight_decay": 0.01}),
    ("NAdam", {"lr": 0.01}),
    ("NAdam", {"lr": 0.01, "weight_decay": 0.05, "decoupled_weight_decay": True, "momentum_decay": 0.01}),
    ("RAdam", {"lr": 0.02}),
    ("RAdam", {"lr": 0.02, "weight_decay": 0.05, "decoupled_weight_decay": True, "betas": [0.9, 0.9]}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.005, "momentum": 0.9, "centered": True, "weight_decay": 0.01}),
    ("Adagrad", {"lr": 0.05, "lr_decay": 0.1, "initial_accumulator_value": 0.1, "weight_decay": 0.01}),
    ("Adadelta", {"lr": 1.0, "rho": 0.8, "weight_decay": 0.01}),
    ("ASGD", {"lr": 0.05, "lambd": 0.01, "alpha": 0.6, "t0": 3, "weight_decay": 0.01}),
    ("Rprop", {"lr": 0.01, "etas": [0.4, 1.3], "step_sizes": [1e-3, 0.2]}),
]

LEADS = [("block", name) for name in BLOCKS if name != "linear"] + [("trait", name) for name in [*BEFORE, *AFTER]]
"""What a problem is about: problem k has the k-th, and a few others at random."""

OF_SEEDS = ("wide", "scaled torch", "scaled python", "scaled numpy", "start")
"""Leads that are about how seeds differ."""

PLAIN_BLOCKS = ("linear", "batchnorm", "layernorm", "dropout", "tokens", "prelu", "conv 1d", "gru", "unused", "tied")
"""What stands beside a lead: blocks that are in half of all models."""


@dataclass(frozen=True)
class Case:
    """A problem, its recipe and its runs.

    Attributes:
        number: Of the case.
        lead: What it is about.
        kind: The problem's class.
    """

    number: int
    lead: str
    kind: str
    arguments: dict[str, Any]
    constraints: dict[str, Constraint]
    train: Train
    keys: tuple[RunKey, ...]

    @property
    def source(self) -> ProblemSource:
        """Where the problem is."""
        path = Path(fuzz_problem.__file__)
        target = f"fuzz_problem.py:{self.kind}"
        return ProblemSource(target=target, path=str(path), source=path.read_text(), arguments=self.arguments)

    def batch(self, **options: Any) -> Batch:
        """The runs as the engine takes them."""
        return Batch(self.source, self.constraints, self.train, self.keys, **options)

    def gridded(self) -> Case:
        """The same with runs that a task can name: every setting with every seed, at the constraints' own levels."""
        levels = {name: c.level for name, c in self.constraints.items()}
        settings = list({canonical_json([k.method, k.setting]): k for k in self.keys}.values())
        seeds = dict.fromkeys(k.seed for k in self.keys)
        return replace(self, keys=tuple(RunKey(k.method, k.setting, levels, seed) for k in settings for seed in seeds))

    def task(self) -> Task:
        """The runs of :meth:`gridded` as a task."""
        methods: dict[str, tuple[dict[str, Any], ...]] = {}
        for key in self.keys:
            if dict(key.setting) not in methods.get(key.method, ()):
                methods[key.method] = (*methods.get(key.method, ()), dict(key.setting))
        return Task(
            name="fuzz",
            place="fuzz",
            text="",
            problem=self.source,
            objective="f",
            constraints=self.constraints,
            train=self.train,
            seeds=tuple(dict.fromkeys(key.seed for key in self.keys)),
            methods=methods,
        )

    def __str__(self) -> str:
        optimizer = self.train.optimizer
        given = ", ".join(f"{n}={v}" for n, v in self.arguments.items() if v)
        size = self.train.batch_size or "all"
        recipe = f"{self.train.steps} steps of {size}, {optimizer.name} {optimizer.options}, {self.train.dtype}"
        runs = "; ".join(f"{k.method} {dict(k.setting)} seed {k.seed}" for k in self.keys)
        return f"{self.kind}({given}); {recipe}; {runs}"

    def without(self, trait: str) -> Case | None:
        """The same without one block or trait; None where it has none of that name."""
        for part in ("blocks", "traits"):
            left = [name for name in self.arguments[part] if name != trait]
            if len(left) < len(self.arguments[part]):
                return replace(self, arguments={**self.arguments, part: left})
        return None


def compose(number: int, seed: int = 0) -> Case:
    """Case ``number`` of a seed: the same whenever it is asked for."""
    rng = random.Random(f"{seed}/{number}")
    kind, lead = LEADS[number % len(LEADS)]
    blocks = [name for name in PLAIN_BLOCKS if rng.random() < 0.12]
    traits = [rng.choice([*BEFORE, *AFTER])] if rng.random() < 0.3 else []
    if kind == "block":
        blocks.insert(rng.randint(0, len(blocks)), lead)
    elif lead not in traits:
        traits.insert(0, lead)
    if rng.random() < 0.25:
        blocks.append(rng.choice([name for name in BLOCKS if name != "lazy unready"]))
    constraints = _constraints(rng)
    examples = rng.choice([16, 24, 25, 33])
    arguments = {
        "blocks": blocks,
        "traits": traits,
        "constraints": list(constraints),
        "examples": examples,
        "data": rng.choice(["tuple"] * 6 + ["dataset", "global", "none"]),
    }
    problem = rng.choice(["Fuzz"] * 6 + ["Boxed", "Boxed", "Defaulted"])
    return Case(number, lead, problem, arguments, constraints, _recipe(rng, examples), tuple(_keys(rng, constraints)))


def _constraints(rng: random.Random) -> dict[str, Constraint]:
    names = rng.sample(sorted(MEASURES.keys() - {"examples"}), rng.choice([1, 1, 2, 3]))
    return {
        name: Constraint(level=round(rng.uniform(-0.3, 0.9), 2), sense=rng.choice(["<=", ">=", "=="])) for name in names
    }


def _recipe(rng: random.Random, examples: int) -> Train:
    name, options = rng.choice(OPTIMIZERS)
    if rng.random() < 0.1:
        options = {**options, "maximize": True, "lr": 0.01}
    size = rng.choice([None, None, 7, 8, 16, examples - 2, examples, 2 * examples, 1 if rng.random() < 0.2 else 5])
    steps = rng.choice([7, 20, 33, 41, 41, 60, 60, 110, 230])
    dtype = rng.choice(["float64"] * 4 + ["float32"])
    return Train(
        steps=steps, epochs=None, batch_size=size, optimizer=Optimizer(name=name, options=options), dtype=dtype
    )


def _keys(rng: random.Random, constraints: dict[str, Constraint]) -> list[RunKey]:
    seeds = rng.choice([[1], [1], [1, 2], [3, 0]])
    settings = [_setting(rng, constraints) for _ in range(rng.choice([1, 2, 3]))]
    levels = {name: c.level for name, c in constraints.items()}
    keys = []
    for method, setting in settings:
        own = {n: round(v + rng.choice([0, 0, 0.2]), 2) for n, v in levels.items()}
        keys += [RunKey(method, setting, own, seed) for seed in seeds]
    return keys


def _setting(rng: random.Random, constraints: dict[str, Constraint]) -> tuple[str, dict[str, Any]]:
    def number(*values: float) -> Any:
        each = len(constraints) > 1 and rng.random() < 0.3
        return [rng.choice(values) for _ in constraints] if each else rng.choice(values)

    update = {"update": "simultaneous"} if rng.random() < 0.4 else {}
    growth = {"growth": rng.choice([1.01, 1.1])} if rng.random() < 0.5 else {}
    start = {"multiplier_init": number(0.0, 0.5, 1.0)} if rng.random() < 0.3 else {}
    match rng.choice(["penalized", "quadratic", "lagrangian", "lagrangian", "nupi", "augmented"]):
        case "penalized":
            return "penalized", {"coefficient": number(0.0, 0.1, 0.5)}
        case "quadratic":
            return "quadratic_penalty", {"coefficient": number(0.1, 1.0), **growth}
        case "lagrangian":
            other: list[dict[str, Any]] = [{}, {"dual_optimizer": "Adam"}, {"restart": True}]
            more = rng.choice(other)
            return "lagrangian", {"dual_lr": number(0.01, 0.1, 0.3), **more, **update, **start}
        case "nupi":
            more = {"kp": rng.choice([0.0, 2.0]), "ki": rng.choice([0.5, 1.0]), "nu": rng.choice([-0.3, 0.0, 0.9])}
            init = {"init": rng.choice(["released", "documented", "zeros"])}
            return "nupi", {"dual_lr": number(0.05, 0.2), **more, **init, **update, **start}
        case _:
            return "augmented_lagrangian", {
                "dual_lr": number(0.05, 0.2),
                "penalty": number(0.0, 0.5),
                **growth,
                **update,
                **start,
            }
