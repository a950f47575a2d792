"""Documents and curves as sweeps give them, with numbers like those of the paper's tables; nothing is trained."""

import math
from types import SimpleNamespace
from typing import Any

from cpd.outcome import ConstraintOutcome, HeldOut, Recorded, Run, RunKey, Status
from cpd.verdict.document import Document, Iteration, SearchBlock
from cpd.verdict.judgement import judge

Curves = list[Recorded | None]

GRID = [0.0, *(10 ** (k / 3 - 4) for k in range(19))]

METHODS = ("penalized", "quadratic_penalty", "lagrangian", "nupi", "augmented_lagrangian")

HOSTILE = "</script><img src=x onerror=alert(1)>$x_1^2$ <b>&\"'\x1b[31m"


def task(name: str = "rate", objective: str = "cross_entropy", **constraints: tuple[float, str, float]) -> Any:
    bounds = constraints or {"class0_rate": (0.7, ">=", 0.0025)}
    read = {n: SimpleNamespace(level=lv, sense=s, tolerance=t) for n, (lv, s, t) in bounds.items()}
    return SimpleNamespace(name=name, objective=objective, constraints=read, train=SimpleNamespace(dtype="float32"))


def rate_run(method: str, setting: dict[str, Any], rate: float, objective: float, **more: Any) -> Run:
    """A run of the rate problem; a lagrangian has the multiplier 2."""
    outcome = ConstraintOutcome(rate, rate, 2.0 if method == "lagrangian" else None, [rate] * 10)
    key = RunKey(method, setting, more.pop("levels", {"class0_rate": 0.7}), more.pop("seed", 1), more.pop("id", None))
    metrics: dict[str, float | None] = {"accuracy": 1.5 - rate, "margin": 5.9e-10}
    status = more.pop("status", Status.COMPLETED)
    return Run(key, status, objective, {"class0_rate": outcome}, metrics, 10_000, 1.5, **more)


def figure2(seeds: int = 1, name: str = "figure2") -> Document:
    """Two methods over the paper's 20 values; the last penalised run diverged."""
    runs = []
    for c in GRID:
        for seed in range(seeds):
            wobble = 0.01 * (seed - (seeds - 1) / 2)
            rate = 0.5 if c < 1.5 else min(0.76 + 0.24 * (c > 3), 1.0)
            status = Status.DIVERGED if c > 99 else Status.COMPLETED
            runs.append(
                rate_run("penalized", {"coefficient": c}, rate, 0.03 + 0.17 * c**0.5 + wobble, status=status, seed=seed)
            )
    for eta in GRID:
        for seed in range(seeds):
            wobble = 0.01 * (seed - (seeds - 1) / 2)
            rate = 0.5 if eta < 1e-3 else 0.7
            runs.append(rate_run("lagrangian", {"dual_lr": eta}, rate, 0.35 * (rate - 0.4) / 0.3 + wobble, seed=seed))
    return judge(task(name), runs)


def table1() -> Document:
    """The concave problem solved at eight levels of an equality: ``f = sqrt(1 - level^2)``."""
    runs = []
    for k in range(1, 9):
        level = k / 10
        outcome = ConstraintOutcome(level, level, level / math.sqrt(1 - level**2), [level] * 10)
        key = RunKey("nupi", {"dual_lr": 0.3, "kp": 40}, {"g": level}, 1)
        runs.append(Run(key, Status.COMPLETED, math.sqrt(1 - level**2), {"g": outcome}, {}, 1000, 0.5))
    return judge(task("table1", "f", g=(0.5, "==", 0.001)), runs)


def table2(outcome: str = "solved") -> Document:
    """The paper's search: seven coefficients, log10 c = -3, 0, -1.5, -0.75, -0.375, -0.5625, -0.65625."""
    found = {-3: 0.96, 0: 0.22, -1.5: 0.83, -0.75: 0.56, -0.375: 0.36, -0.5625: 0.46, -0.65625: 0.505}
    iterations: list[Iteration] = []
    runs = []
    for k, (power, density) in enumerate(found.items(), start=1):
        key = RunKey("penalized", {"coefficient": 10**power}, {"density": 0.5}, 1)
        value = ConstraintOutcome(density, density, None, [density] * 10)
        runs.append(Run(key, Status.COMPLETED, 1e-3 * k, {"density": value}, {"accuracy": 0.98}, 100, 1.0))
        row: Iteration = {
            "iteration": k,
            "coefficient": 10**power,
            "value": density,
            "objective": 1e-3 * k,
            "metrics": {"accuracy": 0.98},
        }
        iterations.append(row)
    search: SearchBlock = {
        "constraint": "density",
        "target": 0.5,
        "tolerance": 0.01,
        "outcome": outcome,
        "trainings": 7,
        "iterations": iterations,
    }
    return judge(task("table2", density=(0.5, "<=", 0.01)), runs, search=search, summary=False)


