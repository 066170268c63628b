"""A single `.safetensors` file in the layout that Stable Diffusion was published in -> a diffusers pipeline.

diffusers renames the tensors; what it would fetch from the hub besides, settings and tokenizers, is shipped in
`layouts/`. Which prediction type a file of 2.x has is not written in it: both kinds have the same tensors.
"""

import gzip
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import DiffusionPipeline, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTokenizer

from playground.models.complete import check_whole
from playground.models.facts import Facts
from playground.models.folder import refusing
from playground.refusal import Refusal
from playground.sources import header, single_file
from playground.sources.parts import index_of
from playground.sources.single_file import LAYOUTS

MERGES = LAYOUTS / "clip" / "merges.txt.gz"
POSITIONS = 77  # that CLIP's text encoders read
START, END = "<|startoftext|>", "<|endoftext|>"
PADDING = {"sd1": (END,), "sd2": ("!",), "sdxl": (END, "!")}  # of each tokenizer, in the order of the encoders
MARK_OF_V, MARK_OF_ZERO_SNR = "v_pred", "ztsnr"  # tensors that trainers add to say so
SIDE_OF_BASE = 512  # pixels; of 2.x, the models that predict noise are smaller than those that predict velocity
FEW_STEPS = re.compile("turbo|lightning|hyper.?sd|lcm", re.IGNORECASE)  # what names of models distilled for them say
SEEN_AS_NOISE = 0.5  # correlation of the answer with pure noise, above which it predicts noise; see `predicts_noise`


def load(path: Path) -> DiffusionPipeline:
    """The pipeline on the CPU, in fp32. Raises Refusal, with one sentence, for no whole model."""
    head = header.read(path)
    published = single_file.layout_of(head, path)
    beside = single_file.settings_beside(path)
    folder = beside or LAYOUTS / published
    pipeline_class = getattr(diffusers, index_of(folder)["_class_name"])
    parts: dict[str, Any] = {"safety_checker": None, "feature_extractor": None, "image_encoder": None}
    if beside is None:
        names = ("tokenizer", "tokenizer_2")
        parts |= {name: tokenizer(mark) for name, mark in zip(names, PADDING[published], strict=False)}
    parts = {
        name: part for name, part in parts.items() if name in pipeline_class._get_signature_keys(pipeline_class)[0]
    }
    with refusing(f"The model in {path.name}"):
        try:
            pipeline = pipeline_class.from_single_file(str(path), config=str(folder), local_files_only=True, **parts)
        except NotImplementedError:  # by torch, of tensors without values
            raise Refusal(f"{path.name} is no whole model: some weights of its networks are missing.") from None
    check_whole(pipeline, path.name)
    if beside is None:
        _tell(pipeline, published, head)
    return pipeline


def read_as_plain(facts: Facts) -> str:
    """One sentence where a file's name or title says that it draws in few steps and the settings that it was read by do
    not; empty for all others."""
    path = Path(facts.folder)
    if not path.is_file() or facts.guidance == "none":
        return ""
    beside = single_file.settings_beside(path)
    if beside and index_of(beside)["scheduler"][-1] == "LCMScheduler":
        return ""
    if not any(map(FEW_STEPS.search, (path.stem, header.read(path).notes.get("modelspec.title", "")))):
        return ""
    return (
        f"{path.name} is named as a model for few steps, and no setting of it says so, so it is read as a plain one; "
        f"the scheduler in a folder {path.stem} beside it can say it."
    )


@lru_cache(4)
def tokenizer(padding: str) -> CLIPTokenizer:
    """CLIP's, from its shipped word pieces: 256 bytes, the same at the end of a word, one piece a pair, two marks."""
    pairs = [tuple(line.split()) for line in gzip.decompress(MERGES.read_bytes()).decode().splitlines()]
    letters = _letters()
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, pairs), START, END]
    return CLIPTokenizer(
        vocab={piece: i for i, piece in enumerate(pieces)}, merges=pairs, pad_token=padding, model_max_length=POSITIONS
    )


def _letters() -> list[str]:
    """One letter for each byte, in the order of the vocabulary: those that can be printed, then the others as the
    letters from 256 on (Radford et al. 2019, byte-level BPE)."""
    printed = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = 256 - len(printed)
    return [*map(chr, printed), *map(chr, range(256, 256 + others))]


def _tell(pipeline: DiffusionPipeline, published: str, head: header.Header) -> None:
    """Into the pipeline's settings: the prediction type and the size of its pictures, where the file says them."""
    settings: dict[str, Any] = {}
    noted = str(head.notes.get("modelspec.prediction_type", "")).lower()
    if MARK_OF_V in head.shapes or noted in ("v", "v_prediction"):
        settings["prediction_type"] = "v_prediction"
    elif noted == "epsilon" or (published == "sd2" and predicts_noise(pipeline.unet.float())):
        settings["prediction_type"] = "epsilon"
    if MARK_OF_ZERO_SNR in head.shapes:
        settings |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    if settings:
        scheduler = diffusers.DDIMScheduler if MARK_OF_ZERO_SNR in head.shapes else type(pipeline.scheduler)
        pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config, **settings)
    side = _side(str(head.notes.get("modelspec.resolution", "")))
    if published == "sd2" and settings.get("prediction_type") == "epsilon":
        side = side or SIDE_OF_BASE
    if side:
        pipeline.unet.register_to_config(sample_size=side // pipeline.vae_scale_factor)


def _side(noted: str) -> int:
    """ "768x768" -> 768; 0 for what says no square that a recipe can ask for."""
    width, _, height = noted.partition("x")
    fits = width == height and width.isdecimal() and int(width) % 64 == 0 and 256 <= int(width) <= 1024
    return int(width) if fits else 0


@torch.inference_mode()
def predicts_noise(unet: UNet2DConditionModel | nn.Module, side: int = 32) -> bool:
    """Whether a network predicts noise (ε) rather than velocity (v), by one call at the last timestep.

    There x_t is nearly all noise: ε = x_t up to a few per cent, while v = √ᾱ ε − √(1−ᾱ) x₀ (Salimans and Ho 2022,
    https://arxiv.org/abs/2202.00512) has hardly any of it. So the correlation of the answer with x_t tells them apart:
    near 1 or near 0.
    """
    noise = torch.randn(1, unet.config.in_channels, side, side, generator=torch.Generator().manual_seed(0))
    words = torch.zeros(1, 1, unet.config.cross_attention_dim)
    answer: Tensor = unet(noise, 999, encoder_hidden_states=words, return_dict=False)[0]
    return float(torch.corrcoef(torch.stack([noise.flatten(), answer.flatten()]))[0, 1]) > SEEN_AS_NOISE
