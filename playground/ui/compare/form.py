"""The asking side of "Compare": components, and the way between their values and a sweep."""

from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from playground.recipe import check_known_loras
from playground.samplers import SAMPLERS
from playground.sweep import LORA_PREFIX, Sweep, lora_of
from playground.ui.compare.reading import (
    BASE_FIELDS,
    LINE_AXES,
    LORAS,
    VALUES,
    Reading,
    is_number,
    key_of,
    read_form,
    typed_values,
)
from playground.ui.shared.shipped import examples
from playground.ui.shared.words import AXES, HELP, LORA_WEIGHT, lora_help

FIRST_WEIGHTS = [0.0, 0.5, 1.0]  # of a LoRA, in the editor before anybody has typed


class Form:
    """`loras` are the names that the model knows; without any, nothing about LoRAs is shown."""

    def __init__(self, start: Sweep, loras: Sequence[str] = ()) -> None:
        self.base, self.loras = start.base, tuple(loras)
        self.fields: dict[str, gr.components.Component] = {}
        self.errors: dict[str, gr.HTML] = {}
        axis = next(iter(start.axes))
        self._text("prompt", "Prompt", start.base.prompt)
        self._text("negative_prompt", "Negative prompt", start.base.negative_prompt)
        axes = [key for key in AXES if loras or key != LORA_WEIGHT]
        self.axis = gr.Radio([(AXES[key].label, key) for key in axes], value=key_of(axis), label="Vary", elem_id="vary")
        # by the name under which `read` finds each value
        self._named: dict[str, gr.components.Component] = {"axis": self.axis}
        if loras:
            self._named["lora"] = gr.Dropdown(
                list(loras),
                value=lora_of(axis) or loras[0],
                label="LoRA",
                visible=lora_of(axis) is not None,
                elem_id="vary-lora",
            )
        self.editors = {key: self._editor(key, start, shown=key == key_of(axis)) for key in axes}
        self._error(VALUES)
        with gr.Accordion("Everything else", open=False):
            self._everything_else(start)
        self.cost = gr.HTML(elem_classes="dp-cost", elem_id="cost")
        with gr.Row():
            self.run = gr.Button("Run", variant="primary", elem_id="run")
            self.stop = gr.Button("Stop", elem_id="stop")
        self._named |= self.fields | {_id(VALUES, key): editor for key, editor in self.editors.items()}
        self.inputs = list(self._named.values())
        self.shown_by_axis = [*([self._named["lora"]] if loras else []), *self.editors.values()]

    def _everything_else(self, start: Sweep) -> None:
        self.fields["sampler"] = gr.Dropdown(
            [(s.label, key) for key, s in SAMPLERS.items()],
            value=start.base.sampler,
            label="Sampler",
            info=HELP["sampler"],
            elem_id="field-sampler",
        )
        self._error("sampler")
        for name, label in (("num_inference_steps", "Steps"), ("guidance_scale", "Guidance scale")):
            self.fields[name] = gr.Number(
                getattr(start.base, name), label=label, info=HELP[name], elem_id=_id("field", name)
            )
            self._error(name)
        if self.loras:
            gr.HTML(f'<p class="dp-quiet">LoRA weights. {escape(lora_help(self.loras))}</p>')
            weights = dict(start.base.loras)
            with gr.Row(elem_id="field-loras"):
                for name in self.loras:
                    self._named[f"{LORA_PREFIX}{name}"] = gr.Number(
                        weights.get(name, 0.0), label=name, step=0.1, min_width=90
                    )
            self._error(LORAS)
        self.fields["seed"] = gr.Number(start.base.seed, label="Seed", info=HELP["seed"], elem_id="field-seed")
        self._error("seed")
        self.new_seed = gr.Button("Draw a new seed", size="sm")

    def _text(self, name: str, label: str, value: str) -> None:
        self.fields[name] = gr.Textbox(
            value, label=label, info=HELP[name], lines=1, max_lines=4, elem_id=_id("field", name)
        )
        self._error(name)

    def _error(self, name: str) -> None:
        self.errors[name] = gr.HTML("", elem_classes="dp-error", elem_id=_id("error", name))

    def _editor(self, key: str, start: Sweep, shown: bool) -> gr.components.Component:
        sweeps = [start, *(example.sweep for example in examples(self.loras))]
        known = [values for sweep in sweeps for axis, values in sweep.axes.items() if key_of(axis) == key]
        typed = typed_values(key, known[0] if known else FIRST_WEIGHTS)
        shared: dict[str, Any] = {"info": AXES[key].help, "visible": shown, "elem_id": _id(VALUES, key)}
        label = AXES[key].label
        shared["label"] = f"Values of {label if key == LORA_WEIGHT else label.lower()}"
        if is_number(key):
            return gr.Textbox(typed, lines=1, **shared)
        if key in LINE_AXES:
            return gr.Textbox(typed, lines=4, max_lines=8, **shared)
        return gr.CheckboxGroup([(s.label, key) for key, s in SAMPLERS.items()], value=typed, **shared)

    def show_editor(self, key: str) -> list[Any]:
        """What is chosen under "Vary" -> updates of `shown_by_axis`."""
        shown = [key == LORA_WEIGHT] if self.loras else []
        return [gr.update(visible=visible) for visible in (*shown, *(key == editor for editor in self.editors))]

    def read(self, values: tuple[Any, ...]) -> Reading:
        """The values of `inputs`, in order -> a sweep or errors."""
        named = dict(zip(self._named, values, strict=True))
        weights = {name: named[f"{LORA_PREFIX}{name}"] for name in self.loras}
        return read_form({**named, VALUES: named.get(_id(VALUES, named["axis"] or "")), LORAS: weights}, self.base)

    def fill(self, sweep: Sweep) -> list[Any]:
        """Values for `inputs` that ask for this sweep; the other editors keep theirs.

        Raises ValueError for a sweep with a LoRA that the form does not have.
        """
        axis, weights = next(iter(sweep.axes)), dict(sweep.base.loras)
        lora, key = lora_of(axis), key_of(axis)
        check_known_loras([*weights, *([lora] if lora is not None else [])], self.loras)
        values: dict[str, Any] = {name: getattr(sweep.base, name) for name in BASE_FIELDS}
        values |= {
            "axis": key,
            "lora": gr.update(visible=False) if lora is None else gr.update(value=lora, visible=True),
        }
        values |= {_id(VALUES, editor): gr.update(visible=False) for editor in self.editors}
        values[_id(VALUES, key)] = gr.update(value=typed_values(key, sweep.axes[axis]), visible=True)
        values |= {f"{LORA_PREFIX}{name}": weights.get(name, 0.0) for name in self.loras}
        return [values[name] for name in self._named]

    def error_html(self, reading: Reading) -> list[str]:
        return [
            f'<p role="alert">{escape(reading.errors[name], quote=True)}</p>' if name in reading.errors else ""
            for name in self.errors
        ]


def _id(kind: str, name: str) -> str:
    return f"{kind}-{name.replace('_', '-')}"
