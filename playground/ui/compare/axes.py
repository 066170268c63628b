"""What "Compare" varies: along which axes, over which values. An axis over a field is the only way to that field."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Literal

import gradio as gr

from playground.labels import in_short, inside
from playground.models import Facts
from playground.recipe import check_known_loras
from playground.refusal import Refusal
from playground.sweep import SIZE, Sweep
from playground.ui.compare.models import MODEL, sizes_said
from playground.ui.compare.opening import first_values
from playground.ui.compare.reading import (
    LINES,
    NUMBERS,
    SLOTS,
    VALUES,
    Reading,
    lora_varied,
    slots_of,
    typed_values,
    values_slot,
)
from playground.ui.shared.fields import Fields, choices
from playground.ui.shared.html import error
from playground.ui.shared.words import AXES, LORA_WEIGHT, WORDS

Given = Mapping[gr.components.Component, Any]
Updates = dict[gr.components.Component, Any]
WHERE = {"columns": "across", "rows": "down", "tabs": "as tabs"}


class Axes:
    """One to three axes over the named fields, with an editor for the values of each. Opens with this sweep's.

    `keys`: what can be varied. `fields` are those of the whole form.
    """

    def __init__(self, start: Sweep, facts: Facts, keys: Sequence[str], fields: Fields) -> None:
        self._fields, slots = fields, slots_of(start)
        named = [(AXES[key].label, key) for key in keys]
        self.slots: dict[str, gr.components.Component] = {}
        self.slots["columns"] = gr.Radio(named, value=slots["columns"], label="Vary", elem_id="vary")
        fields.slot("columns")
        self.remove: dict[str, gr.Button] = {}
        for slot, label in (("rows", "And down the side"), ("tabs", "And as tabs")):
            self._add_slot(slot, label, named, slots[slot])
        fields.slot("rows")
        with gr.Row(elem_classes="dp-small"):
            self.add = gr.Button("Add an axis", size="sm", elem_id="add-axis")
            self.swap = gr.Button("Swap axes", size="sm", visible=_seen(slots["rows"] is not None), elem_id="swap-axes")
        self._lora, self._loras = None, tuple(facts.loras)
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
        for key in keys:
            self._add_editor(key, values[key], facts, shown=key in slots.values())
        lora = [self._lora] if self._lora else []
        self.inputs = [*self.slots.values(), *lora, *self.editors.values()]
        self.shown = [*self.inputs, *self.remove.values(), self.add, self.swap, *self.says.values()]
        self.one_line = [self.editors[key] for key in keys if key in NUMBERS]

    def _add_slot(self, slot: str, label: str, named: list[tuple[str, str]], value: str | None) -> None:
        with gr.Row(elem_classes="dp-axis"):
            self.slots[slot] = gr.Dropdown(
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

    def _add_editor(self, key: str, values: list[Any], facts: Facts, shown: bool) -> None:
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
            offered = [facts.name, *facts.beside] if key == MODEL else choices(facts.samplers)
            editor = gr.CheckboxGroup(offered, **shared)
        self.editors[key] = editor
        slot = f"error-{VALUES}-{key.replace('_', '-')}"
        self.says[key] = gr.HTML("", visible=_seen(shown), elem_classes="dp-error dp-parsed dp-flush", elem_id=slot)

    def settle(self, varied: Sequence[str]) -> None:
        """Once all fields of the form are there: those that are varied are not edited by themselves."""
        for name, component in self._fields.components.items():
            component.interactive = _free(name, varied)

    def show(self, given: Given) -> Updates:
        """What is chosen in the slots -> updates of `shown`: the editors of what is varied, and no other way to it.

        The slots keep the values that they have by then: the next choice may have been made before this is answered.
        """
        updates = self.arranged(self.chosen(given))
        for component in self.slots.values():
            updates[component].pop("value")
        return updates

    def added(self, given: Given) -> Updates:
        """One more axis, over something that is not varied yet."""
        slots = self.chosen(given)
        if (free := next((slot for slot in ("rows", "tabs") if slots[slot] is None), None)) is not None:
            wanted = ("num_inference_steps", "guidance_scale", "sampler", "seed")
            slots[free] = next(key for key in wanted if key in self.editors and key not in slots.values())
        return self.arranged(slots)

    def removed(self, slot: str, given: Given) -> Updates:
        """One axis less; what lay further out takes its place."""
        slots = self.chosen(given)
        return self.arranged(slots | ({"rows": slots["tabs"], "tabs": None} if slot == "rows" else {"tabs": None}))

    def swapped(self, given: Given) -> Updates:
        """Columns become rows, and rows columns."""
        slots = self.chosen(given)
        return self.arranged(slots | {"columns": slots["rows"], "rows": slots["columns"]})

    def chosen(self, given: Given) -> dict[str, Any]:
        """Slot -> what is varied along it, or None"""
        return {slot: given[component] for slot, component in self.slots.items()}

    def arranged(self, slots: Mapping[str, Any], values: Updates | None = None) -> Updates:
        """Updates of `shown` for what lies in the slots; `values` are those of components that get a new one."""
        varied = [slots[slot] for slot in SLOTS if isinstance(slots[slot], str)]
        options: dict[gr.components.Component, dict[str, Any]] = {self.slots["columns"]: {"value": slots["columns"]}}
        for slot, button in self.remove.items():
            there = {"visible": _seen(slots[slot] is not None)}
            options |= {self.slots[slot]: {"value": slots[slot]} | there, button: there}
        options[self.add] = {"visible": _seen(slots["tabs"] is None)}
        options[self.swap] = {"visible": _seen(slots["rows"] is not None)}
        if self._lora:
            options[self._lora] = {"visible": _seen(LORA_WEIGHT in varied)}
        for key, editor in self.editors.items():
            where = next((f", {WHERE[slot]}" for slot in SLOTS if slots[slot] == key and len(varied) > 1), "")
            options[editor] = {"visible": _seen(key in varied), "label": _label(key) + where}
            options[self.says[key]] = {"visible": _seen(key in varied)}
        for name, component in self._fields.components.items():
            options[component] = {"interactive": _free(name, varied)}
        for component, value in (values or {}).items():
            options[component] = options.get(component, {}) | {"value": value}
        return {component: gr.update(**given) for component, given in options.items()}

    def read(self, given: Given) -> dict[str, Any]:
        """As `read_form` takes it."""
        values = {key: given[editor] for key, editor in self.editors.items()}
        return self.chosen(given) | {"lora": given[self._lora] if self._lora else None, VALUES: values}

    def told(self, reading: Reading) -> Updates:
        """Under each editor what is wrong with it, else what its values are."""
        updates: Updates = {}
        for key, html in self.says.items():
            sentence = reading.errors.get(values_slot(key))
            says = _parsed(key, reading.parsed.get(key, [])) + reading.beyond.get(key, "")
            updates[html] = error(sentence) if sentence else says
        return updates

    def slot_of(self, named: str, given: Given) -> str | None:
        """Where a sentence about this field belongs if it is varied, else None."""
        varied = [key for key in self.chosen(given).values() if key is not None]
        if SIZE in varied and named in ("width", "height"):
            named = SIZE
        return values_slot(named) if named in varied else None

    def filled(self, sweep: Sweep, values: Updates) -> Updates:
        """Updates of `shown` and of the fields that ask for this sweep; `values` are those of other components.

        Raises Refusal for an axis, or the weight of a LoRA as one, that the form does not have.
        """
        slots, values = slots_of(sweep), dict(values)
        if (lora := lora_varied(sweep)) is not None:
            check_known_loras([lora], self._loras)
            values[self._lora] = lora
        for key, found in zip(filter(None, slots.values()), sweep.axes.values(), strict=True):
            if key not in self.editors:
                raise Refusal(f"{key} is not an axis that this page has.")
            values[self.editors[key]] = typed_values(key, found)
        return self.arranged(slots, values)


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
    return f'<p class="dp-quiet">{len(values)} values: {in_short([f"{v:.15g}" for v in values])}</p>'
