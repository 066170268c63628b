"""The lessons that there are: those that come with the playground, then those of a teacher's folder."""

from collections.abc import Sequence
from pathlib import Path

from playground.lessons.lesson import Lesson
from playground.lessons.reader import read_file
from playground.refusal import Refusal

TEXTS = Path(__file__).parent / "texts"
MOST_LESSONS = 40


def shelf(more: Path | None = None) -> tuple[Lesson, ...]:
    """In the order of the file names, each folder for itself. Raises Refusal for a folder that is none, a lesson that
    cannot be read, with its line, and two of one name."""
    lessons = [read_file(path) for path in files_of(TEXTS)]
    if more is not None:
        lessons += [read_file(path) for path in files_of(more)]
    keys = [lesson.key for lesson in lessons]
    if repeated := next((key for key in keys if keys.count(key) > 1), None):
        raise Refusal(f"There are two lessons named {repeated}.md; give one of them another name.")
    if len(lessons) > MOST_LESSONS:
        raise Refusal(f"There can be at most {MOST_LESSONS} lessons; here are {len(lessons)}.")
    return tuple(lessons)


def files_of(folder: Path) -> Sequence[Path]:
    if not folder.is_dir():
        raise Refusal(f"There is no folder {folder} with lessons.")
    return sorted(folder.glob("*.md"))
