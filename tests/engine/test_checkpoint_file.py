"""Checkpoints and the files beside the store: whole or absent, and nothing in them is ever executed."""

import hashlib
import io
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cpd import files
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
    path.write_bytes(b"cpd-checkpoint-2 " + hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


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
        lambda content: content.replace(b"checkpoint-2", b"checkpoint-x", 1),
    ],
    ids=["half", "empty", "short", "flipped", "format"],
)
def test_a_damaged_checkpoint_is_refused(path: Path, harm: Callable[[bytes], bytes]) -> None:
    checkpoint_file.save(path, tensors(), META)
    path.write_bytes(harm(path.read_bytes()))
    message = f"{path}: the checkpoint does not match its checksum; remove it: its batch then starts again"
    assert refusal(lambda: checkpoint_file.load(path)) == message


@pytest.mark.parametrize("written", [1, 3])
def test_a_checkpoint_of_another_format_is_not_read(path: Path, written: int) -> None:
    store = CheckpointStore(path.parent)
    store.save(path.stem, tensors(), META)
    whole = path.read_bytes().replace(b"checkpoint-2", f"checkpoint-{written}".encode(), 1)
    path.write_bytes(whole)
    with pytest.raises(OtherFormat, match=f"^the checkpoint has format {written}, and this cpd reads format 2$"):
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


# Files that are whole or absent

REWRITER = """
import sys
from pathlib import Path
from cpd import files
print(flush=True)
for k in range(10**9):
    files.write(Path(sys.argv[1]), f"{k % 10}" * 200_000)
"""


def test_a_killed_writer_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    luck, path = random.Random(0), tmp_path / "table.json"
    files.write(path, "0" * 200_000)
    stale = 0
    for _ in range(15):
        process = subprocess.Popen([sys.executable, "-c", REWRITER, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(luck.uniform(0, 0.03))
        process.kill()
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL
        text = path.read_text()
        assert len(text) == 200_000
        assert len(set(text)) == 1
        stale += files.sweep_stale(tmp_path)
        assert list(tmp_path.iterdir()) == [path]
    assert stale, "no kill fell into a write: the test shows nothing"


def test_a_file_being_written_is_not_swept(tmp_path: Path) -> None:
    with files.replacing(tmp_path / "a.csv") as file:
        file.write(b"1")
        assert files.sweep_stale(tmp_path) == 0
    assert (tmp_path / "a.csv").read_bytes() == b"1"


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    files.write(path, "old")

    def fail() -> None:
        with files.replacing(path) as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    files.write(path, "old")
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from pathlib import Path; from cpd import files\n"
        f"try: files.write(Path({str(path)!r}), 'n' * 5000)\n"
        "except OSError as error: sys.exit(error.errno)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 27  # EFBIG
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_replaced_file_keeps_its_mode_and_its_links(tmp_path: Path) -> None:
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    files.write(real, "old")
    real.chmod(0o640)
    link.symlink_to(real)
    files.write(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_new_file_may_be_read_by_whoever_may_read_others(tmp_path: Path) -> None:
    files.write(tmp_path / "a", "")
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_device_is_written_directly() -> None:
    files.write(Path(os.devnull), "x")
    assert not Path(os.devnull).is_file()


def test_a_write_into_a_file_named_at_the_limit(tmp_path: Path) -> None:
    files.write(tmp_path / ("x" * 251 + ".csv"), "x")
    assert (tmp_path / ("x" * 251 + ".csv")).read_text() == "x"
