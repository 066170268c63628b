"""The asking side of "Compare": components, and the way between their values and a sweep."""

from collections.abc import Mapping
from html import escape
from typing import Any

import gradio as gr

from playground.models import Facts
from playground.recipe import check_known_loras
from playground.sweep import Sweep, lora_of
from playground.ui.compare.opening import first_values
from playground.ui.compare.reading import LORAS, VALUES, Reading, is_number, key_of, read_form, typed_values
from playground.ui.shared.fields import HELP, TEXTS, Fields, choices
from playground.ui.shared.words import AXES, LORA_WEIGHT, lora_help

Given = Mapping[gr.components.Component, Any]


class Form:
    """Opens with this sweep. Where the model has no LoRAs, nothing about them is shown."""

    def __init__(self, start: Sweep, facts: Facts) -> None:
        self._loras, self._samplers = tuple(facts.loras), facts.samplers
        axis = next(iter(start.axes))
        self.fields = Fields(start.base, facts)
        self.fields.add("prompt", help=f"{HELP['prompt']} Enter runs the grid.")
        self.fields.add("negative_prompt")
        axes = [key for key in AXES if self._loras or key != LORA_WEIGHT]
        self.axis = gr.Radio([(AXES[key].label, key) for key in axes], value=key_of(axis), label="Vary", elem_id="vary")
        self._lora = None
        if self._loras:
            varied = lora_of(axis)
            self._lora = gr.Dropdown(
                list(self._loras),
                value=varied or self._loras[0],
                label="LoRA",
                visible=varied is not None,
                elem_id="vary-lora",
            )
        values = first_values(facts) | {key_of(axis): start.axes[axis]}
        self.editors = {key: self._editor(key, values[key], shown=key == key_of(axis)) for key in axes}
        self.fields.slot(VALUES)
        self._weights: dict[str, gr.Number] = {}
        with gr.Accordion("Everything else", open=False):
            for name in ("sampler", "num_inference_steps", "guidance_scale"):
                self.fields.add(name)
            if self._loras:
                self._add_weights(dict(start.base.loras))
            self.fields.add("seed", help=f"{HELP['seed']} One seed for all cells.")
            self.new_seed = gr.Button("Draw a new seed", size="sm")
        self.cost = gr.HTML(elem_classes="dp-cost", elem_id="cost")
        with gr.Row():
            self.run = gr.Button("Run", variant="primary", elem_id="run")
            self.stop = gr.Button("Stop", elem_id="stop")
        self.shown_by_axis = [*([self._lora] if self._lora else []), *self.editors.values()]
        self.inputs = [self.axis, *self.shown_by_axis, *self.fields.components.values(), *self._weights.values()]

    def _add_weights(self, weights: Mapping[str, float]) -> None:
        gr.HTML(f'<p class="dp-quiet">LoRA weights. {escape(lora_help(self._loras))}</p>')
        with gr.Row(elem_id="field-loras"):
            for name in self._loras:
                self._weights[name] = gr.Number(weights.get(name, 0.0), label=name, step=0.1, min_width=90)
        self.fields.slot(LORAS)

    def _editor(self, key: str, values: list[Any], shown: bool) -> gr.components.Component:
        label = AXES[key].label
        shared: dict[str, Any] = {
            "value": typed_values(key, values),
            "label": f"Values of {label if key == LORA_WEIGHT else label.lower()}",
            "info": AXES[key].help,
            "visible": shown,
            "elem_id": f"{VALUES}-{key.replace('_', '-')}",
        }
        if is_number(key):
            return gr.Textbox(lines=1, **shared)
        if key in TEXTS:
            return gr.Textbox(lines=4, max_lines=8, **shared)
        return gr.CheckboxGroup(choices(self._samplers), **shared)

    def show_editor(self, key: str) -> dict[gr.components.Component, Any]:
        """What is chosen under "Vary" -> updates of `shown_by_axis`."""
        return self._editors_shown(key) | ({self._lora: gr.update(visible=key == LORA_WEIGHT)} if self._lora else {})

    def read(self, given: Given) -> Reading:
        """The values of `inputs` -> a sweep or errors."""
        values = {name: given[component] for name, component in self.fields.components.items()}
        values |= {"axis": given[self.axis], "lora": given[self._lora] if self._lora else None}
        values[LORAS] = {name: given[component] for name, component in self._weights.items()}
        editor = self.editors.get(values["axis"])
        return read_form({**values, VALUES: given[editor] if editor else None}, self.fields.start)

    def fill(self, sweep: Sweep) -> dict[gr.components.Component, Any]:
        """Updates of `inputs` that ask for this sweep; the other editors keep their values.

        Raises Refusal for a sweep with a LoRA that the form does not have.
        """
        axis, weights = next(iter(sweep.axes)), dict(sweep.base.loras)
        lora, key = lora_of(axis), key_of(axis)
        check_known_loras([*weights, *([lora] if lora is not None else [])], self._loras)
        updates = {component: getattr(sweep.base, name) for name, component in self.fields.components.items()}
        updates |= {component: weights.get(name, 0.0) for name, component in self._weights.items()}
        updates |= {self.axis: key, **self._editors_shown(key)}
        updates[self.editors[key]] = gr.update(value=typed_values(key, sweep.axes[axis]), visible=True)
        if self._lora:
            updates[self._lora] = gr.update(visible=False) if lora is None else gr.update(value=lora, visible=True)
        return updates

    def _editors_shown(self, key: str) -> dict[gr.components.Component, Any]:
        return {editor: gr.update(visible=key == its) for its, editor in self.editors.items()}
