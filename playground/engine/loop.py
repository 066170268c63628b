"""The loop: each tick asks the network once for all chosen cells of all visitors, like a continuous-batching server.

Plain and single-threaded: `LocalEngine` calls `tick` from its own thread, a ZeroGPU worker calls it where it stands.
It is the only place where anything is denoised.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable

from playground.answer import check_finite
from playground.engine.capacity import Capacity, out_of_memory
from playground.engine.contract import Answer, Done, Failed, Measured, Question, Result, Step
from playground.engine.drawing import Drawing
from playground.engine.kept import kept_of
from playground.engine.pace import Pace
from playground.engine.pieces import Single, done_now
from playground.engine.request import Live, Request
from playground.engine.rows import Row, Work, answers, keys, predict, rows_of
from playground.engine.trajectory import Trajectory, advance_together, steps_together
from playground.models import Model
from playground.recipe import Recipe
from playground.refusal import Refusal

LIVE_PER_REQUEST = 16  # cells of one visitor that grow together; the next start as these finish
log = logging.getLogger(__name__)


class Loop:
    """All requests under way and their work."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.capacity = Capacity(model)
        self._pace = Pace(model.device)
        self._drawing = Drawing(model)
        self.requests: list[Request] = []
        self.seconds_per_evaluation = 0.0  # measured, of the latest ticks, everything but decoding; 0 before the first
        self.seconds_per_decode = 0.0
        self._live: dict[tuple, Live] = {}  # by `_alike`
        self._undecoded: list[Live] = []

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
        """One sampler call for every chosen cell, and at most one piece of other work or batch of final pictures."""
        self._drop_finished_and_cancelled()
        self._start_waiting_cells()
        self._do_a_piece()
        if self._undecoded:
            now, self._undecoded = self._drawing.next_to_decode(self._undecoded)
            self._decode(now)
        chosen = self._choose()
        if not chosen:
            return
        begun = time.perf_counter()
        rows = rows_of([entry.work for entry in chosen])
        failed = predict(rows, self.model, self.capacity)
        broken = {work: self._reason(work, error) for row, error in failed.items() for work, _ in row.readers}
        self._advance(chosen, rows, broken)
        due = self._drawing.due_for_a_preview([e for e in chosen if isinstance(e.work, Trajectory)])
        if due or any(e.work.finished or e.wants_kept for e in chosen):
            self._pace.catch_up()  # something of this tick is read next
        else:
            self._pace.keep()
        took = time.perf_counter() - begun
        for entry in chosen:
            entry.work.seconds_of_call = 0.0
        for row in rows:
            for work, _ in row.readers:
                share = took / len(rows) / len(row.readers)
                work.seconds += share
                work.seconds_of_call += share
        self.seconds_per_evaluation = smoothed(self.seconds_per_evaluation, took / len(rows))
        self._drawing.note_steps(took)
        self._tell(chosen, due)

    def _shares(self) -> dict[Request, float]:
        """What weighs of each request: whoever has several under way has one visitor's share for all of them."""
        runs = Counter(r.visitor for r in self.requests)
        return {r: r.weight / (runs[r.visitor] if r.visitor else 1) for r in self.requests}

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
        """Up to the next piece of other work, if there is one: a request's work is begun in its order."""
        for request in self.requests:
            while request.waiting and len(request.live) < LIVE_PER_REQUEST:
                cell, ask = request.waiting[0]
                if not isinstance(ask, Recipe | Question):
                    break
                request.waiting.popleft()
                if (entry := self._guarded(request, cell, lambda r=request, a=ask: self._entry(r, a))) is not None:
                    entry.watchers.append((request, cell))
                    request.live[cell] = entry

    def _entry(self, request: Request, ask: Recipe | Question) -> Live:
        """New work, or that of somebody who asked for the same; whoever keeps something of every call needs them all,
        so joins only what has not begun."""
        alike = _alike(request, ask)
        entry = self._live.get(alike)
        if entry is not None and not (entry.work.k and request.keep.anything):
            return entry
        if isinstance(ask, Question):
            entry = Live(Single(ask, self.model))
        else:
            shown = [request.pictures.get(name) for name in (ask.image, ask.control_image)]
            entry = Live(Trajectory(ask, self.model, request.keep, request.start, *shown))
        for text in entry.work.texts():
            self.model.condition(text)  # kept by the model; a text that cannot be encoded fails its own cell, here
        self._live[alike] = entry
        return entry

    def _do_a_piece(self) -> None:
        """What is next for the visitor served least, if it is no work for the network's calls."""
        waiting = [r for r in self.requests if r.waiting and not isinstance(r.waiting[0][1], Recipe | Question)]
        if not waiting:
            return
        request = min(waiting, key=lambda r: r.served)
        cell, ask = request.waiting.popleft()
        request.served += 1 / self._shares()[request]
        if (found := self._guarded(request, cell, lambda: done_now(ask, self.model))) is not None:
            request.finish(Answer(cell, *found))

    def _guarded(self, request: Request, cell: int, work: Callable):  # noqa: ANN202  (whatever the work gives)
        """One bad cell must not take the others with it: None after it has failed alone."""
        try:
            return work()
        except Exception as error:
            self._drawing.free_memory()
            request.finish(Failed(cell, sentence(error)))
            return None

    def _choose(self) -> list[Live]:
        """Who takes part in this tick: always the visitor served least, and of theirs the cell least advanced."""
        candidates = {
            request: sorted(
                (e for e in request.live.values() if not e.work.finished), key=lambda e: e.work.k, reverse=True
            )
            for request in self.requests
        }
        shares = self._shares()
        chosen: dict[Live, None] = {}
        asked: set[tuple] = set()
        room = 1.0
        while waiting := [request for request in self.requests if candidates[request]]:
            request = min(waiting, key=lambda r: r.served)
            entry = candidates[request][-1]
            new = set(keys(entry.work)) - asked if entry not in chosen else set()
            share = len(new) / self.capacity(tuple(entry.work.latents.shape))
            if chosen and share > room + 1e-9:
                break
            candidates[request].pop()
            chosen[entry] = None
            asked |= new
            room -= share
            request.served += share / shares[request]
        return list(chosen)

    def _reason(self, work: Work, error: Exception) -> str:
        """Why it cannot be computed, for people."""
        if not out_of_memory(error):
            return sentence(error)
        rows, columns = (side * self.model.facts.scale for side in work.latents.shape[-2:])
        fits = self.capacity.largest_side_that_fits(tuple(work.latents.shape))
        advice = f"{fits} × {fits} fits" if fits else "no smaller picture fits either"
        return f"There is not enough memory for {columns} × {rows} pixels here; {advice}."

    def _advance(self, chosen: list[Live], rows: list[Row], broken: dict[Work, str]) -> None:
        """Hand everybody their predictions, one scheduler step for all that stand at the same point."""
        outputs = answers(rows)
        groups: dict[tuple, list[Live]] = {}
        for entry in chosen:
            if reason := broken.get(entry.work):
                self._fail(entry, reason)
            elif isinstance(entry.work, Trajectory):
                groups.setdefault(steps_together(entry.work), []).append(entry)
            else:
                entry.work.take(outputs[entry.work])
        for group in groups.values():
            try:
                trajectories = [entry.work for entry in group]
                advance_together(trajectories, [outputs[t] for t in trajectories])
            except Exception as error:
                for entry in group:
                    self._fail(entry, sentence(error))
        for group in groups.values():
            for entry in group:
                # reading the latents waits for an accelerator, so there it is done only where a picture is due
                if self.model.device.type == "cpu" or entry.work.finished:
                    try:
                        check_finite(entry.work.latents)
                    except Refusal as error:
                        self._fail(entry, str(error))

    def _tell(self, chosen: list[Live], due: list[Live]) -> None:
        """Everybody's steps, with their pictures, and the answers to single questions."""
        alive = [e for e in chosen if e.watchers]  # a failed one has none left
        runs = [e for e in alive if isinstance(e.work, Trajectory)]
        pictures, kept_pictures = self._drawing.previews(due), self._drawing.kept_pictures(runs)
        told: list[tuple[Request, Step]] = []
        for entry in runs:
            t = entry.work
            if t.finished:
                self._undecoded.append(entry)
            kept = kept_of(t, entry.wants_latents, kept_pictures.get(entry)) if entry.wants_kept else None
            for r, cell in entry.watchers:
                its = kept if r.keep.anything else None
                told.append((r, Step(cell, t.k, t.of, pictures.get(entry), t.told, t.seconds_of_call, its)))
        for request, step in sorted(told, key=lambda pair: pair[1].cell):
            request.tell(step)
        for entry in alive:
            if isinstance(entry.work, Single):
                self._forget(entry)
                for request, cell in entry.watchers:
                    request.finish(Answer(cell, entry.work.answer, entry.work.seconds))

    def _decode(self, entries: list[Live]) -> None:
        """The final pictures by the real VAE, batched; one by one where the batch fails."""
        for entry, found in self._drawing.decoded([entry for entry in entries if entry.watchers]):
            t = entry.work
            if isinstance(found, Exception):
                self._fail(entry, self._reason(t, found))
                continue
            image, each = found
            self.seconds_per_decode = smoothed(self.seconds_per_decode, each)
            self._forget(entry)
            latents, whole = t.latents.cpu().clone(), t.evaluations
            for i, (request, cell) in enumerate(entry.watchers):
                # whoever joined later had everything computed for somebody else
                shared = t.shared if i == 0 else whole
                request.finish(Done(cell, Result(image, t.recipe, t.seconds + each, whole, shared, latents, each)))

    def _fail(self, entry: Live, reason: str) -> None:
        self._forget(entry)
        watchers, entry.watchers = entry.watchers, []
        for request, cell in watchers:
            request.finish(Failed(cell, reason))

    def _forget(self, entry: Live) -> None:
        self._live = {alike: live for alike, live in self._live.items() if live is not entry}
        if entry in self._undecoded:
            self._undecoded.remove(entry)


def _alike(request: Request, ask: Recipe | Question) -> tuple:
    """Equal for asks of which one can answer for the other."""
    if isinstance(ask, Question) or request.start is not None:
        return request, ask
    keep = request.keep
    return ask.digest(), keep.predictions, keep.attention, keep.pictures


def smoothed(before: float, now: float) -> float:
    return now if not before else 0.8 * before + 0.2 * now


def sentence(error: Exception) -> str:
    """What a visitor reads in the failed cell: the first line, no stack. What nobody expected goes to the log whole."""
    if not isinstance(error, Refusal):
        log.warning("A cell failed.", exc_info=error)
    first = (str(error).strip().splitlines() or [""])[0]
    return first[:200] if first else f"The picture failed with {type(error).__name__}."
