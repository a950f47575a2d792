"""Sweeps on several workers, here and on a Dask cluster: the same numbers, and faults that cost one run only."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import executor_work as works
import pytest
from commands import ROOT
from dask_cluster import Cluster, free_port
from executor_events import alive, until

import cpd
from cpd.run.options import Options

pytest.importorskip("distributed", reason="the extra 'dask' is not installed")

# A scheduler that goes away leaves sockets to the garbage collector, which tornado does not close in time.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

PATH = os.pathsep.join([str(Path(works.__file__).parent), os.environ.get("PYTHONPATH", "")])
"""Where workers find what tests ask of them."""

ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}

FIGURE2 = ("--seeds", "0:4", "--set", "train.steps=150", "--engine", "captured", "--fuse", "40", "--format", "json")

HELD = """
# Figure 2 again, but the first process that begins never gets its model.
import os
import time
from pathlib import Path

from cpd.problems.rate import Rate


class Held(Rate):
    def model(self):
        try:
            with Path({path!r}).open("x") as file:
                file.write(str(os.getpid()))
        except FileExistsError:
            return super().model()
        while True:
            time.sleep(1)
"""

SMALL = """
import os
import time
from pathlib import Path

import torch
import cpd


class Small(cpd.Problem):
    def model(self):
        self.prepare(torch.initial_seed())
        return torch.nn.Linear(2, 1)

    def evaluate(self, model, batch):
        x = model(torch.ones(2)).sum()
        return cpd.Evaluation((x - 2) ** 2, {"x": x})

    def prepare(self, seed):
        PREPARE
"""
SMALL_TASK = """
problem: small.py:Small
constraints: {x: "<= 1"}
train: {steps: STEPS, optimizer: {name: SGD, lr: 0.05}}
seeds: 0:8
methods: {lagrangian: {dual_lr: 0.2}}
"""
ENDLESS = 5_000_000
"""Steps of a training that no test waits for; it asks whether to stop every 5,000 or so."""


def small_task(folder: Path, prepare: str = "pass", steps: int = 50) -> Path:
    """A problem of eight seeds; ``prepare`` is what it does for a seed before the model is there."""
    body = dedent(prepare).strip().replace("\n", "\n        ")
    (folder / "small.py").write_text(SMALL.replace("PREPARE", body))
    (folder / "small.yaml").write_text(SMALL_TASK.replace("STEPS", str(steps)))
    return folder / "small.yaml"


_started: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _end_what_a_failed_test_left() -> Iterator[None]:
    yield
    while _started:
        process = _started.pop()
        if process.poll() is None:
            process.kill()
            process.communicate()


def start(*words: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """A cpd command in a process group of its own."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "cpd", *words],
        cwd=cwd,
        env=ENVIRONMENT | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    _started.append(process)
    return process


def wait(process: subprocess.Popen[str], condition: Callable[[], Any]) -> None:
    """Wait for something that a command brings about, as long as it goes on."""
    until(lambda: condition() or process.poll() is not None)
    assert process.poll() is None, process.communicate()


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate()
    return process.returncode, out, err


def command(*words: str, cwd: Path, **environment: str) -> tuple[int, str, str]:
    return finish(start(*words, cwd=cwd, **environment))


def runs(out: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(out)["runs"]
    return found


def numbers(out: str) -> list[Any]:
    """All that a sweep's JSON says of its runs but their ids, which hash the problem's text, and their time."""
    return [{k: v for k, v in run.items() if k not in ("seconds", "id", "model")} for run in runs(out)]


def stored_runs(folder: Path) -> int:
    store = folder / ".cpd" / "runs.sqlite"
    if not store.exists():
        return 0
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])
    except sqlite3.OperationalError:  # the tables are not there yet
        return 0
    finally:
        connection.close()


def workers_of(parent: int) -> list[int]:
    """The loky worker processes of a command."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and b"LokyProcess" in _read(folder / "cmdline"):
            fields = _read(folder / "stat").rpartition(b")")[2].split()
            found += [int(folder.name)] if fields and int(fields[1]) == parent else []
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return b""


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Figure 2's numbers from one process."""
    code, out, err = command("sweep", "figure2", *FIGURE2, "--jobs", "1", cwd=tmp_path_factory.mktemp("one"))
    assert code == 0, err
    assert len(runs(out)) == 160
    assert {run["status"] for run in runs(out)} == {"completed"}
    return numbers(out)


