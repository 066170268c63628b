"""What may be asked of an engine and what it says, as plain data that crosses process boundaries.

The engine may be a thread in this process, a ZeroGPU worker or another machine; whoever asks cannot tell. Tensors here
are fp32 on the CPU.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypedDict

from PIL import Image
from torch import Tensor
from typing_extensions import Unpack

from playground.models.anatomy import Anatomy, Cost
from playground.models.contract import Look
from playground.models.facts import Facts
from playground.models.words import Words
from playground.recipe import Recipe

# --- what may be asked ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Keep:
    """What the steps of a run carry besides their numbers."""

    latents: bool = False  # x_t as the network saw it, and x̂₀
    # what the network answered, as ε, with the words and without them; in a run without guidance the unconditional
    # answer is asked for as well, though nothing is done with it
    predictions: bool = False
    attention: bool = False  # where each word was looked at; of long runs every n-th call
    pictures: frozenset[int] = frozenset()  # the calls, counted from 0, of which quick pictures are drawn

    @property
    def anything(self) -> bool:
        return self.latents or self.predictions or self.attention or bool(self.pictures)


NOTHING = Keep()
Pictures = Mapping[str, Image.Image]  # by `pictures.digest`, the ones that recipes name
NO_PICTURE = "A picture that this run needs is not on this machine, so nothing was drawn; choose it again in the form."


@dataclass(frozen=True, eq=False)
class Start:
    """Begin with a picture instead of noise: image-to-image, as StableDiffusionImg2ImgPipeline does it.

    SDEdit, Meng et al. 2021, https://arxiv.org/abs/2108.01073. Latents are taken as given; that pipeline, given
    a picture, draws them from the VAE's posterior first.
    """

    x0: Tensor  # (1, C, h, w), latents of the picture
    t: int  # noise is added up to the largest timestep of the run that is not above this one


PREPARING = "preparing"  # as the visitor: of what is run before anybody asks, and counts as nobody's run


class How(TypedDict, total=False):
    """How a run is done, each with what it is where nothing is said."""

    previews: bool  # True: steps carry pictures of x̂₀, as often as a twentieth of the time allows
    keep: Keep  # NOTHING
    start: Start | None  # None: from noise
    pictures: Pictures | None  # None: the recipes name none
    visitor: str  # "", unknown; all runs of one have one share together, see also `Engine.outlook`
    weight: float  # 1.0: of how many visitors' shares it gets while others are served; on ZeroGPU nothing


@dataclass(frozen=True, eq=False)
class Question:
    """One call of the network, outside any run: which noise does it see in x_t?"""

    x_t: Tensor  # (1, C, h, w)
    t: int
    texts: tuple[str, ...]  # one row each
    loras: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, eq=False)
class Encode:
    """A picture of a size that the VAE can divide -> its latents x₀ (1, C, h, w)."""

    picture: Image.Image


@dataclass(frozen=True, eq=False)
class Decode:
    """Latents (B, C, h, w) -> B pictures, by the VAE or, where the model has one, by its quick decoder."""

    latents: Tensor
    quick: bool = False


@dataclass(frozen=True)
class Begin:
    """What stands before the first call of a run -> Begun."""

    recipe: Recipe


Ask = Question | Encode | Decode | Begin


def evaluations(ask: Recipe | Ask, facts: Facts, keep: Keep | None = None) -> int:
    """Rows of the network that it takes of a model with these facts."""
    if isinstance(ask, Question):
        return len(ask.texts)
    if not isinstance(ask, Recipe):
        return 0
    if keep is not None and keep.predictions:
        return 2 * ask.calls
    return facts.evaluations(ask)


# --- what is said -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Result:
    """A finished picture and what it took."""

    image: Image.Image
    recipe: Recipe
    seconds: float  # this cell's share of the batched work: network calls by rows, decoding by pictures
    evaluations: int  # network passes a lone picture with this recipe needs; comparable between cells
    shared: int = 0  # of those, how many were computed once for several cells
    x0: Tensor | None = None  # final latents (1, C, H/8, W/8)
    seconds_of_decoding: float = 0.0  # of those seconds; 0 where the picture was kept from an earlier run
    elsewhere: str = ""  # of a picture that was not drawn here: by whom, and what of the recipe was ignored
    png: bytes | None = field(default=None, repr=False)  # the file that it is kept as, once it is


@dataclass(frozen=True, eq=False)
class Kept:
    """One call of a run, as `Keep` asked for it; what was not asked for is None. Tensors are (1, C, h, w)."""

    x_t: Tensor | None = None  # what the network saw: signal · x₀ + noise · ε, also of samplers that keep x₀ + σ ε
    x0: Tensor | None = None  # x̂₀ that follows from the answer that the sampler goes on with
    eps: Tensor | None = None  # that answer, as ε: guided where the recipe is, else eps_cond
    eps_cond: Tensor | None = None
    eps_uncond: Tensor | None = None
    look: Look | None = None
    pictures: Mapping[str, Image.Image] = field(default_factory=dict)  # "x_t", "x0", and with predictions both halves


@dataclass(frozen=True, eq=False)
class Step:
    """One network call of a cell's sampler is done."""

    cell: int  # index into the recipes given to `run`
    k: int  # calls done, 1 … of
    of: int  # calls in all; a step of a second-order sampler is two
    preview: Image.Image | None  # the predicted clean picture x̂₀ at this point
    t: float = 0.0  # the timestep that this call was told
    seconds: float = 0.0  # this cell's share of the call
    kept: Kept | None = None


