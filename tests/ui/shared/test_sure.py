"""A run that would hold the machine for long is asked about once more on every tab, and goes with the box ticked."""

import re

import pytest
from playwright.sync_api import Page, expect

from playground.ui.shared import sure

PATIENCE = 90_000


@pytest.fixture
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run is a long one."""
    monkeypatch.setattr(sure, "LONGEST", 1e-6)


@pytest.mark.parametrize(
    ("tab", "prefix", "steps", "ready", "button", "done"),
    [
        (
            "Denoise",
            "denoise-",
            "#denoise-field-num-inference-steps input",
            ".dpd",
            "Denoise",
            '.dpd[data-state="done"]',
        ),
        (
            "Inside",
            "inside-",
            "#inside-seed input",
            "#inside-diagram .dpi",
            "Walk",
            "#inside-status >> text=Measured in",
        ),
        ("Compare", "", "#field-seed input", "#run", "Run", "#total >> text=pictures in"),
    ],
)
def test_it_asks_once_more_and_then_runs(
    page: Page, no_time: None, tab: str, prefix: str, steps: str, ready: str, button: str, done: str
) -> None:
    page.get_by_role("tab", name=tab, exact=True).click()
    page.locator(ready).first.wait_for(timeout=PATIENCE)
    box, fault = page.locator(f"#{prefix}sure"), page.locator(f"#{prefix}error-sure")
    press = page.get_by_role("button", name=button, exact=True)
    if tab == "Compare":
        page.get_by_role("button", name="Everything else").click()
    page.locator(steps).fill("7")
    expect(box).to_contain_text(re.compile("This (run|grid) would take .* of this machine"), timeout=PATIENCE)
    press.click()
    expect(fault.get_by_role("alert")).to_have_text("Tick the box above to run it all the same.")
    box.get_by_role("checkbox").check()
    page.locator(steps).fill("6")
    expect(box.get_by_role("checkbox")).not_to_be_checked()  # the tick was for another run
    box.get_by_role("checkbox").check()
    press.click()
    page.locator(done).first.wait_for(timeout=PATIENCE)
    expect(fault.get_by_role("alert")).to_have_count(0)


def test_a_tick_is_for_one_run_and_gone_with_it(page: Page, no_time: None) -> None:
    page.get_by_role("button", name="Everything else").click()
    page.locator("#field-num-inference-steps input").fill("300")
    box = page.locator("#sure").get_by_role("checkbox")
    box.check(timeout=PATIENCE)
    page.get_by_role("button", name="Run", exact=True).click()
    page.locator("#total >> text=0 of 5 finished").wait_for(timeout=PATIENCE)
    assert not box.is_visible()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(box).not_to_be_checked(timeout=PATIENCE)  # asked once more for the rest
