"""What the engine says while it works. Plain data, so that events can cross a process boundary."""

from dataclasses import dataclass, field

from PIL import Image
from torch import Tensor

from playground.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Result:
    """A finished picture and what it took."""

    image: Image.Image
    recipe: Recipe
    seconds: float  # this cell's share of the batched work: network calls by rows, decoding by pictures
    evaluations: int  # U-Net passes a lone picture with this recipe needs; comparable between cells
    shared: int = 0  # of those, how many were computed once for several cells
    x0: Tensor | None = None  # final latents (1, 4, H/8, W/8), fp32 on the CPU


@dataclass(frozen=True, eq=False)
class Step:
    """One U-Net call of a cell's sampler is done."""

    cell: int  # index into the recipes given to `run`
    k: int  # calls done, 1 … of
    of: int  # calls in all; a step of a second-order sampler is two
    preview: Image.Image | None  # the predicted clean picture x̂₀ at this point
    latents: Tensor | None = (
        None  # (2, 4, H/8, W/8) fp16 on the CPU: x_t as the network saw it, and x̂₀; where asked for
    )


@dataclass(frozen=True, eq=False)
class Done:
    cell: int
    result: Result
    stored: bool = False  # True when it was kept from an earlier run and nothing was computed


@dataclass(frozen=True, eq=False)
class Failed:
    cell: int
    reason: str  # one sentence for people


@dataclass(frozen=True)
class Waiting:
    """Others are being served as well; said once, before the first step."""

    others: int  # requests under way
    seconds: float | None  # estimate until the last picture of this request, by the measured speed


@dataclass(frozen=True)
class Measured:
    """What a loop knows about its device; a worker that ends hands it on, so that the next one need not measure."""

    rows: dict[tuple[int, ...], int] = field(default_factory=dict)  # of a network call, by latent shape (1, 4, h, w)
    seconds_per_evaluation: float = 0.0  # 0 before any
    seconds_per_decode: float = 0.0


Event = Step | Done | Failed | Waiting