@dataclass(frozen=True, eq=False)
class Done:
    cell: int
    result: Result
    stored: bool = False  # True when it was kept from an earlier run and nothing was computed


@dataclass(frozen=True, eq=False)
class Answer:
    """What was asked in an `Ask`, and how long it took.

    Question: ε for each text (n, C, h, w). Encode: x₀. Decode: pictures. Begin: Begun.
    """

    cell: int
    value: Any
    seconds: float


@dataclass(frozen=True, eq=False)
class Begun:
    """What is there before the network is asked, each part computed now, whatever is known already."""

    words: Words
    embeddings: Tensor  # (tokens, width)
    noise: Tensor  # (C, h, w): the latents it starts from, ε · init_noise_sigma
    calls: int  # that the run will take
    milliseconds: Mapping[str, float]  # "tokens", "text_encoder", "noise"


@dataclass(frozen=True, eq=False)
class Failed:
    cell: int
    reason: str  # one sentence for people


@dataclass(frozen=True)
class Waiting:
    """Others are being served as well; said once, before the first step. Or the model is not in memory yet, which is
    said again and again until it is."""

    others: int  # requests under way that somebody made
    seconds: float | None  # until the last of the asked pictures, by what was measured so far; None before any
    model: str = ""  # how far its model is, as a sentence; empty where it is there


@dataclass(frozen=True)
class Measured:
    """What a loop knows about its device; a worker that ends hands it on, so that the next one need not measure."""

    rows: dict[tuple[int, ...], int] = field(default_factory=dict)  # of a network call, by latent shape (1, C, h, w)
    seconds_per_evaluation: float = 0.0  # 0 before any
    seconds_per_decode: float = 0.0


def seconds_of(recipes: Sequence[Recipe], facts: Facts, measured: Measured, keep: Keep | None = None) -> float | None:
    """What these recipes would take alone, by the speeds measured so far; None before any."""
    if not measured.seconds_per_evaluation:
        return None
    asked = sum(evaluations(recipe, facts, keep) for recipe in recipes)
    return asked * measured.seconds_per_evaluation + len(recipes) * measured.seconds_per_decode


@dataclass(frozen=True)
class Outlook:
    """What a new request would meet, by the speeds measured so far."""

    others: int  # requests under way
    seconds: float | None  # until the last picture, sharing the machine fairly with the others; None before any speed
    unknown: tuple[str, ...] = ()  # where there are several models: those whose speed was not measured yet


Event = Step | Done | Failed | Waiting | Answer
Unread = Callable[[Done], object]


class Engine(Protocol):
    """Everything that pages, views and the command line know of an engine."""

    facts: Facts

    @property
    def runtime(self) -> str:
        """What computes the network at the moment, for people: "PyTorch", "OpenVINO"."""

    def of(self, model: str) -> "Engine":
        """What draws recipes that name this model: itself, unless it stands for several."""

    def check(self, recipe: Recipe) -> None:
        """Raises Refusal, before anything runs, for what the model cannot draw, unusable LoRA files included."""

    def run(self, cells: Sequence[Recipe], unread: Unread | None = None, **how: Unpack[How]) -> Iterator[Event]:
        """Step events for every cell as it advances, and one Done or Failed for each. Closing stops within a step.

        The first event is Waiting where other requests are under way. `unread` is told the cells that were finished but
        not yet read when the run was closed, so that none is lost. A cell whose picture is missing fails alone.
        """

    def ask(self, asks: Sequence[Ask], visitor: str = "", weight: float = 1.0) -> Iterator[Answer]:
        """An Answer for each, as they come; `weight` as in `run`. Raises Refusal for the first that fails."""

    def render(self, recipe: Recipe, pictures: Pictures | None = None) -> Result:
        """One picture. Raises Refusal with the reason when it cannot be made."""

    def estimate(self, recipes: Sequence[Recipe], keep: Keep = NOTHING) -> float | None:
        """Seconds that these recipes would take alone, from the latest measured speeds; None before any."""

    def outlook(self, recipes: Sequence[Recipe], visitor: str = "", keep: Keep = NOTHING) -> Outlook:
        """Seconds until these recipes would be finished if they were asked for now.

        Everybody gets an equal share of the network, so each of the others takes as many evaluations as it still
        needs, and at most as many as these recipes do. The `visitor`'s own requests do not count as others, because a
        page's new run takes the place of the one under way. `keep` as in `run`: what is kept may take more evaluations.
        """

    def words(self, text: str, chunks: int = 0) -> Words:
        """A text as the model's tokenizer cuts it; with `chunks` as `Model.words`."""

    def anatomy(self, width: int, height: int) -> Anatomy:
        """What the model consists of for pictures of this size."""

    def cost(self, width: int, height: int) -> Cost:
        """Multiply-adds of its parts for pictures of this size."""
