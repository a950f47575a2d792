"""Pictures: the data of each kind, the texts and places in the drawing, and files that are the same each time."""

import copy
import io
import math
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
import sample_documents as samples
from picture_boxes import texts

from cpd.errors import CpdError, install
from cpd.outcome import Recorded, Status
from cpd.verdict.document import Document, Recordings
from cpd.verdict.judgement import judge
from cpd.views.figures.bisection import bisection_data
from cpd.views.figures.dynamics import choose, dynamics_data
from cpd.views.figures.front import front_data, non_dominated
from cpd.views.figures.limits import spread_out
from cpd.views.figures.log_axis import log_axis, power_text
from cpd.views.figures.looks import wrapped
from cpd.views.figures.quantities import constraint, quantities
from cpd.views.figures.selection import select
from cpd.views.figures.sensitivity import levels_data, slope, tangent
from cpd.views.figures.tuning import tuning_data
from cpd.views.plots.draw import check_file, default_kind, drawing, plot, render
from cpd.views.plots.labels import free_places
from cpd.views.plots.sheet import Sheet
from cpd.views.plots.style import STYLES
from cpd.views.tables.names import readable

pytest.importorskip("matplotlib", reason="the extra 'plot' is not installed")


def drawn(kind: str, document: Document, curves: Recordings | None = None) -> Any:
    """The figure as it is saved, laid out, in the style of papers; its ``png`` is the file."""
    kept: list[Any] = []
    draw = drawing(kind, document, curves or [None] * len(document["runs"]))

    def keep(figure: Any) -> None:
        draw(figure)
        kept.append(figure)

    content = render(keep, ".png")
    kept[0].png = content
    return kept[0]


def with_curves() -> tuple[Document, samples.Curves]:
    document = samples.figure2()
    return document, samples.curves_of(document)


CASES: dict[str, tuple[str, Callable[[], Document]]] = {
    "figure2": ("tuning", samples.figure2),
    "three seeds": ("tuning", lambda: samples.figure2(3)),
    "vector": ("tuning", samples.two_constraints),
    "table2": ("bisection", samples.table2),
    "table1": ("front", samples.table1),
    "front of figure2": ("front", samples.figure2),
    "two fronts": ("front", samples.two_constraints),
    "courses": ("dynamics", samples.figure2),
    "levels": ("levels", samples.table1),
    "levels unsolved": ("levels", samples.two_constraints),
    "long names": ("tuning", samples.long_names),
    "front of long names": ("front", samples.long_names),
    "three constraints": ("tuning", samples.three_constraints),
    "three fronts": ("front", samples.three_constraints),
    "levels of a vector": ("levels", samples.three_constraints),
    "sixty settings": ("tuning", samples.sixty_settings),
    "all diverged": ("tuning", samples.all_diverged),
    "one run": ("front", samples.one_run),
    "lists": ("front", samples.coefficient_lists),
    "lost iterations": ("bisection", samples.lost_iterations),
}


@pytest.fixture(params=CASES, ids=list(CASES))
def figure(request: pytest.FixtureRequest) -> Any:
    kind, make = CASES[request.param]
    document = make()
    return drawn(kind, document, samples.curves_of(document) if kind == "dynamics" else None)


@pytest.mark.slow
def test_nothing_is_cut_off(figure: Any) -> None:
    from matplotlib.image import imread

    pixels = imread(io.BytesIO(figure.png))[..., :3]
    edges = [pixels[:3], pixels[-3:], pixels[:, :3], pixels[:, -3:]]
    assert [float(edge.min()) for edge in edges] == [1.0] * 4  # white all around
    assert pixels.min() < 0.2


@pytest.mark.slow
def test_no_two_texts_overlap(figure: Any) -> None:
    figure.draw_without_rendering()
    found = [(t.get_text(), t.get_window_extent()) for t in texts(figure)]
    assert len(found) > 5
    overlapping = [(a, b) for k, (a, one) in enumerate(found) for b, two in found[k + 1 :] if one.overlaps(two)]
    assert overlapping == []


def test_legend_is_outside_of_the_data(figure: Any) -> None:
    figure.draw_without_rendering()
    [legend] = figure.legends
    box = legend.get_window_extent()
    for ax in figure.axes:
        assert not ax.get_tightbbox().overlaps(box)
    for one in figure.axes:
        for other in figure.axes:
            assert one is other or not one.bbox.overlaps(other.bbox)


