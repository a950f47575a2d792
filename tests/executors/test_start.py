"""Starting executors: which one it is, and what is refused."""

import os
import sys

import executor_work as works
import pytest
from executor_events import only
from executor_work import square

import cpd.executors
from cpd.errors import CpdError, install
from cpd.executors.queue import Done, Item
from cpd.executors.start import Where, start


def test_local_is_this_process_for_one_job() -> None:
    with start(Where("local", 1), works.surroundings) as up:
        event = only(Done, up.results([Item({})]))
    assert event.result["pid"] == os.getpid()
    assert event.result["device"] is None


@pytest.mark.parametrize("where", [Where("local", 2), Where("loky", 1), Where("local", 1, devices=("cpu",))])
def test_loky_is_other_processes(where: Where) -> None:
    with start(where, works.surroundings) as up:
        event = only(Done, up.results([Item({})]))
    assert event.result["pid"] != os.getpid()


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (Where("lokky"), "--backend: no backend 'lokky'; did you mean 'loky'? Valid: local, loky, dask, ray"),
        (Where("local", 0), "--jobs: 0 workers; at least 1"),
        (Where("dask"), "--backend dask: which scheduler?; --scheduler tcp://HOST:8786"),
        (
            Where("ray", devices=("cuda:0",)),
            "--devices: binds local workers to devices; the ray backend does not; "
            "give each worker of the cluster its own device when you start it",
        ),
    ],
)
def test_bad_usage_is_one_line(where: Where, message: str) -> None:
    with pytest.raises(CpdError) as caught:
        start(where, square)
    assert str(caught.value) == message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("backend", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_a_backend_that_is_not_installed(backend: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"cpd.executors.{backend}", raising=False)
    monkeypatch.delattr(cpd.executors, backend, raising=False)
    with pytest.raises(CpdError) as caught:
        start(Where(backend, address="tcp://127.0.0.1:1"), square)
    assert str(caught.value) == f"--backend {backend}: cannot import {package}; {install(package)}"
