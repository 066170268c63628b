"""The grid rows on a card, with a model of Stable Diffusion 1.5's shape and random weights, 512 × 512 pixels.

    python -m tests.benchmarks.large_model [--repeats 3]

Pictures of random weights mean nothing, but they cost what real ones cost. Without a card this says so and stops.
"""

import tempfile
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from playground import Recipe, Sweep
from playground.engine import open_engine
from playground.models import REGISTERED
from tests.benchmarks.measure import draw, interleaved, main, pipeline_loop, ratio

BASE = Recipe(prompt="red apple, blue background", seed=7, width=512, height=512, model="sd15-shape")
GUIDANCE = Sweep(BASE, {"guidance_scale": [1.5, 2, 3, 4, 5, 7, 9, 15]}).recipes()
STEPS = Sweep(
    BASE, {"num_inference_steps": [5, 10, 20, 40], "sampler": ["ddim", "dpmpp_2m", "euler_a", "heun"]}
).recipes()
NO_CARD = "no GPU here"


def sd15_shape(dtype: torch.dtype) -> StableDiffusionPipeline:
    """860 M parameters of U-Net, as Stable Diffusion 1.5 configures them; the tokenizer is Pocket's."""
    text = CLIPTextConfig(
        vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12
    )
    with torch.device("cuda"):
        unet = UNet2DConditionModel(
            sample_size=64,
            cross_attention_dim=768,
            attention_head_dim=8,
            block_out_channels=(320, 640, 1280, 1280),
            layers_per_block=2,
        )
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=4,
            sample_size=512,
        )
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text).to("cuda"),
        tokenizer=CLIPTokenizer.from_pretrained(REGISTERED["pocket"], subfolder="tokenizer"),
        unet=unet,
        scheduler=DDIMScheduler.from_pretrained(REGISTERED["pocket"], subfolder="scheduler"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return pipeline.to(dtype=dtype)


def rows(repeats: int) -> list[tuple[str, str, str]]:
    work = ("8-cell guidance grid, Stable Diffusion 1.5 shape, 512²", "steps 5, 10, 20, 40 × 4 samplers, same model")
    against = "loop of `StableDiffusionPipeline`, fp16"
    if not torch.cuda.is_available():
        return [(name, against, NO_CARD) for name in work]
    plain = sd15_shape(torch.float16)
    plain.set_progress_bar_config(disable=True)
    with tempfile.TemporaryDirectory() as folder:
        plain.save_pretrained(Path(folder) / "sd15-shape")
        engine = open_engine(Path(folder) / "sd15-shape")
    engine.warm_up()
    taken = interleaved(
        {
            "loop": lambda: pipeline_loop(plain, GUIDANCE),
            "engine": lambda: draw(engine, GUIDANCE),
            "loop of steps": lambda: pipeline_loop(plain, STEPS),
            "engine steps": lambda: draw(engine, STEPS),
        },
        repeats,
    )
    pairs = (("loop", "engine"), ("loop of steps", "engine steps"))
    return [(name, against, ratio(taken[a], taken[b])) for name, (a, b) in zip(work, pairs, strict=True)]


if __name__ == "__main__":
    main(__doc__, rows)
