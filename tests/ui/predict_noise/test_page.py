"""The "Predict noise" tab in a real browser on a real server, and /predict_noise through gradio_client."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from playground import Recipe, pictures
from playground.engine import Encode, LocalEngine
from playground.inside.guess import guess
from playground.inside.latent_noise import channel_tiles
from playground.inside.prediction import predict
from playground.ui.predict_noise import tab as predict_noise
from playground.ui.predict_noise.rail import SAMPLES, WRONG
from playground.ui.shared.shipped import EXAMPLES
from tests.conftest import one_tab, opened_tab, schemes
from tests.ui.answered import answered

APPLE = EXAMPLES / "first_view" / "2.png"
CAPTION = "red apple, blue background"


@pytest.fixture(scope="module")
def address(engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with one_tab("Predict noise", lambda: predict_noise.build(engine), tmp_path_factory.mktemp("gradio")) as url:
        yield url


@pytest.fixture(scope="module")
def client(address: str, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(address, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with opened_tab(browser, address, "Predict noise", ".dpp-found b") as page:
        yield page


@pytest.fixture(scope="module")
def x0(engine: LocalEngine) -> torch.Tensor:
    (answer,) = engine.ask([Encode(pictures.open_picture(APPLE, 128))])
    return answer.value


def loss(page: Page) -> float:
    return float(page.locator(".dpp-formulas p").nth(2).locator("b").inner_text())


# the endpoint


def test_the_endpoint_gives_files_and_numbers(client: Client, engine: LocalEngine, x0: torch.Tensor) -> None:
    files, numbers = client.predict(handle_file(str(APPLE)), CAPTION, 640, 4, None, api_name="/predict_noise")
    assert [Path(f).name for f in files] == ["x_t.png", "epsilon.png", "predicted.png", "x0.png"]
    answer, none = predict(engine, x0, [CAPTION, ""], 640, 4)
    assert numbers["loss"] == pytest.approx(answer.loss, rel=1e-4)
    assert numbers["loss_without_prompt"] == pytest.approx(none.loss, rel=1e-4)
    assert numbers["alpha_bar"] == pytest.approx(answer.alpha_bar) and numbers["values"] == 1024
    epsilon = np.asarray(Image.open(files[1]))
    assert np.array_equal(epsilon, np.asarray(channel_tiles(answer.epsilon)))
    shown = np.asarray(Image.open(files[3])).astype(int)
    assert np.abs(shown - np.asarray(engine.model.decode(answer.x0)[0]).astype(int)).max() <= 2


def test_the_endpoint_guesses_when_asked(client: Client) -> None:
    files, numbers = client.predict(handle_file(str(APPLE)), CAPTION, 640, 4, 10, api_name="/predict_noise")
    assert Path(files[4]).name == "guess.png" and Image.open(files[4]).size == (128, 128)
    assert numbers["guess"]["timesteps"] == [601, 501, 401, 301, 201, 101, 1]
    assert int(10 * numbers["guess"]["strength"]) == 7  # what StableDiffusionImg2ImgPipeline makes of it


def test_the_endpoint_guesses_with_the_sampler_that_is_asked_for(
    client: Client, engine: LocalEngine, x0: torch.Tensor
) -> None:
    files, numbers = client.predict(handle_file(str(APPLE)), CAPTION, 640, 4, 4, "euler", api_name="/predict_noise")
    assert numbers["guess"]["sampler"] == "euler"
    recipe = Recipe(prompt=CAPTION, sampler="euler", num_inference_steps=4, guidance_scale=5.0, seed=4)
    *_, done = guess(engine, x0, recipe, 640)
    difference = np.asarray(Image.open(files[4])).astype(int) - np.asarray(done.result.image).astype(int)
    assert np.abs(difference).max() <= 2
    with pytest.raises(AppError, match="sampler must be one of"):
        client.predict(handle_file(str(APPLE)), CAPTION, 640, 4, 4, "<b>", api_name="/predict_noise")


@pytest.mark.parametrize(
    ("prompt", "t", "seed", "steps", "sentence"),
    [
        (CAPTION, 1000, 0, None, "t must be a whole number from 0 to 999."),
        (CAPTION, 2.5, 0, None, "t must be a whole number from 0 to 999."),
        (CAPTION, 5, -1, None, "seed must be from 0 to 4,294,967,295, not -1."),
        ("x" * 1001, 5, 0, None, "prompt must have at most 1,000 characters; this one has 1,001."),
        (CAPTION, 5, 0, 0, "num_inference_steps must be from 1 to 1,000, not 0."),
        (CAPTION, 500, 0, 200, "num_inference_steps must be at most 100 here."),
        (CAPTION, 0, 0, 10, "t = 0 lies below 1"),
        (CAPTION, 5, 10**400, None, "seed must be from 0 to 4,294,967,295, not 1000"),
    ],
)
def test_the_endpoint_refuses_in_one_sentence(
    client: Client, prompt: str, t: object, seed: int, steps: object, sentence: str
) -> None:
    with pytest.raises(AppError, match=re.escape(sentence)):
        client.predict(handle_file(str(APPLE)), prompt, t, seed, steps, api_name="/predict_noise")


def test_an_unknown_sampler_is_refused_also_where_nothing_is_guessed(client: Client) -> None:
    with pytest.raises(AppError, match="sampler must be one of"):
        client.predict(handle_file(str(APPLE)), CAPTION, 640, 4, None, "plms", api_name="/predict_noise")


def test_only_the_endpoint_is_public(client: Client) -> None:
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert list(endpoints) == ["/predict_noise"]
    names = [parameter["parameter_name"] for parameter in endpoints["/predict_noise"]["parameters"]]
    assert names == ["picture", "prompt", "t", "seed", "num_inference_steps", "sampler", "example"]


# the page


def test_the_samples_that_pocket_is_said_to_have_drawn_are_what_it_draws(engine: LocalEngine) -> None:
    drawn = [sample for sample in SAMPLES if sample[1].endswith("drawn by Pocket")]
    for (name, _, caption), seed in zip(drawn, (0, 1, 7, 8), strict=True):
        picture = engine.render(Recipe(prompt=caption, num_inference_steps=20, guidance_scale=5.0, seed=seed)).image
        shown = np.asarray(Image.open(EXAMPLES / name).convert("RGB")).astype(int)
        assert np.abs(np.asarray(picture).astype(int) - shown).max() <= 2, name


def test_the_stage_shows_what_was_asked(page: Page, engine: LocalEngine, x0: torch.Tensor) -> None:
    expect(page.locator("#pn-t")).to_contain_text("0 is nearly the picture.")
    right, wrong, none = predict(engine, x0, [CAPTION, WRONG, ""], 500, 0)
    assert loss(page) == pytest.approx(right.loss, abs=1e-3)
    rows = page.locator(".dpp-table tbody tr")
    shown = [float(rows.nth(i).locator("td").first.inner_text()) for i in range(3)]
    assert shown == pytest.approx([right.loss, wrong.loss, none.loss], abs=1e-3)
    expect(page.locator(".dpp-figures img")).to_have_count(6)
    page.get_by_role("spinbutton", name="Timestep t").fill("900")
    page.keyboard.press("Enter")
    expect(page.locator(".dpp-formulas")).to_contain_text("At t = 900: xt")
    assert loss(page) < right.loss  # this model names strong noise better than weak noise


def test_a_wrong_caption_costs_more(page: Page) -> None:
    before = loss(page)
    page.locator("#pn-caption textarea").fill("yellow fish, green background")
    expect(page.locator(".dpp-formulas p").nth(2).locator("b")).not_to_have_text(f"{before:.4f}", timeout=15_000)
    assert loss(page) > before


def test_the_curve_says_how_many_draws_it_holds_and_is_always_that_of_the_fields(page: Page) -> None:
    found = page.locator(".dpp-found")
    expect(page.get_by_text("is nearly all noise there, and naming it is easy")).to_be_visible()
    expect(page.locator(".dpp-blank")).to_have_count(0)  # no grey boxes before anybody asked for a guess
    expect(found).to_contain_text("Every point is one draw of ε")
    page.get_by_role("button", name="Average over 8 draws").click()
    expect(found).to_contain_text("the mean of", timeout=30_000)
    page.locator("#pn-caption textarea").fill("red fish, green background")
    page.locator("#pn-caption textarea").blur()  # measured again, while the average is still being measured
    expect(found).to_contain_text("Every point is one draw of ε", timeout=30_000)
    page.get_by_role("button", name="Average over 8 draws").click()
    expect(found).to_contain_text("the mean of 8 draws", timeout=60_000)
    averaged = found.inner_text()
    page.locator("#pn-caption textarea").focus()
    page.locator("#pn-caption textarea").blur()  # nothing was changed, so nothing is measured
    page.wait_for_timeout(1500)
    assert found.inner_text() == averaged


def test_forward_and_reverse_meet(page: Page) -> None:
    page.get_by_label("Steps").fill("5")
    page.get_by_role("button", name="Let it guess from here").click()
    expect(page.locator(".dpp-result img")).to_have_count(2, timeout=30_000)
    expect(page.locator(".dpp-result")).to_contain_text("took 3 of 5 DDIM steps")
    rows = page.locator(".dpp-timeline tbody tr")
    meet = [page.request.get(rows.nth(i).locator("img").last.evaluate("i => i.src")).body() for i in (0, 1)]
    forward, reverse = (np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int) for data in meet)
    assert np.abs(forward - reverse).max() <= 2  # the same x_t by the formula and by the scheduler, up to rounding


def test_another_sampler_guesses_with_its_own_timesteps(page: Page) -> None:
    page.locator("#pn-field-sampler input").click()
    page.get_by_role("option", name="Euler a", exact=True).click()
    page.get_by_label("Steps").fill("4")
    page.get_by_label("Steps").press("Enter")
    expect(page.locator(".dpp-result")).to_contain_text("took 2 of 4 Euler a steps", timeout=30_000)
    assert page.locator(".dpp-timeline thead th").all_inner_texts()[1:] == ["t = 0", "t = 0", "t = 333"]


def test_a_guess_can_be_stopped_and_made_again(page: Page) -> None:
    ended, result = page.locator("#pn-ended"), page.locator(".dpp-result img")
    back = page.locator(".dpp-timeline tbody tr").nth(1).locator("img")
    page.get_by_label("Steps").fill("100")
    page.get_by_label("Timestep t").and_(page.locator("input[type=number]")).fill("999")
    page.get_by_role("button", name="Let it guess from here").click()
    expect(back.first).to_be_visible(timeout=30_000)
    page.locator("#pn-stop").click()
    expect(ended).to_have_text("Stopped the guess from t = 999 with 100 DDIM steps. What it had drawn stays.")
    drawn = back.count()
    page.wait_for_timeout(1500)
    assert 0 < back.count() == drawn < 8 and result.count() == 0  # nothing comes after it
    page.locator("#pn-stop").click()  # nothing is under way, so there is nothing to say
    page.get_by_label("Steps").fill("4")
    page.get_by_role("button", name="Let it guess from here").click()
    expect(result).to_have_count(2, timeout=30_000)
    expect(ended).to_have_text("")


def test_bad_fields_are_refused_beside_them_and_nothing_changes(page: Page) -> None:
    before = page.locator(".dpp-main").inner_html()
    page.get_by_label("Seed of ε").fill("-4")
    expect(page.get_by_role("alert")).to_have_text("Seed of ε must be from 0 to 4,294,967,295, not -4.")
    assert page.locator(".dpp-main").inner_html() == before
    page.get_by_label("Seed of ε").fill("3")
    expect(page.get_by_role("alert")).to_have_count(0)
    caption = page.locator("#pn-caption textarea")
    right = caption.input_value()
    caption.fill("x" * 1001)
    expect(page.get_by_role("alert")).to_have_text("Caption must have at most 1,000 characters; this one has 1,001.")
    caption.fill(right)
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_label("Steps").fill("0")
    page.get_by_label("Guidance scale").fill("99")
    page.get_by_role("button", name="Let it guess from here").click()
    expect(page.locator("#pn-error-num-inference-steps")).to_contain_text("Steps must be from 1")
    expect(page.locator("#pn-error-guidance-scale")).to_contain_text("Guidance scale must be from 0 to 50")


def test_what_a_guess_was_refused_for_is_no_longer_said_once_it_is_mended(page: Page) -> None:
    page.locator("#pn-t input[type=number]").fill("0")
    page.get_by_role("button", name="Let it guess from here").click()
    expect(page.get_by_role("alert")).to_contain_text("t = 0 lies below 1")
    page.locator("#pn-t input[type=number]").fill("500")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_timestep_outside_the_schedule_is_said_beside_it(page: Page) -> None:
    number = page.locator("#pn-t input[type=number]")
    number.fill("5000")
    expect(page.get_by_role("alert")).to_contain_text("t must be")
    number.blur()  # the slider goes back to its end, and so does everything else
    expect(number).to_have_value("999")
    expect(page.locator(".dpp-formulas")).to_contain_text("999")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_the_last_of_two_samples_chosen_quickly_is_shown(page: Page, engine: LocalEngine) -> None:
    with answered(page) as asked:
        with engine._ticking:  # nobody gets an answer meanwhile
            page.get_by_role("button", name="Thumbnail 2").click()
            page.get_by_role("button", name="Thumbnail 3").click()
            page.wait_for_timeout(500)
        expect(page.locator("#pn-caption textarea")).to_have_value("cat, yellow background")
    expect(page.locator("#pn-caption textarea")).to_have_value("cat, yellow background")
    assert asked


def test_a_caption_is_text_and_nothing_else(page: Page) -> None:
    for payload in ("{{value}} ${Object.assign(window,{PWN:1})}", "<img src=x onerror='window.PWN=1'>"):
        before = f"{loss(page):.4f}"
        page.locator("#pn-caption textarea").fill(payload)
        expect(page.locator(".dpp-formulas p").nth(2).locator("b")).not_to_have_text(before, timeout=15_000)
        page.locator("#pn-caption textarea").press("Enter")
    assert page.evaluate("window.PWN") is None


def test_an_upload_is_asked_about_and_a_text_file_refused(page: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("not a picture")
    before = page.locator(".dpp-figures img").first.get_attribute("src")
    page.locator("input[type=file]").set_input_files(tmp_path / "notes.png")
    expect(page.get_by_role("alert")).to_contain_text("is not a PNG")
    assert page.locator(".dpp-figures img").first.get_attribute("src") == before
    Image.new("RGB", (60, 90), (250, 120, 10)).save(tmp_path / "mine.png")
    page.locator("input[type=file]").set_input_files(tmp_path / "mine.png")
    expect(page.locator(".dpp-figures img").first).not_to_have_attribute("src", before)
    expect(page.locator("#pn-caption textarea")).to_have_value("")
    against = page.locator(".dpp-table tbody td:last-child")
    expect(against.first).to_have_text("–")  # where nothing was said there is nothing to compare
    expect(against.nth(1)).to_contain_text("%")
    expect(page.locator(".dpp-found")).to_contain_text("the right words have a line of their own")
    expect(page.get_by_text("0.000000")).to_have_count(0)


def test_a_phone_does_not_scroll_sideways(browser: Browser, address: str) -> None:
    phone = browser.new_page(viewport={"width": 390, "height": 844})
    phone.goto(f"{address}?__theme=light")
    phone.get_by_role("tab", name="Predict noise").click()
    phone.locator(".dpp-found b").first.wait_for()
    for scheme in schemes(phone):
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390, scheme
    phone.close()
