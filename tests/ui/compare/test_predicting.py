"""Predict, then look: what was said before a run is compared with what its pictures measure."""

import re

from playwright.sync_api import Page, expect

from tests.ui.compare.support import RUN_TIMEOUT, fill, finished, run, vary


def expecting(page: Page, what: str) -> None:
    if not page.locator("#predict-what input").is_visible():
        page.get_by_role("button", name="Predict, then look").click()
    page.locator("#predict-what input").click()
    page.get_by_role("option", name=what).click()


def test_a_prediction_is_compared_with_the_run_that_follows(page: Page) -> None:
    fill(page, "values-guidance-scale", "1, 5, 20")
    fill(page, "seeds", "3")
    expecting(page, "Differs most from seed to seed")
    expect(page.locator("#predict-question")).to_contain_text("Which will differ most from seed to seed?")
    expecting(page, "The order by saturation")
    question = page.locator("#predict-question")
    for label in ("1", "5", "20"):
        question.get_by_role("button", name=label, exact=True).click()
    expect(question.locator("b")).to_have_text(["1.", "2.", "3."])
    expect(page.locator("#predicted")).to_be_empty()
    run(page)
    finished(page, 9)
    said = page.locator("#predicted [data-verdict]")
    judged = re.compile(r"Of \d pairs of cells that differ clearly, you put \d the right way round|too close")
    expect(said).to_contain_text(judged, timeout=RUN_TIMEOUT)
    expect(said).to_contain_text("of resamplings of the 3 seeds")
    expect(said).not_to_contain_text("seen already")
    run(page)  # what is kept can have been seen
    expect(said).to_contain_text("may have been seen already", timeout=RUN_TIMEOUT)
    # other values are another question, to which nothing was said
    fill(page, "values-guidance-scale", "1, 5")
    expect(question.get_by_role("button")).to_have_count(2)
    run(page)
    finished(page, 6)
    expect(page.locator("#predicted")).to_contain_text("Nothing was predicted for this grid", timeout=RUN_TIMEOUT)


def test_another_axis_leaves_only_questions_that_suit_it(page: Page) -> None:
    expecting(page, "Where the picture stops changing")
    expect(page.locator("#predict-question")).to_contain_text("From which one on")
    vary(page, "Sampler")
    expect(page.locator("#predict-question")).to_be_empty()
    page.locator("#predict-what input").click()
    expect(page.get_by_role("option", name="Where the picture stops changing")).to_have_count(0)
    expect(page.get_by_role("option", name="Has the purest colours")).to_have_count(1)
