"""What a model is to everybody else: `Facts`, which pages read, and `Model`, which only the engine calls.

A family (`families/`) makes both. Nothing above this floor knows a U-Net, a VAE, a tokenizer or a text encoder.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from PIL import Image
from torch import Tensor

from playground import schedule
from playground.models.anatomy import Anatomy, Cost
from playground.models.elsewhere import ASKED_BY, Elsewhere
from playground.models.words import Words
from playground.recipe import LATE, Recipe, check_known_loras
from playground.refusal import Refusal
from playground.samplers import SAMPLERS

Condition = dict[str, Tensor]  # one encoded text, each (1, …), by the name of the network's argument
CONTROL, CONTROL_SCALE = "control", "control_scale"  # in a condition: the picture (1, 3, H, W) in 0 … 1, and (1,)
Weights = Sequence[tuple[str, float]]  # one row's LoRAs: (name, weight)
Pairs = tuple[tuple[str, float], ...]  # the same, to look things up by
Size = tuple[int, int]  # rows, columns
# What the family's pipeline is called with besides what all are: argument -> its source, in which {0} is the recipe.
CALL = {"negative_prompt": "{0.negative_prompt!r}", "guidance_scale": "{0.guidance_scale!r}"}
NO_RESCALE = "The image-to-image pipeline of this model's family does not have it."
NO_CONTROLNET = "this playground was started without a ControlNet (--controlnet FOLDER)."
NO_RESCALE_CONTROLLED = "The pipelines with a ControlNet do not have it."
NO_GUIDANCE = "it was taught to draw without guidance, and its pipeline has none"
NOT_ASKED = f"is asked for pictures by {ASKED_BY} only, so nothing was sent."
NO_CLIP = "CLIP's layers are not what its network reads"
NO_WEIGHTS = "weights are read only where all that reads the words is CLIP"
MOST_SIDE = 1024  # pixels; larger ones are refused by `Recipe` already


class Text(NamedTuple):
    """What one row of a call is told besides latents, timestep and LoRAs; rows with equal ones are told the same."""

    words: str
    negative: bool = False  # some families encode what to steer away from in another way
    guidance: float | None = None  # of models that are told the scale as an input
    loras: Pairs = ()  # of the row; some change the text encoders as well
    clip_skip: int = 0  # of CLIP's last layers those that are left out
    chunks: int = 0  # windows that it fills, its marks being weights; 0 where marks are letters


@dataclass(frozen=True)
class Facts:
    """What may be known of a loaded model anywhere, in any process: plain data."""

    name: str  # as recipes say it
    family: str  # as people say it, such as "Stable Diffusion"
    fingerprint: str  # 16 digits over the weights that make a picture without LoRAs
    parameters: int
    device: str  # "cpu", "cuda" or "mps"
    precision: str  # as the head of the page says it
    schedule: Mapping[str, Any]  # the scheduler config
    channels: int  # of the latents
    scale: int  # pixels per latent, per side
    multiple: int  # of pixels that both sides of a picture must be
    usual: Recipe  # the settings that this model is made for, with an empty prompt
    samplers: tuple[str, ...] = tuple(SAMPLERS)  # those that draw with it
    loras: Mapping[str, str] = field(default_factory=dict)  # name -> digest of its file
    left_out: Mapping[str, str] = field(default_factory=dict)  # LoRAs that do not fit it: name -> why
    # or "none": taught to draw without it, in few steps; or "embedded": the network is told guidance_scale as an input
    guidance: str = "classifier-free"
    network: str = "U-Net"  # what denoises, as people call it: or "transformer"
    cfg: str = "guidance_scale"  # the field of a recipe that is the scale of classifier-free guidance; "" where none is
    guided_above: float = 1.0  # the scale from which its pipeline guides
    own_negative: bool = False  # a negative prompt is encoded in another way than the same words as a prompt
    no_start: str = ""  # why its runs cannot start from a picture, as a sentence; empty where they can
    rescales: bool = True  # its pipeline knows guidance_rescale
    rescales_starts: bool = False  # its pipeline knows guidance_rescale also where a run starts from a picture
    controlnet: str = ""  # the name of the ControlNet that was given at the start
    controlnet_digest: str = ""  # of its weights
    memory: str = ""  # how it shares memory that has no room for all of it at once; empty where it has
    quick_previews: bool = False  # a small decoder of its own draws x̂₀; else the VAE does
    no_attention: str = ""  # why its attention cannot be looked into, as a sentence; empty where it can
    tokens: int = 77  # that the text encoder reads, marks included
    clip_skips: int = 0  # the most layers of CLIP that can be left out; 0 where the words are not read by CLIP
    reads_weights: bool = False  # (word:1.2) can be read as a weight, and long prompts in chunks
    # why no view looks into its steps, as a sentence, of a model that draws whole pictures; empty for all others
    whole: str = ""
    call: Mapping[str, str] = field(default_factory=lambda: CALL)  # what a program calls its pipeline with, as CALL
    takes: tuple[str, ...] = ()  # the fields of a recipe that such a model's pipeline takes besides those that all take
    licence: str = ""  # as its card names it; empty where it names none
    card: str = ""  # what its card says of it first, as plain text; empty where it says nothing
    folder: str = ""  # where it was read, or its single file; what else lies there may be looked at, by no visitor
    others: Mapping[str, str] = field(default_factory=dict)  # models beside it, which have pages of their own: address
    hosted: tuple[str, ...] = ()  # and those that draw elsewhere, which have none
    elsewhere: Elsewhere | None = None  # of such a model: what is sent where

    @property
    def beside(self) -> tuple[str, ...]:
        """The names of all models that a grid can have besides this one."""
        return (*self.others, *self.hosted)

    @property
    def side(self) -> int:
        """Pixels per side of the pictures that it was trained on."""
        return self.usual.width

    @property
    def total_timesteps(self) -> int:
        """T of its training schedule."""
        return schedule.total_timesteps(self.schedule)

    @property
    def no_shift(self) -> str:
        """Why its schedule cannot be shifted by a recipe, as the end of a sentence; empty where it can."""
        if self.whole:
            return "its pipeline does not take it here"
        if not schedule.is_flow(self.schedule):
            return "it was not taught flow matching"
        return "its own depends on the size of the picture" if self.schedule.get("use_dynamic_shifting") else ""

    def guided(self, recipe: Recipe) -> bool:
        """Whether classifier-free guidance runs, with two rows a step, as the family's pipeline decides it."""
        return bool(self.cfg) and getattr(recipe, self.cfg) > self.guided_above

    def used(self, recipe: Recipe) -> Recipe:
        """What of a recipe its picture comes from: without guidance neither its scale, unless the network is told it,
        nor its rescaling nor the negative prompt; of a hosted model what is sent."""
        if self.elsewhere:
            return self.elsewhere.used(recipe)
        if self.guided(recipe):
            return recipe
        told = {} if self.guidance == "embedded" else {"guidance_scale": 0.0}
        return recipe.replace(negative_prompt="", guidance_rescale=0.0, **told)

    def evaluations(self, recipe: Recipe) -> int:
        """Passes of the network for this picture: calls of the sampler, twice that when guided; none of a network that
        is not here."""
        if self.elsewhere:
            return 0
        return recipe.calls * (2 if self.guided(recipe) else 1)

    def text(self, words: str, recipe: Recipe, negative: bool = False, chunks: int = 0) -> Text:
        """Words as a row of this recipe is told them; `chunks` as `weighted.chunks_of` says."""
        scale = recipe.guidance_scale if self.guidance == "embedded" else None
        skip = 0 if negative else recipe.clip_skip  # diffusers' pipelines leave out none of a negative prompt's
        return Text(words, negative and self.own_negative, scale, recipe.active_loras, skip, chunks)

    def fits(self, width: int, height: int) -> bool:
        """Pixels that it can draw well: multiples of its own, from half to twice what it is made for. Far from that a
        model loses the whole. Of a hosted model, those that it is asked for."""
        if self.elsewhere and self.elsewhere.sizes:
            return (width, height) in self.elsewhere.sizes
        made_for = ((width, self.usual.width), (height, self.usual.height))
        return all(not side % self.multiple and own <= 2 * side and side <= 2 * own for side, own in made_for)

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Pixels -> (1, C, h, w)"""
        return 1, self.channels, height // self.scale, width // self.scale

    def recipe(self, data: Any) -> Recipe:
        """JSON of a recipe in which model and size may be left out. Raises Refusal for anything that is none."""
        if not isinstance(data, dict):
            return Recipe.from_dict(data)
        usual = {"model": self.name, "width": self.usual.width, "height": self.usual.height}
        return Recipe.from_dict(usual | data)

    def check(self, recipe: Recipe) -> None:
        """Raises Refusal for a recipe that this model cannot draw; what needs no file to be read is checked here."""
        if recipe.model in self.others:
            raise Refusal(
                f"model must be {self.name} on this page; {recipe.model} has its own: {self.others[recipe.model]}"
            )
        if recipe.model in self.hosted:
            raise Refusal(f"model must be {self.name} here; {recipe.model} draws elsewhere, in grids over models only.")
        if recipe.model != self.name and self.beside:
            known = ", ".join([self.name, *self.beside])
            raise Refusal(f"model must be one of {known}, which this playground runs, not {recipe.model[:40]!r}.")
        if recipe.model != self.name:
            raise Refusal(f"model must be {self.name}, which is what this playground runs, not {recipe.model[:40]!r}.")
        if self.elsewhere:
            return self.elsewhere.check(recipe, self.name)
        if recipe.sampler not in self.samplers:
            raise Refusal(f"sampler must be one of {', '.join(self.samplers)} for this model, not {recipe.sampler}.")
        for side in ("width", "height"):
            if getattr(recipe, side) % self.multiple:
                raise Refusal(
                    f"{side} must be a multiple of {self.multiple} for this model, not {getattr(recipe, side)}."
                )
        if self.whole:
            self._check_takes(recipe)
        if recipe.true_cfg_scale != 1 and self.cfg != "true_cfg_scale":
            scale = "its guidance scale is guidance_scale" if self.cfg else NO_GUIDANCE
            raise Refusal(f"true_cfg_scale must be 1 for this model: {scale}.")
        if not self.cfg and recipe.guidance_scale > self.guided_above:
            raise Refusal(f"guidance_scale must be at most {self.guided_above:g} for this model: {NO_GUIDANCE}.")
        if recipe.guidance_rescale and not self.rescales:
            raise Refusal("guidance_rescale must be 0 for this model: its pipeline does not have it.")
        if recipe.eta and not SAMPLERS[recipe.sampler].has_eta:
            raise Refusal(f"eta must be 0 with the sampler {recipe.sampler}: only ddim has it.")
        if recipe.clip_skip > self.clip_skips:
            most = f"at most {self.clip_skips} for this model" if self.clip_skips else f"0 for this model: {NO_CLIP}"
            raise Refusal(f"clip_skip must be {most}.")
        if recipe.prompt_weights and not self.reads_weights:
            raise Refusal(f"prompt_weights must be off for this model: {NO_WEIGHTS}.")
        if recipe.shift and self.no_shift:
            raise Refusal(f"shift must be 0 for this model: {self.no_shift}.")
        if recipe.image and self.no_start:
            raise Refusal(f"image must be empty for this model. {self.no_start}")
        if recipe.control_image and not self.controlnet:
            raise Refusal(f"control_image must be empty: {NO_CONTROLNET}")
        if recipe.control_image and recipe.guidance_rescale:
            raise Refusal(f"guidance_rescale must be 0 with a ControlNet. {NO_RESCALE_CONTROLLED}")
        if recipe.image and recipe.guidance_rescale and not self.rescales_starts:
            raise Refusal(f"guidance_rescale must be 0 where a run starts from a picture. {NO_RESCALE}")
        check_known_loras((name for name, _ in recipe.loras), tuple(self.loras))

    def _check_takes(self, recipe: Recipe) -> None:
        """Raises Refusal for the first field that the pipeline of a model that draws whole pictures does not take."""
        for name, without in ({"negative_prompt": "", "loras": ()} | LATE).items():
            if getattr(recipe, name) != without and name not in self.takes:
                left = "off" if without is False else "empty" if without in ("", ()) else f"{without:g}"
                raise Refusal(f"{name} must be {left} for this model: its pipeline does not take it here.")
        if recipe.guidance_scale > self.guided_above and "guidance_scale" not in self.takes:
            raise Refusal("guidance_scale must be at most 1 for this model: its pipeline does not take it here.")

    def fingerprint_for(self, recipe: Recipe) -> str:
        """16 digits over the weights that make this picture: the model's, the files of its LoRAs, its ControlNet."""
        used = [(name, self.loras.get(name)) for name, _ in recipe.active_loras]
        used += [("", self.controlnet_digest)] if recipe.control_image else []
        if not used:
            return self.fingerprint
        return hashlib.sha256(json.dumps([self.fingerprint, used]).encode()).hexdigest()[:16]


