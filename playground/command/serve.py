"""`serve`: the page, as a Space and as `app.py` open it."""

import gc
import threading
from pathlib import Path

from playground.classroom.address import EVERYWHERE, address_from_outside, qr_text
from playground.command.checks import THIS_MACHINE
from playground.command.quiet import opened
from playground.lessons.shelf import shelf
from playground.store import Store
from playground.ui.page import build_page, launch_options


def serve(
    model: str,
    host: str | None,
    port: int | None,
    runtime: str,
    compiled: bool,
    lessons: Path | None,
    mcp: bool,
    classroom: bool = False,
) -> int:
    """Serve until it is ended; `classroom`: the log says how to teach a class. Raises Refusal where the model, the
    port or a lesson cannot be used."""
    taught = shelf(lessons)
    engine = opened(model, "torch" if compiled else runtime)
    if compiled:
        print("Compiling the network. The first time this takes minutes …", flush=True)
        engine.model.compile()
    page = build_page(engine, Store(), taught)
    gc.freeze()
    gc.enable()  # `main` switched it off
    threading.Thread(target=engine.warm_up, name="warm-up", daemon=True).start()  # the page need not wait for it
    page.launch(server_name=host, server_port=port, prevent_thread_lock=True, **launch_options(mcp))
    outside = address_from_outside() if host in EVERYWHERE else None
    if classroom:
        print(
            for_a_class(f"http://{outside or host or THIS_MACHINE}:{page.server_port}", outside is not None), flush=True
        )
    elif outside:
        print(f"* From another machine in this network: http://{outside}:{page.server_port}", flush=True)
    elif host in EVERYWHERE:
        print("* This machine is in no network, so no other machine can open the page.", flush=True)
    page.block_thread()
    return 0


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