def test_tuning_has_each_settings_numbers() -> None:
    data = tuning_data(samples.figure2())
    assert [q.name for q in data.quantities] == ["class0_rate", "cross_entropy", "accuracy", "margin"]
    penalized, lagrangian = data.series
    assert (penalized.swept, lagrangian.swept) == ("coefficient", "dual_lr")
    assert [s.x for s in penalized.settings] == samples.GRID
    assert data.swept == "coefficient (penalized), dual_lr (lagrangian)"
    assert [s.values[0].mean for s in lagrangian.settings] == [0.5 if x < 1e-3 else 0.7 for x in samples.GRID]
    assert [s.feasible for s in lagrangian.settings] == [x >= 1e-3 for x in samples.GRID]
    assert [s.x for s in penalized.settings if s.best] == [pytest.approx(10 ** (1 / 3))]
    diverged = penalized.settings[-1]
    assert (diverged.unfinished, diverged.values[0].mean, diverged.feasible) == (1, None, False)


def test_tuning_over_seeds_has_mean_and_deviation() -> None:
    data = tuning_data(samples.figure2(3))
    first = data.series[0].settings[0].values[1]
    assert (first.mean, first.deviation) == pytest.approx((0.03, 0.01))
    assert first.count == 3
    assert any(
        "mean and standard deviation over 3 seeds" in t.get_text() for t in texts(drawn("tuning", samples.figure2(3)))
    )


def test_settings_of_one_seed_each_are_no_means() -> None:
    """As after a tuning of each seed by itself."""
    document = samples.figure2(3)
    for run in document["runs"]:
        run["setting"] = {name: float(str(value)) + run["seed"] * 0.12345 for name, value in run["setting"].items()}
    assert tuning_data(document).seeds == 1
    assert not any("over 3 seeds" in text.get_text() for text in texts(drawn("tuning", document)))


def test_tuning_cuts_lines_by_level_and_by_what_else_varies() -> None:
    data = tuning_data(samples.two_constraints())
    assert [line.label for line in data.series] == ["lagrangian, rate ≤ 20 %", "lagrangian, rate ≤ 40 %"]
    assert data.quantities[1].label == "parts, worst of 2"
    assert data.series[0].settings[0].values[1].mean == pytest.approx(0.91)


def test_tuning_has_a_line_for_each_recipe_and_an_axis_of_the_recipe_where_nothing_else_varies() -> None:
    lr = "train.optimizer.lr"
    runs = [
        samples.rate_run(method, {name: x, lr: rate}, 0.7, x)
        for method, name, values in (("penalized", "coefficient", (0.1, 1.0)), ("lagrangian", "dual_lr", (0.1,)))
        for rate in (0.01, 0.1)
        for x in values
    ]
    document = judge(samples.task(), runs)
    data = tuning_data(readable(document))
    assert [line.label for line in data.series] == ["penalized, lr 0.01", "penalized, lr 0.1", "lagrangian"]
    assert [[s.x for s in line.settings] for line in data.series] == [[0.1, 1.0], [0.1, 1.0], [0.01, 0.1]]
    assert data.swept == "coefficient (penalized), lr (lagrangian)"
    assert default_kind(document) == "tuning"
    assert select(document, ["method=penalized,lr=0.1"]) == [2, 3]
    assert select(document, [f"{lr}=0.01,dual_lr=0.1"]) == [4]


def test_zero_stands_apart_at_the_left() -> None:
    axis = log_axis(samples.GRID)
    assert axis.zero is not None
    assert axis.broken is not None
    assert axis.low < axis.zero < axis.broken < 1e-4 < axis.high
    assert (axis.place(0.0), axis.place(0.1)) == (axis.zero, 0.1)
    assert dict(zip(axis.labels, axis.ticks, strict=True))["0"] == axis.zero
    without = log_axis([0.1, 1.0])
    assert (without.zero, without.broken) == (None, None)
    figure = drawn("tuning", samples.figure2())
    lowest = figure.axes[-1]
    assert next(t.get_text() for t in lowest.get_xticklabels()) == "0"
    joined = [line for line in lowest.lines if line.get_linestyle() != "None"]
    lines = [line.get_xdata() for line in joined if len(line.get_xdata()) > 1]
    assert not any(min(x) == pytest.approx(axis.zero) and max(x) > axis.broken for x in lines)


