"""Judge the kept models of a stored sweep on other examples, and store that beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cpd.errors import CpdError, StoreError
from cpd.outcome import HeldOut, Run, Status
from cpd.results import history
from cpd.results.models import source_of
from cpd.results.result import Result
from cpd.run.programs import Programs
from cpd.spec.definitions import definition, redefined
from cpd.spec.models import ProblemSource
from cpd.spec.recipes import problem_of, train_of
from cpd.spec.source import find_examples, read_again
from cpd.store import judgements
from cpd.store.judgements import Judgement
from cpd.store.model_content import check_run
from cpd.store.models import file_of
from cpd.store.store import Store, open_store
from cpd.verdict.gap import Gap

if TYPE_CHECKING:
    from cpd.engine.anew import Anew, Asked

HELD_OUT = "held_out"
"""What stands for the ``held_out()`` of the problem's file as it is now."""


@dataclass(frozen=True)
class Where:
    """How a judgement is made and kept.

    Attributes:
        store: The store of runs; None for the usual one.
        name: What it is called; None for what the examples are called.
        device: Where models are measured.
        fresh: Whether it takes the place of another one of its name.
        problem: What measures the models, where it is not what they were trained with.
        typed: Whether the words are options of the command line, for errors.
    """

    store: str | Path | None = None
    name: str | None = None
    device: str = "cpu"
    fresh: bool = False
    problem: Any = None
    typed: bool = False


class Shown(NamedTuple):
    """What a verdict is shown by, instead of what the sweep has: see :func:`judge`."""

    tolerance: float | None = None
    gap: Gap | None = None
    confidence: float | None = None


def judge(
    sweep: str | Result = "last",
    data: Any = None,
    *,
    name: str | None = None,
    store: str | Path | None = None,
    device: str = "cpu",
    fresh: bool = False,
    problem: Any = None,
    confidence: float | None = None,
) -> Result:
    """Judge the kept models of a stored sweep on examples that no run of it has seen.

    They are measured as finished models are on held-out examples: with ``measure``, in evaluation mode, with the same
    intervals. What comes of it is stored beside the sweep under a name; the sweep's own verdict stays as it is.

    Args:
        sweep: An id, the start of one, a task's name for its newest, or ``last``; or a result.
        data: Examples shaped like ``data()``'s: tensors, a Dataset, a function of no arguments that returns such, or
            the name of one of these, ``file.py:NAME`` or ``package.module:NAME``. None, or ``held_out``, for what the
            ``held_out()`` of the problem's file gives as it is now.
        name: What the judgement is called; default: what the examples are called.
        store: The store; default: ``CPD_STORE``, else ``.cpd/runs.sqlite`` under the current folder.
        device: Where models are measured.
        fresh: Whether another judgement of this name is replaced.
        problem: The problem that measures the models, where it is not what the stored text gives: a class, an object,
            or ``file.py:Class``; one that a program or a notebook has defined is to be given.
        confidence: How sure a verdict is to be, instead of the sweep's.

    Returns:
        The runs that have kept models, judged on these examples.

    Raises:
        CpdError: No run has a kept model, the examples are not usable, or there is another judgement of this name.
        StoreError: The store cannot be read.

    Example:
        >>> from cpd.problems.rate import Rate
        >>> result = cpd.sweep("rate", train={"steps": 50}, methods={"lagrangian": {"dual_lr": [0.1, 1]}})
        >>> judged = cpd.judge("last", data=Rate(points_per_class=50).data(), name="other points")
        >>> len(judged.runs), judged.document["judge"]
        (1, 'held_out')
    """
    if isinstance(sweep, Result):
        store = sweep.store if store is None else store
        if sweep.id is None:
            raise CpdError("the result is in no store, and has no kept models", place="cpd.judge(): sweep")
        sweep = sweep.id
    return judged(str(sweep), data, Where(store, name, device, fresh, problem), Shown(confidence=confidence))


