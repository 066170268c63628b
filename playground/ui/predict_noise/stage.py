"""The stage of "Predict noise": one question to the network as pictures, formulas and numbers."""

from collections.abc import Sequence

from playground.answer import FLOW
from playground.engine import Engine
from playground.inside.latent_noise import channel_tiles
from playground.inside.prediction import Prediction, as_pictures, predict
from playground.schedule import prediction_type
from playground.ui.predict_noise.rail import ROLES, Asked
from playground.ui.shared.html import data_url

FIGURES = (  # name, what it says, alt
    ("x<sub>0</sub>", "the picture, as the VAE holds it", "The picture"),
    ("x<sub>t</sub>", "what the network sees", "The noised picture"),
    ("x̂<sub>0</sub>", "left after one subtraction", "The picture left after subtracting the predicted noise"),
    ("ε", "the noise that was added", "Channels of the added noise"),
    ("ε<sub>θ</sub>", "the noise the network finds", "Channels of the predicted noise"),
    ("ε − ε<sub>θ</sub>", "what it got wrong", "Channels of the difference"),
)

# What networks were taught to name other than the noise, the noise that follows from their answer, and the error whose
# mean their training lowers.
ANSWERS = {
    "v_prediction": (
        "the velocity v = √ᾱ · ε − √(1−ᾱ) · x<sub>0</sub>",
        "{signal} · v<sub>θ</sub> + <span class=dp-whole>{noise} · x<sub>t</sub></span>",
        "(v − v<sub>θ</sub>)²",
    ),
    FLOW: (
        "the velocity v = ε − x<sub>0</sub>",
        "x<sub>t</sub> + <span class=dp-whole>{signal} · v<sub>θ</sub></span>",
        "(v − v<sub>θ</sub>)²",
    ),
    "sample": (
        "the picture x<sub>0</sub>",
        "(x<sub>t</sub> − {signal} · x̂<sub>0</sub>) / {noise}",
        "(x<sub>0</sub> − x̂<sub>0</sub>)²",
    ),
}


def stage(engine: Engine, asked: Asked, t: int, visitor: str = "") -> str:
    """The network is asked about this t with the three captions -> HTML. Raises Refusal for a bad t."""
    answers = predict(engine, asked.subject.x0, asked.captions, t, asked.recipe.seed, visitor)
    right = answers[0]
    pictures = as_pictures(engine, right, visitor)
    noises = (right.epsilon, right.predicted, right.missed)
    tiles = [data_url(channel_tiles(x)) for x in noises]
    return _section(
        [asked.subject.source, *(data_url(p, exact=False) for p in pictures), *tiles],
        _notes(answers, asked, prediction_type(engine.facts.schedule)),
    )


def empty() -> str:
    """The stage's frames, before anything was asked."""
    return _section([""] * len(FIGURES), "")


def figure(name: str, says: str, src: str, alt: str) -> str:
    picture = f'<img src="{src}" alt="{alt}">' if src else '<span class="dpp-blank"></span>'
    return f"<figure>{picture}<figcaption><b>{name}</b><span>{says}</span></figcaption></figure>"


def _section(sources: Sequence[str], notes: str) -> str:
    named = zip(FIGURES, sources, strict=True)
    figures = "".join(figure(name, says, src, alt) for (name, says, alt), src in named)
    return (
        f'<section class="dpp-main"><div class="dpp-figures dp-first">{figures}</div>'
        f'<div class="dpp-notes">{notes}</div></section>'
    )


def lead(kind: str) -> str:
    """Above the stage: what the network learns, by what it was taught to name."""
    named = f"{ANSWERS[kind][0]}, from which the noise follows" if kind in ANSWERS else "the noise that was added"
    return (
        f'<p class="dpp-lead">In training the network sees x<sub>t</sub>, t and the caption, and must name {named}. '
        "That is all it learns. Move t and see how well it does, and what is left of the picture once its answer is "
        "subtracted.</p>"
    )


def _notes(answers: Sequence[Prediction], asked: Asked, kind: str) -> str:
    right, none, flow = answers[0], answers[2], kind == FLOW
    signal, noise = right.signal, right.noise
    follows = taught = ""
    if kind in ANSWERS:
        formula = f"ε<sub>θ</sub> = {ANSWERS[kind][1]}"
        numbers = formula.format(signal=f"<b>{signal:.4f}</b>", noise=f"<b>{noise:.4f}</b>")
        symbols = formula.format(signal="(1 − σ)" if flow else "√ᾱ", noise="√(1−ᾱ)")
        follows = f"<p>{numbers}</p>"
        taught = (
            f" The noise that follows from this network's answer is {symbols}, and L is of that noise; the loss of its "
            f"training is of the answer itself, mean {ANSWERS[kind][2]}."
        )
    rows = "".join(
        f"<tr><th scope='row'>{role}</th><td>{answer.loss:.4f}</td>"
        f"<td>{_against(answer, none) if caption.strip() else '–'}</td></tr>"
        for role, caption, answer in zip(ROLES, asked.captions, answers, strict=True)
    )
    return (
        '<div class="dp-formula dpp-formulas">'
        f"<p>At t = {right.t}: x<sub>t</sub> = <b>{signal:.4f}</b> · x<sub>0</sub> + <span class=dp-whole>"
        f"<b>{noise:.4f}</b> · ε</span></p>"
        f"{follows}<p>x̂<sub>0</sub> = (x<sub>t</sub> − <b>{noise:.4f}</b> · ε<sub>θ</sub>) / <b>{signal:.4f}</b></p>"
        f"<p>L = mean (ε − ε<sub>θ</sub>)² = <b>{right.loss:.4f}</b></p></div>"
        '<dl class="dp-numbers dpp-numbers">'
        + _pair("Signal 1 − σ" if flow else "Signal √ᾱ", f"{signal:.4f}")
        + _pair("Noise σ = t/T" if flow else "Noise √(1−ᾱ)", f"{noise:.4f}")
        + _pair("Power left (1 − σ)²" if flow else "ᾱ", f"{right.alpha_bar:.4f}")
        + _pair("L of answering 0", f"{right.loss_of_zero:.4f}")
        + "</dl>"
        '<table class="dpp-table"><caption>The same x<sub>t</sub>, three captions</caption>'
        '<thead><tr><th scope="col">caption</th>'
        f'<th scope="col">L at t = {right.t}</th><th scope="col">against none</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
        f'<p class="dpp-quiet">One draw of ε, {right.epsilon.numel():,} values. Pictures are decoded by the VAE. '
        f"Noise is drawn channel by channel: grey is 0, black −3 or less, white 3 or more.{taught}</p>"
    )


def _pair(label: str, value: str) -> str:
    return f"<div><dt>{label}</dt><dd>{value}</dd></div>"


def _against(answer: Prediction, none: Prediction) -> str:
    shown, without = (round(one.loss, 4) for one in (answer, none))  # so that it adds up from the digits beside it
    return f"{100 * (shown / without - 1):+.1f} %".replace("-", "−") if without else "–"
