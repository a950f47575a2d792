"""Programs of PyTorch Lightning and of Hugging Face's Trainer, unchanged and with their own flags, as command tasks:
killed in the midst of a run they go on from their own checkpoints, and the model is the one that they saved."""

import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from command_line import InProcess
from commands import ROOT
from program_tasks import alive, gone_within, start, sweep, wait_for

from cpd.outcome import Run, Status

PROGRAMS = Path(__file__).parent / "programs"

LIGHTNING = "--weight {coefficient} --seed {seed} --dir {folder} --max-epochs {epochs}"

TRANSFORMERS = (
    "--weight {coefficient} --seed {seed} --output_dir {folder} --max_steps {steps} --learning_rate 0.01 "
    "--save_steps 2 --save_total_limit 1 --use_cpu --report_to none --disable_tqdm true"
)

TASK = """\
command: {command}
objective: loss
constraints: {{"yes": "<= 0.5"}}
arguments: {{{size}}}
seeds: [3]
methods: {{penalized: {{coefficient: {{values: [0.0, 4.0]}}}}}}
"""


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched, and two tiny models do not fight for cores."""
    for name, value in {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)


def needs(package: str) -> None:
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed: the extra 'trainers' has it")


def killed_and_gone_on(folder: Path, program: str, words: str, size: str, saved: str) -> list[Run]:
    """The two runs of a task whose command is killed as soon as the first has saved something, and given again."""
    path = folder / "task.yaml"
    command = json.dumps([sys.executable, str(PROGRAMS / program), *words.split()])
    path.write_text(TASK.format(command=command, size=size))
    cpd = start(folder, "sweep", "task.yaml", "--jobs", "1")
    wait_for(lambda: list(folder.glob(f".cpd/work/*/{saved}")), 120)
    cpd.kill()
    cpd.wait()
    assert gone_within(2.0, str(folder)), alive(str(folder))
    return sweep(path)


def judged(runs: list[Run], steps: int) -> None:
    """Both came to their end, the killed one from where it was; the penalty does what it is for."""
    free, held = runs
    assert [run.status for run in runs] == [Status.COMPLETED] * 2, [run.error for run in runs]
    assert [run.metrics["steps"] for run in runs] == [steps] * 2
    assert [run.metrics["went_on"] for run in runs] == [1, 0]
    shares = [run.constraints["yes"].value for run in runs]
    assert isinstance(shares[0], float)
    assert isinstance(shares[1], float)
    assert shares[0] > 0.5 > shares[1]
    assert free.objective is not None
    assert held.objective is not None
    assert free.objective < held.objective


@pytest.mark.parametrize("program", ["lightning_train.py", "transformers_train.py"])
def test_the_page_shows_lines_of_these_programs(program: str) -> None:
    whole = (PROGRAMS / program).read_text()
    page = (ROOT / "docs" / "command.md").read_text()
    call = {"lightning_train.py": "trainer.fit(", "transformers_train.py": "trainer.train("}[program]
    (block,) = [text for text in re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE) if call in text]
    lines = [line.partition("  #")[0] for line in block.splitlines() if not line.startswith("#")]
    assert len(lines) >= 3
    assert [line for line in lines[:-1] if line not in whole] == []


@pytest.mark.slow
@pytest.mark.trainers
def test_a_lightning_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    needs("pytorch_lightning")
    words, saved = LIGHTNING, "checkpoints/last.ckpt"
    runs = killed_and_gone_on(tmp_path, "lightning_train.py", words, "epochs: 25", saved)
    judged(runs, 25 * 8)
    taken = InProcess(tmp_path, monkeypatch, capsys)("model", "last", "--to", "mine.ckpt")
    assert taken.rc == 0, taken.stderr
    assert runs[1].model is not None
    assert (tmp_path / "mine.ckpt").read_bytes() == Path(runs[1].model).read_bytes()
    import torch

    content = torch.load(tmp_path / "mine.ckpt", weights_only=True)
    assert content["hyper_parameters"]["weight"] == 4.0
    assert set(content["state_dict"]) == {"network.weight", "network.bias"}


@pytest.mark.slow
@pytest.mark.trainers
def test_a_transformers_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    needs("transformers")
    needs("accelerate")
    saved = "checkpoint-*/trainer_state.json"
    runs = killed_and_gone_on(tmp_path, "transformers_train.py", TRANSFORMERS, "steps: 24", saved)
    judged(runs, 24)
    evidence = runs[0].constraints["yes"].evidence
    assert evidence is not None
    assert evidence.counted is not None
    assert [of for _, of in evidence.counted] == [64.0]
    taken = InProcess(tmp_path, monkeypatch, capsys)("model", "last", "--to", "mine")
    assert taken.rc == 0, taken.stderr
    assert runs[1].model is not None
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "mine" / name).read_bytes() == Path(runs[1].model, name).read_bytes()
