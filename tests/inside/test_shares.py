"""What the views ask for counts as their visitor's own work, so that nobody gets a second share by looking."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from playground import noise, pictures
from playground.engine import Encode, LocalEngine
from playground.inside import latent_noise, prediction
from playground.inside.recordings import Recordings
from playground.inside.strips import strips
from playground.lessons.runs.film import Film
from playground.lessons.runs.guess import Guess
from playground.recipe import Recipe
from playground.store import Store
from playground.ui.shared.shipped import EXAMPLES

WHO = "somebody"
SHORT = Recipe(num_inference_steps=2)
View = Callable[[LocalEngine, torch.Tensor, Image.Image, Path], object]
VIEWS: dict[str, View] = {
    "decoded": lambda engine, x0, picture, _: latent_noise.decoded(engine, x0, visitor=WHO),
    "noised": lambda engine, x0, picture, _: latent_noise.noised_film(
        engine, picture, 0, noise.parts("scaled_linear"), [10], WHO
    ),
    "predicted": lambda engine, x0, picture, _: prediction.as_pictures(
        engine, prediction.predict(engine, x0, ["an apple"], 500, 0, WHO)[0], WHO
    ),
    "recorded": lambda engine, x0, picture, _: list(Recordings(engine).record([SHORT], visitor=WHO)),
    "strips": lambda engine, x0, picture, _: list(strips(engine, [x0.half()], WHO)),
    "a lesson's film": lambda engine, x0, picture, folder: list(
        Film(SHORT.to_dict(), (1, 2), "x0", False, engine.facts.name).perform(engine, Store(folder), WHO)
    ),
    "a lesson's guess": lambda engine, x0, picture, folder: list(
        Guess("dusk", (500,)).perform(engine, Store(folder), WHO)
    ),
}


@pytest.mark.parametrize("view", VIEWS)
def test_all_that_a_view_asks_is_its_visitors(
    engine: LocalEngine, view: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    picture = pictures.open_picture(EXAMPLES / "first_view" / "2.png", engine.facts.side)
    (answer,) = engine.ask([Encode(picture)])
    asked, add = [], engine.loop.add

    def told(request: object, *more: object) -> object:
        asked.append(request.visitor)
        return add(request, *more)

    monkeypatch.setattr(engine.loop, "add", told)
    VIEWS[view](engine, answer.value, picture, tmp_path)
    assert asked and set(asked) == {WHO}
