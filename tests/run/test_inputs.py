"""Files that a problem reads: a run is found while they are as they were, and has an id of its own by their content."""

import sqlite3
from pathlib import Path

import pytest
from problem_folders import HERE, swept, write_problem

import cpd
from cpd.trackers import Tracker

READ = f"[float(line) for line in ({HERE} / 'data.csv').read_text().split()]"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs.sqlite"


def test_an_edited_file_is_another_run_and_edited_back_the_first_one(tmp_path: Path, store: Path) -> None:
    task, data = write_problem(tmp_path, READ), tmp_path / "data.csv"
    data.write_text("2\n")
    first = swept(task, store)
    assert (first[0], first[2]) == (2.0, 0)
    assert swept(task, store) == (2.0, first[1], 2)
    data.write_text("5\n")
    second = swept(task, store)
    assert (second[0], second[2]) == (5.0, 0)
    assert second[1] != first[1]
    data.write_text("2\n")
    assert swept(task, store) == (2.0, first[1], 2)
    data.unlink()
    with pytest.raises(cpd.CpdError, match="FileNotFoundError"):
        swept(task, store)
    data.write_text("5\n")
    assert swept(task, store) == (5.0, second[1], 2)


def test_ids_are_the_same_with_and_without_a_store_and_in_workers(tmp_path: Path, store: Path) -> None:
    task = write_problem(tmp_path, READ)
    (tmp_path / "data.csv").write_text("2\n")
    alone = swept(task)
    assert swept(task, store)[:2] == alone[:2]
    assert swept(task, store)[2] == 2


@pytest.mark.slow
def test_workers_tell_what_they_read(tmp_path: Path, store: Path) -> None:
    task = write_problem(tmp_path, READ)
    (tmp_path / "data.csv").write_text("2\n")
    first = swept(task, store, jobs=2, fuse=1)
    assert swept(task, store) == (2.0, first[1], 2)
    (tmp_path / "data.csv").write_text("5\n")
    assert swept(task, store, jobs=2, fuse=1)[0] == 5.0


READS = {
    "at import": (f"V = float(({HERE} / 'data.csv').read_text())\n", "V"),
    "in a helper": ("from helper import V\n", "V"),
    "by numpy": ("import numpy\n", f"numpy.loadtxt({HERE} / 'data.csv')"),
    "by pandas": ("import pandas\n", f"pandas.read_csv({HERE} / 'data.csv', header=None).to_numpy()"),
    "by torch": ("", f"torch.load({HERE} / 'data.pt').tolist()"),
    "in a thread": (
        "from concurrent.futures import ThreadPoolExecutor\n",
        f"list(ThreadPoolExecutor(2).map(lambda p: float(p.read_text()), [{HERE} / 'data.csv']))",
    ),
}


@pytest.mark.parametrize("how", list(READS))
def test_whatever_reads_it(how: str, tmp_path: Path, store: Path) -> None:
    import torch

    before, data = READS[how]
    task = write_problem(tmp_path, data, before)
    (tmp_path / "helper.py").write_text("import pathlib\n" + READS["at import"][0])

    def write(value: float) -> None:
        (tmp_path / "data.csv").write_text(f"{value}\n")
        torch.save(torch.tensor([value]), tmp_path / "data.pt")

    write(2.5)
    assert swept(task, store)[::2] == (2.5, 0)
    assert swept(task, store)[::2] == (2.5, 2)
    write(3.5)
    assert swept(task, store)[::2] == (3.5, 0)


def test_a_file_that_model_reads_counts(tmp_path: Path, store: Path) -> None:
    task = write_problem(tmp_path, "1.0")
    text = (tmp_path / "mine.py").read_text()
    start = f"torch.tensor(float(({HERE} / 'start.txt').read_text()))"
    (tmp_path / "mine.py").write_text(text.replace("torch.zeros(())", start))
    (tmp_path / "start.txt").write_text("1.5")
    first = swept(task, store)
    assert swept(task, store)[2] == 2
    (tmp_path / "start.txt").write_text("2.5")
    second = swept(task, store)
    assert (second[2], second[1] != first[1]) == (0, True)


def test_files_that_the_problem_makes_do_not_count(tmp_path: Path, store: Path) -> None:
    data = (
        f"(({HERE} / 'made.txt').write_text(str(__import__('time').time())), ({HERE} / 'made.txt').read_text(), 2.5)[2]"
    )
    task = write_problem(tmp_path, data)
    first = swept(task, store)
    (tmp_path / "made.txt").write_text("edited")
    assert swept(task, store) == (2.5, first[1], 2)


