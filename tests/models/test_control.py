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
    StableDiffusionXLControlNetImg2ImgPipeline,
    StableDiffusionXLControlNetPipeline,
)
from PIL import Image
from playwright.sync_api import Browser, expect

from playground import Recipe, Sweep, open_engine, pictures
from playground.command.line import main
from playground.edges import edges
from playground.engine import Done, LocalEngine
from playground.export.comfy import read_workflow, to_workflow
from playground.export.parameters import to_parameters
from playground.export.script import SHOWN, START, to_script
from playground.labels import common_of
from playground.link import from_token, to_token
from playground.models import REGISTERED
from playground.refusal import Refusal
from playground.store import Store, from_png
from playground.ui.compare.caption import alt_of, caption
from playground.ui.shared.described import recipe_in_words
from tests import schedulers
from tests.conftest import whole_page
from tests.models.tiny import build
from tests.models.tiny_families import build_family
from tests.reference import TOLERANCE, drawn_by_program, largest_difference
from tests.ui.compare.support import field, fill, finished, run, vary

CPU = torch.device("cpu")
IMAGES = Path(__file__).parents[2] / "examples" / "images"
DUSK = pictures.open_whole(IMAGES / "dusk.webp")
LINES = edges(pictures.open_whole(IMAGES / "bust.webp"))
GIVEN = {pictures.digest(picture): picture for picture in (DUSK, LINES)}
BEGIN, CONTROL = GIVEN
CLASSES = {"pocket": StableDiffusionControlNetPipeline, "sd15-tiny": StableDiffusionControlNetPipeline}
CLASSES |= {"sdxl-tiny": StableDiffusionXLControlNetPipeline, "turbo-tiny": StableDiffusionControlNetPipeline}
CLASSES |= {"sdxl-turbo-tiny": StableDiffusionXLControlNetPipeline}  # the README's table says a ControlNet of these
FROM_A_PICTURE = {"sd15-tiny": StableDiffusionControlNetImg2ImgPipeline}
FROM_A_PICTURE |= {"sdxl-tiny": StableDiffusionXLControlNetImg2ImgPipeline}


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
    found = {"pocket": REGISTERED["pocket"]}
    found |= {kind: build_family(kind, folder) for kind in ("sdxl-tiny", "sdxl-turbo-tiny")}
    found |= {kind: build(kind, folder) for kind in ("sd15-tiny", "turbo-tiny")}
    return {name: (model, build_control(model, folder / f"lines-{name}")) for name, model in found.items()}


@pytest.fixture(scope="module")
def controlled(models: dict[str, tuple[Path, Path]]) -> Iterator[Callable[[str], LocalEngine]]:
    opened: dict[str, LocalEngine] = {}

    def engine(name: str) -> LocalEngine:
        if name not in opened:
            model, control = models[name]
            runtime = "torch" if "turbo" in name else "openvino"
            given = "pocket" if name == "pocket" else model
            opened[name] = open_engine(given, CPU, torch.float32, runtime, controlnet=control)
            opened[name].model.wait_until_converted()
        return opened[name]

    yield engine
    for each in opened.values():
        each.close()


def plain(pipeline: Any, recipe: Recipe) -> np.ndarray:
    """What a diffusers user gets with these settings; 0 is what a ControlNet that is not shown anything adds."""
    schedulers.use(pipeline, recipe)
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
    cells, few = cells_of(engine), name == "pocket" or "turbo" in name
    if few:  # the samplers are the other models' matter
        cells = [cells[i].replace(num_inference_steps=3) for i in (0, 4, 5)]
    events = engine.run(cells, previews=False, pictures=GIVEN)
    among = {event.cell: event.result for event in events if isinstance(event, Done)}
    assert len(among) == len(cells)
    for i, recipe in enumerate(cells):
        expected = plain(pipeline, recipe)
        for found in [among[i], engine.render(recipe, GIVEN)][: 1 if few and i else 2]:
            apart = largest_difference(found, expected)
            assert apart <= TOLERANCE, (recipe.sampler, recipe.control_image[:3], apart)
    places = (0, 1, 2) if few else (0, 4, 5)
    shown, without, less = (np.asarray(among[i].image).astype(int) for i in places)
    assert np.abs(shown - without).max() > 20 and np.abs(shown - less).max() > 5  # it has an effect, by its scale


