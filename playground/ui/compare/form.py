"""The asking side of "Compare": components, and the way between their values and a sweep."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from playground.labels import CONTROLS, inside
from playground.models import Facts
from playground.recipe import check_known_loras
from playground.refusal import Refusal
from playground.samplers import SAMPLERS
from playground.sweep import SIZE, Sweep
from playground.ui.compare.begins import Begins
from playground.ui.compare.control import Control
from playground.ui.compare.known import from_card, known
from playground.ui.compare.models import MODEL, sizes_said
from playground.ui.compare.opening import first_values
from playground.ui.compare.predict import Predict
from playground.ui.compare.reading import (
    LINES,
    LORAS,
    NUMBERS,
    SEEDS,
    SLOTS,
    VALUES,
    Reading,
    lora_varied,
    read_form,
    slots_of,
    typed_values,
    values_slot,
)
from playground.ui.shared.fields import HELP, Fields, choices
from playground.ui.shared.html import error
from playground.ui.shared.sure import Sure
from playground.ui.shared.words import AXES, LORA_WEIGHT, WORDS, lora_help

Given = Mapping[gr.components.Component, Any]
Updates = dict[gr.components.Component, Any]
HERE = Path(__file__).parent
KNOWN: str = (HERE / "known.html").read_text("utf-8")  # a template without placeholders
KNOWN_SCRIPT: str = (HERE / "known.js").read_text("utf-8")
# the grid hears of every check of the form, and reads in its answer whether the form has moved on
CHECKED = 'watch("value", () => document.dispatchEvent(new Event("dp-form-checked")));\n'
VARY: str = (HERE / "vary.js").read_text("utf-8")  # of the last part of the form, when all fields are there
WHERE = {"columns": "across", "rows": "down", "tabs": "as tabs"}
ELSE = ("sampler", "num_inference_steps", "guidance_scale", "true_cfg_scale", "guidance_rescale", "eta", "clip_skip")
ELSE += ("shift", "width", "height", "seed", "prompt_weights", LORAS)


class Form:
    """Opens with this sweep. Where the model has no LoRAs, nothing about them is shown."""

    def __init__(self, start: Sweep, facts: Facts) -> None:
        self._loras, self._samplers = tuple(facts.loras), facts.samplers
        self._special = [name for name, there in special(facts).items() if there]
        self._left_out = tuple(facts.left_out)
        self._models = (facts.name, *facts.beside)
        left_out = {LORA_WEIGHT: not self._loras, "strength": bool(facts.no_start), MODEL: len(self._models) == 1}
        left_out |= dict.fromkeys(CONTROLS, not facts.controlnet)
        left_out |= {name: not there for name, there in special(facts).items()}
        self.keys = [key for key in AXES if not left_out.get(key)]
        slots = slots_of(start)
        self.fields = Fields(start.base, facts)
        self.fields.add("prompt", help=f"{HELP['prompt']} Enter runs the grid.")
        self.marks = gr.HTML("", elem_classes="dp-flush", elem_id="marks")  # what the model does not know of it
        self.known, self.surprise = known(facts.name), None
        if self.known:
            lists = {name: getattr(self.known, name) for name in ("common", "rare", "colours", "styles")}
            gr.HTML(html_template=KNOWN, js_on_load=KNOWN_SCRIPT, elem_classes="dp-flush", elem_id="known", **lists)
            self.surprise = gr.Button("Surprise me", size="sm", elem_id="surprise")
        elif facts.card:
            gr.HTML(from_card(facts.card), elem_classes="dp-flush", elem_id="known")
        self.fields.add("negative_prompt")
        self.begins, self.control = Begins(self.fields, facts), Control(self.fields, facts)
        named = [(AXES[key].label, key) for key in self.keys]
        self.axes: dict[str, gr.components.Component] = {}
        self.axes["columns"] = gr.Radio(named, value=slots["columns"], label="Vary", elem_id="vary")
        self.fields.slot("columns")
        self.remove: dict[str, gr.Button] = {}
        for slot, label in (("rows", "And down the side"), ("tabs", "And as tabs")):
            self._add_axis(slot, label, named, slots[slot])
        self.fields.slot("rows")
        with gr.Row(elem_classes="dp-small"):
            self.add = gr.Button("Add an axis", size="sm", elem_id="add-axis")
            self.swap = gr.Button("Swap axes", size="sm", visible=_seen(slots["rows"] is not None), elem_id="swap-axes")
        self._lora = None
        if self._loras:
            varied = lora_varied(start)
            self._lora = gr.Dropdown(
                list(self._loras),
                value=varied or self._loras[0],
                label="LoRA",
                visible=_seen(varied is not None),
                elem_id="vary-lora",
            )
        self.editors: dict[str, gr.components.Component] = {}
        self.says: dict[str, gr.HTML] = {}  # under each editor: what is wrong with it, or what it means
        values = first_values(facts) | dict(zip(filter(None, slots.values()), start.axes.values(), strict=True))
        for key in self.keys:
            self._add_editor(key, values[key], shown=key in slots.values())
        self.seeds = gr.Number(
            start.seeds,
            label="Seeds per cell",
            info="Each cell is drawn from that many noises, the same ones in every cell.",
            precision=0,
            minimum=1,
            elem_id="seeds",
        )
        self.fields.slot(SEEDS)
        self._weights: dict[str, gr.Number] = {}
        with gr.Accordion("Everything else", open=False, elem_id="everything-else") as self.everything_else:
            self._add_everything_else(start)
        self.predict = Predict()
        with gr.Column(elem_classes="dp-press"):
            self.cost = gr.HTML("", js_on_load=CHECKED + VARY, elem_classes="dp-cost", elem_id="cost")
            self.sure = Sure()
            with gr.Row():
                self.run = gr.Button("Run", variant="primary", elem_id="run")
                self.stop = gr.Button("Stop", elem_id="stop")
        for name, component in self.fields.components.items():
            component.interactive = _free(name, tuple(start.axes))
        lora = [self._lora] if self._lora else []
        asking = [*self.axes.values(), *lora, *self.editors.values(), *self.fields.components.values()]
        self.inputs = [*asking, *self._weights.values(), self.seeds]
        self.shown = [*asking, *self.remove.values(), self.add, self.swap, *self.says.values()]
        self.filled = [
            *self.shown,
            *self._weights.values(),
            self.seeds,
            *self.begins.shown,
            *self.control.shown,
        ]
        texts = [self.fields.components["prompt"], self.fields.components["negative_prompt"]]
        numbers = [c for c in self.fields.components.values() if isinstance(c, gr.Number)]
        self.one_line = [*texts, *(self.editors[key] for key in self.keys if key in NUMBERS), self.seeds]
        self.one_line += [*numbers, *self._weights.values()]

    def _add_axis(self, slot: str, label: str, named: list[tuple[str, str]], value: str | None) -> None:
        with gr.Row(elem_classes="dp-axis"):
            self.axes[slot] = gr.Dropdown(
                named, value=value, label=label, visible=_seen(value is not None), elem_id=f"vary-{slot}", scale=4
            )
            self.remove[slot] = gr.Button(
                "Remove",
                size="sm",
                visible=_seen(value is not None),
                elem_id=f"remove-{slot}",
                scale=1,
                min_width=80,
            )

    def _add_editor(self, key: str, values: list[Any], shown: bool) -> None:
        shared: dict[str, Any] = {
            "value": typed_values(key, values),
            "label": _label(key),
            "info": AXES[key].help,
            "visible": _seen(shown),
            "elem_id": f"{VALUES}-{key.replace('_', '-')}",
        }
        if key in NUMBERS:
            editor: gr.components.Component = gr.Textbox(lines=1, **shared)
        elif key in LINES:
            editor = gr.Textbox(lines=3, max_lines=8, **shared)
        else:
            offered = list(self._models) if key == MODEL else choices(self._samplers)
            editor = gr.CheckboxGroup(offered, **shared)
        self.editors[key] = editor
        slot = f"error-{VALUES}-{key.replace('_', '-')}"
        self.says[key] = gr.HTML("", visible=_seen(shown), elem_classes="dp-error dp-parsed dp-flush", elem_id=slot)

    def _add_everything_else(self, start: Sweep) -> None:
        for name in ("sampler", "num_inference_steps", "guidance_scale", *self._special):
            self.fields.add(name)
        with gr.Row():
            for name in ("width", "height"):
                with gr.Column(min_width=100):
                    self.fields.add(name)
        if self._loras:
            gr.HTML(f'<p class="dp-quiet">LoRA weights. {escape(lora_help(self._loras))}</p>')
            weights = dict(start.base.loras)
            with gr.Row(elem_id="field-loras"):
                for name in self._loras:
                    self._weights[name] = gr.Number(weights.get(name, 0.0), label=name, step=0.1, min_width=90)
            self.fields.slot(LORAS)
        if self._left_out:
            names = ", ".join(self._left_out)
            told = f"LoRAs left out, because they do not fit this model: {names}. The log says why."
            gr.HTML(f'<p class="dp-quiet">{escape(told)}</p>', elem_id="loras-left-out")
        self.fields.add("seed", help=f"{HELP['seed']} One seed for all cells, unless you vary it.")
        self.new_seed = gr.Button("Draw a new seed", size="sm")

    def show(self, given: Given) -> Updates:
        """What is chosen in the slots -> updates of `shown`: the editors of what is varied, and no other way to it.

        The slots keep the values that they have by then: the next choice may have been made before this is answered.
        """
        updates = self._arranged(self._slots(given))
        for component in self.axes.values():
            updates[component].pop("value")
        return updates

    def added(self, given: Given) -> Updates:
        """One more axis, over something that is not varied yet."""
        slots = self._slots(given)
        if (free := next((slot for slot in ("rows", "tabs") if slots[slot] is None), None)) is not None:
            wanted = ("num_inference_steps", "guidance_scale", "sampler", "seed")
            slots[free] = next(key for key in wanted if key not in slots.values())
        return self._arranged(slots)

    def removed(self, slot: str, given: Given) -> Updates:
        """One axis less; what lay further out takes its place."""
        slots = self._slots(given)
        return self._arranged(slots | ({"rows": slots["tabs"], "tabs": None} if slot == "rows" else {"tabs": None}))

    def swapped(self, given: Given) -> Updates:
        """Columns become rows, and rows columns."""
        slots = self._slots(given)
        return self._arranged(slots | {"columns": slots["rows"], "rows": slots["columns"]})

    def _slots(self, given: Given) -> dict[str, Any]:
        return {slot: given[component] for slot, component in self.axes.items()}

    def _arranged(self, slots: Mapping[str, Any], values: Updates | None = None) -> Updates:
        """Updates of `shown` for what lies in the slots; `values` are those of components that get a new one."""
        varied = [slots[slot] for slot in SLOTS if isinstance(slots[slot], str)]
        options: dict[gr.components.Component, dict[str, Any]] = {self.axes["columns"]: {"value": slots["columns"]}}
        for slot, button in self.remove.items():
            there = {"visible": _seen(slots[slot] is not None)}
            options |= {self.axes[slot]: {"value": slots[slot]} | there, button: there}
        options[self.add] = {"visible": _seen(slots["tabs"] is None)}
        options[self.swap] = {"visible": _seen(slots["rows"] is not None)}
        if self._lora:
            options[self._lora] = {"visible": _seen(LORA_WEIGHT in varied)}
        for key, editor in self.editors.items():
            where = next((f", {WHERE[slot]}" for slot in SLOTS if slots[slot] == key and len(varied) > 1), "")
            options[editor] = {"visible": _seen(key in varied), "label": _label(key) + where}
            options[self.says[key]] = {"visible": _seen(key in varied)}
        for name, component in self.fields.components.items():
            options[component] = {"interactive": _free(name, varied)}
        for component, value in (values or {}).items():
            options[component] = options.get(component, {}) | {"value": value}
        return {component: gr.update(**given) for component, given in options.items()}

    def read(self, given: Given) -> Reading:
        """The values of `inputs` -> a sweep or errors."""
        values = {name: given[component] for name, component in self.fields.components.items()}
        values |= {slot: given[component] for slot, component in self.axes.items()}
        values |= {"lora": given[self._lora] if self._lora else None, SEEDS: given[self.seeds]}
        values[LORAS] = {name: given[component] for name, component in self._weights.items()}
        values[VALUES] = {key: given[editor] for key, editor in self.editors.items()}
        return read_form(values, self.fields.start)

    def chunks(self, given: Given) -> int:
        """As `Model.words` takes it: 1 where weights are to be read, else 0."""
        switch = self.fields.components.get("prompt_weights")
        return int(switch is not None and given[switch] is True)

    def slot_of(self, refused: str, given: Given) -> str:
        """Where it belongs what the model refuses: at the field that the sentence begins with, or at the editor of the
        axis over it; at the columns' where it is neither."""
        named, varied = refused.split()[0], [key for key in self._slots(given).values() if key is not None]
        if SIZE in varied and named in ("width", "height"):
            named = SIZE
        if named in self.fields.errors and named not in varied:
            return named
        return values_slot(named if named in varied else given[self.axes["columns"]])

    def told(self, reading: Reading) -> Updates:
        """Errors beside their fields, and under each editor without one what its values are. An error opens what it is
        folded into."""
        updates = self.fields.says(reading.errors)
        for key, html in self.says.items():
            if sentence := reading.errors.get(values_slot(key)):
                updates[html] = error(sentence)
            else:
                updates[html] = _parsed(key, reading.parsed.get(key, []))
        folded = any(name in reading.errors for name in ELSE)
        updates[self.everything_else] = gr.update(open=True) if folded else gr.skip()
        for part, names in ((self.begins, ("image", "strength")), (self.control, ("control_image", *CONTROLS))):
            slots = {*names, *map(values_slot, names)}
            if part.image and slots & set(reading.errors):
                updates[part.section] = gr.update(open=True)
        return updates

    def fill(self, sweep: Sweep) -> Updates:
        """Updates of `filled` that ask for this sweep; the other editors keep their values.

        Raises Refusal for a sweep with a LoRA, or an axis, that the form does not have.
        """
        slots, weights, lora = slots_of(sweep), dict(sweep.base.loras), lora_varied(sweep)
        check_known_loras([*weights, *([lora] if lora is not None else [])], self._loras)
        values = {component: getattr(sweep.base, name) for name, component in self.fields.components.items()}
        values |= {component: weights.get(name, 0.0) for name, component in self._weights.items()}
        values |= {self.seeds: sweep.seeds}
        for key, found in zip(filter(None, slots.values()), sweep.axes.values(), strict=True):
            if key not in self.editors:
                raise Refusal(f"{key} is not an axis that this page has.")
            values[self.editors[key]] = typed_values(key, found)
        if self._lora and lora is not None:
            values[self._lora] = lora
        return self._arranged(slots, values) | self.begins.filled(sweep.base) | self.control.filled(sweep.base)


