"""`serve`: the page, as a Space and as `app.py` open it; with several models a page for each."""

import gc
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from gradio.http_server import start_server

from playground.classroom.address import EVERYWHERE, address_from_outside, qr_text
from playground.command.checks import NO_EXTRAS, ONE_WITH_CONTROLNET, THIS_MACHINE, Extras
from playground.command.hosted import hosted_models
from playground.command.light import import_the_rest
from playground.command.quiet import opened
from playground.engine import House, LocalEngine, Member, Several, zero_gpu
from playground.lessons.lesson import Lesson
from playground.lessons.shelf import shelf
from playground.refusal import Refusal
from playground.sources.given import Source
from playground.store import Store
from playground.ui.page import Page, build_page, launch_options
from playground.ui.site import build_site


def serve(
    models: Sequence[Source],
    host: str | None,
    port: int | None,
    runtime: str,
    compiled: bool,
    lessons: Path | None,
    mcp: bool,
    classroom: bool = False,
    controlnet: Path | None = None,
    extras: Extras = NO_EXTRAS,
) -> int:
    """Serve until it is ended; `classroom`: the log says how to teach a class. Raises Refusal where a model, the port
    or a lesson cannot be used."""
    taught, elsewhere = shelf(lessons), hosted_models(extras.hosted, [model.name for model in models])
    if len(models) > 1:
        if controlnet is not None:
            raise Refusal(ONE_WITH_CONTROLNET)
        how = ("torch" if compiled else runtime, compiled, taught, mcp, classroom, extras, elsewhere)
        return _serve_several(models, host, port, *how)
    engine = opened(models[0], "torch", controlnet, extras)  # another runtime is prepared when the page is there
    if compiled:
        print("Compiling the network. The first time this takes minutes …", flush=True)
        engine.model.compile()
    shown = Several(engine, {engine.facts.name: engine}, elsewhere) if elsewhere else engine
    page = build_page(shown, Store(), taught)
    gc.freeze()
    gc.enable()  # `main` switched it off
    page.launch(server_name=host, server_port=port, prevent_thread_lock=True, **launch_options(mcp))
    if runtime == "openvino" and not compiled:
        engine.model.convert()
    threading.Thread(target=_warm_up, args=(engine, page), name="warm-up", daemon=True).start()
    _say_where(host, page.server_port, classroom)
    page.block_thread()
    return 0


def _warm_up(engine: LocalEngine, page: Page) -> None:
    """What visitors need not wait for, once the page is there for them."""
    engine.warm_up()
    if engine.facts.device == "cpu":  # elsewhere asking is fast anyway, and ZeroGPU lends a device for visitors' calls
        page.fill()
    if not zero_gpu.ACTIVE:  # a worker that is forked in the middle of an import could wait for its end for ever
        import_the_rest()


def for_a_class(address: str, in_a_network: bool) -> str:
    """What a teacher needs to know, and the visitors' address as a picture."""
    lines = [
        f"* For the teacher:  {address}/teach",
        f"* For visitors:     {address}/join",
        f"* To play alone:    {address}",
    ]
    if in_a_network:
        return "\n".join([*lines, "", qr_text(f"{address}/join").rstrip(), ""])
    return "\n".join([*lines, "* This machine is in no network, so no other machine can open these pages."])


def _serve_several(
    models: Sequence[Source],
    host: str | None,
    port: int | None,
    runtime: str,
    compiled: bool,
    taught: Sequence[Lesson],
    mcp: bool,
    classroom: bool,
    extras: Extras,
    elsewhere: Mapping[str, Member],
) -> int:
    """Nothing is frozen for the garbage collector here, because a model that makes room must go."""
    if compiled:
        raise Refusal("--compile is for one model, which then stays in memory.")
    if zero_gpu.ACTIVE:
        raise Refusal("ZeroGPU's workers keep the model that they began with, so start one model there.")
    gc.enable()

    def open_model(source: Source):  # noqa: ANN202
        print(f"Reading {source.name} …", flush=True)
        return opened(source, runtime, extras=extras)

    site = build_site(House(open_model), models, Store(), taught, mcp, elsewhere)
    _, port, url, server = start_server(site, host, port)
    print(f"* Running on local URL:  {url.rstrip('/')}", flush=True)
    _say_where(host, port, classroom)
    threading.Thread(target=import_the_rest, name="warm-up", daemon=True).start()
    try:
        server.thread.join()
    except KeyboardInterrupt:
        server.close()
        raise
    return 0


def _say_where(host: str | None, port: int, classroom: bool) -> None:
    """Where other machines find the page."""
    outside = address_from_outside() if host in EVERYWHERE else None
    if classroom:
        print(for_a_class(f"http://{outside or host or THIS_MACHINE}:{port}", outside is not None), flush=True)
    elif outside:
        print(f"* From another machine in this network: http://{outside}:{port}", flush=True)
    elif host in EVERYWHERE:
        print("* This machine is in no network, so no other machine can open the page.", flush=True)
