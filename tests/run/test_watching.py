"""A command that is called from Python: who watches it, who is told, and how Ctrl-C comes out of it."""

import io
import signal
import subprocess
import sys
import threading
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import cpd
from cpd.errors import CpdError
from cpd.run.events import BatchEnded, Event, Noted, Planned, SearchBegun, WorkersReady
from cpd.run.target import with_target
from cpd.run.watching import Listening, Watcher, announced, listening
from cpd.spec.overrides import Overrides
from cpd.spec.reader import load_task
from cpd.views.progress import PlainLines

WORDS: dict[str, Any] = {
    "methods": {"penalized": {"coefficient": [0, 1]}},
    "train": {"steps": 20},
    "engine": "eager",
}


class Told(cpd.Tracker):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def sweep_start(self, sweep: Any) -> None:
        self.calls.append(("sweep_start", sweep))

    def run_start(self, run: Any) -> None:
        self.calls.append(("run_start", run))

    def points(self, run: Any, points: Any) -> None:
        self.calls.append(("points", points))

    def run_end(self, run: Any) -> None:
        print("a line of the user's")
        self.calls.append(("run_end", run))

    def sweep_end(self, document: Any) -> None:
        self.calls.append(("sweep_end", document))


class Raising(Told):
    """Cannot hear of a run's start."""

    def run_start(self, run: Any) -> None:
        super().run_start(run)
        raise ValueError("no\nway")


def test_callbacks_are_told_as_trackers_of_the_command_line_are(capsys: pytest.CaptureFixture[str]) -> None:
    told, raising, after = Told(), Raising(), Told()
    result = cpd.sweep("concave", keep=False, callbacks=[told, raising, after], **WORDS)
    names = [name for name, _ in told.calls]
    assert names == ["sweep_start", "run_start", "run_start", "points", "run_end", "points", "run_end", "sweep_end"]
    assert told.calls[-1][1] == result.document
    assert [run for name, run in told.calls if name == "run_end"] == result.document["runs"]
    assert [name for name, _ in after.calls] == names
    assert [name for name, _ in raising.calls] == ["sweep_start", "run_start"]
    line = "callbacks: Raising: run_start raised ValueError: no; it is told nothing more, the sweep goes on"
    assert result.notes == [line]
    out, err = capsys.readouterr()
    assert err == f"{line}\n"  # and nothing else, where nobody looks at a terminal
    assert out == "a line of the user's\n" * 4  # an object of the user's program prints where that does
    one: Any = told  # one alone will do
    cpd.compare("penalized", "lagrangian", task="concave", callbacks=one, keep=False, train={"steps": 5})
    assert [x["command"] for name, x in told.calls if name == "sweep_start"] == ["sweep", "compare"]
    with pytest.raises(CpdError, match=r"^cpd.bisect\(\): callbacks: 'Told' is a class; make an object of it: Told"):
        cpd.bisect("concave", target=0.5, callbacks=[Told])  # type: ignore[list-item]
    not_trackers: list[Any] = [[print], [None], "told:Told", 3]
    for wrong in not_trackers:
        with pytest.raises(CpdError, match=r"^cpd.sweep\(\): callbacks: '\w+' is not a tracker; derive a class"):
            cpd.sweep("concave", callbacks=wrong, **WORDS)


def test_progress_shows_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = {**WORDS, "store": tmp_path / "runs.sqlite"}
    cpd.sweep("concave", progress=True, callbacks=[Raising()], **words)
    shown = capsys.readouterr().err.splitlines()
    assert shown[0].startswith("note: callbacks: Raising: run_start raised")
    assert shown[-1] == "2 of 2 runs done"
    cpd.sweep("concave", progress=True, **{**words, "methods": {"penalized": {"coefficient": [0, 1, 2]}}})
    assert "2 of 3 runs found in the store, 1 to do\n" in capsys.readouterr().err
    cpd.bisect("concave", target=0.5, max_trainings=3, progress=True, **words)
    assert capsys.readouterr().err.startswith(
        "iteration 1: coefficient 0.001, g 0.6588\niteration 2: coefficient 1, g "
    )
    for quiet in (None, False):
        cpd.sweep("concave", progress=quiet, **words)
        assert capsys.readouterr() == ("", "")
    with pytest.raises(CpdError, match=r"^cpd.sweep\(\): progress: expected True, False or None, got 'yes'"):
        cpd.sweep("concave", progress="yes", **words)  # type: ignore[arg-type]


def test_who_watches() -> None:
    heard: list[Event] = []
    assert listening(listener=heard.append).watcher is None  # who listens shows what there is to show
    assert listening().watcher is None  # no terminal here
    both = listening(True, (), heard.append)
    assert both.watcher is not None
    both(Noted("once"))
    assert heard == [Noted("once")]
    assert listening(None, (), both) is both
    assert not both.is_command


def test_a_terminal_is_watched_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def shown(term: str, progress: bool | None) -> str:
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", term)
        cpd.sweep("concave", keep=False, progress=progress, **WORDS)
        return terminal.getvalue()

    assert "2/2" in shown("xterm", None)
    assert shown("xterm", False) == ""
    assert shown("dumb", None) == ""


