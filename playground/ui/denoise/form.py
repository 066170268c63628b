"""The asking side of "Denoise": one recipe, and optionally a second one that differs in a single field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from playground.models import Facts
from playground.recipe import Recipe
from playground.samplers import SAMPLERS
from playground.ui.shared.fields import LABELS, TEXTS, Fields, checked, choices, with_its_scales
from playground.ui.shared.known import place
from playground.ui.shared.sure import Sure

FIELDS = ("prompt", "negative_prompt", "sampler", "num_inference_steps", "guidance_scale", "seed")
NOTHING = "nothing"
SECOND = ("guidance_scale", "sampler", "num_inference_steps", "seed")  # what a second run may differ in


@dataclass(frozen=True)
class Reading:
    """What the form says: one or two recipes, or the errors that stand in their way."""

    recipes: list[Recipe]
    varied: str | None = None  # the field in which run B differs
    errors: dict[str, str] = field(default_factory=dict)  # field, or "second", -> one sentence


class Form:
    """The components, and the way between their values and recipes."""

    def __init__(self, start: Recipe, facts: Facts) -> None:
        self.fields = Fields(start, facts, "denoise-")
        self.marks: dict[str, gr.HTML] = {}  # under each text, what of it the model does not know or read
        for name in with_its_scales(FIELDS, facts):
            self.fields.add(name)
            if name in TEXTS:
                self.marks[name] = place(f"denoise-marks-{name.replace('_', '-')}")
        second = with_its_scales(SECOND, facts)
        self.beside = gr.Radio(
            [("Nothing", NOTHING), *((LABELS[name], name) for name in second)],
            value=NOTHING,
            label="Run B beside it, with another",
            info="Everything else stays the same. One scrubber moves both.",
            elem_id="denoise-beside",
        )
        self.seconds = {name: _second(name, start, facts) for name in second}
        self.fields.slot("second")
        self.sure = Sure("denoise-")
        with gr.Row():
            self.run = gr.Button("Denoise", variant="primary", elem_id="denoise-run")
            self.stop = gr.Button("Stop", elem_id="denoise-stop")
        self.inputs = {*self.fields.components.values(), self.beside, *self.seconds.values()}

    def read(self, given: Mapping[gr.components.Component, Any]) -> Reading:
        """The values of `inputs`, by component -> recipes or errors."""
        first, errors = self.fields.read(given)
        if errors:
            return Reading([], None, errors)
        varied = given[self.beside]
        if varied == NOTHING:
            return Reading([first])
        if varied not in self.seconds:
            return Reading([], None, {"second": "Choose what to show beside it."})
        second, errors = checked(first, {varied: given[self.seconds[varied]]})
        if not errors and second == first:
            errors[varied] = f"{LABELS[varied]} of run B is that of run A; choose another for a contrast."
        if errors:
            return Reading([], None, {"second": errors[varied]})
        return Reading([first, second], varied)

    def show_second(self, beside: str) -> dict[gr.components.Component, Any]:
        return {component: gr.update(visible=name == beside) for name, component in self.seconds.items()}


def value_words(name: str, value: Any) -> str:
    """A field's value as it stands above a run."""
    shown = SAMPLERS[value].label if name == "sampler" else f"{value:.15g}"
    return f"{LABELS[name]} {shown}"


def _second(name: str, start: Recipe, facts: Facts) -> gr.components.Component:
    """The field of run B, hidden until it is chosen."""
    value = _contrast(name, start, facts)
    elem_id = f"denoise-second-{name.replace('_', '-')}"
    shared = {"label": f"{LABELS[name]} of run B", "visible": False, "elem_id": elem_id}
    if name == "sampler":
        return gr.Dropdown(choices(facts.samplers), value=value, **shared)
    return gr.Number(value, **shared)


def _contrast(name: str, start: Recipe, facts: Facts) -> Any:
    """What run B has at first: something that makes another picture than `start`; None where there is nothing else."""
    if name == facts.cfg:
        return 1.0 if facts.guided(start) else 2.0
    if name == "guidance_scale":  # that the network is told
        return 2.0
    samplers = [key for key in ("euler_a", *facts.samplers) if key in facts.samplers]
    likely = {"sampler": samplers, "num_inference_steps": (10, 20), "seed": (1, 2)}[name]
    return next((value for value in likely if value != getattr(start, name)), None)
