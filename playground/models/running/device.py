"""Which device and precision, and how weights share a small card."""

import torch

GIGABYTE = 2**30
SMALL = 8 * GIGABYTE
ROOM = 0.6  # share of its memory that weights may fill; the rest is for what they compute with


def default_device() -> torch.device:
    """CUDA, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def default_dtype(device: torch.device) -> torch.dtype:
    """fp16 on CUDA, else fp32: on a CPU bf16 is faster where the processor has it, but torch then rounds a picture
    differently beside other pictures, and at strong guidance it can become another one."""
    return torch.float16 if device.type == "cuda" else torch.float32


def offload_for(weights: int, largest_part: int, memory: int) -> str | None:
    """How a pipeline's weights share an accelerator with `memory` bytes: None (all of them stay on it), "model" (one
    part at a time) or "sequential" (layer by layer, slow); `weights` and `largest_part` in bytes."""
    if memory >= SMALL or weights <= ROOM * memory:
        return None
    return "model" if largest_part <= ROOM * memory else "sequential"
