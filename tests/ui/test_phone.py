"""The whole page on a phone: what is asked for, and what was refused, comes into view."""

import re

from playwright.sync_api import Browser, Locator, expect

PATIENCE = 90_000
HEIGHT = 844
LITERAL = '[alt*="x_t"], [aria-label*="x_t"]'
UPPER_HALF = "() => document.querySelector('#inside-diagram').getBoundingClientRect().top < innerHeight / 2"
LINES = "words => new Set([...words.getClientRects()].map(box => Math.round(box.top))).size"


def top(part: Locator) -> float:
    return part.bounding_box()["y"]


def test_a_run_can_be_stopped_beside_its_pictures(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": HEIGHT}, has_touch=True, is_mobile=True)
    page.goto(address)
    page.get_by_role("button", name="Everything else").tap()
    page.locator("#field-num-inference-steps input").fill("900")
    stop = page.locator("#compare-grid .dp-stop")
    expect(stop).to_be_hidden()
    page.locator("#run").tap()
    expect(stop).to_be_in_viewport()
    stop.tap()
    expect(page.locator("#total")).to_contain_text("Stopped with 0 of 5")
    expect(stop).to_be_hidden()
    page.close()


def test_runs_refusals_lessons_and_pictures_are_brought_into_view(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": HEIGHT}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(address)
    page.locator("#run").wait_for(timeout=PATIENCE)
    expect(page.locator("footer .show-api")).to_be_visible()  # which Gradio hides on a phone
    page.get_by_role("button", name="Everything else").tap()
    steps, fault = page.locator("#field-num-inference-steps input"), page.locator("#error-num-inference-steps")
    steps.fill("0")
    expect(fault.get_by_role("alert")).to_be_visible()
    page.evaluate("scrollTo(0, 0)")
    page.locator("#run").tap()
    expect(fault.get_by_role("alert")).to_be_in_viewport()
    steps.fill("3")
    expect(fault.get_by_role("alert")).to_have_count(0)
    page.locator("#run").tap()
    expect(page.locator("#compare-grid .dp-cell img").first).to_be_in_viewport(timeout=PATIENCE)

    page.locator(".overflow-menu > button").tap()
    page.locator(".overflow-dropdown button", has_text="Denoise").tap()
    page.locator('.dpd[data-state="done"]').wait_for(timeout=PATIENCE)
    page.locator("#denoise-run").tap()
    expect(page.locator(".dpd-run").first).to_be_in_viewport(ratio=0.4)
    expect(page.locator(LITERAL)).to_have_count(0)  # xₜ, as it is written
    page.set_viewport_size({"width": 820, "height": HEIGHT})  # a tablet, where the form stands beside the strip
    assert page.locator(".dpd-strip").first.evaluate("strip => strip.scrollWidth <= strip.clientWidth")
    page.set_viewport_size({"width": 390, "height": HEIGHT})

    page.get_by_role("tab", name="Add noise").tap()
    page.locator(".dpn-range").wait_for(timeout=PATIENCE)
    expect(page.locator(LITERAL)).to_have_count(0)
    page.set_viewport_size({"width": 820, "height": HEIGHT})
    assert page.locator(".dpn-strip").evaluate("strip => strip.scrollWidth <= strip.clientWidth")
    page.set_viewport_size({"width": 390, "height": HEIGHT})
    assert page.locator(".dp-whole:visible").first.evaluate(LINES) == 1  # no ε alone in the second line of a formula

    page.locator(".overflow-menu > button").tap()
    page.locator(".overflow-dropdown button", has_text="Inside").tap()
    page.locator("#inside-run").tap()
    page.wait_for_function(UPPER_HALF, timeout=PATIENCE)  # a walk's result is not below the form

    page.evaluate("scrollTo(0, 0)")
    page.get_by_role("button", name="Begin with the lessons").tap()  # whose tab is in a menu here
    expect(page.locator("#lesson-rail")).to_contain_text(re.compile("Lesson 1 of"), timeout=PATIENCE)
    context.close()


def test_settings_stand_right_under_the_pictures_that_they_change(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": HEIGHT}, has_touch=True, is_mobile=True)
    page.goto(address)
    page.get_by_role("tab", name="Add noise").tap()
    page.locator(".dpn-strip button").first.wait_for(timeout=PATIENCE)
    samples, settings = ".dp-samples:visible", page.locator("fieldset:has([value=latents])")
    in_turn = [samples, ".dpn-picture", ".dpn-range", "fieldset:has([value=latents])", "#an-seed", ".dpn-values"]
    in_turn += [".dpn-formulas", ".dpn-strip", ".dpn-walk-scroll"]
    assert in_turn == sorted(in_turn, key=lambda part: top(page.locator(part)))
    page.locator(".dpn-picture").evaluate("picture => picture.scrollIntoView()")
    before = top(settings)
    page.get_by_role("radio", name="Latents").tap()  # with its picture in view
    expect(page.locator(".dpn-decoded")).to_contain_text("decoded at t = 250", timeout=PATIENCE)
    assert top(settings) == before  # and nothing moves under the finger
    page.get_by_role("tab", name="Predict noise").tap()
    page.locator(".dpp-found b").first.wait_for(timeout=PATIENCE)
    in_turn = [samples, "#pn-t", ".dpp-figures", "#pn-caption", "#pn-wrong", "#pn-seed", ".dpp-notes", ".dpp-found"]
    assert in_turn == sorted(in_turn, key=lambda part: top(page.locator(part)))
    page.close()
