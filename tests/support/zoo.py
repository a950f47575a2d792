"""A zoo of runs whose state is known by construction, from closed forms, never from what a diagnosis says.

Numbers of each specimen are drawn within the bounds in which its state is sure: another seed gives another zoo. With
``rho = 2 lr size a`` plain descent on the bowl contracts by ``1 - rho`` a step; a multiplier that moves by ``dual_lr``
swings at ``omega = gain sqrt(lr dual_lr)`` a step, ``r^2 + rho r + omega^2 = 0``.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zoo_problems

from cpd.engine.batch import Batch
from cpd.engine.train import train
from cpd.outcome import Run, RunKey, Status
from cpd.spec.models import Constraint, Optimizer, ProblemSource, Train
from cpd.verdict.judgement import judge

PATH = Path(zoo_problems.__file__)
DIVERGED = "diverged"
SETTLED = "settled"


@dataclass(frozen=True)
class Specimen:
    """Runs of one problem in one state.

    Attributes:
        state: In words.
        accepted: Diagnoses that are true of it; ``settled`` for none, ``diverged`` for that status with a reason.
        arguments: Of the problem.
        constraints: Level and sense by name, before the gain.
        methods: Settings.
        tolerance: In units of the gain.
        lr: Of plain descent.
        fights: Which components contradict each other, where some do.
        held: The least share of the last tenth at which each constraint must be said to hold.
    """

    state: str
    accepted: frozenset[str]
    arguments: Mapping[str, Any]
    constraints: Mapping[str, tuple[float, str]]
    methods: Sequence[tuple[str, dict[str, Any]]]
    lr: float
    steps: int = 2000
    tolerance: float = 1e-3
    dtype: str = "float32"
    seeds: Sequence[int] = (1,)
    batch_size: int | None = None
    optimizer: str = "SGD"
    fights: frozenset[str] = frozenset()
    held: float | None = None

    def batch(self) -> Batch:
        """The runs as the engine takes them."""
        gain = self.arguments.get("gain", 1.0)
        bounds = {
            n: Constraint(level=gain * level, sense=sense, tolerance=gain * self.tolerance)
            for n, (level, sense) in self.constraints.items()
        }
        levels = {n: bound.level for n, bound in bounds.items()}
        recipe = Train(
            steps=self.steps,
            epochs=None,
            batch_size=self.batch_size,
            optimizer=Optimizer(name=self.optimizer, options={"lr": self.lr}),
            dtype=self.dtype,
        )
        source = ProblemSource(
            target="zoo_problems.py:Creature", path=str(PATH), source=PATH.read_text(), arguments=dict(self.arguments)
        )
        keys = tuple(RunKey(m, s, levels, seed) for seed in self.seeds for m, s in self.methods)
        return Batch(source, bounds, recipe, keys, stepper="captured")


@dataclass(frozen=True)
class Found:
    """What a diagnosis says of one run, and what is true."""

    specimen: Specimen
    run: Run
    said: str
    row: Mapping[str, Any] = field(repr=False)

    @property
    def right(self) -> bool:
        """Whether what is said is true."""
        return self.said in self.specimen.accepted

    @property
    def well_told(self) -> bool:
        """Whether the constraints that fight are those that are named, and noise is not taken for violation."""
        held = [row["feasible_share"] or 0.0 for row in self.row["constraints"].values()]
        named = self.said != "contradictory_constraints" or set(self.row["fighting"]) == self.specimen.fights
        return named and (self.specimen.held is None or min(held) >= self.specimen.held)

    def __str__(self) -> str:
        held = [row["feasible_share"] for row in self.row["constraints"].values()]
        setting = {n: float(f"{x:.3g}") if isinstance(x, float) else x for n, x in self.run.key.setting.items()}
        said = f"{self.said} {self.row.get('fighting', '')}"
        return f"{self.specimen.state} ({self.specimen.dtype}): {self.run.key.method} {setting} {said}, held {held}"


@dataclass(frozen=True)
class _Task:
    constraints: Mapping[str, Constraint]
    train: Train
    name: str = "zoo"
    objective: str = "f"


def observe(specimen: Specimen) -> list[Found]:
    """Train the runs and diagnose each on its own: no other run tells which levels can be reached."""
    batch = specimen.batch()
    found = []
    for run in train(batch).runs:
        (row,) = judge(_Task(batch.constraints, batch.train), [run])["runs"]
        said = row["diagnosis"] or SETTLED
        if run.status is Status.DIVERGED:
            said = DIVERGED if run.error else "diverged without a reason"
        found.append(Found(specimen, run, said if run.status is not Status.FAILED else f"failed: {run.error}", row))
    return found


def tally(found: Sequence[Found]) -> dict[str, dict[str, int]]:
    """For each diagnosis how many runs are so in truth, how many were missed, how often it was said, and wrongly."""
    counts: dict[str, dict[str, int]] = {}
    for one in found:
        true = " or ".join(sorted(one.specimen.accepted))
        for name in (true, one.said):
            counts.setdefault(name, {"true": 0, "missed": 0, "said": 0, "false": 0})
        counts[true]["true"] += 1
        counts[true]["missed"] += not one.right
        counts[one.said]["said"] += 1
        counts[one.said]["false"] += not one.right
    return counts


def rates(found: Sequence[Found]) -> tuple[float, float]:
    """False alarms among all diagnoses that were said, and misses among the runs that have one in truth."""
    ill = [one for one in found if SETTLED not in one.specimen.accepted]
    said = [one for one in found if one.said != SETTLED]
    return sum(not one.right for one in said) / len(said), sum(not one.right for one in ill) / len(ill)


def zoo(seed: int, *, thin: bool = False) -> list[Specimen]:
    """All specimens with the numbers of a seed; ``thin``: one of each kind."""
    drawn = random.Random(seed)
    found = []
    for kind in KINDS:
        each = list(kind(_Draw(drawn)))
        found += each[:1] if thin else each
    return found


class _Draw:
    """Numbers of one kind of specimen."""

    def __init__(self, drawn: random.Random) -> None:
        self.drawn = drawn
        self.between = drawn.uniform

    def power(self, low: float, high: float) -> float:
        return float(10 ** self.drawn.uniform(low, high))

    def one(self, of: Sequence[Any]) -> Any:
        return self.drawn.choice(of)

    def seeds(self) -> tuple[int, ...]:
        return (self.drawn.randrange(1, 10_000),)

    def offset(self, size: float) -> float:
        return float(self.one([0.0, 100.0, -37.0]) * size)


class _Bowl:
    """A bowl ``size (x - centre)^2`` beside a level that its middle violates, on one of both sides; or holds, inside.

    Attributes:
        price: The multiplier at the solution.
    """

    def __init__(self, draw: _Draw, rho: float = 0.05, *, inside: bool = False) -> None:
        self.draw, self.rho = draw, rho
        self.size, self.gain = draw.power(-2, 2), draw.power(-1, 1)
        self.side = float(draw.one([1.0, -1.0]))
        self.level = draw.between(-1.0, 1.0)
        self.far = draw.between(0.5, 2.0)
        self.centre = self.level + self.side * (-self.far if inside else self.far)
        self.lr = rho / (2 * self.size)
        self.price = 2 * self.size * self.far / self.gain

    @property
    def sense(self) -> str:
        return "<=" if self.side > 0 else ">="

    def dual_lr(self, ratio: float) -> float:
        """That of ``omega = ratio rho``."""
        return (ratio * self.rho / self.gain) ** 2 / self.lr

    def arguments(self, start: float | None = None, **more: Any) -> dict[str, Any]:
        first = self.centre if start is None else start
        own = {"start": [first], "curvature": [1.0], "centre": [self.centre], "size": self.size, "gain": self.gain}
        return {**own, "offset": self.draw.offset(self.size), **more}


def settled(d: _Draw) -> Iterator[Specimen]:
    """Overdamped and underdamped multipliers contract by e^-16 and more in 2,000 steps; fixed penalties at once."""
    for dtype, sense in (("float32", None), ("float64", None), ("float64", "=="), ("float32", "==")):
        bowl = _Bowl(d, rho=0.1)
        strong = 0.05 / (bowl.lr * bowl.gain**2)
        methods: list[tuple[str, dict[str, Any]]] = [
            ("lagrangian", {"dual_lr": bowl.dual_lr(d.between(0.35, 0.45))}),
            ("lagrangian", {"dual_lr": bowl.dual_lr(d.between(1.0, 2.0))}),
            ("lagrangian", {"dual_lr": bowl.dual_lr(0.4), "update": "simultaneous"}),
            ("nupi", {"dual_lr": bowl.dual_lr(0.4), "kp": d.between(1.0, 5.0)}),
            ("augmented_lagrangian", {"dual_lr": 0.2 * strong, "penalty": strong}),
            ("quadratic_penalty", {"coefficient": strong}),
        ]
        if sense is None:
            methods += [("penalized", {"coefficient": bowl.price * share}) for share in (0.0, 0.3, 1.3)]
        yield Specimen(
            "settled", frozenset({SETTLED}), bowl.arguments(), {"g": (bowl.level, sense or bowl.sense)}, methods,
            bowl.lr, dtype=dtype, seeds=d.seeds(),
        )  # fmt: skip
    for optimizer in ("Adam", "SGD"):
        bowl = _Bowl(d, inside=True)
        lr = 0.01 if optimizer == "Adam" else bowl.lr
        yield Specimen(
            "settled inside", frozenset({SETTLED}), bowl.arguments(bowl.level), {"g": (bowl.level, bowl.sense)},
            [("lagrangian", {"dual_lr": 0.01 / bowl.gain}), ("penalized", {"coefficient": 0.0})],
            lr, steps=3000, optimizer=optimizer, seeds=d.seeds(),
        )  # fmt: skip


def settled_vectors(d: _Draw) -> Iterator[Specimen]:
    """Several dimensions, each with a bowl and a level of its own, some met from the start."""
    for k in (3, 20):
        bowl = _Bowl(d, rho=0.1)
        centres = [bowl.level + d.between(-1.0, 1.0) for _ in range(k)]
        rows = [[float(i == j) for j in range(k)] for i in range(k)]
        arguments = bowl.arguments(start=0.0) | {
            "start": centres, "centre": centres, "curvature": [1.0] * k, "rows": {"each": rows},
        }  # fmt: skip
        yield Specimen(
            "settled vector", frozenset({SETTLED}), arguments, {"each": (bowl.level, bowl.sense)},
            [("lagrangian", {"dual_lr": bowl.dual_lr(r)}) for r in (0.4, 1.0)],
            bowl.lr, dtype=d.one(["float32", "float64"]), seeds=d.seeds(),
        )  # fmt: skip


def redundant(d: _Draw) -> Iterator[Specimen]:
    """The same half-space three times, and a larger one: multipliers are not unique, the solution is."""
    for dtype in ("float32", "float64"):
        bowl = _Bowl(d, rho=0.1)
        rows = {"a": [[1.0]], "b": [[1.0]], "twice": [[2.0]], "wide": [[1.0]]}
        levels = {"a": bowl.level, "b": bowl.level, "twice": 2 * bowl.level, "wide": bowl.level + bowl.side * 0.3}
        strong = 0.01 / (bowl.lr * bowl.gain**2)
        yield Specimen(
            "redundant", frozenset({SETTLED}), bowl.arguments(rows=rows),
            {n: (level, bowl.sense) for n, level in levels.items()},
            [
                ("lagrangian", {"dual_lr": bowl.dual_lr(0.17)}),
                ("nupi", {"dual_lr": bowl.dual_lr(0.15), "kp": 1.0}),
                ("augmented_lagrangian", {"dual_lr": 0.2 * strong, "penalty": strong}),
                ("penalized", {"coefficient": 0.1 * bowl.price}),
            ],
            bowl.lr, dtype=dtype, seeds=d.seeds(), steps=3000,
        )  # fmt: skip


def oscillating(d: _Draw) -> Iterator[Specimen]:
    """Bilinear: f = -s x, so x and its multiplier circle the solution for ever, omega a step (alternating updates).

    An inequality that is met from within circles at the amplitude ``s sqrt(lr / dual_lr) / gain``, an equality at least
    at its first distance.
    """
    for dtype, sense, noise in (
        ("float32", "<=", 0.0), ("float64", ">=", 0.0), ("float64", "==", 0.0), ("float32", "==", 0.0),
        ("float32", "<=", 0.2), ("float64", ">=", 0.4), ("float32", "==", 0.2),
    ):  # fmt: skip
        size, gain, level = d.power(-2, 2), d.power(-1, 1), d.between(-1.0, 1.0)
        lr = 0.01 / size
        periods = [d.between(20, 60), d.between(60, 140)]
        steps = 3000
        methods = [("lagrangian", {"dual_lr": (2 * math.pi / p / gain) ** 2 / lr}) for p in periods]
        methods += [("nupi", {"dual_lr": methods[0][1]["dual_lr"], "kp": 0.0})]
        side = -1.0 if sense == ">=" else 1.0
        arguments = {
            "start": [level - side * 0.5], "curvature": [0.0], "centre": [0.0], "slope": [-side * 20.0],
            "size": size, "gain": gain, "offset": d.offset(size),
        }  # fmt: skip
        if noise:
            arguments |= {"examples": 128, "noise": [0.0, noise]}
        yield Specimen(
            "oscillating" + (" by minibatches" if noise else ""), frozenset({"oscillating"}), arguments,
            {"g": (level, sense)}, methods, lr, steps=steps, dtype=dtype, seeds=d.seeds(),
            batch_size=16 if noise else None, tolerance=0.01,
        )  # fmt: skip


def too_few_steps(d: _Draw) -> Iterator[Specimen]:
    """The multiplier comes to at most so large a share of its price, and all that time the level is violated."""
    for dtype, noise in (("float32", 0.0), ("float64", 0.0), ("float64", 0.0), ("float32", 0.1)):
        bowl = _Bowl(d, rho=0.05)
        steps = 2000
        rate = bowl.price / (steps * bowl.gain * bowl.far)
        shares = [0.1, 0.3, d.between(0.4, 0.6)]
        arguments = bowl.arguments()
        arguments |= {"examples": 128, "noise": [0.0, noise]} if noise else {}
        strong = 0.001 / (bowl.lr * bowl.gain**2)
        methods: list[tuple[str, dict[str, Any]]] = [("lagrangian", {"dual_lr": s * rate}) for s in shares]
        methods += [("nupi", {"dual_lr": 0.2 * rate, "kp": 1.0})]
        methods += [("augmented_lagrangian", {"dual_lr": 0.2 * rate, "penalty": strong})]
        yield Specimen(
            "too few steps" + (" by minibatches" if noise else ""), frozenset({"budget_exhausted"}), arguments,
            {"g": (bowl.level, bowl.sense)}, methods, bowl.lr, steps=steps, dtype=dtype, seeds=d.seeds(),
            batch_size=16 if noise else None, tolerance=0.01,
        )  # fmt: skip


def too_small_a_step(d: _Draw) -> Iterator[Specimen]:
    """Descent has done a third of its way: the violation still drifts, or, where none is left, the objective falls."""
    bowl = _Bowl(d, rho=1.0)
    lr, steps = bowl.lr * 4e-4, 1000
    start = bowl.centre + bowl.side * 3.0
    yield Specimen(
        "primal too slow", frozenset({"budget_exhausted", "objective_moving"}), bowl.arguments(start),
        {"g": (bowl.level, bowl.sense)}, [("penalized", {"coefficient": 0.0}), ("penalized", {"coefficient": 1e-3})],
        lr, steps=steps, seeds=d.seeds(),
    )  # fmt: skip


def out_of_reach(d: _Draw) -> Iterator[Specimen]:
    """A box ends before the level; or the value is 1 + x^2 and the level below 1: it ends where its gradient is 0."""
    for dtype, noise in (("float32", 0.0), ("float64", 0.0), ("float32", 0.2)):
        bowl = _Bowl(d, rho=0.05)
        wall = bowl.level + bowl.side * d.between(0.1, 0.4)
        box = [wall, wall + 5.0] if bowl.side > 0 else [wall - 5.0, wall]
        dual_lr = 20 * bowl.price / (2000 * bowl.gain * 0.1)
        strong = 0.02 / (bowl.lr * bowl.gain**2)
        more: dict[str, Any] = {"examples": 128, "noise": [0.0, noise]} if noise else {}
        yield Specimen(
            "level out of reach, box", frozenset({"multiplier_diverging"}), bowl.arguments(box=box, **more),
            {"g": (bowl.level, bowl.sense)},
            [
                ("lagrangian", {"dual_lr": dual_lr}),
                ("nupi", {"dual_lr": dual_lr, "kp": 1.0}),
                ("augmented_lagrangian", {"dual_lr": dual_lr, "penalty": strong}),
            ],
            bowl.lr, dtype=dtype, seeds=d.seeds(), batch_size=16 if noise else None, tolerance=0.01,
        )  # fmt: skip
        yield Specimen(
            "level out of reach, fixed penalty", frozenset({SETTLED}), bowl.arguments(box=box),
            {"g": (bowl.level, bowl.sense)}, [("penalized", {"coefficient": 3 * bowl.price})],
            bowl.lr, dtype=dtype, seeds=d.seeds(),
        )  # fmt: skip
    for dtype, noise in (("float32", 0.0), ("float64", 0.0), ("float64", 0.1)):
        size, gain = d.power(-2, 2), d.power(-1, 1)
        level, steps, lr = d.between(0.1, 0.7), 3000, 0.004 / size
        dual_lr = d.between(60, 100) * size / (gain * gain * (1 - level) * steps)
        centre = d.between(0.5, 2.0)
        arguments = {
            "start": [d.between(0.1, 2.0)], "curvature": [1.0], "centre": [centre], "size": size, "gain": gain,
            "shape": "square", "offset": d.offset(size),
        }  # fmt: skip
        arguments |= {"examples": 128, "noise": [0.0, noise]} if noise else {}
        yield Specimen(
            "level out of reach, gradient 0 there", frozenset({"multiplier_diverging"}), arguments,
            {"g": (level, "<=")},
            [("lagrangian", {"dual_lr": dual_lr}), ("nupi", {"dual_lr": dual_lr, "kp": 0.5})],
            lr, steps=steps, dtype=dtype, seeds=d.seeds(), batch_size=16 if noise else None, tolerance=0.01,
        )  # fmt: skip


def out_of_reach_vectors(d: _Draw) -> Iterator[Specimen]:
    """Two components whose gradients cancel in the sum, and are met, beside two that a box keeps from their level."""
    for dtype in ("float32", "float64"):
        arguments = {
            "start": [0.1, 1.5], "curvature": [1.0, 1.0], "centre": [0.1, 1.5], "box": [0.0, 2.0],
            "rows": {"near": [[1.0, 0.0], [-1.0, 0.0]], "far": [[0.0, 1.0], [0.0, 2.0]]}, "offset": d.offset(1.0),
        }  # fmt: skip
        yield Specimen(
            "vector out of reach", frozenset({"multiplier_diverging"}), arguments,
            {"near": (d.between(0.3, 0.7), "<="), "far": (-d.between(0.3, 0.7), "<=")},
            [("lagrangian", {"dual_lr": d.between(0.1, 0.3)}), ("nupi", {"dual_lr": 0.1, "kp": 1.0})],
            0.02, seeds=d.seeds(), dtype=dtype,
        )  # fmt: skip


def vanishing(d: _Draw) -> Iterator[Specimen]:
    """A sigmoid far in its plateau, from the start or where the objective pulled it: ``lambda h'`` stays below 1e-2.

    Nothing moves it back: the level is met on the other side of 0.
    """
    for dtype, pulled, k, noise in (
        ("float32", False, 1, 0.0), ("float64", True, 1, 0.0), ("float32", True, 3, 0.0), ("float64", False, 3, 0.0),
        ("float64", False, 1, 0.1),
    ):  # fmt: skip
        gain, level = d.power(-1, 1), d.between(0.2, 0.6)
        far, size = d.between(13, 17), d.power(-1, 1)
        lr, steps = 0.05 / size, 2000
        dual_lr = 10 * size / (gain * gain * steps)
        signs = [1.0, -1.0, 1.0][:k]
        rows = [[s * float(i == j) for j in range(k)] for i, s in enumerate(signs)]
        arguments = {
            "start": [0.0 if pulled else s * far for s in signs], "curvature": [1.0] * k,
            "centre": [s * far for s in signs], "size": size, "gain": gain, "rows": {"g": rows}, "shape": "sigmoid",
            "offset": d.offset(size),
        }  # fmt: skip
        arguments |= {"examples": 128, "noise": [0.0, noise]} if noise else {}
        yield Specimen(
            "gradient vanishes, " + ("pulled there" if pulled else "from the start"),
            frozenset({"vanishing_constraint_gradient"}), arguments, {"g": (level, "<=")},
            [
                ("lagrangian", {"dual_lr": dual_lr}),
                ("nupi", {"dual_lr": dual_lr, "kp": 2.0}),
                ("augmented_lagrangian", {"dual_lr": dual_lr, "penalty": dual_lr}),
            ],
            lr, steps=steps, dtype=dtype, seeds=d.seeds(), batch_size=16 if noise else None, tolerance=0.01,
        )  # fmt: skip


def contradictory(d: _Draw) -> Iterator[Specimen]:
    """No point meets them: x at most l and at least more; x equal to two numbers; a triangle without an inside."""
    for dtype, noise in (("float32", 0.0), ("float64", 0.0), ("float32", 0.1)):
        bowl = _Bowl(d, rho=0.05)
        strong = 0.02 / (bowl.lr * bowl.gain**2)
        methods: list[tuple[str, dict[str, Any]]] = [
            ("lagrangian", {"dual_lr": bowl.dual_lr(0.5)}),
            ("nupi", {"dual_lr": bowl.dual_lr(0.5), "kp": 1.0}),
            ("augmented_lagrangian", {"dual_lr": 0.2 * strong, "penalty": strong}),
            ("penalized", {"coefficient": 0.3 * bowl.price}),
            ("quadratic_penalty", {"coefficient": strong}),
        ]
        gap, level = d.between(0.3, 1.0), bowl.level
        more: dict[str, Any] = {"examples": 128, "noise": [0.0, noise]} if noise else {}
        common: dict[str, Any] = {
            "lr": bowl.lr, "dtype": dtype, "seeds": d.seeds(), "tolerance": 0.01, "steps": 3000,
            "batch_size": 16 if noise else None,
        }  # fmt: skip
        named = frozenset({"contradictory_constraints"})
        rows = {"low": [[1.0]], "high": [[1.0]], "other": [[0.5]]}
        yield Specimen(
            "contradictory bounds", named, bowl.arguments(rows=rows, **more),
            {"low": (level, "<="), "high": (level + gap, ">="), "other": (level / 2 + 3, "<=")}, methods,
            fights=frozenset({"low", "high"}), **common,
        )  # fmt: skip
        yield Specimen(
            "contradictory equalities", named, bowl.arguments(rows={"a": [[1.0]], "b": [[1.0]]}, **more),
            {"a": (level, "=="), "b": (level + gap, "==")}, methods[:3], fights=frozenset({"a", "b"}), **common,
        )  # fmt: skip
        yield Specimen(
            "contradictory vector", named, bowl.arguments(rows={"v": [[1.0], [-1.0]]}, **more), {"v": (-gap, "<=")},
            methods, fights=frozenset({"v[0]", "v[1]"}), **common,
        )  # fmt: skip
        flat = bowl.arguments(**more) | {
            "start": [0.3, 0.2, 0.1], "centre": [0.3, 0.2, 0.1], "curvature": [1.0] * 3,
            "rows": {"sum": [[1.0, 1.0, 0.0]], "each": [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]]},
        }  # fmt: skip
        yield Specimen(
            "contradictory triangle", named, flat, {"sum": (gap, "<="), "each": (-gap, "<=")},
            methods[:3], fights=frozenset({"sum", "each[0]", "each[1]"}), **common,
        )  # fmt: skip


def blown_up(d: _Draw) -> Iterator[Specimen]:
    """rho = 2 + e: the distance grows by 1 + e a step, to 1e8 .. 1e30 times the first (an objective of its square)."""
    for dtype, shape in (("float32", "tanh"), ("float64", "tanh"), ("float64", "linear"), ("float64", "sigmoid")):
        bowl = _Bowl(d, rho=0.05, inside=True)
        steps = d.one([500, 1500])
        decades = d.between(8, 14) if dtype == "float32" else d.between(8, 30)
        lr = (2 + 10 ** (decades / steps) - 1) / (2 * bowl.size)
        arguments = bowl.arguments(bowl.centre + 0.5, shape=shape)
        level = {"tanh": 1.5, "sigmoid": 1.5}.get(shape, bowl.level)
        methods: list[tuple[str, dict[str, Any]]] = [("penalized", {"coefficient": 0.0})]
        methods += [("lagrangian", {"dual_lr": 1e-6})] if shape != "linear" else []
        yield Specimen(
            "blown up", frozenset({"blown_up"}), arguments, {"g": (level, "<=")}, methods, lr, steps=steps,
            dtype=dtype, seeds=d.seeds(),
        )  # fmt: skip
    bowl = _Bowl(d, inside=True)
    yield Specimen(
        "too large a step, no longer finite", frozenset({DIVERGED}), bowl.arguments(bowl.centre + 0.5),
        {"g": (bowl.level, bowl.sense)}, [("penalized", {"coefficient": 0.0}), ("lagrangian", {"dual_lr": 0.01})],
        d.between(2.5, 3.5) / (2 * bowl.size), steps=1500, seeds=d.seeds(),
    )  # fmt: skip


def too_large_a_dual_step(d: _Draw) -> Iterator[Specimen]:
    """Simultaneous updates on a bilinear game spiral outwards by sqrt(1 + omega^2) a step, for hundreds of turns."""
    size, gain, omega = d.power(-1, 1), d.power(-1, 1), d.between(0.05, 0.1)
    lr = 0.01 / size
    arguments = {"start": [0.5], "curvature": [0.0], "centre": [0.0], "size": size, "gain": gain}
    yield Specimen(
        "too large a dual step", frozenset({"oscillating", "blown_up"}), arguments, {"g": (0.0, "==")},
        [("lagrangian", {"dual_lr": (omega / gain) ** 2 / lr, "update": "simultaneous"})], lr, steps=3000,
        dtype="float64", seeds=d.seeds(),
    )  # fmt: skip


def unbounded(d: _Draw) -> Iterator[Specimen]:
    """A second dimension, in no constraint, along which f = -s y or -a y^2 falls for ever; the first one settles."""
    for dtype, square, noise in (
        ("float32", False, 0.0), ("float64", False, 0.0), ("float32", True, 0.0), ("float64", True, 0.0),
        ("float64", False, 0.2),
    ):  # fmt: skip
        bowl = _Bowl(d, rho=0.1)
        decades = d.between(3, 12) if dtype == "float32" else d.between(3, 60)
        steps = 2000
        curvature = -(10 ** (decades / steps) - 1) / (2 * bowl.lr * bowl.size) if square else 0.0
        arguments = bowl.arguments() | {
            "start": [bowl.centre, 0.3], "centre": [bowl.centre, 0.0], "curvature": [1.0, curvature],
            "slope": [0.0, 0.0 if square else -d.power(-1, 1)], "rows": {"g": [[1.0, 0.0]]},
        }  # fmt: skip
        arguments |= {"examples": 128, "noise": [0.0, noise]} if noise else {}
        yield Specimen(
            "unbounded objective", frozenset({"unbounded"}), arguments, {"g": (bowl.level, bowl.sense)},
            [("lagrangian", {"dual_lr": bowl.dual_lr(0.4)}), ("penalized", {"coefficient": 1.5 * bowl.price})],
            bowl.lr, dtype=dtype, seeds=d.seeds(), steps=steps, batch_size=16 if noise else None,
            tolerance=0.1 if noise else 1e-3,
        )  # fmt: skip
    decades, steps = d.between(20, 90), 1500
    arguments = {"start": [0.3], "curvature": [-1.0], "centre": [0.0], "shape": "square"}
    yield Specimen(
        "unbounded past its constraint", frozenset({"unbounded"}), arguments, {"g": (2.0, "<=")},
        [("penalized", {"coefficient": 0.0}), ("penalized", {"coefficient": 0.2})],
        (10 ** (decades / steps) - 1) / 1.6, dtype="float64", steps=steps, seeds=d.seeds(),
    )  # fmt: skip


def objective_moving(d: _Draw) -> Iterator[Specimen]:
    """A second dimension descends slowly: ``e^-t`` of its way is left, t between 0.3 and 2.5; the first one settles.

    The same with t at 14 and more is settled.
    """
    for dtype, left, noise in (
        ("float32", (0.3, 1.0), 0.0), ("float64", (1.0, 2.5), 0.0), ("float64", (0.3, 2.5), 0.0),
        ("float32", (0.5, 2.0), 0.2), ("float32", (14.0, 20.0), 0.0), ("float64", (14.0, 20.0), 0.0),
    ):  # fmt: skip
        bowl = _Bowl(d, rho=0.1)
        steps = 2000
        curvature = d.between(*left) / (steps * 2 * bowl.lr * bowl.size)
        arguments = bowl.arguments() | {
            "start": [bowl.centre, 0.0], "centre": [bowl.centre, d.between(3.0, 10.0) / math.sqrt(curvature)],
            "curvature": [1.0, curvature], "rows": {"g": [[1.0, 0.0]]},
        }  # fmt: skip
        arguments |= {"examples": 128, "noise": [0.0, noise]} if noise else {}
        truth = "objective_moving" if left[1] < 10 else SETTLED
        yield Specimen(
            "objective still moving" if left[1] < 10 else "objective at rest", frozenset({truth}), arguments,
            {"g": (bowl.level, bowl.sense)},
            [("lagrangian", {"dual_lr": bowl.dual_lr(0.4)}), ("penalized", {"coefficient": 1.5 * bowl.price})],
            bowl.lr, dtype=dtype, seeds=d.seeds(), steps=steps, batch_size=16 if noise else None,
            tolerance=0.1 if noise else 1e-3,
        )  # fmt: skip


def noisy(d: _Draw) -> Iterator[Specimen]:
    """Minibatches at a solution: x strays by ``noise sqrt(rho / 2 B)``, a tenth of the tolerance; values by more."""
    for dtype, sense in (("float32", None), ("float64", None), ("float32", "==")):
        bowl = _Bowl(d, rho=0.02)
        arguments = bowl.arguments(bowl.level) | {"examples": d.one([128, 200]), "noise": [0.3, d.between(0.3, 0.8)]}
        strong = 0.02 / (bowl.lr * bowl.gain**2)
        price = bowl.price * (1.0 if sense is None else bowl.side)
        methods: list[tuple[str, dict[str, Any]]] = [
            ("lagrangian", {"dual_lr": bowl.dual_lr(0.2), "multiplier_init": price}),
            ("augmented_lagrangian", {"dual_lr": 0.05 * strong, "penalty": strong}),
            ("lagrangian", {"dual_lr": bowl.dual_lr(0.4)}),
        ]  # fmt: skip
        yield Specimen(
            "noisy minibatches at a solution", frozenset({SETTLED}), arguments,
            {"g": (bowl.level, sense or bowl.sense)}, methods, bowl.lr, steps=6000, dtype=dtype,
            seeds=(*d.seeds(), *d.seeds()), batch_size=16, tolerance=0.1, held=0.8,
        )  # fmt: skip


def hidden_swings(d: _Draw) -> Iterator[Specimen]:
    """As ``oscillating``, a minibatch's noise twice as wide as the swings: the multiplier adds up, and shows them."""
    for dtype, sense in (("float32", "<="), ("float64", "==")):
        size, gain, level = d.power(-1, 1), d.power(-1, 1), d.between(-1.0, 1.0)
        lr, period = 0.01 / size, d.between(150, 250)
        dual_lr = (2 * math.pi / period / gain) ** 2 / lr
        width = 0.5  # an inequality circles at slope size sqrt(lr / dual_lr) / gain, an equality from where it starts
        slope = width * gain / size / math.sqrt(lr / dual_lr)
        arguments = {
            "start": [level - width], "curvature": [0.0], "centre": [0.0], "slope": [-slope if sense == "<=" else 0.0],
            "size": size, "gain": gain, "examples": 128, "noise": [0.0, 8 * width],
        }  # fmt: skip
        yield Specimen(
            "oscillating behind noise", frozenset({"oscillating"}), arguments, {"g": (level, sense)},
            [("lagrangian", {"dual_lr": dual_lr})], lr, steps=4000, dtype=dtype, seeds=(*d.seeds(), *d.seeds()),
            batch_size=16, tolerance=0.02,
        )  # fmt: skip


