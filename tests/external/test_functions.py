"""Plain functions: what they are given, what they may return, and what becomes of those that fail or hang."""

import re
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from program_tasks import refused, sweep

from cpd.external.job import do
from cpd.outcome import Run, Status
from cpd.run.external import ExternalTrainer, Jobs
from cpd.run.options import Options
from cpd.spec.identity import runs
from cpd.spec.reader import load_task

TASK = """\
problem: mine.py:train
objective: loss
constraints: {density: "<= 0.5"}
methods: {penalized: {coefficient: {values: [VALUES]}}}
"""

Make = Callable[..., Path]

SWALLOWING = """\
import time
while True:
    try:
        time.sleep(30)
    except BaseException:
        pass
"""


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def write(body: str, values: str = "1", more: str = "", signature: str = "setting, levels, seed, folder") -> Path:
        text = body if "def train" in body else f"def train({signature}):\n{textwrap.indent(body, '    ')}"
        (tmp_path / "mine.py").write_text(text + "\n")
        path = tmp_path / "task.yaml"
        path.write_text(TASK.replace("VALUES", values) + more)
        return path

    return write


def one(path: Path, **options: Any) -> Run:
    (run,) = sweep(path, **options)
    return run


def test_a_function_that_returns_a_dict(make: Make) -> None:
    share = '"density": {"hits": 3, "of": 10}, "levels": levels["density"]'
    run = one(make(f'return {{"loss": setting["coefficient"], {share}}}'))
    assert (run.status, run.objective, run.constraints["density"].value) == (Status.COMPLETED, 1.0, 0.3), run.error
    assert run.metrics == {"levels": 0.5}


def test_a_function_that_says_its_result(make: Make) -> None:
    run = one(make("import cpd\ncpd.result(loss=2, density=0.25)"))
    assert (run.objective, run.constraints["density"].value) == (2.0, 0.25), run.error


def test_a_function_that_returns_an_evaluation(make: Make) -> None:
    body = """
        import torch, cpd
        def train(setting, levels, seed, folder):
            right = torch.tensor([1.0, 1.0, 0.0, 1.0])
            soft = torch.tensor([0.9, 0.8, 0.1, 0.7])
            return cpd.Evaluation(torch.tensor(2.0), {"density": cpd.share(soft)}, strict={"density": cpd.share(right)},
                                  metrics={"norm": torch.tensor(3)})
    """
    run = one(make(textwrap.dedent(body)))
    assert run.error is None
    outcome = run.constraints["density"]
    assert outcome.value == 0.75
    assert outcome.surrogate == pytest.approx(0.625)
    assert outcome.evidence is not None
    assert outcome.evidence.counted == ((3.0, 4.0),)
    assert (run.objective, run.metrics) == (2.0, {"norm": 3.0})


@pytest.mark.parametrize(
    "signature", ["setting, levels, seed, folder", "a, b, c, d", "*, seed, setting", "setting, **others", "setting, /"]
)
def test_what_a_function_is_given(make: Make, signature: str) -> None:
    if signature == "setting, /":
        assert "does not take (setting, levels, seed, folder)" in str(one(make("return 1", signature=signature)).error)
        return
    name = "a" if signature.startswith("a") else "setting"
    assert one(make(f'return {{"loss": {name}["coefficient"], "density": 0}}', signature=signature)).objective == 1


def test_arguments_are_given_by_name(make: Make) -> None:
    path = make('return {"loss": width, "density": 0}', more="arguments: {width: {values: [2, 3]}}\n",
                signature="setting, seed, width")  # fmt: skip
    assert [run.objective for run in sweep(path)] == [2.0, 3.0]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise ValueError('too much')", "ValueError: too much"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import asyncio\nraise asyncio.CancelledError", "asyncio.exceptions.CancelledError"),
        ("pass", "it returned NoneType, and neither a dict nor a cpd.Evaluation"),
        ("return {'loss': 1}", "its result lacks the constraint 'density'"),
        ("return {'loss': object(), 'density': 1}", "it returned a value that is no number"),
        ("import os\nos._exit(7)", "its process ended with exit code 7"),
        ("import os\nos.kill(os.getpid(), 9)", "its process was killed (SIGKILL"),
        ("async def train(setting): return 1", "is asynchronous"),
        ("from os import nothing\ndef train(setting): return 1", "ImportError"),
    ],
)
def test_a_function_that_fails(make: Make, body: str, words: str) -> None:
    run = one(make(body))
    assert run.status is Status.FAILED
    assert words in (run.error or "")
    assert "external" not in (run.error or ""), "frames of cpd's own"


@pytest.mark.parametrize(
    "body",
    ["import time\ntime.sleep(30)", SWALLOWING, "import hashlib\nhashlib.pbkdf2_hmac('sha256', b'a', b'b', 10**9)"],
)
def test_a_function_that_takes_too_long(make: Make, body: str) -> None:
    run = one(make(body, more="timeout: 1\n"), retries=0)
    assert run.status is Status.FAILED
    assert "it took longer than timeout: 1 s, and was ended" in str(run.error)


