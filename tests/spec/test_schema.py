"""The JSON Schema says of a file what cpd says: what is accepted here is accepted there, and the other way round."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from commands import ROOT, Command

from cpd.errors import CpdError
from cpd.spec.bundled import bundled
from cpd.spec.reader import load_task
from cpd.spec.schema import TEXTS, file_schema
from cpd.spec.yaml import load_yaml

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed: the extra `test` has it")

COPY = ROOT / "docs" / "task.schema.json"

TASK: dict[str, str | None] = {
    "problem": "mine.py:Mine",
    "constraints": '{g: "<= 1"}',
    "train": "{steps: 5}",
    "methods": "{penalized: {coefficient: 1}}",
}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return file_schema()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("import cpd\n\n\nclass Mine(cpd.Problem):\n    pass\n")
    (tmp_path / "task.yaml").write_text("".join(f"{key}: {value}\n" for key, value in TASK.items()))
    return tmp_path


def accepted(schema: dict[str, Any], path: Path) -> tuple[bool, bool]:
    """Whether the schema accepts a file, and whether cpd does."""
    raw, _ = load_yaml(path, str(path))
    try:
        load_task(str(path))
        loaded = True
    except CpdError:
        loaded = False
    return jsonschema.Draft7Validator(schema).is_valid(raw), loaded


def test_it_is_a_schema(schema: dict[str, Any]) -> None:
    jsonschema.Draft7Validator.check_schema(schema)
    assert set(schema["properties"]) == set(TEXTS)


@pytest.mark.parametrize("one", bundled(), ids=lambda one: f"{one.kind}-{one.name}")
def test_bundled_tasks_and_sweeps_fit(schema: dict[str, Any], one: Any) -> None:
    raw, _ = load_yaml(one.path, one.name)
    assert [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(raw)] == []


VALID = [
    {},
    {"description": "A task", "objective": "loss", "arguments": "{a: 1}", "seeds": "0:5"},
    {"arguments": "", "levels": "", "search": "", "held_out": "", "judge": ""},
    {"held_out": "0.2", "judge": "training"},
    {"held_out": "{share: 1e-1, seed: 3, stratify: 1}", "judge": "held_out"},
    {"held_out": "{share: 0.5, stratify: meta.label}"},
    {"seeds": "[1, 2]"},
    {"seeds": "3"},
    {"seeds": "1,2,7"},
    {"constraints": "{g: {level: 1e-3, sense: '>='}, h: '== 0', k: {level: 1, sense: '<=', tolerance: 0}}"},
    {"train": "{epochs: 1.5, batch_size: 8, optimizer: Adam, dtype: float64}"},
    {"train": "{steps: 5, autocast: bfloat16}"},
    {"train": "{steps: 1e3, batch_size: all, optimizer: {name: SGD, lr: 1e-2, momentum: 0.9}}"},
    {"train": "{steps: 10, optimizer: {lr: 0.1}}"},
    {"train": "{steps: {values: [10, 1e2]}, optimizer: {name: Adam, lr: {min: 1e-3, max: 1, num: 3, scale: log}}}"},
    {"train": "{epochs: {min: 0.5, max: 1, num: 2}, batch_size: {values: [8, all]}, dtype: {values: [float64]}}"},
    {"train": "{steps: 5, optimizer: {values: [Adam, {name: SGD, lr: 0.1}]}}"},
    {"train": "{steps: 5, optimizer: {name: {values: [Adam, SGD]}, weight_decay: {values: [0, 0.1]}}}"},
    {"arguments": "{a: {values: [1, [2], {b: 3}, null]}, b: {min: 1, max: 2, num: 2}, c: {min: 1}, d: [{x: 1}]}"},
    {"train": "{steps: 10, measure_every: 1 epoch, select: best_feasible, stop: {feasible_for: 5}}"},
    {"train": "{steps: 10, measure_every: 2.5 epochs, stop: {feasible_for: 5, gap: 0}}"},
    {"train": "{steps: 10, measure_every: 100}"},
    {"methods": "{penalized: [{coefficient: 0}, {coefficient: {min: 1e-4, max: 100, num: 19, scale: log}}]}"},
    {"methods": "{penalized: {coefficient: {values: [0, 1.0e-4, [1]]}}}"},
    {"methods": "{penalized: {coefficient: [0.5]}}"},
    {"methods": "{lagrangian: {dual_lr: 0.1, update: {values: [alternating, simultaneous]}, restart: true}}"},
    {"methods": "{nupi: {dual_lr: 0.1, nu: -0.5, init: zeros, multiplier_init: -1}}"},
    {"methods": "{augmented_lagrangian: {dual_lr: 0.1, penalty: {min: 0, max: 1, num: 2}, growth: 1.1}}"},
    {"methods": "{lagrangian: {dual_lr: 1, start: 0.1, every: epoch, smooth: 0.99}}"},
    {"methods": "{lagrangian: {dual_lr: 1, multiplier_max: {values: [none, 9]}}}"},
    {"methods": "{nupi: {dual_lr: 1, every: {min: 1, max: 9, num: 3}, multiplier: exp, multiplier_max: [10]}}"},
    {"methods": "{lagrangian: {dual_lr: 1, dual_optimizer: RMSprop}}"},
    {"methods": "{lagrangian: {dual_lr: 1, dual_schedule: {name: CosineAnnealingLR, T_max: all}}}"},
    {"methods": "{lagrangian: {dual_lr: 1, dual_schedule: {values: [none, {name: ExponentialLR, gamma: 0.9}]}}}"},
    {"levels": "{g: {from: 2, to: 1, over: 0.5}}"},
    {"levels": "{g: {from: 2, to: [1, 0.5], over: 1}}"},
    {"methods": "{lagrangian: {dual_lr: 1, dual_optimizer: {momentum: {values: [0, 0.7]}, betas: [0.9, 0.99]}}}"},
    {"methods": "{lagrangian: {dual_lr: 1, dual_optimizer: {values: [SGD, {name: Adam, amsgrad: true}]}}}"},
    {"methods": "{quadratic_penalty: {coefficient: 1, growth: {factor: 10, every: epoch, max: 1.0e+16}}}"},
    {"methods": "{quadratic_penalty: {coefficient: 1, growth: {values: [1, {add: {min: 1, max: 2, num: 2}}]}}}"},
    {"methods": None, "search": "{target: 0.5}"},
    {"search": "{constraint: g, target: 0.5, low: 0.1, high: 2, strategy: illinois, max_trainings: 2}"},
    {"levels": "{g: {values: [0.1, 0.2]}}"},
    {"levels": "{g: [0.1, 0.2]}"},
    {"levels": "{g: {min: 0.1, max: 0.2, num: 3}}"},
]

INVALID = [
    {"held_out": "1"},
    {"held_out": "{seed: 1}"},
    {"held_out": "{share: 0.2, stratify: -1}"},
    {"held_out": "{share: 0.2, seed: -1}"},
    {"held_out": "{share: 0.2, by: 1}"},
    {"held_out": "[0.2]"},
    {"judge": "test"},
    {"train": "{steps: 10, measure_every: often}"},
    {"train": "{steps: 10, select: best}"},
    {"train": "{steps: 10, stop: {feasible_for: 0}}"},
    {"train": "{steps: 10, stop: {feasible_for: 2, gap: 5}}"},
    {"problem": None},
    {"problem": "mine.py"},
    {"constraints": None},
    {"constraints": "{}"},
    {"constraints": "{g: '< 1'}"},
    {"constraints": "{g: {level: 1}}"},
    {"constraints": "{g: {level: 1, sense: '<'}}"},
    {"constraints": "{g: {level: 1, sense: '<=', tolerance: -1}}"},
    {"constraints": "{g: {level: 1, sense: '<=', tol: 1}}"},
    {"train": None},
    {"train": "{batch_size: all}"},
    {"train": "{steps: 5, epochs: 2}"},
    {"train": "{steps: 0}"},
    {"train": "{steps: 5, optimizer: SparseAdam}"},
    {"train": "{steps: 5, optimizer: {name: Sgd}}"},
    {"train": "{steps: 5, optimizer: {lr: -1}}"},
    {"train": "{steps: 5, dtype: float16}"},
    {"train": "{steps: 5, autocast: float16}"},
    {"train": "{steps: 5, batchsize: 8}"},
    {"train": "{steps: 5, batch_size: some}"},
    {"train": "{steps: {values: []}}"},
    {"train": "{steps: {values: [0]}}"},
    {"train": "{steps: {min: 1, max: 2}}"},
    {"train": "{steps: 5, batch_size: {values: [some]}}"},
    {"train": "{steps: 5, dtype: {min: 1, max: 2, num: 2}}"},
    {"train": "{steps: 5, optimizer: {lr: {values: [-1]}}}"},
    {"train": "{steps: 5, optimizer: {lr: {min: 0, max: 1, num: 2, scale: log}}}"},
    {"train": "{steps: 5, optimizer: {name: {values: [Sgd]}}}"},
    {"methods": None},
    {"methods": "{penalised: {coefficient: 1}}"},
    {"methods": "{penalized: {coeff: 1}}"},
    {"methods": "{penalized: {}}"},
    {"methods": "{penalized: []}"},
    {"methods": "{quadratic_penalty: {coefficient: -1}}"},
    {"methods": "{penalized: {coefficient: low}}"},
    {"methods": "{penalized: {coefficient: {values: []}}}"},
    {"methods": "{penalized: {coefficient: {values: [1], num: 3}}}"},
    {"methods": "{penalized: {coefficient: {min: 1, max: 2}}}"},
    {"methods": "{penalized: {coefficient: {min: 0, max: 2, num: 3, scale: log}}}"},
    {"methods": "{penalized: {coefficient: {min: 1, max: 2, num: 3, scale: ln}}}"},
    {"methods": "{penalized: {coefficient: {min: 1, max: 2, num: 1.5}}}"},
    {"methods": "{lagrangian: {dual_lr: 0.1, update: both}}"},
    {"methods": "{lagrangian: {dual_lr: 0.1, restart: 1}}"},
    {"methods": "{nupi: {dual_lr: 0.1, nu: -1}}"},
    {"methods": "{nupi: {dual_lr: 0.1, kp: [1]}}"},
    {"methods": "{augmented_lagrangian: {dual_lr: 0.1}}"},
    {"methods": "{lagrangian: {dual_lr: 1, every: 1.5}}"},
    {"methods": "{lagrangian: {dual_lr: 1, every: epochs}}"},
    {"methods": "{lagrangian: {dual_lr: 1, start: 1}}"},
    {"methods": "{lagrangian: {dual_lr: 1, dual_optimizer: LBFGS}}"},
    {"methods": "{lagrangian: {dual_lr: 1, dual_optimizer: {lr: 1}}}"},
    {"methods": "{nupi: {dual_lr: 1, dual_optimizer: SGD}}"},
    {"methods": "{quadratic_penalty: {coefficient: 1, growth: {every: 2}}}"},
    {"methods": "{quadratic_penalty: {coefficient: 1, growth: {factor: 2, add: 1}}}"},
    {"methods": "{quadratic_penalty: {coefficient: 1, growth: {factor: 2, each: 1}}}"},
    {"methods": "{lagrangian: {dual_lr: 1, dual_schedule: {name: ReduceLROnPlateau}}}"},
    {"levels": "{g: {to: 1, over: 0.5}}"},
    {"levels": "{g: {from: 2, to: 1, over: 1.5}}"},
    {"search": "{low: 0.1}"},
    {"search": "{target: 0.5, strategy: newton}"},
    {"search": "{target: 0.5, low: 0}"},
    {"search": "{target: 0.5, max_trainings: 1}"},
    {"levels": "{g: {values: []}}"},
    {"seeds": "[]"},
    {"seeds": "-1"},
    {"seeds": "1.5"},
    {"method": "{}"},
]


@pytest.mark.parametrize("changed", VALID, ids=str)
def test_what_cpd_reads_fits(schema: dict[str, Any], folder: Path, changed: dict[str, str | None]) -> None:
    assert accepted(schema, written(folder, TASK | changed)) == (True, True)


@pytest.mark.parametrize("changed", INVALID, ids=str)
def test_what_cpd_refuses_does_not(schema: dict[str, Any], folder: Path, changed: dict[str, str | None]) -> None:
    assert accepted(schema, written(folder, TASK | changed)) == (False, False)


@pytest.mark.parametrize(
    ("keys", "fits"),
    [
        ({}, True),
        ({"train": "{steps: 7}"}, True),
        ({"train": "{optimizer: {lr: 0.5}}"}, True),
        ({"constraints": "{g: {tolerance: 0.1}}"}, True),
        ({"levels": "{g: [1, 2]}", "search": "{target: 1}"}, True),
        ({"train": "{step: 7}"}, False),
        ({"methods": "{quadratic_penalty: {coefficient: -1}}"}, False),
        ({"task": "[task.yaml]"}, False),
    ],
    ids=str,
)
def test_a_sweep_names_only_what_it_changes(
    schema: dict[str, Any], folder: Path, keys: dict[str, str | None], fits: bool
) -> None:
    assert accepted(schema, written(folder, {"task": "task.yaml"} | keys)) == (fits, fits)


def written(folder: Path, keys: Mapping[str, str | None]) -> Path:
    path = folder / "x.yaml"
    path.write_text("".join(f"{key}: {value}\n" for key, value in keys.items() if value is not None))
    return path


def test_an_editors_line_is_not_the_description(folder: Path) -> None:
    written(folder, TASK).write_text(
        "# yaml-language-server: $schema=task.schema.json\n\n# Mine\n" + (folder / "task.yaml").read_text()
    )
    assert load_task("x.yaml").description == "Mine"


def test_every_hyperparameter_says_what_it_does() -> None:
    from cpd.methods.registry import REGISTRY

    silent = [f"{m.name}.{name}" for m in REGISTRY.values() for name, h in m.hyperparameters.items() if not h.meaning]
    assert silent == []


def test_the_command_prints_it_and_the_copy_in_docs_is_fresh(schema: dict[str, Any], cpd_command: Command) -> None:
    done = cpd_command("schema")
    assert (done.rc, done.stderr) == (0, "")
    assert json.loads(done.stdout) == schema
    if not COPY.parent.exists():
        pytest.skip("the pages are not beside the tests")
    assert COPY.read_text(encoding="utf-8") == done.stdout, "run: cpd schema > docs/task.schema.json"
