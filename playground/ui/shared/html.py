"""Pictures and sentences on their way into HTML: encoded, escaped, set."""

import base64
import html
import io

import gradio as gr
from PIL import Image

from playground.ui.shared.spoken import spoken


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def data_url(picture: Image.Image, exact: bool = True) -> str:
    """A small picture inside the page's own update: PNG where every pixel counts, else WebP."""
    if exact:
        kind, data = "png", png(picture)
    else:
        file = io.BytesIO()
        picture.save(file, "WEBP", quality=90, method=2)
        kind, data = "webp", file.getvalue()
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def escaped(text: str) -> str:
    """Text that people may have written, for HTML's contents and attributes."""
    return html.escape(text, quote=True)


def paragraph(text: str) -> str:
    return f"<p>{escaped(text)}</p>"


def error(sentence: str = "") -> str:
    """What stands under a field, in the words of the form; nothing where it has no fault."""
    return f'<p role="alert">{escaped(spoken(sentence))}</p>' if sentence else ""


def heading(title: str, says: str) -> None:
    """The head of a section further down on a tab. Both are the page's own words, never a visitor's."""
    gr.HTML(
        f'<div class="dp-part dp-words"><h3>{title}</h3><p>{says}</p></div>',
        elem_classes="dp-flush",
        apply_default_css=False,
    )
