"""The Lessons tab in a real browser: predict, run, look, and find it again."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from playground.lessons.shelf import TEXTS
from playground.ui.shared.prose import PARSER

PATIENCE = 120_000  # ms


@pytest.fixture
def lessons(page: Page) -> Page:
    page.get_by_role("tab", name="Lessons", exact=True).click()
    page.locator(".dp-asking").wait_for(timeout=PATIENCE)
    return page


def choose(page: Page, key: str) -> None:
    page.locator(".dpl-lesson select").select_option(key)
    expect(page.locator(f'.dp-asking[data-lesson="{key}"]')).to_be_visible(timeout=PATIENCE)


def pictures(page: Page) -> Locator:
    return page.locator("#lesson-stage .dp-place img")


def feedback(page: Page) -> Locator:
    return page.locator("#lesson-stage .dp-feedback")


def run(page: Page) -> None:
    page.get_by_role("button", name="Run it yourself").click()


def test_nothing_is_shown_before_an_answer(lessons: Page) -> None:
    expect(lessons.locator("#lesson-stage .dp-cell")).to_have_count(6)
    expect(pictures(lessons)).to_have_count(0)
    place = lessons.locator("#lesson-stage .dp-place").first.bounding_box()
    assert place["width"] == pytest.approx(place["height"], abs=1) and place["width"] > 100  # a picture fits there
    for button in ("Run it yourself", "Show pictures drawn earlier"):
        lessons.get_by_role("button", name=button).click()
        expect(lessons.locator("#lesson-error")).to_contain_text("A wrong guess is fine", timeout=PATIENCE)
        expect(pictures(lessons)).to_have_count(0)
    expect(lessons.locator('.dpl-progress [data-mark="done"]')).to_have_count(0)


def test_a_wrong_guess_is_told_what_to_look_at_by_a_run_made_now(lessons: Page) -> None:
    choose(lessons, "06-seeds")
    lessons.get_by_role("radio", name="50", exact=True).check()
    run(lessons)
    expect(feedback(lessons)).to_contain_text("Not as you predicted.", timeout=PATIENCE)
    expect(feedback(lessons)).to_contain_text("Measured: 0.0; you said 50.")
    expect(feedback(lessons)).to_contain_text("What to look at")
    expect(lessons.locator("#lesson-stage")).to_contain_text("Run here and now in")
    expect(lessons.locator(".dpl-after")).to_contain_text("The second run is 0.0 grey levels away from the first")
    expect(pictures(lessons)).to_have_count(3)
    expect(lessons.locator("#lesson-stage .dp-note")).to_have_text(
        ["from the first: 0.0 grey levels"] * 2 + [re.compile(r"^from the first: \d+\.\d grey levels$")]
    )
    for picture in pictures(lessons).all():
        assert picture.evaluate("i => i.complete && i.naturalWidth") == 128
    expect(lessons.get_by_role("radio", name="50", exact=True)).to_be_checked()


def test_pictures_drawn_earlier_are_marked_so_and_found_again_after_a_reload(lessons: Page) -> None:
    choose(lessons, "05-guidance")
    bars = lessons.locator(".dp-curve input")
    for i in range(bars.count()):
        bars.nth(i).fill(str(20 * i))
    lessons.get_by_role("button", name="Show pictures drawn earlier").click()
    expect(feedback(lessons)).to_contain_text("pairs of cells", timeout=PATIENCE)
    expect(lessons.locator(".dp-source")).to_have_text("Drawn earlier by this model, and measured then.")
    expect(lessons.locator(".dp-chart polyline")).to_have_count(2)
    lessons.get_by_role("button", name="Next step").click()
    expect(lessons.locator(".dp-asking h2")).to_have_text("What else is lost", timeout=PATIENCE)
    lessons.reload()
    lessons.get_by_role("tab", name="Lessons", exact=True).click()
    expect(lessons.locator(".dp-asking h2")).to_have_text("What else is lost", timeout=PATIENCE)
    expect(lessons.locator('.dpl-progress [data-mark="done"]')).to_have_count(1)
    lessons.get_by_role("button", name="Back", exact=True).click()
    expect(feedback(lessons)).to_be_visible(timeout=PATIENCE)
    expect(lessons.locator(".dp-curve input").nth(3)).to_have_value("60")


def tab_to(page: Page, wanted: Locator, key: str = "Tab") -> None:
    """As somebody without a mouse: this key, until it has the focus."""
    for _ in range(60):
        if wanted.evaluate("it => it === document.activeElement"):
            return
        page.keyboard.press(key)
    raise AssertionError("the focus never came to it")


def test_a_lesson_from_end_to_end_with_the_keyboard_only(lessons: Page) -> None:
    lessons.get_by_role("tab", name="Lessons", exact=True).focus()
    tab_to(lessons, lessons.locator(".dp-asking select"))
    lessons.keyboard.press("ArrowDown")
    expect(lessons.locator(".dp-asking")).to_have_attribute("data-lesson", "02-denoising", timeout=PATIENCE)
    steps = (
        ("What the network sees", "It falls.", ["ArrowDown"]),
        ("What the network expects", "It rises.", ["Space"]),
        ("Latents", "48", ["ArrowDown", "ArrowDown"]),
    )
    for title, answer, keys in steps:
        expect(lessons.locator(".dp-asking h2")).to_have_text(title, timeout=PATIENCE)
        expect(lessons.locator(".dp-asking input:checked")).to_have_count(0)  # nothing is left of the step before
        tab_to(lessons, lessons.locator(".dp-asking input[type=radio]").first)
        for key in keys:
            lessons.keyboard.press(key)
        expect(lessons.get_by_role("radio", name=answer, exact=True)).to_be_checked()
        lessons.keyboard.press("Enter")
        expect(feedback(lessons)).to_contain_text("As you predicted.", timeout=PATIENCE)
        tab_to(lessons, lessons.locator(".dpl-onward button").last, "Shift+Tab")
        lessons.keyboard.press("Enter")
        expect(lessons.locator(".dp-asking h2")).to_be_focused(timeout=PATIENCE)
    expect(lessons.locator(".dp-asking")).to_have_attribute("data-lesson", "03-steps", timeout=PATIENCE)


def test_stop_keeps_the_question_open(lessons: Page) -> None:
    choose(lessons, "05-guidance")
    lessons.get_by_role("button", name="Next step").click()
    lessons.get_by_role("radio", name="It falls.").check(timeout=PATIENCE)
    run(lessons)
    expect(lessons.locator("#lesson-stage")).to_contain_text("Running", timeout=PATIENCE)
    lessons.get_by_role("button", name="Stop", exact=True).locator("visible=true").click()
    expect(lessons.locator("#lesson-error")).to_contain_text("Stopped", timeout=PATIENCE)
    expect(feedback(lessons)).to_have_count(0)


def test_what_the_browser_remembers_wrongly_does_no_harm(page: Page) -> None:
    odd = {"at": {"lesson": "<img src=x onerror=alert(1)>", "step": 99}, "answers": {"01-noise-1": ["${1}", None]}}
    page.evaluate("value => localStorage.setItem('dp-lessons', value)", json.dumps(odd))
    page.reload()
    page.get_by_role("tab", name="Lessons", exact=True).click()
    expect(page.locator(".dp-asking h2")).to_have_text("How fast does the picture go?", timeout=PATIENCE)
    expect(pictures(page)).to_have_count(0)


@pytest.fixture
def phone(browser: Browser, address: str) -> Iterator[Page]:
    """The page on a touch screen of 390 × 844; fails the test on any script error."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(address)
    yield page
    context.close()
    assert faults == []


