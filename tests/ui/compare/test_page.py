"""The Compare tab in a real browser, with the real model behind it."""

import re

from playwright.sync_api import Browser, Page, expect

from playground import Recipe
from playground.engine import Engine
from playground.render import missing
from playground.render import render as draw
from playground.store import Store
from playground.ui.shared.shipped import examples
from tests.ui.answered import answered
from tests.ui.compare.support import RUN_TIMEOUT, cells, everything_else, field, fill, finished, run, vary


def test_the_page_opens_with_a_finished_grid_and_its_cost(page: Page, engine: Engine, server_store: Store) -> None:
    expect(cells(page, "done")).to_have_count(5)
    expect(page.get_by_text("Rendered earlier by this model")).to_be_visible()
    expect(page.locator("#error-values-guidance-scale")).to_contain_text("5 values: 1, 3, 5, 9, 15")
    recipes = examples()[0].sweep.recipes()
    assert sum(engine.facts.evaluations(recipe) for recipe in recipes) == 180
    left = missing(engine, server_store, recipes)  # tests before this one may have drawn some of them
    work = f"{sum(engine.facts.evaluations(recipe) for recipe in left)} U-Net evaluations"
    expect(page.locator("#cost")).to_contain_text("5 pictures")
    expect(page.locator("#cost")).to_contain_text(work if left else "nothing left to compute")
    for picture in cells(page).locator("img").all():
        assert picture.evaluate("i => i.complete && i.naturalWidth") == 128


def test_a_guidance_grid_runs_to_its_end(page: Page) -> None:
    fill(page, "field-prompt", "banana, green background")
    fill(page, "values-guidance-scale", "1, 4, 7")
    expect(page.locator("#cost")).to_contain_text("3 pictures")
    expect(page.locator("#cost")).to_contain_text("100 U-Net evaluations")
    run(page)
    expect(cells(page, "running").locator("img").first).to_be_visible(timeout=RUN_TIMEOUT)  # a preview
    expect(cells(page, "done")).to_have_count(3, timeout=RUN_TIMEOUT)
    expect(cells(page).locator("figcaption")).to_have_text(["1", "4", "7"])
    expect(page.locator("#total")).to_contain_text("3 of 3 pictures")
    expect(page.locator("#total")).to_contain_text("100 evaluations, 3 of them shared")
    assert cells(page).nth(1).locator(".dp-note").inner_text().endswith("40 evaluations")
    sources = [i.get_attribute("src") for i in cells(page).locator("img").all()]
    assert len(set(sources)) == 3 and not any(s.startswith("data:") for s in sources)


def test_a_hidden_page_is_told_how_far_its_run_is_and_no_pictures(page: Page) -> None:
    """Until it is looked at again."""
    fill(page, "values-guidance-scale", "2, 3")
    everything_else(page)
    fill(page, "field-num-inference-steps", "400")
    fill(page, "field-prompt", "lemon, white background")
    run(page)
    picture, total = cells(page).locator("img").first, page.locator("#total")
    expect(cells(page, "running").locator("img").first).to_be_visible(timeout=RUN_TIMEOUT)
    look = "hidden => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
    look += " document.dispatchEvent(new Event('visibilitychange')) }"
    with page.expect_response(lambda response: "/run/" in response.url):
        page.evaluate(look, True)
    page.wait_for_timeout(500)  # for what was on its way
    drawn, first = picture.get_attribute("src"), total.inner_text()
    for _ in range(2):
        expect(total).not_to_have_text(first, timeout=RUN_TIMEOUT)
        first = total.inner_text()
        assert picture.get_attribute("src") == drawn
    page.evaluate(look, False)
    expect(picture).not_to_have_attribute("src", drawn, timeout=RUN_TIMEOUT)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(total).to_contain_text("Stopped", timeout=RUN_TIMEOUT)


def test_enter_in_the_prompt_runs_and_a_second_run_is_kept(page: Page) -> None:
    fill(page, "values-guidance-scale", "2, 3")
    field(page, "field-prompt").fill("lemon, black background")
    field(page, "field-prompt").press("Enter")
    expect(page.locator("#total")).to_contain_text("2 of 2 pictures", timeout=RUN_TIMEOUT)
    run(page)
    expect(page.locator("#total")).to_contain_text("2 of 2 pictures, all kept from an earlier run", timeout=RUN_TIMEOUT)
    expect(page.locator("#cost")).to_contain_text("(2 kept)")


def test_stop_in_mid_run_keeps_finished_cells_and_run_continues(page: Page, server_store: Store) -> None:
    vary(page, "Steps")
    fill(page, "field-prompt", "violin, red background")
    fill(page, "values-num-inference-steps", "2, 400")
    run(page)
    expect(cells(page, "done")).to_have_count(1, timeout=RUN_TIMEOUT)
    expect(cells(page, "running")).to_have_count(1)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#total")).to_contain_text(
        "Stopped with 1 of 2 pictures finished and kept; press Run for the rest.", timeout=RUN_TIMEOUT
    )
    fill(page, "field-prompt", "violin, blue background")  # of which Run would draw others
    stopped = "Stopped with 1 of 2 pictures finished and kept."
    expect(page.locator("#total")).to_have_text(stopped, use_inner_text=True, timeout=RUN_TIMEOUT)
    fill(page, "field-prompt", "violin, red background")
    expect(cells(page, "done")).to_have_count(1)
    expect(cells(page, "stopped").locator(".dp-note")).to_have_text("stopped before it was finished")
    fill(page, "values-num-inference-steps", "2, 3")
    run(page)
    expect(cells(page, "done")).to_have_count(2, timeout=RUN_TIMEOUT)
    expect(page.locator("#total")).to_contain_text("1 kept from an earlier run")
    assert len(server_store) >= 2


