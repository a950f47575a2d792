"""A trial: one case by one engine against the plain loop, in a process of its own."""

from __future__ import annotations

import os
import pickle
import random
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from fuzz_agreement import Reference
from fuzz_cases import Case, compose
from fuzz_plain import train_plainly

from cpd.engine.train import Hooks, Interrupted, Trained, train
from cpd.errors import CpdError
from cpd.outcome import Run, RunKey, Status
from cpd.run.commands import sweep
from cpd.run.options import Options
from cpd.spec.identity import canonical_json

ENGINES: dict[str, dict[str, Any]] = {
    "eager": {"stepper": "eager"},
    "eager alone": {"stepper": "eager", "fuse": False},
    "captured": {"stepper": "captured"},
    "captured alone": {"stepper": "captured", "fuse": False},
    "auto": {"stepper": "auto"},
    "compiled": {"stepper": "compiled"},
}
"""By name: how a batch is trained."""

SWEPT: dict[str, Options] = {
    "jobs": Options(jobs=2, keep=False),
    "jobs alone": Options(jobs=2, keep=False, fuse=1, engine="captured"),
}
"""By name: how a task is swept, in workers."""

PATIENCE = 400
"""Seconds after which a trial is ended."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        verdict: ``agrees``; ``vacuous`` (agrees within a bound that says little); ``refused`` (by the plain loop and by
            cpd); ``said`` (other numbers, and a line that says that they may differ); ``SILENT`` (other numbers);
            ``BROKEN`` (an error in one of the two alone).
        what: One line.
        notes: What cpd said.
    """

    number: int
    engine: str
    verdict: str
    what: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def fails(self) -> bool:
        """Whether it is a defect."""
        return self.verdict in ("SILENT", "BROKEN")


