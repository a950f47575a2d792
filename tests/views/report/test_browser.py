"""The report in a real browser: no error, no request, tables that sort and filter, hostile texts that do not run."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import sample_documents as samples
from browser import missing, start

from cpd.verdict.document import Document, Recordings
from cpd.views.report.page import Provenance, page, write_report

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
pytest.importorskip("plotly", reason="the extra 'report' is not installed")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if why := missing():
        pytest.skip(why)
    opened = start(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.quit()


@pytest.fixture
def console(browser: Any) -> Any:
    """What the browser said and which addresses it asked for since the test began, its own pages left out."""

    def read() -> tuple[list[str], set[str]]:
        said = [entry["message"] for entry in browser.get_log("browser")]
        events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        asked = {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}
        return said, {url for url in asked if not url.startswith(("chrome:", "data:"))}

    read()
    return read


def opened(browser: Any, folder: Path, document: Document, curves: Recordings, **provenance: Any) -> str:
    """Write a report and open it; its address."""
    write_report(folder / "report.html", document, curves, cast(Provenance, provenance))
    address = (folder / "report.html").as_uri()
    browser.get(address)
    return address


def draw_all(browser: Any) -> int:
    """Scroll to every figure, which draws it; how many were drawn."""
    from selenium.webdriver.support.ui import WebDriverWait

    places = browser.find_elements("css selector", ".plot")
    for place in places:
        browser.execute_script("arguments[0].scrollIntoView()", place)
        WebDriverWait(place, 60).until(lambda shown: shown.find_elements("css selector", ".main-svg"))
    return len(places)


def cells(browser: Any, table: str, header: str) -> list[str]:
    """The visible cells of a column."""
    script = """
        const box = document.querySelector(`.scroll[aria-label="${arguments[0]}"] table`);
        const column = Array.from(box.tHead.rows[0].cells).findIndex((cell) => cell.innerText.trim() === arguments[1]);
        return Array.from(box.tBodies[0].rows).filter((row) => !row.hidden).map((row) => row.cells[column].textContent);
    """
    found: list[str] = browser.execute_script(script, table, header)
    return found


def header(browser: Any, table: str, name: str) -> Any:
    """A column's header cell."""
    found = browser.find_elements("css selector", f'.scroll[aria-label="{table}"] thead th')
    return next(cell for cell in found if cell.get_attribute("textContent").strip() == name)


def press(browser: Any, cell: Any) -> str:
    """Press a header's button with the keyboard; how the column is sorted then."""
    from selenium.webdriver.common.keys import Keys

    button = cell.find_element("css selector", "button")
    browser.execute_script("arguments[0].focus()", button)
    button.send_keys(Keys.ENTER)
    state: str = cell.get_attribute("aria-sort")
    return state


@pytest.mark.parametrize("make", [samples.figure2, samples.table1, samples.table2, samples.two_constraints])
def test_it_opens_without_errors_and_requests(browser: Any, console: Any, tmp_path: Path, make: Any) -> None:
    document = make()
    curves = samples.curves_of(document) if make is samples.figure2 else [None] * len(document["runs"])
    address = opened(browser, tmp_path, document, curves)
    assert draw_all(browser) > 0
    assert console() == ([], {address})


