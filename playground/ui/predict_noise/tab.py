"""The "Predict noise" tab: what the network is asked, what it answers, and where its answers lead. /predict_noise."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import gradio as gr
from PIL import Image

from playground import pictures
from playground.engine import Engine
from playground.inside import latent_noise, prediction
from playground.inside.guess import forward, guess, plan
from playground.recipe import Recipe
from playground.samplers import SAMPLERS
from playground.ui.predict_noise import api as predict_noise_api
from playground.ui.predict_noise import views as views
from playground.ui.predict_noise.api import GUIDANCE, checked
from playground.ui.shared.endpoint import ENGINE
from playground.ui.shared.files import FILES
from playground.ui.shared.html import error, png
from playground.ui.shared.latest import Latest
from playground.ui.shared.samples import gallery
from playground.ui.shared.section import heading
from playground.ui.shared.shipped import EXAMPLES
from playground.ui.shared.words import HELP

ON_LOAD = "if (!document.querySelector('.dpp-found b')) trigger('opened')"  # the curve is not paid for before

SAMPLES = (  # file, title, what is in it
    ("first_view/2.png", "Drawn by Pocket", "red apple, blue background"),
    ("images/flower.webp", "Flower", "pink flower, green background"),
    ("images/sphere.webp", "Ball on a table", "red ball on a wooden table"),
    ("images/dusk.webp", "Lake at dusk", "sunrise over mountains and a lake"),
    ("images/bust.webp", "Plaster head", "plaster head, grey background"),
    ("images/quilt.webp", "Patchwork", "colourful patchwork quilt"),
)
WRONG = "yellow fish, green background"
T = 500  # where the tab opens
STEPS = 20
POINTS = 20  # timesteps of the curve
DRAWS = 8  # draws of ε for the averaged curve
PLOT = {
    "x": "t",
    "color": "caption",
    "color_map": views.COLOURS,
    "height": 230,
    "buttons": [],
    "tooltip": "axis",
    "elem_classes": "dpp-plot",
}
PRIVATE: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
LIGHT: dict[str, Any] = {"queue": False, **PRIVATE}
NEWEST: dict[str, Any] = {**ENGINE, **PRIVATE, "trigger_mode": "multiple"}  # a Latest decides between two


def build(engine: Engine) -> None:
    """Builds the tab; to be called inside `with gr.Tab("Predict noise"):` of a gr.Blocks."""
    side, last = engine.model.default_side, prediction.total_timesteps(engine.model) - 1
    samples = [(pictures.open_picture(EXAMPLES / name, side), title) for name, title, _ in SAMPLES]
    subject = gr.State(None)  # a views.Subject once the tab was opened

    @lru_cache(len(SAMPLES))
    def sample(index: int) -> views.Subject:
        return _look(engine, samples[index][0])

    with gr.Row(elem_classes="dp-columns"):
        with gr.Column(scale=0, min_width=340, elem_classes="dp-rail"):
            chooser = gallery(samples)
            upload = gr.UploadButton("Upload your own", file_types=["image"], size="sm")
            upload_error = _error_slot()
            caption = gr.Textbox(
                SAMPLES[0][2], label="Caption", info="Say what is in the picture.", max_lines=4, elem_id="pn-caption"
            )
            caption_error = _error_slot()
            wrong = gr.Textbox(
                WRONG, label="A wrong caption", info="Say what is not in it.", max_lines=4, elem_id="pn-wrong"
            )
            wrong_error = _error_slot()
            seed = gr.Number(0, label="Seed of ε", info="Which noise is drawn.", elem_id="pn-seed")
            seed_error = _error_slot()

        with gr.Column(scale=1, min_width=320, elem_classes=["dp-stage", "dpn-column"]):
            gr.HTML(
                '<p class="dpp-lead">In training the network sees x<sub>t</sub>, t and the caption, and must name the '
                "noise that was added. That is all it learns. Move t and see how well it does, and what is left of "
                "the picture once its answer is subtracted.</p>",
                elem_classes="dp-flush",
                apply_default_css=False,
            )
            t = gr.Slider(
                0,
                last,
                value=min(T, last),
                step=1,
                label="Timestep t",
                info="0 is the picture.",
                buttons=[],
                elem_classes="dpp-field",
                elem_id="pn-t",
            )
            t.preprocess = lambda typed: typed  # Gradio's answers a typed 5000 with an error 500; `ask` with a sentence
            t_error = _error_slot()
            stage = gr.HTML(
                views.stage(), js_on_load=ON_LOAD, elem_classes="dp-flush", apply_default_css=False, elem_id="pn-stage"
            )
            heading("Loss over t", "The same question at 20 noise levels, with three captions. One line for each.")
            with gr.Row():
                loss_plot = gr.LinePlot(**PLOT, y="L", title="L over t", min_width=300)
                change_plot = gr.LinePlot(**PLOT, y="change of L in %", title="L, right against none", min_width=300)
            found = gr.HTML('<p class="dpp-found"></p>', elem_classes="dp-flush", apply_default_css=False)
            more = gr.Button(f"Average over {DRAWS} draws of ε", size="sm", elem_classes="dpn-walk")
            heading(
                "Let it guess from here",
                "Forward and reverse meet: the formula takes the picture to t, the network takes it back with the "
                "caption, step by step. This is image-to-image.",
            )
            with gr.Row(elem_classes="dpp-ask"):
                sampler = gr.Dropdown(
                    [(row.label, key) for key, row in SAMPLERS.items()],
                    value="ddim",
                    label="Sampler",
                    info=HELP["sampler"],
                    elem_classes="dpp-field",
                    elem_id="pn-sampler",
                )
                steps = gr.Number(
                    STEPS,
                    label="Steps",
                    info="For the whole way from T; only those below t are taken.",
                    elem_classes="dpp-field",
                )
                guidance = gr.Number(
                    GUIDANCE, label="Guidance scale", info=HELP["guidance_scale"], elem_classes="dpp-field"
                )
            guess_error = _error_slot()
            go = gr.Button("Let it guess from here", variant="primary", elem_classes="dpn-walk")
            guessed = gr.HTML(
                views.guess([None] * 8, [""] * 8, {}, {}), elem_classes="dp-flush", apply_default_css=False
            )

    def ask(subject: views.Subject | None, caption: str, wrong: str, t: int, seed: int) -> list[Any]:
        """-> stage, and the sentences under caption, wrong caption, seed and t; on bad input the stage stays"""
        errors = _errors(engine, caption=caption, wrong=wrong, seed=seed)
        if any(errors):
            return [gr.skip(), *(error(e) for e in errors), gr.skip()]
        subject = subject or sample(0)
        try:
            answers, decoded = prediction.predict_and_decode(engine, subject.x0, [caption, wrong, ""], t, seed)
        except ValueError as problem:
            return [gr.skip(), "", "", "", error(str(problem))]
        return [views.stage(subject, answers, decoded), "", "", "", ""]

    curves, guesses, chosen_last = Latest(), Latest(), Latest()
    unchanged = [gr.skip()] * 4  # of what the curve shows

    def measure(
        request: gr.Request, subject: views.Subject | None, caption: str, wrong: str, seed: int, draws: int = 1
    ) -> Iterator[list[Any]]:
        if any(_errors(engine, caption=caption, wrong=wrong, seed=seed)):
            yield unchanged
            return
        asked = subject or sample(0), caption, wrong, seed, draws
        yield from curves.show(request.session_hash, means(*asked), asked, len(curve))

    def means(subject: views.Subject, caption: str, wrong: str, seed: int, draws: int) -> Iterator[list[Any]]:
        timesteps = latent_noise.spread_timesteps(last + 1, POINTS)
        captions = [caption, wrong, ""]
        for n, mean in enumerate(prediction.losses(engine, subject.x0, captions, timesteps, seed, draws), 1):
            yield [*views.curves(timesteps, mean), views.curve_words(mean, n), (subject, caption, wrong, seed)]

    def settled(request: gr.Request, drawn: Any, subject: views.Subject | None, *fields: Any) -> Iterator[list[Any]]:
        """A field was left: measure again, but only where something is different from what the curve is about."""
        *about, _draws = curves.under_way(request.session_hash) or [*(drawn or ()), None]
        if about == [subject or sample(0), *fields]:
            yield unchanged
        else:
            yield from measure(request, subject, *fields)

    def average(request: gr.Request, *values: Any) -> Iterator[list[Any]]:
        yield from measure(request, *values, draws=DRAWS)

    def let_it_guess(
        request: gr.Request,
        subject: views.Subject | None,
        caption: str,
        t: int,
        seed: int,
        sampler: str,
        steps: int,
        guidance: float,
    ) -> Iterator[list[Any]]:
        subject = subject or sample(0)
        try:
            recipe = checked(engine, caption, seed).replace(sampler=sampler)
            recipe = recipe.replace(num_inference_steps=steps, guidance_scale=guidance)
            plan(engine, recipe, t)
        except ValueError as problem:
            yield [gr.skip(), error(str(problem))]
            return
        updates = back_from(subject, recipe, t)
        yield from guesses.show(request.session_hash, updates, (subject, recipe, t), 2)

    def back_from(subject: views.Subject, recipe: Recipe, t: int) -> Iterator[list[Any]]:
        try:
            for html in _guessed(engine, subject, recipe, t):
                yield [html, ""]
        except ValueError as problem:  # the latents became infinite
            yield [gr.skip(), error(str(problem))]

    def choose(request: gr.Request, wrong: str, t: int, seed: int, chosen: gr.SelectData) -> list[Any]:
        index = chosen.index
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(SAMPLES):
            return [gr.skip()] * 8

        def asked() -> list[Any]:
            caption = SAMPLES[index][2]
            return [sample(index), caption, "", *ask(sample(index), caption, wrong, t, seed)]

        return chosen_last.answer(request.session_hash, asked, 8)

    def uploaded(request: gr.Request, path: str | None, wrong: str, t: int, seed: int) -> list[Any]:
        def asked() -> list[Any]:
            try:
                new = _look(engine, pictures.open_picture(path or "", side))
            except ValueError as problem:
                return [gr.skip(), gr.skip(), error(str(problem)), *[gr.skip()] * 6]
            return [new, "", "", gr.Gallery(selected_index=None), *ask(new, "", wrong, t, seed)]

        return chosen_last.answer(request.session_hash, asked, 9)

    shown = [stage, caption_error, wrong_error, seed_error, t_error]
    drawn = gr.State(None)  # what the curve belongs to, but for the number of draws
    asking, curve = [subject, caption, wrong, t, seed], [loss_plot, change_plot, found, drawn]
    measuring = [subject, caption, wrong, seed]
    # Without the queue: one call of the network must not wait behind someone's grid.
    picking = {**LIGHT, "trigger_mode": "multiple"}
    picked = chooser.select(choose, [wrong, t, seed], [subject, caption, upload_error, *shown], **picking)
    settings = [upload, wrong, t, seed]
    sent = upload.upload(uploaded, settings, [subject, caption, upload_error, chooser, *shown], **picking)
    gr.on([c.change for c in (t, caption, wrong, seed)], ask, asking, shown, trigger_mode="always_last", **LIGHT)
    for event in (picked, sent):
        event.then(measure, measuring, curve, **NEWEST)
    if engine.model.device.type == "cpu":  # the first picture is there at once; elsewhere asking is fast anyway
        stage.value = ask(None, SAMPLES[0][2], WRONG, min(T, last), 0)[0]
        stage.opened(measure, measuring, curve, **NEWEST)
    else:
        stage.opened(ask, asking, shown, **LIGHT).then(measure, measuring, curve, **NEWEST)
    left = [c.submit for c in (caption, wrong, seed)] + [c.blur for c in (caption, wrong, seed)]
    gr.on(left, settled, [drawn, *measuring], curve, **NEWEST)
    more.click(average, measuring, curve, **NEWEST)
    guessing = [subject, caption, t, seed, sampler, steps, guidance]
    go.click(let_it_guess, guessing, [guessed, guess_error], **NEWEST)
    predict_noise_api.build(engine)


def _error_slot() -> gr.HTML:
    return gr.HTML(elem_classes="dp-error dp-flush")


def _look(engine: Engine, picture: Image.Image) -> views.Subject:
    x0, decoded = latent_noise.there_and_back(engine, picture)
    return views.Subject(x0, views.source(decoded))


def _errors(engine: Engine, caption: Any, wrong: Any, seed: Any) -> list[str]:
    """-> one sentence, or none, for each of the three fields"""
    sentences = []
    for prompt, number in ((caption, 0), (wrong, 0), ("", seed)):
        try:
            checked(engine, prompt, number)
            sentences.append("")
        except ValueError as problem:
            sentences.append(str(problem))
    return sentences


def _guessed(engine: Engine, subject: views.Subject, recipe: Recipe, t: int) -> Iterator[str]:
    """-> the timeline again and again while the guess runs, and once more with its result"""
    planned, started = plan(engine, recipe, t), time.perf_counter()
    times = [level.t or 0.0 for level in planned.levels]
    columns = views.chosen(len(times))
    noised = forward(subject.x0, recipe, [planned.levels[c] for c in columns])
    sources = [_small(picture) for picture in latent_noise.preview(engine, noised)]
    back: dict[int, str] = {}
    guessed: dict[int, str] = {}
    for frame in guess(engine, subject.x0, recipe, t, columns):
        if frame.predicted is not None:
            guessed[columns.index(frame.k - 1)] = _small(frame.predicted)
        if frame.k in columns:
            back[columns.index(frame.k)] = _small(frame.picture)
            yield views.guess([times[c] for c in columns], sources, back, guessed)
    found = views.result(subject, frame, planned, recipe, time.perf_counter() - started)
    yield views.guess([times[c] for c in columns], sources, back, guessed, found)


def _small(picture: Image.Image) -> str:
    return FILES.url(png(picture))
