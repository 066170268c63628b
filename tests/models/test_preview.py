"""The quick decoder shows what the VAE would, also of the first guesses, which with guidance are like no picture."""

import pytest
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from playground import Recipe
from playground.engine import Done, Keep, LocalEngine, Step
from playground.models import REGISTERED
from playground.models.running.preview import PreviewDecoder

POCKET = REGISTERED["pocket"]
PROMPTS = ("red apple, blue background", "a cat and a red car", "three beetles, white background", "guitar")
FEWEST = 22.0  # dB at any step, over the prompts


@pytest.mark.parametrize("guidance", [1.0, 5.0, 12.0])
@torch.no_grad()
def test_it_is_close_to_the_vae_at_every_step(engine: LocalEngine, guidance: float) -> None:
    runs = [Recipe(prompt=prompt, guidance_scale=guidance, seed=i, width=128) for i, prompt in enumerate(PROMPTS)]
    seen: list[list[torch.Tensor]] = [[] for _ in runs]
    for event in engine.run(runs, previews=False, keep=Keep(latents=True)):
        if isinstance(event, Step):
            seen[event.cell].append(event.kept.x0.float())
        elif isinstance(event, Done):
            seen[event.cell].append(event.result.x0.float())
    latents = torch.stack([torch.cat(shots) for shots in seen])  # (runs, steps + 1, 4, 16, 16)
    vae = AutoencoderKL.from_pretrained(POCKET / "vae").eval()
    decoder = PreviewDecoder.load(POCKET, torch.device("cpu"))
    flat = latents.flatten(0, 1)
    pictures = vae.decode(flat / vae.config.scaling_factor).sample / 2 + 0.5
    error = (decoder(flat).clamp(0, 1) - F.avg_pool2d(pictures.clamp(0, 1), 2)).square().mean((1, 2, 3))
    by_step = -10 * error.unflatten(0, latents.shape[:2]).mean(0).log10()
    assert by_step.min() >= FEWEST, by_step
