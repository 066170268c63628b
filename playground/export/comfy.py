"""ComfyUI's workflows: written in API format, read in API format and as the editor saves them.

The format is the one of https://docs.comfy.org/development/api-development/workflow-api-format: node id ->
{"class_type", "inputs"}, where an input is a value or [node id, output].
"""

import json
from dataclasses import dataclass, field
from typing import Any

from playground.export.script import SHOWN, START
from playground.recipe import Recipe

Node = dict[str, Any]
# sampler key -> ComfyUI's sampler_name and scheduler
NAMES: dict[str, tuple[str, str]] = {
    "ddpm": ("ddpm", "normal"),
    "ddim": ("ddim", "ddim_uniform"),
    "pndm": ("lms", "normal"),
    "euler": ("euler", "normal"),
    "euler_a": ("euler_ancestral", "normal"),
    "heun": ("heun", "normal"),
    "dpmpp_2m": ("dpmpp_2m", "normal"),
    "dpmpp_2m_karras": ("dpmpp_2m", "karras"),
    "dpmpp_sde": ("dpmpp_sde", "normal"),
    "unipc": ("uni_pc", "normal"),
    "lcm": ("lcm", "sgm_uniform"),
}
WEIGHS = "It weighs words in another way than AUTOMATIC1111, and [word] is letters to it, so the picture differs."
NOT_THE_SAME = {"pndm": "PLMS is not among ComfyUI's samplers; LMS, a relative, stands in its place."}
# what the editor saves as a bare list, by node type
WIDGETS = {
    "KSampler": ("seed", "control_after_generate", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        "add_noise",
        "noise_seed",
        "control_after_generate",
        "steps",
        "cfg",
        "sampler_name",
        "scheduler",
    ),
    "CLIPTextEncode": ("text",),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "LoadImage": ("image",),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
}
MOST_NODES = 2000
FARTHEST = 40  # links that are followed


@dataclass
class Graph:
    """What a workflow says, as far as a recipe has a place for it."""

    prompt: str = ""
    negative_prompt: str = ""
    starts: str = ""  # the file of the picture that it starts from
    values: dict[str, Any] = field(default_factory=dict)  # steps, cfg, seed, sampler_name, scheduler, width, height
    loras: dict[str, float] = field(default_factory=dict)
    model: str = ""
    other: list[str] = field(default_factory=list)  # node types without a place here


def to_workflow(recipe: Recipe) -> dict[str, Node]:
    """A recipe -> the workflow of text to picture that ComfyUI's "Open" and its POST /prompt take.

    `ckpt_name` is this model's name: ComfyUI must have a checkpoint file of it, which Pocket does not come with. From a
    picture ComfyUI runs all its steps, of a schedule longer by 1/denoise; so it is told those that are run here.
    """
    sampler, scheduler = NAMES[recipe.sampler]
    nodes: dict[str, Node] = {"4": _node("CheckpointLoaderSimple", ckpt_name=f"{recipe.model}.safetensors")}
    model, clip = ["4", 0], ["4", 1]
    for i, (name, weight) in enumerate(recipe.active_loras):
        key = str(10 + i)
        nodes[key] = _node(
            "LoraLoader",
            model=model,
            clip=clip,
            lora_name=f"{name}.safetensors",
            strength_model=weight,
            strength_clip=weight,
        )
        model, clip = [key, 0], [key, 1]
    read = clip  # by which the prompt is; a negative one is read by all layers, as in diffusers
    if recipe.clip_skip:
        nodes["31"] = _node("CLIPSetLastLayer", clip=clip, stop_at_clip_layer=-1 - recipe.clip_skip)
        read = ["31", 0]
    nodes["6"] = _node("CLIPTextEncode", clip=read, text=recipe.prompt)
    nodes["7"] = _node("CLIPTextEncode", clip=clip, text=recipe.negative_prompt)
    if recipe.image:
        nodes["40"] = _node("LoadImage", image=START)
        nodes["5"] = _node("VAEEncode", pixels=["40", 0], vae=["4", 2])
    else:
        nodes["5"] = _node("EmptyLatentImage", width=recipe.width, height=recipe.height, batch_size=1)
    if recipe.guidance_rescale:
        nodes["30"] = _node("RescaleCFG", model=model, multiplier=recipe.guidance_rescale)
        model = ["30", 0]
    positive, negative = ["6", 0], ["7", 0]
    if recipe.control_image:
        nodes["50"] = _node("LoadImage", image=SHOWN)
        nodes["51"] = _node("ControlNetLoader", control_net_name="controlnet.safetensors")
        nodes["52"] = _node(
            "ControlNetApplyAdvanced",
            positive=positive,
            negative=negative,
            control_net=["51", 0],
            image=["50", 0],
            strength=recipe.controlnet_conditioning_scale,
            start_percent=recipe.control_guidance_start,
            end_percent=recipe.control_guidance_end,
        )
        positive, negative = ["52", 0], ["52", 1]
    nodes["3"] = _node(
        "KSampler",
        model=model,
        positive=positive,
        negative=negative,
        latent_image=["5", 0],
        seed=recipe.seed,
        steps=recipe.steps_run,
        cfg=recipe.guidance_scale,
        sampler_name=sampler,
        scheduler=scheduler,
        denoise=_denoise(recipe),
    )
    nodes["8"] = _node("VAEDecode", samples=["3", 0], vae=["4", 2])
    nodes["9"] = _node("SaveImage", images=["8", 0], filename_prefix=recipe.model)
    return nodes


