"""Data that is read while it is trained on, against a plain PyTorch loop over the same items, seeded by hand."""

import hashlib
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamed_problems as own
import torch
from engine_batches import constraint, key, numbers, recipe
from torch import Tensor
from torch.nn.utils.rnn import pack_sequence
from torch.utils.data import default_collate

from cpd.engine import handing_over
from cpd.engine.averages import Average
from cpd.engine.batch import Batch
from cpd.engine.checking import check
from cpd.engine.cost import weigh
from cpd.engine.examples import as_tensors, on_device
from cpd.engine.handing_over import workers_for
from cpd.engine.items import Stream, item_seed
from cpd.engine.packing import Packed, Read
from cpd.engine.stacked import Stacked
from cpd.engine.streams import Streamed, minibatches
from cpd.engine.tracebacks import ItemRaised
from cpd.engine.train import Hooks, Interrupted, train
from cpd.engine.tree import leaves, mapped
from cpd.errors import CpdError, SpecError
from cpd.outcome import Status
from cpd.run.apart import train_apart
from cpd.spec.models import Optimizer, ProblemSource

SEED, SIZE, COEFFICIENT, LR = 1, 8, 0.5, 0.05
SOURCE = Path(own.__file__)


def batch_of(name: str, steps: int = 20, size: int | None = SIZE, runs: int = 2, **options: Any) -> Batch:
    arguments = options.pop("arguments", {})
    text = SOURCE.read_text()
    source = ProblemSource(target=f"{SOURCE.name}:{name}", path=str(SOURCE), source=text, arguments=arguments)
    keys = [key("penalized", {"rate": 0.4}, SEED, coefficient=COEFFICIENT * (k + 1)) for k in range(runs)]
    return Batch(source, {"rate": constraint(0.4, "<=")}, recipe(steps, size), tuple(keys), **options)


