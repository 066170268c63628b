"""How well a picture fits a prompt, in the opinion of two small contrastive towers (CLIP, Radford et al. 2021,
https://arxiv.org/abs/2103.00020).

Pocket's image tower, a small ResNet as in CLIP's first pair, was trained by `examples/train_pocket/clip.py` to give a
drawn scene (a thing or several, on a plain background) the direction of its caption and of no other caption. The text
tower is the text encoder that the U-Net listens to, locked (LiT, Zhai et al. 2021, https://arxiv.org/abs/2111.07991),
with one small layer on top. It is a small model's opinion: it knows the words, things and styles of those scenes, and
`adherence.json` beside the weights says how often it is right on pictures that it never saw. It learnt nothing from
pictures that Pocket drew.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer, ResNetModel

FOLDER = "clip_image_encoder"
HEADS_FILE = "heads.safetensors"  # beside the image tower: both projections, the text layer, the temperature
SIDE = 96  # pixels per side that the image tower looks at
CELLS = SIDE // 32  # per side of its last feature map
BATCH = 32  # pictures or prompts at a time


class ImageHead(nn.Module):
    """The image tower's last feature map (B, channels, 3, 3) -> picture directions (B, joint), not yet of length 1.

    One matrix over all cells, not their mean: where something is has to count, for "left of" and "above".
    """

    def __init__(self, channels: int = 256, joint: int = 192) -> None:
        super().__init__()
        self.projection = nn.Linear(channels * CELLS**2, joint, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        return self.projection(features.flatten(1))


class TextHead(nn.Module):
    """Hidden states of the locked text encoder (B, L, width) -> text directions (B, joint), not yet of length 1.

    A U-Net reads all hidden states, so nothing made the text encoder gather the whole prompt in its last one, as CLIP's
    does. One attention layer over the words, and their mean, gather it here.
    """

    def __init__(self, width: int = 192, joint: int = 192) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(
            width, width // 64, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, joint, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(2.7))  # log of what cosines are multiplied by in a softmax

    def forward(self, hidden: Tensor, words: Tensor) -> Tensor:
        """(B, L, width) and True where a token belongs to the text, its end included (B, L) -> (B, joint)"""
        hidden = self.layer(hidden, src_key_padding_mask=~words)
        share = words[..., None] / words.sum(1)[:, None, None]
        return self.projection(self.norm((hidden * share).sum(1)))


def inside_text(ids: Tensor, end: int) -> Tensor:
    """Token ids (B, L) padded with the end mark -> True up to the first end mark (B, L)"""
    ends = (ids == end).int()
    return ends.cumsum(1) - ends == 0


def pixels_of(pictures: list[Image.Image]) -> Tensor:
    """Pictures of any size and mode -> (B, 3, 96, 96) in [-1, 1]"""
    resized = [picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC) for picture in pictures]
    return torch.from_numpy(np.stack([np.asarray(p) for p in resized])).permute(0, 3, 1, 2).float() / 127.5 - 1


def has_heads(folder: Path) -> bool:
    """Whether a model folder brings these towers."""
    return (folder / FOLDER / HEADS_FILE).is_file()


class Adherence:
    """Scores of pictures against prompts; prompts are cut at the tokenizer's limit, as the pipeline cuts them."""

    def __init__(
        self,
        tokenizer: CLIPTokenizer,
        text_encoder: CLIPTextModel,
        text_head: TextHead,
        image_encoder: ResNetModel,
        image_head: ImageHead,
    ) -> None:
        self.tokenizer = tokenizer
        self.text_encoder, self.text_head = text_encoder.float().eval(), text_head.float().eval()
        self.image_encoder, self.image_head = image_encoder.float().eval(), image_head.float().eval()

    @classmethod
    def load(cls, folder: Path) -> "Adherence | None":
        """The towers of a model folder, in fp32 on the CPU; None where the folder has none. Nothing is downloaded."""
        if not has_heads(folder):
            return None
        heads_file = folder / FOLDER / HEADS_FILE
        heads = nn.ModuleDict({"text": TextHead(), "image": ImageHead()})
        heads.load_state_dict({name: value.float() for name, value in load_file(heads_file).items()})
        return cls(
            CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True),
            CLIPTextModel.from_pretrained(folder / "text_encoder", use_safetensors=True, local_files_only=True),
            heads["text"],
            ResNetModel.from_pretrained(
                folder / FOLDER, use_safetensors=True, local_files_only=True, dtype=torch.float32
            ),
            heads["image"],
        )

    @property
    def temperature(self) -> float:
        """What cosines are divided by before a softmax, learnt with the towers."""
        return 1 / self.text_head.logit_scale.exp().item()

    @torch.inference_mode()
    def text_features(self, prompts: list[str]) -> Tensor:
        """-> (N, 192), each of length 1"""
        limit, end, rows = self.tokenizer.model_max_length, self.tokenizer.eos_token_id, []
        for first in range(0, len(prompts), BATCH):
            batch = prompts[first : first + BATCH]
            # Padded to the longest only: causal attention never looks at what follows.
            ids = self.tokenizer(
                batch, padding="longest", max_length=limit, truncation=True, return_tensors="pt"
            ).input_ids
            hidden = self.text_encoder(ids).last_hidden_state
            rows.append(F.normalize(self.text_head(hidden, inside_text(ids, end)), dim=-1))
        return torch.cat(rows)

    @torch.inference_mode()
    def image_features(self, pictures: list[Image.Image]) -> Tensor:
        """-> (N, 192), each of length 1"""
        rows = []
        for first in range(0, len(pictures), BATCH):
            features = self.image_encoder(pixels_of(pictures[first : first + BATCH])).last_hidden_state
            rows.append(F.normalize(self.image_head(features), dim=-1))
        return torch.cat(rows)

    def scores(self, pictures: list[Image.Image], prompts: list[str]) -> list[float]:
        """The cosine similarity, in [-1, 1], of each picture and its own prompt; higher fits better.

        Compare scores of pictures for the same prompt. Between prompts they differ for other reasons too. Raises
        ValueError where there are not as many prompts as pictures.
        """
        if len(pictures) != len(prompts):
            raise ValueError(f"prompts must be as many as pictures, {len(pictures)}, not {len(prompts)}.")
        if not pictures:
            return []
        distinct = list(dict.fromkeys(prompts))
        rows = torch.tensor([distinct.index(prompt) for prompt in prompts])
        cosines = (self.image_features(pictures) * self.text_features(distinct)[rows]).sum(1)
        return cosines.clamp(-1, 1).tolist()

    def probabilities(self, picture: Image.Image, prompts: list[str]) -> list[float]:
        """How the towers share their belief between alternative prompts for one picture: a softmax, sums to 1."""
        if not prompts:
            raise ValueError("prompts must have at least one text.")
        cosines = self.text_features(prompts) @ self.image_features([picture])[0]
        return (cosines / self.temperature).softmax(0).tolist()
