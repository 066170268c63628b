"""The closing quiz and the sheet for paper in a real browser."""

import html
import json
import re

import pytest
from playwright.sync_api import Page, expect

from playground.engine import LocalEngine
from playground.lessons.quiz import right
from playground.lessons.shelf import shelf
from playground.ui.lessons.quiz import shown, sit

PATIENCE = 120_000  # ms


@pytest.fixture
def lessons(page: Page) -> Page:
    return to_lessons(page)


def to_lessons(page: Page) -> Page:
    page.get_by_role("tab", name="Lessons", exact=True).click()
    page.locator(".dp-asking").wait_for(timeout=PATIENCE, state="attached")
    return page


def run_one_step(page: Page) -> None:
    page.locator(".dpl-lesson select").select_option("06-seeds")
    page.get_by_role("radio", name="50", exact=True).focus(timeout=PATIENCE)
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.locator("#lesson-stage .dp-feedback")).to_be_visible(timeout=PATIENCE)


def answer_by_keyboard(page: Page) -> bool:
    """The question on the page, by whatever comes first -> whether it was right."""
    expect(page.locator(".dpq-ask legend")).to_be_focused(timeout=PATIENCE)
    page.keyboard.press("Tab")
    if page.locator(".dpq-ask").get_attribute("data-kind") == "order":
        for _ in range(page.locator(".dpq-ask button[data-cell]").count()):
            page.keyboard.press("Space")
            page.keyboard.press("Tab")
    else:
        page.keyboard.press("Space")
    page.keyboard.press("Enter")
    feedback = page.locator('.dpq-feedback[role="status"]')
    expect(feedback).to_contain_text("Measured ", timeout=PATIENCE)
    expect(feedback).to_contain_text("Look again at")
    expect(page.locator('.dpq [data-act="next"]')).to_be_focused()
    return feedback.get_attribute("data-verdict") == "right"


def pictures_are_there(page: Page, where: str) -> None:
    images = page.locator(f"{where} img")
    assert images.count()
    for image in images.all():
        page.wait_for_function("i => i.complete && i.naturalWidth > 0", arg=image.element_handle())


def test_a_whole_quiz_with_the_keyboard_only_and_a_reload_in_the_middle(lessons: Page) -> None:
    page = lessons
    expect(page.locator("[data-runs]")).to_contain_text("You have run no step of a lesson yet")
    run_one_step(page)
    expect(page.locator("[data-runs]")).to_contain_text("You have run 1 step of the lessons so far")
    page.get_by_role("button", name="Closing quiz").focus()
    page.keyboard.press("Enter")
    right, own = 0, 0
    for at in range(10):
        expect(page.locator(".dpq-place")).to_contain_text(f"Question {at + 1} of 10", timeout=PATIENCE)
        pictures_are_there(page, ".dpq")
        own += page.locator('.dpq-place [data-own="true"]').count()
        if at == 4:  # a reload keeps the place and the question
            asked = page.locator(".dpq-ask").inner_text()
            page.reload()
            to_lessons(page)
            expect(page.locator(".dpq-place")).to_contain_text("Question 5 of 10", timeout=PATIENCE)
            assert page.locator(".dpq-ask").inner_text() == asked
            page.locator(".dpq-ask legend").focus()
        right += answer_by_keyboard(page)
        if at == 6:  # and the feedback
            said = page.locator(".dpq-feedback").inner_text()
            page.reload()
            to_lessons(page)
            expect(page.locator(".dpq-feedback")).to_have_text(re.compile("Measured"), timeout=PATIENCE)
            assert page.locator(".dpq-feedback").inner_text() == said
            page.locator('.dpq [data-act="next"]').focus()
        page.keyboard.press("Enter")
    expect(page.locator(".dpq-end h3")).to_have_text(f"{right} of 10 right", timeout=PATIENCE)
    assert 1 <= own <= 2
    links = page.locator(".dpq-end a")
    assert (links.count() > 0) == (right < 10)
    if right < 10:
        title = links.first.inner_text().split(": ", 1)[1]
        links.first.focus()
        page.keyboard.press("Enter")
        expect(page.locator(".dp-asking h2")).to_have_text(title, timeout=PATIENCE)
        expect(page.locator(".dp-asking h2")).to_be_visible()
        expect(page.locator(".dpq")).to_have_count(0)


