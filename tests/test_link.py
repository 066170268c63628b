"""A sweep as the address carries it: short, read back exactly, and refused in one sentence when damaged."""

import base64
import random
import zlib

import pytest

from playground import Recipe, Sweep
from playground.link import LONGEST, from_token, to_token
from playground.samplers import SAMPLERS

USUAL = Recipe(model="pocket")


def some_sweep(rng: random.Random) -> Sweep:
    texts = ["", "red apple, blue background", "“quoted” & <b>bold</b> ${x} {{y}}", "собака 🍎", "a " * 200]
    base = Recipe(
        prompt=rng.choice(texts),
        negative_prompt=rng.choice(texts),
        seed=rng.randint(0, 2**32 - 1),
        guidance_scale=rng.choice([0, 1, 7.5, 50]),
        num_inference_steps=rng.choice([2, 20, 50]),
        loras=rng.choice([{}, {"ink": -0.5, "lcm": 1}]),
        guidance_rescale=rng.choice([0, 0.7]),
    )
    axes = {
        "sampler": rng.sample(["ddim", "euler", "heun"], 2),
        "guidance_scale": rng.sample([1, 2.5, 9], 2),
        "negative_prompt": rng.sample(texts, 3),
        "loras.ink": [0, 0.25],
    }
    chosen = rng.sample(sorted(axes), rng.randint(1, 2))
    return Sweep(base, {name: axes[name] for name in chosen}, seeds=rng.choice([1, 3]))


@pytest.mark.parametrize("seed", range(40))
def test_a_link_opens_as_the_same_sweep(seed: int) -> None:
    sweep = some_sweep(random.Random(seed))
    token = to_token(sweep, USUAL)
    read = from_token(token, USUAL)
    assert read == sweep and list(read.axes) == list(sweep.axes) and read.digest() == sweep.digest()
    assert len(token) < LONGEST and token.replace("-", "").replace("_", "").replace(".", "").isalnum()


def test_a_link_names_only_what_is_not_usual() -> None:
    short = to_token(Sweep(Recipe(prompt="cat"), {"sampler": list(SAMPLERS)[:3]}), USUAL)
    assert len(short) < 140
    assert from_token(short, USUAL.replace(guidance_scale=3)).base.guidance_scale == 3


def packed(text: bytes) -> str:
    return "1." + base64.urlsafe_b64encode(zlib.compress(text)).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "2.abc",
        "1.",
        "1.%%%",
        "1." + "A" * 100_000,
        packed(b"not json"),
        packed(b"[" * 100_000),
        packed(b" " * 10_000_000),
        packed(b"[]"),
        packed(b'{"base": 3, "axes": {}}'),
        packed(b'{"base": {}, "axes": {"seed": [1, 2]}, "seeds": "x"}'),
        packed(b'{"base": {"prompt": 3}, "axes": {"seed": [1]}}'),
        to_token(Sweep(Recipe(prompt="cat"), {"seed": [1, 2]}), USUAL)[:-4],
    ],
)
def test_anything_else_is_refused_in_one_sentence(token: str) -> None:
    with pytest.raises(ValueError) as caught:
        from_token(token, USUAL)
    assert len(str(caught.value)) < 200 and str(caught.value).endswith(".")