def test_another_run_takes_the_place_of_the_one_under_way(page: Page, engine: Engine) -> None:
    vary(page, "Steps")
    fill(page, "field-prompt", "trumpet, grey background")
    fill(page, "values-num-inference-steps", "2, 500")
    run(page)
    expect(cells(page, "done")).to_have_count(1, timeout=RUN_TIMEOUT)
    run(page)  # for the same: goes on
    expect(cells(page, "running")).to_have_count(1)
    page.get_by_role("button", name="Seeds", exact=True).click()
    expect(page.locator(".dp-say h2")).to_contain_text("Only the starting noise changes.")
    finished(page)
    expect(cells(page, "done")).to_have_count(cells(page).count())
    fill(page, "values-seed", "1, 2")
    run(page)
    expect(page.locator("#total")).to_contain_text("2 of 2 pictures", timeout=RUN_TIMEOUT)
    expect(cells(page).locator("figcaption")).to_have_text(["1", "2"])
    page.get_by_role("button", name="Stop", exact=True).click()  # nothing runs any more, the 500 steps neither
    page.wait_for_timeout(500)
    expect(page.locator("#total")).to_contain_text("2 of 2 pictures")
    assert not engine.loop.busy


def test_stop_ends_the_collecting_of_steps(page: Page, engine: Engine, server_store: Store) -> None:
    base = examples()[0].sweep.base.replace(prompt="drum, white background", num_inference_steps=100)
    for _ in draw(engine, server_store, [base.replace(seed=s) for s in (1, 2)], previews=False):
        pass  # kept, but without steps
    vary(page, "Seed")
    fill(page, "field-prompt", base.prompt)
    everything_else(page)
    fill(page, "field-num-inference-steps", "100")
    fill(page, "values-seed", "1, 2")
    run(page)
    expect(page.locator("#total")).to_contain_text("2 of 2 pictures, all kept from an earlier run", timeout=RUN_TIMEOUT)
    ask = page.get_by_role("button", name="Step through this grid")
    ask.click()
    expect(page.locator("#grid-film")).to_contain_text("once more for their steps", timeout=RUN_TIMEOUT)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(ask).to_be_visible()
    expect(page.locator("#grid-film")).to_have_text("")
    expect(page.locator("#total")).to_contain_text("2 of 2 pictures, all kept from an earlier run")


def test_a_bad_value_shows_its_sentence_and_nothing_runs(page: Page) -> None:
    before = page.locator(".dp-grid").inner_html()
    fill(page, "values-guidance-scale", "1, 2, x")
    expect(page.locator("#error-values-guidance-scale")).to_have_text("“x” is not a number.")
    run(page)
    page.wait_for_timeout(1500)
    assert page.locator(".dp-grid").inner_html() == before
    fill(page, "values-guidance-scale", "1, 2")
    expect(page.locator("#error-values-guidance-scale")).to_have_text("2 values: 1, 2")
    fill(page, "values-guidance-scale", "1, 2, .., 40")
    expect(page.locator("#error-values-guidance-scale")).to_have_text("40 values: 1, 2, 3, …, 40")


def test_every_field_shows_its_own_error(page: Page) -> None:
    everything_else(page)
    fill(page, "field-prompt", "x" * 100_000)
    expect(page.locator("#error-prompt")).to_contain_text("at most 1,000 characters; this one has 100,000")
    field(page, "field-num-inference-steps").fill("10000")
    expect(page.locator("#error-num-inference-steps")).to_contain_text("from 1 to 1,000, not 10,000")
    field(page, "field-seed").fill("-1")
    expect(page.locator("#error-seed")).to_contain_text("Seed must be from 0")
    fill(page, "values-guidance-scale", "-1, 5")
    expect(page.locator("#error-values-guidance-scale")).to_contain_text("Guidance scale must be from 0 to 50, not -1")
    expect(page.locator("#cost")).to_contain_text("Nothing runs until every field is right.")


def test_payloads_in_a_prompt_stay_text(page: Page) -> None:
    vary(page, "Prompt")
    payloads = ["<img src=x onerror=window.PWN=1>", "${window.PWN=2}", "{{constructor}}", "</figcaption><script>PWN=3"]
    fill(page, "values-prompt", "\n".join(payloads))
    everything_else(page)
    field(page, "field-num-inference-steps").fill("2")
    run(page)
    expect(cells(page, "done")).to_have_count(4, timeout=RUN_TIMEOUT)
    expect(cells(page).locator("figcaption")).to_have_text(payloads)
    cells(page).nth(1).locator("button").click()
    expect(page.get_by_role("dialog")).to_contain_text("${window.PWN=2}")
    assert page.evaluate("window.PWN") is None


