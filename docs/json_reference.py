"""The reference page of ``--format json``, made of its types: :mod:`make_reference` puts it on its page.

Types come from :mod:`cpd.verdict.document`; what a key means is said here. A key without a sentence stops the maker.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

from cpd.verdict import document

FIRST = "Document"

SENTENCES: dict[str, dict[str, str]] = {
    "Document": {
        "task": "The task's name.",
        "objective": "What the objective is called.",
        "constraints": "By name, what must hold.",
        "runs": "Every training, in the order of the grid.",
        "summary": "After `sweep` and `compare`: a row for each method, and for each choice of levels.",
        "search": "After `bisect`: the search.",
        "budget": "After `compare --budget`: the methods at equal budgets.",
        "transfer": "Where it is asked for: what the best settings of one case of the grids come to in another.",
        "judge": "The data that decide: `training` or `held_out`.",
        "confidence": "How sure a verdict is to be, 0.95.",
        "gap": 'How far above the mark a setting is still useful: `"5%"` or a number.',
        "judgement": "Where kept models were judged on other examples, by `cpd judge`.",
    },
    "BoundRow": {
        "level": "What the value is compared with; a run's own level stands in its `levels`.",
        "sense": "`<=`, `>=` or `==`.",
        "tolerance": "The largest violation that still counts as feasible.",
    },
    "RunRow": {
        "id": "What the store knows it by; null without a store.",
        "method": "The method's name.",
        "setting": 'Its hyperparameters; those of the recipe under dotted keys, `"train.optimizer.lr"`.',
        "levels": "The level of every constraint.",
        "seed": "The seed.",
        "status": "`completed`, `diverged`, `failed` or `pruned`.",
        "feasible": "Whether every constraint holds on the data that decide.",
        "satisfied": "Of more than four constraints, components counted: how many hold on the data that decide; "
        "null where the run came to no result.",
        "satisfied_of": "Of how many.",
        "objective": "On training data.",
        "constraints": "By name, on training data.",
        "metrics": "By name, on training data.",
        "steps": "Steps that were done.",
        "seconds": "Its share of the time of the program that it was trained in.",
        "diagnosis": "A word of [the diagnoses](tables.md#diagnoses), or null.",
        "error": "What was raised or not finite, or null.",
        "model": "The file of the judged weights; null where none are kept.",
        "selected_step": "The steps done at the iterate that is judged; null for the last one.",
        "curves": "What was measured along the way, where something was.",
        "mixture": "The iterates that are judged together, where they are.",
        "averaged": "The last share of the training whose mean parameters are judged, where they are.",
        "held_out": "The same run on held-out examples; null without any.",
        "examples": "How many examples the training data have; null where nobody knows.",
        "same_as_seed": "An earlier seed that trained in the same way, number for number: both count as one.",
        "verdict": "What the judged examples say at the confidence: `satisfied`, `violated`, `uncertain` or null.",
        "kkt": "Residuals of optimality, or null.",
        "holds_only_by": "Constraints whose surrogate and strict value disagree, and which of both holds.",
        "fighting": "The constraints that contradict each other, where the diagnosis is that.",
    },
    "ConstraintRow": {
        "value": "The strict value: the true one.",
        "surrogate": "The differentiable value that moved the model.",
        "violation": "How far the strict value is on the wrong side of its level; below 0 there is room.",
        "multiplier": "The multiplier at the end; null for methods without one, such as `penalized`.",
        "feasible_share": "The share of the last tenth of the steps at which it held.",
        "interval": "`[low, high]` of the value at the confidence, on the data that decide.",
        "verdict": "`satisfied`, `violated`, `uncertain` or null, on the data that decide.",
        "sensitivity": "What a unit of its level costs, where levels are swept.",
    },
    "SensitivityRow": {
        "predicted": "By the multiplier.",
        "measured": "Between runs at neighbouring levels.",
        "error": "The error of what was measured.",
        "agree": "Whether both agree.",
        "why": "Why not: `surrogate`, `not settled`, `not convex` or `unknown`.",
    },
    "HeldOutRow": {
        "objective": "On held-out examples.",
        "constraints": "By name, on held-out examples.",
        "metrics": "By name, on held-out examples.",
        "examples": "How many there are.",
    },
    "HeldOutConstraintRow": {
        "value": "The strict value.",
        "surrogate": "The differentiable value.",
        "violation": "How far the strict value is on the wrong side of its level.",
        "interval": "`[low, high]` of the value at the confidence.",
        "verdict": "`satisfied`, `violated`, `uncertain` or null.",
    },
    "KktRow": {
        "stationarity": "The gradient of the Lagrangian over that of the objective.",
        "primal": "The largest strict violation.",
        "dual": "How far a multiplier is below 0.",
        "complementarity": "Multipliers times slack.",
        "of": "Whose gradients they are: `strict` or `surrogate`.",
        "stationary": "Whether all of them are small.",
    },
    "MeasuredRow": {"measured": "The values on all data along the way."},
    "RecordedMeasures": {
        "steps": "The steps done at each measure.",
        "objective": "At each measure.",
        "constraints": "Strict values at each measure, by name.",
        "surrogates": "Differentiable values at each measure, by name.",
        "metrics": "At each measure, by name.",
        "held_out": "The same on held-out examples.",
    },
    "MixtureRow": {"step": "The steps done at this iterate.", "share": "How often it is drawn."},
    "SummaryRow": {
        "method": "The method's name.",
        "levels": "The choice of levels, where they are swept.",
        "settings": "How many settings there are.",
        "feasible_settings": "How many are feasible, for every seed.",
        "feasible_decades": "log10 of the largest over the smallest, of the longest feasible stretch; null for none.",
        "useful_settings": "How many are useful.",
        "useful_decades": "Likewise, of useful neighbours.",
        "best_setting": "The best setting; null where none is feasible.",
        "best_objective": "Its mean objective.",
        "trainings_to_first_useful": "How many runs, in the grid's order, until the first useful setting was done.",
        "mark": "The best objective of all methods, corrected for tolerance that was spent.",
        "useful_up_to": "The mark and the gap.",
        "feasible_at_edge": "Whether the feasible stretch ends where the grid does.",
        "useful_at_edge": "Likewise, of the useful one.",
        "satisfied_settings": "How many hold with the document's confidence.",
        "best_verdict": "The best setting's verdict, corrected for its having been chosen.",
        "best_confidence": "The confidence of each interval that this takes.",
        "best_intervals": "Its intervals at that, by constraint, one for each seed.",
    },
    "SearchBlock": {
        "constraint": "The constraint that is searched.",
        "target": "The value to reach.",
        "tolerance": "How close is close enough.",
        "outcome": "`solved`, `infeasible`, `unattainable`, `not_bracketed` or `out_of_budget`.",
        "trainings": "How many there were, every seed counted.",
        "iterations": "The coefficients that were tried, in their order.",
        "hyperparameter": "What was searched, `METHOD.NAME`, where that is not the penalty's coefficient.",
        "strategy": "Of a search of several coefficients, `coordinates` or `simplex`; `constraint` is then the one "
        "that is furthest from met where the search is nearest.",
        "targets": "There, the value that each constraint is to reach.",
        "tolerances": "There, how close is close enough, by constraint.",
        "lows": "There, the coefficient of each constraint at which it is met where it holds.",
    },
    "BudgetBlock": {
        "trainings": "How many each method had for each seed, at most.",
        "sampler": "What chose their settings.",
        "methods": "The methods.",
    },
    "MethodBudgetRow": {
        "method": "The method's name.",
        "levels": "The choice of levels, where they are swept.",
        "seeds": "How many seeds there are.",
        "trainings": "How many it had with a seed; fewer than the budget where its grids have no more settings.",
        "useful_seeds": "In how many seeds there was a useful setting.",
        "useful_share": "The share of seeds.",
        "trainings_to_first_useful": "How many trainings of a seed until its first useful one was done.",
        "steps_to_first_useful": "How many gradient steps these took; null where a program counts none.",
        "distance": "How far its best feasible objective is above the best of all methods with the seed.",
        "best_objective": "Its best feasible objective with the seed.",
    },
    "TransferBlock": {
        "from": "The case that settings are carried over from: values of grids by dotted key.",
        "to": "The case that they are carried over to.",
        "methods": "The methods.",
    },
    "TransferRow": {
        "method": "The method's name.",
        "levels": "The choice of levels, where they are swept.",
        "setting": "Its best setting of the first case; null where nothing was feasible there.",
        "source_objective": "The mean objective of that setting there.",
        "seeds": "How many seeds there are.",
        "feasible_seeds": "With how many of them it is feasible in the other case.",
        "feasible": "Whether it is so with all.",
        "useful": "Whether it is useful there.",
        "objective": "Its objective there.",
        "worst": "The constraint that is furthest from holding there.",
        "violation": "By how much, with the worst seed; below 0 there is room.",
        "best_setting": "The method's own best setting of the other case.",
        "best_objective": "Its mean objective.",
        "cost": "How far its objective there is above that of the own best, seed by seed; null where it is infeasible.",
        "distance": "How far it is above that of the best setting of all methods, likewise.",
        "moved_decades": "log10 of what was swept in the own best over what was carried over; null where they are no "
        "positive numbers.",
        "useful_at_source": "How many settings are useful in the first case.",
        "useful_at_both": "How many of these are useful in the other one as well.",
    },
    "Quartiles": {
        "median": "Over the seeds; null where it lies beyond the budget.",
        "low": "The lower quartile, likewise.",
        "high": "The upper quartile, likewise.",
        "each": "Each seed's own, in the order of the runs; null where there is none.",
    },
    "Iteration": {
        "iteration": "Its number, from 1 on.",
        "coefficient": "The coefficient, or the value of what was searched instead.",
        "value": "The constraint's value, the mean over the seeds.",
        "objective": "Likewise.",
        "metrics": "Likewise, by name.",
        "spread": "The standard deviation of the value over the seeds; null for one.",
        "seeds": "How many completed.",
        "pruned": "The side of the target on which the training was given up.",
        "violated": "Other constraints that do not hold.",
        "setting": "Of a search of several coefficients: what was trained.",
        "coefficients": "There, the coefficient of each constraint that is searched.",
        "values": "There, the value of each, the mean over the seeds.",
        "spreads": "There, its standard deviation over the seeds.",
        "worst": "There, the constraint that is furthest from met.",
        "distance": "There, how far, in tolerances: below 1 all are met.",
        "distances": "There, how far each is.",
    },
    "JudgementRow": {
        "name": "What the judgement is called.",
        "data": "What gives the examples.",
        "examples": "Their hash.",
        "judged": "When.",
    },
}
"""What each key of each type means."""


def page() -> str:
    """Each type, the whole document first, with its keys, what they hold and what they mean."""
    return "\n".join(part(name) for name in order(FIRST))


def order(name: str) -> list[str]:
    """A type and those that its keys hold, each once, in the order in which a reader meets them."""
    found = [name]
    for current in found:
        inner = [other for kind in get_type_hints(typed(current)).values() for other in within(kind)]
        found += [other for other in dict.fromkeys(inner) if other not in found]
    return found


def within(kind: Any) -> Iterator[str]:
    """The names of the dictionaries that a type holds."""
    if is_typeddict(kind):
        yield kind.__name__
    for inner in get_args(kind):
        yield from within(inner)


def typed(name: str) -> Any:
    """A type of the document by its name."""
    return getattr(document, name)


def title(name: str) -> str:
    """The heading of a type: ``HeldOutConstraintRow`` is *Held out constraint*."""
    words = re.findall(r"[A-Z][a-z]*", name.removesuffix("Row").removesuffix("Block"))
    return " ".join([words[0], *(word.lower() for word in words[1:])])


def part(name: str) -> str:
    """A type's part of the page."""
    kinds, said = get_type_hints(typed(name)), SENTENCES.get(name, {})
    if kinds.keys() != said.keys():
        raise LookupError(f"docs/json_reference.py: say what {sorted(kinds.keys() ^ said.keys())} of {name} means")
    written = get_type_hints(typed(name), include_extras=True)
    optional = {key for key, kind in written.items() if get_origin(kind) is NotRequired}
    rows = [("key", "value", "what it is"), ("---",) * 3]
    rows += [(f"`{key}`{' *' if key in optional else ''}", spelled(kind), said[key]) for key, kind in kinds.items()]
    table = "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in rows)
    return f"## {title(name)}\n\n{table}"


def spelled(kind: Any) -> str:
    """A type in JSON's words, with a link where it has a table of its own."""
    if is_typeddict(kind):
        return f"[{title(kind.__name__).lower()}](#{title(kind.__name__).lower().replace(' ', '-')})"
    inner = [spelled(one) for one in get_args(kind) if is_typeddict(one) or list(within(one))]
    if inner and get_origin(kind) in (list, dict):
        return f"{'list of' if get_origin(kind) is list else 'by name:'} {inner[0]}"
    if inner:
        return inner[0] + (" or null" if type(None) in get_args(kind) else "")
    return ", ".join(dict.fromkeys(simple(kind)))


def simple(kind: Any) -> list[str]:
    """The words for a type without a table."""
    words = {str: "text", int: "whole number", float: "number", bool: "true, false", type(None): "null"}
    if kind in words:
        return [words[kind]]
    whole = {list: "list", dict: "mapping", Mapping: "mapping", Literal: "text"}
    if get_origin(kind) in whole:
        return [whole[get_origin(kind)]]
    return [word for one in get_args(kind) for word in simple(one)] or ["any"]