def test_a_request_would_be_seen_and_is_refused(browser: Any, console: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        came: list[Any] = []
        threading.Thread(target=lambda: came.append(server.accept()), daemon=True).start()
        opened(browser, tmp_path, samples.table1(), [None] * 8)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        script = "const done = arguments[1]; fetch(arguments[0]).then(() => done('sent'), () => done('refused'))"
        assert browser.execute_async_script(script, url) == "refused"
        said, _ = console()
        assert any("Content Security Policy" in line for line in said)
        assert came == []


def test_tables_sort_by_number_in_both_directions(browser: Any, tmp_path: Path) -> None:
    document = samples.figure2()
    opened(browser, tmp_path, document, [None] * 40)
    cell = header(browser, "all runs", "objective")
    before = cells(browser, "all runs", "objective")
    numbers = [float(text) for text in before if text != "-"]
    assert numbers != sorted(numbers)
    for direction, reverse in (("ascending", False), ("descending", True)):
        assert press(browser, cell) == direction
        shown = cells(browser, "all runs", "objective")
        assert [float(text) for text in shown if text != "-"] == sorted(numbers, reverse=reverse)
        assert shown[-1] == "-"  # the diverged run has no number: last either way
    assert press(browser, header(browser, "all runs", "method")) == "ascending"
    assert cell.get_attribute("aria-sort") == "none"
    assert cells(browser, "all runs", "method") == ["lagrangian"] * 20 + ["penalized"] * 20


def test_small_and_large_numbers_sort_by_value(browser: Any, tmp_path: Path) -> None:
    opened(browser, tmp_path, samples.figure2(), [None] * 40)
    press(browser, header(browser, "all runs", "setting.coefficient"))
    shown = [text for text in cells(browser, "all runs", "setting.coefficient") if text != "-"]
    assert [float(text) for text in shown] == pytest.approx(samples.GRID, rel=1e-5)


def test_tables_filter(browser: Any, tmp_path: Path) -> None:
    opened(browser, tmp_path, samples.figure2(), [None] * 40)
    box = browser.find_element("xpath", "//div[@class='sortable'][.//div[@aria-label='all runs']]")
    field, status = (box.find_element("css selector", name) for name in ("input", "output"))
    assert status.text == "40 of 40 rows"
    field.send_keys("Penalized diverged")
    assert status.text == "1 of 40 rows"
    assert cells(browser, "all runs", "status") == ["diverged"]
    field.clear()
    field.send_keys("nothing has this")
    assert status.text == "0 of 40 rows"


def test_hostile_texts_do_not_run(browser: Any, console: Any, tmp_path: Path) -> None:
    document = samples.figure2(name=samples.HOSTILE)
    run = document["runs"][0]
    run |= {"status": "failed", "error": samples.HOSTILE}
    for run in document["runs"]:
        run["method"] += samples.HOSTILE
        run["setting"] = {**run["setting"], samples.HOSTILE: samples.HOSTILE}
    for entry in document["summary"]:
        entry["method"] += samples.HOSTILE
        entry["best_setting"] = {**(entry["best_setting"] or {}), samples.HOSTILE: samples.HOSTILE}
    address = opened(browser, tmp_path, document, [None] * 40, spec_text=samples.HOSTILE, canonical=samples.HOSTILE)
    draw_all(browser)
    assert browser.execute_script("return document.querySelectorAll('img').length") == 0
    assert "onerror=alert(1)" in browser.find_element("css selector", "h1").text
    # An alert would have made the calls above raise; a blocked handler would have been reported.
    assert console() == ([], {address})


def test_even_unescaped_markup_would_not_run(browser: Any, tmp_path: Path) -> None:
    document = samples.table1()
    content = page(document, [None] * 8, {})
    injected = content.replace("</h1>", "</h1><script>window.ran = 1</script><img src=x onerror='window.ran = 2'>")
    assert injected != content
    (tmp_path / "report.html").write_text(injected, encoding="utf-8")
    browser.get((tmp_path / "report.html").as_uri())
    assert browser.execute_script("return [window.ran ?? 0, typeof Plotly]") == [0, "object"]


def test_a_report_of_1000_runs_opens_with_all_rows(browser: Any, console: Any, tmp_path: Path) -> None:
    document, curves = samples.many_runs(1000)
    address = opened(browser, tmp_path, document, curves)
    assert len(cells(browser, "all runs", "objective")) == 1000
    assert draw_all(browser) == 3
    assert console() == ([], {address})


def test_hover_shows_the_setting(browser: Any, tmp_path: Path) -> None:
    opened(browser, tmp_path, samples.figure2(), [None] * 40)
    draw_all(browser)
    place = browser.find_element("css selector", "#figure-front .plot")
    browser.execute_script("Plotly.Fx.hover(arguments[0], [{curveNumber: 1, pointNumber: 3}])", place)
    shown = place.find_element("css selector", ".hoverlayer").get_attribute("textContent")
    assert "coefficient 0.0004642" in shown
    assert "not feasible" in shown


def test_on_a_telephone_nothing_overlaps_and_the_page_does_not_scroll_sideways(browser: Any, tmp_path: Path) -> None:
    size = {"width": 400, "height": 900, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        document = samples.figure2()
        opened(browser, tmp_path, document, samples.curves_of(document))
        draw_all(browser)
        assert browser.execute_script("return document.documentElement.scrollWidth") == 400
        script = """
            const box = (element) => element.getBoundingClientRect();
            return Array.from(document.querySelectorAll(".plot"), (place) => {
              const named = Array.from(place.querySelectorAll(".xtitle, .xtick text"));
              const lowest = Math.max(...named.map((text) => box(text).bottom));
              return box(place.querySelector(".legend")).top - lowest;
            });
        """
        gaps = browser.execute_script(script)
        assert len(gaps) == 3
        assert min(gaps) >= 0
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
