"""How runs are cut into batches, and the work by which that is decided."""

import itertools
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest
from engine_batches import ADAM, bundled, constraint, key, recipe, source

from cpd.engine.batch import Batch
from cpd.engine.cost import PER_CALL, Work, weigh
from cpd.executors.start import Where
from cpd.outcome import RunKey
from cpd.run.options import Options
from cpd.run.plan import (
    CLUSTER_BATCHES,
    FEW,
    LEAST_FUSED,
    MEMORY,
    MOST_FUSED,
    WORTH,
    Plan,
    cut,
    default_fuse,
    default_jobs,
    plan,
)


def keys(count: int, seeds: int = 1) -> list[RunKey]:
    return [key("penalized", {"g": 0.0}, seed, coefficient=k) for k in range(count) for seed in range(seeds)]


@pytest.mark.parametrize("jobs", [1, 2, 3, 7])
@pytest.mark.parametrize("fuse", [1, 5, 1000])
@pytest.mark.parametrize("share", [True, False])
def test_every_run_is_in_one_batch(jobs: int, fuse: int, share: bool) -> None:
    runs = keys(13, seeds=3)
    batches = cut(runs, jobs=jobs, fuse=fuse, share_seeds=share)
    together = list(itertools.chain(*batches))
    assert sorted(together, key=str) == sorted(runs, key=str)
    assert len(together) == len(set(map(str, together)))
    assert max(map(len, batches)) <= fuse
    assert [len(b) for b in batches] == sorted(map(len, batches), reverse=True)
    assert share or all(len({run.seed for run in batch}) == 1 for batch in batches)


def test_several_workers_get_several_batches_of_two_runs_or_more() -> None:
    assert [len(b) for b in cut(keys(9), jobs=2, fuse=1000, share_seeds=True)] == [5, 4]
    assert [len(b) for b in cut(keys(3), jobs=2, fuse=1000, share_seeds=True)] == [3]


def test_small_trainings_stay_in_one_process_and_large_ones_share_the_cores() -> None:
    assert default_jobs(400, seconds=WORTH / 401, device="cpu", cores=8) == 1
    assert default_jobs(400, seconds=WORTH / 399, device="cpu", cores=8) == 8
    assert default_jobs(4, seconds=1000, device="cpu", cores=8) == 4 // LEAST_FUSED
    assert default_jobs(1, seconds=1000, device="cpu", cores=8) == 1
    assert default_jobs(400, seconds=1000, device="cuda", cores=8) == 1


def test_the_cores_are_those_that_workers_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert default_jobs(400, seconds=1000, device="cpu") == 1


