"""What people with a screen reader or a keyboard meet: axe finds nothing serious on any tab, light or dark."""

import io
import re
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect

PATIENCE = 90_000
READY = {
    "Compare": ".dp-cell[data-state=done]",
    "Add noise": ".dpn-strip button",
    "Predict noise": ".dpp-found b",
    "Denoise": '.dpd[data-state="done"]',
    "Inside": ".dpi-trip",
}


def serious(page: Page, within: Sequence[str] = (), rules: Sequence[str] = ()) -> list[str]:
    """What axe calls serious or critical, with the first place of each: within these selectors and by these rules, or
    anywhere and by all."""
    options = {"resultTypes": ["violations"]} | ({"runOnly": {"type": "rule", "values": list(rules)}} if rules else {})
    axe = Axe("0" if page.evaluate("'axe' in window") else AXE_SCRIPT)  # half a megabyte, which it brings each time
    found = axe.run(page, [[one] for one in within] or None, options).response["violations"]
    return [
        f"{fault['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"][:3]
    ]


@pytest.fixture(scope="module", params=["light", "dark"])
def schemed(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """One page for all tabs, on which each is opened in turn."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{address}?__theme={request.param}")
    yield page
    page.close()


@pytest.mark.parametrize("tab", READY)
def test_axe_finds_nothing_serious(schemed: Page, tab: str) -> None:
    schemed.get_by_role("tab", name=tab, exact=True).click()
    schemed.locator(READY[tab]).first.wait_for(timeout=PATIENCE)
    assert serious(schemed) == []


def test_the_arrow_keys_go_from_tab_to_tab_and_a_radio_shows_that_it_has_the_keyboard(page: Page) -> None:
    page.get_by_role("tab", name="Compare", exact=True).focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Add noise", exact=True)).to_be_focused(timeout=PATIENCE)
    radio = page.get_by_role("radio", name="Pixels", exact=True)
    radio.focus()
    assert radio.evaluate("radio => getComputedStyle(radio.closest('label')).outlineStyle") == "solid"
    page.get_by_role("tab", name="Add noise", exact=True).focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="Compare", exact=True)).to_be_focused(timeout=PATIENCE)


def test_the_radios_of_a_group_are_one_stop_and_arrow_keys_go_between_them(page: Page) -> None:
    chosen = page.locator("#vary").get_by_role("radio", name="Guidance scale", exact=True)
    chosen.focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Add an axis")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(chosen).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#vary").get_by_role("radio", name="Steps", exact=True)).to_be_focused()
    expect(page.locator("#values-num-inference-steps")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#values-guidance-scale")).to_be_hidden()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#values-guidance-scale")).to_be_visible(timeout=PATIENCE)
    expect(chosen).to_be_focused()


@pytest.mark.parametrize(("scheme", "accent"), [("light", "rgb(29, 78, 216)"), ("dark", "rgb(96, 165, 250)")])
def test_a_field_shows_that_it_has_the_keyboard(page: Page, address: str, scheme: str, accent: str) -> None:
    page.goto(f"{address}?__theme={scheme}")
    for field in ("#field-prompt textarea", "#seeds input", "#values-guidance-scale textarea"):
        page.locator(field).focus()
        expect(page.locator(field)).to_have_css("border-top-color", accent)
        expect(page.locator(field)).to_have_css("box-shadow", re.compile(re.escape(accent)))


def test_what_is_chosen_looks_so_under_the_pointer_as_well(page: Page) -> None:
    page.get_by_role("button", name="Everything else").click()
    for name, kind in (("Guidance scale", "radio"), ("Prompt weights", "checkbox")):
        chosen = page.get_by_role(kind, name=name).first
        chosen.check()
        chosen.blur()
        page.mouse.move(0, 0)
        away = chosen.evaluate("chosen => getComputedStyle(chosen).backgroundColor")
        chosen.hover()
        page.wait_for_timeout(300)  # for a transition
        expect(chosen).to_have_css("background-color", away)


def test_nothing_moves_for_those_who_ask_for_that(page: Page) -> None:
    lasts = "getComputedStyle(document.querySelector('#run')).transitionDuration"
    assert page.evaluate(lasts) != "0s"
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(lasts) == "0s"


def test_what_is_chosen_is_framed_where_the_system_gives_the_colours(page: Page) -> None:
    page.emulate_media(forced_colors="active")
    vary, examples = page.locator("#vary label"), page.locator(".dp-examples button")
    for chosen, other in (
        (page.get_by_role("tab", name="Compare", exact=True), page.get_by_role("tab", name="Denoise", exact=True)),
        (vary.filter(has_text="Guidance scale"), vary.filter(has_text="Steps")),
        (examples.filter(has_text="Guidance"), examples.filter(has_text="Samplers")),
    ):
        expect(chosen).to_have_css("outline-style", "solid")
        expect(other).to_have_css("outline-style", "none")
    page.get_by_role("tab", name="Denoise", exact=True).click()
    track = "getComputedStyle(document.querySelector('.dpd .dp-range'), '::-webkit-slider-runnable-track')"
    assert page.evaluate(f"{track}.borderTopStyle") == "solid"


def test_words_of_the_glossary_are_underlined_and_not_painted_over_where_the_system_gives_the_colours(
    page: Page,
) -> None:
    def drawn() -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(page.locator("#field-prompt [data-testid=block-info]").screenshot())))

    page.emulate_media(forced_colors="active")
    page.wait_for_function("CSS.highlights.get('dp-term')?.size", timeout=PATIENCE)
    marked = drawn()
    page.evaluate("CSS.highlights.clear()")
    rows = (marked != drawn()).any(axis=(1, 2))
    assert 1 <= rows.sum() <= 2  # of the word “Prompt”, the line under it


def test_a_film_on_its_way_is_told_to_screen_readers(page: Page) -> None:
    page.get_by_role("tab", name="Denoise", exact=True).click()
    page.locator(READY["Denoise"]).wait_for(timeout=PATIENCE)
    expect(page.locator("#aloud")).to_contain_text("The film is finished", timeout=PATIENCE)
    page.get_by_role("tab", name="Inside", exact=True).click()
    expect(page.locator("#aloud")).to_contain_text("rendered earlier", timeout=PATIENCE)
