"""Which settings are feasible, best and useful: what is luck, what was paid with tolerance, and what is noise."""

import math
import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpd.errors import CpdError
from cpd.methods.registry import REGISTRY
from cpd.outcome import ConstraintOutcome, Curves, Diagnosis, Run, RunKey, Status
from cpd.results.result import Result
from cpd.verdict.diagnosis import sentence
from cpd.verdict.document import Document, RunRow, SummaryRow
from cpd.verdict.gap import read_gap, share_of
from cpd.verdict.judgement import judge
from cpd.verdict.settings import is_feasible, is_luck
from cpd.verdict.summary import stretch, summarise
from cpd.views.tables.headline import subtitle, verdict_sentence
from cpd.views.tables.render import sections, text

SWING = [0.9 if t % 2 else 1.1 for t in range(100)]


def task(tolerance: float = 0.1, sense: str = "<=", level: float = 1.0) -> Any:
    bound = SimpleNamespace(level=level, sense=sense, tolerance=tolerance)
    return SimpleNamespace(
        name="edge",
        objective="f",
        constraints={"x": bound},
        train=SimpleNamespace(dtype="float64"),
        seeds=[0],
        judge=None,
        budget=None,
        transfer=None,
    )


def run(
    objective: float | None,
    value: Any = 1.0,
    multiplier: Any = None,
    *,
    held: float = 1.0,
    seed: int = 0,
    method: str = "lagrangian",
    level: float = 1.0,
    tail: Sequence[float] | None = None,
    status: Status = Status.COMPLETED,
    curves: Curves | None = None,
    **setting: Any,
) -> Run:
    """A run whose last steps hold at this share of them, or follow a tail."""
    kept = tail if tail is not None else [1.0] * round(100 * held) + [1.5] * round(100 * (1 - held))
    outcome = ConstraintOutcome(value, value, multiplier, kept)
    key = RunKey(method, setting, {"x": level}, seed)
    return Run(key, status, objective, {"x": outcome}, {}, 100, 0.5, None, curves)


def document(runs: Sequence[Run], bounds: Any = None, **options: Any) -> Document:
    return judge(bounds or task(), list(runs), **options)


def entry(runs: Sequence[Run], **options: Any) -> SummaryRow:
    (row,) = document(runs, **options)["summary"]
    return row


def best(runs: Sequence[Run], **options: Any) -> Any:
    return entry(runs, **options)["best_setting"]


def cells(shown: Document, column: str = "feasible") -> list[str]:
    table = sections(shown)[0]
    return next(list(c.cells) for c in table.columns if c.name.startswith(column))


# A setting, and the luck of one of its seeds


def solved_and_lucky() -> list[Run]:
    """One setting feasible for 5 of 5 seeds, one for 1 of 5, by a swing that ended on the right side."""
    whole = [run(1.0, 1.0, 2.0, seed=s, dual_lr=0.2) for s in range(5)]
    return [*whole, *(run(1.1, 0.9 if s == 3 else 1.3, 2.0, seed=s, dual_lr=10, tail=SWING * 2) for s in range(5))]


def test_the_sentence_says_what_the_table_says() -> None:
    shown = document(solved_and_lucky(), task(tolerance=0.001))
    assert [run["diagnosis"] for run in shown["runs"]] == [None] * 5 + ["oscillating"] * 5
    assert verdict_sentence(shown) == ("lagrangian: 1 of 2 settings feasible, 1 useful, best dual_lr 0.2 with f 1.000.")
    assert cells(shown) == ["5/5, useful, best", "1/5, last step only"]


def test_a_setting_whose_seeds_all_swing_is_named_and_called_unsolved() -> None:
    shown = document([run(1.1, 0.9, 2.0, seed=s, dual_lr=10, tail=SWING) for s in range(3)], task(tolerance=0.001))
    assert verdict_sentence(shown) == (
        "lagrangian: 1 of 1 settings feasible, and at the last step only: oscillating, none is solved; best dual_lr 10 "
        "with f 1.100 (held in 50 % of the last steps)."
    )
    assert cells(shown) == ["3/3, last step only"]


