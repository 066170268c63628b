"""Marks in a prompt weigh as AUTOMATIC1111's grammar says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.emphasis import Part, check_weights, has_marks, parse
from playground.refusal import Refusal

LETTERS = st.text("ab ,:.1", max_size=8)  # also what looks like the end of a mark
ANY = st.text(r"ab ()[]\:1.,+-B", max_size=60)


def weights(text: str) -> list[tuple[str, float]]:
    return [(part.text, round(part.weight, 6)) for part in parse(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("red apple", [("red apple", 1)]),
        ("", [("", 1)]),
        ("(apple)", [("apple", 1.1)]),
        ("((apple))", [("apple", 1.21)]),
        ("[apple]", [("apple", 0.909091)]),
        ("a (red apple:1.5) b", [("a ", 1), ("red apple", 1.5), (" b", 1)]),
        ("(a: .5 )(b:-1)(c:+2)", [("a", 0.5), ("b", -1), ("c", 2)]),
        ("(a (b:2) [c]:3)", [("a ", 3), ("b", 6), (" ", 3), ("c", 2.727273)]),
        (r"\(a\) \[b\] \\ c\d", [(r"(a) [b] \ cd", 1)]),
        (r"(a\):2)", [("a)", 2)]),
        ("(a", [("a", 1.1)]),  # never closed: to the end
        ("x [a (b", [("x ", 1), ("a ", 0.909091), ("b", 1)]),
        ("a) b] :2) :)", [("a) b] :2) :)", 1)]),  # never opened: letters
        ("[a:1.5]", [("a:1.5", 0.909091)]),  # a number belongs to round brackets
        ("(a:1.2.3)", [("a:1.2.3", 1.1)]),
        ("(a:1)b", [("ab", 1)]),  # equal neighbours are one
        ("(a [b) c]", [("a ", 1.1), ("b", 1), (" c", 0.909091)]),
    ],
)
def test_marks_weigh_what_they_say(text: str, found: list[tuple[str, float]]) -> None:
    assert weights(text) == [(words, pytest.approx(weight)) for words, weight in found]


def test_break_begins_a_chunk() -> None:
    assert parse("a BREAK b") == [Part("a"), Part("b", breaks=True)]
    assert parse("(a BREAK b:2)") == [Part("a", 2.0), Part("b", 2.0, True)]
    assert parse("BREAKFAST") == [Part("BREAKFAST")]
    assert has_marks("a BREAK b") and has_marks("a (b)") and has_marks(r"a\(b\)") and not has_marks("smile :)")


@given(LETTERS, st.lists(st.sampled_from(["(", "[", "2", ".5"]), max_size=6))
def test_the_weights_of_nested_marks_multiply(inner: str, around: list[str]) -> None:
    text, expected = f"x{inner}x", 1.0
    for mark in around:
        if mark in "([":
            text, expected = (f"({text})", expected * 1.1) if mark == "(" else (f"[{text}]", expected / 1.1)
        else:
            text, expected = f"({text}:{mark})", expected * float(mark)
    assert parse(text) == [Part(f"x{inner}x", pytest.approx(expected))]


@given(ANY)
def test_escaped_text_is_letters(text: str) -> None:
    escaped = "".join(f"\\{letter}" if letter in r"()[]\\" else letter for letter in text)
    assert parse(escaped) == [Part(text)]


@given(ANY)
def test_any_text_is_read(text: str) -> None:
    """Letters outside marks all stay, in order, and nothing is made up."""
    kept = iter(text)
    assert all(letter in kept for part in parse(text) for letter in part.text)
    plain = [letter for letter in text if letter in "ab"]
    assert [letter for part in parse(text) for letter in part.text if letter in "ab"] == plain


def test_a_weight_that_nothing_can_be_drawn_with_is_refused() -> None:
    check_weights("prompt", "(a:10) (b:-10)")
    for text in ("(a:10.1)", "(" * 25 + "a", "(a:" + "9" * 400 + ")"):
        with pytest.raises(Refusal, match=r"^prompt has a word of weight .*; weights must be from -10 to 10\.$"):
            check_weights("prompt", text)
