"""Programs that hang, fork, print without end, leave nothing, half a result or children, fail, are killed, or will not
end: each is a run with the right status and the right words, and nothing of it is left."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from program_tasks import alive, gone_within, start, sweep, wait_for, write_task

from cpd.outcome import Run, Status

MARK = "cpd-test-child"

GOOD = 'print(\'{"loss": 1.5, "density": 0.25}\')\n'


def one(folder: Path, program: str, more: str = "") -> Run:
    (run,) = sweep(write_task(folder, program, more=more))
    return run


def child(seconds: int = 60) -> str:
    """Words of Python that start a process that sleeps, which can be found by its mark."""
    return f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep({seconds})', '{MARK}'])"


def test_a_program_that_prints_its_values(tmp_path: Path) -> None:
    run = one(tmp_path, GOOD)
    assert (run.status, run.objective, run.constraints["density"].value) == (Status.COMPLETED, 1.5, 0.25)
    assert run.seconds > 0


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("", "it left no result.json in its folder, and printed no line that is a JSON object"),
        ("print('[1, 2]')", "it left no result.json in its folder, and printed no line that is a JSON object"),
        ('print(\'{"loss": 1, "dens\')', "printed no line that is a JSON object"),
        ("print('{\"loss\": 1}')", "its result lacks the constraint 'density'"),
        ('print(\'{"loss": "much", "density": 1}\')', "'loss' of its result is 'much', and no number"),
        ('print(\'{"loss": true, "density": 1}\')', "'loss' of its result is True, and no number"),
        ("import sys; print('boom'); sys.exit(3)", "it ended with exit code 3: boom"),
        ("raise ValueError('too much')", "it ended with exit code 1: ValueError: too much"),
        (f"{GOOD}import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "it was killed (SIGKILL: out of memory, "),
        (f"{GOOD}import os; os.abort()", "it was killed (SIGABRT)"),
    ],
)
def test_a_program_that_fails(tmp_path: Path, program: str, words: str) -> None:
    run = one(tmp_path, program)
    assert run.status is Status.FAILED
    assert words in (run.error or "").splitlines()[0]


def test_half_a_result_is_none_whatever_was_printed(tmp_path: Path) -> None:
    program = f"import os\n{GOOD}open(os.environ['CPD_FOLDER'] + '/result.json', 'w').write('{{\"loss\": 1, \"den')"
    run = one(tmp_path, program)
    assert run.status is Status.FAILED
    assert (run.error or "").startswith("result.json is no whole JSON")


def test_the_last_lines_of_the_log_are_in_the_error(tmp_path: Path) -> None:
    run = one(tmp_path, "for k in range(100): print('line', k)\nraise SystemExit(3)")
    lines = (run.error or "").splitlines()
    assert lines[0] == "it ended with exit code 3: line 99"
    assert lines[1:-1] == [f"line {k}" for k in range(80, 100)]


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    program = f"import subprocess, sys, time\n{child()}\nprint('on', flush=True)\ntime.sleep(60)"
    started = time.monotonic()
    run = one(tmp_path, program, more="timeout: 1\n")
    assert time.monotonic() - started < 10
    assert (run.error or "").splitlines() == [
        "it took longer than timeout: 1 s, and was ended",
        "on",
        "it took longer than timeout: 1 s, and was ended",
    ]
    assert alive(MARK) == []


def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    program = (
        "import signal, subprocess, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"{child()}\nwhile True:\n    time.sleep(1)"
    )
    run = one(tmp_path, program, more="timeout: 0.5\n")
    assert run.status is Status.FAILED
    assert alive(MARK) == []


LEFT = {
    "in the background": f"import subprocess, sys\n{child()}\n",
    "in a session of their own": (
        "import subprocess, sys\n"
        f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)', '{MARK}'], start_new_session=True)\n"
    ),
    "as daemons": (
        "import os, sys\n"
        "if not os.fork():\n    os.setsid()\n    if not os.fork():\n"
        f"        os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(60)', '{MARK}'])\n"
        "    os._exit(0)\nos.wait()\n"
    ),
    "that will not end": (
        "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', "
        f"'import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)', '{MARK}'], "
        "stdout=subprocess.PIPE).stdout.readline()\n"
    ),
}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere orphans are nobody's")
@pytest.mark.parametrize("kind", LEFT)
def test_children_that_a_program_leaves_are_ended(tmp_path: Path, kind: str) -> None:
    run = one(tmp_path, LEFT[kind] + GOOD)
    assert run.status is Status.COMPLETED
    assert gone_within(2.0, MARK)


def test_a_program_that_forks(tmp_path: Path) -> None:
    program = (
        f"import os\npids = [os.fork() for _ in range(3)]\nif all(pids):\n    [os.wait() for _ in pids]\n    {GOOD}"
    )
    assert one(tmp_path, program).status is Status.COMPLETED


def test_a_program_that_prints_100_mb(tmp_path: Path) -> None:
    program = f"line = 'x' * 999 + chr(10)\nblock = line * 1000\nfor _ in range(100): print(block, end='')\n{GOOD}"
    run = one(tmp_path, program)
    assert (run.status, run.objective) == (Status.COMPLETED, 1.5)
    (log,) = (tmp_path / ".cpd" / "work").glob("*/log.txt")
    assert log.stat().st_size > 100_000_000


def test_a_program_that_is_not_there_is_refused_before_anything_runs(tmp_path: Path) -> None:
    from program_tasks import refused

    path = write_task(tmp_path, GOOD)
    path.write_text(path.read_text().replace(json.dumps(sys.executable), '"no-such-program"'))
    assert "command: no program 'no-such-program'" in refused(path)


def test_output_is_in_the_log_as_it_comes(tmp_path: Path) -> None:
    write_task(tmp_path, f"import time\nprint('first')\ntime.sleep(30)\n{GOOD}")
    cpd = start(tmp_path, "sweep", "task.yaml")
    wait_for(lambda: [p for p in tmp_path.glob(".cpd/work/*/log.txt") if p.read_text() == "first\n"])
    cpd.send_signal(signal.SIGINT)
    assert cpd.wait(10) == 130


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_cpd_is_ended(tmp_path: Path, number: signal.Signals, jobs: str) -> None:
    program = f"import subprocess, sys, time\n{LEFT['in a session of their own']}\ntime.sleep(60)  # {MARK}"
    write_task(tmp_path, program, values="1, 2", words=f"{{coefficient}} {MARK}")
    cpd = start(tmp_path, "sweep", "task.yaml", "--jobs", jobs)
    wait_for(lambda: len(alive(MARK)) >= 2 * int(jobs))
    cpd.send_signal(number)
    code = cpd.wait(10)
    assert code == (-9 if number is signal.SIGKILL else 128 + number)
    assert gone_within(2.0, MARK)


RESUMING = """\
import json, os, sys, time
folder = os.environ["CPD_FOLDER"]
assert folder == sys.argv[2]
path = os.path.join(folder, "checkpoint")
assert os.path.exists(path) <= (os.environ.get("CPD_RESUME") == "1")
done = int(open(path).read()) if os.environ.get("CPD_RESUME") and os.path.exists(path) else 0
while done < 5:
    time.sleep(0.02)
    done += 1
    with open(path + ".new", "w") as file:
        file.write(str(done))
    with open("steps", "a") as file:
        file.write(f"{sys.argv[1]} {done}\\n")
    os.replace(path + ".new", path)
