"""Features of constraints, from which a method may calculate their multipliers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from cpd.engine.generators import DATA_SEED, seed_all
from cpd.engine.loading import ProblemRaised
from cpd.errors import CpdError
from cpd.methods.registry import REGISTRY
from cpd.outcome import RunKey
from cpd.problem import Problem


class Features:
    """Features of the constraints of a problem: what it gives, or the place of each in its vector.

    Args:
        given: ``[k, d]`` by constraint, of those that the problem gives.
        place: Of the method that gives them, for errors.
    """

    def __init__(self, given: Mapping[str, Tensor], place: str) -> None:
        self.given = given
        self.place = place
        self._known: dict[tuple[int, torch.dtype, torch.device], Tensor] = {}

    def of(self, number: int, sizes: Mapping[str, int], like: Tensor) -> Tensor:
        r"""Phi, ``[K, C]``: rows of each constraint name, 0 elsewhere, orthonormal.

        Args:
            number: Cosines for each name that has no features of its own; no more than it has components.
            sizes: Components by name, in order; they sum to C.
            like: Gives dtype and device.

        Raises:
            CpdError: What the problem gives does not fit its constraints.
        """
        key = (number, like.dtype, like.device)
        if key not in self._known:
            self._refuse(sizes)
            blocks = [self._spanned(name) if name in self.given else cosines(number, k) for name, k in sizes.items()]
            self._known[key] = torch.block_diag(*blocks).to(like)
        return self._known[key]

    def _refuse(self, sizes: Mapping[str, int]) -> None:
        for name, given in self.given.items():
            if name not in sizes:
                hint = f"it has {', '.join(sizes)}"
                raise CpdError(f"there is no constraint '{name}'", place=self.place, hint=hint)
            if len(given) != sizes[name]:
                message = f"{name} has {sizes[name]:,} components, and features of {len(given):,}"
                raise CpdError(message, place=self.place, hint="give a row for each component")

    def _spanned(self, name: str) -> Tensor:
        """An orthonormal basis of what a name's features and a constant span, ``[K, k]``."""
        given = self.given[name].double().cpu()
        columns = torch.cat([torch.ones(len(given), 1, dtype=given.dtype), given], 1)
        columns = columns / columns.norm(dim=0).clamp_min(torch.finfo(given.dtype).tiny)
        basis, scales, _ = torch.linalg.svd(columns, full_matrices=False)
        spanned: Tensor = basis[:, scales > scales[0] * max(columns.shape) * torch.finfo(given.dtype).eps].T
        return spanned


def cosines(number: int, k: int) -> Tensor:
    r"""The first functions of the discrete cosine transform over k places, orthonormal: ``[min(number, k), k]``.

    .. math:: \sqrt{2/k} \cos(\pi m (j + 1/2) / k), \qquad \sqrt{1/k} \text{ for } m = 0

    Source: Ahmed, Natarajan and Rao, "Discrete Cosine Transform" (1974).
    """
    order = torch.arange(min(number, k), dtype=torch.float64).unsqueeze(1)
    place = torch.arange(k, dtype=torch.float64) + 0.5
    rows = (math.pi / k * order * place).cos() * math.sqrt(2 / k)
    rows[0] = math.sqrt(1 / k)
    return rows


def features_of(problem: Problem, keys: Sequence[RunKey], target: str) -> Features:
    """Those that a problem gives, where the method of some run asks for them; its code is not called otherwise.

    Raises:
        CpdError: It gives something else than numbers by constraint.
    """
    place = f"{target}.constraint_features()"
    if type(problem).constraint_features is Problem.constraint_features or not any(map(_asks, keys)):
        return Features({}, place)
    seed_all(DATA_SEED)
    try:
        given = problem.constraint_features()
    except Exception as error:
        raise ProblemRaised(f"{type(problem).__name__}.constraint_features()", error, place=target) from error
    if not isinstance(given, Mapping):
        raise CpdError(f"returned {type(given).__name__}", place=place, hint="return {constraint: numbers [k, d]}")
    return Features({str(name): _read(value, str(name), place) for name, value in given.items()}, place)


def _asks(key: RunKey) -> bool:
    return any(one.of_constraints for one in REGISTRY[key.method].hyperparameters.values())


def _read(value: object, name: str, place: str) -> Tensor:
    hint = "give a tensor [k, d]: d numbers for each component"
    try:
        numbers = torch.as_tensor(value).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise CpdError(f"{name} has {type(value).__name__}", place=place, hint=hint) from error
    if numbers.dim() not in (1, 2) or numbers.is_complex():
        raise CpdError(f"{name} has shape {list(numbers.shape)}, {numbers.dtype}", place=place, hint=hint)
    if not numbers.isfinite().all():
        raise CpdError(f"{name} has a number that is not finite", place=place, hint="give finite numbers")
    return numbers.reshape(len(numbers), -1)
