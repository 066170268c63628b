"""Which models there are, and how each family encodes, denoises and decodes."""

from playground.models.device import default_device, default_dtype
from playground.models.latent import LatentModel, load_model

__all__ = ["LatentModel", "default_device", "default_dtype", "load_model"]
