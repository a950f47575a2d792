"""The pictures of digits that the sparsity problem learns: scikit-learn's 8x8 ones, or MNIST."""

from __future__ import annotations

import logging
import os
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cpd.errors import CpdError, closest
from cpd.problems.idx import read_idx

CLASSES = 10
FOLDER_VARIABLE = "CPD_DATA"
TRAIN_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST_FILES = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
OPENML_TRAIN = 60_000
"""MNIST on OpenML is one table: the 60,000 training images, then the 10,000 test images."""

logger = logging.getLogger(__name__)

Labelled = tuple[np.ndarray, np.ndarray]
"""Pixels ``[n, pixels]`` and labels ``[n]``."""


class Images(NamedTuple):
    """Training and test images, pixels standardised by mean and deviation of all training pixels.

    Attributes:
        inputs: ``[n, pixels]``, float32.
        labels: ``[n]``, int64, from 0 to 9.
        test_inputs: ``[m, pixels]``.
        test_labels: ``[m]``.
    """

    inputs: Tensor
    labels: Tensor
    test_inputs: Tensor
    test_labels: Tensor


def load_images(data: str, folder: str | None = None) -> Images:
    """Load ``digits`` or ``mnist``.

    ``digits`` comes with scikit-learn: 1,797 images, a fixed and stratified fifth of them for testing. ``mnist`` is
    read from IDX files in ``folder``, else in the folder that CPD_DATA names, else fetched from OpenML. It keeps its
    own test images; a folder with only one of the two pairs of files gives a fixed, stratified fifth for testing.

    Raises:
        CpdError: Unknown name, missing or broken files, or no connection.
    """
    if data not in ("digits", "mnist"):
        raise CpdError(f"unknown data '{data}'", place="arguments.data", hint=closest(data, ["digits", "mnist"]))
    if data == "mnist":
        return _standardised(*_mnist(folder))
    if folder is not None:
        raise CpdError(
            f"'{folder}' is not used by data: digits", place="arguments.folder", hint="leave it out, or set data: mnist"
        )
    return _standardised(*_digits())


def _digits() -> tuple[Labelled, Labelled]:
    from sklearn.datasets import load_digits

    return _split(load_digits(return_X_y=True))


def _mnist(folder: str | None) -> tuple[Labelled, Labelled]:
    if folder is not None:
        return _from_folder(Path(folder).expanduser(), "arguments.folder")
    if os.environ.get(FOLDER_VARIABLE):
        return _from_folder(Path(os.environ[FOLDER_VARIABLE]).expanduser(), FOLDER_VARIABLE)
    return _from_openml()


def _from_folder(folder: Path, place: str) -> tuple[Labelled, Labelled]:
    if not folder.is_dir():
        raise CpdError(f"no folder '{folder}'", place=place, hint=_files_hint())
    train, test = _pair(folder, TRAIN_FILES), _pair(folder, TEST_FILES)
    if train and test:
        if train[0].shape[1] != test[0].shape[1]:
            sizes = f"{train[0].shape[1]} and {test[0].shape[1]}"
            raise CpdError(f"training and test images have {sizes} pixels", place=str(folder), hint=_files_hint())
        return train, test
    only = train or test
    if only is None:
        raise CpdError(f"no MNIST files in '{folder}'", place=place, hint=_files_hint())
    return _split(only)


def _pair(folder: Path, names: tuple[str, str]) -> Labelled | None:
    """Images and labels of one pair of files, or None if neither is there."""
    paths = [next((p for p in (folder / n, folder / f"{n}.gz") if p.is_file()), None) for n in names]
    images, labels = paths
    if images is None and labels is None:
        return None
    if images is None or labels is None:
        absent = names[0] if images is None else names[1]
        raise CpdError(f"'{absent}' is missing beside its other half", place=str(folder), hint=_files_hint())
    return _checked(read_idx(images, 3), read_idx(labels, 1), labels)


def _checked(images: np.ndarray, labels: np.ndarray, path: Path) -> Labelled:
    if len(images) != len(labels) or not images.size:
        raise CpdError(
            f"holds {len(labels)} labels for {len(images)} images", place=str(path), hint="fetch both files again"
        )
    if labels.max() >= CLASSES:
        raise CpdError(f"holds the label {labels.max()}", place=str(path), hint=f"labels are 0 to {CLASSES - 1}")
    return images.reshape(len(images), -1), labels


def _files_hint() -> str:
    names = ", ".join(TRAIN_FILES + TEST_FILES)
    return (
        f"it must hold {names} (each may end in .gz; images with their labels are enough), "
        f"or leave out folder and {FOLDER_VARIABLE} to fetch MNIST from OpenML"
    )


def _from_openml() -> tuple[Labelled, Labelled]:
    from sklearn.datasets import fetch_openml, get_data_home

    logger.info("reading MNIST from OpenML (about 15 MB the first time, then kept in %s)", get_data_home())
    try:
        images, labels = fetch_openml("mnist_784", version=1, as_frame=False, return_X_y=True)
    except (OSError, ValueError, HTTPException) as error:
        hint = f"check the connection, or set folder or {FOLDER_VARIABLE} to a folder with its IDX files"
        raise CpdError(f"MNIST cannot be fetched from OpenML: {error}", place="arguments.data", hint=hint) from error
    labels = labels.astype(np.int64)
    return (images[:OPENML_TRAIN], labels[:OPENML_TRAIN]), (images[OPENML_TRAIN:], labels[OPENML_TRAIN:])


def _split(labelled: Labelled) -> tuple[Labelled, Labelled]:
    """Four fifths for training and a fifth for testing, stratified, always the same."""
    from sklearn.model_selection import train_test_split

    images, labels = labelled
    train, test = train_test_split(np.arange(len(labels)), test_size=0.2, random_state=0, stratify=labels)
    return (images[train], labels[train]), (images[test], labels[test])


def _standardised(train: Labelled, test: Labelled) -> Images:
    inputs, test_inputs = (torch.tensor(pixels, dtype=torch.float32) for pixels, _ in (train, test))
    labels, test_labels = (torch.tensor(targets, dtype=torch.int64) for _, targets in (train, test))
    deviation, mean = torch.std_mean(inputs)
    if deviation == 0:
        raise CpdError("all training images are blank", place="arguments.folder", hint="fetch the files again")
    return Images((inputs - mean) / deviation, labels, (test_inputs - mean) / deviation, test_labels)
