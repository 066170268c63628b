"""The forward process is diffusers' own, its numbers are the true ones, and bad input is refused in one sentence."""

import math

import pytest
import torch
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler

from playground import noise
from playground.refusal import Refusal


@pytest.mark.parametrize("schedule", noise.SCHEDULES)
@pytest.mark.parametrize("t", [0, 1, 250, 500, 998, 999])
def test_add_noise_is_exactly_that_of_diffusers(schedule: str, t: int) -> None:
    scheduler = DDPMScheduler(num_train_timesteps=1000, **noise.SCHEDULES[schedule])
    x0 = noise.noise_like((2, 3, 8, 8), seed=1).clamp(-1, 1)
    epsilon = noise.noise_like((2, 3, 8, 8), seed=2)
    theirs = scheduler.add_noise(x0, epsilon, torch.tensor([t, t]))
    assert torch.equal(noise.add_noise(x0, epsilon, t, schedule), theirs)


@pytest.mark.parametrize(
    ("schedule", "t", "alpha_bar"),
    [("linear", 500, 0.0778), ("scaled_linear", 500, 0.2763), ("scaled_linear", 999, 0.0047)],
)
def test_the_numbers_teaching_tools_get_wrong(schedule: str, t: int, alpha_bar: float) -> None:
    assert noise.coefficients(schedule, t).alpha_bar == pytest.approx(alpha_bar, abs=5e-5)


def test_half_of_the_signal_power_is_left_where_the_article_says() -> None:
    assert noise.half_signal_power("scaled_linear") == 354
    assert noise.half_signal_power("linear") == 258
    for schedule in noise.SCHEDULES:
        assert noise.coefficients(schedule, noise.half_signal_power(schedule)).alpha_bar == pytest.approx(0.5, abs=2e-3)


@pytest.mark.parametrize("schedule", noise.SCHEDULES)
def test_coefficients_belong_together(schedule: str) -> None:
    alpha_bar = noise.alphas_cumprod(schedule)
    assert alpha_bar.shape == (1000,)
    assert bool((alpha_bar.diff() < 0).all())
    numbers = noise.coefficients(schedule, 400)
    assert numbers.t == 400
    assert numbers.sqrt_alpha_bar**2 + numbers.sqrt_one_minus_alpha_bar**2 == pytest.approx(1)
    assert numbers.snr == pytest.approx((numbers.sqrt_alpha_bar / numbers.sqrt_one_minus_alpha_bar) ** 2)
    assert numbers.log_snr == pytest.approx(math.log(numbers.snr))


def test_writing_into_a_table_does_not_change_the_schedule() -> None:
    noise.alphas_cumprod("linear").zero_()
    assert noise.coefficients("linear", 0).alpha_bar == pytest.approx(0.9999)


def test_the_same_seed_draws_the_same_noise() -> None:
    assert torch.equal(noise.noise_like((3, 4), 7), noise.noise_like((3, 4), 7))
    assert not torch.equal(noise.noise_like((3, 4), 7), noise.noise_like((3, 4), 8))
    assert noise.noise_like((3, 4), 2**32 - 1).shape == (3, 4)


def test_the_jump_and_the_walk_agree() -> None:
    x0 = torch.linspace(-1, 1, 64 * 64).reshape(1, 64, 64)
    epsilon = noise.noise_like(x0.shape, 3)
    numbers = noise.coefficients("linear", 300)
    for x in (noise.add_noise(x0, epsilon, 300, "linear"), noise.walk(x0, 300, "linear", 4)):
        signal, rest = noise.amplitudes(x, x0)
        assert signal == pytest.approx(numbers.sqrt_alpha_bar, abs=0.1)  # 4096 pixels: chance is about 0.025
        assert rest == pytest.approx(numbers.sqrt_one_minus_alpha_bar, abs=0.05)


@pytest.mark.parametrize("schedule", noise.SCHEDULES)
def test_the_moments_of_jump_and_walk_are_those_of_the_formula(schedule: str) -> None:
    """Over many seeds the deviations, counted in the promised standard errors, are those of chance: about 1."""
    x0, t = torch.linspace(-1, 1, 1024).reshape(1, 32, 32), 400
    for draw in (
        lambda seed: noise.add_noise(x0, noise.noise_like(x0.shape, seed), t, schedule),
        lambda seed: noise.walk(x0, t, schedule, seed + 1000),
    ):
        found = [noise.moments(draw(seed), x0, t, schedule) for seed in range(60)]
        assert found[0].expected_variance == pytest.approx(1 - noise.coefficients(schedule, t).alpha_bar)
        for off in ([m.mean_off for m in found], [m.variance_off for m in found]):
            assert 0.7 < math.sqrt(sum(z * z for z in off) / len(off)) < 1.35  # 60 draws: 1 ± 0.09


