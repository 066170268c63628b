"""The rows of a tick's U-Net calls: what every trajectory asks, equal questions asked once, in calls that fit."""

from dataclasses import dataclass

import torch
from torch import Tensor

from playground.engine.capacity import Capacity, free_memory, out_of_memory
from playground.engine.trajectory import Trajectory
from playground.models import LatentModel


@dataclass(eq=False)
class Row:
    """One input of a batched U-Net call, and who waits for its output."""

    latents: Tensor  # (1, 4, h, w)
    timestep: Tensor  # scalar on the model's device
    text: str
    loras: tuple[tuple[str, float], ...]  # (name, weight)
    readers: list[tuple[Trajectory, int]]  # (trajectory, position among its texts)
    output: Tensor | None = None  # (1, 4, h, w)


def keys(trajectory: Trajectory) -> list[tuple]:
    """For each of its texts, what it asks the network now; equal keys have equal answers.

    Equal inputs at the same timestep occur at the first step, of cells with the same seed. Later ones cannot coincide
    unless the recipes do, and those share one trajectory already.
    """
    start: tuple = (trajectory,)
    if trajectory.k == 0:
        start = (trajectory.first_input, float(trajectory.timestep), trajectory.recipe.active_loras)
    return [(*start, text) for text in trajectory.texts()]


def rows_of(trajectories: list[Trajectory]) -> list[Row]:
    """The inputs of this tick; equal ones become one row."""
    rows: dict[tuple, Row] = {}
    for trajectory in trajectories:
        latents, loras = trajectory.model_input(), trajectory.recipe.active_loras
        for position, (key, text) in enumerate(zip(keys(trajectory), trajectory.texts(), strict=True)):
            if key in rows:
                rows[key].readers.append((trajectory, position))
                trajectory.shared += 1
            else:
                rows[key] = Row(latents, trajectory.timestep_there, text, loras, [(trajectory, position)])
    return list(rows.values())


def predict(rows: list[Row], model: LatentModel, capacity: Capacity) -> list[Row]:
    """Fill every row's output in as few calls as memory allows; returns the rows that do not even fit alone."""
    too_large: list[Row] = []
    for shape in {tuple(row.latents.shape): None for row in rows}:
        waiting = [row for row in rows if tuple(row.latents.shape) == shape]
        while waiting:
            batch = waiting[: capacity(shape)]
            try:
                outputs = model.predict(
                    torch.cat([row.latents for row in batch]),
                    torch.stack([row.timestep for row in batch]),
                    torch.cat([model.encode(row.text) for row in batch]),
                    [row.loras for row in batch],
                )
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                free_memory(model.device)
                if len(batch) > 1:
                    capacity.halve(shape, len(batch))
                    continue
                too_large.append(batch[0])
                outputs = torch.zeros_like(batch[0].latents)
            for row, output in zip(batch, outputs.split(1), strict=True):
                row.output = output
            waiting = waiting[len(batch) :]
    return too_large


def answers(rows: list[Row]) -> dict[Trajectory, list[Tensor]]:
    """Every trajectory's outputs, in the order of its texts."""
    found: dict[Trajectory, dict[int, Tensor]] = {}
    for row in rows:
        for trajectory, position in row.readers:
            found.setdefault(trajectory, {})[position] = row.output
    return {trajectory: [by[i] for i in sorted(by)] for trajectory, by in found.items()}
