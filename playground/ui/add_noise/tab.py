"""The "Add noise" tab: the forward process as one picture under the visitor's finger, and the /add_noise endpoint."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from playground import noise, pictures
from playground.engine import Engine
from playground.models import Facts
from playground.schedule import is_flow, visited
from playground.ui.add_noise import api, schedules, walk
from playground.ui.add_noise.payload import latents, pixels
from playground.ui.shared.events import picked
from playground.ui.shared.fields import LABELS, Fields, choices, plain, slot
from playground.ui.shared.html import error
from playground.ui.shared.latest import Latest
from playground.ui.shared.picture import own_picture
from playground.ui.shared.quiet import QUIET
from playground.ui.shared.refused import says_refusals
from playground.ui.shared.samples import IMAGES, SAMPLES, gallery

HERE = Path(__file__).parent
SKELETON: str = (HERE / "tab.html").read_text("utf-8")  # a template without placeholders: no text can enter it
SCRIPT: str = (HERE / "tab.js").read_text("utf-8")
MARKS_SCRIPT: str = (HERE / "marks.js").read_text("utf-8")

SCHEDULES = (
    ("Scaled linear (Stable Diffusion)", "scaled_linear"),
    ("Linear (DDPM)", "linear"),
    ("Cosine (improved DDPM)", "cosine"),
    ("Zero terminal SNR (scaled linear, rescaled)", "zero_snr"),
    ("Flow matching (SD 3, Flux)", noise.FLOW),
)
SPACES = (("Pixels", "pixels"), ("Latents", "latents"))
STEPS = 20
Values = Mapping[gr.components.Component, Any]
Updates = dict[gr.components.Component, Any]  # only what changes


def build(engine: Engine) -> None:
    """Builds the tab; to be called inside `with gr.Tab("Add noise"):` of a gr.Blocks."""
    facts = engine.facts
    samples = [(pictures.open_picture(IMAGES / name), title) for name, title in SAMPLES]
    first_sampler = "ddim" if "ddim" in facts.samplers else facts.samplers[0]
    first_schedule = noise.FLOW if is_flow(facts.schedule) else "scaled_linear"

    with gr.Row(elem_classes="dp-columns"):
        with gr.Column(scale=0, min_width=340, elem_classes="dp-rail"):
            picture = gr.State(samples[0][0])
            chooser = gallery(samples)
            own = own_picture()
            own_error = slot()
            space = gr.Radio(
                list(SPACES),
                value="pixels",
                label="Pixels or latents",
                info="Where the noise is added. A latent diffusion model works in its VAE's latents.",
            )
            schedule = gr.Radio(
                list(SCHEDULES),
                value=first_schedule,
                label="Noise schedule",
                info="How fast the picture fades: the share of noise at every t.",
            )
            fields = Fields(facts.usual.replace(seed=0), facts, "an-")
            seed = fields.add(
                "seed",
                "Which noise is drawn. The same seed gives the same noise.",
                label="Seed of ε",
                elem_id="an-seed",
            )
            seed_error = fields.errors["seed"]
            sampler = gr.Dropdown(
                choices(facts.samplers),
                value=first_sampler,
                label=LABELS["sampler"],
                info="On its way back it asks the network at these timesteps only.",
            )
            steps = gr.Number(STEPS, label=LABELS["num_inference_steps"])
            steps_error = slot()
            marks = gr.HTML(
                marked(facts, first_sampler, STEPS, first_schedule),
                js_on_load=MARKS_SCRIPT,
                elem_classes="dp-flush dpn-visited",
                apply_default_css=False,
            )

        with gr.Column(scale=1, min_width=320, elem_classes=["dp-stage", "dp-column"]):
            stage = gr.HTML(html_template=SKELETON, js_on_load=SCRIPT, apply_default_css=False, elem_classes="dp-flush")
            walk.build(picture, schedule, seed)
            draw_schedules = schedules.build()

    @says_refusals(seed_error)
    def settled(given: Values, visitor: str) -> Updates:
        """The stage's new value and the sentence under the seed; on bad input the stage stays as it is."""
        recipe, errors = fields.read({seed: given[seed]})
        if errors:
            return fields.says(errors)
        settings = given[picture], given[schedule], recipe.seed
        now = latents(engine, *settings, visitor) if given[space] == "latents" else pixels(*settings)
        return {stage: now, seed_error: error()}

    def refresh(given: Values, request: gr.Request) -> Updates:
        return settled(given, request.session_hash or "")

    latest = Latest()  # a picture chosen while another one is being prepared takes its place
    nothing = {stage: gr.skip()}

    def take(page: str | None, given: Values, new: Image.Image) -> Updates:
        def taken() -> Updates:
            return {picture: new, own_error: error()} | settled({**given, picture: new}, page or "")

        return latest.answer(page, taken, nothing)

    def choose(given: Values, request: gr.Request, event: gr.EventData) -> Updates:
        index = picked(event, len(SAMPLES))
        if index is None:
            return nothing
        return take(request.session_hash, given, samples[index][0])

    @says_refusals(own_error)
    def bring(given: Values, request: gr.Request) -> Updates:
        if given[own] is None:  # the field was emptied: the picture that is shown stays
            return {own_error: error()}
        updates = take(request.session_hash, given, pictures.open_picture(given[own]))
        return updates | {chooser: gr.Gallery(selected_index=None)} if picture in updates else updates

    @says_refusals(steps_error)
    def mark(given: Values) -> Updates:
        return {marks: marked(facts, given[sampler], given[steps], given[schedule]), steps_error: error()}

    settings = {picture, schedule, seed, space}
    shown = [stage, seed_error]
    light: dict[str, Any] = {**QUIET, "queue": False}  # a picture must not wait behind someone's grid
    stage.opened(refresh, settings, shown, **light).then(*draw_schedules, **light)
    gr.on([schedule.change, space.change], refresh, settings, shown, **light)
    seed.change(refresh, settings, shown, trigger_mode="always_last", **light)
    new = [picture, own_error, *shown]
    chooser.select(choose, settings, new, trigger_mode="multiple", **light)
    own.input(bring, {own, *settings}, [chooser, *new], trigger_mode="multiple", **light)
    changes = [sampler.change, steps.change, schedule.change]
    gr.on(changes, mark, {sampler, steps, schedule}, [marks, steps_error], trigger_mode="always_last", **light)
    api.build()