@pytest.mark.parametrize(("lucky", "luck"), [(0, False), (1, False), (2, False), (3, True), (5, True)])
def test_one_seeds_luck_is_not_the_settings(lucky: int, luck: bool) -> None:
    swings = [run(1.0, 0.9, 2.0, seed=s, dual_lr=1, tail=SWING if s < lucky else None) for s in range(5)]
    rows = document(swings, task(tolerance=0.001))["runs"]
    assert is_feasible(rows)
    assert is_luck(rows) is luck


def test_nothing_without_runs_is_feasible() -> None:
    assert not is_feasible([])


@pytest.mark.parametrize("values", [[1.0, 1.3], [1.3, 1.3], [1.0, None]])
def test_the_exit_code_is_3_where_no_setting_is_feasible(values: list[float | None]) -> None:
    runs = [run(1.0, value, seed=s, dual_lr=1) for s, value in enumerate(values)]
    assert Result(task(), runs).exit_code == 3
    assert Result(task(), [*runs, run(1.0, seed=0, dual_lr=2)]).exit_code == 0


# The best


def test_the_best_does_not_spend_the_tolerance_while_neighbours_sit_at_the_level() -> None:
    rates = [(0.3519, 0.7, 1.0), (0.35097, 0.6975, 1.0), *[(0.3511, 0.7, 1.0)] * 3, (0.3513, 0.705, 1.0)]
    rates.append((0.3494, 0.6975, 0.94))
    runs = [
        run(f, v, 2.0, tail=[0.7] * round(100 * h) + [0.6] * round(100 - 100 * h), level=0.7, dual_lr=10.0**k)
        for k, (f, v, h) in enumerate(rates)
    ]
    (found,) = document(runs, task(0.0025, ">=", 0.7), gap="5%")["summary"]
    assert found["best_setting"] == {"dual_lr": 100.0}
    assert found["best_objective"] == found["mark"] == 0.3511


def test_the_mark_is_not_set_by_who_spends_the_tolerance() -> None:
    """Minimise (x - 2)^2 under x <= 1: the price of a unit is 2."""
    spent = [run((x - 2) ** 2, x, method="penalized", coefficient=2 * (2 - x)) for x in (1.075, 1.05, 1.0, 0.95, 0.0)]
    exact = [run(1.0, 1.0, 2.0, dual_lr=d) for d in (0.1, 0.5, 2.0)]
    penalized, lagrangian = document([*spent, *exact, run(0.9324, 1.0344, 1.938, dual_lr=0.02)])["summary"]
    assert lagrangian["useful_settings"] == 4
    assert lagrangian["best_setting"] == {"dual_lr": 0.1}
    assert penalized["best_setting"] == {"coefficient": 2.0}
    assert penalized["mark"] == lagrangian["mark"] == 1.0


@pytest.mark.parametrize("method", ["penalized", "quadratic_penalty", "nobody's"])
def test_the_tolerance_that_a_coefficient_spent_is_priced(method: str) -> None:
    """Alone, three settings near to each other: the mark is that of the one that stays at its level."""
    price = {"penalized": lambda x: 2 * (2 - x), "quadratic_penalty": lambda x: 2 * (2 - x) / max(x - 1, 0.01)}
    runs = [
        run((x - 2) ** 2, x, method=method, coefficient=price.get(method, price["penalized"])(x))
        for x in (1.075, 1.05, 1.0, *([-2.0] if method == "nobody's" else []))
    ]
    found = entry(runs)
    assert found["best_setting"] == dict(runs[2].key.setting)
    assert found["mark"] == 1.0
    assert found["useful_settings"] == 3


def test_a_multiplier_that_had_no_time_to_grow_is_no_price() -> None:
    settled = [run(0.0025, 1.0, 0.1, dual_lr=d) for d in (0.1, 1.0)]
    assert best([run(0.0, 1.05, 0.0, dual_lr=1e-6), *settled]) == {"dual_lr": 0.1}


def test_an_equality_spends_where_its_price_says_so_alone() -> None:
    bounds = task(sense="==")
    cheap, dear = run(0.9, 1.05, 2.0, dual_lr=1), run(0.97, 0.98, 2.0, dual_lr=2)
    exact = run(1.0, 1.0, 2.0, dual_lr=3)
    (found,) = document([cheap, exact], bounds)["summary"]
    assert found["best_setting"] == {"dual_lr": 3}
    (found,) = document([dear, exact], bounds)["summary"]  # below the level nothing was gained
    assert (found["best_setting"], found["mark"]) == ({"dual_lr": 2}, 0.97)


