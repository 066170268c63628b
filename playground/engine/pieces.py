"""Work that is no run: single questions to the network, which join everybody's calls, and what the other parts do."""

import time
from typing import Any

import torch
from torch import Tensor

from playground.answer import noise_of
from playground.engine.contract import NOTHING, Ask, Begin, Begun, Decode, Encode, Question
from playground.engine.pace import synchronize
from playground.engine.trajectory import Trajectory
from playground.models import Condition, Look, Model, Text
from playground.models.weighted import chunks_of
from playground.refusal import Refusal
from playground.schedule import check_timestep, level_at, prediction_type


class Single:
    """A Question on its way: rows like a trajectory's, asked once, and no step."""

    keep = NOTHING
    control: Condition = {}

    def __init__(self, question: Question, model: Model) -> None:
        """Raises Refusal for a timestep outside the schedule, for latents that the network does not take and for LoRAs
        that cannot be used: a call is everybody's, and must not fail for one row of it."""
        check_timestep(model.facts.schedule, question.t)
        shape = tuple(question.x_t.shape)
        if len(shape) != 4 or shape[:2] != (1, model.facts.channels):
            raise Refusal(f"The latents must be of shape (1, {model.facts.channels}, h, w), not {shape}.")
        recipe = model.facts.usual.replace(loras=dict(question.loras))
        model.check(recipe)
        self._texts = [model.facts.text(words, recipe) for words in question.texts]
        self.question, self.model = question, model
        self.latents = question.x_t.to(model.device)
        self.timestep_there = torch.tensor(float(question.t), device=model.device)
        self.loras = recipe.active_loras
        self.k, self.of, self.finished = 0, 1, False
        self.seconds, self.shared, self.seconds_of_call = 0.0, 0, 0.0
        self.answer: Tensor | None = None

    def texts(self) -> list[Text]:
        return self._texts

    def asks_alike(self) -> tuple:
        return (self,)

    def wants_look(self, position: int) -> bool:
        return False

    def looked(self, look: Look) -> None:
        raise AssertionError("nobody asked")

    def model_input(self) -> Tensor:
        return self.latents

    def take(self, answers: list[Tensor]) -> None:
        """Outputs for `texts()`, in order -> `answer`, ε (n, C, h, w) on the CPU."""
        config, x_t = self.model.facts.schedule, self.question.x_t
        level = level_at(config, self.question.t)
        output = torch.cat(answers).cpu()
        self.answer = noise_of(x_t, output, level.signal, level.noise, prediction_type(config)).clone()
        self.k, self.finished = 1, True


def done_now(ask: Ask, model: Model) -> tuple[Any, float]:
    """Encode, Decode or Begin -> its answer, and the seconds it took until the device was done."""
    synchronize(model.device)
    begun = time.perf_counter()
    with torch.inference_mode():
        if isinstance(ask, Encode):
            value: Any = model.encode_picture(ask.picture).float().cpu()
        elif isinstance(ask, Decode):
            latents = ask.latents.to(model.device)
            value = model.preview(latents) if ask.quick else model.decode(latents)
        elif isinstance(ask, Begin):
            value = _begun(ask, model)
        else:
            raise Refusal(f"An engine cannot be asked for a {type(ask).__name__}.")
    synchronize(model.device)
    took = time.perf_counter() - begun
    # cloned outside inference mode: an ordinary tensor that may be copied and kept
    return (value.clone() if isinstance(value, Tensor) else value), took


def _begun(ask: Begin, model: Model) -> Begun:
    def clock() -> float:
        synchronize(model.device)
        return 1000 * time.perf_counter()

    started = clock()
    recipe = ask.recipe
    chunks = chunks_of(recipe, model.facts.guided(recipe), model.words)
    words = model.words(recipe.prompt, chunks)
    cut = clock()
    # encoded anew: there would be nothing to measure of what was kept
    condition = model.encode_now(recipe.prompt, loras=recipe.active_loras, clip_skip=recipe.clip_skip, chunks=chunks)
    encoded = clock()
    trajectory = Trajectory(recipe, model)
    drawn = clock()
    took = {"tokens": cut - started, "text_encoder": encoded - cut, "noise": drawn - encoded}
    embeddings = next(iter(condition.values()))[0].float().cpu().clone()
    return Begun(words, embeddings, trajectory.latents[0].float().cpu().clone(), trajectory.of, took)
