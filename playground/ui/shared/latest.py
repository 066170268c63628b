"""Of a page's runs only the latest goes on: asking for another one, or Stop, ends it.

Gradio's own `cancels` is not enough. A button whose run is still being cancelled ignores the next press, and a run that
was started by another button goes on and writes over the same pictures.
"""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any

Update = dict[Any, Any]  # component -> its new value or gr.update; Gradio takes no empty one
LONGEST_WAIT = 5.0  # seconds for an update that is on its way to the page; it takes milliseconds


class _Run:
    def __init__(self, asked: Any) -> None:
        self.asked = asked
        self.over = False
        self._showing = False  # an update was handed out and is not yet on its way to the page
        self._changed = threading.Condition()

    def show(self) -> bool:
        """Before an update is handed out; False where the run is over and nothing of it may be shown any more."""
        with self._changed:
            self._showing = not self.over
            return self._showing

    def shown(self) -> None:
        with self._changed:
            self._showing = False
            self._changed.notify_all()

    def end(self) -> None:
        """No update comes after this, because it waits for the one that is being handed out."""
        with self._changed:
            self.over = True
            self._changed.wait_for(lambda: not self._showing, LONGEST_WAIT)


class Latest:
    """The runs of one part of the page, at most one for each page that is open somewhere."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._guard = threading.Lock()

    def show(
        self, page: str | None, updates: Generator[Update, None, None], asked: Any, nothing: Update
    ) -> Iterator[Update]:
        """The updates, until another run of the same page begins or `stop` is called; then the generator is closed.

        `page` is Gradio's session_hash, `nothing` an update that changes nothing, such as `{output: gr.skip()}`. The
        page's earlier run ends first, unless it was `asked` for the same: then that one goes on, and this one changes
        nothing.
        """
        page = page or ""
        with closing(updates):
            mine = self._begin(page, asked)
            if mine:
                try:
                    for update in updates:
                        if not mine.show():
                            break
                        yield update
                        mine.shown()
                        if mine.over:
                            break
                finally:
                    self._leave(page, mine)
        if mine is None or mine.over:
            # Gradio sends a generator's last update once more when it is over, by now perhaps over a later run's; and
            # of one without any update it empties every output.
            yield nothing

    def answer(self, page: str | None, values: Callable[[], Update], nothing: Update) -> Update:
        """What `values` gives; `nothing` where something later was asked for meanwhile."""

        def once() -> Generator[Update, None, None]:
            yield values()

        *_, last = self.show(page, once(), object(), nothing)
        return last

    def note(self, page: str | None, before: Any, now: Any) -> Any:
        """How far a run is: what is said to be asked for turns from `before`, this very object, into `now`, its equal
        that says more, for whoever stops the run. Nothing happens where another run has taken its place. Gives `now`.
        """
        with self._guard:
            run = self._runs.get(page or "")
            if run and run.asked is before:
                run.asked = now
        return now

    def under_way(self, page: str | None) -> Any:
        """What the page's run was asked for; None without a run."""
        with self._guard:
            run = self._runs.get(page or "")
        return run and run.asked

    def stop(self, page: str | None) -> Any:
        """Ends the page's run, of which nothing is shown after this -> what it was asked for; None without a run."""
        with self._guard:
            run = self._runs.pop(page or "", None)
        if run is None:
            return None
        run.end()
        return run.asked

    def _begin(self, page: str, asked: Any) -> _Run | None:
        """None where the page's run was asked for the same."""
        with self._guard:
            earlier = self._runs.get(page)
            if earlier and earlier.asked == asked:
                return None
            mine = self._runs[page] = _Run(asked)
        if earlier:
            earlier.end()
        return mine

    def _leave(self, page: str, mine: _Run) -> None:
        mine.shown()
        with self._guard:
            if self._runs.get(page) is mine:
                del self._runs[page]
