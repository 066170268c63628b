"""A playground for latent diffusion: recipes, sweeps and an engine that denoises many recipes together."""

from playground.engine import open_engine
from playground.recipe import Recipe
from playground.sweep import Sweep

__all__ = ["Recipe", "Sweep", "open_engine"]
__version__ = "0.1.0"
