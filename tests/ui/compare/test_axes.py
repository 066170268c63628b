"""Several axes and several seeds per cell, asked for and looked at in a real browser."""

from playwright.sync_api import Page, Route, expect

from tests.ui.compare.support import cells, everything_else, field, fill, finished, run, vary


def asked(page: Page, prompt: str) -> None:
    """Two guidance scales across, two numbers of steps down."""
    fill(page, "field-prompt", prompt)
    fill(page, "values-guidance-scale", "1, 3")
    page.get_by_role("button", name="Add an axis").click()
    expect(page.locator("#vary-rows input")).to_have_value("Steps")
    fill(page, "values-num-inference-steps", "2, 3")
    expect(page.locator("#cost")).to_contain_text("4 pictures")


def test_a_second_axis_is_one_click_and_the_grid_a_table_with_headers(page: Page) -> None:
    asked(page, "drum, red background")
    everything_else(page)
    expect(field(page, "field-num-inference-steps")).to_be_disabled()  # the axis has it
    expect(field(page, "field-guidance-scale")).to_be_disabled()
    expect(field(page, "field-seed")).to_be_enabled()
    run(page)
    finished(page, 4)
    expect(page.locator(".dp-say h2")).to_have_text(
        "Guidance scale across, steps down. Everything else is the same in all cells."
    )
    expect(page.locator(".dp-table th[scope=col]")).to_have_text(["1", "3"])
    expect(page.locator(".dp-table th[scope=row]")).to_have_text(["2", "3"])
    expect(page.locator(".dp-caption")).to_contain_text("Guidance scale 1, 3 × Steps 2, 3")
    expect(page.locator(".dp-caption")).to_contain_text("fixed: seed 0, DPM++ 2M, 128 × 128")
    name = cells(page).nth(1).get_by_role("button").get_attribute("aria-label")
    assert name.startswith("Open Guidance scale 3, Steps 2, ")
    page.get_by_role("button", name="Swap axes").click()
    expect(page.locator("#vary").get_by_role("radio", name="Steps", exact=True)).to_be_checked()
    expect(page.locator(".dp-stale")).to_contain_text("Of an earlier form")
    run(page)
    expect(page.locator(".dp-table th[scope=col]")).to_have_text(["2", "3"])
    finished(page, 4)
    expect(page.locator("#total")).to_contain_text("4 of 4 pictures, all kept from an earlier run")
    page.locator("#remove-rows").click()
    expect(page.locator("#vary-rows")).to_be_hidden()
    expect(page.locator("#values-guidance-scale")).to_be_hidden()
    expect(page.locator("#cost")).to_contain_text("2 pictures")


def test_a_third_axis_is_tabs_and_two_equal_ones_are_refused(page: Page) -> None:
    asked(page, "bell, green background")
    page.get_by_role("button", name="Add an axis").click()
    expect(page.locator("#vary-tabs input")).to_have_value("Sampler")
    expect(page.get_by_role("button", name="Add an axis")).to_be_hidden()
    for label in ("DDIM", "Euler", "Heun", "DPM++ 2M", "UniPC", "Euler a", "DDPM", "LCM"):
        if label not in ("DDIM", "Euler"):
            page.locator("#values-sampler").get_by_role("checkbox", name=label, exact=True).uncheck()
    expect(page.locator("#cost")).to_contain_text("8 pictures")
    run(page)
    finished(page, 8)
    tabs = page.get_by_role("tablist", name="Sampler").get_by_role("tab")
    expect(tabs).to_have_text(["DDIM", "Euler"])
    expect(page.locator(".dp-cell:visible")).to_have_count(4)
    first = page.locator(".dp-cell:visible img").first.get_attribute("src")
    tabs.nth(1).click()
    expect(page.locator(".dp-cell:visible")).to_have_count(4)
    assert page.locator(".dp-cell:visible img").first.get_attribute("src") != first
    vary(page, "Steps")
    expect(page.locator("#error-rows")).to_have_text("Each axis needs something of its own to vary.")


def test_seeds_per_cell_are_a_small_mosaic(page: Page) -> None:
    fill(page, "field-prompt", "kite, white background")
    fill(page, "values-guidance-scale", "1, 4")
    everything_else(page)
    fill(page, "field-num-inference-steps", "2")
    fill(page, "seeds", "3")
    expect(page.locator("#cost")).to_contain_text("6 pictures")
    run(page)
    finished(page, 6)
    expect(cells(page, "done")).to_have_count(2)
    expect(cells(page).first.locator("img")).to_have_count(3)
    expect(cells(page).first.locator(".dp-note")).to_contain_text("3 seeds · ")
    expect(page.locator(".dp-say h2")).to_contain_text("Every cell has the same 3 seeds.")
    expect(page.locator(".dp-caption")).to_contain_text("fixed: seeds 0 to 2, ")
    sources = [img.get_attribute("src") for img in cells(page).locator("img").all()]
    assert len(set(sources)) == 6


