"""The judged weights of finished runs, each as its module's ``state_dict``: written as a batch ends, or sent home."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor, nn

from cpd import files
from cpd.engine import model_file
from cpd.engine.batch import Batch
from cpd.engine.bound import named_tensors
from cpd.engine.cohort import Cohort
from cpd.engine.counting import out_of_memory
from cpd.engine.loading import inputs_of
from cpd.engine.measuring import judged_parts
from cpd.engine.prepared import Prepared
from cpd.engine.stacked import Models, Stack
from cpd.engine.training import Training
from cpd.errors import CpdError
from cpd.outcome import Run, Status
from cpd.spec.inputs import id_with
from cpd.spec.recipes import train_of
from cpd.verdict.feasibility import dtype_of
from cpd.verdict.judged import decided_by, is_held

CHANGED = "changes model."
"""What the words for attributes of the model that an evaluation changes begin with."""


def state_dicts(
    training: Training, cohort: Cohort, rows: Sequence[int] | None = None
) -> Iterator[dict[str, Tensor] | None]:
    """The ``state_dict`` of each judged model, one at a time: its tensors change when the next one is asked for.

    What is no tensor in it is left out, and a run that is judged by a mixture of several iterates has none.

    Args:
        training: A finished one.
        cohort: Of its runs.
        rows: Which of them; default: all.
    """
    prepared = training.prepared
    python = training.python if cohort is training.going else None
    parts = judged_parts(cohort.step, cohort.tree.state, cohort.tree.along)
    with prepared.untouched() as before:
        for r in range(len(cohort.keys)) if rows is None else rows:
            models = next((models for share, models in parts if float(share[r]) == 1), None)
            ((python and python[r]) or before.python).restore()
            yield None if models is None else _state_dict(prepared.stack, models, r)


def _state_dict(stack: Stack, models: Models, row: int) -> dict[str, Tensor]:
    """What the one model says of itself with the tensors of this run."""
    stack.put_back()
    own = named_tensors(stack.model)
    with torch.no_grad():
        for name, tensor in [*models.parameters.items(), *models.buffers.items(), *models.fixed.items()]:
            own[name].copy_(tensor[row])
    return {name: value for name, value in stack.model.state_dict().items() if isinstance(value, Tensor)}


class Weights:
    """Keeps the weights of a batch's runs as they end; what keeps it from that loses no run.

    Args:
        batch: Says where, and whose.
        notes: Told what the user should know.

    Attributes:
        written: The ids under which files were written, by those under which the runs were planned.
        contents: What is brought home instead, by the same: the id of the file, and what is in it.
    """

    def __init__(self, batch: Batch, notes: list[str]) -> None:
        self.batch = batch
        self.notes = notes
        self.written: dict[str, str] = {}
        self.contents: dict[str, tuple[str, bytes]] = {}
        self._failed = False
        self._new: list[str] = []

    def keep(self, training: Training, runs: Sequence[Run]) -> None:
        """Keep those of a finished training that may be wanted, in the order of its cohorts, one in memory at a time.

        Nothing of a batch is tried again after a first failure: a disk that is full is so for the next file too.
        """
        if self.batch.models is None or self._failed:
            return
        try:
            self._keep(training, list(runs))
        except CpdError as error:
            self._fail(str(error))
        except OSError as error:
            self._make_room()
            self._fail(f"{_near(Path(self.batch.models))} cannot be written ({error.strerror or error})")
        except Exception as error:  # the user's own state_dict() may raise anything, and so may what packs its tensors
            if out_of_memory(error):
                self._fail("there is not enough memory to write them")
            else:
                self._fail(f"{training.prepared.stack.target}.model().state_dict(): {type(error).__name__}: {error}")

    def _make_room(self) -> None:
        """Remove what was not there before: on a disk that is full the runs themselves come first."""
        for planned in self._new:
            with suppress(OSError):  # the error under way is the one to tell
                self._file(self.written.pop(planned)).unlink()
        self._new.clear()

    def _file(self, name: str) -> Path:
        return Path(self.batch.models or "") / f"{name}.safetensors"

    def _fail(self, why: str) -> None:
        self._failed = True
        self.notes.append(f"weights are not kept, the runs are: {' '.join(why.split())}")

    def _keep(self, training: Training, runs: list[Run]) -> None:
        inputs = inputs_of(self.batch.problem)
        for cohort in training.cohorts:
            count = 1 if training.prepared.padded else len(cohort.keys)
            own, runs = runs[:count], runs[count:]
            rows = [r for r, run in enumerate(own) if self._is_wanted(run)]
            for r, tensors in zip(rows, state_dicts(training, cohort, rows), strict=True):
                if tensors is None:
                    self._note("a mixture of several iterates is no single model: its weights are not kept")
                    continue
                if r == rows[0]:
                    self._say_what_is_left_out(training.prepared, tensors)
                self._put(id_with(own[r].key.id or "", inputs), own[r], tensors)

    def _is_wanted(self, run: Run) -> bool:
        """Whether a run has a judged model, and is feasible where only such runs' weights can be kept."""
        if run.status is not Status.COMPLETED or self.batch.models_of == "all":
            return run.status is Status.COMPLETED
        by = decided_by([run], self.batch.judge if run.held_out is not None else None)
        return is_held(run, self.batch.constraints, dtype_of(run.key, self.batch.train.dtype), by)

    def _put(self, name: str, run: Run, tensors: dict[str, Tensor]) -> None:
        """Write a run's weights under the name that it has by what it read."""
        planned, dtype = run.key.id or "", train_of(self.batch.train, run.key.setting).dtype
        content = model_file.packed(tensors, model_file.About.of(name, self.batch.problem, dtype))
        if self.batch.models_home:
            self.contents[planned] = name, content
            return
        path = self._file(name)
        path.parent.mkdir(exist_ok=True)  # not its parents: a store that was removed meanwhile stays so
        self._new += [] if path.exists() else [planned]
        self.written[planned] = name
        files.write(path, content)

    def _say_what_is_left_out(self, prepared: Prepared, tensors: dict[str, Tensor]) -> None:
        """Say what a model that is made of the file would lack."""
        missing = _missing(prepared.stack.model, tensors)
        missing += [change.removeprefix("changes ") for change in prepared.stateful if change.startswith(CHANGED)]
        if missing:
            self._note(f"kept weights are without {', '.join(missing)}: no tensors of the module's state_dict()")

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _near(path: Path) -> Path:
    """A path as one reads it in the current folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _missing(model: nn.Module, tensors: dict[str, Tensor]) -> list[str]:
    """What belongs to a model and is no tensor of its ``state_dict``."""
    return [f"'{name}'" for name in dict.fromkeys([*named_tensors(model), *model.state_dict()]) if name not in tensors]
