"""Helpers of the tests of the Studio: a real Chromium without a window, and what it asked for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from serving import PATIENCE

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars --enable-unsafe-swiftshader"
)


_ON_TOP = """
const box = arguments[0].getBoundingClientRect();
return arguments[0].contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
"""


class Browser(webdriver.Chrome):
    """Chromium on a page of the Studio."""

    def find(self, css: str) -> WebElement:
        """The first element, as soon as it is there."""
        return self.until(lambda: next(iter(self.find_elements(By.CSS_SELECTOR, css)), None), css)

    def text(self, css: str) -> str:
        """What an element says; "" when it is not there."""
        found = self.find_elements(By.CSS_SELECTOR, css)
        return found[0].text if found else ""

    def tab(self, text: str) -> None:
        """Turn to a tab; gradio measures tabs by copies that only look invisible, and those are left alone."""
        tabs = self.find_elements(By.XPATH, f"//button[normalize-space()='{text}']")
        next(tab for tab in tabs if self.execute_script(_ON_TOP, tab)).click()

    def until(self, found: Callable[[], Any], what: str) -> Any:
        """Wait for something to become true; elements that vanish meanwhile are looked for again."""
        from selenium.common.exceptions import StaleElementReferenceException

        wait = WebDriverWait(self, PATIENCE, 0.05, ignored_exceptions=[StaleElementReferenceException])
        return wait.until(lambda _: found(), f"{what} never happened; the page says: {self.text('body')[-2000:]}")

    def says(self, css: str, part: str) -> str:
        """Wait until an element says something; the whole of it."""
        self.until(lambda: part in self.text(css), f"{css} with {part!r}")
        return self.text(css)

    def choose(self, css: str, path: Path) -> None:
        """Choose a file, as a file dialog would."""
        self.find(f"{css} input[type=file]").send_keys(str(path))

    def drop(self, css: str, path: Path) -> None:
        """Drag a file from outside the browser over an element, and let it go there."""
        box = self.find(css).rect
        held = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2, "data": held}
        for what in ("dragEnter", "dragOver", "drop"):
            self.execute_cdp_cmd("Input.dispatchDragEvent", {"type": what, **place})

    def requested(self) -> set[str]:
        """Addresses asked for since the last time this was called, hosts only."""
        told = (json.loads(entry["message"])["message"] for entry in self.get_log("performance"))
        sent = (one["params"]["request"]["url"] for one in told if one["method"] == "Network.requestWillBeSent")
        return {urlsplit(url).netloc for url in sent if urlsplit(url).scheme not in ("data", "blob", "about")}


@contextmanager
def browser(width: int = 1360, height: int = 1000, downloads: Path | None = None) -> Iterator[Browser]:
    """A Chromium with a window of a size in CSS pixels."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in _FLAGS.split():
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    if downloads is not None:
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    running = Browser(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        running.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        yield running
    finally:
        running.quit()
