"""Kept models judged on other examples, compared with plain PyTorch and with the verdict at the end of training."""

from pathlib import Path
from typing import Any

import pytest
import torch
from judged_problem import PROBLEM, SPEC, TESTS
from safetensors.torch import load_file
from scipy.stats import binomtest
from torch import nn
from torch.nn import functional
from torch.utils.data import TensorDataset

import cpd
from cpd import files
from cpd.engine.model_file import About, packed
from cpd.errors import CpdError
from cpd.run.options import Options

ALL = Options(keep_models="all")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CPD_STORE", raising=False)
    (tmp_path / "mine.py").write_text(PROBLEM)
    (tmp_path / "tests.py").write_text(TESTS)
    return tmp_path


def sweep(folder: Path, dtype: str = "float64", **changed: str) -> cpd.Result:
    text = SPEC.replace("DTYPE", dtype)
    for old, new in changed.items():
        text = text.replace(old, new)
    (folder / "mine.yaml").write_text(text)
    return cpd.sweep("mine.yaml", options=ALL)


def drawn(seed: int, examples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The examples of the problem."""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(examples) % 3 == 0
    return torch.randn(examples, 3, generator=g, dtype=torch.float64) + y[:, None], y


def file_of(run: Any) -> Path:
    return Path(".cpd", "models", f"{run['id']}.safetensors")


def plain(run: Any, x: torch.Tensor, y: torch.Tensor, dtype: torch.dtype) -> dict[str, Any]:
    """The numbers of a kept file by hand."""
    layers: Any = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1)).to(dtype).eval()
    layers.load_state_dict(load_file(file_of(run)))
    with torch.no_grad():
        logits = layers(x.to(dtype)).squeeze(-1)
        found = (logits > 0)[y]
        loss = functional.binary_cross_entropy_with_logits(logits, y.to(dtype))
        normed = layers[1](layers[0](x.to(dtype)))
    return {
        "objective": loss.item(),
        "recall": found.double().mean().item(),
        "counts": (int(found.sum()), len(found)),
        "surrogate": torch.sigmoid(logits)[y].mean().item(),
        "spread": normed.square().mean(0).tolist(),
        "rate": (logits > 0).double().mean().item(),
    }


@pytest.mark.parametrize(("dtype", "within"), [("float64", 1e-12), ("float32", 1e-5)])
def test_judged_numbers_are_those_of_plain_torch(folder: Path, dtype: str, within: float) -> None:
    first = sweep(folder, dtype, **{"steps: 30": "steps: 100"})
    result = cpd.judge("last", "tests.py:test_set")
    document = result.document
    assert document["judge"] == "held_out"
    assert document["judgement"]["data"] == "tests.py:test_set"
    assert len(document["runs"]) == 8
    x, y = drawn(7, 41)
    for run, before in zip(document["runs"], first.document["runs"], strict=True):
        right = plain(run, x, y, getattr(torch, dtype))
        held = run["held_out"]
        assert held is not None
        recall, spread, largest = (held["constraints"][name] for name in ("recall", "spread", "largest"))
        assert held["examples"] == 41
        assert held["objective"] == pytest.approx(right["objective"], rel=within)
        assert recall["value"] == pytest.approx(right["recall"])
        assert recall["surrogate"] == pytest.approx(right["surrogate"], rel=within)
        assert spread["value"] == pytest.approx(right["spread"], rel=10 * within)
        assert largest["violation"] == pytest.approx(2 * right["objective"] - 1, rel=10 * within)
        assert held["metrics"]["rate"] == pytest.approx(right["rate"])
        exact = binomtest(*right["counts"]).proportion_ci(0.95, method="exact")
        assert recall["interval"] == pytest.approx([exact.low, exact.high], abs=1e-6)
        assert largest["interval"] is None  # a tenth of the training is too short for 100 resamples
        assert run["feasible"] == (
            right["recall"] >= 0.8 - 1e-3 and max(right["spread"]) <= 1.201 and 2 * right["objective"] <= 1.001
        )
        # The training's numbers stay as they are.
        assert (run["objective"], run["id"], run["model"]) == (before["objective"], before["id"], before["model"])
    assert not any("another objective" in note for note in result.notes)


def flat(value: Any) -> list[Any]:
    """All numbers and words in nested rows."""
    if isinstance(value, dict):
        return [leaf for key, part in value.items() for leaf in (key, *flat(part))]
    return [leaf for part in value for leaf in flat(part)] if isinstance(value, list) else [value]


def close(ours: Any, theirs: Any, within: float) -> bool:
    """Whether nested rows are the same up to rounding."""
    pairs = list(zip(flat(ours), flat(theirs), strict=True))
    return all(x == (pytest.approx(y, rel=within, abs=within) if isinstance(y, float) else y) for x, y in pairs)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "within"), [("float64", 1e-12), ("float32", 1e-6)])
def test_the_same_examples_give_the_verdict_of_the_training(folder: Path, dtype: str, within: float) -> None:
    """The problem's own held-out examples; intervals of counts and of resamples included."""
    first = sweep(folder, dtype, **{"30, batch_size: 20": "600"}).document
    again = cpd.judge("last").document
    held, before = ([run["held_out"] for run in document["runs"]] for document in (again, first))
    assert close(held, before, within)
    assert [run["verdict"] for run in again["runs"]] == [run["verdict"] for run in first["runs"]]
    spread = again["runs"][0]["held_out"]["constraints"]["spread"]  # type: ignore[index]
    assert all(low < high for low, high in spread["interval"])  # type: ignore[union-attr,misc]


def test_a_lone_run_as_at_its_end(folder: Path) -> None:
    text = SPEC.replace("DTYPE", "float32").replace("[1, 2]", "[5]").replace("values: [0.1, 1]", "values: [1]")
    (folder / "mine.yaml").write_text("\n".join(line for line in text.splitlines() if "lagrangian" not in line))
    first = cpd.sweep("mine.yaml", options=ALL).document
    assert len(first["runs"]) == 1
    assert cpd.judge().document["runs"][0]["held_out"] == first["runs"][0]["held_out"]


def test_examples_in_any_form_give_the_same_numbers(folder: Path) -> None:
    sweep(folder)
    x, y = drawn(7, 41)

    def test_set() -> Any:
        return x.numpy(), y

    forms = ["tests.py:test_set", "tests.py:dataset", "tests.py:tensors", (x, y), [x, y], TensorDataset(x, y), test_set]
    forms += [[(x[k], y[k]) for k in range(41)], torch.utils.data.DataLoader(TensorDataset(x, y), batch_size=7)]
    rows = [cpd.judge("mine", data=form) for form in forms]
    held = [[run["held_out"] for run in result.document["runs"]] for result in rows]
    assert all(one == held[0] for one in held)
    names = [result.document["judgement"]["name"] for result in rows]
    assert names[:3] == ["tests.py:test_set", "tests.py:dataset", "tests.py:tensors"]
    assert names[3].startswith("tuple-")
    assert names[6] == "test_set()"
    assert len({result.document["judgement"]["examples"] for result in rows}) == 1


def test_only_runs_with_kept_models_are_judged(folder: Path) -> None:
    first = sweep(folder).document
    for k in (0, 3, 4, 5):
        file_of(first["runs"][k]).unlink()
    result = cpd.judge(data="tests.py:test_set")
    ids = [run["id"] for run in first["runs"]]
    assert [run["id"] for run in result.document["runs"]] == [ids[k] for k in (1, 2, 6, 7)]
    assert "4 of 8 runs have kept models and are judged; not so number 1, 4-6" in result.notes
    for k in (1, 2, 6, 7):
        file_of(first["runs"][k]).unlink()
    with pytest.raises(CpdError, match=r"no run has a kept model; train it again and keep them: .* --keep-models all"):
        cpd.judge(data="tests.py:test_set")


def test_a_damaged_file_is_a_failed_run_and_others_go_on(folder: Path) -> None:
    first = sweep(folder).document["runs"]
    right = [run["held_out"] for run in cpd.judge(data="tests.py:test_set", name="right").document["runs"]]
    objectives = [row["objective"] for row in right if row is not None]
    content = bytearray(file_of(first[2]).read_bytes())
    content[-3] ^= 1
    file_of(first[2]).write_bytes(content)
    file_of(first[3]).write_bytes(file_of(first[4]).read_bytes())
    smaller = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).double()
    files.write(
        file_of(first[5]), packed(smaller.state_dict(), About(str(first[5]["id"]), "mine.py:Mine", "", "float64"))
    )
    result = cpd.judge(data="tests.py:test_set")
    runs = result.document["runs"]
    failed = (2, 3, 5)
    assert [k for k, run in enumerate(runs) if run["status"] == "failed"] == [*failed]
    for k, run in enumerate(runs):
        judged = run["held_out"]["objective"] if run["held_out"] is not None else None
        assert judged == (None if k in failed else pytest.approx(objectives[k], rel=1e-12))
    assert (result.exit_code, len(result.failures)) == (1, 3)
    damaged, another, other_shape = (str(runs[k]["error"]) for k in failed)
    assert f"{first[2]['id']}.safetensors: was damaged since it was written; " in damaged
    assert f"has the weights of run {first[4]['id']}, not of {first[3]['id']}" in another
    assert "is of another problem than mine.py:Mine: '3.weight' is [2, 4], in the problem's model [1, 4]" in other_shape
    # It is stored so.
    assert cpd.judge(data="tests.py:test_set").document == result.document


