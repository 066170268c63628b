"""The grids that suit a model: those that ship with their words for the embedded one, and the same questions in another
model's own settings. Compare and a class offer them."""

from collections.abc import Callable, Iterator
from typing import Any

from playground.models import Facts
from playground.recipe import GUIDANCE_RANGE, Recipe
from playground.refusal import Refusal
from playground.samplers import SAMPLERS
from playground.sweep import LORA_PREFIX, SIZE, Sweep
from playground.ui.shared.shipped import SHIPPED, Example, examples, start_recipe
from playground.ui.shared.words import LORA_WEIGHT, WORDS

FEWEST = 2  # values that make a comparison
NEEDS_GUIDANCE = ("guidance_scale", "negative_prompt")
EXCHANGED = ["apple", "banana", "car"]  # words of the first example's prompt, and what may stand there
STRENGTHS = [0.1, 0.2, 0.4, 0.7, 1.0]
TRUE_SCALES = [1.0, 1.5, 2.0, 4.0]
RESCALES = [0.0, 0.35, 0.7, 1.0]
WEIGHTS = [0.0, 0.25, 0.5, 0.75, 1.0]  # of a LoRA
FIRST_WEIGHTS = [0.0, 0.5, 1.0]  # of a LoRA, in the editor before anybody has typed
MOST_LORAS = 2  # that have an example of their own


def examples_for(facts: Facts, check: Callable[[Recipe], None]) -> tuple[Example, ...]:
    """Those that ship with their own pictures and words for the embedded model; for another one the same questions in
    the settings that it is made for. The first is what the form opens with.

    `check` raises Refusal for a recipe that cannot be drawn; an example with one is left out.
    """
    found = examples(tuple(facts.loras)) if facts.name == SHIPPED else tuple(_own(facts))
    return tuple(example for example in found if _can_be_drawn(example.sweep, check))


def _own(facts: Facts) -> Iterator[Example]:
    worth = worth_comparing(facts)
    for example in examples():
        axis, words = next(iter(example.sweep.axes)), example.sweep.base
        if len(worth[axis]) >= FEWEST and not (facts.guidance == "none" and axis in NEEDS_GUIDANCE):
            usual = facts.usual_guided if axis == "negative_prompt" else facts.usual
            base = usual.replace(prompt=words.prompt, seed=words.seed)
            yield Example(example.title, Sweep(base, {axis: worth[axis]}))
    for name in list(facts.loras)[:MOST_LORAS]:
        yield Example(f"LoRA {name}", Sweep(start_recipe(facts), {f"{LORA_PREFIX}{name}": WEIGHTS}))


def worth_comparing(facts: Facts) -> dict[str, list[Any]]:
    """Axis -> values around those that the model is made for; words and seeds are those of the shipped examples."""
    shipped = dict(axis for example in examples() for axis in example.sweep.axes.items())
    usual, sampler = facts.usual, SAMPLERS[facts.usual.sampler]
    scale, steps = max(usual.guidance_scale, 2.0), usual.num_inference_steps
    scales = [1.0, *(round(2 * scale * share) / 2 for share in (0.5, 1, 1.5, 2))]
    counts = [steps // 8, steps // 4, steps // 2, steps, 2 * steps]
    side, unit = usual.width, max(8, facts.multiple)
    return shipped | {
        WORDS: EXCHANGED,
        SIZE: [unit * round(side * share / unit) for share in (0.75, 1, 1.25)],
        "true_cfg_scale": TRUE_SCALES,
        "guidance_rescale": RESCALES,
        "eta": [0.0, 0.5, 1.0],
        "clip_skip": list(range(min(facts.clip_skips, 3) + 1)),
        "shift": [1.0, 3.0, 6.0],
        "controlnet_conditioning_scale": [0.0, 0.5, 1.0, 1.5],
        "control_guidance_start": [0.0, 0.2, 0.5],
        "control_guidance_end": [0.2, 0.5, 1.0],
        "strength": [share for share in STRENGTHS if int(steps * share)],
        "guidance_scale": sorted({min(value, GUIDANCE_RANGE[1]) for value in scales}),
        "num_inference_steps": sorted({n for n in counts if sampler.fewest_steps <= n <= sampler.most_steps}),
        "sampler": [key for key in shipped["sampler"] if key in facts.samplers and _takes(key, steps)],
        LORA_WEIGHT: FIRST_WEIGHTS,
        "model": [facts.name, *facts.beside],
    }


def _takes(sampler: str, steps: int) -> bool:
    return SAMPLERS[sampler].fewest_steps <= steps <= SAMPLERS[sampler].most_steps


def _can_be_drawn(sweep: Sweep, check: Callable[[Recipe], None]) -> bool:
    try:
        for recipe in sweep.recipes():
            check(recipe)
    except Refusal:
        return False
    return True
