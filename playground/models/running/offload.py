"""Weights on a GPU too small for all of them, by accelerate's hooks: one part there at a time, or one layer."""

from collections.abc import Sequence
from typing import Any

import torch
from accelerate import cpu_offload
from accelerate.hooks import ModelHook, add_hook_to_module
from torch import nn

from playground.models.running.device import offload_for


class OneAtATime(ModelHook):
    """A part comes to the GPU when it is called, and the one that was there leaves.

    Diffusers' own chain of hooks expects text encoder, U-Net and VAE once each and in this order; the engine goes back
    and forth between them, and the chain would then leave all three on the GPU.
    """

    def __init__(self, device: torch.device, parts: Sequence[nn.Module]) -> None:
        self._device, self._parts = device, parts

    def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> tuple[tuple, dict]:
        if not self._is_there(module):
            for part in self._parts:
                if self._is_there(part):
                    part.to("cpu")
            module.to(self._device)
        return args, kwargs

    def _is_there(self, part: nn.Module) -> bool:
        return next(part.parameters()).device.type == self._device.type  # "cuda" and "cuda:0" are the same GPU


def one_part_at_a_time(parts: Sequence[nn.Module], device: torch.device) -> None:
    """Parts stay in the host's memory and come to `device` when they are called, one in the place of another."""
    hook = OneAtATime(device, parts)
    for part in parts:
        add_hook_to_module(part.to("cpu"), hook)


def layer_by_layer(parts: Sequence[nn.Module], device: torch.device) -> None:
    """Every layer's weights come to `device` for its own call only: little memory, and slow."""
    for part in parts:
        cpu_offload(part, device, offload_buffers=len(part._parameters) > 0)


def place(parts: Sequence[nn.Module], device: torch.device) -> None:
    """Weights onto the device, all at once or, on a small accelerator, as they are needed."""
    offload = None
    if device.type == "cuda":
        sizes = [sum(p.nbytes for p in part.parameters()) for part in parts]
        memory = torch.cuda.get_device_properties(device).total_memory
        offload = offload_for(sum(sizes), max(sizes), memory)
    if offload == "model":
        one_part_at_a_time(parts, device)
    elif offload == "sequential":
        layer_by_layer(parts, device)
    else:
        for part in parts:
            part.to(device)
