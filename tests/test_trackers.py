"""Trackers hear of a sweep in order and in full, never stop it, and the pages' examples work."""

import json
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from commands import ROOT, Command
from sample_documents import rate_run
from wording import THEIRS, ours

import cpd
from cpd.errors import CpdError, install
from cpd.outcome import Status
from cpd.run.events import Event, Noted, Sink
from cpd.run.target import with_target
from cpd.run.trackers import open_trackers
from cpd.spec.reader import load_task
from cpd.trackers import Tracker, curves, run_name

PAGE = ROOT / "docs" / "trackers.md"
HOOKS = ("sweep_start", "run_start", "points", "run_end", "sweep_end")
DERIVE = "derive it from cpd.trackers.Tracker"
FORM = "tensorboard:DIR or package.module:Class"

RECORDER = """
    from cpd.trackers import Tracker

    class Recorder(Tracker):
        calls = []

        def sweep_start(self, sweep): self.calls.append(("sweep_start", sweep))
        def run_start(self, run): self.calls.append(("run_start", run))
        def points(self, run, points): self.calls.append(("points", run, points))
        def run_end(self, run): self.calls.append(("run_end", run))
        def sweep_end(self, document): self.calls.append(("sweep_end", document))
"""

SHORT = ("train.steps=20", "lagrangian.dual_lr=0.1,0.2")


class Notes:
    """Keeps the notes that a user would see."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, Noted):
            self.notes.append(event.text)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Path]]:
    """Go to an empty folder; return what writes a module there, which is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())  # a problem's folder is put on it
    before = set(sys.modules)

    def write(name: str, text: str) -> Path:
        (tmp_path / f"{name}.py").write_text(dedent(text))
        return tmp_path

    yield write
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) == str(tmp_path / f"{name}.py"):
            del sys.modules[name]


def sweep(*trackers: str, settings: tuple[str, ...] = SHORT, listener: Sink | None = None, **options: Any) -> Any:
    overrides = cpd.Overrides(methods=("lagrangian",), set=settings)
    chosen = cpd.Options(engine="eager", trackers=trackers, **{"keep": False, **options})
    return cpd.sweep("concave", overrides, chosen, listener)


def recorded() -> list[Any]:
    calls: list[Any] = sys.modules["recorder"].Recorder.calls
    return calls


def named(row: dict[str, Any]) -> dict[str, Any]:
    """What a run is called by before it has ended."""
    return {key: row[key] for key in ("id", "method", "setting", "levels", "seed")}


def test_a_tracker_hears_of_everything_in_order(here: Callable[[str, str], Path]) -> None:
    here("recorder", RECORDER)
    result = sweep("recorder:Recorder")
    first, second = result.document["runs"]
    opening = {
        "id": None,
        "command": "sweep",
        "task": "concave",
        "objective": "f",
        "constraints": {"g": {"level": 0.5, "sense": "<=", "tolerance": 1e-3}},
        "runs": 2,
    }
    assert recorded() == [
        ("sweep_start", opening),
        ("run_start", named(first)),
        ("run_start", named(second)),
        ("points", named(first), asdict(result.finished[0].curves)),
        ("run_end", first),
        ("points", named(second), asdict(result.finished[1].curves)),
        ("run_end", second),
        ("sweep_end", result.document),
    ]
    assert first["objective"] is not None
    assert len(result.curves[0]["steps"]) == 20


def test_runs_that_the_store_had_are_not_told_but_belong_to_the_end(here: Callable[[str, str], Path]) -> None:
    here("recorder", RECORDER)
    sweep(settings=("train.steps=20", "lagrangian.dual_lr=0.1"), keep=True)
    result = sweep("recorder:Recorder", keep=True)
    calls = recorded()
    assert [call[0] for call in calls] == list(HOOKS)
    assert calls[0][1]["runs"] == 1
    assert calls[0][1]["id"] == result.id
    assert calls[1][1]["setting"] == {"dual_lr": 0.2, "update": "simultaneous"}
    assert calls[-1][1] == result.document
    assert len(calls[-1][1]["runs"]) == 2