def contradictory_and_swinging(d: _Draw) -> Iterator[Specimen]:
    """Two bounds that exclude each other, and multipliers too fast for the bowl: x swings, for a long time yet."""
    bowl = _Bowl(d, rho=0.001)
    gap = d.between(0.3, 1.0)
    arguments = bowl.arguments(rows={"low": [[1.0]], "high": [[1.0]]})
    yield Specimen(
        "contradictory and swinging", frozenset({"contradictory_constraints"}), arguments,
        {"low": (bowl.level, "<="), "high": (bowl.level + gap, ">=")},
        [("lagrangian", {"dual_lr": bowl.dual_lr(d.between(30.0, 60.0))})], bowl.lr, seeds=d.seeds(),
        dtype="float64", fights=frozenset({"low", "high"}),
    )  # fmt: skip


def no_objective(d: _Draw) -> Iterator[Specimen]:
    """Nothing but constraints: x is pushed inside, its multipliers fall to 0 there, and it stays."""
    gain = d.power(-1, 1)
    lr, omega = 0.01, d.between(0.01, 0.03)
    yield Specimen(
        "no objective", frozenset({SETTLED}),
        {"start": [1.0, -0.5, 0.3], "curvature": [0.0] * 3, "centre": [0.0] * 3, "gain": gain,
         "rows": {"each": [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]]}},
        {"each": (d.between(-0.5, 0.2), "<=")}, [("lagrangian", {"dual_lr": (omega / gain) ** 2 / lr})], lr,
        steps=2000, seeds=d.seeds(),
    )  # fmt: skip