@pytest.mark.parametrize("name", FROM_A_PICTURE)
def test_from_a_picture_and_with_one_and_as_a_script(
    controlled: Callable[[str], LocalEngine],
    models: dict[str, tuple[Path, Path]],
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine, (folder, control) = controlled(name), models[name]
    pipeline = FROM_A_PICTURE[name].from_pretrained(folder, controlnet=ControlNetModel.from_pretrained(control))
    pipeline.set_progress_bar_config(disable=True)
    recipe = cells_of(engine)[2].replace(image=BEGIN, strength=0.6, num_inference_steps=6, control_guidance_end=0.7)
    expected = plain(pipeline, recipe)
    assert largest_difference(engine.render(recipe, GIVEN), expected) <= TOLERANCE
    without = (recipe.replace(image=""), recipe.replace(control_image=""))
    assert all(largest_difference(engine.render(each, GIVEN), expected) > 10 for each in without)
    monkeypatch.chdir(tmp_path)
    for file, name in ((START, BEGIN), (SHOWN, CONTROL)):
        pictures.fitted(GIVEN[name], recipe.width, recipe.height).save(tmp_path / file)
    for each in (recipe, recipe.replace(image="")):
        drawn = drawn_by_program(to_script(each, engine.facts), folder, control)
        assert largest_difference(engine.render(each, GIVEN), drawn) <= TOLERANCE


def test_a_grid_without_a_page(
    models: dict[str, tuple[Path, Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PLAYGROUND_CELLS", str(tmp_path / "cells"))
    model, control = models["sd15-tiny"]
    sweep = {"base": {"prompt": "cat", "num_inference_steps": 2}, "axes": {"controlnet_conditioning_scale": [0, 1]}}
    (tmp_path / "recipe.json").write_text(json.dumps(sweep))
    out, given = tmp_path / "out", ["--model", str(model), "--controlnet", str(control)]
    photo = ["--control-image", str(IMAGES / "bust.webp"), "--edges"]
    assert main(["grid", str(tmp_path / "recipe.json"), "-o", str(out), *given, "--edges"]) == 2
    assert "--edges draws the edges of the picture of --control-image, and none is given." in capsys.readouterr().err
    assert main(["grid", str(tmp_path / "recipe.json"), "-o", str(out), *given]) == 2
    said = "controlnet_conditioning_scale changes nothing where control_image is empty."
    assert said in capsys.readouterr().err
    assert main(["grid", str(tmp_path / "recipe.json"), "-o", str(out), *given, *photo]) == 0
    found = [from_png(path.read_bytes()) for path in sorted((out / "cells").glob("*.png"))]
    assert [result.recipe.controlnet_conditioning_scale for result in found] == [0, 1]
    lines = Image.open(out / f"given-{found[0].recipe.control_image[:12]}.png")
    assert lines.size == (64, 64) and set(np.unique(np.asarray(lines))) == {0, 255}
    assert not np.array_equal(*(np.asarray(result.image) for result in found))


def test_every_way_to_take_it_away_says_it(controlled: Callable[[str], LocalEngine]) -> None:
    facts = controlled("pocket").facts
    recipe = Recipe(
        prompt="cat",
        negative_prompt="dog",
        control_image=CONTROL,
        controlnet_conditioning_scale=0.8,
        control_guidance_end=0.6,
    )
    assert 'ControlNet 0: "Weight: 0.8, Guidance Start: 0, Guidance End: 0.6"' in to_parameters(recipe)
    graph = to_workflow(recipe)
    applied = graph[graph["3"]["inputs"]["positive"][0]]
    assert applied["class_type"] == "ControlNetApplyAdvanced" and applied["inputs"]["end_percent"] == 0.6
    read = read_workflow(json.dumps(graph), None)
    assert read is not None and (read.prompt, read.negative_prompt) == ("cat", "dog")
    sweep = Sweep(recipe, {"seed": [1, 2]})
    told = "controlled by a picture at scale 0.8 until 0.6 of the run"
    assert told in caption(sweep)[-1] and told in alt_of(recipe, "1")
    assert "Control scale: 0.8" in common_of(sweep.recipes())
    assert "Control" not in common_of(Sweep(Recipe(), {"seed": [1, 2]}).recipes())
    scales = Sweep(recipe.replace(control_guidance_end=1), {"controlnet_conditioning_scale": [0, 1]})
    assert "controlled by a picture," in caption(scales)[-1]
    assert "control_image" in recipe_in_words(facts) and from_token(to_token(sweep, Recipe()), Recipe()) == sweep


def test_control_in_the_page(
    browser: Browser, controlled: Callable[[str], LocalEngine], store: Store, tmp_path: Path
) -> None:
    with whole_page(controlled("sd15-tiny"), store, tmp_path) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(address)
        page.get_by_role("button", name="Run", exact=True).wait_for()
        vary(page, "Control until")
        expect(page.locator("#error-values-control-guidance-end")).to_contain_text("Choose a picture under")
        page.locator("#control-samples .thumbnail-item").nth(2).click()  # the error has unfolded the section
        expect(page.locator("#control-chosen img")).to_be_visible()
        fill(page, "values-control-guidance-end", "0.5, 1")
        run(page)
        finished(page, 2)
        expect(page.locator(".dp-began")).to_contain_text("Control picture")
        name = field(page, "field-control-image").input_value()
        assert set(np.unique(np.asarray(store.picture(name)))) == {0, 255}
        page.locator("#control-drawn").get_by_label("It is a control picture already").check()
        expect(field(page, "field-control-image")).not_to_have_value(name)
        page.locator("#control-clear").click()
        expect(page.locator("#error-values-control-guidance-end")).to_contain_text("Choose a picture under")
        page.close()


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
