"""How the Inside tab writes shapes, counts, bytes, times and small pictures."""

from collections.abc import Sequence

from PIL import Image

from playground.ui.shared.html import data_url, escaped


def shape(sides: Sequence[int]) -> str:
    """(1, 4, 16, 16) -> "1 × 4 × 16 × 16"; () is text"""
    return " × ".join(str(side) for side in sides) if sides else "text"


def count(number: float, digits: int = 3) -> str:
    """13600000 -> "13.6 M" """
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            part = number / size
            return f"{part:.{digits}g} {unit}" if part < 10 ** (digits - 1) else f"{part:.0f} {unit}"
    return f"{number:,.0f}"


def size(number: int) -> str:
    """bytes -> "27.3 MB", in powers of ten"""
    return f"{count(number)}B" if number >= 1000 else f"{number} B"


def milliseconds(value: float | None) -> str:
    if value is None:
        return "–"
    if value >= 1000:
        return f"{value / 1000:.2f} s"
    digits = 0 if value >= 100 else 1 if value >= 1 else 2
    return f"{value:.{digits}f} ms"


def signed(value: float) -> str:
    """Two decimals with a true minus sign, and no minus zero."""
    text = f"{value:.2f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")


def image(picture: Image.Image, alt: str, extra: str = "") -> str:
    """An <img>; `extra` is a class name."""
    return f'<img class="{extra}" src="{data_url(picture)}" alt="{escaped(alt)}">'