def test_each_component_of_a_vector_has_its_price() -> None:
    spent = run(0.8, [1.05, 1.05], [1.0, 4.0], dual_lr=1)
    exact = run(1.0, [1.0, 1.0], [1.0, 4.0], dual_lr=2)
    assert entry([spent])["mark"] == pytest.approx(0.8 + 0.05 * 1 + 0.05 * 4)
    assert best([spent, exact]) == {"dual_lr": 2}


def test_ties_within_the_noise_between_seeds_go_to_the_one_that_held_most() -> None:
    noisy = [run(f, seed=s, held=0.8, dual_lr=1) for s, f in enumerate([0.9, 1.1])]
    held = [run(f, seed=s, dual_lr=2) for s, f in enumerate([0.95, 1.15])]
    apart = [run(f + 1, seed=s, dual_lr=3) for s, f in enumerate([0.95, 1.15])]
    assert best([*noisy, *held, *apart]) == {"dual_lr": 2}
    assert best([*noisy, *apart]) == {"dual_lr": 1}
    found = entry([*noisy, *held, *apart])
    assert found["useful_settings"] == 2
    assert found["useful_up_to"] == pytest.approx(1.05 + math.sqrt(0.02))  # 5 % of the spread are less: 0.0525


def test_one_that_held_seldom_is_no_best_beside_one_that_holds() -> None:
    assert best([run(0.5, held=0.26, dual_lr=1), run(1.0, dual_lr=2)]) == {"dual_lr": 2}
    assert best([run(0.5, held=0.26, dual_lr=1), run(0.6, held=0.3, dual_lr=2)]) == {"dual_lr": 1}
    assert best([run(0.5, held=0.6, dual_lr=1), run(1.0, dual_lr=2)]) == {"dual_lr": 1}


def test_runs_that_blew_up_set_no_mark() -> None:
    rows = document([run(f, dual_lr=d) for d, f in [(1, -1e30), (2, 1.0), (3, 1.02), (4, 1e34)]])["runs"]
    rows[0]["diagnosis"], rows[3]["diagnosis"] = "unbounded", "blown_up"
    (found,) = summarise(rows, "60%", task().constraints, "float64")
    assert (found["best_setting"], found["mark"], found["useful_settings"]) == ({"dual_lr": 2}, 1.0, 1)
    (alone,) = summarise(rows[3:], "5%", task().constraints, "float64")
    assert (alone["best_setting"], alone["useful_settings"]) == ({"dual_lr": 4}, 0)


# The gap


@pytest.mark.parametrize(("word", "gap"), [("5%", "5%"), ("12.5 %", "12.5%"), ("0.01", 0.01), (0, 0.0), ("1e9", 1e9)])
def test_a_gap_is_a_share_or_a_number(word: Any, gap: Any) -> None:
    assert read_gap(word) == gap
    assert read_gap(read_gap(word)) == gap
    assert share_of(gap) == (float(gap[:-1]) / 100 if isinstance(gap, str) else None)


@pytest.mark.parametrize("word", ["", "%", "-1", "-5%", "five", "nan", "inf", "nan%", "1e400", True, None])
def test_what_is_no_gap_is_refused(word: Any) -> None:
    with pytest.raises(
        CpdError, match=re.escape(f"--gap: expected a number >= 0, or a share such as 5%, got '{word}'")
    ):
        read_gap(word)


@pytest.mark.parametrize("shift", [0.0, -7.0])
def test_settings_at_the_optimum_are_useful_whatever_digits_they_have_of_it(shift: float) -> None:
    runs = [run(shift + f, dual_lr=d) for d, f in [(1, 1.0), (2, 1.0 + 1e-9), (3, 1.0 + 1e-3), (4, 1.0 + 3e-3)]]
    free = run(shift + 0.5, 9, dual_lr=5)
    assert [row["useful_settings"] for row in document(runs[:2])["summary"]] == [1]
    assert [row["useful_settings"] for row in document([*runs[:2], free])["summary"]] == [2]
    assert [row["useful_settings"] for row in document([*runs, free])["summary"]] == [2]


