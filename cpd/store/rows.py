"""A run as a row of the store, and back: the one place where numbers are coerced."""

from __future__ import annotations

import hashlib
import json
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from cpd.outcome import (
    ConstraintOutcome,
    Curves,
    Ending,
    HeldOut,
    Kkt,
    MeasuredCurves,
    Number,
    Run,
    RunKey,
    Status,
    finite_or_none,
)
from cpd.store.certainty import evidence_counts, resamples, with_counts, with_resamples
from cpd.store.packing import DamagedError, pack, unpack

COLUMNS = ("id", "method", "setting", "levels", "seed", "status", "numbers", "steps", "seconds", "error", "digest")
"""The columns of ``runs`` that make up a run."""

Row = tuple[Any, ...]


def to_row(run: Run) -> Row:
    """The values of :data:`COLUMNS`.

    Raises:
        ValueError: The run's key has no id.
    """
    if run.key.id is None:
        raise ValueError("a run is stored under its id, and this one has none")
    row = (
        run.key.id,
        text(run.key.method),
        to_json(run.key.setting),
        to_json(_numbers(run.key.levels)),
        str(int(run.key.seed)),
        Status(run.status).value,
        to_json(_outcome(run)),
        int(run.steps),
        finite_or_none(run.seconds) or 0.0,
        None if run.error is None else text(run.error),
    )
    return (*row, _digest(row))


def from_row(row: Row) -> Run:
    """The run of a row, without its tails and curves.

    Raises:
        DamagedError: The row is not as it was written.
    """
    *content, digest = row
    if _digest(tuple(content)) != digest:
        raise DamagedError(f"run {row[0]}")
    identity, method, setting, levels, seed, status, outcome, steps, seconds, error = content
    found = json.loads(outcome)
    run = Run(
        key=RunKey(method, json.loads(setting), json.loads(levels), int(seed), identity),
        status=Status(status),
        objective=found["objective"],
        constraints={name: ConstraintOutcome(**values) for name, values in found["constraints"].items()},
        metrics=found["metrics"],
        steps=steps,
        seconds=seconds,
        error=error,
        selected_step=found.get("selected_step"),
        ended_early=found.get("ended_early", False),
        mixture=tuple((int(step), share) for step, share in found.get("mixture", ())),
        averaged=found.get("averaged"),
        held_out=_held_out(found.get("held_out")),
        examples=found.get("examples"),
        ending=_ending(found.get("ending")),
        kkt=Kkt(**found["kkt"]) if found.get("kkt") else None,
    )
    return with_counts(run, found.get("evidence", {}))


def pack_tails(run: Run) -> bytes:
    """The tails of all constraints, their values on judged data, and how often each held, with its tolerance."""
    tails: dict[str, Sequence[Any]] = {name: outcome.tail for name, outcome in run.constraints.items()}
    tails |= {_checked(run, n): outcome.checked for n, outcome in run.constraints.items() if len(outcome.checked)}
    if any(outcome.held is not None for outcome in run.constraints.values()):
        tails[_counted(run)] = [[outcome.held, outcome.tolerance] for outcome in run.constraints.values()]
    return pack({**tails, **resamples(run)}, _owner(run, "tails"))


def with_tails(run: Run, blob: bytes) -> Run:
    """The run with what :func:`pack_tails` stored; earlier versions stored the tails alone."""
    tails = unpack(blob, _owner(run, "tails"))
    counted = tails.get(_counted(run), [[None, None]] * len(run.constraints))
    constraints = {
        name: replace(
            outcome,
            tail=tails.get(name, []),
            held=held,
            tolerance=tolerance,
            checked=tails.get(_checked(run, name), []),
        )
        for (name, outcome), (held, tolerance) in zip(run.constraints.items(), counted, strict=True)
    }
    return with_resamples(replace(run, constraints=constraints), tails)


def pack_curves(run: Run) -> bytes | None:
    """The recorded curves, None where there are none."""
    if run.curves is None:
        return None
    named = {f"constraints:{name}": points for name, points in run.curves.constraints.items()}
    named |= {f"multipliers:{name}": points for name, points in run.curves.multipliers.items()}
    named |= _measured_series(run.curves.measured)
    return pack({"steps": run.curves.steps, "objective": run.curves.objective, **named}, _owner(run, "curves"))


def with_curves(run: Run, blob: bytes | None = None) -> Run:
    """The run with the curves that :func:`pack_curves` stored."""
    if blob is None:
        return run
    series = unpack(blob, _owner(run, "curves"))
    curves = Curves(
        steps=[int(step) for step in series["steps"]],
        objective=series["objective"],
        constraints=_named(series, "constraints:"),
        multipliers=_named(series, "multipliers:"),
        measured=_measured(series),
    )
    return replace(run, curves=curves)


