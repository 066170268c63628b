"""One's own picture by upload, webcam or paste: a gr.Image that hands over the untouched file."""

from collections.abc import Sequence
from typing import Any

import gradio as gr


def own_picture(sources: Sequence[str] = ("upload", "webcam", "clipboard"), elem_id: str | None = None) -> gr.Image:
    """The field for the rail: drop, choose, take or paste a picture. Its value is the path of the file as it came."""
    field = gr.Image(
        label="Your own picture",
        sources=list(sources),
        elem_id=elem_id,
        type="filepath",
        height=150,
        buttons=[],
        placeholder="Drop a picture here, or choose one",
        elem_classes="dp-own",
    )
    # gr.Image would open the file itself, and answer a broken one with a stack trace; playground.pictures is to judge
    # it. Set on the instance, because Gradio writes a .pyi file beside every subclass of a component.
    field.preprocess = _path
    return field


def _path(payload: Any) -> str | None:
    """What the browser sends -> path of an uploaded file, which Gradio has checked to be one, or None."""
    return None if payload is None else payload.path
