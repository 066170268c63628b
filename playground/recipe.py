"""A Recipe fixes one picture completely: same recipe, same weights, same picture."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from dataclasses import replace as dataclass_replace
from typing import Any

from playground.emphasis import check_weights
from playground.refusal import Refusal
from playground.samplers import SAMPLERS

PROMPT_LIMIT = 1000  # characters; the tokenizer keeps far fewer, and the page says how many
GUIDANCE_RANGE = (0.0, 50.0)
STEPS_RANGE = (1, 1000)
SEED_RANGE = (0, 2**32 - 1)
SIDE_RANGE = (64, 1024)  # pixels
LORA_RANGE = (-2.0, 2.0)  # weight; 1 is as trained, 0 is without
RESCALE_RANGE = (0.0, 1.0)
STRENGTH_RANGE = (0.0, 1.0)
CONTROL_RANGE = (0.0, 2.0)
SHARE_RANGE = (0.0, 1.0)
ETA_RANGE = (0.0, 1.0)
CLIP_SKIP_RANGE = (0, 12)  # layers; a model may have fewer
SHIFT_RANGE = (0.0, 20.0)
TRUE_CFG_RANGE = (1.0, 20.0)
MOST_LORAS = 4  # in one picture
LORA_NAME_LIMIT = 64  # characters


def _late(default: Any) -> Any:
    """A field that came after pictures were kept: at its default it is left out of the JSON, so that the recipes of
    those pictures still have their digests."""
    return field(default=default, metadata={"late": True})


@dataclass(frozen=True)
class Recipe:
    """What a picture is made from. Raises Refusal, with one sentence that names the field, for anything invalid.

    What one model or another can draw (sizes, samplers, LoRAs) is the model's own to say: `models.facts.Facts`.
    """

    prompt: str = ""
    negative_prompt: str = ""  # used only where guidance_scale > 1
    sampler: str = "dpmpp_2m"  # a key of playground.samplers.SAMPLERS
    num_inference_steps: int = 20  # 1 … 1000
    guidance_scale: float = 5.0  # 0 … 50; at 1 or below there is no guidance and no unconditional pass
    seed: int = 0  # 0 … 2³²−1; of the generator that draws the initial and any later noise
    width: int = 128  # pixels, multiple of 8
    height: int = 128
    model: str = "pocket"
    loras: tuple[tuple[str, float], ...] = ()  # (name, weight −2 … 2), sorted; given as a mapping such as {"ink": 0.8}
    # how much of guidance's change of contrast is taken back, 0 … 1: Lin et al. 2023, arxiv.org/abs/2305.08891, eq. 16
    guidance_rescale: float = _late(0.0)
    # 1 … 20: classifier-free guidance of a model that is told guidance_scale as an input; 1 is without
    true_cfg_scale: float = _late(1.0)
    # 64 digits of `pictures.digest`, of the picture that the run starts from instead of noise; "" is none. Image to
    # image: SDEdit, Meng et al. 2021, arxiv.org/abs/2108.01073
    image: str = _late("")
    strength: float = _late(0.8)  # 0 … 1, the share of the steps that are run from there; used only with an image

    # and of the picture that a ControlNet is shown, Zhang et al. 2023, arxiv.org/abs/2302.05543; "" is none
    control_image: str = _late("")
    controlnet_conditioning_scale: float = _late(1.0)  # 0 … 2, how much of what it adds is added
    control_guidance_start: float = _late(0.0)  # shares of the run between which it is asked, 0 … 1
    control_guidance_end: float = _late(1.0)
    # 0 … 1, how much of DDPM's noise DDIM adds at each step: Song et al. 2020, arxiv.org/abs/2010.02502, equation 16
    eta: float = _late(0.0)
    clip_skip: int = _late(0)  # 0 … 12, of CLIP's last layers those that are left out for the prompt
    # 0 … 20, how far flow matching's steps are moved towards noise; 0 is as the model's own schedule has it
    shift: float = _late(0.0)
    # (word:1.2) and [word] of both prompts are weights, and long prompts are read in chunks, as AUTOMATIC1111 does it
    prompt_weights: bool = _late(False)

    def __post_init__(self) -> None:
        for name in ("prompt", "negative_prompt"):
            _check_text(name, getattr(self, name))
        if not isinstance(self.sampler, str) or self.sampler not in SAMPLERS:
            raise Refusal(f"sampler must be one of {', '.join(SAMPLERS)}, not {_shown(self.sampler)}.")
        for name, limits in (("num_inference_steps", STEPS_RANGE), ("seed", SEED_RANGE)):
            _check_whole(name, getattr(self, name), *limits)
        sampler = SAMPLERS[self.sampler]
        if self.num_inference_steps < sampler.fewest_steps:
            raise Refusal(
                f"num_inference_steps must be at least {sampler.fewest_steps} for the sampler {self.sampler}."
            )
        if self.num_inference_steps > sampler.most_steps:
            raise Refusal(f"num_inference_steps must be at most {sampler.most_steps} for the sampler {self.sampler}.")
        _check_number("guidance_scale", self.guidance_scale, *GUIDANCE_RANGE)
        object.__setattr__(self, "guidance_scale", float(self.guidance_scale))
        _check_number("guidance_rescale", self.guidance_rescale, *RESCALE_RANGE)
        object.__setattr__(self, "guidance_rescale", float(self.guidance_rescale))
        _check_number("true_cfg_scale", self.true_cfg_scale, *TRUE_CFG_RANGE)
        object.__setattr__(self, "true_cfg_scale", float(self.true_cfg_scale))
        _check_picture("image", self.image)
        _check_number("strength", self.strength, *STRENGTH_RANGE)
        object.__setattr__(self, "strength", float(self.strength))
        if self.steps_run < 1:
            n = self.num_inference_steps
            least = math.ceil(1e4 / n) / 1e4
            raise Refusal(f"strength must be at least {least:.15g} with {n} steps, so that one runs.")
        _check_picture("control_image", self.control_image)
        ranges = {"controlnet_conditioning_scale": CONTROL_RANGE}
        ranges |= dict.fromkeys(("control_guidance_start", "control_guidance_end"), SHARE_RANGE)
        for name, limits in ranges.items():
            _check_number(name, getattr(self, name), *limits)
            object.__setattr__(self, name, float(getattr(self, name)))
        for name, limits in {"eta": ETA_RANGE, "shift": SHIFT_RANGE}.items():
            _check_number(name, getattr(self, name), *limits)
            object.__setattr__(self, name, float(getattr(self, name)))
        _check_whole("clip_skip", self.clip_skip, *CLIP_SKIP_RANGE)
        if not isinstance(self.prompt_weights, bool):
            raise Refusal(f"prompt_weights must be true or false, not {_shown(self.prompt_weights)}.")
        for name in ("prompt", "negative_prompt") if self.prompt_weights else ():
            check_weights(name, getattr(self, name))
        if self.control_guidance_start >= self.control_guidance_end:
            raise Refusal("control_guidance_start must be below control_guidance_end.")
        for name in ("width", "height"):
            side = getattr(self, name)
            _check_whole(name, side, *SIDE_RANGE)
            if side % 8:
                raise Refusal(f"{name} must be a multiple of 8, not {side}.")
        if not isinstance(self.model, str) or not self.model or _HALF.search(self.model):
            raise Refusal("model must be the name of a model.")
        object.__setattr__(self, "loras", _checked_loras(self.loras))

    @property
    def steps_run(self) -> int:
        """Of num_inference_steps those that are run: all, or, from a picture, the last ones, as many as
        StableDiffusionImg2ImgPipeline takes at this strength."""
        n = self.num_inference_steps
        return min(int(n * self.strength), n) if self.image else n

    def controlled(self, k: int, of: int) -> bool:
        """Whether the ControlNet is asked at call k (from 0) of so many, as diffusers' pipelines decide it."""
        outside = k / of < self.control_guidance_start or (k + 1) / of > self.control_guidance_end
        return bool(self.control_image) and not outside and self.controlnet_conditioning_scale > 0

    @property
    def calls(self) -> int:
        """Of the network, before guidance doubles them."""
        return SAMPLERS[self.sampler].calls(self.steps_run)

    @property
    def active_loras(self) -> tuple[tuple[str, float], ...]:
        """The LoRAs that change the network: weight 0 is the same as none."""
        return tuple((name, weight) for name, weight in self.loras if weight)

    def replace(self, **changes: Any) -> "Recipe":
        """A checked copy with some fields changed."""
        unknown = set(changes) - FIELDS
        if unknown:
            raise Refusal(f"{_shown(sorted(unknown)[0])} is not a field of a recipe.")
        return dataclass_replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `loras` is an object, and absent where there are none, as is every late field at its
        default."""
        data = {name: value for name, value in asdict(self).items() if value != LATE.get(name, _NEVER)}
        loras = dict(data.pop("loras"))
        return data | ({"loras": loras} if loras else {})

    def to_json(self) -> str:
        """Canonical JSON: keys sorted, so equal recipes give equal text."""
        return json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_dict(cls, data: Any) -> "Recipe":
        if not isinstance(data, dict):
            raise Refusal("A recipe must be a JSON object with fields such as prompt and seed.")
        return cls().replace(**data)

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Reads `to_json`; missing fields take their defaults, unknown ones raise Refusal."""
        try:
            data = json.loads(text)
        except (TypeError, ValueError, RecursionError) as error:
            raise Refusal("A recipe must be valid JSON.") from error
        return cls.from_dict(data)

    def digest(self) -> str:
        """64 hexadecimal digits; stable across processes, machines and versions of Python."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


FIELDS = {f.name for f in fields(Recipe)}
LATE = {f.name: f.default for f in fields(Recipe) if f.metadata.get("late")}
_NEVER = object()  # equal to no value
_HALF = re.compile(r"[\ud800-\udfff]")  # of a surrogate pair: JSON can say it, and no file can keep it


def check_known_loras(names: Iterable[str], known: Sequence[str]) -> None:
    """Raises Refusal, with the names that a model has, for the first one that it does not have."""
    for name in names:
        if name not in known:
            others = f"known: {', '.join(known)}" if known else "this model has none"
            raise Refusal(f"There is no LoRA named {_shown(name)}; {others}.")


def _shown(value: Any) -> str:
    """A value as it may stand in an error sentence: short, one line."""
    try:
        text = " ".join(repr(value).split())
    except (ValueError, RecursionError):  # Python writes no whole number of more than 4,300 digits
        return "one that is too long to be shown"
    return text if len(text) <= 40 else text[:37] + "…"


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise Refusal(f"{name} must be text, not {_shown(value)}.")
    if len(value) > PROMPT_LIMIT:
        raise Refusal(f"{name} must have at most {PROMPT_LIMIT:,} characters; this one has {len(value):,}.")
    if _HALF.search(value):
        raise Refusal(f"{name} has half of a character in it; type it again.")


def _check_whole(name: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refusal(f"{name} must be a whole number from {low:,} to {high:,}, not {_shown(value)}.")
    if not low <= value <= high:
        raise Refusal(f"{name} must be from {low:,} to {high:,}, not {figures(value, ',')}.")


def _check_number(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) == math.inf:
        raise Refusal(f"{name} must be a number from {low:g} to {high:g}, not {_shown(value)}.")
    if not low <= value <= high:
        raise Refusal(f"{name} must be from {low:g} to {high:g}, not {figures(value, 'g')}.")


def figures(value: float, form: str) -> str:
    """A number as it may stand in an error sentence; whole ones may be too large for a float, or fill pages."""
    return format(value, form) if abs(value) < 1e12 else _shown(value)


def _check_picture(name: str, value: Any) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"([0-9a-f]{64})?", value):
        raise Refusal(f"{name} must be the 64 hexadecimal digits of a picture that is kept here, not {_shown(value)}.")


def _checked_loras(value: Any) -> tuple[tuple[str, float], ...]:
    """A mapping of names to weights, or such a tuple of pairs -> sorted pairs with weights as floats."""
    try:
        weights = dict(value) if isinstance(value, Mapping | tuple) else None
    except (TypeError, ValueError):
        weights = None
    if weights is None:
        raise Refusal(f'loras must be an object such as {{"name": 0.8}}, not {_shown(value)}.')
    if len(weights) > MOST_LORAS:
        raise Refusal(f"loras can have at most {MOST_LORAS} entries; this one has {len(weights):,}.")
    for name, weight in weights.items():
        if not isinstance(name, str) or not 0 < len(name) <= LORA_NAME_LIMIT or not name.isprintable():
            raise Refusal(f"loras needs names of 1 to {LORA_NAME_LIMIT} plain characters, not {_shown(name)}.")
        _check_number(f"loras.{name}", weight, *LORA_RANGE)
    return tuple(sorted((name, float(weight) + 0.0) for name, weight in weights.items()))  # + 0.0 makes −0.0 plain
