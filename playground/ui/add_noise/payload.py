"""What the browser needs to compute x_t at every t by itself, as JSON: x₀, ε and the schedule."""

import base64
import json
from typing import Any

from PIL import Image

from playground import noise, pictures
from playground.engine import Engine
from playground.inside import latent_noise
from playground.ui.shared.html import data_url

SHAPE = (3, pictures.SIDE, pictures.SIDE)
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
FRAMES = (*range(0, noise.TIMESTEPS, 50), noise.TIMESTEPS - 1)  # the t whose latents are decoded, 21 of them


def pixels(picture: Image.Image, schedule: str, seed: int) -> str:
    """RGB picture of pictures.SIDE -> JSON. Raises Refusal for a bad schedule or seed."""
    epsilon = noise.noise_like(SHAPE, seed)
    return json.dumps(
        {
            "kind": "pixels",
            "side": pictures.SIDE,
            "x0": base64.b64encode(picture.tobytes()).decode(),  # (H, W, 3) uint8, 0..255 for [-1, 1]
            "noise": base64.b64encode(noise.quantise(epsilon)).decode(),  # (H, W, 3) int8, see noise.quantise
            "noiseUnit": 32,
            "about": "",
            "key": f"{schedule} {seed}",
            **_schedule(schedule),
        }
    )


def latents(engine: Engine, picture: Image.Image, schedule: str, seed: int, visitor: str = "") -> str:
    """The same for the model's latents of the picture, with x_t decoded at some t. Raises Refusal as above, and where
    the engine cannot encode or decode it."""
    side = engine.facts.side
    small = picture.resize((side, side), Image.Resampling.LANCZOS)
    x0, epsilon, decoded = latent_noise.noised_film(engine, small, seed, noise.parts(schedule), FRAMES, visitor)
    channels, height, width = x0.shape[1:]
    return json.dumps(
        {
            "kind": "latents",
            "shape": [channels, height, width],
            "x0": base64.b64encode(x0.numpy().astype("<f4").tobytes()).decode(),
            "noise": base64.b64encode(epsilon.numpy().astype("<f4").tobytes()).decode(),
            "limit": latent_noise.LIMIT,
            "frames": [{"t": t, "src": data_url(frame, exact=False)} for t, frame in zip(FRAMES, decoded, strict=True)],
            "about": f"Here x₀ is what the model's VAE makes of the picture: {channels} channels of {height} × "
            f"{width}, {3 * side * side // x0.numel()} times fewer values than its {side} × {side} pixels. Channels "
            f"are drawn black at −{latent_noise.LIMIT:g} and white at {latent_noise.LIMIT:g}.",
            "key": f"{schedule} {seed} latents",
            **_schedule(schedule),
        }
    )


def _schedule(schedule: str) -> dict[str, Any]:
    signal, amount = noise.parts(schedule)
    return {
        "signal": signal.tolist(),
        "amount": amount.tolist(),
        "flow": schedule == noise.FLOW,
        "symbols": ["1 − σ", "σ"] if schedule == noise.FLOW else ["√ᾱ", "√(1−ᾱ)"],
        "half": noise.half_signal_power(schedule),
        "last": last_step(schedule),
    }


def last_step(schedule: str) -> str:
    """name -> one sentence on how much of the picture t = 999 still holds"""
    if schedule == noise.FLOW:
        return "Here σ = (t+1)/1000: at t = 999 nothing of the picture is left. It is pure noise."
    last = noise.coefficients(schedule, noise.TIMESTEPS - 1)
    if last.alpha_bar == 0:
        return "At t = 999 ᾱ = 0: nothing of the picture is left. It is pure noise."
    percent = f"{100 * last.sqrt_alpha_bar:.2g} %"  # ᾱ with a digit more, so that this is its root as it is written
    if last.alpha_bar > 1e-3:
        return (
            f"At t = 999 this schedule stops at ᾱ = {last.alpha_bar:.3g}: "
            f"{percent} of the picture's amplitude is still there, so it is not quite pure noise."
        )
    digits, power = f"{last.alpha_bar:.2e}".split("e")
    small = f"{digits} · 10{str(int(power)).translate(RAISED)}"
    return f"At t = 999 ᾱ = {small}: {percent} of the picture's amplitude is left, as good as pure noise."
