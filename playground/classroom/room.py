"""A class at work: the register, the pictures of what is shown, and who is looking at the moment."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from playground.classroom import pushed as pushing
from playground.classroom.drawing import Drawing, Drawings
from playground.classroom.plain import Class, Member, Now, Round
from playground.classroom.pushed import Pushed
from playground.classroom.register import Register, path_beside
from playground.classroom.results import to_csv
from playground.engine import Engine
from playground.lessons.lesson import Lesson
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.render import missing
from playground.store import Store

HERE = 8.0  # seconds after which somebody who asked for nothing is not looking any more; pages ask every other second
MOST_READ = 256  # rounds whose meaning is remembered


@dataclass(frozen=True)
class Sight:
    """What somebody is looking at."""

    now: Now
    pushed: Pushed | None = None  # None while nothing is shown
    drawing: Drawing | None = None
    order: Sequence[int] = ()  # of the cells, see `Pushed.order`
    problem: str = ""  # why what is shown cannot be shown here

    @property
    def revealed(self) -> bool:
        """The pictures may be seen with their settings."""
        return self.now.round is not None and (self.now.round.revealed or self.pushed.kind == "show")

    def stamp(self, all_of_it: bool = False) -> str:
        """Another one whenever a visitor has something new to look at; counts are not part of it. `all_of_it`: also how
        far pictures are that visitors do not see yet, because they are still to predict."""
        round_ = self.now.round
        parts = [self.now.class_.id, self.now.class_.closed]
        if round_:
            parts += [round_.id, round_.frozen, round_.revealed]
        if self.drawing and (all_of_it or self.revealed or self.pushed.kind == "vote"):
            parts.append(self.drawing.stamp)
        return " ".join(map(str, parts))


class Room:
    """All classes of this machine."""

    def __init__(self, engine: Engine, store: Store, lessons: Sequence[Lesson]) -> None:
        self.engine, self.lessons = engine, lessons
        self.register = Register(path_beside(store.folder))
        self._store, self._drawings = store, Drawings(engine, store)
        self._read: dict[int, Pushed] = {}  # by round
        self._seen: dict[tuple[int, int], float] = {}  # class and member -> when they last looked; kept nowhere else
        self._lock = threading.Lock()
        self.arrived()

    def arrived(self) -> None:
        """Somebody opens a page, or the server starts: what is over goes."""
        try:
            self.register.purge()
        except Refusal:
            pass  # it is said to whoever asks for a class

    def sight(self, class_: Class) -> Sight:
        """What the class is shown now. The first who looks begins its pictures."""
        now = self.register.now(class_)
        if now.round is None:
            return Sight(now)
        try:
            pushed = self.pushed(now.round)
        except Refusal as refusal:
            return Sight(now, problem=str(refusal))
        drawing = self._drawings.of(class_.id, now.round.id, pushed, lambda drawn: self._keep(now.round, pushed, drawn))
        return Sight(now, pushed, drawing, pushed.order(now.round.id))

    def pushed(self, round_: Round) -> Pushed:
        """Raises Refusal where it cannot be shown here."""
        found = self._read.get(round_.id)
        if found is None:
            found = pushing.read(round_.what, self.lessons, self.engine)
            with self._lock:
                while len(self._read) >= MOST_READ:
                    del self._read[next(iter(self._read))]
                self._read[round_.id] = found
        return found

    def show(self, class_: Class, what: dict[str, Any]) -> None:
        """Everybody is shown this from now on, drawn by this page's model. What nobody is asked about is revealed at
        once."""
        pushed = self.reads(what)
        what = {**what, "model": self.engine.facts.name}
        round_ = self.register.push(class_, what)
        if pushed.kind == "show":
            self.register.reveal(round_)

    def reads(self, what: dict[str, Any]) -> Pushed:
        """What the class would be shown. Raises Refusal where it cannot be shown here."""
        return pushing.read({**what, "model": self.engine.facts.name}, self.lessons, self.engine)

    def to_draw(self, what: dict[str, Any]) -> list[Recipe]:
        """What is still to be denoised for it. Raises Refusal where it cannot be shown here."""
        recipes = pushing.denoised(self.reads(what), self.engine.facts)
        return missing(self.engine, self._store, recipes)

    def following(self, class_: Class) -> dict[str, Any]:
        """What comes after what is shown. Raises Refusal where nothing does."""
        sight = self.sight(class_)
        what = pushing.following(sight.pushed, self.lessons) if sight.pushed else None
        if what is None:
            raise Refusal("Nothing follows on this; choose what to show next.")
        return what

    def again(self, class_: Class) -> None:
        """The pictures that failed are drawn once more."""
        if round_ := self.register.now(class_).round:
            self._drawings.again(class_.id, round_.id)

    def answer(self, class_: Class, member: Member, number: object, answer: Any) -> Any:
        """`number`: the round that was answered -> the answer as it is kept. Raises Refusal for one that is none."""
        now = self.register.now(class_)
        if now.round is None or type(number) is not int or now.round.number != number:
            raise Refusal("The class is at another question by now; your answer was not taken.")
        answer = self.pushed(now.round).check(answer)
        self.register.answer(class_, member, now.round, answer)
        return answer

    def answers(self, sight: Sight) -> list[Any]:
        """Everybody's, as far as they still fit what is shown: a lesson may have been edited since."""
        found = self.register.answers(sight.now.round) if sight.pushed else []
        return [answer for _, answer in found if sight.pushed.fits(answer)]

    def answer_of(self, sight: Sight, member: Member) -> Any:
        """None where there is none, or none that fits."""
        found = self.register.answer_of(sight.now.round, member) if sight.pushed else None
        return found if found is not None and sight.pushed.fits(found) else None

    def looked(self, class_: Class, member: Member) -> None:
        self._seen[class_.id, member.id] = time.monotonic()

    def here(self, class_: Class) -> int:
        """How many visitors are looking now."""
        since = time.monotonic() - HERE
        with self._lock:
            for key in [key for key, when in list(self._seen.items()) if when < since]:
                self._seen.pop(key, None)
        return sum(owner == class_.id for owner, _ in list(self._seen))

    def csv(self, class_: Class) -> str:
        """Everything that was answered, see `results`."""
        return to_csv(self.register.rounds(class_), self._pushed_or_none, self.register.answers)

    def _pushed_or_none(self, round_: Round) -> Pushed | None:
        try:
            return self.pushed(round_)
        except Refusal:
            return None

    def _keep(self, round_: Round, pushed: Pushed, drawing: Drawing) -> None:
        values = {name: list(found) for name, found in drawing.values.items()}
        self.register.measured(round_, {"labels": list(pushed.labels), "values": values})
