"""A prompt as the tokenizer cuts it: tokens with ids, words that fall into pieces, words that no longer fit."""

from __future__ import annotations

import copy
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

PLACE = "\N{ASTERISM}"  # of the text in a template; no template has one


@dataclass(frozen=True)
class Token:
    """One of the `limit` positions that the text encoder reads."""

    id: int
    piece: str  # as the vocabulary spells it; "</w>" ends a word, bytes stand as single letters (byte-level BPE)
    text: str  # the part of the prompt it stands for; empty for marks
    kind: str  # "start", "text", "end" or "padding"
    word: int | None  # index into Words.words
    whole: bool = True  # False where it is a byte that makes no character by itself
    weight: float = 1.0  # that its marks give it, where they are read


@dataclass(frozen=True)
class Word:
    """A word, a digit or a sign, as the tokenizer splits them; signs that are one token together are one of these."""

    text: str
    pieces: int  # tokens it takes, kept or not
    positions: tuple[int, ...]  # of its tokens among Words.tokens; fewer than `pieces` where it was cut off
    unknown: bool  # True where a piece is not in the vocabulary at all and stands as the unknown token

    @property
    def truncated(self) -> bool:
        return len(self.positions) < self.pieces


@dataclass(frozen=True)
class Words:
    tokens: tuple[Token, ...]  # exactly `limit`, padding included; of every chunk, where there are several
    words: tuple[Word, ...]
    limit: int  # positions that the text encoder has
    needed: int  # positions that the whole text would take, marks included; may exceed the limit
    marks: int  # of those, start and end marks
    around: int = 0  # tokens of an instruction that the pipeline puts around them; not among `tokens`
    chunks: int = 0  # windows of the text encoder that they fill, where weights are read; 0 where marks are letters
    reader: str = "the model"  # whose tokens they are: of a model whose text encoders read in different ways, which one
    besides: str = ""  # and what the others read, as a sentence; empty where there are none

    @property
    def truncated(self) -> tuple[Word, ...]:
        """Words of which the reader sees nothing or only a part."""
        return tuple(word for word in self.words if word.truncated)

    @property
    def in_pieces(self) -> tuple[Word, ...]:
        """Words that are no single token."""
        return tuple(word for word in self.words if word.pieces > 1)

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(token.id for token in self.tokens)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with `truncated` as texts."""
        return asdict(self) | {"truncated": [word.text for word in self.truncated]}


def unseen(text: str, chunks: int = 0) -> Words:
    """As a `Cutter`, where nobody here can see how a text is cut: nothing is said of it."""
    return Words((), (), 0, 0, 0)


class Cutter:
    """Cuts texts as one tokenizer does, by a copy of it: a fast tokenizer keeps its truncation as state, and the engine
    may set that at any moment."""

    def __init__(
        self,
        tokenizer: Any,
        limit: int | None = None,
        around: int = 0,
        reader: str = Words.reader,
        besides: str = "",
    ) -> None:
        """`limit`: positions that the text encoder reads, where the tokenizer does not say it; `around`: tokens that
        the pipeline puts around the text, for which there is room besides; `reader` and `besides` as in `Words`."""
        self._tokenizer, self._around = copy.deepcopy(tokenizer), around
        self._told = {"reader": reader, "besides": besides}
        self._limit: int = limit or tokenizer.model_max_length

    def __call__(self, text: str, chunks: int = 0) -> Words:
        """text -> its tokens, cut and padded to the limit: the same ids that the text encoder is given.

        Marks are letters here, whatever `chunks` asks for; `weighted.WeighingCutter` reads them.
        """
        tokenizer, limit = self._tokenizer, self._limit
        whole = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False)
        belong = _belong(text, whole)
        tokens = _tokens(tokenizer, text, whole, belong)
        before = [token for token in tokens if token.kind == "start"]
        inside = [token for token in tokens if token.kind == "text"]
        after = [token for token in tokens if token.kind == "end"]
        kept = [*before, *inside[: limit - len(before) - len(after)], *after]
        padding = Token(tokenizer.pad_token_id, _piece(tokenizer, tokenizer.pad_token_id), "", "padding", None)
        padded = kept + [padding] * (limit - len(kept))
        words = _words(tokenizer, text, inside, padded, zip(whole["offset_mapping"], belong, strict=True))
        return Words(tuple(padded), words, limit, len(tokens), len(before) + len(after), self._around, **self._told)


def template_sizes(tokenizer: Any, wrapped: Callable[[str], str]) -> tuple[int, int]:
    """Tokens that stand before a text and after it, where `wrapped` puts it into a template."""
    before, after = wrapped(PLACE).split(PLACE)
    return len(tokenizer(before).input_ids), len(tokenizer(after).input_ids) if after else 0


def chat_sizes(tokenizer: Any, thinking: bool) -> tuple[int, int]:
    """The same of a chat with a language model, in which the text is what its user says."""

    def wrapped(words: str) -> str:
        messages = [{"role": "user", "content": words}]
        given = {"tokenize": False, "add_generation_prompt": True, "enable_thinking": thinking}
        return tokenizer.apply_chat_template(messages, **given)

    return template_sizes(tokenizer, wrapped)


def _belong(text: str, whole: Any) -> list[int | None]:
    """The number of each token's word; None of marks.

    The tokenizer's own words are cut further: T5's hold all that stands between two spaces, Gemma's the whole text.
    """
    parts = _parts(text)
    found: list[int | None] = []
    numbers: dict[tuple[int, int], int] = {}
    for (start, _), word in zip(whole["offset_mapping"], whole.word_ids(), strict=True):
        while start < len(text) and text[start].isspace():  # a space belongs to what follows it
            start += 1
        found.append(None if word is None else numbers.setdefault((word, parts[start]), len(numbers)))
    return found


def _parts(text: str) -> list[int]:
    """For each of its characters, and for the end, which part of the text it is of: a word, a sign or a space. Signs
    inside of a word, as in “don't” and “Spider-Man”, are of the word; accents are of what they follow."""
    found, count, before = [], 0, ""
    for i, character in enumerate(text):
        inside = character in "-'’" and text[i - 1 : i].isalnum() and text[i + 1 : i + 2].isalnum()
        category = unicodedata.category(" " if character.isspace() else character)[0]
        kind = "L" if inside or character.isalnum() else category
        if kind not in "MC":
            count += kind != before or kind in "PS"
            before = kind
        found.append(count)
    return [*found, count]


