"""Pictures of every kind at any size: boxes of texts and axes are measured, nothing overlaps and nothing is cut."""

import warnings
from functools import lru_cache
from typing import Any

import pytest
from made_results import BLOWN_UP, Size, curves_of, made, made_search
from picture_boxes import faults, texts
from sample_documents import task

from cpd.errors import CpdError
from cpd.outcome import ConstraintOutcome, Run, RunKey, Status
from cpd.verdict.document import Document
from cpd.verdict.judgement import judge
from cpd.views.figures.chosen import broken_in, named, telling
from cpd.views.figures.heatmap import heatmap_data
from cpd.views.figures.parallel import parallel_data
from cpd.views.figures.tuning import MOST_SERIES, tuning_data
from cpd.views.plots.draw import Wishes, default_kind, drawing, render
from tests.pictures.matrix import Case, matrix

pytest.importorskip("matplotlib", reason="the extra 'plot' is not installed")

FEW = [
    Case("tuning", Size(4, 3, 1, 60)),
    Case("tuning", Size(1, 2, 3, 16), style="talk"),
    Case("dynamics", Size(5, 1, 1, 8)),
    Case("front", Size(12, 3, 1, 60), style="talk"),
    Case("heatmap", Size(3, 3, 1, 60)),
    Case("parallel", Size(12, 3, 1, 60), style="talk"),
    Case("levels", Size(4, 2, 3, 16, 4)),
    Case("bisection", Size(1, 1, 1, 40)),
]
"""A small part of the matrix, in which each kind is larger than its panels once held."""


@lru_cache(maxsize=2)
def large(constraints: int, hyperparameters: int) -> Document:
    return made(Size(constraints, hyperparameters, 1, 60))


def drawn(kind: str, document: Document, wishes: Wishes | None = None) -> Any:
    """The figure as it is saved; its ``png`` is the file. A warning is an error."""
    curves = curves_of(document) if kind == "dynamics" else [None] * len(document["runs"])
    wishes = wishes or Wishes()
    draw = drawing(kind, document, curves, wishes)
    kept: list[Any] = []

    def keep(figure: Any) -> None:
        draw(figure)
        kept.append(figure)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        content = render(keep, ".png", wishes.style)
    kept[0].png = content
    return kept[0]


@pytest.mark.parametrize("case", FEW, ids=str)
def test_nothing_overlaps_and_nothing_is_cut(case: Case) -> None:
    document, _ = case.made()
    figure = drawn(case.kind, document, case.wishes)
    assert faults(figure) == []
    assert len(texts(figure)) > 8
    assert len(figure.png) < 2_500_000


@pytest.mark.slow
@pytest.mark.parametrize("case", matrix(), ids=str)
def test_nothing_overlaps_and_nothing_is_cut_in_the_whole_matrix(case: Case) -> None:
    test_nothing_overlaps_and_nothing_is_cut(case)


def test_boxes_that_overlap_or_are_cut_are_found() -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3, 2))
    ax = figure.add_axes((0.1, 0.2, 0.8, 0.7))
    ax.set_xticks([0.5, 0.51], labels=["a tick", "another"])
    ax.set_yticks([])
    figure.text(0.9, 0.05, "beyond the edge")
    figure.add_axes((0.5, 0.3, 0.4, 0.4)).set(xticks=[], yticks=[])
    found = faults(figure)
    assert "texts: 'a tick' over 'another'" in found
    assert "cut: 'beyond the edge'" in found
    assert "panels overlap" in found


def test_the_best_lines_have_colours_and_the_others_are_grey() -> None:
    data = tuning_data(large(1, 3))
    assert len(data.series) == MOST_SERIES
    assert len(data.series) + len(data.others) == 2 * 9
    for method in ("penalized", "lagrangian"):
        own = [s for line in data.series if line.method == method for s in line.settings]
        assert sum(setting.best for setting in own) == 1
    assert f"the best {MOST_SERIES} of 18 lines" in data.notes
    assert "11 other lines" in [t.get_text() for t in texts(drawn("tuning", large(1, 3)))]


def test_what_blew_up_is_an_arrow_and_sets_no_axis() -> None:
    document = large(1, 1)
    assert any(run["constraints"]["recall_of_group"]["value"] == -BLOWN_UP for run in document["runs"])
    figure = drawn("tuning", document)
    rate, aim, _ = figure.axes
    assert rate.get_ylim()[0] > 0
    assert aim.get_ylim()[1] < 2
    arrows = [line for line in aim.lines if line.get_marker() == "^"]
    assert [list(line.get_ydata()) for line in arrows if not line.get_clip_on()] == [[aim.get_ylim()[1]]]
    assert "beyond the axis" in [t.get_text() for t in texts(figure)]


def test_of_many_constraints_those_are_shown_that_are_violated_most() -> None:
    document = made(Size(50, 1, 1, 6))
    shown = telling(document)
    assert len(shown) == 12
    counts = {name: sum(broken_in(document, run, name) for run in document["runs"]) for name in document["constraints"]}
    assert min(counts[name] for name in shown) >= max(n for name, n in counts.items() if name not in shown)
    words = [t.get_text() for t in texts(drawn("front", document))]
    assert any("12 of 50 constraints" in text for text in words)


def test_of_those_violated_as_often_the_ones_violated_most_are_shown() -> None:
    values = {f"g_{k:02d}": 1 + 0.01 * k for k in range(20)}
    outcomes = {name: ConstraintOutcome(v, v) for name, v in values.items()}
    run = Run(RunKey("penalized", {"coefficient": 1.0}, dict.fromkeys(values, 1.0), 1), Status.COMPLETED, 1.0, outcomes)
    assert telling(judge(task("t", "f", **dict.fromkeys(values, (1.0, "<=", 0.001))), [run])) == list(values)[8:]
    assert telling(judge(task("t", "f", **dict.fromkeys(values, (9.0, "<=", 0.001))), [run])) == list(values)[8:]


