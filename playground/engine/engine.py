"""Denoises many recipes together: every step asks the network once for all cells that are still under way."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from playground.engine.events import Done, Event, Failed, Result, Step
from playground.engine.trajectory import Trajectory
from playground.models import LatentModel, load_model
from playground.recipe import Recipe

MOST_ROWS = {"cpu": 32, "mps": 32, "cuda": 128}  # rows of one U-Net call, halved when memory runs out
PICTURES_PER_DECODE = 8


@dataclass(eq=False)
class Row:
    """One input of a batched U-Net call, and who waits for its output."""

    latents: Tensor
    timestep: Tensor
    text: str
    readers: list[tuple[Trajectory, int]]  # (trajectory, position among its texts)
    output: Tensor | None = None


class Engine:
    """One model on one device, for all visitors. Visitors take turns step by step, so none waits for another's grid."""

    def __init__(self, model: LatentModel) -> None:
        self.model = model
        self.seconds_per_evaluation = 0.0  # measured, of the latest calls; 0 before the first
        self.seconds_per_decode = 0.0
        self._most_rows = MOST_ROWS.get(model.device.type, 32)
        self._turn = threading.Lock()

    def warm_up(self) -> None:
        """Run a small grid once, so that the first visitor's estimate and first step are not the slow ones."""
        base = Recipe(num_inference_steps=2, guidance_scale=2.0, model=self.model.name)
        side = self.model.default_side
        for _ in self.run([base.replace(seed=s, width=side, height=side) for s in range(4)], previews=False):
            pass

    def estimate(self, recipes: Sequence[Recipe]) -> float | None:
        """Seconds that these recipes would take alone, from the latest measured speeds; None before any."""
        if not self.seconds_per_evaluation:
            return None
        evaluations = sum(r.evaluations for r in recipes)
        return evaluations * self.seconds_per_evaluation + len(recipes) * self.seconds_per_decode

    def render(self, recipe: Recipe) -> Result:
        """One picture. Raises RuntimeError with the reason when it cannot be made."""
        for event in self.run([recipe], previews=False):
            if isinstance(event, Done):
                return event.result
            if isinstance(event, Failed):
                raise RuntimeError(event.reason)
        raise RuntimeError("The run ended without a picture.")

    def run(self, cells: Sequence[Recipe], previews: bool = True) -> Iterator[Event]:
        """Step events for every cell as it advances, and one Done or Failed for each. Closing stops within a step."""
        live: dict[int, Trajectory] = {}
        for cell, recipe in enumerate(cells):
            try:
                live[cell] = Trajectory(recipe, self.model)
            except Exception as error:  # one bad cell must not take the others with it
                yield Failed(cell, _sentence(error))
        while live:
            with self._turn:  # taken anew for every step: this is what makes visitors take turns
                failed = self._advance(live)
                pictures = self._previews(live, failed) if previews else {}
            for cell, reason in failed.items():
                del live[cell]
                yield Failed(cell, reason)
            for cell, trajectory in live.items():
                yield Step(cell, trajectory.k, trajectory.of, pictures.get(cell))
            finished = {cell: trajectory for cell, trajectory in live.items() if trajectory.finished}
            for cell in finished:
                del live[cell]
            waiting = list(finished)
            while waiting:
                now, waiting = waiting[:PICTURES_PER_DECODE], waiting[PICTURES_PER_DECODE:]
                with self._turn:
                    events = self._decode({cell: finished[cell] for cell in now})
                yield from events

    @contextmanager
    def between_ticks(self) -> Iterator[LatentModel]:
        """The model with nobody else on it. Visitors' grids wait meanwhile, so hold it for about one U-Net call."""
        with self._turn:
            yield self.model

    def _advance(self, live: dict[int, Trajectory]) -> dict[int, str]:
        """One sampler call for every live trajectory; returns the cells that failed, with reasons."""
        rows = self._rows(live.values())
        failed: dict[int, str] = {}
        broken = self._predict_all(rows)
        outputs: dict[Trajectory, dict[int, Tensor]] = {}
        for row in rows:
            for trajectory, position in row.readers:
                outputs.setdefault(trajectory, {})[position] = row.output
        for cell, trajectory in live.items():
            try:
                if reason := broken.get(trajectory):
                    raise RuntimeError(reason)
                trajectory.advance([outputs[trajectory][i] for i in range(len(trajectory.texts()))])
            except Exception as error:
                failed[cell] = _sentence(error)
        return failed

    def _rows(self, trajectories: Sequence[Trajectory]) -> list[Row]:
        """The inputs of this tick. Equal ones at the first step (same noise, timestep and words) become one row."""
        rows: list[Row] = []
        first: dict[tuple, Row] = {}
        for trajectory in trajectories:
            latents = trajectory.model_input()
            # Later steps cannot coincide unless the recipes do, and then the store already answers.
            content = latents.cpu().numpy().tobytes() if trajectory.k == 0 else None
            for position, text in enumerate(trajectory.texts()):
                key = (content, tuple(latents.shape), float(trajectory.timestep), text)
                if content is not None and key in first:
                    first[key].readers.append((trajectory, position))
                    trajectory.shared += 1
                    continue
                row = Row(latents, trajectory.timestep, text, [(trajectory, position)])
                rows.append(row)
                if content is not None:
                    first[key] = row
        return rows

    def _predict_all(self, rows: list[Row]) -> dict[Trajectory, str]:
        """Fill every row's output in as few calls as memory allows; returns trajectories that cannot run at all."""
        broken: dict[Trajectory, str] = {}
        for shape in {row.latents.shape for row in rows}:
            waiting = [row for row in rows if row.latents.shape == shape]
            while waiting:
                batch = waiting[: self._most_rows]
                start = time.perf_counter()
                try:
                    outputs = self.model.predict(
                        torch.cat([row.latents for row in batch]),
                        torch.stack([row.timestep.to(torch.float32) for row in batch]),
                        torch.cat([self.model.encode(row.text) for row in batch]),
                    )
                except RuntimeError as error:
                    if not _out_of_memory(error):
                        raise
                    if len(batch) == 1:
                        for trajectory, _ in batch[0].readers:
                            broken[trajectory] = "There is not enough memory for a picture of this size."
                        batch[0].output = torch.zeros_like(batch[0].latents)
                        waiting = waiting[1:]
                    else:
                        self._most_rows = len(batch) // 2
                    _free_memory(self.model.device)
                    continue
                each = (time.perf_counter() - start) / len(batch)
                self.seconds_per_evaluation = _smoothed(self.seconds_per_evaluation, each)
                for row, output in zip(batch, outputs.split(1), strict=True):
                    row.output = output
                    for trajectory, _ in row.readers:
                        trajectory.seconds += each / len(row.readers)
                waiting = waiting[len(batch) :]
        return broken

    def _previews(self, live: dict[int, Trajectory], failed: dict[int, str]) -> dict:
        """A quick picture of every cell's x̂₀."""
        shown = {cell: t for cell, t in live.items() if cell not in failed and not t.finished}
        pictures = {}
        for cells in _by_shape(shown):
            latents = torch.cat([live[cell].x0 for cell in cells])
            pictures |= dict(zip(cells, self.model.preview(latents), strict=True))
        return pictures

    def _decode(self, finished: dict[int, Trajectory]) -> list[Event]:
        """The final pictures by the real VAE, batched; one by one where the batch fails."""
        events: list[Event] = []
        for cells in _by_shape(finished):
            start = time.perf_counter()
            try:
                images = self.model.decode(torch.cat([finished[c].latents for c in cells]))
            except Exception as error:
                if len(cells) == 1:
                    events.append(Failed(cells[0], _sentence(error)))
                else:
                    for cell in cells:
                        events += self._decode({cell: finished[cell]})
                continue
            each = (time.perf_counter() - start) / len(cells)
            self.seconds_per_decode = _smoothed(self.seconds_per_decode, each)
            for cell, image in zip(cells, images, strict=True):
                t = finished[cell]
                latents = t.latents.cpu().clone()
                events.append(
                    Done(cell, Result(image, t.recipe, t.seconds + each, t.recipe.evaluations, t.shared, latents))
                )
        return events


def open_engine(
    model: str | Path = "pocket", device: torch.device | None = None, dtype: torch.dtype | None = None
) -> Engine:
    """A registered model name, or a local folder in diffusers layout. Raises ValueError when there is none."""
    return Engine(load_model(model, device, dtype))


def _by_shape(trajectories: dict[int, Trajectory]) -> list[list[int]]:
    """Cells whose latents can be stacked into one batch."""
    shapes: dict[torch.Size, list[int]] = {}
    for cell, trajectory in trajectories.items():
        shapes.setdefault(trajectory.latents.shape, []).append(cell)
    return list(shapes.values())


def _smoothed(before: float, now: float) -> float:
    return now if not before else 0.8 * before + 0.2 * now


def _out_of_memory(error: RuntimeError) -> bool:
    """True for the accelerator's own exception and for the CPU allocator's, which has none."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _free_memory(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _sentence(error: Exception) -> str:
    """What a visitor reads in the failed cell: the first line, no stack."""
    first = (str(error).strip().splitlines() or [""])[0]
    return first[:200] if first else f"The picture failed with {type(error).__name__}."