def two_constraints() -> Document:
    """A scalar and a vector constraint, two levels of the first, three seeds; nothing feasible at the tighter one."""
    runs = []
    for level in (0.2, 0.4):
        for setting in ({"dual_lr": 0.1}, {"dual_lr": 1.0}):
            for seed in range(3):
                rate = 0.35 + 0.01 * seed
                parts: list[float | None] = [0.5, 0.9 + 0.01 * seed]
                outcomes = {
                    "rate": ConstraintOutcome(rate, rate, 1.5, [rate] * 10),
                    "parts": ConstraintOutcome(parts, parts, [0.0, 0.5], [parts] * 10),
                }
                key = RunKey("lagrangian", setting, {"rate": level, "parts": 1.0}, seed)
                runs.append(Run(key, Status.COMPLETED, 1.0 + setting["dual_lr"] + 0.1 * seed, outcomes, {}, 50, 1.0))
    return judge(task("two", "loss", rate=(0.3, "<=", 0.001), parts=(1.0, "<=", 0.001)), runs)


def many_runs(count: int = 1000) -> tuple[Document, Curves]:
    """As many runs as a report is measured with, each with 500 recorded points."""
    runs = [
        rate_run(
            ("penalized", "lagrangian")[k % 2],
            {("coefficient", "dual_lr")[k % 2]: 10 ** (6 * k / count - 4)},
            0.5 + 0.3 * math.sin(k) ** 2,
            0.3 + math.cos(k) ** 2 / 7,
            id=f"c1:{k:016x}",
        )
        for k in range(count)
    ]
    judged = judge(task("many"), runs)
    return judged, [courses(k, 500) for k in range(count)]


def courses(k: int, points: int = 50) -> Recorded:
    """Recorded points that decay with a swing, the multiplier growing to 2."""
    steps = [20 * t for t in range(points)]
    decay = [math.exp(-t / (5 + k % 7)) for t in range(points)]
    return {
        "steps": steps,
        "objective": [0.35 + d / 3 for d in decay],
        "constraints": {"class0_rate": [0.7 - 0.2 * d * math.cos(t / 3) for t, d in enumerate(decay)]},
        "multipliers": {"class0_rate": [2 - 2 * d for d in decay]} if k % 2 else {},
    }


def curves_of(judged: Document) -> Curves:
    """Courses for each run of a document of the rate problem; the first run has none."""
    return [None if k == 0 else courses(int(run["method"] == "lagrangian")) for k, run in enumerate(judged["runs"])]


def measured_along(judged: Document) -> Curves:
    """The same, measured three times along the way, once without a number; the second run has no such points."""
    found = curves_of(judged)
    for curve in found[2:]:
        assert curve is not None
        curve["measured"] = {
            "steps": [330, 660, 1000],
            "objective": [0.5, None, 0.4],
            "constraints": {"class0_rate": [0.6, None, 0.75]},
            "surrogates": {"class0_rate": [0.62, None, 0.74]},
            "metrics": {"accuracy": [0.8, None, 0.9]},
        }
    return found


def many_constraints(count: int, settings: int = 4, seeds: int = 1, held_out: bool = False) -> tuple[Document, Curves]:
    """Two methods under so many constraints, every third one no share, each run with its course."""
    names = [f"group_{k}_rate" if k % 3 else f"budget_{k}" for k in range(count)]
    runs = []
    for method, swept in (("penalized", "coefficient"), ("lagrangian", "dual_lr")):
        for i in range(settings):
            for seed in range(seeds):
                values = {name: 0.5 + 0.3 * math.sin(i / 9 + k) + 0.01 * seed for k, name in enumerate(names)}
                outcomes = {n: ConstraintOutcome(v, v, 1.0 * (swept == "dual_lr"), [v] * 10) for n, v in values.items()}
                key = RunKey(method, {swept: 10 ** (6 * i / settings - 4)}, dict.fromkeys(names, 0.82), seed)
                objective = 0.3 + 0.1 * math.cos(i / 7) + 0.01 * seed
                others = {n: ConstraintOutcome(v + 0.1, v + 0.1) for n, v in values.items()}
                held = HeldOut(359, objective + 0.1, others, {"accuracy": 0.8}) if held_out else None
                runs.append(
                    Run(key, Status.COMPLETED, objective, outcomes, {"accuracy": 0.9}, 1000, 1.0, held_out=held)
                )
    course = courses(1)
    course["constraints"] = dict.fromkeys(names, course["constraints"]["class0_rate"])
    course["multipliers"] = dict.fromkeys(names, course["multipliers"]["class0_rate"])
    bounds: Any = dict.fromkeys(names, (0.82, "<=", 0.001))
    return judge(task("many", **bounds), runs), [course] * len(runs)


