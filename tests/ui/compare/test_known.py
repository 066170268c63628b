"""What can it draw: the list of the embedded model, words beyond it, and what a prompt loses on its way."""

import random

import pytest
from playwright.sync_api import Page, expect

from examples.train_pocket.scenes.colours import BACKGROUNDS
from examples.train_pocket.scenes.things import COMMON, table
from playground.engine import Engine
from playground.recipe import PROMPT_LIMIT
from playground.ui.shared.known import known, marks, marks_of_lines, surprise, unknown_words, within
from playground.ui.shared.shipped import examples
from tests.ui.compare.support import field, vary

KNOWN = known("pocket")


def test_the_list_is_that_of_the_training_data() -> None:
    assert KNOWN.common + KNOWN.rare == tuple(thing.name for thing in table()) and len(KNOWN.common) == COMMON
    assert KNOWN.colours == tuple(BACKGROUNDS)
    for name in (*KNOWN.common, *KNOWN.rare):
        assert unknown_words(name, KNOWN.words) == [], name
    assert known("another") is None


@pytest.mark.parametrize(
    ("prompt", "strange"),
    [
        ("red apple, blue background", []),
        ("Two CATS to the left of my friend's car, flat icon", []),
        ("A castle made of basalt", ["basalt"]),
        ("собака", ["собака"]),
        ("a 🍎 on a xylograph", ["xylograph", "🍎"]),
        ("", []),
    ],
)
def test_words_that_were_in_no_caption_are_found(prompt: str, strange: list[str]) -> None:
    assert [word for word in unknown_words(prompt, KNOWN.words) if word != "made"] == strange


def test_examples_ask_for_what_it_knows() -> None:
    for example in examples():
        if list(example.sweep.axes) != ["prompt"]:
            assert unknown_words(example.sweep.base.prompt, KNOWN.words) == []
    rng = random.Random(0)
    for _ in range(50):
        assert unknown_words(surprise(KNOWN, rng), KNOWN.words) == []


def test_what_is_cut_off_and_what_is_not_read_is_told(engine: Engine) -> None:
    def told(text: str) -> str:
        return marks(text, engine.words(text), KNOWN)

    assert told("red apple") == ""
    assert "Cut off, because the model reads 32 tokens and this takes" in told("cat " * 40)
    assert "<mark>(cat:1.3)</mark> is read as letters" in told("(cat:1.3), red background")
    both = told("((cat)), (red:1.3) background")
    assert "<mark>((cat))</mark>, <mark>(red:1.3)</mark> are read as letters" in both and "Never shown" not in both
    assert "is read as letters; “Prompt weights” under “Everything else” makes them weights" in marks(
        "(cat:1.3)", engine.words("(cat:1.3)"), KNOWN, can_weigh=True
    )
    long = "cat " * 40
    assert "all of it is read, in chunks" in marks(long, engine.words(long), KNOWN, can_weigh=True)
    cut_off = told("cat " * 30 + "<img>")
    assert "<mark>&lt;</mark>" in cut_off and "<img" not in cut_off
    assert "&lt;b&gt;" in told("(<b>:1.2)") and "<b>" not in told("(<b>:1.2)")


def test_how_marks_are_read_as_weights_is_told(engine: Engine) -> None:
    def told(text: str) -> str:
        return marks(text, engine.words(text, 1), KNOWN, can_weigh=True)

    assert told("red apple :)") == ""
    assert "Read as weights: “cat” 1.3, “red” 0.9091." in told("(cat:1.3), [red] background")
    assert "&lt;b&gt;" in told("(<b>:1.2)") and "<b>" not in told("(<b>:1.2)")
    assert "letters" not in told("((cat)) [red]") and "<mark>basalt</mark>. What" in told("(cat:1.3) [basalt]")
    assert "Read in 2 chunks of up to 30 tokens." in told("cat " * 40) and "Cut off" not in told("cat " * 40)
    assert "<mark>[cat:dog:0.5]</mark>: words that change during a run are not known" in told("[cat:dog:0.5]")


