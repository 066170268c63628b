"""Any other text-to-image pipeline of diffusers: one picture at a time, by the pipeline's own `__call__`.

Nothing is known here of its networks, so its rows are not batched with others and no view looks into its steps. What a
recipe may say is what `__call__` takes.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPTextModel

from playground.answer import FLOW, check_finite
from playground.models.facts import CALL, OR_NONE, Facts, side_of, usual_recipe
from playground.models.folder import described, fingerprint, licence, load_pipeline
from playground.models.loading import planned_whole
from playground.models.lora.folder import named, own_folder
from playground.models.running.as_loaded import AsLoaded
from playground.models.running.device import PRECISIONS
from playground.models.running.offload import place_whole
from playground.models.running.plan import EVERYTHING, Plan
from playground.models.running.threads import use_the_cores_present
from playground.models.words import Cutter, Words, unseen
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.samplers import SAMPLERS
from playground.sources.others import cannot, pipeline_of
from playground.sources.parts import DENOISERS, UNUSED, index_of

WHOLE = (
    "This model is run by its own pipeline, one picture at a time, and nothing looks into its steps, so this view is "
    "not offered for it."
)
NO_LORAS = "it is run by its own pipeline, to whose networks no LoRA is added here"
OTHERS = "Its other text encoders may read more of it."
TAKEN = ("negative_prompt", "guidance_scale", "guidance_rescale", "eta", "clip_skip")  # where `__call__` takes them
LONGEST = 512  # tokens, where neither `__call__` nor the tokenizer says how many are read
AUTOENCODERS = ("vae", "vqvae", "movq")  # without one it draws pixels

Tell = Callable[[int, int, float], None]  # step done, of how many, its timestep; what it raises ends the picture


class WholePipeline(AsLoaded):
    """A model that draws whole pictures."""

    def __init__(
        self,
        name: str,
        pipeline: DiffusionPipeline,
        device: torch.device,
        folder: Path,
        loras: Sequence[Path] = (),
        plan: Plan = EVERYTHING,
    ) -> None:
        """`folder`: where the pipeline was read; `loras`: folders of LoRA files for any model, all left out here."""
        use_the_cores_present()
        self.device, self._pipeline = device, pipeline
        pipeline.set_progress_bar_config(disable=True)
        parts = [part for part in pipeline.components.values() if isinstance(part, nn.Module)]
        for part in parts:
            part.eval()
            if isinstance(part, CLIPTextModel) and not hasattr(part, "text_model"):
                # newer transformers have none, where pipelines of Stable Diffusion look for its last norm (clip_skip)
                object.__setattr__(part, "text_model", part)  # no module of its own, so that nothing is counted twice
        parameters = sum(p.numel() for part in parts for p in part.parameters())  # of which layers that come share none
        place_whole(pipeline, device, plan)
        self._denoiser: nn.Module = next(getattr(pipeline, key) for key in DENOISERS if key in pipeline.components)
        decoders = (getattr(pipeline.components.get(name), "decoder", None) for name in AUTOENCODERS)
        self._watched = [self._denoiser, *(part for part in decoders if isinstance(part, nn.Module))]
        self._takes = inspect.signature(pipeline.__call__).parameters
        negative = self._takes.get("negative_prompt")
        self._or_none = negative is not None and negative.default is None
        longest = self._takes["max_sequence_length"].default if "max_sequence_length" in self._takes else None
        self.words = words_of(pipeline, longest)
        in_pixels = not any(part in pipeline.components for part in AUTOENCODERS)
        scheduler, scale = pipeline.scheduler, 1 if in_pixels else getattr(pipeline, "vae_scale_factor", 8)
        schedule = dict(scheduler.config)
        if type(scheduler).__name__.startswith("FlowMatch"):
            schedule |= {"prediction_type": FLOW, "_token": scale}
        guided = "guidance_scale" in self._takes
        side = side_of(self._denoiser.config, scale)
        usual = {"sampler": sampler_of(scheduler), "num_inference_steps": self._takes["num_inference_steps"].default}
        usual["guidance_scale"] = float(self._takes["guidance_scale"].default) if guided else 0.0
        call = CALL | OR_NONE if self._or_none else CALL
        left = set() if SAMPLERS[usual["sampler"]].has_eta else {"eta"}  # which other schedulers do not take
        self.facts = Facts(
            name=name,
            family=type(pipeline).__name__.removesuffix("Pipeline"),
            fingerprint=fingerprint(folder, ["its own pipeline", str(self._denoiser.dtype)]),
            parameters=parameters,
            device=device.type,
            memory=plan.says,
            precision=PRECISIONS[self._denoiser.dtype],
            schedule=schedule,
            channels=getattr(self._denoiser.config, "in_channels", 4),
            scale=scale,
            multiple=max(8, scale),
            usual=usual_recipe(name, side, **usual),
            samplers=(usual["sampler"],),
            guidance="classifier-free" if guided else "none",
            network="U-Net" if hasattr(pipeline, "unet") else "transformer",
            cfg="guidance_scale" if guided else "",
            left_out={lora: NO_LORAS for lora, _ in named([own_folder(folder), *loras])},
            no_start="It is run by its own pipeline, which is asked for pictures from words only.",
            rescales="guidance_rescale" in self._takes,
            no_attention=WHOLE,
            tokens=self.words("").limit or LONGEST,
            clip_skips=1 if "clip_skip" in self._takes else 0,
            licence=licence(folder),
            card=described(folder),
            folder=str(folder),
            whole=WHOLE,
            takes=tuple(name for name in TAKEN if name in self._takes and name not in left),
            call={name: call[name] for name in call if name in self._takes},
        )

    def check(self, recipe: Recipe) -> None:
        self.facts.check(recipe)

    @torch.inference_mode()
    def draw(self, recipe: Recipe, tell: Tell) -> tuple[Image.Image, int]:
        """Exactly as the pipeline draws it -> the picture, and the rows that its network was asked for. Raises Refusal
        where there is no picture left."""
        rows = done = 0
        answers: dict[nn.Module, Any] = {}  # the last ones

        def count(_module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
            nonlocal rows
            first = next(x for x in (*args, *kwargs.values()) if isinstance(x, Tensor | list))
            rows += len(first)

        def keep(module: nn.Module, _args: tuple, answer: Any) -> None:
            answers[module] = answer

        def after(pipeline: DiffusionPipeline, step: int, timestep: Any, _tensors: dict) -> dict:
            tell(step + 1, getattr(pipeline, "num_timesteps", recipe.calls), float(timestep))
            return {}

        def formerly(_step: int, timestep: Any, _latents: Tensor) -> None:
            """Called once a step, whose number some pipelines count in calls of the network."""
            nonlocal done
            done += 1
            tell(done, recipe.num_inference_steps, float(timestep))

        given = {name: getattr(recipe, name) for name in self.facts.takes}
        if "clip_skip" in given:
            given["clip_skip"] = recipe.clip_skip or None
        if self._or_none:
            given["negative_prompt"] = recipe.negative_prompt or None
        if "callback_on_step_end" in self._takes:
            given["callback_on_step_end"] = after
        elif "callback" in self._takes:
            given |= {"callback": formerly, "callback_steps": 1}
        hooks = [self._denoiser.register_forward_pre_hook(count, with_kwargs=True)]
        hooks += [module.register_forward_hook(keep) for module in self._watched]
        try:
            pictures = self._pipeline(
                prompt=recipe.prompt,
                num_inference_steps=recipe.num_inference_steps,
                width=recipe.width,
                height=recipe.height,
                generator=torch.Generator("cpu").manual_seed(recipe.seed),
                return_dict=False,
                **given,
            )[0]
        finally:
            for hook in hooks:
                hook.remove()
            self._pipeline.maybe_free_model_hooks()
        for values in _tensors(answers):
            check_finite(values)  # else it would be a black picture
        return pictures[0], rows

    @property
    def runtime(self) -> str:
        return "PyTorch, one picture at a time"

    def attach_control(self, folder: Path) -> None:
        raise Refusal(f"{self.facts.name} is run by its own pipeline, which takes no ControlNet here.")


def _tensors(answer: Any) -> Iterator[Tensor]:
    """All in what a module answers, which may be a tensor, several, or an output of diffusers with names."""
    if isinstance(answer, Tensor):
        yield answer
    elif isinstance(answer, Mapping | list | tuple):
        for part in answer.values() if isinstance(answer, Mapping) else answer:
            yield from _tensors(part)


def words_of(pipeline: DiffusionPipeline, longest: int | None) -> Callable[..., Words]:
    """How a text is cut, where that can be seen. `longest`: tokens that its call says it reads."""
    tokenizer = tokenizer_of(pipeline)
    if not getattr(tokenizer, "is_fast", False):
        return unseen  # one in plain Python does not say where it cuts
    if not hasattr(pipeline, "tokenizer_2"):
        return Cutter(tokenizer, longest or min(LONGEST, tokenizer.model_max_length))
    # of which encoder the call says it is not known
    limit = min(longest or LONGEST, tokenizer.model_max_length)
    return Cutter(tokenizer, limit, reader="its first text encoder", besides=OTHERS)


def tokenizer_of(pipeline: DiffusionPipeline) -> Any:
    """Its first one, which may be part of a processor; None where it has none."""
    found = pipeline.components.get("tokenizer") or pipeline.components.get("processor")
    return getattr(found, "tokenizer", found)


def sampler_of(scheduler: Any) -> str:
    """The key of the sampler that a pipeline's scheduler is. Raises Refusal where it is none that is known here."""
    kind, config = type(scheduler).__name__, scheduler.config
    for key, sampler in SAMPLERS.items():
        if kind in (sampler.scheduler_class, sampler.flow_class, sampler.edm_class) and all(
            config.get(name) == value for name, value in sampler.config.items()
        ):
            return key
    raise Refusal(f"Its scheduler, {kind}, is none of the samplers that are known here.")


def load(
    name: str,
    folder: Path,
    device: torch.device,
    dtype: torch.dtype | None,
    loras: Sequence[Path] = (),
    memory: int | None = None,
) -> WholePipeline:
    """`memory`: bytes of the device that may be used at most. Raises Refusal, with one sentence, for what cannot be run
    so, or has no room."""
    listed = index_of(folder)
    pipeline_class = pipeline_of(listed, name)
    left_out = {part: None for part in UNUSED if part in listed}
    if dtype is None:
        reduced = torch.float16 if "unet" in listed else torch.bfloat16
        dtype = torch.float32 if device.type == "cpu" else reduced
    plan = planned_whole(name, folder, pipeline_class, device, dtype, memory)
    pipeline = load_pipeline(pipeline_class, folder, dtype=dtype, **left_out)
    try:
        return WholePipeline(name, pipeline, device, folder, loras, plan)
    except Refusal as refusal:
        raise Refusal(f"{cannot(listed, name)}: {str(refusal)[0].lower()}{str(refusal)[1:]}") from None