def test_what_it_prints_goes_to_its_log(make: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    one(make("import os\nprint('hello')\nos.system('echo child')\nreturn {'loss': 1, 'density': 1}"))
    (log,) = tmp_path.glob(".cpd/work/*/log.txt")
    assert log.read_text() == "hello\nchild\n"
    assert capfd.readouterr().out == ""


def test_its_luck_does_not_depend_on_who_was_before_it(make: Make) -> None:
    body = "import random\nimport numpy\nreturn {'loss': random.random() + numpy.random.rand(), 'density': 1}"
    first, second = sweep(make(body, values="1, 2"))
    assert first.objective == second.objective


def test_what_a_run_changes_of_its_process_the_next_one_does_not_see(make: Make) -> None:
    body = (
        "import os, torch\nseen = ('MARK' in os.environ) + (os.getcwd() == '/') + 2 * ('PATH' not in os.environ)\n"
        "seen += 4 * (torch.get_default_dtype() == torch.float64)\ntorch.set_default_dtype(torch.float64)\n"
        "os.environ['MARK'] = '1'\ndel os.environ['PATH']\nos.chdir('/')\nreturn {'loss': seen, 'density': 1}"
    )
    assert [run.objective for run in sweep(make(body, values="1, 2"))] == [0.0, 0.0]


def test_a_function_goes_on_where_it_was_killed(make: Make, tmp_path: Path) -> None:
    body = """
        path = folder / "checkpoint"
        import os
        if not path.exists():
            assert "CPD_RESUME" not in os.environ
            path.write_text("5")
            os.kill(os.getpid(), 9)
        return {"loss": path.read_text() == "5" and int(os.environ["CPD_RESUME"]), "density": 1}
    """
    assert one(make(textwrap.dedent(body))).objective == 1


def test_a_file_that_it_reads_is_part_of_its_id(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data.txt").write_text("1")
    path = make("from pathlib import Path\nx = Path(__file__).with_name('data.txt').read_text()\n"
                "open('count', 'a').write('x')\nreturn {'loss': float(x), 'density': 1}")  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert [one(path).objective, one(path).objective] == [1.0, 1.0]
    assert Path("count").read_text() == "x"
    (tmp_path / "data.txt").write_text("2")
    assert one(path).objective == 2.0
    assert Path("count").read_text() == "xx"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("train: {steps: 3}\n", "'train' is for a problem, and a plain function trains as it likes"),
        ("files: [mine.py]\n", "'files' is for a command, and there is none"),
        ("held_out: 0.2\n", "'held_out' is for a problem"),
    ],
)
def test_what_a_function_does_not_have(make: Make, more: str, words: str) -> None:
    assert words in refused(make("return 1", more=more))


def test_a_name_that_is_neither(make: Make) -> None:
    assert "no class 'train' in 'mine.py'" in refused(make("def trian(): pass\ndef trains(): pass"))


def test_a_function_from_elsewhere(make: Make, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("def work(setting): return {'loss': 4, 'density': 0}\n")
    (tmp_path / "mine.py").write_text("")
    path = make("def train_(): pass\nfrom other import work as train\n")
    assert one(path).objective == 4.0


def on_threads(path: Path, threads: int) -> list[Run]:
    """The runs of a task, each done on one of so many threads of this process, as a Dask worker does."""
    task = load_task(str(path))
    assert task.program is not None
    jobs = Jobs("sweep", task, task.program, Options(), path.parent / "work")
    with ThreadPoolExecutor(threads) as pool:
        done = list(pool.map(lambda key: do(jobs.of((key,)), lambda: False), runs(task)))
    return [one.runs[0] for one in done if one is not None]


def test_on_threads_of_one_process_they_wait_for_each_other(make: Make, tmp_path: Path) -> None:
    body = "import time\nprint(seed)\ntime.sleep(0.05)\nprint(seed)\nreturn {'loss': seed, 'density': 0}"
    done = on_threads(make(body, more="seeds: [1, 2, 3]\n"), 3)
    assert [run.objective for run in done] == [1.0, 2.0, 3.0]
    assert sorted(path.read_text() for path in tmp_path.glob("work/*/log.txt")) == ["1\n1\n", "2\n2\n", "3\n3\n"]


@pytest.mark.parametrize("threads", [1, 4])
def test_on_a_thread_too_its_time_is_limited(make: Make, threads: int) -> None:
    body = """
        import time
        until = time.monotonic() + 60
        while seed == 1 and time.monotonic() < until:
            try:
                sum(range(10))
            except Exception:
                pass
        if seed == 3:
            time.sleep(2.5)
        return {"loss": seed, "density": 0}
    """
    done = on_threads(make(textwrap.dedent(body), more="seeds: [1, 2, 3, 4]\ntimeout: 1\n"), threads)
    assert [run.status for run in done] == [Status.FAILED, Status.COMPLETED] * 2
    assert done[0].error == "it took longer than timeout: 1 s, and was ended"
    late = r"it took longer than timeout: 1 s, and was ended after [\d.]+ s: it was not in Python before"
    assert re.fullmatch(late, done[2].error or "")
    assert max(done[1].seconds, done[3].seconds) < 1, "others' turns are not its time"


def test_a_function_on_dask_with_a_limit_is_spoken_of(make: Make) -> None:
    timed, free = (load_task(str(make("return 1", more=more))).program for more in ("timeout: 5\n", ""))
    assert timed is not None
    assert free is not None
    said = ExternalTrainer(timed).known_of("dask")
    assert said is not None
    assert said.startswith("timeout: on Dask's threads a function is ended once it is in Python")
    assert [ExternalTrainer(free).known_of("dask"), ExternalTrainer(timed).known_of("loky")] == [None, None]
