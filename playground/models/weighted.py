"""Prompts with weights, of any length: tokens in chunks as AUTOMATIC1111 lays them, and what CLIP makes of these.

Its wiki, https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/Features, "Infinite prompt length" and
"Attention/emphasis".
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from playground.emphasis import parse
from playground.models.words import Cutter, Token, Word, Words
from playground.recipe import Recipe

BACKTRACK = 20  # tokens: where a chunk is full, those behind a comma that is not further back go into the next one
COMMA = ",</w>"  # as CLIP's vocabulary spells it


class WeighingCutter(Cutter):
    """A `Cutter` that can also read a text's marks as weights."""

    def __call__(self, text: str, chunks: int = 0) -> Words:
        """As `Cutter` does where `chunks` is 0. Else weights are read, nothing is cut off, and the tokens fill as many
        windows as they need, at least so many."""
        if not chunks:
            return super().__call__(text)
        tokenizer, limit = self._tokenizer, self._limit
        tokens, breaks, spans = _read(tokenizer, text)
        start, end = (_mark(tokenizer, kind) for kind in ("start", "end"))
        padding = _mark(tokenizer, "padding")
        chunked = _chunked(tokens, breaks, limit - 2)
        chunked += [[] for _ in range(chunks - len(chunked))]
        laid: list[Token] = []
        for chunk in chunked:
            laid += [start, *chunk, end, *[padding] * (limit - 2 - len(chunk))]
        positions: dict[int, list[int]] = {}
        for i, token in enumerate(laid):
            if token.word is not None:
                positions.setdefault(token.word, []).append(i)
        unknown = {token.word for token in tokens if token.id == tokenizer.unk_token_id}
        words = tuple(
            Word(shown, len(positions[i]), tuple(positions[i]), i in unknown and shown != tokenizer.unk_token)
            for i, shown in enumerate(spans)
        )
        n = len(chunked)
        return Words(tuple(laid), words, n * limit, len(tokens) + 2 * n, 2 * n, chunks=n)


def chunks_of(recipe: Recipe, guided: bool, words: Callable[[str, int], Words]) -> int:
    """Chunks that both texts of a recipe fill, or the prompt alone where nothing is guided; 0 where weights are not
    read. The shorter text is filled up, because diffusers' pipelines take texts of equal length only."""
    if not recipe.prompt_weights:
        return 0
    texts = [recipe.prompt] + ([recipe.negative_prompt] if guided else [])
    return max(words(text, 1).chunks for text in texts)


def rows_of(words: Words, device: torch.device) -> Tensor:
    """-> the ids (chunks, limit) that the text encoder is given"""
    return torch.tensor(words.ids, device=device).view(words.chunks, -1)


def weighted(states: Tensor, words: Words) -> Tensor:
    """CLIP's states of these rows (chunks, limit, width) -> (1, chunks · limit, width): each token's times its weight,
    and the whole of each chunk brought back to the mean that it had; a chunk without other weights stays as it is."""
    weights = torch.tensor([token.weight for token in words.tokens], device=states.device, dtype=states.dtype)
    weights = weights.view(words.chunks, -1, 1)
    found = states * weights
    found = found * (states.mean((1, 2), keepdim=True) / found.mean((1, 2), keepdim=True))
    found = torch.where((weights == 1).all(1, keepdim=True), states, found)
    return found.reshape(1, -1, states.shape[-1])


def _read(tokenizer: Any, text: str) -> tuple[list[Token], list[int], list[str]]:
    """Tokens of all parts, each part cut by itself; where BREAK stands among them; and the words."""
    tokens: list[Token] = []
    breaks: list[int] = []
    words: list[str] = []
    for part in parse(text):
        if part.breaks:
            breaks.append(len(tokens))
        cut = tokenizer(part.text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        spans: dict[int, tuple[int, int]] = {}
        for id_, (start, end), word in zip(cut["input_ids"], cut["offset_mapping"], cut.word_ids(), strict=True):
            first, last = spans.get(word, (start, end))
            spans[word] = first, max(last, end)
            shown, whole = part.text[start:end], "\ufffd" not in tokenizer.decode([id_])
            piece, index = str(tokenizer.convert_ids_to_tokens(id_)), len(words) + len(spans) - 1
            tokens.append(Token(id_, piece, shown, "text", index, whole, part.weight))
        words += [part.text[start:end] for start, end in spans.values()]
    return tokens, breaks, words


def _chunked(tokens: list[Token], breaks: list[int], room: int) -> list[list[Token]]:
    """At least one chunk of at most `room` tokens. A full one ends at its last comma where that is near."""
    chunks: list[list[Token]] = [[]]
    comma = -1  # its place in the last chunk
    for i, token in enumerate(tokens):
        for _ in range(breaks.count(i)):
            chunks.append([])
            comma = -1
        if token.piece == COMMA:
            comma = len(chunks[-1])
        elif len(chunks[-1]) == room and 0 <= comma and room - comma <= BACKTRACK:
            chunks[-1:] = [chunks[-1][: comma + 1], chunks[-1][comma + 1 :]]
            comma = -1
        if len(chunks[-1]) == room:
            chunks.append([])
            comma = -1
        chunks[-1].append(token)
    return chunks


def _mark(tokenizer: Any, kind: str) -> Token:
    ids = {"start": tokenizer.bos_token_id, "end": tokenizer.eos_token_id, "padding": tokenizer.pad_token_id}
    return Token(ids[kind], str(tokenizer.convert_ids_to_tokens(ids[kind])), "", kind, None)
