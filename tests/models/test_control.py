"""ControlNets for Stable Diffusion's and SDXL's shapes: the pictures of their own pipelines, and what is refused."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    DiffusionPipeline,
    StableDiffusionControlNetImg2ImgPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionXLControlNetPipeline,
)

from playground import Recipe, open_engine, pictures
from playground.edges import edges
from playground.engine import Done, LocalEngine
from playground.models import REGISTERED
from playground.refusal import Refusal
from playground.schedule import scheduler_for
from tests.models.tiny import build
from tests.models.tiny_families import build_family
from tests.reference import TOLERANCE, largest_difference

CPU = torch.device("cpu")
IMAGES = Path(__file__).parents[2] / "examples" / "images"
DUSK = pictures.open_whole(IMAGES / "dusk.webp")
LINES = edges(pictures.open_whole(IMAGES / "bust.webp"))
GIVEN = {pictures.digest(picture): picture for picture in (DUSK, LINES)}
BEGIN, CONTROL = GIVEN
CLASSES = {"pocket": StableDiffusionControlNetPipeline, "sd15-tiny": StableDiffusionControlNetPipeline}
CLASSES |= {"sdxl-tiny": StableDiffusionXLControlNetPipeline}


def build_control(model: Path, folder: Path) -> Path:
    """A ControlNet for the U-Net of a model, whose zero convolutions are filled, so that it has an effect."""
    torch.manual_seed(4)
    network = ControlNetModel.from_unet(DiffusionPipeline.from_pretrained(model).unet)
    for block in (*network.controlnet_down_blocks, network.controlnet_mid_block):
        torch.nn.init.normal_(block.weight, std=0.03)
    torch.nn.init.normal_(network.controlnet_cond_embedding.conv_out.weight, std=0.1)
    network.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """By name: the model's folder and that of its ControlNet."""
    folder = tmp_path_factory.mktemp("control")
    found = {"pocket": REGISTERED["pocket"], "sdxl-tiny": build_family("sdxl-tiny", folder)}
    found |= {"sd15-tiny": build("sd15-tiny", folder)}
    return {name: (model, build_control(model, folder / f"lines-{name}")) for name, model in found.items()}


@pytest.fixture(scope="module")
def controlled(models: dict[str, tuple[Path, Path]]) -> Iterator[Callable[[str], LocalEngine]]:
    opened: dict[str, LocalEngine] = {}

    def engine(name: str) -> LocalEngine:
        if name not in opened:
            model, control = models[name]
            opened[name] = open_engine("pocket" if name == "pocket" else model, CPU, torch.float32, controlnet=control)
            opened[name].model.wait_until_converted()
        return opened[name]

    yield engine
    for each in opened.values():
        each.close()


def plain(pipeline: Any, engine: LocalEngine, recipe: Recipe) -> np.ndarray:
    """What a diffusers user gets with these settings; 0 is what a ControlNet that is not shown anything adds."""
    pipeline.scheduler = scheduler_for(recipe, engine.facts.schedule)
    sized = {name: pictures.fitted(picture, recipe.width, recipe.height) for name, picture in GIVEN.items()}
    own: dict[str, Any] = {"image": sized[CONTROL], "width": recipe.width, "height": recipe.height}
    if recipe.image:
        own = {"image": sized[recipe.image], "control_image": sized[CONTROL], "strength": recipe.strength}
    drawn = pipeline(
        recipe.prompt,
        negative_prompt=recipe.negative_prompt,
        num_inference_steps=recipe.num_inference_steps,
        guidance_scale=recipe.guidance_scale,
        controlnet_conditioning_scale=recipe.controlnet_conditioning_scale if recipe.control_image else 0.0,
        control_guidance_start=recipe.control_guidance_start,
        control_guidance_end=recipe.control_guidance_end,
        generator=torch.Generator().manual_seed(recipe.seed),
        **own,
    ).images[0]
    return np.asarray(drawn).astype(int)


def cells_of(engine: LocalEngine) -> list[Recipe]:
    base = engine.facts.usual.replace(
        prompt="red apple", negative_prompt="cat", num_inference_steps=4, seed=3, control_image=CONTROL
    )
    cells = [base.replace(sampler=key) for key in ("ddim", "heun", "euler_a", "dpmpp_2m")]
    return [
        *cells,
        base.replace(control_image="", sampler="ddim"),
        base.replace(sampler="ddim", controlnet_conditioning_scale=0.4),
        base.replace(sampler="ddim", controlnet_conditioning_scale=0.0),
        base.replace(sampler="ddim", control_guidance_start=0.3, guidance_scale=1.0),
        base.replace(sampler="heun", control_guidance_end=0.5),
        base.replace(width=96, height=64, seed=8),
    ]