def read_workflow(prompt: str | None, workflow: str | None) -> Graph | None:
    """The two texts of a ComfyUI picture -> what its sampler was given; None where there is no sampler in them."""
    nodes = _api_nodes(_object(prompt)) or _saved_nodes(_object(workflow))
    samplers = [n for n in nodes.values() if str(n["class_type"]).startswith("KSampler") and "steps" in n["inputs"]]
    if not samplers:
        return None
    first = samplers[0]
    given, graph = first["inputs"], Graph()
    graph.prompt = _text(nodes, _before_control(nodes, given.get("positive")))
    graph.negative_prompt = _text(nodes, _before_control(nodes, given.get("negative")))
    graph.values = {name: given[name] for name in ("steps", "cfg", "sampler_name", "scheduler") if name in given}
    skip = _find(nodes, _before_control(nodes, given.get("positive")), "stop_at_clip_layer")
    if skip is not None and isinstance(layer := skip["inputs"]["stop_at_clip_layer"], int):
        graph.values["clip_skip"] = -1 - layer
    graph.values["seed"] = _value(nodes, given.get("seed", given.get("noise_seed")))
    if (latent := _find(nodes, given.get("latent_image"), "width")) is not None:
        graph.values |= {"width": latent["inputs"]["width"], "height": latent["inputs"].get("height")}
    if (loaded := _find(nodes, given.get("latent_image"), "image")) is not None:
        graph.starts = str(loaded["inputs"]["image"])
    link = given.get("model")
    for _ in range(FARTHEST):
        node = _linked(nodes, link)
        if node is None:
            break
        inputs = node["inputs"]
        if isinstance(inputs.get("lora_name"), str) and isinstance(inputs.get("strength_model"), int | float):
            graph.loras[_stem(inputs["lora_name"])] = inputs["strength_model"]
        if isinstance(inputs.get("ckpt_name"), str):
            graph.model = _stem(inputs["ckpt_name"])
        link = inputs.get("model")
    known = {*WIDGETS, "VAEDecode", "SaveImage", "PreviewImage", "RescaleCFG", "VAEEncode", "CLIPSetLastLayer"}
    graph.other = sorted({str(n["class_type"]) for n in nodes.values()} - known)
    if len(samplers) > 1:
        graph.other.append(f"{len(samplers) - 1} more sampler")
    return graph


def _denoise(recipe: Recipe) -> float:
    """That makes ComfyUI's schedule, which has int(steps / denoise) steps, one of num_inference_steps."""
    steps, whole = recipe.steps_run, recipe.num_inference_steps
    share = steps / whole
    return share if int(steps / share) == whole else steps / (whole + 0.5)


def _node(kind: str, **inputs: Any) -> Node:
    return {"class_type": kind, "inputs": inputs}


def _stem(file: str) -> str:
    """ "styles/ink.safetensors" -> "ink" """
    return file.replace("\\", "/").split("/")[-1].rsplit(".", 1)[0]


def _object(text: str | None) -> dict[str, Any]:
    try:
        data = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _api_nodes(data: dict[str, Any]) -> dict[str, Node]:
    if len(data) > MOST_NODES:
        return {}
    return {
        str(key): node
        for key, node in data.items()
        if isinstance(node, dict) and isinstance(node.get("inputs"), dict) and "class_type" in node
    }


def _saved_nodes(data: dict[str, Any]) -> dict[str, Node]:
    """What the editor saves -> the API format, for the node types of WIDGETS."""
    saved, links = data.get("nodes"), data.get("links")
    if not isinstance(saved, list) or not isinstance(links, list) or len(saved) > MOST_NODES:
        return {}
    # a link is [id, from node, output, to node, input, type]
    origin = {str(link[0]): [str(link[1]), link[2]] for link in links if isinstance(link, list) and len(link) >= 3}
    nodes: dict[str, Node] = {}
    for node in saved:
        if not isinstance(node, dict) or not isinstance(node.get("type"), str):
            continue
        values, sockets = node.get("widgets_values"), node.get("inputs")
        inputs: dict[str, Any] = {}
        if isinstance(values, list):
            inputs |= dict(zip(WIDGETS.get(node["type"], ()), values, strict=False))
        for socket in sockets if isinstance(sockets, list) else []:
            if isinstance(socket, dict) and (link := str(socket.get("link"))) in origin:
                inputs[str(socket.get("name"))] = origin[link]
        nodes[str(node.get("id"))] = {"class_type": node["type"], "inputs": inputs}
    return nodes


def _linked(nodes: dict[str, Node], link: Any) -> Node | None:
    return nodes.get(str(link[0])) if isinstance(link, list) and len(link) == 2 else None


def _find(nodes: dict[str, Node], link: Any, name: str) -> Node | None:
    """The nearest node up a link that has this input as a value."""
    for _ in range(FARTHEST):
        node = _linked(nodes, link)
        if node is None:
            return None
        if name in node["inputs"] and not isinstance(node["inputs"][name], list):
            return node
        links = [v for v in node["inputs"].values() if isinstance(v, list) and len(v) == 2]
        link = node["inputs"].get(name) or (links[0] if links else None)
    return None


def _before_control(nodes: dict[str, Node], link: Any) -> Any:
    """A link to conditioning -> that of what ControlNets were applied to."""
    for _ in range(FARTHEST):
        node = _linked(nodes, link)
        if node is None or not str(node["class_type"]).startswith("ControlNetApply"):
            break
        link = node["inputs"].get("negative" if link[1] == 1 else "positive", node["inputs"].get("conditioning"))
    return link


def _text(nodes: dict[str, Node], link: Any) -> str:
    node = _find(nodes, link, "text")
    return str(node["inputs"]["text"]) if node else ""


def _value(nodes: dict[str, Node], value: Any) -> Any:
    """A value, or that of the node that an input is linked to."""
    node = _linked(nodes, value)
    if node is None:
        return value
    return next((v for v in node["inputs"].values() if isinstance(v, int) and not isinstance(v, bool)), None)
