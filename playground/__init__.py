"""A playground for latent diffusion: recipes, sweeps and an engine that denoises many recipes together."""

from typing import TYPE_CHECKING, Any

from playground.recipe import Recipe
from playground.sweep import Sweep

if TYPE_CHECKING:
    from playground.engine import open_engine

__all__ = ["Recipe", "Sweep", "open_engine"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`open_engine` brings torch and diffusers with it, seconds that a typing error on the command line need not
    wait for; so it is imported when it is first asked for (PEP 562)."""
    if name == "open_engine":
        from playground.engine import open_engine

        return open_engine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