def test_a_judgement_is_stored_beside_and_made_once(folder: Path) -> None:
    first = sweep(folder)
    made = cpd.judge(data="tests.py:test_set")
    text = (folder / "tests.py").read_text()
    (folder / "tests.py").write_text("# a comment\n" + text)
    same = cpd.judge(data="tests.py:test_set")
    assert same.document == made.document  # the moment included: nothing was measured
    assert same.notes == made.notes
    (folder / "tests.py").write_text(text.replace("drawn(7, 41)", "drawn(8, 43)"))
    with pytest.raises(CpdError, match=r"'tests.py:test_set' was judged on other examples .*; fresh=True replaces it"):
        cpd.judge(data="tests.py:test_set")
    other = cpd.judge(data="tests.py:test_set", name="second")
    assert other.document["runs"][0]["held_out"]["examples"] == 43  # type: ignore[index]
    replaced = cpd.judge(data="tests.py:test_set", fresh=True)
    assert replaced.document["runs"] == other.document["runs"] != made.document["runs"]
    again = cpd.sweep("mine.yaml", options=ALL)
    assert [run.held_out for run in again.finished] == [run.held_out for run in first.finished]
    file_of(first.document["runs"][0]).unlink()
    with pytest.raises(CpdError, match="was judged with other kept models"):
        cpd.judge(str(first.id), data="tests.py:test_set")


