"""The report in a real browser: no error, no request, tables that sort and filter, hostile texts that do not run."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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


def loaded(browser: Any) -> None:
    """Wait until the page is read to its end: the driver comes back from ``get`` a little earlier now and then."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 60).until(lambda shown: shown.execute_script("return document.readyState") == "complete")


DRAW = """
    const [places, done] = [document.querySelectorAll(".plot"), arguments[0]];
    const shown = (place) => new Promise((resolve) => {
      const look = () => place.querySelector(".main-svg") ? resolve() : requestAnimationFrame(look);
      place.scrollIntoView();
      look();
    });
    (async () => { for (const place of places) await shown(place); done(places.length); })();
"""


def draw_all(browser: Any) -> int:
    """Scroll to every panel, which draws it; how many were drawn."""
    browser.set_script_timeout(120)
    drawn: int = browser.execute_async_script(DRAW)
    return drawn


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
    loaded(browser)
    assert browser.execute_script("return [window.ran ?? 0, typeof Plotly]") == [0, "object"]


def test_a_report_of_1000_runs_opens_with_all_rows(browser: Any, console: Any, tmp_path: Path) -> None:
    document, curves = samples.many_runs(1000)
    address = opened(browser, tmp_path, document, curves)
    assert len(cells(browser, "all runs", "objective")) == 1000
    assert draw_all(browser) == 4 + 1 + 3  # panels of the tuning, the trade-off and the dynamics
    assert console() == ([], {address})


def test_hover_shows_the_setting(browser: Any, tmp_path: Path) -> None:
    opened(browser, tmp_path, samples.figure2(), [None] * 40)
    draw_all(browser)
    place = browser.find_element("css selector", "#figure-front .plot")
    browser.execute_script("Plotly.Fx.hover(arguments[0], [{curveNumber: 1, pointNumber: 3}])", place)
    shown = place.find_element("css selector", ".hoverlayer").get_attribute("textContent")
    assert "coefficient 0.0004642" in shown
    assert "not feasible" in shown


@contextmanager
def seen_with(browser: Any, width: int = 0, scheme: str = "light", medium: str = "") -> Iterator[None]:
    """A screen of this width, a system of these colours, or paper."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": 0 < width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": medium, "features": features})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


BOXES = """
    const box = (element) => element.getBoundingClientRect();
    const meet = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
    const met = [];
    const apart = (elements) => elements.forEach((one, k) => elements.slice(k + 1).forEach((other) => {
      if (meet(box(one), box(other))) met.push([one.textContent, other.textContent]);
    }));
    apart(Array.from(document.querySelectorAll(".panel")));
    for (const plot of document.querySelectorAll(".plot")) {
      const texts = Array.from(plot.querySelectorAll(".xtick text, .ytick text, .annotation text"));
      apart(texts);
      for (const text of texts) {
        const [inner, outer] = [box(text), box(plot)];
        if (inner.left < outer.left - 1 || inner.right > outer.right + 1) met.push([text.textContent, "the edge"]);
      }
    }
    const sizes = Array.from(document.querySelectorAll(".plot .plotclip rect"), ({ width, height }) =>
      [width.baseVal.value, height.baseVal.value]);
    return [met, sizes.length > 0, sizes.filter(([w, h]) => w < 150 || h < 120)];
"""
"""Texts and panels that meet or are cut, and panels that are too small to be read."""

OUTSIDE = """
    const wide = [];
    for (const element of document.body.querySelectorAll("*")) {
      if (element.closest(".scroll")?.contains(element.parentNode) || element.closest("svg, .plot, script")) continue;
      const { right, left, width } = element.getBoundingClientRect();
      if (width && (right > innerWidth + 1 || left < -1)) wide.push(element.outerHTML.slice(0, 80));
    }
    return [wide, document.documentElement.scrollWidth];
