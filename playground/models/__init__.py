"""Which models there are, and how each family encodes, denoises and decodes."""

from playground.models.contract import Condition, Facts, Look, Model, Text, Weights
from playground.models.registry import REGISTERED, load_model

__all__ = ["REGISTERED", "Condition", "Facts", "Look", "Model", "Text", "Weights", "load_model"]
