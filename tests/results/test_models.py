"""Kept models, taken out: plain PyTorch gives what the table says, and a file that is not the run's is told."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import shipped_problems
import torch
from safetensors.torch import load_file, save_file

import cpd
from cpd.engine.model_file import About, packed
from cpd.errors import CpdError, StoreError
from cpd.problems.rate import Rate
from cpd.results.choosing import Wanted
from cpd.results.model_words import kept_rows
from cpd.results.models import choose, loaded, offered, save
from cpd.store.models import file_of

SPEC = """problem: {target}
objective: error
constraints: {{{name}: {{level: {level}, sense: "{sense}", tolerance: 0.01}}}}
train: {train}
seeds: [3, 4]
methods:
  penalized: {{coefficient: {{values: [0.5, 4]}}}}
  lagrangian: {{dual_lr: 0.3}}
"""
ADAM = "optimizer: {name: Adam, lr: 0.05}"
CASES: dict[str, tuple[type[cpd.Problem], str]] = {
    "rate": (Rate, f"{{steps: 60, {ADAM}}}"),
    "norm, minibatches": (shipped_problems.Normed, f"{{steps: 40, batch_size: 7, {ADAM}}}"),
    "norm, float64": (shipped_problems.Normed, f"{{steps: 40, dtype: float64, {ADAM}}}"),
    "tied": (shipped_problems.Tied, f"{{steps: 40, {ADAM}}}"),
    "lazy": (shipped_problems.Lazy, f"{{steps: 40, batch_size: 6, {ADAM}}}"),
    "average": (shipped_problems.Tied, f"{{steps: 40, average: 0.5, {ADAM}}}"),
    "average, norm": (shipped_problems.Normed, f"{{steps: 40, batch_size: 7, average: 0.5, {ADAM}}}"),
    "best feasible": (shipped_problems.Normed, f"{{steps: 40, select: best_feasible, measure_every: 3, {ADAM}}}"),
    "the problem's own": (shipped_problems.Own, f"{{steps: 40, {ADAM}}}"),
}


def swept(kind: type[cpd.Problem], train: str, folder: Path) -> cpd.Result:
    """A sweep that keeps all of its models."""
    own = kind is not Rate
    target = f"{shipped_problems.__file__}:{kind.__name__}" if own else "cpd.problems.rate:Rate"
    name, level, sense = ("g", 0.45, "<=") if own else ("class0_rate", 0.6, ">=")
    spec = SPEC.format(target=target, name=name, level=level, sense=sense, train=train)
    (folder / "task.yaml").write_text(spec)
    options = cpd.Options(engine="eager", store=folder / "runs.sqlite", keep_models="all")
    return cpd.sweep(str(folder / "task.yaml"), options=options)


@pytest.mark.parametrize("case", list(CASES))
def test_plain_torch_gives_what_the_table_says(case: str, tmp_path: Path) -> None:
    """Of every run: its weights in a module that the user builds, on data that the user makes."""
    kind, train = CASES[case]
    result = swept(kind, train, tmp_path)
    dtype = torch.float64 if "float64" in train else torch.float32
    for run in result.finished:
        file = tmp_path / "m.pt"
        save(choose(result, Wanted.of(run.key.method, run.key.setting, seed=run.key.seed)), str(file))
        torch.manual_seed(0)
        problem = kind()
        torch.manual_seed(0)
        batch = tuple(t.to(dtype) if t.is_floating_point() else t for t in problem.data())
        module = problem.model().to(dtype)
        with torch.no_grad():
            problem.evaluate(module, batch)  # which gives lazy layers their shapes
            module.load_state_dict(torch.load(file, weights_only=True))
            found = problem.measure(module.eval(), batch)
        (value,) = (found.strict or found.constraints).values()
        rounding = 1e-12 if dtype is torch.float64 else 1e-6
        (constraint,) = run.constraints.values()
        assert run.objective is not None
        assert float(found.objective) == pytest.approx(run.objective, rel=rounding, abs=rounding)
        strict: Any = getattr(value, "value", value)
        assert float(strict) == pytest.approx(constraint.value, rel=rounding, abs=rounding)


def test_the_same_module_comes_from_a_sweep_a_result_and_a_file(tmp_path: Path) -> None:
    result = swept(shipped_problems.Lazy, CASES["lazy"][1], tmp_path)
    store = tmp_path / "runs.sqlite"
    chosen = choose(result, Wanted.of())
    expected = load_file(str(chosen.run.model))
    save(chosen, str(tmp_path / "best.safetensors"))
    modules = [
        cpd.load_model(store=store),
        cpd.load_model(result),
        cpd.load_model(result.id or "", method=chosen.run.key.method, setting=chosen.run.key.setting, store=store),
        cpd.load_model(tmp_path / "best.safetensors", store=store),
        cpd.load_model(str(tmp_path / "best.safetensors"), problem=f"{shipped_problems.__file__}:Lazy", store="none"),
        cpd.load_model(str(tmp_path / "best.safetensors"), problem=shipped_problems.Lazy(), store="none"),
        cpd.load_model(store=store, problem=shipped_problems.Lazy),
    ]
    for module in modules:
        assert not module.training
        assert module.state_dict().keys() == expected.keys()
        assert all(torch.equal(module.state_dict()[n], t) for n, t in expected.items())
    assert str(chosen.words).endswith("judged on 24 training examples")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept")
    swept(shipped_problems.Tied, CASES["tied"][1], folder)
    return folder


def flipped(content: bytes) -> bytes:
    return content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]


def renamed(content: bytes) -> bytes:
    return content.replace(b"last.bias", b"lost.bias")


CHANGED = "was damaged since it was written|is no model that can be read"
DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a bit": (flipped, "was damaged since it was written"),
    "a name": (renamed, "was damaged since it was written"),
    "cut": (lambda content: content[:-5], CHANGED),
    "cut in the header": (lambda content: content[:40], "is no model that can be read"),
    "longer": (lambda content: content + b"more", CHANGED),
    "empty": (lambda content: b"", "is no model that can be read"),
    "a picture": (lambda content: b"\x89PNG\r\n\x1a\n" + bytes(2000), "is no model that can be read"),
    "text": (lambda content: b"[1, 2]" * 100, "is no model that can be read"),
    "huge header": (lambda content: b"\xff" * 8 + content[8:], "is no model that can be read"),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_a_damaged_file_is_told_in_one_line_by_every_way(damage: str, kept: Path, tmp_path: Path) -> None:
    change, said = DAMAGES[damage]
    model = choose(loaded("last", kept / "runs.sqlite"), Wanted.of())
    path = Path(str(model.run.model))
    content = path.read_bytes()
    path.write_bytes(change(content))
    try:
        for way in (
            lambda: cpd.load_model(store=kept / "runs.sqlite"),
            lambda: cpd.load_model(path, store=kept / "runs.sqlite"),
            lambda: save(model, str(tmp_path / "m.safetensors")),
            lambda: save(model, str(tmp_path / "m.pt")),
        ):
            with pytest.raises(StoreError) as caught:
                way()
            assert str(caught.value).startswith(f"{path}: ")
            assert re.search(said, str(caught.value))
            assert "\n" not in str(caught.value)
            assert re.search('--keep-models all|keep_models="all"', str(caught.value))
    finally:
        path.write_bytes(content)
    assert list(tmp_path.iterdir()) == []
    cpd.load_model(store=kept / "runs.sqlite")


def test_files_of_others(kept: Path, tmp_path: Path) -> None:
    """Swapped with another run's, no file of cpd's, of another problem, gone."""
    store = kept / "runs.sqlite"
    model = choose(loaded("last", store), Wanted.of())
    run, path = str(model.run.key.id), Path(str(model.run.model))
    content = path.read_bytes()
    other = next(one for one in loaded("last", store).finished if one.key.id != run)

    def said(target: type[CpdError], change: bytes | None) -> str:
        path.unlink()
        if change is not None:
            path.write_bytes(change)
        with pytest.raises(target) as caught:
            cpd.load_model(store=store) if change is not None else save(model, str(tmp_path / "m.pt"))
        line = str(caught.value)
        path.write_bytes(content)
        return line

    try:
        swapped = said(StoreError, Path(str(other.model)).read_bytes())
        assert f"has the weights of run {other.key.id}, not of {run}" in swapped
        save_file({"a": torch.zeros(2)}, tmp_path / "foreign")
        assert "is not a model that cpd has kept" in said(StoreError, (tmp_path / "foreign").read_bytes())
        lines = packed({"first.weight": torch.zeros(3, 3)}, About("a\nb\x1b[31m", "x.py:X", "", "float32"))
        assert "is not a model that cpd has kept" in said(StoreError, lines)
        another = packed({"first.weight": torch.zeros(3, 4)}, About(run, "x.py:X", "", "float32"))
        assert "'first.weight' is [3, 4], in the problem's model [3, 3]" in said(CpdError, another)
        assert "is not there; train the run again with --keep-models all" in said(StoreError, None)
    finally:
        path.write_bytes(content)


def test_a_file_that_does_not_say_enough(kept: Path, tmp_path: Path) -> None:
    model = choose(loaded("last", kept / "runs.sqlite"), Wanted.of())
    file = tmp_path / "best.safetensors"
    save(model, str(file))
    save(model, str(tmp_path / "best.pt"))

    def said(*arguments: Any, **options: Any) -> str:
        with pytest.raises(CpdError) as caught:
            cpd.load_model(*arguments, store=tmp_path / "none.sqlite", **options)
        return str(caught.value)

    assert f"is of run {model.run.key.id}, which the store has not; give it: problem='" in said(file)
    assert "torch.load(FILE, weights_only=True) reads it" in said(str(tmp_path / "best.pt"))
    assert "leave out method, setting, levels and seed" in said(file, seed=3)
    assert "is not there" in said(tmp_path / "nothing.safetensors")
    assert "is of another problem than" in said(file, problem=shipped_problems.Lazy)
    assert "no problem" in said(file, problem=3)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everywhere")
def test_a_target_that_cannot_be_written_root_aside(kept: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CpdError, match="cannot be written: Permission denied"):
        save(choose(loaded("last", kept / "runs.sqlite"), Wanted.of()), str(tmp_path / "m.pt"))


def test_a_target_that_cannot_be_written_stays_as_it_was(kept: Path, tmp_path: Path) -> None:
    model = choose(loaded("last", kept / "runs.sqlite"), Wanted.of())
    (tmp_path / "folder.pt").mkdir()
    for to, said in (
        ("folder.pt", "cannot be written: Is a directory"),
        ("nowhere/m.pt", "no folder"),
        ("m.bin", "cannot write '.bin' files"),
        ("m", "cannot write '' files"),
    ):
        with pytest.raises(CpdError, match=said):
            save(model, str(tmp_path / to))
    with pytest.raises(CpdError, match="into a file, not to stdout"):
        save(model, "-")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.pt"]


def test_a_mixture_has_no_model_and_says_so(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    train = f"{{steps: 40, select: mixture, measure_every: 2, {ADAM}}}"
    result = swept(shipped_problems.Normed, train, tmp_path)
    mixed = [run for run in result.finished if len(run.mixture) > 1]
    assert mixed
    for run in mixed:
        assert not file_of(tmp_path / "runs.sqlite", str(run.key.id)).exists()
        with pytest.raises(CpdError) as caught:
            choose(result, Wanted.of(run.key.method, run.key.setting, seed=run.key.seed))
        assert "it is a mixture of 2 iterates, which is no single model" in str(caught.value)


def test_what_is_kept_as_plain_data(kept: Path) -> None:
    result = loaded("last", kept / "runs.sqlite")
    found = offered(result, Wanted.of())
    rows = kept_rows(result, found.place, "json")
    assert len(rows) == 6
    assert [row["taken"] for row in rows].count(True) == 1
    assert all(json.loads(json.dumps(row)) == row for row in rows)
    flat = kept_rows(result, found.place, "csv")
    assert {tuple(row) for row in flat} == {tuple(flat[0])}
    assert "setting.coefficient" in flat[0]
    assert not any(isinstance(value, dict) for row in flat for value in row.values())


def test_columns_of_the_same_name_stand_apart(kept: Path) -> None:
    result = loaded("last", kept / "runs.sqlite")
    constraints = {"file": result.task.constraints["g"], "run": result.task.constraints["g"]}
    task = result.task.model_copy(update={"objective": "run", "constraints": constraints})
    finished = [
        replace(
            run,
            key=replace(run.key, levels={"file": 0.45, "run": 0.45}),
            constraints={"file": run.constraints["g"], "run": run.constraints["g"]},
        )
        for run in result.finished
    ]
    (row, *_) = kept_rows(replace(result, task=task, finished=finished), 0, "table")
    assert list(row) == ["taken", "run", "feasible", "file", "run (value)", "file (value)", "run (value) (value)"]


def test_a_file_that_a_sweep_prunes_meanwhile_is_no_longer_listed_as_kept(kept: Path) -> None:
    result = loaded("last", kept / "runs.sqlite")
    gone = [replace(run, model=str(kept / "pruned.safetensors")) for run in result.finished[:1]]
    rows = kept_rows(replace(result, finished=[*gone, *result.finished[1:]]), 0, "json")
    assert [row["model"] is None for row in rows] == [True, False, False, False, False, False]
    assert kept_rows(replace(result, finished=gone), 0, "table")[0]["file"] == "not kept"
