"""A teacher and three visitors in real browsers: predictions, freeze, reveal, a blind vote over a restart, results."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from playground.engine import LocalEngine
from playground.link import to_token
from playground.store import Store
from playground.sweep import Sweep
from playground.ui.page import build_page, launch_options
from tests.ui.test_access import serious

PATIENCE = 60_000  # ms
PHONE = {"width": 390, "height": 844}
Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens an address in a browser profile of its own; fails the test on any script error."""
    pages: list[Page] = []
    faults: list[str] = []

    def opened(address: str, **options) -> Page:  # noqa: ANN003
        page = browser.new_context(**options).new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: faults.append(str(error)))
        pages.append(page)
        page.goto(address)
        return page

    yield opened
    for page in pages:
        page.context.close()
    assert faults == []


class Served:
    """A server that can be ended and started again at the same address, with the same store."""

    def __init__(self, engine: LocalEngine, store: Store) -> None:
        self._engine, self._store, self._port = engine, store, None
        self.start()

    def start(self) -> None:
        self._page = build_page(self._engine, self._store)
        where = {"server_name": "127.0.0.1", "server_port": self._port}
        _, url, _ = self._page.launch(**where, prevent_thread_lock=True, quiet=True, **launch_options())
        self.url, self._port = url.rstrip("/"), self._page.server_port

    def end(self) -> None:
        self._page.close()


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def open_class(page: Page, name: str) -> str:
    page.get_by_label("Name of the class").fill(name)
    press(page, "Open a class")
    return page.locator(".dpc-code").inner_text()


def joined(open_page: Open, url: str, code: str, name: str) -> Page:
    page = open_page(f"{url}/join?code={code.lower()}", viewport=PHONE)
    expect(page.get_by_label("Code")).to_have_value(code)
    page.get_by_label("Name, if you like").fill(name)
    press(page, "Join")
    expect(page.locator("#class-view")).to_contain_text("You are in.")
    return page


def bars(teacher: Page) -> list[str]:
    return teacher.locator(".dpc-tally dd b").all_inner_texts()