LONG = "a_constraint_whose_name_does_not_end_before_its_share"


def long_names() -> Document:
    """Names longer than any panel, five methods, three seeds, an objective below 0."""
    runs = []
    for number, method in enumerate(METHODS):
        name = "coefficient" if number < 2 else "dual_lr"
        for k in range(12):
            for seed in range(3):
                share = 0.5 + 0.04 * k + 0.01 * seed
                setting = {name: 10 ** (k / 2 - 3), "a_hyperparameter_with_a_long_name": 1.5}
                key = RunKey(method, setting, {LONG: 0.7}, seed)
                outcome = ConstraintOutcome(share, share, 2.0, [share] * 10)
                metrics: dict[str, float | None] = {
                    "the_accuracy_on_examples_kept_apart": share,
                    "tiny": 1e-12 * (seed + 1),
                }
                aim = -1e5 * (1 + 0.1 * k + 0.02 * number + 0.01 * seed)
                runs.append(Run(key, Status.COMPLETED, aim, {LONG: outcome}, metrics, 1000, 1.0))
    return judge(task("long", "negative_log_likelihood_of_everything", **{LONG: (0.7, ">=", 0.0025)}), runs)


def three_constraints() -> Document:
    """A vector of 30 at three levels, a large budget, an equality at one level."""
    runs = []
    for level in (0.1, 0.2, 0.3):
        for k in range(8):
            eta = 10 ** (k / 3 - 2)
            parts: list[float | None] = [level * (0.9 + 0.02 * math.sin(j * k)) for j in range(30)]
            outcomes = {
                "parts": ConstraintOutcome(parts, parts, [0.01] * 30, [parts] * 10),
                "budget": ConstraintOutcome(1e6 * eta, 1e6 * eta, 0.0, [1e6 * eta] * 10),
                "h": ConstraintOutcome(0.5 + 2e-4 * (k - 3), 0.5, -0.3, [0.5] * 10),
            }
            key = RunKey("nupi", {"dual_lr": eta, "kp": 10}, {"parts": level, "budget": 3e6, "h": 0.5}, 1)
            runs.append(Run(key, Status.COMPLETED, eta / 100 - 0.3 - level, outcomes, {"accuracy": 0.9}, 100, 1.0))
    return judge(task("three", "f", parts=(0.2, "<=", 0.0), budget=(3e6, "<=", 0.0), h=(0.5, "==", 0.001)), runs)


def sixty_settings() -> Document:
    """Feasible in two stretches."""
    grid = [10 ** (k / 10 - 4) for k in range(60)]
    return judge(
        task("sixty"),
        [
            rate_run("lagrangian", {"dual_lr": eta}, 0.5 + 0.3 * math.sin(k / 9) ** 2, 0.3 + k / 99)
            for k, eta in enumerate(grid)
        ],
    )


def all_diverged() -> Document:
    """No run has a number to show."""
    return judge(
        task("diverged"),
        [rate_run("penalized", {"coefficient": c}, 0.7, 0.35, status=Status.DIVERGED) for c in GRID],
    )


def one_run() -> Document:
    return judge(task("one"), [rate_run("lagrangian", {"dual_lr": 0.1}, 0.7, 0.35)])


def coefficient_lists() -> Document:
    """Settings without a single number: one coefficient per constraint."""
    return judge(
        task("lists"),
        [rate_run("penalized", {"coefficient": [c, 2 * c]}, 0.6 + c / 10, 0.3 + c) for c in (0.1, 0.2, 1.0)],
    )


def lost_iterations() -> Document:
    """A search two of whose trainings gave no value."""
    judged = table2("out_of_budget")
    for k in (2, 4):
        judged["search"]["iterations"][k]["value"] = None
    return judged