def marked(facts: Facts, sampler: str, steps: int, schedule: str) -> str:
    """sampler key, N, schedule -> HTML: the timesteps the sampler visits, for the eye and as data for marks.js. Raises
    Refusal for a bad sampler, number of steps or schedule."""
    recipe = facts.usual.replace(sampler=sampler).replace(num_inference_steps=plain("num_inference_steps", steps))
    flow = is_flow(facts.schedule)
    if flow != (noise.check_schedule(schedule) == noise.FLOW):
        kind = "flow matching" if flow else "a table of noise levels"
        return (
            f'<p class="dpn-visits" data-visits="">This model was taught {kind}; no run of it visits these levels.</p>'
        )
    times = visited(recipe, noise.followed_by(facts.schedule, schedule))
    if flow:  # told t of T the network takes σ to be t/T; the timeline counts from σ = 1/1000
        levels = [t / facts.total_timesteps for t in times]
        places, shown = [noise.TIMESTEPS * sigma - 1 for sigma in levels], [f"{sigma:.3g}" for sigma in levels]
        counted = f"{len(shown)} {'level' if len(shown) == 1 else 'levels'} σ"
    else:
        places, shown = times, [f"{t:.0f}" for t in times]
        counted = f"{len(shown)} of {noise.TIMESTEPS:,} timesteps"
    listed = ", ".join(shown if len(shown) <= 24 else [*shown[:8], "…", *shown[-4:]])
    visits = ",".join(f"{max(0, place):.0f}" for place in places)
    return f'<p class="dpn-visits" data-visits="{visits}">Marked on the timeline: {counted}. {listed}</p>'
