"""Let the model guess: from a picture's own x_t back to a picture, as image-to-image does it.

The engine makes the run as diffusers' StableDiffusionImg2ImgPipeline does; SDEdit, Meng et al. 2021,
https://arxiv.org/abs/2108.01073. The two agree when that pipeline is given the latents x₀ (`image=x0`, the posterior's
mean times the VAE's scaling factor); given a picture it draws from the posterior with the seed first, so that x₀ and ε
are others, and pictures differ by 22 to 35 of 256 levels where that was tried. Where a run starts and what it takes is
`playground.schedule.plan`.
"""

from collections.abc import Collection, Iterator
from contextlib import closing

import torch
from torch import Tensor

from playground.engine import Done, Engine, Failed, Keep, Start, Step
from playground.inside.prediction import draw_noise
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.schedule import Level


def forward(x0: Tensor, recipe: Recipe, stands: Collection[Level]) -> Tensor:
    """x₀ (1, C, h, w), n levels -> x_t (n, C, h, w) with the guess's own ε; x₀ itself at the end, before any noise."""
    epsilon = draw_noise(x0, recipe.seed)[0]
    return torch.cat([x0 if at.t is None else at.signal * x0 + at.noise * epsilon for at in stands])


def guess(
    engine: Engine, x0: Tensor, recipe: Recipe, t: int, shown: Collection[int] = (), visitor: str = ""
) -> Iterator[Step | Done]:
    """Noise x₀ to the plan's start with the recipe's seed, then denoise it with the recipe: image-to-image.

    A Step for each call of the network, whose `kept` is the x_t that the call saw and the x̂₀ that follows from its
    answer, then Done with the picture. `shown`: the calls, counted from 0, whose x_t and x̂₀ come with quick pictures.
    Raises Refusal, with the reason, for a bad t, when nothing is left to do, and where the run fails.
    """
    keep = Keep(latents=True, pictures=frozenset(shown))
    with closing(engine.run([recipe], previews=False, keep=keep, start=Start(x0, t), visitor=visitor)) as events:
        for event in events:
            if isinstance(event, Failed):
                raise Refusal(event.reason)
            if isinstance(event, Step | Done):
                yield event
