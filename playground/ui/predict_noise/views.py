"""What the "Predict noise" tab shows, as HTML and tables, from what playground.inside.prediction found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from PIL import Image

from playground.inside import latent_noise
from playground.inside.guess import Frame, Plan
from playground.inside.prediction import Prediction, mean_square
from playground.recipe import Recipe
from playground.samplers import SAMPLERS
from playground.ui.shared.html import data_url

ROLES = ("right", "wrong", "none")  # the three captions, in the order they are asked
COLOURS = {"right": "#2563eb", "wrong": "#c2410c", "none": "#71757c"}
MOST_COLUMNS = 8  # of the timeline on which forward and reverse meet


@dataclass(frozen=True, eq=False)
class Subject:
    """The picture asked about: its latents, and how the VAE gives them back."""

    x0: Any  # (1, C, h, w)
    source: str  # data URI of the picture, encoded and decoded by the VAE


def source(picture: Image.Image) -> str:
    """picture -> data URI. Channel tiles stay lossless; decoded pictures are small WebP."""
    return data_url(picture, exact=picture.mode == "LA")


def _figure(name: str, says: str, src: str, alt: str) -> str:
    picture = f'<img src="{src}" alt="{alt}">' if src else '<span class="dpp-blank"></span>'
    return f"<figure>{picture}<figcaption><b>{name}</b><span>{says}</span></figcaption></figure>"


def _pair(label: str, value: str) -> str:
    return f"<div><dt>{label}</dt><dd>{value}</dd></div>"


def stage(
    subject: Subject | None = None, answers: Sequence[Prediction] = (), pictures: Sequence[Image.Image] = ()
) -> str:
    """answers of the three ROLES and the decoded x_t and x̂₀ -> the stage; without arguments its empty frames"""
    sources = [""] * 6
    if subject and answers:
        right = answers[0]
        tiles = [right.epsilon, right.predicted, right.epsilon - right.predicted]
        sources = [
            subject.source,
            *(source(p) for p in pictures),
            *(source(latent_noise.channel_tiles(x)) for x in tiles),
        ]
    names = (
        ("x<sub>0</sub>", "the picture, as the VAE holds it", "The picture"),
        ("x<sub>t</sub>", "what the network sees", "The noised picture"),
        ("x̂<sub>0</sub>", "left after one subtraction", "The picture left after subtracting the predicted noise"),
        ("ε", "the noise that was added", "Channels of the added noise"),
        ("ε<sub>θ</sub>", "the noise the network names", "Channels of the predicted noise"),
        ("ε − ε<sub>θ</sub>", "what it got wrong", "Channels of the difference"),
    )
    figures = "".join(_figure(*words[:2], src, words[2]) for words, src in zip(names, sources, strict=True))
    return f'<section class="dpp-main"><div class="dpp-figures">{figures}</div>{_notes(answers)}</section>'


def _notes(answers: Sequence[Prediction]) -> str:
    if not answers:
        return '<div class="dpp-notes"></div>'
    right = answers[0]
    signal, noise = right.signal, right.noise
    rows = "".join(
        f"<tr><th scope='row'>{role}</th><td>{answer.loss:.4f}</td><td>{_against(answer, answers[2])}</td></tr>"
        for role, answer in zip(ROLES, answers, strict=True)
    )
    return (
        '<div class="dpp-notes"><div class="dp-formula dpp-formulas">'
        f"<p>x<sub>{right.t}</sub> = <b>{signal:.4f}</b> · x<sub>0</sub> + <b>{noise:.4f}</b> · ε</p>"
        f"<p>x̂<sub>0</sub> = (x<sub>{right.t}</sub> − <b>{noise:.4f}</b> · ε<sub>θ</sub>) / <b>{signal:.4f}</b></p>"
        f"<p>L = mean (ε − ε<sub>θ</sub>)² = <b>{right.loss:.4f}</b></p></div>"
        '<dl class="dp-numbers dpp-numbers">'
        + _pair("Signal √ᾱ", f"{signal:.4f}")
        + _pair("Noise √(1−ᾱ)", f"{noise:.4f}")
        + _pair("ᾱ", f"{right.alpha_bar:.4f}")
        + _pair("L of answering 0", f"{right.loss_of_zero:.4f}")
        + "</dl>"
        '<table class="dpp-table"><caption>The same x<sub>t</sub>, three captions</caption>'
        '<thead><tr><th scope="col">caption</th>'
        f'<th scope="col">L at t = {right.t}</th><th scope="col">against none</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
        f'<p class="dpp-quiet">One draw of ε, {right.epsilon.numel():,} values. Pictures are decoded by the VAE. '
        "Noise is drawn channel by channel: grey is 0, black −3 or less, white 3 or more.</p></div>"
    )


def _against(answer: Prediction, none: Prediction) -> str:
    if answer is none:
        return "–"
    return f"{100 * (answer.loss / none.loss - 1):+.1f} %".replace("-", "−")


def curves(timesteps: Sequence[int], mean: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """L (captions, timesteps), averaged over draws -> tables for the plots: L, and by how much the words change it"""
    values = {role: row.tolist() for role, row in zip(ROLES, mean, strict=True)}
    loss = [(t, v, role) for role, row in values.items() for t, v in zip(timesteps, row, strict=True)]
    change = [
        (t, 100 * (v / none - 1), "right")
        for t, v, none in zip(timesteps, values["right"], values["none"], strict=True)
    ]
    return (
        pd.DataFrame(loss, columns=["t", "L", "caption"]),
        pd.DataFrame(change, columns=["t", "change of L in %", "caption"]),
    )


def curve_words(mean: Any, draws: int) -> str:
    """-> what the two curves measured, as a paragraph"""
    right, wrong, none = (float(row.mean()) for row in mean)
    lower, better = int((mean[0] < mean[2]).sum()), int((mean[0] < mean[1]).sum())
    how = "one draw of ε" if draws == 1 else f"the mean of {draws} draws of ε"
    change = 100 * (right / none - 1)
    helped = f"{abs(change):.1f} % {'lower' if change < 0 else 'higher'}"
    return (
        f'<p class="dpp-found">Averaged over these {mean.shape[1]} timesteps, L is <b>{right:.4f}</b> with the '
        f"right caption, <b>{wrong:.4f}</b> with the wrong one and <b>{none:.4f}</b> with none: the right words "
        f"make it {helped}. At {lower} of {mean.shape[1]} timesteps the right caption does better than "
        f"none, at {better} better than the wrong one. Every point is {how}; all three lines share it.</p>"
    )


def chosen(count: int) -> list[int]:
    """frames of a guess -> the indices shown as columns: first, last and an even choice between"""
    shown = min(count, MOST_COLUMNS)
    return sorted({round(i * (count - 1) / max(shown - 1, 1)) for i in range(shown)})


def guess(
    times: Sequence[float | None],
    forward: Sequence[str],
    back: dict[int, str],
    guessed: dict[int, str],
    found: str = "",
) -> str:
    """columns by index, sources of the pictures -> the timeline with the picture at the left and noise at the right"""

    def row(label: str, sources: Sequence[str]) -> str:
        cells = "".join(
            f'<td><img src="{s}" alt="t = {t:.0f}"></td>' if s else '<td><span class="dpp-blank"></span></td>'
            for t, s in zip(reversed(times), reversed(sources), strict=True)
        )
        return f"<tr><th scope='row'>{label}</th>{cells}</tr>"

    head = "".join(f'<th scope="col">{"t" if t is None else f"t = {t:.0f}"}</th>' for t in reversed(times))
    columns = range(len(times))
    return (
        '<div class="dpp-scroll" tabindex="0" role="group" aria-label="Forward and reverse on one timeline">'
        f'<table class="dpp-timeline"><thead><tr><th></th>{head}</tr></thead><tbody>'
        + row("Forward →<span>noise added, by the formula</span>", list(forward))
        + row("← Reverse<span>noise removed, by the model</span>", [back.get(i, "") for i in columns])
        + row("x̂<sub>0</sub><span>predicted on the way</span>", [guessed.get(i, "") for i in columns])
        + f"</tbody></table></div>{found or EMPTY_RESULT}"
    )


EMPTY_RESULT = '<div class="dpp-result"></div>'


def result(subject: Subject, last: Frame, plan: Plan, recipe: Recipe, seconds: float) -> str:
    """the end of a guess -> the picture it reached beside the one that was noised, and what was measured"""
    evaluations = last.of * (2 if recipe.guided else 1)
    apart = mean_square(last.x_t - subject.x0)
    return (
        '<div class="dpp-result">'
        + _figure("x<sub>0</sub>", "what was noised", subject.source, "The picture")
        + _figure("the guess", f"from t = {plan.start:.0f}", source(last.picture), "The picture the model arrived at")
        + f"<p>Started at t = {plan.start:.0f}, the nearest timestep at or below yours that this run visits, and took "
        f"{plan.steps} of {recipe.num_inference_steps} {SAMPLERS[recipe.sampler].label} steps: strength "
        f"{plan.strength:.3g} for StableDiffusionImg2ImgPipeline. "
        f"{evaluations} U-Net evaluations, {seconds:.1f} s. Mean squared difference to x<sub>0</sub> in the latents: "
        f"{apart:.3f}. The two pictures here are decoded by the VAE, the small ones by the quick preview.</p></div>"
    )