@pytest.mark.parametrize("shift", [0.0, 1e-5, -7.0, 1e6])
def test_near_0_and_below_it_the_gap_is_a_share_of_the_spread(shift: float) -> None:
    runs = [run(shift + f, dual_lr=d) for d, f in [(1, 0.0), (2, 4e-4), (3, 6e-4), (4, 0.01)]]
    assert entry(runs)["useful_settings"] == 2
    assert entry(runs, gap=5e-4)["useful_settings"] == 2
    assert entry(runs, gap=0)["useful_settings"] == 1
    assert entry(runs, gap="100%")["useful_settings"] == 4


def test_a_single_feasible_setting_is_useful_and_the_best() -> None:
    runs = [run(-3.0, 1.05, 2.0, dual_lr=1), run(-9.0, 1.5, dual_lr=2)]
    found = entry(runs)
    assert (found["best_setting"], found["useful_settings"], found["best_objective"]) == ({"dual_lr": 1}, 1, -3.0)
    assert cells(document(runs)) == ["yes, useful, best", "no"]


def test_the_title_says_up_to_where_a_setting_is_useful() -> None:
    runs = [run(f, dual_lr=d) for d, f in [(1, 1.0), (2, 1.02), (3, 2.0)]]
    assert subtitle(document(runs)).endswith("; useful: f up to 1.050, the mark 1.000 + 5 % of the feasible spread")
    assert subtitle(document(runs, gap=0.01)).endswith("; useful: f up to 1.010, the mark 1.000 + 0.01")
    assert cells(document(runs)) == ["yes, useful, best", "yes, useful", "yes"]
    assert "useful" not in subtitle(document(runs[:1]))
    assert "useful" not in subtitle(document([run(1.0, 9.0, dual_lr=1), run(1.0, 9.0, dual_lr=2)]))


NUMBERS = st.floats(-5, 5).map(lambda x: round(x, 3))


@st.composite
def sweeps(draw: Any) -> list[list[Any]]:
    """Objective, violation within the tolerance or not, multiplier, share held, of settings with 1 to 3 seeds."""
    seeds = draw(st.integers(1, 3))
    one = st.tuples(NUMBERS, st.sampled_from([-0.5, 0.0, 0.04, 0.08, 0.3]), st.sampled_from([0.0, 0.5, 2.0]))
    settings = st.tuples(st.lists(one, min_size=seeds, max_size=seeds), st.sampled_from([0.3, 0.8, 1.0]))
    return draw(st.lists(settings, min_size=1, max_size=6))  # type: ignore[no-any-return]


def trained(drawn: list[list[Any]], scale: float, shift: float) -> list[Run]:
    return [
        run(scale * f + shift, 1 + v, scale * price, held=held, seed=s, method="ab"[k % 2], dual_lr=2.0**k)
        for k, (seeds, held) in enumerate(drawn)
        for s, (f, v, price) in enumerate(seeds)
    ]


VERDICT = ("method", "feasible_settings", "useful_settings", "useful_decades", "best_setting")


@given(sweeps(), st.sampled_from([2.0**-20, 0.25, 1.0, 1024.0]), st.sampled_from([0.0, 1.0, -3.0, 4096.0]))
def test_a_constant_or_a_scale_of_the_objective_changes_no_verdict(drawn: Any, scale: float, shift: float) -> None:
    plain, moved = (document(trained(drawn, *how))["summary"] for how in ((1.0, 0.0), (scale, scale * shift)))
    assert [[row[k] for k in VERDICT] for row in moved] == [[row[k] for k in VERDICT] for row in plain]  # type: ignore[literal-required]


@given(sweeps())
def test_the_tables_and_the_sentence_agree(drawn: Any) -> None:
    shown = document(trained(drawn, 1.0, 0.0))
    words = list(zip([run["method"] for run in rows_of(shown)], cells(shown), strict=True))
    said = dict(part.split(": ", 1) for part in verdict_sentence(shown).split(". ") if part)
    for row in shown["summary"]:
        own = [cell for method, cell in words if method == row["method"]]
        of_seeds = len(drawn[0][0])
        whole = [cell for cell in own if cell.startswith(("yes", "last step", f"{of_seeds}/{of_seeds}"))]
        assert len(whole) == row["feasible_settings"]
        assert said[row["method"]].startswith(f"{len(whole)} of {len(own)} settings feasible")
        assert ("best" in said[row["method"]]) == bool(whole)
        assert sum(cell.endswith("best") for cell in own) == (bool(whole) and len(own) > 1)
        if len(words) > 1:
            assert sum("useful" in cell for cell in own) == row["useful_settings"]
        assert (row["best_setting"] is not None) == bool(whole)
    assert (Result(task(), trained(drawn, 1.0, 0.0)).exit_code == 0) == any(
        r["feasible_settings"] for r in shown["summary"]
    )


