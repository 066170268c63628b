"""Edges are thin, closed where the shape is, and there only."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from playground import pictures
from playground.edges import edges
from playground.refusal import Refusal

SAMPLES = Path(__file__).parents[1] / "examples" / "images"


def disc(ink: int, paper: int, side: int = 96) -> Image.Image:
    picture = Image.new("L", (side, side), paper)
    ImageDraw.Draw(picture).ellipse((24, 24, 72, 72), fill=ink)
    return picture.filter(ImageFilter.GaussianBlur(0.7)).convert("RGB")


def lines(picture: Image.Image, **options: float) -> np.ndarray:
    drawn = np.asarray(edges(picture, **options))
    assert drawn.shape == (*picture.size[::-1], 3) and set(np.unique(drawn)) <= {0, 255}
    assert (drawn == drawn[..., :1]).all()
    return drawn[..., 0] > 0


def test_a_disc_has_one_closed_thin_outline_where_it_ends() -> None:
    found = lines(disc(220, 30))
    distance = np.hypot(*(np.indices(found.shape) - 48))
    assert found.any() and np.abs(distance[found] - 24).max() < 2
    _, count = ndimage.label(found, np.ones((3, 3)))
    inside, _ = ndimage.label(~found)
    assert count == 1 and inside[48, 48] != inside[0, 0]  # nothing leaks through it
    assert 0.8 < found.sum() / (2 * np.pi * 24) < 1.3  # about one pixel wide
    assert np.array_equal(found, lines(disc(30, 220)))  # dark on light as well


def test_faint_edges_count_only_where_a_strong_one_continues_them() -> None:
    faint = disc(60, 30)
    assert not lines(faint, low=20).any() and lines(faint, low=20, high=30).any()
    contrast = np.linspace(150, 10, 96)[:, None] * (np.arange(64) >= 32)  # one edge, fading downwards
    fading = Image.fromarray((60 + contrast).astype(np.uint8)).convert("RGB")
    whole, strong = (int(np.flatnonzero(lines(fading, low=low).any(1)).max()) for low in (40, 100))
    assert strong + 10 < whole < 95
    assert not lines(fading.crop((0, strong + 3, 64, 96))).any()  # without its strong part


def test_nothing_and_noise_and_a_photo() -> None:
    assert not lines(Image.new("RGB", (40, 30), "grey")).any()
    assert not lines(Image.new("RGB", (1, 1))).any()
    photo = pictures.open_whole(SAMPLES / "bust.webp")
    assert 0.005 < lines(photo).mean() < 0.2


@pytest.mark.parametrize("wrong", [(-1.0, 5.0), (9.0, 5.0), (float("nan"), 5.0), (1.0, float("inf"))])
def test_thresholds_that_make_no_sense_are_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(Refusal, match="thresholds"):
        edges(Image.new("RGB", (8, 8)), *wrong)
