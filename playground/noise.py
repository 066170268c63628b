"""The forward process in closed form: any picture at any noise level t, in one step and with no network.

x_t = √ᾱ_t · x₀ + √(1−ᾱ_t) · ε,  ε ~ N(0, I),  ᾱ_t = ∏_{s≤t} (1−β_s)
Ho et al. 2020, equation 4, https://arxiv.org/abs/2006.11239

Flow matching walks the straight line x_t = (1−σ) · x₀ + σ · ε, σ = (t+1)/T: Lipman et al. 2023,
https://arxiv.org/abs/2210.02747; Stable Diffusion 3 and Flux are trained on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral

import torch

from playground import schedule as trained
from playground.refusal import Refusal

TIMESTEPS = 1000  # T: the number of noise levels the schedules are cut into
_CUT = {"num_train_timesteps": TIMESTEPS}
MAX_SEED = 2**32 - 1

# name -> the config of diffusers' DDPMScheduler that makes it
SCHEDULES: dict[str, dict[str, object]] = {
    "scaled_linear": {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},  # Stable Diffusion
    "linear": {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02},  # DDPM, Ho et al. 2020, section 4
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},  # Nichol & Dhariwal 2021, arxiv.org/abs/2102.09672
}
# Lin et al. 2023, algorithm 1, https://arxiv.org/abs/2305.08891: shifted and stretched until √ᾱ_T is 0
SCHEDULES["zero_snr"] = {**SCHEDULES["scaled_linear"], "rescale_betas_zero_snr": True}
FLOW = "flow"
NAMES = (*SCHEDULES, FLOW)


@dataclass(frozen=True)
class Coefficients:
    """What the closed form needs at one t, and the two ratios people quote for it."""

    t: int  # timestep, 0..999
    alpha_bar: float  # ᾱ_t: share of the signal power that is left, 0..1; of flow (1−σ)²
    sqrt_alpha_bar: float  # √ᾱ_t: amplitude of the picture; of flow 1−σ
    sqrt_one_minus_alpha_bar: float  # √(1−ᾱ_t): amplitude of the noise; of flow σ
    snr: float  # the ratio of their squares, for x₀ and ε of unit variance
    log_snr: float  # its natural logarithm


def check_timestep(t: object) -> int:
    """t -> t as an int; Refusal unless it is a whole number in 0..999 (bools and floats are refused)."""
    return trained.check_timestep(_CUT, t)


def check_schedule(schedule: object) -> str:
    """schedule -> schedule; Refusal unless it is one of NAMES."""
    if not isinstance(schedule, str) or schedule not in NAMES:
        raise Refusal(f"schedule must be one of {', '.join(NAMES)}.")
    return schedule


def check_seed(seed: object) -> int:
    """seed -> seed as an int; Refusal unless it is a whole number in 0..2**32-1 (bools and floats are refused)."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= seed <= MAX_SEED:
        raise Refusal(f"seed must be a whole number from 0 to {MAX_SEED:,}.")
    return int(seed)


def _config(schedule: str) -> dict[str, object]:
    if check_schedule(schedule) == FLOW:
        raise Refusal("Flow matching has no small steps that add noise: it is defined as the straight line itself.")
    return SCHEDULES[schedule] | _CUT


def followed_by(model: trained.Config, schedule: str) -> trained.Config:
    """A model's scheduler config with this schedule in the place of its own; how samplers place their steps stays."""
    if check_schedule(schedule) == FLOW:
        return model
    return {**model, "trained_betas": None, "rescale_betas_zero_snr": False, **_config(schedule)}


def betas(schedule: str) -> torch.Tensor:
    """name -> β_t, (1000,) float32: the variance of the noise that step t of the walk adds."""
    return trained.betas(_config(schedule))


def alphas_cumprod(schedule: str) -> torch.Tensor:
    """name -> ᾱ_t, (1000,) float32, falling from nearly 1 to nearly 0. Refusal for an unknown name."""
    return trained.alphas_cumprod(_config(schedule))


def coefficients(schedule: str, t: int) -> Coefficients:
    """name, t in 0..999 -> the numbers of the closed form at t. Refusal for an unknown name or a bad t."""
    t = check_timestep(t)
    if schedule == FLOW:
        signal, amount = (part[t].item() for part in parts(schedule))
        snr = (signal / amount) ** 2
        return Coefficients(t, signal**2, signal, amount, snr, math.log(snr) if snr else -math.inf)
    alpha_bar = alphas_cumprod(schedule)[t].item()
    snr = alpha_bar / (1 - alpha_bar)
    log_snr = math.log(snr) if snr else -math.inf
    return Coefficients(t, alpha_bar, math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar), snr, log_snr)


def parts(schedule: str) -> tuple[torch.Tensor, torch.Tensor]:
    """name -> amplitudes of picture and noise at every t, each (1000,) float32. Refusal for an unknown name."""
    if check_schedule(schedule) == FLOW:
        return trained.straight_line(TIMESTEPS, first=1)  # so that the last of T levels is pure noise
    return trained.amplitudes(_config(schedule))


def half_signal_power(schedule: str) -> int:
    """name -> the t at which the picture's power is nearest to half of what it was."""
    return int((parts(schedule)[0].square() - 0.5).abs().argmin())


def noise_like(shape: Sequence[int], seed: int) -> torch.Tensor:
    """shape, seed in 0..2**32-1 -> ε ~ N(0, 1), float32, drawn on the CPU so that every machine gets the same."""
    return torch.randn(tuple(shape), generator=torch.Generator("cpu").manual_seed(check_seed(seed)))


