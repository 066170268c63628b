"""A latent diffusion model as the engine needs it: words in, noise predicted, latents decoded."""

import copy
import hashlib
import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from torch import nn

from playground.models.lora.rows import Loras, Weights
from playground.models.running.device import default_device, default_dtype, offload_for
from playground.models.running.network import Network
from playground.models.running.offload import layer_by_layer, one_part_at_a_time
from playground.models.running.preview import PreviewDecoder
from playground.models.running.threads import use_the_cores_present
from playground.recipe import Recipe

REGISTERED: dict[str, Path] = {"pocket": Path(__file__).parents[1] / "pocket"}
TEXT_CACHE = 512  # encodings kept; one is 25 kB for Pocket
EXACT_FROM = 0.7  # of the schedule's timesteps: from there upwards a CPU network in bf16 leaves the rows to one in fp32


class LatentModel:
    """Stable Diffusion's layout (text encoder, U-Net, VAE, schedule), loaded by diffusers.

    The U-Net runs in `dtype`; latents, schedules, texts and the VAE stay in fp32, so that no banding appears. Where
    `dtype` is bf16 on a CPU, rows at timesteps from EXACT_FROM of the schedule upwards run in fp32 as well: they decide
    what the picture becomes, and rounded to bf16's 8 bits they can make another one of it.
    """

    def __init__(
        self,
        name: str,
        pipeline: StableDiffusionPipeline,
        device: torch.device,
        dtype: torch.dtype,
        fingerprint: str,
        preview_decoder: PreviewDecoder | None = None,
        loras: Path | None = None,  # a folder of LoRA files
    ) -> None:
        self.name, self.device, self.dtype, self.fingerprint = name, device, dtype, fingerprint
        use_the_cores_present()
        self.tokenizer = pipeline.tokenizer
        self.text_encoder = pipeline.text_encoder.to(torch.float32).eval()
        early = copy.deepcopy(pipeline.unet) if dtype is torch.bfloat16 and device.type == "cpu" else None
        self.unet = pipeline.unet.to(dtype, memory_format=torch.channels_last).eval()
        self.vae = pipeline.vae.to(torch.float32, memory_format=torch.channels_last).eval()
        self._place()
        self._network = Network(self.unet, device, dtype, loras)
        self.loras: Loras = self._network.loras
        self._early = None
        if early is not None:
            early = early.to(torch.float32, memory_format=torch.channels_last).eval()
            self._early = Network(early, device, torch.float32, loras)
        self.scheduler_config = pipeline.scheduler.config
        self.exact_from: float = EXACT_FROM * self.scheduler_config["num_train_timesteps"]
        self.prediction_type: str = self.scheduler_config.get("prediction_type", "epsilon")
        self.vae_scale = pipeline.vae_scale_factor  # pixels per latent, per side
        self.channels: int = self.unet.config.in_channels
        self.default_side: int = self.unet.config.sample_size * self.vae_scale
        self.preview_decoder = preview_decoder
        self._image_processor = pipeline.image_processor
        self.encode = lru_cache(TEXT_CACHE)(self._encode)

    def _place(self) -> None:
        """Weights onto the device, all at once or, on a small card, as they are needed."""
        parts, offload = (self.text_encoder, self.unet, self.vae), None
        if self.device.type == "cuda":
            sizes = [_bytes(part) for part in parts]
            card = torch.cuda.get_device_properties(self.device).total_memory
            offload = offload_for(sum(sizes), max(sizes), card)
        if offload == "model":
            one_part_at_a_time(parts, self.device)
        elif offload == "sequential":
            layer_by_layer(parts, self.device)
        else:
            for part in parts:
                part.to(self.device)

    @property
    def parameters(self) -> int:
        """Parameters of text encoder, U-Net and VAE together."""
        return sum(p.numel() for m in (self.text_encoder, self.unet, self.vae) for p in m.parameters())

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Pixels -> (1, 4, H/8, W/8)"""
        return (1, self.channels, height // self.vae_scale, width // self.vae_scale)

    @torch.inference_mode()
    def _encode(self, text: str) -> torch.Tensor:
        """text -> (1, tokens, width), cut and padded to the tokenizer's limit as StableDiffusionPipeline does"""
        ids = self.tokenizer(
            text,
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        ).input_ids
        return self.text_encoder(ids.to(self.device))[0]

    @property
    def unets(self) -> tuple[nn.Module, ...]:
        """Whatever answers `predict`: the U-Net, and with bf16 on a CPU its fp32 twin."""
        return (self.unet,) if self._early is None else (self.unet, self._early.unet)

    @torch.inference_mode()
    def predict(
        self, latents: torch.Tensor, t: torch.Tensor, text: torch.Tensor, loras: Sequence[Weights] | None = None
    ) -> torch.Tensor:
        """(B, 4, h, w), (B,), (B, tokens, width), B rows' LoRAs -> the network's output (B, 4, h, w) in fp32"""
        if self._early is None:
            return self._network(latents, t, text, loras)
        early = t >= self.exact_from
        outputs = torch.empty_like(latents, dtype=torch.float32)
        for network, its in ((self._early, early), (self._network, ~early)):
            if rows := its.nonzero()[:, 0].tolist():
                outputs[rows] = network(latents[rows], t[rows], text[rows], loras and [loras[row] for row in rows])
        return outputs

    def compile(self, backend: str | Callable = "inductor") -> None:
        """Let torch.compile specialise the U-Net for pictures of the model's own size: worth its minutes where the page
        then runs for hours. Raises ValueError with one sentence where that cannot be done."""
        latents = torch.zeros(self.latent_shape(self.default_side, self.default_side), device=self.device)
        for network in (self._network, self._early):
            if network is not None:
                network.compile(latents, torch.zeros(1, device=self.device), self.encode(""), backend)

    @torch.inference_mode()
    def decode(self, latents: torch.Tensor) -> list[Image.Image]:
        """(B, 4, h, w) -> B pictures, by the real VAE"""
        pixels = self.vae.decode(latents / self.vae.config.scaling_factor, return_dict=False)[0]
        return self._image_processor.postprocess(pixels, output_type="pil")

    @torch.inference_mode()
    def preview(self, latents: torch.Tensor) -> list[Image.Image]:
        """(B, 4, h, w) -> B quick, approximate pictures"""
        if self.preview_decoder is None:
            return self.decode(latents)
        return self.preview_decoder.pictures(latents)

    def fingerprint_for(self, recipe: Recipe) -> str:
        """16 digits over the weights that make this picture: the model's own, and the files of its LoRAs."""
        used = [(name, self.loras.digest(name)) for name, _ in recipe.active_loras]
        if not used:
            return self.fingerprint
        return hashlib.sha256(json.dumps([self.fingerprint, used]).encode()).hexdigest()[:16]

    def token_count(self, text: str) -> tuple[int, int]:
        """(tokens of the text, tokens that fit), start and end marks included"""
        return len(self.tokenizer(text).input_ids), self.tokenizer.model_max_length


