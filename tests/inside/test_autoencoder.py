"""The VAE's round trip: its pictures and its PSNR are recomputed here another way."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from playground import pictures
from playground.engine import LocalEngine
from playground.inside import autoencoder
from playground.ui.shared.shipped import EXAMPLES


@pytest.fixture(scope="module")
def trips(engine: LocalEngine) -> list[autoencoder.RoundTrip]:
    return list(autoencoder.round_trip(engine, pictures.open_picture(EXAMPLES / "images" / "flower.webp", 128)))


@pytest.fixture(scope="module")
def trip(trips: list[autoencoder.RoundTrip]) -> autoencoder.RoundTrip:
    return trips[-1]


def test_the_round_trip_is_that_of_diffusers_vae(engine: LocalEngine, trip: autoencoder.RoundTrip) -> None:
    pixels = torch.from_numpy(np.array(trip.picture)).permute(2, 0, 1)[None] / 127.5 - 1
    vae = engine.model.vae
    with torch.inference_mode():
        mean = vae.encode(pixels).latent_dist.mean
        back = vae.decode(mean).sample[0]
    assert torch.allclose(trip.latents, mean[0] * vae.config.scaling_factor, atol=1e-4)
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


def test_the_first_trip_is_shown_at_once_and_only_the_times_come_later(trips: list[autoencoder.RoundTrip]) -> None:
    assert [trip.runs for trip in trips] == [1, 2, 3]
    assert {id(trip.decoded) for trip in trips} == {id(trips[0].decoded)}


def test_milliseconds_were_measured(trip: autoencoder.RoundTrip) -> None:
    assert trip.runs == autoencoder.TIMED and set(trip.milliseconds) == {"encode", "decode", "unet"}
    assert all(0 < value < 10_000 for value in trip.milliseconds.values())
