"""Pictures of AUTOMATIC1111, Civitai and ComfyUI fill the form; what has no place here is said.

The texts follow AUTOMATIC1111's create_infotext and ComfyUI's documented formats, API and saved.
"""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playground import Recipe
from playground.engine import LocalEngine
from playground.export.comfy import NAMES, read_workflow, to_workflow
from playground.export.parameters import parse_parameters, to_parameters
from playground.export.reading import Restored, read_picture
from playground.refusal import Refusal
from playground.samplers import SAMPLERS
from tests.export.test_documents import _png
from tests.test_recipe import RECIPES

AUTOMATIC = """castle, (stone:1.3), <lora:ink_outline:0.8>, <lora:other:1>
tall towers
Negative prompt: blurry, hands
fog
Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 1234, Size: 512x768, \
Model hash: 6ce0161689, Model: "v1-5, pruned", Clip skip: 2, Denoising strength: 0.4, Hires upscale: 2, \
Version: v1.10.1"""

CIVITAI = """red apple
Negative prompt: blurry
Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 128x128, Clip skip: 2, \
Created Date: 2024-05-01T10:00:00.0000000Z, Civitai resources: [{"type":"checkpoint","modelVersionId":1,\
"modelName":"Nice, Model","modelVersionName":"v1"},{"type":"lora","weight":0.5,"modelVersionId":2,\
"modelName":"pixel_art","modelVersionName":"v1"}], Civitai metadata: {"remixOfId":3}"""


def automatic(engine: LocalEngine, text: str) -> Restored:
    return read_picture(_png(parameters=text), engine.facts)


def test_automatic1111s_picture_fills_the_form(engine: LocalEngine) -> None:
    found = automatic(engine, AUTOMATIC)
    recipe, said = found.recipe, " ".join(found.sentences)
    assert (
        recipe.prompt == "castle, (stone:1.3), ,\ntall towers".replace(", ,\n", ", ,\n")
        or "tall towers" in recipe.prompt
    )
    assert recipe.negative_prompt == "blurry, hands\nfog"
    assert (recipe.num_inference_steps, recipe.guidance_scale, recipe.seed) == (28, 6.5, 1234)
    assert recipe.clip_skip == 1  # it counts from 1
    assert recipe.sampler == "dpmpp_2m_karras" and dict(recipe.loras) == {"ink_outline": 0.8}
    assert (recipe.model, recipe.width, recipe.height) == ("pocket", 128, 128)
    assert recipe.prompt_weights and "Prompt weights is on, because AUTOMATIC1111 reads marks" in said
    for words in ("512 × 768", "v1-5, pruned", "other 1", "Denoising strength 0.4"):
        assert words in said, words
    assert "Version" not in said and "Hires upscale 2" in said


def test_weights_are_read_where_they_were_and_can_be(engine: LocalEngine) -> None:
    settings = "Steps: 4, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 128x128"
    found = automatic(engine, f"cat :)\nNegative prompt: [dog]\n{settings}")
    assert found.recipe.prompt_weights and found.recipe.negative_prompt == "[dog]"
    assert automatic(engine, f"cat :)\n{settings}").sentences == []
    found = automatic(engine, f"(cat:20)\n{settings}")
    said = " ".join(found.sentences)
    assert not found.recipe.prompt_weights and found.recipe.prompt == "(cat:20)"
    assert "prompt has a word of weight 20" in said and "emphasis marks" in said
    without = replace(engine.facts, reads_weights=False)
    found = read_picture(_png(parameters=f"[cat]\n{settings}"), without)
    assert not found.recipe.prompt_weights and "The prompt has emphasis marks" in found.sentences[0]
    found = automatic(engine, "(" * 100_000 + f"cat\n{settings}")  # is not read to its end
    assert len(found.recipe.prompt) == 1000


def test_civitais_resource_lines_are_read(engine: LocalEngine) -> None:
    found = automatic(engine, CIVITAI)
    assert dict(found.recipe.loras) == {"pixel_art": 0.5} and found.recipe.sampler == "euler_a"
    said = " ".join(found.sentences)
    assert found.recipe.clip_skip == 1
    assert "Nice, Model" in said and "Created" not in said and "Civitai" not in said


