"""Any run comes back from the store as it was, its numbers as plain numbers."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_runs import RECORD, add, identity, ids, make_run

from cpd.outcome import (
    ConstraintOutcome,
    Curves,
    Ending,
    Evidence,
    HeldOut,
    Kkt,
    MeasuredCurves,
    Run,
    RunKey,
    Status,
)
from cpd.store.packing import pack, unpack
from cpd.store.rows import pack_tails, with_tails
from cpd.store.store import Store


def test_a_run_comes_back_as_it_was(store: Store) -> None:
    run = make_run(1)
    sweep = add(store, run)
    assert store.load(sweep, curves=True).runs == [run]
    assert store.load(sweep).runs == [replace(run, curves=None)]
    assert store.known(ids(1)) == {identity(1): run}


def test_what_was_measured_along_the_way_comes_back(store: Store) -> None:
    vector = [[1.0, None], [2.0, 1 / 3]]
    measured = MeasuredCurves(
        [50, 100], [0.1, None], {"measured:g": vector, "h": [1, 2]}, {"h": [1, 2]}, {"a:b": [0, 1]}
    )
    run = make_run(1)
    assert run.curves is not None
    run = replace(run, curves=replace(run.curves, measured=measured), selected_step=50, ended_early=True)
    run = replace(run, mixture=((50, 1 / 3), (100, 2 / 3)), averaged=0.1)
    sweep = add(store, run)
    assert store.load(sweep, curves=True).runs == [run]
    assert store.load(sweep).runs == [replace(run, curves=None)]


def test_what_is_held_out_comes_back(store: Store) -> None:
    parts = {"rate": ConstraintOutcome(0.7, 0.5), "parts": ConstraintOutcome([1.0, None], [0.5, 2.5])}
    held_out = HeldOut(20, 1 / 3, parts, {"accuracy": None}, "no held-out example counts for parts[1]")
    along = MeasuredCurves([50], [0.1], {"measured:g": [[1.0, 2.0]]}, {"h": [1]}, {"a:b": [0]})
    run = make_run(1)
    assert run.curves is not None
    curves = replace(run.curves, measured=replace(along, objective=[0.2], held_out=along))
    run = replace(run, held_out=held_out, examples=80, curves=curves)
    sweep = add(store, run)
    assert store.load(sweep, curves=True).runs == [run]


def test_a_negative_zero_keeps_its_sign(store: Store) -> None:
    add(store, make_run(1, objective=-0.0))
    run = store.known(ids(1))[identity(1)]
    multiplier = run.constraints["rate"].multiplier
    assert isinstance(multiplier, float)
    assert isinstance(run.objective, float)
    assert [math.copysign(1, multiplier), math.copysign(1, run.objective)] == [-1, -1]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_missing(store: Store, value: float) -> None:
    outcome = ConstraintOutcome(value, [value, 1.0], value, [1.0, value], value)
    curves = Curves([0, 1], [value, 1.0], {"g": [[value], [2.0]]}, {"g": [value, value]})
    run = make_run(1, Status.DIVERGED, objective=value, constraints={"g": outcome}, metrics={"m": value}, curves=curves)
    (stored,) = store.load(add(store, run), curves=True).runs
    assert stored.status is Status.DIVERGED
    assert stored.objective is None
    assert stored.metrics == {"m": None}
    assert stored.constraints["g"] == ConstraintOutcome(None, [None, 1.0], None, [1.0, None], None)
    assert stored.curves == Curves([0, 1], [None, 1.0], {"g": [[None], [2.0]]}, {"g": [None, None]})


def test_numbers_of_numpy_and_torch_become_pythons(store: Store) -> None:
    key = RunKey("nupi", {"dual_lr": np.float32(0.5), "k": np.int64(3), "on": np.bool_(True)}, {"g": np.float64(1)}, 1)
    single: Any = np.float32  # a float to whoever stores it
    tensor: Any = torch.tensor
    integer: Any = np.int64
    outcome = ConstraintOutcome(single(0.5), tensor(0.25), np.float64(2), [single(1)], single(0.5))
    run = Run(replace(key, id="c1:0"), Status.COMPLETED, single(1.5), {"g": outcome}, steps=integer(7))
    (stored,) = store.load(add(store, run)).runs
    assert stored.key.setting == {"dual_lr": 0.5, "k": 3, "on": True}
    assert [type(value) for value in stored.key.setting.values()] == [float, int, bool]
    assert stored.constraints["g"] == ConstraintOutcome(0.5, 0.25, 2.0, [1.0], 0.5)
    assert (stored.objective, stored.steps) == (1.5, 7)


@pytest.mark.parametrize(("names", "recedes"), [(("g", "h"), True), (("", "h"), False), (("\0", ""), None)])
def test_what_was_counted_comes_back_exactly_whatever_constraints_are_called(
    store: Store, names: tuple[str, str], recedes: bool | None
) -> None:
    one = ConstraintOutcome(1.0, 1.0, None, [1.0, 2.0], held=1 / 3, tolerance=0.0025, checked=[0.5, 1.5, None])
    other = ConstraintOutcome([1.0], [1.0], None, [[1.0]], held=None, tolerance=None)
    ending = Ending([(names[1], 0), (names[0], 0)], [[2.0, -0.1], [-0.1, 1 / 3]], 1e30, recedes)
    run = make_run(1, constraints=dict(zip(names, (one, other), strict=True)), ending=ending)
    (stored,) = store.load(add(store, run), curves=True).runs
    assert stored == run


@pytest.mark.parametrize("names", [("g", "h"), ("evidence:", "evidence:training:g"), ("\0evidence:held_out:a", "")])
def test_what_says_how_sure_values_are_comes_back(store: Store, names: tuple[str, str]) -> None:
    counts = ConstraintOutcome([0.7], [0.7], None, [[0.7]], evidence=Evidence(counted=[(7.0, 10.0)]))
    drawn = ConstraintOutcome(1.0, 1.0, None, [1.0], evidence=Evidence(resampled=[0.5, None, 1 / 3], size=12))
    vector = ConstraintOutcome([1.0, 2.0], [1.0, 2.0], evidence=Evidence(resampled=[[0.5, 1.0]] * 3, size=[3, 4]))
    held = HeldOut(20, 0.5, dict(zip(names, (vector, replace(counts, tail=[])), strict=True)))
    run = make_run(1, constraints=dict(zip(names, (counts, drawn), strict=True)), held_out=held)
    (stored,) = store.load(add(store, run), curves=True).runs
    assert stored == run
    without = store.load(add(store, make_run(2)), curves=True).runs[0]
    assert all(outcome.evidence is None for outcome in without.constraints.values())


def test_tails_of_an_earlier_version_have_no_count() -> None:
    run = make_run(1)
    blob = pack({name: outcome.tail for name, outcome in run.constraints.items()}, f"run {run.key.id}: tails")
    assert with_tails(run, blob) == run
    counted = {n: replace(c, held=0.5, tolerance=0.1) for n, c in run.constraints.items()}
    assert unpack(pack_tails(replace(run, constraints=counted)), f"run {run.key.id}: tails")["rate"] == [
        0.5,
        None,
        1 / 3,
    ]


def test_a_run_without_an_id_is_refused(store: Store) -> None:
    sweep = store.begin_sweep(RECORD)
    with pytest.raises(ValueError, match="has none"):
        store.add_runs(sweep, [replace(make_run(1), key=RunKey("nupi", {}, {}, 1))])


floats = st.floats(allow_nan=False, allow_infinity=False) | st.none()
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
hostile = words | st.sampled_from(["'; DROP TABLE runs; --", "constraints:", "[red]x[/]", "\x00a", "", "🙂", "a" * 500])


@st.composite
def points(draw: st.DrawFn) -> list[Any]:
    """A scalar series, or a vector one."""
    width = draw(st.none() | st.integers(1, 3))
    return draw(st.lists(floats if width is None else st.lists(floats, min_size=width, max_size=width), max_size=5))


outcomes = st.builds(
    ConstraintOutcome,
    value=floats | st.lists(floats, max_size=3),
    surrogate=floats | st.lists(floats, max_size=3),
    multiplier=floats | st.lists(floats, max_size=3),
    tail=points(),
    gradient_norm=floats,
)
measured_curves = st.builds(
    MeasuredCurves,
    steps=st.lists(st.integers(0, 2**40), max_size=4),
    objective=st.lists(floats, max_size=4),
    constraints=st.dictionaries(hostile, points(), max_size=3),
    surrogates=st.dictionaries(hostile, points(), max_size=3),
    metrics=st.dictionaries(hostile, st.lists(floats, max_size=4), max_size=3),
)
curves = st.builds(
    Curves,
    steps=st.lists(st.integers(0, 2**40), max_size=4),
    objective=st.lists(floats, max_size=4),
    constraints=st.dictionaries(hostile, points(), max_size=3),
    multipliers=st.dictionaries(hostile, points(), max_size=3),
    measured=st.none() | measured_curves,
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | hostile,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(hostile, inner, max_size=3),
    max_leaves=6,
)
runs = st.builds(
    Run,
    key=st.builds(
        RunKey,
        method=hostile,
        setting=st.dictionaries(hostile, plain, max_size=3),
        levels=st.dictionaries(hostile, st.floats(-1e9, 1e9), max_size=3),
        seed=st.integers(-(2**63), 2**64 - 1),
        id=st.just("c1:0"),
    ),
    status=st.sampled_from([Status.COMPLETED, Status.DIVERGED, Status.FAILED]),
    objective=floats,
    constraints=st.dictionaries(hostile, outcomes, max_size=3),
    metrics=st.dictionaries(hostile, floats, max_size=3),
    steps=st.integers(0, 2**62),
    seconds=st.floats(0, 1e9),
    error=st.none() | hostile,
    curves=st.none() | curves,
    selected_step=st.none() | st.integers(0, 2**62),
    ended_early=st.booleans(),
    mixture=st.lists(st.tuples(st.integers(1, 2**62), st.floats(0, 1)), max_size=3).map(tuple),
    averaged=st.none() | st.floats(0.001, 1),
)


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(run=runs)
def test_any_run_comes_back_as_it_was(store: Store, run: Run) -> None:
    sweep = add(store, run)
    assert store.load(sweep, curves=True).runs == [run]
    store.remove(sweep)


def test_text_that_utf8_does_not_hold_is_written_out(store: Store) -> None:
    (stored,) = store.load(add(store, make_run(1, Status.FAILED, error="/data/\udce9t\udce9.csv"))).runs
    assert stored.error == "/data/\\udce9t\\udce9.csv"


def test_residuals_come_back_and_older_runs_have_none(store: Store) -> None:
    kkt = Kkt(1 / 3, None, 0.0, 2.5, "surrogate", False)
    runs = [make_run(1, kkt=kkt), make_run(2)]
    stored = store.load(add(store, *runs)).runs
    assert [run.kkt for run in stored] == [kkt, None]