def test_an_edited_problem_gives_examples_and_says_where_it_measures_otherwise(folder: Path) -> None:
    sweep(folder)
    edited = PROBLEM.replace("drawn(3, 30)", "drawn(7, 41)")
    (folder / "mine.py").write_text(edited)
    result = cpd.judge(data="held_out")
    assert result.document["judgement"]["data"] == "mine.py:Mine.held_out()"
    assert result.notes == []
    right = cpd.judge(data=drawn(7, 41)).document["runs"]
    assert [run["held_out"] for run in result.document["runs"]] == [run["held_out"] for run in right]
    (folder / "mine.py").write_text(edited.replace("loss * 2", "loss * 3"))
    with pytest.raises(CpdError, match="by other definitions of evaluate"):
        cpd.judge()
    other = cpd.judge(fresh=True)
    assert other.notes == [
        "evaluate() of mine.py changed since the sweep: these numbers are of another definition than its own"
    ]
    for run, old in zip(other.document["runs"], right, strict=True):
        ours, theirs = (row["held_out"]["constraints"]["largest"]["value"] for row in (run, old))  # type: ignore[index]
        assert ours == pytest.approx(1.5 * theirs)  # type: ignore[operator]
    # A function's examples are measured by what the sweep was trained with.
    stored = cpd.judge(data="tests.py:test_set").document["runs"]
    assert [run["held_out"] for run in stored] == [run["held_out"] for run in right]
    (folder / "mine.py").write_text(edited.replace("def held_out", "def other"))
    with pytest.raises(CpdError, match=r"data: mine.py:Mine has no held_out\(\); "):
        cpd.judge()


