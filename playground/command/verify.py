"""`verify`: draw a picture's recipe again and say how far the two are apart."""

import json
from pathlib import Path

from playground.command.quiet import opened
from playground.export.receipt import own_recipe, verify
from playground.refusal import Refusal
from playground.sources.given import Source


def check(model: Source, picture: Path, as_json: bool) -> int:
    """-> exit code: 0 the same up to rounding, 1 different. Raises Refusal where there is nothing to check."""
    try:
        data = picture.read_bytes()
    except OSError as error:
        raise Refusal(f"{picture.name} cannot be read: {error.strerror}.") from None
    own_recipe(data)  # what is none of ours is said before the model is loaded
    engine = opened(model)
    engine.model.wait_until_converted()  # torch may round the last bit differently
    receipt = verify(engine, data)
    if as_json:
        numbers = {"largest": receipt.largest, "mean": receipt.mean, "changed": receipt.changed}
        print(json.dumps({"same": receipt.same, **numbers, "digest": receipt.recipe.digest()}))
    else:
        print(receipt.sentence())
    return 0 if receipt.same else 1
