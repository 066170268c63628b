"""The section "Control with a picture" of Compare's form: what a ControlNet is shown."""

from functools import partial
from typing import Any

import gradio as gr
from PIL import Image

from playground import pictures
from playground.edges import edges
from playground.labels import CONTROLS
from playground.models import Facts
from playground.refusal import Refusal
from playground.store import Store
from playground.sweep import Sweep
from playground.ui.compare.chosen import ChosenPicture, Updates
from playground.ui.shared.fields import Fields, plain
from playground.ui.shared.quiet import QUIET

EDGES, AS_IT_IS = "edges", "as it is"


class Control(ChosenPicture):
    """Without a ControlNet nothing is shown."""

    field, prefix = "control_image", "control"
    none, leave = "None is chosen, so the ControlNet is not asked.", "Without control"
    alt, sharp = "The control picture", 2

    def __init__(self, fields: Fields, facts: Facts) -> None:
        super().__init__(facts)
        if not facts.controlnet:
            return
        title = f"Control with a picture ({facts.controlnet})"
        with gr.Accordion(title, open=False, elem_id="control") as self.section:
            self.add_choice()
            self.drawn = gr.Radio(
                [("Draw the edges of it", EDGES), ("It is a control picture already", AS_IT_IS)],
                value=EDGES,
                label="What to do with the picture",
                info="Edges are what a ControlNet for edges (Canny) was taught with. They are drawn in the run's size.",
                elem_id="control-drawn",
            )
            self.add_chosen(fields)
            for name in CONTROLS:
                fields.add(name)
            self.photo = gr.State("")  # the digest of what was chosen, so that it can be drawn in the other way
        self.besides = [self.photo]

    def explained(self, sweep: Sweep | None) -> str:
        return "What the ControlNet is shown at every step that it is asked; those steps take its work as well."

    def taken(self, store: Store, name: str, *asked: Any) -> Updates:
        """`asked`: what to do with it, and the form's size."""
        if not name or (picture := store.picture(name)) is None:
            return {self.own_error: gr.skip()}
        return {self.image: store.put_picture(self._drawn(picture, *asked)), self.photo: name}

    def left_out(self) -> Updates:
        return super().left_out() | {self.photo: ""}

    def wire(self, store: Store, *size: gr.components.Component) -> None:
        """`size`: the form's fields of width and height."""
        if not self.image:
            return
        super().wire(store, self.drawn, *size)
        changes = [self.image, self.photo, self.own_error]
        self.drawn.input(partial(self.taken, store), [self.photo, self.drawn, *size], changes, queue=False, **QUIET)

    def _drawn(self, picture: Image.Image, how: Any, wide: Any, high: Any) -> Image.Image:
        """The photo as it is, or its edges in the size of the form, or in the model's own where that size is none."""
        if how != EDGES:
            return picture
        try:
            sized = self._facts.usual.replace(width=plain("width", wide), height=plain("height", high))
        except Refusal:
            sized = self._facts.usual
        return edges(pictures.fitted(picture, sized.width, sized.height))
