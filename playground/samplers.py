"""The samplers, as a table: what people call them, and which diffusers scheduler each is (`schedule.py` makes it).

A sampler that also walks the straight line of flow matching has a second scheduler for that; it keeps key and label.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Sampler:
    """One row. `scheduler_class` is taken from diffusers by name and configured from the model's own schedule."""

    key: str
    label: str  # as AUTOMATIC1111 users know it
    scheduler_class: str
    config: Mapping[str, Any] = field(default_factory=dict)  # what differs from the model's scheduler config
    flow_class: str = ""  # of models that were taught flow matching; empty where it has no form for them
    edm_class: str = ""  # of models with EDM's preconditioning, which are run by their own pipelines only
    order: int = 1  # U-Net calls per step, before guidance
    extra_calls: int = 0  # calls beyond order · steps, negative when the last step saves one
    brownian_noise: bool = False  # draws it from a Brownian tree with the recipe's seed, not from a generator
    has_eta: bool = False  # adds as much noise as the recipe's eta says
    adds_noise: bool = False  # draws fresh noise at every step, so the picture keeps changing with more steps
    fewest_steps: int = 1
    most_steps: int = 1000  # the schedule has that many; see LEADING for those that can take fewer
    usual_steps: tuple[int, int] = (20, 50)
    sentence: str = ""  # what a learner should know
    paper: str = ""

    def calls(self, num_inference_steps: int) -> int:
        """U-Net calls for that many steps, before guidance doubles them."""
        return self.order * num_inference_steps + self.extra_calls


# These place their timesteps from the clean end, one further than zero (steps_offset, as Stable Diffusion has it), so
# a thousandth step would stand at t = 1000, where the schedule has no value.
LEADING = 999

_ROWS = (
    Sampler(
        "ddpm",
        "DDPM",
        "DDPMScheduler",
        adds_noise=True,
        most_steps=LEADING,
        usual_steps=(200, 999),
        sentence="The original: removes a little noise, adds a little back, and needs hundreds of steps for it.",
        paper="https://arxiv.org/abs/2006.11239",
    ),
    Sampler(
        "ddim",
        "DDIM",
        "DDIMScheduler",
        has_eta=True,
        most_steps=LEADING,
        sentence="The same network without the added noise: a straight walk that can take large steps.",
        paper="https://arxiv.org/abs/2010.02502",
    ),
    Sampler(
        "pndm",
        "PLMS",
        "PNDMScheduler",
        {"skip_prk_steps": True},
        extra_calls=1,
        fewest_steps=2,
        most_steps=LEADING,
        usual_steps=(50, 100),
        # By `examples.train_pocket.evaluate`, in fp32. Its four-point extrapolation crosses very unequal last steps
        # (Δσ/σ = .82 before the end at 20 steps).
        sentence="Remembers the last four predictions to bend each step along the curve. With guidance and few steps "
        "that overshoots: measured on Pocket at guidance 5, its latents end 1.29 away from a 250-step DDIM run's after "
        "20 steps and 0.07 after 50 (DDIM: 0.08 and 0.03); at guidance 1, 0.04 after 20; at guidance 9, still 1.11 "
        "after 50.",
        paper="https://arxiv.org/abs/2202.09778",
    ),
    Sampler(
        "euler",
        "Euler",
        "EulerDiscreteScheduler",
        flow_class="FlowMatchEulerDiscreteScheduler",
        edm_class="EDMEulerScheduler",
        usual_steps=(20, 40),
        sentence="The plainest solver: follow the direction you see, one step at a time.",
        paper="https://arxiv.org/abs/2206.00364",
    ),
    Sampler(
        "euler_a",
        "Euler a",
        "EulerAncestralDiscreteScheduler",
        adds_noise=True,
        usual_steps=(20, 40),
        sentence="Euler with fresh noise at every step: lively, and never settles as steps increase.",
        paper="https://arxiv.org/abs/2206.00364",
    ),
    Sampler(
        "heun",
        "Heun",
        "HeunDiscreteScheduler",
        flow_class="FlowMatchHeunDiscreteScheduler",
        order=2,
        extra_calls=-1,
        usual_steps=(10, 25),
        sentence="Looks twice before each step: better per step, at twice the cost per step.",
        paper="https://arxiv.org/abs/2206.00364",
    ),
    Sampler(
        "dpmpp_2m",
        "DPM++ 2M",
        "DPMSolverMultistepScheduler",
        flow_class="DPMSolverMultistepScheduler",
        edm_class="EDMDPMSolverMultistepScheduler",
        usual_steps=(15, 30),
        sentence="Uses the previous prediction to curve its step; good pictures from about 15 steps.",
        paper="https://arxiv.org/abs/2211.01095",
    ),
    Sampler(
        "dpmpp_2m_karras",
        "DPM++ 2M Karras",
        "DPMSolverMultistepScheduler",
        {"use_karras_sigmas": True},
        usual_steps=(15, 30),
        sentence="DPM++ 2M with its steps spaced more closely where little noise is left.",
        paper="https://arxiv.org/abs/2206.00364",
    ),
    Sampler(
        "dpmpp_sde",
        "DPM++ SDE",
        "DPMSolverSDEScheduler",
        order=2,
        extra_calls=-1,
        brownian_noise=True,
        adds_noise=True,
        usual_steps=(10, 20),
        sentence="Two looks per step and fresh noise: rich pictures in few steps, and never the same as steps change.",
        paper="https://arxiv.org/abs/2211.01095",
    ),
    Sampler(
        "unipc",
        "UniPC",
        "UniPCMultistepScheduler",
        flow_class="UniPCMultistepScheduler",
        usual_steps=(10, 25),
        sentence="Predicts each step and then corrects it; made for few steps.",
        paper="https://arxiv.org/abs/2302.04867",
    ),
    Sampler(
        "lcm",
        "LCM",
        "LCMScheduler",
        adds_noise=True,
        most_steps=50,  # the number of steps it was distilled over
        usual_steps=(2, 8),
        sentence="Jumps to the clean picture and adds noise again; made for models and LoRAs distilled for few steps.",
        paper="https://arxiv.org/abs/2310.04378",
    ),
)

SAMPLERS: dict[str, Sampler] = {row.key: row for row in _ROWS}
