"""From the back row: on a wide screen the texts of all tabs grow by one scale."""

import pytest
from playwright.sync_api import Browser, expect

READY = {
    "Compare": ".dp-cell img",
    "Add noise": ".dpn-range",
    "Predict noise": ".dpp-figures",
    "Denoise": ".dpd-strip",
    "Inside": ".dpi-panel",
    "Lessons": ".dpl-progress",
}
# headings that stand over a text of their own, each with that text
PARTS = """() => [...document.querySelectorAll('.dp-say h2, .dp-part h3, .dpi-section h2, .dpi h3, .dp-asking h2')]
  .filter((title) => title.offsetWidth && title.nextElementSibling)
  .map((title) => [title.textContent, ...[title, title.nextElementSibling].map((e) =>
    parseFloat(getComputedStyle(e).fontSize))])"""
# of what stands beside the texts: the smallest that is in sight
SMALL = """() => Math.min(...[...document.querySelectorAll(
  '.label-wrap span, .dp-examples span, .dp-vary, .dp-about, .info-text, .dpn-values figcaption, .dpl-lesson')]
  .filter((e) => e.offsetWidth).map((e) => parseFloat(getComputedStyle(e).fontSize)))"""


@pytest.mark.parametrize("tab", READY)
def test_headings_are_larger_than_their_texts_and_nothing_beside_them_stays_small(
    tab: str, browser: Browser, address: str
) -> None:
    page = browser.new_page(viewport={"width": 1920, "height": 1080})
    page.goto(address)
    page.get_by_role("tab", name=tab, exact=True).click(timeout=90_000)
    expect(page.locator(READY[tab]).first).to_be_visible(timeout=90_000)
    parts = page.evaluate(PARTS)
    assert parts and all(title > text for _, title, text in parts), parts
    assert page.evaluate(SMALL) >= 16
    page.close()
