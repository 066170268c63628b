"""`serve`: the page, as a Space and as `app.py` open it."""

from playground.command.checks import address_from_outside
from playground.command.quiet import opened
from playground.store import Store
from playground.ui.page import build_page, launch_options

EVERYWHERE = ("0.0.0.0", "::")


def serve(model: str, host: str | None, port: int | None, compiled: bool) -> int:
    """Serve until it is ended. Raises Refusal where the model or the port cannot be used."""
    engine = opened(model)
    if compiled:
        print("Compiling the network. The first time this takes minutes …", flush=True)
        engine.model.compile()
    page = build_page(engine, Store())
    engine.warm_up()
    page.launch(server_name=host, server_port=port, prevent_thread_lock=True, **launch_options())
    if host in EVERYWHERE:
        if address := address_from_outside():
            print(f"* From another machine in this network: http://{address}:{page.server_port}", flush=True)
        else:
            print("* This machine is in no network, so no other machine can open the page.", flush=True)
    page.block_thread()
    return 0
