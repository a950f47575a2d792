"""Which pictures the matrix has: every kind at every size."""

from dataclasses import dataclass
from functools import lru_cache

from made_results import Size, curves_of, made, made_search

from cpd.verdict.document import Document, Recordings
from cpd.views.plots.draw import Wishes

KINDS = ("tuning", "heatmap", "parallel", "front", "dynamics", "levels", "bisection")

CONSTRAINTS = (1, 4, 12, 50)
HYPERPARAMETERS = (1, 2, 3)

SEEDS_AND_SETTINGS = ((1, 30), (20, 12), (3, 120), (1, 1))
"""In turn over the sizes; with 1,000 settings once a kind and number of hyperparameters."""

LEAST = {"heatmap": 2, "parallel": 2}
"""Hyperparameters that a kind wants."""


@dataclass(frozen=True)
class Case:
    """One picture."""

    kind: str
    size: Size
    style: str = "paper"
    every: bool = False

    def __str__(self) -> str:
        return f"{self.kind}-{self.size}-{self.style}{'-all' if self.every else ''}"

    @property
    def wishes(self) -> Wishes:
        """What is asked of the picture."""
        return Wishes(style=self.style, constraints=["all"] if self.every else ())

    def made(self) -> tuple[Document, Recordings]:
        """The results that are drawn."""
        document = made_search(self.size) if self.kind == "bisection" else kept(self.size)
        empty: Recordings = [None] * len(document["runs"])
        return document, curves_of(document) if self.kind == "dynamics" else empty


@lru_cache(maxsize=4)
def kept(size: Size) -> Document:
    """Large results take their time to judge: cases of one size follow each other."""
    return made(size)


def matrix() -> list[Case]:
    """Every kind at every size, the two styles in turn, and all of 50 constraints once a kind."""
    found = [Case("bisection", Size(1, 1, 1, settings)) for settings in (1, 8, 40)]
    turn = 0
    for constraints in CONSTRAINTS:
        for hyperparameters in HYPERPARAMETERS:
            many = [(1, 1000)] if constraints == (4, 12, 1)[hyperparameters - 1] else []
            for seeds, settings in (*SEEDS_AND_SETTINGS, *many):
                found += _of_size(Size(constraints, hyperparameters, seeds, settings), turn)
                turn += 1
    found += [Case(kind, Size(50, 2, 1, 30), every=True) for kind in KINDS[:5]]
    return sorted(found, key=lambda case: str(case.size))


def _of_size(size: Size, turn: int) -> list[Case]:
    """Half of the kinds at each size, the other half at the next."""
    kinds = [kind for kind in KINDS[:-1] if size.hyperparameters >= LEAST.get(kind, 1)]
    kinds = [kind for k, kind in enumerate(kinds) if (k + turn) % 2 == 0 or size.settings == 1000]
    if size.settings == 1:
        kinds = [kind for kind in kinds if kind in ("front", "dynamics")]
    found = []
    for k, kind in enumerate(kinds):
        own = Size(size.constraints, size.hyperparameters, size.seeds, size.settings, 4) if kind == "levels" else size
        if kind != "levels" or size.settings < 100:
            found.append(Case(kind, own, ("paper", "talk")[(turn // 2 + k) % 2]))
    return found