@pytest.mark.parametrize("values", [[0.3], [0.3, 0.4], [1e-12, 1e12], [0.0], [1e-300, 1.0]])
def test_a_log_axis_always_has_ticks_within(values: list[float]) -> None:
    axis = log_axis(values)
    assert axis.ticks
    assert len(axis.ticks) <= 10
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)
    assert all(axis.low < axis.place(value) < axis.high for value in values)


@pytest.mark.parametrize(
    "values", [[-4, -2, 0, 2], [-0.9, -0.5, 0, 0.5, 0.9], [-1e-9, 1], [-3], [-1e6, -1], [-0.0001, 1e308]]
)
def test_negative_values_stand_at_their_place(values: list[float]) -> None:
    axis = log_axis(values)
    assert axis.linear
    assert [axis.place(value) for value in values] == values
    assert all(axis.low < value < axis.high for value in values if value < 1e300)
    assert 2 <= len(axis.ticks) <= 9
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)
    assert [float(label) for label in axis.labels] == pytest.approx(axis.ticks, rel=1e-5)


def test_a_sweep_over_negative_values_is_drawn_along_them() -> None:
    starts = [-4.0, -2.0, 0.0, 2.0]
    runs = [
        samples.rate_run("lagrangian", {"dual_lr": 0.1, "multiplier_init": start}, 0.7, 0.3 - start / 100)
        for start in starts
    ]
    figure = drawn("tuning", judge(samples.task(), runs))
    lowest = figure.axes[-1]
    assert lowest.get_xscale() == "linear"
    assert [list(line.get_xdata()) for line in lowest.lines if len(line.get_xdata()) > 2][-1] == starts
    assert "\N{MINUS SIGN}2" in [t.get_text() for t in lowest.get_xticklabels()]


def test_quantities_of_one_name_say_what_they_are() -> None:
    runs = [samples.rate_run("lagrangian", {"dual_lr": 0.1}, 0.7, 0.3)]
    named = [replace(run, metrics={"class0_rate": 7.0, "other": 1.0}) for run in runs]
    found = quantities(judge(samples.task(), named))
    assert [q.label for q in found] == [
        "class0_rate (constraint) (%)",
        "cross_entropy",
        "class0_rate (metric)",
        "other",
    ]
    assert [q.of(judge(samples.task(), named)["runs"][0]) for q in found] == [0.7, 0.3, 7.0, 1.0]


def test_points_are_over_the_seeds_that_finished() -> None:
    runs = [
        samples.rate_run(
            "lagrangian",
            {"dual_lr": lr},
            70.0 if seed == 1 else 0.7,
            0.3,
            seed=seed,
            status=Status.DIVERGED if seed == 1 else Status.COMPLETED,
        )
        for lr in (0.1, 0.2)
        for seed in range(3)
    ]
    data = tuning_data(judge(samples.task(), runs))
    assert data.notes == ["where seeds did not finish, over the others"]
    assert [(s.values[0].mean, s.values[0].count) for s in data.series[0].settings] == [(0.7, 2)] * 2
    assert data.quantities[0].share


@pytest.mark.parametrize(
    ("tick", "label", "text"),
    [(1e-4, "0.0001", "10⁻⁴"), (0.01, "0.01", "0.01"), (1e3, "1000", "10³"), (1e-5, "0", "0")],
)
def test_powers_of_ten_are_written_short(tick: float, label: str, text: str) -> None:
    assert power_text(tick, label) == text


@pytest.mark.parametrize(
    ("sense", "region"), [("<=", (-math.inf, 0.5 + 0.001)), (">=", (0.5 - 0.001, math.inf)), ("==", (0.499, 0.501))]
)
def test_feasible_region(sense: str, region: tuple[float, float]) -> None:
    document = samples.table1()
    document["constraints"]["g"]["sense"] = sense
    assert constraint(document, "g").feasible_region() is None
    for run in document["runs"]:
        run["levels"]["g"] = 0.5
    assert constraint(document, "g").feasible_region() == pytest.approx(region)


def test_levels_are_labelled_in_percent_where_they_are_shares() -> None:
    assert "≥ 70 %" in [t.get_text() for t in texts(drawn("tuning", samples.figure2()))]
    shown = [t.get_text() for t in texts(drawn("front", samples.table1()))]
    assert [f"= 0.{k}" in shown for k in range(1, 9)] == [True] * 8


