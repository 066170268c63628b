"""A dropped picture -> the recipe that it carries, in the settings of this playground's model, and one sentence for
everything that it says and that has no place here."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from playground.emphasis import has_marks
from playground.export import comfy
from playground.export.document import alone, read_data
from playground.export.parameters import DISTILLED, parse_parameters
from playground.export.png import PARAMETERS, texts_of
from playground.labels import CONTROLS, FIELD_NAMES
from playground.models import Facts
from playground.recipe import PROMPT_LIMIT, SEED_RANGE, Recipe, figures
from playground.refusal import Refusal
from playground.samplers import SAMPLERS
from playground.store import TEXT_KEY
from playground.sweep import Sweep, model_of

DAMAGED = "The recipe inside this picture is damaged."
NO_RECIPE = "This PNG carries no recipe: neither this playground, AUTOMATIC1111 nor ComfyUI wrote into it."
# AUTOMATIC1111's names of settings that a recipe has, and of those that say nothing about the picture
_READ = {"Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Model", "Model hash", "CFG Rescale"}
_READ |= {"Clip skip", "Eta DDIM", "Shift"}
_SAYS_NOTHING = {"RNG", "Version", "Lora hashes", "TI hashes", "Created Date", "Hashes"}
_EMPHASIS = re.compile(r"\([^()]+:\s*\d*\.?\d+\)|\(\(|\[\[")
_KARRAS = " Karras"
_SAME = {"LMS": "pndm", "UniPC": "unipc", "Uni PC": "unipc", "DPM++ SDE Karras": "dpmpp_sde"}
_LATE = ("true_cfg_scale", "guidance_rescale", "eta", "clip_skip", "shift")
_OF_SOME_MODELS = (*_LATE, "prompt_weights")
_WEIGHTS = "prompt_weights"
SHOWN = 60  # characters of a foreign text in a sentence


@dataclass
class Restored:
    """What a picture or file gave: a sweep for the form, and sentences about what was left out or changed."""

    sweep: Sweep
    sentences: list[str] = field(default_factory=list)
    drawn_by: str = ""  # another model of this playground, which has a page of its own

    @property
    def recipe(self) -> Recipe:
        return self.sweep.base


def read_picture(data: bytes, facts: Facts) -> Restored:
    """The bytes of an untrusted PNG: of this playground (a cell or a whole grid), of AUTOMATIC1111 or of ComfyUI.

    Raises Refusal with one sentence where it is no readable PNG or says nothing.
    """
    texts, _ = texts_of(data)
    try:
        return _read(texts, facts)
    except RecursionError:  # JSON can be nested so deeply that it is read and cannot be written
        raise Refusal(DAMAGED) from None


def _read(texts: dict[str, str], facts: Facts) -> Restored:
    if TEXT_KEY in texts:
        return _own(texts[TEXT_KEY], facts)
    if PARAMETERS in texts:
        return _automatic(texts[PARAMETERS], facts)
    graph = comfy.read_workflow(texts.get("prompt"), texts.get("workflow"))
    if graph is not None:
        return _comfy(graph, facts)
    raise Refusal(NO_RECIPE)


def _own(text: str, facts: Facts) -> Restored:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise Refusal(DAMAGED) from None
    sweep = read_data(data)
    here = {facts.name, *facts.beside}
    if "model" in sweep.axes and here.issuperset(map(model_of, sweep.axes["model"])):
        return Restored(sweep)
    if sweep.base.model == facts.name and "model" not in sweep.axes:
        for recipe in sweep.recipes():
            facts.check(recipe)
        return Restored(sweep)
    taken, base = _Taken(facts), sweep.base
    taken.words(base.prompt, base.negative_prompt, base.prompt_weights)
    if "model" in sweep.axes:
        names = _short(", ".join(map(model_of, sweep.axes["model"])))
        taken.say(f"It varied the model ({names}), of which not all are here; {facts.name} stands in the form.")
    else:
        taken.model(base.model)
    taken.set(steps=base.num_inference_steps, scale=base.guidance_scale, seed=base.seed, sampler=base.sampler)
    taken.size(base.width, base.height)
    for name in _LATE:
        taken.change(name, getattr(base, name), FIELD_NAMES[name])
    taken.loras(dict(base.loras))
    if base.image and facts.no_start:
        taken.say(f"It started from a picture. {facts.no_start}")
    elif base.image:
        taken.change("image", base.image, "The start picture")
        taken.change("strength", base.strength, "Strength")
    if base.control_image and facts.controlnet:
        for name in ("control_image", *CONTROLS):
            taken.change(name, getattr(base, name), FIELD_NAMES[name])
    elif base.control_image:
        taken.say("A ControlNet was shown a picture, and there is none here.")
    return taken.restored()


def _automatic(text: str, facts: Facts) -> Restored:
    said, taken = parse_parameters(text), _Taken(facts)
    settings = said.settings
    weights = any(has_marks(text[:PROMPT_LIMIT]) for text in (said.prompt, said.negative_prompt))
    taken.words(said.prompt, said.negative_prompt, weights)
    if taken.weighs:
        taken.say(f"{FIELD_NAMES[_WEIGHTS]} is on, because AUTOMATIC1111 reads marks such as (word:1.2) so.")
    name = settings.get("Sampler", "")
    if settings.get("Schedule type") == "Karras" and not name.endswith(_KARRAS):
        name += _KARRAS
    scale, told = _number(settings.get("CFG scale")), _number(settings.get(DISTILLED))
    if told is not None and facts.has_true_cfg:
        taken.change("true_cfg_scale", max(scale or 1.0, 1.0), "CFG scale")  # below 1 is without it as well
        scale = told
    taken.set(
        steps=_whole(settings.get("Steps")),
        scale=scale,
        seed=_whole(settings.get("Seed")),
        sampler=_sampler(name),
        called=name,
    )
    if (rescale := _number(settings.get("CFG Rescale"))) is not None:
        taken.change("guidance_rescale", rescale, "CFG Rescale")
    if skipped := (_whole(settings.get("Clip skip")) or 1) - 1:  # it counts from the last layer, which is 1
        taken.change("clip_skip", skipped, "Clip skip")
    if (eta := _number(settings.get("Eta DDIM"))) is not None:
        taken.change("eta", eta, "Eta DDIM")
    if (shift := _number(settings.get("Shift"))) is not None:
        taken.change("shift", shift, "Shift")
    if match := re.fullmatch(r"(\d{1,5})x(\d{1,5})", settings.get("Size", "")):
        taken.size(int(match[1]), int(match[2]))
    taken.model(settings.get("Model", ""))
    taken.loras(said.loras)
    known = _READ | _SAYS_NOTHING | ({DISTILLED} if facts.has_true_cfg else set())
    taken.left_out([f"{name} {value}" for name, value in settings.items() if name not in known])
    return taken.restored()


def _comfy(graph: comfy.Graph, facts: Facts) -> Restored:
    taken, values = _Taken(facts), graph.values
    taken.words(graph.prompt, graph.negative_prompt)
    named = (str(values.get("sampler_name")), str(values.get("scheduler")))
    exact = next((key for key, names in comfy.NAMES.items() if names == named), None)
    near = exact or next((key for key, names in comfy.NAMES.items() if names[0] == named[0]), None)
    taken.set(
        steps=_whole(values.get("steps")),
        scale=_number(values.get("cfg")),
        seed=_whole(values.get("seed")),
        sampler=near,
        called=" ".join(named),
    )
    if near and not exact:
        usual = f"{SAMPLERS[near].label} keeps its usual steps in noise"
        taken.say(f"The scheduler {_short(named[1])} has no place here; {usual}.")
    if skipped := values.get("clip_skip"):
        taken.change("clip_skip", skipped, "CLIPSetLastLayer")
    width, height = _whole(values.get("width")), _whole(values.get("height"))
    if width and height:
        taken.size(width, height)
    taken.model(graph.model)
    taken.loras(graph.loras)
    if graph.starts:
        taken.say(f"It started from the picture {_short(graph.starts)}, which the file does not carry.")
    taken.left_out(graph.other)
    return taken.restored()


class _Taken:
    """A recipe that grows from what was read, beginning with the settings that the model is made for."""

    def __init__(self, facts: Facts) -> None:
        self._facts, self._recipe = facts, facts.usual
        self._sentences: list[str] = []
        self._drawn_by = ""

    def restored(self) -> Restored:
        self._facts.check(self._recipe)
        return Restored(alone(self._recipe), self._sentences, self._drawn_by)

    def say(self, sentence: str) -> None:
        self._sentences.append(sentence)

    def change(self, name: str, value: Any, called: str) -> None:
        """Set one field, or say why it could not be."""
        try:
            changed = self._recipe.replace(**{name: value})
            if name in _OF_SOME_MODELS:
                self._facts.check(changed)
            self._recipe = changed
        except Refusal as refusal:
            self.say(f"{called} {_short(value)} has no place here: {refusal}")

    @property
    def weighs(self) -> bool:
        return self._recipe.prompt_weights

    def words(self, prompt: str, negative_prompt: str, weights: bool = False) -> None:
        """`weights`: their marks were read as weights; said where they cannot be here."""
        given = (("prompt", "The prompt", prompt), ("negative_prompt", "The negative prompt", negative_prompt))
        for name, called, text in given:
            if len(text) > PROMPT_LIMIT:
                self.say(f"{called} had {len(text):,} characters; the first {PROMPT_LIMIT:,} were taken.")
            self.change(name, text[:PROMPT_LIMIT], called)
        if weights and self._facts.reads_weights:
            self.change(_WEIGHTS, True, FIELD_NAMES[_WEIGHTS])
        for _, called, text in given if not self.weighs else ():
            if _EMPHASIS.search(text) or (weights and has_marks(text[:PROMPT_LIMIT])):
                self.say(f"{called} has emphasis marks such as (word:1.2), which are read as plain text here.")

    def set(
        self, steps: int | None, scale: float | None, seed: int | None, sampler: str | None, called: str = ""
    ) -> None:
        if sampler is not None and sampler in self._facts.samplers:
            self._recipe = self._recipe.replace(num_inference_steps=self._fitting(sampler), sampler=sampler)
        elif called or sampler:
            usual = SAMPLERS[self._recipe.sampler].label
            self.say(f"The sampler {_short(called or sampler)} has no place here; {usual} stands in the form.")
        if steps is not None:
            self.change("num_inference_steps", steps, "Steps")
        if scale is not None and self._facts.has_guidance_scale:
            self.change("guidance_scale", scale, "CFG scale")
        elif scale is not None and scale != self._recipe.guidance_scale:
            self.say(f"The CFG scale {scale:g} has no place here: this model uses no guidance scale.")
        if seed is not None and seed > SEED_RANGE[1]:
            self.say(f"The seed {seed} is larger than a seed can be here; its last 32 bits were taken.")
            seed &= SEED_RANGE[1]
        if seed is not None:
            self.change("seed", seed, "Seed")

    def _fitting(self, sampler: str) -> int:
        row = SAMPLERS[sampler]
        return min(max(self._recipe.num_inference_steps, row.fewest_steps), row.most_steps)

    def size(self, width: int, height: int) -> None:
        usual = self._facts.usual
        if (width, height) != (usual.width, usual.height):
            self.say(
                f"The size {width} × {height} was left at this model's own {usual.width} × {usual.height}, "
                "so the picture will be another one."
            )

    def model(self, name: str) -> None:
        if name and name != self._facts.name:
            self._drawn_by = name if name in self._facts.others else ""
            self.say(f"It was drawn by {_short(name)}; here {self._facts.name} draws, so the picture will differ.")

    def loras(self, loras: dict[str, float]) -> None:
        known = {name: weight for name, weight in loras.items() if name in self._facts.loras}
        if known:
            self.change("loras", known, "LoRAs")
        if missing := [f"{_short(name)} {figures(weight, 'g')}" for name, weight in loras.items() if name not in known]:
            self.say(f"Not here, and left out: LoRA {', '.join(missing)}.")

    def left_out(self, names: list[str]) -> None:
        if names:
            self.say(f"Had no place here: {'; '.join(_short(name) for name in names[:12])}.")


def _sampler(label: str) -> str | None:
    """AUTOMATIC1111's label -> the key of the table; None for one that is not in it."""
    by_label = {row.label.lower(): row.key for row in SAMPLERS.values()}
    return by_label.get(label.lower()) or _SAME.get(label) or by_label.get(label.removesuffix(_KARRAS).lower())


def _whole(value: Any) -> int | None:
    number = _number(value)
    return int(str(value)) if number is not None and re.fullmatch(r"-?\d{1,20}", str(value)) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,20}(\.\d{1,20})?", str(value)):
        return None
    return float(value)


def _short(value: Any) -> str:
    text = " ".join(str(value).split()).encode("utf-8", "replace").decode()  # without half letters, which JSON can hold
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
