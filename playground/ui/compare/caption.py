"""What is said of a grid: the sentence above it, its own caption, and values as they stand at rows and columns."""

from html import escape
from typing import Any

from playground.labels import CONTROLS, Honours, axis_name, everything, in_short, inside, lora_label, named, value_label
from playground.models import Facts
from playground.recipe import Recipe
from playground.samplers import SAMPLERS
from playground.sweep import SIZE, Sweep, lora_of
from playground.ui.shared.shipped import SHIPPED, measured_guidance
from playground.ui.shared.words import FOUR_STEPS, key_of, left_by_one_step, words_of

TEXTS = ("prompt", "negative_prompt")


def say(sweep: Sweep, facts: Facts) -> str:
    """HTML of the sentence above the grid of this model: what varies, and what to look for."""
    names = list(sweep.axes)
    if len(names) == 1:
        head = words_of(names[0], facts).header
        if sweep.seeds > 1:
            head += f" Every cell has the same {sweep.seeds} seeds."
    else:
        where = ["across", "down", "from tab to tab"]
        parts = [f"{inside(axis_name(name))} {at}" for name, at in zip(reversed(names), where, strict=False)]
        head = f"{', '.join(parts)}. Everything else is the same{' seeds' if sweep.seeds > 1 else ''} in all cells."
        head = head[0].upper() + head[1:].replace("the same seeds", f"the same, with {sweep.seeds} seeds")
    look_for = words_of(names[-1], facts).look_for
    if len(names) > 1:
        look_for = "What to look for: does a row change in the same way as the rows above and below it?"
    if "loras.lcm" in names:
        look_for += f" {FOUR_STEPS}"
    base = sweep.base
    as_measured = base.model == SHIPPED and base.prompt and not (base.image or base.control_image or base.active_loras)
    if names == ["guidance_scale"] and as_measured:
        look_for += f" {measured_guidance()}"
    if names == ["num_inference_steps"] and base.model == SHIPPED:
        look_for += f" {left_by_one_step()}"
    return f"<h2>{escape(head)}</h2><p>{escape(look_for)}</p>"


def caption(sweep: Sweep, honours: Honours = everything) -> list[str]:
    """What a grid shows, so that it can be read without the form: prompt, axes with their values, what is fixed."""
    axes = [f"{axis_name(name)} {_listed(name, values)}" for name, values in reversed(sweep.axes.items())]
    prompt = [] if "prompt" in sweep.axes else [f"“{sweep.base.prompt}”" if sweep.base.prompt else "no prompt"]
    alike = fixed(sweep, honours)
    return [*prompt, " × ".join(axes), *([f"fixed: {', '.join(alike)}"] if alike else [])]


def fixed(sweep: Sweep, honours: Honours = everything) -> list[str]:
    """The settings that are the same in all cells, in words, without those on which no picture depends."""
    base, keys, recipes = sweep.base, {key_of(axis) for axis in sweep.axes}, sweep.recipes()
    keys |= {SIZE} if sweep.own_sizes else set()
    found = {
        "negative_prompt": f"negative prompt “{base.negative_prompt}”" if base.negative_prompt else "",
        "seed": f"seed {base.seed}" if sweep.seeds == 1 else f"seeds {base.seed} to {base.seed + sweep.seeds - 1}",
        "sampler": SAMPLERS[base.sampler].label,
        "num_inference_steps": f"{base.num_inference_steps} step" + "s" * (base.num_inference_steps != 1),
        "guidance_scale": f"guidance {base.guidance_scale:.15g}",
        "true_cfg_scale": _true_cfg(base),
        "guidance_rescale": f"guidance rescale {base.guidance_rescale:.15g}" if base.guidance_rescale else "",
        "eta": f"eta {base.eta:.15g}" if base.eta else "",
        "clip_skip": f"clip skip {base.clip_skip}" if base.clip_skip else "",
        "prompt_weights": "weights in brackets read" if base.prompt_weights else "",
        "shift": f"shift {base.shift:.15g}" if base.shift else "",
        "image": "from a picture" if base.image else "",
        "strength": _strength(sweep) if base.image or "image" in keys else "",
        "control_image": f"controlled by a picture{_control(base, keys)}" if base.control_image else "",
        SIZE: f"{base.width} × {base.height}",
        "loras": ", ".join(lora_label(*pair) for pair in base.active_loras if f"loras.{pair[0]}" not in sweep.axes),
    }
    said = {name: text for name, text in found.items() if text and name not in keys}
    return [text for name, text in said.items() if any(honours(name, recipe) for recipe in recipes)]


def place_label(place: dict[str, Any]) -> str:
    """Where a cell stands: its value where one thing varies, else what varies with its value."""
    if len(place) == 1:
        return value_label(*next(iter(place.items())))
    inside_out = sorted(reversed(place.items()), key=lambda pair: pair[0] == "seed")  # the seed last: columns before it
    return ", ".join(named(axis, value_label(axis, value)) for axis, value in inside_out)


def alt_of(recipe: Recipe, label: str, honours: Honours = everything) -> str:
    """What a picture shows to those who do not see it: where it stands, and its recipe in short."""
    steps = f"{recipe.num_inference_steps} steps"
    if recipe.image:
        steps = f"from a picture at strength {recipe.strength:g}, {recipe.steps_run} of {steps}"
    parts = {
        "sampler": SAMPLERS[recipe.sampler].label,
        "num_inference_steps": steps,
        "guidance_scale": f"guidance {recipe.guidance_scale:g}",
        "true_cfg_scale": _true_cfg(recipe),
        "seed": f"seed {recipe.seed}",
        "control_image": f"controlled by a picture{_control(recipe, set())}" if recipe.control_image else "",
    }
    said = ", ".join(text for name, text in parts.items() if text and honours(name, recipe))
    return ". ".join(filter(None, (label, f"Prompt: {recipe.prompt or 'none'}", said)))


def _true_cfg(recipe: Recipe) -> str:
    """Of models that have that scale, where it is used."""
    return f"true CFG {recipe.true_cfg_scale:.15g}" if recipe.true_cfg_scale > 1 else ""


def _control(recipe: Recipe, but: set[str]) -> str:
    """How much and when a ControlNet is asked, without what is varied and without the whole of the run."""
    parts = {
        "controlnet_conditioning_scale": f" at scale {recipe.controlnet_conditioning_scale:.15g}",
        "control_guidance_start": f" from {recipe.control_guidance_start:.15g} of the run",
        "control_guidance_end": f" until {recipe.control_guidance_end:.15g} of the run",
    }
    told = [name for name in parts if name not in but and getattr(recipe, name) not in (0.0, 1.0)]
    return "".join(parts[name] for name in parts if name in told or name == CONTROLS[0] not in but)


def _strength(sweep: Sweep) -> str:
    """With the steps that are run, where that is one number."""
    base, text = sweep.base, f"strength {sweep.base.strength:.15g}"
    runs = {(recipe.steps_run, recipe.num_inference_steps) for recipe in sweep.recipes() if recipe.image}
    return f"{text} ({base.steps_run} of {base.num_inference_steps} steps)" if len(runs) == 1 and base.image else text


def _listed(axis: str, values: list[Any]) -> str:
    if lora_of(axis) is not None:
        return in_short([f"{value:.15g}".replace("-", "−") for value in values])
    if axis in TEXTS:
        return f"({len(values)} of them)"
    return in_short([value_label(axis, value) for value in values])
