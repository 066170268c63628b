"""Which models there are, and how each family encodes, denoises and decodes."""

from playground.models.families.sd import LatentModel, load_model
from playground.models.running.device import default_device, default_dtype

__all__ = ["LatentModel", "default_device", "default_dtype", "load_model"]
