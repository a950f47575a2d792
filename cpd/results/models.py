"""Kept models taken out of a sweep: as the problem's own module, or as a file for those who have no cpd."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cpd.errors import CpdError, options_as_arguments
from cpd.outcome import Run, Status
from cpd.results import history
from cpd.results.choosing import Wanted, Words, chosen
from cpd.results.model_words import numbers_words, run_words
from cpd.results.result import Result
from cpd.spec.recipes import problem_of, train_of
from cpd.store.model_content import check_run, content_of
from cpd.store.models import Models
from cpd.store.store import default_path, open_store
from cpd.views.output import check_output, write_output
from cpd.views.tables.names import readable

if TYPE_CHECKING:
    import torch

    from cpd.spec.models import ProblemSource

SUFFIXES = (".safetensors", ".pt")
MOST_NAMED = 5
"""Kept runs that an error names."""


@dataclass(frozen=True)
class Model:
    """A run whose weights are meant.

    Attributes:
        result: Of its sweep.
        place: Of the run there.
    """

    result: Result
    place: int

    @property
    def run(self) -> Run:
        """The run."""
        return self.result.finished[self.place]

    @property
    def file(self) -> Path:
        """The file of its weights, as the store was named where the process still works in the same folder."""
        named, store = Path(str(self.run.model)), self.result.store
        kept = named if store is None else Models(store, store).file(str(self.run.key.id))
        return named if named.absolute() == kept else kept

    @property
    def words(self) -> str:
        """``lagrangian, dual_lr 0.01, seed 1: cross_entropy 0.3511, class0_rate 70.00 %; feasible, judged on ...``."""
        return numbers_words(self.result.document, self.place)


def load_model(
    sweep: str | Path | Result = "last",
    *,
    method: str | None = None,
    setting: Words | None = None,
    levels: Words | None = None,
    seed: int | None = None,
    store: str | Path | None = None,
    problem: Any = None,
) -> torch.nn.Module:
    """The module of a run whose weights were kept, with these weights, on the CPU and in ``eval()`` mode.

    By default it is the best run: the first seed of the best setting of all methods. Words narrow the choice, and the
    best of what they leave is taken. The problem is made from its text as it was stored with the sweep.

    Args:
        sweep: A stored sweep (an id, the start of one, a task's name for its newest, or ``last``), a result, or a
            ``.safetensors`` file.
        method: Its name.
        setting: Of the run, as far as it is named: ``{"dual_lr": 0.01}`` or ``"dual_lr=0.01"``.
        levels: Of constraints, likewise.
        seed: Of the run.
        store: The store; default: ``CPD_STORE``, else ``.cpd/runs.sqlite`` under the current folder.
        problem: The problem, where it is another object than the stored text gives: a class, an object, or
            ``file.py:Class``.

    Raises:
        CpdError: No such sweep or run, none that was kept, or the weights are of another problem.
        StoreError: The store or the file cannot be read, or the file was damaged.

    Example:
        >>> result = cpd.sweep(**line)
        >>> model = cpd.load_model("last", method="lagrangian")
        >>> round(model(torch.ones(2)).item(), 2)  # at most 1, as was required
        1.0
    """
    with options_as_arguments("cpd.load_model()"):
        wanted = Wanted.of(method, setting, levels, seed)
        if _is_file(sweep):
            return _from_file(Path(str(sweep)), wanted, store, problem)
        result = sweep if isinstance(sweep, Result) else loaded(str(sweep), store)
        return module_of(choose(result, wanted), problem)


def choose(result: Result, wanted: Wanted) -> Model:
    """The run that is meant, whose weights are kept.

    Raises:
        CpdError: None is; the message names those that are kept.
    """
    places = chosen(result, wanted)
    found = _first_kept(result, places)
    if found is None:
        raise _not_kept(result, places[0])
    return found


class Offered(NamedTuple):
    """What would be taken: the place of the run, None where there is none, and a line of it."""

    place: int | None
    said: str


def offered(result: Result, wanted: Wanted) -> Offered:
    """What would be taken.

    Raises:
        CpdError: Words name what no run has.
    """
    try:
        places = chosen(result, wanted)
    except CpdError as error:
        if not wanted.anything:
            raise
        return Offered(None, str(error))
    found = _first_kept(result, places)
    if found is None:
        return Offered(places[0], str(_not_kept(result, places[0])))
    return Offered(found.place, f"{found.words}; --to FILE.pt or FILE.safetensors takes it out")


def _first_kept(result: Result, places: Sequence[int]) -> Model | None:
    return next((Model(result, place) for place in places if result.finished[place].model is not None), None)


def _not_kept(result: Result, place: int) -> CpdError:
    """That a run has no weights, with those that have."""
    document = readable(result.document)
    kept = [run_words(document, k) for k, run in enumerate(result.finished) if run.model is not None]
    message = f"the weights of {run_words(document, place)} are not kept{_why(result.finished[place])}"
    more = f" and {len(kept) - MOST_NAMED} more" if len(kept) > MOST_NAMED else ""
    named = f"kept: {' | '.join(kept[:MOST_NAMED])}{more}" if kept else "none of the sweep's are"
    fix = "train again with --keep-models all"
    if result.task.program is not None and not kept:
        fix = 'a program names its model in its result: "model": "best.ckpt"'
    hint = f"{named}; {fix}"
    return CpdError(message, place=result.id or result.task.name, hint=hint)


def module_of(model: Model, problem: Any = None) -> torch.nn.Module:
    """The module of a run.

    Raises:
        CpdError: The weights are of another problem.
        StoreError: The file cannot be read, was damaged, or is another run's.
    """
    from cpd.engine import model_file, shipped

    run, task = model.run, model.result.task
    path = model.file
    if task.program is not None:
        raise CpdError("is a program's own model", place=str(path), hint="load it with what that program uses")
    tensors, about = model_file.read(path)
    check_run(about.run, str(run.key.id), path)
    source, train = problem_of(task.problem, run.key.setting), train_of(task.train, run.key.setting)
    source = source if problem is None else source_of(problem, source.arguments)
    return shipped.module_of(source, train, run.key.seed, tensors, held_out=task.held_out, place=str(path))


def save(model: Model, to: str) -> None:
    """Write the weights of a run into a file, whole or not at all: a copy, or what ``torch.load`` reads.

    Raises:
        CpdError: Another suffix, or it cannot be written.
        StoreError: The kept file cannot be read, was damaged, or is another run's.
    """
    path, run = model.file, str(model.run.key.id)
    if model.result.task.program is not None:
        copy_own(path, to)
        return
    suffix = check_target(to)
    content = content_of(path, run)
    if suffix == ".pt":
        from cpd.engine import model_file, shipped

        content = shipped.state_dict_bytes(model_file.read(path)[0])
    write_output(Path(to), content)


def copy_own(path: Path, to: str) -> None:
    """Copy what a program has written as its model: a file, or a folder.

    Raises:
        CpdError: Another suffix, it is there already as something else, or it cannot be written.
    """
    target = Path(to)
    if to == "-" or target.suffix.lower() != path.suffix.lower():
        what = f"a program's own '{path.name}'"
        raise CpdError(f"the model is {what}", place=f"--to {to}", hint=f"write --to NAME{path.suffix}: it is copied")
    if not path.is_dir():
        write_output(target, path.read_bytes())
        return
    if target.exists():
        raise CpdError("there is such a file or folder already", place=f"--to {to}", hint="give another name")
    try:
        shutil.copytree(path, target)
    except (OSError, shutil.Error) as error:
        raise CpdError(f"cannot be written: {error}", place=f"--to {to}") from None


def check_target(to: str) -> str:
    """See whether a file can be written; its suffix in small letters.

    Raises:
        CpdError: Another suffix, or no such folder.
    """
    if to == "-":
        raise CpdError("a model is written into a file, not to stdout", place="--to -", hint="write --to best.pt")
    return check_output(Path(to), SUFFIXES)


def loaded(sweep: str, store: str | Path | None = None) -> Result:
    """A stored sweep; its runs name the files of their weights, where these are kept."""
    return history.load(sweep, store)[1]


def _why(run: Run) -> str:
    """Why a run has no weights to keep, where that is so."""
    if run.mixture:
        return f": it is a mixture of {len(run.mixture)} iterates, which is no single model"
    return "" if run.status is Status.COMPLETED else f": it {run.status.value}"


def _is_file(sweep: str | Path | Result) -> bool:
    """Whether a file is meant, not the name of a sweep."""
    return isinstance(sweep, Path) or (isinstance(sweep, str) and sweep.endswith(SUFFIXES))


def _from_file(path: Path, wanted: Wanted, store: str | Path | None, problem: Any) -> torch.nn.Module:
    """The module of a file that was taken out."""
    from cpd.engine import model_file, shipped
    from cpd.spec.models import Train

    if not wanted.anything:
        raise CpdError("has the weights of one run", place=str(path), hint="leave out method, setting, levels and seed")
    if path.suffix != SUFFIXES[0]:
        hint = "torch.load(FILE, weights_only=True) reads it, or give the .safetensors file"
        raise CpdError("does not say which run it has", place=str(path), hint=hint)
    tensors, about = model_file.read(path)
    if (found := _stored(about.run, store)) is not None:
        run = replace(found.run, model=str(path))
        finished = [run if k == found.place else other for k, other in enumerate(found.result.finished)]
        return module_of(Model(replace(found.result, finished=finished, store=None), found.place), problem)
    if problem is None:
        hint = f"give it: problem={about.problem!r}, or store= for a store that has the run"
        raise CpdError(f"is of run {about.run}, which the store has not", place=str(path), hint=hint)
    train = Train.model_validate({"steps": 1, "dtype": about.dtype})
    return shipped.module_of(source_of(problem), train, 0, tensors, place=str(path))


def _stored(run: str, store: str | Path | None) -> Model | None:
    """A run that some sweep of the store shows; None where there is none, or no store."""
    path = default_path() if store is None else Path(store).expanduser()
    if not path.is_file():
        return None
    with open_store(path, "read") as opened:
        sweep = opened.sweep_of(run)
    if sweep is None:
        return None
    result = loaded(sweep, path)
    return next(Model(result, k) for k, own in enumerate(result.finished) if own.key.id == run)


def source_of(problem: Any, arguments: dict[str, Any] | None = None) -> ProblemSource:
    """Where a problem that is given comes from; a class is made with the run's arguments, an object has its own."""
    from cpd.spec.source import find_source

    if isinstance(problem, str):
        return find_source(problem, arguments or {}, Path.cwd(), "problem")
    from cpd.engine.live import problem_source

    found = problem_source(problem)
    return found.model_copy(update={"arguments": arguments or {}}) if isinstance(problem, type) else found
