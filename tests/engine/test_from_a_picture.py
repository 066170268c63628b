"""Image to image: what StableDiffusionImg2ImgPipeline draws with the same settings, alone and among other cells."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline, StableDiffusionXLImg2ImgPipeline
from PIL import Image

from playground import Recipe, open_engine, pictures
from playground.engine import Done, Failed, Keep, LocalEngine, Step
from playground.engine.contract import NO_PICTURE
from playground.models import REGISTERED
from playground.refusal import Refusal
from playground.render import render
from playground.samplers import SAMPLERS
from playground.schedule import levels
from playground.store import Store
from tests import schedulers
from tests.models.tiny_families import build_family
from tests.reference import TOLERANCE, called, largest_difference, plain

DUSK = pictures.open_whole(Path(__file__).parents[2] / "examples" / "images" / "dusk.webp")
NAME = pictures.digest(DUSK)
FROM_DUSK = {NAME: DUSK}
BASE = Recipe(
    prompt="red apple, blue background", negative_prompt="cat", num_inference_steps=4, seed=5, image=NAME, strength=0.6
)
CPU = torch.device("cpu")
# of these the README's table says that they start from a picture
OF_SD = ("sd15-tiny", "sd21-tiny", "zero-snr-tiny", "turbo-tiny", "odd-tiny")
OF_SDXL = ("sdxl-tiny", "sdxl-turbo-tiny")


def from_picture(pipeline: Any, recipe: Recipe, picture: Image.Image = DUSK) -> np.ndarray:
    """What a diffusers user gets who gives the picture in the recipe's size."""
    schedulers.use(pipeline, recipe)
    own = {"guidance_rescale": recipe.guidance_rescale} if "XL" in type(pipeline).__name__ else {}
    shown = pictures.fitted(picture, recipe.width, recipe.height)
    own |= {"negative_prompt": recipe.negative_prompt, "image": shown, "strength": recipe.strength}
    return called(pipeline, recipe, **own)


@pytest.fixture(scope="module")
def img2img() -> StableDiffusionImg2ImgPipeline:
    pipeline = StableDiffusionImg2ImgPipeline.from_pretrained(REGISTERED["pocket"])
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def xl(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[LocalEngine, Any]]:
    @cache
    def made(kind: str) -> tuple[LocalEngine, Any]:
        folder = build_family(kind, tmp_path_factory.mktemp("xl"))
        pipeline = StableDiffusionXLImg2ImgPipeline.from_pretrained(folder)
        pipeline.set_progress_bar_config(disable=True)
        return open_engine(folder, CPU, torch.float32, "torch"), pipeline

    return made


def drawn(engine: LocalEngine, cells: list[Recipe]) -> dict[int, Any]:
    events = engine.run(cells, previews=False, pictures=FROM_DUSK)
    return {event.cell: event.result for event in events if isinstance(event, Done)}


def test_every_sampler_is_the_pipelines_alone_and_among_others(
    engine: LocalEngine, img2img: StableDiffusionImg2ImgPipeline
) -> None:
    cells = [BASE.replace(sampler=key) for key in SAMPLERS]
    cells += [
        BASE.replace(guidance_scale=1.0),
        BASE.replace(guidance_scale=12.0, num_inference_steps=9, strength=0.35),
        BASE.replace(strength=1.0),
        BASE.replace(width=96, seed=6),
        BASE.replace(image=""),
        BASE.replace(image="", sampler="euler_a"),
    ]
    among = drawn(engine, cells)
    assert len(among) == len(cells)
    words = StableDiffusionPipeline(**img2img.components, requires_safety_checker=False)
    words.set_progress_bar_config(disable=True)
    for i, recipe in enumerate(cells):
        if recipe.image:
            expected = from_picture(img2img, recipe)
        else:
            expected = plain(words, recipe)
        for found in (among[i], engine.render(recipe, FROM_DUSK)):
            apart = largest_difference(found, expected)
            assert apart <= TOLERANCE, (recipe.sampler, recipe.strength, recipe.guidance_scale, recipe.width, apart)
        assert among[i].evaluations == engine.facts.evaluations(recipe)


@pytest.mark.parametrize("kind", OF_SD)
def test_other_kinds_of_stable_diffusion_do_the_same(
    engines: dict[str, LocalEngine], folders: dict[str, Path], kind: str
) -> None:
    engine = engines[kind]
    pipeline = StableDiffusionImg2ImgPipeline.from_pretrained(folders[kind])
    pipeline.set_progress_bar_config(disable=True)
    usual = engine.facts.usual.replace(prompt="cat", num_inference_steps=4, guidance_rescale=0, image=NAME)
    cells = [usual.replace(sampler=key, strength=0.6) for key in engine.facts.samplers] + [usual.replace(strength=1)]
    among = drawn(engine, cells)
    for i, recipe in enumerate(cells):
        expected = from_picture(pipeline, recipe)
        assert largest_difference(among[i], expected) <= TOLERANCE, recipe.sampler


@pytest.mark.parametrize("kind", OF_SDXL)
def test_sdxl_does_the_same_and_rescales_its_guidance(xl: Callable[[str], tuple[LocalEngine, Any]], kind: str) -> None:
    engine, pipeline = xl(kind)
    usual = engine.facts.usual.replace(prompt="red apple", negative_prompt="cat", num_inference_steps=4, image=NAME)
    usual = usual.replace(width=64, height=64)
    cells = [usual.replace(sampler=key, strength=0.6) for key in engine.facts.samplers]
    cells.append(usual.replace(guidance_rescale=0.7, width=96))
    among = drawn(engine, cells)
    for i, recipe in enumerate(cells):
        for found in (among[i], engine.render(recipe, FROM_DUSK)):
            apart = largest_difference(found, from_picture(pipeline, recipe))
            assert apart <= TOLERANCE, (recipe.sampler, apart)


def test_the_steps_that_are_told_are_those_that_run(engine: LocalEngine) -> None:
    for sampler in ("ddim", "heun", "pndm"):
        recipe = BASE.replace(sampler=sampler, guidance_scale=1)
        events = list(engine.run([recipe], keep=Keep(latents=True), pictures=FROM_DUSK))
        steps = [event for event in events if isinstance(event, Step)]
        assert len(steps) == steps[-1].of == recipe.calls
        assert [step.t for step in steps] == [level.t for level in levels(recipe, engine.facts.schedule)[:-1]]
        assert engine.facts.evaluations(recipe) == recipe.calls


def test_a_picture_that_is_not_here_fails_its_own_cell_in_one_sentence(engine: LocalEngine, store: Store) -> None:
    events = list(engine.run([BASE, BASE.replace(image="")]))
    assert [e.reason for e in events if isinstance(e, Failed)] == [NO_PICTURE]
    assert [e.cell for e in events if isinstance(e, Done)] == [1]
    with pytest.raises(Refusal, match="^A picture that this run needs is not on this machine"):
        list(render(engine, store, [BASE]))
    assert store.put_picture(DUSK) == NAME
    assert any(isinstance(e, Done) for e in render(engine, store, [BASE], previews=False))


def test_what_a_model_cannot_do_is_said_before_anything_runs(engine: LocalEngine) -> None:
    with pytest.raises(Refusal, match="^guidance_rescale must be 0 where a run starts from a picture"):
        engine.check(BASE.replace(guidance_rescale=0.5))
    engine.check(BASE.replace(guidance_rescale=0.5, image=""))