def test_constraints_are_named_by_names_patterns_and_all() -> None:
    document = large(12, 3)
    assert named(document, ["density,g"]) == ["density", "g"]
    assert named(document, ["g_9", "recall_*"]) == ["recall_of_group", "recall_of_group_6", "g_9"]
    assert len(named(document, ["all"])) == 12
    with pytest.raises(CpdError, match=r"^--constraints: no constraint 'densty'; did you mean 'density'\? Valid: rec"):
        named(document, ["densty"])
    with pytest.raises(CpdError, match=r"^--constraints: 'bisection' shows the constraint that was searched; --kind"):
        drawing("bisection", made_search(Size()), [None] * 4, Wishes(constraints=["recall*"]))
    figure = drawn("front", document, Wishes(constraints=["density"], title=""))
    assert (len(figure.axes), figure.get_suptitle()) == (1, "")


@pytest.mark.parametrize(("hyperparameters", "kind"), [(1, "tuning"), (2, "heatmap"), (3, "parallel")])
def test_the_kind_that_shows_so_many_hyperparameters(hyperparameters: int, kind: str) -> None:
    assert default_kind(large(1, hyperparameters)) == kind


def test_a_heatmap_has_a_cell_for_each_pair_and_the_best_over_the_others() -> None:
    pairs = heatmap_data(large(1, 2))
    assert [(len(one.cells), one.x.name, len(one.x.texts), len(one.y.texts)) for one in pairs.maps] == [
        (30, "coefficient", 6, 5),
        (30, "dual_lr", 6, 5),
    ]
    more = heatmap_data(large(1, 3))
    assert [len(one.cells) for one in more.maps] == [9, 9]
    assert [sum(cell.best for cell in one.cells) for one in more.maps] == [1, 1]
    assert [q.name for q in heatmap_data(large(12, 3)).maps[0].quantities] == ["violated constraints", "cross_entropy"]
    with pytest.raises(CpdError, match=r"^--kind heatmap: no method's settings differ in two hyperparameters; try "):
        heatmap_data(large(1, 1))


def grid_of_constraints(*settings: object) -> Document:
    """One run for each of some coefficients under three constraints."""
    outcomes = {name: ConstraintOutcome(0.5, 0.5) for name in "abc"}
    keys = [RunKey("penalized", {"coefficient": one}, dict.fromkeys("abc", 1.0), 1) for one in settings]
    runs = [Run(key, Status.COMPLETED, 1.0 + k, outcomes) for k, key in enumerate(keys)]
    return judge(task("grid", "f", **dict.fromkeys("abc", (1.0, "<=", 0.001))), runs)


def test_a_grid_for_each_constraint_has_an_axis_for_each() -> None:
    two = grid_of_constraints(*([x, y, 1.0] for x in (0.1, 1.0, 10.0) for y in (0, 1.0)))
    assert default_kind(two) == "heatmap"
    (one,) = heatmap_data(two).maps
    assert [(axis.name, axis.texts) for axis in (one.x, one.y)] == [
        ("coefficient a", ["0.1", "1", "10"]),
        ("coefficient b", ["0", "1"]),
    ]
    assert sorted((cell.x, cell.y) for cell in one.cells) == [(x, y) for x in range(3) for y in range(2)]
    three = grid_of_constraints(*([x, y, z] for x in (0.1, 1.0) for y in (1, 2) for z in (1, 3)))
    assert default_kind(three) == "parallel"
    (panel,) = parallel_data(three).panels
    assert [axis.name for axis in panel.axes] == [f"coefficient {name}" for name in "abc"] + ["a", "b", "c", "f"]
    assert len(panel.paths) == 8
    assert [path.places[:3] for path in panel.paths][:2] == [[0, 0, 0], [0, 0, 1]]


def test_lists_that_are_no_grid_keep_their_kind_and_one_number_is_that_of_all() -> None:
    mixed = grid_of_constraints(0.1, 1, [1, 0.1, 0.1])
    assert default_kind(mixed) == "tuning"
    (one,) = heatmap_data(mixed).maps
    assert sorted((cell.x, cell.y) for cell in one.cells) == [(0, 0), (1, 0), (1, 1)]


def test_parallel_coordinates_have_a_line_for_each_setting() -> None:
    data = parallel_data(large(1, 3))
    one, _ = data.panels
    assert [axis.name for axis in one.axes][1:] == [
        "train.optimizer.lr",
        "arguments.hidden",
        "recall_of_group",
        "cross_entropy",
    ]
    assert len(one.paths) == 27
    assert [path.kind for path in one.paths].count("best of its method") == 1
    [best] = [path for path in one.paths if path.kind == "best of its method"]
    assert all(place is not None and 0 <= place <= 1 for place in best.places)
    assert any(place is not None and not 0 <= place <= 1 for path in one.paths for place in path.places)


def test_a_talk_is_a_slide_and_a_title_says_what_is_shown() -> None:
    figure = drawn("front", large(1, 1), Wishes(style="talk"))
    width, height = figure.get_size_inches()
    assert width == 5.6
    assert height / width < 0.75
    assert figure.get_suptitle() == "made_results: trade-off"
    with pytest.raises(CpdError, match=r"^--style: no style 'poster'; valid: paper, talk$"):
        drawing("front", large(1, 1), [], Wishes(style="poster"))
