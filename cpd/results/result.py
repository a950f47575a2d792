"""The result of a command, fresh or stored: runs in, contract 3's document, tables and pictures out; no torch."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cpd.errors import StoreError, options_as_arguments
from cpd.outcome import Recorded, Run, Status
from cpd.spec.models import Task
from cpd.store.records import SweepRecord
from cpd.verdict.budgets import Spent, equal_budgets
from cpd.verdict.document import Document, JudgementRow, SearchBlock
from cpd.verdict.gap import CONFIDENCE, GAP, Gap
from cpd.verdict.judged import as_judged, decided_by, judged_rows, judges
from cpd.verdict.judgement import judge
from cpd.verdict.settings import any_feasible
from cpd.verdict.transfer import Cases, carried_over

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure
    from torch.nn import Module

    from cpd.results.choosing import Words
    from cpd.results.finished import FinishedRun

Kind = Literal["tuning", "heatmap", "parallel", "bisection", "front", "dynamics", "levels"]
"""The kinds of pictures."""


@dataclass(frozen=True, repr=False)
class Result:
    """The result of a sweep, a comparison or a search: the same object that the command line prints.

    Attributes:
        finished: The runs, in the order of the spec.
        gap: How far above the mark an objective is still useful: a share of the spread of feasible ones, or a number.
        search: Of a search its ``outcome``, ``trainings`` and ``iterations``, else None.
        advice: What the end of a search means, and what to do.
        found: Runs that the store had already.
        id: The sweep's id in the store, or None.
        notes: What the user should know.
        store_error: Why storing ended midway.
        confidence: How sure a verdict on examples is to be.
        judgement: What kept models were judged on after the sweep; None for the sweep itself.
        record: What the store has of the sweep, or None.
        store: The store that has it, whatever folder the process works in; None where there is none.

    Example:
        >>> result = cpd.sweep(**line)
        >>> print(result)
        Line: minimise objective subject to x <= 1 ...
    """

    task: Task
    finished: list[Run]
    gap: Gap = GAP
    search: SearchBlock | None = None
    advice: str | None = None
    found: int = 0
    id: str | None = None
    notes: list[str] = field(default_factory=list)
    store_error: StoreError | None = None
    confidence: float = CONFIDENCE
    judgement: JudgementRow | None = None
    record: SweepRecord | None = field(default=None, compare=False)
    store: Path | None = field(default=None, compare=False)

    @cached_property
    def document(self) -> Document:
        """All of it as one plain object, as ``--format json`` prints it.

        Example:
            >>> cpd.sweep(**line).document["summary"][0]["method"]
            'penalized'
        """
        searched = self.search is not None
        document = judge(
            self.task,
            self.finished,
            gap=self.gap,
            search=self.search,
            summary=not searched,
            on=self.task.judge,
            confidence=self.confidence,
        )
        if self.task.budget is not None and not searched:
            budget, task = self.task.budget, self.task
            rows = judged_rows(document["runs"], judges(document))
            spent = Spent(budget.trainings, budget.sampler)
            document["budget"] = equal_budgets(rows, spent, self.gap, task.constraints, task.train.dtype)
        if (asked := self.task.transfer) is not None and not searched:
            rows = judged_rows(document["runs"], judges(document))
            cases = Cases(asked.source, asked.target)
            document["transfer"] = carried_over(rows, cases, self.gap, self.task.constraints, self.task.train.dtype)
        return document if self.judgement is None else {**document, "judgement": self.judgement}

    def with_models(self, files: Mapping[str, str]) -> Result:
        """The same result, judged once, whose runs have these files of their weights, by id, and no others."""
        named = [run.key.id and files.get(run.key.id) for run in self.finished]
        pairs = zip(self.finished, named, strict=True)
        result = replace(self, finished=[run if run.model == name else replace(run, model=name) for run, name in pairs])
        if (judged := self.__dict__.get("document")) is not None:
            rows = [{**row, "model": name} for row, name in zip(judged["runs"], named, strict=True)]
            result.__dict__["document"] = {**judged, "runs": rows}
        return result

    @property
    def runs(self) -> pandas.DataFrame:
        """One row a run, in the order of the spec: ``method``, ``setting.dual_lr``, ``constraints.g.value`` ...

        Example:
            >>> cpd.sweep(**line).runs[["method", "setting.coefficient", "feasible"]]
                   method  setting.coefficient  feasible
            0   penalized                  1.0     False
            1   penalized                  4.0      True
            2  lagrangian                  NaN      True
        """
        from cpd.results.tables import runs_table

        return runs_table(self.document)

    @property
    def settings(self) -> pandas.DataFrame:
        """One row a setting: ``feasible``, ``useful``, ``best``, and the numbers of its runs as means over seeds.

        Example:
            >>> cpd.sweep(**line, seeds=range(2)).settings[["method", "seeds", "completed", "useful"]]
                   method  seeds  completed  useful
            0   penalized      2          2   False
            1   penalized      2          2   False
            2  lagrangian      2          2    True
        """
        from cpd.results.tables import settings_table

        return settings_table(self.document)

    @property
    def summary(self) -> pandas.DataFrame:
        """One row a method, and a choice of levels where they are swept; of a search one row: what it found.

        Example:
            >>> cpd.sweep(**line).summary[["method", "settings", "feasible_settings"]]
                   method  settings  feasible_settings
            0   penalized         2                  1
            1  lagrangian         1                  1
        """
        from cpd.results.tables import summary_table

        return summary_table(self.document)

    @property
    def curves(self) -> list[Recorded | None]:
        """The recorded points of each run, in the order of the document's runs.

        Example:
            >>> curve = cpd.sweep(**line).curves[0]
            >>> curve["steps"][:3], len(curve["objective"])
            ([0, 1, 2], 200)
        """
        return [None if run.curves is None else run.curves.plain() for run in self.finished]

    def best(
        self,
        method: str | None = None,
        *,
        setting: Words | None = None,
        levels: Words | None = None,
        seed: int | None = None,
    ) -> FinishedRun:
        """The best run, the one whose module :meth:`model` returns: the first seed of the best setting of all methods.

        Words narrow the choice, and the best of what they leave is taken; where nothing of it is feasible, the run with
        the least violation.

        Args:
            method: Its name.
            setting: Of the run, as far as it is named: ``{"dual_lr": 0.01}``.
            levels: Of constraints, likewise.
            seed: Of the run.

        Raises:
            CpdError: Nothing is feasible, or no run is meant.

        Example:
            >>> best = cpd.sweep(**line).best("lagrangian")
            >>> best.setting, round(best.constraints["x"]["multiplier"], 1)
            ({'dual_lr': 0.1}, 2.0)
        """
        from cpd.results.choosing import Wanted, chosen
        from cpd.results.finished import finished_run

        with options_as_arguments("result.best()"):
            place = chosen(self, Wanted.of(method, setting, levels, seed))[0]
        row, run = self.document["runs"][place], self.finished[place]
        curves = None if run.curves is None else run.curves.plain()
        load = partial(self.model, row["method"], setting=row["setting"], levels=row["levels"], seed=row["seed"])
        return finished_run(row, run.model, curves, load)

    def model(
        self,
        method: str | None = None,
        *,
        setting: Words | None = None,
        levels: Words | None = None,
        seed: int | None = None,
    ) -> Module:
        """The problem's module with the weights of a run, by default the best, on the CPU and in ``eval()`` mode.

        Args:
            method: As for :meth:`best`.
            setting: As for :meth:`best`.
            levels: As for :meth:`best`.
            seed: As for :meth:`best`.

        Raises:
            CpdError: The run's weights are not kept, or no run is meant.

        Example:
            >>> cpd.sweep(**line).model("lagrangian")
            Linear(in_features=2, out_features=1, bias=True)
        """
        # That module makes results: here it is found by its name.
        load = import_module("cpd.results.models").load_model
        module: Module = load(self, method=method, setting=setting, levels=levels, seed=seed)
        return module

    def plot(
        self,
        kind: Kind | None = None,
        to: str | Path | None = None,
        *,
        runs: str | Sequence[str] = (),
        constraints: str | Sequence[str] = (),
        style: Literal["paper", "talk"] = "paper",
        title: str | None = None,
    ) -> Figure:
        """Draw the result, as ``cpd plot`` does.

        Args:
            kind: Default: what shows it best.
            to: A .png, .svg or .pdf file to write it to as well.
            runs: The runs of ``dynamics``, each the start of an id or what they have in common:
                ``"method=nupi,seed=1"``.
            constraints: Those that are shown, names or patterns such as ``"group_*"``, or ``"all"``; default: of many,
                the 12 that are violated most.
            style: For the columns of a paper, or for a slide.
            title: Above the picture, empty for none; default: the task and what is shown.

        Returns:
            A figure of matplotlib's, with no state of pyplot's.

        Raises:
            CpdError: matplotlib is missing, or there is nothing of this kind to draw.

        Example:
            >>> figure = cpd.sweep(**line).plot("dynamics", to="line.png")
            >>> len(figure.axes)
            3
        """
        from cpd.views.figures.selection import select
        from cpd.views.plots import draw

        document, words = self.document, [runs] if isinstance(runs, str) else list(runs)
        chosen_kind = kind or ("dynamics" if words else draw.default_kind(document))
        with options_as_arguments("result.plot()"):
            places = select(document, words, chosen_kind) if words else None
            names = [constraints] if isinstance(constraints, str) else list(constraints)
            wishes = draw.Wishes(places, names, style, title)
            if to is not None:
                draw.plot(chosen_kind, document, self.curves, Path(to), wishes)
            return draw.figure(chosen_kind, document, self.curves, wishes)

    def report(self, to: str | Path) -> Path:
        """Write one HTML file that opens offline, as ``cpd report`` does.

        Args:
            to: An .html file.

        Returns:
            Its path.

        Raises:
            CpdError: plotly is missing, or the file cannot be written.

        Example:
            >>> cpd.sweep(**line).report("line.html").exists()
            True
        """
        from cpd.results.beside import judged_beside
        from cpd.results.provenance import of_record, of_task
        from cpd.views.report.page import write_report

        provenance = of_task(self.task) if self.record is None else of_record(self.record)
        other = (self.gap, self.search, self.confidence, self.judgement)
        beside = judged_beside(self.task, self.finished, *other)
        with options_as_arguments("result.report()"):
            write_report(Path(to), self.document, self.curves, provenance, beside)
        return Path(to)

    def to_json(self) -> str:
        """The document as text, as ``--format json`` prints it.

        Example:
            >>> import json
            >>> json.loads(cpd.sweep(**line).to_json())["task"]
            'Line'
        """
        from cpd.views.tables.render import text

        return text(self.document, "json")

    def to_csv(self) -> str:
        """One line a run, as ``--format csv`` prints it.

        Example:
            >>> len(cpd.sweep(**line).to_csv().splitlines())
            4
        """
        from cpd.views.tables.render import text

        return text(self.document, "csv")

    def __repr__(self) -> str:
        """One screen: what was asked, the summary, the verdict; in colour at the prompt of a terminal."""
        from cpd.views.tables.screen import overview, screen

        at_prompt = hasattr(sys, "ps1") and sys.stdout is not None and sys.stdout.isatty()
        return screen(overview(self.document, self._remarks), coloured=at_prompt)

    def _repr_html_(self) -> str:
        """The same as a notebook shows it."""
        from cpd.views.tables.html import html
        from cpd.views.tables.screen import overview

        return html(overview(self.document, self._remarks))

    @property
    def _remarks(self) -> list[str]:
        """What is to be known beside the document."""
        error = [] if self.store_error is None else [str(self.store_error)]
        return [*error, *([self.advice] if self.advice else []), *self.notes]

    @property
    def failures(self) -> list[Run]:
        """The failed runs, those included of which the judged data show no example of some constraint.

        Example:
            >>> cpd.sweep(**line).failures
            []
        """
        by = decided_by(self.finished, self.task.judge)
        return [run for run in (as_judged(run, by) for run in self.finished) if run.status is Status.FAILED]

    @property
    def exit_code(self) -> int:
        """0 done; 1 some run failed; 3 no setting is feasible or the search missed its target; 4 not all stored.

        Example:
            >>> cpd.sweep(**line).exit_code
            0
        """
        if self.store_error is not None:
            return 4
        if self.failures:
            return 1
        if self.search is not None:
            return 0 if self.search["outcome"] == "solved" else 3
        return 0 if any_feasible(self.document["runs"]) else 3
