"""What one cell is taken away as draws its picture again."""

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from playground import Recipe, Sweep, pictures
from playground.engine import LocalEngine
from playground.export.bundle import files
from playground.export.comfy import read_workflow, to_workflow
from playground.export.document import alone
from playground.export.finished import FinishedGrid
from playground.export.parameters import to_parameters
from playground.export.png import cell_png, sheet_png
from playground.export.receipt import Receipt, verify
from playground.export.script import START, to_script
from playground.refusal import Refusal
from playground.render import kept_starts
from playground.store import Store
from tests.export.test_documents import GREY, _png
from tests.reference import TOLERANCE, drawn_by_program

ROOT = Path(__file__).parents[2]
POCKET = ROOT / "playground" / "models" / "pocket"
CASES = {
    "plain": Recipe(prompt="red apple, blue background", num_inference_steps=4, seed=7),
    # a Brownian tree, a LoRA, a negative prompt, rescaled guidance, and words that would end a string
    "everything": Recipe(
        prompt='cat """ \' \\ {seed}\n✓',
        negative_prompt="dog",
        sampler="dpmpp_sde",
        num_inference_steps=3,
        guidance_scale=6.5,
        guidance_rescale=0.7,
        seed=2**32 - 1,
        loras={"pixel_art": 0.75},
    ),
}


DUSK = pictures.open_whole(ROOT / "examples" / "images" / "dusk.webp")
FROM_DUSK = Recipe(
    prompt="mountain",
    sampler="euler_a",
    num_inference_steps=6,
    seed=9,
    width=96,
    image=pictures.digest(DUSK),
    strength=0.6,
)


# two chunks, BREAK, a LoRA of the network, and marks in both prompts
WEIGHED = Recipe(
    prompt="(red apple:1.4), " + "a big, shiny [wooden] table, " * 6 + "BREAK (blue) background",
    negative_prompt=r"dog, \(cat\) [[green]]",
    num_inference_steps=4,
    sampler="euler",
    seed=5,
    clip_skip=1,
    loras={"pixel_art": 0.5},
    prompt_weights=True,
)


