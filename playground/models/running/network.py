"""The U-Net in one precision: rows in, their outputs out, each row with its own LoRAs."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from playground.models.contract import Weights
from playground.models.lora.rows import Loras
from playground.models.running.compiled import Compiled


class Network:
    """The U-Net's weights in `dtype`, and in front of them the compiled form, where `compile` made one."""

    def __init__(self, unet: nn.Module, device: torch.device, dtype: torch.dtype, loras: Path | None) -> None:
        self.unet, self.dtype, self._device = unet, dtype, device
        self.loras = Loras(unet, loras, device, dtype)
        self._compiled: Compiled | None = None

    def __call__(
        self, latents: Tensor, t: Tensor, text: Tensor, loras: Sequence[Weights] | None = None, plain: bool = False
    ) -> Tensor:
        """(B, 4, h, w), (B,), (B, tokens, width), B rows' LoRAs -> the network's output (B, 4, h, w) in fp32

        `plain`: by the modules themselves, also where there is a compiled form.
        """
        latents = latents.to(self.dtype).contiguous(memory_format=torch.channels_last)
        text = text.to(self.dtype)
        changed = loras is not None and any(weight for row in loras for _, weight in row)
        if self._compiled is not None and not changed and not plain:  # LoRAs hook into the plain modules
            output = self._compiled(latents, t, text)
        else:
            with self.loras.added(loras) if changed else nullcontext():
                output = self.unet(latents, t, text, return_dict=False)[0]
        return output.float().contiguous()

    def compile(self, latents: Tensor, t: Tensor, text: Tensor, backend: str | Callable) -> None:
        """For batches of such rows; see `Compiled`."""
        compiled = Compiled(self.unet, self._device, backend)
        compiled.prepare(latents.to(self.dtype), t, text.to(self.dtype))
        self._compiled = compiled
