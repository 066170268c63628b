"""Whether a pipeline of diffusers that no family here knows draws pictures from words: read off its index and the call
that its class takes, before any weight is read or fetched. diffusers is imported here, so this is asked last.
"""

import inspect
from importlib.util import find_spec
from typing import Any

import diffusers
from diffusers import DiffusionPipeline

from playground.refusal import Refusal
from playground.samplers import SAMPLERS
from playground.sources.parts import DENOISERS, PIPELINES

NEEDED = ("prompt", "height", "width", "num_inference_steps", "generator")
# arguments of pipelines that draw films, and of those that change or follow a picture, even where it may be left out
OF_FILMS = ("num_frames", "frames", "video_length", "video", "control_video")
OF_PICTURES = ("strength", "mask_image", "control_image", "controlnet_conditioning_scale")
OF_PICTURES += ("adapter_conditioning_scale", "image_guidance_scale", "noise_level")
OF_FAMILIES = {name for s in SAMPLERS.values() for name in (s.scheduler_class, s.flow_class) if name}
KNOWN = OF_FAMILIES | {s.edm_class for s in SAMPLERS.values()}


def cannot(index: dict[str, Any], name: str) -> str:
    """How a sentence about it begins."""
    return f"{name} is a {str(index.get('_class_name'))[:60]}, which cannot be run here"


def pipeline_of(index: dict[str, Any], name: str) -> type[DiffusionPipeline]:
    """Its class. Raises Refusal, with one sentence, for what cannot be asked for a picture from words alone."""
    kind, no = str(index.get("_class_name")), cannot(index, name)
    found = _of_diffusers(kind) if kind.endswith("Pipeline") else None
    if missing := [package for package in getattr(found, "_backends", ()) if find_spec(package) is None]:
        raise Refusal(f"{no}: diffusers needs {' and '.join(missing)} for it, which is not installed.")
    if found is None or not issubclass(found, DiffusionPipeline):
        raise Refusal(f"{no}: diffusers has no pipeline of that name.")
    takes = inspect.signature(found.__call__).parameters
    if missing := [argument for argument in NEEDED if argument not in takes]:
        raise Refusal(f"{no}: its pipeline does not take {', '.join(missing)}.")
    if any(argument in takes for argument in OF_FILMS):
        raise Refusal(f"{no}: its pipeline draws films.")
    must = next((a for a, said in takes.items() if a not in ("self", *NEEDED) and _is_required(said)), "")
    if must or "Edit" in kind or any(argument in takes for argument in OF_PICTURES):
        raise Refusal(f"{no}: its pipeline needs {must or 'a picture'} besides words.")
    if not any(part in index for part in DENOISERS) or "scheduler" not in index:
        raise Refusal(f"{no}: it is not made of a scheduler and a U-Net or transformer.")
    scheduler = _scheduler(index)
    if scheduler and scheduler not in KNOWN:
        raise Refusal(f"{no}: its scheduler, {scheduler[:60]}, is none of the samplers that are known here.")
    return found


def _is_required(argument: inspect.Parameter) -> bool:
    anything = argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD)
    return argument.default is argument.empty and not anything


def of_a_family(index: dict[str, Any]) -> bool:
    """Whether a family here runs its pipeline, and the samplers here can follow the schedule that it was taught: flow
    matching's, or one of β's of any scheduler. EDM's is neither."""
    scheduler = _scheduler(index)
    found = _of_diffusers(scheduler)
    has_betas = found is not None and "beta_start" in inspect.signature(found.__init__).parameters
    return index.get("_class_name") in PIPELINES and (not scheduler or scheduler in OF_FAMILIES or has_betas)


def _scheduler(index: dict[str, Any]) -> str:
    """The name of its class; empty where none is named, which is said when the folder is read."""
    named = index.get("scheduler")
    return str(named[-1]) if isinstance(named, list) and named else ""


def _of_diffusers(kind: str) -> type | None:
    """Where a package is missing that this one class needs it is a placeholder, which names it, or None."""
    try:
        found = getattr(diffusers, kind, None)
    except (ImportError, RuntimeError):
        return None
    return found if inspect.isclass(found) else None
