"""What OpenVINO's converter is given to trace: networks with tensors as their only inputs, and examples of these."""

import copy
from collections.abc import Mapping

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from playground.models.lora.rows import Blend

TOLD = ("text_embeds", "time_ids")  # of SDXL's U-Net, in the order of its inputs here


class Traceable(nn.Module):
    """A U-Net with tensors as its only inputs; LoRAs, where they are added, are part of it.

    Its modules are copies, so that nobody's hooks or attention processors are traced; its weights are the U-Net's own.
    """

    told: tuple[str, ...] = ()  # what the U-Net is told besides words, as inputs between these and the weights

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        shared = {id(x): x for x in (*unet.parameters(), *unet.buffers())}
        self._unet = copy.deepcopy(unet, shared)
        self._weights: Tensor | None = None

    def add(self, blends: Mapping[str, Blend]) -> None:
        """LoRAs by module path; `forward` then wants every row's weight of each."""
        for path, blend in blends.items():
            self._unet.get_submodule(path).register_forward_hook(self._adding(blend))

    def forward(self, latents: Tensor, t: Tensor, text: Tensor, weights: Tensor | None = None) -> Tensor:
        """(B, C, h, w), (B,), (B, tokens, width), each row's weight of every LoRA (B, LoRAs) -> (B, C, h, w)"""
        self._weights = weights
        return self._unet(latents, t, text, return_dict=False)[0]

    def _adding(self, blend: Blend):  # noqa: ANN202  (a forward hook)
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            return output + blend.change(module, inputs[0], self._weights)

        return hook

    def example(self, loras: int) -> tuple[Tensor, ...]:
        """Inputs to trace with: of sides that no level of the network can halve, because only then does the traced
        network ask for the size of what it has to join, and serves every size."""
        config, generator = self._unet.config, torch.Generator().manual_seed(0)
        factor = 2 ** (len(config.block_out_channels) - 1)
        shapes = [(2, config.in_channels, 2 * factor + 1, 3 * factor + 1), (2,), (2, 77, config.cross_attention_dim)]
        shapes += [(2, width) for width in self.widths]
        shapes += [(2, loras)] if loras else []
        return tuple(torch.rand(shape, generator=generator) for shape in shapes)

    @property
    def inputs(self) -> tuple[str, ...]:
        return ("latents", "t", "text", *self.told, "weights")

    @property
    def widths(self) -> tuple[int, ...]:
        """Of what it is told."""
        return ()


class TraceableXL(Traceable):
    """SDXL's, which is told the whole prompt as one vector, and six numbers about sizes."""

    told = TOLD

    def forward(
        self,
        latents: Tensor,
        t: Tensor,
        text: Tensor,
        text_embeds: Tensor,
        time_ids: Tensor,
        weights: Tensor | None = None,
    ) -> Tensor:
        """As a U-Net without them, and (B, width), (B, 6)"""
        self._weights = weights
        told = {"text_embeds": text_embeds, "time_ids": time_ids}
        return self._unet(latents, t, text, added_cond_kwargs=told, return_dict=False)[0]

    @property
    def widths(self) -> tuple[int, ...]:
        config, numbers = self._unet.config, 6
        return config.projection_class_embeddings_input_dim - numbers * config.addition_time_embed_dim, numbers


def traceable(unet: nn.Module) -> Traceable:
    return (TraceableXL if unet.config.addition_embed_type == "text_time" else Traceable)(unet)


class TraceableDecoder(nn.Module):
    """The half of an AutoencoderKL that draws; a copy whose weights are the VAE's own, as in `Traceable`."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        halves = nn.ModuleList(half for half in (vae.post_quant_conv, vae.decoder) if half is not None)
        shared = {id(x): x for x in (*halves.parameters(), *halves.buffers())}
        self._halves = copy.deepcopy(halves, shared)
        self.channels: int = vae.config.latent_channels

    def forward(self, latents: Tensor) -> Tensor:
        """(B, C, h, w) in the VAE's own scale -> pixels (B, 3, H, W) of about -1…1"""
        for half in self._halves:
            latents = half(latents)
        return latents
