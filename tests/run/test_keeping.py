"""Whose weights a command keeps: of the best alone by the end, a batch's worth more on the way, and never another's."""

import json
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import InProcess
from large_models import write_large
from safetensors.torch import load_file
from sweep_results import STORE

from cpd.engine import model_file
from cpd.store.models import folder_of
from cpd.trackers import Tracker

MODELS = folder_of(STORE)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    return InProcess(tmp_path, monkeypatch, capsys)


def kept() -> set[str]:
    """The ids of the runs whose weights are kept, none of them half."""
    assert not [path for path in MODELS.glob("*") if path.suffix != ".safetensors"]
    for path in MODELS.glob("*"):
        assert model_file.read(path)[1].run == path.stem
    return {path.stem for path in MODELS.glob("*")}


def document(command: InProcess, *words: str, said: str | None = None) -> dict[str, Any]:
    done = command(*words, "--format", "json")
    assert done.rc in (0, 3), done.stderr
    if said is not None:
        assert said in done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def best(found: dict[str, Any]) -> set[str]:
    """Of each method at each level, every seed of the setting that the summary calls the best."""
    return {
        run["id"]
        for run in found["runs"]
        for row in found["summary"]
        if (run["method"], run["setting"]) == (row["method"], row["best_setting"])
        and run["levels"] == row.get("levels", run["levels"])
    }


def check_rows(found: dict[str, Any], wanted: set[str]) -> None:
    """Those that are wanted are kept, and each run says whether it is one of them."""
    assert kept() == wanted
    for run in found["runs"]:
        assert run["model"] == (str(MODELS / f"{run['id']}.safetensors") if run["id"] in wanted else None)


MANY = ("sweep", "mine.yaml", "--set", "train.steps=40", "--seeds", "1,2", "--levels", "g=0.3,0.7")
CUTS = [(), ("--fuse", "5"), ("--fuse", "1"), ("--jobs", "2", "--fuse", "3")]


@pytest.mark.parametrize(
    "cut", [cut if k < 2 else pytest.param(cut, marks=pytest.mark.slow) for k, cut in enumerate(CUTS)]
)
def test_the_best_of_each_method_at_each_level_is_kept_however_runs_are_cut(
    cut: tuple[str, ...], command: InProcess
) -> None:
    words = (*MANY, "--set", "penalized.coefficient=0.01:3:4:log", "--set", "lagrangian.dual_lr=0.1,1")
    found = document(command, *words, *cut)
    assert len(found["runs"]) == 24
    wanted = best(found)
    assert len(wanted) == 6  # one method at one of two levels has none; of both seeds
    check_rows(found, wanted)
    assert document(command, "show") == found
    assert document(command, *words, *cut, said="24 of 24 runs found") == found


def test_what_is_asked_for_is_kept(command: InProcess) -> None:
    found = document(command, *MANY, "--keep-models", "none")
    check_rows(found, set())
    assert not MODELS.exists()
    for mode in ("feasible", "all"):
        found = document(
            command, *MANY, "--keep-models", mode, said="note: trained again for their weights, which are not there: "
        )
        check_rows(found, {run["id"] for run in found["runs"] if run["feasible"] or mode == "all"})
        assert document(command, *MANY, "--keep-models", mode) == found
    everything = kept()
    found = document(command, *MANY)
    assert kept() == everything  # those of an earlier command
    document(command, *MANY, "--no-store", "--keep-models", "all", said="note: no weights are kept where nothing is")
    done = command(*MANY, "--keep-models", "few")
    assert (done.rc, done.stdout) == (2, "")
    assert "--keep-models" in done.stderr
    assert "best" in done.stderr


def test_a_run_without_weights_is_trained_again_only_where_they_are_asked_for_by_name(command: InProcess) -> None:
    first = document(command, *MANY, "--keep-models", "none")
    again = command(*MANY, "--format", "json")
    assert json.loads(again.stdout) == first
    assert "again" not in again.stderr
    assert kept() == set()
    found = document(command, *MANY, "--keep-models", "best", said=": 2 of 16 runs")
    check_rows(found, best(first))
    assert [{**run, "model": None} for run in found["runs"]] == first["runs"]
    for run in found["runs"]:
        if run["model"]:
            tensors = load_file(run["model"])
            x = torch.linspace(0, 1, 8).tolist()
            mean = sum(tensors["weight"].item() * v + tensors["bias"].item() for v in x) / 8
            assert mean == pytest.approx(run["constraints"]["g"]["value"], abs=1e-12)


