"""Results in a real notebook: bars that go, a table and a picture once each, and Ctrl-C that the kernel survives."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("nbformat", reason="the extra 'notebooks' is not installed")
pytest.importorskip("ipykernel", reason="the extra 'notebooks' is not installed")
pytest.importorskip("matplotlib", reason="the extra 'plot' is not installed")
manager = pytest.importorskip("jupyter_client.manager", reason="the extra 'notebooks' is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # jupyter's own warnings are its own affair

SWEEP = "cpd.sweep('concave', methods={'penalized': {'coefficient': [0, 1, 2]}}, engine='eager', fuse=1, jobs=1, %s)"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    started, client = manager.start_new_kernel(kernel_name="python3", cwd=str(tmp_path_factory.mktemp("notebook")))
    try:
        yield started, client
    finally:
        client.stop_channels()
        started.shutdown_kernel(now=True)


def outputs(client: Any, code: str) -> list[dict[str, Any]]:
    """What a cell shows: the messages of its outputs."""
    shown: list[dict[str, Any]] = []
    client.execute_interactive(code, timeout=120, output_hook=shown.append)
    kinds = ("display_data", "update_display_data", "execute_result", "stream", "error")
    return [message for message in shown if message["msg_type"] in kinds]


def test_a_cell_shows_its_bars_its_table_and_its_picture_once(kernel: Any) -> None:
    _, client = kernel
    sweep = SWEEP % "train={'steps': 50}"
    shown = outputs(client, f"import cpd\nresult = {sweep}\nresult")
    kinds = [message["msg_type"] for message in shown]
    assert kinds[0] == "display_data"
    assert "runs" in shown[0]["content"]["data"]["text/plain"]
    assert set(kinds[1:-1]) == {"update_display_data"}
    assert shown[-2]["content"]["data"] == {"text/plain": ""}
    assert kinds[-1] == "execute_result"
    assert shown[-1]["content"]["data"]["text/html"].startswith('<div class="cpd-result">')
    assert shown[-1]["content"]["data"]["text/plain"].startswith("concave: minimise f")
    for before in ("", "import matplotlib.pyplot\n"):
        (picture,) = outputs(client, f"{before}result.plot()")
        assert picture["content"]["data"].keys() == {"text/plain", "image/png"}


def test_an_error_is_one_line(kernel: Any) -> None:
    _, client = kernel
    (shown,) = outputs(client, "import cpd\ncpd.sweep('concave', stepz=3)")
    assert shown["content"]["ename"] == "CpdError"
    assert len(shown["content"]["traceback"]) == 1
    assert shown["content"]["traceback"][0].startswith("CpdError: cpd.sweep(): no argument 'stepz'")


def test_an_interrupted_cell_leaves_the_kernel_and_what_was_done(kernel: Any) -> None:
    started, client = kernel
    outputs(client, "import cpd")
    asked = client.execute(SWEEP % "train={'steps': 2_000_000}, store='s.sqlite', progress=True")
    while (message := client.get_iopub_msg(timeout=120))["msg_type"] != "display_data":
        pass  # until the bars are there
    time.sleep(2)
    started.interrupt_kernel()
    while (message := client.get_iopub_msg(timeout=120))["msg_type"] != "error":
        pass
    assert message["parent_header"]["msg_id"] == asked
    assert message["content"]["ename"] == "KeyboardInterrupt"
    assert message["content"]["evalue"] == "what was done is stored: run the same command again to go on"
    client.get_shell_msg(timeout=60)
    (alive,) = outputs(client, "cpd.open(store='s.sqlite').notes")
    assert "the sweep was stopped before its end: 0 of 3" in alive["content"]["data"]["text/plain"]
