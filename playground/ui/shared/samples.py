"""The small pictures to choose from at the top of a rail."""

import gradio as gr
from PIL import Image


def gallery(samples: list[tuple[Image.Image, str]]) -> gr.Gallery:
    """(picture, name) pairs, three a row, the first one chosen; nothing but choosing can be done with them."""
    return gr.Gallery(
        samples,
        label="Picture x₀",
        columns=3,
        height="auto",
        allow_preview=False,
        selected_index=0,
        object_fit="cover",
        buttons=[],
        interactive=False,
        elem_classes="dpn-samples",
    )
