"""The "Denoise" tab in a real browser on a real server."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from gradio_client import Client
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from playground.engine import LocalEngine
from playground.schedule import levels
from playground.ui.denoise import tab as denoise
from playground.ui.shared.shipped import start_recipe
from tests.conftest import one_tab, opened_tab, schemes

STEPS = 6  # a short film, so that the tests are quick
DONE = '.dpd[data-runs="1"][data-state="done"]'


@pytest.fixture(scope="module")
def address(engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        start = start_recipe(engine.facts).replace(num_inference_steps=STEPS)
        patch.setattr(denoise, "start_recipe", lambda facts: start)
        with one_tab("Denoise", lambda: denoise.build(engine), tmp_path_factory.mktemp("gradio")) as url:
            yield url


@pytest.fixture(scope="module")
def opened(browser: Browser, address: str) -> Iterator[Page]:
    """The tab as a visitor finds it, for tests that only look at its first film."""
    with opened_tab(browser, address, "Denoise", DONE) as page:
        yield page


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with opened_tab(browser, address, "Denoise", DONE) as page:
        yield page


def done(page: Page, runs: int = 1) -> None:
    page.locator(f'.dpd[data-runs="{runs}"][data-state="done"]').wait_for()


def scrubber(page: Page) -> Locator:
    return page.get_by_role("slider", name="Position in the run")


def scrub(page: Page, position: int) -> None:
    scrubber(page).evaluate("(s, to) => { s.value = to; s.dispatchEvent(new Event('input')) }", position)


def shown(page: Page, name: str, run: int = 0) -> str:
    return page.locator(f'.dpd-run[data-run="{run}"] [data-show="{name}"]').first.inner_text()


def value(text: str) -> float:
    return float(text.replace("−", "-"))


def test_the_skeleton_has_no_place_for_text() -> None:
    assert not re.search(r"\$\{|\{\{|`|\\", denoise.SKELETON)


def test_only_the_endpoint_is_public(address: str) -> None:
    client = Client(address, verbose=False)
    assert list(client.view_api(return_format="dict", print_info=False)["named_endpoints"]) == ["/denoise"]


def test_the_tab_opens_with_a_film_and_scrubbing_asks_the_server_nothing(opened: Page, engine: LocalEngine) -> None:
    stands = levels(start_recipe(engine.facts).replace(num_inference_steps=STEPS), engine.facts.schedule)
    scrub(opened, STEPS)
    picture = opened.locator('.dpd-run [data-pic="x0"]')
    final, requests = picture.get_attribute("src"), []
    expect(opened.locator('.dpd-run [data-show="where"]')).to_have_text(
        f"After {STEPS} of {STEPS} steps: the finished picture"
    )
    opened.on("request", lambda request: None if request.url.startswith("data:") else requests.append(request.url))
    scrubber(opened).focus()
    opened.keyboard.press("Home")
    assert shown(opened, "where") == f"After 0 of {STEPS} steps"
    opened.keyboard.press("ArrowRight")
    opened.keyboard.press("ArrowRight")
    assert shown(opened, "where") == f"After 2 of {STEPS} steps"
    assert value(shown(opened, "t")) == stands[2].t
    assert value(shown(opened, "sigma")) == pytest.approx(stands[2].sigma, abs=5e-3)
    assert value(shown(opened, "logsnr")) == pytest.approx(stands[2].log_snr, abs=5e-3)
    assert value(shown(opened, "step")) == pytest.approx(stands[3].sigma - stands[2].sigma, abs=5e-3)
    assert value(shown(opened, "noise")) == pytest.approx(stands[2].noise, abs=5e-5)
    assert value(shown(opened, "signal")) == pytest.approx(stands[2].signal, abs=5e-5)
    assert picture.get_attribute("src") != final
    assert requests == []


def test_the_last_picture_is_the_engines(opened: Page, engine: LocalEngine) -> None:
    recipe = start_recipe(engine.facts).replace(num_inference_steps=STEPS)
    scrub(opened, STEPS)
    url = opened.locator('.dpd-run [data-pic="x0"]').get_attribute("src")
    with opened.expect_download() as caught:
        opened.evaluate(
            "url => { const a = document.createElement('a'); a.href = url; a.download = 'x'; a.click() }", url
        )
    picture = np.asarray(Image.open(caught.value.path()).convert("RGB")).astype(int)
    assert np.abs(picture - np.asarray(engine.render(recipe).image).astype(int)).max() <= 2


def test_two_runs_are_locked_by_their_share_and_each_shows_its_own_t(page: Page, engine: LocalEngine) -> None:
    assert scrubber(page).input_value() == "2"  # it opens in mid-run, where there is something to see in all pictures
    page.get_by_role("radio", name="Steps").check()
    page.get_by_label("Steps of run B").fill("3")
    page.get_by_role("button", name="Denoise", exact=True).click()
    done(page, 2)
    scrub(page, 4)
    recipe = start_recipe(engine.facts)
    for run, steps, k in ((0, STEPS, 4), (1, 3, 2)):
        stands = levels(recipe.replace(num_inference_steps=steps), engine.facts.schedule)
        assert shown(page, "where", run) == f"After {k} of {steps} steps"
        assert value(shown(page, "t", run)) == stands[k].t
    assert page.locator(".dpd-title").all_inner_texts() == [f"A · Steps {STEPS}", "B · Steps 3"]
    scrub(page, 5)
    assert shown(page, "where", 0) == f"After 5 of {STEPS} steps" and shown(page, "where", 1) == "After 2 of 3 steps"


def test_guidance_is_taken_apart_with_this_steps_numbers(opened: Page) -> None:
    part = opened.locator(".dpd-anatomy")
    scrub(opened, 3)
    filled = part.locator('[data-show="formula-numbers"]').inner_text().replace("−", "-")
    eps, uncond, w, cond, sign, again = re.fullmatch(
        r"(\S+) = (\S+) \+ (\S+) · \((\S+) ([-+]) (\S+)\)", filled
    ).groups()
    difference = float(cond) - float(again) if sign == "-" else float(cond) + float(again)
    assert float(eps) == pytest.approx(float(uncond) + float(w) * difference, abs=6e-3) and float(w) == 5
    expect(part).to_contain_text("What xₜ holds already shows in both answers, also in that without words.")
    expect(part.locator('[data-part="uncond"]')).to_have_attribute("alt", "answer without the prompt, as noise")
    noise = part.locator('[data-part="cond"]').get_attribute("src")
    opened.get_by_role("button", name="As predicted pictures").click()
    assert part.locator('[data-part="cond"]').get_attribute("src") != noise
    scrub(opened, STEPS)
    expect(part).to_contain_text("The run is over; this was its last call.")
    assert part.locator('[data-part="cond"]').get_attribute("src")


def test_without_guidance_the_page_says_that_there_is_no_unconditional_pass(page: Page) -> None:
    page.locator("#denoise-field-guidance-scale input").fill("1")
    page.get_by_role("button", name="Denoise", exact=True).click()
    expect(page.locator(".dpd-anatomy")).to_contain_text("At guidance scale 1 there is no unconditional pass")
    expect(page.locator(".dpd-anatomy")).to_contain_text("for showing only")
    done(page)


def test_the_ruler_draws_both_lists_and_says_where_the_run_stands(opened: Page, engine: LocalEngine) -> None:
    recipe, schedule = start_recipe(engine.facts).replace(num_inference_steps=STEPS), engine.facts.schedule
    opened.get_by_role("slider", name="Step inside the run").evaluate(
        "s => { s.value = 2; s.dispatchEvent(new Event('input')) }"
    )
    stands = levels(recipe, schedule)[2]
    expect(opened.locator(".dpd-verdict")).to_contain_text(f"Step 2 of {STEPS} is not a 2-step run")
    expect(opened.locator(".dpd-verdict")).to_contain_text(f"t = {stands.t:.0f}, with σ = {stands.sigma:.2f}")
    for row, drawn in (("inside", recipe), ("own", recipe.replace(num_inference_steps=2))):
        ticks = opened.locator(f'[data-row="{row}"] i').evaluate_all("all => all.map(i => parseFloat(i.style.left))")
        assert ticks == pytest.approx([100 - 100 * level.t / 999 for level in levels(drawn, schedule)[:-1]], abs=0.01)


def test_the_film_plays_and_pauses(opened: Page) -> None:
    scrub(opened, 0)
    opened.get_by_role("button", name="Play the film").click()
    expect(opened.locator('.dpd-run [data-show="where"]')).to_have_text(f"After 1 of {STEPS} steps")
    opened.get_by_role("button", name="Pause the film").click()
    stopped = scrubber(opened).input_value()
    opened.evaluate("() => new Promise(done => setTimeout(done, 1200))")
    assert scrubber(opened).input_value() == stopped


def test_what_is_downloaded_is_said_in_a_part_of_its_own(opened: Page) -> None:
    part = opened.get_by_role("heading", name="Take the film away")
    expect(opened.locator(".dp-part", has=part)).to_contain_text("x̂₀ of every step")
    button = opened.get_by_role("button", name="Download GIF")
    assert part.bounding_box()["y"] < button.bounding_box()["y"]


@pytest.mark.parametrize(("button", "kind"), [("Download GIF", "GIF"), ("Download WebP", "WEBP")])
def test_the_film_can_be_downloaded(opened: Page, button: str, kind: str) -> None:
    expect(opened.get_by_role("button", name=button)).to_be_enabled()
    with opened.expect_download() as caught:
        opened.get_by_role("button", name=button).click()
    film = Image.open(io.BytesIO(Path(caught.value.path()).read_bytes()))
    assert film.format == kind and film.n_frames == STEPS + 1


def test_the_film_can_be_downloaded_as_a_video(opened: Page) -> None:
    expect(opened.get_by_role("button", name="Download MP4")).to_be_enabled()
    with opened.expect_download() as caught:
        opened.get_by_role("button", name="Download MP4").click()
    assert caught.value.suggested_filename.endswith(".mp4")
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(caught.value.path())
    assert frames == STEPS + 10 and seconds == pytest.approx(0.2 * STEPS + 2, abs=0.3)


def test_a_stopped_film_makes_room_for_the_next_one(page: Page) -> None:
    steps = page.locator("#denoise-field-num-inference-steps input")
    denoise = page.get_by_role("button", name="Denoise", exact=True)
    steps.fill("300")
    denoise.click()
    expect(page.locator("[data-show=how]")).to_contain_text("Of a run of 300 steps, one in 5 is kept.")
    page.locator("#denoise-stop").click()
    steps.fill("4")
    denoise.click()
    done(page)
    expect(scrubber(page)).to_have_attribute("max", "4")
    steps.fill("250")
    denoise.click()
    expect(page.locator("[data-show=how]")).to_contain_text("Of a run of 250 steps")
    steps.fill("6")
    denoise.click()  # without Stop: the later one takes its place
    done(page)
    expect(scrubber(page)).to_have_attribute("max", "6")


def test_bad_values_are_refused_beside_their_field_and_the_film_stays(page: Page) -> None:
    before = page.locator('.dpd-run [data-pic="x0"]').get_attribute("src")
    page.locator("#denoise-field-seed input").fill("-4")
    page.locator("#denoise-field-seed input").press("Enter")
    expect(page.locator("#denoise-error-seed").get_by_role("alert")).to_have_text(
        "Seed must be from 0 to 4,294,967,295, not -4."
    )
    page.locator("#denoise-field-prompt textarea").fill("apple of basalt")
    expect(page.locator("#denoise-marks-prompt mark")).to_have_text(["basalt"])
    page.locator("#denoise-field-seed input").fill("0")
    page.get_by_role("radio", name="Sampler").check()
    page.locator("#denoise-second-sampler input").click()
    page.get_by_role("option", name="DPM++ 2M", exact=True).click()
    page.get_by_role("button", name="Denoise", exact=True).click()
    expect(page.locator("#denoise-error-second").get_by_role("alert")).to_contain_text("is that of run A")
    expect(page.locator("#denoise-error-seed").get_by_role("alert")).to_have_count(0)
    assert page.locator('.dpd-run [data-pic="x0"]').get_attribute("src") == before


def test_a_prompt_is_never_run_as_code(page: Page) -> None:
    picture = page.locator('.dpd-run [data-pic="x0"]')
    before = picture.get_attribute("src")
    page.locator("#denoise-field-prompt textarea").fill("${window.pwned=1}<img src=x onerror=window.pwned=1>{{this}}")
    page.get_by_role("button", name="Denoise", exact=True).click()
    expect(picture).not_to_have_attribute("src", before)
    done(page)
    assert page.evaluate("window.pwned") is None


def test_a_phone_does_not_scroll_sideways(browser: Browser, address: str) -> None:
    phone = browser.new_page(viewport={"width": 390, "height": 844})
    phone.goto(f"{address}?__theme=light")
    phone.get_by_role("tab", name="Denoise").click()
    done(phone)
    phone.get_by_role("radio", name="Seed").check()
    phone.get_by_role("button", name="Denoise", exact=True).click()
    done(phone, 2)
    for scheme in schemes(phone):
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390, scheme
        for part in (".dpd-runs", ".dpd-timeline", ".dpd-strip", ".dpd-four", ".dpd-curve", ".dpd-ruler"):
            box = phone.locator(part).bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= 390, (scheme, part)
    phone.close()
