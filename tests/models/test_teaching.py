"""What the embedded model must show to anyone who moves a control: the direction of every effect, measured.

Fixed prompts and seeds, so a failure means that weights or samplers changed. Pictures are measured by pixels and by the
shipped towers' adherence score; nothing here looks at a stored figure.
"""

import itertools

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from playground import Recipe
from playground.engine import Done, Engine
from playground.measure.adherence import Adherence
from playground.models import REGISTERED

PROMPTS = (
    "red apple, blue background",
    "cat, yellow background",
    "car, green background",
    "rocket, black background",
)
SEEDS = (1, 2)
FEWER = 10  # steps, where what is measured is the same as after the usual 20


@pytest.fixture(scope="module")
def towers() -> Adherence:
    loaded = Adherence.load(REGISTERED["pocket"])
    assert loaded is not None
    return loaded


@pytest.fixture(scope="module")
def drawn(engine: Engine):  # noqa: ANN201
    """Pictures (B, 128, 128, 3) in 0 … 1 for settings that apply to all prompts and seeds; each is drawn once."""
    known: dict[str, np.ndarray] = {}

    def pictures(prompts: tuple[str, ...] = PROMPTS, seeds: tuple[int, ...] = SEEDS, **settings) -> np.ndarray:  # noqa: ANN003
        recipes = [Recipe(prompt=p, seed=s, **settings) for p, s in itertools.product(prompts, seeds)]
        missing = [r for r in recipes if r.digest() not in known]
        for event in engine.run(missing, previews=False):
            if isinstance(event, Done):
                known[missing[event.cell].digest()] = np.asarray(event.result.image, np.float32) / 255
        return np.stack([known[r.digest()] for r in recipes])

    return pictures


def images(pictures: np.ndarray) -> list[Image.Image]:
    return [Image.fromarray((p * 255).round().astype(np.uint8)) for p in pictures]


