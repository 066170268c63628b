"""`verify`: draw a picture's recipe again and say how far the two are apart."""

import json
from collections.abc import Sequence
from pathlib import Path

from playground.command.checks import NO_EXTRAS, Extras
from playground.command.quiet import opened
from playground.export.receipt import own_recipe, verify
from playground.pictures import open_whole
from playground.refusal import Refusal
from playground.sources.given import Source
from playground.store import Store


def check(
    model: Source,
    picture: Path,
    as_json: bool,
    given: Sequence[Path] = (),
    controlnet: Path | None = None,
    extras: Extras = NO_EXTRAS,
) -> int:
    """-> exit code: 0 the same up to rounding, 1 different. Raises Refusal where there is nothing to check.

    `given`: files with the pictures that its run was given, where they are not kept here.
    """
    try:
        data = picture.read_bytes()
    except OSError as error:
        raise Refusal(f"{picture.name} cannot be read: {error.strerror}.") from None
    own_recipe(data)  # what is none of ours is said before the model is loaded
    engine, store = opened(model, controlnet=controlnet, extras=extras), Store()
    engine.model.wait_until_converted()  # torch may round the last bit differently
    for path in given:
        store.put_picture(open_whole(path))
    receipt = verify(engine, data, store)
    if as_json:
        numbers = {"largest": receipt.largest, "mean": receipt.mean, "changed": receipt.changed}
        print(json.dumps({"same": receipt.same, **numbers, "digest": receipt.recipe.digest()}))
    else:
        print(receipt.sentence())
    return 0 if receipt.same else 1
