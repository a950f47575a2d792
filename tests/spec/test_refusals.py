"""Every key of a spec that is refused, with its whole message."""

from pathlib import Path

import pytest
from spec_files import METHODS, MODELS_OPTIMIZERS, NUMBER, Write, load, refusal, writer

from cpd.spec.identity import runs


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    return writer(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("problem", None, "x.yaml: the key 'problem' is missing; add problem: my_problem.py:MyProblem"),
        ("problem", "5", "x.yaml: problem: 5 is not a word; write a word, in quotes where it looks like a number"),
        (
            "problem",
            "mine.py",
            "x.yaml: problem: 'mine.py' is no problem; write package.module:Class or file.py:Class",
        ),
        ("problem", "my.py:Mine", "x.yaml: problem: no file 'my.py'; its path starts at the spec's folder"),
        ("problem", "mine.py:Min", "x.yaml: problem: no class 'Min' in 'mine.py'; did you mean 'Mine'? Valid: Mine"),
        (
            "problem",
            "no.such:Mine",
            "x.yaml: problem: no module 'no.such'; install it or put it beside the spec; "
            "write package.module:Class or file.py:Class",
        ),
        (
            "problem",
            "cpd.problems.rate:Rates",
            "x.yaml: problem: no class 'Rates' in 'cpd.problems.rate'; did you mean 'Rate'? Valid: Rate",
        ),
        (
            "arguments",
            "[1]",
            "x.yaml: arguments: [1] is not a mapping; write {NAME: VALUE}",
        ),
        (
            "object",
            "f",
            "x.yaml: object: unknown key 'object'; did you mean 'objective'? Valid: task, description, problem, "
            "arguments, depends, objective, constraints, train, seeds, methods, levels, search, budget, "
            "transfer, held_out, judge, command, timeout, files, check_with",
        ),
        (
            "objective",
            "5",
            "x.yaml: objective: 5 is not a word; write a word, in quotes where it looks like a number",
        ),
        ("constraints", None, "x.yaml: the key 'constraints' is missing; add constraints: {NAME: \">= 0.7\"}"),
        ("constraints", "[g]", 'x.yaml: constraints: ["g"] is not a mapping; write {NAME: VALUE}'),
        (
            "constraints",
            "{g: '=> 0.7'}",
            "x.yaml: constraints.g: '=> 0.7' is no constraint; write e.g. \">= 0.7\", with <=, >= or ==",
        ),
        (
            "constraints",
            "{g: '>= much'}",
            "x.yaml: constraints.g: '>= much' is no constraint; write e.g. \">= 0.7\", with <=, >= or ==",
        ),
        ("constraints", "{g: '>= .inf'}", f"x.yaml: constraints.g: .inf is not a finite number; {NUMBER}"),
        ("constraints", "{g: 5}", "x.yaml: constraints.g: 5 is not a mapping; write {level, sense, tolerance}"),
        ("constraints", "{g: {level: 5}}", "x.yaml: constraints.g: the key 'sense' is missing; add sense: VALUE"),
        (
            "constraints",
            "{g: {levl: 5, sense: '<='}}",
            "x.yaml: constraints.g.levl: unknown key 'levl'; did you mean 'level'? Valid: level, sense, tolerance",
        ),
        (
            "constraints",
            "{g: {level: 5, sense: '<'}}",
            "x.yaml: constraints.g.sense: '<' is not a valid choice; did you mean '<='? Valid: <=, >=, ==",
        ),
        (
            "constraints",
            "{g: {level: true, sense: '<='}}",
            f"x.yaml: constraints.g.level: true is not a number; {NUMBER}",
        ),
        (
            "constraints",
            "{g: {level: 1, sense: '<=', tolerance: -1}}",
            "x.yaml: constraints.g.tolerance: -1 is out of range; write a number from 0 on",
        ),
        (
            "train",
            None,
            "x.yaml: the key 'train' is missing; add train: {steps: 1000, optimizer: {name: SGD, lr: 0.01}}",
        ),
        (
            "train",
            "{dtype: float64}",
            "x.yaml: train: neither steps nor epochs says how long to train; add steps: 10000 or epochs: 150",
        ),
        (
            "train",
            "{steps: 1, epochs: 1}",
            "x.yaml: train: both steps and epochs say how long to train; keep one of them",
        ),
        ("train", "{steps: 0}", "x.yaml: train.steps: expected an integer >= 1, got 0"),
        ("train", "{steps: true}", "x.yaml: train.steps: expected an integer >= 1, got true"),
        ("train", "{steps: '9'}", "x.yaml: train.steps: expected an integer >= 1, got '9'"),
        ("train", "{steps: 1.5}", "x.yaml: train.steps: expected an integer >= 1, got 1.5"),
        ("train", "{epochs: 0}", "x.yaml: train.epochs: 0 is out of range; write a number above 0"),
        (
            "train",
            "{steps: 1, batch_size: some}",
            "x.yaml: train.batch_size: expected an integer >= 1 or all, got 'some'",
        ),
        (
            "train",
            "{steps: 1, dtype: float16}",
            "x.yaml: train.dtype: 'float16' is not a valid choice; did you mean 'float64'? Valid: float32, float64",
        ),
        (
            "train",
            "{steps: 1, autocast: float16}",
            "x.yaml: train.autocast: float16 needs its gradients scaled, each run's by a number of its own; "
            "use bfloat16",
        ),
        (
            "train",
            "{steps: 1, autocast: bfloat16, dtype: float64}",
            "x.yaml: train.autocast: bfloat16 with dtype: float64; leave out one of them",
        ),
        (
            "train",
            "{step: 1}",
            "x.yaml: train.step: unknown key 'step'; did you mean 'steps'? "
            "Valid: steps, epochs, batch_size, constraint_batch_size, optimizer, dtype, groups, schedule, clip, "
            "average, accumulate, measure_every, select, stop, multipliers_share, autocast",
        ),
        *(
            (
                "train",
                f"{{steps: 1, measure_every: {value}}}",
                f"x.yaml: train.measure_every: {value} is no number of steps or epochs; "
                "write a number of steps, like 100, or of epochs, like 1 epoch",
            )
            for value in ("0", "1.5", "true", "'0 epochs'", "'epoch 2'", "'100'", "'nan epochs'", "'1.5 steps'")
        ),
        (
            "train",
            "{steps: 1, select: best_feasible, average: 0.1}",
            "x.yaml: train: both select and average say which parameters are judged; keep one of them",
        ),
        (
            "train",
            "{steps: 1, stop: {feasible_for: 2}, average: 0.1}",
            "x.yaml: train: a run that stops early has no last share of the training, which average is of; "
            "keep average or stop",
        ),
        (
            "train",
            "{steps: 1, select: best}",
            "x.yaml: train.select: 'best' is not a valid choice; valid: last, best_feasible, mixture",
        ),
        ("train", "{steps: 1, stop: 5}", "x.yaml: train.stop: 5 is not a mapping; write {feasible_for, gap}"),
        (
            "train",
            "{steps: 1, stop: {gap: 0.1}}",
            "x.yaml: train.stop: the key 'feasible_for' is missing; add feasible_for: VALUE",
        ),
        (
            "train",
            "{steps: 1, stop: {feasible_for: 0}}",
            "x.yaml: train.stop.feasible_for: expected an integer >= 1, got 0",
        ),
        (
            "train",
            "{steps: 1, stop: {feasible_for: 3, gap: 5}}",
            "x.yaml: train.stop.gap: 5 is no share; write a number from 0 to 1, like 0.05",
        ),
        (
            "train",
            "{steps: 1, stop: {feasible: 3}}",
            "x.yaml: train.stop.feasible: unknown key 'feasible'; did you mean 'feasible_for'? "
            "Valid: feasible_for, gap",
        ),
        (
            "train",
            "{steps: 1, optimizer: [SGD]}",
            'x.yaml: train.optimizer: ["SGD"] is not a mapping; write {name: SGD, lr: 0.02}',
        ),
        (
            "train",
            "{steps: 1, optimizer: {name: Adamm}}",
            f"x.yaml: train.optimizer.name: unknown optimizer 'Adamm'; did you mean 'Adam'? Valid: {MODELS_OPTIMIZERS}",
        ),
        (
            "train",
            "{steps: 1, optimizer: SparseAdam}",
            "x.yaml: train.optimizer.name: SparseAdam takes sparse gradients alone; use Adam",
        ),
        (
            "train",
            "{steps: 1, optimizer: LBFGS, clip: {norm: 1}}",
            "x.yaml: train.clip: LBFGS evaluates several times a step, and takes no clip; "
            "leave it out, or use another optimizer",
        ),
        (
            "train",
            "{steps: 1, optimizer: {lr: -0.1}}",
            "x.yaml: train.optimizer.lr: -0.1 is out of range; write a number from 0 on",
        ),
        (
            "train",
            "{steps: 1, optimizer: {lr: 1e400}}",
            f"x.yaml: train.optimizer.lr: 1e400 is not a finite number; {NUMBER}",
        ),
        ("seeds", "[]", "x.yaml: seeds: [] gives no seeds; write e.g. 1,2,7, or 0:5 for 0 to 4"),
        *(
            (
                "constraints",
                f"{{{name}: '<= 1'}}",
                f'x.yaml: constraints: a constraint without a name ({shown}); write e.g. {{accuracy: ">= 0.7"}}',
            )
            for name, shown in [("''", "''"), ("' '", "''"), ('"\\t"', "''")]
        ),
        ("seeds", "5:5", "x.yaml: seeds: '5:5' gives no seeds; write e.g. 1,2,7, or 0:5 for 0 to 4"),
        *(
            ("seeds", text, f"x.yaml: seeds: seed {seed} is out of range; seeds are from 0 to 9223372036854775807")
            for text, seed in [
                ("[-1]", "-1"),
                ("-7", "-7"),
                ("'3,-1'", "-1"),
                ("'-2:3'", "-2"),
                ("9223372036854775808", "9223372036854775808"),
                ("[1, 18446744073709551616]", "18446744073709551616"),
                ("'1:99999999999999999999'", "99999999999999999998"),
            ]
        ),
        ("seeds", "2026-11-25", "x.yaml: seeds: '2026-11-25' gives no seeds; write e.g. 1,2,7, or 0:5 for 0 to 4"),
        ("seeds", "[true]", "x.yaml: seeds: [true] gives no seeds; write e.g. 1,2,7, or 0:5 for 0 to 4"),
        ("seeds", "[0.5]", "x.yaml: seeds: [0.5] gives no seeds; write e.g. 1,2,7, or 0:5 for 0 to 4"),
        ("levels", "{k: 1}", "x.yaml: levels.k: no constraint 'k'; valid: g, h"),
        ("levels", "{g: []}", "x.yaml: levels.g: values is empty; write {values: [0.1, 1]}"),
        ("levels", "{g: [high]}", f"x.yaml: levels.g: 'high' is not a number; {NUMBER}"),
        (
            "held_out",
            "1",
            "x.yaml: held_out.share: 1 is no share of the examples; write a number between 0 and 1, like 0.2",
        ),
        (
            "held_out",
            "a",
            "x.yaml: held_out: 'a' is no share of the examples; write 0.2, or {share: 0.2, seed: 0, stratify: 1}",
        ),
        ("held_out", "{seed: 1}", "x.yaml: held_out: the key 'share' is missing; add share: VALUE"),
        ("held_out", "{share: 0.2, by: 1}", "x.yaml: held_out.by: unknown key 'by'; valid: share, seed, stratify"),
        ("judge", "test", "x.yaml: judge: 'test' is not a valid choice; valid: training, held_out"),
        ("search", "{low: 1}", "x.yaml: search: the key 'target' is missing; add target: VALUE"),
        ("search", "{target: 1, constraint: k}", "x.yaml: search.constraint: no constraint 'k'; valid: g, h"),
        (
            "search",
            "{target: 1, low: 2}",
            "x.yaml: search: low 2 is not below high 1; the search needs two different ends",
        ),
        ("search", "{target: 1, low: 0}", "x.yaml: search.low: 0 is out of range; write a number above 0"),
        (
            "search",
            "{target: 1, strategy: bisect}",
            "x.yaml: search.strategy: 'bisect' is not a valid choice; did you mean 'bisection'? "
            "Valid: bisection, illinois, coordinates, simplex",
        ),
        (
            "methods",
            None,
            "x.yaml: the key 'methods' is missing; add methods: {penalized: {coefficient: {values: [0.1, 1]}}}",
        ),
    ],
)
def test_a_key_is_refused(key: str, value: str | None, message: str, write: Write) -> None:
    assert refusal(write(**{key: value})) == message


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ("[penalized]", 'methods: ["penalized"] is not a mapping; write {NAME: VALUE}'),
        (
            "{penalised: {}}",
            f"methods.penalised: unknown method 'penalised'; did you mean 'penalized'? Valid: {METHODS}",
        ),
        (
            "{penalized: 5}",
            "methods.penalized: 5 is not a mapping; "
            "write e.g. coefficient: 0.1, or coefficient: {min: 1e-4, max: 100, num: 19, scale: log}",
        ),
        (
            "{lagrangian: {}}",
            "methods.lagrangian: the hyperparameter 'dual_lr' is missing; "
            "write e.g. dual_lr: 0.1, or dual_lr: {min: 1e-4, max: 100, num: 19, scale: log}",
        ),
        (
            "{penalized: []}",
            "methods.penalized: has no settings; "
            "write e.g. coefficient: 0.1, or coefficient: {min: 1e-4, max: 100, num: 19, scale: log}",
        ),
        (
            "{penalized: [{coefficient: 0}, {coeficient: 0}]}",
            "methods.penalized[1].coeficient: unknown hyperparameter 'coeficient'; "
            "did you mean 'coefficient'? Valid: coefficient",
        ),
        (
            "{lagrangian: {dual_lr: 1, update: simultaneus}}",
            "methods.lagrangian.update: 'simultaneus' is not a valid choice; "
            "did you mean 'simultaneous'? Valid: alternating, simultaneous",
        ),
        (
            "{lagrangian: {dual_lr: 1, restart: 1}}",
            "methods.lagrangian.restart: 1 is not a valid choice; valid: false, true",
        ),
        (
            "{nupi: {dual_lr: 1, kp: [1, 2]}}",
            "methods.nupi.kp: [1, 2] is a list, where one number belongs; to try each, write {values: [1, 2]}",
        ),
        ("{nupi: {dual_lr: 1, nu: -1}}", "methods.nupi.nu: -1 is out of range; write a number above -1"),
    ],
)
def test_methods_are_refused(methods: str, message: str, write: Write) -> None:
    assert refusal(write(methods=methods)) == f"x.yaml: {message}"


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ("-1", "-1 is out of range; write a number from 0 on"),
        ("true", f"true is not a number; {NUMBER}"),
        ("much", f"'much' is not a number; {NUMBER}"),
        ("'0.1'", "'0.1' is not a number; remove the quotes"),
        ("[1]", "[1] does not have one number for each constraint (g, h); to try each, write {values: [1]}"),
        ("[1, x]", f"'x' is not a number; {NUMBER}"),
        (".nan", f".nan is not a finite number; {NUMBER}"),
        ("{values: []}", "values is empty; write {values: [0.1, 1]}"),
        ("{values: 1}", "values: 1 is not a list; write {values: [0.1, 1]}"),
        ("{values: [1], num: 1}", "values and a range at once; keep values, or min, max, num and scale"),
        ("{value: [1]}", "unknown key 'value'; did you mean 'values'? Valid: values, min, max, num, scale"),
        ("{min: 1, max: 2}", "a grid without num; write {values: [0.1, 1]} or {min: 0.1, max: 1, num: 5}"),
        ("{min: 2, max: 1, num: 3}", "min 2 is above max 1; swap them"),
        ("{min: -1, max: 1, num: 3}", "-1 is out of range; write a number from 0 on"),
        ("{min: 1, max: 2, num: 0}", "num: expected an integer >= 1, got 0"),
        ("{min: 1, max: 2, num: 2.5}", "num: expected an integer >= 1, got 2.5"),
        ("{min: 1, max: 2, num: 3, scale: ln}", "scale: 'ln' is not a valid choice; valid: linear, log"),
        (
            "{min: 0, max: 2, num: 3, scale: log}",
            "a log grid cannot start at 0; start above 0; {values: [0, ...]} may hold 0",
        ),
    ],
)
def test_grids_are_refused(grid: str, message: str, write: Write) -> None:
    place = "x.yaml: methods.penalized.coefficient"
    assert refusal(write(methods=f"{{penalized: {{coefficient: {grid}}}}}")) == f"{place}: {message}"


def test_runs_are_counted_before_they_are_built(write: Write) -> None:
    grid = "{min: 1, max: 2, num: 1e9, scale: log}"
    name = write(methods=f"{{penalized: {{coefficient: {grid}}}}}", seeds="0:1000000000000")
    assert refusal(name, levels=("g=0:1:1000000",)) == (
        "x.yaml: makes 1,000,000,000,000,000,000,000,000,000 runs; at most 100,000; make its grids shorter, or raise "
        "--max-runs"
    )
    four = write(methods="{penalized: {coefficient: {values: [1, 2]}}}", seeds="[1, 2]")
    assert refusal(four, max_runs=3) == "x.yaml: makes 4 runs; at most 3; make its grids shorter, or raise --max-runs"
    assert len(runs(load(four, max_runs=4))) == 4


def test_many_settings_are_told_apart_quickly(write: Write) -> None:
    task = load(write(methods="{penalized: {coefficient: {min: 1, max: 2, num: 50000}}}"))
    assert len(task.methods["penalized"]) == 50_000