def test_a_cell_opens_with_its_recipe_and_escape_closes_it(page: Page) -> None:
    expect(cells(page, "done")).to_have_count(5)
    cells(page).nth(3).locator("button").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(re.compile(r"Guidance scale\s*9"))
    expect(dialog).to_contain_text(re.compile(r"Seed\s*0"))
    with page.expect_download() as download:
        dialog.get_by_role("link", name="Download PNG with its recipe").click()
    from playground.store import from_png

    assert re.fullmatch(r"pocket-0-[0-9a-f]{8}\.png", download.value.suggested_filename)
    saved = from_png(download.value.path().read_bytes())
    assert saved.recipe == Recipe(prompt="red apple, blue background", guidance_scale=9, seed=0)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_a_recipe_can_be_copied(page: Page) -> None:
    """Also over http:// in a workshop's network, which is not secure, and has no clipboard there."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for place, scale in ((3, 9), (1, 3)):
        cells(page).nth(place).locator("button").click()
        page.get_by_role("button", name="Copy recipe").click()
        expect(page.get_by_role("button", name="Copied")).to_be_focused()
        page.keyboard.press("Escape")
        field(page, "field-prompt").fill("")
        field(page, "field-prompt").press("Control+V")
        copied = Recipe.from_json(field(page, "field-prompt").input_value())
        assert copied == Recipe(prompt="red apple, blue background", guidance_scale=scale, seed=0)
        page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")


def test_each_ready_made_example_fills_the_form_and_runs(page: Page) -> None:
    for name, axis, count in (("Samplers", "Sampler", 8), ("Seeds", "Seed", 6)):
        page.get_by_role("button", name=name, exact=True).click()
        finished(page, count)
        expect(page.locator("#vary").get_by_role("radio", name=axis, exact=True)).to_be_checked()
        expect(cells(page, "done")).to_have_count(count)


def test_the_grid_has_two_columns_on_a_phone_and_nothing_scrolls_sideways(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    expect(cells(page, "done")).to_have_count(5)
    lefts = {round(c.bounding_box()["x"]) for c in cells(page).all()}
    assert len(lefts) == 2
    tops = [page.locator(f"#{name}").bounding_box()["y"] for name in ("compare-grid", "field-prompt")]
    examples = page.locator(".dp-examples").bounding_box()
    assert examples["y"] + examples["height"] <= tops[1] < tops[0]  # examples, form, grid
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_one_scrubber_moves_every_cell_along_its_own_run(page: Page) -> None:
    fill(page, "values-guidance-scale", "2, 6")
    everything_else(page)
    fill(page, "field-num-inference-steps", "6")
    run(page)
    expect(cells(page, "done")).to_have_count(2, timeout=RUN_TIMEOUT)
    page.get_by_role("button", name="Step through this grid").click()
    scrubber = page.get_by_role("slider", name="Point of the run")
    expect(scrubber).to_be_visible(timeout=RUN_TIMEOUT)
    expect(page.locator(".dp-frame")).to_have_count(0)  # the finished pictures
    expect(page.locator("#film-curve")).to_be_visible()
    scrubber.fill("2")
    expect(page.locator(".dp-frame")).to_have_count(2)
    expect(cells(page).locator(".dp-note").first).to_contain_text("call 2 of 6 · t = ")
    frame = page.locator(".dp-frame").first
    clean = frame.evaluate("e => e.style.backgroundImage")
    page.get_by_role("radio", name="noisy xₜ").check()
    assert frame.evaluate("e => e.style.backgroundImage") != clean
    address = frame.evaluate("e => new URL(e.style.backgroundImage.slice(5, -2), location).href")
    assert page.request.get(address).ok
    scrubber.fill("7")
    expect(page.locator(".dp-frame")).to_have_count(0)
    expect(cells(page).locator(".dp-note").first).to_contain_text("evaluations")
    page.get_by_role("button", name="Take away, or bring back").click()
    page.get_by_role("radio", name="Page that needs no network").check()
    page.get_by_role("button", name="Make the file").click()
    expect(page.locator("#taken")).to_contain_text("with the steps of 2 of 2 runs, at most 6 points of each")


def test_a_slow_check_of_the_opening_page_does_not_stand_over_a_newer_value(browser: Browser, address: str) -> None:
    page, held, opening = browser.new_page(), [], True
    page.route("**/gradio_api/run/predict*", lambda route: held.append(route) if opening else route.continue_())
    page.goto(address)
    page.get_by_role("button", name="Run", exact=True).wait_for()
    page.wait_for_timeout(1000)
    assert held, "nothing is asked as the page opens"
    opening = False
    fill(page, "values-guidance-scale", "1, 2, x")
    page.wait_for_timeout(300)
    with answered(page, [route.request for route in held]):
        for route in held:
            route.continue_()
    expect(page.locator("#error-values-guidance-scale")).to_have_text("“x” is not a number.")
    page.close()
