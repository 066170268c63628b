"""Pixels and latents: a picture through the VAE and back, what that loses, and what working in latents saves."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
from PIL import Image

from playground import pictures
from playground.engine import Engine
from playground.inside.autoencoder import GAIN, RoundTrip, round_trip
from playground.inside.drawings import channel_pictures
from playground.models.anatomy import Anatomy, Cost
from playground.refusal import Refusal
from playground.ui.inside.format import count, image, milliseconds, shape
from playground.ui.shared.endpoint import ENGINE
from playground.ui.shared.events import picked
from playground.ui.shared.html import error
from playground.ui.shared.latest import Latest, Update
from playground.ui.shared.quiet import QUIET
from playground.ui.shared.samples import IMAGES, SAMPLES
from playground.ui.shared.stale import Stale

WORDS = (
    '<section class="dpi-section"><h2>Pixels and latents</h2><p>The VAE turns a picture into far fewer numbers and '
    "back. All denoising happens on those few numbers, so every step is cheaper; the price is what the VAE cannot "
    "bring back.</p></section>"
)
EARLIER = '<p class="dp-stale">Of an earlier picture: the one generated since has not been through the VAE.</p>'


def build(engine: Engine, generated: gr.State, at_start: Callable[..., Any]) -> None:
    """Builds the section; `generated` holds the latest picture of the walk.

    `at_start(function, inputs, outputs)` arranges that they run when the tab is opened, so that the section is never
    empty.
    """
    side = engine.facts.side
    latest = Latest()  # the later times of one picture must not lie over another

    def sample(index: int) -> Image.Image:
        return pictures.open_picture(IMAGES / SAMPLES[index][0], side)

    def show(request: gr.Request, picture: Image.Image, unselect: bool, own: bool = False) -> Iterator[Update]:
        """`own`: it is the generated one, after which another may come."""
        page, of = request.session_hash or "", pictures.digest(picture) if own else None
        yield from latest.show(page, examine(picture, unselect, of, page), object(), {shown: gr.skip()})

    def examine(picture: Image.Image, unselect: bool, of: str | None, page: str) -> Iterator[Update]:
        anatomy, cost = engine.anatomy(*picture.size), engine.cost(*picture.size)
        # said once: the later times must not take away what is meanwhile said of another picture
        once = {wrong: ""} | stale.asked(of) | ({samples: gr.Gallery(selected_index=None)} if unselect else {})
        try:
            for found in round_trip(engine, picture, page):
                yield {shown: view(found, anatomy, cost, engine.facts.network)} | once
                once = {}
        except Refusal as refusal:
            yield {wrong: error(str(refusal))}

    def own_picture(request: gr.Request, picture: Image.Image | None) -> Iterator[Update]:
        if picture is None:
            yield {wrong: error("There is no generated picture yet; press Walk first.")}
            return
        yield from show(request, picture, unselect=True, own=True)

    def at_opening(request: gr.Request, picture: Image.Image | None) -> Iterator[Update]:
        there = picture is not None
        yield from show(request, picture or sample(0), unselect=there, own=there)

    def choose(request: gr.Request, event: gr.EventData) -> Iterator[Update]:
        index = picked(event, len(SAMPLES))
        if index is None:
            yield {shown: gr.skip()}
            return
        yield from show(request, sample(index), unselect=False)

    def upload_(request: gr.Request, path: str | None) -> Iterator[Update]:
        try:
            picture = pictures.open_picture(path or "", side)
        except Refusal as refusal:
            yield {wrong: error(str(refusal))}
            return
        yield from show(request, picture, unselect=True)

    gr.HTML(WORDS, elem_id="inside-autoencoder")
    with gr.Row(elem_classes="dpi-sources"):
        samples = gr.Gallery(
            [(pictures.open_picture(IMAGES / name, 96), title) for name, title in SAMPLES],
            label="Sample pictures",
            columns=len(SAMPLES),
            height="auto",
            allow_preview=False,
            object_fit="cover",
            buttons=[],
            interactive=False,
            elem_id="inside-samples",
            scale=3,
        )
        with gr.Column(min_width=160, scale=1):
            own = gr.Button("The generated picture", size="sm", elem_id="inside-own")
            upload = gr.UploadButton("Upload your own", file_types=["image"], size="sm", elem_id="inside-upload")
    wrong = gr.HTML(elem_classes="dp-error", elem_id="inside-picture-error")
    with gr.Column(elem_classes="dp-result"):
        stale = Stale(mark=EARLIER)
        shown = gr.HTML(elem_id="inside-vae", min_height=420)
    stale.watch([generated], lambda given: given[generated] and pictures.digest(given[generated]))
    outputs = [wrong, shown, samples, *stale.outputs]
    options: dict[str, Any] = {**ENGINE, **QUIET}
    options["trigger_mode"] = "multiple"  # `latest` decides between two
    at_start(at_opening, [generated], outputs)
    samples.select(choose, None, outputs, **options)
    upload.upload(upload_, upload, outputs, **options)
    own.click(own_picture, generated, outputs, **options)


def view(found: RoundTrip, anatomy: Anatomy, cost: Cost, network: str) -> str:
    """The round trip as HTML: four pictures in a row, then its numbers, then the costs as bars.

    `network`: as people call it.
    """
    channels, limit = channel_pictures(found.latents)
    side = f"{found.picture.width} × {found.picture.height}"
    tiles = "".join(image(p, f"Latent channel {i + 1}", "dpi-pixels") for i, p in enumerate(channels))
    figures = (
        f"<figure>{image(found.picture, 'The picture')}<figcaption>Picture<small>{side} × 3</small></figcaption>"
        "</figure>"
        f'<figure><div class="dpi-four">{tiles}</div><figcaption>Latents<small>{shape(found.latents.shape)}, '
        f"black −{limit:.1f}, white {limit:.1f}</small></figcaption></figure>"
        f"<figure>{image(found.decoded, 'The picture decoded from the latents')}<figcaption>Decoded again"
        f"<small>PSNR {decibel(found.psnr)}</small></figcaption></figure>"
        f"<figure>{image(found.difference, 'The difference')}<figcaption>Difference × {GAIN}"
        "<small>black: nothing lost</small></figcaption></figure>"
    )
    return (
        f'<section class="dpi-trip" aria-label="The VAE round trip"><div class="dpi-row">{figures}</div>'
        f"{_numbers(found, anatomy, network)}{_bars(found, cost, network)}</section>"
    )


def decibel(psnr: float) -> str:
    return "infinite: equal" if math.isinf(psnr) else f"{psnr:.2f} dB"


def _numbers(found: RoundTrip, anatomy: Anatomy, network: str) -> str:
    before, after = found.values_before, found.values_after
    rows = [
        ("Numbers before", f"{before:,}"),
        ("Numbers after", f"{after:,}"),
        ("Ratio", f"{before / after:g} : 1"),
        ("PSNR", decibel(found.psnr)),
        ("Encode", milliseconds(found.milliseconds["encode"])),
        ("Decode", milliseconds(found.milliseconds["decode"])),
        (f"One {network} call", milliseconds(found.milliseconds["unet"])),
    ]
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows)
    runs = f"{found.runs} {'run' if found.runs == 1 else 'runs'}"
    return (
        f'<dl class="dpi-facts">{cells}</dl><p class="dpi-quiet">Times were measured just now, the median of {runs}: '
        f"the VAE in {anatomy.decoder.dtype}, one row through the {network} in {anatomy.unet.dtype}, on the latents; "
        "with others' rows in the same call, its share. PSNR compares the 8-bit pictures shown; higher is closer.</p>"
    )


def _bars(found: RoundTrip, costs: Cost, network: str) -> str:
    height, width = found.picture.height, found.picture.width
    rows, columns = found.latents.shape[-2:]
    bars = [
        (f"{network} on {rows} × {columns} latents", costs.unet_latents),
        (f"the same {network} on {height} × {width} pixels", costs.unet_pixels),
        ("VAE encoder, once", costs.encode),
        ("VAE decoder, once", costs.decode),
    ]
    bars = [(name, value) for name, value in bars if value is not None]
    most = max(value for _, value in bars)
    drawn = "".join(  # with digits enough that their quotient is the one below
        f'<div><dt>{name}</dt><dd><i style="width: {100 * value / most:.2f}%"></i><span>{count(value, 4)}</span></dd>'
        "</div>"
        for name, value in bars
    )
    return (
        f'<h3>Multiply-adds of one pass</h3><dl class="dpi-bars">{drawn}</dl><p class="dpi-quiet">Counted from the '
        f"shapes of the networks, not timed. {_on_pixels(costs, network, height * width / (rows * columns))}</p>"
    )


def _on_pixels(costs: Cost, network: str, places: float) -> str:
    if costs.unet_pixels is None:
        return f"This {network} has no positions for as many places as there are pixels."
    return (
        f"On pixels one {network} call would take {costs.unet_pixels / costs.unet_latents:,.0f} times the "
        f"multiply-adds, with {places:g} times as many places: self-attention compares every place with every other, "
        "and so grows faster."
    )
