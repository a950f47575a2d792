"""Work that the executors' tests send to real processes: a module that workers can import."""

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

Payload = dict[str, Any]


def halve(payload: Payload) -> tuple[Payload, Payload] | None:
    """Cut a payload's runs in two."""
    runs = payload["runs"]
    if len(runs) < 2:
        return None
    middle = len(runs) // 2
    return {**payload, "runs": runs[:middle]}, {**payload, "runs": runs[middle:]}


def square(payload: Payload) -> dict[int, int]:
    """Square every run; some kill their process, raise, or are too large, as the payload says."""
    record(payload, "begun")
    time.sleep(payload.get("seconds", 0))
    runs = payload["runs"]
    if payload.get("killer") in runs:
        os._exit(3)
    if payload.get("raiser") in runs:
        raise ValueError(f"run {payload['raiser']} is not to our taste")
    if payload.get("leaver") in runs:
        sys.exit(7)
    if payload.get("glutton") in runs or len(runs) > payload.get("most", 1000):
        raise MemoryError
    record(payload, "done")
    return {run: run**2 for run in runs}


def kill_once(payload: Payload) -> dict[int, int]:
    """Kill this process with SIGKILL, but only the first time that the named run is tried."""
    if payload.get("killer") in payload["runs"]:
        try:
            Path(payload["once"]).touch(exist_ok=False)
        except FileExistsError:
            return square({**payload, "killer": None})
        os.kill(os.getpid(), signal.SIGKILL)
    return square(payload)


def contract(payload: Payload) -> Any:
    """All that the common test suite asks of an executor's work, as the payload says."""
    from cpd.executors.worker import cancelled

    while payload.get("until") == "cancelled" and not cancelled():
        time.sleep(0.02)
    if payload.get("result") == "cannot travel":
        return unpicklable(payload)
    return kill_once(payload) if "once" in payload else square(payload)


def surroundings(payload: Payload) -> dict[str, Any]:
    """What a worker process looks like from inside."""
    from cpd.executors.worker import device

    time.sleep(payload.get("seconds", 0))
    print("a problem that prints")
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_WAIT_POLICY")
    return {
        "pid": os.getpid(),
        "device": device(),
        "threads": SET_UP,
        "ignored": [signal.getsignal(number) is signal.SIG_IGN for number in (signal.SIGINT, signal.SIGTERM)],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        **{name: os.environ.get(name) for name in names},
    }


SET_UP: list[int] = []


def set_up(threads: int) -> None:
    """Remember what the worker was told."""
    SET_UP.append(threads)


def fail_to_set_up(threads: int) -> None:
    """A preparation that cannot be made."""
    raise RuntimeError("no such library")


def trains() -> bool:
    """Whether a batch is trained in this process now."""
    from cpd.run.worker import alone

    return alone.locked()


def start_a_child(payload: Payload) -> int | None:
    """What a DataLoader does: start a process of one's own."""
    child = multiprocessing.Process(target=print)
    child.start()
    child.join()
    return child.exitcode


def unpicklable(payload: Payload) -> Any:
    """A result that cannot travel."""
    return lambda: payload


def versions() -> dict[str, str]:
    """The same everywhere."""
    return {"cpd": "1"}


def versions_by_process() -> dict[str, str]:
    """Different in every process."""
    return {"cpd": "1", "torch": str(os.getpid())}


def record(payload: Payload, what: str) -> None:
    """Leave a file for each attempt, which outlives the process."""
    if "folder" in payload:
        runs = "-".join(map(str, payload["runs"]))
        Path(payload["folder"], f"{what}_{runs}_{os.getpid()}_{time.monotonic_ns()}").touch()