def rows_of(shown: Document) -> list[RunRow]:
    """The first run of each row of the table."""
    return [run for run in shown["runs"] if run["seed"] == 0]


# Seeds that change nothing


def seeded(seeds: Sequence[int], alike: bool, **setting: Any) -> list[Run]:
    curves = [Curves([0, 50], [5.0 if alike else 5.0 + s, 1.0], {"x": [3.0, 1.0]}, {}) for s in seeds]
    return [run(0.3511, seed=s, curves=c, **setting) for s, c in zip(seeds, curves, strict=True)]


def test_seeds_that_change_nothing_are_said_and_counted_as_one() -> None:
    shown = document([*seeded(range(10), True, dual_lr=1), *seeded(range(10), True, dual_lr=2)])
    assert [run.get("same_as_seed") for run in shown["runs"]] == [None, *[0] * 9] * 2
    assert "10 seeds (0 to 9) that change nothing: counted as one" in subtitle(shown)
    assert cells(shown) == ["yes, useful, best", "yes, useful"]
    assert "±" not in text(shown, "markdown")


def test_runs_that_end_alike_from_different_starts_are_evidence() -> None:
    shown = document(seeded(range(10), False, dual_lr=1))
    assert not any("same_as_seed" in run for run in shown["runs"])
    assert cells(shown) == ["10/10"]


def test_a_setting_of_some_seeds_that_change_nothing_says_which() -> None:
    mixed = [*seeded([1, 2, 3], True, dual_lr=1), *seeded([1, 2, 3], False, dual_lr=2)]
    shown = document(mixed)
    assert cells(shown) == ["1/1, useful, best", "3/3, useful"]
    assert "trains with seed 1 as with seeds 2, 3: counted as one" in text(shown, "markdown")


# Decades at the edge of a grid


@pytest.mark.parametrize(
    ("values", "good", "expected"),
    [
        ([0.1, 1, 10, 100], [False, True, True, False], (1.0, False)),
        ([0.1, 1, 10, 100], [False, True, True, True], (2.0, True)),
        ([0.1, 1, 10, 100], [True, False, False, False], (0.0, True)),
        ([0, 0.1, 1, 10], [False, True, True, False], (1.0, True)),
        ([0, 0.1, 1, 10], [True, False, False, False], (0.0, True)),
        ([0, 0.1, 1, 10], [False, False, True, False], (0.0, False)),
        ([10, 0.1, 1], [False, True, True], (1.0, True)),
        ([1], [True], (0.0, False)),
    ],
)
def test_decades_that_reach_the_edge_of_the_grid_may_go_on(values: Any, good: Any, expected: Any) -> None:
    found = stretch([{"coefficient": v} for v in values], good)
    assert found is not None
    assert found.decades == pytest.approx(expected[0])
    assert found.at_edge == expected[1]


def test_decades_at_the_edge_are_marked_in_tables_and_sentences() -> None:
    runs = [run(1.0 + k / 1000, 1.0 if k else 2.0, dual_lr=10.0**k) for k in range(4)]
    shown = document(runs, gap="100%")
    assert verdict_sentence(shown) == (
        "lagrangian: 3 of 4 settings feasible, 3 useful over >= 2.00 decades, best dual_lr 10 with f 1.001."
    )
    assert text(shown, "markdown").count(">= 2.00") == 3
    within = [*runs, run(1.0, 2.0, dual_lr=1e5)]
    assert ">=" not in verdict_sentence(document(within, gap="100%"))


# Advice


@pytest.mark.parametrize("method", REGISTRY)
@pytest.mark.parametrize("diagnosis", Diagnosis)
def test_advice_names_only_hyperparameters_that_the_method_has(method: str, diagnosis: str) -> None:
    every = {name for one in REGISTRY.values() for name in one.hyperparameters}
    text = sentence(diagnosis, method)
    plain = {"init", "start", "every", "update", "multiplier"}  # words of English too
    named = every & set(re.findall(r"\w+", text)) - plain
    assert named <= set(REGISTRY[method].hyperparameters)
    assert not re.search(rf"\b{method}\b", text)  # it is the one that was used