"""


@pytest.mark.parametrize(
    ("make", "width"),
    [
        (lambda: (samples.figure2(), samples.curves_of(samples.figure2())), 360),
        (lambda: (samples.figure2(), samples.curves_of(samples.figure2())), 1400),
        (lambda: (samples.long_names(), [None] * 180), 360),
        (lambda: (samples.table1(), [None] * 8), 800),
        (lambda: samples.many_constraints(9), 360),
        (lambda: samples.many_constraints(9), 800),
    ],
)
def test_nothing_is_cut_or_overlaps_at_any_width(browser: Any, tmp_path: Path, make: Any, width: int) -> None:
    document, curves = make()
    with seen_with(browser, width):
        opened(browser, tmp_path, document, curves, command_line="cpd sweep " + "x" * 200)
        draw_all(browser)
        assert browser.execute_script(BOXES) == [[], True, []]
        wide, scrolled = browser.execute_script(OUTSIDE)
        assert wide == []
        assert scrolled <= width
        boxes = browser.find_elements("css selector", ".scroll")
        assert boxes
        assert browser.execute_script("return arguments[0].scrollWidth > 360", boxes[0])
        if width == 360:  # the summary scrolls sideways within itself
            assert browser.execute_script("return arguments[0].scrollWidth > arguments[0].clientWidth", boxes[0])


def test_the_head_of_a_long_table_stays_where_it_is(browser: Any, tmp_path: Path) -> None:
    opened(browser, tmp_path, samples.sixty_settings(), [None] * 60)
    script = """
        const box = document.querySelector('.scroll[aria-label="settings"]');
        box.scrollTop = 500;
        const [head, outer] = [box.querySelector("th").getBoundingClientRect(), box.getBoundingClientRect()];
        return [box.scrollTop, Math.round(head.top - outer.top)];
    """
    assert browser.execute_script(script) == [500, 1]


def page_color(browser: Any) -> str:
    color: str = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    return color


def text_color(browser: Any) -> str:
    color: str = browser.execute_script("return getComputedStyle(document.querySelector('.xtick text')).fill")
    return color


WHITE, BLACK = "rgb(255, 255, 255)", "rgb(23, 24, 28)"
LIGHT_INK, DARK_INK = "rgb(29, 29, 31)", "rgb(236, 236, 239)"


def test_the_page_follows_the_system_until_a_choice_which_is_kept(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.support.ui import Select

    def look() -> tuple[str, str]:
        draw_all(browser)
        return page_color(browser), text_color(browser)

    with seen_with(browser, 1200, "dark"):
        address = opened(browser, tmp_path, samples.table1(), [None] * 8)
        assert look() == (BLACK, DARK_INK)
    with seen_with(browser, 1200, "light"):
        assert look() == (WHITE, LIGHT_INK)  # the page is not opened again
        Select(browser.find_element("id", "theme")).select_by_value("dark")
        assert look() == (BLACK, DARK_INK)
        browser.get(address)
        loaded(browser)
        assert look() == (BLACK, DARK_INK)
        assert browser.find_element("id", "theme").get_attribute("value") == "dark"
        Select(browser.find_element("id", "theme")).select_by_value("")
        browser.get(address)
        assert look() == (WHITE, LIGHT_INK)


STOP = """
    const at = document.activeElement, style = getComputedStyle(at);
    const name = at.closest(".scroll")?.ariaLabel ?? at.closest(".legend")?.ariaLabel ?? "";
    return [at.tagName, name, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
"""


def test_the_tab_key_goes_through_the_page_in_its_order_and_out_of_it(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    document, curves = samples.many_constraints(12)
    opened(browser, tmp_path, document, curves)
    draw_all(browser)
    browser.execute_script("scrollTo(0, 0)")
    stops: list[Any] = []
    while not stops or (stops[-1][0] != "BODY" and len(stops) < 100):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        stops.append(tuple(browser.execute_script(STOP)))
    assert stops[-1][0] == "BODY"
    assert all(visible for _, _, visible in stops[:-1])
    summary = [("DIV", "summary"), ("BUTTON", "summary")]  # of two rows: it needs no filter
    tables = [[("INPUT", ""), ("DIV", own), ("BUTTON", own)] for own in ("settings", "all runs")]
    legends = [
        ("BUTTON", f"Lines of {name}")
        for name, n in (("Tuning", 2), ("Trade-off", 3), ("Dynamics", 7))
        for _ in range(n)
    ]
    passed = [stop[:2] for stop in stops if stop[0] not in ("A", "PRE", "BODY")]
    assert passed == [("SELECT", ""), ("SUMMARY", ""), *summary, *legends, *tables[0], *tables[1]]


def test_arrow_keys_go_from_one_column_to_the_next(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    opened(browser, tmp_path, samples.figure2(), [None] * 40)
    first = header(browser, "settings", "method").find_element("css selector", "button")
    browser.execute_script("arguments[0].focus()", first)
    last = browser.execute_script("return arguments[0].closest('tr').cells.length", first) - 1
    at = "return document.activeElement.parentNode.cellIndex"
    for key, column in ((Keys.ARROW_RIGHT, 1), (Keys.END, last), (Keys.ARROW_RIGHT, last), (Keys.HOME, 0)):
        ActionChains(browser).send_keys(key).perform()
        assert browser.execute_script(at) == column
    ActionChains(browser).send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.SPACE).perform()
    assert header(browser, "settings", "feasible").get_attribute("aria-sort") == "ascending"
    assert cells(browser, "settings", "feasible") == sorted(cells(browser, "settings", "feasible"))


def test_the_legend_shows_and_hides_a_line_in_all_panels(browser: Any, tmp_path: Path) -> None:
    opened(browser, tmp_path, samples.figure2(), [None] * 40)
    draw_all(browser)
    button = browser.find_element("css selector", "#figure-tuning .legend button")
    script = """
        const plots = document.querySelectorAll("#figure-tuning .plot");
        return Array.from(plots, (plot) => plot.querySelectorAll(".trace").length);
    """
    for pressed, lines in (("true", 2), ("false", 1), ("true", 2)):
        assert button.get_attribute("aria-pressed") == pressed
        assert browser.execute_script(script) == [lines] * 4
        browser.execute_script("arguments[0].click()", button)


UNDRAWN = "return Array.from(document.querySelectorAll('.plot')).filter((each) => !each.querySelector('.trace')).length"
SHOWN = "return arguments[0].filter((each) => document.querySelector(each)?.checkVisibility())"
PRINTED = """
    const names = (table) => Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent);
    const shown = (table) => Array.from(table.tBodies[0].rows).filter((row) => row.checkVisibility()).length;
    return Array.from(document.querySelectorAll(".scroll"), (box) => {
      const parts = Array.from(box.querySelectorAll(".paper table"));
      const every = parts.length ? parts : [box.querySelector("table")];
      const written = new Set(every.flatMap(names));
      const lost = names(box.querySelector("table")).filter((name) => !written.has(name));
      return [box.ariaLabel, lost, every.length, Array.from(new Set(every.map(shown)))];
    });
