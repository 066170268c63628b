"""Which models there are, and how each family encodes, denoises and decodes."""

from playground.models.contract import CONTROL, CONTROL_SCALE, Condition, Look, Model, Weights
from playground.models.facts import Facts, Text, honours_of
from playground.models.registry import REGISTERED, load_model

__all__ = [
    "CONTROL",
    "CONTROL_SCALE",
    "REGISTERED",
    "Condition",
    "Facts",
    "Look",
    "Model",
    "Text",
    "Weights",
    "honours_of",
    "load_model",
]
