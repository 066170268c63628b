"""The pool of training pictures that stays on an accelerator: true crops, and fresh pictures over time."""

import itertools
import time

import numpy as np
import torch

from examples.train_pocket.learning.pool import Pool

SIDE = 32


def numbered() -> np.ndarray:
    """A picture in which every pixel says where it is and which picture it is of."""
    k = next(counter) % 256
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.stack([y, x, np.full_like(y, k)], -1).astype(np.uint8)


counter = itertools.count()


def whole_numbers(batch: torch.Tensor) -> torch.Tensor:
    return ((batch + 1) * 127.5).round().to(torch.int64)


def test_a_batch_is_contiguous_crops_of_pictures_in_the_range_of_the_model() -> None:
    batch = Pool(numbered, 20, torch.device("cpu")).batch(50, 16)
    assert batch.shape == (50, 3, 16, 16) and batch.min() >= -1 and batch.max() <= 1
    rows, columns, names = whole_numbers(batch).unbind(1)
    assert (rows.diff(dim=1) == 1).all() and (columns.diff(dim=2) == 1).all()
    assert (names == names[:, :1, :1]).all()
    assert len(rows[:, 0, 0].unique()) > 1 and len(columns[:, 0, 0].unique()) > 1


def test_whole_pictures_are_whole() -> None:
    rows = whole_numbers(Pool(numbered, 4, torch.device("cpu")).batch(3, SIDE))[:, 0]
    assert (rows[:, :, 0] == torch.arange(SIDE)).all()


def test_new_pictures_take_the_places_of_the_oldest() -> None:
    pool = Pool(numbered, 8, torch.device("cpu"))
    before = pool.pictures.clone()
    until = time.monotonic() + 30
    while (pool.pictures[:, 0, 0, 2] == before[:, 0, 0, 2]).any() and time.monotonic() < until:
        pool.batch(1, 16)
    assert (pool.pictures[:, 0, 0, 2] != before[:, 0, 0, 2]).all()
