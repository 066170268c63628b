"""The asking side of "Denoise": one recipe, and optionally a second one that differs in a single field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from playground.recipe import Recipe
from playground.samplers import SAMPLERS
from playground.ui.shared.html import error
from playground.ui.shared.words import HELP

FIELDS = ("prompt", "negative_prompt", "sampler", "num_inference_steps", "guidance_scale", "seed")
WHOLE = ("num_inference_steps", "seed")
LABELS = {
    "prompt": "Prompt",
    "negative_prompt": "Negative prompt",
    "sampler": "Sampler",
    "num_inference_steps": "Steps",
    "guidance_scale": "Guidance scale",
    "seed": "Seed",
}
NOTHING = "nothing"
SECOND = ("guidance_scale", "sampler", "num_inference_steps", "seed")  # what a second run may differ in
SECOND_START = {"guidance_scale": 1.0, "sampler": "euler_a", "num_inference_steps": 10, "seed": 1}


@dataclass(frozen=True)
class Reading:
    """What the form says: one or two recipes, or the errors that stand in their way."""

    recipes: list[Recipe]
    varied: str | None = None  # the field in which run B differs
    errors: dict[str, str] = field(default_factory=dict)  # field, or "second", -> one sentence


def read(values: Mapping[str, Any], base: Recipe) -> Reading:
    """`values` holds FIELDS, `beside` (NOTHING or one of SECOND) and `second`, that field's value in run B."""
    errors: dict[str, str] = {}
    for name in FIELDS:
        try:
            base = base.replace(**{name: _plain(name, values.get(name))})
        except ValueError as error:
            errors[name] = str(error)
    varied = values.get("beside")
    if varied == NOTHING or errors:
        return Reading([] if errors else [base], None, errors)
    if varied not in SECOND:
        return Reading([], None, {"second": "Choose what to show beside it."})
    try:
        second = base.replace(**{varied: _plain(varied, values.get("second"))})
        if second == base:
            raise ValueError(f"{LABELS[varied]} of run B is that of run A; choose another for a contrast.")
    except ValueError as error:
        return Reading([], None, {"second": str(error)})
    return Reading([base, second], varied)


class Form:
    """The components, and the way between their values and recipes."""

    def __init__(self, start: Recipe) -> None:
        self.base = start
        self.fields: dict[str, gr.components.Component] = {}
        self.errors: dict[str, gr.HTML] = {}
        for name in ("prompt", "negative_prompt"):
            self._add(name, gr.Textbox(getattr(start, name), lines=1, max_lines=4, **_words(name)))
        self._add("sampler", gr.Dropdown(_samplers(), value=start.sampler, **_words("sampler")))
        for name in ("num_inference_steps", "guidance_scale", "seed"):
            self._add(name, gr.Number(getattr(start, name), **_words(name)))
        self.beside = gr.Radio(
            [("Nothing", NOTHING), *((LABELS[name], name) for name in SECOND)],
            value=NOTHING,
            label="Run B beside it, with another",
            info="Everything else stays the same. One scrubber moves both.",
            elem_id="denoise-beside",
        )
        self.seconds: dict[str, gr.components.Component] = {}
        for name in SECOND:
            shared = {"label": f"{LABELS[name]} of run B", "visible": False, "elem_id": _id("second", name)}
            self.seconds[name] = (
                gr.Dropdown(_samplers(), value=SECOND_START[name], **shared)
                if name == "sampler"
                else gr.Number(SECOND_START[name], **shared)
            )
        self._error("second")
        with gr.Row():
            self.run = gr.Button("Denoise", variant="primary", elem_id="denoise-run")
            self.stop = gr.Button("Stop", elem_id="denoise-stop")
        self.inputs = [*self.fields.values(), self.beside, *self.seconds.values()]

    def _add(self, name: str, component: gr.components.Component) -> None:
        self.fields[name] = component
        self._error(name)

    def _error(self, name: str) -> None:
        self.errors[name] = gr.HTML("", elem_classes="dp-error", elem_id=_id("error", name))

    def read(self, values: tuple[Any, ...]) -> Reading:
        """The values of `inputs`, in order -> recipes or errors."""
        beside = values[len(FIELDS)]
        seconds = dict(zip(SECOND, values[len(FIELDS) + 1 :], strict=True))
        named = dict(zip(FIELDS, values[: len(FIELDS)], strict=True))
        return read({**named, "beside": beside, "second": seconds.get(beside)}, self.base)

    def show_second(self, beside: str) -> list[Any]:
        return [gr.update(visible=name == beside) for name in SECOND]

    def error_html(self, errors: Mapping[str, str]) -> list[str]:
        return [error(errors.get(name, "")) for name in self.errors]


def value_words(name: str, value: Any) -> str:
    """A field's value as it stands above a run."""
    shown = SAMPLERS[value].label if name == "sampler" else f"{value:.15g}"
    return f"{LABELS[name]} {shown}"


def _words(name: str) -> dict[str, Any]:
    help_text = {"prompt": "What should be in the picture.", "seed": "Fixes the starting noise."}.get(name, HELP[name])
    return {"label": LABELS[name], "info": help_text, "elem_id": _id("field", name)}


def _samplers() -> list[tuple[str, str]]:
    return [(sampler.label, key) for key, sampler in SAMPLERS.items()]


def _id(kind: str, name: str) -> str:
    return f"denoise-{kind}-{name.replace('_', '-')}"


def _plain(name: str, value: Any) -> Any:
    """A number field gives floats, also for whole numbers, and a text field may give None; the rest stays as it is."""
    if name in ("prompt", "negative_prompt") and value is None:
        return ""
    if name in WHOLE and isinstance(value, float) and value.is_integer():
        return int(value)
    return value
