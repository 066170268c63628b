"""A page whose store fails says so, draws, and says when it has no reason any more."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from playground.engine import LocalEngine
from playground.store import Store
from playground.ui.page import build_page, launch_options

PATIENCE = 60_000


def test_a_page_without_a_store_says_so_and_draws_until_it_can_keep_again(
    engine: LocalEngine, browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    monkeypatch.setattr("playground.store.AGAIN", 0.0)  # seconds until the next try
    (tmp_path / "file").write_text("")
    served = build_page(engine, Store(tmp_path / "file" / "cells"))
    _, url, _ = served.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options())
    page = browser.new_page()
    try:
        page.goto(url)
        expect(page.locator("#notice")).to_contain_text("cannot be kept here: not a directory.", timeout=PATIENCE)
        page.get_by_role("button", name="Run", exact=True).click()
        expect(page.locator("#total")).to_contain_text("5 of 5 pictures in", timeout=PATIENCE)
        expect(page.locator("#notice p")).to_have_count(1)
        (tmp_path / "file").unlink()
        page.get_by_role("button", name="Seeds", exact=True).click()
        expect(page.locator("#notice p")).to_have_count(0, timeout=PATIENCE)
    finally:
        page.close()
        served.close()


def test_a_page_whose_store_works_says_nothing(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.goto(address)
    page.get_by_role("button", name="Run", exact=True).wait_for(timeout=PATIENCE)
    expect(page.locator("#notice p")).to_have_count(0)
    page.close()