def words_seed(*words: object) -> int:
    """The seed of an item, as the pages say."""
    digest = hashlib.blake2b(" ".join(map(str, words)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") // 2


def seed_all(number: int, generators: list[Any]) -> None:
    torch.manual_seed(number)
    random.seed(number)
    np.random.seed(number % 2**32)
    for k, generator in enumerate(generators):
        if isinstance(generator, np.random.Generator):
            generator.bit_generator.state = np.random.PCG64(number + k).state
        elif isinstance(generator, torch.Generator):
            generator.manual_seed(number + k)
        else:
            generator.seed(number + k)


def double(batch: Any) -> Any:
    return mapped(lambda t: t.double() if t.is_floating_point() else t, batch)


def map_style(problem: Any, seed: int, epochs: Iterator[int], shuffled: bool = True) -> Iterator[tuple[int, Any]]:
    """Minibatches of a Dataset or a list of items with how many items each has."""
    items = problem.data()
    generators = [items.own, own.SHARED, items.nested["torch"][0]] if isinstance(items, own.Noisy) else []
    order = torch.Generator().manual_seed(seed)
    for epoch in epochs:
        index = torch.randperm(len(items), generator=order) if shuffled else torch.arange(len(items))
        for number, part in enumerate(index.split(SIZE)):
            read = []
            for k in part.tolist():
                seed_all(words_seed(seed, epoch, k), generators)
                read.append(items[k])
            if problem.collate is None:
                yield len(part), double(default_collate(read))
            else:
                seed_all(words_seed(seed, epoch, "collate", number), [])
                collate = type(problem).collate if isinstance(problem, own.Bags) else problem.collate
                yield len(part), double(collate(read))


def in_order(problem: Any, seed: int, epochs: Iterator[int]) -> Iterator[tuple[int, Any]]:
    """Minibatches of an IterableDataset."""
    for epoch in epochs:
        seed_all(words_seed(seed, epoch), [])
        items = list(problem.data()) if not problem.batched else list(problem.data().dataset)
        for k in range(0, len(items), 1 if problem.batched else SIZE):
            part = items[k : k + SIZE]
            batch = double(items[k] if problem.batched else default_collate(part))
            yield len(batch[0]), batch


def plain(problem: Any, steps: int, coefficient: float = COEFFICIENT) -> tuple[float, float, float]:
    """A plain PyTorch loop of one run: the finished model's objective, constraint and metric."""
    read = in_order if isinstance(problem, own.Walking) else map_style
    torch.manual_seed(SEED)
    model = problem.model().double()
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    for _, batch in islice(read(problem, SEED, count()), steps):
        at = problem.evaluate(model, batch)
        optimizer.zero_grad()
        (at.objective + coefficient * (at.constraints["rate"] - 0.4)).backward()
        optimizer.step()
    shown = {} if read is in_order else {"shuffled": False}
    parts = [(n, problem.evaluate(model.eval(), b)) for n, b in read(problem, 0, iter([-1]), **shown)]
    total = sum(n for n, _ in parts)
    values = ((n * at.objective, n * at.constraints["rate"], n * at.metrics["largest"]) for n, at in parts)
    objective, rate, largest = (sum(x.item() for x in column) / total for column in zip(*values, strict=True))
    return objective, rate, largest


@pytest.mark.parametrize(
    ("name", "arguments", "size"),
    [
        ("Augmented", {}, SIZE),
        ("Walking", {}, SIZE),
        ("Walking", {"batched": True}, None),
        ("Bags", {}, SIZE),
        ("Sequences", {}, SIZE),
    ],
)
def test_it_trains_as_a_plain_loop_over_the_same_items(name: str, arguments: dict[str, Any], size: int | None) -> None:
    """Two runs, one after the other where they cannot be fused."""
    batch = batch_of(name, size=size, arguments=arguments, loader_workers=0)
    found = {engine: train(replace(batch, stepper=engine)).runs for engine in ("eager", "captured")}
    problem = getattr(own, name)(**arguments)
    for k in range(2):
        right = plain(problem, 20, COEFFICIENT * (k + 1))
        for engine, runs in found.items():
            run = runs[k]
            assert run.status is Status.COMPLETED, (engine, run.error)
            ours = (run.objective, run.constraints["rate"].value, run.metrics["largest"])
            assert ours == pytest.approx(right, rel=1e-9), engine


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file that is dropped, not closed
@pytest.mark.parametrize("name", ["Augmented", "Walking", "Sequences", "Opened"])
def test_the_number_of_processes_changes_nothing(name: str) -> None:
    batch = batch_of(name, stepper="eager")
    here, *others = (train(replace(batch, loader_workers=workers)) for workers in (0, 1, 3))
    for other in others:
        assert [numbers(run) for run in other.runs] == [numbers(run) for run in here.runs]
        assert any("ahead of the steps (--loader-workers)" in note for note in other.notes)
    assert multiprocessing.active_children() == []


@pytest.mark.slow
@pytest.mark.parametrize(("stepper", "workers"), [("eager", 0), ("captured", 2)])
@pytest.mark.parametrize("name", ["Augmented", "Walking", "Means", "Sequences"])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_by_bit(
    name: str, stepper: str, workers: int, tmp_path: Path
) -> None:
    size = 1 if name == "Means" else SIZE  # more shapes of minibatch than steps are captured for
    batch = batch_of(name, steps=30, size=size, stepper=stepper, loader_workers=workers)
    whole = train(batch).runs
    kept = replace(batch, checkpoint=str(tmp_path), checkpoint_every=0.0)
    resumed, asked = None, 0
    while resumed is None:
        calls = iter(range(10_000))

        def stop(calls: Iterator[int] = calls) -> bool:
            return next(calls) >= 4

        try:
            resumed = train(kept, Hooks(stop=stop)).runs
        except Interrupted:
            asked += 1
    assert asked >= 4
    assert [numbers(r) for r in resumed] == [numbers(r) for r in whole]
    assert multiprocessing.active_children() == []


TASK = f"""problem: {SOURCE}:Slow
constraints: {{rate: "<= 0.4"}}
train: {{steps: 300, batch_size: 8, optimizer: {{name: SGD, lr: 0.05}}}}
methods: {{penalized: {{coefficient: {{values: [0.1, 1]}}}}}}
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are listed by Linux alone")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_processes_and_the_sweep_goes_on_where_it_stood(number: int, tmp_path: Path) -> None:
    (tmp_path / "slow.yaml").write_text(TASK)
    words = (sys.executable, "-P", "-m", "cpd", "sweep", "slow.yaml", "--format", "json", "--loader-workers", "2")

    def started(store: str) -> subprocess.Popen[str]:
        command = (*words, "--store", store)
        return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def objectives(process: subprocess.Popen[str]) -> list[float]:
        out, _ = process.communicate()
        return [run["objective"] for run in json.loads(out)["runs"]]

    process = started("cut")
    while len(children := Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(process.pid, number)
    process.communicate()
    assert process.returncode == 128 + number
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert objectives(started("cut")) == objectives(started("whole"))


def stream(raw: Any, collate: Any = None) -> Stream:
    found = on_device(as_tensors(raw, "P.data()", [], collate), torch.device("cpu"), torch.float64)
    assert isinstance(found, Stream)
    return found


STREAMS = {
    "map": lambda: stream(own.Noisy(20)),
    "ordered": lambda: stream(own.Walk(20)),
    "batches": lambda: stream(own.Walking(batched=True).data()),
    "texts": lambda: stream(own.texts()[:20], own.in_a_row),
}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", list(STREAMS))
def test_minibatches_are_peeked_at_put_back_and_read_again_from_any_state(kind: str, workers: int) -> None:
    data = STREAMS[kind]()
    straight = minibatches(data, 6, SEED)
    right = [straight.next() for _ in range(11)]
    batches = minibatches(data, 6, SEED, min(workers, 1) if data.examples is None else workers)
    states = []
    random_before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # type: ignore[index]
    for k in range(11):
        states.append(batches.state())
        if k % 3 == 1:
            same(batches.peek(), right[k])
            mapped(lambda t: t.zero_(), batches.next())  # user code may change a minibatch in place
            batches.put_back()
            same(batches.copy_of(batches.peek()), right[k])
        same(batches.next(), right[k])
    for k in (7, 2, 3, 10, 0):
        batches.restore(*states[k])
        same(batches.next(), right[k])
        mapped(lambda t: t.zero_(), batches.sample())
        same(batches.next(), right[k + 1] if k < 10 else batches.copy_of(straight.next()))
    same(batches.sample(), minibatches(data, 6, SEED).sample())
    assert torch.equal(torch.get_rng_state(), random_before[0])
    assert np.array_equal(np.random.get_state()[1], random_before[1])  # type: ignore[index]
    assert random.getstate() == random_before[2]
    batches.close()
    assert multiprocessing.active_children() == []


def same(a: Any, b: Any) -> None:
    assert [t.tolist() for t in leaves(a)] == [t.tolist() for t in leaves(b)]
    assert type(a) is type(b)


def test_an_item_has_the_seed_that_the_pages_say() -> None:
    assert item_seed(3, 0, 17) == words_seed(3, 0, 17)
    assert item_seed(3, 1, 17) != item_seed(3, 0, 17) != item_seed(31, 0, 7)
    assert 0 <= item_seed("x") < 2**63


def test_what_was_read_is_not_read_again_when_a_training_goes_on() -> None:
    dataset = own.Noisy(20)
    data = stream(dataset)
    first = minibatches(data, 6, SEED)
    for _ in range(6):
        first.next()
    state = first.state()
    dataset.read.clear()
    again = minibatches(data, 6, SEED)
    again.restore(*state)
    again.next()
    assert dataset.read == first._order[2].tolist()


def test_all_data_of_a_dataset_that_is_read_anew_stands_in_its_own_order() -> None:
    dataset = own.Noisy(7)
    batches = minibatches(stream(dataset), None, SEED)
    dataset.read.clear()
    (_, _, k) = batches.next()["rest"]
    assert k.tolist() == dataset.read == list(range(7))
    assert batches.next()["x"].tolist() != batches.sample()["x"].tolist()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("Walking", {"size": None}, "an IterableDataset has no end at which all examples were seen; write batch_size"),
        ("Walking", {"arguments": {"batched": True}}, "is 8, and each item of the DataLoader of data() is a batch; "),
        ("Loaded", {"size": 16}, "is 16, and the DataLoader of data() has 8; write batch_size: 8"),
        ("Loaded", {"size": None}, "is all, and the DataLoader of data() has 8; write batch_size: 8"),
    ],
)
def test_a_recipe_that_the_data_does_not_fit_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        train(batch_of(name, **options))
    assert str(caught.value).startswith(f"train.batch_size: {message}")


def test_a_stream_is_read_in_one_process_unless_another_number_is_asked_for() -> None:
    for name, one in (("Augmented", True), ("Bags", False)):
        work = weigh(batch_of(name))
        assert work is not None
        assert (work.seconds == 0) is one


def test_epochs_of_a_stream_without_a_length_are_refused() -> None:
    batch = batch_of("Walking")
    with pytest.raises(SpecError) as caught:
        train(replace(batch, train=batch.train.model_copy(update={"steps": None, "epochs": 2.0})))
    message = "train.epochs: an IterableDataset does not say how many examples an epoch has; write steps: NUMBER"
    assert str(caught.value) == message


def test_a_data_loader_names_its_processes() -> None:
    assert any("2 processes read ahead" in note for note in train(batch_of("Loaded", steps=3)).notes)


def test_an_open_file_is_not_shared_with_another_process() -> None:
    trained = train(batch_of("Opened", steps=3, arguments={"late": False}, loader_workers=2))
    assert any("read in this process, for another one cannot be handed it (TypeError" in n for n in trained.notes)


def test_a_batch_that_cannot_be_pickled_is_read_here() -> None:
    data = stream([(torch.zeros(2), 1.0)] * 4, lambda items: (torch.zeros(len(items)), lambda: None))
    workers, note = workers_for(data, 2, 2)
    assert workers == 0
    assert "read in this process, for another one cannot be handed it" in (note or "")
    assert workers_for(replace(data, collate=own.in_a_row), 2, 2)[0] == 2


def test_a_run_that_diverges_is_made_again_from_the_last_look() -> None:
    """A training goes back and forth between two looks: the same minibatches are read again."""
    recipe = batch_of("Augmented").train.model_copy(
        update={"optimizer": Optimizer(options={"lr": 1e308, "momentum": 0.9})}
    )
    batch = replace(batch_of("Augmented", steps=40), train=recipe.model_copy(update={"steps": 40}))
    for engine in ("eager", "captured"):
        here, there = (train(replace(batch, stepper=engine, loader_workers=w)) for w in (0, 2))
        assert [run.status for run in here.runs] == [Status.DIVERGED] * 2
        assert [numbers(run) for run in here.runs] == [numbers(run) for run in there.runs]
        assert not any("made again" in note for note in here.notes)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_item_that_raises_ends_the_runs_and_all_processes(workers: int) -> None:
    trained = train_apart(batch_of("Broken", steps=40, stepper="captured", loader_workers=workers), Hooks())
    for run in trained.runs:
        assert run.status is Status.FAILED
        assert 14 <= run.steps < 21
        assert run.error is not None
        assert run.error.strip().endswith("ValueError: a broken image")
        assert "streamed_problems.py" in run.error
    assert not any("made again" in note for note in trained.notes)
    assert multiprocessing.active_children() == []


def test_minibatches_of_many_shapes_are_not_captured() -> None:
    trained = train(batch_of("Means", steps=50, size=1, stepper="captured"))
    said = "the step cannot be captured, it runs eagerly: minibatches have more than 8 different shapes"
    assert said in trained.notes


def test_compiled_steps_give_way_to_captured_ones() -> None:
    said: list[str] = []
    batch = batch_of("Augmented", steps=5, loader_workers=0)
    compiled = train(replace(batch, stepper="compiled"), Hooks(say=said.append))
    assert "captured instead of compiled: a compiled step takes a minibatch from data in memory" in said
    assert [numbers(run) for run in compiled.runs] == [
        numbers(run) for run in train(replace(batch, stepper="captured")).runs
    ]


def test_a_stream_is_checked_without_training() -> None:
    found = {each.check: each for each in check(batch_of("Augmented"))}
    assert all(each.ok for each in found.values())
    assert found["data"].found.startswith("50 items, read while they are trained on")
    assert multiprocessing.active_children() == []


def test_a_process_that_is_killed_is_said() -> None:
    batches = minibatches(stream(own.Noisy(20)), 2, SEED, 1)
    batches.next()
    (process,) = multiprocessing.active_children()
    process.kill()
    with pytest.raises(ItemRaised, match="--loader-workers 0 reads in this process"):
        list(islice(batches, 10))
    batches.close()


def test_a_worker_process_of_a_sweep_starts_none_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    data = replace(stream(own.Noisy(20)), seconds=0.002)
    assert workers_for(data, 32, None)[0] == min(2, handing_over.cores())
    assert workers_for(replace(data, seconds=1e-6), 32, None) == (0, None)
    assert workers_for(data, 32, 3)[0] == 3
    assert workers_for(replace(data, examples=None), 32, 3)[0] == 1
    monkeypatch.setattr(multiprocessing, "parent_process", multiprocessing.current_process)
    workers, note = workers_for(data, 32, None)
    assert (workers, note) == (
        0,
        "P.data(): a worker process reads its items itself, between the steps; --jobs 1 reads them ahead",
    )


def test_tensors_travel_in_one_piece_and_are_apart_afterwards() -> None:
    texts = [torch.arange(k) for k in range(50)]
    words = pack_sequence(texts[2:5], enforce_sorted=False)
    batch = {"a": texts, "b": (torch.randn(3, 2).t(), torch.zeros(0, 4), "text", 1.5), "words": words}
    packed = Packed.of(Read(batch, 3))
    assert packed.memory is not None
    opened = packed.opened().batch
    assert type(opened["words"]) is type(words)
    flat, right = leaves(opened), leaves(batch)
    for ours, theirs in zip(flat, right, strict=True):
        assert torch.equal(ours, theirs) if isinstance(theirs, Tensor) else ours == theirs
    version = flat[4]._version
    flat[3].add_(1)
    assert torch.equal(flat[4], torch.arange(4))
    assert flat[4]._version == version


def test_an_average_is_over_examples_and_one_part_stays_as_it_is() -> None:
    def at(x: float) -> Stacked:
        value = torch.tensor([x, 2 * x])
        return Stacked(value, value[:, None], value[:, None] + 1, {"m": value}, {}, {}, {})

    one, average = Average(), Average()
    one.add(5, at(0.1))
    assert one.value().objective.tolist() == at(0.1).objective.tolist()
    for examples, x in ((8, 1.0), (2, 3.0)):
        average.add(examples, at(x))
    found = average.value()
    assert found.objective.tolist() == pytest.approx([1.4, 2.8])
    assert found.strict[:, 0].tolist() == pytest.approx([2.4, 3.8])
    assert found.metrics["m"].dtype == torch.float32


def test_an_item_that_cannot_be_stacked_is_refused_before_training() -> None:
    with pytest.raises(CpdError, match="write collate"):
        stream([(torch.zeros(k), 1.0) for k in range(3)])


def test_in_memory_data_is_no_stream() -> None:
    assert not isinstance(minibatches((torch.zeros(4),), 2, SEED), Streamed)
