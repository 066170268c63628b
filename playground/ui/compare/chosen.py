"""A picture that Compare's runs are given, as a section of its form: a sample, one's own, or none."""

from collections.abc import Mapping
from typing import Any, ClassVar

import gradio as gr

from playground import pictures
from playground.engine.contract import NO_PICTURE
from playground.export.bundle import png_of
from playground.models import Facts
from playground.recipe import Recipe
from playground.store import Store
from playground.sweep import Sweep
from playground.ui.shared.events import picked
from playground.ui.shared.fields import Fields, slot
from playground.ui.shared.files import FILES
from playground.ui.shared.html import error, escaped
from playground.ui.shared.picture import own_picture
from playground.ui.shared.quiet import QUIET
from playground.ui.shared.refused import says_refusals
from playground.ui.shared.samples import IMAGES, SAMPLES, gallery

Updates = dict[gr.components.Component, Any]
SHOWN = 96  # pixels per side of the chosen picture in the form


class ChosenPicture:
    """`image` is the field that holds the picture's digest, or None where the model has no use for one."""

    field: ClassVar[str]  # of a recipe
    prefix: ClassVar[str]  # of its components' elem_ids
    none: ClassVar[str]  # said while none is chosen
    leave: ClassVar[str]  # on the button that leaves it out
    alt: ClassVar[str]
    sharp: ClassVar[int] = 1  # pixels sent for each that is shown
    section: gr.Accordion

    def __init__(self, facts: Facts) -> None:
        self.image: gr.components.Component | None = None
        self.shown: list[gr.components.Component] = []  # that a sweep fills besides the fields
        self.besides: list[gr.components.Component] = []  # that `taken` and `left_out` change besides the field
        self._facts = facts

    def add_choice(self) -> None:
        """What it is chosen by, inside `section`."""
        self.samples = [(pictures.open_whole(IMAGES / name), title) for name, title in SAMPLES]
        self.chooser = gallery(self.samples, None, "One of these", f"{self.prefix}-samples")
        self.own = own_picture(("upload", "clipboard"), f"{self.prefix}-own")
        self.own_error = slot(f"error-{self.prefix}-own")

    def add_chosen(self, fields: Fields) -> None:
        """What is chosen, and the way back to none."""
        self.chosen = gr.HTML(self._said(None), elem_classes="dp-flush", elem_id=f"{self.prefix}-chosen")
        self.image = fields.add(self.field)
        self.clear = gr.Button(self.leave, size="sm", visible="hidden", elem_id=f"{self.prefix}-clear")
        # never `own`: of what an event may change Gradio makes a copy for each page, whose files it would open itself
        self.shown = [self.section, self.chooser, self.own_error]

    def explained(self, sweep: Sweep | None) -> str:
        """Beside the chosen picture: what is done with it."""
        raise NotImplementedError

    def taken(self, store: Store, name: str, *asked: Any) -> Updates:
        """Updates of the fields when the picture of this digest is chosen; `asked` are the values of `wire`'s."""
        return {self.image: name}

    def left_out(self) -> Updates:
        return {self.image: ""}

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
            self.chosen: self._said(store if name else None, name, sweep),
            self.clear: gr.update(visible=True if name else "hidden"),
        }

    def filled(self, recipe: Recipe) -> Updates:
        """Updates of `shown` for a recipe that the form is filled with; its picture is nobody's upload."""
        if not self.image:
            return {}
        opened = gr.update(open=True) if getattr(recipe, self.field) else gr.skip()
        return {self.section: opened} | self._unchosen()

    def wire(self, store: Store, *asked: gr.components.Component) -> None:
        """Choosing, bringing and leaving out a picture; the field's change asks for the next check. `taken` is told the
        values of `asked`."""
        if not self.image:
            return

        def choose(event: gr.EventData, *asked: Any) -> Updates:
            if (index := picked(event, len(self.samples))) is None:
                return {self.own_error: gr.skip()}
            return self.taken(store, store.put_picture(self.samples[index][0]), *asked) | {self.own_error: error()}

        @says_refusals(self.own_error)
        def bring(path: str | None, *asked: Any) -> Updates:
            if path is None:  # the field was emptied: what was chosen stays
                return {self.own_error: error()}
            return self.taken(store, store.put_picture(pictures.open_whole(path)), *asked) | self._unchosen()

        def leave_out() -> Updates:
            return self.left_out() | self._unchosen()

        changes = [self.image, *self.besides, self.chooser, self.own_error]
        self.chooser.select(choose, list(asked), changes, queue=False, **QUIET)
        self.own.input(bring, [self.own, *asked], changes, queue=False, **QUIET)
        self.clear.click(leave_out, None, changes, queue=False, **QUIET)

    def _unchosen(self) -> Updates:
        return {self.chooser: gr.Gallery(selected_index=None), self.own_error: error()}

    def _said(self, store: Store | None, name: str = "", sweep: Sweep | None = None) -> str:
        """HTML: the picture that is chosen, and what is done with it."""
        if store is None:
            return f'<p class="dp-quiet">{self.none}</p>'
        if (picture := store.picture(name)) is None:
            return error(NO_PICTURE)
        side = self.sharp * SHOWN
        small = FILES.url(png_of(pictures.fitted(picture, side, side)), f"{self.prefix}.png")
        return (
            f'<div class="dp-begins"><img src="{escaped(small)}" width="{SHOWN}" height="{SHOWN}" alt="{self.alt}">'
            f"<p>{escaped(self.explained(sweep))}</p></div>"
        )
