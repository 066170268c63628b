"""A recipe fixes one picture, refuses nonsense in one sentence, and has the same digest everywhere."""

import math
import subprocess
import sys
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground import Recipe
from playground.recipe import LATE
from playground.refusal import Refusal
from playground.samplers import SAMPLERS

# what a recipe without LoRAs was written as when the first pictures were kept
FIRST_FIELDS = {"prompt", "negative_prompt", "sampler", "num_inference_steps", "guidance_scale", "seed"}
FIRST_FIELDS |= {"width", "height", "model"}
RECIPES = st.builds(
    Recipe,
    prompt=st.text(max_size=50),
    negative_prompt=st.text(max_size=20),
    sampler=st.sampled_from(sorted(SAMPLERS)),
    num_inference_steps=st.integers(2, 50),
    guidance_scale=st.floats(0, 50),
    guidance_rescale=st.sampled_from([0.0, 0.7, 1.0]),
    seed=st.integers(0, 2**32 - 1),
    loras=st.dictionaries(st.text("aZé7 ._-", min_size=1, max_size=8), st.floats(-2, 2), max_size=4),
)


@given(RECIPES)
def test_json_round_trip_is_exact(recipe: Recipe) -> None:
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe
    assert again.digest() == recipe.digest()


def test_digest_is_the_same_in_another_process_with_another_hash_seed() -> None:
    recipe = Recipe(prompt="red apple, blue background ✓", guidance_scale=7, seed=3)
    code = "import sys; from playground import Recipe; print(Recipe.from_json(sys.argv[1]).digest())"
    other = subprocess.run(
        [sys.executable, "-c", code, recipe.to_json()],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "99", "PATH": ""},
    )
    assert other.stdout.strip() == recipe.digest()


def test_whole_and_decimal_guidance_are_the_same_recipe() -> None:
    assert Recipe(guidance_scale=5).digest() == Recipe(guidance_scale=5.0).digest()


def test_any_changed_field_changes_the_digest() -> None:
    base = Recipe()
    changes = [
        {"prompt": "x"},
        {"negative_prompt": "x"},
        {"sampler": "ddim"},
        {"num_inference_steps": 21},
        {"guidance_scale": 5.1},
        {"seed": 1},
        {"width": 256},
        {"height": 256},
        {"model": "other"},
        {"loras": {"ink": 0.5}},
        {"guidance_rescale": 0.7},
        {"eta": 0.5},
        {"clip_skip": 1},
        {"shift": 3.0},
        {"prompt_weights": True},
        {"image": "0" * 64},
        {"strength": 0.5},
        {"control_image": "0" * 64},
        {"controlnet_conditioning_scale": 0.5},
        {"control_guidance_start": 0.5},
        {"control_guidance_end": 0.5},
    ]
    digests = {base.digest(), *(base.replace(**change).digest() for change in changes)}
    assert len(digests) == len(changes) + 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("guidance_scale", -1),
        ("guidance_scale", math.nan),
        ("guidance_scale", math.inf),
        ("guidance_scale", 1e9),
        ("guidance_scale", True),
        ("guidance_scale", "5"),
        ("guidance_scale", None),
        ("num_inference_steps", 0),
        ("num_inference_steps", 10_000),
        ("num_inference_steps", 20.5),
        ("num_inference_steps", True),
        ("seed", -1),
        ("seed", 2**32),
        ("seed", 1.0),
        ("seed", None),
        ("sampler", "nope"),
        ("sampler", ["ddim"]),
        ("prompt", "x" * 100_000),
        ("prompt", None),
        ("negative_prompt", 3),
        ("width", 100),
        ("width", 8),
        ("height", 100_000),
        ("model", ""),
        ("guidance_rescale", 1.5),
        ("guidance_rescale", "0"),
        ("eta", 1.1),
        ("eta", math.nan),
        ("clip_skip", 1.0),
        ("clip_skip", 13),
        ("clip_skip", True),
        ("prompt_weights", 1),
        ("prompt_weights", None),
        ("shift", -0.1),
        ("shift", 20.5),
        ("image", "../cells"),
        ("image", "A" * 64),
        ("image", None),
        ("strength", 1.01),
        ("strength", math.nan),
        ("strength", True),
        ("control_image", 3),
        ("controlnet_conditioning_scale", 2.5),
        ("control_guidance_start", 1.0),
        ("control_guidance_end", -0.1),
        ("guidance_scale", 10**400),  # no float is that large
        ("eta", -(10**400)),
        ("seed", 10**400),
        pytest.param("seed", 10**5000, id="a seed that Python does not write"),
        ("width", [10**5000]),
        ("prompt", "half of \ud83d"),
        ("negative_prompt", "\udc00"),
        ("model", "\ud83d"),
        ("loras", {"ink": 10**400}),
    ],
)
def test_bad_values_are_refused_in_one_sentence_that_names_the_field(field: str, value: object) -> None:
    with pytest.raises(Refusal) as caught:
        Recipe(**{field: value})
    sentence = str(caught.value)
    assert sentence.startswith(field) and sentence.endswith(".")
    assert len(sentence) < 200 and "\n" not in sentence


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"prompts": "x"}', '{"seed": "7"}', None, "[" * 100_000])
def test_bad_json_is_a_value_error(text: str) -> None:
    with pytest.raises(Refusal):
        Recipe.from_json(text)


