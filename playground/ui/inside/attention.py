"""Where each word looks: cross-attention maps over the picture, computed when they are asked for."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from playground.engine import Engine
from playground.inside.attention import Attention, entries, levels, shares, watch, word_map
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.ui.inside.form import Form
from playground.ui.inside.format import milliseconds
from playground.ui.shared.endpoint import ENGINE
from playground.ui.shared.html import data_url, error, paragraph
from playground.ui.shared.latest import Latest, Update
from playground.ui.shared.quiet import QUIET
from playground.ui.shared.stale import Stale
from playground.ui.shared.sure import Sure, question

HERE = Path(__file__).parent
SKELETON: str = (HERE / "attention.html").read_text("utf-8")  # without placeholders: no text can enter it
SCRIPT: str = (HERE / "attention.js").read_text("utf-8")
WORDS = (
    "Cross-attention is where the words enter the picture: at every step each place asks, and every token answers with "
    "a share. The shares of one place sum to 1."
)
OTHER = "blue apple, red background"  # the same words as in the first view, in other roles


def build(engine: Engine, form: Form) -> list[tuple[Latest, gr.HTML]]:
    """Builds the section and wires it -> its runs, for Stop, and where it is said that they were stopped."""
    if engine.facts.no_attention:
        _heading(f"{WORDS} {engine.facts.no_attention}")
        return []
    latest = Latest()

    def look(given: dict[gr.components.Component, Any], request: gr.Request) -> Iterator[Update]:
        recipe, errors = form.read(given)
        if errors:
            wrong = paragraph("A field on the left needs another value.")
            yield form.says(errors) | {other_error: "", status: wrong}
            return
        second = given[other] or ""
        try:
            recipes = [recipe] + ([recipe.replace(prompt=second)] if second.strip() else [])
        except Refusal as refusal:
            yield form.says({}) | {other_error: error(str(refusal))}
            return
        page = request.session_hash or ""
        if held := sure.holds(given, question(engine, recipes, page, what="look"), recipes):
            yield form.says({}) | {other_error: ""} | held
            return
        yield from latest.show(page, compare(recipes, page), recipes, {status: gr.skip()})

    def compare(recipes: list[Recipe], page: str) -> Iterator[Update]:
        yield form.says({}) | sure.gone() | {other_error: "", status: paragraph("Starting …")}
        found: list[Attention] = []
        try:
            for recipe in recipes:
                for event in watch(engine, recipe, page):
                    if isinstance(event, Attention):
                        found.append(event)
                        continue
                    k, of = event
                    doing = f"U-Net call {k} of {of}, with attention kept"
                    yield {status: paragraph(f"Prompt {len(found) + 1} of {len(recipes)}: {doing}.")}
        except Refusal as refusal:
            yield {other_error: error(str(refusal)), status: ""}
            return
        yield {stage: payload(found), status: paragraph(said(found))} | stale.asked(recipes)

    def asked(given: dict[gr.components.Component, Any]) -> list[Recipe] | None:
        """What a look would be asked for; None where a field is wrong."""
        recipe, second = form.asked(given), given[other] or ""
        try:
            return recipe and [recipe] + ([recipe.replace(prompt=second)] if second.strip() else [])
        except Refusal:
            return None

    _heading(f"{WORDS} Looking costs a run of its own, so it is computed only when asked for.")
    with gr.Row(elem_classes="dpi-ask"):
        other = gr.Textbox(
            OTHER, label="Compare with", info="A second prompt with the same noise; leave empty for none.",
            elem_id="inside-other", scale=3, max_lines=3,
        )  # fmt: skip
        button = gr.Button("Look", elem_id="inside-look", scale=1, min_width=120)
    sure = Sure("inside-look-")
    other_error = gr.HTML(elem_classes="dp-error", elem_id="inside-other-error")
    status = gr.HTML(elem_classes=["dp-total", "dp-aloud"], elem_id="inside-attention-status")
    with gr.Column(elem_classes="dp-result"):
        stale = Stale()
        stage = gr.HTML(html_template=SKELETON, js_on_load=SCRIPT, apply_default_css=False, elem_id="inside-maps")
    outputs = [*form.told, *sure.outputs, other_error, stage, status, *stale.outputs]
    stale.watch({other, *form.inputs}, asked)

    def asks(given: dict[gr.components.Component, Any], page: str) -> str:
        recipes = asked(given)
        return question(engine, recipes, page, what="look") if recipes else ""

    sure.watch({other, *form.inputs}, asks, asked)
    options: dict[str, Any] = {**ENGINE, **QUIET}
    options["trigger_mode"] = "multiple"  # `latest` decides between two presses
    gr.on([button.click, other.submit], look, {other, *form.inputs, *sure.inputs}, outputs, **options)
    return [(latest, status)]


def _heading(says: str) -> None:
    section = f'<section class="dpi-section"><h2>Where each word looks</h2><p>{says}</p></section>'
    gr.HTML(section, elem_id="inside-attention")


def said(found: list[Attention]) -> str:
    """What was computed, in one line."""
    first = found[0]
    layers = ", ".join(f"{n} of {rows} × {columns}" for (rows, columns), n in first.layers.items())
    took = " and ".join(milliseconds(attention.milliseconds) for attention in found)
    kept = "" if len(first.steps) == first.of else f" {len(first.steps)} of them are shown, evenly spaced."
    return (
        f"{first.of} U-Net calls in {took} with attention kept.{kept} Cross-attention layers by resolution: {layers}. "
        "Averaged over heads and over the layers of one resolution. Where other visitors' pictures were in the same "
        "calls, this picture's share of the time is counted."
    )


def payload(found: list[Attention]) -> str:
    """Everything the browser needs to draw any word at any step, as JSON; maps as bytes, shares as numbers."""
    return json.dumps({"sides": [_side(attention) for attention in found]})


def _side(attention: Attention) -> dict[str, Any]:
    asked = entries(attention.words)
    resolutions = []
    for (rows, columns), maps in attention.maps.items():
        drawn = [levels(word_map(maps, entry.positions)) for entry in asked]
        resolutions.append(
            {
                "rows": rows,
                "columns": columns,
                "layers": attention.layers[rows, columns],
                "maps": base64.b64encode(
                    b"".join(data for data, _ in drawn)
                ).decode(),  # (entries, steps, rows, columns)
                "peaks": [peak for _, peak in drawn],  # what 255 stands for, per entry
                "shares": [[round(s, 6) for s in shares(maps, entry.positions)] for entry in asked],
            }
        )
    return {
        "prompt": attention.recipe.prompt,
        "picture": data_url(attention.picture),
        "steps": attention.steps,
        "timesteps": [round(t, 1) for t in attention.timesteps],
        "of": attention.of,
        "entries": [{"kind": e.kind, "text": e.text, "tokens": len(e.positions)} for e in asked],
        "resolutions": resolutions,
    }
