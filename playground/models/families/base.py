"""What the families share: a diffusers pipeline taken apart, whose denoiser is called for many rows at once.

A family says how its pipeline encodes words, what its denoiser is given, and how latents become pictures; 10 to 40
lines each. Latents are (B, C, h, w) here also where the network takes them packed into tokens: samplers work value by
value, so they may be packed for the call alone.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor, nn

from playground import pictures
from playground.answer import FLOW
from playground.models.contract import Condition, Look, Weights
from playground.models.facts import CALL, LATENTS, Pairs, Text, side_of
from playground.models.families import flow
from playground.models.families.clip import CLIP
from playground.models.families.facts_of import facts_of
from playground.models.families.shapes import Shapes
from playground.models.loading import Loaded
from playground.models.lora.folder import LoraFiles, own_folder
from playground.models.lora.rows import Loras
from playground.models.lora.texts import TextLoras
from playground.models.running.as_loaded import AsLoaded
from playground.models.running.device import PRECISIONS, cast
from playground.models.running.offload import place
from playground.models.running.plan import AS_RUN
from playground.models.running.posterior import Posteriors
from playground.models.running.text_cache import TextCache
from playground.models.running.threads import use_the_cores_present
from playground.models.running.tiny_decoder import quick_decoder
from playground.models.words import Cutter, Words
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.samplers import SAMPLERS
from playground.schedule import is_flow


class Family(AsLoaded):
    """A `Model`. The denoiser and the text encoders are in `dtype`; latents, schedules and the VAE stay in fp32."""

    title: ClassVar[str]  # as people say it
    denoiser: ClassVar[str] = "transformer"  # of the pipeline's parts
    half: ClassVar[torch.dtype] = torch.bfloat16  # that such networks were trained in
    cfg: ClassVar[str] = "guidance_scale"
    guided_above: ClassVar[float] = 1.0  # the scale from which its pipeline guides
    own_negative: ClassVar[bool] = False
    reads_weights: ClassVar[bool] = False  # `encoded` takes chunks, and `words` is a WeighingCutter
    rescales: ClassVar[bool] = False  # its pipeline has guidance_rescale
    rescales_starts: ClassVar[bool] = False  # and so has its image-to-image pipeline
    call: ClassVar[Mapping[str, str]] = CALL  # what a program calls its pipeline with
    latents: ClassVar[int] = LATENTS  # per side of its pictures, where its network's config does not say it
    patch: ClassVar[int] = 1  # latents per side that make one token
    token_mark: ClassVar[str] = "tokenizer"  # the part of the pipeline whose tokens the pages show
    reader: ClassVar[str] = Words.reader  # whose they are, as `Words` says it
    besides: ClassVar[str] = ""  # and what the other text encoders read
    pooled: ClassVar[bool] = False  # the denoiser is told one vector of the whole prompt as well
    left_out: ClassVar[dict[str, None]] = {}  # parts of its folder that are not read
    flows: ClassVar[bool] = True  # its pipeline was made for flow matching too

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
        use_the_cores_present()
        pipeline, plan = loaded.pipeline, loaded.plan
        self.pipeline, self.device, self.dtype = pipeline, device, dtype
        self.prepare(loaded)
        self.network: nn.Module = getattr(pipeline, self.denoiser)
        self.vae: nn.Module = cast(pipeline.vae, torch.float32).eval()
        modules = {key: part for key, part in pipeline.components.items() if isinstance(part, nn.Module)}
        self.text_encoders = [part for key, part in modules.items() if key.startswith("text_encoder")]
        texts = self.precision_of_texts(dtype)
        for part in self.text_encoders:
            cast(part, texts).eval()
        self.network.eval()
        if plan.storage == AS_RUN:
            cast(self.network, dtype)
        place(self.text_encoders, self.network, self.vae, device, plan, loaded.read_again)
        clips = {key: part for key, part in modules.items() if part in self.text_encoders and isinstance(part, CLIP)}
        files = LoraFiles([own_folder(folder)], {self.denoiser: self.network} | clips, type(pipeline), loras)
        self.lora_files, self._loras = files, Loras(files, self.denoiser, self.network, device, dtype)
        self._text_loras = TextLoras(files, device, texts)
        self.words = self._cutter()
        self.encode = TextCache(self.encode_now)
        self._posteriors = Posteriors(self.vae, device)
        self.preview_decoder = quick_decoder(folder, loaded.preview, self.channels, self.scale, device)
        self.facts = facts_of(self, name, folder, plan)
        shapes = Shapes(self)
        self.anatomy, self.cost = shapes.anatomy, shapes.cost
        self.complete()

    @classmethod
    def precision(cls, device: torch.device) -> torch.dtype:
        """fp32 on CPUs; on accelerators what such networks were trained in."""
        return torch.float32 if device.type == "cpu" else cls.half

    @classmethod
    def precision_of_texts(cls, dtype: torch.dtype) -> torch.dtype:
        """Of text encoders, beside a denoiser in `dtype`: they may be larger than it is."""
        return dtype

    def prepare(self, loaded: Loaded) -> None:
        """Before its networks are placed."""

    def complete(self) -> None:
        """When all that families share is there."""

    # --- what a family says -------------------------------------------------------------------------------------------

    no_attention: ClassVar[str] = (
        "This transformer looks at words and picture in one attention, in which no map of a single word can be shown "
        "here."
    )

    no_start: ClassVar[str] = "Runs of this family start from noise only here."

    @property
    def multiple(self) -> int:
        """Pixels that both sides of a picture must be a multiple of."""
        return self.scale * self.patch

    @property
    def side(self) -> int:
        """Pixels per side of the pictures that its network is made for."""
        return side_of(self.network.config, self.scale, self.latents)

    @property
    def tokens(self) -> int:
        """Positions of a prompt that the text encoder reads, without what is put around it."""
        return getattr(self.pipeline, self.token_mark).model_max_length

    @property
    def around(self) -> int:
        """Tokens that the pipeline puts around a prompt."""
        return 0

    @property
    def clip_skips(self) -> int:
        """The most layers of CLIP that a recipe can leave out."""
        return 0

    def encoded(self, words: str, negative: bool = False, clip_skip: int = 0) -> Condition:
        """By the text encoders as they are now; `clip_skip` is 0 where `clip_skips` is. A family that reads weights
        takes `chunks` as well."""
        raise NotImplementedError

    def inputs(self, latents: Tensor, t: Tensor, conditions: Sequence[Condition]) -> dict[str, Any]:
        """(B, C, h, w), (B,), B conditions -> the denoiser's arguments"""
        raise NotImplementedError

    def joined(self, given: dict[str, Any]) -> dict[str, list[int]]:
        """The denoiser's arguments -> its parts that run on the tokens of all rows in one sequence, and each row's
        number of them there."""
        return {}

    def output(self, answer: Tensor, latents: Tensor) -> Tensor:
        """What the denoiser answers -> (B, C, h, w), in the sign that the scheduler expects."""
        return answer

    def usual(self, name: str, schedule: dict[str, Any]) -> Recipe:
        raise NotImplementedError

    def pixels(self, picture: Tensor) -> Tensor:
        """(B, 3, H, W) -> as the VAE takes it"""
        return picture

    def posterior_mode(self, encoded: Any) -> Tensor:
        """What the VAE's encoder answers -> the latents it means, in the VAE's scale"""
        return encoded.mode()

    @property
    def says_precision(self) -> str:
        """As the head of the page says it."""
        return PRECISIONS[self.dtype]

    @property
    def changes(self) -> list[float]:
        """What changes its pictures besides weights, precision and memory: they are kept under another fingerprint."""
        return []

    @property
    def scale(self) -> int:
        """Pixels per latent, per side."""
        return self.pipeline.vae_scale_factor

    @property
    def channels(self) -> int:
        """Of the latents."""
        return self.network.config.in_channels

    def schedule(self, config: dict[str, Any], scheduler: str) -> dict[str, Any]:
        """The scheduler's config and class -> all that `playground.schedule` must know."""
        if scheduler.startswith("FlowMatch"):  # whose configs do not say it
            config["prediction_type"] = FLOW
            config["_token"] = self.scale * self.patch
        return config

    def guidance(self, schedule: dict[str, Any]) -> str:
        return "classifier-free"

    def samplers(self, schedule: dict[str, Any]) -> tuple[str, ...]:
        """Those that the family's own pipeline takes."""
        return flow.samplers(schedule) if is_flow(schedule) else tuple(SAMPLERS)

    # --- the Model ----------------------------------------------------------------------------------------------------

    def check(self, recipe: Recipe) -> None:
        self.facts.check(recipe)
        self.lora_files.check(recipe.loras)

    def condition(self, text: Text) -> Condition:
        told = {} if text.guidance is None else {"guidance": torch.tensor([text.guidance], device=self.device)}
        loras = self._text_loras.concerned(text.loras)
        asked = {"negative": text.negative, "loras": loras, "clip_skip": text.clip_skip, "chunks": text.chunks}
        return self.encode(text.words, **asked) | told

    def encode_now(
        self, words: str, negative: bool = False, loras: Pairs = (), clip_skip: int = 0, chunks: int = 0
    ) -> Condition:
        asked = {name: value for name, value in (("clip_skip", clip_skip), ("chunks", chunks)) if value}
        with self._text_loras.added(loras):
            return self.encoded(words, negative, **asked)

    @torch.inference_mode()
    def predict(
        self, latents: Tensor, t: Tensor, conditions: Sequence[Condition], loras: Sequence[Weights] | None = None
    ) -> Tensor:
        given = self.inputs(latents.to(self.dtype), t, conditions)
        if loras is not None and any(weight for row in loras for _, weight in row):
            with self._loras.added(loras, self.joined(given)):
                answer = self.network(**given, return_dict=False)[0]
        else:
            answer = self.network(**given, return_dict=False)[0]
        return self.output(answer, latents).float().contiguous()

    def predict_and_look(
        self, latents: Tensor, t: Tensor, conditions: Sequence[Condition], loras: Sequence[Weights] | None = None
    ) -> tuple[Tensor, list[Look]]:
        raise Refusal(self.no_attention)

    def combine(self, unconditional: Tensor, conditional: Tensor, recipe: Recipe) -> Tensor:
        """ε_u + w (ε_c − ε_u), Ho & Salimans 2022, https://arxiv.org/abs/2207.12598; of velocities as well."""
        return unconditional + getattr(recipe, self.cfg) * (conditional - unconditional)

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> list[Image.Image]:
        pixels = self.vae.decode(self.unscaled(latents), return_dict=False)[0]
        return self.pipeline.image_processor.postprocess(pixels, output_type="pil")

    @torch.inference_mode()
    def encode_picture(self, picture: Image.Image) -> Tensor:
        pixels = pictures.to_x0(picture)[None].to(self.device)
        return self.scaled(self.posterior_mode(self.vae.encode(self.pixels(pixels), return_dict=False)[0]))

    @torch.inference_mode()
    def sample_picture(self, picture: Image.Image, noise: Tensor) -> Tensor:
        return self.scaled(self._posteriors.sample(picture, noise))

    def attach_control(self, folder: Path) -> None:
        raise Refusal(f"{self.title} takes no ControlNet here; Stable Diffusion 1.x, 2.x and SDXL do.")

    def unscaled(self, latents: Tensor) -> Tensor:
        """The denoiser's scale -> the VAE's, by the factors in the VAE's config."""
        config = self.vae.config
        return latents / config.scaling_factor + (config.get("shift_factor") or 0.0)

    def scaled(self, latents: Tensor) -> Tensor:
        config = self.vae.config
        return (latents - (config.get("shift_factor") or 0.0)) * config.scaling_factor

    @torch.inference_mode()
    def preview(self, latents: Tensor) -> list[Image.Image]:
        return self.decode(latents) if self.preview_decoder is None else self.preview_decoder.pictures(latents)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _cutter(self) -> Cutter:
        tokenizer = getattr(self.pipeline, self.token_mark)
        return Cutter(tokenizer, self.tokens, self.around, self.reader, self.besides)

    def without_numbers(self) -> Condition:
        """An empty text on the meta device, as `inputs` takes it there; encoded for it."""
        return {name: x.to("meta") for name, x in self.condition(self.facts.text("", self.facts.usual)).items()}


def stacked(conditions: Sequence[Condition], name: str) -> Tensor:
    """One argument of B rows, (B, …)."""
    return torch.cat([condition[name] for condition in conditions])
