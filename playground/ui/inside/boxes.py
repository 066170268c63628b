"""The diagram from words to picture: one box per stage, and under them the view of the box that is open."""

from itertools import groupby
from typing import Any

from PIL import Image

from playground.inside.drawings import channel_pictures, heat_map, spread
from playground.inside.walk import GLIMPSES, Part, Walk, parts
from playground.models import Facts
from playground.models.anatomy import Anatomy, Block
from playground.models.words import Token, Words
from playground.samplers import SAMPLERS
from playground.ui.inside.format import count, image, milliseconds, shape, signed, size
from playground.ui.shared.html import escaped

TITLES = {
    "tokens": "Tokens",
    "text_encoder": "Text encoder",
    "noise": "Latent noise",
    "latents": "Latents",
    "decoder": "VAE decoder",
    "picture": "Picture",
}
SAYS = {
    "tokens": "The tokenizer looks the words up in its vocabulary. All that goes on from here is their numbers.",
    "text_encoder": "One row of numbers per position. {rows} all that the {network} learns about the prompt.",
    "noise": "Where the picture starts: numbers drawn with the seed, one small picture per channel.",
    "unet": "Asked again and again what in the latents is noise. Below, the picture that its answers amount to so far.",
    "latents": "What the {network} leaves: still not a picture, but its channels already show where things are.",
    "decoder": "Turns latents into pixels in one pass. It never sees the words.",
    "picture": "What comes out.",
}
NETWORKS = ("text_encoder", "unet", "decoder")
EARLIER = "The latents and the picture were rendered earlier with this recipe. Walk makes them again, with times."


def diagram(facts: Facts, anatomy: Anatomy, walk: Walk, earlier: bool = False) -> str:
    """The whole view as HTML. `earlier`: latents and picture come from the shipped example, not from this run."""
    found = parts(anatomy, walk)
    boxes = "".join(_box(part, facts, walk) for part in found)
    panels = "".join(_panel(part, facts, anatomy, walk, earlier) for part in found)
    state = "earlier" if earlier else "done" if walk.picture else "under way"
    return (
        f'<section class="dpi" data-state="{state}" aria-label="From words to picture">'
        f'<ol class="dpi-boxes">{boxes}</ol><div class="dpi-panels">{panels}</div></section>'
    )


def _box(part: Part, model: Facts, walk: Walk) -> str:
    calls = f" ×\u00a0{walk.of}" if part.key == "unet" else ""
    sides = part.gives if part.key == "picture" else part.gives[1:]  # one picture: the batch of 1 says nothing
    facts = [shape(sides).replace(" × ", "×")]  # a box is narrow
    if part.parameters:
        facts.append(f"{count(part.parameters)} parameters")
    facts += [part.dtype, size(part.bytes)]
    kind = "network" if part.key in NETWORKS else "data"
    title = _title(part, model).replace("-", "\u2011") + calls  # that hyphen does not break
    return (
        f'<li><button type="button" class="dpi-box" data-kind="{kind}" data-opens="{part.key}" '
        f'aria-controls="dpi-{part.key}" aria-expanded="false"><b>{title}</b>'
        f'<span class="dpi-thumb" aria-hidden="true">{_thumb(part, walk)}</span>'
        + "".join(f"<span>{escaped(fact).replace('×', '×<wbr>')}</span>" for fact in facts)  # where a line may end
        + f'<span class="dpi-ms">{_time(part, walk)}</span></button></li>'
    )


def _title(part: Part, facts: Facts) -> str:
    return TITLES.get(part.key) or facts.network[0].upper() + facts.network[1:]


def _says(part: Part, facts: Facts) -> str:
    rows = "These rows, and one vector of the whole, are" if facts.pooled else "These rows are"
    return SAYS[part.key].format(network=facts.network, rows=rows)


def _time(part: Part, walk: Walk) -> str:
    """Measured in this run; latents and picture take no time of their own"""
    if part.key in ("latents", "picture"):
        return ""
    return milliseconds(walk.milliseconds.get(part.key))


