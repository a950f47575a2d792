"""Data of the sparsity problem: IDX files, digits, MNIST."""

import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import sklearn.datasets
import torch
from commands import ROOT
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from cpd.errors import CpdError
from cpd.problems.idx import read_idx
from cpd.problems.images import TEST_FILES, TRAIN_FILES, load_images

MNIST = Path(os.environ.get("CPD_TEST_MNIST", ROOT.parent / "shared" / "data" / "mnist"))
NAMES = (
    "it must hold train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte "
    "(each may end in .gz; images with their labels are enough), "
    "or leave out folder and CPD_DATA to fetch MNIST from OpenML"
)

Pictures = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Pixels and labels."""


def idx(array: NDArray[Any], kind: int = 0x08) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def pictures(count: int, side: int = 4) -> Pictures:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, side, side)), np.arange(count) % 10


def write_pair(folder: Path, names: tuple[str, str], count: int, side: int = 4, suffix: str = "") -> Pictures:
    images, labels = pictures(count, side)
    pack = gzip.compress if suffix == ".gz" else bytes
    (folder / (names[0] + suffix)).write_bytes(pack(idx(images)))
    (folder / (names[1] + suffix)).write_bytes(pack(idx(labels)))
    return images, labels


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CPD_DATA", raising=False)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_file_is_read_plain_or_gzipped(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    images, _ = pictures(7)
    path = tmp_path / "images"
    path.write_bytes(pack(idx(images)))
    read = read_idx(path, 3)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, images)


GOOD = idx(np.arange(24).reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD[:-1], "holds 23 bytes of data, its header says 2 x 3 x 4 = 24"),
        (GOOD + b"\0", "holds 25 bytes of data, its header says 2 x 3 x 4 = 24"),
        (GOOD[:10], "ends after 10 bytes, within its header of 16"),
        (b"", "is no IDX file: it starts with 0x, not 0x0000"),
        (b"PNG and so on", "is no IDX file: it starts with 0x504e4720, not 0x0000"),
        (idx(np.zeros((2, 3, 4)), kind=0x0D), "holds numbers of IDX type 0x0d, not unsigned bytes (0x08)"),
        (idx(np.zeros(5)), "has 1 dimensions, not 3"),
        (struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2), f"{2 * (2**32 - 1) ** 2}"),
    ],
)
def test_broken_idx_file_is_named_with_its_sizes(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(CpdError) as caught:
        read_idx(path, 3)
    assert message in caught.value.message
    assert caught.value.place == str(path)
    assert caught.value.hint == "fetch the file again"


@pytest.mark.parametrize("damage", [lambda packed: packed[:-9], lambda packed: packed[:20] + b"\xff" * 20])
def test_damaged_gzip_file_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(damage(gzip.compress(GOOD)))
    with pytest.raises(CpdError, match=r"images\.gz: is a damaged gzip file \(.+\); fetch the file again"):
        read_idx(path, 3)


def test_folder_with_both_pairs_keeps_mnists_own_split(tmp_path: Path) -> None:
    train, train_labels = write_pair(tmp_path, TRAIN_FILES, 30)
    test, test_labels = write_pair(tmp_path, TEST_FILES, 20, suffix=".gz")
    images = load_images("mnist", str(tmp_path))
    assert [t.dtype for t in images] == [torch.float32, torch.int64, torch.float32, torch.int64]
    np.testing.assert_array_equal(images.labels, train_labels)
    np.testing.assert_array_equal(images.test_labels, test_labels)
    mean, deviation = train.mean(), train.std(ddof=1)
    np.testing.assert_allclose(images.inputs, (train.reshape(30, 16) - mean) / deviation, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(images.test_inputs, (test.reshape(20, 16) - mean) / deviation, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("names", [TRAIN_FILES, TEST_FILES])
def test_folder_with_one_pair_gives_a_fixed_stratified_fifth(tmp_path: Path, names: tuple[str, str]) -> None:
    write_pair(tmp_path, names, 100)
    first, again = load_images("mnist", str(tmp_path)), load_images("mnist", str(tmp_path))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert torch.bincount(first.labels).tolist() == [8] * 10
    assert torch.bincount(first.test_labels).tolist() == [2] * 10


def test_folder_is_taken_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pair(tmp_path, TEST_FILES, 100)
    monkeypatch.setenv("CPD_DATA", str(tmp_path))
    assert load_images("mnist").inputs.shape == (80, 16)


def message_of(*arguments: str) -> str:
    with pytest.raises(CpdError) as caught:
        load_images(*arguments)
    return str(caught.value)


def test_missing_folder_or_files_are_named_with_the_expected_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = tmp_path / "absent"
    assert message_of("mnist", str(absent)) == f"arguments.folder: no folder '{absent}'; {NAMES}"
    assert message_of("mnist", str(tmp_path)) == f"arguments.folder: no MNIST files in '{tmp_path}'; {NAMES}"
    monkeypatch.setenv("CPD_DATA", str(absent))
    assert message_of("mnist") == f"CPD_DATA: no folder '{absent}'; {NAMES}"


def test_half_a_pair_is_named(tmp_path: Path) -> None:
    write_pair(tmp_path, TRAIN_FILES, 10)
    (tmp_path / TRAIN_FILES[1]).unlink()
    expected = f"{tmp_path}: 'train-labels-idx1-ubyte' is missing beside its other half; {NAMES}"
    assert message_of("mnist", str(tmp_path)) == expected


def test_images_and_labels_must_agree(tmp_path: Path) -> None:
    write_pair(tmp_path, TEST_FILES, 10)
    labels = tmp_path / TEST_FILES[1]
    labels.write_bytes(idx(np.arange(9)))
    assert message_of("mnist", str(tmp_path)) == f"{labels}: holds 9 labels for 10 images; fetch both files again"
    labels.write_bytes(idx(np.full(10, 11)))
    assert message_of("mnist", str(tmp_path)) == f"{labels}: holds the label 11; labels are 0 to 9"


def test_sizes_of_training_and_test_images_must_agree(tmp_path: Path) -> None:
    write_pair(tmp_path, TRAIN_FILES, 10, side=4)
    write_pair(tmp_path, TEST_FILES, 10, side=5)
    assert "training and test images have 16 and 25 pixels" in message_of("mnist", str(tmp_path))


def test_blank_images_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, TRAIN_FILES, 50)
    (tmp_path / TRAIN_FILES[0]).write_bytes(idx(np.zeros((50, 4, 4))))
    assert "all training images are blank" in message_of("mnist", str(tmp_path))


def test_unknown_data_and_useless_folder_are_named() -> None:
    expected = "arguments.data: unknown data 'digit'; did you mean 'digits'? Valid: digits, mnist"
    assert message_of("digit") == expected
    expected = "arguments.folder: 'x' is not used by data: digits; leave it out, or set data: mnist"
    assert message_of("digits", "x") == expected


def test_digits_are_split_always_alike() -> None:
    images = load_images("digits")
    pixels, labels = load_digits(return_X_y=True)
    assert images.inputs.shape == (1437, 64)
    assert images.test_inputs.shape == (360, 64)
    together = torch.bincount(images.labels) + torch.bincount(images.test_labels)
    np.testing.assert_array_equal(together, np.bincount(labels))
    assert (torch.bincount(images.test_labels) - torch.bincount(images.labels) / 4).abs().max() < 1
    assert images.inputs.mean().item() == pytest.approx(0, abs=1e-5)
    assert images.inputs.std().item() == pytest.approx(1, abs=1e-5)
    seen = {tuple(row) for row in np.concatenate([images.inputs, images.test_inputs]).round(3)}
    assert len(seen) == len({tuple(row) for row in pixels}), "every image is in one of the two parts"
    assert all(torch.equal(a, b) for a, b in zip(images, load_images("digits"), strict=True))


def test_openml_gives_mnists_own_split(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    pixels = np.zeros((70_000, 4), dtype=np.uint8)
    pixels[::2] = 255
    labels = (np.arange(70_000) % 10).astype(str).astype(object)
    asked = []

    def fetch(name: str, **options: Any) -> Any:
        asked.append((name, options))
        return pixels, labels

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    with caplog.at_level("INFO", logger="cpd.problems.images"):
        images = load_images("mnist")
    assert asked == [("mnist_784", {"version": 1, "as_frame": False, "return_X_y": True})]
    assert images.inputs.shape == (60_000, 4)
    assert images.test_labels.tolist() == [k % 10 for k in range(60_000, 70_000)]
    assert "reading MNIST from OpenML" in caplog.text


def test_openml_out_of_reach_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(name: str, **options: Any) -> Any:
        raise URLError("no route")

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    assert message_of("mnist") == (
        "arguments.data: MNIST cannot be fetched from OpenML: <urlopen error no route>; "
        "check the connection, or set folder or CPD_DATA to a folder with its IDX files"
    )


@pytest.mark.skipif(not MNIST.is_dir(), reason=f"no MNIST files in {MNIST} (set CPD_TEST_MNIST to their folder)")
def test_real_mnist_images_are_read() -> None:
    files = {path.name: path for path in MNIST.iterdir()}
    labels = read_idx(files["t10k-labels-idx1-ubyte.gz"], 1)
    assert np.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    pixels = read_idx(files["t10k-images-idx3-ubyte.gz"], 3)
    assert pixels.shape == (10_000, 28, 28)
    assert pixels.mean() / 255 == pytest.approx(0.1325, abs=1e-4)
    images = load_images("mnist", str(MNIST))
    assert images.inputs.shape[1] == 784
    assert images.inputs.std().item() == pytest.approx(1, abs=1e-4)
