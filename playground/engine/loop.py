"""The loop: each tick asks the network once for all chosen cells of all visitors, like a continuous-batching server.

Plain and single-threaded: `Engine` calls `tick` from its own thread, a ZeroGPU worker calls it where it stands.
"""

import logging
import time

import torch
from PIL import Image

from playground.engine.capacity import Capacity, free_memory, out_of_memory
from playground.engine.events import Done, Failed, Measured, Result, Step
from playground.engine.pace import Pace
from playground.engine.request import Live, Request
from playground.engine.rows import Row, answers, keys, predict, rows_of
from playground.engine.trajectory import Trajectory, advance_together, check_finite, steps_together
from playground.models import LatentModel
from playground.recipe import Recipe

LIVE_PER_REQUEST = 16  # cells of one visitor that grow together; the next start as these finish
PICTURES_PER_DECODE = 8
PREVIEW_SHARE = 0.05  # of the time; a cell's first preview is always made
log = logging.getLogger(__name__)


class Loop:
    """All requests under way and their trajectories."""

    def __init__(self, model: LatentModel) -> None:
        self.model = model
        self.capacity = Capacity(model)
        self._pace = Pace(model.device)
        self.requests: list[Request] = []
        self.seconds_per_evaluation = 0.0  # measured, of the latest ticks, everything but decoding; 0 before the first
        self.seconds_per_decode = 0.0
        self._live: dict[str, Live] = {}  # by the recipe's digest
        self._undecoded: list[Live] = []
        self._seconds_of_steps = self._seconds_of_previews = 0.0

    def add(self, request: Request) -> None:
        """It joins at the next tick, with as much claim as the request that was served least so far."""
        request.served = min((r.served for r in self.requests), default=0.0)
        self.requests.append(request)

    @property
    def busy(self) -> bool:
        return bool(self.requests)

    @property
    def measured(self) -> Measured:
        return Measured(dict(self.capacity.rows), self.seconds_per_evaluation, self.seconds_per_decode)

    @measured.setter
    def measured(self, known: Measured) -> None:
        self.capacity.rows = dict(known.rows)
        self.seconds_per_evaluation, self.seconds_per_decode = known.seconds_per_evaluation, known.seconds_per_decode

    def tick(self) -> None:
        """One sampler call for every chosen cell, or the final pictures of those that are ready."""
        self._drop_finished_and_cancelled()
        self._start_waiting_cells()
        if self._undecoded:
            now, self._undecoded = self._undecoded[:PICTURES_PER_DECODE], self._undecoded[PICTURES_PER_DECODE:]
            self._decode(now)
        chosen = self._choose()
        if not chosen:
            return
        begun = time.perf_counter()
        rows = rows_of([entry.trajectory for entry in chosen])
        too_large = predict(rows, self.model, self.capacity)
        broken = {t: self._too_large(t) for row in too_large for t, _ in row.readers}
        self._advance(chosen, rows, broken)
        due = self._due_for_a_preview(chosen)
        if due or any(e.trajectory.finished or e.wants_latents for e in chosen):
            self._pace.catch_up()  # something of this tick is read next
        else:
            self._pace.keep()
        took = time.perf_counter() - begun
        for row in rows:
            for trajectory, _ in row.readers:
                trajectory.seconds += took / len(rows) / len(row.readers)
        self.seconds_per_evaluation = _smoothed(self.seconds_per_evaluation, took / len(rows))
        self._seconds_of_steps += took
        self._tell_steps(chosen, self._previews(due))

    def fail_all(self, reason: str) -> None:
        """Tell every visitor that nothing more will come, and forget everything under way."""
        for request in self.requests:
            for cell in [*request.live, *(cell for cell, _ in request.waiting)]:
                request.finish(Failed(cell, reason))
            request.end()
        self.requests, self._live, self._undecoded = [], {}, []

    def _drop_finished_and_cancelled(self) -> None:
        leaving = [r for r in self.requests if r.cancelled]
        for request in leaving:
            for cell, entry in request.live.items():
                entry.watchers.remove((request, cell))
                if not entry.watchers:
                    self._forget(entry)
            request.end()
        self.requests = [r for r in self.requests if not r.cancelled and r.open]

    def _start_waiting_cells(self) -> None:
        for request in self.requests:
            while request.waiting and len(request.live) < LIVE_PER_REQUEST:
                cell, recipe = request.waiting.popleft()
                try:
                    entry = self._live.get(recipe.digest()) or self._start(recipe)
                except Exception as error:  # one bad cell must not take the others with it
                    request.finish(Failed(cell, _sentence(error)))
                    continue
                entry.watchers.append((request, cell))
                request.live[cell] = entry

    def _start(self, recipe: Recipe) -> Live:
        entry = Live(Trajectory(recipe, self.model))
        for text in entry.trajectory.texts():
            self.model.encode(text)  # kept by the model; a text that cannot be encoded fails its own cell, here
        self._live[recipe.digest()] = entry
        return entry

    def _choose(self) -> list[Live]:
        """Who takes part in this tick: always the visitor served least, and of theirs the cell least advanced."""
        candidates = {
            request: sorted(
                (e for e in request.live.values() if not e.trajectory.finished),
                key=lambda e: e.trajectory.k,
                reverse=True,
            )
            for request in self.requests
        }
        chosen: dict[Live, None] = {}
        asked: set[tuple] = set()
        room = 1.0
        while waiting := [request for request in self.requests if candidates[request]]:
            request = min(waiting, key=lambda r: r.served)
            entry = candidates[request][-1]
            new = set(keys(entry.trajectory)) - asked if entry not in chosen else set()
            share = len(new) / self.capacity(tuple(entry.trajectory.latents.shape))
            if chosen and share > room + 1e-9:
                break
            candidates[request].pop()
            chosen[entry] = None
            asked |= new
            room -= share
            request.served += share / request.weight
        return list(chosen)

    def _too_large(self, trajectory: Trajectory) -> str:
        recipe = trajectory.recipe
        fits = self.capacity.largest_side_that_fits(tuple(trajectory.latents.shape))
        advice = f"{fits} × {fits} fits" if fits else "no smaller picture fits either"
        return f"There is not enough memory for {recipe.width} × {recipe.height} pixels here; {advice}."

    def _advance(self, chosen: list[Live], rows: list[Row], broken: dict[Trajectory, str]) -> None:
        """Hand every trajectory its predictions, one scheduler step for all that stand at the same point."""
        outputs = answers(rows)
        groups: dict[tuple, list[Live]] = {}
        for entry in chosen:
            if reason := broken.get(entry.trajectory):
                self._fail(entry, reason)
            else:
                groups.setdefault(steps_together(entry.trajectory), []).append(entry)
        for group in groups.values():
            try:
                trajectories = [entry.trajectory for entry in group]
                advance_together(trajectories, [outputs[t] for t in trajectories])
            except Exception as error:
                for entry in group:
                    self._fail(entry, _sentence(error))
        for group in groups.values():
            for entry in group:
                # reading the latents waits for an accelerator, so there it is done only where a picture is due
                if self.model.device.type == "cpu" or entry.trajectory.finished:
                    try:
                        check_finite(entry.trajectory)
                    except FloatingPointError as error:
                        self._fail(entry, str(error))

    def _tell_steps(self, chosen: list[Live], pictures: dict[Live, Image.Image]) -> None:
        told: list[tuple[Request, Step]] = []
        for entry in [e for e in chosen if e.watchers]:  # a failed one has none left
            t = entry.trajectory
            if t.finished:
                self._undecoded.append(entry)
            pair = torch.cat([t.seen, t.x0]).half().cpu() if entry.wants_latents else None
            told += [
                (r, Step(cell, t.k, t.of, pictures.get(entry), pair if r.latents else None))
                for r, cell in entry.watchers
            ]
        for request, step in sorted(told, key=lambda pair: pair[1].cell):
            request.tell(step)

    def _due_for_a_preview(self, entries: list[Live]) -> list[Live]:
        """Cells that somebody watches, as often as PREVIEW_SHARE of the time allows."""
        watched = [e for e in entries if not e.trajectory.finished and any(r.previews for r, _ in e.watchers)]
        if self._seconds_of_previews > PREVIEW_SHARE * self._seconds_of_steps:
            return [e for e in watched if not e.previewed]
        return watched

    def _previews(self, due: list[Live]) -> dict[Live, Image.Image]:
        """A quick picture of each one's x̂₀."""
        if not due:
            return {}
        begun = time.perf_counter()
        pictures = {}
        for group in _by_shape(due):
            for some in (group[i : i + PICTURES_PER_DECODE] for i in range(0, len(group), PICTURES_PER_DECODE)):
                try:
                    drawn = self.model.preview(torch.cat([entry.trajectory.x0 for entry in some]))
                except Exception:  # nobody's run should end for a preview
                    free_memory(self.model.device)
                    log.warning("A preview failed; the run goes on without it.", exc_info=True)
                    continue
                pictures |= dict(zip(some, drawn, strict=True))
        for entry in due:
            entry.previewed = True
        self._seconds_of_previews += time.perf_counter() - begun
        # Both sums fade, so that one slow moment does not decide about the next hour.
        self._seconds_of_steps, self._seconds_of_previews = (
            0.98 * s for s in (self._seconds_of_steps, self._seconds_of_previews)
        )
        return pictures

    def _decode(self, entries: list[Live]) -> None:
        """The final pictures by the real VAE, batched; one by one where the batch fails."""
        for group in _by_shape([entry for entry in entries if entry.watchers]):
            begun = time.perf_counter()
            try:
                images = self.model.decode(torch.cat([entry.trajectory.latents for entry in group]))
            except Exception as error:
                free_memory(self.model.device)
                if len(group) > 1:
                    for entry in group:
                        self._decode([entry])
                else:
                    t = group[0].trajectory
                    self._fail(group[0], self._too_large(t) if out_of_memory(error) else _sentence(error))
                continue
            each = (time.perf_counter() - begun) / len(group)
            self.seconds_per_decode = _smoothed(self.seconds_per_decode, each)
            for entry, image in zip(group, images, strict=True):
                self._forget(entry)
                t = entry.trajectory
                latents, seconds, whole = t.latents.cpu().clone(), t.seconds + each, t.recipe.evaluations
                for i, (request, cell) in enumerate(entry.watchers):
                    # whoever joined later had everything computed for somebody else
                    shared = t.shared if i == 0 else whole
                    request.finish(Done(cell, Result(image, t.recipe, seconds, whole, shared, latents)))

    def _fail(self, entry: Live, reason: str) -> None:
        self._forget(entry)
        watchers, entry.watchers = entry.watchers, []
        for request, cell in watchers:
            request.finish(Failed(cell, reason))

    def _forget(self, entry: Live) -> None:
        self._live.pop(entry.trajectory.recipe.digest(), None)
        if entry in self._undecoded:
            self._undecoded.remove(entry)


def _by_shape(entries: list[Live]) -> list[list[Live]]:
    """Entries whose latents can be stacked into one batch."""
    shapes: dict[torch.Size, list[Live]] = {}
    for entry in entries:
        shapes.setdefault(entry.trajectory.latents.shape, []).append(entry)
    return list(shapes.values())


def _smoothed(before: float, now: float) -> float:
    return now if not before else 0.8 * before + 0.2 * now


def _sentence(error: Exception) -> str:
    """What a visitor reads in the failed cell: the first line, no stack."""
    first = (str(error).strip().splitlines() or [""])[0]
    return first[:200] if first else f"The picture failed with {type(error).__name__}."
