"""The "Denoise" tab with models that are not Pocket: other sides, channels, schedules and predictions."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, expect

from playground import open_engine
from playground.engine import LocalEngine
from playground.inside.film import Ending, check, film, films
from playground.schedule import levels
from playground.sweep import Sweep
from playground.ui.compare import form as compare
from playground.ui.denoise import tab as denoise
from playground.ui.denoise.form import SECOND, Form
from playground.ui.denoise.lines import Lines
from playground.ui.inside import form as inside
from playground.ui.shared.shipped import start_recipe
from tests.conftest import one_tab, opened_tab
from tests.models.tiny import KINDS
from tests.models.tiny_families import build_family


def refuse(constant: str) -> float:
    raise AssertionError(f"{constant} is no JSON")


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_film_of_any_model_reaches_the_page_as_json(engines: dict[str, LocalEngine], kind: str) -> None:
    engine = engines[kind]
    recipe = start_recipe(engine.facts)
    check(engine, [recipe])
    lines = Lines(engine.facts, [recipe], None)
    for shot in film(engine, recipe):
        lines.take(0, shot)
        if isinstance(shot, Ending):
            expected = np.asarray(engine.render(recipe).image).astype(int)
            assert np.abs(np.asarray(shot.result.image).astype(int) - expected).max() <= 2
    head, *shots, end = (json.loads(line, parse_constant=refuse) for line in lines.text.splitlines())
    assert head["T"] == engine.facts.total_timesteps and head["vae"] is True
    assert len(shots) == head["runs"][0]["of"] == end["k"]
    assert (shots[0]["sigma"] is None) == (kind == "zero-snr-tiny")
    names = {Path(name).suffix: name for name in lines.files()}
    assert set(names) == {".gif", ".webp", ".mp4"} and all(recipe.digest()[:8] in name for name in names.values())


@pytest.mark.parametrize("kind", KINDS)
def test_run_b_begins_with_another_picture_that_the_model_can_draw(engines: dict[str, LocalEngine], kind: str) -> None:
    engine = engines[kind]
    with gr.Blocks():
        form = Form(start_recipe(engine.facts), engine.facts)
    given = {component: component.value for component in form.inputs}
    for name in SECOND:
        reading = form.read(given | {form.beside: name})
        assert reading.errors == {} and reading.varied == name
        check(engine, reading.recipes)
        a, b = (np.asarray(engine.render(recipe).image).astype(int) for recipe in reading.recipes)
        assert np.abs(a - b).max() > 0, name


def test_a_true_cfg_scale_can_be_asked_for_where_the_model_has_one(engines: dict[str, LocalEngine]) -> None:
    own = engines["sd15-tiny"].facts
    for facts in (own, replace(own, guidance="embedded", cfg="true_cfg_scale", guided_above=1.0)):
        with gr.Blocks():
            form, folded = Form(start_recipe(facts), facts), inside.Form(start_recipe(facts), facts, "")
        has = facts.has_true_cfg
        for fields in (form.fields.components, form.seconds, folded.components):
            assert ("true_cfg_scale" in fields) == has and "guidance_scale" in fields
        if has:
            given = {component: component.value for component in form.inputs}
            reading = form.read(given | {form.beside: "true_cfg_scale"})
            assert [recipe.true_cfg_scale for recipe in reading.recipes] == [1, 2]
            head = json.loads(Lines(facts, reading.recipes, reading.varied).text)["runs"]
            assert [run["title"] for run in head] == ["True CFG scale 1", "True CFG scale 2"]
            assert [(run["guided"], run["w"], run["scale"], run["told"]) for run in head] == [
                (False, 1, "true CFG scale", reading.recipes[0].guidance_scale),
                (True, 2, "true CFG scale", reading.recipes[0].guidance_scale),
            ]
            wrong = form.read(given | {form.fields.components["true_cfg_scale"]: 0.5})
            assert wrong.errors == {"true_cfg_scale": "true_cfg_scale must be from 1 to 20, not 0.5."}


@pytest.mark.parametrize("cfg", ["", "true_cfg_scale"])
def test_a_scale_that_the_model_has_no_use_for_is_no_field_and_no_axis(
    engines: dict[str, LocalEngine], cfg: str
) -> None:
    """On the pages of distilled models, such as Flux.2 klein and Flux.1 schnell; a grid with others may need it."""
    facts = replace(engines["turbo-tiny"].facts, cfg=cfg)
    recipe, others = start_recipe(facts), replace(facts, others={"another": "/m/another/"})
    with gr.Blocks():
        form, folded = Form(recipe, facts), inside.Form(recipe, facts, "")
        alone, beside = (compare.Form(Sweep(recipe, {"seed": [1, 2]}), own) for own in (facts, others))
    for each in (form.fields.components, form.seconds, folded.components, alone.axes.editors):
        assert "guidance_scale" not in each and "seed" in each
    given = {component: component.value for component in alone.inputs}
    sampler = alone.axes.added(given | {alone.axes.slots["rows"]: "num_inference_steps"})
    assert sampler[alone.axes.slots["tabs"]]["value"] == "sampler"
    hidden, shown = (own.fields.components["guidance_scale"] for own in (alone, beside))
    assert hidden.visible == "hidden" and shown.visible is True and "guidance_scale" in beside.axes.editors
    assert "others in a grid over models" in shown.info
    wanted = Sweep(recipe.replace(guidance_scale=0.5), {"seed": [1, 2]})  # as somebody else's recipe may say
    filled = alone.fill(wanted)
    assert alone.read({part: filled[part].get("value", part.value) for part in alone.inputs}).sweep == wanted


def test_a_run_that_begins_without_any_signal_says_so(
    engines: dict[str, LocalEngine], browser: Browser, tmp_path: Path
) -> None:
    engine = engines["zero-snr-tiny"]
    with (
        one_tab("Denoise", lambda: denoise.build(engine), tmp_path) as url,
        opened_tab(browser, url, "Denoise", '.dpd[data-state="done"]') as page,
    ):
        run, part = page.locator(".dpd-run"), page.locator(".dpd-anatomy")
        page.get_by_role("slider", name="Position in the run").focus()
        page.keyboard.press("Home")
        for name, text in {"sigma": "∞", "logsnr": "−∞", "step": "−∞", "noise": "–", "signal": "–", "t": "999"}.items():
            expect(run.locator(f'[data-show="{name}"]').first).to_have_text(text)
        expect(page.locator('[data-show="how"]')).to_contain_text("This network answers with v")
        expect(part).to_contain_text("Its contrast is then taken back by 0.7 of what it grew (guidance rescale).")
        expect(part.locator('[data-show="formula-numbers"]')).to_contain_text(", rescaled: ")
        page.keyboard.press("ArrowRight")
        assert "NaN" not in page.locator(".dpd").inner_text()
        assert all(float(run.locator(f'[data-show="{name}"]').inner_text()) > 0 for name in ("noise", "signal"))


def test_the_numbers_of_flow_matching_and_none_before_there_are_any(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a model that makes its first step when it is told to, as slow ones do theirs late."""
    engine, go = open_engine(build_family("sd3-tiny", tmp_path), torch.device("cpu"), torch.float32), Event()

    def late(*asked: Any) -> Iterator[Any]:
        go.wait(60)
        yield from films(*asked)

    monkeypatch.setattr(denoise, "films", late)
    recipe = start_recipe(engine.facts)
    stands = levels(recipe, engine.facts.schedule)
    with (
        one_tab("Denoise", lambda: denoise.build(engine), tmp_path) as url,
        opened_tab(browser, url, "Denoise", '.dpd[data-state="running"]') as page,
    ):
        formula, curve = page.locator(".dpd-solved"), page.locator(".dpd-curve figcaption")
        shown = {name: page.locator(f'.dpd-run [data-show="{name}"]') for name in ("sigma", "t", "signal", "noise")}
        expect(shown["t"]).to_have_text("1000")
        expect(shown["sigma"]).to_have_text("1.00")
        expect(formula).to_be_hidden()
        expect(curve).to_have_text("‖εc − εu‖ at every step of this run")
        go.set()
        page.locator('.dpd[data-state="done"]').wait_for()
        expect(curve).to_contain_text("at every step of this run, from 0 to 0.")
        page.get_by_role("slider", name="Position in the run").focus()
        page.keyboard.press("Home")
        expect(formula).to_be_hidden()  # without any signal x̂₀ is no quotient
        for level in stands[1:4]:
            page.keyboard.press("ArrowRight")
            expect(formula).to_be_visible()
            expect(shown["t"]).to_have_text(f"{level.t:.1f}")
            told = {name: float(place.inner_text()) for name, place in shown.items()}
            assert told["noise"] == pytest.approx(told["t"] / 1000, abs=1e-4)
            assert told["signal"] == pytest.approx(1 - told["t"] / 1000, abs=1e-4)
            assert told["sigma"] == pytest.approx(told["noise"], abs=1e-4)
        expect(page.locator(".dpd-sigma")).to_have_attribute("title", "Noise; signal is 1 − σ")
        middle = stands[len(stands) // 2]
        expect(page.locator(".dpd-verdict")).to_contain_text(f"t = {middle.t:.0f}, with σ = {middle.t / 1000:.4f}")
        ticks = page.locator('[data-row="inside"] i').evaluate_all("all => all.map(i => parseFloat(i.style.left))")
        assert ticks == pytest.approx([100 - level.t / 10 for level in stands[:-1]], abs=0.01)
        expect(page.locator(".dpd-ruler")).to_contain_text("1000, noise")
    engine.close()
