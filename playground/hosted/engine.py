"""A hosted model as an `Engine`: each cell is one request, a few at a time, and nothing is drawn here."""

import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from math import ceil
from typing import NamedTuple, NoReturn

from PIL import Image
from typing_extensions import Unpack

from playground import pictures as own_pictures
from playground.engine.contract import (
    NOTHING,
    Answer,
    Ask,
    Done,
    Event,
    Failed,
    How,
    Keep,
    Outlook,
    Pictures,
    Result,
    Unread,
    Waiting,
)
from playground.hosted import huggingface, openai, stability
from playground.hosted.configuration import KINDS, HostedModel
from playground.models.anatomy import Anatomy, Cost
from playground.models.elsewhere import Elsewhere
from playground.models.facts import Facts, usual_recipe
from playground.models.words import Words, unseen
from playground.recipe import Recipe
from playground.refusal import Refusal

FORMS: dict[str, Callable[[HostedModel, Recipe, tuple[str, ...]], Image.Image]] = {
    "huggingface": huggingface.ask,
    "openai": openai.ask,
    "stability": stability.ask,
}
TOLD_EVERY = 0.5  # seconds between two words to whoever waits, at which it is noticed that nobody does any more
USUAL_SIDE = 1024  # pixels, where the file says no size
RECENT = 0.3  # of the latest picture in the seconds that one takes


class Made(NamedTuple):
    image: Image.Image
    seconds: float
    came: tuple[int, int]  # its own size