print(json.dumps({"loss": float(sys.argv[1]), "density": 0.1, "resumed": int(os.environ.get("CPD_RESUME", 0))}))
"""


@pytest.mark.slow
def test_nothing_is_lost_or_done_twice_whatever_is_killed(tmp_path: Path) -> None:
    values = ", ".join(str(k) for k in range(200))
    write_task(tmp_path, RESUMING, values=values, words="{coefficient} {folder}")
    for _ in range(10):
        cpd = start(tmp_path, "sweep", "task.yaml", "--jobs", "2", "--quiet")
        time.sleep(2.5)
        cpd.kill()
        cpd.wait()
    runs = sweep(tmp_path / "task.yaml", jobs=2)
    assert [run.objective for run in runs] == list(map(float, range(200)))
    assert gone_within(2.0, "program.py")
    steps = (tmp_path / "steps").read_text().splitlines()
    assert set(steps) == {f"{k} {step}" for k in range(200) for step in range(1, 6)}
    assert len(steps) <= 1000 + 2 * 10, "of two programs that are killed at once, the step of each may be repeated"


def test_a_run_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    path = write_task(tmp_path, RESUMING.replace("0.02", "0.3"), words="{coefficient} {folder}")
    cpd = start(tmp_path, "sweep", "task.yaml", "--jobs", "1")
    wait_for((tmp_path / "steps").exists)
    cpd.kill()
    cpd.wait()
    (run,) = sweep(path)
    assert run.metrics["resumed"] == 1
    steps = (tmp_path / "steps").read_text().split()[1::2]
    assert len(steps) <= 6
    assert sorted(set(steps)) == ["1", "2", "3", "4", "5"]


def test_a_run_that_failed_by_itself_begins_anew(tmp_path: Path) -> None:
    program = (
        "import os\nfolder = os.environ['CPD_FOLDER']\nassert 'CPD_RESUME' not in os.environ\n"
        "assert not os.path.exists(folder + '/left')\nopen(folder + '/left', 'w').close()\n"
        f"assert os.path.exists('go')\n{GOOD}"
    )
    path = write_task(tmp_path, program)
    assert sweep(path)[0].status is Status.FAILED
    (tmp_path / "go").touch()
    assert sweep(path)[0].status is Status.COMPLETED


def test_what_ended_well_and_was_not_stored_is_not_done_again(tmp_path: Path) -> None:
    path = write_task(tmp_path, f"open('count', 'a').write('x')\n{GOOD}")
    sweep(path)
    (tmp_path / ".cpd" / "runs.sqlite").unlink()  # as if cpd had been killed before it stored the run
    (run,) = sweep(path)
    assert (run.status, run.objective) == (Status.COMPLETED, 1.5)
    assert run.seconds > 0
    assert (tmp_path / "count").read_text() == "x"
    sweep(path, fresh=True)
    assert (tmp_path / "count").read_text() == "xx"


def test_a_guard_that_is_killed_is_a_failed_run_and_no_more(tmp_path: Path) -> None:
    kills = "import os, sys, time\nif sys.argv[1] == '1':\n    os.kill(os.getppid(), 9)\n    time.sleep(60)\n"
    program = kills + GOOD
    first, second = sweep(write_task(tmp_path, program, values="1, 2"))
    assert first.status is Status.FAILED
    assert "the process that watched over it was killed" in (first.error or "")
    assert second.status is Status.COMPLETED


def test_a_worker_that_is_killed_costs_nothing(tmp_path: Path) -> None:
    """The worker is the parent of the guard, which is the program's: its run goes on from where it was."""
    program = (
        "import os, sys, time\nif sys.argv[1] == '1' and 'CPD_RESUME' not in os.environ:\n"
        "    worker = int(open(f'/proc/{os.getppid()}/stat').read().rpartition(')')[2].split()[1])\n"
        f"    os.kill(worker, 9)\n    time.sleep(60)\n{GOOD}"
    )
    runs = sweep(write_task(tmp_path, program, values="1, 2, 3"), jobs=2)
    assert [run.status for run in runs] == [Status.COMPLETED] * 3


def test_programs_of_a_worker_share_its_guard(tmp_path: Path) -> None:
    """What a run costs beyond its program is measured by tests/benchmarks/bench_programs.py: no Python is started."""
    program = f"import os\n{GOOD.replace('0.25', '%d')[:-2]} % os.getppid())\n"
    runs = sweep(write_task(tmp_path, program, values="1, 2, 3"))
    assert len({run.constraints["density"].value for run in runs}) == 1, [run.error for run in runs]


def test_no_torch_is_loaded(tmp_path: Path) -> None:
    write_task(tmp_path, GOOD)
    program = (
        "import sys\nsys.argv = ['cpd', 'sweep', 'task.yaml']\nfrom cpd.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0, end.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