def usual_recipe(name: str, side: int, **changes: Any) -> Recipe:
    """The settings that a model of this name and size is made for; sides beyond the limit of a recipe are cut."""
    return replace(Recipe(), model=name, width=min(side, MOST_SIDE), height=min(side, MOST_SIDE), **changes)


class WholeModel(Protocol):
    """What the engine asks of a model that draws whole pictures by a pipeline of its own; the rest is as in `Model`:
    check, words, runtime, convert, wait_until_converted, compile and attach_control."""

    facts: Facts  # with `whole`
    device: torch.device

    def draw(self, recipe: Recipe, tell: Callable[[int, int, float], None]) -> tuple[Image.Image, int]:
        """The picture and the rows that its network was asked for. `tell` is given every step: how many are done, of
        how many, at which timestep; what it raises ends the picture."""


class Model(Protocol):
    """What the engine asks of a loaded model. Tensors lie on `device`; latents are in the network's own scale."""

    facts: Facts
    device: torch.device

    def check(self, recipe: Recipe) -> None:
        """Raises Refusal where the model cannot draw it, unusable LoRA files included."""

    def words(self, text: str, chunks: int = 0) -> Words:
        """A text as the tokenizer cuts it; with `chunks`, where weights are read, as `WeighingCutter` does."""

    def encode(
        self, words: str, negative: bool = False, loras: Pairs = (), clip_skip: int = 0, chunks: int = 0
    ) -> Condition:
        """Words for the network, cut and padded as the family's pipeline does; kept for the next time. The encoded
        ones, (1, tokens, width), come first. Of `loras` count those that change the text encoders; `chunks` is as in
        `Text`."""

    def encode_now(
        self, words: str, negative: bool = False, loras: Pairs = (), clip_skip: int = 0, chunks: int = 0
    ) -> Condition:
        """The same, computed now whatever was kept: for whoever wants to know how long it takes."""

    def condition(self, text: Text) -> Condition:
        """All that a row is told: the words encoded, and what else the text says."""

    def predict(
        self, latents: Tensor, t: Tensor, conditions: Sequence[Condition], loras: Sequence[Weights] | None = None
    ) -> Tensor:
        """(B, C, h, w), (B,), B texts, B rows' LoRAs -> the network's output (B, C, h, w) in fp32"""

    def predict_and_look(
        self, latents: Tensor, t: Tensor, conditions: Sequence[Condition], loras: Sequence[Weights] | None = None
    ) -> tuple[Tensor, list["Look"]]:
        """The same, and for each row where its words were looked at. Raises Refusal where that cannot be seen."""

    def combine(self, unconditional: Tensor, conditional: Tensor, recipe: Recipe) -> Tensor:
        """The two outputs of a guided row (1, C, h, w) -> the output that the sampler goes on with."""

    def decode(self, latents: Tensor) -> list[Image.Image]:
        """(B, C, h, w) -> B pictures"""

    def encode_picture(self, picture: Image.Image) -> Tensor:
        """RGB picture -> x₀ (1, C, h, w), the mean of the posterior, so the same picture gives the same latents."""

    def sample_picture(self, picture: Image.Image, noise: Tensor) -> Tensor:
        """RGB picture, (1, C, h, w) of N(0, 1) -> x₀ (1, C, h, w), a sample of the posterior, as image-to-image
        pipelines draw it: mean + std · noise. What the encoder says of a picture is kept for the next time."""

    def attach_control(self, folder: Path) -> None:
        """Take a ControlNet, before anybody reads `facts`. Raises Refusal, with one sentence, where it cannot be used;
        conditions may from then on have CONTROL and CONTROL_SCALE."""

    def preview(self, latents: Tensor) -> list[Image.Image]:
        """(B, C, h, w) -> B quick, approximate pictures"""

    def anatomy(self, width: int, height: int) -> Anatomy:
        """What it consists of for pictures of this size, from its shapes; nothing is computed."""

    def cost(self, width: int, height: int) -> Cost:
        """What its parts cost for pictures of this size, from their shapes as well."""

    @property
    def runtime(self) -> str:
        """What computes the network now: "PyTorch", "OpenVINO", or the one until the other is ready."""

    def convert(self) -> None:
        """Begin to prepare the network for OpenVINO, in the background; torch answers until that is done. Does nothing
        where torch is the faster or the only way: on an accelerator, in a reduced precision."""

    def wait_until_converted(self, seconds: float | None = None) -> None:
        """Until what `convert` began is done or has failed, or `seconds` have passed."""

    def compile(self, backend: str | Callable = "inductor") -> None:
        """Specialise the network for pictures of the usual size. Raises Refusal where that cannot be done."""


@dataclass(frozen=True, eq=False)
class Look:
    """Cross-attention of one row of one call, averaged over heads and over the layers of equal resolution."""

    maps: dict[Size, Tensor]  # (rows, columns) -> (tokens, rows, columns) fp32 on the CPU
    layers: dict[Size, int]  # layers of that resolution
