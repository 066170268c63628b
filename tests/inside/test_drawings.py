"""Tensors drawn as small pictures: every value is one pixel, and its colour says what it is."""

import math

import numpy as np
import pytest
import torch

from playground.engine import LocalEngine
from playground.inside import drawings


def test_the_heat_map_has_one_pixel_per_value_and_colours_by_sign(engine: LocalEngine) -> None:
    embeddings = engine.model.encode("red apple")["encoder_hidden_states"][0].float()
    picture, limit = drawings.heat_map(embeddings)
    assert picture.size == (192, 32)
    assert limit == pytest.approx(np.quantile(embeddings.abs().numpy(), 0.99), rel=1e-4)
    pixels, values = np.asarray(picture).astype(int), embeddings.numpy()
    assert (pixels[..., 0] >= pixels[..., 2] - 2)[values > 0.05 * limit].all()
    assert (pixels[..., 2] > pixels[..., 0])[values < -0.05 * limit].all()
    assert (pixels[values >= limit] == [200, 48, 20]).all() and (pixels[values <= -limit] == [29, 78, 216]).all()


def test_channels_are_drawn_from_black_over_grey_to_white() -> None:
    latents = torch.tensor([[[-2.0, 0.0]], [[1.0, 2.0]]])
    drawn, limit = drawings.channel_pictures(latents)
    assert limit == 2.0
    assert [np.asarray(p).tolist() for p in drawn] == [[[0, 128]], [[191, 255]]]
    means, deviations = zip(*drawings.spread(latents), strict=True)
    assert means == (-1.0, 1.5) and deviations == pytest.approx((math.sqrt(2), math.sqrt(0.5)))
