"""A recipe's fields as they stand on every tab: label, help, error slot and the way from what is typed, once.

Where a tab needs a help of its own it says so when it adds the field; nothing else differs.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import gradio as gr

from playground.models import Facts
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.samplers import SAMPLERS
from playground.ui.shared.html import error, escaped
from playground.ui.shared.quiet import QUIET
from playground.ui.shared.spoken import LABELS

HELP = {
    "prompt": "What should be in the picture.",
    "negative_prompt": "What to steer away from.",
    "num_inference_steps": "How many steps lead from noise to the picture.",
    "guidance_scale": "How strongly each step is pushed towards the prompt. 1 = no push.",
    "true_cfg_scale": "How strongly each step is pushed away from the negative prompt and towards the prompt, 1 to 20. "
    "1 = no push; above it the network is asked twice a step.",
    "sampler": "The rule that turns each prediction into a step.",
    "seed": "Fixes the starting noise.",
    "guidance_rescale": "How much of guidance's change of contrast is taken back, from 0 to 1.",
    "eta": "How much fresh noise DDIM adds at each step, 0 to 1. Other samplers have none.",
    "clip_skip": "How many of CLIP's last layers are left out for the prompt. AUTOMATIC1111's 2 is 1 here.",
    "prompt_weights": "Reads (word:1.2), (word) and [word] as weights, and a long prompt whole, as AUTOMATIC1111 does.",
    "shift": "How far the steps are moved towards noise. 0 = as the model's own schedule has it.",
    "image": "",
    "control_image": "",
    "controlnet_conditioning_scale": "How much of what the ControlNet adds is added, 0 to 2. 0 = nothing.",
    "control_guidance_start": "The share of the run from which it is asked. 0 = from the first step.",
    "control_guidance_end": "The share of the run until which it is asked. 1 = to the last step.",
    "strength": "The share of the steps that are run. 1 drowns the picture in noise; a little changes little.",
    "width": "Pixels, a multiple of 8.",
    "height": "Pixels, a multiple of 8.",
}
TOLD = "How guided its answers should be, as a number that the network is told. It takes no second question."
NOT_USED = "Not used by this model, but by others in a grid over models."
TEXTS = ("prompt", "negative_prompt")
SHARE = {"minimum": 0, "maximum": 1, "step": 0.01}
SLIDERS = {"strength": SHARE, "control_guidance_start": SHARE, "control_guidance_end": SHARE}
SLIDERS |= {"controlnet_conditioning_scale": {"minimum": 0, "maximum": 2, "step": 0.05}}
PICTURES = ("image", "control_image")
SWITCHES = ("prompt_weights",)
WHOLE = ("num_inference_steps", "seed", "width", "height", "clip_skip")


def slot(elem_id: str | None = None, script: str | None = None) -> gr.HTML:
    """Where a field's error stands; without one it takes no room. `script`: JavaScript that goes with it."""
    own = {"js_on_load": script} if script else {}
    return gr.HTML("", elem_classes="dp-error dp-flush", elem_id=elem_id, **own)


def choices(samplers: Iterable[str]) -> list[tuple[str, str]]:
    """(label, key) of the samplers with these keys."""
    return [(SAMPLERS[key].label, key) for key in samplers]


def help_of(name: str, facts: Facts) -> str:
    """What the field does with this model."""
    if name == "guidance_scale" and not facts.has_guidance_scale:
        return NOT_USED
    if not facts.has_true_cfg:
        return HELP[name]
    if name == "guidance_scale":
        return TOLD
    return f"{HELP[name]} Used where the true CFG scale is above 1." if name == "negative_prompt" else HELP[name]


def with_its_scales(names: tuple[str, ...], facts: Facts) -> tuple[str, ...]:
    """These fields, with the scales that the model has in the place of the guidance scale: none, this one, the true CFG
    scale, or both."""
    there = {"guidance_scale": facts.has_guidance_scale, "true_cfg_scale": facts.has_true_cfg}
    at = names.index("guidance_scale")
    return (*names[:at], *(name for name, has in there.items() if has), *names[at + 1 :])


def plain(name: str, value: Any) -> Any:
    """What a component gives -> what a Recipe takes: a number field gives floats, also for whole numbers, and an empty
    text field may give None; the rest stays as it is and is for the Recipe to refuse."""
    if name in TEXTS and value is None:
        return ""
    if name in WHOLE and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def checked(base: Recipe, values: Mapping[str, Any]) -> tuple[Recipe, dict[str, str]]:
    """`base` with these values, and one sentence for each field that is wrong; a wrong one keeps its old value."""
    errors: dict[str, str] = {}
    for name, value in values.items():
        try:
            base = base.replace(**{name: plain(name, value)})
        except Refusal as problem:
            errors[name] = str(problem)
    return base, errors


