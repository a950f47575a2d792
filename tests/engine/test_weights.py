"""Kept weights: what plain PyTorch loads from their files gives the numbers of the run, whatever trained it."""

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import model_problems
import own_code
import own_weights
import pytest
import state_problems
import torch
from engine_batches import constraint, key, recipe
from engine_batches import source as problem_source
from measured_batches import along
from model_batches import KEYS, batch_of, source
from model_problems import TWELVE
from plain_loop import FEATURES, known
from safetensors.torch import load_file
from state_problems import MODELS

from cpd import files
from cpd.engine import model_file
from cpd.engine.batch import Batch
from cpd.engine.train import Hooks, Interrupted, Trained, train
from cpd.outcome import Run, Status
from cpd.spec.models import Train

RECIPES = [name for name in FEATURES if known(name)]
MINIBATCHES = FEATURES["adam in minibatches"]
ABOVE = {"size": constraint(0.5, "<=")}
LINE = key("penalized", {"size": 0.5}, coefficient=1.0)
LINES = Batch(
    problem_source("Line"),
    ABOVE,
    recipe(200),
    (
        *(key("penalized", {"size": 0.5}, coefficient=c) for c in (0.5, 1.0, 4.0)),
        key("lagrangian", {"size": 0.5}, dual_lr=1e300),
    ),
)
SWINGING = Batch(
    problem_source("Line"),
    ABOVE,
    recipe(60),
    (
        key("penalized", {"size": 0.5}, coefficient=4.0),
        *(key("lagrangian", {"size": 0.5}, dual_lr=e) for e in (0.3, 3.0)),
    ),
)


def kept(batch: Batch, folder: Path, **options: Any) -> tuple[Batch, Trained]:
    """Train a batch whose runs have ids and whose weights are written into a folder."""
    keys = tuple(replace(key, id=f"c1:{k}") for k, key in enumerate(batch.keys))
    batch = replace(batch, keys=keys, models=str(folder), **options)
    return batch, train(batch)


def loaded(batch: Batch, run: Run, folder: Path, module: Any) -> tuple[Any, torch.nn.Module, torch.Tensor]:
    """The problem and its module with the weights of a run, as plain PyTorch loads them."""
    problem = getattr(module, batch.problem.target.partition(":")[2])(**batch.problem.arguments)
    dtype = getattr(torch, batch.train.dtype)
    torch.manual_seed(run.key.seed)
    model = problem.model()
    began = torch.get_rng_state()
    model = model.double() if dtype == torch.float64 else model
    for module_, name, b in [(m, n, b) for m in model.modules() for n, b in m._buffers.items() if b is not None]:
        if b.is_complex():  # double() leaves nothing of it but its real part
            module_._buffers[name] = b.to(dtype.to_complex())
    model.load_state_dict(load_file(folder / f"{run.key.id}.safetensors"), strict=True)
    return problem, model.eval(), began


def numbers(batch: Batch, run: Run, folder: Path, module: Any) -> list[float]:
    """Objective and values of what is loaded, on all data."""
    problem, model, began = loaded(batch, run, folder, module)
    dtype = getattr(torch, batch.train.dtype)
    before = torch.get_default_dtype()
    torch.manual_seed(0)
    data = problem.data()
    torch.set_default_dtype(dtype)
    try:
        data = data and tuple(t.to(dtype) if t.is_floating_point() else t for t in data)
        torch.set_rng_state(began)
        at = problem.measure(model, data)
    finally:
        torch.set_default_dtype(before)
    return [
        float(at.objective.detach()),
        *(float(x) for v in (at.strict or at.constraints).values() for x in v.detach().reshape(-1)),
    ]


def of_run(run: Run) -> list[float]:
    assert run.objective is not None, run.error
    values = [c.value for c in run.constraints.values()]
    return [run.objective, *(x for v in values for x in (v if isinstance(v, list) else [v]) if x is not None)]


def check(batch: Batch, folder: Path, module: Any, rel: float = 1e-9) -> Trained:
    """Train; the files give the runs' numbers."""
    batch, trained = kept(batch, folder)
    ended = [run for run in trained.runs if run.status is Status.COMPLETED]
    assert trained.written == {run.key.id: run.key.id for run in ended} != {}
    assert {path.stem for path in folder.iterdir()} == trained.written.keys()
    for run in ended:
        assert numbers(batch, run, folder, module) == pytest.approx(of_run(run), rel=rel, abs=rel)
    return trained


