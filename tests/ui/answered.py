"""Waiting until a page has its answers, and no longer: what is not to happen could only happen by them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, Request

QUIET = 300  # ms without anything asked or answered: what follows from an answer has been asked by then
STEP = 50
LONGEST = 120_000


@contextmanager
def answered(page: Page, before: Iterable[Request] = ()) -> Iterator[list[Request]]:
    """All that its events ask of the server inside, which is what it gives, and `before`, has its answer afterwards."""
    asked: list[Request] = []
    waiting = set(before)
    changes = 0

    def begins(request: Request) -> None:
        nonlocal changes
        if "/run/" in request.url or "/queue/join" in request.url:
            asked.append(request)
            waiting.add(request)
            changes += 1

    def ends(request: Request) -> None:
        nonlocal changes
        waiting.discard(request)
        changes += 1

    on = {"request": begins, "requestfinished": ends, "requestfailed": ends}
    for event, heard in on.items():
        page.on(event, heard)
    try:
        yield asked
        quiet, left = 0, LONGEST
        while waiting or quiet < QUIET:
            assert left > 0, f"Not answered: {[request.url for request in waiting]}"
            known = changes
            page.wait_for_timeout(STEP)
            quiet, left = quiet + STEP if changes == known else 0, left - STEP
    finally:
        for event, heard in on.items():
            page.remove_listener(event, heard)
