"""What a family keeps of the texts it encoded stays below its bound in bytes, whichever encoders it has."""

import weakref
from typing import Any

import pytest
from torch import Tensor

from playground.models.contract import Condition
from playground.models.running.text_cache import TEXT_CACHE_BYTES, TextCache
from tests.models.families.conftest import Engines
from tests.models.families.test_late_fields import base_of

PROMPTS = ("red", "cat", "owl", "ink", "oak", "red")  # of one length, because some families keep no more than that


@pytest.mark.parametrize("kind", ["sd3-tiny", "flux-dev-tiny", "z-image-tiny", "qwen-image-tiny"])
def test_old_texts_leave_memory_and_are_encoded_anew(
    engine_of: Engines, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    engine, model = engine_of(kind), engine_of(kind).model
    assert isinstance(model.encode, TextCache) and TEXT_CACHE_BYTES == 256 * 2**20  # as the README says
    one = sum(x.nbytes for x in model.encode_now(PROMPTS[0]).values())
    encoded: list[str] = []
    made: list[weakref.ref[Tensor]] = []

    def encode(words: str, **asked: Any) -> Condition:
        found = model.encode_now(words, **asked)
        encoded.append(words)
        made.extend(map(weakref.ref, found.values()))
        return found

    cache = TextCache(encode, most=3 * one + one // 2)
    monkeypatch.setattr(model, "encode", cache)
    base = base_of(engine.facts, **{engine.facts.cfg: model.guided_above}).replace(num_inference_steps=2)
    pictures = [engine.render(base.replace(prompt=prompt)).image.tobytes() for prompt in PROMPTS]
    assert encoded == list(PROMPTS) and pictures[0] == pictures[-1] != pictures[1]
    engine.render(base.replace(prompt=PROMPTS[-2]))
    assert len(encoded) == len(PROMPTS) and len(cache) == 3 and cache.bytes == 3 * one
    there = [x for x in (ref() for ref in made) if x is not None]
    assert sum(x.untyped_storage().nbytes() for x in there) == cache.bytes  # nothing else holds one that left
