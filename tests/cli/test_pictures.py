"""``cpd plot``, ``cpd report`` and ``--plot`` as a user types them: what is drawn, and what is said otherwise."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import SPEC, InProcess
from commands import ROOT

from cpd.errors import install

pytest.importorskip("matplotlib", reason="the extra 'plot' is not installed")

SWEPT = """\
problem: mine.py:Mine
objective: error
constraints: {g: "<= 0.5"}
train: {steps: 3, optimizer: {name: SGD, lr: 0.1}, dtype: float64}
levels: {g: {values: [0.2, 5]}}
methods:
  lagrangian: {dual_lr: {values: [0.01, 0.1]}}
"""


@pytest.fixture
def cpd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    return InProcess(tmp_path, monkeypatch, capsys)


@pytest.fixture
def stored(cpd: InProcess) -> InProcess:
    """A sweep of four runs in the store."""
    assert cpd("sweep", "mine.yaml", "-q").rc in (0, 3)
    return cpd


def words(file: Path) -> list[str]:
    """The texts of an .svg, in which text stays text."""
    return re.findall(r"<text[^>]*>([^<]+)</text>", file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("tuning", {"g", "≤ 0.5", "error", "largest", "coefficient (penalized), dual_lr (lagrangian)", "penalized"}),
        ("front", {"g", "≤ 0.5", "error", "penalized", "lagrangian", "feasible region"}),
        (
            "dynamics",
            {"error", "violation", "multiplier", "step", "penalized, coefficient 1", "lagrangian, dual_lr 0.1"},
        ),
    ],
)
def test_each_kind_shows_the_sweep(stored: InProcess, kind: str, shown: set[str]) -> None:
    done = stored("plot", "mine", "--kind", kind, "--to", "a.svg")
    assert (done.rc, done.stdout, done.stderr) == (0, "", "drawn: a.svg\n")
    assert shown - set(words(stored.folder / "a.svg")) == set()


def test_levels_and_their_front(cpd: InProcess) -> None:
    cpd.write("swept.yaml", SWEPT)
    cpd("sweep", "swept.yaml", "-q")
    assert cpd("plot", "--kind", "levels", "--to", "levels.svg").rc == 0
    assert {"level of g", "error", "slope that the multiplier predicts"} <= set(words(cpd.folder / "levels.svg"))
    assert cpd("plot", "--to", "front.svg").rc == 0
    assert {"≤ 0.2", "≤ 5"} <= set(words(cpd.folder / "front.svg"))


def test_a_search_is_drawn_as_one(cpd: InProcess) -> None:
    cpd("bisect", "mine.yaml", "--target", "0.4", "--max-trainings", "4", "--plot", "now.svg", "-q")
    assert cpd("plot", "last", "--to", "later.svg").rc == 0
    shown = words(cpd.folder / "later.svg")
    assert {"1", "2", "= 0.4", "coefficient", "target and tolerance"} <= set(shown)
    assert words(cpd.folder / "now.svg") == shown


def test_without_kind_and_file_the_best_kind_goes_to_a_file_of_the_sweeps_name(stored: InProcess) -> None:
    done = stored("plot")
    assert (done.rc, done.stderr) == (0, "drawn: mine-tuning.png\n")
    assert (stored.folder / "mine-tuning.png").read_bytes().startswith(b"\x89PNG")


def test_a_name_that_is_no_file_name_is_made_one(cpd: InProcess) -> None:
    cpd.write("../mine of 100%.yaml", SPEC.replace("mine.py:Mine", f"{cpd.folder}/mine.py:Mine"))
    cpd("sweep", "../mine of 100%.yaml", "-q")
    assert cpd("plot").stderr == "drawn: mine-of-100-tuning.png\n"
    assert cpd("report").stderr == "written: mine-of-100.html\n"


def test_runs_are_chosen_for_dynamics(stored: InProcess) -> None:
    done = stored("plot", "--runs", "method=lagrangian", "--runs", "coefficient=1", "--to", "a.svg")
    assert (done.rc, done.stderr) == (0, "drawn: a.svg\n")
    shown = words(stored.folder / "a.svg")
    labels = ["penalized, coefficient 1", "lagrangian, dual_lr 0.01", "lagrangian, dual_lr 0.1"]
    assert [text for text in shown if text.startswith(("penalized", "lagrangian"))] == labels
    assert "3 of 4 runs" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--kind", "tunning"),
            "--kind: 'tunning' is no kind of picture; did you mean 'tuning'? "
            "Valid: tuning, heatmap, parallel, bisection, front, dynamics, levels",
        ),
        (
            ("--to", "a.jpeg"),
            "--to a.jpeg: cannot write '.jpeg' files; did you mean '.png'? Valid: .png, .svg, .pdf",
        ),
        (("--to", "no/a.png"), "--to no/a.png: no folder 'no'; make it, or choose another place"),
        (("--kind", "bisection"), "--kind bisection: there is no search to draw; try --kind tuning"),
        (("--kind", "levels"), "--kind levels: no level is swept; sweep one: --levels NAME=VALUE,VALUE"),
        (
            ("--kind", "front", "--runs", "seed=1"),
            "--runs: 'front' shows every run; only --kind dynamics takes chosen runs",
        ),
        (("--runs", "method=nupi"), "--runs method=nupi: no run has method 'nupi'; valid: penalized, lagrangian"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_a_line(stored: InProcess, arguments: tuple[str, ...], said: str) -> None:
    before = sorted(stored.folder.iterdir())
    done = stored("plot", "mine", *arguments)
    assert (done.rc, done.stdout, done.stderr) == (2, "", f"cpd: {said}\n")
    assert sorted(stored.folder.iterdir()) == before


def test_a_sweep_that_is_not_stored_is_said(stored: InProcess) -> None:
    for command in ("plot", "report"):
        done = stored(command, "mien")
        assert (done.rc, done.stdout) == (2, "")
        assert ": no sweep 'mien'; did you mean 'mine'? Valid: last, mine; an id or the start" in done.stderr


@pytest.mark.parametrize("command", [("sweep", "mine.yaml"), ("compare", "penalized", "lagrangian", "-t", "mine.yaml")])
def test_a_training_command_draws_right_away(cpd: InProcess, command: tuple[str, ...]) -> None:
    done = cpd(*command, "--plot", "a.svg", "--format", "json", "-q")
    assert done.stderr.endswith("drawn: a.svg\n")
    assert done.stdout.startswith("{")
    assert {"g", "≤ 0.5", "penalized", "lagrangian"} <= set(words(cpd.folder / "a.svg"))


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("a.jpg", "--plot a.jpg: cannot write '.jpg' files; did you mean '.png'? Valid: .png, .svg, .pdf"),
        ("no/a.png", "--plot no/a.png: no folder 'no'; make it, or choose another place"),
    ],
)
def test_a_file_that_cannot_be_drawn_is_refused_before_the_training(cpd: InProcess, file: str, said: str) -> None:
    done = cpd("sweep", "mine.yaml", "--plot", file)
    assert (done.rc, done.stdout, done.stderr) == (2, "", f"cpd: {said}\n")
    assert not (cpd.folder / ".cpd").exists()


def test_a_picture_that_fails_after_the_training_does_not_hide_the_result(cpd: InProcess) -> None:
    (cpd.folder / "folder.png").mkdir()
    code = cpd("sweep", "mine.yaml", "-q", "--format", "json").rc
    done = cpd("sweep", "mine.yaml", "--plot", "folder.png", "-q", "--format", "json")
    assert done.rc == (code or 2)
    assert done.stdout.startswith("{")
    assert done.stderr.endswith("cpd: not drawn: folder.png: cannot be written: Is a directory; choose another place\n")


def test_a_missing_extra_is_said_before_the_training(cpd: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = cpd("sweep", "mine.yaml", "--plot", "a.png")
    assert (done.rc, done.stdout) == (2, "")
    assert done.stderr == f"cpd: --plot: needs matplotlib; {install('matplotlib')}\n"
    assert not (cpd.folder / ".cpd").exists()


def test_missing_extras_of_stored_sweeps_are_said(stored: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    assert stored("plot").stderr.endswith(f": needs matplotlib; {install('matplotlib')}\n")
    assert stored("report").stderr == f"cpd: report: needs plotly; {install('plotly', 'jinja2')}\n"


def test_a_report_has_the_sweep_and_how_to_repeat_it(cpd: InProcess) -> None:
    pytest.importorskip("plotly", reason="the extra 'report' is not installed")
    cpd("sweep", "mine.yaml", "-q", "--seeds", "0:2", "--gap", "0.1")
    done = cpd("report", "mine", "--to", "a.html")
    assert (done.rc, done.stdout, done.stderr) == (0, "", "written: a.html\n")
    content = (cpd.folder / "a.html").read_text(encoding="utf-8")
    for text in (
        "minimise error subject to g &lt;= 0.5",
        "cpd sweep mine.yaml -q --seeds 0:2 --gap 0.1</pre>",
        "cpd sweep mine.yaml -q --seeds 0:2 --gap 0.1 --fresh</pre>",
        "# A line through the points of an interval\nproblem: mine.py:Mine",
        "class Mine(cpd.Problem):",
        "&#34;update&#34;: &#34;alternating&#34;",
        '<th scope="row">torch</th>',
        '<th scope="row">started</th>',
        'id="figure-tuning"',
        'id="figure-front"',
        'id="figure-dynamics"',
    ):
        assert text in content, text
    assert content.count("class Mine(cpd.Problem):") == 1
    assert re.search(r'aria-label="all runs"><table[^>]*>.*?</table>', content, re.DOTALL)[0].count("<tr") == 1 + 8  # type: ignore[index]


def test_a_report_goes_to_html_alone(stored: InProcess) -> None:
    done = stored("report", "--to", "a.pdf")
    assert (done.rc, done.stderr) == (2, "cpd: --to a.pdf: cannot write '.pdf' files; valid: .html, .htm\n")
    done = stored("report", "--to", "no/a.html")
    assert done.rc == 2
    assert done.stderr == "cpd: --to no/a.html: no folder 'no'; make it, or choose another place\n"


@pytest.mark.slow
def test_the_pictures_of_the_docs_are_remade_by_a_command(tmp_path: Path) -> None:
    program = ROOT / "docs" / "make_pictures.py"
    done = subprocess.run(
        [sys.executable, "-P", str(program), "table1", "--into", str(tmp_path / "made")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "drawn: table1.png\n")
    assert done.stdout == "cpd sweep table1 --quiet\ncpd plot table1 --kind front --to table1.png\n"
    assert [file.name for file in (tmp_path / "made").iterdir()] == ["table1.png"]
    kept = sorted((program.parent / "pictures").iterdir())
    made = {"dynamics.png", "figure2.png", "table1.png", "table2.png"}
    of_examples = {f"example-{notebook.stem}.png" for notebook in ROOT.glob("examples/*.ipynb")}
    assert {file.name for file in kept} == made | of_examples | {"session.svg"}
    assert max(file.stat().st_size for file in [*kept, tmp_path / "made" / "table1.png"]) < 200_000