@pytest.mark.parametrize("name", CLASSES)
def test_rows_with_and_without_control_are_the_pipelines_alone_and_together(
    controlled: Callable[[str], LocalEngine], models: dict[str, tuple[Path, Path]], name: str
) -> None:
    engine, (folder, control) = controlled(name), models[name]
    pipeline = CLASSES[name].from_pretrained(folder, controlnet=ControlNetModel.from_pretrained(control))
    pipeline.set_progress_bar_config(disable=True)
    cells = cells_of(engine)
    if name == "pocket":  # by OpenVINO where there is no control; the samplers are the small models' matter
        cells = [cells[i] for i in (0, 2, 4, 5, 6, 9)]
    events = engine.run(cells, previews=False, pictures=GIVEN)
    among = {event.cell: event.result for event in events if isinstance(event, Done)}
    assert len(among) == len(cells)
    for i, recipe in enumerate(cells):
        expected = plain(pipeline, engine, recipe)
        for found in (among[i], engine.render(recipe, GIVEN)):
            apart = largest_difference(found, expected)
            assert apart <= TOLERANCE, (recipe.sampler, recipe.control_image[:3], apart)
    places = (0, 2, 3, 4) if name == "pocket" else (0, 4, 5, 6)
    shown, without, less, none = (np.asarray(among[i].image).astype(int) for i in places)
    assert np.abs(shown - without).max() > 20 and np.abs(shown - less).max() > 5  # it has an effect, by its scale
    assert np.abs(none - without).max() <= TOLERANCE


def test_from_a_picture_and_with_one(
    controlled: Callable[[str], LocalEngine], models: dict[str, tuple[Path, Path]]
) -> None:
    engine, (folder, control) = controlled("pocket"), models["pocket"]
    pipeline = StableDiffusionControlNetImg2ImgPipeline.from_pretrained(
        folder, controlnet=ControlNetModel.from_pretrained(control)
    )
    pipeline.set_progress_bar_config(disable=True)
    recipe = cells_of(engine)[2].replace(image=BEGIN, strength=0.6, num_inference_steps=6, control_guidance_end=0.7)
    assert largest_difference(engine.render(recipe, GIVEN), plain(pipeline, engine, recipe)) <= TOLERANCE


def test_a_picture_is_kept_under_its_controlnet(controlled: Callable[[str], LocalEngine], engine: LocalEngine) -> None:
    facts, recipe = controlled("pocket").facts, Recipe(control_image=CONTROL)
    assert facts.controlnet == "lines-pocket" and facts.fingerprint == engine.facts.fingerprint
    assert facts.fingerprint_for(recipe) != facts.fingerprint_for(Recipe()) == engine.facts.fingerprint_for(Recipe())
    with pytest.raises(Refusal, match="started without a ControlNet"):
        engine.check(recipe)
    with pytest.raises(Refusal, match="^guidance_rescale must be 0 with a ControlNet"):
        facts.check(recipe.replace(guidance_rescale=0.5))
    with pytest.raises(Refusal, match="^A picture that this run needs is not on this machine"):
        controlled("pocket").render(recipe)


def test_what_does_not_fit_is_refused_in_one_sentence(
    models: dict[str, tuple[Path, Path]], folders: dict[str, Path], tmp_path: Path
) -> None:
    def said(control: Path, model: Any = "pocket") -> str:
        with pytest.raises(Refusal) as caught:
            open_engine(model, CPU, torch.float32, "torch", control)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    (pocket, mine), (_, xl) = models["pocket"], models["sdxl-tiny"]
    assert "is not for this model: it reads words of width 64" in said(xl)
    assert "is not for this model" in said(mine, folders["sd15-tiny"])
    assert "its config.json cannot be read" in said(tmp_path)
    assert "and no ControlNetModel" in said(pocket / "unet")
    copy = shutil.copytree(mine, tmp_path / "copy")
    weights = copy / "diffusion_pytorch_model.safetensors"
    weights.rename(copy / "diffusion_pytorch_model.bin")
    assert "has no diffusion_pytorch_model.safetensors; no other file of weights is read." in said(copy)
    weights.write_bytes(b"not weights")
    assert said(copy).startswith("The ControlNet copy cannot be loaded: ")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"global_pool_conditions": True}))
    assert "pools its picture" in said(copy)
    assert "Flux" in said(mine, build_family("flux-schnell-tiny", tmp_path))
