"""The tiny autoencoder of a model's family for previews, such as TAESD: latents -> approximate pictures, quickly.

https://github.com/madebyollin/taesd. Final pictures are the VAE's.
"""

import logging
from pathlib import Path

import torch
from diffusers import AutoencoderTiny
from diffusers.image_processor import VaeImageProcessor
from PIL import Image
from torch import Tensor

from playground.models.folder import CONFIG, network_config, refusing
from playground.models.running.preview import PreviewDecoder
from playground.refusal import Refusal

BESIDE = ("preview", "taesd")  # folders beside a model in which one is looked for
WEIGHTS = "diffusion_pytorch_model.safetensors"
log = logging.getLogger(__name__)


class TinyDecoder:
    """An AutoencoderTiny of one folder in diffusers' layout, with safetensors weights, in fp32."""

    def __init__(self, folder: Path, channels: int, scale: int, device: torch.device) -> None:
        """`channels` and `scale`: of the model's latents. Raises Refusal, with one sentence, for what does not fit."""
        config = network_config(folder, AutoencoderTiny.__name__, "preview decoder")
        theirs = config.get("latent_channels", 4)
        if theirs != channels:
            raise Refusal(
                f"The preview decoder {folder.name} is not for this model: it takes latents of {theirs} channels, and "
                f"this model's have {channels}."
            )
        if not (folder / WEIGHTS).is_file():
            raise Refusal(f"The preview decoder {folder.name} has no {WEIGHTS}; no other file of weights is read.")
        with refusing(f"The preview decoder {folder.name}"):
            network = AutoencoderTiny.from_pretrained(folder, use_safetensors=True, local_files_only=True)
        own = network.config.upsampling_scaling_factor ** (len(network.config.num_decoder_blocks) - 1)
        if own != scale:
            raise Refusal(
                f"The preview decoder {folder.name} is not for this model: it draws {own} pixels a latent, and the "
                f"model's VAE {scale}."
            )
        self._network, self._pixels = network.to(device, torch.float32).eval(), VaeImageProcessor()

    def pictures(self, latents: Tensor) -> list[Image.Image]:
        """(B, C, h, w) in the network's scale -> B pictures, as pipelines decode with it"""
        config = self._network.config
        latents = latents.float() / config.scaling_factor + config.shift_factor
        return self._pixels.postprocess(self._network.decode(latents, return_dict=False)[0], output_type="pil")


def quick_decoder(
    model: Path, given: Path | None, channels: int, scale: int, device: torch.device
) -> TinyDecoder | PreviewDecoder | None:
    """The one in the folder that was given, else the one beside the model; None where the VAE draws previews.

    Raises Refusal where the given one does not fit; one beside the model that does not is left out, which the log says.
    """
    if given is not None:
        return TinyDecoder(given, channels, scale, device)
    own = model.parent if model.is_file() else model
    if (found := PreviewDecoder.load(own, device)) is not None:
        return found
    for folder in (own / name for name in BESIDE):
        if (folder / CONFIG).is_file():
            try:
                return TinyDecoder(folder, channels, scale, device)
            except Refusal as refusal:
                log.warning("%s Previews are drawn by the VAE.", refusal)
    return None
