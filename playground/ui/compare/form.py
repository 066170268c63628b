"""The asking side of "Compare": components, and the way between their values and a sweep."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from playground.engine import Engine
from playground.labels import CONTROLS
from playground.models import Facts
from playground.recipe import check_known_loras
from playground.samplers import SAMPLERS
from playground.sweep import WORDS_PREFIX, Sweep, varied
from playground.ui.compare.axes import Axes
from playground.ui.compare.begins import Begins
from playground.ui.compare.control import Control
from playground.ui.compare.models import MODEL, cut_elsewhere
from playground.ui.compare.predict import Predict
from playground.ui.compare.reading import LINES, LORAS, SEEDS, Reading, read_form, values_slot
from playground.ui.shared.fields import HELP, Fields
from playground.ui.shared.known import known, marks, marks_of_lines, place, within
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
ELSE = ("sampler", "num_inference_steps", "guidance_scale", "true_cfg_scale", "guidance_rescale", "eta", "clip_skip")
ELSE += ("shift", "width", "height", "seed", "prompt_weights", LORAS)


class Form:
    """Opens with this sweep. Where the model has no LoRAs, nothing about them is shown."""

    def __init__(self, start: Sweep, facts: Facts) -> None:
        self._loras = tuple(facts.loras)
        self._special = [name for name, there in special(facts).items() if there]
        self._left_out = tuple(facts.left_out)
        left_out = {LORA_WEIGHT: not self._loras, "strength": bool(facts.no_start), MODEL: not facts.beside}
        left_out |= dict.fromkeys(CONTROLS, not facts.controlnet)
        # of a model that has no use for it too, where a grid can have others beside it
        self._has_scale = facts.has_guidance_scale or bool(facts.beside)
        left_out["guidance_scale"] = not self._has_scale
        left_out |= {name: not there for name, there in special(facts).items()}
        keys = [key for key in AXES if not left_out.get(key)]
        self.fields = Fields(start.base, facts)
        self.fields.add("prompt", help=f"{HELP['prompt']} Enter runs the grid.")
        self.marks = {"prompt": place("marks")}
        self.known, self.surprise = known(facts.name), None
        if self.known:
            lists = {name: getattr(self.known, name) for name in ("common", "rare", "colours", "styles")}
            gr.HTML(html_template=KNOWN, js_on_load=KNOWN_SCRIPT, elem_classes="dp-flush", elem_id="known", **lists)
            self.surprise = gr.Button("Surprise me", size="sm", elem_id="surprise")
        elif facts.card:
            gr.HTML(from_card(facts.card), elem_classes="dp-flush", elem_id="known")
        self.fields.add("negative_prompt")
        self.marks["negative_prompt"] = place("marks-negative")
        self.begins, self.control = Begins(self.fields, facts), Control(self.fields, facts)
        self.axes = Axes(start, facts, keys, self.fields)
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
        self.axes.settle(tuple(start.axes))
        more = [*self._weights.values(), self.seeds]
        self.inputs = [*self.axes.inputs, *self.fields.components.values(), *more]
        self.shown = [*self.axes.shown, *self.fields.components.values()]
        self.filled = [*self.shown, *more, *self.begins.shown, *self.control.shown]
        texts = [self.fields.components["prompt"], self.fields.components["negative_prompt"]]
        numbers = [c for c in self.fields.components.values() if isinstance(c, gr.Number)]
        self.one_line = [*texts, *self.axes.one_line, self.seeds, *numbers, *self._weights.values()]

    def _add_everything_else(self, start: Sweep) -> None:
        for name in ("sampler", "num_inference_steps"):
            self.fields.add(name)
        # not left out, because recipes of elsewhere may say it
        self.fields.add("guidance_scale", visible=True if self._has_scale else "hidden")
        for name in self._special:
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
            told = f"LoRAs left out for this model: {names}. The log says why."
            gr.HTML(f'<p class="dp-quiet">{escape(told)}</p>', elem_id="loras-left-out")
        self.fields.add("seed", help=f"{HELP['seed']} One seed for all cells, unless you vary it.")
        self.new_seed = gr.Button("Draw a new seed", size="sm")

    def read(self, given: Given) -> Reading:
        """The values of `inputs` -> a sweep or errors."""
        values = {name: given[component] for name, component in self.fields.components.items()}
        values |= self.axes.read(given) | {SEEDS: given[self.seeds]}
        values[LORAS] = {name: given[component] for name, component in self._weights.items()}
        return read_form(values, self.fields.start)

    def chunks(self, given: Given) -> int:
        """As `Model.words` takes it: 1 where weights are to be read, else 0."""
        switch = self.fields.components.get("prompt_weights")
        return int(switch is not None and given[switch] is True)

    def beyond(self, engine: Engine, given: Given, reading: Reading) -> dict[str, str]:
        """Axis whose values are lines of text -> HTML under its editor: what they ask beyond the model."""
        found, chunks = {}, self.chunks(given)
        for key in [key for key in reading.parsed if key in LINES]:
            values = reading.parsed[key]
            lines = values[1:] if key == WORDS else [line for line in values if line]
            texts, sweep = lines, reading.sweep
            if key == WORDS and sweep:  # the prompt as a whole is what must fit
                texts = [varied(sweep.base, {f"{WORDS_PREFIX}{values[0]}": line}).prompt for line in lines]
            cuts = [engine.words(within(text), chunks) for text in texts]
            found[key] = marks_of_lines(lines, cuts, self.known)
        return found

    def marked(self, engine: Engine, given: Given, reading: Reading) -> Updates:
        """Under both prompts: what the model does not know of them, and what of them it does not read."""
        updates, axes = {}, self.axes.chosen(given).values()
        for name, html in self.marks.items():
            text = "" if name in axes else within(given[self.fields.components[name]])  # varied, it is not used
            cut = engine.words(text, self.chunks(given))
            updates[html] = marks(text, cut, self.known, engine.facts.reads_weights)
            updates[html] += cut_elsewhere(engine, text, reading.sweep)
        return updates

    def slot_of(self, refused: str, given: Given) -> str:
        """Where it belongs what the model refuses: at the field that the sentence begins with, or at the editor of the
        axis over it; at the columns' where it is neither."""
        named = refused.split()[0]
        if (varied := self.axes.slot_of(named, given)) is not None:
            return varied
        return named if named in self.fields.errors else values_slot(given[self.axes.slots["columns"]])

    def told(self, reading: Reading) -> Updates:
        """Errors beside their fields, and under each editor without one what its values are. An error opens what it is
        folded into."""
        updates = self.fields.says(reading.errors) | self.axes.told(reading)
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
        weights = dict(sweep.base.loras)
        check_known_loras(weights, self._loras)
        values = {component: getattr(sweep.base, name) for name, component in self.fields.components.items()}
        values |= {component: weights.get(name, 0.0) for name, component in self._weights.items()}
        values |= {self.seeds: sweep.seeds}
        return self.axes.filled(sweep, values) | self.begins.filled(sweep.base) | self.control.filled(sweep.base)


def from_card(card: str) -> str:
    """HTML: what the card of a model says that is not known here otherwise; nothing where it says nothing."""
    told = f"From its card: {escape(card, quote=True)}"
    return f'<details class="dp-known"><summary>What can it draw?</summary><p>{told}</p></details>' if card else ""


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
