"""How the tests of this tab use the page."""

import re

from playwright.sync_api import Locator, Page, expect

RUN_TIMEOUT = 120_000  # ms; generous, because other work may share the machine


def run(page: Page) -> None:
    page.get_by_role("button", name="Run", exact=True).click()


def field(page: Page, name: str) -> Locator:
    return page.locator(f"#{name}").locator("input, textarea").first


def fill(page: Page, name: str, value: str) -> None:
    field(page, name).fill(value)
    field(page, name).blur()


def vary(page: Page, label: str) -> None:
    page.locator("#vary").get_by_role("radio", name=label, exact=True).check()


def cells(page: Page, state: str | None = None) -> Locator:
    return page.locator(f".dp-cell[data-state={state}]" if state else ".dp-cell")


def everything_else(page: Page) -> None:
    page.get_by_role("button", name="Everything else").click()


def finished(page: Page, count: int | str = r"\d+") -> None:
    """Waits for a run of that many pictures, or of any number, to end with all of them."""
    ended = re.compile(rf"\b({count}) of \1 pictures( in \d|, all kept)")
    expect(page.locator("#total")).to_contain_text(ended, timeout=RUN_TIMEOUT)
