"""What the VAE's encoder says of pictures that runs start from, kept, because many cells start from the same one."""

from functools import lru_cache

import torch
from PIL import Image
from torch import Tensor, nn

from playground import pictures

KEPT = 16  # pictures; of one of 1024² there are 3 MB of pixels and half a megabyte of latents


class Posteriors:
    """Of one VAE; latents here are in the VAE's own scale."""

    def __init__(self, vae: nn.Module, device: torch.device) -> None:
        self._vae, self._device = vae, device
        self._of = lru_cache(KEPT)(self._encoded)

    def sample(self, picture: Image.Image, noise: Tensor) -> Tensor:
        """RGB picture, (1, C, h, w) of N(0, 1) -> mean + std · noise, as DiagonalGaussianDistribution has it"""
        picture = picture.convert("RGB")
        mean, std = self._of(picture.size, picture.tobytes())
        return mean + std * noise.to(self._device)

    def _encoded(self, size: tuple[int, int], pixels: bytes) -> tuple[Tensor, Tensor]:
        x = pictures.to_x0(Image.frombytes("RGB", size, pixels))[None].to(self._device)
        found = self._vae.encode(x, return_dict=False)[0]
        return found.mean, found.std
