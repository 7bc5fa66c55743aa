"""Make the picture of the Studio in the documentation: a photograph restored, the step made
gentler and run again, and the whole page photographed.

    python examples/studio_screenshot.py docs/pictures/studio.jpg

Needs the extras `studio` and `dev`, and Chromium with its driver. The photograph comes with scikit-image.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from io import BytesIO
from pathlib import Path

import numpy as np
from demo import damaged
from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from conservator.benchmarks.loopback import Loopback

WIDTH = 1360


def chromium() -> webdriver.Chrome:
    """A browser without a window."""
    options = webdriver.ChromeOptions()
    for flag in ("headless", "no-sandbox", "disable-gpu", "hide-scrollbars", "enable-unsafe-swiftshader"):
        options.add_argument(f"--{flag}")
    options.binary_location = shutil.which("chromium") or ""
    page = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    as_high(page, 1000)
    return page


def as_high(page: webdriver.Chrome, height: int) -> None:
    """Give the page so many pixels."""
    metrics = {"width": WIDTH, "height": height, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def says(page: webdriver.Chrome, css: str, text: str) -> None:
    """Wait until a part of the page says something."""
    WebDriverWait(page, 600, ignored_exceptions=[StaleElementReferenceException]).until(
        lambda _: any(text in found.text for found in page.find_elements(By.CSS_SELECTOR, css))
    )


def main(path: str) -> None:
    """Restore, make the first step gentler, run again, and take the picture."""
    with tempfile.TemporaryDirectory() as folder, Loopback(Path(folder) / "data", studio=True) as server:
        photo = Path(folder) / "astronaut.png"
        Image.fromarray(np.rint(damaged().degraded * 255).astype(np.uint8)).save(photo)
        page = chromium()
        try:
            page.get(server.url)
            says(page, "#mask-note", "No mask")
            page.find_element(By.CSS_SELECTOR, "#photo input[type=file]").send_keys(str(photo))
            says(page, "#status", "as it came")
            page.find_element(By.ID, "restore").click()
            says(page, "#status", "Version 1")
            says(page, ".step", "Strength of step 1")
            strength = page.find_element(By.CSS_SELECTOR, "input[type=number][aria-label*='step 1']")
            strength.send_keys("\ue009a\ue000", "0.75\ue007")  # Ctrl-A, the number, Enter
            says(page, "#note", "at 0.75")
            page.find_element(By.ID, "rerun").click()
            says(page, "#status", "Version 2")
            page.execute_script("window.scrollTo(0, 0); document.activeElement.blur()")
            end = "return document.querySelector('main').getBoundingClientRect().bottom | 0"
            as_high(page, page.execute_script(end))
            shot = Image.open(BytesIO(page.get_screenshot_as_png())).convert("RGB")
        finally:
            page.quit()
    shot.save(path, quality=88, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1])
