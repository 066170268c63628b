"""A prediction about any grid is held against what its pictures measure, and seed noise is said as it is."""

import numpy as np
import pytest
from PIL import Image

from playground import Recipe, Sweep
from playground.engine import LocalEngine, Result
from playground.export.finished import FinishedGrid
from playground.lessons.expecting import along_the_axis, askable, seed_noise, settled, verdict
from playground.measure.diversity import diversity
from playground.measure.seed_noise import agreement
from playground.refusal import Refusal

STEPS = [2, 4, 8, 16]


def grid(greens: list[list[int]], missing: int = -1) -> FinishedGrid:
    """A row of greens for each value of the steps axis, one for each seed; the less, the purer the red"""
    sweep = Sweep(Recipe(), {"num_inference_steps": STEPS[: len(greens)]}, len(greens[0])).flat
    pictures = [Image.new("RGB", (16, 16), (200, green, green)) for row in greens for green in row]
    pairs = zip(pictures, sweep.recipes(), strict=True)
    results = [None if i == missing else Result(image, r, 1.0, 4) for i, (image, r) in enumerate(pairs)]
    return FinishedGrid(sweep, tuple(results))


def test_values_are_means_over_the_seeds_along_the_axis() -> None:
    found = along_the_axis(grid([[100, 200], [0, 100]]), "saturation")
    assert found.labels == ["steps 2", "steps 4"] and found.values == pytest.approx([0.25, 0.75])
    assert found.by_seed == pytest.approx(np.array([[0.5, 1.0], [0.0, 0.5]]))
    assert along_the_axis(grid([[100], [0]]), "distance_to_last").values == pytest.approx([200 / 3, 0])


def test_the_highest_is_what_was_measured_and_not_what_was_said() -> None:
    found = along_the_axis(grid([[100], [0], [50]]), "saturation")
    assert verdict("saturation", 1, found).right and not verdict("saturation", 0, found).right
    assert (
        verdict("saturation", 0, found).sentence
        == "The largest saturation is 100\u00a0%, that of “steps 4”; “steps 2” has 50\u00a0%."
    )
    assert verdict("order", [0, 2, 1], found).right and not verdict("order", [1, 2, 0], found).right
    assert verdict("rises", "rises", found).right


def test_where_a_picture_stops_changing() -> None:
    assert [settled(values) for values in ([100, 50, 9, 0], [100, 9, 50, 0], [100, 90, 80, 0], [5, 4, 3, 0])] == [
        2,
        3,
        3,
        3,
    ]
    found = along_the_axis(grid([[200], [120], [104], [100]]), "distance_to_last")
    assert verdict("settles", 2, found).right
    wrong = verdict("settles", 1, found)
    assert (
        not wrong.right and "From steps 8 on at most a tenth" in wrong.sentence and "You said steps 4" in wrong.sentence
    )
    late = along_the_axis(grid([[200], [180], [160], [100]]), "distance_to_last")
    assert "still changing before steps 16" in verdict("settles", 3, late).sentence
    assert verdict("settles", 0, along_the_axis(grid([[100]] * 4), "distance_to_last")).right


def test_seed_noise_is_said_by_how_often_the_seeds_agree() -> None:
    def told(*greens: list[int]) -> str:
        return seed_noise("saturation", along_the_axis(grid(list(greens)), "saturation"))

    assert told([100], [50]).startswith("Measured with one seed")
    assert told([100, 90], [50, 40]).startswith("Measured with 2 seeds")
    clear = told([100, 90, 80], [50, 40, 30])
    assert (
        "In 100\u00a0% of resamplings of the 3 seeds" in clear and "a hint" in clear and "the setting's doing" in clear
    )
    assert "a hint" not in told([100] * 6, [50] * 6)
    assert "within seed noise" in told([100, 0, 80], [50, 40, 90])
    by_seed = along_the_axis(FinishedGrid(s := Sweep(Recipe(), {"seed": [1, 2]}), _drawn(s)), "saturation")
    assert seed_noise("saturation", by_seed).startswith("The seed is what varies")


