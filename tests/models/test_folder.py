"""What a model's card says of it is read with suspicion, and as plain text."""

from pathlib import Path

import pytest

from playground.models.folder import LONGEST_TEXT, described, licence


@pytest.mark.parametrize(
    ("card", "says"),
    [
        ("", ""),
        ("---\nlicense: mit\n---\n# A name\n", ""),
        (
            "---\nlicense: mit\n---\n# A name\n\nDraws **cats** of [glass](http://x.y/z), `big`\nones.",
            "Draws cats of glass, big ones.",
        ),
        (
            "![shot](a.png) and more\n\n<p>html here</p>\n\n- a list\n\n1. of things\n\n| a | b |\n\nThe prose.",
            "The prose.",
        ),
        ("```\nsome code here\n```\n\nThe prose <img src=x>.", "The prose <img src=x>."),
    ],
)
def test_the_first_prose_of_a_card(tmp_path: Path, card: str, says: str) -> None:
    (tmp_path / "README.md").write_text(card, encoding="utf-8")
    assert described(tmp_path) == says
    assert licence(tmp_path) == ("mit" if "license" in card else "")


def test_a_card_that_is_long_missing_or_no_text(tmp_path: Path) -> None:
    assert described(tmp_path) == licence(tmp_path) == ""
    (tmp_path / "README.md").write_bytes(b"\xff\xfe " + b"word " * 100_000)
    assert described(tmp_path).endswith("word …") and len(described(tmp_path)) <= LONGEST_TEXT + 2
