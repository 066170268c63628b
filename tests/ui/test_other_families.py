"""The whole page and every endpoint with transformers that were taught flow matching: SD 3, and Flux, whose latents
are packed and whose network is told a scale; and with a model of no family."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from gradio_client import Client, handle_file
from playwright.sync_api import Browser, Page, expect

from playground import open_engine
from playground.models.families import flux
from playground.store import Store
from playground.ui.shared.shipped import EXAMPLES
from tests.conftest import whole_page
from tests.models.test_whole import aura_flow
from tests.models.tiny_families import build_family
from tests.ui.compare.support import fill

PATIENCE = 120_000  # ms
SIDE = 64
FEW = 4  # steps
Serve = Callable[[str], AbstractContextManager[str]]
# What differs: how often Compare has a true CFG scale, the words under "Guidance, taken apart", the axes with what
# three pictures cost, what a guided recipe says, and what is refused.
TEXTS: dict[str, dict[str, Any]] = {
    "sd3-tiny": {
        "true_cfg": 0,
        "guidance": ["Each step asks the network twice", "7 times the way (guidance scale)"],
        "axes": {"guidance_scale": [2, 4, 4]},
        "guided": {"guidance_scale": 2},
        "network": "SD3Transformer2DModel",
        "refused": [
            ({"true_cfg_scale": 2}, "true_cfg_scale must be 1 for this model"),
            ({"sampler": "ddim"}, "sampler must be one of euler, heun, "),
        ],
    },
    "flux-dev-tiny": {
        "true_cfg": 1,
        "guidance": ["At true CFG scale 1 there is no unconditional pass", "the network is told guidance scale 3.5"],
        "axes": {"guidance_scale": [2, 2, 2], "true_cfg_scale": [2, 4, 4]},  # it is told the one, and asked once a step
        "guided": {"true_cfg_scale": 2},
        "network": "FluxTransformer2DModel",
        "refused": [
            ({"sampler": "ddim"}, "sampler must be one of euler, dpmpp_2m, unipc for this model"),
            ({"true_cfg_scale": 0.5}, "true_cfg_scale must be from 1 to 20"),
        ],
    },
}


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """Opens the page of one of tiny_families.FAMILIES -> its address."""

    @contextmanager
    def served(kind: str) -> Iterator[str]:
        from playground.ui.page import build_page, launch_options

        folder, store = build_family(kind, tmp_path_factory.mktemp("models")), Store(tmp_path_factory.mktemp("cells"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(flux, "SIDE", SIDE)  # which no config of such a model says
            engine = open_engine(folder, torch.device("cpu"), torch.float32)
            patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
            page = build_page(engine, store)
            _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options())
            yield url
            page.close()
            store.close()
            engine.close()

    return served


def after_its_first_run(browser: Browser, url: str, steps: int | None = None) -> tuple[Page, list[str]]:
    """The page, and what its scripts throw, now and later; `steps` are put into the form, which then shows all."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(url)
    if steps is not None:
        page.locator("#everything-else > button").click(timeout=PATIENCE)
        page.locator("#field-num-inference-steps input").fill(str(steps))
    page.get_by_role("button", name="Run", exact=True).click(timeout=PATIENCE)
    expect(page.locator("#total")).to_contain_text(re.compile(r"(\d+) of \1 pictures"), timeout=PATIENCE)
    return page, faults