def test_bisection_numbers_its_iterations() -> None:
    data = bisection_data(samples.table2())
    assert [k for k, _, _ in data.iterations] == [1, 2, 3, 4, 5, 6, 7]
    assert data.found == 7
    assert data.quantity.feasible_region() == pytest.approx((0.49, 0.51))
    shown = [t.get_text() for t in texts(drawn("bisection", samples.table2()))]
    assert {"1", "2", "3", "4", "5", "6", "7", "= 50 %"} <= set(shown)
    assert bisection_data(samples.table2("out_of_budget")).found is None


def test_bisection_numbers_iterations_without_a_value_on_the_axis() -> None:
    data = bisection_data(samples.lost_iterations())
    assert [k for k, _, value in data.iterations if value is None] == [3, 5]
    figure = drawn("bisection", samples.lost_iterations())
    bottom = figure.axes[0].get_ylim()[0]
    assert [t.get_text() for t in figure.axes[0].texts if getattr(t, "xy", (0, 0))[1] == bottom] == ["3", "5"]
    assert {"1", "2", "4", "6", "7", "diverged or failed"} <= {t.get_text() for t in texts(figure)}


def test_bisection_labels_do_not_overlap() -> None:
    figure = drawn("bisection", samples.table2())
    figure.draw_without_rendering()
    boxes = [t.get_window_extent() for t in figure.axes[0].texts if t.get_text().isdigit()]
    assert len(boxes) == 7
    assert [a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[k + 1 :]] == [False] * 21


def test_labels_find_free_places_among_points_close_together() -> None:
    points = [(50.0 + k, 50.0 + k / 2) for k in range(12)]
    size = (8.0, 6.0)
    found = free_places(points, [size] * 12, (0.0, 0.0, 200.0, 200.0), 3.0, [(0.0, 60.0, 200.0, 62.0)])
    for k, (x, y) in enumerate(found):
        assert all(abs(x - a) >= size[0] or abs(y - b) >= size[1] for a, b in found[k + 1 :])
        assert all(abs(x - a) >= size[0] / 2 + 3 or abs(y - b) >= size[1] / 2 + 3 for a, b in points)
        assert y + 3 <= 60 or y - 3 >= 62


def test_close_labels_are_spread_out() -> None:
    places = spread_out([0.0, 0.01, 0.02, 1.0], 0.1)
    assert places == pytest.approx([-0.09, 0.01, 0.11, 1.0])
    assert spread_out([0.0, 1.0], 0.1) == [0.0, 1.0]


def test_front_has_every_run_and_the_non_dominated() -> None:
    data = front_data(samples.figure2())
    [panel] = data.panels
    assert len(panel.runs) == 39
    assert data.missing == 1
    assert {run.feasible for run in panel.runs if run.x < 0.69} == {False}
    assert panel.front == sorted(panel.front)
    best_at = {x: min(run.y for run in panel.runs if run.x >= x) for x, _ in panel.front}
    assert all(y == best_at[x] for x, y in panel.front)


def test_table1_is_a_concave_front() -> None:
    [panel] = front_data(samples.table1()).panels
    assert [x for x, _ in panel.front] == [k / 10 for k in range(1, 9)]
    assert [y for _, y in panel.front] == pytest.approx([math.sqrt(1 - k * k / 100) for k in range(1, 9)])
    assert panel.quantity.levels == pytest.approx([k / 10 for k in range(1, 9)])


def test_no_point_dominates_at_a_single_equality() -> None:
    panels = front_data(samples.three_constraints()).panels
    assert [panel.quantity.name for panel in panels if panel.front] == ["parts", "budget"]


def test_non_dominated_in_both_directions() -> None:
    points = [(0.0, 3.0), (1.0, 1.0), (1.0, 2.0), (2.0, 1.0), (3.0, 0.0), (3.0, 5.0)]
    assert non_dominated(points) == [(0.0, 3.0), (1.0, 1.0), (3.0, 0.0)]
    assert non_dominated(points, more_is_better=True) == [(3.0, 0.0)]
    assert non_dominated([]) == []


def test_dynamics_have_violations_not_values() -> None:
    document, curves = with_curves()
    data = dynamics_data(document, curves, [1, 39])
    assert data.left_out == 37
    assert [c.label for c in data.courses] == ["penalized, coefficient 0.0001", "lagrangian, dual_lr 100"]
    for course, place in zip(data.courses, [1, 39], strict=True):
        curve = curves[place]
        assert curve is not None
        values = numpy.array(curve["constraints"]["class0_rate"], dtype=float)
        assert course.violations["class0_rate"] == pytest.approx(0.7 - values)
    assert data.courses[0].multipliers == {}
    assert data.courses[1].multipliers["class0_rate"][-1] == pytest.approx(2, abs=1e-3)


