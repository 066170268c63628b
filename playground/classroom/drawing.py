"""The pictures of what a class is shown: drawn once, by the shared engine, for everybody who looks."""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing

from PIL import Image

from playground.classroom.first import FirstServed
from playground.classroom.pushed import Pushed
from playground.engine import Done, Engine, Failed, Step, Waiting
from playground.lessons.runs.contract import Outcome, Preview
from playground.refusal import Refusal
from playground.render import render
from playground.store import Store

MOST = 64  # drawings that are remembered; the pictures of older ones come back from the store
TENTHS = 10  # in which progress is told


class Drawing:
    """One round's pictures on their way, written by its own thread and read by everybody."""

    def __init__(self, cells: int) -> None:
        self.pictures: list[bytes | None] = [None] * cells  # PNG files
        self.values: Mapping[str, Sequence[float | None]] = {}
        self.share = 0.0  # 0 … 1
        self.waits = ""  # how far the model is, as a sentence, while it is not in memory
        self.finished = cells == 0
        self.reason = ""  # why it ended without all pictures
        self.stopped = False  # nobody waits for it any more

    @property
    def stamp(self) -> str:
        """Another one whenever there is something new to show."""
        return f"{int(self.share * TENTHS)}{self.waits}{'f' if self.finished else ''}{'e' if self.reason else ''}"


class Drawings:
    """The drawings of all classes. The last one asked for by a class is the only one that goes on for it."""

    def __init__(self, engine: Engine, store: Store) -> None:
        self._engine, self._store = FirstServed(engine), store
        self._lock = threading.Lock()
        self._drawn: OrderedDict[tuple[int, int], Drawing] = OrderedDict()  # by class and round

    def of(self, class_: int, round_: int, pushed: Pushed, then: Callable[[Drawing], None]) -> Drawing:
        """The round's drawing; begun where there is none. `then` is called once, when it has finished well."""
        with self._lock:
            found = self._drawn.get((class_, round_))
            if found is not None:
                self._drawn.move_to_end((class_, round_))
                return found
            for (owner, _), other in self._drawn.items():
                other.stopped |= owner == class_ and not other.finished
            drawing = self._drawn[class_, round_] = Drawing(len(pushed.labels))
            while len(self._drawn) > MOST:
                self._drawn.popitem(last=False)
        if not drawing.finished:
            work = threading.Thread(
                target=self._draw, args=(drawing, pushed, f"class-{class_}", then), name="class", daemon=True
            )
            work.start()
        return drawing

    def again(self, class_: int, round_: int) -> None:
        """Forgets a drawing that failed, so that the next who looks begins it anew."""
        with self._lock:
            found = self._drawn.get((class_, round_))
            if found is not None and found.reason:
                del self._drawn[class_, round_]

    def _draw(self, drawing: Drawing, pushed: Pushed, visitor: str, then: Callable[[Drawing], None]) -> None:
        shares = [0.0] * len(pushed.labels)
        try:
            events = (
                pushed.run.perform(self._engine, self._store, visitor) if pushed.run else self._grid(pushed, visitor)
            )
            with closing(events) as told:
                for event in told:
                    if drawing.stopped:
                        drawing.reason = "Something else was shown before this was drawn."
                        return
                    if isinstance(event, Outcome):
                        drawing.pictures = [_png(picture) for picture in event.pictures]
                        drawing.values = event.values
                        break
                    if isinstance(event, Waiting):
                        drawing.waits = event.model
                        continue
                    drawing.waits = ""
                    shares[event.cell] = event.share
                    drawing.share = sum(shares) / len(shares)
            drawing.share, drawing.waits, drawing.finished = 1.0, "", True
            then(drawing)
        except Refusal as refusal:
            drawing.reason = str(refusal)
        except Exception as error:  # said on the page, because this thread has no other listener
            drawing.reason = f"It could not be drawn: {type(error).__name__}."

    def _grid(self, pushed: Pushed, visitor: str) -> Iterator[Waiting | Preview | Outcome]:
        done: dict[int, Image.Image] = {}
        with closing(render(self._engine, self._store, pushed.recipes, previews=False, visitor=visitor)) as events:
            for event in events:
                if isinstance(event, Failed):
                    raise Refusal(event.reason)
                if isinstance(event, Done):
                    done[event.cell] = event.result.image
                if isinstance(event, Waiting):
                    yield event
                if isinstance(event, Done | Step):
                    yield Preview(event.cell, None, event.k / event.of if isinstance(event, Step) else 1.0)
        yield Outcome(tuple(done[cell] for cell in range(len(pushed.recipes))), {})


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
