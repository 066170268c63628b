"""The text of a lesson as HTML, wherever a step of it is shown.

Lessons may be a teacher's, so their text goes through a Markdown parser that lets no HTML through.
"""

from collections.abc import Mapping, Sequence

from markdown_it import MarkdownIt

from playground.lessons import numbers
from playground.lessons.lesson import Lesson
from playground.ui.shared.html import escaped

PARSER = MarkdownIt("commonmark", {"html": False})


def markdown(
    text: str,
    facts: Mapping[str, str],
    labels: Sequence[str] = (),
    values: Mapping[str, Sequence[float | None]] | None = None,
) -> str:
    """A lesson's text -> HTML, with its numbers filled in."""
    return PARSER.render(numbers.filled(text, facts, labels, values or {}))


def sources(lesson: Lesson) -> str:
    """Where one can read on; empty where the lesson names nothing."""
    if not lesson.sources:
        return ""
    links = " · ".join(
        f'<a href="{escaped(link)}" target="_blank" rel="noopener">{escaped(name)}</a>' for name, link in lesson.sources
    )
    return f'<p class="dp-quiet dp-sources">Read on: {links}</p>'
