"""From words to picture, one stage at a time, with every stage's real tensors, weights and milliseconds."""

import math
import statistics
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace

from PIL import Image
from torch import Tensor

from playground.engine import Begin, Done, Engine, Failed, Keep, Step
from playground.models.anatomy import Anatomy, Module
from playground.models.words import Words
from playground.recipe import Recipe
from playground.refusal import Refusal

LONGEST = 600  # seconds of one walk that a program asks for, so that it cannot hold the machine
GLIMPSES = 8  # predicted pictures kept on the way, evenly spaced


@dataclass(frozen=True, eq=False)
class Glimpse:
    """What the U-Net expects the picture to become, after k of its calls."""

    k: int
    t: float  # timestep that the call was told
    x0: Image.Image  # x̂₀, drawn quickly


@dataclass(frozen=True, eq=False)
class Walk:
    """One prompt on its way. Tensors are fp32 on the CPU; what is not there yet is None."""

    recipe: Recipe
    words: Words
    embeddings: Tensor  # (tokens, width)
    noise: Tensor  # (C, h, w): the latents it starts from, ε · init_noise_sigma
    # stage -> measured in this run; of the U-Net's calls, which may serve other visitors too, this picture's share
    milliseconds: Mapping[str, float]
    k: int = 0  # U-Net calls done
    of: int = 0
    film: tuple[Glimpse, ...] = ()
    latents: Tensor | None = None  # (C, h, w)
    picture: Image.Image | None = None


@dataclass(frozen=True)
class Part:
    """A box of the diagram. Shapes are of what goes in and what comes out; text has the shape ()."""

    key: str
    class_name: str  # of the loaded module; empty for plain data
    takes: tuple[int, ...]
    gives: tuple[int, ...]
    dtype: str  # of the weights, else of the data
    parameters: int  # 0 for plain data
    bytes: int  # of the weights, else of the data


def check(engine: Engine, recipe: Recipe) -> None:
    """Raises Refusal, before anything runs, for what the model cannot draw."""
    if recipe.image or recipe.control_image:
        name = "image" if recipe.image else "control_image"
        raise Refusal(f"{name} must be empty here: this walk goes from words and noise to a picture.")
    engine.check(recipe)


def check_time(seconds: float) -> None:
    """Raises Refusal where a run would hold the machine too long."""
    if seconds > LONGEST:
        raise Refusal(
            f"This run would take about {seconds / 60:.0f} minutes here; the limit is {LONGEST // 60}. "
            "Use fewer steps or a smaller size."
        )


def begin(engine: Engine, recipe: Recipe, visitor: str = "") -> Walk:
    """What is there before the U-Net runs: tokens, embeddings, noise. Raises Refusal for what the model cannot draw,
    and not for a run that would take long: with its beginning the page opens, also on a slow machine."""
    engine.check(recipe)
    (answer,) = engine.ask([Begin(recipe)], visitor)
    begun = answer.value
    return Walk(recipe, begun.words, begun.embeddings, begun.noise, begun.milliseconds, of=begun.calls)


def walk(engine: Engine, recipe: Recipe, visitor: str = "", bounded: bool = False) -> Iterator[Walk]:
    """The Walk as it stands at the start, after every U-Net call, and at the end with the picture.

    A run like everybody's, so the picture is that of `engine.render(recipe)`. Raises Refusal where it fails, and, if
    `bounded`, before it or after a call where it would take longer than LONGEST.
    """
    check(engine, recipe)
    if bounded:
        check_time(engine.estimate([recipe]) or 0.0)
    now = begin(engine, recipe, visitor)
    yield now
    calls: list[float] = []  # milliseconds
    drawn = Keep(pictures=frozenset(round(i * now.of / GLIMPSES) - 1 for i in range(1, GLIMPSES + 1)))
    with closing(engine.run([recipe], previews=False, keep=drawn, visitor=visitor)) as events:
        for event in events:
            if isinstance(event, Failed):
                raise Refusal(event.reason)
            if isinstance(event, Step):
                calls.append(1000 * event.seconds)
                each = statistics.median(calls)
                if bounded:
                    check_time((event.of - event.k) * each / 1000)
                film = now.film
                if "x0" in event.kept.pictures:
                    film = (*film, Glimpse(event.k, event.t, event.kept.pictures["x0"]))
                took = {**now.milliseconds, "unet": math.fsum(calls), "unet_call": each}
                now = replace(now, k=event.k, film=film, milliseconds=took)
                yield now
            if isinstance(event, Done):
                result = event.result
                took = {**now.milliseconds, "decoder": 1000 * result.seconds_of_decoding}
                yield replace(now, latents=result.x0[0], picture=result.image, milliseconds=took)


def parts(anatomy: Anatomy, walk: Walk) -> tuple[Part, ...]:
    """The boxes between prompt and picture, from the loaded model's anatomy and the walk's own tensors."""
    recipe, noise, latents = walk.recipe, walk.noise, (1, *walk.noise.shape)
    tokens, embeddings = (1, len(walk.words.tokens)), (1, *walk.embeddings.shape)
    pixels = (1, anatomy.pixel_channels, recipe.height, recipe.width)
    data = _dtype(noise), 0, noise.nbytes
    return (
        Part("tokens", anatomy.tokenizer, (), tokens, "int64", 0, 8 * tokens[1]),
        _network("text_encoder", anatomy.text_encoder, tokens, embeddings),
        Part("noise", "", (), latents, *data),
        _network("unet", anatomy.unet, latents, latents),
        Part("latents", "", latents, latents, *data),
        _network("decoder", anatomy.decoder, latents, pixels),
        Part("picture", "", pixels, (*pixels[2:], pixels[1]), "uint8", 0, math.prod(pixels)),
    )


def _network(key: str, module: Module, takes: tuple[int, ...], gives: tuple[int, ...]) -> Part:
    return Part(key, module.class_name, takes, gives, module.dtype, module.parameters, module.bytes)


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
