"""Which device and which precision."""

from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)

PRECISIONS = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}  # as people say them


def default_device() -> torch.device:
    """CUDA, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def default_dtype(device: torch.device) -> torch.dtype:
    """fp16 on CUDA, else fp32: on a CPU bf16 is faster where the processor has it, but torch then rounds a picture
    differently beside other pictures, and at strong guidance it can become another one."""
    return torch.float16 if device.type == "cuda" else torch.float32


def cast(network: Network, dtype: torch.dtype) -> Network:
    """The network, now in this precision; one that is in it already stays as it is, because what it keeps besides its
    weights, such as the frequencies of positions, is meant to be in fp32 then. diffusers' own `to` warns of layers that
    should stay in fp32 even where a network has none."""
    return network if all(x.dtype is dtype for x in network.parameters()) else nn.Module.to(network, dtype)