def test_a_split_sweep_is_judged_on_what_an_edited_file_holds_out(folder: Path) -> None:
    (folder / "mine.py").write_text(PROBLEM.replace("def held_out", "def later"))
    sweep(folder, **{"seeds:": "held_out: 0.25\nseeds:"})
    (folder / "mine.py").write_text(PROBLEM.replace("drawn(3, 30)", "drawn(7, 41)"))
    found = cpd.judge().document["runs"]
    right = cpd.judge(data=drawn(7, 41)).document["runs"]
    assert [run["held_out"] for run in found] == [run["held_out"] for run in right]


def test_examples_that_were_trained_on_are_counted(folder: Path) -> None:
    sweep(folder)
    assert "5 of the examples are equal to examples that are trained on" in cpd.judge(data="tests.py:seen_before").notes


def test_what_no_file_of_weights_holds_is_told(folder: Path) -> None:
    kept = PROBLEM.replace("        x, y = batch\n", "        x, y = batch\n        self.times += model.training\n")
    kept = kept.replace("cpd.Evaluation(loss,", "cpd.Evaluation(loss + 0.01 * self.times,")
    (folder / "mine.py").write_text(kept.replace("    def data", "    times = 1\n\n    def data"))
    sweep(folder)
    (note,) = cpd.judge(data="tests.py:test_set").notes
    assert note.startswith("8 kept models have another objective on the training data than at the end of training (")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "narrow",
            "gives entry 0 as float64 [2], and data() gives float64 [3]; give examples of the shape of",
        ),
        ("alone", "gives 0, and data() gives 0, 1; give examples of the shape of data()'s"),
        ("deep", "gives entry 1 as bool [1], and data() gives bool []; give examples of the shape of data()'s"),
        ("empty", "gives no examples; "),
        ("nothing", "gives no examples; "),
        ("needing", "takes folder, and is called without arguments; "),
        ("one_sided", "counts for recall: there is no value to judge; give examples of every group"),
        ("Unending", "gives an IterableDataset, of which nobody knows the end; "),
        ("raising", "raised KeyError: 'gone'"),
        ("gone", "no function 'gone' in 'tests.py'; "),
    ],
)
def test_examples_that_are_not_usable(folder: Path, name: str, said: str) -> None:
    (folder / "few.yaml").write_text(SPEC.replace("DTYPE", "float64").replace("steps: 30", "steps: 3"))
    cpd.sweep("few.yaml", options=ALL)
    with pytest.raises(CpdError) as raised:
        cpd.judge(data=f"tests.py:{name}")
    assert said in str(raised.value)
    assert str(raised.value).startswith("data: ")
    assert "\n" not in str(raised.value)
    assert cpd.judge(data="tests.py:test_set").document["runs"][0]["held_out"] is not None  # nothing of it stays


def test_models_that_can_only_be_measured_one_by_one(folder: Path) -> None:
    """One of them raises: it has failed with its own traceback, and the others have their numbers."""
    check = "if not model.training and len(y) == 41 and abs(float(loss.detach()) - BAD) < SPAN:"
    text = PROBLEM.replace(
        "        values = {", f'        {check}\n            raise ValueError("too bad")\n        values = {{'
    )
    (folder / "mine.py").write_text(f"{text}\n\nBAD, SPAN = 0, 0\n")
    first = sweep(folder).document["runs"]
    rows = cpd.judge(data="tests.py:test_set").document["runs"]
    right = [plain(run, *drawn(7, 41), torch.float64) for run in first]
    for run, by_hand in zip(rows, right, strict=True):
        assert run["held_out"] is not None
        assert run["held_out"]["objective"] == pytest.approx(by_hand["objective"], rel=1e-12)
        assert run["held_out"]["constraints"]["recall"]["value"] == pytest.approx(by_hand["recall"])
    edited = text.replace("drawn(3, 30)", "drawn(7, 41)")
    (folder / "mine.py").write_text(f"{edited}\n\nBAD, SPAN = {right[0]['objective']}, 1e-9\n")
    result = cpd.judge()
    (failed,) = result.failures
    assert failed.key.id == first[0]["id"]
    assert str(failed.error).endswith("ValueError: too bad\n")
    assert [run["held_out"] is None for run in result.document["runs"]] == [True] + [False] * 7
    (folder / "mine.py").write_text(f"{edited}\n\nBAD, SPAN = 0, 10\n")
    with pytest.raises(CpdError, match="raised ValueError: too bad"):
        cpd.judge(name="none")


