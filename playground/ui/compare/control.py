"""The section "Control with a picture" of Compare's form: what a ControlNet is shown."""

from collections.abc import Mapping
from typing import Any

import gradio as gr
from PIL import Image

from playground import pictures
from playground.edges import edges
from playground.engine.contract import NO_PICTURE
from playground.export.bundle import png_of
from playground.labels import CONTROLS
from playground.models import Facts
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.store import Store
from playground.ui.compare.begins import SHOWN, Updates
from playground.ui.shared.events import picked
from playground.ui.shared.fields import Fields, plain, slot
from playground.ui.shared.files import FILES
from playground.ui.shared.html import error, escaped
from playground.ui.shared.picture import own_picture
from playground.ui.shared.quiet import QUIET
from playground.ui.shared.samples import IMAGES, SAMPLES, gallery

EDGES, AS_IT_IS = "edges", "as it is"
NONE = "None is chosen, so the ControlNet is not asked."
CHOSEN = "What the ControlNet is shown at every step that it is asked; those steps take its work as well."


class Control:
    """Without a ControlNet nothing is shown, and `image` is None."""

    def __init__(self, fields: Fields, facts: Facts) -> None:
        self.image: gr.components.Component | None = None
        self.shown: list[gr.components.Component] = []
        if not facts.controlnet:
            return
        self._facts = facts
        title = f"Control with a picture ({facts.controlnet})"
        with gr.Accordion(title, open=False, elem_id="control") as self.section:
            self.samples = [(pictures.open_whole(IMAGES / name), title) for name, title in SAMPLES]
            self.chooser = gallery(self.samples, None, "One of these", "control-samples")
            self.own = own_picture(("upload", "clipboard"), "control-own")
            self.own_error = slot("error-control-own")
            self.drawn = gr.Radio(
                [("Draw the edges of it", EDGES), ("It is a control picture already", AS_IT_IS)],
                value=EDGES,
                label="What to do with the picture",
                info="Edges are what a ControlNet for edges (Canny) was taught with. They are drawn in the run's size.",
                elem_id="control-drawn",
            )
            self.chosen = gr.HTML(said(None, ""), elem_classes="dp-flush", elem_id="control-chosen")
            self.image = fields.add("control_image")
            self.clear = gr.Button("Without control", size="sm", visible="hidden", elem_id="control-clear")
            for name in CONTROLS:
                fields.add(name)
        self.shown = [self.section, self.chooser, self.own_error]

    @property
    def told(self) -> list[gr.components.Component]:
        """What `tells` updates."""
        return [self.chosen, self.clear] if self.image else []

    def tells(self, store: Store, given: Mapping[gr.components.Component, Any]) -> Updates:
        """What the form says of its control picture after each check."""
        if not self.image:
            return {}
        name = given[self.image] if isinstance(given[self.image], str) else ""
        return {
            self.chosen: said(store if name else None, name),
            self.clear: gr.update(visible=True if name else "hidden"),
        }

    def filled(self, recipe: Recipe) -> Updates:
        """Updates of `shown` for a recipe that the form is filled with."""
        if not self.image:
            return {}
        opened = gr.update(open=True) if recipe.control_image else gr.skip()
        return {self.section: opened, self.chooser: gr.Gallery(selected_index=None), self.own_error: error()}

    def wire(self, store: Store, width: gr.components.Component, height: gr.components.Component) -> None:
        """Choosing, bringing, drawing and leaving out; `width` and `height` are the form's fields of the size."""
        if not self.image:
            return
        photo = gr.State("")  # the digest of what was chosen, so that it can be drawn in the other way

        def taken_from(name: str, how: Any, *sides: Any) -> Updates:
            if not name or (picture := store.picture(name)) is None:
                return {self.own_error: gr.skip()}
            return {self.image: store.put_picture(self._drawn(picture, how, *sides)), photo: name}

        def choose(how: Any, wide: Any, high: Any, event: gr.EventData) -> Updates:
            if (index := picked(event, len(self.samples))) is None:
                return {self.own_error: gr.skip()}
            name = store.put_picture(self.samples[index][0])
            return taken_from(name, how, wide, high) | {self.own_error: error()}

        def bring(path: str | None, *asked: Any) -> Updates:
            if path is None:
                return {self.own_error: error()}
            try:
                name = store.put_picture(pictures.open_whole(path))
            except Refusal as refusal:
                return {self.own_error: error(str(refusal))}
            return taken_from(name, *asked) | {self.chooser: gr.Gallery(selected_index=None), self.own_error: error()}

        def leave_out() -> Updates:
            return {self.image: "", photo: "", self.chooser: gr.Gallery(selected_index=None), self.own_error: error()}

        taken, asked = [self.image, photo, self.chooser, self.own_error], [self.drawn, width, height]
        self.chooser.select(choose, asked, taken, queue=False, **QUIET)
        self.own.input(bring, [self.own, *asked], taken, queue=False, **QUIET)
        self.drawn.input(taken_from, [photo, *asked], taken, queue=False, **QUIET)
        self.clear.click(leave_out, None, taken, queue=False, **QUIET)

    def _drawn(self, picture: Image.Image, how: Any, wide: Any, high: Any) -> Image.Image:
        """The photo as it is, or its edges in the size of the form, or in the model's own where that size is none."""
        if how != EDGES:
            return picture
        try:
            sized = self._facts.usual.replace(width=plain("width", wide), height=plain("height", high))
        except Refusal:
            sized = self._facts.usual
        return edges(pictures.fitted(picture, sized.width, sized.height))


def said(store: Store | None, name: str) -> str:
    """HTML: the control picture that is chosen."""
    if store is None:
        return f'<p class="dp-quiet">{NONE}</p>'
    if (picture := store.picture(name)) is None:
        return error(NO_PICTURE)
    small = FILES.url(png_of(pictures.fitted(picture, 2 * SHOWN, 2 * SHOWN)), "control.png")
    return (
        f'<div class="dp-begins"><img src="{escaped(small)}" width="{SHOWN}" height="{SHOWN}" '
        'alt="The control picture">'
        f"<p>{CHOSEN}</p></div>"
    )
