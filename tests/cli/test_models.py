"""``cpd model``: what there is, what is taken out, and what is refused, in a line."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import InProcess
from commands import Finished
from forked_cpd import Forked

from cpd.store.models import file_of

STORE = Path(".cpd", "runs.sqlite")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    """With a sweep whose models are all kept."""
    command = InProcess(tmp_path, monkeypatch, capsys)
    done = command("sweep", "mine.yaml", "--seeds", "1,2", "--keep-models", "all", "--engine", "eager", "--quiet")
    assert done.rc == 0, done.stderr
    return command


def rows(done: Finished) -> list[dict[str, Any]]:
    assert done.rc == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["models"]
    return found


def test_without_a_target_it_says_what_is_kept_and_what_would_be_taken(command: InProcess) -> None:
    done = command("model", "last", "--format", "json")
    found = rows(done)
    assert len(found) == 8
    (taken,) = [row for row in found if row["taken"]]
    best = json.loads(command("show", "--format", "json").stdout)["summary"]
    lowest = min((one for one in best if one["best_objective"] is not None), key=lambda one: one["best_objective"])
    assert (taken["method"], taken["setting"]) == (lowest["method"], lowest["best_setting"])
    assert taken["seed"] == 1
    assert Path(taken["model"]).stat().st_size == taken["bytes"]
    assert done.stderr.count("\n") == 1
    assert "; feasible, judged on 8 training examples; --to FILE.pt or FILE.safetensors takes it out" in done.stderr
    table = command("model")
    assert next(line for line in table.stdout.splitlines() if line.startswith("yes")).count("seed 1") == 1
    only = rows(
        command("model", "mine", "--method", "penalized", "--set", "coefficient=1", "--seed", "2", "-f", "json")
    )
    assert [(row["method"], row["setting"], row["seed"]) for row in only if row["taken"]] == [
        ("penalized", {"coefficient": 1}, 2)
    ]


def test_a_model_is_taken_out_and_it_is_said_which(command: InProcess) -> None:
    done = command("model", "last", "--set", "dual_lr=0.1", "--seed", "2", "--to", "m.pt")
    assert (done.rc, done.stdout) == (0, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("lagrangian, dual_lr 0.1, seed 2: error ")
    assert second == "written: m.pt"
    copied = command("model", "last", "--set", "lagrangian.dual_lr=0.1", "--seed", "2", "--to", "m.SAFETENSORS")
    assert copied.rc == 0, copied.stderr
    (row,) = [r for r in rows(command("model", "--set", "dual_lr=0.1", "--seed", "2", "-f", "json")) if r["taken"]]
    assert Path("m.SAFETENSORS").read_bytes() == Path(row["model"]).read_bytes()
    state = torch.load("m.pt", weights_only=True)
    net = torch.nn.Linear(1, 1, dtype=torch.float64)
    net.load_state_dict(state)
    x = torch.linspace(0, 1, 8)[:, None].double()
    assert float((net(x).detach() - 1).square().mean()) == pytest.approx(row["objective"], rel=1e-12)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("last --to -", 2, "cpd: --to -: a model is written into a file, not to stdout; write --to best.pt"),
        ("last --to m.onnx", 2, "cpd: --to m.onnx: cannot write '.onnx' files"),
        ("last --to nowhere/m.pt", 2, "cpd: --to nowhere/m.pt: no folder 'nowhere'"),
        ("last --to mine.pt", 2, "cpd: mine.pt: cannot be written: Is a directory"),
        ("nosuch --to m.pt", 2, "cpd: .cpd/runs.sqlite: no sweep 'nosuch'"),
        ("last --method nupi --to m.pt", 2, "cpd: --method: no run has the method 'nupi'"),
        ("last --set x --to m.pt", 2, "cpd: --set: expected NAME=VALUE, got 'x'"),
        ("last --set dual_lr=7 --to m.pt", 2, "cpd: --set: no run has dual_lr 7; valid: 0.01, 0.1"),
        ("last --level g=7 --to m.pt", 2, "cpd: --level: no run has g 7; valid: 0.5"),
        ("last --seed 7", 2, "cpd: --seed: no run has the seed '7'; valid: 1, 2"),
        ("last --store none.sqlite --to m.pt", 4, "cpd: none.sqlite: there is no store"),
        ("last --store mine.yaml --to m.pt", 4, "cpd: mine.yaml: "),
    ],
)
def test_what_is_refused_is_refused_in_a_line(command: InProcess, words: str, code: int, said: str) -> None:
    Path("mine.pt").mkdir()
    before = sorted(os.listdir())
    done = command("model", *words.split())
    assert (done.rc, done.stdout) == (code, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
    assert sorted(os.listdir()) == before


def test_what_is_not_kept_is_told_with_what_is(command: InProcess) -> None:
    found = rows(command("model", "-f", "json"))
    (taken,) = [row for row in found if row["taken"]]
    for row in found:
        if row["setting"] == taken["setting"]:
            file_of(STORE, row["id"]).unlink()
    done = command("model", "--to", "m.pt")
    assert done.rc == 2
    assert done.stderr.count("\n") == 1
    assert "penalized, coefficient 0.1, seed 1 are not kept; kept: penalized, coefficient 1, seed 1 | " in done.stderr
    assert " and 1 more; train again with --keep-models all" in done.stderr
    listed = command("model", "-f", "json")
    assert [row["model"] for row in rows(listed) if row["taken"]] == [None]
    assert "are not kept" in listed.stderr
    for row in found:
        file_of(STORE, row["id"]).unlink(missing_ok=True)
    assert "none of the sweep's are; train again with --keep-models all" in command("model", "--to", "m.pt").stderr
    again = command("sweep", "mine.yaml", "--seeds", "1,2", "--keep-models", "all", "--engine", "eager", "--quiet")
    assert again.rc == 0
    assert command("model", "--to", "m.pt").rc == 0


def test_a_damaged_file_ends_with_the_code_of_the_store(command: InProcess) -> None:
    (taken,) = [row for row in rows(command("model", "-f", "json")) if row["taken"]]
    path = Path(taken["model"])
    path.write_bytes(path.read_bytes()[:-1])
    for to in ("m.pt", "m.safetensors"):
        done = command("model", "--to", to)
        assert done.rc == 4
        assert done.stderr.startswith(f"cpd: {path}: was damaged since it was written; remove the file")
        assert not Path(to).exists()


@pytest.mark.slow
def test_no_torch_is_loaded_for_a_safetensors_file(command: InProcess, tmp_path: Path) -> None:
    for words, loads in ((["--to", "m.safetensors"], False), (["-f", "json"], False), (["--to", "m.pt"], True)):
        program = f"""
import sys, atexit
atexit.register(lambda: print("torch" in sys.modules))
sys.argv = ["cpd", "model", *{words!r}]
sys.stdout, out = sys.stderr, sys.stdout
atexit.register(lambda: setattr(sys, "stdout", out))
from cpd.cli.main import main
main()
"""
        done = subprocess.run(
            [sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == str(loads)


@pytest.mark.slow
@pytest.mark.parametrize("to", ["m.pt", "m.safetensors"])
def test_a_full_disk_leaves_what_was_there(command: InProcess, tmp_path: Path, to: str) -> None:
    (tmp_path / to).write_bytes(b"as it was")
    done = Forked(tmp_path)("model", "--to", to, largest_file=100)
    assert done.rc == 2
    assert done.stderr == f"cpd: {to}: cannot be written: File too large; choose another place\n"
    assert (tmp_path / to).read_bytes() == b"as it was"
    assert [path.name for path in tmp_path.glob(".cpd-*")] == []