def test_a_problem_that_no_file_has_is_given(folder: Path) -> None:
    class Line(cpd.Problem):
        times = 2.0

        def data(self) -> Any:
            return (torch.linspace(0, 1, 20)[:, None],)

        def model(self) -> nn.Module:
            return nn.Linear(1, 1)

        def evaluate(self, model: nn.Module, batch: Any) -> cpd.Evaluation:
            y = model(batch[0])
            return cpd.Evaluation((self.times * y - 1).square().mean(), {"x": y.mean()})

    recipe = {"steps": 20, "optimizer": {"name": "SGD", "lr": 0.05}}
    result = cpd.sweep(
        problem=Line, constraints={"x": "<= 1"}, train=recipe, methods={"penalized": {"coefficient": 1}}, seeds=[1, 2]
    )
    fresh = torch.linspace(3, 4, 9)[:, None]
    right = []
    for run in result.document["runs"]:
        state = load_file(file_of(run))
        y = fresh * state["weight"] + state["bias"]
        right.append([(2 * y - 1).square().mean().item(), y.mean().item()])

    def numbers(judged: cpd.Result) -> list[Any]:
        held = [run["held_out"] for run in judged.document["runs"]]
        return [[row and row["objective"], row and row["constraints"]["x"]["value"]] for row in held]

    judged = cpd.judge(data=fresh)
    assert close(numbers(judged), right, 1e-6)
    assert judged.notes == []
    with pytest.raises(CpdError, match=r"is in no file that could be read again; give it: .*problem=.*Line"):
        cpd.judge()
    Line.held_out = lambda self: (fresh,)  # type: ignore[method-assign]
    given = cpd.judge(problem=Line)
    assert numbers(given) == numbers(judged)
    Line.times = 3.0
    other = cpd.judge(problem=Line, name="other")
    (note,) = other.notes
    assert note.startswith("the class, or what it uses, of ")


def test_a_result_is_judged_and_its_models_are_found_whatever_the_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep(folder)
    result = cpd.sweep("mine.yaml", options=Options(store="other.sqlite", keep_models="all"))
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    judged = cpd.judge(result, data=drawn(2, 40))
    assert judged.id == result.id
    assert len(judged.finished) == len(result.finished)
    assert cpd.judge(judged, data=drawn(2, 40)).judgement == judged.judgement
    run = result.document["runs"][0]
    words: Any = {"setting": run["setting"], "seed": run["seed"]}
    kept = load_file(folder / "other-models" / f"{run['id']}.safetensors")
    for one in (result, judged, cpd.open("last", store=folder / "other.sqlite")):
        found = one.model(run["method"], **words).state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in kept.items())


def test_a_result_that_is_nowhere_stored_is_not_judged(folder: Path) -> None:
    sweep(folder)
    with pytest.raises(CpdError, match=r"^cpd\.judge\(\): sweep: the result is in no store"):
        cpd.judge(cpd.sweep("mine.yaml", options=Options(keep=False)), data=drawn(2, 40))


def test_labels_of_a_type_that_only_one_model_alone_refuses(folder: Path) -> None:
    changed = PROBLEM.replace("y.to(logits.dtype)", "y").replace("% 3 == 0\n", "% 3 == 0\n    y = y.double()\n")
    sweep(folder)
    (folder / "mine.py").write_text(changed)
    cpd.sweep("mine.yaml", options=ALL)
    x, y = drawn(2, 40)
    with pytest.raises(CpdError, match=r"gives entry 1 as int64 \[\], and data\(\) gives float64 \[\]"):
        cpd.judge("last", data=(x, y.long()))