def test_a_search_is_told_round_by_round_and_its_outcome_at_the_end(here: Callable[[str, str], Path]) -> None:
    here("recorder", RECORDER)
    aimed = with_target(load_task("concave", cpd.Overrides(set=("train.steps=20",))), {"target": "0.5"})
    options = cpd.Options(engine="eager", keep=False, trackers=("recorder:Recorder",))
    result = cpd.bisect(aimed, options=options)
    calls = recorded()
    assert calls[0][1]["command"] == "bisect"
    assert calls[0][1]["runs"] is None
    assert result.search is not None
    trainings = result.search["trainings"]
    assert [call[0] for call in calls].count("run_end") == trainings >= 2
    assert [call[0] for call in calls[:5]] == ["sweep_start", *["run_start"] * 2, "points", "run_end"]
    assert calls[-1] == ("sweep_end", result.document)
    assert calls[-1][1]["search"]["outcome"] == result.search["outcome"]


@pytest.mark.slow
def test_what_workers_train_is_told_in_this_process(here: Callable[[str, str], Path]) -> None:
    here("recorder", RECORDER)
    result = sweep("recorder:Recorder", jobs=2, fuse=1)
    calls = recorded()
    heard = ["sweep_start", *["run_start"] * 2, *["points", "run_end"] * 2, "sweep_end"]
    assert [call[0] for call in calls] == heard
    assert [named(calls[k + 1][1]) for k in (3, 5)] == [calls[k][1] for k in (3, 5)]
    rows = {row["id"]: row for row in result.document["runs"]}
    assert {call[1]["id"]: call[1] for call in calls if call[0] == "run_end"} == rows
    assert calls[-1][1] == result.document


def test_runs_that_fail_are_told_without_points(here: Callable[[str, str], Path]) -> None:
    here("recorder", RECORDER)
    here(
        "mine",
        """
        import cpd, torch

        class Mine(cpd.Problem):
            def model(self):
                if torch.initial_seed() == 2:
                    raise RuntimeError("no luck")
                return torch.nn.Linear(1, 1)

            def evaluate(self, model, batch):
                x = model(torch.ones(1)).sum()
                return cpd.Evaluation(objective=x * x, constraints={"x": x})
        """,
    )
    Path("mine.yaml").write_text(
        "problem: mine.py:Mine\nconstraints: {x: '<= 1'}\ntrain: {steps: 3}\nseeds: [1, 2]\n"
        "methods: {penalized: {coefficient: 1}}\n"
    )
    options = cpd.Options(engine="eager", keep=False, fuse=1, trackers=("recorder:Recorder",))
    result = cpd.sweep("mine.yaml", options=options)
    assert [run["status"] for run in result.document["runs"]] == ["completed", "failed"]
    told = [(call[0], call[1]["seed"]) for call in recorded()[1:-1]]
    assert told == [("run_start", 1), ("run_start", 2), ("points", 1), ("run_end", 1), ("run_end", 2)]
    assert recorded()[-2][1] == result.document["runs"][1]
    assert recorded()[-1][1] == result.document


@pytest.mark.parametrize("hook", [*HOOKS, "__init__"])
@pytest.mark.parametrize(
    ("raises", "said"),
    [("ValueError('no\\nmore')", "ValueError: no"), ("SystemExit", "SystemExit"), ("KeyError", "KeyError")],
)
def test_a_hook_that_fails_stops_nobody(here: Callable[[str, str], Path], hook: str, raises: str, said: str) -> None:
    here("recorder", RECORDER)
    here(
        "broken",
        f"""
        from cpd.trackers import Tracker

        class Broken(Tracker):
            count = 0

            def {hook}(self, *values):
                Broken.count += 1
                raise {raises}
        """,
    )
    notes = Notes()
    result = sweep("broken:Broken", "recorder:Recorder", listener=notes)
    what = "making it" if hook == "__init__" else hook
    line = f"--log broken:Broken: {what} raised {said}; it is told nothing more, the sweep goes on"
    assert notes.notes == [line]
    assert sys.modules["broken"].Broken.count == 1
    heard = ["sweep_start", *["run_start"] * 2, *["points", "run_end"] * 2, "sweep_end"]
    assert [call[0] for call in recorded()] == heard
    assert recorded()[-1][1] == result.document
    assert [run["status"] for run in result.document["runs"]] == ["completed"] * 2


