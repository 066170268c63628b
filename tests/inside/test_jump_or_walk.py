"""One jump and t+1 small steps lead to the same distribution, measured in their pixels."""

import pytest
import torch
from diffusers import DDPMScheduler
from PIL import Image

from playground import noise, pictures
from playground.inside.jump_or_walk import SIDE, jump_or_walk, other_seed
from playground.refusal import Refusal
from playground.ui.shared.samples import IMAGES


def test_both_ways_are_measured_against_the_formula() -> None:
    t, picture = 400, Image.open(IMAGES / "sphere.webp").convert("RGB")
    both = jump_or_walk(picture, t, "linear", 5)
    x0 = pictures.to_x0(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    epsilon = torch.randn(x0.shape, generator=torch.Generator().manual_seed(5))
    theirs = DDPMScheduler(beta_start=1e-4, beta_end=0.02).add_noise(x0, epsilon, torch.tensor([t]))
    assert torch.allclose(both.jump.x_t, theirs, atol=1e-6)
    assert (both.jump.steps, both.walk.steps) == (1, t + 1) and both.walk.seconds > both.jump.seconds > 0
    assert not torch.allclose(both.walk.x_t, both.jump.x_t, atol=0.1)  # other noise of the same law
    for way in (both.jump, both.walk):
        signal, amount = way.amplitudes
        assert signal == pytest.approx(both.formula.sqrt_alpha_bar, abs=0.02)
        assert amount == pytest.approx(both.formula.sqrt_one_minus_alpha_bar, abs=0.02)
        assert max(way.moments.mean_off, way.moments.variance_off) < 4  # standard errors
    assert abs(both.correlation) < 4 * x0.numel() ** -0.5


def test_the_walk_draws_other_noise_and_what_is_wrong_is_refused() -> None:
    assert [other_seed(seed) for seed in (0, noise.MAX_SEED)] == [1, 0]
    picture = Image.new("RGB", (8, 8))
    for t, schedule, seed in ((1000, "linear", 0), (5, "none", 0), (5, "linear", -1), (5, noise.FLOW, 0)):
        with pytest.raises(Refusal):
            jump_or_walk(picture, t, schedule, seed)