@pytest.mark.parametrize("kind", TEXTS)
def test_every_tab_and_every_endpoint_answers_for_transformers_taught_flow_matching(
    browser: Browser, serve: Serve, tmp_path: Path, kind: str
) -> None:
    texts = TEXTS[kind]
    with serve(kind) as url:
        page, faults = after_its_first_run(browser, url, FEW)
        expect(page.locator("[role=alert]:visible")).to_have_count(0)
        expect(page.locator("#vary").get_by_text("True CFG scale", exact=True)).to_have_count(texts["true_cfg"])
        expect(page.locator("#field-guidance-scale")).to_be_visible()
        expect(page.locator("#field-true-cfg-scale")).to_have_count(texts["true_cfg"])

        page.get_by_role("tab", name="Add noise", exact=True).click()
        expect(page.get_by_text("(1 − σ) · x0 + σ · ε")).to_be_visible(timeout=PATIENCE)
        expect(page.locator('.dpn[data-flow="true"]')).to_be_visible(timeout=PATIENCE)
        expect(page.locator(".dpn-visits")).to_contain_text("Marked on the timeline: 20 levels σ. 1, 0.")
        expect(page.locator(".dpn-marks span").first).to_have_attribute("style", "left: 100%;")
        expect(page.locator(".dpn-parts figcaption").first).to_have_text("what is left of the picture, (1 − σ) · x0")
        page.get_by_role("radio", name="Cosine").check()
        expect(page.locator(".dpn-visits")).to_contain_text("taught flow matching", timeout=PATIENCE)
        expect(page.locator('.dpn[data-flow="false"]')).to_be_visible(timeout=PATIENCE)
        expect(page.locator(".dpn-marks span")).to_have_count(0)
        expect(page.locator(".dpn-parts figcaption").first).to_have_text("what is left of the picture, √ᾱ · x0")

        page.get_by_role("tab", name="Predict noise", exact=True).click()
        page.locator(".dpp-found b").first.wait_for(timeout=PATIENCE)
        expect(page.get_by_text("must name the velocity v = ε − x")).to_be_visible(timeout=PATIENCE)
        expect(page.locator("#pn-t")).to_contain_text("0 is the picture.")
        page.get_by_role("button", name="Let it guess from here").click()
        expect(page.locator(".dpp-result")).to_contain_text("transformer evaluations", timeout=PATIENCE)

        page.get_by_role("tab", name="Denoise", exact=True).click()
        page.locator("#denoise-field-num-inference-steps input").fill(str(FEW), timeout=PATIENCE)
        page.locator("#denoise-run").click()
        expect(page.get_by_role("slider", name="Position in the run")).to_have_attribute(
            "max", str(FEW), timeout=PATIENCE
        )
        page.locator('.dpd[data-state="done"]').wait_for(timeout=PATIENCE)
        expect(page.locator(".dpd")).to_contain_text("This network answers with v = ε − x₀")
        expect(page.get_by_text("the network's answer says which noise is in")).to_be_visible()
        for words in texts["guidance"]:
            expect(page.locator(".dpd-anatomy")).to_contain_text(words)
        expect(page.locator("#denoise-field-true-cfg-scale")).to_have_count(texts["true_cfg"])

        page.get_by_role("tab", name="Inside", exact=True).click()
        page.locator("#inside-diagram .dpi").wait_for(timeout=PATIENCE)
        page.get_by_role("button", name="Everything else").locator("visible=true").click()
        page.locator("#inside-num-inference-steps input").fill(str(FEW))
        page.locator("#inside-run").click()
        page.locator('#inside-diagram [data-state="done"]').wait_for(timeout=PATIENCE)
        expect(page.locator('[data-opens="unet"]')).to_contain_text(f"Transformer × {FEW}")
        over = page.locator("[data-opens] b").evaluate_all(
            "names => names.filter((name) => { const text = new Range(); text.selectNodeContents(name);"
            " const [own, box] = [text, name.parentElement].map((part) => part.getBoundingClientRect());"
            " return own.right > box.right - 4 }).map((name) => name.textContent)"
        )
        assert over == []
        expect(page.get_by_text("in which no map of a single word can be shown here")).to_be_visible()
        expect(page.locator("#inside-guidance-scale")).to_be_visible()
        expect(page.locator("#inside-true-cfg-scale")).to_have_count(texts["true_cfg"])

        page.get_by_role("tab", name="Lessons", exact=True).click()
        expect(page.get_by_text("Lesson 1 of")).to_be_visible()
        page.get_by_role("button", name="Glossary").click()
        for words in ("the velocity v = ε − x₀", "that of the picture is 1 − σ", "Flow matching, as this model was"):
            expect(page.locator("dialog.dp-glossary")).to_contain_text(words)
        page.close()
        assert faults == []
        answers(Client(url, verbose=False, download_files=str(tmp_path)), texts)


