"""What the tests of the "Add noise" tab share: how its canvas and its numbers are read."""

import base64
import io

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page

from playground.ui.shared.samples import IMAGES

DUSK = IMAGES / "dusk.webp"
READY = '[data-ready="scaled_linear 0"]'


def canvas(page: Page, name: str = "picture") -> np.ndarray:
    """-> what the visitor sees, (H, W, 3)"""
    url = page.locator(f"canvas.dpn-{name}").evaluate("canvas => canvas.toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB")).astype(int)


def timeline(page: Page) -> Locator:
    return page.get_by_role("slider", name="Timestep t")


def number(page: Page, name: str) -> float:
    return float(page.locator(f'dd[data-show="{name}"]').inner_text().replace("−", "-"))


def set_t(page: Page, t: int) -> None:
    timeline(page).evaluate("(slider, t) => { slider.value = t; slider.dispatchEvent(new Event('input')) }", t)
