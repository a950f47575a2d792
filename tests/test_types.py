"""The public names, and their types as a user's type checker sees them in the installed package."""

import importlib
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

import pytest

import cpd

USERS_FILE = '''
    """A user's own file, which uses every public name."""

    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    import cpd
    import torch
    from torch import Tensor, nn


    class Line(cpd.Problem):
        def __init__(self, size: int = 2) -> None:
            self.size = size

        def data(self) -> tuple[Tensor, ...]:
            return (torch.ones(4, self.size), torch.tensor([0, 1, 0, 1]))

        def model(self) -> nn.Module:
            return nn.Linear(self.size, 1)

        def evaluate(self, model: nn.Module, batch: tuple[Tensor, ...]) -> cpd.Evaluation:
            x, y = batch
            p = model(x).squeeze(-1).sigmoid()
            shares = {"rate": cpd.share(p, of=y)}
            seen = cpd.observed(p, torch.arange(4), size=4)
            return cpd.Evaluation(objective=(p - y).square().mean(), constraints={**shares, "each": seen})


    class Counting(cpd.Tracker):
        def run_end(self, run: Mapping[str, Any]) -> None:
            print(run["objective"])


    def main() -> str:
        result: cpd.Result = cpd.sweep(
            problem=Line,
            constraints={"rate": ">= 0.7", "each": {"level": 1, "sense": "<="}},
            train={"steps": 500, "optimizer": {"name": "SGD", "lr": 0.05}},
            methods={"penalized": {"coefficient": [0.1, 1, 10]}, "lagrangian": {"dual_lr": 0.1}},
            seeds=range(3),
            jobs=2,
            store=Path("runs.sqlite"),
            keep_models="all",
            progress=True,
            callbacks=[Counting()],
        )
        rates: list[float] = result.runs["constraints.rate.value"].tolist()
        print(rates, len(result.settings), len(result.summary), result.id or "", result.exit_code)
        best: cpd.FinishedRun = result.best("lagrangian")
        value = best.constraints["rate"]["value"]
        print(best.method, best.objective or 0.0, value, best.model, best.held_out and best.held_out["objective"])
        module: nn.Module = best.load()
        module = result.model("lagrangian", setting={"dual_lr": 0.1}, seed=1)
        figure = result.plot("front", to="front.png")
        figure.savefig("again.pdf")
        page: Path = result.report("r.html")
        text: str = result.to_json() + result.to_csv() + result.document["task"]
        compared = cpd.compare("penalized", "lagrangian", task="rate", options=cpd.Options(keep=False))
        searched = cpd.bisect("concave", target=0.5, overrides=cpd.Overrides(set=("train.steps=20",)))
        outcome: str = searched.search["outcome"] if searched.search is not None else ""
        again = cpd.open("last", "runs.sqlite", tolerance=0.1, gap="5%", judge="training", confidence=0.9)
        module = cpd.load_model("last", method="lagrangian", seed=1, problem=Line)
        judged: cpd.Result = cpd.judge("last", data="file.py:test_set")
        task = cpd.Task(problem=Line, constraints={"rate": ">= 0.7"}, train={"steps": 5})
        well: bool = cpd.check(task).ok
        frame = cpd.load_runs("runs.sqlite", "last")
        of_cooper: type[cpd.Problem] = cpd.from_cooper(object, model=lambda: nn.Linear(2, 1))
        cpd.log(1, loss=0.5, problem=len(of_cooper.__name__))
        cpd.result(loss=0.5, recall={"hits": 270, "of": 300})
        try:
            cpd.sweep(task)
        except cpd.CpdError as error:
            print(error.message, error.place, error.hint)
        print(module, page, outcome, again.notes, judged, compared, well, len(frame), cpd.__version__)
        return text
'''

WRONG = """
    import cpd

    cpd.sweep("rate", jobs="two", stepz=3)
    cpd.open("last", gap=[])
    cpd.sweep("rate", callbacks=[print])
    x: int = cpd.open().best().method
    cpd.open().plot("nice")
    cpd.nothing
"""


def test_every_public_name_is_there_and_listed() -> None:
    for name in cpd.__all__:
        assert getattr(cpd, name) is not None
    assert dir(cpd) == sorted(cpd.__all__)
    assert cpd._HOME.keys() | {"__version__"} == set(cpd.__all__)
    for name, module in cpd._HOME.items():
        assert getattr(importlib.import_module(module), name) is getattr(cpd, name)
    with pytest.raises(AttributeError, match="module 'cpd' has no attribute 'nothing'"):
        _ = cpd.nothing  # type: ignore[attr-defined]


def test_a_users_file_uses_every_public_name() -> None:
    assert [name for name in cpd.__all__ if f"cpd.{name}" not in USERS_FILE] == []


@pytest.mark.slow
def test_a_users_file_is_strictly_typed(tmp_path: Path) -> None:
    if find_spec("mypy") is None:
        pytest.skip("mypy is not installed: the extra 'dev' has it")
    (tmp_path / "mine.py").write_text(dedent(USERS_FILE))
    (tmp_path / "wrong.py").write_text(dedent(WRONG))
    command = [sys.executable, "-P", "-m", "mypy", "--strict", "--config-file=", "mine.py", "wrong.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    told = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert [line for line in told if not line.startswith("wrong.py")] == [], done.stderr
    places = [int(line.split(":")[1]) for line in told]
    assert set(places) == {4, 5, 6, 7, 8, 9}, told