def test_dynamics_show_what_was_measured_as_rings() -> None:
    document = samples.figure2()
    curves = samples.measured_along(document)
    data = dynamics_data(document, curves, [1, 39])
    assert data.courses[0].measured is None
    assert data.measured() == [([], []), ([330, 660, 1000], [0.5, None, 0.4])]
    assert data.measured("class0_rate") == [
        ([], []),
        ([330, 660, 1000], [pytest.approx(0.1), None, pytest.approx(-0.05)]),
    ]
    figure = drawn("dynamics", document, curves)
    rings = [line for ax in figure.axes for line in ax.get_lines() if line.get_linestyle() == "None"]
    assert rings
    assert all(list(line.get_xdata()) == [330, 660, 1000] for line in rings)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "measured on all training data" in labels
    plain = drawn("dynamics", document, samples.curves_of(document))
    assert "measured on all training data" not in [text.get_text() for text in plain.legends[0].get_texts()]


def test_dynamics_of_a_vector_show_the_worst_component() -> None:
    document = samples.two_constraints()
    curve: Recorded = {
        "steps": [0, 9],
        "objective": [1.0, math.inf],
        "constraints": {"rate": [0.5, None], "parts": [[0.1, 1.5], [2.0, None]]},
        "multipliers": {"parts": [[1, 3], [1, 3]]},
    }
    [course] = dynamics_data(document, [curve] * 12, [0]).courses
    assert course.violations == {"rate": [pytest.approx(0.3), None], "parts": [0.5, 1.0]}
    assert course.multipliers == {"parts": [3, 3]}
    assert course.objective == [1.0, None]


def test_a_line_goes_over_the_steps_that_show_nothing_of_a_constraint() -> None:
    document = samples.figure2()
    curve: Recorded = {
        "steps": [0, 3, 5, 9],
        "objective": [4.0, 3.0, 2.0, 1.0],
        "constraints": {"class0_rate": [None, 0.5, None, 0.6]},
        "multipliers": {},
    }
    figure = drawn("dynamics", document, [curve, *[None] * (len(document["runs"]) - 1)])
    objectives, violations = ([line for line in ax.lines if line.get_marker() != "None"] for ax in figure.axes)
    assert objectives[0].get_xydata().tolist() == [[0, 4], [3, 3], [5, 2], [9, 1]]
    assert violations[0].get_xydata() == pytest.approx(numpy.array([[3, 0.2], [9, 0.1]]))


def test_dynamics_choose_the_best_and_each_diagnosis() -> None:
    document, _ = with_curves()
    best = [k for k, run in enumerate(document["runs"]) if run["setting"] == document["summary"][0]["best_setting"]]
    document["runs"][7]["diagnosis"] = "oscillating"
    chosen = choose(document, range(40), 4)
    assert {best[0], 7} <= set(chosen)
    assert len(chosen) == 4
    assert choose(document, [3], 4) == [3]


def test_levels_have_the_best_setting_and_the_slope() -> None:
    [(quantity, [line])] = levels_data(samples.table1()).panels
    assert quantity.name == "g"
    for place, point in enumerate(line.solved):
        level = (place + 1) / 10
        assert point.objective.mean == pytest.approx(math.sqrt(1 - level**2))
        # dF*/dlevel of sqrt(1 - level^2).
        assert point.slope == pytest.approx(-level / math.sqrt(1 - level**2))
        ends = tangent(point, 0.04)
        assert ends is not None
        assert (ends[1][1] - ends[1][0]) / 0.08 == pytest.approx(point.slope)


def test_levels_without_anything_feasible_are_marked() -> None:
    [(_, [line])] = levels_data(samples.two_constraints()).panels
    assert line.unsolved == [0.2]
    assert [point.level for point in line.solved] == [0.4]
    assert line.solved[0].text == "dual_lr 0.1"
    assert "nothing feasible" in [t.get_text() for t in texts(drawn("levels", samples.two_constraints()))]