NOT_KEPT = {"turned": "'table' is complex128, which safetensors does not hold; dtype: float32 makes it smaller"}
LEFT_OUT = {"in place": "kept weights are without '"}
WHOLE = [name for name in MODELS if name not in ("grown", "halved", *NOT_KEPT, *LEFT_OUT)]
SOME = ("BatchNorm2d", "old spectral norm", "weight norm", "by data", "queue", "tied")


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of the old norms
@pytest.mark.parametrize("name", [n if n in SOME else pytest.param(n, marks=pytest.mark.slow) for n in WHOLE])
def test_buffers_of_every_kind_are_kept(name: str, tmp_path: Path) -> None:
    batch = batch_of("Stateful", {"name": name}, MINIBATCHES, 8, "float64", state_problems, keys=KEYS[:2])
    assert not [note for note in check(batch, tmp_path, state_problems).notes if "kept" in note]


@pytest.mark.parametrize("name", [*NOT_KEPT, *LEFT_OUT])
def test_what_a_file_cannot_hold_is_said_once_and_costs_no_run(name: str, tmp_path: Path) -> None:
    batch, trained = kept(batch_of("Stateful", {"name": name}, MINIBATCHES, 8, "float64", state_problems), tmp_path)
    assert [run.status for run in trained.runs] == [Status.COMPLETED] * 3
    (note,) = [note for note in trained.notes if "kept" in note]
    if name in NOT_KEPT:
        assert note == f"weights are not kept, the runs are: state_problems.py:Stateful: {NOT_KEPT[name]}"
        assert (trained.written, list(tmp_path.iterdir())) == ({}, [])
        check(replace(batch, train=replace_dtype(batch.train, "float32")), tmp_path, state_problems, 1e-5)
    else:
        missing = [n for n, _ in state_problems.MODELS[name][1]().named_buffers() if n not in written(tmp_path, "c1:0")]
        assert (
            note == f"kept weights are without {', '.join(map(repr, missing))}: no tensors of the module's state_dict()"
        )


def replace_dtype(train: Train, dtype: str) -> Train:
    return train.model_copy(update={"dtype": dtype})


def written(folder: Path, run: str) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(folder / f"{run}.safetensors")
    return found


@pytest.mark.parametrize(("model", "feature"), [(m, RECIPES[k % len(RECIPES)]) for k, m in enumerate(TWELVE)])
def test_every_model_and_recipe(model: str, feature: str, tmp_path: Path) -> None:
    kind, arguments = TWELVE[model]
    dtype, rel = ("float32", 1e-5) if feature == "autocast" else ("float64", 1e-9)
    check(batch_of(kind, arguments, FEATURES[feature], 8, dtype, keys=KEYS[:2]), tmp_path, model_problems, rel)


@pytest.mark.parametrize("fuse", [True, False])
def test_lazy_layers_a_lone_run_and_runs_one_by_one(fuse: bool, tmp_path: Path) -> None:
    keys = tuple(key("penalized", {"rate": 0.5}, coefficient=c) for c in (0.1, 1.0))
    for count in (1, 2):  # a lone one is padded, and is written once
        batch = Batch(
            source("Lazy", {}, own_code), {"rate": ABOVE["size"]}, recipe(8, 16, dtype="float32"), keys[:count]
        )
        check(replace(batch, fuse=fuse), tmp_path / str(count), own_code, 1e-5)