def about_sampler(key: Any) -> str:
    """What a learner should know of it, as HTML; nothing for what is no sampler."""
    if not isinstance(key, str) or key not in SAMPLERS:
        return ""
    row = SAMPLERS[key]
    looks = " It asks the network twice a step." if row.order == 2 else ""
    usual = f"Usual: {row.usual_steps[0]} to {row.usual_steps[1]} steps."
    link = f'<a href="{row.paper}" target="_blank" rel="noreferrer">The paper</a>'
    return f'<p class="dp-about">{escaped(row.sentence)}{looks} {usual} {link}</p>'


def explain(sampler: gr.components.Component, start: str) -> None:
    """Below the field: what is to be known of the sampler that is chosen."""
    about = gr.HTML(about_sampler(start), elem_classes="dp-flush", apply_default_css=False)
    quiet: dict[str, Any] = {**QUIET, "queue": False}
    sampler.change(about_sampler, sampler, about, trigger_mode="always_last", **quiet)


class Fields:
    """Components for some of a recipe's fields with their error slots, in the order in which they are added."""

    def __init__(self, start: Recipe, facts: Facts, prefix: str = "") -> None:
        """`prefix` begins the elem_ids of one tab: with "denoise-" there is "denoise-field-prompt"."""
        self.start, self._facts, self._prefix = start, facts, prefix
        self.components: dict[str, gr.components.Component] = {}
        self.errors: dict[str, gr.HTML] = {}

    def add(
        self, name: str, help: str | None = None, explained: bool = True, **options: Any
    ) -> gr.components.Component:
        """The field's component and, below it, its error slot; `options` go to the component. `explained`: what is to
        be known of the chosen sampler stands there too; else the caller calls `explain` where there is room."""
        value = getattr(self.start, name)
        words = {
            "label": LABELS[name],
            "info": help_of(name, self._facts) if help is None else help,
            "elem_id": self._id("field", name),
        }
        if name in TEXTS:
            component: gr.components.Component = gr.Textbox(value, **{"lines": 1, "max_lines": 4} | words | options)
        elif name in SLIDERS:
            component = gr.Slider(value=value, **SLIDERS[name] | words | options)
        elif name in PICTURES:  # filled by those who choose a picture
            component = gr.Textbox(value, **words | {"visible": "hidden"} | options)
        elif name in SWITCHES:
            component = gr.Checkbox(value, **words | options)
        elif name == "sampler":
            component = gr.Dropdown(choices(self._facts.samplers), value=value, **words | options)
        else:
            component = gr.Number(value, **words | options)
        self.components[name] = component
        if name == "sampler" and explained:
            explain(component, value)
        self.slot(name)
        return component

    def slot(self, name: str) -> gr.HTML:
        """An error slot of its own, for what is no field of a recipe."""
        self.errors[name] = slot(self._id("error", name))
        return self.errors[name]

    @property
    def one_line(self) -> list[gr.components.Component]:
        """Those in which Enter runs what the form asks for."""
        return [c for c in self.components.values() if isinstance(c, gr.Textbox | gr.Number)]

    def says(self, errors: Mapping[str, str]) -> dict[gr.components.Component, Any]:
        """Updates of all error slots: these sentences, and nothing in the others."""
        return {html: error(self._as_labelled(name, errors.get(name, ""))) for name, html in self.errors.items()}

    def read(self, given: Mapping[gr.components.Component, Any]) -> tuple[Recipe, dict[str, str]]:
        """The values of an event, by component as Gradio gives them where `inputs` is a set -> `checked`."""
        return checked(self.start, {name: given[component] for name, component in self.components.items()})

    def _as_labelled(self, name: str, sentence: str) -> str:
        """What is wrong with a field that this tab calls by a name of its own, such as a prompt that is a caption."""
        label = self.components[name].label if name in self.components else None
        own = label is not None and label != LABELS[name] and sentence.startswith(f"{name} ")
        return label + sentence.removeprefix(name) if own else sentence

    def _id(self, kind: str, name: str) -> str:
        return f"{self._prefix}{kind}-{name.replace('_', '-')}"
