"""A result whose form was edited since is marked, on every tab, and is not when the edit is taken back."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

PATIENCE = 90_000


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def marked(page: Page, result: str) -> None:
    column = page.locator(".dp-result").filter(has=page.locator(result))
    expect(column.locator(".dp-stale")).to_be_visible(timeout=PATIENCE)
    greyed = column.locator("img, canvas, svg").first.evaluate("e => getComputedStyle(e).filter")
    assert "grayscale" in greyed


def plain(page: Page, result: str) -> None:
    column = page.locator(".dp-result").filter(has=page.locator(result))
    expect(column.locator(".dp-stale")).to_have_count(0, timeout=PATIENCE)


def denoised(page: Page) -> tuple[str, str]:
    open_tab(page, "Denoise")
    page.locator('.dpd[data-state="done"]').wait_for(timeout=PATIENCE)
    return ".dpd", "#denoise-field-seed input"


def walked(page: Page) -> tuple[str, str]:
    open_tab(page, "Inside")
    page.locator("#inside-diagram .dpi").wait_for(timeout=PATIENCE)
    return "#inside-diagram", "#inside-seed input"


def measured(page: Page) -> tuple[str, str]:
    open_tab(page, "Predict noise")
    page.locator(".dpp-found b").first.wait_for(timeout=PATIENCE)
    return ".dpp-found", "#pn-wrong textarea"


def guessed(page: Page) -> tuple[str, str]:
    open_tab(page, "Predict noise")
    page.get_by_role("button", name="Let it guess from here").click()
    page.locator(".dpp-result figure").nth(1).wait_for(timeout=PATIENCE)
    return ".dpp-timeline", "#pn-seed input"


def jumped(page: Page) -> tuple[str, str]:
    open_tab(page, "Add noise")
    page.locator(".dpn-range").wait_for(timeout=PATIENCE)
    page.get_by_role("button", name=re.compile("Walk to this t")).click()
    page.locator(".dpn-compare").wait_for(timeout=PATIENCE)
    return ".dpn-compare", "#an-seed input"


@pytest.mark.parametrize("made", [denoised, walked, measured, guessed, jumped])
def test_an_edited_form_marks_what_stands_there_until_the_edit_is_taken_back(
    page: Page, made: Callable[[Page], tuple[str, str]]
) -> None:
    result, field = made(page)
    plain(page, result)
    before = page.locator(field).input_value()
    page.locator(field).fill("77")
    marked(page, result)
    page.locator(field).fill(before)
    plain(page, result)


def test_an_uploaded_picture_marks_the_guess_of_the_one_before_it(page: Page) -> None:
    result, _ = guessed(page)
    page.locator(".dp-samples button.thumbnail-item:visible").nth(1).click()
    marked(page, result)


def test_a_new_walk_marks_the_round_trip_of_the_picture_before_it_and_none_of_a_sample(page: Page) -> None:
    drawn = page.locator('.dpi-box[data-opens="picture"] img')

    def walk(seed: int) -> None:
        before = drawn.get_attribute("src")
        page.locator("#inside-seed input").fill(str(seed))
        page.locator("#inside-run").click()
        expect(drawn).not_to_have_attribute("src", before, timeout=PATIENCE)

    walked(page)
    picture = page.locator("#inside-vae").get_by_role("img", name="The picture", exact=True)
    picture.wait_for(timeout=PATIENCE)
    walk(77)
    marked(page, "#inside-vae")
    for chosen in (page.locator("#inside-own"), page.locator("#inside-samples button.thumbnail-item").nth(1)):
        before = picture.get_attribute("src")
        chosen.click()
        expect(picture).not_to_have_attribute("src", before, timeout=PATIENCE)
        plain(page, "#inside-vae")
    walk(78)
    page.wait_for_timeout(1000)  # for what must not come
    plain(page, "#inside-vae")


def test_without_a_caption_nothing_is_said_of_the_right_words(page: Page) -> None:
    measured(page)
    page.locator("#pn-caption textarea").fill("")
    page.locator("#pn-caption textarea").press("Tab")
    expect(page.locator(".dpp-found")).to_contain_text("without a caption", timeout=PATIENCE)
    expect(page.locator(".dpp-found")).not_to_contain_text("right words make it")
