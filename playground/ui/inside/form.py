"""What the Inside tab asks for: one recipe."""

from __future__ import annotations

from typing import Any

import gradio as gr

from playground.recipe import Recipe
from playground.samplers import SAMPLERS
from playground.ui.shared.html import error
from playground.ui.shared.words import HELP

NAMES = ("prompt", "seed", "negative_prompt", "sampler", "num_inference_steps", "guidance_scale")
WHOLE = ("seed", "num_inference_steps")
HELPS = HELP | {"prompt": "What should be in the picture.", "seed": "Fixes the starting noise."}


class Form:
    """The components, and the way from their values to a recipe or to one sentence under each wrong field."""

    def __init__(self, start: Recipe) -> None:
        self.start = start
        self.fields: dict[str, gr.components.Component] = {}
        self.errors: dict[str, gr.HTML] = {}
        self.cut = gr.HTML(elem_classes="dp-cost dpi-cut", elem_id="inside-cut", render=False)
        self._add(gr.Textbox, "prompt", "Prompt", lines=1, max_lines=4)
        self.cut.render()
        self._add(gr.Number, "seed", "Seed")
        with gr.Accordion("Everything else", open=False):
            self._add(gr.Textbox, "negative_prompt", "Negative prompt", lines=1, max_lines=4)
            self._add(gr.Dropdown, "sampler", "Sampler", choices=[(s.label, key) for key, s in SAMPLERS.items()])
            self._add(gr.Number, "num_inference_steps", "Steps")
            self._add(gr.Number, "guidance_scale", "Guidance scale")
        with gr.Row():
            self.run = gr.Button("Walk", variant="primary", elem_id="inside-run")
            self.stop = gr.Button("Stop", elem_id="inside-stop")
        self.inputs = [self.fields[name] for name in NAMES]

    def _add(self, component: type, name: str, label: str, **options: Any) -> None:
        made = component(value=getattr(self.start, name), label=label, info=HELPS[name], elem_id=_id(name), **options)
        self.fields[name] = made
        self.errors[name] = gr.HTML(elem_classes="dp-error", elem_id=_id(name) + "-error")

    def read(self, values: tuple[Any, ...]) -> tuple[Recipe | None, list[str]]:
        """Values of `inputs` -> the recipe, or None where a field is wrong; and the HTML under every field."""
        recipe, wrong = self.start, dict.fromkeys(self.errors, "")
        for name in ("sampler", *NAMES):  # first the sampler, which the steps are checked against
            try:
                recipe = recipe.replace(**{name: _plain(name, values[NAMES.index(name)])})
            except ValueError as problem:
                wrong[name] = str(problem)
        shown = [error(wrong[name]) for name in self.errors]
        return (None if any(wrong.values()) else recipe), shown


def _id(name: str) -> str:
    return f"inside-{name.replace('_', '-')}"


def _plain(name: str, value: Any) -> Any:
    """A number field gives floats, also for whole numbers, and an emptied text field may give None."""
    if name in WHOLE and isinstance(value, float) and value.is_integer():
        return int(value)
    return "" if value is None and name.endswith("prompt") else value