def test_of_several_lines_all_unknown_words_and_each_cut_are_told(engine: Engine) -> None:
    def told(*lines: str) -> str:
        return marks_of_lines(lines, [engine.words(line) for line in lines], KNOWN)

    assert told("red apple", "", "a (cat:1.3)") == ""
    both = told("red basalt", "собака", "basalt <b>")
    assert both.count("<p") == 1 and "<mark>basalt</mark>, <mark>собака</mark>" in both and "<b>" not in both
    assert "“cat cat cat cat cat cat cat ca…” is cut off, because the model reads 32 tokens" in told("cat", "cat " * 40)


def test_a_text_that_is_refused_is_not_marked_as_well() -> None:
    longest = "x" * PROMPT_LIMIT
    assert within(longest) == longest and within(f"{longest}x") == within(None) == within(5) == ""


def test_unknown_words_are_marked_as_one_types(page: Page) -> None:
    field(page, "field-prompt").fill("a castle of basalt")
    expect(page.locator("#marks mark")).to_have_text(["basalt"])
    field(page, "field-prompt").fill("a castle")
    expect(page.locator("#marks mark")).to_have_count(0)
    field(page, "field-prompt").fill("a (castle:1.3)")
    expect(page.locator("#marks")).to_contain_text("(castle:1.3) is read as letters; “Prompt weights”")
    page.locator("#everything-else button").first.click()
    switch = page.get_by_role("checkbox", name="Prompt weights")
    switch.check()
    expect(page.locator("#marks")).to_have_text("Read as weights: “castle” 1.3.")
    field(page, "field-prompt").fill("a (castle:13)")
    expect(page.locator("#error-prompt-weights")).to_have_text(
        "Prompt has a word of weight 13; weights must be from -10 to 10."
    )
    switch.uncheck()
    expect(page.locator("#error-prompt-weights")).to_have_text("")
    field(page, "field-negative-prompt").fill("basalt")
    expect(page.locator("#marks-negative mark")).to_have_text(["basalt"])
    vary(page, "Prompt")
    expect(page.locator("#marks mark")).to_have_count(0)  # the field is not used
    field(page, "values-prompt").fill("a castle\na castle of basalt")
    expect(page.locator("#error-values-prompt mark")).to_have_text(["basalt"])


def test_things_are_offered_and_chosen(page: Page) -> None:
    field(page, "field-prompt").click()
    field(page, "field-prompt").fill("")
    field(page, "field-prompt").press_sequentially("red umbr")
    page.locator(".dp-offers").get_by_role("button", name="umbrella", exact=True).click()
    expect(field(page, "field-prompt")).to_have_value("red umbrella")
    page.get_by_text("What can it draw?").click()
    expect(page.locator(".dp-known")).to_contain_text("1,317 things, the first 492 of them shown most often")
    expect(page.locator(".dp-known")).to_contain_text("materials and scenes, “a castle made of glass”")
    page.locator(".dp-hues").get_by_role("button", name="green", exact=True).click()
    expect(field(page, "field-prompt")).to_have_value("red umbrella, green background")
    page.get_by_role("searchbox", name="Find a thing").fill("violin")
    page.locator(".dp-things").get_by_role("button", name="violin", exact=True).click()
    expect(field(page, "field-prompt")).to_have_value("violin, green background")
    expect(page.locator(".dp-stale")).to_be_visible()  # the form has heard of it
    page.get_by_role("searchbox", name="Find a thing").fill("castl")
    page.keyboard.press("Enter")  # the first one
    expect(field(page, "field-prompt")).to_have_value("castle, green background")
    page.get_by_role("button", name="Surprise me").click()
    expect(field(page, "field-prompt")).not_to_have_value("castle, green background")
    offers = [page.get_by_role("button", name=name, exact=True) for name in ("Surprise me", "green", "castle")]
    for axis in ("Prompt", "Seed"):
        vary(page, axis)  # while it is varied, the field that they fill is not used
        for offer in offers:
            expect(offer).to_be_disabled() if axis == "Prompt" else expect(offer).to_be_enabled()
