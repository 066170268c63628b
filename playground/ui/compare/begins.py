"""The section "Start from a picture" of Compare's form: image to image."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from playground import pictures
from playground.engine.contract import NO_PICTURE
from playground.export.bundle import png_of
from playground.models import Facts
from playground.recipe import Recipe
from playground.schedule import levels
from playground.store import Store
from playground.sweep import Sweep
from playground.ui.shared.events import picked
from playground.ui.shared.fields import LABELS, PICTURES, Fields, slot
from playground.ui.shared.files import FILES
from playground.ui.shared.html import error, escaped
from playground.ui.shared.picture import own_picture
from playground.ui.shared.quiet import QUIET
from playground.ui.shared.refused import says_refusals
from playground.ui.shared.samples import IMAGES, SAMPLES, gallery

Updates = dict[gr.components.Component, Any]
SHOWN = 96  # pixels per side of the chosen picture in the form
KEPT = "What is chosen is kept on this machine beside the finished cells, so that a link to the grid draws from it too."
NONE = "None is chosen, so every run starts from noise."


class Begins:
    """Where the model cannot start from a picture there is one sentence in its place, and `image` is None."""

    def __init__(self, fields: Fields, facts: Facts) -> None:
        self.image: gr.components.Component | None = None
        self.shown: list[gr.components.Component] = []  # that a sweep fills besides the fields
        self._facts = facts
        if facts.no_start:
            gr.HTML(f'<p class="dp-quiet">Start from a picture: {escaped(facts.no_start)}</p>', elem_id="no-start")
            return
        with gr.Accordion("Start from a picture", open=False, elem_id="begins") as self.section:
            self.samples = [(pictures.open_whole(IMAGES / name), title) for name, title in SAMPLES]
            self.chooser = gallery(self.samples, None, "One of these", "begins-samples")
            self.own = own_picture(("upload", "clipboard"), "begins-own")
            self.own_error = slot("error-begins-own")
            self.chosen = gr.HTML(said(None, None, facts), elem_classes="dp-flush", elem_id="begins-chosen")
            self.image = fields.add("image")
            self.clear = gr.Button("From noise again", size="sm", visible="hidden", elem_id="begins-clear")
            fields.add("strength")
            gr.HTML(f'<p class="dp-quiet">{KEPT}</p>', elem_classes="dp-flush")
        # never `own`: of what an event may change Gradio makes a copy for each page, whose files it would open itself
        self.shown = [self.section, self.chooser, self.own_error]

    @property
    def told(self) -> list[gr.components.Component]:
        """What `tells` updates."""
        return [self.chosen, self.clear] if self.image else []

    def tells(self, store: Store, given: Mapping[gr.components.Component, Any], sweep: Sweep | None) -> Updates:
        """What the form says of its picture after each check."""
        if not self.image:
            return {}
        name = given[self.image]
        name = name if isinstance(name, str) else ""
        return {
            self.chosen: said(store if name else None, sweep, self._facts, name),
            self.clear: gr.update(visible=True if name else "hidden"),
        }

    def filled(self, recipe: Recipe) -> Updates:
        """Updates of `shown` for a recipe that the form is filled with; its picture is nobody's upload."""
        if not self.image:
            return {}
        none = gr.Gallery(selected_index=None)
        opened = gr.update(open=True) if recipe.image else gr.skip()
        return {self.section: opened, self.chooser: none, self.own_error: error()}

    def wire(self, store: Store) -> None:
        """Choosing, bringing and leaving out a picture; the field's change asks for the next check."""
        if not self.image:
            return

        def choose(event: gr.EventData) -> Updates:
            if (index := picked(event, len(self.samples))) is None:
                return {self.own_error: gr.skip()}
            return {self.image: store.put_picture(self.samples[index][0]), self.own_error: error()}

        @says_refusals(self.own_error)
        def bring(path: str | None) -> Updates:
            if path is None:  # the field was emptied: what was chosen stays
                return {self.own_error: error()}
            name = store.put_picture(pictures.open_whole(path))
            return {self.image: name, self.chooser: gr.Gallery(selected_index=None), self.own_error: error()}

        def leave_out() -> Updates:
            return {self.image: "", self.chooser: gr.Gallery(selected_index=None), self.own_error: error()}

        taken = [self.image, self.chooser, self.own_error]
        self.chooser.select(choose, None, taken, queue=False, **QUIET)
        self.own.input(bring, self.own, taken, queue=False, **QUIET)
        self.clear.click(leave_out, None, taken, queue=False, **QUIET)


def said(store: Store | None, sweep: Sweep | None, facts: Facts, name: str = "") -> str:
    """HTML: the picture that is chosen, and what of the run is done from it."""
    if store is None:
        return f'<p class="dp-quiet">{NONE}</p>'
    if (picture := store.picture(name)) is None:
        return error(NO_PICTURE)
    small = FILES.url(png_of(pictures.fitted(picture, SHOWN, SHOWN)), "start.png")
    text = "" if sweep is None else what_runs(sweep, facts)
    return (
        f'<div class="dp-begins"><img src="{escaped(small)}" width="{SHOWN}" height="{SHOWN}" alt="The start picture">'
        f"<p>{escaped(text)}</p></div>"
    )


def what_runs(sweep: Sweep, facts: Facts) -> str:
    """The strength as what it does: up to which t noise is added, and how many steps are run from there."""
    recipes = [recipe for recipe in sweep.recipes() if recipe.image]
    runs = list(dict.fromkeys((recipe.steps_run, recipe.num_inference_steps) for recipe in recipes))
    if len(runs) > 1:
        listed = ", ".join(f"{some} of {of}" for some, of in runs[:8]) + (" …" if len(runs) > 8 else "")
        return f"Noise is added to it, and of each run only the last steps are done: {listed}."
    some, of = runs[0]
    if (own := next((recipe for recipe in recipes if recipe.model == facts.name), None)) is None:
        return f"Noise is added to it, and from there the last {some} of {of} steps are run."
    first = levels(own, facts.schedule)[0].t
    return (
        f"Noise is added to it up to t = {first:.0f}, and from there the last {some} of {of} steps are run "
        f"(the whole part of {of} × {recipes[0].strength:g})."
    )


def given_pictures(store: Store, sweep: Sweep) -> list[str]:
    """URL and name in turn of the pictures that all runs of a grid are given, in its size."""
    found = []
    for field in PICTURES:
        names = {getattr(recipe, field) for recipe in sweep.recipes()} - {""}
        picture = store.picture(names.pop()) if len(names) == 1 else None
        if picture is not None:
            sized = pictures.fitted(picture, sweep.base.width, sweep.base.height)
            found += [FILES.url(png_of(sized), "given.png"), LABELS[field]]
    return found
