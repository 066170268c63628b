"""A whole grid as one picture, or as several where one would be huge: headers that wrap, and a footer with what is
fixed."""

from collections.abc import Iterator

from PIL import Image, ImageDraw

from playground.export.finished import FinishedGrid
from playground.export.letters import INK, LINE, PAPER, QUIET, font, lines, wrapped

SHOWN_SIDE = 256  # pixels; smaller pictures are enlarged by a whole factor, so that their pixels stay what they are
GAP, MARGIN = 12, 24
HEADER_WIDTH = 220  # of the rows' labels
TEXT, SMALL = 18, 15  # pixels of a letter's height
MOST_SIDE = 8192  # pixels of one page
MISSING = (232, 232, 230)


def pages(grid: FinishedGrid) -> list[Image.Image]:
    """The grid as RGB pictures, at most MOST_SIDE pixels wide and high as long as one cell fits."""
    enlarged = [_enlarged(result.image.size) for result in grid.results if result is not None]
    cell = max(width for width, _ in enlarged), max(height for _, height in enlarged)
    across = max(1, (MOST_SIDE - HEADER_WIDTH - 2 * MARGIN) // (cell[0] + GAP))
    down = max(1, (MOST_SIDE - 400) // (cell[1] + GAP))
    rows, columns = range(len(grid.rows)), range(len(grid.columns))
    return [_page(grid, r, c, cell) for r in _parts(rows, down) for c in _parts(columns, across)]


def _enlarged(size: tuple[int, int]) -> tuple[int, int]:
    factor = max(1, SHOWN_SIDE // max(size))
    return size[0] * factor, size[1] * factor


def _parts(whole: range, most: int) -> Iterator[range]:
    return (whole[i : i + most] for i in range(0, len(whole), most))


def _page(grid: FinishedGrid, rows: range, columns: range, cell: tuple[int, int]) -> Image.Image:
    text, small = font(TEXT), font(SMALL)
    line, small_line = round(TEXT * LINE), round(SMALL * LINE)
    beside = HEADER_WIDTH + GAP if len(grid.rows) > 1 else 0
    width = 2 * MARGIN + beside + len(columns) * (cell[0] + GAP) - GAP
    heads = [wrapped(grid.columns[c], text, cell[0]) for c in columns]
    sides = [wrapped(grid.rows[r], text, HEADER_WIDTH) for r in rows]
    above = MARGIN + line + GAP + line * max(map(len, heads)) + GAP // 2
    heights = [max(cell[1], line * len(side)) + GAP for side in sides]
    foot = wrapped(" · ".join([grid.fixed, *grid.origins]), small, width - 2 * MARGIN)
    height = above + sum(heights) + small_line * len(foot) + MARGIN
    paper = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(paper)
    draw.text((MARGIN + beside, MARGIN), grid.axes[-1].name, QUIET, small)
    for i, head in enumerate(heads):
        lines(draw, (MARGIN + beside + i * (cell[0] + GAP), MARGIN + line + GAP // 2), head, text, line, INK)
    y = above
    for r, side, tall in zip(rows, sides, heights, strict=True):
        lines(draw, (MARGIN, y), side, text, line, INK)
        for i, c in enumerate(columns):
            place = (MARGIN + beside + i * (cell[0] + GAP), y)
            result = grid.results[r * len(grid.columns) + c]
            if result is None:
                paper.paste(MISSING, (*place, place[0] + cell[0], place[1] + cell[1]))
                lines(draw, (place[0] + GAP, place[1] + GAP), ["not drawn"], small, small_line, QUIET)
                continue
            fitted = _fitted(result.image.convert("RGB"), cell)
            beside_it = [(side - own) // 2 for side, own in zip(cell, fitted.size, strict=True)]
            paper.paste(fitted, (place[0] + beside_it[0], place[1] + beside_it[1]))
        y += tall
    lines(draw, (MARGIN, y), foot, small, small_line, QUIET)
    return paper


def _fitted(picture: Image.Image, cell: tuple[int, int]) -> Image.Image:
    """As large as its frame allows: cells of several sizes, or models, differ in size."""
    factor = min(cell[0] / picture.width, cell[1] / picture.height)
    size = round(picture.width * factor), round(picture.height * factor)
    exact = size[0] % picture.width == 0 and size[1] % picture.height == 0
    return picture.resize(size, Image.Resampling.NEAREST if exact else Image.Resampling.LANCZOS)