def test_bars_are_gone_whatever_ends_a_sweep() -> None:
    class Bars(PlainLines):
        stopped = 0

        def stop(self) -> None:
            self.stopped += 1

    def boom(event: Event) -> None:
        if isinstance(event, WorkersReady):
            raise RuntimeError("boom")

    bars = Bars()
    watcher = Watcher(bars)
    with pytest.raises(RuntimeError, match="boom"):
        cpd.sweep("concave", keep=False, listener=Listening((watcher, boom), watcher), **WORDS)
    assert bars.stopped == 1


class Display:
    """Stands in for a notebook: what was displayed under which handle."""

    def __init__(self) -> None:
        self.shown: list[Any] = []

    def display(self, what: Any, display_id: bool) -> "Display":
        assert display_id
        self.shown.append(what)
        return self

    def update(self, what: Any, raw: bool = False) -> None:
        self.shown.append(what if raw else what._repr_mimebundle_([], []))


def test_a_notebook_shows_the_bars_in_one_place_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    display = pytest.importorskip("IPython.display", reason="the extra 'notebooks' is not installed")
    place = Display()
    monkeypatch.setattr("IPython.get_ipython", lambda: type("Shell", (), {"kernel": object()})())
    monkeypatch.setattr(display, "display", place.display)
    monkeypatch.setattr("cpd.views.progress.SHOWN_EVERY", 0.0)
    sink = listening()  # by default, in a notebook
    key: Any = None
    events: list[Event] = [Planned(None, [key] * 2, {}), WorkersReady(2, 1), BatchEnded(1, 1, 1), Noted("a [b] note")]
    for event in events:
        sink(event)
    assert "1/2" in place.shown[1]["text/html"]
    assert "1 of 2 batches" in place.shown[1]["text/html"]
    sink.close()
    assert place.shown[2] == {"text/plain": ""}
    assert len(place.shown) == 3
    assert capsys.readouterr() == ("note: a [b] note\n", "")
    sink.close()
    assert len(place.shown) == 3
    for event in (SearchBegun(key), Planned(None, [key], {}), WorkersReady(1, 1), WorkersReady(1, 1)):
        sink(event)  # rounds of a search go on in the same place
    assert len(place.shown) == 5
    assert place.shown[4]["text/plain"].count("runs") == 1


def test_a_sweep_in_a_thread() -> None:
    found: list[Any] = []

    def train() -> None:
        found.append(cpd.sweep("concave", keep=False, **WORDS))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert len(found[0].runs) == 2
    assert signal.getsignal(signal.SIGINT) is before


STOPPED = """
    import os, signal, sys
    import cpd
    from cpd.run.events import RunsEnded

    sent = []

    def stop(event):
        if isinstance(event, RunsEnded) and not sent:
            sent.append(event)
            for _ in range(int(sys.argv[2])):
                os.kill(os.getpid(), signal.Signals[sys.argv[1]])

    def train(**more):
        words = {"methods": {"penalized": {"coefficient": list(range(6))}}, "train": {"steps": 20}, "engine": "eager"}
        return cpd.sweep("concave", fuse=1, store="s.sqlite", **words, **more)

    if sys.argv[1] == "SIGTERM" and sys.argv[2] == "1":
        signal.signal(signal.SIGTERM, lambda *_: print("own handler"))
    try:
        train(jobs=1, listener=stop)
    except KeyboardInterrupt as error:
        assert type(error) is KeyboardInterrupt
        print("interrupted:", error)
    except SystemExit as error:
        print("exit", error.code)
    print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    left = cpd.open(store="s.sqlite")
    print(len(left.finished), left.notes)
    print(train().found)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "times", "said"),
    [
        ("SIGINT", 1, "interrupted: what was done is stored: run the same command again to go on"),
        ("SIGINT", 2, "interrupted:"),
        ("SIGTERM", 1, "own handler\nexit 143"),
    ],
)
def test_a_signal_comes_out_as_python_has_it(name: str, times: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "stopped.py").write_text(dedent(STOPPED))
    command = [sys.executable, "stopped.py", name, str(times)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert "\n".join(lines[:-3]).strip() == said
    assert lines[-3] == "True"
    kept, notes = lines[-2].split(" ", 1)
    assert 2 - times <= int(kept) < 6  # a second signal does not wait for what ended to be stored
    assert notes == f"['the sweep was stopped before its end: {kept} of 6 planned runs are done']"
    assert lines[-1] == kept


@pytest.mark.slow
def test_sigterm_ends_a_program_as_it_does_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "stopped.py").write_text(dedent(STOPPED).replace('sys.argv[2] == "1"', "False"))
    done = subprocess.run(
        [sys.executable, "stopped.py", "SIGTERM", "1"], cwd=tmp_path, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, b"")


def test_what_is_to_come_is_said_in_a_line() -> None:
    few = Overrides(methods=("penalized", "lagrangian"), seeds="0:2")
    assert announced(load_task("rate", few)) == "rate: 80 runs of 10,000 steps: 40 penalized, 40 lagrangian"
    one = Overrides(methods=("penalized",), set=("penalized.coefficient=1",))
    assert announced(load_task("rate", one)) == "rate: 1 run of 10,000 steps: 1 penalized"
    searched = "sparsity: search for density 0.5, at most 40 coefficients, 300 epochs each"
    assert announced(with_target(load_task("sparsity"), {"target": "density=0.5"})) == searched
