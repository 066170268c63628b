"""What a step hands over of its call, as `Keep` asks for it: plain fp32 tensors on the CPU."""

import torch
from torch import Tensor

from playground.answer import noise_of, x0_of
from playground.engine.contract import Kept
from playground.engine.trajectory import Trajectory
from playground.schedule import Level


@torch.inference_mode()
def kept_of(trajectory: Trajectory, latents: bool, pictures: dict[str, object] | None = None) -> Kept:
    """Of the call that was just made. `latents`: somebody wants them, though whoever asked first may not."""
    predictions, tensors = trajectory.keep.predictions, {}
    if latents or predictions:
        tensors = {"x_t": trajectory.seen, "x0": trajectory.x0}
    if predictions:
        tensors |= dict(zip(("eps_uncond", "eps_cond"), _noises(trajectory, trajectory.answers), strict=True))
        tensors["eps"] = _noises(trajectory, [trajectory.output])[0]
    look, trajectory.look = trajectory.look, None
    return Kept(**{name: _crossing(x) for name, x in tensors.items()}, look=look, pictures=pictures or {})


@torch.inference_mode()
def to_draw(trajectory: Trajectory) -> dict[str, Tensor]:
    """The latents of the call that was just made that are drawn as quick pictures, by name."""
    found = {"x_t": trajectory.seen, "x0": trajectory.x0}
    if trajectory.keep.predictions:
        level = _level(trajectory)
        for name, answer in zip(("x0_uncond", "x0_cond"), trajectory.answers, strict=True):
            found[name] = x0_of(trajectory.seen, answer, level.signal, level.noise, trajectory.kind)
    return found


def _noises(trajectory: Trajectory, answers: list[Tensor]) -> list[Tensor]:
    level = _level(trajectory)
    return [noise_of(trajectory.seen, x, level.signal, level.noise, trajectory.kind) for x in answers]


def _level(trajectory: Trajectory) -> Level:
    return trajectory.levels[trajectory.k - 1]


def _crossing(x: Tensor) -> Tensor:
    return x.float().cpu().clone()
