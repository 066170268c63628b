"""The section "Start from a picture" of Compare's form: image to image."""

import gradio as gr

from playground import pictures
from playground.export.bundle import png_of
from playground.models import Facts
from playground.schedule import levels
from playground.store import Store
from playground.sweep import Sweep
from playground.ui.compare.chosen import ChosenPicture
from playground.ui.shared.fields import LABELS, PICTURES, Fields
from playground.ui.shared.files import FILES
from playground.ui.shared.html import escaped

KEPT = "What is chosen is kept on this machine beside the finished cells, so that a link to the grid draws from it too."


class Begins(ChosenPicture):
    """Where the model cannot start from a picture there is one sentence in its place."""

    field, prefix = "image", "begins"
    none, leave = "None is chosen, so every run starts from noise.", "From noise again"
    alt = "The start picture"

    def __init__(self, fields: Fields, facts: Facts) -> None:
        super().__init__(facts)
        if facts.no_start:
            gr.HTML(f'<p class="dp-quiet">Start from a picture: {escaped(facts.no_start)}</p>', elem_id="no-start")
            return
        with gr.Accordion("Start from a picture", open=False, elem_id="begins") as self.section:
            self.add_choice()
            self.add_chosen(fields)
            fields.add("strength")
            gr.HTML(f'<p class="dp-quiet">{KEPT}</p>', elem_classes="dp-flush")

    def explained(self, sweep: Sweep | None) -> str:
        return "" if sweep is None else what_runs(sweep, self._facts)


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