def judged(sweep: str, data: Any, where: Where, shown: Shown) -> Result:
    """As :func:`judge`; what keeps a judgement from being stored is in the result."""
    history.check_tolerance(shown.tolerance)
    with open_store(where.store, "read") as opened:
        stored = opened.load(opened.resolve(sweep), curves=True)
        found = history.result(stored, shown.tolerance, shown.gap, None, shown.confidence)
        if found.task.program is not None:
            hint = 'let it judge its model itself: "held_out": {...} in its result'
            raise CpdError("a program's model is its own, and cpd cannot measure it", place=str(found.id), hint=hint)
        found = replace(found, store=opened.place)
        work = _Work(opened, found, where, stored.record.command_line)
        found = found.with_models({name: str(file) for name, file in work.files.items() if file.is_file()})
        judgement, is_known = work.judgement(_asked(data, found.task.problem, where), opened)
    error = None if is_known else _stored(where.store, stored.info.id, judgement)
    return replace(history.judged(found, judgement), store_error=error)


def _stored(store: str | Path | None, sweep: str, judgement: Judgement) -> StoreError | None:
    """Store a judgement; why that could not be done."""
    try:
        with open_store(store, "write") as opened:
            judgements.add(opened, sweep, judgement)
    except StoreError as error:
        return error
    return None


def _asked(data: Any, problem: ProblemSource, where: Where) -> Asked:
    """The examples that the user means.

    Raises:
        CpdError: There is no such file, or it has no such name.
    """
    from cpd.engine.anew import Asked

    place = "--data" if where.typed else "data"
    given = None if where.problem is None else source_of(where.problem, problem.arguments)
    is_held_out = data is None or (isinstance(data, str) and data == HELD_OUT)
    if given is None and is_held_out:
        given = read_again(problem, place)
    by = Asked(f"{problem.target}.held_out()", place, problem=given, held_out=is_held_out)
    by = by._replace(redefined=given is not None and bool(redefined(problem, given)))
    if is_held_out:
        return by
    if isinstance(data, str | Path):
        return by._replace(called=str(data), file=find_examples(str(data), place))
    named = getattr(data, "__name__", None)
    called = f"{named}()" if named and named.isidentifier() else type(data).__name__
    return by._replace(called=called, given=data)