def test_a_sampler_says_how_few_and_how_many_steps_it_can_make() -> None:
    with pytest.raises(Refusal, match="at least 2 for the sampler pndm"):
        Recipe(sampler="pndm", num_inference_steps=1)
    with pytest.raises(Refusal, match="at most 50 for the sampler lcm"):
        Recipe(sampler="lcm", num_inference_steps=51)


def test_a_late_field_at_its_default_is_not_in_the_json() -> None:
    """By rule, for every field that came after pictures were kept; see `test_store` for the pictures."""
    late = {"guidance_rescale": 0.0, "true_cfg_scale": 1.0, "image": "", "strength": 0.8}
    late |= {"control_image": "", "controlnet_conditioning_scale": 1.0}
    late |= {"control_guidance_start": 0.0, "control_guidance_end": 1.0, "eta": 0.0, "clip_skip": 0, "shift": 0.0}
    late |= {"prompt_weights": False}
    assert LATE == late and set(Recipe().to_dict()) == FIRST_FIELDS
    for name, default in LATE.items():
        assert name not in Recipe(**{name: default}).to_dict()
    assert Recipe(guidance_rescale=0.7).to_dict()["guidance_rescale"] == 0.7


def test_what_weighs_too_much_is_refused_only_where_weights_are_read() -> None:
    assert Recipe(prompt="(a:99)").prompt == "(a:99)"
    for field in ("prompt", "negative_prompt"):
        with pytest.raises(Refusal, match=f"^{field} has a word of weight 99; weights must be from -10 to 10"):
            Recipe(**{field: "(a:99)"}, prompt_weights=True)


def test_every_new_field_is_a_late_one() -> None:
    assert {f.name for f in fields(Recipe)} == {*FIRST_FIELDS, "loras", *LATE}


def test_recipes_are_frozen_and_replace_checks() -> None:
    with pytest.raises(AttributeError):
        Recipe().seed = 3  # type: ignore[misc]
    with pytest.raises(Refusal, match="colour"):
        Recipe().replace(colour="red")


def test_from_a_picture_the_last_steps_are_run_as_many_as_diffusers_takes() -> None:
    base = Recipe(image="0" * 64, num_inference_steps=20, guidance_scale=5)
    for strength, steps in ((1, 20), (0.55, 11), (0.8, 16), (0.29, 5), (0.05, 1)):
        recipe = base.replace(strength=strength)
        assert (recipe.steps_run, recipe.calls) == (steps, steps)
    assert base.replace(num_inference_steps=100, strength=0.29).steps_run == 28  # int(100 × 0.29) as floats have it
    heun = base.replace(sampler="heun", strength=0.5)
    assert heun.calls == 19 and heun.replace(image="").calls == 39
    assert Recipe(strength=0.1).steps_run == 20  # from noise all are, whatever the strength
    with pytest.raises(Refusal, match=r"^strength must be at least 0\.05 with 20 steps, so that one runs\.$"):
        base.replace(strength=0.04)
