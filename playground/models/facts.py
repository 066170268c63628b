"""What a model is to everybody who does not call it: `Facts`, plain data, and what they say of a recipe."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from playground import schedule
from playground.labels import Honours, everything
from playground.models.elsewhere import ASKED_BY, Elsewhere
from playground.recipe import LATE, Recipe, check_known_loras
from playground.refusal import Refusal
from playground.samplers import SAMPLERS

Pairs = tuple[tuple[str, float], ...]  # one row's LoRAs, (name, weight), to look things up by
# What the family's pipeline is called with besides what all are: argument -> its source, in which {0} is the recipe.
CALL = {"negative_prompt": "{0.negative_prompt!r}", "guidance_scale": "{0.guidance_scale!r}"}
OR_NONE = {"negative_prompt": "{0.negative_prompt!r} or None"}  # of pipelines that make other of "" than of none
NO_RESCALE = "The image-to-image pipeline of this model's family does not have it."
NO_CONTROLNET = "this playground was started without a ControlNet (--controlnet FOLDER)."
NO_RESCALE_CONTROLLED = "The pipelines with a ControlNet do not have it."
NO_GUIDANCE = "it was taught to draw without guidance, and its pipeline has none"
NOT_ASKED = f"is asked for pictures by {ASKED_BY} only, so nothing was sent."
NO_CLIP = "CLIP's layers are not what its network reads"
NO_WEIGHTS = "weights are read only where all that reads the words is CLIP"
SOME_CFG = 2.0  # a true_cfg_scale with which a negative prompt is used
LATENTS = 128  # per side, where a network does not say it
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
    # of them those that peft saved: name -> the part of the pipeline that they change, their file below `loras/`
    adapters: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    loads_loras: bool = True  # its pipeline in diffusers reads LoRA files
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
    pooled: bool = False  # its network is told one vector of the whole prompt as well
    clip_skips: int = 0  # the most layers of CLIP that can be left out; 0 where the words are not read by CLIP
    reads_weights: bool = False  # (word:1.2) can be read as a weight, and long prompts in chunks
    # why no view looks into its steps, as a sentence, of a model that draws whole pictures; empty for all others
    whole: str = ""
    call: Mapping[str, str] = field(default_factory=lambda: CALL)  # what a program calls its pipeline with, as CALL
    takes: tuple[str, ...] = ()  # the fields of a recipe that such a model's pipeline takes besides those that all take
    licence: str = ""  # as its card names it; empty where it names none
    card: str = ""  # what its card says of it first, as plain text; empty where it says nothing
    one_file: str = ""  # its pipeline's class in diffusers, where it was read from a single file
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

    @property
    def has_true_cfg(self) -> bool:
        """Its classifier-free guidance has a scale of its own, besides what the network is told."""
        return self.cfg == "true_cfg_scale"

    @property
    def has_guidance_scale(self) -> bool:
        """Its pictures depend on guidance_scale: it guides by it, or its network is told it. Those of models that were
        distilled to do without do not, whatever it is."""
        return self.cfg == "guidance_scale" or self.guidance == "embedded"

    @property
    def usual_guided(self) -> Recipe:
        """The usual settings, with classifier-free guidance also where a model that is told a scale goes without."""
        without = self.has_true_cfg and self.guidance == "embedded"
        return self.usual.replace(true_cfg_scale=SOME_CFG) if without else self.usual

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

    def honours(self, name: str, recipe: Recipe) -> bool:
        """Whether this field of a recipe can change its picture, the other settings being what they are."""
        if self.elsewhere:
            return self.elsewhere.honours(name, recipe)
        if name == "guidance_scale":
            return self.has_guidance_scale
        return self.guided(recipe) or name not in ("negative_prompt", "guidance_rescale")

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
        """JSON of a recipe in which model and size may be left out, a scale that this model has no use for, and the
        sampler where the usual one of recipes does not draw with it. Raises Refusal for anything that is none."""
        if not isinstance(data, dict):
            return Recipe.from_dict(data)
        usual = {"model": self.name, "width": self.usual.width, "height": self.usual.height}
        if not (self.has_guidance_scale or self.beside):
            usual["guidance_scale"] = self.usual.guidance_scale
        if Recipe().sampler not in self.samplers:
            usual["sampler"] = self.usual.sampler
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
        if recipe.num_inference_steps < 2 and self.schedule.get("shift_terminal"):
            raise Refusal("num_inference_steps must be at least 2 for this model: its first and last step are fixed.")
        for side in ("width", "height"):
            if getattr(recipe, side) % self.multiple:
                raise Refusal(
                    f"{side} must be a multiple of {self.multiple} for this model, not {getattr(recipe, side)}."
                )
        if self.whole:
            self._check_takes(recipe)
        if recipe.true_cfg_scale != 1 and not self.has_true_cfg:
            scale = "its guidance scale is guidance_scale" if self.cfg else NO_GUIDANCE
            raise Refusal(f"true_cfg_scale must be 1 for this model: {scale}.")
        if recipe.guidance_rescale and not self.rescales:
            raise Refusal("guidance_rescale must be 0 for this model: its pipeline does not have it.")
        if recipe.eta and not SAMPLERS[recipe.sampler].has_eta:
            raise Refusal(f"eta must be 0 with the sampler {recipe.sampler}: only ddim has it, so choose that one.")
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
        for name, _ in recipe.loras:
            if name in self.left_out:
                raise Refusal(f"The LoRA {name} cannot be used: {self.left_out[name]}.")
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


def honours_of(facts_of: Callable[[str], Facts] | None) -> Honours:
    """`Facts.honours` of the model that a recipe names, by `facts_of`, where that is known."""
    return (lambda name, recipe: facts_of(recipe.model).honours(name, recipe)) if facts_of else everything


def usual_recipe(name: str, side: int, **changes: Any) -> Recipe:
    """The settings that a model of this name and size is made for; sides beyond the limit of a recipe are cut."""
    return replace(Recipe(), model=name, width=min(side, MOST_SIDE), height=min(side, MOST_SIDE), **changes)


def side_of(config: Any, scale: int, unless: int = LATENTS) -> int:
    """Pixels per side of the pictures that a network is made for, by its config: the shorter side, where it says two;
    `unless` it says none, so many latents."""
    side = getattr(config, "sample_size", None) or unless
    return (min(side) if isinstance(side, list | tuple) else side) * scale