class _Work:
    """One judgement of a sweep's kept models."""

    def __init__(self, store: Store, found: Result, where: Where, command_line: str) -> None:
        self.sweep, self.task, self.where = str(found.id), found.task, where
        self.files = {str(run.key.id): file_of(store.path, str(run.key.id)) for run in found.finished}
        self.runs = [run for run in found.finished if self._is_kept(run)]
        self.notes = _left_out(found.finished, self.runs)
        if not self.runs:
            hint = f"train it again and keep them: {command_line or 'cpd sweep TASK'} --keep-models all"
            raise CpdError("no run has a kept model", place=self.sweep, hint=hint)

    def _is_kept(self, run: Run) -> bool:
        return run.status is Status.COMPLETED and self.files[str(run.key.id)].is_file()

    def judgement(self, asked: Asked, store: Store) -> tuple[Judgement, bool]:
        """Measure, unless the same is there already; and whether it was.

        Raises:
            CpdError: Another one of this name is there, or nothing can be judged.
        """
        from cpd.engine.generators import kept_random
        from cpd.engine.importing import in_use_again
        from cpd.engine.preparing import check_device

        device = check_device(self.where.device, "--device" if self.where.typed else "device")
        with in_use_again(), kept_random(device):
            return self._made(asked, store)

    def _made(self, asked: Asked, store: Store) -> tuple[Judgement, bool]:
        parts = self._parts(asked)
        examples = hashlib.sha256("".join(part.digest for part, _ in parts).encode()).hexdigest()
        made_of = {
            "examples": examples,
            "definition": definition(asked.problem or self.task.problem),
            "models": {str(run.key.id): _hash(self.files[str(run.key.id)]) for run in self.runs},
        }
        name, called = self._name(asked, examples)
        known = [one for one in judgements.listed(store, self.sweep) if one.name == name]
        if known and not self.where.fresh:
            self._check_same(known[0], made_of)
            return judgements.load(store, self.sweep, name), True
        found: dict[str, HeldOut | str] = {}
        for part, runs in parts:
            found |= self._measured(part, runs)
        _refuse_nothing(found, asked)
        notes = [*self.notes, *self._redefined(asked), *(note for part, _ in parts for note in part.notes)]
        runs = [_outcome(run, found[str(run.key.id)]) for run in self.runs]
        return Judgement(name, called, made_of, runs, list(dict.fromkeys(notes))), False

    def _parts(self, asked: Asked) -> list[tuple[Anew, list[Run]]]:
        """The runs by their programs, with the examples as each of them reads them."""
        from cpd.engine.anew import Anew
        from cpd.engine.batch import Batch

        by_id = {run.key.id: run for run in self.runs}
        found = []
        for keys in Programs(self.task).by_structure([run.key for run in self.runs]).values():
            setting = keys[0].setting
            batch = Batch(
                problem=problem_of(self.task.problem, setting),
                constraints=self.task.constraints,
                train=train_of(self.task.train, setting),
                keys=tuple(keys),
                device=self.where.device,
                held_out=self.task.held_out,
            )
            edited = None if asked.problem is None else problem_of(asked.problem, setting)
            found.append((Anew(batch, asked._replace(problem=edited)), [by_id[key.id] for key in keys]))
        return found

    def _name(self, asked: Asked, examples: str) -> tuple[str, str]:
        """What the judgement is called, and its examples: those without a name by their hash."""
        if asked.held_out:
            return self.where.name or HELD_OUT, asked.called
        if asked.file is not None or asked.called.endswith("()"):
            return self.where.name or asked.called, asked.called
        return self.where.name or f"{asked.called}-{examples[:8]}", f"{asked.called} {examples[:8]}"

    def _check_same(self, known: Judgement, made_of: Mapping[str, Any]) -> None:
        """Refuse to give another judgement the name of one that is there.

        Raises:
            CpdError: It is another one.
        """
        words = {
            "examples": "on other examples",
            "definition": "by other definitions of evaluate() or measure()",
            "models": "with other kept models",
        }
        other = [said for part, said in words.items() if known.made_of.get(part) != made_of[part]]
        if other:
            message = f"'{known.name}' was judged {' and '.join(other)} ({known.judged[:19].replace('T', ' ')} UTC)"
            hints = ("--fresh", "--name NAME") if self.where.typed else ("fresh=True", "name=...")
            place = "--name" if self.where.typed else "name"
            raise CpdError(message, place=place, hint=f"{hints[0]} replaces it, {hints[1]} keeps both")

    def _measured(self, part: Anew, runs: Sequence[Run]) -> dict[str, HeldOut | str]:
        """The numbers of each run, or why it has none: a damaged file is one run's."""
        from cpd.engine.anew import Kept
        from cpd.engine.model_file import read

        kept, failed = [], {}
        for run in runs:
            name = str(run.key.id)
            try:
                tensors, about = read(self.files[name])
                check_run(about.run, name, self.files[name])
                kept.append(Kept(run, tensors, str(self.files[name])))
            except StoreError as error:
                failed[name] = str(error)
        return {**failed, **part.judge(kept)}

    def _redefined(self, asked: Asked) -> list[str]:
        """Say where an edited file measures something else."""
        if asked.problem is None or not (names := redefined(self.task.problem, asked.problem)):
            return []
        listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        file, _, kind = asked.problem.target.rpartition(":")
        where = kind if asked.problem.is_live else file
        return [f"{listed} of {where} changed since the sweep: these numbers are of another definition than its own"]


def _outcome(run: Run, found: HeldOut | str) -> Run:
    if isinstance(found, str):
        return Run(run.key, Status.FAILED, error=found)
    return Run(run.key, run.status, error=run.error, held_out=found)


def _refuse_nothing(found: Mapping[str, HeldOut | str], asked: Asked) -> None:
    """Refuse a judgement in which there is nothing, and say why.

    Raises:
        CpdError: No model has any numbers.
    """
    from cpd.engine.loading import ProblemRaised

    errors = [one if isinstance(one, str) else one.error for one in found.values()]
    first = next((error for error in errors if error is not None), None)
    if first is None or not all(errors):
        return
    if "\n" in first.strip():
        raise ProblemRaised("measuring every kept model", first, place=asked.place)
    raise CpdError(first, place=None if isinstance(next(iter(found.values())), str) else asked.place)


def _left_out(runs: Sequence[Run], kept: Sequence[Run]) -> list[str]:
    """Say which runs have no kept model, by their places in the sweep."""
    ids = {run.key.id for run in kept}
    rest = [k for k, run in enumerate(runs, start=1) if run.key.id not in ids]
    if not rest:
        return []
    stretches = [[k for _, k in group] for _, group in groupby(enumerate(rest), lambda pair: pair[1] - pair[0])]
    listed = ", ".join(f"{part[0]}" if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in stretches)
    return [f"{len(kept)} of {len(runs)} runs have kept models and are judged; not so number {listed}"]


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
