"""Which device and precision: measured or read from the machine, not guessed from its name."""

import copy
import time
from collections.abc import Callable

import torch
from torch import nn

WORTH = 1.2  # bf16 must be this much faster than fp32 on a CPU, since it costs precision
TIMED_ROWS, TRIES = 16, 3
LONG = 1.0  # seconds
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
    """Seconds of the whole network, an fp32 U-Net, over the same in bf16: at the batch of a usual grid, or at as many
    rows as one call of LONG seconds takes where the network is large."""
    alone = _seconds(unet, torch.float32, 1, tokens)
    rows = max(1, min(TIMED_ROWS, int(LONG / alone)))
    return _seconds(unet, torch.float32, rows, tokens) / _seconds(unet, torch.bfloat16, rows, tokens)


def _seconds(unet: nn.Module, dtype: torch.dtype, rows: int, tokens: int) -> float:
    """The fastest of a few calls in that precision: of the network itself where it has it, else of a copy."""
    network = unet if unet.dtype is dtype else copy.deepcopy(unet).to(dtype)
    network.to(memory_format=torch.channels_last)
    side, channels, depth = unet.config.sample_size, unet.config.in_channels, unet.config.cross_attention_dim
    latents = torch.zeros(rows, channels, side, side, dtype=dtype).contiguous(memory_format=torch.channels_last)
    t, text = torch.full((rows,), 500.0), torch.zeros(rows, tokens, depth, dtype=dtype)
    tries: list[float] = []
    while len(tries) < TRIES and sum(tries) < LONG:
        start = time.perf_counter()
        network(latents, t, text)
        tries.append(time.perf_counter() - start)
    return min(tries)


def offload_for(weights: int, largest_part: int, memory: int) -> str | None:
    """How a pipeline's weights share an accelerator with `memory` bytes: None (all of them stay on it), "model" (one
    part at a time) or "sequential" (layer by layer, slow); `weights` and `largest_part` in bytes."""
    if memory >= SMALL or weights <= ROOM * memory:
        return None
    return "model" if largest_part <= ROOM * memory else "sequential"
