"""What the model learns: to name the noise. ε, ε_θ, the loss between them, and where following ε_θ leads.

L = ‖ε − ε_θ(x_t, t, text)‖² averaged over the values of ε: Ho et al. 2020, equation 14, arxiv.org/abs/2006.11239
x̂₀ = (x_t − √(1−ᾱ_t) · ε_θ) / √ᾱ_t: the same paper, equation 15.

A network that was taught flow matching names the velocity v = ε − x₀ at x_t = (1−σ) · x₀ + σ · ε, σ = t/T (Lipman et
al. 2023, arxiv.org/abs/2210.02747). ε_θ is what follows from its answer; signal and noise are then 1−σ and σ.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from playground.answer import x0_of
from playground.engine import Engine, Question
from playground.inside.latent_noise import decoded, noised
from playground.refusal import Refusal
from playground.schedule import amplitudes, check_timestep, level_at


@dataclass(frozen=True, eq=False)
class Prediction:
    """One question to the network and its answer. Tensors are (1, C, h, w) float32 on the CPU."""

    t: int  # timestep, 0 … T−1
    signal: float  # √ᾱ_t of the model's own schedule, or 1−σ
    noise: float  # √(1−ᾱ_t), or σ
    x_t: Tensor  # what the network sees: signal · x₀ + noise · ε
    epsilon: Tensor  # ε, the noise that was added
    predicted: Tensor  # ε_θ, the noise the network names
    x0: Tensor  # x̂₀: x_t less the named noise, at full amplitude again
    loss: float  # mean (ε − ε_θ)²

    @property
    def alpha_bar(self) -> float:
        """ᾱ_t: the share of the picture's power that is left"""
        return self.signal**2

    @property
    def loss_of_zero(self) -> float:
        """mean ε²: the loss of a network that always answers 0."""
        return mean_square(self.epsilon)

    @property
    def missed(self) -> Tensor:
        """ε − ε_θ (1, C, h, w): what the network got wrong"""
        return self.epsilon - self.predicted


def mean_square(values: Tensor) -> float:
    """any shape -> mean of the squares"""
    return float(values.square().mean())


def apart(a: Tensor, b: Tensor) -> float:
    """two of the same shape -> mean of the squared differences"""
    return mean_square(a - b)


def draw_noise(x0: Tensor, seed: int, draws: int = 1) -> list[Tensor]:
    """`draws` times ε ~ N(0, 1) of x₀'s shape, one after the other from a CPU generator seeded once."""
    generator = torch.Generator("cpu").manual_seed(seed)
    return [torch.randn(x0.shape, generator=generator) for _ in range(draws)]


def predict(
    engine: Engine, x0: Tensor, captions: Sequence[str], t: int, seed: int, visitor: str = ""
) -> list[Prediction]:
    """x₀ (1, C, h, w) -> one prediction per caption for the same x_t and ε, asked in one question.

    Raises Refusal for a bad t, and for one at which nothing of the picture is left. The captions and the seed are the
    caller's to check (playground.recipe.Recipe).
    """
    config = engine.facts.schedule
    level, parts = level_at(config, check_timestep(config, t)), amplitudes(config)
    if not level.signal:
        raise Refusal(f"At t = {t} nothing of the picture is left in x_t, so there is nothing to subtract from.")
    epsilon = draw_noise(x0, seed)[0]
    x_t = noised(x0, epsilon, parts, [t])
    (answer,) = engine.ask([Question(x_t, t, tuple(captions))], visitor)
    found = []
    for predicted in answer.value.split(1):
        x0_hat, loss = x0_of(x_t, predicted, level.signal, level.noise, "epsilon"), apart(epsilon, predicted)
        found.append(Prediction(t, level.signal, level.noise, x_t, epsilon, predicted, x0_hat, loss))
    return found


def as_pictures(engine: Engine, answer: Prediction, visitor: str = "") -> tuple[Image.Image, Image.Image]:
    """-> its x_t and its x̂₀ as the VAE shows them"""
    x_t, x0 = decoded(engine, torch.cat([answer.x_t, answer.x0]), visitor=visitor)
    return x_t, x0


def losses(
    engine: Engine,
    x0: Tensor,
    captions: Sequence[str],
    timesteps: Sequence[int],
    seed: int,
    draws: int = 1,
    visitor: str = "",
) -> Iterator[Tensor]:
    """L at every timestep for every caption -> after each draw of ε the mean so far, (captions, timesteps).

    All captions and timesteps of a draw share its ε, so the captions differ by nothing but the words. The first draw
    is the ε that `predict` shows. Everything is asked at once: questions share calls of the network, and on ZeroGPU
    each asking costs a worker.
    """
    parts = amplitudes(engine.facts.schedule)
    noises = draw_noise(x0, seed, draws)
    questions = [
        Question(x_t, t, tuple(captions))
        for epsilon in noises
        for x_t, t in zip(noised(x0, epsilon, parts, timesteps).split(1), timesteps, strict=True)
    ]
    found = torch.full((draws, len(captions), len(timesteps)), torch.nan)
    complete = 0
    with closing(engine.ask(questions, visitor)) as answers:
        for answer in answers:
            draw, at = divmod(answer.cell, len(timesteps))
            found[draw, :, at] = (answer.value - noises[draw]).square().mean((1, 2, 3))
            while complete < draws and not found[complete].isnan().any():
                complete += 1
                yield found[:complete].mean(0)