@pytest.mark.parametrize("key", SAMPLERS)
def test_what_is_written_for_automatic1111_and_comfyui_is_read_back(key: str, engine: LocalEngine) -> None:
    recipe = Recipe(prompt="cat, red background", negative_prompt="dog", sampler=key, guidance_scale=3.5, seed=9)
    recipe = recipe.replace(loras={"pixel_art": 0.5}, guidance_rescale=0.7, clip_skip=1)
    recipe = recipe.replace(eta=0.4 if key == "ddim" else 0)
    found = automatic(engine, to_parameters(recipe))
    assert (found.recipe, found.sentences) == (recipe, [])
    found = read_picture(_png(prompt=json.dumps(to_workflow(recipe))), engine.facts)
    assert found.recipe == recipe.replace(guidance_rescale=0, eta=0) and found.sentences == []


def test_both_scales_of_a_network_that_is_told_one_are_written_and_read_back(engine: LocalEngine) -> None:
    flux = replace(engine.facts, guidance="embedded", cfg="true_cfg_scale")
    recipe = Recipe(prompt="cat", negative_prompt="dog", guidance_scale=3.5, true_cfg_scale=2.5, seed=9)
    text = to_parameters(recipe, flux)
    assert "CFG scale: 2.5," in text and "Distilled CFG Scale: 3.5" in text
    found = read_picture(_png(parameters=text), flux)
    assert (found.recipe, found.sentences) == (recipe, [])
    found = automatic(engine, text)  # of a model that has one scale
    assert found.recipe.guidance_scale == 2.5 and found.recipe.true_cfg_scale == 1
    assert found.sentences == ["Had no place here: Distilled CFG Scale 3.5."]
    assert "Distilled" not in to_parameters(recipe.replace(true_cfg_scale=1), engine.facts)
    distilled = replace(engine.facts, guidance="none", cfg="", usual=engine.facts.usual.replace(guidance_scale=1))
    found = read_picture(_png(parameters=to_parameters(Recipe(guidance_scale=7, seed=9))), distilled)
    assert (found.recipe.guidance_scale, found.recipe.seed) == (1, 9)
    assert found.sentences == ["The CFG scale 7 has no place here: this model uses no guidance scale."]


def test_the_steps_of_older_versions_and_unknown_samplers(engine: LocalEngine) -> None:
    found = automatic(engine, "cat\nSteps: 4, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 1, Size: 128x128")
    assert found.recipe.sampler == "dpmpp_2m_karras" and found.sentences == []
    found = automatic(engine, "cat\nSteps: 5000, Sampler: Restart, CFG scale: 70, Seed: 99999999999, Size: 128x128")
    said = " ".join(found.sentences)
    assert "Restart" in said and "Steps 5000" in said and "CFG scale 70" in said and "99999999999" in said
    assert found.recipe.seed == 99999999999 & 0xFFFFFFFF


SAVED = {
    "nodes": [
        {"id": 4, "type": "CheckpointLoaderSimple", "widgets_values": ["sd/v1-5.safetensors"]},
        {"id": 5, "type": "EmptyLatentImage", "widgets_values": [512, 512, 1]},
        {"id": 6, "type": "CLIPTextEncode", "widgets_values": ["a cat"], "inputs": [{"name": "clip", "link": 3}]},
        {"id": 7, "type": "CLIPTextEncode", "widgets_values": ["a dog"], "inputs": [{"name": "clip", "link": 3}]},
        {
            "id": 3,
            "type": "KSampler",
            "widgets_values": [42, "randomize", 25, 8.5, "euler_ancestral", "normal", 1],
            "inputs": [
                {"name": "model", "link": 1},
                {"name": "positive", "link": 4},
                {"name": "negative", "link": 6},
                {"name": "latent_image", "link": 2},
            ],
        },
        {"id": 12, "type": "ControlNetApply", "widgets_values": [1.0]},
    ],
    "links": [
        [1, 4, 0, 3, 0, "MODEL"],
        [2, 5, 0, 3, 3, "LATENT"],
        [3, 4, 1, 6, 0, "CLIP"],
        [4, 6, 0, 3, 1, "CONDITIONING"],
        [6, 7, 0, 3, 2, "CONDITIONING"],
    ],
}


def test_a_workflow_as_the_editor_saves_it_is_read(engine: LocalEngine) -> None:
    found = read_picture(_png(workflow=json.dumps(SAVED)), engine.facts)
    recipe, said = found.recipe, " ".join(found.sentences)
    assert (recipe.prompt, recipe.negative_prompt, recipe.sampler) == ("a cat", "a dog", "euler_a")
    assert (recipe.seed, recipe.num_inference_steps, recipe.guidance_scale) == (42, 25, 8.5)
    assert "512 × 512" in said and "v1-5" in said and "ControlNetApply" in said