@pytest.mark.slow
def test_a_failing_tracker_changes_nothing_on_stdout(here: Callable[[str, str], Path], cpd_command: Command) -> None:
    here(
        "loud",
        """
        from cpd.trackers import Tracker

        class Loud(Tracker):
            def __init__(self): print("made")
            def run_end(self, run): print("ended"); raise ValueError("\\x1b[31mred")
        """,
    )
    words = ("sweep", "concave", "--method", "lagrangian", "--engine", "eager", "--no-store", "--format", "json")
    done = cpd_command(*words, "--set", SHORT[0], "--set", SHORT[1], "--log", "loud:Loud")
    assert len(json.loads(done.stdout)["runs"]) == 2
    assert done.stderr == (
        "made\nended\n"
        "note: --log loud:Loud: run_end raised ValueError: \\x1b[31mred; it is told nothing more, the sweep goes on\n"
    )


@pytest.mark.slow
def test_a_stopped_sweep_ends_for_its_trackers_too(here: Callable[[str, str], Path], cpd_command: Command) -> None:
    here(
        "stopper",
        """
        import json, os, signal
        from cpd.trackers import Tracker

        class Stopper(Tracker):
            def run_end(self, run): os.kill(os.getpid(), signal.SIGINT)
            def sweep_end(self, document): print(json.dumps(document), file=open("end.json", "w"))
        """,
    )
    words = ("sweep", "concave", "--method", "lagrangian", "--engine", "eager", "--fuse", "off")
    done = cpd_command(*words, "--set", SHORT[0], "--set", SHORT[1], "--log", "stopper:Stopper")
    assert done.rc == 130
    document = json.loads(Path("end.json").read_text())
    assert [run["setting"]["dual_lr"] for run in document["runs"]] == [0.1]
    assert document["summary"][0]["settings"] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("tensorboard", f"--log: expected {FORM}, got 'tensorboard'"),
        ("tensorboard:", f"--log: expected {FORM}, got 'tensorboard:'"),
        ("my-module:Class", f"--log: expected {FORM}, got 'my-module:Class'"),
        ("recorder", f"--log: expected {FORM}, got 'recorder'"),
        (
            "nowhere.at_all:Class",
            f"--log nowhere.at_all:Class: 'nowhere.at_all' cannot be imported: ModuleNotFoundError: {THEIRS}"
            "'nowhere'; install it, or put it in the current folder",
        ),
        (
            "recorder:Recordr",
            "--log recorder:Recordr: no class 'Recordr' in 'recorder'; did you mean 'Recorder'? Valid: Recorder",
        ),
        ("json:dumps", f"--log json:dumps: 'dumps' is not a tracker; {DERIVE}"),
        (
            "json:JSONDecoder",
            "--log json:JSONDecoder: 'JSONDecoder' is not a tracker; derive it from cpd.trackers.Tracker",
        ),
    ],
)
def test_words_that_name_no_tracker_are_refused(
    here: Callable[[str, str], Path], words: str, message: str, tmp_path: Path
) -> None:
    here("recorder", RECORDER)
    with pytest.raises(CpdError) as caught:
        sweep(words, keep=True)
    message = f"cpd.sweep(): trackers: {message.partition(': ')[2]}"
    assert ours(str(caught.value), message) == message
    assert not (tmp_path / ".cpd").exists()