def _measured_series(measured: MeasuredCurves | None) -> dict[str, Sequence[Any]]:
    """What was measured along the way, under names that earlier versions look past."""
    if measured is None:
        return {}
    groups = {"constraints": measured.constraints, "surrogates": measured.surrogates, "metrics": measured.metrics}
    found: dict[str, Sequence[Any]] = {"measured:steps": measured.steps, "measured:objective": measured.objective}
    for group, named in groups.items():
        found |= {f"measured:{group}:{name}": points for name, points in named.items()}
    held_out = _measured_series(measured.held_out)
    return found | {f"{HELD_OUT}{name}": points for name, points in held_out.items()}


HELD_OUT = "held_out:"
"""What the names of what was measured on held-out examples begin with."""


def _measured(series: Mapping[str, Sequence[Any]]) -> MeasuredCurves | None:
    own = _named(series, "measured:")
    if not own:
        return None
    return MeasuredCurves(
        steps=[int(step) for step in own["steps"]],
        objective=own["objective"],
        constraints=_named(own, "constraints:"),
        surrogates=_named(own, "surrogates:"),
        metrics=_named(own, "metrics:"),
        held_out=_measured(_named(series, HELD_OUT)),
    )


def text(value: str) -> str:
    """Text that SQLite takes: lone surrogates, as in names of undecodable files, are written out."""
    return str(value).encode("utf-8", "backslashreplace").decode()


def to_json(value: Any) -> str:
    """Tight JSON in the given order, of plain numbers: whatever numpy or torch gave has become Python's."""
    return json.dumps(_plain(value), allow_nan=False, separators=(",", ":"))


def _outcome(run: Run) -> dict[str, Any]:
    return {
        "objective": finite_or_none(run.objective),
        "constraints": {
            name: {
                "value": _vector(outcome.value),
                "surrogate": _vector(outcome.surrogate),
                "multiplier": _vector(outcome.multiplier),
                "gradient_norm": finite_or_none(outcome.gradient_norm),
            }
            for name, outcome in run.constraints.items()
        },
        "metrics": _numbers(run.metrics),
        **({} if run.selected_step is None else {"selected_step": int(run.selected_step)}),
        **({"ended_early": True} if run.ended_early else {}),
        **({"mixture": [[int(step), float(share)] for step, share in run.mixture]} if run.mixture else {}),
        **({} if run.averaged is None else {"averaged": float(run.averaged)}),
        **({} if run.held_out is None else {"held_out": _held_out_numbers(run.held_out)}),
        **({} if run.examples is None else {"examples": int(run.examples)}),
        **({} if run.ending is None else {"ending": asdict(run.ending)}),
        **evidence_counts(run),
        **({} if run.kkt is None else {"kkt": asdict(run.kkt)}),
    }


def _held_out_numbers(found: HeldOut) -> dict[str, Any]:
    return {
        "examples": None if found.examples is None else int(found.examples),
        "objective": finite_or_none(found.objective),
        "constraints": {
            name: {"value": _vector(outcome.value), "surrogate": _vector(outcome.surrogate)}
            for name, outcome in found.constraints.items()
        },
        "metrics": _numbers(found.metrics),
        **({} if found.error is None else {"error": text(found.error)}),
    }


def _held_out(found: Mapping[str, Any] | None) -> HeldOut | None:
    if found is None:
        return None
    constraints = {name: ConstraintOutcome(**values) for name, values in found["constraints"].items()}
    return HeldOut(**{**found, "constraints": constraints})


def _ending(found: Mapping[str, Any] | None) -> Ending | None:
    if found is None:
        return None
    return Ending(**{**found, "components": [(name, k) for name, k in found["components"]]})


def _numbers(named: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: finite_or_none(value) for name, value in named.items()}


def _vector(value: Any) -> Number:
    return [finite_or_none(x) for x in value] if isinstance(value, Sequence) else finite_or_none(value)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return finite_or_none(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy's arrays and truth values, torch's tensors
        return _plain(value.tolist())
    raise TypeError(f"cannot be stored: {value!r} of type {type(value).__name__}")


def _named(series: Mapping[str, Sequence[Any]], prefix: str) -> dict[str, Sequence[Any]]:
    return {name.removeprefix(prefix): points for name, points in series.items() if name.startswith(prefix)}


def _digest(row: Row) -> bytes:
    return hashlib.sha256(json.dumps(row).encode()).digest()


def _counted(run: Run) -> str:
    """The name of what was counted, beside the tails: none of a constraint's, so that earlier versions look past it."""
    return "\0" * next(k for k in range(len(run.constraints) + 1) if "\0" * k not in run.constraints)


def _checked(run: Run, name: str) -> str:
    """The name of a constraint's values on the judged data, beside the tails; likewise."""
    return "\0" * (1 + len(run.constraints) + max(map(len, run.constraints))) + name


def _owner(run: Run, part: str) -> str:
    return f"run {run.key.id}: {part}"