def test_the_script_draws_the_cells_picture_in_a_process_of_its_own(engine: LocalEngine, tmp_path: Path) -> None:
    recipe = CASES["everything"]
    (tmp_path / "picture.py").write_text(to_script(recipe, engine.facts), encoding="utf-8")
    subprocess.run(
        [sys.executable, "picture.py", str(POCKET)],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    picture = np.asarray(Image.open(tmp_path / "picture.png")).astype(int)
    assert np.abs(picture - np.asarray(engine.render(recipe).image).astype(int)).max() <= TOLERANCE


def test_the_script_of_a_plain_recipe_draws_the_cells_picture(
    engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture = drawn_by_program(to_script(CASES["plain"], engine.facts), POCKET)
    assert np.abs(picture - np.asarray(engine.render(CASES["plain"]).image).astype(int)).max() <= TOLERANCE


@pytest.mark.parametrize("guidance", [5, 1])
def test_the_script_with_weights_draws_the_cells_picture(
    guidance: float, engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = WEIGHED.replace(guidance_scale=guidance)
    assert engine.words(recipe.prompt, 1).chunks > engine.words(recipe.negative_prompt, 1).chunks
    monkeypatch.chdir(tmp_path)
    picture = drawn_by_program(to_script(recipe, engine.facts), POCKET)
    assert np.abs(picture - np.asarray(engine.render(recipe).image).astype(int)).max() <= TOLERANCE


def test_the_script_from_a_picture_draws_the_cells_picture(
    engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pictures.fitted(DUSK, FROM_DUSK.width, FROM_DUSK.height).save(START)
    picture = drawn_by_program(to_script(FROM_DUSK, engine.facts), POCKET)
    drawn = engine.render(FROM_DUSK, {FROM_DUSK.image: DUSK}).image
    assert np.abs(picture - np.asarray(drawn).astype(int)).max() <= TOLERANCE


def test_a_cell_is_made_again_and_compared(engine: LocalEngine) -> None:
    result = engine.render(CASES["plain"])
    receipt = verify(engine, cell_png(result))
    assert receipt.same and receipt.largest <= TOLERANCE and "Made again" in receipt.sentence()
    changed = result.image.copy()
    changed.putpixel((3, 4), (255, 0, 255))
    receipt = verify(engine, cell_png(replace(result, image=changed, png=None)))
    assert not receipt.same and receipt.changed == pytest.approx(1 / 128**2, rel=0.5)
    assert receipt.largest > 20 and "not the same picture" in receipt.sentence()
    other = replace(result, image=result.image.resize((64, 64)), png=None)
    assert verify(engine, cell_png(other)).largest == 255


def test_what_cannot_be_checked_says_why(engine: LocalEngine) -> None:
    with pytest.raises(Refusal, match="no cell of this playground"):
        verify(engine, _png())
    with pytest.raises(Refusal, match="a whole grid"):
        verify(engine, sheet_png(GREY, Sweep(CASES["plain"], {"seed": [1, 2]})))
    result = engine.render(CASES["plain"])
    foreign = replace(result, recipe=result.recipe.replace(model="sdxl"), png=None)
    with pytest.raises(Refusal, match="model must be pocket"):
        verify(engine, cell_png(foreign))


def test_the_workflow_is_a_whole_graph_of_known_nodes() -> None:
    graph = json.loads(json.dumps(to_workflow(CASES["everything"])))
    for node in graph.values():
        for value in node["inputs"].values():
            if isinstance(value, list):
                assert value[0] in graph
    sampler = graph["3"]["inputs"]
    assert (sampler["seed"], sampler["steps"], sampler["cfg"]) == (2**32 - 1, 3, 6.5)
    assert graph[sampler["positive"][0]]["inputs"]["text"] == CASES["everything"].prompt
    assert graph[sampler["negative"][0]]["inputs"]["text"] == "dog"
    assert graph["10"]["class_type"] == "LoraLoader" and graph["10"]["inputs"]["strength_model"] == 0.75


def test_a_start_picture_is_in_every_way_to_take_a_cell_away(engine: LocalEngine, store: Store) -> None:
    result = engine.render(FROM_DUSK, {FROM_DUSK.image: DUSK})
    graph = to_workflow(FROM_DUSK)
    sampler = graph["3"]["inputs"]
    encoded = graph[sampler["latent_image"][0]]
    assert encoded["class_type"] == "VAEEncode" and graph[encoded["inputs"]["pixels"][0]]["inputs"]["image"] == START
    for n in range(1, 100):  # ComfyUI runs the last `steps` of int(steps / denoise)
        for strength in (0.3, 0.55, 0.9, 1.0):
            if int(n * strength):
                sampler = to_workflow(FROM_DUSK.replace(num_inference_steps=n, strength=strength))["3"]["inputs"]
                assert (int(sampler["steps"] / sampler["denoise"]), sampler["steps"]) == (n, int(n * strength))
    assert "Denoising strength: 0.6" in to_parameters(FROM_DUSK)
    assert "Denoising" not in to_parameters(FROM_DUSK.replace(image=""))
    png = cell_png(result)
    with pytest.raises(Refusal, match="^A picture that this run needs is not on this machine"):
        verify(engine, png, store)
    store.put_picture(DUSK)
    assert verify(engine, png, store).same
    grid = FinishedGrid(alone(FROM_DUSK), (result,), lambda _: engine.facts)
    assert "Start picture: " + FROM_DUSK.image[:12] in grid.fixed and "Strength: 0.6" in grid.fixed
    whole = files(grid, kept_starts(store, grid.recipes))
    assert pictures.digest(Image.open(io.BytesIO(whole[f"given-{FROM_DUSK.image[:12]}.png"]))) == FROM_DUSK.image
    foreign = read_workflow(json.dumps(graph), None)
    assert foreign is not None and foreign.starts == START


def test_half_precision_is_judged_by_the_mean() -> None:
    rounded = Receipt(CASES["plain"], 11, 0.6, 0.8, 1.0, precision="bf16, fp32 for t ≥ 700")
    assert rounded.same and "the rounding of bf16" in rounded.sentence()
    assert not replace(rounded, mean=3.0).same and not replace(rounded, precision="fp32").same
