"""An engine for a command: opened without the libraries' own bars and hints."""

import os
from pathlib import Path

import diffusers
import transformers

from playground.command.checks import NO_EXTRAS, Extras
from playground.engine import LocalEngine, open_engine
from playground.sources.given import Source


def opened(
    model: str | Source, runtime: str = "openvino", controlnet: Path | None = None, extras: Extras = NO_EXTRAS
) -> LocalEngine:
    """Raises Refusal where the model cannot be run."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # no other host is contacted
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    return open_engine(
        model, runtime=runtime, controlnet=controlnet, loras=extras.loras, memory=extras.memory, preview=extras.preview
    )