def add_noise(x0: torch.Tensor, noise: torch.Tensor, t: int, schedule: str) -> torch.Tensor:
    """x₀ in [-1, 1] and ε of the same shape, t in 0..999 -> x_t, same shape and dtype; Ho et al. 2020, eq. 4.

    The jump: one multiplication and one addition, whatever t is. Refusal for a bad t, name or shape.
    """
    if x0.shape != noise.shape:
        raise Refusal("noise must have the same shape as x0.")
    signal, amount = (part[check_timestep(t)].to(x0) for part in parts(schedule))
    return signal * x0 + amount * noise


def walk(x0: torch.Tensor, t: int, schedule: str, seed: int) -> torch.Tensor:
    """x₀ in [-1, 1], t in 0..999 -> x_t after t+1 small steps, each with fresh noise; Ho et al. 2020, eq. 2.

    x_s = √(1−β_s) · x_{s−1} + √β_s · ε_s. The same distribution as `add_noise`, in t+1 times the work.
    """
    t, beta = check_timestep(t), betas(schedule)
    generator = torch.Generator("cpu").manual_seed(check_seed(seed))
    x = x0.clone()
    for s in range(t + 1):
        fresh = torch.randn(x.shape, generator=generator)
        x.mul_((1 - beta[s]) ** 0.5).add_(fresh * beta[s] ** 0.5)
    return x


def quantise(noise: torch.Tensor) -> bytes:
    """ε (3, H, W) -> int8 bytes in (H, W, 3) order, one unit = 1/32, for the browser.

    The rounding error is at most 1/64, that is 2 of 255 grey levels at full noise; |ε| > 3.97 is clipped, which
    happens to 7 values in 100,000, all of which are far outside the displayed range already once noise dominates.
    """
    return (noise * 32).round().clamp(-127, 127).to(torch.int8).permute(1, 2, 0).contiguous().numpy().tobytes()


def amplitudes(x: torch.Tensor, x0: torch.Tensor) -> tuple[float, float]:
    """x_t and the x₀ it came from -> measured (picture amplitude, noise amplitude), to hold against √ᾱ_t, √(1−ᾱ_t).

    The first is the least-squares fit of x_t by a·x₀, the second the root mean square of what the fit leaves over.
    """
    signal = float((x * x0).sum() / (x0 * x0).sum().clamp_min(1e-12))
    return signal, float((x - signal * x0).square().mean().sqrt())


@dataclass(frozen=True)
class Moments:
    """Mean and variance of the noise part x_t − √ᾱ_t · x₀, and what N(0, 1−ᾱ_t) lets one expect of n such values."""

    mean: float
    variance: float
    expected_variance: float  # 1−ᾱ_t; the expected mean is 0
    mean_error: float  # one standard error of the mean, √((1−ᾱ_t)/n)
    variance_error: float  # one standard error of the variance of n normal values, (1−ᾱ_t) · √(2/(n−1))

    @property
    def mean_off(self) -> float:
        """how many standard errors the mean is away from 0"""
        return abs(self.mean) / self.mean_error

    @property
    def variance_off(self) -> float:
        """how many standard errors the variance is away from 1−ᾱ_t"""
        return abs(self.variance - self.expected_variance) / self.variance_error


def moments(x: torch.Tensor, x0: torch.Tensor, t: int, schedule: str) -> Moments:
    """x_t and the x₀ it came from, any shape -> the noise part's moments; Refusal as above."""
    numbers = coefficients(schedule, t)
    rest = (x - numbers.sqrt_alpha_bar * x0).double()
    expected = 1 - numbers.alpha_bar
    return Moments(
        float(rest.mean()),
        float(rest.var()),
        expected,
        math.sqrt(expected / rest.numel()),
        expected * math.sqrt(2 / (rest.numel() - 1)),
    )


def correlation(a: torch.Tensor, b: torch.Tensor, x0: torch.Tensor, t: int, schedule: str) -> float:
    """two x_t of one x₀ -> correlation of their noise parts, -1 … 1; about 1/√n for two independent draws"""
    signal = coefficients(schedule, t).sqrt_alpha_bar
    parts = torch.stack([(a - signal * x0).flatten(), (b - signal * x0).flatten()])
    return float(torch.corrcoef(parts.double())[0, 1])


@dataclass(frozen=True)
class Curve:
    """One schedule as amplitudes, x_t = signal_t · x₀ + noise_t · ε; both (1000,) float32."""

    label: str
    signal: torch.Tensor
    noise: torch.Tensor

    @property
    def log_snr(self) -> torch.Tensor:
        """ln(signal² / noise²), (1000,); −∞ where nothing of the picture is left"""
        return 2 * (self.signal.log() - self.noise.log())

    @property
    def half_power(self) -> int:
        """the t at which the picture's power signal² is nearest to 1/2"""
        return int((self.signal.square() - 0.5).abs().argmin())

    @property
    def crossing(self) -> int:
        """the t at which signal and noise are nearest to equal: SNR = 1"""
        return int((self.signal - self.noise).abs().argmin())


@lru_cache
def compared() -> tuple[Curve, ...]:
    """Five schedules people use, on the same axis t = 0 … 999."""

    names = ("scaled_linear", "Scaled linear"), ("linear", "Linear"), ("cosine", "Cosine")
    names += ("zero_snr", "Zero terminal SNR"), (FLOW, "Flow matching")
    return tuple(Curve(label, *parts(name)) for name, label in names)