def _tokens(tokenizer: Any, text: str, whole: Any, belong: list[int | None]) -> list[Token]:
    """The text's tokens with its marks, not cut and not padded."""
    found = []
    columns = zip(whole["input_ids"], whole["offset_mapping"], whole["special_tokens_mask"], belong, strict=True)
    for id_, (start, end), special, word in columns:
        if special:  # a mark that the tokenizer added; a mark that somebody typed is text
            kind = (
                "start" if not any(token.kind == "text" for token in found) and id_ == tokenizer.bos_token_id else "end"
            )
            found.append(Token(id_, _piece(tokenizer, id_), "", kind, None))
        else:
            is_whole = "\ufffd" not in tokenizer.decode([id_])
            found.append(Token(id_, _piece(tokenizer, id_), text[start:end], "text", word, is_whole))
    return found


def _piece(tokenizer: Any, id_: int) -> str:
    return str(tokenizer.convert_ids_to_tokens(id_))


def _words(
    tokenizer: Any, text: str, inside: list[Token], padded: list[Token], places: Iterable[tuple[Any, int | None]]
) -> tuple[Word, ...]:
    """`places`: where in the text each token stands, and of which word it is"""
    words = []
    spans: dict[int, list[int]] = {}
    for (start, end), word in places:
        if word is not None:
            span = spans.setdefault(word, [start, end])
            span[1] = max(span[1], end)
    for index, (start, end) in spans.items():
        pieces = [token for token in inside if token.word == index]
        positions = tuple(i for i, token in enumerate(padded) if token.word == index)
        shown = text[start:end].strip() or text[start:end]
        missing = any(token.id == tokenizer.unk_token_id for token in pieces) and shown != tokenizer.unk_token
        words.append(Word(shown, len(pieces), positions, missing))
    return tuple(words)
