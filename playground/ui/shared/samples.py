"""The pictures that come with the page, and how they are chosen from at the top of a rail."""

import gradio as gr
from PIL import Image

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