def test_a_lesson_and_a_vote_with_three_visitors_over_a_restart(
    engine: LocalEngine, tmp_path: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    store = Store(tmp_path / "cells")
    server = Served(engine, store)
    teacher = open_page(f"{server.url}/teach", viewport={"width": 1280, "height": 900})
    code = open_class(teacher, "Friday <img src=x onerror=alert(1)>")
    visitors = [joined(open_page, server.url, code, name) for name in ("=Ada", "{{Bob}}", "")]
    counts = teacher.locator(".dpc-counts")
    expect(counts).to_contain_text("3 joined")

    teacher.get_by_label("Step of a lesson").click()
    teacher.get_by_role("option", name=re.compile("^6.1 ")).click()
    press(teacher, "Show this step")
    for visitor, guess in zip(visitors, ("0", "50", "0"), strict=True):
        visitor.get_by_role("radio", name=guess, exact=True).check()
        expect(visitor.locator("#class-view img")).to_have_count(0)
        press(visitor, "Answer")
        expect(visitor.locator("#class-view")).to_contain_text(f"Your answer is kept: {guess}.")
    expect(counts).to_contain_text("3 answered · 0 still without an answer")
    assert sorted(bars(teacher))[-2:] == ["1", "2"]

    teacher.locator("#board h2").first.click()
    teacher.keyboard.press("f")
    expect(visitors[0].locator("form [type=submit]")).to_have_count(0)
    expect(visitors[0].get_by_role("radio", name="50", exact=True)).to_be_disabled()
    teacher.keyboard.press(" ")
    expect(visitors[0].locator(".dp-feedback")).to_contain_text("As you predicted.")
    expect(visitors[1].locator(".dp-feedback")).to_contain_text("Measured: 0.0; you said 50.")
    expect(visitors[2].locator("#class-view img")).to_have_count(3)
    expect(teacher.locator(".dpc-tally")).to_contain_text("2 of 3 predicted what came out.")
    expect(teacher.locator(".dpc-right")).to_have_count(1)

    teacher.get_by_role("button", name="Show a grid").click()
    press(teacher, "Show this grid")
    for view in (teacher.locator("#board"), visitors[0].locator("#class-view")):  # neither gives away what differs
        expect(view.locator("h2").last).to_have_text("Blind vote")
        expect(view).not_to_contain_text("Guidance")
    for i, visitor in enumerate(visitors[:2]):
        visitor.locator(".dpc-ballot input").nth(i).check()
        press(visitor, "Vote")
        expect(visitor.locator("#class-view")).to_contain_text(f"Your answer is kept: picture {'AB'[i]}.")
    expect(counts).to_contain_text("2 answered")
    where = {page: page.url for page in (teacher, *visitors)}
    for page in where:
        page.goto("about:blank")  # laptops are closed
    server.end()
    server.start()
    for page, url in where.items():
        page.goto(url)
    expect(counts).to_contain_text("2 answered · 1 still without an answer")
    expect(visitors[1].locator(".dpc-ballot input").nth(1)).to_be_checked()
    visitors[2].locator(".dpc-ballot input").nth(1).check()
    press(visitors[2], "Vote")
    expect(counts).to_contain_text("3 answered")
    assert bars(teacher) == ["1", "2", "0", "0", "0"]
    expect(visitors[0].locator(".dp-head h1")).to_have_text("Friday <img src=x onerror=alert(1)>")
    expect(visitors[0].locator(".dp-head p")).to_have_text("=Ada")
    press(teacher, "Reveal")
    expect(visitors[2].locator("#class-view")).to_contain_text("You voted for: Guidance")
    expect(visitors[2].locator("h2")).to_have_text("Grid: Guidance scale")
    assert sorted(bars(visitors[2])) == ["0", "0", "0", "1", "2"]

    teacher.get_by_role("button", name="Results and end").click()
    press(teacher, "Results as CSV")
    with teacher.expect_download() as saved:
        teacher.locator("#class-results a").click()
    lines = Path(saved.value.path()).read_text("utf-8-sig").splitlines()
    assert len(lines) == 1 + 3 + 3 and sum("'=Ada" in line for line in lines) == 2
    press(teacher, "Delete the class")
    expect(teacher.locator("#teach-error")).to_contain_text("Tick the box first")
    teacher.get_by_label("Yes, delete its names and answers").check()
    press(teacher, "Delete the class")
    expect(teacher.get_by_role("button", name="Open a class", exact=True)).to_be_visible()
    expect(visitors[0].locator("#join-error")).to_contain_text("no class with this code")
    server.end()
    store.close()


def test_a_look_that_arrives_after_the_join_puts_nobody_out(address: str, open_page: Open) -> None:
    code = open_class(open_page(f"{address}teach"), "")
    visitor = open_page(f"{address}join?code={code}")
    expect(visitor.get_by_label("Code")).to_have_value(code)
    late: list[Route] = []
    visitor.route("**/run/predict*", lambda route: route.continue_() if late else late.append(route))
    visitor.wait_for_timeout(2_000)  # a look has left by then, and is on its way for long
    press(visitor, "Join")
    expect(visitor.locator("#class-view")).to_contain_text("You are in.")
    with visitor.expect_response(lambda response: response.request == late[0].request):
        late[0].continue_()
    visitor.wait_for_timeout(2_000)  # and the next look
    expect(visitor.locator("#class-view")).to_contain_text("You are in.", timeout=1_000)
    expect(visitor.get_by_label("Code")).to_be_hidden(timeout=1_000)


def test_a_link_that_is_pasted_is_the_grid_that_is_shown(engine: LocalEngine, address: str, open_page: Open) -> None:
    teacher = open_page(f"{address}teach")
    open_class(teacher, "")
    teacher.get_by_role("button", name="Show a grid").click()
    usual = engine.facts.usual
    token = to_token(Sweep(usual.replace(prompt="apple", num_inference_steps=2), {"seed": [1, 2]}), usual)
    teacher.get_by_label("Link of a grid in Compare").fill(f"{address}?grid={token}")
    expect(teacher.get_by_label("Grid", exact=True)).to_have_value("the link below")
    teacher.get_by_label("Blind vote").uncheck()
    press(teacher, "Show this grid")
    expect(teacher.locator("#board h2").last).to_have_text("Grid: Seed")
    teacher.get_by_label("Grid", exact=True).click()
    teacher.get_by_role("option", name="Guidance", exact=True).click()
    expect(teacher.get_by_label("Link of a grid in Compare")).to_have_value("")
    press(teacher, "Show this grid")
    expect(teacher.locator("#board h2").last).to_have_text("Grid: Guidance scale")


def test_both_pages_are_fit_for_readers_and_phones(address: str, open_page: Open) -> None:
    teacher = open_page(f"{address}teach?__theme=dark", viewport=PHONE)
    code = open_class(teacher, "")
    visitor = joined(open_page, address.rstrip("/"), code, "")
    press(teacher, "Show this step")
    visitor.locator(".dp-curve input").first.wait_for()
    press(visitor, "Answer")
    expect(visitor.locator("#class-error")).to_contain_text("Draw the curve first")
    for page in (teacher, visitor):
        assert serious(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        expect(page.locator(".nav-holder")).to_be_hidden()
    stranger = open_page(f"{address}join?code=????")
    expect(stranger.locator("#join-error")).to_contain_text("A code has 4 letters and digits")


def test_a_store_that_cannot_be_written_leaves_the_page_and_says_why(
    engine: LocalEngine, tmp_path: Path, open_page: Open
) -> None:
    (tmp_path / "file").write_text("")
    server = Served(engine, Store(tmp_path / "file" / "cells"))
    teacher = open_page(f"{server.url}/teach")
    press(teacher, "Open a class")
    expect(teacher.locator("#teach-error")).to_contain_text("Classes cannot be kept here:")
    server.end()
