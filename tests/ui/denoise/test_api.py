"""/denoise through gradio_client."""

import re
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from playground import Recipe
from playground.engine import LocalEngine
from playground.schedule import levels
from playground.store import from_png


@pytest.fixture(scope="module")
def client(address: str, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(address, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))


def test_the_endpoint_gives_every_step_and_the_picture(client: Client, engine: LocalEngine) -> None:
    recipe = Recipe(prompt="red apple, blue background", sampler="euler_a", num_inference_steps=4, seed=3)
    files, told = client.predict(recipe.to_dict(), api_name="/denoise")
    assert len(files) == 5 and [step["k"] for step in told["steps"]] == [0, 1, 2, 3]
    stands = levels(recipe, engine.facts.schedule)
    assert [step["sigma"] for step in told["steps"]] == pytest.approx([level.sigma for level in stands[:-1]])
    assert told["steps"][0]["t"] == 999 and told["end"]["sigma"] == 0 and told["unconditional"] == "used"
    for step in told["steps"]:  # the law of cosines ties the numbers together
        squared = step["norm_cond"] ** 2 + step["norm_uncond"] ** 2
        squared -= 2 * step["norm_cond"] * step["norm_uncond"] * step["cosine"]
        assert step["norm_difference"] ** 2 == pytest.approx(squared, rel=1e-3, abs=1e-3)
    saved = from_png(Path(files[-1]).read_bytes())
    assert saved.recipe == recipe
    expected = np.asarray(engine.render(recipe).image).astype(int)
    assert np.abs(np.asarray(saved.image).astype(int) - expected).max() <= 2
    preview = Image.open(files[3]).resize(saved.image.size)  # the last predicted picture is nearly the finished one
    assert np.abs(np.asarray(preview).astype(int) - expected).mean() < 25


def test_without_guidance_the_endpoint_says_so(client: Client) -> None:
    _, told = client.predict({"guidance_scale": 1, "num_inference_steps": 2}, api_name="/denoise")
    assert told["recipe"]["model"] == "pocket" and told["recipe"]["width"] == 128  # those of what runs here
    assert told["unconditional"] == "shown only" and told["steps"][0]["norm_uncond"] > 0


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ({"seed": -1}, "seed must be from 0 to 4,294,967,295, not -1."),
        ({"sampler": "<b>"}, "sampler must be one of"),
        ({"model": "../../etc"}, "model must be pocket"),
        (
            {"sampler": "ddim", "num_inference_steps": 1000},
            "num_inference_steps must be at most 999 for the sampler ddim.",
        ),
        ([], "A recipe must be a JSON object"),
    ],
)
def test_the_endpoint_refuses_in_one_sentence(client: Client, recipe: object, sentence: str) -> None:
    with pytest.raises(AppError, match=re.escape(sentence)) as caught:
        client.predict(recipe, api_name="/denoise")
    assert "Traceback" not in str(caught.value)
