"""The asking side of "Predict noise": a picture, what is in it, what is not, and which noise is drawn."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import gradio as gr
from PIL import Image

from playground import pictures
from playground.engine import PREPARING, Encode, Engine
from playground.inside.latent_noise import decoded
from playground.models import Facts
from playground.recipe import Recipe
from playground.ui.shared.endpoint import ENGINE
from playground.ui.shared.fields import Fields, checked, slot
from playground.ui.shared.html import data_url
from playground.ui.shared.quiet import QUIET
from playground.ui.shared.samples import gallery
from playground.ui.shared.shipped import EXAMPLES

# File, title, what is in it. The first four were drawn by Pocket (guidance 5, 20 steps; seeds 0, 1, 7, 8), whatever
# model is loaded. With them its right words lower L by 37 to 44 % over 8 draws; patchwork and lake are unlike its
# training pictures, and there they raise it by 2 and 14 %.
SAMPLES = (
    ("first_view/2.png", "Apple, drawn by Pocket", "red apple, blue background"),
    ("images/drawn_tree.png", "Tree, drawn by Pocket", "tree, white background"),
    ("images/drawn_cat.png", "Cat, drawn by Pocket", "cat, yellow background"),
    ("images/drawn_guitar.png", "Guitar, drawn by Pocket", "guitar, green background"),
    ("images/quilt.webp", "Patchwork", "colourful patchwork quilt"),
    ("images/dusk.webp", "Lake at dusk", "sunrise over mountains and a lake"),
)
WRONG_LABEL = "A wrong caption"
WRONG = "yellow fish, green background"
ROLES = ("right", "wrong", "none")  # of the three captions, in the order in which they are asked about

NEWEST: dict[str, Any] = {**ENGINE, **QUIET, "trigger_mode": "multiple"}  # a Latest decides between two
Values = Mapping[gr.components.Component, Any]
Updates = dict[gr.components.Component, Any]  # only what changes


def usual_guess(facts: Facts) -> Recipe:
    """What a guess is made with unless something else is asked for: DDIM where the model has it, because its timesteps
    are whole and it adds no noise."""
    return facts.usual.replace(sampler="ddim" if "ddim" in facts.samplers else facts.usual.sampler)


@dataclass(frozen=True, eq=False)
class Subject:
    """The picture asked about: its latents, and how the VAE gives them back."""

    x0: Any  # (1, C, h, w)
    source: str  # data URI of the picture, encoded and decoded by the VAE


@dataclass(frozen=True)
class Asked:
    """What the rail says."""

    subject: Subject
    recipe: Recipe  # of a guess, with the caption as its prompt; its seed draws ε
    wrong: str  # the wrong caption

    @property
    def captions(self) -> tuple[str, str, str]:
        """Of the ROLES."""
        return self.recipe.prompt, self.wrong, ""

    @property
    def captioned(self) -> bool:
        """Whether anything was said about the picture."""
        return bool(self.recipe.prompt.strip())


class Rail:
    """The components, and the way from their values to what is asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine, facts = engine, engine.facts
        self._pictures = [pictures.open_picture(EXAMPLES / name, facts.side) for name, _, _ in SAMPLES]
        self.sample = lru_cache(len(SAMPLES))(self._sample)
        self.subject = gr.State(None)  # a Subject once a picture was chosen; until then it is the first sample
        self.chooser = gallery(
            [(picture, title) for picture, (_, title, _) in zip(self._pictures, SAMPLES, strict=True)]
        )
        self.upload = gr.UploadButton("Upload your own", file_types=["image"], size="sm")
        self.upload_error = slot()
        start = usual_guess(facts).replace(prompt=SAMPLES[0][2])
        self.fields = Fields(start, facts, "pn-")
        self.caption = self.fields.add("prompt", "Say what is in the picture.", label="Caption", elem_id="pn-caption")
        self.wrong = gr.Textbox(
            WRONG, label=WRONG_LABEL, info="Say what is not in it.", max_lines=4, elem_id="pn-wrong"
        )
        self.fields.slot("wrong")
        self.seed = self.fields.add("seed", "Which noise is drawn.", label="Seed of ε", elem_id="pn-seed")
        self.inputs = {self.subject, self.caption, self.wrong, self.seed}

    def read(self, given: Values) -> tuple[Asked, dict[str, str]]:
        """The values of `inputs`, by component -> what is asked, and one sentence for each field that is wrong."""
        recipe, errors = self.fields.read(given)
        other, wrong = checked(recipe, {"prompt": given[self.wrong]})
        if wrong:
            errors["wrong"] = WRONG_LABEL + wrong["prompt"].removeprefix("prompt")
        return Asked(given[self.subject] or self.sample(0), recipe, other.prompt), errors

    def asked(self, given: Values) -> Asked | None:
        """What is asked; None where a field is wrong."""
        asked, errors = self.read(given)
        return None if errors else asked

    def look(self, picture: Image.Image, visitor: str = "") -> Subject:
        """A picture of the model's size, encoded. Raises Refusal where the engine cannot do that."""
        (encoded,) = self._engine.ask([Encode(picture)], visitor)
        (back,) = decoded(self._engine, encoded.value, visitor=visitor)
        return Subject(encoded.value, data_url(back, exact=False))

    def _sample(self, index: int) -> Subject:
        return self.look(self._pictures[index], PREPARING)  # once, for everybody
