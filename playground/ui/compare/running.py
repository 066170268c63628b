"""The looking side of "Compare" while a run is under way: the grid grows, until it is done, failed or stopped."""

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace

import gradio as gr

from playground.engine import Done, Engine, Keep, Waiting
from playground.inside.recordings import Recordings
from playground.models import Facts
from playground.refusal import Refusal
from playground.render import kept_result, render
from playground.store import Store
from playground.ui.compare.caption import say
from playground.ui.compare.grid import Grid, folded, payload, stopped
from playground.ui.compare.scrubber import Asked, Scrubber
from playground.ui.compare.telling import progress, stop_text, summary, work
from playground.ui.shared.events import said
from playground.ui.shared.html import paragraph
from playground.ui.shared.latest import Latest, Update

REDRAW = 0.2  # seconds between two updates of a growing grid, at least
UNSEEN = 2.0  # the same where nobody looks; they tell whether the page is still there


@dataclass(frozen=True)
class Stage:
    """The components that show a grid."""

    header: gr.HTML
    cells: gr.HTML
    total: gr.HTML
    shown_sweep: gr.State  # of the grid that is shown, as a dict
    scrubber: Scrubber

    @property
    def outputs(self) -> list[gr.components.Component]:
        return [self.header, self.shown_sweep, *self.ends]

    @property
    def ends(self) -> list[gr.components.Component]:
        """Those that `ended` changes."""
        return [self.cells, self.total, *self.scrubber.outputs]

    def shows(self, grid: Grid, facts: Facts, total: str, ready: bool) -> Update:
        """Updates of `outputs` for another grid, with this HTML below; `ready` as `Scrubber.clear` takes it."""
        return self.scrubber.clear(ready) | {
            self.header: say(grid.sweep, facts),
            self.cells: payload(grid),
            self.total: total,
            self.shown_sweep: grid.sweep.flat.to_dict(),
        }

    def ended(self, grid: Grid, total: str) -> Update:
        """The same grid, of which no more will come."""
        return {self.cells: payload(grid), self.total: total} | self.scrubber.clear(ready=grid.finished > 0)


class Running:
    """The runs of all visitors of the tab."""

    def __init__(self, engine: Engine, store: Store, recordings: Recordings, stage: Stage, latest: Latest) -> None:
        self._engine, self._store, self._recordings = engine, store, recordings
        self._stage, self._latest = stage, latest
        self._unseen = set[str]()  # of the pages with a run those that are hidden

    def grow(self, asked: Asked, told: Update, visitor: str) -> Generator[Update, None, None]:
        """`told` with the empty grid that is `asked` for, then the grid as it grows."""
        stage, engine, latest = self._stage, self._engine, self._latest
        begun, grid, drawn, last = time.perf_counter(), asked.grid, 0.0, -1
        first: tuple[float, float] | None = None
        recipes = grid.sweep.recipes()
        recorder = self._recordings.recorder(recipes)
        yield told | stage.shows(grid, engine.facts, paragraph("Starting …"), ready=False)
        try:
            keep = Keep(latents=True)
            with closing(render(engine, self._store, recipes, keep=keep, visitor=visitor, elsewhere=True)) as events:
                for event in events:
                    # Redrawn between two ticks, once for all cells, and not after every tick of a fast model: redrawing
                    # takes the time of server and browser, which on a small machine is also the model's.
                    waiting, looks = isinstance(event, Waiting), visitor not in self._unseen
                    since = time.perf_counter() - drawn
                    if waiting or (event.cell <= last and since >= (REDRAW if looks else UNSEEN)):
                        if not waiting and first is None:
                            first = time.perf_counter(), work(grid, engine)
                        line = paragraph(progress(grid, begun, engine, first))
                        yield {stage.total: line} | ({stage.cells: payload(grid)} if looks else {})
                        drawn = time.perf_counter()
                    grid = folded(grid, event)
                    recorder.take(event)
                    asked = latest.note(visitor, asked, replace(asked, grid=grid))
                    last = -1 if waiting else event.cell
        except Refusal as refusal:
            grid = stopped(grid)
            yield stage.ended(grid, paragraph(str(refusal)))
            return
        finally:
            self._unseen.discard(visitor)
        yield stage.ended(grid, paragraph(summary(grid, time.perf_counter() - begun, bool(engine.facts.whole))))

    def seen(self, event: gr.EventData, request: gr.Request) -> None:
        """By the browser, when its tab is hidden or shown."""
        page = request.session_hash or ""
        if said(event, "now") is False and self._latest.under_way(page):
            self._unseen.add(page)
        else:
            self._unseen.discard(page)

    def stop(self, request: gr.Request) -> Update:
        """End the page's run; what is finished stays."""
        if (asked := self._latest.stop(request.session_hash)) is None:
            return {self._stage.total: gr.skip()}
        if asked.grid is None:  # only its steps were being collected
            return self._stage.scrubber.clear(ready=True)
        grid = asked.grid
        for i, cell in enumerate(grid.cells):  # also those that finished in this moment
            if cell.open and (result := kept_result(self._engine, self._store, cell.recipe)):
                grid = folded(grid, Done(i, result))
        grid = stopped(grid)
        return self._stage.ended(grid, stop_text(grid))
