"""Opens the playground in a browser; also the entry point on Hugging Face Spaces.

python app.py [--model pocket] [--port 7860] [--host 127.0.0.1] [--runtime openvino] [--compile] [--lessons FOLDER]
"""

import argparse
import gc
import os
import threading
from pathlib import Path

try:
    import spaces  # noqa: F401  before torch, because ZeroGPU lends its device by patching it
except ImportError:
    pass


def main() -> None:
    parser = argparse.ArgumentParser(description="Diffusion playground")
    parser.add_argument("--model", default="pocket", help="a registered name, or a local folder in diffusers layout")
    parser.add_argument("--port", type=int, default=None)
    parser.add_argument("--host", default=None, help="127.0.0.1 unless given; 0.0.0.0 for a workshop's network")
    parser.add_argument("--runtime", choices=("openvino", "torch"), default="openvino", help="for a CPU's network")
    parser.add_argument("--compile", action="store_true", help="compile the U-Net first: minutes, then faster")
    parser.add_argument("--lessons", type=Path, default=None, help="a folder with more lessons as Markdown files")
    args = parser.parse_args()
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # no other host is contacted
    gc.disable()  # until the page stands: of a million new objects hardly any is garbage, and looking takes a second

    import diffusers
    import transformers

    from playground import open_engine
    from playground.lessons.shelf import shelf
    from playground.refusal import Refusal
    from playground.store import Store
    from playground.ui.page import build_page, launch_options

    for library in (diffusers, transformers):  # their loading bars and hints are not for visitors
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    try:
        lessons = shelf(args.lessons)
        engine = open_engine(args.model, runtime="torch" if args.compile else args.runtime)
        if args.compile:
            print("Compiling the network. The first time this takes minutes …", flush=True)
            engine.model.compile()
    except Refusal as problem:
        parser.error(str(problem))
    page = build_page(engine, Store(), lessons)
    gc.freeze()
    gc.enable()
    threading.Thread(target=engine.warm_up, name="warm-up", daemon=True).start()  # the page need not wait for it
    page.launch(server_name=args.host, server_port=args.port, **launch_options())


if __name__ == "__main__":
    main()
