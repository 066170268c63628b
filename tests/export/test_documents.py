"""One recipe JSON is form, file, picture and API: each gives all others back."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from playground import Recipe, Sweep
from playground.engine import LocalEngine, Result
from playground.export.document import alone, read_json, to_json
from playground.export.png import PARAMETERS, cell_png, sheet_png, texts_of
from playground.export.reading import read_picture
from playground.refusal import Refusal
from playground.store import from_png
from tests.test_recipe import RECIPES

GREY = Image.new("RGB", (8, 8), "grey")
RECIPE_FILES = sorted((Path(__file__).parents[2] / "examples" / "recipes").glob("*.json"))


@settings(max_examples=60)
@given(RECIPES, st.lists(st.floats(0, 50), min_size=1, max_size=4, unique=True))
def test_recipe_json_picture_and_sheet_give_each_other_back(recipe: Recipe, scales: list[float]) -> None:
    sweep = Sweep(recipe, {"guidance_scale": scales})
    assert read_json(to_json(sweep)) == sweep
    assert read_json(recipe.to_json()) == alone(recipe) == read_json(json.dumps({"recipe": recipe.to_dict()}))
    plain = Image.new("RGB", (recipe.width, recipe.height), "grey")
    cell = cell_png(Result(plain, recipe, 1.0, recipe.calls))
    assert from_png(cell).recipe == recipe  # the store and a page read the same file
    assert read_json(texts_of(cell)[0]["diffusion-playground"]) == alone(recipe)
    assert read_json(texts_of(sheet_png(GREY, sweep))[0]["diffusion-playground"]) == sweep


def test_a_picture_and_a_sheet_dropped_give_their_own_settings_and_nothing_is_left_out(engine: LocalEngine) -> None:
    recipe = Recipe(prompt="a ✓ cat", sampler="euler", num_inference_steps=7, seed=3, loras={"ink_outline": 0.5})
    restored = read_picture(cell_png(Result(GREY, recipe, 1.0, 14)), engine.facts)
    assert (restored.recipe, restored.sentences) == (recipe, [])
    sweep = Sweep(recipe, {"seed": [1, 2], "guidance_scale": [1.0, 5.0]})
    assert read_picture(sheet_png(GREY, sweep), engine.facts).sweep == sweep


@pytest.mark.parametrize("path", RECIPE_FILES, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_read_and_written_back(path: Path) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    sweep = read_json(path.read_text(encoding="utf-8"))
    assert sweep == Sweep.from_dict(data["sweep"]) and read_json(to_json(sweep)) == sweep


def test_adding_text_changes_no_pixel(engine: LocalEngine) -> None:
    picture = Image.effect_noise((16, 16), 90).convert("RGB")
    data = cell_png(Result(picture, Recipe(prompt="日本"), 1.0, 40))
    texts, again = texts_of(data)
    assert again.tobytes() == picture.tobytes() and texts[PARAMETERS].startswith("日本\nSteps: 20,")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[1]", "must be a JSON object"),
        ('{"sweep": 1}', "must be a JSON object"),
        ('{"prompt": 1}', "prompt must be text"),
        ('{"base": {}, "axes": {}}', "varies"),
        ("1" * (2**20 + 1), "longer than a megabyte"),
    ],
)
def test_what_is_no_recipe_is_refused_in_one_sentence(text: str, says: str) -> None:
    with pytest.raises(Refusal, match=says) as caught:
        read_json(text)
    assert "\n" not in str(caught.value)


def _png(**texts: str) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    info, buffer = PngInfo(), io.BytesIO()
    for key, text in texts.items():
        info.add_text(key.replace("_", "-"), text)
    GREY.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"GIF89a nothing", "Only a PNG carries a recipe"),
        (b"", "Only a PNG carries a recipe"),
        (_png()[:50], "damaged"),
        (_png(), "carries no recipe"),
        (_png(diffusion_playground="{"), "damaged"),
        (_png(diffusion_playground="[1]"), "must be a JSON object"),
        (_png(prompt="{}", workflow='{"nodes": 3, "links": []}'), "carries no recipe"),
        (_png(prompt='{"3": {"class_type": "KSampler", "inputs": []}}'), "carries no recipe"),
        (
            b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x01\x00\x00\x00\x01\x00\x00" + b"\0" * 40,
            "more than 40 megapixels",
        ),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x02\x00\x00\x00" + b"\0" * 40, "megapixels"),
        (_png() + b"\0" * 9_000_000, "larger than 8 MB"),
    ],
    ids=range(11),
)
def test_a_damaged_picture_gets_one_sentence(data: bytes, says: str, engine: LocalEngine) -> None:
    with pytest.raises(Refusal, match=says) as caught:
        read_picture(data, engine.facts)
    assert "\n" not in str(caught.value)
