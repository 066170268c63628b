"""Which device and precision: measured or read from the machine, not guessed from its name."""

import time

import torch

WORTH = 1.2  # bf16 must be this much faster than fp32 on a CPU, since it costs precision
GIGABYTE = 2**30
SMALL_CARD = 8 * GIGABYTE
ROOM = 0.6  # share of a card that weights may fill; the rest is for what they compute with


def default_device() -> torch.device:
    """CUDA, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def default_dtype(device: torch.device) -> torch.dtype:
    """fp16 on CUDA; bf16 on a CPU that is measurably fast at it; else fp32."""
    if device.type == "cuda":
        return torch.float16
    if device.type == "cpu" and bf16_gain() > WORTH:
        return torch.bfloat16
    return torch.float32


@torch.inference_mode()
def bf16_gain() -> float:
    """Seconds of a convolution as the U-Net has them in fp32 over the same in bf16; takes about 0.1 s."""
    taken = {}
    for dtype in (torch.float32, torch.bfloat16):
        layer = torch.nn.Conv2d(256, 256, 3, padding=1).to(dtype=dtype, memory_format=torch.channels_last)
        x = torch.zeros(8, 256, 16, 16, dtype=dtype).contiguous(memory_format=torch.channels_last)
        layer(x)
        tries = []
        for _ in range(3):
            start = time.perf_counter()
            layer(x)
            tries.append(time.perf_counter() - start)
        taken[dtype] = min(tries)
    return taken[torch.float32] / taken[torch.bfloat16]


def offload_for(weights: int, largest_part: int, card: int) -> str | None:
    """How a pipeline's weights share a card with `card` bytes of memory: None (all of them stay on it), "model" (one
    part at a time) or "sequential" (layer by layer, slow); `weights` and `largest_part` in bytes."""
    if card >= SMALL_CARD or weights <= ROOM * card:
        return None
    return "model" if largest_part <= ROOM * card else "sequential"
