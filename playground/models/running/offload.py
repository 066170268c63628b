"""Weights where a plan puts them: all on the device, parts that take turns, or a denoiser that comes block by block.

By accelerate's hooks and diffusers' own group offloading and layerwise casting.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from diffusers import DiffusionPipeline
from diffusers.hooks import apply_group_offloading
from torch import nn

from playground.models.running import plan as plans
from playground.models.running.plan import Plan

Read = Callable[..., nn.Module]  # a part again, from its files; in another precision with `dtype`


class Turns(ModelHook):
    """Of groups of parts one at a time is there: when a part is called, its group comes and the others leave.

    Diffusers' own chain of hooks expects text encoder, denoiser and VAE once each and in this order; the engine goes
    back and forth between them, and the chain would then leave all three on the GPU.
    """

    def __init__(self, device: torch.device, groups: Sequence[Sequence[nn.Module]], read: Mapping[nn.Module, Read]):
        """`read`: on a CPU, where what leaves is freed."""
        self._device, self._groups, self._read = device, groups, read

    def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> tuple[tuple, dict]:
        if not self._is_there(module):
            own = next(group for group in self._groups if module in group)
            for part in (part for group in self._groups if group is not own for part in group):
                self._leave(part)
            for part in own:
                self._come(part)
        return args, kwargs

    def _is_there(self, part: nn.Module) -> bool:
        return next(part.parameters()).device.type == self._device.type  # "cuda" and "cuda:0" are the same GPU

    def _leave(self, part: nn.Module) -> None:
        if self._is_there(part):
            part.to("cpu" if self._device.type != "cpu" else "meta")

    def _come(self, part: nn.Module) -> None:
        if self._is_there(part):
            return
        if self._device.type == "cpu":
            take(part, self._read[part]())
        else:
            part.to(self._device)


def take(part: nn.Module, again: nn.Module) -> None:
    """The tensors of the same network read again; the modules themselves stay, with what is hooked to them."""
    for ours, theirs in zip(part.modules(), again.modules(), strict=True):
        ours._parameters, ours._buffers = theirs._parameters, theirs._buffers


def _say_device(text: nn.Module, device: torch.device) -> None:
    """Some pipelines put tokens where a text encoder says that it is, which must be where it runs, not where it waits:
    its class gets a subclass of that name."""
    kind = type(text)
    text.__class__ = type(kind.__name__, (kind,), {"__module__": kind.__module__, "device": device})


def cast_layers(network: nn.Module, storage: torch.dtype, dtype: torch.dtype) -> nn.Module:
    """The network with its linear and convolution layers kept in `storage`, and all of it computed in `dtype`."""
    network.enable_layerwise_casting(storage_dtype=storage, compute_dtype=dtype)
    for module in network.modules():
        if not hasattr(module, "_diffusers_hook"):  # diffusers' layers that are cast have one
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                if tensor.is_floating_point() and tensor.dtype is not torch.float32:  # which is meant, as of positions
                    tensor.data = tensor.data.to(dtype)
    return network


def place(
    texts: Sequence[nn.Module],
    denoiser: nn.Module,
    vae: nn.Module,
    device: torch.device,
    plan: Plan,
    read: Mapping[nn.Module, Read],
) -> None:
    """Weights onto the device, as the plan says. `read`: how each part is read again, where a CPU frees it."""
    parts = [*texts, denoiser, vae]
    if plan.placing == plans.ALL:
        for part in parts:
            part.to(device)
    elif plan.placing == plans.BLOCKS:
        denoiser.enable_group_offload(device, offload_type="block_level", num_blocks_per_group=1)
        for text in texts:
            apply_group_offloading(text, device, offload_type="leaf_level")
        vae.to(device)
    else:
        groups = [list(texts), [denoiser, vae]] if plan.placing == plans.TEXTS_LEAVE else [[part] for part in parts]
        hook = Turns(device, groups, read)
        for text in texts:
            _say_device(text, device)
        for part in parts:
            add_hook_to_module(part.to("cpu"), hook)
            if device.type == "cpu" and part not in groups[-1]:
                part.to("meta")  # until it is called
    if plan.tiled:
        tile(vae)


def place_whole(pipeline: DiffusionPipeline, device: torch.device, plan: Plan) -> None:
    """All parts of a pipeline that is called as it is, by diffusers' own ways."""
    if plan.placing == plans.ONE_PART:
        pipeline.enable_model_cpu_offload(device=device)
    elif plan.placing == plans.LAYERS:
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        pipeline.to(device)


def tile(vae: nn.Module) -> None:
    """Let a VAE decode and encode in tiles of at most plans.TILE pixels, as diffusers blends them: pixels at the seams
    change. Those of other classes have tiles of their own, of at most so many pixels as well."""
    vae.enable_tiling()
    if hasattr(vae, "tile_sample_min_size"):
        scale = vae.tile_sample_min_size // vae.tile_latent_min_size
        vae.tile_sample_min_size = min(vae.tile_sample_min_size, plans.TILE)
        vae.tile_latent_min_size = vae.tile_sample_min_size // scale