def special(facts: Facts) -> dict[str, bool]:
    """Fields that only some models have a use for, and whether this one does."""
    eta = "eta" in facts.takes if facts.whole else any(SAMPLERS[key].has_eta for key in facts.samplers)
    return {
        "true_cfg_scale": facts.has_true_cfg,
        "guidance_rescale": facts.rescales,
        "eta": eta,
        "clip_skip": facts.clip_skips > 0,
        "shift": not facts.no_shift,
        "prompt_weights": facts.reads_weights,
    }


def _seen(now: bool) -> Literal[True, "hidden"]:
    """What is not seen stays on the page, because an update to what is not there can be lost."""
    return True if now else "hidden"


def _free(name: str, varied: Sequence[str]) -> bool:
    """Whether the field may be edited: an axis over it is the only way to it."""
    return name not in varied and not (SIZE in varied and name in ("width", "height"))


def _label(key: str) -> str:
    """ "Values of guidance scale" """
    label = AXES[key].label
    return f"Values of {label if key == LORA_WEIGHT else inside(label)}"


def _parsed(key: str, values: list[Any]) -> str:
    """What was understood, where that is more than what was typed."""
    if key == MODEL:
        return sizes_said(values)
    if not values or key not in (*NUMBERS, WORDS):
        return ""
    if key == WORDS:
        return f'<p class="dp-quiet">“{escape(values[0])}” and {len(values) - 1} in its place.</p>'
    return f'<p class="dp-quiet">{len(values)} values: {", ".join(f"{v:.15g}" for v in values)}</p>'
