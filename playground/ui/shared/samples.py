"""The pictures that come with the page, and how they are chosen: at the top of a rail, or by a program."""

from collections.abc import Mapping
from pathlib import Path

import gradio as gr
from PIL import Image

from playground import pictures
from playground.refusal import Refusal
from playground.ui.shared.shipped import EXAMPLES

IMAGES = EXAMPLES / "images"
SAMPLES = (  # file, title
    ("dusk.webp", "Lake at dusk"),
    ("sphere.webp", "Ball on a table"),
    ("bust.webp", "Plaster head"),
    ("flower.webp", "Flower"),
    ("quilt.webp", "Patchwork"),
    ("chart.webp", "Test chart"),
)


def gallery(
    samples: list[tuple[Image.Image, str]],
    chosen: int | None = 0,
    label: str = "Picture x₀",
    elem_id: str | None = None,
) -> gr.Gallery:
    """(picture, name) pairs, three a row, the first one chosen unless another is; nothing but choosing can be done with
    them."""
    return gr.Gallery(
        samples,
        label=label,
        elem_id=elem_id,
        columns=3,
        height="auto",
        allow_preview=False,
        selected_index=chosen,
        object_fit="cover",
        buttons=[],
        interactive=False,
        elem_classes="dp-samples",
    )


def sent_or_shipped(sent: str | None, title: str, shipped: Mapping[str, Path], side: int) -> Image.Image:
    """What an endpoint was given, a file or the title of one of the page's own pictures -> RGB, `side` pixels a side.
    Raises Refusal for a file that is no picture and for a title that none has."""
    if sent is None and title not in shipped:
        raise Refusal(f"example must be one of: {'; '.join(shipped)}.")
    return pictures.open_picture(shipped[title] if sent is None else sent, side)
