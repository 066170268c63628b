"""OpenAI's form, which others speak as well: POST /images/generations, JSON in, a picture in base64 out.

https://platform.openai.com/docs/api-reference/images/create
"""

import base64
import json
from typing import Any

from PIL import Image

from playground.hosted.answers import no_picture, picture
from playground.hosted.configuration import HostedModel
from playground.hosted.posting import posted
from playground.recipe import Recipe
from playground.refusal import Refusal


def ask(model: HostedModel, recipe: Recipe, _sent: tuple[str, ...]) -> Image.Image:
    """One picture, in the size that came; nothing but prompt and size has a place here. Raises Refusal where there is
    none."""
    asked = {"model": model.model, "prompt": recipe.prompt, "n": 1, "size": f"{recipe.width}x{recipe.height}"}
    reply = posted(model, "/images/generations", "application/json", json={**asked, **model.extra})
    first = _first(reply.body)
    if isinstance(data := first.get("b64_json"), str):
        try:
            decoded = base64.b64decode(data, validate=True)
        except ValueError:
            raise Refusal(no_picture(model)) from None
        return picture(decoded, model)
    if "url" in first:  # which might lead anywhere
        raise Refusal(
            f"{model.provider} answered with an address, and none is fetched here; "
            'extra = {response_format = "b64_json"} in the file of --hosted asks for the picture itself.'
        )
    raise Refusal(no_picture(model))


def _first(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)["data"][0]
    except (ValueError, RecursionError, LookupError, TypeError):
        return {}
    return data if isinstance(data, dict) else {}