"""


def test_paper_is_light_has_all_rows_and_no_controls(browser: Any, tmp_path: Path) -> None:
    document, curves = samples.many_constraints(12, settings=20)
    with seen_with(browser, 1200, "dark"):
        opened(browser, tmp_path, document, curves)
        field = browser.find_element("css selector", "#settings input")
        field.send_keys("no row has this")
        browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    with seen_with(browser, 700, "dark", "print"):
        assert page_color(browser) == WHITE
        assert text_color(browser) == LIGHT_INK
        controls = ["nav", "select", "input", "output", ".modebar"]
        assert browser.execute_script(SHOWN, [*controls, "h1", ".plot", "details li"]) == ["h1", ".plot", "details li"]
        assert browser.execute_script(UNDRAWN) == 0
        split = "return getComputedStyle(document.querySelector('.panel')).breakInside"
        assert browser.execute_script(split) == "avoid"
        assert browser.execute_script(BOXES) == [[], True, []]
        assert browser.execute_script(OUTSIDE)[0] == []
        summary, settings, runs = browser.execute_script(PRINTED)
        assert summary[0::3] == ["summary", [2]]
        assert settings[0::3] == ["settings", [40]]
        assert runs[0::3] == ["all runs", [40]]
        assert [lost for _, lost, _, _ in (summary, settings, runs)] == [[], [], []]
        assert runs[2] > 4  # tables below each other, each as wide as the page
    with seen_with(browser, 1200, "dark"):
        browser.execute_script("dispatchEvent(new Event('afterprint'))")
        assert page_color(browser) == BLACK
        assert text_color(browser) == DARK_INK
        assert browser.execute_script(SHOWN, ["nav", "details li"]) == ["nav"]
        assert browser.find_elements("css selector", ".paper") == []
