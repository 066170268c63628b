"""What Compare opens with: examples that suit the model, and a first grid of pictures that it has drawn, or of frames
that say they are empty.

Nothing is drawn because somebody came by: on a small machine a grid of a large model takes minutes, which belong to
whoever presses Run. What was drawn then is kept, and is what the next visitor sees first.
"""

from collections.abc import Callable, Iterator
from typing import Any

from playground.engine import Done, Engine, Failed
from playground.link import to_token
from playground.models import Facts
from playground.recipe import GUIDANCE_RANGE, Recipe
from playground.refusal import Refusal
from playground.render import kept_result, undrawable
from playground.samplers import SAMPLERS
from playground.store import Store, from_png
from playground.sweep import LORA_PREFIX, SIZE, Sweep
from playground.ui.compare import grid
from playground.ui.compare.begins import given_pictures
from playground.ui.compare.reading import FEWEST
from playground.ui.shared.shipped import SHIPPED, Example, examples, first_view_files, start_recipe
from playground.ui.shared.words import LORA_WEIGHT, WORDS, key_of

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


def first_values(facts: Facts) -> dict[str, list[Any]]:
    """What the editor of each axis holds before anybody has typed."""
    found = examples(tuple(facts.loras)) if facts.name == SHIPPED else ()
    shown: dict[str, list[Any]] = {}
    for example in found:
        axis, values = next(iter(example.sweep.axes.items()))
        shown.setdefault(key_of(axis), values)
    return _worth_comparing(facts) | shown


def kept_grid(engine: Engine, store: Store, sweep: Sweep) -> grid.Grid:
    """Every cell with its picture where there is one: shipped, or kept from an earlier run.

    Raises Refusal where none of them can be drawn, and ValueError where a shipped picture is not that of the recipe.
    """
    token = to_token(sweep, engine.facts.usual)
    shown = grid.empty(sweep, "not rendered yet", token, begins=given_pictures(store, sweep))
    shipped, refused = _ships(engine.facts, sweep), undrawable(engine, sweep.recipes())
    for i, cell in enumerate(shown.cells):
        if shipped:
            path = first_view_files(sweep)[i]
            result = from_png(path.read_bytes())
            if result.recipe != cell.recipe:
                raise ValueError(f"{path.name} was rendered with another recipe; run examples/render_first_view.py.")
        else:
            result = kept_result(engine, store, cell.recipe)
        if i in refused:
            shown = grid.folded(shown, Failed(i, refused[i]))
        elif result is not None:
            shown = grid.folded(shown, Done(i, result, stored=not shipped))
    return shown


def says(facts: Facts, shown: grid.Grid) -> str:
    """Under a grid that nobody has just run: where its pictures come from."""
    if shown.finished == 0 and any(cell.open for cell in shown.cells):
        return "Not rendered yet; Run draws it."
    by = "these models" if "model" in shown.sweep.axes else "this model"
    if any(cell.open for cell in shown.cells):
        return f"{shown.finished} of {len(shown.cells)} rendered earlier by {by}; Run draws the rest."
    if not _ships(facts, shown.sweep):
        return f"Rendered earlier by {by}, with the recipe in the form, and kept."
    return "Rendered earlier by this model, with the recipe in the form. Run renders it here and now."


def _ships(facts: Facts, sweep: Sweep) -> bool:
    """The pictures of this sweep come with the page."""
    return facts.name == SHIPPED and sweep.digest() == examples()[0].sweep.digest()


def _own(facts: Facts) -> Iterator[Example]:
    worth = _worth_comparing(facts)
    for example in examples():
        axis, words = next(iter(example.sweep.axes)), example.sweep.base
        if len(worth[axis]) >= FEWEST and not (facts.guidance == "none" and axis in NEEDS_GUIDANCE):
            usual = facts.usual_guided if axis == "negative_prompt" else facts.usual
            base = usual.replace(prompt=words.prompt, seed=words.seed)
            yield Example(example.title, Sweep(base, {axis: worth[axis]}))
    for name in list(facts.loras)[:MOST_LORAS]:
        yield Example(f"LoRA {name}", Sweep(start_recipe(facts), {f"{LORA_PREFIX}{name}": WEIGHTS}))


def _worth_comparing(facts: Facts) -> dict[str, list[Any]]:
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