def by_adam(d: _Draw) -> Iterator[Specimen]:
    """Steps of one length: a third of the way, for ever, or against a wall."""
    lr, steps = 0.01, 1500
    way = lr * steps
    common: dict[str, Any] = {"lr": lr, "steps": steps, "optimizer": "Adam", "seeds": d.seeds()}
    penalty = ("penalized", {"coefficient": 0.0})
    yield Specimen(
        "objective still moving, Adam", frozenset({"objective_moving"}),
        {"start": [0.0], "curvature": [1.0], "centre": [3 * way], "size": d.power(-2, 2)},
        {"g": (-way, ">=")}, [penalty, ("lagrangian", {"dual_lr": 0.01})], **common,
    )  # fmt: skip
    yield Specimen(
        "unbounded objective, Adam", frozenset({"unbounded"}),
        {"start": [0.5], "curvature": [d.one([0.0, -1e-3])], "centre": [0.0], "slope": [-1.0], "size": d.power(-2, 2)},
        {"g": (d.between(0.1, 0.4), ">=")}, [penalty, ("lagrangian", {"dual_lr": 0.01})], **common,
    )  # fmt: skip
    wall = d.between(0.2, 0.6)
    yield Specimen(
        "level out of reach, Adam", frozenset({"multiplier_diverging"}),
        {"start": [1.0], "curvature": [1.0], "centre": [1.0], "box": [wall, 5.0]}, {"g": (0.0, "<=")},
        [("lagrangian", {"dual_lr": 0.05})], **common,
    )  # fmt: skip


def out_of_reach_among_many(d: _Draw) -> Iterator[Specimen]:
    """Fifty components, all kept from their level by a wall, some of which start near it."""
    k = 50
    centres = [1.0 if i % 3 == 0 else d.between(-1.0, -0.2) for i in range(k)]
    rows = [[float(i == j) for j in range(k)] for i in range(k)]
    yield Specimen(
        "many out of reach", frozenset({"multiplier_diverging"}),
        {"start": centres, "curvature": [1.0] * k, "centre": centres, "rows": {"each": rows}, "box": [-2.0, 2.0]},
        {"each": (-2.2, "<=")},
        [("lagrangian", {"dual_lr": 0.05})], 0.02, steps=3000, seeds=d.seeds(),
    )  # fmt: skip


KINDS: Sequence[Callable[[_Draw], Iterator[Specimen]]] = (
    settled, settled_vectors, redundant, oscillating, too_few_steps, too_small_a_step, out_of_reach,
    out_of_reach_vectors, vanishing, contradictory, blown_up, too_large_a_dual_step, unbounded, objective_moving, noisy,
    hidden_swings, contradictory_and_swinging, no_objective, by_adam, out_of_reach_among_many,
)  # fmt: skip
