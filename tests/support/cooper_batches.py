"""Batches of problems that were written for Cooper."""

from pathlib import Path
from typing import Any

import cooper_problems
from engine_batches import constraint, key

from cpd.engine.batch import Batch
from cpd.spec.models import Optimizer, ProblemSource, Train

STEPS, LR, SEED = 20, 0.05, 3
SIZES = {"Rate": None, "Point": None, "Sampled": 16, "Resting": None, "Apart": 12, "Normed": 16, "Branching": None}
SENSES = {
    "Rate": {"rate": "<="},
    "Point": {"inside": "<=", "line": "=="},
    "Sampled": {"each": "<=", "norm": "<="},
    "Resting": {"sum": "<=", "line": "==", "far": "<="},
    "Apart": {"each": "<="},
    "Normed": {"each": "<=", "norm": "<="},
    "Branching": {"rate": "<="},
}


def batch(name: str, *settings: tuple[str, dict[str, Any]], **options: Any) -> Batch:
    """Runs of a problem, at the levels and senses of Cooper's violations."""
    file = Path(cooper_problems.__file__)
    arguments, dtype = options.pop("arguments", {}), options.pop("dtype", "float64")
    target, source = f"{file.name}:{name}Problem", file.read_text()
    problem = ProblemSource(target=target, path=str(file), source=source, arguments=arguments)
    levels = dict.fromkeys(SENSES[name], 0.0)
    seeds = options.pop("seeds", (SEED,))
    keys = tuple(key(method, levels, seed, **setting) for seed in seeds for method, setting in settings)
    optimizer = Optimizer(name="SGD", options={"lr": LR})
    recipe = Train(steps=STEPS, batch_size=SIZES[name], optimizer=optimizer, dtype=dtype)
    return Batch(problem, {n: constraint(0.0, sense) for n, sense in SENSES[name].items()}, recipe, keys, **options)
