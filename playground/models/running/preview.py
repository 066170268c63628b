"""Pocket's tiny decoder for previews: latents -> half-size pictures, with all its work at latent size."""

from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

WIDTH = 64
UPSAMPLE = 4  # pixels per latent and side; the VAE's own factor is 8


class Block(nn.Module):
    """x + f(x), two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.f = nn.Sequential(
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.ReLU(), nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.f(x)


class PreviewDecoder(nn.Sequential):
    """Scaled latents (B, 4, h, w) -> pictures (B, 3, 4h, 4w) in [0, 1], approximately."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(4, WIDTH, 3, padding=1),
            nn.ReLU(),
            Block(),
            Block(),
            nn.Conv2d(WIDTH, 3 * UPSAMPLE**2, 3, padding=1),
            nn.PixelShuffle(UPSAMPLE),
        )

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> "PreviewDecoder | None":
        """The decoder beside a model's weights, or None where a model has none."""
        path = folder / "preview" / "decoder.safetensors"
        if not path.is_file():
            return None
        decoder = cls()
        decoder.load_state_dict({k: v.float() for k, v in load_file(path).items()})
        return decoder.to(device, memory_format=torch.channels_last).eval()

    def pictures(self, latents: Tensor) -> list[Image.Image]:
        """(B, 4, h, w) -> B pictures of 4h × 4w"""
        pixels = self(latents.float()).clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return [Image.fromarray(p) for p in pixels]
