"""The closed form beside the step-by-step process that it replaces: x_t by one jump and by t+1 small steps."""

import time
from dataclasses import dataclass

from PIL import Image
from torch import Tensor

from playground import noise, pictures

SIDE = 128  # a thousand steps at 256 × 256 would take seconds, and show nothing more


@dataclass(frozen=True, eq=False)
class Way:
    """One of the two ways to x_t, and what was measured in its pixels."""

    x_t: Tensor  # (3, SIDE, SIDE)
    steps: int
    seconds: float
    amplitudes: tuple[float, float]  # of picture and noise; see `noise.amplitudes`
    moments: noise.Moments  # of its noise part


@dataclass(frozen=True, eq=False)
class JumpOrWalk:
    """Both ways to one t."""

    formula: noise.Coefficients  # what the closed form says at t
    jump: Way
    walk: Way
    correlation: float  # of their noise parts, −1 … 1


def other_seed(seed: int) -> int:
    """The walk's seed. With the jump's own, its first step would draw the very ε of the jump, and the two would agree
    by more than law. Raises Refusal for a bad seed.
    """
    return (noise.check_seed(seed) + 1) % (noise.MAX_SEED + 1)


def jump_or_walk(picture: Image.Image, t: int, schedule: str, seed: int) -> JumpOrWalk:
    """RGB picture, which is reduced to SIDE × SIDE; t in 0..999, schedule of noise.NAMES, the jump's seed -> both ways

    Raises Refusal for a bad t, schedule or seed, and for a schedule that has no small steps.
    """
    formula = noise.coefficients(schedule, t)
    x0 = pictures.to_x0(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    epsilon = noise.noise_like(x0.shape, seed)
    start = time.perf_counter()
    jumped = noise.add_noise(x0, epsilon, t, schedule)
    landed = time.perf_counter()
    walked = noise.walk(x0, t, schedule, other_seed(seed))
    arrived = time.perf_counter()

    def way(x_t: Tensor, steps: int, seconds: float) -> Way:
        return Way(x_t, steps, seconds, noise.amplitudes(x_t, x0), noise.moments(x_t, x0, t, schedule))

    return JumpOrWalk(
        formula,
        way(jumped, 1, landed - start),
        way(walked, t + 1, arrived - landed),
        noise.correlation(jumped, walked, x0, t, schedule),
    )