def test_two_arguments_read_two_files(tmp_path: Path, store: Path) -> None:
    task = Path(write_problem(tmp_path, f"float(({HERE} / self.name).read_text())"))
    text = (tmp_path / "mine.py").read_text()
    init = "    def __init__(self, name):\n        self.name = name\n\n    def data"
    (tmp_path / "mine.py").write_text(text.replace("    def data", init))
    for name, value in (("a", "1.5"), ("b", "2.5")):
        (tmp_path / name).write_text(value)
        (tmp_path / f"{name}.yaml").write_text(task.read_text() + f"arguments: {{name: {name}}}\n")
    a, b = (str(tmp_path / f"{name}.yaml") for name in "ab")
    assert [swept(one, store)[::2] for one in (a, b, a, b)] == [(1.5, 0), (2.5, 0), (1.5, 2), (2.5, 2)]
    (tmp_path / "a").write_text("3.5")
    assert [swept(one, store)[::2] for one in (a, b)] == [(3.5, 0), (2.5, 2)]


def test_a_stored_sweep_shows_its_runs_in_their_places(tmp_path: Path, store: Path) -> None:
    from cpd.store.store import open_store

    task = write_problem(tmp_path, READ)
    (tmp_path / "data.csv").write_text("2\n")
    result = cpd.sweep(task, options=cpd.Options(store=store))
    with open_store(store, "read") as opened:
        stored = opened.load(opened.resolve("last"))
        assert [run.key.id for run in stored.runs] == [run["id"] for run in result.document["runs"]]
        assert (stored.info.runs, stored.info.completed, stored.found) == (2, 2, 0)
    with open_store(store, "write") as opened:
        opened.remove(opened.resolve("last"))
    connection = sqlite3.connect(store)
    left = [
        connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("runs", "run_inputs", "inputs")
    ]
    connection.close()
    assert left == [0, 0, 0]


def test_fresh_replaces_the_run_of_the_same_content(tmp_path: Path, store: Path) -> None:
    task = write_problem(tmp_path, READ)
    (tmp_path / "data.csv").write_text("2\n")
    first = swept(task, store)
    assert swept(task, store, fresh=True) == (2.0, first[1], 0)
    assert swept(task, store) == (2.0, first[1], 2)


class Ids(Tracker):
    """Keeps the ids that it hears."""

    heard: list[tuple[str, str]]

    def run_start(self, run: object) -> None:
        self.heard.append(("start", run["id"]))  # type: ignore[index]

    def points(self, run: object, points: object) -> None:
        self.heard.append(("points", run["id"]))  # type: ignore[index]

    def run_end(self, run: object) -> None:
        self.heard.append(("end", run["id"]))  # type: ignore[index]

    def sweep_end(self, document: object) -> None:
        self.heard += [("shown", run["id"]) for run in document["runs"]]  # type: ignore[index]


def test_trackers_hear_of_a_run_under_one_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Ids.heard = []
    monkeypatch.setattr("cpd.run.execution.open_trackers", _trackers)
    task = write_problem(tmp_path, READ)
    (tmp_path / "data.csv").write_text("2\n")
    result = cpd.sweep(task, options=cpd.Options(keep=False))
    by_event = {
        event: sorted(name for e, name in Ids.heard if e == event) for event in ("start", "points", "end", "shown")
    }
    assert by_event["start"] == by_event["points"] == by_event["end"]
    assert by_event["shown"] == sorted(str(run["id"]) for run in result.document["runs"])


def _trackers(texts: object, say: object, callbacks: object) -> object:
    from cpd.run.trackers import Named, Trackers

    return Trackers([Named("ids", Ids())], print)


def test_an_edited_file_is_not_trained_on_from_an_old_checkpoint(tmp_path: Path) -> None:
    from dataclasses import replace

    from cpd.engine.checkpointing import Keeper
    from cpd.engine.prepared import Prepared
    from cpd.engine.preparing import Builder
    from cpd.engine.training import Training
    from cpd.run.batches import Batches
    from cpd.spec.identity import runs
    from cpd.spec.reader import load_task

    task = load_task(write_problem(tmp_path, READ))
    names = []
    for value in ("2\n", "5\n", "2\n"):
        (tmp_path / "data.csv").write_text(value)
        batch = Batches("sweep", task, cpd.Options(), tmp_path / "kept", False).of(tuple(runs(task)))
        group = next(iter(Builder(batch).groups()))
        assert isinstance(group, Prepared)
        training = Training.begin(group, batch.constraints, batch.train, batch.prune)
        keeper = Keeper(replace(batch, checkpoint_every=0.0), print)
        keeper.save(training)
        names.append({path.name for path in Path(str(batch.checkpoint)).iterdir()})
    assert len(names[0]) == 1
    assert len(names[1]) == 2
    assert names[2] == names[1]
