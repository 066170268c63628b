"""The "Inside" tab with models that are not Pocket: their own sizes, words, boxes and numbers."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import torch
from gradio_client import Client
from playwright.sync_api import Browser, Page, expect

from playground import open_engine
from playground.engine import LocalEngine
from playground.inside import attention, autoencoder, walk
from playground.pictures import open_picture
from playground.ui.inside import tab as inside
from playground.ui.inside.boxes import diagram
from playground.ui.shared.shipped import EXAMPLES
from tests.conftest import one_tab, opened_tab
from tests.models.tiny import KINDS, build


def opened(kind: str, folder: Path) -> LocalEngine:
    return open_engine(build(kind, folder), torch.device("cpu"), torch.float32, "torch")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_walked_watched_and_taken_through_its_vae(kind: str, tmp_path: Path) -> None:
    engine = opened(kind, tmp_path)
    facts, recipe = engine.facts, engine.facts.usual.replace(prompt="a Zeppelin", num_inference_steps=4)
    *_, last = walk.walk(engine, recipe)
    *_, seen = attention.watch(engine, recipe)
    alone = np.asarray(engine.render(recipe).image).astype(int)
    for picture in (last.picture, seen.picture):
        assert picture.size == (facts.side, facts.side)
        assert np.abs(np.asarray(picture).astype(int) - alone).max() <= 2
    anatomy = engine.anatomy(recipe.width, recipe.height)
    boxes = {part.key: part for part in walk.parts(anatomy, last)}
    assert boxes["unet"].gives == facts.latent_shape(recipe.width, recipe.height) == (1, *last.latents.shape)
    assert boxes["tokens"].gives == (1, facts.tokens)
    assert sum(maps.shape[1] for maps in seen.maps.values()) == facts.tokens * len(seen.layers)
    shown = diagram(facts, anatomy, last)
    assert "by the VAE decoder" in shown and "steps, guidance scale " in shown  # there is no quick one
    assert "guidance scale" not in diagram(replace(facts, guidance="none", cfg=""), anatomy, last)
    *_, trip = autoencoder.round_trip(engine, open_picture(EXAMPLES / "images" / "flower.webp", facts.side))
    assert (1, *trip.latents.shape) == facts.latent_shape(facts.side, facts.side) and trip.runs == 3
    engine.close()


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    """VAE scale 4, eight latent channels, another width of the text."""
    engine = opened("odd-tiny", tmp_path_factory.mktemp("models"))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def server(odd: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with one_tab("Inside", lambda: inside.build(odd), tmp_path_factory.mktemp("gradio")) as url:
        yield url


@pytest.fixture
def tab(browser: Browser, server: str) -> Iterator[Page]:
    with opened_tab(browser, server, "Inside", "#inside-diagram .dpi") as page:
        yield page


def test_the_endpoint_needs_neither_model_nor_size(server: str, odd: LocalEngine) -> None:
    asked = {"prompt": "a cat", "num_inference_steps": 2}
    report, files = Client(server, verbose=False).predict(asked, api_name="/inspect_prompt")
    assert report["recipe"] == odd.facts.recipe(asked).to_dict() and report["recipe"]["model"] == "odd-tiny"
    assert {stage["key"]: stage["gives"] for stage in report["stages"]}["noise"] == [1, 8, 16, 16]
    assert len(files) == 4


def test_the_tab_opens_walks_and_looks_without_a_first_view_of_its_own(tab: Page) -> None:
    expect(tab.locator("#inside-status")).to_have_text("Walk makes the picture.")
    tab.locator("#inside-vae .dpi-trip").wait_for()  # of a sample, because there is no generated picture
    expect(tab.locator("#inside-picture-error [role=alert]")).to_have_count(0)
    tab.locator("#inside-run").click()
    tab.locator('#inside-diagram [data-state="done"]').wait_for(timeout=60_000)
    tab.locator("#inside-look").click()
    tab.locator(".dpi-maps").wait_for(timeout=60_000)
    expect(tab.locator(".dpi-box[data-opens=unet]")).to_contain_text("8×16×16")
    assert not re.search("pocket", tab.locator("body").inner_text(), re.IGNORECASE)


def test_a_model_whose_attention_cannot_be_seen_says_so_in_one_sentence(
    odd: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(odd, "facts", replace(odd.facts, no_attention="This model's attention cannot be looked into."))
    with gr.Blocks() as page:
        inside.build(odd)
    shown = {block.elem_id: block for block in page.blocks.values()}
    assert "This model's attention cannot be looked into." in shown["inside-attention"].value
    assert "inside-look" not in shown and "inside-run" in shown