class Hosted:
    """What its methods do is said in the contract. Nothing is sent by any of them but `run`."""

    def __init__(self, model: HostedModel) -> None:
        self._model = model
        self._lock, self._asked = threading.Lock(), 0
        self._seconds = 0.0  # that a picture takes, as measured; 0 before any
        self._pool = ThreadPoolExecutor(model.at_once, thread_name_prefix="hosted")
        self.facts = facts_of(model)

    @property
    def runtime(self) -> str:
        return f"at {self._model.provider}"

    @property
    def is_there(self) -> bool:
        """Never in memory, so what draws here comes first."""
        return False

    def of(self, model: str) -> "Hosted":
        return self

    def check(self, recipe: Recipe) -> None:
        self.facts.check(recipe)

    def words(self, text: str, chunks: int = 0) -> Words:
        """How the provider cuts a text is not known here."""
        return unseen(text)

    def anatomy(self, width: int, height: int) -> Anatomy:
        self._refuse()

    def cost(self, width: int, height: int) -> Cost:
        self._refuse()

    def ask(self, asks: Sequence[Ask], visitor: str = "", weight: float = 1.0) -> Iterator[Answer]:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise Refusal(self.facts.whole)

    def render(self, recipe: Recipe, pictures: Pictures | None = None) -> Result:
        """A picture drawn again is another one, and costs again."""
        raise Refusal(f"This picture was {self._by} and cannot be drawn again here.")

    def estimate(self, recipes: Sequence[Recipe], keep: Keep = NOTHING) -> float | None:
        if not recipes:
            return 0.0
        return ceil(len(self._groups(recipes)) / self._model.at_once) * self._seconds if self._seconds else None

    def outlook(self, recipes: Sequence[Recipe], visitor: str = "", keep: Keep = NOTHING) -> Outlook:
        return Outlook(0, self.estimate(recipes, keep))

    def run(self, cells: Sequence[Recipe], unread: Unread | None = None, **how: Unpack[How]) -> Iterator[Event]:
        """One request for all cells that differ in nothing that is sent, nor in their seed. When the run is closed,
        what was not asked for yet is not asked for; what was goes to `unread`, because it is paid for."""
        if how.get("start") is not None:
            self._refuse()
        waiting, begun = deque(self._groups(cells)), time.monotonic()
        asked: dict[Future[Made], list[int]] = {}  # places that were not told yet
        try:
            while waiting or asked:
                while waiting and len(asked) < self._model.at_once:  # no more, so that other visitors' come between
                    places = waiting.popleft()
                    asked[self._pool.submit(self._made, cells[places[0]])] = places
                yield Waiting(0, None, self._progress(len(waiting) + len(asked), time.monotonic() - begun))
                for future in wait(asked, TOLD_EVERY, FIRST_COMPLETED).done:
                    while asked[future]:
                        place = asked[future].pop(0)
                        yield self._event(future, place, cells[place])
                    del asked[future]
        finally:
            for future, places in asked.items():
                if not future.cancel() and unread is not None:
                    future.add_done_callback(self._keep(unread, places, cells))

    def _progress(self, count: int, seconds: float) -> str:
        plural = "s" * (count > 1)
        return f"{self._model.name} at {self._model.provider} is asked for {count} picture{plural}: {seconds:.0f} s."

    def _keep(self, unread: Unread, places: Sequence[int], cells: Sequence[Recipe]) -> Callable[[Future[Made]], None]:
        def ended(future: Future[Made]) -> None:
            for place in places:
                if isinstance(event := self._event(future, place, cells[place]), Done):
                    unread(event)

        return ended

    def _groups(self, recipes: Sequence[Recipe]) -> list[list[int]]:
        """Places of the recipes for which the same is asked."""
        groups: dict[Recipe, list[int]] = {}
        for place, recipe in enumerate(recipes):
            groups.setdefault(self.facts.used(recipe), []).append(place)
        return list(groups.values())

    def _event(self, future: Future[Made], place: int, recipe: Recipe) -> Done | Failed:
        """What became of one cell of an ended request."""
        try:
            made = future.result()
        except Refusal as refusal:
            return Failed(place, str(refusal))
        except Exception as error:  # nothing more of it is said, because it may hold what was sent
            return Failed(place, f"{self._model.name} could not be asked: {type(error).__name__}.")
        return Done(place, Result(made.image, recipe, made.seconds, 0, elsewhere=self._told(recipe, made)))

    def _made(self, recipe: Recipe) -> Made:
        """In a thread of the pool. Raises Refusal, with one sentence, where there is no picture."""
        self._count()
        begun = time.monotonic()
        whole = FORMS[self._model.kind](self._model, recipe, self.facts.elsewhere.sent(recipe))
        seconds = time.monotonic() - begun
        with self._lock:
            self._seconds += (seconds - self._seconds) * (RECENT if self._seconds else 1.0)
        return Made(own_pictures.fitted(whole, recipe.width, recipe.height), seconds, whole.size)

    def _count(self) -> None:
        """Refused ones count as well, because whether they are paid for is the provider's to say."""
        with self._lock:
            if self._asked >= self._model.most:
                raise Refusal(
                    f"{self._model.name} was asked for {self._model.most} pictures since the start, which is the most "
                    "that whoever started this playground allows."
                )
            self._asked += 1

    @property
    def _by(self) -> str:
        return self.facts.elsewhere.by(self._model.name)

    def _told(self, recipe: Recipe, made: Made) -> str:
        """What is kept with the picture of where it comes from."""
        parts = [self._by]
        if ignored := self.facts.elsewhere.ignored(recipe):
            parts.append(f"ignored: {', '.join(ignored)}")
        if made.came != (recipe.width, recipe.height):
            parts.append(f"cut and resized from {made.came[0]} × {made.came[1]}")
        return "; ".join(parts)


def facts_of(model: HostedModel) -> Facts:
    """Of its network nothing is known."""
    width, height = model.sizes[0] if model.sizes else (USUAL_SIDE, USUAL_SIDE)
    asked = [model.kind, model.url, model.through, model.model, dict(model.extra), list(model.takes)]
    where = Elsewhere(model.provider, model.model, model.takes, KINDS[model.kind].seeds, model.sizes, model.price)
    return Facts(
        name=model.name,
        family="hosted",
        fingerprint=hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16],
        parameters=0,
        device="elsewhere",
        precision="unknown",
        schedule={},
        channels=0,
        scale=8,
        multiple=8,
        usual=usual_recipe(model.name, width).replace(height=height),
        network="hosted network",
        cfg="",
        no_start=f"{model.name} is asked for pictures from words only.",
        whole=f"{model.name} draws at {model.provider}, so nothing looks into its steps.",
        elsewhere=where,
    )


def hosted(models: Sequence[HostedModel]) -> Mapping[str, Hosted]:
    """Each by its name."""
    return {model.name: Hosted(model) for model in models}
