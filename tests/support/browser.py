"""A headless Chromium for the report: the tests look at what it shows, the benchmark at how fast."""

import shutil
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,900",
)


def missing() -> str | None:
    """Why there is no browser here, or None."""
    if shutil.which("chromium") and shutil.which("chromedriver"):
        return None
    return "no browser: Debian's packages chromium and chromium-driver are not installed"


def start(profile: Path) -> Any:
    """Start the browser with a fresh profile; it keeps what its console and its network say."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(str(shutil.which("chromedriver"))))
    browser.get("about:blank")
    return browser
