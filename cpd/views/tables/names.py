"""Dotted keys of settings under short names: ``lr`` for ``train.optimizer.lr``, where no two have the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import cast

from cpd.outcome import is_dotted
from cpd.verdict.document import Document, Plain, RunRow, Setting, SummaryRow, TransferBlock, TransferRow, is_number
from cpd.verdict.summary import SWEPT
from cpd.views.printable import one_line
from cpd.views.tables.numbers import setting_value

Texts = Mapping[str, str]
"""What is written for a value, by its JSON."""

LONGEST, HEAD, TAIL = 28, 11, 14
"""Characters of a value that a table shows, and those that are left of a longer one."""


def readable(document: Document) -> Document:
    """A document for reading: the same where no setting has a dotted key."""
    names = dict.fromkeys(name for run in document["runs"] for name in run["setting"])
    if not any(map(is_dotted, names)):
        return document
    short = short_names(names)
    dotted = filter(is_dotted, names)
    texts = {
        name: _texts(run["setting"][name] for run in document["runs"] if name in run["setting"]) for name in dotted
    }
    runs = [cast(RunRow, {**run, "setting": _renamed(run["setting"], short, texts)}) for run in document["runs"]]
    found = cast(Document, {**document, "runs": runs})
    if "summary" in document:
        found["summary"] = [
            cast(SummaryRow, {**entry, "best_setting": best and _renamed(best, short, texts)})
            for entry in document["summary"]
            for best in [entry["best_setting"]]
        ]
    if "transfer" in document:
        found["transfer"] = _carried(document["transfer"], short, texts)
    return found


def _carried(block: TransferBlock, short: Mapping[str, str], texts: Mapping[str, Texts]) -> TransferBlock:
    """What was carried over between which cases, likewise."""
    rows = [
        cast(
            TransferRow,
            {**row, **{key: (own := row[key]) and _renamed(own, short, texts) for key in ("setting", "best_setting")}},
        )
        for row in block["methods"]
    ]
    return {
        "from": _renamed(block["from"], short, texts),
        "to": _renamed(block["to"], short, texts),
        "methods": rows,
    }


def short_names(names: Iterable[str]) -> dict[str, str]:
    """What each part of a setting is called: a dotted key by its last part, by more where others have the same."""
    every = list(names)
    taken = [*SWEPT, *(name for name in every if not is_dotted(name))]
    # The name of an optimizer is called the optimizer.
    last = {name: name.removesuffix(".name").rpartition(".")[2] for name in every if is_dotted(name)}
    ends = [*taken, *last.values()]
    more = {name: name.removeprefix("train.") for name in last}
    short = {name: end if ends.count(end) == 1 else more[name] for name, end in last.items()}
    return {name: short.get(name, name) for name in every}


def _renamed(setting: Setting, short: Mapping[str, str], texts: Mapping[str, Texts]) -> dict[str, Plain]:
    def text(name: str, value: Plain) -> Plain:
        return value if is_number(value) or name not in texts else texts[name].get(json.dumps(value), value)

    return {short[name]: text(name, value) for name, value in setting.items()}


def _texts(values: Iterable[Plain]) -> Texts:
    """How the values of a dotted key are written, those that are no numbers: long ones cut, where none look alike."""
    every = {json.dumps(value): value for value in values if not is_number(value)}
    whole = {key: one_line("null" if value is None else setting_value(value)) for key, value in every.items()}
    cut = {key: text if len(text) <= LONGEST else f"{text[:HEAD]}...{text[-TAIL:]}" for key, text in whole.items()}
    return cut if len(set(cut.values())) == len(set(whole.values())) else whole
