"""Inside one run: x_t or x̂₀ at some of its steps, all drawn by the VAE; and a whole run with so many steps."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor

from playground.engine import Done, Engine, Failed, Keep, Step, Waiting
from playground.inside.latent_noise import decoded
from playground.lessons.measures import measured
from playground.lessons.runs.contract import OneEach, Outcome, Preview, taken, whole_numbers
from playground.lessons.runs.pictures import Pictures
from playground.models import Facts
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.samplers import SAMPLERS
from playground.store import Store

SHOWN = ("x_t", "x0")


@dataclass(frozen=True)
class Film(OneEach):
    """`at`: calls of the network, counted from 1; x_t is what that call saw, x̂₀ what it answered. The last cell is the
    finished picture. With `beside` a cell before that is the finished picture of a run with `at[-1]` steps."""

    base: Mapping[str, Any]
    at: tuple[int, ...]
    show: str = "x0"  # one of SHOWN
    beside: bool = False
    model: str = "pocket"

    measures: ClassVar[tuple[str, ...]] = ("sharpness", "distance_to_last", "distance", "saturation", "evaluations")

    def labels(self, facts: Facts) -> Sequence[str]:
        whole = self.recipe(facts)
        name = "x̂₀" if self.show == "x0" else "xₜ"
        inside = [f"{name} at step {k} of {whole.num_inference_steps}" for k in self.at]
        beside = [f"a run with {self.at[-1]} steps"] if self.beside else []
        return [*inside, *beside, f"all {whole.num_inference_steps} steps"]

    def recipe(self, facts: Facts) -> Recipe:
        """Its steps are the lesson's with every model, because the text speaks of them."""
        steps = Recipe.from_dict(self.base).num_inference_steps
        ((recipe,),) = Pictures(self.base, (("", {"num_inference_steps": steps}),), model=self.model).recipes(facts)
        if SAMPLERS[recipe.sampler].calls(steps) != steps:
            raise Refusal("This model's usual sampler asks the network more or less than once a step.")
        return recipe

    def denoised(self, facts: Facts) -> Sequence[Recipe]:
        whole = self.recipe(facts)
        return [whole, replace(whole, num_inference_steps=self.at[-1])] if self.beside else [whole]

    def perform(self, engine: Engine, store: Store, visitor: str = "") -> Iterator[Waiting | Preview | Outcome]:
        begun, whole = time.perf_counter(), self.recipe(engine.facts)
        recipes = self.denoised(engine.facts)
        cells: dict[int, Image.Image] = {}
        kept: dict[int, Tensor] = {}
        last = len(self.at) + len(recipes) - 1  # the cell of the whole run's picture
        keep = Keep(latents=True, pictures=frozenset(k - 1 for k in self.at))
        with closing(engine.run(recipes, previews=False, keep=keep, visitor=visitor)) as events:
            for event in events:
                if isinstance(event, Failed):
                    raise Refusal(event.reason)
                if isinstance(event, Waiting):
                    yield event
                elif isinstance(event, Done):
                    place = last if event.cell == 0 else last - 1
                    cells[place] = event.result.image
                    yield Preview(place, cells[place], 1.0)
                elif isinstance(event, Step) and event.cell == 0 and event.k in self.at:
                    place = self.at.index(event.k)
                    kept[place] = event.kept.x0 if self.show == "x0" else event.kept.x_t
                    yield Preview(place, event.kept.pictures.get(self.show), 1.0)
        # the quick decoder's pictures are smaller, and would be measured as softer
        shown = torch.cat([kept[i] for i in range(len(self.at))])
        cells |= dict(enumerate(decoded(engine, shown, visitor=visitor)))
        pictures = [cells[i] for i in range(last + 1)]
        values: dict[str, tuple[float | None, ...]] = dict(measured([[picture] for picture in pictures]))
        values["distance_to_last"] = (*values["distance_to_last"][:-1], None)  # of the last one there is nothing to ask
        paid = [engine.facts.evaluations(whole) * k / whole.num_inference_steps for k in self.at]
        paid += [float(engine.facts.evaluations(recipe)) for recipe in reversed(recipes)]
        values["evaluations"] = tuple(paid)
        yield Outcome(tuple(pictures), {n: values[n] for n in self.measures}, time.perf_counter() - begun)


def read(data: Mapping[str, Any], model: str) -> Film:
    """{base, at: […]}, and perhaps show, beside -> Film"""
    taken(data, {"base": dict, "at": list, "show": str, "beside": bool}, ["base", "at"])
    base = Recipe.from_dict(data["base"])
    at = whole_numbers(data, "at", 1, base.num_inference_steps)
    if list(at) != sorted(set(at)):
        raise Refusal("“at” must rise from step to step.")
    if data.get("show", "x0") not in SHOWN:
        raise Refusal(f"“show” must be one of {', '.join(SHOWN)}.")
    return Film(data["base"], at, data.get("show", "x0"), data.get("beside", False), model)