def test_a_lessons_formulas_stay_on_their_lines(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content(f"<main>{PARSER.render((TEXTS / '01-noise.md').read_text('utf-8'))}</main>")
    formulas, main = page.locator("p code"), page.locator("main")
    expect(formulas).to_have_count(2)
    for width in range(60, 390, 6):
        main.evaluate("(main, width) => { main.style.width = `${width}px` }", width)
        lines = formulas.evaluate_all("all => all.map(formula => formula.getClientRects().length)")
        assert lines == [1, 1], width
    page.close()


def test_a_lesson_from_end_to_end_on_a_phone(phone: Page) -> None:
    phone.get_by_role("button", name="More tabs").tap()
    phone.locator("button:visible", has_text="Lessons").last.tap()
    choose(phone, "07-words")
    answers, read = ("“background”", "It rises.", "red background"), []
    for at, answer in enumerate(answers):
        expect(phone.locator(".dp-asking")).to_have_attribute("data-step", str(at), timeout=PATIENCE)
        expect(phone.locator(".dp-asking h2")).to_be_in_viewport()  # a step begins where there is something to read
        if at == 0:
            phone.get_by_role("button", name="Run it yourself").tap()  # without an answer
            expect(phone.locator("#lesson-error")).to_contain_text("Answer first", timeout=PATIENCE)
            expect(phone.locator("#lesson-error p")).to_be_in_viewport()
        phone.get_by_role("radio", name=answer, exact=True).tap()
        if at:
            phone.get_by_role("button", name="Show pictures drawn earlier").tap()
        else:
            run(phone)
        expect(feedback(phone)).to_be_visible(timeout=PATIENCE)
        expect(phone.locator("#lesson-stage .dp-cell").first).to_be_in_viewport()  # one is led to the pictures
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390
        read.append(feedback(phone).get_attribute("data-verdict"))
        expect(phone.locator(".dpl-after")).not_to_be_empty()
        onward = phone.locator("#lesson-closing [data-act=onward]")
        expect(onward).to_have_text("Next lesson" if at == 2 else "Next step")
        onward.tap()  # at the end of what there is to read
    expect(phone.locator(".dp-asking")).to_have_attribute("data-lesson", "08-limits", timeout=PATIENCE)
    assert read[1] == "wrong" and len(read) == 3
    phone.get_by_role("button", name="Closing quiz").tap()
    expect(phone.locator(".dpq-ask legend")).to_be_in_viewport(timeout=PATIENCE)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_question_does_not_offer_what_cannot_be_its_answer_and_names_what_was_measured(lessons: Page) -> None:
    choose(lessons, "04-samplers")
    lessons.get_by_role("radio", name="DDPM", exact=True).check(timeout=PATIENCE)
    lessons.get_by_role("button", name="Show pictures drawn earlier").click()
    expect(feedback(lessons)).to_contain_text(
        "The largest mean difference from the other pictures is", timeout=PATIENCE
    )
    choose(lessons, "03-steps")
    lessons.get_by_role("button", name="Next step").click()
    expect(lessons.locator(".dp-asking h2")).to_have_text("Two kinds of step", timeout=PATIENCE)
    expect(lessons.locator("#lesson-stage figcaption")).to_have_count(3)
    expect(lessons.locator(".dp-pick label")).to_have_text(["x̂₀ at step 10 of 20", "a run with 10 steps"])


def test_a_word_is_explained_where_it_stands(lessons: Page) -> None:
    box = lessons.wait_for_function(
        """() => {
          const text = [...CSS.highlights.get("dp-term")].find((range) =>
            range.startContainer.parentElement.closest(".dp-asking .dp-words"));
          if (!text) return null;
          const at = text.getBoundingClientRect();
          return [at.x + at.width / 2, at.y + at.height / 2, text.toString()];
        }""",
        timeout=PATIENCE,
    ).json_value()
    lessons.mouse.click(box[0], box[1])
    expect(lessons.locator("dialog.dp-glossary")).to_be_visible()
    expect(lessons.locator("dialog.dp-glossary dt[aria-current]")).to_contain_text(re.compile(box[2].rstrip("s"), re.I))
    sigma = lessons.locator("dialog.dp-glossary dt", has_text="sigma")
    assert sigma.evaluate("e => getComputedStyle(e, '::first-letter').textTransform") == "none"  # Σ is another symbol
    lessons.keyboard.press("Escape")
    expect(lessons.locator("dialog.dp-glossary")).to_have_count(0)