def test_jump_and_walk_draw_unrelated_noise() -> None:
    x0 = torch.zeros(1, 64, 64)
    jump = noise.add_noise(x0, noise.noise_like(x0.shape, 0), 300, "linear")
    walk = noise.walk(x0, 300, "linear", 0)
    assert abs(noise.correlation(jump, walk, x0, 300, "linear")) < 4 / 64
    assert noise.correlation(jump, jump, x0, 300, "linear") == pytest.approx(1)


def test_the_compared_schedules_are_those_of_diffusers() -> None:
    scaled, linear, cosine, zero, flow = noise.compared()
    for curve, name in ((scaled, "scaled_linear"), (linear, "linear"), (cosine, "cosine")):
        assert torch.equal(curve.signal, noise.alphas_cumprod(name).sqrt())
        assert torch.allclose(curve.signal**2 + curve.noise**2, torch.ones(1000))
        assert abs(curve.half_power - curve.crossing) <= 1
    # Lin et al. 2023, algorithm 1, from its definition
    shifted = (scaled.signal - scaled.signal[-1]) * scaled.signal[0] / (scaled.signal[0] - scaled.signal[-1])
    assert torch.allclose(zero.signal, shifted, atol=2e-4)
    assert zero.signal[-1] == 0 and zero.noise[-1] == 1 and zero.log_snr[-1] == -math.inf
    theirs = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=1.0).sigmas.flip(0)
    assert torch.allclose(flow.noise, theirs[-1000:], atol=1e-6)
    assert torch.allclose(flow.signal + flow.noise, torch.ones(1000))
    assert (flow.half_power, flow.crossing) == (292, 499)


def test_the_walk_is_step_by_step_what_the_scheduler_defines() -> None:
    """One draw per step, and the same table of β as the jump: without noise only √ᾱ would be left."""
    x0 = torch.ones(1, 8, 8)
    assert not torch.equal(noise.walk(x0, 5, "linear", 0), noise.walk(x0, 5, "linear", 1))
    kept = (1 - noise.betas("linear")).cumprod(0)
    assert torch.allclose(kept, noise.alphas_cumprod("linear"))


def test_quantised_noise_is_the_noise_within_one_sixty_fourth() -> None:
    epsilon = noise.noise_like((3, 16, 16), 5)
    back = torch.frombuffer(bytearray(noise.quantise(epsilon)), dtype=torch.int8).reshape(16, 16, 3).float() / 32
    assert (back - epsilon.clamp(-127 / 32, 127 / 32).permute(1, 2, 0)).abs().max() <= 1 / 64 + 1e-6


@pytest.mark.parametrize("t", [-1, 1000, 1.0, 0.5, True, False, math.nan, math.inf, None, "5", [5]])
def test_a_bad_timestep_is_refused(t: object) -> None:
    for call in (
        lambda: noise.coefficients("linear", t),
        lambda: noise.add_noise(torch.zeros(1), torch.zeros(1), t, "linear"),
        lambda: noise.walk(torch.zeros(1), t, "linear", 0),
    ):
        with pytest.raises(Refusal, match=r"^t must be a whole number from 0 to 999\.$"):
            call()


@pytest.mark.parametrize("schedule", ["", "Linear", None, 3, ["linear"], "squaredcos_cap_v2"])
def test_an_unknown_schedule_is_refused(schedule: object) -> None:
    for call in (noise.alphas_cumprod, noise.half_signal_power, lambda name: noise.coefficients(name, 0)):
        with pytest.raises(Refusal, match=r"^schedule must be one of scaled_linear, linear, cosine, zero_snr, flow\.$"):
            call(schedule)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, 0.0, True, math.nan, None, "0"])
def test_a_bad_seed_is_refused(seed: object) -> None:
    with pytest.raises(Refusal, match=r"^seed must be a whole number from 0 to 4,294,967,295\.$"):
        noise.noise_like((1,), seed)


def test_noise_of_another_shape_is_refused() -> None:
    with pytest.raises(Refusal, match="same shape"):
        noise.add_noise(torch.zeros(1, 3, 8, 8), torch.zeros(3, 8, 8), 5, "linear")