Begin = Callable[..., Cluster]


@pytest.fixture(scope="module")
def begin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Begin]:
    """Start clusters, each in a folder of its own; they end with the tests, whatever happens."""
    started: list[Cluster] = []

    def begin(workers: int, *options: str, environment: Mapping[str, str] = ENVIRONMENT, **more: Any) -> Cluster:
        started.append(Cluster(tmp_path_factory.mktemp("cluster"), {**environment, "PYTHONPATH": PATH}, **more))
        started[-1].start_scheduler()
        for _ in range(workers):
            started[-1].start_worker(*options)
        return started[-1]

    yield begin
    for cluster in started:
        cluster.stop()


@pytest.fixture(scope="module")
def cluster(begin: Begin) -> Cluster:
    """Two worker processes of one thread each."""
    return begin(2)


def on(cluster: Cluster) -> tuple[str, ...]:
    return ("--backend", "dask", "--scheduler", cluster.address)


@pytest.fixture(params=["loky", "dask"])
def where(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Two workers, as the command line names them."""
    return ("--jobs", "2") if request.param == "loky" else on(request.getfixturevalue("cluster"))


# The same numbers.


def test_two_workers_give_the_numbers_of_one_process(
    where: tuple[str, ...], one_process: list[Any], tmp_path: Path
) -> None:
    code, out, err = command("sweep", "figure2", *FIGURE2, *where, cwd=tmp_path)
    assert (code, numbers(out)) == (0, one_process), err
    found = json.loads(out)
    best = {(row["method"], str(row["best_setting"])) for row in found["summary"]}
    kept = {run["id"] for run in found["runs"] if (run["method"], str(run["setting"])) in best}
    assert {path.stem for path in (tmp_path / ".cpd" / "models").iterdir()} == kept != set()


def test_a_worker_killed_midway_costs_no_run_and_no_digit(
    where: tuple[str, ...], one_process: list[Any], tmp_path: Path
) -> None:
    first = tmp_path / "first"
    (tmp_path / "held.py").write_text(HELD.format(path=str(first)))
    (tmp_path / "held.yaml").write_text("task: rate\nproblem: held.py:Held\n")
    process = start("sweep", "held.yaml", "-m", "penalized", "-m", "lagrangian", *FIGURE2, *where, cwd=tmp_path)
    wait(process, lambda: first.exists() and first.read_text() and stored_runs(tmp_path) >= 40)
    os.kill(int(first.read_text()), signal.SIGKILL)
    code, out, err = finish(process)
    assert (code, numbers(out)) == (0, one_process), err
    assert stored_runs(tmp_path) == 160
    if "--jobs" in where:
        reason = "its process was killed (SIGKILL: out of memory, or from outside)"
        assert err == f"note: a batch of 40 runs: {reason}; tried again whole\n"
    else:  # how many are left depends on who looks first, the nanny or we; perhaps all is done by then
        lost = r"note: worker tcp://127\.0\.0\.1:\d+ is lost, [0-2] left; its batches go elsewhere\n"
        assert re.fullmatch(f"({lost})?", err)


def test_what_a_worker_of_several_threads_does_is_right_and_advised_against(begin: Begin, tmp_path: Path) -> None:
    task = small_task(tmp_path, steps=400)
    noisy = (tmp_path / "small.py").read_text().replace(".sum()", ".sum() + torch.randn(())")  # from the one generator
    (tmp_path / "small.py").write_text(noisy)
    sweep = ("sweep", str(task), "--fuse", "2", "--engine", "eager", "--no-store", "--format", "json")
    _, alone, err = command(*sweep, "--jobs", "1", cwd=tmp_path)
    _, out, err = command(*sweep, *on(begin(1, "--nthreads", "3")), cwd=tmp_path)
    assert numbers(out) == numbers(alone)
    assert err == (
        "note: workers have up to 3 threads and train one batch at a time: "
        "start more workers of one thread each (dask worker --nthreads 1 --nworkers N)\n"
    )


def test_the_problem_travels_to_workers_that_do_not_have_its_file(begin: Begin, tmp_path: Path) -> None:
    there = begin(0)
    task = small_task(tmp_path)
    process = start("sweep", str(task), *on(there), "--format", "json", cwd=tmp_path)
    wait(process, lambda: _sweeps(tmp_path))  # the spec is read by now
    (tmp_path / "small.py").unlink()
    there.start_worker()
    code, out, err = finish(process)
    assert (code, err) == (0, "")
    assert [run["status"] for run in runs(out)] == ["completed"] * 8


def _sweeps(folder: Path) -> bool:
    store = folder / ".cpd" / "runs.sqlite"
    try:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
            return bool(connection.execute("SELECT count(*) FROM sweeps").fetchone()[0])
    except sqlite3.OperationalError:
        return False


# What is shared between workers: cores, and the data in each.

READS = """
import os
from pathlib import Path

import torch
import cpd

FOLDER = Path({folder!r})


class Squares(torch.utils.data.Dataset):
    def __len__(self):
        return 5

    def __getitem__(self, k):
        with Path(FOLDER, f"read_{{os.getpid()}}").open("a") as file:
            file.write(f"{{k}}\\n")
        return torch.tensor([float(k)]), torch.tensor(float(torch.get_num_threads()))


class Reads(cpd.Problem):
    def data(self):
        return Squares()

    def model(self):
        return torch.nn.Linear(1, 1)

    def evaluate(self, model, batch):
        x, threads = batch
        y = model(x).mean()
        openmp = torch.tensor(float(os.environ["OMP_NUM_THREADS"]))
        return cpd.Evaluation((y - 2) ** 2, {{"y": y}}, metrics={{"threads": threads.max(), "openmp": openmp}})
"""


def test_workers_one_for_each_device_share_the_cores_and_read_a_dataset_once_each(tmp_path: Path) -> None:
    from loky import cpu_count

    (tmp_path / "small.py").write_text(READS.format(folder=str(tmp_path)))
    (tmp_path / "small.yaml").write_text(
        SMALL_TASK.replace("STEPS", "5").replace("x: ", "y: ").replace("Small", "Reads")
    )
    code, out, err = command(
        "sweep", "small.yaml", "--devices", "cpu,cpu", "--fuse", "1", "--format", "json", cwd=tmp_path
    )
    assert code in (0, 3), err
    threads = max(1, cpu_count() // 2)
    assert {run["metrics"]["threads"] for run in runs(out)} == {threads}
    assert {run["metrics"]["openmp"] for run in runs(out)} == {min(threads, int(ENVIRONMENT["OMP_NUM_THREADS"]))}
    read = [path.read_text().split() for path in tmp_path.glob("read_*")]
    assert len(read) == 2  # processes, for eight batches
    once = ["0", "1", "2", "3", "4"]
    # Some are read first, to see whether they are the same each time; the first of them tells the size of all.
    assert read == [[*once, *once, "0", *once]] * 2


LOADS = """
import torch
import cpd


class Numbers(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, k):
        return torch.tensor([float(k)])


class Many(Numbers):
    def __len__(self):
        return 10**12


class Stream(torch.utils.data.IterableDataset):
    def __len__(self):
        return 4

    def __iter__(self):
        return iter([torch.ones(1)] * 4)


class Loads(cpd.Problem):
    def __init__(self, how):
        self.how = how

    def data(self):
        if self.how == "loader":
            return torch.cat(list(torch.utils.data.DataLoader(Numbers(), num_workers=2)))
        return Many() if self.how == "many" else Stream()

    def model(self):
        return torch.nn.Linear(1, 1)

    def evaluate(self, model, batch):
        x = model(batch[0]).mean()
        return cpd.Evaluation((x - 2) ** 2, {"x": x})
"""


def loads_task(folder: Path, how: str) -> Path:
    (folder / "small.py").write_text(LOADS)
    task = SMALL_TASK.replace("STEPS", "5").replace("Small", "Loads")
    (folder / "small.yaml").write_text(f"{task}arguments: {{how: {how}}}\n")
    return folder / "small.yaml"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("stream", r"an IterableDataset has no end at which all examples were seen; write batch_size: NUMBER, or .*"),
        (
            "many",
            r"is all, and the Dataset of small\.py:Loads\.data\(\) needs 3725\.3 GiB in memory "
            r"and [\d.]+ GiB are free; write batch_size: NUMBER",
        ),
    ],
)
def test_a_dataset_that_cannot_be_read_says_what_to_do(how: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(cpd.CpdError) as caught:
        cpd.sweep(str(loads_task(tmp_path, how)), options=Options(keep=False))
    assert re.fullmatch(rf"\S*small\.yaml: train\.batch_size: {message}", str(caught.value))


def test_a_loader_with_processes_says_what_to_do_on_a_dask_cluster(cluster: Cluster, tmp_path: Path) -> None:
    loads_task(tmp_path, "loader")
    code, out, err = command("sweep", "small.yaml", *on(cluster), "--fuse", "4", cwd=tmp_path)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == (
        "cpd: small.py:Loads: Loads.data() raised AssertionError: daemonic processes are not allowed to have children; "
        "return the Dataset itself, or use a DataLoader with num_workers=0"
    )


# Runs that fail.


FEW_DEATHS = ("--retries", "0", "--fuse", "2")


def test_a_run_that_kills_its_process_is_found_and_the_others_complete(where: tuple[str, ...], tmp_path: Path) -> None:
    small_task(tmp_path, "if seed == 5: os._exit(9)")
    code, out, err = command("sweep", "small.yaml", *where, *FEW_DEATHS, "--format", "json", cwd=tmp_path)
    assert code == 1, err
    assert {run["seed"] for run in runs(out) if run["status"] == "completed"} == {0, 1, 2, 3, 4, 6, 7}
    (failed,) = [run for run in runs(out) if run["status"] == "failed"]
    assert failed["seed"] == 5
    reason = failed["error"]
    if "--jobs" in where:
        assert reason == "its process ended with exit code 9"
        assert err.splitlines()[0] == f"note: a batch of 2 runs: {reason}; tried again in halves"
    else:
        assert reason.startswith("its Dask workers died, the last one at tcp://127.0.0.1:")
    shown = f"failed: lagrangian dual_lr=0.2 seed 5: {reason}"
    listed = f"1 run(s) failed with this error, the first with seed 5:\n{reason}"
    assert shown in err.splitlines()
    assert err.rstrip().endswith(listed)
    assert stored_runs(tmp_path) == 8


RAISES = """
if seed == 0:
    raise ValueError("not zero")
while seed == 7 and not Path({folder!r}, "open").exists():
    time.sleep(0.01)
"""


def test_a_failure_is_shown_when_it_happens_and_again_at_the_end(tmp_path: Path) -> None:
    small_task(tmp_path, RAISES.format(folder=str(tmp_path)))
    process = start("sweep", "small.yaml", "--jobs", "2", "--fuse", "2", "--format", "json", cwd=tmp_path)
    assert process.stderr is not None
    first = next(line for line in process.stderr if line.startswith("failed"))  # while another run is held
    assert first == "failed: lagrangian dual_lr=0.2 seed 0: ValueError: not zero\n"
    (tmp_path / "open").touch()
    code, out, err = finish(process)
    assert code == 1
    assert [run["status"] for run in runs(out)] == ["failed"] + ["completed"] * 7
    assert "1 run(s) failed with this error, the first with seed 0:" in err
    assert err.rstrip().endswith("ValueError: not zero")


def test_fail_fast_does_not_wait_for_the_rest(tmp_path: Path) -> None:
    small_task(tmp_path, RAISES.format(folder="/nowhere"))  # the last seed is never ready
    code, out, err = command(
        "sweep", "small.yaml", "--jobs", "2", "--fuse", "1", "--fail-fast", "--format", "json", cwd=tmp_path
    )
    assert code == 1, err
    assert "failed" in {run["status"] for run in runs(out)}
    assert 7 not in {run["seed"] for run in runs(out)}


# Clusters that cannot be reached, or go away.


def test_an_unreachable_scheduler_is_one_line(tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    code, out, err = command("sweep", "rate", "--backend", "dask", "--scheduler", address, "--no-store", cwd=tmp_path)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith(f"cpd: --scheduler: cannot reach a Dask scheduler at '{address}': ")
    assert err.endswith("; start one: dask scheduler\n")


HELD_SEVEN = """
while seed == 7 and not Path({folder!r}, "open").exists():
    Path({folder!r}, "held").touch()
    time.sleep(0.01)
"""


def test_a_cluster_that_goes_away_is_said_and_the_sweep_goes_on_later(begin: Begin, tmp_path: Path) -> None:
    there = begin(1, "--no-nanny")
    assert there.scheduler is not None
    small_task(tmp_path, HELD_SEVEN.format(folder=str(tmp_path)))
    sweep = ("sweep", "small.yaml", "--fuse", "2", "--format", "json")
    again = "run the same command again to go on"

    process = start(*sweep, *on(there), cwd=tmp_path)
    wait(process, lambda: stored_runs(tmp_path) == 6 and (tmp_path / "held").exists())
    there.scheduler.kill()
    code, out, err = finish(process)
    assert (code, out) == (1, "")
    assert err == f"cpd: lost the Dask scheduler at {there.address}; 6 runs are stored: {again}\n"

    there.stop()
    there = begin(1, "--no-nanny")
    process = start(*sweep, *on(there), "--stall-timeout", "4", cwd=tmp_path)
    (tmp_path / "held").unlink()
    until(lambda: (tmp_path / "held").exists() or process.poll() is not None)
    there.workers[0].kill()
    code, out, err = finish(process)
    assert (code, out) == (1, "")
    found, *_, last = err.splitlines()
    assert found == "6 of 8 runs found in the store, 2 to do"
    assert re.sub("on [01] workers", "on N workers", last) == (
        "cpd: nothing finished for 4 s, with 1 batches under way on N workers; if one batch may take that long, "
        f"raise --stall-timeout; 0 runs are stored: {again}"
    )

    (tmp_path / "open").touch()
    code, out, err = command(*sweep, cwd=tmp_path)
    assert code == 0, err
    assert [run["status"] for run in runs(out)] == ["completed"] * 8


# Sweeps that are stopped, or killed.


def training(cluster: Cluster) -> bool:
    """Whether any worker of a cluster trains."""
    import distributed

    with distributed.Client(cluster.address, set_as_default=False) as client:
        return any(client.run(works.trains).values())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_sweep_that_ends_leaves_no_worker_behind(number: signal.Signals, tmp_path: Path) -> None:
    small_task(tmp_path, steps=ENDLESS)
    process = start("sweep", "small.yaml", "--jobs", "2", "--engine", "captured", cwd=tmp_path)
    wait(process, lambda: len(workers_of(process.pid)) == 2)
    workers = workers_of(process.pid)
    if number == signal.SIGKILL:
        process.kill()
    else:
        os.killpg(process.pid, number)  # as a terminal does
    code, out, err = finish(process)
    until(lambda: not any(map(alive, workers)))
    if number == signal.SIGKILL:
        return
    assert (code, out) == (128 + number, "")
    assert err == f"stopped ({number.name}); what was done is stored: run the same command again to go on\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_sweep_that_ends_leaves_nothing_on_the_cluster(
    number: signal.Signals, cluster: Cluster, tmp_path: Path
) -> None:
    small_task(tmp_path, steps=ENDLESS)
    process = start("sweep", "small.yaml", *on(cluster), "--engine", "captured", cwd=tmp_path)
    wait(process, lambda: training(cluster))
    process.send_signal(number)
    code, out, _ = finish(process)
    assert (code, out) == (130 if number == signal.SIGINT else -signal.SIGKILL, "")
    until(lambda: not training(cluster))


# TLS, as the page says.


def block(marker: str) -> str:
    """A fenced block of the page on clusters, the one that contains the marker."""
    page = ROOT / "docs" / "clusters.md"
    found = re.findall(r"^```\w+\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (text,) = [str(text) for text in found if marker in text]
    return text


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates, and is not installed")
def test_a_cluster_behind_tls(begin: Begin, tmp_path: Path) -> None:
    task = small_task(tmp_path)
    own = {"HOME": str(tmp_path), "DASK_CONFIG": str(tmp_path / ".config" / "dask")}
    for commands in (block("openssl req").replace("rsa:4096", "rsa:2048"), block("require-encryption")):
        subprocess.run(["bash", "-ec", commands], env=ENVIRONMENT | own, cwd=tmp_path, check=True, capture_output=True)
    there = begin(1, environment=ENVIRONMENT | own, protocol="tls")
    code, out, err = command("sweep", str(task), *on(there), "--format", "json", cwd=tmp_path, **own)
    assert (code, err) == (0, "")
    assert [run["status"] for run in runs(out)] == ["completed"] * 8
    code, out, err = command("sweep", str(task), *on(there), "--fresh", cwd=tmp_path)  # who has no certificate
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith(f"cpd: --scheduler: cannot reach a Dask scheduler at '{there.address}': ")
