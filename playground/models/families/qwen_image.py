"""Qwen-Image: latents packed into tokens, words read by Qwen 2.5 VL (Wu et al. 2025,
https://arxiv.org/abs/2508.02324)."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from playground.models.contract import TEXT, Condition
from playground.models.facts import CALL, usual_recipe
from playground.models.families.base import Family
from playground.models.words import template_sizes
from playground.recipe import Recipe

MOST_TOKENS = 512  # the pipeline's max_sequence_length, which is less than its encode_prompt's


class QwenImage(Family):
    """What a recipe says as guidance_scale is its pipeline's true_cfg_scale, the only scale that it has."""

    title = "Qwen-Image"
    call = {"negative_prompt": CALL["negative_prompt"], "true_cfg_scale": CALL["guidance_scale"]}
    patch = 2

    @property
    def tokens(self) -> int:
        return MOST_TOKENS - (self._template[0] - self.pipeline.prompt_template_encode_start_idx)

    @property
    def around(self) -> int:
        return sum(self._template)

    @property
    def _template(self) -> tuple[int, int]:
        """Tokens that the pipeline's template takes before and after a prompt; of the first it takes some away again,
        with the usual tokenizer all."""
        return template_sizes(self.pipeline.tokenizer, self.pipeline.prompt_template_encode.format)

    @torch.inference_mode()
    def encoded(self, words: str, negative: bool = False) -> Condition:
        # one text alone has no padding to mask
        text, _ = self.pipeline.encode_prompt(words, device=self.device, max_sequence_length=MOST_TOKENS)
        return {TEXT: text}

    def inputs(self, latents: Tensor, t: Tensor, conditions: Sequence[Condition]) -> dict[str, Any]:
        rows, columns = (side // 2 for side in latents.shape[2:])
        texts = [condition[TEXT] for condition in conditions]
        lengths = [text.shape[1] for text in texts]
        padded = torch.cat([pad(text, (0, 0, 0, max(lengths) - text.shape[1])) for text in texts])
        mask = None
        if min(lengths) < max(lengths):
            places = torch.arange(max(lengths), device=latents.device)
            mask = (places < torch.tensor(lengths, device=latents.device)[:, None]).long()
        return {
            "hidden_states": self.pipeline._pack_latents(latents, *latents.shape),
            "timestep": t.to(self.dtype) / 1000,
            "guidance": None,
            TEXT: padded,
            f"{TEXT}_mask": mask,
            "img_shapes": [[(1, rows, columns)]] * len(latents),
        }

    def output(self, answer: Tensor, latents: Tensor) -> Tensor:
        """(B, tokens, 4 C) -> (B, C, h, w)"""
        height, width = (side * self.scale for side in latents.shape[2:])
        return self.pipeline._unpack_latents(answer, height, width, self.scale)[:, :, 0]

    def combine(self, unconditional: Tensor, conditional: Tensor, recipe: Recipe) -> Tensor:
        """Guided, and every token as long as without it, as the pipeline does it."""
        guided = super().combine(unconditional, conditional, recipe)
        lengths = [self.pipeline._pack_latents(x, *x.shape).norm(dim=-1) for x in (conditional, guided)]
        rows, columns = (side // 2 for side in guided.shape[2:])
        ratio = (lengths[0] / lengths[1]).reshape(-1, 1, rows, columns)
        return guided * ratio.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> list[Image.Image]:
        frames = self.vae.decode(self.unscaled(latents), return_dict=False)[0]
        return self.pipeline.image_processor.postprocess(frames[:, :, 0], output_type="pil")

    def unscaled(self, latents: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, 1, h, w): its VAE is one for films, and a picture is a film of one frame."""
        mean, std = self._statistics(latents.device)
        return (latents * std + mean).unsqueeze(2)

    def scaled(self, latents: Tensor) -> Tensor:
        mean, std = self._statistics(latents.device)
        return (latents.squeeze(2) - mean) / std

    def pixels(self, picture: Tensor) -> Tensor:
        return picture.unsqueeze(2)

    def usual(self, name: str, schedule: dict[str, Any]) -> Recipe:
        side = self.pipeline.default_sample_size * self.scale
        return usual_recipe(name, side, sampler="euler", num_inference_steps=50, guidance_scale=4.0)

    def _statistics(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of its VAE's latents, each (1, C, 1, 1)."""
        config = self.vae.config
        mean, std = (torch.tensor(config[f"latents_{name}"], device=device) for name in ("mean", "std"))
        return mean.view(1, -1, 1, 1), std.view(1, -1, 1, 1)

    @property
    def channels(self) -> int:
        return self.network.config.in_channels // 4  # four latents are one token

    def schedule(self, config: dict[str, Any], scheduler: str) -> dict[str, Any]:
        return super().schedule(config, scheduler) | {"_even": True, "_even_unipc": True}