def load_model(
    name_or_folder: str | Path, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> LatentModel:
    """A registered name, or a local folder in diffusers layout with safetensors weights.

    Raises ValueError with one sentence when there is no such model. Nothing is ever downloaded.
    """
    device = device or default_device()
    name = str(name_or_folder)
    folder = REGISTERED.get(name, Path(name_or_folder))
    if not (folder / "model_index.json").is_file():
        raise ValueError(f"There is no model named {Path(name).name!r}; known: {', '.join(REGISTERED)}.")
    dtype = dtype or default_dtype(device)
    pipeline = StableDiffusionPipeline.from_pretrained(
        folder, safety_checker=None, use_safetensors=True, local_files_only=True
    )
    return LatentModel(
        name if name in REGISTERED else folder.name,
        pipeline,
        device,
        dtype,
        _fingerprint(folder, dtype),
        PreviewDecoder.load(folder, device),
        folder / "loras",
    )


def _bytes(part: torch.nn.Module) -> int:
    return sum(p.numel() * p.element_size() for p in part.parameters())


def _fingerprint(folder: Path, dtype: torch.dtype) -> str:
    """16 digits over the weights and settings of the parts that `model_index.json` names, and the precision: pictures
    without LoRAs are kept under it. What else lies in the folder (figures, previews) changes no picture."""
    precision = [str(dtype), EXACT_FROM] if dtype is torch.bfloat16 else str(dtype)
    digest = hashlib.sha256(json.dumps(precision).encode())
    index = folder / "model_index.json"
    parts = [part for part in json.loads(index.read_text(encoding="utf-8")) if (folder / part).is_dir()]
    for path in [index, *sorted(path for part in parts for path in (folder / part).rglob("*"))]:
        if path.suffix in (".safetensors", ".json", ".txt"):
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
