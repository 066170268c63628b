"""Which device and which precision."""

import torch

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
