"""What a network's answer means follows from what it was taught, and is what diffusers makes of it."""

import pytest
import torch
from diffusers import DDIMScheduler

from playground.answer import noise_of, x0_of
from playground.refusal import Refusal


@pytest.mark.parametrize("alpha_bar", [0.9985, 0.3, 0.0047])
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_every_kind_of_answer_leads_back_to_the_picture_and_the_noise(kind: str, alpha_bar: float) -> None:
    """ε, v and x₀, computed from their definitions, and diffusers' own x̂₀ of the same answer."""
    generator = torch.Generator().manual_seed(0)
    x0, epsilon = torch.randn(2, 1, 4, 8, 8, generator=generator)
    signal, share = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
    x_t = signal * x0 + share * epsilon
    answer = {"epsilon": epsilon, "v_prediction": signal * epsilon - share * x0, "sample": x0}[kind]
    assert torch.allclose(x0_of(x_t, answer, signal, share, kind), x0, atol=1e-4)
    assert torch.allclose(noise_of(x_t, answer, signal, share, kind), epsilon, atol=1e-4)
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, prediction_type=kind)
    scheduler.set_timesteps(1000)
    t = 500
    level = scheduler.alphas_cumprod[t]
    noised = scheduler.add_noise(x0, epsilon, torch.tensor([t]))
    theirs = scheduler.step(answer, t, noised).pred_original_sample
    assert torch.allclose(x0_of(noised, answer, level.sqrt(), (1 - level).sqrt(), kind), theirs, atol=1e-4)


def test_pure_noise_has_an_answer_where_the_network_predicts_v_or_the_picture() -> None:
    x_t, answer = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
    assert torch.equal(x0_of(x_t, answer, 0.0, 1.0, "v_prediction"), -answer)
    assert torch.equal(noise_of(x_t, answer, 0.0, 1.0, "v_prediction"), x_t)
    assert torch.equal(noise_of(x_t, answer, 0.0, 1.0, "sample"), x_t)


def test_an_unknown_kind_of_answer_is_refused() -> None:
    for call in (x0_of, noise_of):
        with pytest.raises(Refusal, match=r"^The model predicts 'flow', which is not known here\.$"):
            call(torch.zeros(1), torch.zeros(1), 0.5, 0.5, "flow")
