"""Compare with other models than the embedded one: their own examples, and a first grid that says that it is empty."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from gradio_client import Client
from playwright.sync_api import Browser, Page, expect

from playground.engine import Done, LocalEngine
from playground.refusal import Refusal
from playground.render import render
from playground.store import Store
from playground.ui.compare.caption import say
from playground.ui.compare.opening import first_values, kept_grid, says
from playground.ui.shared import glossary
from playground.ui.shared.offered import examples_for
from playground.ui.shared.shipped import examples, measured_guidance
from tests.conftest import whole_page
from tests.models.tiny import KINDS

RUN_TIMEOUT = 120_000  # ms; generous, because other work may share the machine


@pytest.fixture(scope="module")
def turbo_engine(engines: dict[str, LocalEngine]) -> LocalEngine:
    return engines["turbo-tiny"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_example_is_one_that_the_model_can_draw(engines: dict[str, LocalEngine], kind: str) -> None:
    facts, engine = engines[kind].facts, engines[kind]
    found = examples_for(facts, engine.check)
    titles = [example.title for example in found]
    assert len(set(titles)) == len(titles) and {"Steps", "Samplers", "Seeds", "Wording"} <= set(titles)
    assert ("Guidance" in titles) == ("Negative prompt" in titles) == (kind != "turbo-tiny")
    for example in found:
        (axis,) = example.sweep.axes
        assert len(example.sweep.axes[axis]) >= 2
        for recipe in example.sweep.recipes():
            engine.check(recipe)
            assert (recipe.model, recipe.width, recipe.height) == (kind, facts.side, facts.side)
            usual = facts.usual.replace(**{name: getattr(recipe, name) for name in ("prompt", "seed", axis)})
            assert recipe == usual  # nothing but the words, the seed and what is varied
        assert first_values(facts)[axis] == example.sweep.axes[axis]


def test_numbers_lie_around_the_usual_ones(engines: dict[str, LocalEngine]) -> None:
    values = {kind: first_values(engine.facts) for kind, engine in engines.items()}
    assert values["sd15-tiny"]["guidance_scale"] == [1, 4, 7.5, 11, 15]
    assert values["sd15-tiny"]["num_inference_steps"] == [3, 6, 12, 25, 50]
    assert values["turbo-tiny"]["num_inference_steps"] == [1, 2, 4, 8]
    assert set(values["zero-snr-tiny"]["sampler"]) <= set(engines["zero-snr-tiny"].facts.samplers)


def test_a_negative_prompts_example_has_the_guidance_that_it_needs(engines: dict[str, LocalEngine]) -> None:
    facts = replace(engines["sd15-tiny"].facts, guidance="embedded", cfg="true_cfg_scale")
    scales = {example.title: example.sweep.base.true_cfg_scale for example in examples_for(facts, facts.check)}
    assert scales.pop("Negative prompt") > 1 and set(scales.values()) == {1}
    assert set(glossary.entries(True)[1]["words"]) & {"true CFG scale"}  # and its page explains that scale
    assert not [entry for entry in glossary.entries(False) if "true CFG scale" in entry["words"]]


def test_the_glossary_explains_the_network_that_the_model_has() -> None:
    for network, other in (("U-Net", "transformer"), ("transformer", "U-Net")):
        terms = [entry["term"] for entry in glossary.entries(network=network)]
        assert network in terms and other not in terms


@pytest.mark.parametrize(
    ("predicts", "answers_with"),
    [
        ("epsilon", "The network's answer to the question which noise was added"),
        ("v_prediction", "the velocity v = √ᾱ · ε − √(1−ᾱ) · x₀"),
        ("flow_prediction", "the velocity v = ε − x₀"),
        ("sample", "the clean picture"),
    ],
)
def test_the_glossary_says_what_the_network_was_taught_to_answer(predicts: str, answers_with: str) -> None:
    found = glossary.entries(predicts=predicts)
    means = {entry["term"]: entry["means"] for entry in found}
    assert len(means) == len(found) == len(glossary.entries())  # each term once, with every model
    assert answers_with in means["ε_θ"]
    assert ("the answer itself" in means["loss, L"]) == (predicts != "epsilon")
    flow = predicts == "flow_prediction"
    straight = {"σ (sigma)": "1 − σ", "schedule": "a straight line", "ᾱ (alpha bar)": "has none"}
    assert [words in means[term] for term, words in straight.items()] == [flow] * 3


def test_loras_have_examples_where_the_model_has_them(engines: dict[str, LocalEngine]) -> None:
    facts = replace(engines["sd15-tiny"].facts, loras={"cut": "", "ink": ""})

    def check(recipe: object) -> None:
        if dict(recipe.loras).get("cut"):
            raise Refusal("The file of the LoRA cut is damaged.")

    found = {example.title: example.sweep for example in examples_for(facts, check)}
    assert "LoRA cut" not in found and list(found["LoRA ink"].axes) == ["loras.ink"]
    assert not [title for title in found if title in ("Four steps", "Style")]  # those of the embedded model


def test_the_embedded_model_opens_with_what_ships(engine: LocalEngine, store: Store) -> None:
    facts = engine.facts
    shown = examples_for(facts, engine.check)
    assert shown == examples(tuple(facts.loras))
    first = kept_grid(engine, store, shown[0].sweep)
    assert first.finished == 5 and says(facts, first).startswith(
        "Rendered earlier by this model, with the recipe in the form."
    )
    assert measured_guidance() in say(shown[0].sweep, facts) and "by DPM++ 2M in 20 steps" in measured_guidance()
    for other in ({"prompt": ""}, {"image": "0" * 64}, {"loras": {"ink": 1.0}}):  # of which nothing was measured
        assert "judge" not in say(replace(shown[0].sweep, base=shown[0].sweep.base.replace(**other)), facts)


def test_the_judges_sentence_is_under_no_other_models_pictures(engines: dict[str, LocalEngine]) -> None:
    engine = engines["sd15-tiny"]
    sweep = examples_for(engine.facts, engine.check)[0].sweep
    assert list(sweep.axes) == ["guidance_scale"] and "judge" not in say(sweep, engine.facts)


def test_the_first_grid_fills_with_what_was_kept(turbo_engine: LocalEngine, store: Store) -> None:
    sweep = examples_for(turbo_engine.facts, turbo_engine.check)[0].sweep
    first = kept_grid(turbo_engine, store, sweep)
    assert [cell.note for cell in first.cells] == ["not rendered yet"] * 4 and not any(c.picture for c in first.cells)
    assert says(turbo_engine.facts, first) == "Not rendered yet; Run draws it."
    for cells in (sweep.recipes()[:1], sweep.recipes()):
        assert isinstance([*render(turbo_engine, store, cells)][-1], Done)
        first = kept_grid(turbo_engine, store, sweep)
        assert first.finished == len(cells)
        said = "1 of 4 rendered earlier by this model; Run draws the rest." if len(cells) == 1 else "and kept."
        assert says(turbo_engine.facts, first).endswith(said)


@pytest.fixture(scope="module")
def turbo_address(turbo_engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with closing(Store(tmp_path_factory.mktemp("cells"))) as store:
        with whole_page(turbo_engine, store, tmp_path_factory.mktemp("gradio")) as url:
            yield url


def opened(browser: Browser, address: str) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(address)
    page.get_by_role("button", name="Run", exact=True).wait_for(timeout=60_000)
    return page


def test_a_visitor_sees_empty_frames_then_what_run_drew(browser: Browser, turbo_address: str) -> None:
    page = opened(browser, turbo_address)
    expect(page.locator(".dp-head")).to_contain_text("turbo-tiny · Stable Diffusion · ")
    expect(page.locator(".dp-head")).to_contain_text("M parameters · CPU fp32")
    expect(page.locator(".dp-cell[data-state=waiting] .dp-note")).to_have_text(["not rendered yet"] * 4)
    expect(page.locator("#total")).to_have_text("Not rendered yet; Run draws it.")
    expect(page.locator("#cost")).to_contain_text("15 U-Net evaluations", timeout=30_000)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#total")).to_contain_text("4 of 4 pictures in", timeout=RUN_TIMEOUT)
    page.get_by_role("button", name="Step through this grid").click()
    expect(page.locator("#grid-film")).to_contain_text("Drawn by the VAE", timeout=RUN_TIMEOUT)
    page.close()
    page = opened(browser, turbo_address)
    expect(page.locator(".dp-cell[data-state=done] img")).to_have_count(4, timeout=30_000)
    expect(page.locator("#total")).to_contain_text("Rendered earlier by this model")
    page.close()


def test_programs_may_leave_out_model_and_size(turbo_address: str, tmp_path: Path) -> None:
    client = Client(turbo_address, verbose=False, download_files=str(tmp_path))
    sweep = {"base": {"sampler": "euler", "num_inference_steps": 2, "guidance_scale": 0}, "axes": {"seed": [1, 2]}}
    files, cells = client.predict(sweep, api_name="/render_grid")
    assert len(files) == 2
    assert all(c["recipe"]["model"] == "turbo-tiny" and c["recipe"]["width"] == 64 for c in cells)
    with pytest.raises(Exception, match="model must be turbo-tiny, which is what this playground runs"):
        client.predict({**sweep, "base": {"model": "pocket"}}, api_name="/render_grid")
