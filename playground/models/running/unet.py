"""A U-Net as families call it: each row by the network that it belongs to, which OpenVINO or torch.compile may run."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from playground.models.contract import CONTROL, TEXT, Condition, Look, Weights
from playground.models.control import ControlNet
from playground.models.lora.folder import LoraFiles
from playground.models.running.attention import capturing, looks
from playground.models.running.network import Network


class UNet:
    """In `dtype`. Where the same network is there in fp32 as well, rows at timesteps from `exact_from` upwards run by
    that: they decide what the picture becomes, and rounded to bf16's 8 bits they can make another one of it."""

    def __init__(
        self,
        unet: nn.Module,
        device: torch.device,
        dtype: torch.dtype,
        files: LoraFiles,
        early: nn.Module | None = None,
        exact_from: float = math.inf,
    ) -> None:
        self.network, self.early = Network(unet, device, dtype, files), None
        if early is not None:
            self.early = Network(early, device, torch.float32, files)
        self._exact_from = exact_from
        self.control: ControlNet | None = None

    @torch.inference_mode()
    def __call__(
        self,
        latents: Tensor,
        t: Tensor,
        conditions: Sequence[Condition],
        told: Mapping[str, Tensor],
        loras: Sequence[Weights] | None = None,
        look: bool = False,
    ) -> tuple[Tensor, list[Look]]:
        """(B, C, h, w), (B,), B texts, what the rows are told besides, B rows' LoRAs -> the network's output
        (B, C, h, w) in fp32, and Looks only where they are asked for.

        Rows with control are by themselves, so that the others are answered by OpenVINO as ever.
        """
        text = torch.cat([condition[TEXT] for condition in conditions])
        flags = [CONTROL in condition for condition in conditions]
        if self.early is None and not any(flags):  # asked of the CPU: the device is not waited for
            return _one_call(self.network, latents, t, text, told, loras, look)
        controlled = torch.tensor(flags, device=t.device)
        early = torch.zeros_like(controlled) if self.early is None else t >= self._exact_from
        outputs, found = torch.empty_like(latents, dtype=torch.float32), {}
        for network, its in ((self.early, early), (self.network, ~early)):
            for which in (its & controlled, its & ~controlled):
                if not (rows := which.nonzero()[:, 0].tolist()):
                    continue
                weights, own = loras and [loras[row] for row in rows], (latents[rows], t[rows], text[rows])
                besides, added = {name: x[rows] for name, x in told.items()}, {}
                if self.control is not None and controlled[rows[0]]:
                    shown = [conditions[row] for row in rows]
                    added = self.control.residuals(*own, shown, network.dtype, besides)
                outputs[rows], seen = _one_call(network, *own, besides, weights, look, added)
                found |= dict(zip(rows, seen, strict=False))
        return outputs, [found[row] for row in sorted(found)]

    @property
    def runtime(self) -> str:
        return self.network.runtime

    def convert(self, name: str) -> None:
        """By OpenVINO, as soon as that is ready; `name` is the fingerprint of the weights."""
        self.network.convert(name)

    def wait_until_converted(self, seconds: float | None = None) -> None:
        self.network.wait_until_converted(seconds)

    def compile(self, latents: Tensor, t: Tensor, text: Tensor, backend: str | Callable) -> None:
        """For batches of such rows; see `Compiled`."""
        for network in (self.network, self.early):
            if network is not None:
                network.compile(latents, t, text, backend)


def _one_call(
    network: Network,
    latents: Tensor,
    t: Tensor,
    text: Tensor,
    told: Mapping[str, Tensor],
    loras: Sequence[Weights] | None,
    look: bool,
    added: Mapping[str, Any] | None = None,
) -> tuple[Tensor, list[Look]]:
    with capturing(network.unet) if look else nullcontext({}) as captures:
        output = network(latents, t, text, loras, plain=look, added=added, told=told)
    return output, looks(captures, len(latents), tuple(latents.shape[2:])) if look else []
