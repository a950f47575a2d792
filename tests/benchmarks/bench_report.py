"""How large a report of 1,000 runs is and how fast it opens: ``python tests/benchmarks/bench_report.py [--runs N]``.

Exits 1 if the file is 10 MB or larger, or takes 3 s or longer to open, all its tables there, in the middle of a few
tries. Needs the extra ``report``, selenium, and Debian's packages chromium and chromium-driver.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
import sample_documents as samples
from browser import missing, start

from cpd.views.report.page import write_report

MOST_BYTES, MOST_SECONDS = 10_000_000, 3.0
TRIES = 5

OPENED = "return performance.getEntriesByType('navigation')[0].loadEventEnd / 1000"
DRAWN = """
    const done = arguments[0];
    const look = () => document.querySelector(".plot .main-svg") ? done(performance.now() / 1000) : setTimeout(look, 5);
    look();
"""


def opened(browser: Any, address: str) -> tuple[float, float]:
    """Seconds until the page is loaded, and until its first figure is drawn."""
    browser.get("about:blank")
    browser.get(address)
    drawn = browser.execute_async_script(DRAWN)
    return browser.execute_script(OPENED), drawn


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    if why := missing():
        print(why, file=sys.stderr)
        return 1
    document, curves = samples.many_runs(runs)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "report.html")
        started = time.perf_counter()
        write_report(file, document, curves, {})
        print(f"{time.perf_counter() - started:8.2f} s   to write a report of {runs} runs")
        size = file.stat().st_size
        print(f"{size / 1e6:8.2f} MB  its size")
        browser = start(Path(folder, "profile"))
        try:
            seconds = [opened(browser, file.as_uri()) for _ in range(TRIES)]
        finally:
            browser.quit()
    load, drawn = (statistics.median(times) for times in zip(*seconds, strict=True))
    print(f"{load:8.2f} s   to open it, all tables there (median of {TRIES})")
    print(f"{drawn:8.2f} s   until the first figure is drawn")
    return int(size >= MOST_BYTES or load >= MOST_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
