"""How runs are cut into batches, and the work by which that is decided."""

import itertools

import pytest
from engine_batches import ADAM, bundled, constraint, key, recipe, source

from cpd.engine.batch import Batch
from cpd.engine.cost import weigh
from cpd.outcome import RunKey
from cpd.run.plan import LEAST_FUSED, MEMORY, MOST_FUSED, WORTH, cut, default_fuse, default_jobs


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


def test_a_problem_that_raises_is_not_weighed() -> None:
    run = key("penalized", {"g": 0.0}, coefficient=1.0)
    assert weigh(Batch(source("Fails", how="raise"), {"g": constraint(0, "<=")}, recipe(5), (run,))) is None
