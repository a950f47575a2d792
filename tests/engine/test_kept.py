"""What user code keeps in objects: seen, set back for each run, resumed; refused where it cannot be set back."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import own_objects
import pytest
from engine_batches import SGD, constraint, key, numbers, recipe
from own_code import plainly, seeded
from own_objects import __file__ as OWN  # noqa: N812

from cpd.engine.batch import Batch
from cpd.engine.train import Hooks, Interrupted, train
from cpd.errors import CpdError
from cpd.spec.models import ProblemSource

KEYS = tuple(key("penalized", {"rate": 0.4}, coefficient=c) for c in (0.0, 3.0))


def own(name: str, steps: int = 90, **options: Any) -> Batch:
    source = ProblemSource(target=f"own_objects.py:{name}", path=str(OWN), source=Path(OWN).read_text(), arguments={})
    train_recipe = recipe(steps, optimizer=SGD, dtype="float32")
    return Batch(source, {"rate": constraint(0.4, "<=")}, train_recipe, KEYS, **options)


def plain(name: str, coefficient: float, steps: int = 90) -> float:
    """The finished objective of a loop that knows nothing of cpd."""
    own_objects.CALLS["n"] = 0
    problem = getattr(own_objects, name)()
    model, data = plainly(problem, 1, steps, SGD.options["lr"], coefficient)
    seeded(1)
    model.eval()
    return float(problem.measure(model, data).objective.item())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("InDataclass", "changes self.schedule.calls"),
        ("InSlots", "changes self.schedule.calls"),
        ("InNamespace", "changes self.schedule.calls"),
        ("InArguments", "changes self.schedule.calls"),
        ("InMethod", "changes self.weight.__self__.calls"),
        ("InCycle", "changes self.weights"),
        ("InTwice", "changes self.weights"),
        ("InGlobal", "changes CALLS['n']"),
        ("Adversary", "changes self.judge"),
        ("Kept", "changes self.recent"),
    ],
)
@pytest.mark.parametrize("stepper", ["captured", "eager"])
def test_each_run_has_the_numbers_of_a_loop_of_its_own_and_a_line(name: str, said: str, stepper: str) -> None:
    trained = train(own(name, stepper=stepper))
    assert [run.objective for run in trained.runs] == pytest.approx([plain(name, 0.0), plain(name, 3.0)], abs=1e-6)
    assert said in "; ".join(trained.notes)


@pytest.mark.parametrize("name", ["InDataclass", "InSlots", "InNamespace", "InMethod", "Kept"])
def test_what_objects_keep_is_resumed_bit_by_bit(name: str, tmp_path: Path) -> None:
    batch = own(name)
    whole = train(batch).runs
    kept = replace(batch, checkpoint=str(tmp_path), checkpoint_every=0.0)
    calls = iter(range(10_000))
    told: list[str] = []
    with pytest.raises(Interrupted):
        train(kept, Hooks(stop=lambda: next(calls) >= 10, say=told.append))
    assert list(tmp_path.iterdir())
    assert not told
    assert [numbers(run) for run in train(kept).runs] == [numbers(run) for run in whole]


@pytest.mark.parametrize("name", ["InCycle", "Adversary"])
def test_what_a_checkpoint_cannot_hold_is_said_and_trained_again(name: str, tmp_path: Path) -> None:
    batch = own(name, checkpoint=str(tmp_path), checkpoint_every=0.0)
    whole = train(replace(batch, checkpoint=None)).runs
    calls = iter(range(10_000))
    told: list[str] = []
    with pytest.raises(Interrupted):
        train(batch, Hooks(stop=lambda: next(calls) >= 10, say=told.append))
    assert "which a checkpoint cannot hold" in "; ".join(told)
    assert [numbers(run) for run in train(batch).runs] == [numbers(run) for run in whole]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("InGenerator", "moves self.weights on, which cannot be set back"),
        ("InLoader", "moves self.others on, which cannot be set back"),
        ("InLateBuffer", "adds 'mean' to the model and changes it"),
    ],
)
def test_what_no_run_can_have_as_its_own_is_refused(name: str, said: str) -> None:
    with pytest.raises(CpdError, match=said) as error:
        train(own(name))
    assert error.value.place == f"own_objects.py:{name}.evaluate()"
