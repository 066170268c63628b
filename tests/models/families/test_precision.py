"""The precision that each family is run in, and in bf16, as on an accelerator, what its own pipeline draws in bf16."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from torch import Tensor, nn

from playground import open_engine
from playground.models.registry import FAMILIES
from tests.models.families.test_equal import plain
from tests.models.families.test_late_fields import base_of

FP32, FP16, BF16 = torch.float32, torch.float16, torch.bfloat16
# one of each family that accelerators run in bf16
KINDS = (
    "sd3-tiny",
    "flux-dev-tiny",
    "sana-tiny",
    "qwen-image-tiny",
    "z-image-tiny",
    "lumina2-tiny",
    "flux2-klein-base-tiny",
    "pixart-sigma-tiny",
)


@pytest.mark.parametrize("pipeline", FAMILIES)
def test_the_device_and_the_family_say_the_precision(pipeline: str) -> None:
    own = {"StableDiffusionPipeline": (FP16, FP32), "StableDiffusionXLPipeline": (FP16, FP16)}  # on CUDA and Apple's
    expected = dict(zip(("cpu", "cuda", "mps"), (FP32, *own.get(pipeline, (BF16, BF16))), strict=True))
    family = FAMILIES[pipeline]
    assert {kind: family.precision(torch.device(kind)) for kind in expected} == expected
    texts = {dtype: family.precision_of_texts(dtype) for dtype in (FP32, FP16, BF16)}
    assert texts == {dtype: FP32 if pipeline == "StableDiffusionPipeline" else dtype for dtype in texts}


@pytest.mark.parametrize("kind", KINDS)
def test_in_bf16_it_draws_what_its_pipeline_draws_in_bf16(folder_of: Callable[[str], Path], kind: str) -> None:
    """The network answers the same. Pictures differ by what the pipeline rounds besides: its latents and its VAE."""
    engine = open_engine(folder_of(kind), torch.device("cpu"), BF16, "torch")
    pipeline = DiffusionPipeline.from_pretrained(folder_of(kind), dtype=BF16)
    pipeline.set_progress_bar_config(disable=True)
    model, facts = engine.model, engine.facts
    assert facts.precision == "bf16" and {x.dtype for x in model.network.parameters()} == {BF16}
    assert {x.dtype for part in model.text_encoders for x in part.parameters()} == {BF16}
    assert {x.dtype for x in model.vae.parameters()} == {FP32}
    guided = base_of(facts).replace(num_inference_steps=2)
    ours, theirs = first_answer(model.network), first_answer(getattr(pipeline, model.denoiser))
    for recipe in (guided.replace(**{facts.cfg: model.guided_above}), guided):  # the first is of one row in both
        picture, expected = engine.render(recipe).image, plain(pipeline, recipe)
        apart = np.abs(np.asarray(picture).astype(int) - expected).mean()
        assert 0 < apart <= 1.5 and expected.std() > 3, apart  # of 255; measured: 0.3 to 1.0
    (one,), (other,) = ours, theirs
    assert one.dtype is other.dtype is BF16 and torch.isfinite(one).all()
    assert (one - other).float().norm() <= 1e-4 * other.float().norm()  # a rounding of bf16 is 4e-3
    engine.close()


def first_answer(network: nn.Module) -> list[Tensor]:
    """What it answers when it is called for the first time from now on, then."""
    found: list[Tensor] = []

    def keep(_module: nn.Module, _given: Any, answer: Any) -> None:
        hook.remove()
        first = answer[0]
        found.append(torch.stack(first) if isinstance(first, list) else first)

    hook = network.register_forward_hook(keep)
    return found