def test_slope_has_the_sign_of_the_sense() -> None:
    assert slope([1.0, 3.0], "<=") == -2
    assert slope([1.0, 3.0], ">=") == 2
    assert slope([[0.5, 1.5]], "<=") == -2
    assert slope([None], "<=") is None


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (samples.table2, "bisection"),
        (samples.table1, "front"),
        (samples.figure2, "tuning"),
        (samples.all_diverged, "tuning"),
        (samples.coefficient_lists, "front"),
        (samples.one_run, "dynamics"),
    ],
)
def test_default_kind_is_the_papers_figure(make: Callable[[], Document], kind: str) -> None:
    assert default_kind(make()) == kind


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF"), (".PNG", b"\x89PNG")]
)
def test_each_format_is_the_same_each_time(suffix: str, start: bytes, tmp_path: Path) -> None:
    document = samples.table1()
    files = [tmp_path / f"{name}{suffix}" for name in ("one", "two")]
    for file in files:
        plot("front", document, [None] * 8, file)
    contents = [file.read_bytes() for file in files]
    assert contents[0].startswith(start)
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (
            "tunning",
            "a.png",
            "--kind: 'tunning' is no kind of picture; did you mean 'tuning'? Valid: tuning, heatmap, parallel, ",
        ),
        ("front", "a.jpg", "--to a.jpg: cannot write '.jpg' files; did you mean '.png'? Valid: .png, .svg, .pdf"),
        ("front", "a", "--to a: cannot write '' files; valid: .png, .svg, .pdf"),
        ("front", "no/a.png", "--to no/a.png: no folder 'no'; make it, or choose another place"),
        ("bisection", "a.png", "--kind bisection: there is no search to draw; try --kind tuning"),
        ("tuning", "a.png", "--kind tuning: no method has several settings; try --kind front"),
        ("dynamics", "a.png", "--kind dynamics: no curves were recorded of these runs; try --kind front"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    kind: str, name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CpdError) as caught:
        plot(kind, samples.table1(), [None] * 8, Path(name))
    assert str(caught.value).startswith(message)
    assert list(tmp_path.iterdir()) == []


def test_no_levels_and_no_completed_runs_are_said() -> None:
    with pytest.raises(CpdError, match="no level is swept"):
        levels_data(samples.figure2())
    document = samples.table1()
    for run in document["runs"]:
        run["status"] = "failed"
    with pytest.raises(CpdError, match="no run completed"):
        front_data(document)


def test_missing_matplotlib_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(CpdError, match=re.escape(f": needs matplotlib; {install('matplotlib')}")):
        plot("front", samples.table1(), [None] * 8, tmp_path / "a.png")
    with pytest.raises(CpdError, match=r"^--plot: needs matplotlib"):
        check_file(tmp_path / "a.png", "--plot")


def test_long_texts_are_broken_at_spaces_then_underscores_and_keep_their_unit() -> None:
    assert wrapped("level of a_rate (%)", 12) == ["level of", "a_rate (%)"]
    assert wrapped("augmented_lagrangian", 12) == ["augmented_", "lagrangian"]
    assert wrapped("a_very_long_constraint_name_that_goes_on (%)", 12, most=3) == [
        "a_very_long_",
        "constraint_",
        "…goes_on (%)",
    ]
    assert wrapped("x" * 30, 10) == ["x" * 9, "x" * 9, "…xxx"]
    assert wrapped("", 10) == [""]


def with_ids() -> Document:
    document = samples.figure2(2)
    for k, run in enumerate(document["runs"]):
        run["id"] = f"c1:{k:016x}"
    document["runs"][5]["diagnosis"] = "oscillating"
    return document