def test_memory_bounds_the_runs_in_a_program() -> None:
    assert default_fuse(1) == MOST_FUSED
    assert default_fuse(MEMORY // 50) == 50
    assert default_fuse(MEMORY) == default_fuse(10 * MEMORY) == 1


def test_the_work_of_a_run_counts_its_matrix_products() -> None:
    level = {"density": 0.5}
    batch = Batch(
        bundled("cpd.problems.sparsity:Sparsity", hidden=[64]),
        {"density": constraint(0.5, "<=")},
        recipe(100, 256, ADAM, dtype="float32"),
        (key("penalized", level, coefficient=0.1),),
    )
    work = weigh(batch)
    assert work is not None
    products = 2 * 256 * (64 * 64 + 64 * 10)
    least = 100 * 3 * products / 8e10
    assert least < work.seconds < 4 * least  # and what else there is
    assert work.memory > 12 * 4 * (64 * 64 + 64 * 10)


def test_the_work_of_two_runs_is_not_counted_for_one() -> None:
    levels = {"each": 0.5, "total": 2.0}
    bounds = {"each": constraint(0.5, ">="), "total": constraint(2.0, "==")}
    one = Batch(source("Quadratic"), bounds, recipe(60), (key("penalized", levels, coefficient=0.1),))
    assert weigh(one) == weigh(one.with_keys((*one.keys, key("penalized", levels, coefficient=0.2))))


def test_starting_operations_counts_where_runs_train_one_by_one() -> None:
    run, bounds = key("penalized", {"size": 0.0}, coefficient=1.0), {"size": constraint(0, "<=")}
    line, branching = (weigh(Batch(source(name), bounds, recipe(1000), (run,))) for name in ("Line", "Branching"))
    assert line is not None
    assert branching is not None
    assert line.seconds < 1e-4
    assert 1000 * PER_CALL * 3 < branching.seconds < 1000 * PER_CALL * 30
    assert default_jobs(2000, seconds=branching.seconds, device="cpu", cores=8) == 8


def test_a_problem_that_raises_is_not_weighed() -> None:
    run = key("penalized", {"g": 0.0}, coefficient=1.0)
    assert weigh(Batch(source("Fails", how="raise"), {"g": constraint(0, "<=")}, recipe(5), (run,))) is None


# The plan of a command.


class Counting:
    """Work of so many seconds and bytes, and how often it was asked for."""

    def __init__(self, seconds: float = 0.0, memory: int = 1, *, countable: bool = True) -> None:
        self.work = Work(seconds, memory) if countable else None
        self.asked = 0

    def __call__(self) -> Work | None:
        self.asked += 1
        return self.work


def named(count: int, seeds: int = 1) -> list[RunKey]:
    return [replace(run, id=str(k)) for k, run in enumerate(keys(count, seeds))]


def planned(runs: list[RunKey], work: Counting | None = None, known: Collection[str] = (), **options: Any) -> Plan:
    return plan(runs, Options(**options), work or Counting(), known, share_seeds=True)


def sizes(found: Plan) -> list[int]:
    return [len(group) for group in found.train]


@pytest.mark.parametrize(
    ("options", "runs", "asked"),
    [
        ({}, FEW, True),  # for the workers
        ({"jobs": 1}, FEW, False),  # few runs fit, and the workers are named
        ({"jobs": 1}, FEW + 1, True),  # for the memory
        ({"jobs": 1, "fuse": 3}, FEW + 1, False),
        ({"fuse": 3}, FEW + 1, True),
        ({}, 0, False),
        ({"jobs": 2}, FEW + 1, False),  # what trains elsewhere is never touched here
        ({"devices": ("cpu",)}, FEW + 1, False),
        ({"backend": "dask", "address": "tcp://there:1"}, FEW + 1, False),
        ({"backend": "ray", "jobs": 1}, FEW + 1, False),
    ],
)
def test_work_is_counted_only_where_it_decides_something(options: dict[str, Any], runs: int, asked: bool) -> None:
    work = Counting()
    planned(named(runs), work, **options)
    assert (work.asked > 0) == asked


@pytest.mark.parametrize(
    ("options", "where", "here"),
    [
        ({}, Where("local", 1), True),
        ({"jobs": 1}, Where("local", 1), True),
        ({"jobs": 3}, Where("local", 3), False),
        ({"jobs": 30, "fuse": 4}, Where("local", 5), False),  # no more than there are batches
        ({"devices": ("cpu",)}, Where("local", 1, devices=("cpu",)), False),
        ({"backend": "dask", "address": "tcp://there:1"}, Where("dask", CLUSTER_BATCHES, "tcp://there:1"), False),
        ({"backend": "ray", "jobs": 4, "address": "auto"}, Where("ray", 4, "auto"), False),
    ],
)
def test_where_the_work_goes(options: dict[str, Any], where: Where, here: bool) -> None:
    found = planned(named(20), **options)
    assert (found.where, found.here) == (where, here)


def test_large_trainings_share_the_cores_and_their_batches_are_cut_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    large = Counting(seconds=WORTH)
    found = planned(named(9), large)
    assert sizes(found) == [5, 4]
    assert not found.here
    # A number for --fuse alone decides on the batches.
    found = planned(named(9), large, fuse=9)
    assert sizes(found) == [9]
    assert found.where == Where("local", 1)


def test_memory_and_fuse_bound_the_batches() -> None:
    assert sizes(planned(named(12), Counting(memory=MEMORY // 4))) == [4, 4, 4]
    assert sizes(planned(named(FEW), Counting(memory=MEMORY))) == [FEW]  # few fit, whatever they take
    assert sizes(planned(named(12), Counting(countable=False))) == [12]
    assert sizes(planned(named(12), fuse=1)) == [1] * 12


def test_what_is_known_is_left_out_of_the_same_batches_whose_old_checkpoints_are_forgotten() -> None:
    runs = named(12)
    whole = planned(runs, fuse=4)
    assert whole.forget == ()
    first, second, third = whole.train
    known = {str(run.id) for run in (*first, second[0])}
    rest = planned(runs, known=known, fuse=4)
    assert rest.train == (second[1:], third)
    assert rest.forget == (first, second)
    assert (rest.where, rest.here) == (whole.where, whole.here)


def test_what_is_known_does_not_change_the_workers() -> None:
    runs = named(12)
    everything = {str(run.id) for run in runs}
    assert planned(runs, known=everything, jobs=3).where == planned(runs, jobs=3).where


def test_fresh_forgets_all_checkpoints() -> None:
    found = planned(named(6), fuse=3, fresh=True)
    assert found.forget == found.train
    assert sizes(found) == [3, 3]


def test_seeds_share_a_program_only_where_the_data_is_taken_whole() -> None:
    runs = named(3, seeds=2)
    apart = plan(runs, Options(jobs=1), Counting(), (), share_seeds=False)
    assert [{run.seed for run in group} for group in apart.train] == [{0}, {1}]
