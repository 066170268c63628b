"""The loop for models that draw whole pictures: one cell at a time, by the model's own pipeline."""

import time

from playground.engine.capacity import free_memory, out_of_memory
from playground.engine.contract import Ask, Done, Failed, Result, Step
from playground.engine.loop import Loop, sentence, smoothed
from playground.engine.request import Request
from playground.recipe import Recipe
from playground.refusal import Refusal


class Left(Exception):
    """Whoever asked has left, so the picture under way is given up."""


class WholeLoop(Loop):
    """A tick is one picture of the visitor who was served least; its steps are told as they are done."""

    def tick(self) -> None:
        self._drop_finished_and_cancelled()
        waiting = [request for request in self.requests if request.waiting]
        if not waiting:
            return
        request = min(waiting, key=lambda r: r.served)
        cell, ask = request.waiting.popleft()
        request.served += 1 / self._shares()[request]
        try:
            result = self._drawn(request, cell, ask)
        except Left:
            return  # and is dropped at the next tick
        except Exception as error:
            free_memory(self.model.device)
            request.finish(Failed(cell, _reason(ask, error)))
        else:
            request.finish(Done(cell, result))

    def _drawn(self, request: Request, cell: int, ask: Recipe | Ask) -> Result:
        """Raises Refusal for everything but a picture from words; Left where the reader has gone."""
        keep = request.keep
        if not isinstance(ask, Recipe) or request.start is not None:
            raise Refusal(self.model.facts.whole)
        if keep.predictions or keep.attention or keep.pictures:
            raise Refusal(self.model.facts.whole)
        self.model.check(ask)
        begun = latest = time.perf_counter()

        def tell(k: int, of: int, t: float) -> None:
            nonlocal latest
            if request.cancelled:
                raise Left
            now = time.perf_counter()
            request.tell(Step(cell, k, of, None, t, now - latest))
            latest = now

        image, rows = self.model.draw(ask, tell)
        ended = time.perf_counter()
        told = latest > begun  # else decoding cannot be told from the steps
        took, decoding = ended - begun, ended - latest if told else 0.0
        self.seconds_per_evaluation = smoothed(self.seconds_per_evaluation, (took - decoding) / max(1, rows))
        self.seconds_per_decode = smoothed(self.seconds_per_decode, decoding)
        return Result(image, ask, took, rows, seconds_of_decoding=decoding)


def _reason(ask: Recipe | Ask, error: Exception) -> str:
    if isinstance(ask, Recipe) and out_of_memory(error):
        return f"There is not enough memory for {ask.width} × {ask.height} pixels here."
    return sentence(error)
