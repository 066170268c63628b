"""A latent diffusion model as the engine needs it: words in, noise predicted, latents decoded."""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from playground.models.device import default_device, default_dtype, offload_for, use_the_cores_present
from playground.models.lora import Loras, Weights
from playground.models.preview import PreviewDecoder
from playground.recipe import Recipe

REGISTERED: dict[str, Path] = {"pocket": Path(__file__).parent / "pocket"}
TEXT_CACHE = 512  # encodings kept; one is 25 kB for Pocket


class LatentModel:
    """Stable Diffusion's layout (text encoder, U-Net, VAE, schedule), loaded by diffusers.

    The U-Net runs in `dtype`; latents, schedules and the VAE stay in fp32, so that no banding appears.
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
        self.unet = pipeline.unet.to(dtype, memory_format=torch.channels_last).eval()
        self.vae = pipeline.vae.to(torch.float32, memory_format=torch.channels_last).eval()
        self._place(pipeline)
        self.loras = Loras(self.unet, loras, device, dtype)
        self.scheduler_config = pipeline.scheduler.config
        self.prediction_type: str = self.scheduler_config.get("prediction_type", "epsilon")
        self.vae_scale = pipeline.vae_scale_factor  # pixels per latent, per side
        self.channels: int = self.unet.config.in_channels
        self.default_side: int = self.unet.config.sample_size * self.vae_scale
        self.preview_decoder = preview_decoder
        self._image_processor = pipeline.image_processor
        self._compiled: Callable | None = None
        self.encode = lru_cache(TEXT_CACHE)(self._encode)

    def _place(self, pipeline: StableDiffusionPipeline) -> None:
        """Weights onto the device, all at once or, on a small card, as they are needed (accelerate's hooks)."""
        offload = None
        if self.device.type == "cuda":
            sizes = [_bytes(part) for part in (self.text_encoder, self.unet, self.vae)]
            card = torch.cuda.get_device_properties(self.device).total_memory
            offload = offload_for(sum(sizes), max(sizes), card)
        if offload == "model":
            pipeline.enable_model_cpu_offload(device=self.device)
        elif offload == "sequential":
            pipeline.enable_sequential_cpu_offload(device=self.device)
        else:
            pipeline.to(self.device)

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
        return self.text_encoder(ids.to(self.device))[0].to(self.dtype)

    @torch.inference_mode()
    def predict(
        self, latents: torch.Tensor, t: torch.Tensor, text: torch.Tensor, loras: Sequence[Weights] | None = None
    ) -> torch.Tensor:
        """(B, 4, h, w), (B,), (B, tokens, width), B rows' LoRAs -> the network's output (B, 4, h, w) in fp32"""
        rows = len(latents)
        changed = loras is not None and any(weight for row in loras for _, weight in row)
        unet = self.unet if self._compiled is None or changed else self._compiled  # LoRAs hook into plain modules
        if unet is not self.unet:
            latents, t, text = (filled_up(x) for x in (latents, t, text))
        latents = latents.to(self.dtype).contiguous(memory_format=torch.channels_last)
        with self.loras.added(loras) if changed else nullcontext():
            return unet(latents, t, text, return_dict=False)[0][:rows].float().contiguous()

    def compile(self) -> None:
        """Let torch.compile specialise the U-Net: worth its minutes of compiling on a card that then runs for hours."""
        mode = "reduce-overhead" if self.device.type == "cuda" else "default"  # CUDA graphs want fixed batch sizes
        self._compiled = torch.compile(self.unet, mode=mode, dynamic=False)

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


def filled_up(rows: torch.Tensor) -> torch.Tensor:
    """(B, …) -> the next power of two of rows, the last one repeated, so that few batch sizes are ever compiled"""
    wanted = 1 << (len(rows) - 1).bit_length()
    return torch.cat([rows, rows[-1:].expand(wanted - len(rows), *rows.shape[1:])]) if wanted > len(rows) else rows


def _bytes(part: torch.nn.Module) -> int:
    return sum(p.numel() * p.element_size() for p in part.parameters())


def _fingerprint(folder: Path, dtype: torch.dtype) -> str:
    """16 digits over the weights and settings of the parts that `model_index.json` names, and the precision: pictures
    without LoRAs are kept under it. What else lies in the folder (figures, previews) changes no picture."""
    digest = hashlib.sha256(json.dumps(str(dtype)).encode())
    index = folder / "model_index.json"
    parts = [part for part in json.loads(index.read_text(encoding="utf-8")) if (folder / part).is_dir()]
    for path in [index, *sorted(path for part in parts for path in (folder / part).rglob("*"))]:
        if path.suffix in (".safetensors", ".json", ".txt"):
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