def test_the_difference_between_seeds_is_asked_of_two_seeds_or_more(engine: LocalEngine) -> None:
    base, asks = Recipe(), {"varied", "narrows"}
    one, two = (askable(Sweep(base, {"guidance_scale": [1, 9]}, seeds), engine.facts) for seeds in (1, 2))
    assert not asks & set(one) and asks <= set(two)
    assert asks <= set(askable(Sweep(base, {"seed": [4, 9], "guidance_scale": [1, 9]}), engine.facts))
    assert not asks & set(askable(Sweep(base, {"seed": [1, 2, 3]}), engine.facts))
    assert asks & set(askable(Sweep(base, {"sampler": ["ddim", "euler"]}, 2), engine.facts)) == {"varied"}


def test_the_difference_between_seeds_is_that_of_the_measure_and_resampled_by_pairs() -> None:
    rng = np.random.default_rng(0)
    same, unlike = rng.integers(0, 256, (16, 16, 3)), rng.integers(0, 256, (4, 16, 16, 3))
    pixels = [*unlike[:3], same, same, unlike[3]]  # two settings of three seeds
    sweep = Sweep(Recipe(), {"num_inference_steps": [2, 4]}, 3).flat
    pictures = [Image.fromarray(one.astype(np.uint8)) for one in pixels]
    results = [Result(image, r, 1.0, 4) for image, r in zip(pictures, sweep.recipes(), strict=True)]
    found = along_the_axis(FinishedGrid(sweep, tuple(results)), "diversity")
    assert found.by_seed.shape == (3, 3, 2)
    assert found.values == pytest.approx([diversity(pixels[:3]), diversity(pixels[3:])])
    assert verdict("varied", 0, found).right and not verdict("varied", 1, found).right
    assert verdict("narrows", "falls", found).right
    assert found.of(np.array([1, 1, 1])) is None  # one seed has no difference from itself
    assert found.of(np.array([0, 1, 1]))[1] == 0 and found.of(np.array([0, 2, 2]))[1] > 1
    assert "of resamplings of the 3 seeds" in seed_noise("varied", found)


def _drawn(sweep: Sweep) -> tuple[Result, ...]:
    return tuple(Result(Image.new("RGB", (16, 16), "red"), recipe, 1.0, 4) for recipe in sweep.recipes())


def test_the_share_of_agreement_is_that_of_the_resamplings() -> None:
    """Of two seeds that disagree, each decides alone in a quarter of the resamplings, and the mean in the rest."""
    by_seed = np.array([[0.0, 1.0], [3.0, 0.0]])
    share = agreement(2, lambda rows: int(by_seed[rows].mean(0).argmax()))
    assert share == pytest.approx(0.75, abs=0.05)


def test_a_grid_with_a_gap_is_compared_with_nothing() -> None:
    with pytest.raises(Refusal, match="missing"):
        along_the_axis(grid([[100], [0]], missing=1), "saturation")


def test_only_what_makes_sense_of_a_grid_is_asked(engine: LocalEngine, engines: dict[str, LocalEngine]) -> None:
    facts, base = engine.facts, Recipe()
    steps = askable(Sweep(base, {"num_inference_steps": STEPS}), facts)
    assert {"fit", "settles", "rises", "order", "curve"} <= set(steps)
    assert not {"settles", "rises", "curve"} & set(askable(Sweep(base, {"sampler": ["ddim", "euler", "lcm"]}), facts))
    assert "settles" not in askable(Sweep(base, {"size": [64, 96, 128]}), facts)
    assert not {"fit", "curve"} & set(askable(Sweep(base, {"prompt": ["a cat", "a dog"]}), facts))
    assert "fit" not in askable(Sweep(base, {"num_inference_steps": STEPS}), engines["sd15-tiny"].facts)
    many = askable(Sweep(base, {"seed": list(range(40))}), facts)
    assert many == []