def test_words_of_the_prompt_are_exchanged(page: Page) -> None:
    vary(page, "Words in the prompt")
    fill(page, "values-words", "lemon\ncat")
    expect(page.locator("#error-values-words")).to_have_text(
        "The prompt does not have “lemon”, which is to be exchanged."
    )
    fill(page, "values-words", "red apple\ncat\nlemon")
    expect(page.locator("#error-values-words")).to_have_text("“red apple” and 2 in its place.")
    everything_else(page)
    fill(page, "field-num-inference-steps", "2")
    run(page)
    finished(page, 3)
    expect(cells(page).locator("figcaption")).to_have_text(["red apple", "cat", "lemon"])
    cells(page).nth(1).get_by_role("button").click()
    expect(page.get_by_role("dialog")).to_contain_text("cat, blue background")


def test_an_edit_marks_the_grid_and_an_error_opens_where_it_is(page: Page) -> None:
    expect(page.get_by_text("Rendered earlier by this model")).to_be_visible()
    expect(page.locator(".dp-examples [aria-pressed=true]")).to_have_text("Guidance")
    expect(page.locator(".dp-stale")).to_be_hidden()
    fill(page, "field-prompt", "red apple, green background")
    expect(page.locator(".dp-stale")).to_be_visible()
    expect(page.get_by_text("Rendered earlier by this model")).to_be_hidden()
    expect(page.locator(".dp-examples [aria-pressed=true]")).to_have_count(0)
    fill(page, "field-prompt", "red apple, blue background")
    expect(page.locator(".dp-stale")).to_be_hidden()
    expect(field(page, "field-num-inference-steps")).to_be_hidden()
    everything_else(page)
    fill(page, "field-num-inference-steps", "0")
    expect(page.locator("#error-num-inference-steps")).to_contain_text("Steps must be from 1 to 1,000, not 0.")
    everything_else(page)  # closed over the error, and opened again by the next check
    fill(page, "field-prompt", "pear")
    expect(page.locator("#error-num-inference-steps")).to_be_visible()


def test_pictures_that_will_be_the_same_get_a_warning(page: Page) -> None:
    vary(page, "Negative prompt")
    everything_else(page)
    fill(page, "field-guidance-scale", "1")
    expect(page.locator(".dp-warning")).to_contain_text("All pictures will be the same: at guidance 1 and below")


def test_an_example_can_be_undone(page: Page) -> None:
    fill(page, "field-prompt", "boat, pink background")
    fill(page, "values-guidance-scale", "2, 3")
    expect(page.locator("#cost")).to_contain_text("2 pictures")
    page.get_by_role("button", name="Seeds", exact=True).click()
    finished(page, 6)
    expect(page.locator(".dp-examples [aria-pressed=true]")).to_have_text("Seeds")
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(field(page, "field-prompt")).to_have_value("boat, pink background")
    expect(field(page, "values-guidance-scale")).to_have_value("2, 3")
    expect(page.get_by_role("button", name="Undo", exact=True)).to_be_hidden()


def test_enter_runs_from_a_number_as_well(page: Page) -> None:
    everything_else(page)
    fill(page, "values-guidance-scale", "1, 2")
    field(page, "field-num-inference-steps").fill("2")
    field(page, "field-num-inference-steps").press("Enter")
    finished(page, 2)


def test_a_late_answer_does_not_bring_back_an_earlier_choice(page: Page) -> None:
    def late(route: Route) -> None:
        page.wait_for_timeout(400)
        route.continue_()

    page.route("**/gradio_api/run/**", late)
    for label in ("Steps", "Sampler", "Seed"):
        vary(page, label)  # the next is chosen before the answer to the last has come
    expect(field(page, "values-seed")).to_be_visible()
    page.wait_for_timeout(3000)  # for answers that are still on their way
    expect(page.locator("#vary").get_by_role("radio", name="Seed", exact=True)).to_be_checked()
    expect(field(page, "values-seed")).to_be_visible()
    for other in ("sampler", "num-inference-steps", "guidance-scale"):
        expect(page.locator(f"#values-{other}")).to_be_hidden()
    page.unroute_all(behavior="wait")  # on a busy machine the last of them may still be held back


def test_every_control_that_can_be_an_axis_offers_it(page: Page) -> None:
    everything_else(page)
    offers = page.locator(".dp-rail .dp-vary:visible")
    expect(offers).to_have_count(9)  # none of the guidance scale, which is the axis, and of the height
    page.get_by_role("button", name="Vary steps").click()
    expect(page.locator("#vary").get_by_role("radio", name="Steps", exact=True)).to_be_checked()
    expect(field(page, "values-num-inference-steps")).to_be_focused()
    expect(page.get_by_role("button", name="Vary steps")).to_be_hidden()
    page.get_by_role("button", name="Vary guidance scale").click()
    expect(field(page, "values-guidance-scale")).to_be_focused()
    page.get_by_role("button", name="Vary the size").click()
    expect(field(page, "values-size")).to_be_focused()
