"""The people that the fairness problem judges: made ones, the census of 1994, or a CSV file."""

from __future__ import annotations

import logging
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from cpd.errors import CpdError

MADE = 4000
"""People that are drawn, half of them held out."""
KEPT = 0.3
"""Share of a table's rows that are held out."""
ADULT = ("class=>50K", "sex=Female")
"""What is predicted, and who is in group 1, on OpenML's table."""
DISTINCT = 100
"""Words of which a column may have so many; each becomes a column of its own."""

logger = logging.getLogger(__name__)

Batch = tuple[Tensor, Tensor, Tensor]


class People(NamedTuple):
    """Training and held-out people: what is known ``[n, k]``, labels ``[n]`` and groups ``[n]``, all float32."""

    training: Batch
    held_out: Batch


def load_people(data: str, label: str | None = None, group: str | None = None) -> People:
    """Draw or read them. Nothing is fetched but by ``adult``.

    Args:
        data: ``made``, ``adult`` or the path of a CSV file.
        label: ``column=value``: who has label 1.
        group: ``column=value``: who is in group 1.

    Raises:
        CpdError: No such file or column, a column that tells nobody apart, or no connection.
    """
    if data == "made":
        if label is not None or group is not None:
            name = "label" if label is not None else "group"
            raise CpdError("data: made has none to choose", place=f"arguments.{name}", hint="leave it out")
        return made()
    if data == "adult":
        return split(_adult(), label or ADULT[0], group or ADULT[1])
    table = _read(data)
    return split(table, _needed(table, "label", label), _needed(table, "group", group))


def made() -> People:
    """Draw people of whom three in ten are in group 1, and earn less: always the same."""
    generator = torch.Generator().manual_seed(0)
    group = (torch.rand(MADE, generator=generator) < 0.3).float()
    income = torch.randn(MADE, generator=generator) - 0.8 * group
    history = torch.randn(MADE, generator=generator)
    label = (income + history + 0.8 * torch.randn(MADE, generator=generator) > 0).float()
    x = torch.stack([income, history, group], 1)
    half = MADE // 2
    return People((x[:half], label[:half], group[:half]), (x[half:], label[half:], group[half:]))


def split(table: pd.DataFrame, label: str, group: str) -> People:
    """Take a table for people: numbers standardised, words one column for each, three tenths held out.

    Rows without a label or a group are left out; what else is missing is the median, or a word of its own. Which rows
    are held out is always the same, with as many of each label and group.
    """
    from sklearn.model_selection import train_test_split

    (label_column, label_value), (group_column, group_value) = (
        _chosen(table, "label", label),
        _chosen(table, "group", group),
    )
    table = table.dropna(subset=[label_column, group_column]).reset_index(drop=True)
    labels = _told(table[label_column], label_value, "arguments.label")
    groups = _told(table[group_column], group_value, "arguments.group")
    rows = np.arange(len(table))
    cells = labels + 2 * groups
    if np.bincount(cells.astype(np.int64), minlength=4).min() < 2:
        hint = "choose others: each label needs at least two rows in each group"
        raise CpdError("a group has hardly any row of one label", place="arguments.group", hint=hint)
    training, kept = train_test_split(rows, test_size=KEPT, random_state=0, stratify=cells)
    inputs = _inputs(table.drop(columns=label_column), training)
    parts = [
        tuple(torch.tensor(a[part], dtype=torch.float32) for a in (inputs, labels, groups)) for part in (training, kept)
    ]
    return People((parts[0][0], parts[0][1], parts[0][2]), (parts[1][0], parts[1][1], parts[1][2]))


def _needed(table: pd.DataFrame, name: str, given: str | None) -> str:
    if given is not None:
        return given
    hint = f"e.g. '{table.columns[-1]}={_word(table.iloc[0, -1])}'; columns: {', '.join(map(str, table.columns))}"
    raise CpdError("a CSV file needs it", place=f"arguments.{name}", hint=hint)


def _chosen(table: pd.DataFrame, name: str, words: str) -> tuple[str, str]:
    """Column and value of ``column=value``."""
    place = f"arguments.{name}"
    column, equals, value = str(words).partition("=")
    if not equals:
        raise CpdError(f"'{words}' is no column and value", place=place, hint="write column=value")
    if column not in table.columns:
        hint = f"columns: {', '.join(map(str, table.columns))}"
        raise CpdError(f"no column '{column}'", place=place, hint=hint)
    return column, value


def _told(column: pd.Series, value: str, place: str) -> np.ndarray:
    """1 where a column has a value, else 0."""
    words = column.map(_word)
    told = (words == _word(value)).to_numpy(np.float64)
    if not 0 < told.sum() < len(told):
        found = ", ".join(sorted(map(str, words.unique()))[:8])
        says = "nobody" if not told.sum() else "everybody"
        raise CpdError(f"{says} has {column.name}={value}", place=place, hint=f"it has: {found or 'no rows'}")
    return told


def _word(value: object) -> str:
    """1, 1.0 and "1" are one word."""
    text = str(value).strip()
    try:
        return f"{float(text):g}"
    except ValueError:
        return text


def _inputs(table: pd.DataFrame, training: np.ndarray) -> np.ndarray:
    """Numbers standardised by the training rows, words one column for each."""
    columns = []
    for name in table:
        column = table[name]
        if pd.api.types.is_numeric_dtype(column):
            columns.append(_standardised(column.to_numpy(np.float64, na_value=np.nan), training))
        else:
            words = column.astype(object).where(column.notna(), "?").map(str)
            if words.nunique() > DISTINCT:
                message = f"the column '{name}' has {words.nunique()} different words"
                raise CpdError(message, place="arguments.data", hint="leave it out of the file: it names people")
            columns += [(words == word).to_numpy(np.float64) for word in sorted(words.unique())]
    return np.stack(columns, 1)


def _standardised(values: np.ndarray, training: np.ndarray) -> np.ndarray:
    known = values[training][np.isfinite(values[training])]
    filled = np.where(np.isfinite(values), values, np.median(known) if known.size else 0.0)
    centred: np.ndarray = filled - filled[training].mean()
    return centred / (filled[training].std() or 1.0)


def _read(data: str) -> pd.DataFrame:
    path = Path(str(data)).expanduser()
    hint = "give made, adult or the path of a CSV file"
    if not path.is_file():
        raise CpdError(f"no such data '{data}'", place="arguments.data", hint=hint)
    try:
        table = pd.read_csv(path, skipinitialspace=True)
    except (OSError, ValueError) as error:
        line = str(error).strip().splitlines()[0]
        raise CpdError(f"'{data}' cannot be read as CSV: {line}", place="arguments.data", hint=hint) from error
    if table.empty:
        raise CpdError(f"'{data}' has no rows", place="arguments.data", hint=hint)
    return table


def _adult() -> pd.DataFrame:
    from sklearn.datasets import fetch_openml, get_data_home

    logger.info("reading the census from OpenML (about 6 MB the first time, then kept in %s)", get_data_home())
    try:
        frame: pd.DataFrame = fetch_openml("adult", version=2, as_frame=True).frame
    except (OSError, ValueError, HTTPException) as error:
        hint = "check the connection, or give the path of a CSV file with label and group"
        raise CpdError(
            f"the census cannot be fetched from OpenML: {error}", place="arguments.data", hint=hint
        ) from error
    return frame.drop(columns="fnlwgt", errors="ignore")
