"""Stable Diffusion 1.x, 2.x and Turbo, and Pocket, which has their layout: text encoder, U-Net, VAE and schedule.

What StableDiffusionPipeline does with a recipe happens here in the same order with the same modules.
"""

import copy
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg
from PIL import Image
from torch import Tensor

from playground import pictures
from playground.models.anatomy import Anatomy, Cost
from playground.models.contract import CONTROL, Condition, Look, Weights
from playground.models.control import ControlNet
from playground.models.facts import Facts, Pairs, Text
from playground.models.families.sd_usual import is_turbo, samplers, usual
from playground.models.folder import described, fingerprint, licence
from playground.models.loading import Loaded
from playground.models.lora.folder import LoraFiles, own_folder
from playground.models.lora.texts import TextLoras
from playground.models.running.attention import capturing, cross_attention_layers, looks
from playground.models.running.decoder import Decoder
from playground.models.running.device import PRECISIONS, default_dtype
from playground.models.running.network import Network
from playground.models.running.offload import place
from playground.models.running.plan import AS_RUN
from playground.models.running.posterior import Posteriors
from playground.models.running.skeleton import Skeletons, anatomy_of
from playground.models.running.text_cache import TextCache
from playground.models.running.threads import use_the_cores_present
from playground.models.running.tiny_decoder import quick_decoder
from playground.models.weighted import WeighingCutter, rows_of, weighted
from playground.recipe import Recipe

EXACT_FROM = 0.7  # of the schedule's timesteps: from there upwards a CPU network in bf16 leaves the rows to one in fp32
TEXT = "encoder_hidden_states"  # the network's only argument that a text fills
PIXELS = 8  # StableDiffusionPipeline takes no other multiples