def test_what_a_difference_is_measured_from_is_shown_with_the_question_and_its_answer(engine: LocalEngine) -> None:
    lessons, seen = shelf(), set()
    for seed in range(20):
        sitting, _ = sit(lessons, engine.facts, {"seed": seed})
        answers = [right(question, sitting.values(question)) for question in sitting.questions]
        for i, question in enumerate(sitting.questions):
            labels = sitting.cases[question.name].labels
            others = {c for c in range(len(labels)) if c not in question.cells}
            from_ = {"distance": {0}, "distance_to_last": {len(labels) - 1}, "apart": others}.get(question.measure)
            if from_ is None:
                continue
            seen.add(question.measure)
            for asked in ({"answers": answers[:i]}, {"answers": answers[: i + 1], "feedback": True}):
                page = shown(lessons, engine.facts, {"seed": seed, **asked})
                assert page.count("<img") == len(from_) + len(question.cells)
                assert all(f"picture: {html.escape(labels[cell])}</figcaption>" in page for cell in from_)
    assert seen == {"distance", "distance_to_last", "apart"}


def test_no_answer_is_asked_for_in_one_sentence(lessons: Page) -> None:
    lessons.get_by_role("button", name="Closing quiz").click()
    lessons.get_by_role("button", name="Answer", exact=True).click(timeout=PATIENCE)
    expect(lessons.locator('.dpq [role="alert"]')).to_contain_text("a wrong guess is fine", timeout=PATIENCE)
    expect(lessons.locator(".dpq-place")).to_contain_text("Question 1 of 10")


def test_what_the_browser_remembers_wrongly_does_no_harm(page: Page) -> None:
    odd = {"open": True, "seed": "x", "runs": {"06-seeds-1": {"of": 1, "values": [1]}}, "answers": ["<img src=x>", 7]}
    page.evaluate("value => localStorage.setItem('dp-quiz', value)", json.dumps(odd))
    page.evaluate("localStorage.setItem('dp-runs', '{\"a\": null}')")
    page.reload()
    to_lessons(page)
    expect(page.locator(".dpq-place")).to_contain_text("Question 1 of 10", timeout=PATIENCE)
    page.locator(".dpq-ask legend").focus()
    answer_by_keyboard(page)
    expect(page.locator(".dpq-place")).to_contain_text("Question 1 of 10")


def test_on_paper_there_are_answers_and_pictures_and_no_buttons(lessons: Page) -> None:
    page, sent = lessons, []
    run_one_step(page)
    page.get_by_role("button", name="Closing quiz").click()
    answer_by_keyboard(page)
    page.get_by_role("button", name="Back to the lessons").click()
    expect(page.locator(".dpq")).to_have_count(0, timeout=PATIENCE)
    page.on("request", lambda request: sent.append(request.post_data or ""))
    page.get_by_role("button", name="Print what I did").click()
    sheet = page.locator(".dpp")
    expect(sheet.locator("h1")).to_be_focused(timeout=PATIENCE)
    sheet.get_by_role("textbox").fill("Ada Example")
    printed = page.evaluate_handle("() => { const p = { n: 0 }; window.print = () => { p.n += 1; }; return p; }")
    sheet.get_by_role("button", name="Print or save as PDF").click()
    assert printed.evaluate("p => p.n") == 1
    page.emulate_media(media="print")
    expect(sheet).to_contain_text("Answer: 50")
    expect(sheet).to_contain_text("Measured: 0.0; you said 50.")
    expect(sheet).to_contain_text("Ada Example")
    expect(sheet.locator("time")).to_have_text(re.compile(r"\d{4}"))
    expect(sheet.locator(".dpp-quiz")).to_contain_text(re.compile("[01] of 1 right so far, 9 still"))
    expect(sheet.locator("img")).to_have_count(3)
    pictures_are_there(page, ".dpp")
    for image in sheet.locator("img").all():
        expect(image).to_be_visible()
    expect(
        page.locator("button:visible, input:visible, a:visible, .dp-head:visible, .dp-asking:visible")
    ).to_have_count(0)
    assert sheet.evaluate("s => getComputedStyle(s).color") == "rgb(0, 0, 0)"
    assert not any("Ada" in data for data in sent) and any(sent)
    page.emulate_media(media="screen")
    page.get_by_role("tab", name="Compare", exact=True).click()
    page.emulate_media(media="print")  # another tab prints as ever
    expect(page.get_by_role("heading", name="Diffusion playground")).to_be_visible()
