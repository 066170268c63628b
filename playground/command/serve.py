"""`serve`: the page, as a Space and as `app.py` open it."""

import gc
import threading
from pathlib import Path

from playground.command.checks import address_from_outside
from playground.command.quiet import opened
from playground.lessons.shelf import shelf
from playground.store import Store
from playground.ui.page import build_page, launch_options

EVERYWHERE = ("0.0.0.0", "::")


def serve(
    model: str,
    host: str | None,
    port: int | None,
    runtime: str,
    compiled: bool,
    lessons: Path | None,
    mcp: bool,
    controlnet: Path | None = None,
) -> int:
    """Serve until it is ended. Raises Refusal where the model, the port or a lesson cannot be used."""
    taught = shelf(lessons)
    engine = opened(model, "torch" if compiled else runtime, controlnet)
    if compiled:
        print("Compiling the network. The first time this takes minutes …", flush=True)
        engine.model.compile()
    page = build_page(engine, Store(), taught)
    gc.freeze()
    gc.enable()  # `main` switched it off
    threading.Thread(target=engine.warm_up, name="warm-up", daemon=True).start()  # the page need not wait for it
    page.launch(server_name=host, server_port=port, prevent_thread_lock=True, **launch_options(mcp))
    if host in EVERYWHERE:
        if address := address_from_outside():
            print(f"* From another machine in this network: http://{address}:{page.server_port}", flush=True)
        else:
            print("* This machine is in no network, so no other machine can open the page.", flush=True)
    page.block_thread()
    return 0
