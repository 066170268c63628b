"""Whatever state Compare is in, axe finds nothing serious, light or dark."""

from playwright.sync_api import Page

from playground.engine import LocalEngine
from tests.ui.compare.states import poisoned, walk
from tests.ui.test_access import serious

DARK = "() => document.body.classList.toggle('dark')"
# no colour is half-way to another
AT_ONCE = "*, *::before, *::after { transition: none !important; animation: none !important; }"
# whose form is new as well
FORM = (
    "first view",
    "error under a field",
    "stopped",
    "asks once more",
    "predict, before",
)


def test_axe_finds_nothing_serious_in_any_state(page: Page, engine: LocalEngine) -> None:
    found: dict[str, list[str]] = {}

    def look(state: str) -> None:
        within = [".dp-rail"] * (state in FORM) + [".dp-stage", "dialog"]
        found[state] = serious(page, within)
        page.evaluate(DARK)
        found[f"{state}, dark"] = serious(page, within, ["color-contrast"])
        page.evaluate(DARK)

    page.add_style_tag(content=AT_ONCE)
    with poisoned(engine):
        walk(page, look)
    assert {state: faults for state, faults in found.items() if faults} == {}
    assert len(found) > 50  # light and dark
