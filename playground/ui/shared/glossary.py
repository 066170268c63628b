"""The glossary, one click from every word on all tabs."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
import yaml

HERE = Path(__file__).parent


@lru_cache
def entries() -> list[dict[str, Any]]:
    """{term, words, means} of glossary.yaml"""
    return yaml.safe_load((HERE / "glossary.yaml").read_text(encoding="utf-8"))


def build() -> None:
    """The button that opens it, and the script that finds its words in the page's texts."""
    gr.HTML(
        '<button type="button" class="dp-button dp-glossary-button">Glossary</button>',
        js_on_load=(HERE / "glossary.js").read_text(encoding="utf-8"),
        elem_classes="dp-flush dp-glossary-place",
        apply_default_css=False,
        entries=entries(),
    )
