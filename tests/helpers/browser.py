"""A headless chromium for tests that look at pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["browser", "set_size"]

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
)


@contextmanager
def browser(profile: Path) -> Iterator[Any]:
    """A driver with an own profile folder."""
    chromium, driver_path = shutil.which("chromium"), shutil.which("chromedriver")
    assert chromium is not None, (
        "mark the test with `browser`: it is skipped or failed where these are missing"
    )
    assert driver_path is not None
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(driver_path))
    try:
        yield driver
    finally:
        driver.quit()


def set_size(driver: Any, width: int, height: int, *, dark: bool | None = None) -> None:
    """Give the page a size, as small as a phone's (below the smallest window), and a colour scheme."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-reduced-motion", "value": "reduce"}]  # no smooth scrolling under a click
    if dark is not None:
        features.append({"name": "prefers-color-scheme", "value": "dark" if dark else "light"})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