def answers(client: Client, texts: dict[str, Any]) -> None:
    """Each of the five endpoints, asked for little."""
    recipe = {"prompt": "cat", "negative_prompt": "owl", "num_inference_steps": 2, "width": SIDE, "height": SIDE}
    for axis, evaluations in texts["axes"].items():
        files, cells = client.predict({"base": recipe, "axes": {axis: [1, 3.5, 7]}}, api_name="/render_grid")
        assert len({Path(file).read_bytes() for file in files}) == 3
        assert [cell["evaluations"] for cell in cells] == evaluations
    _, told = client.predict(recipe | texts["guided"], api_name="/denoise")
    assert len(told["steps"]) == 2 and told["unconditional"] == "used"
    sigmas = [step["sigma"] for step in told["steps"]]
    assert sigmas == pytest.approx([step["t"] / 1000 for step in told["steps"]], abs=1e-3)
    report, _ = client.predict(recipe | texts["guided"], api_name="/inspect_prompt")
    assert report["evaluations"] == 4 and report["stages"][3]["class_name"] == texts["network"]
    for wrong, said in texts["refused"]:
        with pytest.raises(Exception, match=said):
            client.predict(recipe | wrong, api_name="/denoise")
    picture = handle_file(str(EXAMPLES / "images" / "flower.webp"))
    _, numbers = client.predict(picture, 999, "flow", 0, api_name="/add_noise")
    assert (numbers["sqrt_alpha_bar"], numbers["sqrt_one_minus_alpha_bar"], numbers["log_snr"]) == (0, 1, None)
    files, numbers = client.predict(picture, "cat", 500, 0, 4, api_name="/predict_noise")
    assert [Path(file).stem for file in files] == ["x_t", "epsilon", "predicted", "x0", "guess"]
    assert numbers["loss"] > 0 and numbers["guess"]["num_inference_steps"] == 4


def test_a_model_of_no_family_draws_grids_and_says_what_is_not_offered(
    browser: Browser, tmp_path: Path, store: Store
) -> None:
    engine = open_engine(aura_flow(tmp_path / "aura-tiny"), torch.device("cpu"), torch.float32)
    with whole_page(engine, store, tmp_path / "gradio") as url:
        page, faults = after_its_first_run(browser, url)
        expect(page.locator("#total")).to_contain_text("Each picture was drawn alone.")
        expect(page.get_by_text("PyTorch, one picture at a time")).to_be_visible()
        fill(page, "field-prompt", "another")  # how often its network is asked shows only as it runs
        expect(page.locator("#cost")).to_contain_text("steps of a pipeline of its own", timeout=PATIENCE)
        for title in ("Add noise", "Predict noise", "Denoise", "Inside"):
            page.get_by_role("tab", name=title, exact=True).click()
            said = page.locator("p:visible").filter(has_text="so this view is not offered for it")
            expect(said).to_have_count(1)
        page.get_by_role("tab", name="Lessons", exact=True).click()
        expect(page.get_by_text("Lesson 1 of")).to_be_visible()
        page.close()
        assert faults == []
        client, own = Client(url, verbose=False, download_files=str(tmp_path)), "is run by its own pipeline"
        recipe = {"prompt": "cat", "num_inference_steps": 2, "sampler": "euler"}
        _, cells = client.predict({"base": recipe, "axes": {"seed": [1, 2]}}, api_name="/render_grid")
        assert [cell["evaluations"] for cell in cells] == [4, 4]
        with pytest.raises(Exception, match="clip_skip must be 0 for this model: its pipeline does not take it"):
            client.predict({"base": recipe | {"clip_skip": 1}, "axes": {"seed": [1]}}, api_name="/render_grid")
        picture = handle_file(str(EXAMPLES / "images" / "flower.webp"))
        for endpoint, asked in {
            "/denoise": (recipe,),
            "/inspect_prompt": (recipe,),
            "/predict_noise": (picture, "cat", 500, 0),
        }.items():
            with pytest.raises(Exception, match=own):
                client.predict(*asked, api_name=endpoint)
    engine.close()
