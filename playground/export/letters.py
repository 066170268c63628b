"""Letters on pictures that are taken away: a font, lines that wrap, and the colours of paper and ink."""

from collections.abc import Sequence
from functools import lru_cache

from PIL import ImageDraw, ImageFont

PAPER, INK = (255, 255, 255), (40, 42, 46)
QUIET = (110, 113, 120)
LINE = 1.3  # of a letter's height, from line to line
FONTS = ("DejaVuSans.ttf", "LiberationSans-Regular.ttf", "Arial.ttf")  # with more letters than Pillow's own


def wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """A text in lines that are at most so many pixels wide; a word that is longer is broken."""
    lines, line = [], ""
    for word in text.split():
        while font.getlength(word) > width:
            cut = next(n for n in range(len(word) - 1, 0, -1) if n == 1 or font.getlength(word[:n]) <= width)
            if line:
                lines.append(line)
            lines.append(word[:cut])
            line, word = "", word[cut:]
        longer = f"{line} {word}".strip()
        if font.getlength(longer) <= width:
            line = longer
        else:
            lines.append(line)
            line = word
    return [*lines, line] if line or not lines else lines


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont:
    for name in FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def lines(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    texts: Sequence[str],
    letters: ImageFont.FreeTypeFont,
    line: int,
    ink: tuple[int, int, int],
) -> None:
    """Texts below each other from a place on, each so many pixels below the one before."""
    for i, text in enumerate(texts):
        draw.text((place[0], place[1] + i * line), text, ink, letters)
