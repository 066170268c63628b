"""The "Inside" tab in a real browser on the real page."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from playground import Recipe
from playground.engine import LocalEngine
from playground.inside import attention
from playground.ui.inside import attention as inside_attention
from tests.conftest import opened_tab, schemes

EARLIER = '#inside-diagram [data-state="earlier"]'
HOSTILE = '<img src=x onerror="window.PWN=1"> ${Object.assign(window,{PWN:1})} {{constructor}}'


@pytest.fixture(scope="module")
def opened(browser: Browser, address: str) -> Iterator[Page]:
    """The tab as a visitor finds it, for tests that leave its fields and its run as they are."""
    with opened_tab(browser, address, "Inside", EARLIER) as page:
        yield page


@pytest.fixture
def tab(browser: Browser, address: str) -> Iterator[Page]:
    """The page with the tab open and its first view there."""
    with opened_tab(browser, address, "Inside", EARLIER) as page:
        yield page


def box(page: Page, name: str):  # noqa: ANN201
    return page.locator(f'.dpi-box[data-opens="{name}"]')


def walk(page: Page) -> None:
    page.locator("#inside-run").click()
    page.locator('#inside-diagram [data-state="done"]').wait_for(timeout=60_000)


def set_field(page: Page, name: str, value: str) -> None:
    page.locator(f"#inside-{name} :is(input, textarea)").first.fill(value)


def few_steps(page: Page) -> None:
    page.get_by_role("button", name="Everything else").last.click()
    set_field(page, "num-inference-steps", "3")


def test_the_skeleton_has_no_place_for_text() -> None:
    assert not re.search(r"\$\{|\{\{|`|\\", inside_attention.SKELETON)


def test_the_tab_opens_with_tokens_shapes_and_the_first_views_picture(opened: Page) -> None:
    assert opened.locator(".dpi-tokens li[data-kind=text] b").all_inner_texts() == [
        "red",
        "apple",
        ",",
        "blue",
        "background",
    ]
    expect(box(opened, "text_encoder")).to_contain_text("32×192")
    expect(box(opened, "unet")).to_contain_text("4×16×16")
    expect(opened.locator("#inside-status")).to_contain_text("rendered earlier")
    expect(opened.locator("#inside-vae")).to_contain_text("48 : 1")
    expect(opened.locator("#dpi-picture")).to_contain_text("DPM++ 2M, 20 steps")
    units = {"k": 1e3, "M": 1e6, "G": 1e9}
    said = [text.split() for text in opened.locator(".dpi-bars dd").all_inner_texts()]
    counts = [float(number) * units[unit] for number, unit in said]
    widths = opened.locator(".dpi-bars i").evaluate_all("all => all.map(bar => bar.getBoundingClientRect().width)")
    assert len(widths) == 4 and widths == pytest.approx([max(widths) * count / max(counts) for count in counts], abs=3)


def test_every_box_opens_its_view_also_from_the_keyboard(opened: Page) -> None:
    for name in ("text_encoder", "noise", "unet", "latents", "decoder", "picture", "tokens"):
        box(opened, name).focus()
        opened.keyboard.press("Enter")
        expect(opened.locator(f"#dpi-{name}")).to_be_visible()
        expect(box(opened, name)).to_have_attribute("aria-expanded", "true")
        assert opened.locator(".dpi-panel:visible").count() == 1
    box(opened, "unet").click()
    assert opened.locator("#dpi-unet tbody tr, #dpi-unet table > tr").count() == 9
    opened.get_by_role("button", name="See where each word looks").click()
    expect(opened.locator("#inside-attention")).to_be_in_viewport()


def test_a_walk_measures_itself_keeps_the_open_box_and_shows_the_way(tab: Page) -> None:
    box(tab, "unet").click()
    few_steps(tab)
    walk(tab)
    expect(tab.locator("#inside-status")).to_contain_text("Measured in this run")
    assert tab.locator("#dpi-unet .dpi-film img").count() == 3
    expect(tab.locator("#dpi-unet")).to_be_visible()
    for name in ("tokens", "text_encoder", "noise", "unet", "decoder"):
        assert re.search(r"\d(\.\d+)? (ms|s)$", box(tab, name).locator(".dpi-ms").inner_text()), name


def test_a_stopped_walk_says_so_and_the_next_one_starts_at_once(tab: Page) -> None:
    few_steps(tab)
    set_field(tab, "num-inference-steps", "300")
    tab.locator("#inside-run").click()
    expect(tab.locator("#inside-status")).to_contain_text(re.compile(r"U-Net call \d+ of 300"), timeout=60_000)
    tab.locator("#inside-stop").click()
    expect(tab.locator("#inside-status")).to_have_text("Stopped.")
    expect(tab.locator("#inside-attention-status")).to_have_text("")  # nothing ran there
    set_field(tab, "num-inference-steps", "3")
    walk(tab)
    expect(tab.locator("#inside-status")).to_contain_text("Measured in this run")
    assert tab.locator("#dpi-unet .dpi-film img").count() == 3


def test_bad_fields_say_so_beside_the_field_and_the_view_stays(tab: Page) -> None:
    few_steps(tab)
    set_field(tab, "num-inference-steps", "0")
    tab.get_by_role("button", name="Everything else").click()  # closed again: the error opens it
    set_field(tab, "seed", "-4")
    expect(tab.locator("#inside-num-inference-steps")).to_be_hidden()
    tab.locator("#inside-seed input").press("Enter")
    expect(tab.locator("#inside-num-inference-steps-error [role=alert]")).to_be_visible()
    expect(tab.locator("#inside-num-inference-steps-error [role=alert]")).to_contain_text("Steps must be")
    expect(tab.locator("#inside-seed-error [role=alert]")).to_contain_text("Seed must be")
    expect(tab.locator('#inside-diagram [data-state="earlier"]')).to_be_visible()


def test_pieces_and_what_is_cut_off_are_said_while_typing(tab: Page) -> None:
    set_field(tab, "prompt", "a Zeppelin " + "apple " * 30)
    expect(tab.locator("#inside-cut")).to_contain_text("“Zeppelin” (5)")
    expect(tab.locator("#inside-cut")).to_contain_text("Cut off, so the model does not see it: apple")


def test_weights_are_shown_token_by_token(tab: Page) -> None:
    few_steps(tab)
    tab.locator("#inside-prompt-weights input").check()
    set_field(tab, "prompt", "(red:1.5) apple")
    expect(tab.locator("#inside-cut")).to_contain_text("Marks are read as weights")
    walk(tab)
    box(tab, "tokens").click()
    tokens = tab.locator("#dpi-tokens .dpi-tokens li")
    expect(tokens.nth(1)).to_have_text(re.compile(r"^red\d+ · weight 1\.5$"))
    expect(tokens.nth(2)).to_have_text(re.compile(r"^apple\d+$"))


def test_typed_markup_stays_text(tab: Page) -> None:
    set_field(tab, "prompt", HOSTILE)
    few_steps(tab)
    walk(tab)
    set_field(tab, "other", HOSTILE + " x")
    tab.locator("#inside-look button, button#inside-look").first.click()
    tab.locator("#inside-maps [data-ready], #inside-maps[data-ready]").first.wait_for(timeout=60_000)
    assert tab.evaluate("window.PWN") is None
    assert tab.locator("img[src=x]").count() == 0
    expect(tab.locator(".dpi-prompt").first).to_have_text(HOSTILE)


def maps_drawn(page: Page) -> None:
    page.locator("#inside-look").click()
    page.locator(".dpi-maps").wait_for(timeout=60_000)


def pixels(page: Page, index: int = 0) -> str:
    return page.locator(".dpi-sides figure > canvas").nth(index).evaluate("c => c.toDataURL()")


def test_attention_is_shown_for_two_prompts_by_word_step_and_resolution(tab: Page) -> None:
    few_steps(tab)
    expect(tab.locator(".dpi-maps")).to_be_hidden()
    maps_drawn(tab)
    expect(tab.locator(".dpi-prompt")).to_have_text(["red apple, blue background", inside_attention.OTHER])
    captions = tab.locator(".dpi-sides figcaption")
    expect(captions.first).to_contain_text("“red”")
    expect(captions.last).to_contain_text("“red”")
    average = pixels(tab)
    tab.get_by_role("button", name="blue").first.click()
    expect(captions.last).to_contain_text("“blue”")
    assert pixels(tab) != average
    tab.get_by_label("Average over the steps").uncheck()
    first = pixels(tab)
    tab.locator(".dpi-step input").focus()
    tab.keyboard.press("End")
    expect(tab.locator('[data-show="step"]')).to_contain_text("3 of 3")
    assert pixels(tab) != first
    fine = pixels(tab)
    tab.get_by_label("4 × 4, 4 layers").check()
    assert pixels(tab) != fine
    tab.get_by_label("Overlay strength in percent").fill("0")
    plain = pixels(tab)
    tab.get_by_role("button", name="apple").first.click()
    assert pixels(tab) == plain  # without overlay there is only the picture


def test_the_shown_shares_are_those_of_the_model_and_sum_to_one(tab: Page, engine: LocalEngine) -> None:
    few_steps(tab)
    set_field(tab, "other", "")
    maps_drawn(tab)
    expect(tab.locator(".dpi-sides figure")).to_have_count(1)
    shown = [float(text.rstrip(" %")) for text in tab.locator(".dpi-words small").all_inner_texts()]
    assert sum(shown) == pytest.approx(100, abs=2.5)  # each is rounded
    *_, found = attention.watch(engine, Recipe(prompt="red apple, blue background", num_inference_steps=3))
    expected = [100 * np.mean(attention.shares(found.maps[8, 8], e.positions)) for e in attention.entries(found.words)]
    assert shown == pytest.approx(expected, abs=0.51)


def test_a_word_that_the_other_prompt_lacks_is_said_to_be_missing(tab: Page) -> None:
    few_steps(tab)
    set_field(tab, "other", "green cat")
    maps_drawn(tab)
    expect(tab.locator(".dpi-sides figcaption").last).to_have_text("This prompt does not have that word.")


def test_a_sample_and_an_upload_go_through_the_vae(opened: Page, tmp_path: Path) -> None:
    psnr = opened.locator("#inside-vae .dpi-facts div", has=opened.get_by_text("PSNR", exact=True)).locator("dd")
    psnr.wait_for()
    shown = [psnr.inner_text()]
    opened.locator("#inside-samples button.thumbnail-item").nth(5).click()
    expect(psnr).not_to_have_text(shown[-1])
    shown.append(psnr.inner_text())
    Image.new("RGB", (60, 40), (200, 40, 30)).save(tmp_path / "plain.png")
    opened.locator("input[type=file]").last.set_input_files(tmp_path / "plain.png")
    expect(psnr).not_to_have_text(shown[-1])
    shown.append(psnr.inner_text())
    assert float(shown[2].removesuffix(" dB")) > float(shown[1].removesuffix(" dB"))  # a plain colour is easier
    (tmp_path / "notes.png").write_text("not a picture")
    opened.locator("input[type=file]").last.set_input_files(tmp_path / "notes.png")
    expect(opened.locator("#inside-picture-error [role=alert]")).to_contain_text("is not a PNG")
    expect(psnr).to_have_text(shown[2])


def test_a_phone_does_not_scroll_sideways(browser: Browser, address: str) -> None:
    phone = browser.new_page(viewport={"width": 390, "height": 844})
    phone.goto(f"{address}?__theme=light")
    phone.get_by_role("tab", name="Compare").wait_for()
    if phone.get_by_role("tab", name="Inside").is_visible():
        phone.get_by_role("tab", name="Inside").click()
    else:  # tabs that do not fit are in the menu at their end
        phone.locator(".overflow-menu > button").click()
        phone.locator(".overflow-dropdown button", has_text="Inside").click()
    phone.locator("#inside-vae .dpi-trip").wait_for()
    for name in ("tokens", "text_encoder", "unet", "decoder"):
        phone.locator(f'.dpi-box[data-opens="{name}"]').click()
        for scheme in schemes(phone):
            assert phone.evaluate("document.documentElement.scrollWidth") <= 390, (name, scheme)
    phone.close()
