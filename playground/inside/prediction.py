"""What the model learns: to name the noise. ε, ε_θ, the loss between them, and where following ε_θ leads.

L = ‖ε − ε_θ(x_t, t, text)‖² averaged over the values of ε: Ho et al. 2020, equation 14, arxiv.org/abs/2006.11239
x̂₀ = (x_t − √(1−ᾱ_t) · ε_θ) / √ᾱ_t: the same paper, equation 15.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral

import torch
from PIL import Image
from torch import Tensor

from playground.engine import Engine
from playground.inside.latent_noise import alphas_cumprod, decode, noised
from playground.inside.network import as_noise, ask
from playground.inside.on_device import on_device
from playground.models import LatentModel


@dataclass(frozen=True, eq=False)
class Prediction:
    """One question to the network and its answer. Tensors are (1, C, h, w) float32 on the CPU."""

    t: int  # timestep, 0 … T−1
    alpha_bar: float  # ᾱ_t of the model's own schedule
    x_t: Tensor  # what the network sees: √ᾱ_t · x₀ + √(1−ᾱ_t) · ε
    epsilon: Tensor  # ε, the noise that was added
    predicted: Tensor  # ε_θ, the noise the network names
    x0: Tensor  # x̂₀: x_t less the named noise, at full amplitude again
    loss: float  # mean (ε − ε_θ)²

    @property
    def signal(self) -> float:
        """√ᾱ_t"""
        return self.alpha_bar**0.5

    @property
    def noise(self) -> float:
        """√(1−ᾱ_t)"""
        return (1 - self.alpha_bar) ** 0.5

    @property
    def loss_of_zero(self) -> float:
        """mean ε²: the loss of a network that always answers 0."""
        return mean_square(self.epsilon)


def total_timesteps(model: LatentModel) -> int:
    """T of the model's training schedule."""
    return int(model.scheduler_config["num_train_timesteps"])


def check_timestep(model: LatentModel, t: object) -> int:
    """t -> t as an int; ValueError unless it is a whole number in 0 … T−1 (bools and floats are refused)."""
    last = total_timesteps(model) - 1
    if isinstance(t, bool) or not isinstance(t, Integral) or not 0 <= t <= last:
        raise ValueError(f"t must be a whole number from 0 to {last}.")
    return int(t)


def mean_square(values: Tensor) -> float:
    """any shape -> mean of the squares"""
    return float(values.square().mean())


def draw_noise(x0: Tensor, seed: int, draws: int = 1) -> list[Tensor]:
    """`draws` times ε ~ N(0, 1) of x₀'s shape, one after the other from a CPU generator seeded once."""
    generator = torch.Generator("cpu").manual_seed(seed)
    return [torch.randn(x0.shape, generator=generator) for _ in range(draws)]


@on_device(evaluations=lambda x0, captions, *_: len(captions))
def predict(engine: Engine, x0: Tensor, captions: Sequence[str], t: int, seed: int) -> list[Prediction]:
    """x₀ (1, C, h, w) -> one prediction per caption for the same x_t and ε, all in one call of the network.

    Raises ValueError for a bad t. The captions and the seed are the caller's to check (playground.recipe.Recipe).
    """
    t = check_timestep(engine.model, t)
    alphas = alphas_cumprod(engine.model)
    alpha_bar = alphas[t]
    if alpha_bar <= 0:
        raise ValueError(f"At t = {t} nothing of the picture is left in x_t, so there is nothing to subtract from.")
    epsilon = draw_noise(x0, seed)[0]
    x_t = noised(x0, epsilon, alphas, [t])
    predicted = _answers(engine, x_t.repeat(len(captions), 1, 1, 1), [t] * len(captions), list(captions), alphas)
    answers = []
    for answer in predicted.split(1):
        x0_hat = (x_t - (1 - alpha_bar).sqrt() * answer) / alpha_bar.sqrt()
        loss = mean_square(epsilon - answer)
        answers.append(Prediction(t, float(alpha_bar), x_t, epsilon, answer, x0_hat, loss))
    return answers


@on_device(evaluations=lambda x0, captions, *_: len(captions))
def predict_and_decode(
    engine: Engine, x0: Tensor, captions: Sequence[str], t: int, seed: int
) -> tuple[list[Prediction], tuple[Image.Image, Image.Image]]:
    """-> the predictions as `predict` makes them, and the first one's x_t and x̂₀ as the VAE shows them"""
    answers = predict(engine, x0, captions, t, seed)
    x_t, x0_hat = decode(engine, torch.cat([answers[0].x_t, answers[0].x0]))
    return answers, (x_t, x0_hat)


@on_device(evaluations=lambda x0, captions, timesteps, seed, draws=1: len(captions) * len(timesteps) * draws)
def losses(
    engine: Engine, x0: Tensor, captions: Sequence[str], timesteps: Sequence[int], seed: int, draws: int = 1
) -> Iterator[Tensor]:
    """L at every timestep for every caption -> after each draw of ε the mean so far, (captions, timesteps).

    All captions and timesteps of a draw share its ε, so the captions differ by nothing but the words. The first draw
    is the ε that `predict` shows. One call of the network per caption, others' work in between.
    """
    alphas = alphas_cumprod(engine.model)
    total = torch.zeros(len(captions), len(timesteps))
    for n, epsilon in enumerate(draw_noise(x0, seed, draws), start=1):
        x_t = noised(x0, epsilon, alphas, timesteps)
        rows = []
        for caption in captions:
            predicted = _answers(engine, x_t, timesteps, [caption] * len(timesteps), alphas)
            rows.append((predicted - epsilon).square().mean((1, 2, 3)))
        total = total + torch.stack(rows)
        yield total / n


def _answers(engine: Engine, x_t: Tensor, timesteps: Sequence[int], captions: Sequence[str], alphas: Tensor) -> Tensor:
    """x_t (B, C, h, w), B timesteps, B captions -> ε_θ (B, C, h, w) on the CPU, in one call of the network"""
    with engine.between_ticks() as model:
        output = ask(model, x_t, timesteps, captions).cpu()
    alpha_bar = alphas[torch.tensor(list(timesteps))].reshape(-1, 1, 1, 1)
    return as_noise(x_t, output, alpha_bar.sqrt(), (1 - alpha_bar).sqrt(), engine.model.prediction_type)