def test_text_and_seed_may_come_from_nodes_further_up(engine: LocalEngine) -> None:
    graph = to_workflow(Recipe(prompt="", seed=1))
    graph["20"] = {"class_type": "PrimitiveString", "inputs": {"text": "from afar"}}
    graph["21"] = {"class_type": "SeedNode", "inputs": {"seed": 77}}
    graph["22"] = {"class_type": "ConditioningCombine", "inputs": {"conditioning_1": ["6", 0]}}
    graph["6"]["inputs"]["text"] = ["20", 0]
    graph["3"]["inputs"] |= {"seed": ["21", 0], "positive": ["22", 0], "scheduler": "exponential"}
    found = read_picture(_png(prompt=json.dumps(graph)), engine.facts)
    assert found.recipe.prompt == "from afar" and found.recipe.seed == 77
    assert "exponential" in " ".join(found.sentences)


def test_a_workflow_that_runs_in_circles_ends() -> None:
    graph = to_workflow(Recipe())
    graph["6"]["inputs"]["text"] = ["6", 0]
    graph["4"]["inputs"]["model"] = ["4", 0]
    found = read_workflow(json.dumps(graph), None)
    assert found is not None and found.prompt == ""


def nested(levels: int) -> list:
    value: list = []
    for _ in range(levels):
        value = [value]
    return value


ODD = [None, "", "x", "9" * 5000, "half of \ud83d", 10**400, 1e308, float("inf"), float("nan"), True, [[1], 2], {}]


@pytest.mark.parametrize("odd", [*ODD, nested(600)])
def test_odd_values_anywhere_in_a_workflow_fill_the_form_or_get_one_sentence(odd: object, engine: LocalEngine) -> None:
    asked = to_workflow(Recipe(prompt="apple", loras={"ink_outline": 0.5}, clip_skip=2))
    graphs = [{"prompt": asked | {key: odd}} for key in asked]
    for key, node in asked.items():
        graphs += [
            {"prompt": asked | {key: node | {"inputs": node["inputs"] | {name: odd}}}} for name in node["inputs"]
        ]
        graphs.append({"prompt": asked | {key: node | {"class_type": odd}}})
    for part, values in SAVED.items():
        for i, value in enumerate(values):
            fields = value if isinstance(value, dict) else dict(enumerate(value))
            for name in fields:
                changed = fields | {name: odd}
                one = changed if isinstance(value, dict) else list(changed.values())
                graphs.append({"workflow": SAVED | {part: [*values[:i], one, *values[i + 1 :]]}})
        socket = {"id": 3, "type": "KSampler", "inputs": [{"name": odd, "link": odd}]}
        graphs.append({"workflow": SAVED | {"nodes": [*SAVED["nodes"], socket]}})
    for graph in graphs:
        try:
            found = read_picture(_png(**{key: json.dumps(value) for key, value in graph.items()}), engine.facts)
        except Refusal as refusal:
            sentences = [str(refusal)]
        else:
            sentences = found.sentences
        assert all(len(sentence) < 1000 for sentence in sentences)
        "".join(sentences).encode()  # so that it can be sent


def test_comfyuis_samplers_are_those_of_the_table() -> None:
    assert set(NAMES) == set(SAMPLERS) and len(set(NAMES.values())) == len(NAMES)


@settings(max_examples=100)
@given(
    st.text(max_size=300), st.lists(st.sampled_from(['", ', "Steps: ", "Civitai resources: [", "{", "\n"]), max_size=6)
)
def test_any_parameters_text_is_read_without_an_error(text: str, parts: list[str]) -> None:
    parse_parameters("".join([text, *parts, text]))


@settings(max_examples=60)
@given(RECIPES)
def test_numbers_survive_the_parameters_text(recipe: Recipe) -> None:
    settings_of = parse_parameters(to_parameters(recipe)).settings
    assert int(settings_of["Steps"]) == recipe.num_inference_steps and int(settings_of["Seed"]) == recipe.seed
    assert float(settings_of["CFG scale"]) == pytest.approx(recipe.guidance_scale, rel=1e-4)
    assert settings_of["Sampler"] == SAMPLERS[recipe.sampler].label