@pytest.mark.parametrize(
    ("words", "places"),
    [
        (["c1:0000000000000004"], [4]),
        (["000000000000001"], list(range(16, 32))[:14]),
        (["dual_lr=0.0002154"], [44, 45]),
        (["method=lagrangian,dual_lr=0.1,seed=1"], [61]),
        (["coefficient=1e-4, seed=0", "diagnosis=oscillating"], [2, 5]),
        (["status=diverged"], [38, 39]),
        (["class0_rate=0.7,coefficient=0"], [0, 1]),
    ],
)
def test_runs_are_chosen_by_id_or_by_what_they_have_in_common(words: list[str], places: list[int]) -> None:
    document = with_ids()
    document["runs"] = [run for k, run in enumerate(document["runs"]) if k < 30 or k > 31]
    found = [int((document["runs"][k]["id"] or "").removeprefix("c1:"), 16) for k in select(document, words)]
    assert found == places


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["c1:9"], "--runs: no run's id starts with 'c1:9'; cpd show --format csv lists the ids; or choose by what "),
        ([""], "--runs: no run's id starts with ''; "),
        (["dual_rl=0.1"], "--runs dual_rl=0.1: no run has 'dual_rl'; did you mean 'dual_lr'? Valid: "),
        (["seed=2"], "--runs seed=2: no run has seed '2'; valid: 0, 1"),
        (
            ["method=lagrangain"],
            "--runs method=lagrangain: no run has method 'lagrangain'; did you mean 'lagrangian'? ",
        ),
        (["dual_lr=1,coefficient=1"], "--runs dual_lr=1,coefficient=1: no run has all of these; give fewer of them"),
        (["method=penalized"], "--runs: 40 runs are meant, a picture holds 14; say more of them, e.g. method=nupi,"),
    ],
)
def test_runs_that_cannot_be_chosen_are_said(words: list[str], message: str) -> None:
    with pytest.raises(CpdError) as caught:
        select(with_ids(), words)
    assert str(caught.value).startswith(message)


def test_only_dynamics_takes_chosen_runs() -> None:
    with pytest.raises(CpdError, match=r"^--runs: 'front' shows every run; only --kind dynamics takes chosen runs$"):
        select(with_ids(), ["seed=1"], "front")


def test_names_are_text_and_nothing_else() -> None:
    document = samples.figure2()
    names = {"class0_rate": "$x_{1$ rate", "cross_entropy": r"$\frac{1}$"}
    hostile = copy.deepcopy(document)
    hostile["objective"] = names["cross_entropy"]
    hostile["constraints"] = {names["class0_rate"]: hostile["constraints"]["class0_rate"]}
    for run in hostile["runs"]:
        run["constraints"] = {names["class0_rate"]: run["constraints"]["class0_rate"]}
        run["levels"] = {names["class0_rate"]: run["levels"]["class0_rate"]}
        run["method"] = run["method"] + "$_^"
    shown = [t.get_text() for t in texts(drawn("tuning", hostile))]
    assert "$x_{1$ rate (%)" in shown
    assert r"$\frac{1}$" in shown
    assert "penalized$_^" in shown


@pytest.mark.parametrize("kind", ["tuning", "front", "dynamics", "levels"])
def test_numbers_that_axes_cannot_hold_are_drawn_at_their_end(kind: str) -> None:
    document = samples.three_constraints()
    curve: Recorded = {
        "steps": [0, 1],
        "objective": [1e300, -1e300],
        "constraints": {"parts": [[1.0], [1e308]], "h": [0.5, math.inf], "budget": [-1e308, None]},
        "multipliers": {"parts": [1e-310, 1e308]},
    }
    for run, objective in zip(document["runs"], [1e300, -1e308, 1e-310, 0.0] * 6, strict=True):
        run["objective"] = objective
        run["metrics"] = {"accuracy": -objective}
        run["constraints"]["budget"] |= {"value": objective, "violation": objective - 3e6, "multiplier": 1e300}
    assert len(drawn(kind, document, [curve] * 24).axes) > 0


def test_letters_that_the_font_has_not_are_no_reason_to_warn() -> None:
    document = samples.table1()
    document["objective"] = "\N{CJK UNIFIED IDEOGRAPH-65E5}"
    assert "\N{CJK UNIFIED IDEOGRAPH-65E5}" in [t.get_text() for t in texts(drawn("front", document))]


def test_seeds_that_change_nothing_are_one_and_what_is_said_of_them_fits() -> None:
    document = samples.figure2(seeds=3)
    one = tuning_data(document)
    for run in document["runs"]:
        if run["seed"] != document["runs"][0]["seed"]:
            run["same_as_seed"] = document["runs"][0]["seed"]
    alike = tuning_data(document)
    assert (one.seeds, alike.seeds, alike.notes) == (3, 1, [])


def test_a_note_is_no_wider_than_the_picture() -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.25, 3), layout="constrained")
    sheet = Sheet(figure, STYLES["paper"])
    sheet.panels(1)
    sheet.finish([], ["where seeds did not finish, over the others", "MMMM " * 12], seeds=20)
    title = figure.legends[0].get_title()
    lines = title.get_text().splitlines()
    assert lines[0].startswith("mean and standard deviation over 20 seeds;")
    title.set_text(lines[0])
    assert title.get_window_extent().width <= figure.bbox.width
