"""Each measure on pictures whose answer can be said without it."""

import numpy as np
import pytest

from playground.measure.areas import areas
from playground.measure.clipped import clipped
from playground.measure.distance import distance
from playground.measure.diversity import diversity
from playground.measure.named import MEASURES
from playground.measure.saturation import saturation
from playground.measure.sharpness import sharpness

SIDE = 64


def flat(*colour: int) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), colour, np.uint8)


def test_clipped_counts_pixels_and_not_channels() -> None:
    half = flat(10, 20, 30)
    half[: SIDE // 2] = 0
    half[0, 0] = (0, 20, 255)
    assert clipped(half) == 0.5 and clipped(flat(1, 128, 254)) == 0


def test_saturation_of_grey_and_of_pure_colours() -> None:
    assert saturation(flat(90, 90, 90)) == 0 and saturation(flat(0, 200, 0)) == 1
    assert saturation(flat(0, 0, 0)) == 0
    assert saturation(flat(200, 100, 100)) == pytest.approx(0.5)


def test_sharpness_falls_when_a_picture_is_blurred() -> None:
    rough = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    soft = ((rough[:-1].astype(int) + rough[1:]) // 2).astype(np.uint8)
    assert 0 == sharpness(flat(9, 9, 9)) < sharpness(soft) < sharpness(rough)


def test_fine_structure_is_what_its_sentence_says() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    grey = picture.mean(-1)
    inside = [(y, x) for y in range(1, 8) for x in range(1, 8)]
    around = ((-1, 0), (1, 0), (0, -1), (0, 1))
    added = [sum(grey[y + dy, x + dx] - grey[y, x] for dy, dx in around) for y, x in inside]
    assert sharpness(picture) == pytest.approx(np.std(added), rel=1e-5)
    assert "differences from its four neighbours, added up" in MEASURES["sharpness"].meaning


def test_distance_does_not_wrap_around() -> None:
    assert distance(flat(0, 0, 0), flat(255, 255, 255)) == 255
    assert distance(flat(10, 10, 10), flat(5, 10, 15)) == pytest.approx(10 / 3)


def test_diversity_sees_structure_and_not_contrast() -> None:
    rng = np.random.default_rng(0)
    one, other = (rng.integers(64, 192, (SIDE, SIDE, 3), dtype=np.uint8) for _ in range(2))
    stronger = ((one.astype(int) - 128) * 2 + 128).clip(0, 255).astype(np.uint8)
    assert diversity([one, one]) == 0
    assert diversity([one, stronger]) < 0.05
    assert diversity([one, other]) == pytest.approx(2**0.5, abs=0.02)


def test_areas_counts_what_stands_apart_and_leaves_out_specks() -> None:
    picture = flat(0, 0, 0)
    picture[10:20, 10:20] = picture[30:40, 30:40] = 255
    picture[50, 50] = 255
    assert areas(picture) == 2
    picture[20:31, 15:35] = 255  # joins them
    assert areas(picture) == 1
