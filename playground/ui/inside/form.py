"""What the Inside tab asks for: one recipe."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from playground.models import Facts
from playground.recipe import Recipe
from playground.ui.shared.fields import Fields, with_its_scales
from playground.ui.shared.sure import Sure

FOLDED = ("negative_prompt", "sampler", "num_inference_steps", "guidance_scale", "prompt_weights")


class Form(Fields):
    """Its fields, what is said of the prompt while it is typed, and the buttons."""

    def __init__(self, start: Recipe, facts: Facts, cut: str) -> None:
        """`cut`: what is said of the start's prompt, as HTML."""
        super().__init__(start, facts)
        self.prompt = self.add("prompt")
        self.cut = gr.HTML(cut, elem_classes="dp-cost dpi-cut", elem_id="inside-cut")
        self.add("seed")
        with gr.Accordion("Everything else", open=False) as self._folded:
            *others, weights = with_its_scales(FOLDED, facts)
            for name in others:  # the steps are checked for the sampler
                self.add(name)
            self.weights = self.add(weights, visible=facts.reads_weights)
        self.sure = Sure("inside-")
        with gr.Row():
            self.run = gr.Button("Walk", variant="primary", elem_id="inside-run")
            self.stop = gr.Button("Stop", elem_id="inside-stop")
        self.inputs = set(self.components.values())

    @property
    def told(self) -> list[gr.blocks.Block]:
        """What `says` updates."""
        return [*self.errors.values(), self._folded]

    def says(self, errors: Mapping[str, str]) -> dict[gr.blocks.Block, Any]:
        """An error opens what it is folded into."""
        folded = any(name in errors for name in (*FOLDED, "true_cfg_scale"))
        return super().says(errors) | {self._folded: gr.update(open=True) if folded else gr.skip()}

    def asked(self, given: Mapping[gr.components.Component, Any]) -> Recipe | None:
        """What a walk would be asked for; None where a field is wrong."""
        recipe, errors = self.read(given)
        return None if errors else recipe

    def _id(self, kind: str, name: str) -> str:
        return f"inside-{name.replace('_', '-')}" + ("-error" if kind == "error" else "")
