"""Two cells beside each other, by keyboard; blind rounds; the address and the history of a browser."""

import random
import re
import time
from string import ascii_letters

from playwright.sync_api import Browser, Page, expect

from playground.engine import Engine
from playground.link import LONGEST, from_token, to_token
from playground.recipe import Recipe
from playground.render import render as draw
from playground.store import Store
from playground.sweep import Sweep
from tests.ui.compare.support import RUN_TIMEOUT, cells, everything_else, field, fill, finished, run, vary


def test_two_cells_are_compared_by_keyboard_only(page: Page) -> None:
    expect(cells(page, "done")).to_have_count(5)
    pictures = page.locator(".dp-picture")
    pictures.first.focus()
    page.keyboard.press("ArrowRight")
    expect(pictures.nth(1)).to_be_focused()
    page.keyboard.press("c")
    expect(page.locator(".dp-tools")).to_contain_text("Choose the other picture")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("c")
    dialog = page.get_by_role("dialog", name="Two pictures compared")
    expect(dialog.locator(".dp-differing tr")).to_have_text(
        [re.compile("Setting"), re.compile(r"Guidance scale\s*3\s*9")]
    )
    expect(dialog).to_contain_text("A left of the line")
    dialog.get_by_role("slider").fill("80")
    assert dialog.locator(".dp-pair-stage").evaluate("e => e.style.getPropertyValue('--at')") == "80%"
    dialog.get_by_role("radio", name="Flip").check()
    page.keyboard.down("f")
    expect(dialog).to_contain_text("B is shown.")
    page.keyboard.up("f")
    expect(dialog).to_contain_text("A is shown.")
    dialog.get_by_role("radio", name="Difference").check()
    expect(dialog).to_contain_text(re.compile(r"\|A − B\| · 4\. The mean difference is \d+\.\d of 255"))
    expect(dialog.locator("canvas")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(pictures.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Picture and recipe")).to_be_visible()


def test_every_other_cell_shows_its_difference_from_one(page: Page) -> None:
    cells(page).nth(2).get_by_role("button").click()
    page.get_by_role("button", name="Show how the others differ").click()
    expect(page.locator("canvas.dp-difference")).to_have_count(4)
    expect(cells(page).first.locator(".dp-note")).to_have_text(re.compile(r"mean difference \d+\.\d of 255"))
    expect(cells(page).nth(2).locator(".dp-note")).to_contain_text("evaluations")
    page.get_by_role("button", name="Show the pictures again").click()
    expect(page.locator("canvas.dp-difference")).to_have_count(0)
    expect(cells(page).first.locator(".dp-note")).to_contain_text("evaluations")


def test_blind_rounds_are_tallied(page: Page) -> None:
    page.get_by_role("button", name="Guess blind").click()
    expect(page.locator(".dp-tools")).to_contain_text(re.compile(r"Which one is Guidance scale (1|3|5|9|15)\?"))
    expect(page.locator(".dp-cell:visible")).to_have_count(0)
    expect(page.locator(".dp-guess .dp-note")).to_have_text([""] * 5)
    page.locator(".dp-guess .dp-picture").first.click()
    expect(page.locator(".dp-tools")).to_contain_text(re.compile(r"[01] of 1 right; chance gives 1 in 5\."))
    expect(page.locator(".dp-guess[data-answer=right]")).to_have_count(1)
    shown = page.locator(".dp-guess .dp-note").all_inner_texts()
    assert sorted(shown, key=int) == ["1", "3", "5", "9", "15"]
    page.get_by_role("button", name="Another round").click()
    page.locator(".dp-guess .dp-picture").last.click()
    expect(page.locator(".dp-tools")).to_contain_text(re.compile(r"[012] of 2 right"))
    page.get_by_role("button", name="Stop guessing").click()
    expect(page.locator(".dp-cell:visible")).to_have_count(5)


def test_the_address_carries_the_grid_and_back_leads_to_the_one_before(page: Page, browser: Browser) -> None:
    fill(page, "field-prompt", "fox, orange background")
    fill(page, "values-guidance-scale", "2, 6")
    run(page)
    finished(page, 2)
    expect(page).to_have_url(re.compile(r"[?&]grid=1\."))
    token = re.search(r"grid=([^&]+)", page.url).group(1)
    sweep = from_token(token, Recipe())
    assert sweep.base.prompt == "fox, orange background" and sweep.axes == {"guidance_scale": [2, 6]}
    other = browser.new_page()
    other.goto(page.url)
    expect(other.locator("#field-prompt textarea")).to_have_value("fox, orange background", timeout=60_000)
    expect(cells(other, "done")).to_have_count(2)
    expect(other.locator("#total")).to_contain_text("Rendered earlier by this model, with the recipe in the form")
    expect(other.locator(".dp-past")).to_be_hidden()  # another browser's history is its own
    other.close()
    for name in ("Effect curves", "Take away, or bring back"):
        page.get_by_role("button", name=name).click()
    page.get_by_role("button", name="Measure this grid").click()
    expect(page.locator("#verdict")).to_contain_text("three seeds or more")
    picture = page.locator("#which input")
    expect(picture).to_have_value("Guidance scale 2")
    page.go_back()
    expect(page.locator("#field-prompt textarea")).to_have_value("red apple, blue background")
    expect(cells(page, "done")).to_have_count(5)
    expect(picture).to_have_value("Guidance scale 1")  # what is to be taken away is of this grid too
    expect(page.locator("#verdict")).to_have_text("")
    page.go_forward()
    expect(page.locator("#field-prompt textarea")).to_have_value("fox, orange background")
    expect(cells(page, "done")).to_have_count(2)


def test_a_browser_finds_its_own_grids_again_after_a_reload(page: Page) -> None:
    fill(page, "field-prompt", "${1+1} owl, {{value}} background")
    fill(page, "values-guidance-scale", "1, 2")
    run(page)
    finished(page, 2)
    page.goto(page.url.split("?")[0])
    expect(cells(page, "done")).to_have_count(5, timeout=60_000)
    page.locator(".dp-past summary").click()
    page.locator(".dp-past li button").click()
    expect(page.locator("#field-prompt textarea")).to_have_value("${1+1} owl, {{value}} background")
    expect(cells(page, "done")).to_have_count(2)
    page.get_by_role("button", name="Forget them all").click()
    expect(page.locator(".dp-past")).to_be_hidden()


def test_a_reload_in_mid_run_comes_back_to_the_form_and_what_is_finished(
    page: Page, engine: Engine, server_store: Store
) -> None:
    """Also of a grid that is too long for an address, to which Back and Forward lead as well."""
    letters, opening = random.Random(time.time_ns()), page.url  # none is kept, also when this is run again
    for length in (20, 900):
        prompts = ["".join(letters.choices(ascii_letters, k=length)) for _ in range(4)]
        base = Recipe(prompt=field(page, "field-prompt").input_value(), num_inference_steps=400)
        sweep = Sweep(base, {"prompt": prompts})
        for _ in draw(engine, server_store, sweep.recipes()[:1], previews=False):
            pass
        vary(page, "Prompt")
        fill(page, "values-prompt", "\n".join(prompts))
        everything_else(page)
        field(page, "field-num-inference-steps").fill("400")
        expect(page.locator("#cost")).to_contain_text("4 pictures (1 kept)")
        run(page)
        expect(cells(page, "running")).to_have_count(3, timeout=RUN_TIMEOUT)
        page.reload()
        expect(field(page, "values-prompt")).to_have_value("\n".join(prompts), timeout=60_000)
        expect(cells(page, "done")).to_have_count(1)
        expect(page.locator("#total")).to_contain_text("1 of 4 rendered earlier by this model; Run draws the rest.")
    assert len(to_token(sweep, Recipe())) > LONGEST and page.url == opening
    page.go_back()
    expect(page).to_have_url(re.compile(r"[?&]grid=1\."))
    expect(field(page, "values-prompt")).not_to_have_value("\n".join(prompts))
    expect(page.locator("#total")).to_contain_text("1 of 4 rendered earlier by this model; Run draws the rest.")
    page.go_forward()
    expect(field(page, "values-prompt")).to_have_value("\n".join(prompts))
    for press, asks in ((page.go_back, "5 pictures"), (page.go_forward, "4 pictures")):
        press()
        press()  # before the answer to the first has come
        expect(page.locator("#cost")).to_contain_text(asks)
    expect(field(page, "values-prompt")).to_have_value("\n".join(prompts))
    assert page.url == opening


def test_a_damaged_link_is_one_sentence_over_the_first_grid(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.goto(f"{address}?grid=1.nonsense")
    expect(page.locator("#total")).to_have_text("This link is damaged; copy the whole of it.", timeout=60_000)
    expect(cells(page, "done")).to_have_count(5)
    for size in ((1280, 900), (390, 844)):
        page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
        expect(page.locator("#total").get_by_role("alert")).to_be_in_viewport()  # above the grid
        assert page.locator("#total").bounding_box()["y"] < page.locator(".dp-say h2").bounding_box()["y"]
    page.close()


def test_run_stays_in_sight_and_on_a_phone_it_brings_the_grid(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 500})
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_in_viewport()
    page.set_viewport_size({"width": 390, "height": 844})
    fill(page, "values-guidance-scale", "1, 2")
    page.mouse.wheel(0, -10_000)
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_in_viewport()
    expect(page.locator(".dp-board")).not_to_be_in_viewport()
    run(page)
    expect(page.locator(".dp-say h2")).to_be_in_viewport()
    finished(page, 2)


def test_tabs_stand_on_one_line_and_the_sign_of_play_in_its_middle(page: Page, address: str) -> None:
    base = Recipe(prompt="red apple", num_inference_steps=2)
    axes = {"sampler": ["ddim", "euler", "lcm"], "seed": [1, 2], "guidance_scale": [1, 2]}
    page.goto(f"{address}?grid={to_token(Sweep(base, axes), Recipe())}")
    tabs = page.locator(".dp-tabs").get_by_role("tab")
    expect(tabs).to_have_text(["DDIM", "Euler", "LCM"])
    tops = tabs.evaluate_all("tabs => tabs.map((tab) => tab.getBoundingClientRect().top)")
    assert max(tops) - min(tops) < 0.5
    run(page)
    finished(page, 12)
    page.locator("#film-ask").click()
    aside = page.locator(".dp-play").evaluate(
        "play => { const text = document.createRange(); text.selectNodeContents(play);"
        " const [sign, box] = [text, play].map((part) => part.getBoundingClientRect());"
        " return Math.abs(sign.left + sign.right - box.left - box.right) / 2 }"
    )
    assert aside < 1


def test_a_tab_is_announced_by_its_axis_and_value_and_a_lora_by_its_name_once(page: Page, address: str) -> None:
    base = Recipe(prompt="red apple", num_inference_steps=2)
    for axis, values, announced in (
        ("loras.ink_outline", [0, 0.5], ["ink_outline 0", "ink_outline 0.5"]),
        ("sampler", ["ddim", "euler"], ["Sampler DDIM", "Sampler Euler"]),
    ):
        axes = {axis: values, "seed": [1, 2], "guidance_scale": [1, 2]}
        page.goto(f"{address}?grid={to_token(Sweep(base, axes), Recipe())}")
        expect(page.locator(".dp-tabs").get_by_role("tab")).to_have_count(2)
        panels = page.locator("#compare-grid [role=tabpanel]").evaluate_all("all => all.map((one) => one.ariaLabel)")
        assert panels == announced


def test_a_table_begins_at_the_edge_and_its_rows_keep_their_place(page: Page, address: str) -> None:
    axes = {"num_inference_steps": [2, 3], "guidance_scale": [1, 2, 3, 4, 5]}
    base = Recipe(prompt="cup", seed=time.time_ns() % 1_000_000)  # none of which is kept, also when it is run again
    page.goto(f"{address}?grid={to_token(Sweep(base, axes), Recipe())}")
    expect(page.locator(".dp-table .dp-note").last).to_have_text("not rendered yet")
    tops = "rows => rows.map((row) => Math.round(row.getBoundingClientRect().top + scrollY))"
    before = page.locator(".dp-table tr").evaluate_all(tops)
    header, caption = page.locator(".dp-table th[scope=row]").first, page.locator(".dp-caption")
    assert header.bounding_box()["x"] == caption.bounding_box()["x"]
    run(page)
    finished(page, 10)
    expect(page.locator(".dp-table .dp-note").last).to_contain_text("evaluations")
    assert page.locator(".dp-table tr").evaluate_all(tops) == before


def test_a_grid_that_a_link_opens_is_never_called_that_of_an_earlier_form(browser: Browser, address: str) -> None:
    page, failed = browser.new_page(viewport={"width": 1280, "height": 720}), list[int]()
    page.add_init_script(
        "window.told = new Set();"
        "setInterval(() => told.add(document.querySelector('.dp-stale')?.textContent ?? ''), 10)"
    )
    page.on("response", lambda response: failed.append(response.status) if response.status >= 400 else None)
    for seed in (31, 32):
        sweep = Sweep(Recipe(prompt="red apple", seed=seed), {"num_inference_steps": [2, 3]})
        page.goto(f"{address}?grid={to_token(sweep, Recipe())}")
        expect(page.locator(f'#cost [data-asked="{sweep.digest()}"]')).to_have_count(1)
        assert page.evaluate("[...told]") == [""] and failed == []
    fill(page, "field-prompt", "cat")
    expect(page.locator(".dp-stale")).to_contain_text("Of an earlier form")
    page.close()


def rows(page: Page) -> list[int]:
    """How many cells stand in each row of the grid"""
    return page.locator("#compare-grid .dp-grid").evaluate(
        "grid => Object.values(Object.groupBy(grid.children, (c) => Math.round(c.offsetTop))).map((row) => row.length)"
    )


def test_cells_stand_in_even_rows(page: Page, address: str) -> None:
    for count, expected in ((6, [[3, 3], [6]]), (7, [[4, 3], [4, 3]])):
        token = to_token(Sweep(Recipe(), {"seed": list(range(count))}), Recipe())
        page.goto(f"{address}?grid={token}")
        expect(cells(page)).to_have_count(count)
        for width, wanted in zip((1280, 1920), expected, strict=True):
            page.set_viewport_size({"width": width, "height": 1000})
            page.wait_for_function(
                "n => document.querySelector('#compare-grid .dp-grid').style.getPropertyValue('--columns') == n",
                arg=str(wanted[0]),
            )
            assert rows(page) == wanted
    page.set_viewport_size({"width": 820, "height": 1180})  # a tablet: the form gives way, and no cell is a stamp
    page.wait_for_function("matchMedia('(max-width: 820px)').matches")
    assert min(cell.bounding_box()["width"] for cell in cells(page).all()) >= 120
