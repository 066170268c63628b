"""A sweep as a short text for an address: versioned, at most a few hundred letters for most grids."""

import base64
import binascii
import json
import zlib
from typing import Any

from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.sweep import Sweep

VERSION = "1"
LONGEST = 2048  # letters that go into an address; longer ones are kept in the browser only
_MOST_TEXT = 8 * LONGEST  # letters of a token that are read at all
_MOST_BYTES = 2**18  # of the JSON in it, so that a small token cannot become a large text


def to_token(sweep: Sweep, usual: Recipe) -> str:
    """A sweep -> "1.eJyr…"; what the base has in common with the usual recipe of the model is left out."""
    data, common = sweep.to_dict(), usual.to_dict()
    data["base"] = {name: value for name, value in data["base"].items() if common.get(name) != value}
    packed = zlib.compress(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(), 9)
    return f"{VERSION}.{base64.urlsafe_b64encode(packed).decode().rstrip('=')}"


def from_token(token: str, usual: Recipe) -> Sweep:
    """The inverse of `to_token`. Raises Refusal with one sentence for anything else."""
    version, _, text = token.partition(".")
    if version != VERSION:
        raise Refusal("This link is of another version of the playground, or no link to a grid.")
    return Sweep.from_dict(_unpacked(text), lambda base: Recipe.from_dict(usual.to_dict() | _object(base)))


def _unpacked(text: str) -> Any:
    damaged = Refusal("This link is damaged; copy the whole of it.")
    if len(text) > _MOST_TEXT:
        raise damaged
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(packed, _MOST_BYTES)
        if not unpacker.eof:
            raise damaged
        return json.loads(data)
    except (binascii.Error, zlib.error, ValueError, RecursionError):
        raise damaged from None


def _object(base: Any) -> dict[str, Any]:
    if not isinstance(base, dict):
        raise Refusal("A recipe must be a JSON object with fields such as prompt and seed.")
    return base
