"""How well a picture fits a prompt, in the opinion of the CLIP towers (Radford et al. 2021,
https://arxiv.org/abs/2103.00020) that lie in a model's own folder: an image encoder, as is kept there for picture
prompts, beside a text encoder that still has its projection, as those of SDXL and Stable Diffusion 3 have.

Two towers whose projections have one width are taken for a pair; whoever puts an image encoder there chooses the one
that was trained with the text encoder.
"""

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import SafetensorError
from transformers import CLIPImageProcessor, CLIPTextModelWithProjection, CLIPTokenizer, CLIPVisionModelWithProjection

IMAGES, PROCESSOR = "image_encoder", "feature_extractor"
TEXTS = {"text_encoder": "tokenizer", "text_encoder_2": "tokenizer_2"}  # and what cuts their prompts
BATCH = 8  # pictures at a time: these towers are large


class ClipPair:
    """Scores of pictures against prompts; prompts are cut at the tokenizer's limit, as the pipeline cuts them."""

    def __init__(
        self,
        tokenizer: CLIPTokenizer,
        text: CLIPTextModelWithProjection,
        processor: CLIPImageProcessor,
        vision: CLIPVisionModelWithProjection,
    ) -> None:
        self.tokenizer, self.text = tokenizer, text.float().eval()
        self.processor, self.vision = processor, vision.float().eval()

    @classmethod
    def load(cls, folder: Path) -> "ClipPair | None":
        """The towers of a model folder in diffusers layout, in fp32 on the CPU; None where the folder has no pair, or
        one that cannot be read. Nothing is downloaded."""
        if (name := text_tower(folder)) is None:
            return None
        local: dict[str, Any] = {"local_files_only": True, "use_safetensors": True}
        try:
            vision = CLIPVisionModelWithProjection.from_pretrained(folder / IMAGES, **local)
            side = vision.config.image_size
            if (folder / PROCESSOR / "preprocessor_config.json").is_file():
                processor = CLIPImageProcessor.from_pretrained(folder / PROCESSOR, local_files_only=True)
            else:
                processor = CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
            return cls(
                CLIPTokenizer.from_pretrained(folder / TEXTS[name], local_files_only=True),
                CLIPTextModelWithProjection.from_pretrained(folder / name, **local),
                processor,
                vision,
            )
        except (OSError, ValueError, RuntimeError, SafetensorError):  # a part is missing or damaged
            return None

    @torch.inference_mode()
    def scores(self, pictures: list[Image.Image], prompts: list[str]) -> list[float]:
        """The cosine similarity, in [-1, 1], of each picture and its own prompt, as many as there are pictures."""
        if not pictures:
            return []
        distinct = list(dict.fromkeys(prompts))
        limit = self.tokenizer.model_max_length
        ids = self.tokenizer(distinct, padding="max_length", max_length=limit, truncation=True, return_tensors="pt")
        texts = F.normalize(self.text(ids.input_ids).text_embeds, dim=-1)  # (distinct, width)
        rows = []
        for first in range(0, len(pictures), BATCH):
            batch = [picture.convert("RGB") for picture in pictures[first : first + BATCH]]
            rows.append(self.vision(self.processor(batch, return_tensors="pt").pixel_values).image_embeds)
        places = [distinct.index(prompt) for prompt in prompts]
        cosines = (F.normalize(torch.cat(rows), dim=-1) * texts[places]).sum(1)
        return cosines.clamp(-1, 1).tolist()


def text_tower(folder: Path) -> str | None:
    """The part of a model folder whose projection is as wide as that of its image encoder; None where there is no such
    pair."""
    images = _config(folder / IMAGES / "config.json")
    width = images.get("projection_dim")
    if not _is(images, CLIPVisionModelWithProjection, width):
        return None
    found = {name: _config(folder / name / "config.json") for name in TEXTS}
    return next((name for name, text in found.items() if _is(text, CLIPTextModelWithProjection, width)), None)


def _config(path: Path) -> dict[str, Any]:
    """Empty where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is(config: dict[str, Any], kind: type, width: Any) -> bool:
    return config.get("architectures") == [kind.__name__] and config.get("projection_dim") == width