def test_a_search_keeps_every_seed_of_the_coefficient_that_it_reports(command: InProcess) -> None:
    seen = []

    class Looking(Tracker):
        def run_start(self, run: Any) -> None:
            seen.append(len(kept()))

    command.monkeypatch.setitem(sys.modules, "looking", sys.modules[__name__])
    command.monkeypatch.setattr(sys.modules[__name__], "Looking", Looking, raising=False)
    words = ("bisect", "mine.yaml", "--target-g", "0.5", "--set", "train.steps=60", "--seeds", "1,2", "--low", "0.001")
    found = document(command, *words, "--high", "10", "--log", "looking:Looking")
    iterations = [i for i in found["search"]["iterations"] if i["value"] is not None]
    nearest = min(iterations, key=lambda i: abs(i["value"] - 0.5))
    check_rows(found, {run["id"] for run in found["runs"] if run["setting"]["coefficient"] == nearest["coefficient"]})
    assert len(iterations) > 4
    assert max(seen) <= 2


# Other sweeps


def test_a_run_that_another_sweep_keeps_stays(command: InProcess) -> None:
    low = document(command, "sweep", "mine.yaml", "--set", "penalized.coefficient=0.3", "--method", "penalized")
    (own,) = best(low)
    more = ("sweep", "mine.yaml", "--set", "penalized.coefficient=0.01,0.1,0.3,1,3", "--method", "penalized")
    for words in (more, (*more, "--fresh")):  # trained anew, it is this command's file too
        found = document(command, *words)
        assert own not in best(found)
        assert kept() == best(found) | {own}
    for _ in range(2):
        command("rm", "last", "--yes")
        assert command("gc").stderr.startswith("0 models that no sweep keeps are gone")
    assert kept() == {own}


def test_what_no_sweep_keeps_is_collected(command: InProcess) -> None:
    found = document(command, *MANY, "--keep-models", "feasible")
    wanted = kept()
    content = (MODELS / f"{next(iter(wanted))}.safetensors").read_bytes()
    infeasible = next(run["id"] for run in found["runs"] if not run["feasible"])
    for name in ("c1:0123456789abcdef", infeasible):
        (MODELS / f"{name}.safetensors").write_bytes(content)
    (MODELS / ".cpd-c1:0.safetensors-01234567.tmp").write_bytes(b"half")
    (MODELS / "notes.txt").write_text("mine")
    freed = 2 * len(content) + 4
    assert command("gc").stderr == f"2 models that no sweep keeps are gone, {freed / 1000:.1f} kB freed\n".replace(
        "0.9 kB", f"{freed} B"
    )
    assert {path.stem for path in MODELS.glob("*.safetensors")} == wanted
    assert sorted(path.name for path in MODELS.iterdir() if path.suffix != ".safetensors") == ["notes.txt"]
    (MODELS / "notes.txt").unlink()
    assert command("gc").stderr == "0 models that no sweep keeps are gone, 0 B freed\n"
    document(command, "show")
    assert command("rm", "last", "--yes").rc == 0
    assert not MODELS.exists()


READS = """\
import torch

import cpd


class Reads(cpd.Problem):
    def data(self):
        with open("target.txt") as file:
            return (torch.full((2,), float(file.read())),)

    def model(self):
        return torch.nn.Linear(1, 1, bias=False)

    def evaluate(self, model, batch):
        x = model.weight.mean()
        if model.training is False:
            open("late.txt").close()
        return cpd.Evaluation((x - batch[0]).square().mean(), {"x": x})
"""


def test_a_run_that_reads_files_has_its_weights_under_its_own_id(command: InProcess) -> None:
    command.write("reads.py", READS)
    command.write("late.txt", "")
    command.edit("mine.yaml", "mine.py:Mine", "reads.py:Reads")
    command.edit("mine.yaml", "{g:", "{x:")
    found = []
    for target in ("0.1", "0.2"):
        command.write("target.txt", target)
        found.append(document(command, "sweep", "mine.yaml", "--keep-models", "all"))
    own = [{run["id"] for run in each["runs"]} for each in found]
    assert kept() == own[0] | own[1]
    assert not own[0] & own[1]


# How much there is on the way


class Watched:
    """Sees how much is kept, all the time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.most = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watched":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.002):
            self.most = max(self.most, sum(1 for path in self.folder.glob("*") if path.suffix == ".safetensors"))


@pytest.mark.parametrize(
    ("runs", "size", "fuse", "jobs"),
    [
        (30, 1000, 5, 1),
        pytest.param(400, 250_000, 50, 1, marks=pytest.mark.slow),
        pytest.param(60, 250_000, 10, 2, marks=pytest.mark.slow),
    ],
)
def test_a_batch_is_kept_at_most_beside_the_best(
    runs: int, size: int, fuse: int, jobs: int, command: InProcess, tmp_path: Path
) -> None:
    write_large(tmp_path, runs, size)
    with Watched(tmp_path / MODELS) as watched:
        found = document(command, "sweep", "large.yaml", "--fuse", str(fuse), "--jobs", str(jobs))
    check_rows(found, best(found))
    assert len(kept()) == 1
    assert fuse / 2 < watched.most <= jobs * fuse + 1
    (path,) = MODELS.iterdir()
    assert 4 * size < path.stat().st_size < 4 * size + 1000
