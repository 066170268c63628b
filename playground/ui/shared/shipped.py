"""What ships with the page: ready-made sweeps, and a first grid that the model rendered earlier."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from playground.models import REGISTERED, Facts
from playground.recipe import Recipe
from playground.samplers import SAMPLERS
from playground.sweep import Sweep

EXAMPLES = Path(__file__).parents[3] / "examples"
SHIPPED = "pocket"  # the model that they are for
ORDER = ("guidance", "steps", "sampler", "seed", "negative", "prompt", "lcm", "style")


@dataclass(frozen=True)
class Example:
    title: str
    sweep: Sweep


@lru_cache
def examples(loras: tuple[str, ...] = ()) -> tuple[Example, ...]:
    """One per parameter, from examples/recipes; those that need a LoRA only where it is among `loras`."""
    found = []
    for name in ORDER:
        data = json.loads((EXAMPLES / "recipes" / f"{name}.json").read_text(encoding="utf-8"))
        sweep = Sweep.from_dict(data["sweep"])
        if {lora for recipe in sweep.recipes() for lora, _ in recipe.loras} <= set(loras):
            found.append(Example(data["title"], sweep))
    return tuple(found)


def start_recipe(facts: Facts) -> Recipe:
    """What the views of a single run open with: the first example, or, with another model, its words in the settings
    that the model is made for."""
    base = examples()[0].sweep.base
    return base if facts.name == SHIPPED else facts.usual.replace(prompt=base.prompt, seed=base.seed)


@lru_cache
def measured_guidance() -> str:
    """What the embedded model's evaluation found at a low, the usual and a high guidance scale, as one sentence."""
    report = json.loads((REGISTERED[SHIPPED] / "evaluation.json").read_text(encoding="utf-8"))
    sampler = SAMPLERS[report["sampler"]]
    low, usual, high = (report["guidance"][scale] for scale in ("1", "5", "20"))
    return (
        f"Measured on {usual['pictures']} pictures at each, from noise, by {sampler.label} in "
        f"{report['num_inference_steps']} steps: a second network, taught on real renders, names the "
        f"thing right in {_share(low)} at 1, in {_share(usual)} at 5 and in {_share(high)} at 20 (± one "
        "standard error)."
    ).replace("%", "\u00a0%")


def _share(row: dict[str, float]) -> str:
    """The share that was named right, with the standard error of so many pictures."""
    share, pictures = row["top1"], row["pictures"]
    return f"{share:.0%}\u00a0±\u00a0{100 * (share * (1 - share) / pictures) ** 0.5:.0f}"


def first_view_files(sweep: Sweep) -> list[Path]:
    return [EXAMPLES / "first_view" / f"{i}.png" for i in range(len(sweep.recipes()))]