@pytest.mark.slow
def test_the_command_line_refuses_them_in_one_line(cpd_command: Command) -> None:
    done = cpd_command("sweep", "concave", "--log", "tensorboard")
    assert (done.rc, done.stdout, done.stderr) == (2, "", f"cpd: --log: expected {FORM}, got 'tensorboard'\n")


def test_tensorboard_missing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(CpdError) as caught:
        open_trackers(["tensorboard:logs"], print)
    assert str(caught.value) == f"--log: needs tensorboard; {install('tensorboard')}"


def test_every_training_command_takes_trackers(cpd_command: Command) -> None:
    for command in ("sweep", "compare", "bisect"):
        assert "--log" in cpd_command(command, "--help").stdout


def test_tensorboard_files_read_back_as_they_were(here: Callable[[str, str], Path], tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = sweep(f"tensorboard:{tmp_path / 'logs'}")
    folders = sorted((tmp_path / "logs" / "concave").iterdir())
    assert [folder.name for folder in folders] == sorted(run_name(run) for run in result.document["runs"])
    for run, points in zip(result.document["runs"], result.curves, strict=True):
        read = EventAccumulator(str(tmp_path / "logs" / "concave" / run_name(run)))
        read.Reload()
        scalars = {tag: [(e.step, e.value) for e in read.Scalars(tag)] for tag in read.Tags()["scalars"]}
        for tag, values in curves(points):
            assert scalars.pop(tag) == [
                pytest.approx(pair, rel=1e-6) for pair in zip(points["steps"], values, strict=True)
            ]
        final = {"objective": run["objective"], "feasible": float(run["feasible"]), **run["metrics"]}
        assert scalars == {f"final/{n}": [pytest.approx((20, v), rel=1e-6)] for n, v in final.items()}
        assert hyperparameters(read) == {
            "method": "lagrangian",
            "seed": 1.0,
            "dual_lr": run["setting"]["dual_lr"],
            "update": "simultaneous",
            "level of g": 0.5,
        }


def hyperparameters(read: Any) -> dict[str, Any]:
    """What TensorBoard's hyperparameter tab shows of a run."""
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    content = read.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    values = HParamsPluginData.FromString(content).session_start_info.hparams
    return {n: v.string_value if v.HasField("string_value") else v.number_value for n, v in values.items()}


def test_curves_of_a_vector_constraint_are_one_each_and_gaps_stay_gaps() -> None:
    points = {"steps": [0, 1], "objective": [1.0, None], "constraints": {"v": [[1.0, 2.0], None]}, "multipliers": {}}
    assert list(curves(points)) == [
        ("objective", [1.0, None]),
        ("constraints/v/0", [1.0, None]),
        ("constraints/v/1", [2.0, None]),
    ]


def test_run_names_are_folders_anywhere_and_never_the_same() -> None:
    run = {"method": "a/b", "setting": {"c": [1, 2]}, "levels": {"g": 0.5}, "seed": 1, "id": "c1:12ab"}
    assert run_name(run) == "a_b-c=_1__2_-g=0.5-seed=1-12ab"
    long = [run | {"setting": {"c": "x" * 300}, "id": f"c1:{k}"} for k in range(2)]
    assert len({run_name(one) for one in long}) == 2
    assert all(len(run_name(one)) < 255 for one in long)


def example(name: str) -> str:
    """The Python of the page's section that says ``In `NAME.py```."""
    after = PAGE.read_text(encoding="utf-8").split(f"In `{name}.py`", 1)[1]
    return after.split("```python\n", 1)[1].split("```", 1)[0]


@pytest.fixture
def page() -> None:
    if not PAGE.exists():
        pytest.skip("the pages are not beside the tests")


@pytest.mark.slow
@pytest.mark.usefixtures("page")
def test_the_mlflow_example_logs_to_a_local_store(
    here: Callable[[str, str], Path], tmp_path: Path, cpd_command: Command
) -> None:
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    here("mlflow_tracker", example("mlflow_tracker"))
    words = ("sweep", "concave", "--method", "lagrangian", "--engine", "eager", "--no-store", "--format", "json")
    uri = (tmp_path / "mlruns").as_uri()
    env = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = cpd_command(*words, "--set", SHORT[0], "--set", SHORT[1], "--log", "mlflow_tracker:MLflow", env=env)
    assert "raised" not in done.stderr
    document = json.loads(done.stdout)
    logged = read_mlflow(tmp_path / "mlruns")
    assert sorted(logged) == sorted(run_name(run) for run in document["runs"])
    for run in document["runs"]:
        found = logged[run_name(run)]
        setting = {name: str(value) for name, value in run["setting"].items()}
        assert found["params"] == {"method": "lagrangian", "seed": "1", **setting}
        assert found["tags"]["feasible"] == str(run["feasible"])
        assert found["metrics"]["final objective"] == [(0, pytest.approx(run["objective"]))]
        assert found["metrics"]["constraints/g"][-1] == (19, pytest.approx(found["metrics"]["constraints/g"][-1][1]))
        assert len(found["metrics"]["objective"]) == 20


def read_mlflow(folder: Path) -> dict[str, dict[str, Any]]:
    """What MLflow's file store holds, read from its files: the library itself has no part in it."""
    found = {}
    for meta in folder.glob("*/*/meta.yaml"):
        run = meta.parent
        read: dict[str, dict[str, Any]] = {kind: texts(run / kind) for kind in ("params", "tags", "metrics")}
        lines = {name: [line.split() for line in text.splitlines()] for name, text in read["metrics"].items()}
        read["metrics"] = {name: [(int(step), float(v)) for _, v, step, *_ in rows] for name, rows in lines.items()}
        found[read["tags"]["mlflow.runName"]] = read
    return found


def texts(folder: Path) -> dict[str, str]:
    """The text of every file in a folder, by its path there."""
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


class StubRun:
    """Stands in for what ``wandb.init`` returns: the service needs an account."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.summary: dict[str, Any] = {}
        self.finished = False

    def __enter__(self) -> "StubRun":
        return self

    def __exit__(self, *_: object) -> None:
        self.finished = True

    def log(self, values: dict[str, float], step: int) -> None:
        self.logged.append((step, values))


@pytest.mark.usefixtures("page")
def test_the_wandb_example_logs_each_run(here: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[StubRun] = []
    stub = types.ModuleType("wandb")

    def init(**options: Any) -> StubRun:
        made.append(StubRun(**options))
        return made[-1]

    monkeypatch.setattr(stub, "init", init, raising=False)
    monkeypatch.setitem(sys.modules, "wandb", stub)
    here("wandb_tracker", example("wandb_tracker"))
    notes = Notes()
    result = sweep("wandb_tracker:WandB", listener=notes)
    assert notes.notes == []
    assert [one.options["name"] for one in made] == [run_name(run) for run in result.document["runs"]]
    for one, run, points in zip(made, result.document["runs"], result.curves, strict=True):
        assert one.finished
        assert one.options["project"] == "concave"
        assert one.options["config"] == {"method": "lagrangian", "seed": 1, **run["setting"], "levels": {"g": 0.5}}
        assert one.logged[-1] == (19, {name: values[-1] for name, values in curves(points)})
        assert one.summary == {"objective": run["objective"], "feasible": run["feasible"], **run["metrics"]}


def test_a_tracker_that_overrides_nothing_is_quiet() -> None:
    tracker = Tracker()
    run = rate_run("penalized", {"coefficient": 1}, 0.7, 0.1, status=Status.COMPLETED)
    assert [getattr(tracker, hook)(*[run] * (2 if hook == "points" else 1)) for hook in HOOKS] == [None] * 5
