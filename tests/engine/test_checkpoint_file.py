"""Checkpoints and the files beside the store: whole or absent, and nothing in them is ever executed."""

import hashlib
import io
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cpd.engine import checkpoint_file
from cpd.engine.checkpoint_file import CheckpointStore, OtherFormat
from cpd.errors import StoreError

META = {"done": 500, "seconds": 1.5, "taken": [1, 2], "optimizer": {"weight": ["step"]}, "name": "ü", "none": None}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints" / "batch.checkpoint"


def tensors() -> dict[str, torch.Tensor]:
    return {
        "weight": torch.randn(3, 4, dtype=torch.float64, requires_grad=True) * 1e-300,
        "special": torch.tensor([torch.nan, -torch.inf, -0.0]),
        "random": torch.get_rng_state(),
        "active": torch.tensor([True, False]),
        "empty": torch.empty(0, 2),
        "steps": torch.tensor(2**40),
    }


def bits(tensor: torch.Tensor) -> bytes:
    return bytes(tensor.detach().contiguous().reshape(-1).view(torch.uint8).tolist())


def refusal(question: Callable[[], Any]) -> str:
    with pytest.raises(StoreError) as caught:
        question()
    assert caught.value.exit_code == 4
    return str(caught.value)


def forge(path: Path, content: bytes) -> None:
    """A file with a right checksum, as somebody would write who means harm."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"cpd-checkpoint-3 " + hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


# Checkpoints


def test_a_checkpoint_comes_back_bit_by_bit(path: Path) -> None:
    saved = tensors()
    checkpoint_file.save(path, saved, META)
    loaded = checkpoint_file.load(path)
    assert loaded is not None
    assert loaded[1] == META
    assert loaded[0].keys() == saved.keys()
    for name, tensor in loaded[0].items():
        assert (tensor.dtype, tensor.shape) == (saved[name].dtype, saved[name].shape)
        assert bits(tensor) == bits(saved[name])
    assert list(path.parent.iterdir()) == [path]


def test_a_slice_does_not_carry_what_it_was_cut_from(path: Path) -> None:
    checkpoint_file.save(path, {"row": torch.zeros(1000, 1000)[0]}, {})
    assert path.stat().st_size < 20_000


def test_a_store_of_checkpoints_keeps_one_a_batch_until_it_is_done(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "a" / "b")
    assert store.load("one") is None
    store.save("one", {"x": torch.zeros(1)}, {"done": 1})
    store.save("two", {"x": torch.zeros(1)}, {"done": 5})
    store.save("one", {"x": torch.ones(1)}, {"done": 2})
    loaded = store.load("one")
    assert loaded is not None
    assert (loaded[0]["x"].item(), loaded[1]) == (1.0, {"done": 2})
    store.remove("one")
    store.remove("one")
    assert store.load("one") is None
    assert store.load("two") is not None


@pytest.mark.parametrize("value", [np.float32(1), np.array([1.0]), Path("x"), torch.zeros(1), {1, 2}, object])
def test_what_could_not_be_loaded_is_not_saved(path: Path, value: Any) -> None:
    with pytest.raises(TypeError, match=r"^meta\.a\.0 cannot be in a checkpoint"):
        checkpoint_file.save(path, {}, {"a": [value]})
    assert not path.exists()


@pytest.mark.parametrize(
    "harm",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[:600] + bytes([content[600] ^ 1]) + content[601:],
        lambda content: content.replace(b"checkpoint-3", b"checkpoint-x", 1),
    ],
    ids=["half", "empty", "short", "flipped", "format"],
)
def test_a_damaged_checkpoint_is_refused(path: Path, harm: Callable[[bytes], bytes]) -> None:
    checkpoint_file.save(path, tensors(), META)
    path.write_bytes(harm(path.read_bytes()))
    message = f"{path}: the checkpoint does not match its checksum; remove it: its batch then starts again"
    assert refusal(lambda: checkpoint_file.load(path)) == message


@pytest.mark.parametrize("written", [1, 2, 4])
def test_a_checkpoint_of_another_format_is_not_read(path: Path, written: int) -> None:
    store = CheckpointStore(path.parent)
    store.save(path.stem, tensors(), META)
    whole = path.read_bytes().replace(b"checkpoint-3", f"checkpoint-{written}".encode(), 1)
    path.write_bytes(whole)
    with pytest.raises(OtherFormat, match=f"^the checkpoint has format {written}, and this cpd reads format 3$"):
        store.load(path.stem)
    aside = store.leave_aside(path.stem)
    assert aside.read_bytes() == whole
    assert store.load(path.stem) is None


class Evil:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.canary),)


@pytest.mark.parametrize("unsafe", [None, "1"])
@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_an_evil_checkpoint_is_refused_and_not_executed(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str, unsafe: str | None
) -> None:
    if unsafe:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", unsafe)
    buffer, canary = io.BytesIO(), tmp_path / "canary"
    evil = {"tensors": {}, "meta": Evil(canary)}
    torch.save(evil, buffer) if writer == "torch" else pickle.dump(evil, buffer, protocol=2)
    forge(path, buffer.getvalue())
    assert refusal(lambda: checkpoint_file.load(path)) == (
        f"{path}: the checkpoint holds something else than tensors and plain values; nothing of it was executed; "
        "remove it: its batch then starts again"
    )
    assert not canary.exists()
    pickle.loads(pickle.dumps(Evil(canary)))
    assert canary.exists(), "the test itself would have noticed"


@pytest.mark.parametrize("content", [b"", b"not a file of torch's", b"PK\x03\x04 broken"])
def test_a_checkpoint_of_other_content_is_refused(path: Path, content: bytes) -> None:
    forge(path, content)
    assert refusal(lambda: checkpoint_file.load(path)).startswith(f"{path}: the checkpoint holds something else")


def test_any_forged_byte_is_loaded_or_refused(path: Path) -> None:
    luck = random.Random(0)
    checkpoint_file.save(path, tensors(), META)
    _, _, content = path.read_bytes().partition(b"\n")
    refused = 0
    for _ in range(300):
        forged = bytearray(content)
        for _ in range(3):
            forged[luck.randrange(len(forged))] = luck.randrange(256)
        forge(path, bytes(forged))
        try:
            checkpoint_file.load(path)
        except StoreError:
            refused += 1
    assert refused


def test_a_checkpoint_of_another_shape_is_refused(path: Path) -> None:
    buffer = io.BytesIO()
    torch.save([1, 2], buffer)
    forge(path, buffer.getvalue())
    assert refusal(lambda: checkpoint_file.load(path)).startswith(f"{path}: the checkpoint is not a checkpoint of cpd")


def test_a_checkpoint_that_cannot_be_written_is_an_error_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refusal(lambda: CheckpointStore(tmp_path / "file").save("x", {}, {})).startswith(f"{tmp_path}/file/x.check")
