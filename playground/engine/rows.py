"""The rows of a tick's network calls: what every trajectory asks, equal questions asked once, in calls that fit."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from playground.engine.capacity import Capacity, free_memory, out_of_memory
from playground.engine.pieces import Single
from playground.engine.trajectory import Trajectory
from playground.models import Condition, Look, Model, Text

Work = Trajectory | Single


@dataclass(eq=False)
class Row:
    """One input of a batched network call, and who waits for its output."""

    latents: Tensor  # (1, C, h, w)
    timestep: Tensor  # scalar on the model's device
    text: Text
    loras: tuple[tuple[str, float], ...]  # (name, weight)
    looks: bool  # whether its attention is kept
    control: Condition  # what a ControlNet is told of it; empty for rows without control
    readers: list[tuple[Work, int]]  # (whose, position among its texts)
    output: Tensor | None = None  # (1, C, h, w)
    look: Look | None = None


def keys(work: Work) -> list[tuple]:
    """For each of its texts, what it asks the network now; equal keys have equal answers."""
    alike = work.asks_alike()
    return [(*alike, text, work.wants_look(position)) for position, text in enumerate(work.texts())]


def rows_of(works: list[Work]) -> list[Row]:
    """The inputs of this tick; equal ones become one row."""
    rows: dict[tuple, Row] = {}
    for work in works:
        latents = work.model_input()
        for position, (key, text) in enumerate(zip(keys(work), work.texts(), strict=True)):
            if key in rows:
                rows[key].readers.append((work, position))
                work.shared += 1
            else:
                looks = work.wants_look(position)
                of = [(work, position)]
                rows[key] = Row(latents, work.timestep_there, text, work.loras, looks, work.control, of)
    return list(rows.values())


def predict(rows: list[Row], model: Model, capacity: Capacity) -> dict[Row, Exception]:
    """Fill every row's output in as few calls as memory allows -> the rows that even alone cannot be computed, why."""
    failed: dict[Row, Exception] = {}
    kinds: dict[tuple, list[Row]] = {}  # rows that can be in one call: texts of one length, for one
    for row in rows:
        kinds.setdefault((tuple(row.latents.shape), row.looks, max(1, row.text.chunks)), []).append(row)
    for (shape, looks, _), waiting in kinds.items():
        alone = 0  # of those that wait, how many are tried one by one, because their call failed
        while waiting:
            batch = waiting[: 1 if alone else capacity(shape)]
            begun = time.perf_counter()
            try:
                _call(batch, model, looks)
                if not looks:
                    capacity.note(shape, len(batch), time.perf_counter() - begun)
            except Exception as error:  # one bad row must not take the others with it
                free_memory(model.device)
                if len(batch) > 1:
                    if out_of_memory(error):
                        capacity.halve(shape, len(batch))
                    else:
                        alone = len(batch)
                    continue
                failed[batch[0]] = error
                batch[0].output = torch.zeros_like(batch[0].latents)
            waiting = waiting[len(batch) :]
            alone = max(0, alone - 1)
    return failed


def _call(batch: list[Row], model: Model, looks: bool) -> None:
    """One call of the network."""
    inputs = (
        torch.cat([row.latents for row in batch]),
        torch.stack([row.timestep for row in batch]),
        [model.condition(row.text) | row.control for row in batch],
        [row.loras for row in batch],
    )
    outputs, seen = model.predict_and_look(*inputs) if looks else (model.predict(*inputs), [None] * len(batch))
    for row, output, look in zip(batch, outputs.split(1), seen, strict=True):
        row.output, row.look = output, look


def answers(rows: list[Row]) -> dict[Work, list[Tensor]]:
    """Everybody's outputs, in the order of their texts; Looks are handed over."""
    found: dict[Work, dict[int, Tensor]] = {}
    for row in rows:
        for work, position in row.readers:
            found.setdefault(work, {})[position] = row.output
            if row.look is not None:
                work.looked(row.look)
    return {work: [by[i] for i in sorted(by)] for work, by in found.items()}