def _thumb(part: Part, walk: Walk) -> str:
    if part.key == "tokens":
        used = min(walk.words.needed, walk.words.limit)
        return f"<em>{used}<small> of {walk.words.limit}</small></em>"
    if part.key == "text_encoder":
        return image(heat_map(walk.embeddings)[0], "The embeddings")
    if part.key == "noise":
        return image(channel_pictures(walk.noise)[0][0], "The first channel of the noise")
    if part.key == "unet":
        if not walk.film:
            return f"<em>× {walk.of}</em>"
        latest = walk.film[len(walk.film) // 2 if walk.picture else -1]  # half-way says more than the end
        return image(latest.x0, "A predicted picture on the way")
    if part.key == "latents" and walk.latents is not None:
        return image(channel_pictures(walk.latents)[0][0], "The first channel of the latents")
    if part.key == "decoder":
        return f"<em>× {part.gives[-1] // part.takes[-1]}<small> per side</small></em>"
    if part.key == "picture" and walk.picture:
        return image(walk.picture, "The finished picture")
    return ""


def _panel(part: Part, facts: Facts, anatomy: Anatomy, walk: Walk, earlier: bool) -> str:
    title = _title(part, facts)
    body = {
        "tokens": lambda: tokens(walk.words),
        "text_encoder": lambda: _embeddings(walk),
        "noise": lambda: _channels(walk.noise, "noise"),
        "unet": lambda: (
            _film(walk, facts, earlier)
            + _blocks(anatomy.unet_blocks)
            + ("" if facts.no_attention else _jump("attention"))
        ),
        "latents": lambda: _channels(walk.latents, "latents", len(walk.noise)),
        "decoder": lambda: _blocks(anatomy.decoder_blocks) + _jump("autoencoder"),
        "picture": lambda: _picture(walk.picture, walk, facts),
    }[part.key]()
    return (
        f'<div class="dpi-panel" id="dpi-{part.key}" data-panel="{part.key}" role="region" aria-label="{title}">'
        f"<h3>{title}</h3><p>{_says(part, facts)}</p>{_facts(part, facts, walk)}{body}</div>"
    )


def _facts(part: Part, facts: Facts, walk: Walk) -> str:
    rows = [("Module", part.class_name)] if part.class_name else []
    given = f"seed {walk.recipe.seed}" if part.key == "noise" else shape(part.takes)
    rows += [("In", given), ("Out", shape(part.gives)), ("Type", part.dtype)]
    if part.parameters:
        rows += [("Parameters", f"{part.parameters:,}"), ("Weights", f"{part.bytes:,} bytes")]
    else:
        rows += [("Memory", f"{part.bytes:,} bytes")]
    if part.key == "unet":
        texts = "2 rows: negative prompt and prompt" if facts.guided(walk.recipe) else "1 row: the prompt"
        rows += [("Calls", f"{walk.of}, each with {texts}")]
        rows += [("One call", f"{milliseconds(walk.milliseconds.get('unet_call'))} (median)")]
    if time := _time(part, walk):
        rows += [("Time, with setting up the sampler" if part.key == "noise" else "Time", time)]
    return (
        '<dl class="dpi-facts">' + "".join(f"<div><dt>{n}</dt><dd>{escaped(v)}</dd></div>" for n, v in rows) + "</dl>"
    )


def tokens(words: Words) -> str:
    """The positions the text encoder reads, one chip each, and what did not go in as it was written."""
    chips = ""
    for padding, run in groupby(enumerate(words.tokens), lambda placed: placed[1].kind == "padding"):
        if padding:
            same = [token for _, token in run]
            chips += f'<li data-kind="padding"><b>padding</b><small>{same[0].id} × {len(same)}</small></li>'
        else:
            chips += "".join(_chip(i, token) for i, token in run)
    remarks = "".join(f"<p>{escaped(sentence)}</p>" for sentence in remarks_on(words))
    return f'<ol class="dpi-tokens">{chips}</ol>{remarks}'


def _chip(position: int, token: Token) -> str:
    shown = token.text if token.kind == "text" else token.kind
    note = f"{token.id}" if token.whole else f"{token.id}, a byte"
    note += f" · weight {token.weight:.4g}" if token.weight != 1 else ""
    title = f"position {position}, in the vocabulary {token.piece}"
    word = "" if token.word is None else f' data-odd="{token.word % 2}"'
    return (
        f'<li data-kind="{token.kind}"{word} title="{escaped(title)}"><b>{escaped(shown)}</b><small>{note}</small></li>'
    )


def remarks_on(words: Words) -> list[str]:
    """What a visitor should know about how this prompt was read, as sentences."""
    text, room = words.needed - words.marks, words.limit - words.marks
    where = " between the start and the end mark" if words.marks == 2 else ""
    found = [f"{text} {'token' if text == 1 else 'tokens'} of text; {room} fit{where}."]
    if words.chunks:
        chunks = f"{words.chunks} {'chunk' if words.chunks == 1 else 'chunks'}, each of up to {room // words.chunks}"
        found = [
            f"{text} {'token' if text == 1 else 'tokens'} of text in {chunks} between a start and an end mark.",
            "Marks are read as weights: what the text encoder gives for a token is multiplied by its weight, and then "
            "all of its chunk by one number, so that the chunk's mean stays.",
        ]
    if words.around:
        found.append(f"The pipeline puts {words.around} tokens of its own around them, which are not shown here.")
    if words.truncated:
        gone = " ".join(word.text for word in words.truncated)
        found.append(f"Cut off, so {words.reader} does not see it: {gone}")
    if words.besides:
        found.append(f"These are the tokens of {words.reader}. {words.besides}")
    if words.in_pieces:
        listed = ", ".join(f"“{word.text}” ({word.pieces})" for word in words.in_pieces)
        found.append(
            f"No single token, so read in pieces: {listed}. A piece means to the model what its training captions "
            "made of it; pieces that were rare there carry little meaning. How rare these were is not measured here."
        )
    if unknown := [word.text for word in words.words if word.unknown]:
        found.append(f"Not in the vocabulary at all, read as the unknown token: {', '.join(unknown)}.")
    return found


def _embeddings(walk: Walk) -> str:
    picture, limit = heat_map(walk.embeddings)
    named = () if walk.words.around else walk.words.tokens  # else it is not known whose row is whose
    names = "".join(f"<li>{escaped(t.text if t.kind == 'text' else t.kind)}</li>" for t in named)
    rows, columns = walk.embeddings.shape
    return (
        f'<div class="dpi-heat" style="--rows: {rows}"><ol>{names}</ol>'
        + image(picture, f"Embeddings, {rows} tokens by {columns} values")
        + f'</div><p class="dpi-quiet">{rows} rows (positions) × {columns} columns (width). Blue is negative, white 0, '
        f"red positive; the full colour is ±{limit:.2f}, and 1 % of the values lie beyond it.</p>"
    )


def _channels(latents: Any, name: str, expected: int = 0) -> str:  # a tensor; torch stays downstairs
    if latents is None:
        return f'<div class="dpi-row">{_waiting(expected)}</div><p class="dpi-quiet">Not computed yet.</p>'
    pictures, limit = channel_pictures(latents)
    figures = "".join(
        f"<figure>{image(p, f'Channel {i + 1} of the {name}', 'dpi-pixels')}<figcaption>Channel {i + 1}"
        f"<small>mean {signed(mean)}, std {deviation:.2f}</small></figcaption></figure>"
        for i, (p, (mean, deviation)) in enumerate(zip(pictures, spread(latents), strict=True))
    )
    return (
        f'<div class="dpi-row">{figures}</div><p class="dpi-quiet">Black is −{limit:.2f}, grey 0, white {limit:.2f}. '
        f"Every square is one number; there are {latents.numel():,}.</p>"
    )


def _waiting(pictures: int) -> str:
    """Room for those that are still to come, so that nothing jumps when they do"""
    return '<figure><span class="dpi-empty"></span><figcaption>–<small>&nbsp;</small></figcaption></figure>' * pictures


def _film(walk: Walk, facts: Facts, earlier: bool) -> str:
    if earlier:  # no empty frames before anybody asked
        return '<p class="dpi-quiet">Walk shows here the pictures that it predicts on the way.</p>'
    figures = "".join(
        f"<figure>{image(g.x0, f'Predicted picture after call {g.k}')}<figcaption>{g.k} of {walk.of}"
        f"<small>t = {g.t:.0f}</small></figcaption></figure>"
        for g in walk.film
    )
    figures += _waiting(min(GLIMPSES, walk.of) - len(walk.film))
    decoder = "quick preview decoder" if facts.quick_previews else "VAE decoder"
    note = f"Predicted pictures x̂₀, by the {decoder}." if walk.film else "Walk fills these frames."
    return f'<div class="dpi-row dpi-film">{figures}</div><p class="dpi-quiet">{note}</p>'


def _blocks(blocks: tuple[Block, ...]) -> str:
    crossing = any(block.cross_attention for block in blocks)
    head = "<th>Block</th><th>Class</th><th>Out</th><th>Parameters</th>" + (
        "<th>Cross-attention</th>" if crossing else ""
    )
    rows = ""
    for block in blocks:
        last = f"<td>{block.cross_attention or '–'}</td>" if crossing else ""
        cells = f"<td>{escaped(block.class_name)}</td><td>{shape(block.gives)}</td><td>{block.parameters:,}</td>{last}"
        rows += f"<tr><th>{escaped(block.name)}</th>{cells}</tr>"
    caption = "Its blocks in the order they run, with what each gives for one row."
    return (
        f'<div class="dpi-scroll"><table><caption>{caption}</caption><thead><tr>{head}</tr></thead>{rows}</table></div>'
    )


def _jump(section: str) -> str:
    label = {"attention": "See where each word looks", "autoencoder": "See what the VAE loses"}[section]
    return f'<button type="button" class="dpi-link" data-goes="inside-{section}">{label}</button>'


def _picture(picture: Image.Image | None, walk: Walk, facts: Facts) -> str:
    if picture is None:
        return '<span class="dpi-empty dpi-large"></span><p class="dpi-quiet">Not computed yet.</p>'
    recipe = walk.recipe
    scale = f", guidance scale {recipe.guidance_scale:g}" if facts.has_guidance_scale else ""
    scale += f", true CFG scale {recipe.true_cfg_scale:g}" if recipe.true_cfg_scale > 1 else ""
    said = (
        f"“{recipe.prompt}”, {SAMPLERS[recipe.sampler].label}, {recipe.num_inference_steps} steps{scale}, seed "
        f"{recipe.seed}."
    )
    return f'{image(picture, "The finished picture", "dpi-large")}<p class="dpi-quiet">{escaped(said)}</p>'
