"""The text encoders of CLIP, which several families have."""

from torch import nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection

CLIP = CLIPTextModel | CLIPTextModelWithProjection  # those that LoRA files change


def most_skipped(*encoders: nn.Module) -> int:
    """Layers that can be left out of CLIPs whose last one is left out anyhow."""
    return min(encoder.config.num_hidden_layers for encoder in encoders) - 1
