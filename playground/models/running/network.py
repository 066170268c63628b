"""The U-Net in one precision: rows in, their outputs out, each row with its own LoRAs."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from playground.models.contract import Weights
from playground.models.lora.folder import LoraFiles
from playground.models.lora.rows import Loras
from playground.models.running.compiled import Compiled
from playground.models.running.converted import Converted


class Network:
    """The U-Net's weights in `dtype`, and in front of them what `convert` or `compile` made of them."""

    def __init__(self, unet: nn.Module, device: torch.device, dtype: torch.dtype, files: LoraFiles) -> None:
        self.unet, self.dtype, self._device = unet, dtype, device
        self._loras = Loras(files, "unet", unet, device, dtype)
        self._compiled: Compiled | None = None
        self._converted: Converted | None = None

    def __call__(
        self,
        latents: Tensor,
        t: Tensor,
        text: Tensor,
        loras: Sequence[Weights] | None = None,
        plain: bool = False,
        added: Mapping[str, Any] | None = None,
        told: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """(B, C, h, w), (B,), (B, tokens, width), B rows' LoRAs -> the network's output (B, C, h, w) in fp32

        `plain`: by the modules themselves, also where there is another form. `added`: what a ControlNet adds, which is
        always so. `told`: what such a U-Net is told besides, each (B, …).
        """
        told = told or {}
        by_torch = partial(self._by_torch, latents, t, text, loras, plain or bool(added), added or {}, told)
        if self._converted is None or plain or added:
            return by_torch()
        try:
            output = self._converted(latents, t, text, loras, told)
        except RuntimeError as error:
            output = by_torch()  # raises what is wrong with the rows themselves
            self._converted.refuse(error)
        return by_torch() if output is None else output

    @property
    def runtime(self) -> str:
        """What computes it now, as the head of the page says it."""
        if self._converted is None or self._converted.refused:
            return "PyTorch"
        return "OpenVINO" if self._converted.ready else "PyTorch until OpenVINO is ready"

    def convert(self, name: str) -> None:
        """By OpenVINO, as soon as that is ready; `name` is the fingerprint of the weights. Only for a CPU, in fp32."""
        if self._device.type == "cpu" and self.dtype is torch.float32:
            self._converted = Converted(self.unet, self._loras, name)

    def wait_until_converted(self, seconds: float | None = None) -> None:
        if self._converted is not None:
            self._converted.wait(seconds)

    def _by_torch(
        self,
        latents: Tensor,
        t: Tensor,
        text: Tensor,
        loras: Sequence[Weights] | None,
        plain: bool,
        added: Mapping[str, Any],
        told: Mapping[str, Tensor],
    ) -> Tensor:
        latents = latents.to(self.dtype).contiguous(memory_format=torch.channels_last)
        text = text.to(self.dtype)
        changed = loras is not None and any(weight for row in loras for _, weight in row)
        if self._compiled is not None and not changed and not plain:  # LoRAs hook into the plain modules
            output = self._compiled(latents, t, text)
        else:
            with self._loras.added(loras) if changed else nullcontext():
                besides = {name: x.to(self.dtype) for name, x in told.items()} or None
                output = self.unet(latents, t, text, added_cond_kwargs=besides, **added, return_dict=False)[0]
        return output.float().contiguous()

    def compile(self, latents: Tensor, t: Tensor, text: Tensor, backend: str | Callable) -> None:
        """For batches of such rows; see `Compiled`."""
        compiled = Compiled(self.unet, self._device, backend)
        compiled.prepare(latents.to(self.dtype), t, text.to(self.dtype))
        self._compiled = compiled
