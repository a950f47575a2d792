"""Panels of a report's figures: as tall as they need to be however many there are, labels that do not meet."""

from itertools import pairwise

import pytest
import sample_documents as samples

from cpd.verdict.judgement import judge
from cpd.views.figures.axis import quantity_axis, thinned, within
from cpd.views.figures.front import Front, Trained
from cpd.views.figures.front import Panel as FrontPanel
from cpd.views.figures.quantities import Quantity
from cpd.views.report.figures import FEWEST_POINTS, LARGE, MOST_POINTS, figures, front_figure
from cpd.views.report.panels import HEIGHTS, LABEL, Pane

LEAST = 150
"""Pixels of a panel that is read without effort."""


def plot_height(panel: Pane) -> int:
    margin = panel["layout"]["margin"]
    return int(panel["height"] - margin["t"] - margin["b"])


@pytest.mark.parametrize("count", [1, 4, 8, 9, 12, 50])
def test_panels_are_readable_however_many_constraints_there_are(count: int) -> None:
    found = {figure["kind"]: figure["panels"] for figure in figures(*samples.many_constraints(count))}
    assert {kind: len(panels) for kind, panels in found.items()} == {
        "tuning": count + 2,
        "front": count,
        "dynamics": 1 + 2 * count,
    }
    for panels in found.values():
        assert all(plot_height(panel) >= LEAST for panel in panels)
        assert all("domain" not in axis for panel in panels for axis in panel["layout"].values())  # each has all of it
        titles = [panel["title"] for panel in panels]
        assert len(set(titles)) == len(titles)
    first = found["tuning"][0]
    assert first["height"] == HEIGHTS[-1]
    assert [note["text"] for note in first["layout"]["annotations"]] == ["≤ 0.82"]


@pytest.mark.parametrize("levels", [1, 2, 3, 8, 100])
def test_labels_of_levels_do_not_meet_and_stay_within_the_axis(levels: int) -> None:
    values = tuple(1 + k / 1000 for k in range(levels))
    axis = quantity_axis(Quantity("constraint", "g", sense="<=", levels=values), [0.0, 5.0])
    marks = axis.marks(LABEL / 190)
    assert [mark.level for mark in marks] == list(values)
    places = [mark.at for mark in marks if mark.at is not None]
    assert marks[0].at is not None
    assert marks[-1].at is not None
    low, high = axis.ends
    step = LABEL / 190 * (high - low)
    assert all(b - a >= step * (1 - 1e-9) for a, b in pairwise(places))
    assert low + step / 2 <= places[0] + 1e-9
    assert places[-1] <= high - step / 2 + 1e-9
    assert len(places) == min(levels, 14)


def test_a_level_at_the_edge_of_its_axis_keeps_its_label_within() -> None:
    assert within([0.0, 0.1, 9.9], 0.5, 9.5, 1.0) == [0.5, 1.5, 9.5]
    assert within([9.0, 9.8, 9.9], 0.5, 9.5, 1.0) == [7.5, 8.5, 9.5]


def test_a_few_of_many_are_evenly_spread_with_both_ends() -> None:
    assert thinned(3, 5) == [0, 1, 2]
    assert thinned(101, 5) == [0, 25, 50, 75, 100]
    assert thinned(10, 9)[-1] == 9


@pytest.mark.parametrize(
    ("constraints", "total", "most"),
    [(1, MOST_POINTS + 5000, MOST_POINTS), (50, 2000, MOST_POINTS // 50), (100, 1000, FEWEST_POINTS)],
)
def test_a_figure_of_very_many_runs_has_its_best_and_its_front(constraints: int, total: int, most: int) -> None:
    runs = [
        Trained(k / total, 1 + (k * 7919 % total) / total, "lagrangian", "", k, True, k == 77) for k in range(total)
    ]
    front = [(runs[0].x, runs[0].y)]
    panel = FrontPanel(Quantity("constraint", "g", sense="<="), runs, front)
    figure = front_figure(Front(Quantity("objective", "f"), ["lagrangian"], [panel] * constraints, 0))
    for shown in figure["panels"]:
        line, points = shown["data"]
        drawn = list(zip(points["x"], points["y"], strict=True))
        assert len(drawn) == most
        assert set(zip(line["x"], line["y"], strict=True)) == set(front) <= set(drawn)
        assert (runs[77].x, runs[77].y) in drawn
        assert points["marker"]["size"].count(LARGE) == 1
    assert figure["caption"].startswith(f"{most} of {total} runs are points, the best")


def test_what_blew_up_stands_at_the_edge_and_says_what_it_is() -> None:
    document = samples.figure2()
    document["runs"][3]["objective"] = 1e34
    found = {figure["kind"]: figure for figure in figures(document, [None] * 40)}
    panel = next(panel for panel in found["tuning"]["panels"] if panel["title"] == "cross_entropy")
    _, high = panel["layout"]["yaxis"]["range"]
    assert high < 2
    [line] = [trace for trace in panel["data"] if trace.get("said")]
    assert line["said"]["y"][3] == 1e34
    assert line["y"][3] == high
    [arrow] = [trace for trace in panel["data"] if trace.get("cliponaxis") is False]
    assert (arrow["y"], arrow["marker"]["symbol"]) == ([high], ["triangle-up"])
    for kind in ("tuning", "front"):
        assert "Arrows stand for values beyond the axis." in found[kind]["caption"]
    assert "Arrows" not in figures(samples.figure2(), [None] * 40)[0]["caption"]


def test_the_best_of_many_lines_are_coloured_and_the_others_grey() -> None:
    runs = [
        samples.rate_run("lagrangian", {"dual_lr": 10.0**i, "momentum": k / 20}, 0.75, 1 - k / 20 + i / 100)
        for k in range(20)
        for i in range(3)
    ]
    document = judge(samples.task("lines"), runs)
    [figure, *_] = figures(document, [None] * len(runs))
    *lines, others = figure["series"]
    assert others == {"name": "13 other lines", "color": "--others", "dash": "solid", "symbol": ""}
    assert "lagrangian, momentum 0.95" in [line["name"] for line in lines]  # the last one, which has the best setting
    assert len(lines) == 7
    grey = figure["panels"][0]["data"][0]
    assert grey["series"] == len(lines)
    assert grey["x"].count(None) == 13
