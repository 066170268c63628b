"""A ControlNet beside a U-Net: what it adds to the U-Net's skip connections, for the rows that have a control picture.

Zhang et al. 2023, https://arxiv.org/abs/2302.05543. It is a copy of the U-Net's first half that also sees a picture, of
edges for example; rows without one are never brought to it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel
from torch import Tensor, nn

from playground.models.contract import CONTROL, CONTROL_SCALE, Condition
from playground.models.folder import file_digest, network_config, refusing
from playground.refusal import Refusal

WEIGHTS = "diffusion_pytorch_model.safetensors"
# what must be as in the U-Net, and what a person should know where it is not
ALIKE = {
    "cross_attention_dim": "it reads words of width {theirs}, and this model's are {ours} wide",
    "addition_embed_type": "it is for another family of U-Nets",
    "in_channels": "it takes latents of {theirs} channels, and this model's have {ours}",
    "block_out_channels": "its blocks are of another size",
    "layers_per_block": "its blocks have another number of layers",
    "down_block_types": "its blocks are of another kind",
}


class ControlNet:
    """Of one folder in diffusers' layout, with safetensors weights."""

    def __init__(self, folder: Path, unet: nn.Module, scale: int, device: torch.device, dtype: torch.dtype) -> None:
        """`scale`: pixels per latent of the model. Raises Refusal, with one sentence, for what does not fit it."""
        config = network_config(folder, ControlNetModel.__name__, "ControlNet")
        _check(folder.name, config, unet.config, scale)
        if not (folder / WEIGHTS).is_file():
            raise Refusal(f"The ControlNet {folder.name} has no {WEIGHTS}; no other file of weights is read.")
        with refusing(f"The ControlNet {folder.name}"):
            network = ControlNetModel.from_pretrained(folder, use_safetensors=True, local_files_only=True)
        self.name, self.digest = folder.name, file_digest(folder / WEIGHTS)
        self._network, self._dtype = network.to(device, dtype).eval(), dtype

    def residuals(
        self,
        latents: Tensor,
        t: Tensor,
        text: Tensor,
        conditions: Sequence[Condition],
        dtype: torch.dtype,
        told: Mapping[str, Tensor],
    ) -> dict[str, Any]:
        """(B, C, h, w) as the U-Net sees them, (B,), (B, tokens, width), B conditions with control, what else the rows
        are told -> the U-Net's arguments, in its `dtype`."""
        shown, scales = (torch.cat([condition[name] for condition in conditions]) for name in (CONTROL, CONTROL_SCALE))
        down, middle = self._network(
            latents.to(self._dtype),
            t,
            encoder_hidden_states=text.to(self._dtype),
            controlnet_cond=shown.to(latents.device, self._dtype),
            conditioning_scale=scales.view(-1, 1, 1, 1).to(latents.device, self._dtype),
            added_cond_kwargs={name: x.to(self._dtype) for name, x in told.items()} or None,
            return_dict=False,
        )
        return {
            "down_block_additional_residuals": [x.to(dtype) for x in down],
            "mid_block_additional_residual": middle.to(dtype),
        }


def _check(name: str, config: dict[str, Any], unet: Any, scale: int) -> None:
    """Raises Refusal with the first reason why it is not for this U-Net."""
    for key, reason in ALIKE.items():
        theirs, ours = _comparable(config.get(key)), _comparable(unet.get(key))
        if theirs != ours:
            why = reason.format(theirs=theirs, ours=ours)
            raise Refusal(f"The ControlNet {name} is not for this model: {why}.")
    if config.get("global_pool_conditions"):
        raise Refusal(f"The ControlNet {name} pools its picture, which is not run here.")
    levels = len(config.get("conditioning_embedding_out_channels") or (16, 32, 96, 256))
    if 2 ** (levels - 1) != scale or config.get("conditioning_channels", 3) != 3:
        raise Refusal(f"The ControlNet {name} is not for this model: it takes pictures of another size or kind.")


def _comparable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
