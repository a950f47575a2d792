"""Files are whole or absent, and locked by one process at a time."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cpd import files
from cpd.errors import StoreError
from cpd.files import locked
from cpd.store.errors import reported

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


# Locks


def test_a_lock_excludes_and_is_free_when_its_holder_dies(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    program = (
        f"from cpd.files import *; import time\nwith locked(Path({str(lock)!r})): print(flush=True); time.sleep(99)"
    )
    holder = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(StoreError, match="another process is writing it"), reported(lock), locked(lock, patience=0.02):
        pass
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with locked(lock):
        assert lock.exists()
    assert not lock.exists()
