"""The page is served before the network was asked anything, and has its answers once it was."""

from pathlib import Path

import gradio as gr
import pytest

from playground.engine import PREPARING, LocalEngine
from playground.store import Store
from playground.ui.page import Page, build_page


def stage(page: Page) -> str:
    """What the tab "Predict noise" begins with, as a visitor's browser is told it."""
    (component,) = (c for c in page.config["components"] if c["props"].get("elem_id") == "pn-stage")
    return component["props"]["value"]


def test_a_page_asks_the_network_when_it_is_told_to(
    engine: LocalEngine, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    asked: list[object] = []
    monkeypatch.setattr(engine, "ask", lambda *given, _ask=engine.ask: asked.append(given) or _ask(*given))
    told: list[gr.Blocks] = []
    whole = gr.Blocks.get_config_file
    monkeypatch.setattr(gr.Blocks, "get_config_file", lambda page: told.append(page) or whole(page))
    page = build_page(engine, store)
    assert "<img" not in stage(page) and len(told) == 1  # of a page that is half built nobody is told
    before = len(asked)
    page.fill()
    assert len(asked) > before and stage(page).count("<img") == 6 and "L = mean" in stage(page)
    assert {visitor for _, visitor in asked[before:]} == {PREPARING}  # nobody's run, of which no visitor is told
    page.close()
