"""What a model is to the engine, which alone calls it: `Model`, or `WholeModel` for one that draws by itself.

A family (`families/`) makes both it and its `Facts`. Nothing above this floor knows a U-Net, a VAE, a tokenizer or a
text encoder.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from playground.models.anatomy import Anatomy, Cost
from playground.models.facts import Facts, Pairs, Text
from playground.models.words import Words
from playground.recipe import Recipe

Condition = dict[str, Tensor]  # one encoded text, each (1, …), by the name of the network's argument
TEXT = "encoder_hidden_states"  # the argument of most networks that the words fill
CONTROL, CONTROL_SCALE = "control", "control_scale"  # in a condition: the picture (1, 3, H, W) in 0 … 1, and (1,)
Weights = Sequence[tuple[str, float]]  # one row's LoRAs: (name, weight)
Size = tuple[int, int]  # rows, columns


class WholeModel(Protocol):
    """What the engine asks of a model that draws whole pictures by a pipeline of its own; the rest is as in `Model`:
    check, words, runtime, convert, wait_until_converted, compile and attach_control."""

    facts: Facts  # with `whole`
    device: torch.device

    def draw(self, recipe: Recipe, tell: Callable[[int, int, float], None]) -> tuple[Image.Image, int]:
        """The picture and the rows that its network was asked for. `tell` is given every step: how many are done, of
        how many, at which timestep; what it raises ends the picture."""


class Model(Protocol):
    """What the engine asks of a loaded model. Tensors lie on `device`; latents are in the network's own scale."""

    facts: Facts
    device: torch.device

    def check(self, recipe: Recipe) -> None:
        """Raises Refusal where the model cannot draw it, unusable LoRA files included."""

    def words(self, text: str, chunks: int = 0) -> Words:
        """A text as the tokenizer cuts it; with `chunks`, where weights are read, as `WeighingCutter` does."""

    def encode(
        self, words: str, negative: bool = False, loras: Pairs = (), clip_skip: int = 0, chunks: int = 0
    ) -> Condition:
        """Words for the network, cut and padded as the family's pipeline does; kept for the next time. The encoded
        ones, (1, tokens, width), come first. Of `loras` count those that change the text encoders; `chunks` is as in
        `Text`."""

    def encode_now(
        self, words: str, negative: bool = False, loras: Pairs = (), clip_skip: int = 0, chunks: int = 0
    ) -> Condition:
        """The same, computed now whatever was kept: for whoever wants to know how long it takes."""

    def condition(self, text: Text) -> Condition:
        """All that a row is told: the words encoded, and what else the text says."""

    def predict(
        self, latents: Tensor, t: Tensor, conditions: Sequence[Condition], loras: Sequence[Weights] | None = None
    ) -> Tensor:
        """(B, C, h, w), (B,), B texts, B rows' LoRAs -> the network's output (B, C, h, w) in fp32"""

    def predict_and_look(
        self, latents: Tensor, t: Tensor, conditions: Sequence[Condition], loras: Sequence[Weights] | None = None
    ) -> tuple[Tensor, list["Look"]]:
        """The same, and for each row where its words were looked at. Raises Refusal where that cannot be seen."""

    def combine(self, unconditional: Tensor, conditional: Tensor, recipe: Recipe) -> Tensor:
        """The two outputs of a guided row (1, C, h, w) -> the output that the sampler goes on with."""

    def decode(self, latents: Tensor) -> list[Image.Image]:
        """(B, C, h, w) -> B pictures"""

    def encode_picture(self, picture: Image.Image) -> Tensor:
        """RGB picture -> x₀ (1, C, h, w), the mean of the posterior, so the same picture gives the same latents."""

    def sample_picture(self, picture: Image.Image, noise: Tensor) -> Tensor:
        """RGB picture, (1, C, h, w) of N(0, 1) -> x₀ (1, C, h, w), a sample of the posterior, as image-to-image
        pipelines draw it: mean + std · noise. What the encoder says of a picture is kept for the next time."""

    def attach_control(self, folder: Path) -> None:
        """Take a ControlNet, before anybody reads `facts`. Raises Refusal, with one sentence, where it cannot be used;
        conditions may from then on have CONTROL and CONTROL_SCALE."""

    def preview(self, latents: Tensor) -> list[Image.Image]:
        """(B, C, h, w) -> B quick, approximate pictures"""

    def anatomy(self, width: int, height: int) -> Anatomy:
        """What it consists of for pictures of this size, from its shapes; nothing is computed."""

    def cost(self, width: int, height: int) -> Cost:
        """What its parts cost for pictures of this size, from their shapes as well."""

    @property
    def runtime(self) -> str:
        """What computes the network now: "PyTorch", "OpenVINO", or the one until the other is ready."""

    def convert(self) -> None:
        """Begin to prepare the network for OpenVINO, in the background; torch answers until that is done. Does nothing
        where torch is the faster or the only way: on an accelerator, in a reduced precision."""

    def wait_until_converted(self, seconds: float | None = None) -> None:
        """Until what `convert` began is done or has failed, or `seconds` have passed."""

    def compile(self, backend: str | Callable = "inductor") -> None:
        """Specialise the network for pictures of the usual size. Raises Refusal where that cannot be done."""


@dataclass(frozen=True, eq=False)
class Look:
    """Cross-attention of one row of one call, averaged over heads and over the layers of equal resolution."""

    maps: dict[Size, Tensor]  # (rows, columns) -> (tokens, rows, columns) fp32 on the CPU
    layers: dict[Size, int]  # layers of that resolution
