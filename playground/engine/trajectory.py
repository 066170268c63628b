"""One recipe on its way from noise to latents: its own latents, scheduler state and random generator."""

import hashlib
import inspect
import math
import warnings
from typing import Any

import torch
from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from torch import Tensor

from playground import pictures
from playground.answer import FLOW, x0_of
from playground.engine.contract import NO_PICTURE, NOTHING, Keep, Start
from playground.models import CONTROL, CONTROL_SCALE, Condition, Look, Model, Text
from playground.models.weighted import chunks_of
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.samplers import SAMPLERS
from playground.schedule import Level, begin_of, levels_of, plan, prediction_type, scheduler_for

MOST_LOOKS = 50  # calls of one run whose attention is kept, evenly spaced
MOST_VALUES = 4_000_000  # of attention, so that large models keep fewer calls instead of filling the memory

# The tree is told its ends as fp32 and asked about them as fp64; it clamps by itself and says so at every picture.
warnings.filterwarnings("ignore", "Should have t", module="torchsde")


class Trajectory:
    """Same noise, same scheduler and same order of draws as StableDiffusionPipeline with this recipe, or, where it has
    an image, which `picture` then is, or there is a `start`, as StableDiffusionImg2ImgPipeline.

    `control` is the picture of its control_image. Raises Refusal for what the model cannot draw, and where a picture is
    missing.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: Model,
        keep: Keep = NOTHING,
        start: Start | None = None,
        picture: Image.Image | None = None,
        control: Image.Image | None = None,
    ) -> None:
        model.check(recipe)
        if (recipe.image and picture is None) or (recipe.control_image and control is None):
            raise Refusal(NO_PICTURE)
        if keep.attention and model.facts.no_attention:
            raise Refusal(model.facts.no_attention)
        self.recipe, self.keep, self.model = recipe, keep, model
        self._shown = self._control(control) if control is not None else {}
        self._texts = self._asked()
        config = model.facts.schedule
        self.kind = prediction_type(config)
        sampler = SAMPLERS[recipe.sampler]
        self.scheduler = scheduler_for(recipe, config)
        self.generator = torch.Generator("cpu").manual_seed(recipe.seed)
        shape = model.facts.latent_shape(recipe.width, recipe.height)
        x0 = self._first_latents(picture, shape) if recipe.image else None  # their draw comes before the noise's
        noise = randn_tensor(shape, generator=self.generator, dtype=torch.float32)
        self.begin = 0  # network calls of the whole run that are left out
        if x0 is not None:
            self.begin = begin_of(self.scheduler, recipe)
            self.levels = levels_of(self.scheduler, recipe)[self.begin :]
            latents = self._noised(x0, noise)
        elif start is None:
            scale = getattr(self.scheduler, "init_noise_sigma", 1.0)  # flow matching's own schedulers have none
            latents, self.levels = noise * scale, levels_of(self.scheduler, recipe)
        else:
            if start.x0.shape != shape:
                raise Refusal(f"The picture to start from has latents {tuple(start.x0.shape)}, not {shape}.")
            found = plan(recipe, config, start.t)
            self.begin, self.levels = found.begin, found.levels
            latents = self._noised(start.x0, noise)
        self._timesteps = self.scheduler.timesteps[self.begin :]
        self._timesteps_there = self._timesteps.to(model.device, torch.float32)  # uploaded once
        self.k, self.of = 0, len(self._timesteps)
        # Cells that begin alike are told by their first input as the CPU makes it, without asking the device.
        first = self._scaled(latents)
        self._first_input = hashlib.sha256(repr(shape).encode() + first.numpy().tobytes()).digest()
        self.latents = latents.to(model.device)
        if sampler.brownian_noise:  # made now, as the scheduler's first step would, so that cells can step together
            sigmas = self.scheduler.sigmas[self.scheduler.sigmas > 0]
            self.scheduler.noise_sampler = BrownianTreeNoiseSampler(
                self.latents, sigmas.min(), sigmas.max(), recipe.seed
            )
        self.x0: Tensor | None = None  # predicted, after the latest step
        self.output: Tensor | None = None  # what the latest step went on with: guided where the recipe is
        self.answers: list[Tensor] = []  # for `texts()`, of the latest step; where predictions are kept
        self.look: Look | None = None  # of the latest call, where attention is kept
        self._look_every = 1
        self.seconds, self.shared = 0.0, 0
        self.seconds_of_call = 0.0  # of the latest one
        self.seen: Tensor | None = None  # the latest model input
        self._seen_at = -1  # the k it belongs to
        self.takes_generator = "generator" in inspect.signature(self.scheduler.step).parameters

    def _first_latents(self, picture: Image.Image, shape: tuple[int, ...]) -> Tensor:
        """The picture in the run's size -> x₀ (1, C, h, w) on the CPU, a sample of the VAE's posterior."""
        sample = randn_tensor(shape, generator=self.generator, dtype=torch.float32)
        sized = pictures.fitted(picture, self.recipe.width, self.recipe.height)
        return self.model.sample_picture(sized, sample).float().cpu().clone()

    def _noised(self, x0: Tensor, noise: Tensor) -> Tensor:
        """A picture's latents at the first level of what is left of the run."""
        if hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(self.begin)
        if self.kind == FLOW:  # whose schedulers keep what the network sees
            return self.levels[0].signal * x0 + self.levels[0].noise * noise
        return self.scheduler.add_noise(x0, noise, self.scheduler.timesteps[self.begin : self.begin + 1])

    def _scaled(self, latents: Tensor) -> Tensor:
        """The scheduler's latents as the network must see them; flow matching's own schedulers keep them so."""
        scale = getattr(self.scheduler, "scale_model_input", None)
        return latents if scale is None else scale(latents, self.timestep)

    @property
    def guided(self) -> bool:
        return self.model.facts.guided(self.recipe)

    @property
    def finished(self) -> bool:
        return self.k == self.of

    @property
    def evaluations(self) -> int:
        """Network passes that this picture needs; what is asked besides, to be looked at, is not among them."""
        return self.of * (2 if self.guided else 1)

    @property
    def level(self) -> Level:
        """Of the next network call; after the last one, where the run ended."""
        return self.levels[self.k]

    @property
    def told(self) -> float:
        """The timestep of the latest network call."""
        return float(self._timesteps[self.k - 1])

    @property
    def timestep(self) -> Tensor:
        """Of the next network call, a scalar on the CPU."""
        return self._timesteps[self.k]

    @property
    def timestep_there(self) -> Tensor:
        """The same, in fp32 on the model's device."""
        return self._timesteps_there[self.k]

    @property
    def loras(self) -> tuple[tuple[str, float], ...]:
        return self.recipe.active_loras

    @property
    def control(self) -> Condition:
        """What a ControlNet is told at the next call; empty where it is not asked."""
        return self._shown if self.recipe.controlled(self.k, self.of) else {}

    def _control(self, picture: Image.Image) -> Condition:
        sized = pictures.fitted(picture, self.recipe.width, self.recipe.height)
        scale = torch.tensor([self.recipe.controlnet_conditioning_scale])
        return {CONTROL: (pictures.to_x0(sized)[None] + 1) / 2, CONTROL_SCALE: scale}

    def texts(self) -> list[Text]:
        """The texts the network is asked with at each step: negative first, when guided or when both are kept."""
        return self._texts

    def _asked(self) -> list[Text]:
        recipe, facts, words = self.recipe, self.model.facts, self.model.words
        asked = facts.text(recipe.prompt, recipe, chunks=chunks_of(recipe, self.guided, words))
        if not (self.guided or self.keep.predictions):
            return [asked]
        chunks = chunks_of(recipe, True, words)
        return [facts.text(recipe.negative_prompt, recipe, negative=True, chunks=chunks), asked]

    def asks_alike(self) -> tuple:
        """Trajectories with an equal value ask the network the same, text by text.

        Equal inputs at the same timestep occur at the first step, of cells with the same seed. Later ones cannot
        coincide unless the recipes do, and those share one trajectory already.
        """
        if self.k:
            return (self,)
        shown = (self.recipe.control_image, self.recipe.controlnet_conditioning_scale) if self.control else ()
        return self._first_input, float(self.timestep), self.loras, shown

    def wants_look(self, position: int) -> bool:
        """Whether the attention of this text's row is kept at the next call; only that of the prompt ever is."""
        return self.keep.attention and self.k % self._look_every == 0 and position == len(self.texts()) - 1

    def looked(self, look: Look) -> None:
        """After the first look it is known how many a run can keep."""
        self.look = look
        if self.k == 0:
            most = max(1, min(MOST_LOOKS, MOST_VALUES // sum(m.numel() for m in look.maps.values())))
            self._look_every = math.ceil(self.of / most)

    @torch.inference_mode()
    def model_input(self) -> Tensor:
        """(1, C, h, w) as the network must see it at the current timestep; computed once per call of the network"""
        if self._seen_at != self.k:
            self.seen, self._seen_at = self._scaled(self.latents), self.k
        return self.seen


def steps_together(trajectory: Trajectory) -> tuple:
    """Trajectories with an equal key are at the same point of the same schedule: one scheduler step serves all."""
    recipe = trajectory.recipe
    schedule = recipe.sampler, recipe.num_inference_steps, recipe.eta, recipe.shift
    return *schedule, trajectory.begin, trajectory.k, tuple(trajectory.latents.shape)


@torch.inference_mode()
def advance_together(group: list[Trajectory], answers: list[list[Tensor]]) -> None:
    """One scheduler step for trajectories of one `steps_together` key; answers[i] are for group[i].texts()."""
    first, level = group[0], group[0].level
    for trajectory, own in zip(group, answers, strict=True):
        recipe = trajectory.recipe
        trajectory.output = trajectory.model.combine(*own, recipe) if trajectory.guided else own[-1]
        trajectory.answers = own if trajectory.keep.predictions else []
    output = torch.cat([t.output for t in group])
    x0 = x0_of(torch.cat([t.seen for t in group]), output, level.signal, level.noise, first.kind)
    generators = {"generator": [t.generator for t in group]} if first.takes_generator else {}
    eta = {"eta": first.recipe.eta} if SAMPLERS[first.recipe.sampler].has_eta else {}
    scheduler = _joined([t.scheduler for t in group])
    latents = torch.cat([t.latents for t in group])
    latents = scheduler.step(output, first.timestep, latents, **generators, **eta, return_dict=False)[0]
    _split(scheduler, [t.scheduler for t in group])
    for trajectory, x0_i, latents_i in zip(group, x0.split(1), latents.split(1), strict=True):
        trajectory.x0, trajectory.latents = x0_i, latents_i
        trajectory.k += 1


class _Together:
    """The noise samplers of several cells, asked as one; every cell's noise comes from its own seed."""

    def __init__(self, samplers: list) -> None:
        self._samplers = samplers

    def __call__(self, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        return torch.cat([sampler(sigma, sigma_next) for sampler in self._samplers])


def _joined(schedulers: list) -> Any:
    """One scheduler whose per-picture tensors (x₀ predictions, derivatives …) are those of all, stacked."""
    if len(schedulers) == 1:
        return schedulers[0]
    first = schedulers[0]
    together = first.__class__.__new__(first.__class__)
    for name, value in vars(first).items():
        if name == "noise_sampler" and value is not None:
            together.noise_sampler = _Together([s.noise_sampler for s in schedulers])
        else:
            vars(together)[name] = _stack([vars(s)[name] for s in schedulers])
    return together


def _stack(values: list) -> Any:
    first = values[0]
    if isinstance(first, Tensor) and first.ndim == 4:
        return torch.cat(values)
    if isinstance(first, list):
        return [_stack([value[i] for value in values]) for i in range(len(first))]
    return first  # schedules, counters and settings are the same for all


def _split(together: Any, schedulers: list) -> None:
    """Give every scheduler its part of the state back."""
    if len(schedulers) == 1:
        return
    for i, scheduler in enumerate(schedulers):
        own_noise = vars(scheduler).get("noise_sampler")
        for name, value in vars(together).items():
            vars(scheduler)[name] = own_noise if name == "noise_sampler" else _part(value, i)


def _part(value: Any, i: int) -> Any:
    if isinstance(value, Tensor) and value.ndim == 4:
        return value[i : i + 1]
    if isinstance(value, list):
        return [_part(v, i) for v in value]
    return value
