"""The head of a section further down on a tab: a title and a sentence or two."""

import gradio as gr


def heading(title: str, says: str) -> None:
    """Both are the page's own words, never a visitor's."""
    gr.HTML(
        f'<div class="dp-part dp-words"><h3>{title}</h3><p>{says}</p></div>',
        elem_classes="dp-flush",
        apply_default_css=False,
    )