def adherence(towers: Adherence, pictures: np.ndarray, prompts: tuple[str, ...] = PROMPTS) -> float:
    each = len(pictures) // len(prompts)
    return float(np.mean(towers.scores(images(pictures), [p for p in prompts for _ in range(each)])))


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square distance of pictures, values in 0 … 1."""
    return float(np.sqrt(np.square(a - b).mean((1, 2, 3))).mean())


def diversity(towers: Adherence, pictures: np.ndarray, seeds: int = len(SEEDS)) -> float:
    """Mean distance between pictures of one prompt that differ in their seed: one minus the cosine of the image
    tower's directions. In pixels guidance's contrast would count as difference."""
    directions = np.asarray(towers.image_features(images(pictures))).reshape(-1, seeds, 192)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    pairs = itertools.combinations(range(seeds), 2)
    return float(np.mean([1 - (directions[:, a] * directions[:, b]).sum(-1) for a, b in pairs]))


def clipped(pictures: np.ndarray) -> float:
    """Share of values at the very end of their range."""
    return float(((pictures <= 0) | (pictures >= 1)).mean())


def test_low_guidance_wanders_and_five_obeys(drawn, towers) -> None:  # noqa: ANN001
    low, usual = drawn(guidance_scale=1.0), drawn(guidance_scale=5.0)
    assert adherence(towers, usual) > adherence(towers, low)
    assert diversity(towers, low) > diversity(towers, usual)


def test_high_guidance_oversaturates_and_distorts(drawn, towers) -> None:  # noqa: ANN001
    low, usual, high = (drawn(guidance_scale=g) for g in (1.0, 5.0, 20.0))
    assert clipped(low) < clipped(usual) and clipped(high) > 2 * clipped(usual)
    assert adherence(towers, high) < adherence(towers, usual)


def test_four_steps_are_too_few_and_fifty_are_hardly_better_than_twenty(drawn, towers) -> None:  # noqa: ANN001
    four, twenty, fifty = (drawn(num_inference_steps=n) for n in (4, 20, 50))
    assert adherence(towers, four) < adherence(towers, twenty)
    assert apart(twenty, fifty) < 0.5 * apart(four, fifty)
    assert abs(adherence(towers, fifty) - adherence(towers, twenty)) < 0.05


def test_after_four_steps_ddpm_is_further_from_its_own_end_than_ddim(drawn) -> None:  # noqa: ANN001
    """It adds noise at every step, which four steps do not take away again."""
    moved = {s: apart(*(drawn(sampler=s, num_inference_steps=n) for n in (4, 20))) for s in ("ddpm", "ddim")}
    assert moved["ddpm"] > 1.25 * moved["ddim"]


def test_the_lcm_lora_draws_in_four_steps(drawn, towers) -> None:  # noqa: ANN001
    few = {"sampler": "lcm", "num_inference_steps": 4, "guidance_scale": 1.0}
    without, distilled, others = drawn(**few), drawn(**few, loras={"lcm": 1.0}), drawn(num_inference_steps=4)
    assert adherence(towers, distilled) > max(adherence(towers, without), adherence(towers, others))
    assert abs(adherence(towers, distilled) - adherence(towers, drawn())) < 0.03


def test_the_style_loras_change_the_style_and_not_the_background(drawn) -> None:  # noqa: ANN001
    def border(pictures: np.ndarray) -> np.ndarray:
        return pictures[:, :4].mean((1, 2))

    plain = drawn(PROMPTS[:2], num_inference_steps=FEWER)
    for name in ("pixel_art", "ink_outline"):
        half, whole = (drawn(PROMPTS[:2], num_inference_steps=FEWER, loras={name: weight}) for weight in (0.5, 1.0))
        assert 0 < apart(plain, half) < apart(plain, whole) and apart(plain, whole) > 0.1
        assert np.abs(border(whole) - border(plain)).max() < 0.15


def test_another_seed_is_another_picture_and_the_same_seed_is_the_same(drawn, engine: Engine) -> None:  # noqa: ANN001
    assert apart(drawn()[::2], drawn()[1::2]) > 0.05
    again = np.asarray(engine.render(Recipe(prompt=PROMPTS[0], seed=1)).image, np.float32) / 255
    assert np.abs(again - drawn()[0]).max() <= 2 / 255


def test_a_negative_prompt_removes_what_it_names(drawn) -> None:  # noqa: ANN001
    """The border of "blue background" pictures is far less blue when "blue background" is the negative prompt."""

    def blueness(pictures: np.ndarray) -> float:
        border = np.concatenate([pictures[:, :6].reshape(-1, 3), pictures[:, -6:].reshape(-1, 3)])
        return float((border[:, 2] - border[:, :2].max(1)).mean())

    plain, towards, away = (
        drawn(("red apple", "cat", "car"), num_inference_steps=FEWER, negative_prompt=negative)
        for negative in ("", "yellow background", "blue background")
    )
    assert blueness(away) < blueness(plain) < blueness(towards)
    assert apart(plain, away) > 0.05


def test_a_specific_prompt_scores_higher_than_a_vague_one(drawn, towers) -> None:  # noqa: ANN001
    vague = tuple(prompt.split(",")[0] for prompt in PROMPTS)
    assert adherence(towers, drawn()) > adherence(towers, drawn(vague))  # both held against the specific wording


def test_it_counts_to_four_and_not_to_seven(drawn) -> None:  # noqa: ANN001
    """Training showed two to four of a kind. Counted as areas that differ from the border, whatever they look like."""

    def areas(picture: np.ndarray) -> int:
        border = np.concatenate([picture[:4].reshape(-1, 3), picture[-4:].reshape(-1, 3)])
        other = np.abs(picture - np.median(border, 0)).max(-1) > 0.2
        labelled, n = ndimage.label(other)
        return int((np.bincount(labelled.ravel(), minlength=n + 1)[1:] >= 100).sum())  # of 16,384 pixels

    def counted(word: str) -> list[int]:
        things = ("stars", "dice", "bananas", "apples", "cups", "cars", "balloons", "cats")
        prompts = tuple(f"{word} {thing}, black background" for thing in things)
        return [areas(p) for p in drawn(prompts, num_inference_steps=FEWER)]

    two, four, seven = counted("two"), counted("four"), counted("seven")
    assert np.mean(two) < np.mean(four)
    assert np.mean(np.abs(np.subtract(seven, 7))) > 2 * np.mean(np.abs(np.subtract(four, 4)))