@pytest.mark.parametrize("select", ["last", "best_feasible", "mixture"])
@pytest.mark.parametrize("stepper", ["eager", pytest.param("captured", marks=pytest.mark.slow)])
def test_the_iterate_that_is_judged_is_kept_also_after_an_interruption(
    select: str, stepper: str, tmp_path: Path
) -> None:
    batch = along(replace(SWINGING, stepper=stepper), select=select, measure_every=7)
    _, trained = kept(batch, tmp_path / "whole")
    assert {run.selected_step != 60 for run in trained.runs} != {False} or select != "best_feasible"
    for run in trained.runs:
        x = written(tmp_path / "whole", run.key.id or "")["weight"].item() if run.key.id in trained.written else None
        mixed = len(run.mixture) > 1
        assert (x is None) == mixed
        assert mixed or x == run.metrics["x"]
    assert select != "mixture" or 0 < len(trained.written) < len(trained.runs)
    said = "a mixture of several iterates is no single model: its weights are not kept"
    assert (said in trained.notes) == (select == "mixture")
    calls = iter(range(1000))
    stopped = replace(batch, checkpoint=str(tmp_path / "checkpoint"))
    keys = tuple(replace(key, id=f"c1:{k}") for k, key in enumerate(batch.keys))
    with pytest.raises(Interrupted):
        train(replace(stopped, keys=keys, models=str(tmp_path / "no")), Hooks(stop=lambda: next(calls) == 3))
    assert not (tmp_path / "no").exists()
    kept(stopped, tmp_path / "resumed")
    names = [path.name for path in sorted((tmp_path / "whole").iterdir())]
    assert [path.name for path in sorted((tmp_path / "resumed").iterdir())] == names
    for name in names:
        (whole, about), (resumed, same) = (model_file.read(tmp_path / folder / name) for folder in ("whole", "resumed"))
        assert (same, resumed.keys()) == (about, whole.keys())
        assert all(torch.equal(resumed[key], tensor) for key, tensor in whole.items())


def test_only_what_may_be_wanted_is_written_or_comes_home(tmp_path: Path) -> None:
    batch, every = kept(LINES, tmp_path / "all")
    statuses = [run.status for run in every.runs]
    assert statuses == [Status.COMPLETED] * 3 + [Status.DIVERGED]
    assert list(every.written) == ["c1:0", "c1:1", "c1:2"]
    _, feasible = kept(LINES, tmp_path / "feasible", models_of="feasible")
    assert feasible.written == {"c1:2": "c1:2"}  # 2 - c/2 <= 0.5 with c = 4 alone
    _, home = kept(LINES, tmp_path / "home", models_home=True)
    assert (home.written, (tmp_path / "home").exists()) == ({}, False)
    for name, content in home.contents.values():
        (tmp_path / "home").write_bytes(content)
        assert model_file.read(tmp_path / "home") == model_file.read(tmp_path / "all" / f"{name}.safetensors")
    tensors, about = model_file.read(tmp_path / "all" / "c1:2.safetensors")
    assert about == model_file.About.of("c1:2", batch.problem, "float64")
    assert tensors["weight"].item() == pytest.approx(0.0, abs=1e-6)


def test_what_python_keeps_is_said_to_be_left_out(tmp_path: Path) -> None:
    _, trained = kept(Batch(source("Aged", {}, own_weights), ABOVE, recipe(12), (LINE,)), tmp_path)
    assert (
        "kept weights are without 'kind._extra_state', model.kind.calls: no tensors of the module's state_dict()"
        in trained.notes
    )
    assert written(tmp_path, "c1:0").keys() == {"weight"}


class Disk:
    """Has room for so many files."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.tries = 0

    def write(self, path: Path, content: bytes) -> None:
        self.tries += 1
        if self.tries > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_bytes(content)


@pytest.mark.parametrize("room", [0, 1])
def test_a_full_disk_costs_no_run_and_is_said_once(room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(room)
    monkeypatch.setattr(files, "write", disk.write)
    _, trained = kept(LINES, tmp_path / "models")
    assert [run.status for run in trained.runs] == [Status.COMPLETED] * 3 + [Status.DIVERGED]
    (said,) = [note for note in trained.notes if "weights" in note]
    assert (
        said == f"weights are not kept, the runs are: {tmp_path / 'models'} cannot be written (No space left on device)"
    )
    assert (trained.written, disk.tries) == ({}, room + 1)
    assert list((tmp_path / "models").iterdir()) == []  # there is room for the runs


@pytest.mark.parametrize("kind", ["a file", "nothing above it"])
def test_a_folder_that_cannot_be_made_is_said_once(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "models" if kind == "a file" else tmp_path / "gone" / "models"
    if kind == "a file":
        folder.write_text("")
    _, trained = kept(LINES, folder)
    assert (len(trained.runs), trained.written) == (4, {})
    assert sum("weights are not kept, the runs are: " in note for note in trained.notes) == 1
    assert not (tmp_path / "gone").exists()


def test_a_state_dict_that_raises_costs_no_run(tmp_path: Path) -> None:
    _, trained = kept(Batch(source("Refusing", {}, own_weights), ABOVE, recipe(12), (LINE,)), tmp_path)
    assert [run.status for run in trained.runs] == [Status.COMPLETED]
    assert any("Refusing.model().state_dict(): RuntimeError: not this one" in note for note in trained.notes)
