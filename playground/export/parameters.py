"""AUTOMATIC1111's `parameters` text, written and read; Civitai and many tools read the same.

Its shape is that of `create_infotext` and `parse_generation_parameters` in AUTOMATIC1111's stable-diffusion-webui: the
prompt, "Negative prompt: …", and a last line "Steps: 20, Sampler: Euler a, …". Commas inside a value stand in quotes.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from playground.models import Facts
from playground.recipe import Recipe
from playground.samplers import SAMPLERS

DISTILLED = "Distilled CFG Scale"  # as stable-diffusion-webui-forge writes it
NEGATIVE = "Negative prompt:"
_PAIR = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')
_LORA = re.compile(r"<(?:lora|lyco):([^:<>]+):([-+]?\d*\.?\d+)[^<>]*>")
_JSON_VALUES = ("Civitai resources", "Civitai metadata")  # JSON without quotes around it
FEWEST_PAIRS = 3  # that make a last line of settings, as AUTOMATIC1111 has it
LONGEST = 2**18  # characters that are read


@dataclass
class Parameters:
    """What a text says: the words, LoRAs from tags and resources, and all other settings by name."""

    prompt: str = ""
    negative_prompt: str = ""
    loras: dict[str, float] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)


def to_parameters(recipe: Recipe, facts: Facts | None = None) -> str:
    """A recipe -> the text. The initial noise comes from a CPU generator, which "RNG: CPU" tells AUTOMATIC1111.

    `facts`: of the model that drew it. Where its network is told the guidance scale, that is Forge's "Distilled CFG
    Scale", and "CFG scale" is the true one.
    """
    tags = "".join(f" <lora:{name}:{weight:g}>" for name, weight in recipe.active_loras)
    lines = [recipe.prompt + tags]
    if recipe.negative_prompt:
        lines.append(f"{NEGATIVE} {recipe.negative_prompt}")
    true_cfg = facts.has_true_cfg if facts else recipe.true_cfg_scale > 1
    scale = recipe.true_cfg_scale if true_cfg else recipe.guidance_scale
    settings = {
        "Steps": recipe.num_inference_steps,
        "Sampler": SAMPLERS[recipe.sampler].label,
        "CFG scale": f"{scale:g}",
        "Seed": recipe.seed,
        "Size": f"{recipe.width}x{recipe.height}",
        "Model": _quoted(recipe.model),
        "RNG": "CPU",
    }
    if true_cfg:
        settings[DISTILLED] = f"{recipe.guidance_scale:g}"
    if recipe.image:
        settings["Denoising strength"] = f"{recipe.strength:g}"
    if recipe.control_image:  # as the extension for ControlNets writes it
        settings["ControlNet 0"] = _quoted(
            f"Weight: {recipe.controlnet_conditioning_scale:g}, Guidance Start: {recipe.control_guidance_start:g}, "
            f"Guidance End: {recipe.control_guidance_end:g}"
        )
    if recipe.clip_skip:
        settings["Clip skip"] = recipe.clip_skip + 1  # which counts the last layer as the first
    if recipe.eta:
        settings["Eta DDIM"] = f"{recipe.eta:g}"
    if recipe.shift:
        settings["Shift"] = f"{recipe.shift:g}"
    if recipe.guidance_rescale:
        settings["CFG Rescale"] = f"{recipe.guidance_rescale:g}"
    return "\n".join([*lines, ", ".join(f"{name}: {value}" for name, value in settings.items())])


def parse_parameters(text: str) -> Parameters:
    """The text -> what it says. Nothing is refused: what cannot be understood is simply not there."""
    *lines, last = text[:LONGEST].strip().split("\n")
    last, extra = _without_json(last)
    if len(_PAIR.findall(last)) < FEWEST_PAIRS:
        lines, last = [*lines, last], ""
    words = {"prompt": [], "negative": []}
    where = "prompt"
    for line in (line.strip() for line in lines):
        if line.startswith(NEGATIVE):
            where, line = "negative", line.removeprefix(NEGATIVE).strip()
        words[where].append(line)
    found = Parameters("\n".join(words["prompt"]).strip(), "\n".join(words["negative"]).strip())
    found.settings = {name: _unquoted(value.strip()) for name, value in _PAIR.findall(last)}
    found.loras = {name: float(weight) for name, weight in _LORA.findall(found.prompt)}
    found.prompt = re.sub(rf",? *{_LORA.pattern}", "", found.prompt).strip(" ,") if found.loras else found.prompt
    _take_resources(found, extra.get("Civitai resources"))
    return found


def _take_resources(found: Parameters, resources: Any) -> None:
    """Civitai's list of what made a picture: LoRAs with their weights, and the checkpoint's name."""
    for resource in resources if isinstance(resources, list) else []:
        if not isinstance(resource, dict):
            continue
        name, weight = str(resource.get("modelName", "")), resource.get("weight", 1.0)
        if resource.get("type") == "checkpoint" and name:
            found.settings.setdefault("Model", name)
        elif resource.get("type") in ("lora", "lycoris", "locon") and name and isinstance(weight, int | float):
            found.loras.setdefault(name, float(weight))


def _without_json(line: str) -> tuple[str, dict[str, Any]]:
    """The line without the values that are JSON, and those values."""
    found: dict[str, Any] = {}
    for name in _JSON_VALUES:
        start = line.find(f"{name}: ")
        if start < 0:
            continue
        value = start + len(name) + 2
        try:
            found[name], end = json.JSONDecoder().raw_decode(line, value)
        except (ValueError, RecursionError):
            end = len(line)  # damaged: where it ends is unknown
        line = line[:start].rstrip(", ") + line[end:]
    return line, found


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if re.search(r'[,:\n"]', text) else text


def _unquoted(text: str) -> str:
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return text
