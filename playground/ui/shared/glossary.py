"""The glossary, one click from every word on all tabs."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
import yaml

from playground.models import Facts
from playground.schedule import prediction_type

HERE = Path(__file__).parent


@lru_cache
def entries(true_cfg: bool = False, network: str = "U-Net", predicts: str = "epsilon") -> list[dict[str, Any]]:
    """{term, words, means} of glossary.yaml; `true_cfg`: for a model that has a true CFG scale."""
    found = yaml.safe_load((HERE / "glossary.yaml").read_text(encoding="utf-8"))
    of = {"true_cfg": true_cfg, "network": network, "predicts": predicts}
    return [entry for entry in found if all(_holds(entry.pop(key, value), value) for key, value in of.items())]


def _holds(of: object, value: object) -> bool:
    """Whether an entry is for a model with this value: `of` is the one, or a list of those, that it is for."""
    return value in of if isinstance(of, list) else of == value


def build(facts: Facts) -> None:
    """The button that opens it, and the script that finds its words in the page's texts."""
    gr.HTML(
        '<button type="button" class="dp-button">Glossary</button>',
        js_on_load=(HERE / "glossary.js").read_text(encoding="utf-8"),
        elem_classes="dp-flush dp-glossary-place",
        apply_default_css=False,
        entries=entries(facts.has_true_cfg, facts.network, prediction_type(facts.schedule)),
    )
