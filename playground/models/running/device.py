"""Which device and precision: measured or read from the machine, not guessed from its name."""

import copy
import time
from collections.abc import Callable

import torch
from torch import nn

WORTH = 1.2  # bf16 must be this much faster than fp32 on a CPU, since it costs precision
TIMED_ROWS = 16
LONG = 1.0  # seconds of one call
GIGABYTE = 2**30
SMALL = 8 * GIGABYTE
ROOM = 0.6  # share of its memory that weights may fill; the rest is for what they compute with


def default_device() -> torch.device:
    """CUDA, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def default_dtype(device: torch.device, gain: Callable[[], float]) -> torch.dtype:
    """fp16 on CUDA; bf16 on a CPU whose measured gain is worth it; else fp32."""
    if device.type == "cuda":
        return torch.float16
    if device.type == "cpu" and gain() > WORTH:
        return torch.bfloat16
    return torch.float32


@torch.inference_mode()
def bf16_gain(unet: nn.Module, tokens: int) -> float:
    """Seconds of the whole network, an fp32 U-Net at the batch of a usual grid, over the same in bf16."""
    side, depth = unet.config.sample_size, unet.config.cross_attention_dim
    taken = {}
    for dtype in (torch.float32, torch.bfloat16):
        network = copy.deepcopy(unet).to(dtype, memory_format=torch.channels_last)
        latents = torch.zeros(TIMED_ROWS, unet.config.in_channels, side, side, dtype=dtype)
        latents, text = latents.contiguous(memory_format=torch.channels_last), torch.zeros(TIMED_ROWS, tokens, depth)
        tries = []
        for _ in range(3):
            start = time.perf_counter()
            network(latents, torch.full((TIMED_ROWS,), 500.0), text.to(dtype))
            tries.append(time.perf_counter() - start)
            if tries[-1] > LONG:  # a large network: one look at each is enough
                break
        taken[dtype] = min(tries)
    return taken[torch.float32] / taken[torch.bfloat16]


def offload_for(weights: int, largest_part: int, memory: int) -> str | None:
    """How a pipeline's weights share an accelerator with `memory` bytes: None (all of them stay on it), "model" (one
    part at a time) or "sequential" (layer by layer, slow); `weights` and `largest_part` in bytes."""
    if memory >= SMALL or weights <= ROOM * memory:
        return None
    return "model" if largest_part <= ROOM * memory else "sequential"