class StableDiffusion:
    """A `Model`. The U-Net runs in `dtype`; latents, schedules, texts and the VAE stay in fp32, so that no banding
    appears. Where `dtype` is bf16 on a CPU, rows at timesteps from EXACT_FROM of the schedule upwards run in fp32 as
    well: they decide what the picture becomes, and rounded to bf16's 8 bits they can make another one of it.
    """

    left_out: ClassVar[dict[str, None]] = {"safety_checker": None, "feature_extractor": None}

    def __init__(
        self,
        name: str,
        loaded: Loaded,
        device: torch.device,
        dtype: torch.dtype,
        folder: Path,
        loras: Sequence[Path] = (),
    ) -> None:
        """`folder`: where the pipeline was read; `loras`: folders of LoRA files for any model, besides its own."""
        self.device, self.dtype = device, dtype
        use_the_cores_present()
        pipeline, self._plan = loaded.pipeline, loaded.plan
        self.tokenizer = pipeline.tokenizer
        self.text_encoder = pipeline.text_encoder.to(torch.float32).eval()
        early = None
        if dtype is torch.bfloat16 and device.type == "cpu":
            again = loaded.read.get("unet")  # a single file is read as it is
            early = again(dtype=torch.float32) if again else copy.deepcopy(pipeline.unet)
        self.unet = pipeline.unet.to(memory_format=torch.channels_last).eval()
        if self._plan.storage == AS_RUN:
            self.unet.to(dtype)
        self.vae = pipeline.vae.to(torch.float32, memory_format=torch.channels_last).eval()
        place([self.text_encoder], self.unet, self.vae, device, self._plan, loaded.read_again)
        self._decoder = Decoder(self.vae, device)
        self.preview_decoder = quick_decoder(
            folder, loaded.preview, self.unet.config.in_channels, pipeline.vae_scale_factor, device
        )
        parts = {"unet": self.unet, "text_encoder": self.text_encoder}
        self.lora_files = LoraFiles([own_folder(folder)], parts, type(pipeline), loras)
        self._text_loras = TextLoras(self.lora_files, device, torch.float32)
        self._network = Network(self.unet, device, dtype, self.lora_files)
        self._early = None
        if early is not None:
            early = early.to(torch.float32, memory_format=torch.channels_last).eval()
            self._early = Network(early, device, torch.float32, self.lora_files)
        config, scale = pipeline.scheduler.config, pipeline.vae_scale_factor
        self.exact_from: float = EXACT_FROM * config["num_train_timesteps"]
        self._image_processor = pipeline.image_processor
        self.words = WeighingCutter(self.tokenizer)
        self.encode = TextCache(self.encode_now)
        self._posteriors, self._control = Posteriors(self.vae, device), None
        self._shapes = threading.Lock()
        self._skeletons = Skeletons(self.unet, self.vae, self.tokenizer.model_max_length)
        self.anatomy = lru_cache(16)(self._anatomy)
        self.cost = lru_cache(16)(self._cost)
        self.facts = Facts(
            name=name,
            family="Stable Diffusion",
            fingerprint=fingerprint(folder, self._precision()),
            parameters=sum(p.numel() for m in (self.text_encoder, self.unet, self.vae) for p in m.parameters()),
            device=device.type,
            precision=PRECISIONS[dtype] + (f", fp32 for t ≥ {self.exact_from:g}" if early is not None else ""),
            memory=self._plan.says,
            schedule=dict(config),
            channels=self.unet.config.in_channels,
            scale=scale,
            multiple=max(PIXELS, scale),
            usual=usual(name, self.unet.config.sample_size * scale, config, type(pipeline.scheduler).__name__),
            samplers=samplers(config),
            loras=self.lora_files.digests,
            left_out=self.lora_files.left_out,
            guidance="none" if is_turbo(config, type(pipeline.scheduler).__name__) else "classifier-free",
            quick_previews=self.preview_decoder is not None,
            no_attention="" if cross_attention_layers(self.unet) else "This model has no cross-attention layers.",
            tokens=self.tokenizer.model_max_length,
            clip_skips=self.text_encoder.config.num_hidden_layers - 1,
            reads_weights=True,
            licence=licence(folder),
            card=described(folder),
            folder=str(folder),
        )

    @classmethod
    def precision(cls, device: torch.device) -> torch.dtype:
        return default_dtype(device)

    @classmethod
    def precision_of_texts(cls, dtype: torch.dtype) -> torch.dtype:
        return torch.float32

    def _precision(self) -> Any:
        """What of it changes pictures, for the fingerprint."""
        exact = [EXACT_FROM] if self.dtype is torch.bfloat16 else []
        return [str(self.dtype), *exact, *self._plan.changes] if exact or self._plan.changes else str(self.dtype)

    def check(self, recipe: Recipe) -> None:
        self.facts.check(recipe)
        self.lora_files.check(recipe.loras)

    @torch.inference_mode()
    def encode_now(
        self, words: str, negative: bool = False, loras: Pairs = (), clip_skip: int = 0, chunks: int = 0
    ) -> Condition:
        """words -> (1, tokens, width), cut and padded to the tokenizer's limit as StableDiffusionPipeline does, or in
        chunks as AUTOMATIC1111 does"""
        if chunks:
            cut = self.words(words, chunks)
            with self._text_loras.added(loras):
                return {TEXT: weighted(self._states(rows_of(cut, self.device), clip_skip), cut)}
        ids = self.tokenizer(
            words,
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        ).input_ids
        with self._text_loras.added(loras):
            return {TEXT: self._states(ids.to(self.device), clip_skip)}

    def _states(self, ids: Tensor, clip_skip: int) -> Tensor:
        """(B, tokens) -> (B, tokens, width)"""
        if not clip_skip:
            return self.text_encoder(ids)[0]
        states = self.text_encoder(ids, output_hidden_states=True).hidden_states
        inner = getattr(self.text_encoder, "text_model", self.text_encoder)  # newer transformers have none
        return inner.final_layer_norm(states[-(clip_skip + 1)])

    def condition(self, text: Text) -> Condition:
        loras = self._text_loras.concerned(text.loras)
        return self.encode(text.words, loras=loras, clip_skip=text.clip_skip, chunks=text.chunks)

    def predict(
        self, latents: Tensor, t: Tensor, conditions: Sequence[Condition], loras: Sequence[Weights] | None = None
    ) -> Tensor:
        return self._called(latents, t, conditions, loras, look=False)[0]

    def predict_and_look(
        self, latents: Tensor, t: Tensor, conditions: Sequence[Condition], loras: Sequence[Weights] | None = None
    ) -> tuple[Tensor, list[Look]]:
        return self._called(latents, t, conditions, loras, look=True)

    @torch.inference_mode()
    def _called(
        self,
        latents: Tensor,
        t: Tensor,
        conditions: Sequence[Condition],
        loras: Sequence[Weights] | None,
        look: bool,
    ) -> tuple[Tensor, list[Look]]:
        """Each row by the network that it belongs to; Looks only where they are asked for. Rows with control are by
        themselves, so that the others are answered by OpenVINO as ever."""
        text = torch.cat([condition[TEXT] for condition in conditions])
        flags = [CONTROL in condition for condition in conditions]
        if self._early is None and not any(flags):  # asked of the CPU: the device is not waited for
            return _one_call(self._network, latents, t, text, loras, look)
        controlled = torch.tensor(flags, device=t.device)
        early = torch.zeros_like(controlled) if self._early is None else t >= self.exact_from
        outputs, found = torch.empty_like(latents, dtype=torch.float32), {}
        for network, its in ((self._early, early), (self._network, ~early)):
            for which in (its & controlled, its & ~controlled):
                if not (rows := which.nonzero()[:, 0].tolist()):
                    continue
                weights, own = loras and [loras[row] for row in rows], (latents[rows], t[rows], text[rows])
                added = {}
                if self._control is not None and controlled[rows[0]]:
                    added = self._control.residuals(*own, [conditions[row] for row in rows], network.dtype)
                outputs[rows], seen = _one_call(network, *own, weights, look, added)
                found |= dict(zip(rows, seen, strict=False))
        return outputs, [found[row] for row in sorted(found)]

    def attach_control(self, folder: Path) -> None:
        dtype = torch.float32 if self.device.type == "cpu" else self.dtype
        self._control = ControlNet(folder, self.unet, self.facts.scale, self.device, dtype)
        self.facts = replace(self.facts, controlnet=self._control.name, controlnet_digest=self._control.digest)

    def combine(self, unconditional: Tensor, conditional: Tensor, recipe: Recipe) -> Tensor:
        """ε_u + w (ε_c − ε_u), Ho & Salimans 2022, https://arxiv.org/abs/2207.12598; rescaled where that is asked."""
        guided = unconditional + recipe.guidance_scale * (conditional - unconditional)
        if not recipe.guidance_rescale:
            return guided
        return rescale_noise_cfg(guided, conditional, guidance_rescale=recipe.guidance_rescale)

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> list[Image.Image]:
        """(B, 4, h, w) -> B pictures, by the real VAE"""
        pixels = self._decoder(latents / self.vae.config.scaling_factor)
        return self._image_processor.postprocess(pixels, output_type="pil")

    @torch.inference_mode()
    def encode_picture(self, picture: Image.Image) -> Tensor:
        """RGB picture -> x₀ (1, C, h, w), the mean of the posterior; image-to-image draws a sample of it instead, see
        `sample_picture`."""
        pixels = pictures.to_x0(picture)[None].to(self.device)
        return self.vae.encode(pixels, return_dict=False)[0].mean * self.vae.config.scaling_factor

    @torch.inference_mode()
    def sample_picture(self, picture: Image.Image, noise: Tensor) -> Tensor:
        return self._posteriors.sample(picture, noise) * self.vae.config.scaling_factor

    @torch.inference_mode()
    def preview(self, latents: Tensor) -> list[Image.Image]:
        return self.decode(latents) if self.preview_decoder is None else self.preview_decoder.pictures(latents)

    def _anatomy(self, width: int, height: int) -> Anatomy:
        with self._shapes:  # hooks on one skeleton, asked for by many pages
            return anatomy_of(self, self._skeletons, width, height, self.facts.scale)

    def _cost(self, width: int, height: int) -> Cost:
        scale = self.facts.scale
        with self._shapes:
            return self._skeletons.cost(height // scale, width // scale, scale)

    @property
    def runtime(self) -> str:
        return self._network.runtime

    def convert(self) -> None:
        if not self._plan.converts:
            return
        self._network.convert(self.facts.fingerprint)
        self._decoder.convert(self.facts.fingerprint)

    def wait_until_converted(self, seconds: float | None = None) -> None:
        until = None if seconds is None else time.monotonic() + seconds
        self._network.wait_until_converted(seconds)
        self._decoder.wait_until_converted(None if until is None else max(0.0, until - time.monotonic()))

    def compile(self, backend: str | Callable = "inductor") -> None:
        """Worth its minutes where the page then runs for hours."""
        side = self.facts.side
        latents = torch.zeros(self.facts.latent_shape(side, side), device=self.device)
        for network in (self._network, self._early):
            if network is not None:
                network.compile(latents, torch.zeros(1, device=self.device), self.encode("")[TEXT], backend)


def _one_call(
    network: Network,
    latents: Tensor,
    t: Tensor,
    text: Tensor,
    loras: Sequence[Weights] | None,
    look: bool,
    added: Mapping[str, Any] | None = None,
) -> tuple[Tensor, list[Look]]:
    with capturing(network.unet) if look else nullcontext({}) as captures:
        output = network(latents, t, text, loras, plain=look, added=added)
    return output, looks(captures, len(latents), tuple(latents.shape[2:])) if look else []