def forked(function: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """What a function gives in a child of this process: nothing that it leaves behind is found by the next.

    Raises:
        RuntimeError: It died, or took too long.
    """
    given, taken = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(given)
        _child(function, taken)
    os.close(taken)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, patience)
    with os.fdopen(given, "rb") as pipe:
        sent = pipe.read()
    _, status = os.waitpid(child, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    if not sent:
        raise RuntimeError(f"the process ended with status {status} and told nothing")
    return pickle.loads(sent)


def _child(function: Callable[[], Any], taken: int) -> None:
    try:
        torch.set_num_threads(1)
        warnings.simplefilter("ignore")  # torch's own, on what vmap does slowly
        sent = pickle.dumps(function())
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    with os.fdopen(taken, "wb") as pipe:
        pipe.write(sent)
    sys.stderr.flush()
    os._exit(0)


def warmed() -> None:
    """Load what trainings load, so that no child of this process has to."""
    torch.set_num_threads(1)
    case = replace(compose(4), arguments={"examples": 5})  # no other's: a process keeps its problems
    for key in case.keys:
        train_plainly(case, key)
    for engine in ("eager", "captured"):
        _trained(case, engine)


def compared(case: Case, engines: list[str]) -> list[Outcome]:
    """The outcomes of a case's trials; the plain runs are made once for all engines, and once more for sweeps."""
    outcomes = []
    for group, kind in (([e for e in engines if e in ENGINES], case), ([e for e in engines if e in SWEPT], None)):
        kind = kind or case.gridded()
        references = [Reference(kind, key) for key in kind.keys] if group else []
        outcomes += [_trial(kind, engine, references) for engine in group]
    return outcomes


def _trial(case: Case, engine: str, references: list[Reference]) -> Outcome:
    began = time.monotonic()
    try:
        trained = forked(lambda: _trained(case, engine))
    except RuntimeError as error:
        return Outcome(case.number, engine, "BROKEN", str(error))
    verdict, what = _verdict(trained, references)
    notes = tuple(trained.notes) if isinstance(trained, Trained) else (str(trained),)
    return Outcome(case.number, engine, verdict, what, notes, time.monotonic() - began)


def _trained(case: Case, engine: str) -> Trained | str:
    """The runs, or the line of a refusal."""
    try:
        if engine in SWEPT:
            return _swept(case, SWEPT[engine])
        return train(case.batch(**ENGINES[engine]))
    except CpdError as error:
        return f"{error.place}: {error.message}"


def _swept(case: Case, options: Options) -> Trained:
    """The runs of a sweep of the case's task, in the order of its keys."""
    result = sweep(case.task(), options=options)

    def name(key: RunKey) -> str:
        return canonical_json([key.method, key.setting, key.seed])

    runs = {name(run.key): run for run in result.finished}
    return Trained([runs[name(key)] for key in case.keys], result.notes)


def _verdict(trained: Trained | str, references: list[Reference]) -> tuple[str, str]:
    if isinstance(trained, str):
        right = "changes the data in place" in trained or _as_plainly(trained, references)
        return "refused" if right else "BROKEN", f"refuses: {trained}"
    said = any("differ" in note for note in trained.notes)
    for reference, run in zip(references, trained.runs, strict=True):
        broken = _broken(run, reference)
        if broken:
            return "BROKEN", f"{run.key.method} seed {run.key.seed}: {broken}"
        if run.status is Status.FAILED:
            continue
        different = reference.difference(run)
        if different:
            return "said" if said else "SILENT", f"{run.key.method} seed {run.key.seed}: {different}"
    if all(run.status is Status.FAILED for run in trained.runs):
        return "refused", (trained.runs[0].error or "").strip().splitlines()[-1]
    return "vacuous" if any(r.vacuous for r in references) else "agrees", ""


def _as_plainly(text: str, references: list[Reference]) -> bool:
    """Whether the plain loop fails too; where cpd passes an error of the problem's on, with that error."""
    errors = [str(r.plain.error) for r in references if r.plain.error is not None]
    return bool(errors) and (" raised " not in text or any(error[:40] in text for error in errors))


def _broken(run: Run, reference: Reference) -> str | None:
    """Where one of the two has an error that the other has not."""
    failed = run.status is Status.FAILED
    if failed and reference.plain.error is not None and str(reference.plain.error)[:40] not in (run.error or ""):
        return f"fails: {(run.error or '').strip().splitlines()[-1]}, plainly: {reference.plain.error}"
    if failed and reference.plain.error is None:
        return f"fails: {(run.error or '').strip().splitlines()[-1]}"
    if not failed and reference.plain.error is not None:
        return f"trains, while the plain loop raises {type(reference.plain.error).__name__}: {reference.plain.error}"
    return None


def resumed(case: Case, engine: str, seed: int = 0) -> Outcome:
    """A training that is interrupted at random looks and goes on in other processes, against one that is not."""
    began = time.monotonic()
    rng = random.Random(f"{seed}/{case.number}/{engine}")
    with TemporaryDirectory() as folder:
        try:
            whole = forked(lambda: _trained(case, engine))
            parts = [rng.randint(1, 6), rng.randint(1, 12)]
            for stop in parts:
                again = forked(partial(_interrupted, case, engine, Path(folder), stop))
                if again is not None:
                    break
            else:
                again = forked(lambda: _interrupted(case, engine, Path(folder), None))
        except RuntimeError as error:
            return Outcome(case.number, engine, "BROKEN", str(error))
    what = _unlike(whole, again)
    notes = tuple(again.notes) if isinstance(again, Trained) else (str(again),)
    return Outcome(case.number, engine, "SILENT" if what else "agrees", what, notes, time.monotonic() - began)


def _interrupted(case: Case, engine: str, folder: Path, stop: int | None) -> Trained | str | None:
    """Train until asked to stop for the so-manieth time; None where it was interrupted."""
    asked = 0

    def stopping() -> bool:
        nonlocal asked
        asked += 1
        return asked == stop

    try:
        batch = case.batch(**ENGINES[engine], checkpoint=str(folder / "checkpoint"), checkpoint_every=1e9)
        return train(batch, Hooks(stop=stopping))
    except Interrupted:
        return None
    except CpdError as error:
        return f"{error.place}: {error.message}"


def _unlike(whole: Trained | str, again: Trained | str) -> str:
    """What of a resumed training is not that of the whole one, bit by bit."""
    if isinstance(whole, str) or isinstance(again, str):
        return "" if whole == again else f"whole: {whole}; resumed: {again}"
    for one, other in zip(whole.runs, again.runs, strict=True):
        for name in ("status", "steps", "objective", "constraints", "metrics", "curves"):
            if repr(getattr(one, name)) != repr(getattr(other, name)):
                return f"{one.key.method} seed {one.key.seed}: {name} is another after resuming"
    return ""


def shrunk(case: Case, outcome: Outcome) -> Case:
    """The case with as few blocks and traits as still fail."""
    for name in [*case.arguments["blocks"], *case.arguments["traits"]]:
        smaller = case.without(name)
        if smaller is not None and compared(smaller, [outcome.engine])[0].fails:
            case = smaller
    return case
