"""How functions that were written for Cooper are called: by what they declare."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from cpd.errors import CpdError


def positional(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of a function that have a name, by it."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some of those in C have none
        return {}
    return {n: p for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def needs_model(function: Callable[..., Any]) -> bool:
    """Whether a function takes the model."""
    return "model" in positional(function)


def spread(cmp: Any, model: Any, batch: Any, given: bool) -> Any:
    """Return the state of a problem, whose ``compute_cmp_state`` gets the model and the batch as its signature says.

    Args:
        cmp: The problem.
        model: Its model; None where it holds it.
        batch: Of the shape of ``data()``'s.
        given: Whether the model comes from outside alone, so that it must be taken.

    Raises:
        CpdError: The signature does not fit.
    """
    names = list(positional(cmp.compute_cmp_state))
    filled = {}
    if model is not None and names and ("model" in names or given):
        name = "model" if "model" in names else names[0]
        filled[name] = model
        names.remove(name)
    return cmp.compute_cmp_state(**filled, **_batch(cmp, names, batch))


def _batch(cmp: Any, names: list[str], batch: Any) -> dict[str, Any]:
    """What parameters get of a batch."""
    parameters = positional(cmp.compute_cmp_state)
    required = [name for name in names if parameters[name].default is inspect.Parameter.empty]
    named = isinstance(batch, Mapping)
    if named and set(required) <= set(batch):
        return {name: batch[name] for name in names if name in batch}
    parts = () if batch is None else tuple(batch) if isinstance(batch, tuple | list) else (batch,)
    if len(names) == 1 and (named or len(parts) > 1):
        return {names[0]: batch}
    if named or not len(required) <= len(parts) <= len(names):
        place = f"{type(cmp).__name__}.compute_cmp_state()"
        message = f"takes {', '.join(names) or 'nothing'} besides the model, and data gives {_many(batch, len(parts))}"
        hint = "say how it is called: cpd.from_cooper(..., call=lambda cmp, model, batch: ...)"
        raise CpdError(message, place=place, hint=hint)
    return dict(zip(names, parts, strict=False))


def _many(batch: Any, count: int) -> str:
    if isinstance(batch, Mapping):
        return f"a dict with {', '.join(map(str, batch))}"
    return "none" if batch is None else f"{count} tensor" + "s" * (count != 1)
