"""Finished pictures side by side: a sweep, or recipes one by one; each cell with one seed or with several."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from PIL import Image

from playground.engine import Done, Engine, Event, Failed, Step, Waiting
from playground.lessons.measures import OF_PICTURES, OF_SEEDS, measured
from playground.lessons.runs.contract import MOST_CELLS, Outcome, Preview, taken
from playground.models import Facts
from playground.recipe import FIELDS, Recipe
from playground.refusal import Refusal
from playground.render import render
from playground.samplers import SAMPLERS
from playground.store import Store

MOST_SEEDS = 4
WORDS = ("prompt", "negative_prompt", "seed")  # of a base, kept with every model
NEEDS_GUIDANCE = ("guidance_scale", "negative_prompt")
NONE = "none"  # the label of an empty text


@dataclass(frozen=True)
class Pictures:
    """`base` with each cell's changes. Another model than the one that the lesson is written for draws them in its own
    usual settings, the words, the seed and what the cells change excepted, and with guidance where a negative prompt
    needs it."""

    base: Mapping[str, Any]
    cells: tuple[tuple[str, Mapping[str, Any]], ...]  # label, changes
    seeds: tuple[int, ...] = ()  # each cell is drawn with all of them; empty for the base's own
    again: bool = False  # nothing kept is taken, and every cell is a run of its own
    model: str = "pocket"

    measures: ClassVar[tuple[str, ...]] = (*OF_PICTURES, *OF_SEEDS, "evaluations")

    @property
    def tiles(self) -> tuple[int, int]:
        return _tiles(max(len(self.seeds), 1))

    def labels(self, facts: Facts) -> Sequence[str]:
        self.recipes(facts)
        return [label for label, _ in self.cells]

    def recipes(self, facts: Facts) -> list[list[Recipe]]:
        """By cell, one for each seed. Raises Refusal for what this model cannot draw."""
        changed = {name for _, changes in self.cells for name in changes}
        if facts.guidance == "none" and changed & set(NEEDS_GUIDANCE):
            raise Refusal("This model was taught to draw without guidance, so it cannot show this.")
        own = facts.name == self.model
        base = facts.recipe(self.base if own else {k: v for k, v in self.base.items() if k in WORDS})
        if not own:
            usual = facts.usual_guided if "negative_prompt" in changed else facts.usual
            base = usual.replace(**{name: getattr(base, name) for name in WORDS})
        found = []
        for _, changes in self.cells:
            recipe = base.replace(**changes)
            found.append([recipe.replace(seed=seed) for seed in self.seeds] or [recipe])
        for recipe in (recipe for cell in found for recipe in cell):
            facts.check(recipe)
        return found

    def denoised(self, facts: Facts) -> Sequence[Recipe]:
        return [recipe for cell in self.recipes(facts) for recipe in cell]

    def perform(self, engine: Engine, store: Store, visitor: str = "") -> Iterator[Waiting | Preview | Outcome]:
        begun, cells, kept = time.perf_counter(), self.recipes(engine.facts), 0
        each = len(cells[0])
        flat = [recipe for cell in cells for recipe in cell]
        done: dict[int, Image.Image] = {}
        now: dict[int, Image.Image] = {}  # the newest picture of every recipe
        for first, event in self._events(engine, store, flat, visitor):
            if isinstance(event, Failed):
                raise Refusal(event.reason)
            if isinstance(event, Waiting):  # where the runs come one after another, the wait is that of the first only
                yield replace(event, seconds=None) if self.again else event
            if not isinstance(event, Step | Done):
                continue
            place = first + event.cell
            if isinstance(event, Done):
                done[place] = now[place] = event.result.image
                kept += event.stored
            elif event.preview is not None:
                now[place] = event.preview
            cell, share = place // each, event.k / event.of if isinstance(event, Step) else 1.0
            yield Preview(cell, tiled([now.get(cell * each + i) for i in range(each)]), share)
        groups = [[done[cell * each + i] for i in range(each)] for cell in range(len(cells))]
        values: dict[str, tuple[float | None, ...]] = dict(measured(groups))
        values["evaluations"] = tuple(float(engine.facts.evaluations(cell[0])) for cell in cells)
        yield Outcome(tuple(tiled(group) for group in groups), values, time.perf_counter() - begun, kept)

    def _events(
        self, engine: Engine, store: Store, flat: Sequence[Recipe], visitor: str
    ) -> Iterator[tuple[int, Event]]:
        """(place of the event's first recipe, event)"""
        if not self.again:
            with closing(render(engine, store, flat, visitor=visitor)) as events:
                yield from ((0, event) for event in events)
            return
        for i, recipe in enumerate(flat):  # one run after another, so that nothing is shared between them
            with closing(engine.run([recipe], visitor=visitor)) as events:
                yield from ((i, event) for event in events)


def read(data: Mapping[str, Any], model: str) -> Pictures:
    """{base, axis, values} or {base, cells: [{label, …changes}]}, and perhaps seeds and again -> Pictures."""
    kinds = {"base": dict, "axis": str, "values": list, "cells": list, "seeds": list, "again": bool}
    taken(data, kinds, ["base"])
    if ("axis" in data) == ("cells" in data) or ("axis" in data) != ("values" in data):
        raise Refusal("It needs “axis” with “values”, or “cells”.")
    if "axis" in data:
        cells = [(label_of(data["axis"], value), {data["axis"]: value}) for value in data["values"]]
    else:
        cells = [_labelled(cell) for cell in data["cells"]]
    if not 1 < len(cells) <= MOST_CELLS:
        raise Refusal(f"It needs 2 to {MOST_CELLS} cells, not {len(cells)}.")
    seeds = data.get("seeds", [])
    if len(seeds) > MOST_SEEDS or len(set(seeds)) < len(seeds):
        raise Refusal(f"“seeds” takes up to {MOST_SEEDS} different numbers.")
    run = Pictures(data["base"], tuple(cells), tuple(seeds), data.get("again", False), model)
    base = Recipe.from_dict(data["base"])
    for _, changes in cells:  # with any model; its own limits are the checker's and the page's to find
        base.replace(**changes)
    for seed in seeds:
        base.replace(seed=seed)
    return run


def label_of(field: str, value: Any) -> str:
    """A value as it stands above its cell."""
    if field not in FIELDS:
        raise Refusal(f"“{field}” is not a field of a recipe.")
    if field == "sampler" and value in SAMPLERS:
        return SAMPLERS[value].label
    if field == "num_inference_steps":
        return "1 step" if value == 1 else f"{value} steps"
    if field in ("guidance_scale", "seed") and isinstance(value, int | float):
        return f"{field.split('_')[0]} {value:g}"
    return str(value) if value != "" else NONE


def tiled(pictures: Sequence[Image.Image | None]) -> Image.Image | None:
    """Pictures of one size -> one picture, laid out as `_tiles` says; None before the first is there."""
    there = [picture for picture in pictures if picture is not None]
    if not there or len(pictures) == 1:
        return there[0] if there else None
    # previews may be smaller than finished pictures
    width, height = max(p.width for p in there), max(p.height for p in there)
    columns, rows = _tiles(len(pictures))
    sheet = Image.new("RGB", (columns * width, rows * height), "#808080")
    for i, picture in enumerate(pictures):
        if picture is not None:
            sheet.paste(picture.resize((width, height)), (i % columns * width, i // columns * height))
    return sheet


def _tiles(count: int) -> tuple[int, int]:
    """Columns and rows: two in a row where there are several."""
    columns = min(count, 2)
    return columns, -(-count // columns)


def _labelled(cell: Any) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(cell, dict) or not isinstance(cell.get("label"), str) or len(cell) < 2:
        raise Refusal("Each of “cells” needs a “label” and at least one field of a recipe.")
    return cell["label"], {name: value for name, value in cell.items() if name != "label"}
