"""Stability AI's form: POST /v2beta/stable-image/generate/…, a form of parts in, the picture's own bytes out.

https://platform.stability.ai/docs/api-reference. What the file calls the model is the last part of the address: core,
ultra or sd3, of which sd3 has several, told apart by `extra`. It draws shapes and no sizes.
"""

from typing import Any

from PIL import Image

from playground.hosted.answers import picture
from playground.hosted.configuration import HostedModel, ratio_of
from playground.hosted.posting import posted
from playground.recipe import Recipe
from playground.refusal import Refusal

FILTERED = "CONTENT_FILTERED"  # in the head "finish-reason" of an answer whose picture was blurred
CALLED = {"guidance_scale": "cfg_scale"}


def ask(model: HostedModel, recipe: Recipe, sent: tuple[str, ...]) -> Image.Image:
    """One picture, in the size that came; `sent` are the fields besides prompt and shape. Raises Refusal where there
    is none."""
    asked: dict[str, Any] = {"prompt": recipe.prompt, "output_format": "png"}
    asked["aspect_ratio"] = ratio_of(recipe.width, recipe.height)
    asked |= {CALLED.get(name, name): getattr(recipe, name) for name in sent if getattr(recipe, name) != ""}
    parts = {name: (None, str(value)) for name, value in {**asked, **model.extra}.items()}
    reply = posted(model, f"/v2beta/stable-image/generate/{model.model}", "image/*", files=parts)
    if reply.headers.get("finish-reason") == FILTERED:
        raise Refusal(f"{model.provider} refuses to show what it drew for this prompt, by its own rules.")
    return picture(reply.body, model)
