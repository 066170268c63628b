"""A prompt's tokens are those that the model reads; what falls into pieces and what is cut off is named."""

import pytest

from playground.engine import LocalEngine
from playground.models.words import Cutter
from playground.ui.inside.boxes import remarks_on
from tests.models.tiny_families import t5
from tests.models.tiny_flow_families import gemma

LONG = " ".join(["red apple, blue background"] * 12)


def kinds(engine: LocalEngine, text: str) -> list[str]:
    return [token.kind for token in engine.words(text).tokens]


@pytest.mark.parametrize(
    "text",
    [
        "red apple, blue background",
        "",
        "a Zeppelin über 🍎",
        LONG,
        "北京 <|endoftext|> don't",
        "${x}{{y}}<b>",
        "zz " * 40,
    ],
)
def test_the_tokens_are_those_the_model_reads(engine: LocalEngine, text: str) -> None:
    tokenizer = engine.model.pipeline.tokenizer
    theirs = tokenizer(text, padding="max_length", max_length=tokenizer.model_max_length, truncation=True)
    words = engine.words(text)
    assert list(words.ids) == theirs["input_ids"]
    assert words.needed == len(tokenizer(text)["input_ids"])
    assert len(words.tokens) == words.limit == tokenizer.model_max_length


def test_weights_are_shown_token_by_token_and_long_texts_in_chunks(engine: LocalEngine) -> None:
    words = engine.words("(red Zeppelin:1.5), [apple]", 1)
    assert [(token.text, round(token.weight, 3)) for token in words.tokens if token.kind == "text"] == [
        ("red", 1.5),
        *[(piece, 1.5) for piece in ("Ze", "p", "pe", "li", "n")],
        (",", 1),
        ("apple", 0.909),
    ]
    assert [(word.text, word.positions) for word in words.words] == [
        ("red", (1,)),
        ("Zeppelin", (2, 3, 4, 5, 6)),
        (",", (7,)),
        ("apple", (8,)),
    ]
    assert words.chunks == 1 and words.limit == len(words.tokens) == 32
    assert engine.words("cat", 3).ids == engine.words("cat").ids + 2 * engine.words("").ids  # filled up


def layout(engine: LocalEngine, text: str) -> list[int]:
    """Tokens of text in each chunk."""
    tokens = engine.words(text, 1).tokens
    return [sum(token.kind == "text" for token in tokens[i : i + 32]) for i in range(0, len(tokens), 32)]


def test_chunks_end_where_automatic1111s_do(engine: LocalEngine) -> None:
    assert layout(engine, "") == [0] and layout(engine, "cat " * 30) == [30] and layout(engine, "cat " * 31) == [30, 1]
    assert layout(engine, "cat " * 20 + ", " + "dog " * 12) == [21, 12]  # at a comma of the last 20 tokens
    assert layout(engine, "cat " * 5 + ", " + "dog " * 32) == [30, 8]  # not further back
    assert layout(engine, "cat " * 30 + ", dog") == [30, 2]
    assert layout(engine, "cat BREAK dog dog") == [1, 2] and layout(engine, "BREAK cat BREAK") == [0, 1]
    words = engine.words("cat " * 31, 1)
    assert (words.needed, words.marks, words.truncated) == (35, 4, ())


def test_marks_text_and_padding_are_told_apart(engine: LocalEngine) -> None:
    assert kinds(engine, "red apple") == ["start", "text", "text", "end"] + ["padding"] * 28
    assert kinds(engine, "") == ["start", "end"] + ["padding"] * 30
    assert kinds(engine, LONG) == ["start"] + ["text"] * 30 + ["end"]


def test_a_known_word_is_one_token_and_an_unknown_one_falls_into_pieces(engine: LocalEngine) -> None:
    words = engine.words("red Zeppelin")
    assert [(word.text, word.pieces, word.positions) for word in words.words] == [
        ("red", 1, (1,)),
        ("Zeppelin", 5, (2, 3, 4, 5, 6)),
    ]
    assert words.in_pieces == (words.words[1],)
    assert "".join(words.tokens[i].text for i in words.words[1].positions) == "Zeppelin"
    assert [words.tokens[i].piece for i in words.words[1].positions] == ["ze", "p", "pe", "li", "n</w>"]


def test_bytes_that_are_no_character_are_named_so(engine: LocalEngine) -> None:
    words = engine.words("ü")
    assert [(token.text, token.whole) for token in words.tokens if token.kind == "text"] == [("ü", False)] * 2


def test_what_does_not_fit_is_named_with_the_word_that_is_cut_in_the_middle(engine: LocalEngine) -> None:
    words = engine.words("apple " * 28 + "Zeppelin banana")
    assert [word.text for word in words.truncated] == ["Zeppelin", "banana"]
    assert len(words.truncated[0].positions) == 2 and words.truncated[1].positions == ()
    assert words.needed == 28 + 5 + 1 + 2
    assert engine.words("red apple").truncated == ()


def test_a_mark_that_somebody_typed_is_text(engine: LocalEngine) -> None:
    words = engine.words("a <|endoftext|> b")
    assert [token.kind for token in words.tokens[:5]] == ["start", "text", "text", "text", "end"]
    assert not any(word.unknown for word in words.words)


def test_a_word_and_the_comma_behind_it_are_two_where_a_tokenizer_splits_at_spaces_or_not_at_all() -> None:
    text = "red apple, (cat) don't\nblue-red."
    for tokenizer in (t5()[0], gemma()[0]):
        words = Cutter(tokenizer, 512)(text)
        found = ["red", "apple", ",", "(", "cat", ")", "don't", "blue-red", "."]
        assert [word.text for word in words.words] == found
        for i, word in enumerate(words.words):
            assert word.pieces == len(word.positions)
            assert all(words.tokens[at].word == i for at in word.positions)
    words = Cutter(t5()[0], 512)("red apple, blue")
    assert words.in_pieces == () and not any("in pieces" in sentence for sentence in remarks_on(words))


def test_a_sign_that_is_one_token_with_others_is_no_word_of_its_own(engine: LocalEngine) -> None:
    found = engine.words("cat!! 🍎🍎").words
    assert [(word.text, word.pieces) for word in found] == [("cat", 1), ("!!", 1), ("🍎", 4), ("🍎", 4)]
