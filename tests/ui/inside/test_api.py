"""/inspect_prompt through gradio_client."""

import re
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from playground import Recipe
from playground.engine import LocalEngine
from playground.store import from_png


def test_the_endpoint_tells_everything_about_one_prompt(address: str, engine: LocalEngine) -> None:
    recipe = Recipe(prompt="red Zeppelin", num_inference_steps=3, seed=5)
    report, files = Client(address, verbose=False).predict(recipe.to_dict(), api_name="/inspect_prompt")
    tokens = engine.model.pipeline.tokenizer(recipe.prompt, padding="max_length", max_length=32)["input_ids"]
    assert [token["id"] for token in report["words"]["tokens"]] == tokens
    assert report["words"]["limit"] == 32 and report["words"]["truncated"] == []
    assert [(word["text"], word["pieces"]) for word in report["words"]["words"]] == [("red", 1), ("Zeppelin", 5)]
    stages = {stage["key"]: stage for stage in report["stages"]}
    assert list(stages) == ["tokens", "text_encoder", "noise", "unet", "latents", "decoder", "picture"]
    assert stages["unet"]["parameters"] == sum(p.numel() for p in engine.model.unet.parameters())
    assert stages["unet"]["gives"] == [1, 4, 16, 16]
    keys = {"tokens", "text_encoder", "noise", "unet", "unet_call", "decoder"}
    assert set(report["milliseconds"]) == keys and all(value > 0 for value in report["milliseconds"].values())
    named = {Path(file).name: Path(file) for file in files}
    sizes = {name: Image.open(path).size for name, path in named.items()}
    assert sizes == {
        "embeddings.png": (192, 32),
        "noise.png": (64, 16),
        "latents.png": (64, 16),
        "picture.png": (128, 128),
    }
    kept = from_png(named["picture.png"].read_bytes())
    assert kept.recipe == recipe
    difference = np.asarray(kept.image).astype(int) - np.asarray(engine.render(recipe).image).astype(int)
    assert np.abs(difference).max() <= 2


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ({"seed": -1}, "seed must be from 0 to 4,294,967,295, not -1."),
        ({"model": "../../etc"}, "model must be pocket"),
        ({"colour": 1}, "'colour' is not a field of a recipe."),
        ([1], "A recipe must be a JSON object with fields such as prompt and seed."),
    ],
)
def test_the_endpoint_refuses_in_one_sentence(address: str, recipe: object, sentence: str) -> None:
    with pytest.raises(AppError, match=re.escape(sentence)) as caught:
        Client(address, verbose=False).predict(recipe, api_name="/inspect_prompt")
    assert "Traceback" not in str(caught.value)
