"""The endpoints for programs, called as the README says, through gradio_client."""

import time
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from playground import Recipe, pictures
from playground.engine import Engine
from playground.store import from_png
from playground.ui.shared.samples import IMAGES

ENDPOINTS = ("/render_grid", "/add_noise", "/denoise", "/predict_noise", "/inspect_prompt")


@pytest.fixture(scope="module")
def client(address: str, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(address, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))


def test_the_public_endpoints_are_these(client: Client) -> None:
    assert sorted(client.view_api(return_format="dict")["named_endpoints"]) == sorted(ENDPOINTS)


@pytest.mark.parametrize("name", ENDPOINTS)
def test_the_api_pages_python_can_be_run_as_it_stands(client: Client, name: str) -> None:
    """Which sends each default, and the example of what has none."""
    parameters = client.view_api(return_format="dict")["named_endpoints"][name]["parameters"]
    sent = {
        one["parameter_name"]: one["parameter_default"] if one["parameter_has_default"] else one["example_input"]
        for one in parameters
    }
    assert client.predict(**sent, api_name=name)


@pytest.mark.parametrize(("name", "also"), [("/add_noise", {}), ("/predict_noise", {"prompt": ""})])
def test_a_program_may_choose_one_of_the_pages_pictures(client: Client, name: str, also: dict[str, str]) -> None:
    own, far = pictures.open_picture(IMAGES / "quilt.webp"), []
    for title in ("Patchwork", "Lake at dusk"):
        answer = client.predict(example=title, t=0, **also, api_name=name)[0]
        picture = Image.open(answer if isinstance(answer, str) else answer[0]).convert("RGB").resize(own.size)
        far.append(np.abs(np.asarray(picture).astype(int) - np.asarray(own).astype(int)).mean())
    assert far[0] < far[1] / 2
    with pytest.raises(AppError, match="example must be one of: .*Lake at dusk"):
        client.predict(example="../../README.md", **also, api_name=name)


@pytest.mark.parametrize("name", ["/add_noise", "/predict_noise"])
def test_the_api_pages_example_picture_is_one(client: Client, name: str) -> None:
    picture, *_ = client.view_api(return_format="dict")["named_endpoints"][name]["parameters"]
    assert picture["example_input"]["path"].endswith(".png")  # Gradio's is a PDF


def test_render_grid_gives_the_pictures_and_their_numbers(client: Client, engine: Engine) -> None:
    base = Recipe(prompt="red apple, blue background", num_inference_steps=4, seed=3)
    sweep = {"base": base.to_dict(), "axes": {"guidance_scale": [1, 5]}}
    files, cells = client.predict(sweep, api_name="/render_grid")
    assert [c["recipe"]["guidance_scale"] for c in cells] == [1, 5]
    assert [c["evaluations"] for c in cells] == [4, 8]
    saved = from_png(Path(files[1]).read_bytes())
    assert saved.recipe == base and saved.recipe.digest() == cells[1]["digest"]
    again = engine.render(base)
    difference = np.abs(np.asarray(Image.open(files[1])).astype(int) - np.asarray(again.image).astype(int))
    assert difference.max() <= 2


def test_a_small_grid_is_served_while_ten_long_ones_go_on(client: Client, engine: Engine) -> None:
    base = Recipe(prompt="boat, white background", num_inference_steps=400).to_dict()
    long = [
        client.submit({"base": {**base, "seed": seed}, "axes": {"guidance_scale": [5]}}, api_name="/render_grid")
        for seed in range(10)
    ]
    while sum(r.open for r in engine.loop.requests) < len(long):
        time.sleep(0.05)
    small = {"base": {**base, "num_inference_steps": 2}, "axes": {"guidance_scale": [1]}}
    _, cells = client.predict(small, api_name="/render_grid")
    assert cells[0]["evaluations"] == 2
    assert sum(r.open for r in engine.loop.requests) == len(long)  # none of them is finished
    for job in long:
        job.cancel()
    while engine.loop.busy:
        time.sleep(0.05)


@pytest.mark.parametrize(
    "sweep",
    [
        {},
        {"base": {}, "axes": {}},
        {"base": {"seed": "x"}, "axes": {"guidance_scale": [1, 2]}},
        {"base": {}, "axes": {"guidance_scale": [-1]}},
        {"base": {}, "axes": {"seed": list(range(500))}},
        {"base": {"model": "../../etc"}, "axes": {"seed": [1, 2]}},
        {"base": {}, "axes": {"strength": [0.5, 1]}},  # without a picture
    ],
)
def test_render_grid_refuses_bad_json_with_a_sentence(client: Client, sweep: dict) -> None:
    with pytest.raises(Exception) as caught:
        client.predict(sweep, api_name="/render_grid")
    assert str(caught.value).endswith(".") and "Traceback" not in str(caught.value)
