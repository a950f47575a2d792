"""A Dask cluster of real processes on loopback, started as a user would."""

import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from cpd.executors.start import Where

ALLOWED_FAILURES = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
"""Dask's default is 3: four deaths before it blames an item. Two are as good, and sooner."""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


@dataclass
class Cluster:
    """A scheduler and its workers, as processes in a folder of their own."""

    folder: Path
    environment: dict[str, str]
    protocol: str = "tcp"
    port: int = field(default_factory=free_port)
    scheduler: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"{self.protocol}://127.0.0.1:{self.port}"

    @property
    def where(self) -> Where:
        return Where("dask", address=self.address)

    def start_scheduler(self) -> None:
        """Start it, and wait until it listens: cpd itself waits for a few seconds, too few on a busy machine."""
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--protocol", self.protocol
        )
        while not self._listens():
            assert self.scheduler.poll() is None, self.log()
            time.sleep(0.1)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True

    def start_worker(self, *options: str) -> None:
        own = [] if "--nthreads" in options else ["--nthreads", "1"]
        self.workers.append(self._start("worker", self.address, *own, *options))

    def stop(self) -> None:
        """Kill every process: what a nanny has started ends without it."""
        for process in [*self.workers, *([self.scheduler] if self.scheduler else [])]:
            process.kill()
            process.wait()

    def log(self) -> str:
        return (self.folder / "dask.log").read_text()

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-c", "from dask.__main__ import main; main()", *arguments, "--no-dashboard"]
        with (self.folder / "dask.log").open("ab") as log:
            environment = self.environment | ALLOWED_FAILURES
            return subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self.folder)
