"""One run as a film: what the network sees and what it answers at every call, and the noise level it stands at."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from playground.engine import Done, Engine, Failed, Keep, Kept, Result, Step
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.schedule import Level, levels

LONGEST = 120  # seconds of one film that a program asks for, so that it cannot hold the machine
KEPT = Keep(predictions=True)  # of every film, which takes both passes also where a run has no guidance
MOST_DRAWN = 60  # shots with pictures; of longer runs every n-th has them
FROM_NOISE = (
    "Compare shows runs from a picture or with one, and their steps; this view shows runs from words and noise."
)
LARGEST = 256  # pixels per side of a film's pictures; models with larger ones are shown reduced
NOISE_RANGE = 3.0  # ε in [−3, 3] is drawn as 0 … 255; 0.3 % of N(0, 1) lies outside
DIFFERENCE_GAIN = 4  # ε_c − ε_u is drawn that many times stronger, at every step of every run


@dataclass(frozen=True, eq=False)
class Shot:
    """A run after k network calls, and what the next call answers."""

    k: int  # calls made so far, 0 … of−1
    of: int  # calls in all; a step of a second-order sampler is two
    level: Level
    next_level: Level
    kept: Kept  # x_t, x0, eps, eps_cond, eps_uncond; in a run without guidance the last one is for showing only
    # every `drawn_every`-th shot has them: x_t and the three x̂₀ as quick previews, ε as latent channels in colours
    pictures: Mapping[str, Image.Image]

    @property
    def step_sigma(self) -> float:
        """Δσ to the next level; 0 where a second-order sampler looks twice at one level"""
        return self.next_level.sigma - self.level.sigma


@dataclass(frozen=True, eq=False)
class Ending:
    """The run is over: its latents decoded by the real VAE."""

    of: int
    level: Level
    result: Result


def check(engine: Engine, recipes: Sequence[Recipe]) -> None:
    """Raises Refusal, before anything runs, for what the model cannot draw."""
    for recipe in recipes:
        if recipe.image or recipe.control_image:
            name = "image" if recipe.image else "control_image"
            raise Refusal(f"{name} must be empty here. {FROM_NOISE}")
        engine.check(recipe)
        levels(recipe, engine.facts.schedule)


def check_time(engine: Engine, recipes: Sequence[Recipe]) -> None:
    """Raises Refusal for films that would take too long, as far as a speed was measured."""
    seconds = engine.estimate(recipes, KEPT)
    if seconds is not None and seconds > LONGEST:
        raise Refusal(f"This film would take about {seconds:.0f} s here; the limit is {LONGEST}. Use fewer steps.")


def film(engine: Engine, recipe: Recipe) -> Iterator[Shot | Ending]:
    """A Shot for every network call as it comes, then the Ending, whose picture is that of `engine.render(recipe)`.

    Raises Refusal, with the engine's reason, where the run fails.
    """
    for _, shot in films(engine, [recipe]):
        yield shot


def films(engine: Engine, recipes: Sequence[Recipe], visitor: str = "") -> Iterator[tuple[int, Shot | Ending]]:
    """(run, shot) of several films that are made together; `visitor` as the engine knows whoever asks.

    The engine makes as many calls of a short run as of a long one; here the next shot is always that of the run that
    is furthest behind, by its share of calls, and the others' wait for it. Raises Refusal where a run fails.
    """
    early: list[deque[Shot | Ending]] = [deque() for _ in recipes]
    shares = dict.fromkeys(range(len(recipes)), 0.0)
    with closing(_as_they_come(engine, recipes, visitor)) as coming:
        for i, shot in coming:
            early[i].append(shot)
            while shares and early[behind := min(shares, key=shares.__getitem__)]:
                shot = early[behind].popleft()
                if isinstance(shot, Ending):
                    del shares[behind]
                else:
                    shares[behind] = (shot.k + 1) / shot.of
                yield behind, shot


def drawn_every(of: int) -> int:
    """n: of a run of so many calls, shots 0, n, 2n … have pictures"""
    return -(-of // MOST_DRAWN)


@torch.inference_mode()
def noise_picture(eps: Tensor) -> Image.Image:
    """ε (1, C, h, w) -> h × w pixels: channels 1 to 3 as red, green, blue, ±NOISE_RANGE clipped. Nothing is decoded."""
    channels = eps[0, :3] if eps.shape[1] >= 3 else eps[0, :1].expand(3, -1, -1)
    levels_ = ((channels / NOISE_RANGE).clamp(-1, 1) + 1).mul(127.5).round().byte()
    return Image.fromarray(levels_.permute(1, 2, 0).contiguous().numpy())


def _as_they_come(engine: Engine, recipes: Sequence[Recipe], visitor: str) -> Iterator[tuple[int, Shot | Ending]]:
    """(run, shot), in the order in which the engine makes its calls."""
    stands = [levels(recipe, engine.facts.schedule) for recipe in recipes]
    with closing(engine.run(recipes, previews=False, keep=_keep(recipes), visitor=visitor)) as events:
        for event in events:
            if isinstance(event, Failed):
                raise Refusal(event.reason)
            if isinstance(event, Step):
                k, kept = event.k - 1, event.kept
                pictures = _pictures(kept) if k % drawn_every(event.of) == 0 else {}
                yield event.cell, Shot(k, event.of, *stands[event.cell][k : k + 2], kept, pictures)
            elif isinstance(event, Done):
                own = stands[event.cell]
                yield event.cell, Ending(len(own) - 1, own[-1], event.result)


def _keep(recipes: Sequence[Recipe]) -> Keep:
    """The calls that are drawn are those of any of these runs: one request keeps the same of all of them."""
    calls = {recipe.calls for recipe in recipes}
    return Keep(predictions=True, pictures=frozenset(k for of in calls for k in range(0, of, drawn_every(of))))


def _pictures(kept: Kept) -> dict[str, Image.Image]:
    """By name; none where the engine could draw no previews, which ends nobody's run."""
    if not kept.pictures:
        return {}
    return {name: _reduced(picture) for name, picture in kept.pictures.items()} | {
        "eps": noise_picture(kept.eps),
        "eps_cond": noise_picture(kept.eps_cond),
        "eps_uncond": noise_picture(kept.eps_uncond),
        "difference": noise_picture((kept.eps_cond - kept.eps_uncond) * DIFFERENCE_GAIN),
    }


def _reduced(picture: Image.Image) -> Image.Image:
    """A copy, because others may be given the same picture."""
    picture = picture.copy()
    picture.thumbnail((LARGEST, LARGEST))
    return picture
