"""The VAE's round trip: its pictures, PSNR and counts are recomputed here another way."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from playground import pictures
from playground.engine import Engine
from playground.inside import autoencoder
from playground.inside.pipeline import skeleton
from playground.ui.add_noise.tab import EXAMPLES


@pytest.fixture(scope="module")
def trip(engine: Engine) -> autoencoder.RoundTrip:
    *_, last = autoencoder.round_trip(engine, pictures.open_picture(EXAMPLES / "flower.webp", 128))
    return last


def test_the_round_trip_is_that_of_diffusers_vae(engine: Engine, trip: autoencoder.RoundTrip) -> None:
    pixels = torch.from_numpy(np.array(trip.picture)).permute(2, 0, 1)[None] / 127.5 - 1
    with engine.between_ticks() as model, torch.inference_mode():
        mean = model.vae.encode(pixels).latent_dist.mean
        back = model.vae.decode(mean).sample[0]
    assert torch.allclose(trip.latents, mean[0] * model.vae.config.scaling_factor, atol=1e-4)
    again = ((back.clamp(-1, 1) + 1) * 127.5).permute(1, 2, 0).numpy()
    assert np.abs(np.asarray(trip.decoded) - again).max() <= 1.01


def test_values_before_and_after_are_48_to_1(trip: autoencoder.RoundTrip) -> None:
    assert (trip.values_before, trip.values_after) == (49_152, 1_024)
    assert trip.values_before == np.asarray(trip.picture).size and trip.values_after == trip.latents.numel()


def test_psnr_is_that_of_the_pictures_shown(trip: autoencoder.RoundTrip) -> None:
    a, b = (np.asarray(p).astype(float) / 255 for p in (trip.picture, trip.decoded))
    assert trip.psnr == pytest.approx(-10 * np.log10(((a - b) ** 2).mean()), abs=1e-9)
    assert 15 < trip.psnr < 60


def test_psnr_of_known_pictures() -> None:
    grey, lighter = (Image.new("RGB", (8, 8), (v, v, v)) for v in (100, 110))
    assert autoencoder.psnr(grey, lighter) == pytest.approx(20 * math.log10(255 / 10))
    assert math.isinf(autoencoder.psnr(grey, grey))


def test_the_difference_is_five_times_the_distance(trip: autoencoder.RoundTrip) -> None:
    a, b = (np.asarray(p).astype(int) for p in (trip.picture, trip.decoded))
    assert np.array_equal(np.asarray(trip.difference), np.minimum(np.abs(a - b) * 5, 255))


def test_milliseconds_were_measured(trip: autoencoder.RoundTrip) -> None:
    assert trip.runs == autoencoder.TIMED and set(trip.milliseconds) == {"encode", "decode", "unet"}
    assert all(0 < value < 10_000 for value in trip.milliseconds.values())


def counted(unet: nn.Module, run) -> int:  # noqa: ANN001
    """Multiply-adds of convolutions and linear layers by hooks, and of attention by its formula."""
    total = 0

    def layer(module: nn.Module, given: tuple, output: torch.Tensor) -> None:
        nonlocal total
        per_value = module.weight[0].numel()  # inputs of one output value
        total += output.numel() * per_value

    def attention(module: nn.Module, args: tuple, kwargs: dict, output: torch.Tensor) -> None:
        nonlocal total
        places, width = output.shape[1], module.to_q.out_features
        other = kwargs.get("encoder_hidden_states")
        tokens = places if other is None else other.shape[1]
        total += 2 * places * tokens * width  # QKᵀ, and the probabilities times V

    for name, module in unet.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(layer)
        elif name.endswith(("attn1", "attn2")):
            module.register_forward_hook(attention, with_kwargs=True)
    with torch.inference_mode():
        run(unet)
    return total


@pytest.mark.parametrize("side", [16, 128])
def test_the_counted_multiply_adds_are_those_of_the_layers(engine: Engine, side: int) -> None:
    def run(unet: nn.Module) -> None:
        meta = {"device": "meta"}
        unet(torch.empty(1, 4, side, side, **meta), torch.zeros((), **meta), torch.empty(1, 32, 192, **meta))

    costs = autoencoder.cost(engine.model, 128, 128)
    mine = counted(skeleton(engine.model.unet), run)
    assert mine == {16: costs.unet_latents, 128: costs.unet_pixels}[side]
    assert costs.unet_pixels > 64 * costs.unet_latents and min(costs.encode, costs.decode) > 0


def test_counting_leaves_the_real_network_alone(engine: Engine) -> None:
    autoencoder.cost(engine.model, 64, 64)
    assert {p.device.type for p in engine.model.unet.parameters()} == {"cpu"}


def test_channels_are_drawn_from_black_over_grey_to_white() -> None:
    latents = torch.tensor([[[-2.0, 0.0]], [[1.0, 2.0]]])
    drawn, limit = autoencoder.channel_pictures(latents)
    assert limit == 2.0
    assert [np.asarray(p).tolist() for p in drawn] == [[[0, 128]], [[191, 255]]]
    means, deviations = zip(*autoencoder.spread(latents), strict=True)
    assert means == (-1.0, 1.5) and deviations == pytest.approx((math.sqrt(2), math.sqrt(0.5)))
